"""What a person sees while stages run: a line for each that has ended, and a bar for the rest.

What the stages say in full is in their logs.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from graft.common.progress import say_duration
from graft.project.pipeline import find_stages_with
from graft.scheduling.logs import find_reason, find_remarks, find_summary, read_log, read_progress

_WIDTH = 18  # of the names of stages
_REFRESH = 0.5  # seconds
_PATIENCE = 60.0  # seconds between the lines on how far a stage is, where there is no terminal


class _Running(NamedTuple):
    address: str
    log: Path
    begun: float


class Screen:
    """Lines and a bar on standard error.

    Args:
        shown: whether it shows anything but why stages failed.

    Attributes:
        total: how many stages there are to run; None while that is not known.
        ended: the addresses of the stages that have ended well.
        has_failures: whether a stage has failed for a reason that `close` says.
    """

    def __init__(self, shown: bool = True) -> None:
        self.total: int | None = None
        self.ended: list[str] = []
        self._shown = shown
        self._failed: dict[str, Path] = {}
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._bar: tqdm | None = None
        self._said = time.monotonic()

    @property
    def has_failures(self) -> bool:
        return bool(self._failed)

    def begin(self, address: str, log: Path) -> None:
        """A stage starts; its log grows at this path."""
        with self._lock:
            self._running[address] = _Running(address, log, time.monotonic())
            self._failed.pop(address, None)  # it is tried again
            if self._bar is None and self._shown:
                # Where no terminal is, `disable=None` makes a bar that shows nothing.
                self._bar = tqdm(
                    file=sys.stderr,
                    leave=False,
                    dynamic_ncols=True,
                    disable=None,
                    bar_format="{bar:20} {desc}",
                )
                threading.Thread(target=self._refresh, daemon=True).start()

    def end(self, address: str) -> None:
        """A stage has ended well; its log says how."""
        running = self._running[address]
        log = read_log(running.log)
        seconds = say_duration(time.monotonic() - running.begun)
        line = f"{address:<{_WIDTH}} {seconds:>11}  {find_summary(log, address)}"
        with self._lock:
            del self._running[address]
            self.ended.append(address)
            if self._bar is not None:  # until the next look at what runs, all stages together
                self._bar.n, self._bar.total = len(self.ended), self.total or 1
                self._bar.set_description_str(refresh=False)
        self._write("\n".join([line.rstrip(), *find_remarks(log)]))

    def fail(self, address: str) -> None:
        """A stage has failed; `close` says why."""
        with self._lock:
            self._failed[address] = self._running.pop(address).log
        self._write(f"{address:<{_WIDTH}} {'failed':>11}")

    def close(self) -> None:
        """Removes the bar, and says why stages failed: each reason once, the first the last."""
        if self._over.is_set():
            return
        with self._lock:
            self._over.set()
            if self._bar is not None:
                self._bar.close()
        reasons = [find_reason(read_log(log), log) for log in reversed(self._failed.values())]
        for reason in dict.fromkeys(reasons):
            print(reason, file=sys.stderr, flush=True)

    def answer(self) -> None:
        """Says on standard output what came out, if the stage was made that comes last."""
        if self.ended and not set(find_stages_with("answer")).isdisjoint(self.ended):
            from graft.scheduling.answer import say_answer  # it imports pandas

            print(say_answer())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Others print meanwhile: no bar is in their way."""
        with self._lock, tqdm.external_write_mode(file=sys.stderr):
            yield

    def _write(self, text: str) -> None:
        if self._shown:
            with self.paused():
                self._said = time.monotonic()
                print(text, file=sys.stderr, flush=True)

    def _refresh(self) -> None:
        while not self._over.wait(_REFRESH):
            with self._lock:
                first = next(iter(self._running.values()), None)
                if first is None or self._over.is_set():
                    continue
                progress = read_progress(first.log)
                if not self._bar.disable:
                    self._draw(first, progress)
                elif progress and time.monotonic() - self._said >= _PATIENCE:
                    self._said = time.monotonic()
                    print(f"{first.address}: {progress[0]}", file=sys.stderr, flush=True)

    def _draw(self, first: _Running, progress: tuple[str, int, int | None] | None) -> None:
        ended = len(self.ended)
        seconds = say_duration(time.monotonic() - first.begun)
        said, done, total = progress or (seconds, 0, None)
        place = f"{ended + 1}/{self.total} " if self.total else ""
        # Of a stage that does not say how far it is, the bar shows how many stages have ended.
        self._bar.n, self._bar.total = (done, total) if total else (ended, self.total or 1)
        self._bar.set_description_str(f"{place}{first.address}: {said}")
