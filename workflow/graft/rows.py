"""The rows of tensors or features that belong to a part, read from the shards when needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graft import tables
from graft.classes import ALL, in_order
from graft.parts import PARTS


@dataclass(frozen=True)
class Rows:
    """The images of one part, in the order of the split.

    Attributes:
        paths: where each image lies in the data set; n of them.
        labels: int64 (n,), each the index of its class in `classes`.
        classes: the names of all classes that have an image in some part, in the order of a
            model's outputs.
    """

    paths: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    _shards: tuple[np.ndarray, ...]
    _where: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        """Some rows, copied from the shards: (as many, …) in their dtype.

        Args:
            which: a slice, or int (k,), their indices in any order.
        """
        where = self._where[which]
        rows = np.empty((len(where), *self._shards[0].shape[1:]), self._shards[0].dtype)
        for number, shard in enumerate(self._shards):
            mine = where[:, 0] == number
            if mine.any():
                rows[mine] = shard[where[mine, 1]]
        return rows


def rows(
    part: str,
    split: Path,
    checked: Sequence[Path],
    arrays: Sequence[Path],
    chosen: str | Sequence[str] = ALL,
) -> Rows:
    """Finds the rows of one part.

    Args:
        part: train, valid or test.
        split: the split's table.
        checked: the table of each shard, which says which row of its array is which image.
        arrays: the array of each shard, tensors or features, in the same order.
        chosen: what `dataset.classes` says: the order of a model's outputs.
    """
    table = tables.read(split)
    places = {}
    for number, path in enumerate(checked):
        good = tables.read(path)
        good = good["id"][good["status"] == "ok"]
        places |= {id_: (number, row) for row, id_ in enumerate(good)}
    names = in_order(table["label"][table["part"].isin(PARTS)], chosen)
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
