"""A damaged `dvc.lock`, or memory of DVC, is mended where nothing is lost by it."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from graft.common.atomic import write_text
from graft.common.errors import UserError
from graft.integrity.records import LOCK
from graft.integrity.yaml12 import NoYaml, read_yaml

_CONFLICT = "<<<<<<< "


def mend_lock(validate: Callable[[Any], Any], invalid: type[Exception]) -> None:
    """Replaces a `dvc.lock` that cannot be read by what git has of it, or removes it.

    Nothing is lost by it: DVC's run cache gives the results back.

    Args:
        validate: raises `invalid` where its values are none of a `dvc.lock`.
        invalid: an error.

    Raises:
        UserError: it holds a merge conflict, in which a person has to choose.
    """
    if not LOCK.exists():
        return
    data = LOCK.read_bytes()
    with contextlib.suppress(NoYaml, invalid):
        validate(read_yaml(data))
        return
    text = data.decode("utf-8", "replace")
    if any(line.startswith(_CONFLICT) for line in text.splitlines()):
        raise UserError(
            f"{LOCK} must be without conflicts of a merge: give `git checkout --ours {LOCK}`, then"
            f" run again. Received: {_CONFLICT.strip()}"
        )
    kept = _ask_git()
    if kept and kept != data:
        write_text(LOCK, kept.decode("utf-8"))
        say(f"{LOCK} was damaged and is as git has it again; a run renews what has changed")
    else:
        LOCK.unlink()
        say(f"{LOCK} was damaged and was removed; DVC's cache gives the results back")


def remove_damaged_memory(folder: Path) -> None:
    """Removes the databases of a folder that SQLite cannot read.

    DVC's hold hashes of files and nothing else, so it hashes them again.
    """
    for path in folder.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(path)) as database:
            try:
                sound = database.execute("PRAGMA quick_check").fetchone() == ("ok",)
            except sqlite3.DatabaseError as error:
                # One that another process or user has is none of ours.
                sound = isinstance(error, sqlite3.OperationalError)
        if not sound:
            for beside in path.parent.glob(f"{path.name}*"):  # its log is as damaged
                beside.unlink(missing_ok=True)


def read_entries_of_git() -> dict[str, Any]:
    """What git has of dvc.lock, by stage; nothing where it has none that can be read."""
    try:
        return dict(read_yaml(_ask_git())["stages"])
    except (NoYaml, LookupError, TypeError):
        return {}


def _ask_git() -> bytes:
    return subprocess.run(["git", "show", f":./{LOCK}"], capture_output=True, check=False).stdout


def name_some(names: Sequence[str], most: int = 8) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def say(message: str) -> None:
    """One line for the person who waits."""
    print(f"graft: {message}", file=sys.stderr, flush=True)
