"""`graft STAGE`: runs one stage of the pipeline, and lets its outputs appear whole or not at all.

All that every stage needs is done here, so that no stage depends on the code for it: params.yaml is
checked as a whole, `dvc.yaml` says what the stage may read and must write, the stage writes to
temporary paths, and these are renamed once it has ended well, if nothing that it was given has
moved meanwhile. Until then it may keep what lets it go on after it was killed, in a folder of its
own.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from graft.common.atomic import whole
from graft.common.errors import UserError, refuse
from graft.common.graphics import allow_gpu
from graft.common.stage import Stage
from graft.integrity.ground import (
    Ground,
    digest,
    find_moved_file,
    find_moved_value,
    flatten,
    sign,
    take_ground,
    write_record,
)
from graft.integrity.harmless import check_arrays, check_folders
from graft.integrity.lifetime import end_with_dvc
from graft.project.labelled import check_labels
from graft.project.parameters import PARAMETERS, check_weights, read_parameters, select_parameters
from graft.project.pipeline import Declaration, declarations
from graft.project.scratch import clear_scratch, find_scratch
from graft.project.upstream import check_made, check_upstream, find_earlier
from graft.project.yaml12 import NoYaml, read_yaml_file

ROOMS = Path(__file__).parent.parent
# What a stage reads that takes weights from a file.
PRETRAINED = Path("data/pretrained")


def run_stage(arguments: Sequence[str], code: Mapping[Path, str] | None = None) -> str:
    """Runs a stage by the arguments of its command in `dvc.yaml`.

    Args:
        arguments: such as `tensors 0` or `manifest --shards 4`.
        code: the signature of each room before any of its code was imported;
            None where the package is not a part of the project.

    Returns:
        the address of the stage.

    Raises:
        UserError: params.yaml is not valid, `dvc.yaml` has no stage with this command, the inputs
            are missing, damaged or of other settings, or something that the stage was given has
            moved.
    """
    end_with_dvc()
    values = read_parameters()
    stages = declarations(values)
    commands = {tuple(stage.command.split()[1:]): stage for stage in stages}
    declaration = commands.get(tuple(arguments))
    if declaration is None:
        same = [" ".join(known) for known in commands if known[:1] == tuple(arguments[:1])]
        raise refuse("a stage", f"one of {', '.join(same)}", " ".join(arguments))
    check_folders(declaration.outputs)
    flat = flatten(values)
    check_made(declaration, stages)
    if PRETRAINED in declaration.inputs:
        check_weights(values)
    check_upstream(declaration, stages, flat)
    check_arrays(declaration.inputs)
    check_labels(declaration, flat)
    parameters = select_parameters(declaration, flat)
    ground = take_ground(parameters, (*declaration.rooms, *declaration.inputs))
    for room in declaration.rooms:
        if code and digest(room, ground.files[room]) != code.get(room):
            raise _moved(declaration, f"{room}, which was changed")
    if declaration.gpu:
        allow_gpu()
    module = importlib.import_module(find_module(arguments[0]))
    with whole(*declaration.outputs) as parts:
        written = dict(zip(declaration.outputs, parts, strict=True))
        stage = make_stage(declaration, values, written)
        scratch = find_scratch(stage, declaration.rooms)
        clear_scratch(stage.address, scratch)
        module.main(replace(stage, scratch=scratch, previous=find_earlier(declaration, flat)))
        try:
            _check_ground(declaration, ground)
        except UserError:
            clear_scratch(stage.address)  # what is there may be of two settings
            raise
    clear_scratch(stage.address)
    write_record(declaration.address, ground, declaration.outputs)
    return declaration.address


def _check_ground(declaration: Declaration, ground: Ground) -> None:
    """Refuses the outputs of a stage if anything that it was given has moved."""
    for path, before in ground.files.items():
        if moved := find_moved_file(before, sign(path)):
            raise _moved(declaration, moved)
    try:
        flat = flatten(read_yaml_file(PARAMETERS))
    except (NoYaml, OSError, AttributeError) as error:
        raise _moved(declaration, f"{PARAMETERS}, {error}") from None
    if moved := find_moved_value(ground.parameters, select_parameters(declaration, flat)):
        raise _moved(declaration, moved)


def _moved(declaration: Declaration, what: str) -> UserError:
    return UserError(
        f"what {declaration.address} is made from must stay as it is while it runs;"
        f" nothing was kept, run again. Received: {what}"
    )


def make_stage(
    declaration: Declaration, values: Mapping[str, Any], written: Mapping[Path, Path]
) -> Stage:
    """What a stage is given.

    Args:
        declaration: of the stage.
        values: all parameters, nested.
        written: its outputs, each with the temporary path to write it to.
    """
    return Stage(
        address=declaration.address,
        options=split_options(declaration.command.split()),
        parameters=select_parameters(declaration, flatten(values)),
        read=declaration.inputs,
        written=written,
    )


def find_module(stage: str) -> str:
    """The module of a stage: the one of its name, in any room."""
    (path,) = ROOMS.glob(f"*/{stage}.py")
    return f"graft.{path.parent.name}.{stage}"


def split_options(arguments: Sequence[str]) -> dict[str, str]:
    """The options of a command, such as `shards` of `--shards 4`."""
    return {
        name.removeprefix("--"): value
        for name, value in pairwise(arguments)
        if name.startswith("--")
    }
