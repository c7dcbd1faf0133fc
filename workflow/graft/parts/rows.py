"""The rows of tensors or features of a part, read when needed, and which images belong together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import pandas as pd

from graft.common.arrays import Joined, RowSource, Stored
from graft.common.classes import PARTS, in_order
from graft.common.stage import Stage
from graft.common.tables import read_json, read_table, read_tables


class LabelledRows(RowSource, Protocol):
    """Rows to train on, or to judge by.

    Attributes:
        labels: int64 (n,), the class of each.
    """

    labels: np.ndarray


@dataclass(frozen=True)
class Rows:
    """The images of one part, in the order of the split.

    Attributes:
        ids: of the images; n of them.
        paths: of the images within the data set.
        labels: int64 (n,), each the index of its class in `classes`.
        classes: the names of all classes that have an image in some part, in the order of a
            model's outputs.
    """

    ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    _stored: Joined
    _where: np.ndarray
    _columns: slice | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        """Some rows, copied from the shards: (as many, …) in their dtype.

        Args:
            which: a slice, or int (k,), their indices in any order.
        """
        return self._stored[self._where[which]]

    def of_columns(self, columns: slice) -> Self:
        """The same rows, of which only some columns are read."""
        stored = Joined([array.of_columns(columns) for array in self._stored.arrays])
        return replace(self, _stored=stored, _columns=columns)

    def with_views(self, views: Path) -> Self:
        """The rows followed by views of them, all of a first view, then of the next.

        Args:
            views: an array of them, some whole number of times as many rows as these.
        """
        shard = Stored(views, self._columns)
        times = 1 + len(shard) // len(self)
        return replace(
            self,
            ids=self.ids * times,
            paths=self.paths * times,
            labels=np.tile(self.labels, times),
            _stored=Joined([*self._stored.arrays, shard]),
            _where=np.append(self._where, len(self._stored) + np.arange(len(shard))),
        )


def read_parts(stage: Stage, arrays: str) -> dict[str, Rows]:
    """The rows of each part: train, valid and test.

    In valid and test an image counts once, however many equal files there are of it: they say
    nothing new. Under two labels it counts once for each.

    Args:
        stage: must declare `data/split.csv`, the tables in `data/checked`, which say which row of
            an array is which image, `arrays` and `dataset.classes`.
        arrays: the folder with an array for each shard, `data/tensors` or `data/features`.
    """
    table = read_table(stage.input("data/split.csv"))
    checked = read_tables(stage.inputs("data/checked"), ["id", "status"])
    good = checked["id"][checked["status"] == "ok"]
    places = pd.Series(np.arange(len(good)), good)
    used = table["label"][table["part"].isin(PARTS)]
    classes = in_order(used, stage["dataset.classes"])
    stored = Joined([Stored(path) for path in stage.inputs(arrays)])
    parts = {}
    for part in PARTS:
        mine = table[table["part"] == part]
        if part != "train":
            mine = mine.drop_duplicates(["id", "label"])
        parts[part] = Rows(
            ids=tuple(mine["id"]),
            paths=tuple(mine["path"]),
            labels=pd.Index(classes).get_indexer(mine["label"]),
            classes=classes,
            _stored=stored,
            _where=places.loc[mine["id"]].to_numpy(),
        )
    return parts


def read_features(stage: Stage) -> dict[str, Rows]:
    """The rows of each part, with the columns of the layer that the stage `depth` has chosen.

    Args:
        stage: must declare `data/depth/layer.json`, and what `read_parts` needs.
    """
    layer = read_json(stage.input("data/depth/layer.json"))
    columns = slice(layer["start"], layer["start"] + layer["width"])
    parts = read_parts(stage, "data/features")
    return {name: part.of_columns(columns) for name, part in parts.items()}


def read_units(path: Path, ids: Sequence[str]) -> np.ndarray:
    """The unit of each image: int64 (n,), equal for images that must stay together.

    Args:
        path: `units.csv`, as the split wrote it.
        ids: of the images.
    """
    return read_table(path).set_index("id")["unit"].astype(np.int64)[list(ids)].to_numpy()
