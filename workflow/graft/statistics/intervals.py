"""Intervals of means, and how much single trainings differ. All are of 95 %."""

import math
from collections.abc import Sequence
from statistics import stdev

import numpy as np

from graft.judging.losses import standard_error
from graft.statistics.accuracy import student_quantile


def mean_interval(value: float, spread: float, quantile: float) -> tuple[float, float]:
    """The interval of a mean of numbers that are mostly small and seldom large, such as losses.

    It is the score interval for a variance that is proportional to the mean, as that of counts is.
    So it reaches further up than down, and never to 0.

    Args:
        value: the mean, 0 or more.
        spread: its variance divided by itself.
        quantile: how many standard errors wide it is to either side.
    """
    centre = value + quantile**2 * spread / 2
    half = math.sqrt(max(centre**2 - value**2, 0.0))
    return max(centre - half, 0.0), centre + half


def mean_ends(values: np.ndarray, units: np.ndarray) -> tuple[float, float]:
    """The interval of a mean over images, by unit: Student's t with the variance between units.

    Args:
        values: float (n,), of each image.
        units: int (n,), equal for images that belong together.

    Returns:
        Both ends; without limits where there is one unit only.
    """
    count, centre = len(np.unique(units)), float(values.mean())
    if count == 1:
        return -math.inf, math.inf
    half = student_quantile(count - 1) * standard_error(values, units, np.ones(len(values)))
    return centre - half, centre + half


def repeatability(values: Sequence[float]) -> float:
    """The largest difference of two trainings with other seeds, in 19 of 20 cases.

    This is the repeatability limit (ISO 5725-6): √2 standard deviations of one training, times
    the quantile of Student's t, since the standard deviation is itself known from few seeds.

    Args:
        values: the accuracies of two or more seeds.
    """
    return math.sqrt(2) * student_quantile(len(values) - 1) * stdev(values)
