"""`graft STAGE`: runs one stage of the pipeline, and lets its outputs appear whole or not at all.

All that every stage needs is done here, so that no stage depends on the code for it: params.yaml is
checked as a whole, `dvc.yaml` says what the stage may read and must write, the stage writes to
temporary paths, and these are renamed once it has ended well, if nothing that it was given has
moved meanwhile. It leaves a record of what it has made, and from what. Until then it may keep what
lets it go on after it was killed, in a folder of its own.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from graft.common.atomic import whole
from graft.common.environment import allow_gpu
from graft.common.errors import UserError, refuse
from graft.common.stage import Stage
from graft.integrity.damage import hash_file
from graft.integrity.earlier import Earlier, note_made
from graft.integrity.ground import (
    Ground,
    digest,
    find_moved_file,
    find_moved_value,
    flatten,
    is_touched,
    sign,
    take_ground,
)
from graft.integrity.harmless import check_arrays, check_folders
from graft.integrity.libraries import check_versions, find_upgrade
from graft.integrity.locks import BUILDING, end_with, find_dvc, is_run_by_dvc, one_at_a_time
from graft.integrity.moment import check_moment
from graft.integrity.records import (
    Made,
    Record,
    RecordState,
    drop_record,
    read_locked,
    store_record,
)
from graft.integrity.yaml12 import NoYaml, read_yaml_file
from graft.project.labelled import check_labels
from graft.project.parameters import PARAMETERS, check_weights, read_parameters, select_parameters
from graft.project.pipeline import FORCE, Declaration, declarations, remove_leftovers
from graft.project.scratch import clear_scratch, find_scratch
from graft.project.upstream import (
    check_made,
    check_upstream,
    describe_stage,
    find_change,
    find_earlier,
    is_unchanged,
)
from graft.project.user_cache import KeptResult, find_kept

ROOMS = Path(__file__).parent.parent
# Of a stage whose outputs are kept for all projects of a user.
OF_USER = "of_user"
# What a stage reads that takes weights from a file.
PRETRAINED = Path("data/pretrained")


def run_stage(words: Sequence[str], code: Mapping[Path, str] | None = None) -> Declaration:
    """Runs a stage by the arguments of its command in `dvc.yaml`.

    A stage that has made its outputs from the very same is not run again, unless DVC has started
    it, which has looked by itself, or `--force` is among the arguments.

    Args:
        words: such as `tensors 0` or `manifest --shards 4`.
        code: the signature of each room before any of its code was imported;
            None where the package is not a part of the project.

    Returns:
        the stage.

    Raises:
        UserError: params.yaml is not valid, `dvc.yaml` has no stage with this command, the inputs
            are missing, damaged or of other settings, or something that the stage was given has
            moved.
    """
    by_dvc = is_run_by_dvc()
    if by_dvc:
        end_with(find_dvc())
    forced = by_dvc or FORCE in words
    arguments = [word for word in words if word != FORCE]
    values = read_parameters()
    stages = declarations(values)
    commands = {tuple(stage.command.split()[1:]): stage for stage in stages}
    declaration = commands.get(tuple(arguments))
    if declaration is None:
        same = [" ".join(known) for known in commands if known[:1] == tuple(arguments[:1])]
        raise refuse("a stage", f"one of {', '.join(same)}", " ".join(arguments))
    check_folders(declaration.outputs)
    check_versions(declaration.libraries)
    waiting = f"graft {arguments[0]}: waiting for another process that builds {declaration.address}"
    with one_at_a_time(BUILDING / declaration.address, waiting):
        if by_dvc:
            remove_leftovers()
            check_moment(declaration.address)
        check_made(declaration, stages)
        if PRETRAINED in declaration.inputs:
            check_weights(values)
        flat = flatten(values)
        # First of all looks, for the last one to be compared with.
        own = select_parameters(declaration, flat)
        ground = take_ground(own, (*declaration.rooms, *declaration.inputs))
        check_upstream(declaration, stages, flat)
        now = describe_stage(declaration, stages, flat)
        if not forced and is_unchanged(declaration, now):
            print(f"{declaration.address.replace('@', ' ')}: unchanged")
        else:
            earlier = None if FORCE in words else find_earlier(declaration, now)
            kept = find_kept(now, FORCE not in words) if OF_USER in declaration.traits else None
            try:
                _run(declaration, stages, values, ground, now, code, earlier, kept)
            except _Touched:
                print(f"graft: {declaration.address} runs once more: its data was touched")
                ground = take_ground(own, ground.files)
                _run(declaration, stages, values, ground, now, None, earlier, kept)
    return declaration


class _Touched(UserError):
    """Data that is not known by its bytes has other times: only the stage can tell whether it is
    the same."""


def _run(
    declaration: Declaration,
    stages: Sequence[Declaration],
    values: Mapping[str, Any],
    ground: Ground,
    now: Made,
    code: Mapping[Path, str] | None,
    earlier: Earlier | None,
    kept: KeptResult | None,
) -> None:
    """Runs a stage whose inputs are there.

    Args:
        declaration: of the stage.
        stages: all of them.
        values: all parameters, nested.
        ground: that was taken first.
        now: what it is made from.
        code: as `run_stage` has it.
        earlier: the files of its last run, of which it may take rows.
        kept: what it makes, as another project of the user may have made it.
    """
    address = declaration.address
    before = read_locked([address]).get(address) if is_run_by_dvc() else None
    drop_record(address)
    check_arrays(declaration.inputs)
    check_labels(declaration, flatten(values))
    for room in declaration.rooms:
        if code and digest(room, ground.files[room]) != code.get(room):
            raise _moved(declaration, f"{room}, which was changed")
    if "gpu" in declaration.traits:
        allow_gpu()
    with whole(*declaration.outputs) as parts:
        written = dict(zip(declaration.outputs, parts, strict=True))
        stage = make_stage(declaration, values, written)
        scratch = find_scratch(address, now) if "resumable" in declaration.traits else None
        clear_scratch(address, scratch)
        if taken := kept is not None and kept.take(written):
            print(f"{address.replace('@', ' ')}: as it was made before, from {kept.folder.parent}")
        else:
            module = importlib.import_module(find_module(declaration.command.split()[1]))
            module.main(replace(stage, scratch=scratch, previous=earlier))
        try:
            _check_ground(declaration, ground)
            if upgrade := find_upgrade(declaration.libraries):
                raise _moved(declaration, upgrade)
            if touched := _find_touched(ground):
                change = find_change(declaration, stages, flatten(values), now)
                if change is not None:
                    raise _moved(declaration, change)
                if any(now.dependencies.get(str(path), "") is None for path in touched):
                    raise _Touched(_moved(declaration, f"{touched[0]}, which was touched"))
        except _Touched:
            raise
        except UserError:
            clear_scratch(address)  # what is there may be of two settings
            raise
        outputs = {str(path): hash_file(part) for path, part in written.items()}
        sizes = [_identify(part) for part in parts]
        if kept is not None and not taken:
            kept.keep(written, outputs)
    clear_scratch(address)
    if sizes != [_identify(path) for path in declaration.outputs]:
        raise _moved(declaration, "an output that was changed at the same moment")
    signatures = {
        str(path): digest(path, found)
        for path, found in ground.files.items()
        if now.dependencies.get(str(path), "") is None  # not known by its bytes
    }
    signatures |= {path: digest(Path(path)) for path in outputs}
    state = RecordState.LEFT_TO_DVC if is_run_by_dvc() else RecordState.FINISHED
    store_record(address, Record(now._replace(outputs=outputs), signatures, state, before))
    if declaration.by_row:
        note_made(address, outputs)


def _identify(path: Path) -> tuple[int, int, int]:
    """What stays of a file that is renamed, and not of one that is written to."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _check_ground(declaration: Declaration, ground: Ground) -> None:
    """Refuses the outputs of a stage if anything that it was given has moved."""
    for path, before in ground.files.items():
        now = sign(path)
        if not is_touched(before, now) and (moved := find_moved_file(before, now)):
            raise _moved(declaration, moved)
    try:
        flat = flatten(read_yaml_file(PARAMETERS))
    except (NoYaml, OSError, AttributeError) as error:
        raise _moved(declaration, f"{PARAMETERS}, {error}") from None
    if moved := find_moved_value(ground.parameters, select_parameters(declaration, flat)):
        raise _moved(declaration, moved)


def _find_touched(ground: Ground) -> list[Path]:
    """The files and folders of which only times have moved."""
    return [path for path, before in ground.files.items() if before != sign(path)]


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
