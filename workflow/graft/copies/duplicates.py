"""Find copies and near copies of pictures, which must never be in two parts."""

import sys
from collections.abc import Sequence
from itertools import compress

import numpy as np
import pandas as pd

from graft.common.arrays import Chosen, Joined, Stored
from graft.common.cautions import write_warnings
from graft.common.stage import Stage
from graft.common.tables import read_table, read_tables, write_table
from graft.copies.changed import explain_changed, join_changed
from graft.copies.large import CHAIN, LargeSet, examine_set, find_large
from graft.copies.similarity import find_near
from graft.registration.changes import Changed, find_changed
from graft.registration.middles import middle_extents

_PAIR_COLUMNS = ["kind", "first", "first_label", "second", "second_label", "difference"]
_LARGE_COLUMNS = ["path", "pictures", "of", "near", "level", "copies", "cluster"]
# What a large set can be.
_CHAIN = "a chain, in which most are near only through others"
_SCENE = "copies of one picture, or pictures of one scene"
# What a pair can be, in the order of the report, and how many of each kind it shows. Of a changed
# one it says how.
_KINDS = ("two labels", "near", "changed", "exact")
_SHOWN = 8
# Pictures that lie on each other differ by less than those that are compared as they are: this
# fraction of the limit tells them from others as well.
LAID = 2 / 3


def main(stage: Stage) -> None:
    """Writes which pictures are one, and pairs of them to look at.

    `clusters.csv` has a row for each image that is a near copy of another: its id, and cluster, the
    smallest id of all that are one with it. Files with the same bytes have the same id already.
    `pairs.csv` names pairs by path and label, with their difference as a fraction of contrast; and
    `pairs.npy`, uint8 (pairs, 2, side, side, 3), shows them. `changed.csv` has all pairs of which
    one is the other mirrored, turned or enlarged: first and second, paths; difference, once they
    lie on each other; and change, such as "mirrored".

    `large.csv` has a row for each set that is too large for copies: path, its first picture;
    pictures, how many it has, and of, how many there are; near, the fraction of its pairs that are
    near; level, the difference at which it falls apart, or empty; copies, the difference of the
    worst copies of its pictures; cluster, or empty where the set was divided at the level.
    """
    columns = ["id", "status", "phash", "width", "height"]
    checked = read_tables(stage.inputs("data/checked"), columns)
    good = checked[checked["status"] == "ok"].set_index("id")
    manifest = read_table(stage.input("data/manifest.csv"), ["id", "path", "label"])
    manifest = manifest[manifest["id"].isin(good.index) & (manifest["label"] != "")]
    # In the order of the manifest, whichever shards the images are in.
    original = manifest.drop_duplicates("id").set_index("id", drop=False)
    ids = original.index
    order = good.index.get_indexer(ids)
    hashes = np.array([int(text, 16) for text in good["phash"].iloc[order]], np.uint64)
    pixels = Chosen(Joined([Stored(path) for path in stage.inputs("data/tensors")]), order)
    limit = stage["duplicates.difference"]
    sets, near, differences = find_near(hashes, pixels, limit)
    # Pictures of one scene are compared once, even if it is divided.
    known = sets.copy()
    labels = original["label"].to_numpy()
    members = [np.flatnonzero(sets == number) for number in find_large(sets, labels)]
    large = [examine_set(own, hashes, pixels, labels, limit) for own in members]
    for found in large:
        if found.divided:
            inside = sets[near[:, 0]] == sets[found.members[0]]
            near = np.concatenate([near[~inside], found.pairs])
            differences = np.concatenate([differences[~inside], found.differences])
            sets[found.members] = sets.max() + 1 + found.pieces
    sizes = good.iloc[order][["width", "height"]].astype(float).to_numpy()
    extents = middle_extents(*sizes.T, stage["image.fit"])
    changed = find_changed(pixels, extents, known, LAID * limit)
    apart, paths = sets, original["path"].to_numpy()
    sets, kept = join_changed(apart, changed, labels)
    several = np.flatnonzero(np.bincount(sets)[sets] > 1)
    clusters = pd.DataFrame({"id": ids[several], "set": sets[several]})
    clusters["cluster"] = clusters.groupby("set")["id"].transform("min")
    clusters = clusters.sort_values(["cluster", "id"])[["id", "cluster"]]
    near = np.concatenate([near, changed.pairs[kept]])
    differences = np.concatenate([differences, changed.differences[kept]])
    kinds = [_KINDS[1]] * (len(near) - kept.sum()) + list(compress(changed.changes, kept))
    pairs = _show(original, manifest[manifest["id"].duplicated()], near, differences, kinds)
    write_table(stage.output("data/duplicates/clusters.csv"), clusters)
    write_table(stage.output("data/duplicates/pairs.csv"), pairs[_PAIR_COLUMNS])
    write_table(stage.output("data/duplicates/changed.csv"), _list(changed, kept, paths))
    table = _describe(large, ids, paths)
    write_table(stage.output("data/duplicates/large.csv"), table)
    shown = ids.get_indexer(pairs[["first_id", "second_id"]].to_numpy().ravel())
    pictures = pixels[shown].reshape(len(pairs), 2, *pixels[:0].shape[1:])
    np.save(stage.output("data/duplicates/pairs.npy"), pictures)
    _warn(table)
    cautions = explain_changed(apart, sets, changed, kept, paths)
    write_warnings(stage, "data/warnings/duplicates.json", cautions)
    sets_found = clusters["cluster"].nunique()
    two = "yes" if (pairs["kind"] == _KINDS[0]).any() else "none"
    sets = "1 set" if sets_found == 1 else f"{sets_found} sets"
    print(f"duplicates: {len(clusters)} near copies in {sets}; two labels: {two}")


