"""What a stage is given from earlier ones: made with the same settings, and undamaged.

DVC looks at each stage when its turn comes. Whoever edits params.yaml or the code between two
stages of one run would get results of both settings in one report, until the next run. So a stage
does not start while an earlier one is of other settings.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from graft.common.errors import UserError
from graft.integrity.damage import hash_file
from graft.integrity.earlier import CACHE, Earlier, is_made_here
from graft.integrity.ground import digest, find_moved_value, flatten, read_record, sign
from graft.integrity.libraries import VERSIONS, find_versions
from graft.project.parameters import select_parameters
from graft.project.pipeline import Declaration
from graft.project.yaml12 import NoYaml, read_yaml

LOCK = Path("dvc.lock")
# Where the entry of a stage begins in it.
_ENTRY = re.compile(r"^  (?=\w)", re.MULTILINE)
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
    ancestors = _find_ancestors(stage, stages)
    try:
        recorded = _read_entries({earlier.address for earlier in ancestors})
    except (NoYaml, OSError, UnicodeError, AttributeError):  # DVC says what is wrong with it
        return
    for earlier in ancestors:
        entry = recorded.get(earlier.address, {})
        if moved := next(_find_changes(earlier, entry, flat), None):
            raise UserError(
                f"{stage.address} needs {earlier.address} made with the same settings:"
                f" run the whole pipeline again. Received: {moved}"
            )
        _check_outputs(earlier.address, entry, stage.inputs)


def find_earlier(stage: Declaration, flat: Mapping[str, Any]) -> Earlier | None:
    """The files of a stage's last run, where rows of its outputs are what they would be now.

    Args:
        stage: about to run.
        flat: all parameters by dotted key.

    Returns:
        The outputs, and the inputs by row; None where anything else that the stage depends on has
        changed, where the outputs were made on another machine, or where DVC does not run it.
    """
    cache = os.environ.get(CACHE)
    if not (cache and stage.by_row):
        return None
    try:
        entry = _read_entries({stage.address})[stage.address]
        recorded = {Path(dependency["path"]): dependency["md5"] for dependency in entry["deps"]}
        outputs = {output["path"]: output["md5"] for output in entry["outs"]}
        same = (
            entry["cmd"] == stage.command
            and set(recorded) == set(stage.dependencies)
            and not any(_find_changes(stage, entry, flat))
            and all(
                recorded[path] == (hash_folder(path) if path.is_dir() else hash_file(path))
                for path in recorded
                if path not in stage.by_row and path not in stage.rooms
            )
            and is_made_here(stage.address, outputs)
        )
    except (NoYaml, OSError, UnicodeError, LookupError, TypeError, AttributeError):
        return None
    if not same:
        return None
    rows = {path: recorded[path] for path in stage.by_row}
    return Earlier(Path(cache), rows | {Path(path): name for path, name in outputs.items()})


def _read_entries(addresses: Collection[str]) -> dict[str, Any]:
    """What dvc.lock records of some stages; the text of others, of a thousand shards, is skipped.

    Raises:
        NoYaml: it is no YAML.
        OSError, UnicodeError: it cannot be read.
        AttributeError: it has another form.
    """
    text = LOCK.read_text(encoding="utf-8")
    start, *entries = _ENTRY.split(text)
    if not start.endswith("stages:\n"):  # not as DVC writes it
        return read_yaml(text.encode()).get("stages", {})
    own = [entry for entry in entries if entry.partition(":\n")[0] in addresses]
    return read_yaml("".join(f"  {entry}" for entry in own).encode()) or {}


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
    installed = find_versions()
    for room, before in entry.get("params", {}).get(str(VERSIONS), {}).items():
        if before != (now := installed.get(room)):
            yield f"libraries of {room} are {now} and were {before}"
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
    return hash_folder(room)


def hash_folder(folder: Path) -> str:
    """The hash of a folder as DVC computes it: of its list of files and their hashes."""
    entries = [
        {"md5": hash_file(Path(name)), "relpath": Path(name).relative_to(folder).as_posix()}
        for name in sign(folder)
    ]
    entries.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"
