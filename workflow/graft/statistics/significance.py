"""How much two results differ by chance: through the images, and through the seeds.

A difference is the new one less the old one. Intervals are of 95 %. Where a p-value goes with an
interval, it is below 0.05 exactly where 0 is outside of the interval.
"""

import math
from collections.abc import Callable, Sequence
from statistics import mean, stdev
from warnings import catch_warnings

import numpy as np

_Z = 1.959964
LEVEL = 0.05  # a difference exceeds chance if chance makes one as large in fewer cases than this
_EXACT = 12  # units whose signs are all tried
_FLIPS = 9999  # otherwise, or fewer where there are many units
_MOST_SIGNS = 2 * 10**7
_SEED = 1


def mcnemar_test(lost: int, won: int) -> float:
    """The mid-p McNemar test of two models on the same images (McNemar 1947).

    Images that both classify right, or both wrong, say nothing of the difference. Each of the
    others is as likely to be lost as to be won if the models are equally good. The exact test finds
    too few differences; mid-p counts the observed case by half (Fagerland, Lydersen and Laake 2013,
    doi:10.1186/1471-2288-13-91).

    Args:
        lost: images that only the old model classifies right.
        won: images that only the new one classifies right.

    Returns:
        The two-sided p-value, above 0 and at most 1.
    """
    from scipy.stats import binom  # which takes half a second to import

    few, both = min(lost, won), lost + won
    value = 2 * binom.cdf(few, both, 0.5) - binom.pmf(few, both, 0.5)
    return float(min(value, 1.0))


def compare_right(
    before: np.ndarray, after: np.ndarray, units: np.ndarray
) -> tuple[int, int, float, float, float]:
    """Compares the accuracy of two models on the same images, by unit.

    It is `mcnemar_test` where no two images belong together, and `flip_test` otherwise.

    Args:
        before: bool (n,), whether the old model is right.
        after: whether the new one is.
        units: int (n,), equal for images that must stay together.

    Returns:
        Images that only the old, and that only the new model classifies right; the two-sided
        p-value, and the ends of the interval of the difference.
    """
    _, unit, sizes = np.unique(units, return_inverse=True, return_counts=True)
    changes = after.astype(int) - before
    lost, won = int((changes < 0).sum()), int((changes > 0).sum())
    # Where nothing changes, units are as good as images, but there are fewer.
    if len(sizes) == len(unit) or not changes.any():
        return lost, won, mcnemar_test(lost, won), *paired_interval(lost, won, len(sizes))
    return lost, won, *flip_test(np.bincount(unit, changes), sizes, 1.0)


def paired_interval(lost: int, won: int, n: int) -> tuple[float, float]:
    """The interval of the difference of two accuracies on the same images.

    It is the score interval of Tango (1998, Statistics in Medicine 17:891). Where it excludes 0
    and `mcnemar_test` does not, which happens by a hair, its end is 0.

    Args:
        lost: images that only the old model classifies right.
        won: images that only the new one classifies right.
        n: images in all, 1 or more.
    """
    low, high = -_tango_end(won, lost, n), _tango_end(lost, won, n)
    if mcnemar_test(lost, won) >= LEVEL:
        return min(low, 0.0), max(high, 0.0)
    return low, high


def _tango_end(lost: int, won: int, n: int) -> float:
    """The upper end: the largest difference at which the score is not too low."""

    def holds(difference: float) -> bool:
        a, c = 2 * n, -lost * difference * (1 - difference)
        b = -won - lost + (2 * n - won + lost) * difference
        share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = n * (2 * share + difference * (1 - difference))
        return n * difference - (won - lost) <= _Z * math.sqrt(max(variance, 0.0))

    return _last(holds, (won - lost) / n, 1.0)


def _last(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """The number farthest from `inside`, up to `outside`, for which it holds, by bisection."""
    if holds(outside):
        return outside
    while abs(outside - inside) > 1e-10:
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside


def flip_test(
    differences: np.ndarray, sizes: np.ndarray, limit: float
) -> tuple[float, float, float]:
    """The sign test by permutation of two models on the same units, and its interval.

    If the models are equally good, the sum of a unit's differences is as likely to have the other
    sign (Fisher 1935, The Design of Experiments, section 21). The interval has the differences
    that, taken off each image, the test does not reject. Up to 12 units all signs are tried, so the
    test is exact. Otherwise they are drawn, up to 9,999 times, always the same ones.

    Args:
        differences: float (units,), the sums over each unit's images, new less old.
        sizes: int (units,), the images of each.
        limit: no mean difference is larger, in either direction.

    Returns:
        The two-sided p-value, and the ends of the interval of the mean difference of an image.
    """
    units, n = len(sizes), int(sizes.sum())
    both = np.stack([differences, sizes], 1)
    if units <= _EXACT:
        # Turned round as a whole they are as extreme, so the last sign stays.
        turned = [np.arange(1, 2 ** (units - 1))[:, None] >> np.arange(units) & 1]
    else:
        generator = np.random.default_rng(_SEED)
        flips = max(min(_FLIPS, _MOST_SIGNS // units), 499)
        blocks = ((min(100, flips - start), units) for start in range(0, flips, 100))
        turned = (generator.integers(0, 2, block, dtype=np.int8) for block in blocks)
    by_sign = [both.astype(float).sum(0), *((1 - 2.0 * bits) @ both for bits in turned)]
    sums, counts = np.vstack(by_sign).T
    # Equal sums may differ in their last bits.
    least = 1e-9 * max(np.abs(differences).sum(), 1.0)

    def p(shift: float) -> float:
        observed = abs(sums[0] - shift * n)
        return float((np.abs(sums - shift * counts) >= observed - least).mean())

    value, centre = p(0.0), float(sums[0] / n)
    low, high = (_last(lambda at: p(at) >= LEVEL, centre, end) for end in (-limit, limit))
    # The ends are rounded; the test itself decides about 0.
    return (value, min(low, 0.0), max(high, 0.0)) if value >= LEVEL else (value, low, high)


def independent_interval(
    old: float, new: float, old_ends: tuple[float, float], new_ends: tuple[float, float]
) -> tuple[float, float]:
    """The interval of the difference of two accuracies on different images.

    It is made of the intervals of both (Newcombe 1998, Statistics in Medicine 17:873, method 10).

    Args:
        old, new: the accuracies.
        old_ends, new_ends: their intervals.
    """
    below = math.hypot(new - new_ends[0], old_ends[1] - old)
    above = math.hypot(new_ends[1] - new, old - old_ends[0])
    return new - old - below, new - old + above


def welch_interval(old: Sequence[float], new: Sequence[float]) -> tuple[float, float]:
    """The interval of the difference of two means, by Welch's t (1947, Biometrika 34:28).

    The spreads may differ; the degrees of freedom are those of Welch and Satterthwaite.

    Args:
        old: the results of two or more seeds.
        new: the same.

    Returns:
        The difference itself, twice, where neither side has any spread.
    """
    if not stdev(old) and not stdev(new):
        difference = mean(new) - mean(old)
        return difference, difference
    from scipy.stats import ttest_ind

    with catch_warnings(action="ignore"):  # SciPy wonders about a side without any spread
        low, high = ttest_ind(new, old, equal_var=False).confidence_interval()
    return float(low), float(high)
