"""Find copies and near copies of pictures, which must never be in two parts."""

import numpy as np
import pandas as pd

from graft.common.arrays import Joined, Stored
from graft.common.stage import Stage
from graft.common.tables import read_table, read_tables, write_table
from graft.split.similarity import find_near

_PAIR_COLUMNS = ["kind", "first", "first_label", "second", "second_label", "difference"]
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
    checked = read_tables(stage.inputs("data/checked"), ["id", "status", "phash"])
    good = checked[checked["status"] == "ok"]
    ids = pd.Index(good["id"])
    hashes = np.array([int(text, 16) for text in good["phash"]], np.uint64)
    pixels = Joined([Stored(path) for path in stage.inputs("data/tensors")])
    manifest = read_table(stage.input("data/manifest.csv"), ["id", "path", "label"])
    sets, near, differences = find_near(hashes, pixels, stage["duplicates.difference"])
    several = np.flatnonzero(np.bincount(sets)[sets] > 1)
    clusters = pd.DataFrame({"id": ids[several], "set": sets[several]})
    clusters["cluster"] = clusters.groupby("set")["id"].transform("min")
    clusters = clusters.sort_values(["cluster", "id"])[["id", "cluster"]]
    pairs = _show(manifest, ids, near, differences)
    write_table(stage.output("data/duplicates/clusters.csv"), clusters)
    write_table(stage.output("data/duplicates/pairs.csv"), pairs[_PAIR_COLUMNS])
    shown = ids.get_indexer(pairs[["first_id", "second_id"]].to_numpy().ravel())
    pictures = pixels[shown].reshape(len(pairs), 2, *pixels[:0].shape[1:])
    np.save(stage.output("data/duplicates/pairs.npy"), pictures)
    print(
        f"duplicates: {len(clusters)} near copies in {clusters['cluster'].nunique()} sets"
        f"; two labels: {'yes' if (pairs['kind'] == _KINDS[0]).any() else 'none'}"
    )


def _show(
    manifest: pd.DataFrame, ids: pd.Index, near: np.ndarray, differences: np.ndarray
) -> pd.DataFrame:
    """The pairs to look at: those of two labels first, then the most doubtful."""
    good = manifest[manifest["id"].isin(ids)]
    original = good.drop_duplicates("id").set_index("id", drop=False)
    copies = good[good["id"].duplicated()]
    first = original.loc[[*ids[near[:, 0]], *copies["id"]]].reset_index(drop=True)
    second = pd.concat([original.loc[ids[near[:, 1]]], copies], ignore_index=True)
    pairs = first.add_prefix("first_").join(second.add_prefix("second_"))
    pairs = pairs.rename(columns={"first_path": "first", "second_path": "second"})
    pairs["difference"] = [*differences.astype(float).round(4), *[0.0] * len(copies)]
    kinds = ["near"] * len(near) + ["exact"] * len(copies)
    pairs["kind"] = pd.Categorical(kinds, _KINDS, ordered=True)
    pairs.loc[pairs["first_label"] != pairs["second_label"], "kind"] = _KINDS[0]
    order = ["kind", "difference", "first", "second"]
    pairs = pairs.sort_values(order, ascending=[True, False, True, True])
    return pairs.groupby("kind", observed=True).head(_SHOWN)
