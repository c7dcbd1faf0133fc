"""The ground of a stage: the parameters, code and data that it is given.

The launcher takes the ground before the stage reads anything, and compares it after the stage has
ended: what has not moved is what the stage used (`records`).

A file is known by its inode, size and two times. The time of its last change cannot be set by a
program, so a file that was changed and changed back has moved, too. Only the standard library is
imported here: the command line takes the ground of the code before it imports any other.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

# What no stage reads, and DVC does not look at either (.dvcignore): compiled code, DVC's lists of
# what git ignores, what a killed process left, and what systems leave in folders.
_UNREAD = {"__pycache__", ".gitignore", ".DS_Store", "Thumbs.db", "desktop.ini"}
_UNREAD_STARTS = (".part-", "._")
# How the files of code end. What editors leave beside them, and what is hidden, is none.
_CODE = "workflow"
CODE_ENDS = (".css", ".html", ".j2", ".js", ".json", ".mplstyle", ".py", ".txt", ".yaml")
# Two changes within one tick of the clock of a file system look like one. Linux ticks every 4 to
# 10 ms.
_TICK_NS = 20_000_000

Signature = tuple[int, int, int, int]


class Ground(NamedTuple):
    """What a stage is given.

    Attributes:
        parameters: plain values by dotted key.
        files: the signature of each file, by path; a folder stands for all files in it.
    """

    parameters: Mapping[str, Any]
    files: Mapping[Path, Mapping[str, Signature]]


def sign(path: Path) -> dict[str, Signature]:
    """The signatures of a file, or of all files in a folder, by path; none where none can be read.

    A signature is the inode, the size in bytes, and the times of the last writing and the last
    change in nanoseconds.
    """
    try:
        if not path.is_dir():
            return {str(path): _signature(path.stat())}
        top = str(path)
        every = not _holds_code(path)
        return {name: one for name, one in _walk(top) if every or _is_code(name[len(top) :])}
    except (OSError, ValueError):  # the code that reads the file reports the error
        return {}


def take_ground(parameters: Mapping[str, Any], paths: Iterable[Path]) -> Ground:
    """Takes the ground of a stage.

    Where a file was written just now, it waits until a later change would show.

    Args:
        parameters: that the stage is given, by dotted key.
        paths: the files and folders that the stage reads, code and data.
    """
    paths = list(paths)
    files = {path: sign(path) for path in paths}
    if not all(is_settled(found) for found in files.values()):
        time.sleep(_TICK_NS / 1e9)
        files = {path: sign(path) for path in paths}
    return Ground(parameters, files)


def is_settled(signatures: Mapping[str, Signature]) -> bool:
    """Whether a change from now on would show in the signatures: none is of this very moment."""
    newest = max((max(signature[2:]) for signature in signatures.values()), default=0)
    return not 0 <= time.time_ns() - newest < _TICK_NS


def find_moved_file(before: Mapping[str, Signature], now: Mapping[str, Signature]) -> str | None:
    """What became of the first file that moved, such as `a.png, which is gone`; None if none did.

    Args:
        before, now: signatures by path.
    """
    if before == now:
        return None
    for path in sorted({*before, *now}):
        if path not in now:
            return f"{path}, which is gone"
        if path not in before:
            return f"{path}, which is new"
        if before[path] != now[path]:
            return f"{path}, which was changed"
    return None


def is_touched(before: Mapping[str, Signature], now: Mapping[str, Signature]) -> bool:
    """Whether files differ by their times alone: they may hold the same bytes.

    So it is after `touch`, `chmod`, and a backup or a checkout elsewhere that makes hard links.

    Args:
        before, now: signatures by path.
    """
    return before.keys() == now.keys() and all(before[p][:2] == now[p][:2] for p in before)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings by dotted key, such as `head.learning_rate`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def find_moved_value(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first parameter that moved, with its value now and before; None if none did."""
    for key in sorted({*before, *now}):
        # As texts, since 1, 1.0 and true are equal values in Python.
        old, new = (json.dumps(values.get(key), default=str) for values in (before, now))
        if old != new:
            return f"params.yaml: {key} is {new} and was {old}"
    return None


def digest(path: Path, signatures: Mapping[str, Signature] | None = None) -> str:
    """A hash of the signatures of a file or folder, independent of where the project is.

    Args:
        path: the file or folder.
        signatures: of it, if they were taken before; otherwise they are taken now.
    """
    found = hashlib.sha256()
    start = len(str(path))
    for name, signature in sorted((sign(path) if signatures is None else signatures).items()):
        found.update(f"{name[start:]}\0{signature}\0".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _walk(folder: str) -> Iterator[tuple[str, Signature]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in [entry for entry in entries if _is_read(entry.name)]:
            if _is_folder(entry):
                yield from _walk(entry.path)
            else:
                with contextlib.suppress(OSError):  # it went since it was listed
                    yield entry.path, _look(entry)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _look(entry: os.DirEntry[str]) -> Signature:
    try:
        return _signature(entry.stat())
    except OSError:  # a link that leads nowhere
        return _signature(entry.stat(follow_symlinks=False))


def _signature(found: os.stat_result) -> Signature:
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_read(name: str) -> bool:
    return name not in _UNREAD and not name.startswith(_UNREAD_STARTS)


def _holds_code(path: Path) -> bool:
    """Whether a folder is one of the project's code."""
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).parts[:1] == (_CODE,)


def _is_code(inside: str) -> bool:
    # The project itself may lie in a hidden folder, as an experiment of DVC does.
    return inside.endswith(CODE_ENDS) and f"{os.sep}." not in inside
