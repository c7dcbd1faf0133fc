"""Proof that no picture is in two parts, and what each class has in each part."""

from collections.abc import Sequence

import pandas as pd

from graft.common.classes import PARTS


def count_leaks(part: pd.Series, keys: pd.DataFrame) -> dict[str, int]:
    """How many ids, clusters and groups are in two parts or more: 0, or the split is wrong.

    Args:
        part: str (n,), train, valid, test or why a file is left out.
        keys: str (n,) columns by name; an empty text belongs to nothing.
    """
    used = part.isin(PARTS)
    return {
        f"{name}_in_two_parts": int(
            (part[used & (key != "")].groupby(key[used & (key != "")]).nunique() > 1).sum()
        )
        for name, key in keys.items()
    }


def count_parts(
    part: pd.Series, label: pd.Series, units: pd.Series, classes: Sequence[str]
) -> pd.DataFrame:
    """What each class has in each part.

    Args:
        part: str (n,), train, valid, test or why a file is left out.
        label: str (n,).
        units: int (n,), equal for images that must stay together.
        classes: in the order of the rows.

    Returns:
        A row for each class and part: label, part, images, share (of the class's images that lie in
        some part, 0–1) and groups (units; a single image is one).
    """
    table = pd.DataFrame({"label": label, "part": part, "unit": units})
    counts = table.groupby(["label", "part"])["unit"].agg(["size", "nunique"])
    every = pd.MultiIndex.from_product([classes, PARTS], names=["label", "part"])
    counts = counts.reindex(every, fill_value=0)
    share = counts["size"] / counts["size"].groupby("label").transform("sum").clip(lower=1)
    counts = counts.assign(share=share.round(6))[["size", "share", "nunique"]]
    return counts.set_axis(["images", "share", "groups"], axis=1).reset_index()
