"""Right and wrong images by unit: all that the interval of an accuracy is computed from.

The files of a model say this and not the interval, so that no training depends on how an interval
is computed.
"""

from typing import NamedTuple

import numpy as np


class UnitCount(NamedTuple):
    """Units of a part that are alike.

    Attributes:
        right: images of each that the model is right about.
        images: of each; 1 or more.
        units: how many such units there are; 1 or more.
    """

    right: int
    images: int
    units: int


def count_units(right: np.ndarray, units: np.ndarray) -> tuple[UnitCount, ...]:
    """How many units of a part are alike, by right ones and images, rising.

    Args:
        right: bool (n,), whether the model is right; n is 1 or more.
        units: int (n,), equal for images that must stay together.
    """
    _, unit = np.unique(units, return_inverse=True)
    pairs = np.stack([np.bincount(unit, right).astype(np.int64), np.bincount(unit)], axis=1)
    kinds, counts = np.unique(pairs, axis=0, return_counts=True)
    return tuple(UnitCount(*row) for row in np.column_stack([kinds, counts]).tolist())
