"""Rows a batch at a time."""

from collections.abc import Iterator

import numpy as np

from graft.common.arrays import RowSource

# A fixed batch for inference, since another one may choose another kernel.
INFERENCE_BATCH = 16


def in_batches(rows: RowSource, size: int = INFERENCE_BATCH) -> Iterator[np.ndarray]:
    """Cuts rows into batches of at most `size`, each read when its turn comes."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
