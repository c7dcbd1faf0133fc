"""What several seeds say: how much single trainings differ."""

import math
from collections.abc import Sequence
from statistics import stdev

from scipy.special import stdtrit  # scipy.stats takes half a second to import


def repeatability(values: Sequence[float]) -> float:
    """The largest difference of two trainings with other seeds, in 19 of 20 cases.

    This is the repeatability limit (ISO 5725-6): √2 standard deviations of one training, times
    the quantile of Student's t, since the standard deviation is itself known from few seeds.

    Args:
        values: the accuracies of two or more seeds.
    """
    return math.sqrt(2) * float(stdtrit(len(values) - 1, 0.975)) * stdev(values)
