"""The rows of tensors or features that belong to a part, read from the shards when needed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from graft import tables
from graft.classes import ALL, in_order
from graft.parts import PARTS


@dataclass(frozen=True)
class Rows:
    """The images of one part, in the order of the split.

    Attributes:
        ids: of the images; n of them.
        paths: where each image lies in the data set.
        labels: int64 (n,), each the index of its class in `classes`.
        classes: the names of all classes that have an image in some part, in the order of a
            model's outputs.
    """

    ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    _shards: tuple[np.ndarray, ...]
    _where: np.ndarray
    _columns: slice = field(default_factory=lambda: slice(None))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        """Some rows, copied from the shards: (as many, …) in their dtype.

        Args:
            which: a slice, or int (k,), their indices in any order.
        """
        where = self._where[which]
        shape = self._shards[0][:0, self._columns].shape[1:]
        rows = np.empty((len(where), *shape), self._shards[0].dtype)
        for number, shard in enumerate(self._shards):
            mine = where[:, 0] == number
            if mine.any():
                rows[mine] = shard[where[mine, 1], self._columns]
        return rows

    def of_columns(self, columns: slice) -> Self:
        """The same rows, of which only some columns are read."""
        return replace(self, _columns=columns)

    def with_views(self, views: Path) -> Self:
        """The rows followed by changed copies of them, all of a first copy, then of the next.

        Args:
            views: an array of the copies, some whole number of times as many rows as these.
        """
        shard = np.load(views, mmap_mode="r")
        if not len(shard):
            return self
        copies = len(shard) // len(self)
        where = np.stack([np.full(len(shard), len(self._shards)), np.arange(len(shard))], 1)
        return replace(
            self,
            ids=self.ids * (1 + copies),
            paths=self.paths * (1 + copies),
            labels=np.tile(self.labels, 1 + copies),
            _shards=(*self._shards, shard),
            _where=np.concatenate([self._where, where]),
        )


def columns(layer: Path) -> slice:
    """Those of the features of all depths that belong to the layer which `depth` has chosen.

    Args:
        layer: `layer.json`.
    """
    chosen = json.loads(layer.read_text(encoding="utf-8"))
    return slice(chosen["start"], chosen["start"] + chosen["width"])


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
        good = tables.read(path, ["id", "status"])
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
        ids=tuple(mine["id"]),
        paths=tuple(mine["path"]),
        labels=np.array([index[label] for label in mine["label"]], np.int64),
        classes=names,
        _shards=tuple(shards),
        _where=np.array([places[id_] for id_ in mine["id"]], np.int64).reshape(-1, 2),
    )
