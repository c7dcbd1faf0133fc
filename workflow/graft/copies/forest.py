"""The nearest pairs that hold a set of pictures together: at each lower limit, what still holds.

A minimum spanning forest has the sets of every limit at once: single linkage at a limit joins just
what the edges up to it join (Gower and Ross 1969, "Minimum Spanning Trees and Single Linkage
Cluster Analysis"). So one look at all pairs is enough to try any number of limits.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from graft.common.arrays import RowSource
from graft.copies.similarity import FAINT, NEAR_BITS, field_means, find_contrast

# Pictures that are compared with as many others at once.
_BLOCK = 1024
# Fields in such fractions of a grey value are whole numbers: their products have no rounding, so
# that any number of cores finds the same differences.
_FINE = 64


class Forest(NamedTuple):
    """What holds pictures together.

    Attributes:
        pairs: int64 (m, 2), the edges, the smaller index first.
        differences: float64 (m,), of these pairs.
        near: the fraction of all pairs that differ by the limit at most, whatever their hashes,
            0–1; 1 where there is no pair.
    """

    pairs: np.ndarray
    differences: np.ndarray
    near: float


def grow_forest(hashes: np.ndarray, pixels: RowSource, limit: float) -> Forest:
    """Compares all pairs of pictures and keeps the nearest that connect them.

    Two pictures are near as in `find_near`: by their hashes and by their difference. The time grows
    with the square of the number of pictures, the memory does not.

    Args:
        hashes: uint64 (n,), perceptual.
        pixels: uint8 (n, side, side, 3).
        limit: the difference up to which two pictures are near.
    """
    n, count = len(hashes), 0
    pairs, differences = np.empty((0, 2), np.int64), np.empty(0)
    for first, second, apart in _compare_blocks(pixels, n):
        near = apart <= limit
        count += int(near.sum())
        bits = np.bitwise_count(hashes[first, None] ^ hashes[None, second])
        i, j = np.nonzero(near & (bits <= NEAR_BITS))
        pairs = np.concatenate([pairs, np.stack([first[i], second[j]], 1)])
        differences = np.concatenate([differences, apart[i, j]])
        # A weight of 0 would be no edge.
        graph = coo_array((1 + differences, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
        tree = minimum_spanning_tree(graph.tocsr()).tocoo()
        pairs = np.stack([tree.row, tree.col], 1).astype(np.int64)
        differences = tree.data - 1
    return Forest(pairs, differences, count / max(1, n * (n - 1) // 2) if n > 1 else 1.0)


def _compare_blocks(pixels: RowSource, n: int) -> Iterator[tuple[np.ndarray, ...]]:
    """The differences of all pairs, a block at a time: infinite where a pair is none or was had.

    Yields:
        int64 (a,) and int64 (b,), indices of pictures, and float64 (a, b), their differences.
    """
    blocks = np.split(np.arange(n), range(_BLOCK, n, _BLOCK))
    for number, first in enumerate(blocks):
        one, contrast = _whole_fields(pixels[first])
        own = (one**2).sum(1)
        for second in blocks[number:]:
            other, other_contrast = _whole_fields(pixels[second])
            squares = own[:, None] + (other**2).sum(1) - 2 * one @ other.T
            apart = np.sqrt(squares / one.shape[1]) / _FINE
            apart /= np.maximum((contrast[:, None] + other_contrast) / 2, FAINT)
            apart[first[:, None] >= second] = np.inf
            yield first, second, apart


def _whole_fields(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fields as whole numbers, float64 (n, fields · 3), and the contrast, float32 (n,)."""
    fields = field_means(pixels)
    return np.rint(fields * _FINE).reshape(len(fields), -1).astype(float), find_contrast(fields)
