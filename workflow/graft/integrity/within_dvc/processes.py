"""DVC's list of processes that read or write files, for processes of several machines.

DVC notes the number of each process (`.dvc/tmp/rwlock`) and takes a process for ended where this
machine has none of that number. On a cluster that is wrong both ways: one that is at work on
another node is struck off, and fails when it strikes itself off; one that ended with its node
blocks others for ever where its number is that of another process here. So each process also holds
a lock of the kernel, on a file of its own, which other machines see on a shared file system with
locks. The processes whose lock is free are struck off whenever the list is read.
"""

import contextlib
import fcntl
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

_FOLDER = "processes"  # within DVC's `.dvc/tmp`
_NAMED = re.compile(r"(?P<name>\S+-(?P<number>\d+)): ")  # how the command of a noted process begins
_held: dict[Path, IO[str]] = {}
_at_work: set[int] = set()  # the numbers of those that were at work when the list was last read


def name_processes() -> None:
    """Puts names and locks of processes around DVC's functions, in this process."""
    from dvc import rwlock

    number_exists, enter = rwlock.psutil.pid_exists, rwlock.rwlock

    @contextlib.contextmanager
    def noted(tmp_dir: str, fs: Any, cmd: str, *positions: Any, **named: Any) -> Iterator[None]:
        with (
            _hold(Path(tmp_dir) / _FOLDER) as name,
            enter(tmp_dir, fs, f"{name}: {cmd}" if name else cmd, *positions, **named),
        ):
            yield

    rwlock.rwlock = noted
    rwlock.psutil = SimpleNamespace(pid_exists=lambda n: n in _at_work or number_exists(n))
    for way in ("read", "write"):
        _release_what_is_there(rwlock, way)


def strike_off_the_ended(lock: Any, folder: Path) -> None:
    """Removes the processes that have ended from DVC's list.

    Args:
        lock: the list: `write` has a process, and `read` a list of them, for each path.
        folder: DVC's `.dvc/tmp`.
    """
    _at_work.clear()
    known: dict[str, bool] = {}

    def stays(process: dict[str, Any]) -> bool:
        found = _NAMED.match(process["cmd"])
        if found is None or int(found["number"]) != process["pid"]:
            return True  # of a DVC without graft: DVC decides
        name = found["name"]
        if name not in known:
            known[name] = _is_held(folder / _FOLDER / name)
        if known[name]:
            _at_work.add(process["pid"])
        return known[name]

    for path, process in list(lock["write"].items()):
        if process and not stays(process):
            del lock["write"][path]
    for path, processes in list(lock["read"].items()):
        lock["read"][path] = [process for process in processes if stays(process)]
        if not lock["read"][path]:
            del lock["read"][path]


def _release_what_is_there(rwlock: Any, way: str) -> None:
    # Where a file system shows no locks of other machines, another one may have struck it off.
    release: Callable[..., None] = getattr(rwlock, f"_release_{way}")

    def checked(lock: Any, info: dict[str, Any], changes: list[str]) -> None:
        noted = lock.get(way, {})
        here = {path: noted[path] for path in changes if path in noted}
        release(lock, info, [path for path, found in here.items() if info in (found, *found)])

    setattr(rwlock, f"_release_{way}", checked)


@contextlib.contextmanager
def _hold(folder: Path) -> Iterator[str | None]:
    """Holds the lock of this process; gives its name, or None where there are no locks."""
    name = f"{socket.gethostname()}-{os.getpid()}"
    path = folder / name
    if path in _held:  # within another such block
        yield name
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("w", encoding="utf-8")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield None
        return
    _held[path] = file
    try:
        yield name
    finally:
        path.unlink(missing_ok=True)
        _held.pop(path).close()


def _is_held(path: Path) -> bool:
    if path in _held:
        return True
    try:
        with path.open("r", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    path.unlink(missing_ok=True)
    return False
