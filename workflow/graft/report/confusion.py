"""Which classes are taken for which, and which are alike."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from graft.common.arrays import RowSource, in_batches

_BLOCK = 2**20  # probabilities in memory at a time
_ORDERED = 300  # classes, up to which the order is made as smooth as it can be


def count_confusion(labels: pd.Series, predicted: pd.Series, classes: Sequence[str]) -> np.ndarray:
    """Counts of images by true class (rows) and predicted class (columns).

    Args:
        labels: str (images,), each in `classes`.
        predicted: the same.
        classes: n different names.

    Returns:
        int64 (n, n).
    """
    table = pd.crosstab(labels.to_numpy(), predicted.to_numpy())
    return table.reindex(index=classes, columns=classes, fill_value=0).to_numpy(np.int64)


def tint_cells(counts: np.ndarray) -> np.ndarray:
    """How strong the colour of each cell is, float (n, n), by its share of the true class.

    One wrong image among a thousand still has a tint, and small shares, which most errors are, are
    spread out by the power.
    """
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.where(counts > 0, 0.12 + 0.88 * share**0.6, 0)


def most_confused(counts: np.ndarray) -> list[tuple[int, int, int, float]]:
    """The pairs of different classes that are taken one for the other, the most frequent first.

    Args:
        counts: int (n, n), rows true and columns predicted.

    Returns:
        Row, column, count and share of the true class of every cell beside the diagonal that is
        not 0; of equal counts, the larger share first, then the order of the classes.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = [
        (int(i), int(j), int(counts[i, j]), float(shares[i, j]))
        for i, j in np.argwhere(counts)
        if i != j
    ]
    return sorted(cells, key=lambda cell: (-cell[2], -cell[3], cell))


def in_blocks(rows: RowSource, classes: int) -> Iterator[np.ndarray]:
    """Rows, of probabilities (n, classes), in blocks: memory does not grow with their number."""
    return in_batches(rows, max(_BLOCK // classes, 1))


def mean_probabilities(probabilities: RowSource, labels: np.ndarray, classes: int) -> np.ndarray:
    """What a model says on average of the images of each class: float64 (classes, classes).

    Args:
        probabilities: rows (n, classes), read in blocks.
        labels: int (n,), the true classes.
        classes: how many there are. A class without images has zeros.
    """
    sums = np.zeros((classes, classes))
    blocks = in_blocks(probabilities, classes), in_blocks(labels, classes)
    for block, own in zip(*blocks, strict=True):
        # One sum after the other, in the order of the rows.
        np.add.at(sums, own, block.astype(np.float64))
    return sums / np.maximum(np.bincount(labels, minlength=classes), 1)[:, None]


def order_alike(similarity: np.ndarray) -> list[int]:
    """The classes in an order that puts alike ones side by side.

    It is that of the leaves of a tree of clusters by average linkage; with few classes, neighbours
    are as alike as the tree allows (Bar-Joseph et al. 2001).

    Args:
        similarity: float (n, n), 0–1: how far a class is taken for another one.
    """
    n = len(similarity)
    if n < 3:
        return list(range(n))
    from scipy.cluster.hierarchy import leaves_list, linkage

    # Rounded, so that no last digit, which another processor may change, decides the order.
    both = np.round(np.sqrt(np.maximum((similarity + similarity.T) / 2, 0)), 5)
    distances = (1 - both)[np.triu_indices(n, 1)]
    tree = linkage(distances, "average", optimal_ordering=n <= _ORDERED)
    return leaves_list(tree).tolist()
