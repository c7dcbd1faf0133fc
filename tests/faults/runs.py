"""Commands that run in the background, and all the processes that belong to them."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

MARK = "GRAFT_TEST_TRIAL"  # every process of a trial has it in its environment


class Run:
    """A command that runs in a session of its own, as one started in a terminal of its own.

    Args:
        command: with its arguments.
        folder: where it runs.
        environment: what it finds there.
        output: the file for what it prints.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path
    ) -> None:
        self.command = tuple(command)
        self._output = output
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def text(self) -> str:
        """What it has printed so far, output and errors together."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> int | None:
        """Waits for its end, and gives the status; None if that took too long."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def send(self, number: signal.Signals, group: bool) -> None:
        """Sends a signal, to its whole group as Ctrl-C does or to the first process only."""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            (os.killpg if group else os.kill)(self.pid, number)


def await_true(condition: Callable[[], object], seconds: float, pause: float = 0.005) -> bool:
    """Waits until something is true, and says whether it became so in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        if pause:
            time.sleep(pause)
    return True


def belonging(mark: str) -> list[psutil.Process]:
    """The processes of a trial that are still there."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get(MARK) == mark
            if mine and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended, even if nobody has taken note of it yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