def _list(changed: Changed, kept: np.ndarray, paths: np.ndarray) -> pd.DataFrame:
    """The content of `changed.csv`, the most doubtful pair last."""
    table = pd.DataFrame(paths[changed.pairs], columns=["first", "second"])
    table["difference"], table["change"] = changed.differences.round(4), changed.changes
    return table[kept]


def _describe(large: Sequence[LargeSet], ids: pd.Index, paths: np.ndarray) -> pd.DataFrame:
    """The content of `large.csv`, the largest set first."""
    rows = []
    for found in sorted(large, key=lambda found: -len(found.members)):
        first, count = paths[found.members[0]], len(found.members)
        near, copies = round(found.near, 4), round(found.copies, 4)
        cluster = "" if found.divided else ids[found.members].min()
        rows.append((first, count, len(ids), near, found.level, copies, cluster))
    return pd.DataFrame(rows, columns=_LARGE_COLUMNS)


def _warn(large: pd.DataFrame) -> None:
    """Says which large sets were divided and which are kept, and what to do."""
    for divided, sets in large.groupby(large["cluster"] == ""):
        first, level, several = sets.iloc[0], sets["level"].min(skipna=False), len(sets) > 1
        text = f"{sets['pictures'].sum()} of {first['of']} pictures, such as {first['path']!r}, are"
        text += f" in {f'{len(sets)} sets' if several else 'one set'} of near pictures"
        if divided:
            text += (
                " with mixed labels: pictures of one scene, not copies. Those that differ by more"
                f" than {level:g} count as different, though duplicates.difference allows more"
            )
        else:
            text += (
                f" that {'stay' if several else 'stays'} in one part. {first['near']:.0%} of the"
            )
            text += f" pairs{' of the largest' if several else ''} are near:"
            text += f" {_CHAIN if first['near'] < CHAIN else _SCENE}. If they are no copies, "
            if np.isnan(level):
                text += "no duplicates.difference tells them apart"
            else:
                text += f"duplicates.difference: {level:g} divides them"
            if (worst := sets["copies"].max()) > level:
                text += f", and also JPEGs of low quality, which differ by up to {worst:g} here"
        text += ". What must stay together can be named by dataset.group"
        print(f"duplicates: warning: {text}", file=sys.stderr)


def _show(
    original: pd.DataFrame,
    copies: pd.DataFrame,
    near: np.ndarray,
    differences: np.ndarray,
    kinds: Sequence[str],
) -> pd.DataFrame:
    """The pairs to look at: those of two labels first, then the most doubtful of each kind."""
    first = pd.concat([original.iloc[near[:, 0]], original.loc[copies["id"]]], ignore_index=True)
    second = pd.concat([original.iloc[near[:, 1]], copies], ignore_index=True)
    pairs = first.add_prefix("first_").join(second.add_prefix("second_"))
    pairs = pairs.rename(columns={"first_path": "first", "second_path": "second"})
    pairs["difference"] = [*differences.astype(float).round(4), *[0.0] * len(copies)]
    pairs["kind"] = [*kinds, *[_KINDS[3]] * len(copies)]
    pairs.loc[pairs["first_label"] != pairs["second_label"], "kind"] = _KINDS[0]
    pairs["place"] = pairs["kind"].map(
        lambda kind: _KINDS.index(kind if kind in _KINDS else _KINDS[2])
    )
    order = ["place", "difference", "first", "second"]
    pairs = pairs.sort_values(order, ascending=[True, False, True, True])
    return pairs.groupby("place").head(_SHOWN)
