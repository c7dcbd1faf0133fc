"""The principal axes of features, along which an optimiser needs few steps."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from threadpoolctl import threadpool_limits


class Axes(NamedTuple):
    """Directions in which features vary independently of each other.

    Attributes:
        basis: float64 (d, min(n, d)), a column a direction, orthonormal: they span the rows. None
            for coordinates along them, which have each direction in a column.
        squares: float64 (min(n, d),), the mean square of the features along each.
    """

    basis: np.ndarray | None
    squares: np.ndarray


def find_axes(features: np.ndarray) -> Axes:
    """The principal axes of features, on one thread, so that the last bits are always the same.

    Args:
        features: float (n, d), standardised, so that their mean is about 0.
    """
    n, width = features.shape
    with threadpool_limits(1):
        if n >= width:
            squares, basis = eigh(features.T @ features / n, driver="evd")
        else:
            # In the space of few rows, where the products are small.
            span, triangle = np.linalg.qr(features.T)
            squares, turned = eigh(triangle @ triangle.T / n, driver="evd")
            basis = span @ turned
    return Axes(basis, np.maximum(squares, 0))
