"""The rows of tensors or features that belong to a part, read from the shards when needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from graft import tables
from graft.parts import PARTS
from graft.sources import natural


@dataclass(frozen=True)
class Rows:
    """The images of one part, in the order of the split.

    Attributes:
        paths: where each image lies in the data set; n of them.
        labels: int64 (n,), each the index of its class in `classes`.
        classes: the names of all classes of the split, in natural order.
    """

    paths: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    _shards: tuple[np.ndarray, ...]
    _where: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray | None = None) -> np.ndarray:
        """The rows of those indices (all without): (len(indices), …) in the dtype of the shards."""
        where = self._where if indices is None else self._where[indices]
        rows = np.empty((len(where), *self._shards[0].shape[1:]), self._shards[0].dtype)
        for number, shard in enumerate(self._shards):
            mine = where[:, 0] == number
            if mine.any():
                rows[mine] = shard[where[mine, 1]]
        return rows


def classes(split: pd.DataFrame) -> tuple[str, ...]:
    """The classes that have an image in some part, in natural order: that of a model's outputs."""
    used = split["label"][split["part"].isin(PARTS)]
    return tuple(sorted(used.unique(), key=natural))


def rows(part: str, split: Path, checked: Sequence[Path], arrays: Sequence[Path]) -> Rows:
    """Finds the rows of one part.

    Args:
        part: train, valid or test.
        split: the split's table.
        checked: the table of each shard, which says which row of its array is which image.
        arrays: the array of each shard, tensors or features, in the same order.
    """
    table = tables.read(split)
    places = {}
    for number, path in enumerate(checked):
        good = tables.read(path)
        good = good["id"][good["status"] == "ok"]
        places |= {id_: (number, row) for row, id_ in enumerate(good)}
    names = classes(table)
    index = {name: number for number, name in enumerate(names)}
    mine = table[table["part"] == part]
    # A shard may be empty; its array then has no width to agree with the others.
    shards = [np.load(path, mmap_mode="r") for path in arrays]
    shape = next(shard.shape[1:] for shard in shards if len(shard))
    shards = [shard if len(shard) else np.empty((0, *shape), shard.dtype) for shard in shards]
    return Rows(
        paths=tuple(mine["path"]),
        labels=np.array([index[label] for label in mine["label"]], np.int64),
        classes=names,
        _shards=tuple(shards),
        _where=np.array([places[id_] for id_ in mine["id"]], np.int64).reshape(-1, 2),
    )
