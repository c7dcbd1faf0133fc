"""How far a stage is: a bar with a rate on a terminal, plain lines in a log."""

import sys
import time
from contextlib import AbstractContextManager

# Seconds between the lines of a log, and the part of the time so far that they are apart at least:
# the estimate is fresh for those who wait for it, and a stage of an hour writes a hundred lines.
_INTERVAL, _PART = 2.0, 0.05


class Progress(AbstractContextManager["Progress"]):
    """Counts units of work on standard error.

    Args:
        title: what is being done.
        total: how many units there are, if that is known.
        unit: what one is called, in the plural.
        before: how many were finished by an earlier process; they do not count for the rate.
    """

    def __init__(self, title: str, total: int | None, unit: str, before: int = 0) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._before = self._done = before
        self._note = ""
        self._start = self._said = time.monotonic()
        # When the first units were done, and how many: before that, much else is made ready.
        self._warm: tuple[float, int] | None = None
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm  # the lock of its bars starts a process

            self._bar = tqdm(total=total, initial=before, desc=title, unit=f" {unit}", leave=False)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is None:
            self._say()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Adds `count` finished units; `note` is shown behind the rate, such as the last loss."""
        self._done += count
        self._note = note or self._note
        now = time.monotonic()
        self._warm = self._warm or (now, self._done)
        if self._bar is not None:
            self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.update(count)
        elif now - self._said >= max(_INTERVAL, _PART * (now - self._start)):
            self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        rate = (self._done - self._before) / max(self._said - self._start, 1e-9)
        said = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
        done = str(self._done) if self._total is None else f"{self._done}/{self._total}"
        text = f"{self._title}: {done} {self._unit}, {said} {self._unit}/s"
        begun, first = self._warm or (self._said, self._done)
        if self._total is not None and first < self._done < self._total:
            pace = (self._said - begun) / (self._done - first)  # since the first units
            text += f", {say_duration(pace * (self._total - self._done))} left"
        if self._note:
            text += f", {self._note}"
        print(text, file=sys.stderr, flush=True)


def say_duration(seconds: float) -> str:
    """A time as people read it: `0.8 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    if minutes:
        return f"{minutes} min {rest:02} s"
    return f"{rest} s" if seconds >= 9.95 else f"{seconds:.1f} s"
