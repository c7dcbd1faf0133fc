"""Commands that run in the background."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil


class Run:
    """A command that runs in a session of its own, as one started in a terminal of its own.

    Args:
        command: with its arguments.
        folder: where it runs.
        environment: what it finds there.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.command = tuple(command)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        where = {"cwd": folder, "env": dict(environment), "start_new_session": True}
        files = {"stdin": subprocess.DEVNULL, "stdout": self._output, "stderr": subprocess.STDOUT}
        self._process = subprocess.Popen(self.command, **where, **files)
        self.pid = self._process.pid

    @property
    def text(self) -> str:
        """What it has printed so far, output and errors together."""
        file = self._output.fileno()  # whose place is also that of the command, which writes there
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float | None = None) -> int | None:
        """Waits for its end, and gives the status; None if that took too long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.status

    def wait_until(
        self, is_so: Callable[[], object], seconds: float = 240.0, pause: float = 0.005
    ) -> bool:
        """Waits until something is so or the run has ended, and says whether it is so."""
        await_true(lambda: is_so() or self.status is not None, seconds, pause)
        return bool(is_so())

    def end(self) -> str:
        """Waits until it has ended well, and gives what it printed."""
        assert self.wait() == 0, self.text
        return self.text

    def send(self, number: int, group: bool = True) -> None:
        """Sends a signal, to its whole group as Ctrl-C does or to the first process only."""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            (os.killpg if group else os.kill)(self.pid, number)

    def kill(self) -> None:
        """Kills the first process, and waits for its end."""
        self.send(signal.SIGKILL, group=False)
        self.wait()


def await_true(condition: Callable[[], object], seconds: float, pause: float = 0.005) -> bool:
    """Waits until something is true, and says whether it became so in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        if pause:
            time.sleep(pause)
    return True


def has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended, even if nobody has taken note of it yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
