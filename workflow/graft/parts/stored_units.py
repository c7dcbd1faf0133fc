"""Which images belong together, as the split wrote it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graft.common.tables import read_table


def read_units(path: Path, ids: Sequence[str]) -> np.ndarray:
    """The unit of each image: int64 (n,), equal for images that must stay together.

    Args:
        path: `units.csv`, as the split wrote it.
        ids: of the images.
    """
    return read_table(path).set_index("id")["unit"].astype(np.int64)[list(ids)].to_numpy()
