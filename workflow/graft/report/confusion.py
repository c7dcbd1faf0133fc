"""Which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


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
