"""Ends that are nobody's bug, a signal or a full disk: short, and with nothing left behind."""

import contextlib
import errno
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from graft.common.errors import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
# Libraries in C hand the text on, but not always the number; the second is NumPy's.
_FULL_IN_WORDS = re.compile(r"No space left on device|^\d+ requested and \d+ written$")
_LEAST = 2**18  # bytes


def end_quietly_on_signals() -> None:
    """Lets Ctrl-C and SIGTERM end this process like an error does: what is half-written goes.

    The exit status is that of a shell: 130 or 143. Another signal meanwhile changes nothing.
    """

    def end(number: int, _: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            # Not SIG_IGN: of a signal that has arrived by now, Python would make an error.
            signal.signal(each, lambda *_: None)
        sys.exit(128 + number)

    # A signal that is ignored stays so: that is what `nohup` and `&` in a script mean.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


def hand_on_signal(number: int, others: Callable[[list[str]], bool]) -> None:
    """Lets a signal that only this process gets end others that it has started, too.

    They get SIGTERM, and this process ends when they have. Where there are none, or the signal is
    SIGINT, `KeyboardInterrupt` is raised. Nothing is logged from then on: what ends, and how, is
    what the user asked for.

    Args:
        number: the signal.
        others: whether a process below this one is meant, by its command.
    """

    def hand_on(received: int, _: FrameType | None) -> None:
        import psutil

        logging.disable()
        found = False
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                if others(process.cmdline()):
                    process.terminate()
                    found = True
        if not found or received == signal.SIGINT:
            raise KeyboardInterrupt

    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, hand_on)


def is_stage(command: list[str]) -> bool:
    """Whether the command of a process below an engine is that of a stage."""
    return "graft" in [Path(word).name for word in command]


def find_outer_cause(error: BaseException | None) -> UserError | None:
    """What to say of an error that comes from a full disk, or from rights; None for others."""
    return find_full_disk(error) or _find_closed(error)


def find_full_disk(error: BaseException | None) -> UserError | None:
    """What to say of an error that comes from a full disk; None for every other error."""
    while error is not None:
        full = isinstance(error, OSError) and error.errno in _FULL
        if full or _FULL_IN_WORDS.search(str(error)):
            return _say_full(getattr(error, "filename", None) or _find_fullest())
        error = error.__cause__ or error.__context__
    return None


def check_free_space() -> None:
    """Refuses a disk on which not even locks and logs have room.

    Raises:
        UserError: the disk of this folder is full.
    """
    if shutil.disk_usage(".").free < _LEAST:
        raise _say_full(Path.cwd())


def _find_fullest() -> Path:
    """The disk that is full where an error does not name its file: locks are in /dev/shm."""
    places = filter(Path.is_dir, (Path.cwd(), Path(tempfile.gettempdir()), Path("/dev/shm")))
    return min(places, key=lambda place: shutil.disk_usage(place).free)


def _find_closed(error: BaseException | None) -> UserError | None:
    """What to say of an error that comes from a file in the project that may not be written."""
    while error is not None:
        name = getattr(error, "filename", None)
        if isinstance(error, OSError) and error.errno in _CLOSED and isinstance(name, str):
            path = Path(name).absolute()
            if path.is_relative_to(here := Path.cwd()):
                user = os.geteuid()
                others = any(p.lstat().st_uid != user for p in (here, path) if p.exists())
                cure = f'`sudo chown -R {user} "{here}"`' if others else f'`chmod -R u+w "{here}"`'
                return UserError(
                    f"the project must be one that you (user {user}) may write: {cure}, then run"
                    f" again. Received: {path.relative_to(here)} ({error.strerror})"
                )
        error = error.__cause__ or error.__context__
    return None


def _say_full(place: Path | str) -> UserError:
    return UserError(
        f"no space is left on the disk of {place}. Nothing was recorded: make space, then run the"
        " same command again"
    )
