"""Times of two things in turn, and how they compare."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        what: is measured.
        against: what it is compared with.
        ratio: the median of the other's times over the median of graft's, or what `what` says.
        wanted: how large the ratio is to be at least, or at most if `at_most`.
        times: graft's and the other's, as text, with their spread.
        at_most: whether a small ratio is good.
        note: what else to know, such as accuracies.
    """

    what: str
    against: str
    ratio: float
    wanted: float
    times: str
    at_most: bool = False
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the ratio is as wanted."""
        return self.ratio <= self.wanted if self.at_most else self.ratio >= self.wanted


def alternate(
    first: Callable[[], object], second: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    """The seconds of both, in turn: what else the machine does then meets both.

    Args:
        first: does one thing.
        second: does the other.
        rounds: how often each is done.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for own, work in zip(times, (first, second), strict=True):
            start = time.perf_counter()
            work()
            own.append(time.perf_counter() - start)
    return times


def show_times(seconds: list[float]) -> str:
    """Such as `12.1 s (11.9–12.4)`: the median, and the shortest and longest of several."""
    middle = f"{statistics.median(seconds):.3g} s"
    return f"{middle} ({min(seconds):.3g}–{max(seconds):.3g})" if len(seconds) > 1 else middle


def find_ratio(above: list[float], below: list[float]) -> float:
    """The median of some times over that of others."""
    return statistics.median(above) / statistics.median(below)
