"""Find copies and near copies of pictures, which must never be in two parts."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from graft.common.arrays import Stored
from graft.common.stage import Stage
from graft.common.tables import read_table, write_table
from graft.split.similarity import find_near

_PAIR_COLUMNS = ["kind", "first", "first_label", "second", "second_label", "difference"]
_MANIFEST_COLUMNS = ["id", "path", "label"]
# What a pair can be, in the order of the report, and how many of each kind it shows.
_KINDS = ("two labels", "near", "exact")
_SHOWN = 8


def main(stage: Stage) -> None:
    """Writes which pictures are one, and pairs of them to look at.

    `clusters.csv` has a row for each image that is a near copy of another: its id, and cluster, the
    smallest id of all that are one with it. Files with the same bytes have the same id already.
    `pairs.csv` names pairs by path and label, with their difference as a fraction of contrast; and
    `pairs.npy`, uint8 (pairs, 2, side, side, 3), shows them.
    """
    images = PixelStore(stage.inputs("data/checked"), stage.inputs("data/tensors"))
    limit = stage["duplicates.difference"]
    sets, near, differences = find_near(images.hashes, images.read, limit)
    several = np.flatnonzero(np.bincount(sets)[sets] > 1)
    ids = pd.Series([images.ids[i] for i in several], dtype=str)
    clusters = pd.DataFrame({"id": ids, "cluster": ids.groupby(sets[several]).transform("min")})
    clusters = clusters.sort_values(["cluster", "id"])
    pairs = _show(
        read_table(stage.input("data/manifest.csv"), _MANIFEST_COLUMNS),
        images.ids,
        near,
        differences,
    )
    write_table(stage.output("data/duplicates/clusters.csv"), clusters)
    write_table(stage.output("data/duplicates/pairs.csv"), pairs[_PAIR_COLUMNS])
    shown = pairs[["i", "j"]].to_numpy(np.int64).reshape(-1)
    pictures = images.read(shown).reshape(len(pairs), 2, *images.shape)
    np.save(stage.output("data/duplicates/pairs.npy"), pictures)
    kinds = pairs["kind"].value_counts()
    print(
        f"duplicates: {len(clusters)} near copies in {clusters['cluster'].nunique()} sets"
        f"; two labels: {'yes' if kinds.get(_KINDS[0]) else 'none'}"
    )


class PixelStore:
    """The good images of all shards, read when they are needed.

    Args:
        checked: the table of each shard.
        arrays: the pixels of each shard, in the same order.

    Attributes:
        ids: str, n of them, all different.
        hashes: uint64 (n,), perceptual.
        shape: of one image: side, side, 3.
    """

    def __init__(self, checked: Iterable[Path], arrays: Sequence[Path]) -> None:
        self._arrays = [Stored(path) for path in arrays]
        self.ids: list[str] = []
        hashes, self._starts = [], [0]
        for path in checked:
            table = read_table(path, ["id", "status", "phash"])
            table = table[table["status"] == "ok"]
            self.ids.extend(table["id"])
            hashes.append(np.array([int(text, 16) for text in table["phash"]], np.uint64))
            self._starts.append(len(self.ids))
        self.hashes = np.concatenate(hashes)
        self.shape = self._arrays[0][:0].shape[1:]

    def read(self, indices: np.ndarray) -> np.ndarray:
        """The pixels of those images: uint8 (len(indices), side, side, 3)."""
        rows = np.empty((len(indices), *self.shape), np.uint8)
        shards = np.searchsorted(self._starts, indices, side="right") - 1
        for number in np.unique(shards):
            mine = shards == number
            rows[mine] = self._arrays[number][indices[mine] - self._starts[number]]
        return rows


def _show(
    manifest: pd.DataFrame, ids: Sequence[str], near: np.ndarray, differences: np.ndarray
) -> pd.DataFrame:
    """The pairs to look at: those of two labels first, then the most doubtful."""
    ids_ = manifest["id"]
    needed = {ids[i] for i in near.ravel()}.union(ids_[ids_.duplicated()])
    number = {id_: i for i, id_ in enumerate(ids) if id_ in needed}
    listed = manifest[ids_.isin(number)]
    listed = listed.assign(i=[number[id_] for id_ in listed["id"]])
    first = listed.drop_duplicates("i").set_index("i")
    one, other = first.loc[near[:, 0]], first.loc[near[:, 1]]
    copies = listed[listed["i"].duplicated()]
    original = first.loc[copies["i"]]
    table = pd.DataFrame(
        {
            "kind": ["near"] * len(near) + ["exact"] * len(copies),
            "first": [*one["path"], *original["path"]],
            "first_label": [*one["label"], *original["label"]],
            "second": [*other["path"], *copies["path"]],
            "second_label": [*other["label"], *copies["label"]],
            "difference": [*differences.astype(float).round(4), *[0.0] * len(copies)],
            "i": [*near[:, 0], *copies["i"]],
            "j": [*near[:, 1], *copies["i"]],
        }
    )
    table["kind"] = table["kind"].where(table["first_label"] == table["second_label"], _KINDS[0])
    table["rank"] = table["kind"].map(_KINDS.index)
    order = ["rank", "difference", "first", "second"]
    table = table.sort_values(order, ascending=[True, False, True, True])
    return table.groupby("rank", sort=False).head(_SHOWN)
