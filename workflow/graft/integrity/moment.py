"""The moment between the end of a stage that DVC runs and DVC's own look at it.

DVC hashes what a stage depends on after its command has run (DVC's issue 11058). What changes in
that moment, tenths of a second, is recorded as if the stage had used it, and the run cache
would hand the result out for it. The stage itself leaves a record of what it used, so the next
start of any command of graft finds a false entry, and removes it from dvc.lock and the run cache.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graft.common.atomic import write_text
from graft.common.errors import UserError
from graft.integrity.earlier import find_cache
from graft.integrity.mending import say
from graft.integrity.records import (
    ENTRY,
    LOCK,
    LOCK_ERRORS,
    RecordState,
    confirm_record,
    drop_record,
    list_records,
    read_entries,
    read_record,
    take_made,
)
from graft.integrity.yaml12 import NoYaml, read_yaml


def check_moment(address: str) -> None:
    """Looks at what DVC has recorded since the last look, before it runs another stage.

    Args:
        address: of the stage that is about to run.

    Raises:
        UserError: an entry was false, and is removed: what follows from it must be made anew.
    """
    forgotten = forget_false_entries()
    if set(forgotten) - {address}:
        raise UserError(
            "what a stage is made from must stay as it is until DVC has recorded it: run again."
            f" Received: {next(iter(forgotten.values()))}"
        )


def forget_false_entries() -> dict[str, str]:
    """Removes from dvc.lock and the run cache what DVC has recorded, and what was not used.

    Returns:
        By address of the stages whose entries are gone, what had moved.
    """
    forgotten: dict[str, str] = {}
    for address in list_records(RecordState.LEFT_TO_DVC):
        record = read_record(address)
        try:
            entry = read_entries([address]).get(address)
            recorded = entry and take_made(entry)
        except LOCK_ERRORS:  # whoever needs it says what is wrong with it
            return forgotten
        if record is None or recorded in (None, record.before):
            continue  # DVC is still at work, or was killed before it came to record
        if (moved := next(record.find_moved(recorded), None)) is None:
            confirm_record(address, record)
            continue
        forget_entry(address, entry)
        drop_record(address)
        forgotten[address] = moved
        say(
            f"dvc.lock's record of {address} was removed, and the stage is made anew: what it was"
            f" made from moved before DVC looked at it ({moved})"
        )
    return forgotten


def forget_entry(address: str, entry: Mapping[str, Any]) -> None:
    """Removes from dvc.lock and the run cache what the former says of a stage, which is stale then.

    Args:
        address: of the stage.
        entry: what dvc.lock says.
    """
    start, *entries = ENTRY.split(LOCK.read_text(encoding="utf-8"))
    kept = [f"  {one}" for one in entries if one.partition(":\n")[0] != address]
    if kept:
        write_text(LOCK, start + "".join(kept))
    else:
        LOCK.unlink()
    names = [output["md5"] for output in entry["outs"]]
    for path in (find_cache().parents[1] / "runs").glob("*/*/*"):
        data = path.read_bytes()
        if all(name.encode() in data for name in names):
            with contextlib.suppress(NoYaml):
                if read_yaml(data) == entry:
                    remove_entry(path)


def remove_entry(path: Path) -> None:
    """Removes an entry of the run cache; DVC stumbles over a folder without any."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there are others
        path.parent.rmdir()
