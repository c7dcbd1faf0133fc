"""`graft STAGE`: runs one stage of the pipeline, and lets its outputs appear whole or not at all.

All that every stage needs is done here, so that no stage depends on the code for it: params.yaml is
checked as a whole, `dvc.yaml` says what the stage may read and must write, the stage writes to
temporary paths, and these are renamed once it has ended well. Until then it may keep what lets
it go on after it was killed, in a folder of its own.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from graft.common.atomic import whole
from graft.common.errors import refuse
from graft.common.stage import Stage
from graft.project.parameters import flatten, read_parameters
from graft.project.pipeline import Declaration, declarations
from graft.project.scratch import clear_scratch, find_scratch

ROOMS = Path(__file__).parent.parent


def run_stage(arguments: Sequence[str]) -> None:
    """Runs a stage by the arguments of its command in `dvc.yaml`.

    Args:
        arguments: such as `tensors 0` or `manifest --shards 4`.

    Raises:
        UserError: params.yaml is not valid, or `dvc.yaml` has no stage with this command.
    """
    values = read_parameters()
    stages = {tuple(stage.command.split()[1:]): stage for stage in declarations(values)}
    declaration = stages.get(tuple(arguments))
    if declaration is None:
        same = [" ".join(known) for known in stages if known[:1] == tuple(arguments[:1])]
        raise refuse("a stage", f"one of {', '.join(same)}", " ".join(arguments))
    module = importlib.import_module(find_module(arguments[0]))
    with whole(*declaration.outputs) as parts:
        written = dict(zip(declaration.outputs, parts, strict=True))
        stage = make_stage(declaration, values, written)
        scratch = find_scratch(stage, declaration.rooms)
        clear_scratch(stage.address, scratch)
        module.main(replace(stage, scratch=scratch))
    clear_scratch(stage.address)


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


def select_parameters(declaration: Declaration, flat: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a stage declares, by dotted key.

    Args:
        declaration: names keys and whole sections.
        flat: all parameters by dotted key.
    """
    return {
        key: value
        for key, value in flat.items()
        if any(
            not name or key == name or key.startswith(f"{name}.") for name in declaration.parameters
        )
    }


def split_options(arguments: Sequence[str]) -> dict[str, str]:
    """The options of a command, such as `shards` of `--shards 4`."""
    return {
        name.removeprefix("--"): value
        for name, value in pairwise(arguments)
        if name.startswith("--")
    }
