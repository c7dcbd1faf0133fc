"""What a stage is given from earlier ones: made with the same settings, and undamaged.

DVC looks at each stage when its turn comes. Whoever edits params.yaml or the code between two
stages of one run would get results of both settings in one report, until the next run. So a stage
does not start while an earlier one is of other settings.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from graft.common.errors import UserError
from graft.integrity.damage import hash_file
from graft.integrity.ground import digest, find_moved_value, flatten, read_record, sign
from graft.project.parameters import select_parameters
from graft.project.pipeline import Declaration
from graft.project.yaml12 import NoYaml, read_yaml_file

LOCK = Path("dvc.lock")
_NAMED = 3  # files that a sentence names


def check_made(stage: Declaration, stages: Sequence[Declaration]) -> None:
    """Checks that earlier stages have run.

    Args:
        stage: about to run.
        stages: all of them.

    Raises:
        UserError: a file is missing that another stage writes; it says which command makes it.
    """
    makers = {path: earlier.address for earlier in stages for path in earlier.outputs}
    missing = [path for path in stage.inputs if path in makers and not path.exists()]
    if missing:
        named = ", ".join(f"no {path} (of {makers[path]})" for path in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise UserError(
            f"what {stage.address} reads must be there: `uv run dvc repro {stage.address}` runs"
            f" the stages before it, then it. Received: {named}{more}"
        )


def check_upstream(
    stage: Declaration, stages: Sequence[Declaration], flat: Mapping[str, Any]
) -> None:
    """Checks all that earlier stages hand to a stage.

    What DVC has not recorded is not judged: a stage can be run by hand, in any order.

    Args:
        stage: about to run.
        stages: all of them, each after those whose outputs it reads.
        flat: all parameters by dotted key.

    Raises:
        UserError: an earlier stage ran with another value of a parameter or with other code, or one
            of the inputs is damaged. A damaged input is removed, for DVC to make it anew.
    """
    try:
        recorded = read_yaml_file(LOCK).get("stages", {})
    except (NoYaml, OSError, AttributeError):  # DVC says what is wrong with it
        return
    for earlier in _find_ancestors(stage, stages):
        entry = recorded.get(earlier.address, {})
        if moved := next(_find_changes(earlier, entry, flat), None):
            raise UserError(
                f"{stage.address} needs {earlier.address} made with the same settings:"
                f" run the whole pipeline again. Received: {moved}"
            )
        _check_outputs(earlier.address, entry, stage.inputs)


def _find_ancestors(stage: Declaration, stages: Sequence[Declaration]) -> list[Declaration]:
    wanted, found = set(stage.inputs), []
    for earlier in reversed(stages):
        if not wanted.isdisjoint(earlier.outputs):
            wanted |= set(earlier.inputs)
            found.append(earlier)
    return found[::-1]


def _find_changes(
    stage: Declaration, entry: Mapping[str, Any], flat: Mapping[str, Any]
) -> Iterator[str]:
    """What is not as it was when DVC recorded a stage."""
    params = flatten(entry.get("params", {}).get("params.yaml", {}))
    if params and (moved := find_moved_value(params, select_parameters(stage, flat))):
        yield moved
    for dependency in entry.get("deps", ()):
        room = Path(dependency["path"])
        if room in stage.rooms and dependency.get("md5") != _hash_room(room):
            yield f"{room}, which was changed"


def _check_outputs(address: str, entry: Mapping[str, Any], inputs: Sequence[Path]) -> None:
    record = read_record(address) or {"written": {}}
    for output in entry.get("outs", ()):
        path = Path(output["path"])
        # Read only if it may have been written since DVC was done with it.
        if path not in inputs or record["written"].get(str(path)) == digest(path):
            continue
        if sign(path) and hash_file(path) != output.get("md5"):
            path.unlink()
            raise UserError(
                f"{path} must be what {address} wrote; it was removed, run again."
                " Received: a damaged file"
            )


@cache
def _hash_room(room: Path) -> str:
    """The hash of a folder of code as DVC computes it: of its list of files and their hashes."""
    entries = [
        {"md5": hash_file(Path(name)), "relpath": Path(name).relative_to(room).as_posix()}
        for name in sign(room)
    ]
    entries.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"
