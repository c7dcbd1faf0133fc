"""Mean and deviation of features, by which they are standardised, a piece of the rows at a time."""

import numpy as np

from graft.common.arrays import RowSource, in_batches

_FLOOR = 0.2  # times the median deviation of a feature: the least that one is divided by
_PIECE = 1024  # rows at once


def find_moments(features: RowSource) -> tuple[np.ndarray, np.ndarray]:
    """The mean that is subtracted from features, and the variance by whose root they are divided.

    The features of different networks differ a thousandfold in scale. Within a network some hardly
    ever differ from 0: divided by their own deviation, the one image in which such a feature does
    would be moved further than by all others together.

    Args:
        features: float32 (n, d), one row or more, with the views where the head learns
            from these too.

    Returns:
        Mean and variance, float32 (d,). No variance is 0, and none is below _FLOOR² times the
        square of the median deviation of the features that differ at all.
    """
    n, width = len(features), features[:0].shape[1]
    total, squares = np.zeros(width), np.zeros(width)
    for piece in in_batches(features, _PIECE):
        total += piece.sum(0, dtype=np.float64)
    mean = total / n
    for piece in in_batches(features, _PIECE):
        squares += ((piece - mean) ** 2).sum(0)
    deviation = np.sqrt(squares / n)
    differ = deviation[deviation > 0]
    floor = _FLOOR * np.median(differ) if len(differ) else 1.0
    return mean.astype(np.float32), (np.maximum(deviation, floor) ** 2).astype(np.float32)


def standardise(
    features: RowSource, mean: np.ndarray, variance: np.ndarray, dtype: type = np.float64
) -> np.ndarray:
    """The standardised features, (n, d) of a dtype, as the first layer of a head makes them."""
    found = np.empty((len(features), len(mean)), dtype)
    deviation = np.sqrt(variance.astype(np.float64))
    pieces = in_batches(features, _PIECE), in_batches(found, _PIECE)
    for piece, own in zip(*pieces, strict=True):
        own[:] = (piece - mean.astype(np.float64)) / deviation
    return found
