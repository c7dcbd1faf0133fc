"""Charts of lines and points for the page: places in a box, which a template draws as SVG."""

import math
from collections.abc import Sequence

import numpy as np

_MOST_POINTS = 250  # of a line


class Chart:
    """A chart with two axes, and the marks in it, as SVG has their places.

    Args:
        x_title, y_title: what the axes are.
        x_ends, y_ends: their ends.
        as_percent: which axes are shares, `x`, `y` or both.
        whole: whether the ticks of the first axis are whole numbers.

    Attributes:
        lines: each its style, by which the style sheet draws it, and `x,y x,y …`.
        bars: each its style, x, and y of the upper and the lower end.
        dots: each its style, x and y.
        x_ticks, y_ticks: each its place and its text.
    """

    width, height = 340, 230  # of the box that holds the lines, in units of the drawing

    def __init__(
        self,
        x_title: str,
        y_title: str,
        x_ends: tuple[float, float] = (0.0, 1.0),
        y_ends: tuple[float, float] = (0.0, 1.0),
        as_percent: str = "xy",
        whole: bool = False,
    ) -> None:
        self.x_title, self.y_title = x_title, y_title
        self._x_ends, self._y_ends = x_ends, y_ends
        self.lines: list[tuple[str, str]] = []
        self.bars: list[tuple[str, str, str, str]] = []
        self.dots: list[tuple[str, str, str]] = []
        x_values, y_values = ticks(x_ends, whole), ticks(y_ends)
        x_texts = _write(x_values, "x" in as_percent)
        y_texts = _write(y_values, "y" in as_percent)
        self.x_ticks = [*zip(map(self._x, x_values), x_texts, strict=True)]
        self.y_ticks = [*zip(map(self._y, y_values), y_texts, strict=True)]

    def line(self, x: Sequence[float], y: Sequence[float], style: str) -> None:
        """Adds a line; places that are not finite leave a gap."""
        points = [f"{self._x(a)},{self._y(b)}" for a, b in zip(x, y, strict=True)]
        # NumPy finds no runs in nothing.
        for run in np.ma.clump_unmasked(np.ma.masked_invalid(y)) if points else ():
            self.lines.append((style, " ".join(points[run])))

    def bar(self, x: float, low: float, high: float, style: str) -> None:
        """Adds a bar upright at `x`, from `low` to `high`."""
        self.bars.append((style, self._x(x), self._y(high), self._y(low)))

    def dot(self, x: float, y: float, style: str) -> None:
        """Adds a dot."""
        self.dots.append((style, self._x(x), self._y(y)))

    def _x(self, value: float) -> str:
        return _decimal(self.width * _place(value, self._x_ends))

    def _y(self, value: float) -> str:
        return _decimal(self.height * (1 - _place(value, self._y_ends)))


def thin(x: Sequence[float], y: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """A line with no more points than a picture can show, its first and last among them."""
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).round().astype(int))
    return np.asarray(x, float)[keep], np.asarray(y, float)[keep]


def ticks(ends: tuple[float, float], whole: bool = False) -> list[float]:
    """About five round numbers from the first to the last end."""
    low, high = ends
    span = high - low
    if not span > 0:
        return [low]
    raw = span / 4.5
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    if whole:
        step = max(1, round(step))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def padded_ends(
    values: Sequence[float], least: float = -math.inf, most: float = math.inf
) -> tuple[float, float]:
    """The ends of an axis for values: theirs and a little more, within bounds."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    # Constant curves need a range, too, and noise of a thousandth must not fill the picture.
    room = max(0.06 * (high - low), 0.02 * abs(high)) or 0.5
    return max(least, low - room), max(min(most, high + room), high)


def _place(value: float, ends: tuple[float, float]) -> float:
    low, high = ends
    return (value - low) / (high - low) if high > low else 0.5


def _write(values: Sequence[float], as_percent: bool) -> list[str]:
    """Ticks as text, with as many decimals as tell their step: steps of 2.5 are not 0, 2, 5."""
    scaled = [value * (100 if as_percent else 1) for value in values]
    digits = next((d for d in range(6) if all(abs(v - round(v, d)) < 1e-9 for v in scaled)), 6)
    return [
        _decimal(value, digits) + ("\N{NO-BREAK SPACE}%" if as_percent else "") for value in scaled
    ]


def _decimal(value: float, digits: int = 1) -> str:
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text
