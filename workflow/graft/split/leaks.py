"""Proof that no picture is in two parts, and what each class has in each part."""

from collections.abc import Sequence

import pandas as pd

from graft.common.classes import PARTS


def count_leaks(files: pd.DataFrame) -> dict[str, int]:
    """How many ids, clusters and groups are in two parts or more: 0, or the split is wrong.

    Args:
        files: a row for each, with str part (train, valid, test or why the file is left out), and
            str id, cluster and group; an empty text belongs to nothing.
    """
    used = files[files["part"].isin(PARTS)]
    found = {}
    for name in ("id", "cluster", "group"):
        parts = used["part"].groupby(used[name].where(used[name] != "")).nunique()
        found[f"{name}s_in_two_parts"] = int((parts > 1).sum())
    return found


def check_leaks(files: pd.DataFrame) -> dict[str, int]:
    """The counts of leaks, all 0.

    Args:
        files: as of `count_leaks`.

    Raises:
        RuntimeError: something is in two parts, which is a bug: no split must be written.
    """
    leaks = count_leaks(files)
    if any(leaks.values()):
        raise RuntimeError(f"the split has leaks: {leaks}")
    return leaks


def count_parts(files: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """What each class has in each part.

    Args:
        files: a row for each, with str label, str part (train, valid, test or why the file is left
            out), and int unit, equal for images that must stay together.
        classes: in the order of the rows.

    Returns:
        A row for each class and part: label, part, images, share (of the class's images that are in
        some part, 0–1) and groups (units; a single image is one).
    """
    counts = files.groupby(["label", "part"])["unit"].agg(images="size", groups="nunique")
    every = pd.MultiIndex.from_product([classes, PARTS], names=["label", "part"])
    counts = counts.reindex(every, fill_value=0)
    total = counts["images"].groupby("label").transform("sum").clip(lower=1)
    counts.insert(1, "share", (counts["images"] / total).round(6))
    return counts.reset_index()
