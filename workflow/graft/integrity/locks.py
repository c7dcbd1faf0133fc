"""Locks that end with the process that holds them, and processes that end with another one.

The kernel sees to both, however a process ends.
"""

import contextlib
import fcntl
import os
import select
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

# A stage holds the file of its address there while it is built.
BUILDING = Path(".graft/building")
_RUNNING = Path(".graft/running")
_LEFT = Path(".snakemake/locks")  # Snakemake's own locks: files that a killed run leaves
STAGE = "DVC_STAGE"  # DVC names it to the command of a stage
_held: list[IO[str]] = []


def join_the_running() -> bool:
    """Says to others that a Snakemake is at work here, until this process ends.

    Where it finds locks of Snakemake but no process that is at work, they are of a killed one, and
    it removes them. Where they may be of another machine, which need not see the locks of the
    kernel, it only says how to.

    Returns:
        whether no other Snakemake is at work here.
    """
    _RUNNING.parent.mkdir(parents=True, exist_ok=True)
    file = _open(_RUNNING)
    _held.append(file)  # closed with the process; children do not inherit it
    alone = True
    # Without locks in the file system, Snakemake's own have to do. A file of another user is only
    # read.
    with contextlib.suppress(OSError):
        alone = _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if alone:
            _forget_the_killed(file)
        _lock(file, fcntl.LOCK_SH)
        print(socket.gethostname(), os.getpid(), file=file, flush=True)
    return alone


@contextlib.contextmanager
def one_at_a_time(path: Path, waiting: str) -> Iterator[None]:
    """Runs the block once no other process is in a block with the same path.

    Args:
        path: a file for the lock.
        waiting: what to say where it takes time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _open(path) as file:
        with contextlib.suppress(OSError):  # a file system without locks
            if not _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
                print(waiting, file=sys.stderr, flush=True)
                _lock(file, fcntl.LOCK_EX)
        yield


def is_held(path: Path) -> bool:
    """Whether a process is in a block of `one_at_a_time` with this path."""
    try:
        with path.open("r", encoding="utf-8") as file:
            return not _lock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # never held, or a file system without locks
        return False


def is_at_work(folder: Path) -> bool:
    """Whether a Snakemake is at work in the folder of a project."""
    try:
        # Those at work share the lock.
        with (folder / _RUNNING).open("r", encoding="utf-8") as file:
            return not _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # there was none yet, or a file system without locks
        return False


def _open(path: Path) -> IO[str]:
    try:
        return path.open("a+", encoding="utf-8")
    except PermissionError:
        with contextlib.suppress(PermissionError):
            path.chmod(0o644)  # read-only, and ours
            return path.open("a+", encoding="utf-8")
        return path.open("r", encoding="utf-8")  # of another user


def _lock(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    return True


def _forget_the_killed(file: IO[str]) -> None:
    file.seek(0)
    left = list(_LEFT.glob("*.lock"))
    elsewhere = [run for line in file if (run := line.split())[:1] != [socket.gethostname()]]
    if left and elsewhere:
        host, process = (*elsewhere[-1], "unknown")[:2]
        print(
            f"snakemake: if no run is left on {host} (process {process}),"
            " give `snakemake --unlock` once",
            file=sys.stderr,
        )
        return
    for path in left:
        path.unlink(missing_ok=True)
    if left:
        print("snakemake: removed the lock of a run that was killed", file=sys.stderr)
    if file.writable():
        file.truncate(0)


def is_run_by_dvc() -> bool:
    """Whether DVC has started this process to run a stage, and waits for it."""
    return STAGE in os.environ


def find_dvc() -> int:
    """The number of the process of DVC, from within a command that it has started.

    DVC starts a shell, which some shells leave to the command and others (dash) wait in. So it is
    the nearest process above whose own environment does not name the stage. In a fork of a server
    it is the server, which ends with DVC.
    """
    number = os.getppid()
    with contextlib.suppress(OSError, IndexError):  # this is not Linux
        while f"\0{STAGE}=".encode() in b"\0" + Path(f"/proc/{number}/environ").read_bytes():
            # The name of the program, in brackets, may hold anything.
            stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
            number = int(stat.rpartition(")")[2].split()[1])
    return number


def end_with(process: int) -> None:
    """Ends this process, at once and with status 1, when another one has ended.

    Args:
        process: the number of the other.
    """
    try:
        # A number can be given to a new process; this descriptor stays with the old one.
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        os._exit(1)
    except (AttributeError, OSError):  # not on Linux
        return

    def wait() -> None:
        with contextlib.suppress(OSError):
            select.select([descriptor], [], [])
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
