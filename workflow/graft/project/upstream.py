"""What a stage is given from earlier ones: made with the same settings, and undamaged.

A stage runs when its turn comes. Whoever edits params.yaml or the code between two stages of one
run would get results of both settings in one report, until the next run. So a stage does not start
while an earlier one is of other settings.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from graft.common.errors import UserError
from graft.integrity.damage import hash_file, hash_folder, hash_list
from graft.integrity.earlier import Earlier, find_cache, is_made_here
from graft.integrity.ground import sign
from graft.integrity.libraries import find_versions
from graft.integrity.mending import name_some
from graft.integrity.records import LOCK_ERRORS, Made, find_known, hash_made, is_sound
from graft.project.parameters import select_parameters
from graft.project.pipeline import CODE, FROZEN, Declaration

_NAMED = 3  # files that a sentence names


def check_made(stage: Declaration, stages: Sequence[Declaration]) -> None:
    """Checks that earlier stages have run.

    Args:
        stage: about to run.
        stages: all of them.

    Raises:
        UserError: a file is missing that another stage writes; it says which command makes it.
    """
    makers = find_makers(stages)
    missing = [path for path in stage.inputs if path in makers and not path.exists()]
    if missing:
        named = name_some([f"{path} (of {makers[path]})" for path in missing], _NAMED)
        verb = "is" if len(missing) == 1 else "are"
        raise UserError(
            f"{named} {verb} missing; `uv run dvc repro {stage.address}` runs the stages before it,"
            f" then {stage.address}"
        )


def check_upstream(
    stage: Declaration, stages: Sequence[Declaration], flat: Mapping[str, Any]
) -> None:
    """Checks all that earlier stages hand to a stage.

    What is not recorded is not judged: a stage can be run by hand, in any order.

    Args:
        stage: about to run.
        stages: all of them, each after those whose outputs it reads.
        flat: all parameters by dotted key.

    Raises:
        UserError: an earlier stage ran with another value of a parameter, with other code or
            libraries, or one of the inputs is damaged. A damaged input is removed, to be made anew.
    """
    ancestors = _find_ancestors(stage, stages)
    known = _find_known([earlier.address for earlier in ancestors])
    for earlier in ancestors:
        if made := known.get(earlier.address):
            settings = describe_settings(earlier, flat)
            code = {path: name for path, name in made.dependencies.items() if _is_code(Path(path))}
            if moved := next(made._replace(dependencies=code).find_changes(settings), ""):
                frozen = FROZEN in earlier.traits
                cure = f"`dvc unfreeze {earlier.address}`, then run" if frozen else "run"
                raise UserError(
                    f"{stage.address} needs {earlier.address} made with the same settings:"
                    f" {cure} the whole pipeline again. Received: {moved}"
                )
            _check_outputs(earlier.address, made, stage.inputs)


def check_frozen(stages: Sequence[Declaration], flat: Mapping[str, Any]) -> None:
    """Checks that what no engine will run, since it is frozen, need not run.

    Args:
        stages: all of them.
        flat: all parameters by dotted key.

    Raises:
        UserError: a frozen stage was made with other settings, so those after it would refuse it.
    """
    for frozen in (stage for stage in stages if FROZEN in stage.traits):
        for stage in stages:
            if not set(frozen.outputs).isdisjoint(stage.inputs):
                check_upstream(stage, [frozen], flat)


def describe_settings(stage: Declaration, flat: Mapping[str, Any]) -> Made:
    """What a stage would be made from now, without data: parameters, libraries, code.

    Args:
        stage: any.
        flat: all parameters by dotted key.
    """
    installed = find_versions()
    return Made(
        stage.command,
        select_parameters(stage, flat),
        {room: installed.get(room, "") for room in stage.libraries},
        {str(path): _hash_code(path.absolute()) for path in stage.dependencies if _is_code(path)},
        {},
    )


def describe_stage(
    stage: Declaration, stages: Sequence[Declaration], flat: Mapping[str, Any]
) -> Made:
    """What a stage would be made from now, with the data that other stages have made.

    Args:
        stage: about to run.
        stages: all of them.
        flat: all parameters by dotted key.
    """
    settings, makers = describe_settings(stage, flat), find_makers(stages)
    folders = {path.parent for path in makers}
    data: dict[str, str | None] = {}
    for path in stage.dependencies:
        if path in makers:
            data[str(path)] = hash_made(path, makers[path])
        elif path in folders:  # as DVC hashes it: with whatever else is there
            data[str(path)] = hash_list(
                {
                    file.relative_to(path).as_posix(): (
                        hash_made(file, makers[file]) if file in makers else hash_file(file)
                    )
                    for file in map(Path, sign(path))
                }
            )
        elif not _is_code(path):
            data[str(path)] = None
    return settings._replace(dependencies={**settings.dependencies, **data})


def find_change(
    stage: Declaration, stages: Sequence[Declaration], flat: Mapping[str, Any], before: Made
) -> str | None:
    """What is another now of all that a stage is made from, by bytes; None if all is the same.

    Args:
        stage: that runs.
        stages: all of them.
        flat: all parameters by dotted key.
        before: what it was made from when it started.
    """
    _hash_code.cache_clear()
    return next(before.find_changes(describe_stage(stage, stages, flat)), None)


def is_unchanged(stage: Declaration, now: Made) -> bool:
    """Whether a stage has made its outputs from the very same, and they are still there.

    Args:
        stage: about to run.
        now: what it would be made from.
    """
    made = _find_known([stage.address]).get(stage.address)
    return (
        made is not None
        and not any(made.find_changes(now))
        and set(made.outputs) == set(map(str, stage.outputs))
        and all(
            Path(path).is_file() and hash_file(Path(path)) == made.dependencies[path]
            for path, name in now.dependencies.items()
            if name is None
        )
        and is_sound(made.outputs, stage.address)
    )


def find_earlier(stage: Declaration, now: Made) -> Earlier | None:
    """The files of a stage's last run, where rows of its outputs are what they would be now.

    Args:
        stage: about to run.
        now: what it would be made from.

    Returns:
        The outputs, and the inputs by row; None where anything else that the stage depends on has
        changed, or where the outputs were made on another machine.
    """
    rows = set(map(str, stage.by_row))
    made = _find_known([stage.address]).get(stage.address) if rows else None
    if made is None or not rows <= set(made.dependencies):
        return None
    same = {path: name for path, name in made.dependencies.items() if path not in rows}
    others = {path: name for path, name in now.dependencies.items() if path not in rows}
    if any(made._replace(dependencies=same).find_changes(now._replace(dependencies=others))):
        return None
    if not is_made_here(stage.address, made.outputs):
        return None
    hashes = {path: made.dependencies[path] for path in rows} | dict(made.outputs)
    return Earlier(find_cache(), {Path(path): name for path, name in hashes.items() if name})


def find_makers(stages: Sequence[Declaration]) -> dict[Path, str]:
    """The address of the stage that writes a file, by its path."""
    return {path: stage.address for stage in stages for path in stage.outputs}


def _find_known(addresses: Sequence[str]) -> dict[str, Made]:
    try:
        return find_known(addresses)
    except LOCK_ERRORS:  # the engine says what is wrong with dvc.lock
        return {}


def _find_ancestors(stage: Declaration, stages: Sequence[Declaration]) -> list[Declaration]:
    wanted, found = set(stage.inputs), []
    for earlier in reversed(stages):
        if not wanted.isdisjoint(earlier.outputs):
            wanted |= set(earlier.inputs)
            found.append(earlier)
    return found[::-1]


def _check_outputs(address: str, made: Made, inputs: Sequence[Path]) -> None:
    for path, name in made.outputs.items():
        # Read only if it may have been written since it was recorded.
        if name and Path(path) in inputs and hash_made(Path(path), address) != name:
            Path(path).unlink()
            raise UserError(
                f"{path} must be what {address} wrote; it was removed, run again."
                " Received: a damaged file"
            )


def _is_code(path: Path) -> bool:
    return path.is_relative_to(CODE)


@cache
def _hash_code(path: Path) -> str:
    if not path.exists():  # the package is not a part of this folder
        return ""
    return hash_folder(path) if path.is_dir() else hash_file(path)
