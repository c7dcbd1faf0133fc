"""How much two results differ by chance: through the test images, and through the seeds.

All accuracies and differences are fractions, 0–1; a difference is the new one less the old one.
Intervals are of 95 %.
"""

import math
from collections.abc import Sequence
from statistics import mean, stdev
from warnings import catch_warnings

from scipy.stats import binomtest, ttest_ind

from graft.judging.measures import wilson_interval

_Z = 1.959964
LEVEL = 0.05  # a difference exceeds chance if chance makes one as large in fewer cases than this


def mcnemar_test(lost: int, won: int) -> float:
    """The exact McNemar test of two models on the same images (McNemar 1947, Psychometrika 12:153).

    Images that both classify right, or both wrong, say nothing of the difference. Each of the
    others is as likely to be lost as to be won if the models are equally good. Dietterich (1998,
    Neural Computation 10:1895) recommends this test where each model was trained once.

    Args:
        lost: images that only the old model classifies right.
        won: images that only the new one classifies right.

    Returns:
        The two-sided p-value, above 0 and at most 1.
    """
    return float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0


def paired_interval(lost: int, won: int, n: int) -> tuple[float, float]:
    """The interval of the difference of two accuracies on the same images.

    It is the adjusted Wald interval of Bonett and Price (2012, Journal of Educational and
    Behavioral Statistics 37:479), with one more image lost and one more won, so that it has a
    width even where the models agree on every image.

    Args:
        lost: images that only the old model classifies right.
        won: images that only the new one classifies right.
        n: images in all, 1 or more.
    """
    lost_share, won_share = (lost + 1) / (n + 2), (won + 1) / (n + 2)
    centre = won_share - lost_share
    half = _Z * math.sqrt((won_share + lost_share - centre**2) / (n + 2))
    return max(-1.0, centre - half), min(1.0, centre + half)


def independent_interval(right: tuple[int, int], n: tuple[int, int]) -> tuple[float, float]:
    """The interval of the difference of two accuracies on different images.

    It is made of both Wilson intervals (Newcombe 1998, Statistics in Medicine 17:873, method 10).

    Args:
        right: how many images the old and the new model classify right.
        n: of how many each, 1 or more.
    """
    old, new = right[0] / n[0], right[1] / n[1]
    (old_low, old_high), (new_low, new_high) = map(wilson_interval, right, n)
    below = math.hypot(new - new_low, old_high - old)
    above = math.hypot(new_high - new, old - old_low)
    return new - old - below, new - old + above


def welch_interval(old: Sequence[float], new: Sequence[float]) -> tuple[float, float]:
    """The interval of the difference of two means, by Welch's t (1947, Biometrika 34:28).

    The spreads may differ; the degrees of freedom are those of Welch and Satterthwaite.

    Args:
        old: the accuracies of two or more seeds.
        new: the same.

    Returns:
        The difference itself, twice, where neither side has any spread.
    """
    if not stdev(old) and not stdev(new):
        difference = mean(new) - mean(old)
        return difference, difference
    with catch_warnings(action="ignore"):  # SciPy wonders about a side without any spread
        low, high = ttest_ind(new, old, equal_var=False).confidence_interval()
    return float(low), float(high)
