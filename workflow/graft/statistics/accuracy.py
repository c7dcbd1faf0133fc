"""The interval of an accuracy that was measured on images, some of which belong together.

Images of one unit, such as copies or photos of one person, tend to be right or wrong together. So n
of them say less than n separate ones: as much as n divided by the design effect (Kish 1965, Survey
Sampling). All intervals are of 95 %. Where no two images belong together, it is the plain Wilson
interval.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from graft.judging.unit_counts import UnitCount, count_units

_Z = 1.959964  # of the normal distribution, for 95 %
# The points at which a correlation and an accuracy are weighed up: evenly spread for Jeffreys'
# prior, Beta(½, ½).
_GRID = np.sin((np.arange(32) + 0.5) / 32 * np.pi / 2) ** 2
# SciPy has these functions, but takes 0.2 s to import, a third of the time of `graft predict`.
_log_gamma = np.vectorize(math.lgamma, otypes=[float])
_PIECES = 2000  # of the interval over which a density is summed up: 12 digits are right


class AccuracyInterval(NamedTuple):
    """The interval of an accuracy, by unit.

    Attributes:
        low: its lower end, 0–1.
        high: its upper end.
        effective: how many separate images would say as much.
        quantile: how many standard errors wide it is to either side.
    """

    low: float
    high: float
    effective: float
    quantile: float


def accuracy_interval(right: np.ndarray, units: np.ndarray) -> AccuracyInterval:
    """The Wilson interval of an accuracy, of as many images as its units say as much as.

    Args:
        right: bool (n,), whether the model is right; n is 1 or more.
        units: int (n,), equal for images that must stay together.
    """
    return interval_of_counts(count_units(right, units))


def interval_of_counts(counts: Iterable[UnitCount]) -> AccuracyInterval:
    """The same by what `count_units` gives."""
    right, sizes, units = np.array([*counts]).T
    n, hits = int(sizes @ units), int(right @ units)
    effective = float(effective_sizes(sizes, right, units))
    quantile = unit_quantile(n, int(units.sum()))
    ends = wilson_interval(hits / n * effective, effective, quantile)
    return AccuracyInterval(*ends, effective, quantile)


def wilson_interval(right: float, n: float, quantile: float = _Z) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson 1927), within 0–1.

    Args:
        right: how many of the n, 0 to n; need not be whole.
        n: above 0; need not be whole.
        quantile: how many standard errors wide it is to either side.

    Raises:
        ValueError: n is not above 0.
    """
    if not n > 0:
        raise ValueError(f"n must be above 0. Received: {n}")
    share, square = right / n, quantile**2 / n
    centre = share + square / 2
    half = math.sqrt(square * (share * (1 - share) + square / 4))
    # Rounding must not exclude the share itself where it is 0 or 1.
    low, high = (centre - half) / (1 + square), (centre + half) / (1 + square)
    return min(max(low, 0.0), share), max(min(high, 1.0), share)


def unit_quantile(n: int, units: int) -> float:
    """How many standard errors wide an interval is to either side.

    Args:
        n: images.
        units: in how many units they are.

    Returns:
        The normal quantile where no two images belong together. Otherwise Student's, with one
        degree of freedom less than there are units (Korn and Graubard 1998, Survey Methodology
        24:193).
    """
    if units == n:
        return _Z
    return student_quantile(max(units - 1, 1))


def student_quantile(freedom: int) -> float:
    """The value that Student's t exceeds with a probability of 2.5 %.

    Args:
        freedom: its degrees of freedom, 1 or more.
    """
    # Where t = √freedom · tan(angle), the density of the angle is scale · cos(angle)^(freedom − 1).
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    scale = math.exp(log_scale) / math.sqrt(math.pi)
    angle, step = math.atan(_Z / math.sqrt(freedom)), 1.0
    # Newton's method, from below: the density falls, so no step leads too far.
    while step > 1e-13 * angle:
        heights = scale * np.cos(np.linspace(0, angle, _PIECES + 1)) ** (freedom - 1)
        # By Simpson's rule.
        ends, odd, even = heights[0] + heights[-1], heights[1::2].sum(), heights[2:-1:2].sum()
        below = angle / _PIECES / 3 * (ends + 4 * odd + 2 * even)
        step = (0.475 - below) / heights[-1]
        angle += step
    return math.sqrt(freedom) * math.tan(angle)


def effective_sizes(
    sizes: np.ndarray, right: np.ndarray, units: np.ndarray | None = None
) -> np.ndarray:
    """How many separate images would say as much about the accuracy.

    The number of right images in a unit is taken as beta-binomial. The correlation within units is
    its posterior mean. The prior of the accuracy is Beta(½, ½). The prior of the correlation is
    Beta(¼, ¼): values near 0 and near 1 are more likely than those between. The spread of the units
    alone gives a correlation of 0 where few images are wrong, and intervals that are too narrow: in
    the worst simulated case they held the accuracy less than half of the time.

    Args:
        sizes: int (k,), images of each unit, 1 or more.
        right: int (…, k), how many of them are right. More axes hold more samples.
        units: int (k,), how many such units there are; one of each without it.

    Returns:
        float64 (…), at most the number of images n: n divided by 1 + (Σ sizes² / n − 1) ·
        correlation. It is n where no unit has two images.
    """
    units = np.ones_like(sizes) if units is None else units
    n, shape = int(sizes @ units), right.shape[:-1]
    if n == units.sum():
        return np.full(shape, float(n))
    pairs = right.reshape(-1, len(sizes)) * np.int64(sizes.max() + 1) + sizes
    kinds, kind = np.unique(pairs, return_inverse=True)
    samples = np.arange(len(pairs))[:, None] * len(kinds) + kind.reshape(pairs.shape)
    weights = np.broadcast_to(units, pairs.shape).ravel()
    counts = np.bincount(samples.ravel(), weights, len(pairs) * len(kinds))
    good, all_ = np.divmod(kinds, sizes.max() + 1)
    a, b = (np.outer(share, (1 - _GRID) / _GRID).ravel() for share in (_GRID, 1 - _GRID))
    wrong = all_ - good
    likelihood = _log_beta(a + good[:, None], b + wrong[:, None]) - _log_beta(a, b)
    posterior = counts.reshape(len(pairs), -1) @ likelihood
    posterior = np.exp(posterior - posterior.max(1, keepdims=True))
    # On this grid equal weights are Beta(½, ½).
    weights = posterior.reshape(-1, len(_GRID), len(_GRID)).sum(1) * (_GRID * (1 - _GRID)) ** -0.25
    correlation = (weights @ _GRID / weights.sum(1)).reshape(shape)
    return n / (1 + (sizes.astype(float) ** 2 @ units / n - 1) * correlation)


def _log_beta(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The logarithm of the beta function, of values above 0."""
    return _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)
