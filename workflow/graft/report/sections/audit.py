"""What the page says of the images: counts by class and part, warnings, bad files and copies.

Every function goes from tables to what `templates/images.html.j2` shows. Names and paths stay the
text that a data set holds; the template escapes them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from graft.common.classes import LEFT_OUT, PARTS, in_order
from graft.report.thumbnails import encode_png, resize_picture, shown_side

# What `split.json` counts that must be 0, as the page calls it: one of them, and several.
LEAKS = {
    "ids_in_two_parts": ("file", "files"),
    "clusters_in_two_parts": ("set of copies", "sets of copies"),
    "groups_in_two_parts": ("group", "groups"),
}


def summarise_images(
    split: pd.DataFrame,
    checked: pd.DataFrame,
    parts: pd.DataFrame,
    counts: Mapping[str, int],
    pairs: pd.DataFrame,
    pictures: np.ndarray,
    large: pd.DataFrame,
    changed: int,
    chosen: str | Sequence[str],
) -> dict[str, Any]:
    """Everything that the template shows, by the names that it uses.

    Args:
        split: str columns id, path, label and part; a row a file.
        checked: str columns id, status and reason; a row for each different id of `split`.
        parts: str columns label, part, images, share and groups; a row for each class and part.
        counts: whole numbers by name, as `split.json` has them.
        pairs: str columns kind, first, first_label, second, second_label and difference.
        pictures: uint8 (len(pairs), 2, side, side, 3), RGB.
        large: str columns of `large.csv`: path, pictures, of, near, level, copies and cluster.
        changed: how many pairs are one picture mirrored, turned or enlarged.
        chosen: the value of `dataset.classes`, for the order of the classes.

    Raises:
        KeyError: a file was never checked.
    """
    bad = quarantine(split, checked)
    left_out = split.drop(bad.index)
    left_out = left_out[left_out["part"].str.startswith(LEFT_OUT)]
    numbers = parts.astype({"images": int, "share": float, "groups": int})
    files = {"files": split, "quarantined": bad, "left_out": left_out}
    rows = count_classes(files, numbers, chosen)
    return {
        "rows": rows,
        "total": add_up(rows, numbers, counts["groups"]),
        "counts": counts,
        "leaks": [(counts[key], *names) for key, names in LEAKS.items() if counts[key]],
        "absent": find_absent(rows),
        "quarantined": list(zip(bad["path"], bad["reason"], strict=True)),
        "bad_reasons": [
            (reason, number, most_frequent(bad["label"][bad["reason"] == reason]))
            for reason, number in most_frequent(bad["reason"])
        ],
        "left_out": most_frequent(left_out["part"].str.removeprefix(LEFT_OUT)),
        "pairs": describe_pairs(pairs, pictures),
        "changed": changed,
        "large": large.astype({"pictures": int, "of": int, "near": float}).to_dict("records"),
    }


def quarantine(split: pd.DataFrame, checked: pd.DataFrame) -> pd.DataFrame:
    """The rows of `split` whose file could not be read, with one column more: the reason.

    Raises:
        KeyError: a file was never checked.
    """
    known = checked.set_index("id").loc[split["id"]]
    return split.assign(reason=known["reason"].to_numpy())[known["status"].to_numpy() != "ok"]


def count_classes(
    files: Mapping[str, pd.DataFrame], parts: pd.DataFrame, chosen: str | Sequence[str]
) -> list[dict[str, Any]]:
    """A row a class in the order of `dataset.classes`; last, files outside every class, if any.

    Args:
        files: tables with the str column label, a row a file: `files`, all of them; `quarantined`,
            those that could not be read; and `left_out`, those that are in no part for another
            reason.
        parts: columns label, part, images, share and groups, the last three as numbers; a row for
            each class and part, the parts of a class in the order of `PARTS`.
        chosen: the value of `dataset.classes`.

    Returns:
        Of each class its name, which is empty for files outside every class; how many files it
        has, how many of them are quarantined, left_out or used; and its cells, the rows of
        `parts`, none where no image of the class is used.
    """
    cells = {label: own.to_dict("records") for label, own in parts.groupby("label")}
    counts = {key: table["label"].value_counts() for key, table in files.items()}
    counts["used"] = parts.groupby("label")["images"].sum()
    names = in_order(chain(files["files"]["label"], cells), chosen)
    names = sorted(names, key=lambda name: name == "")
    rows = pd.DataFrame(counts, index=names).fillna(0).astype(int).to_dict("index")
    return [{"name": name, "cells": cells.get(name, []), **row} for name, row in rows.items()]


def add_up(rows: Sequence[Mapping[str, Any]], parts: pd.DataFrame, groups: int) -> dict[str, Any]:
    """The row below all others.

    Args:
        rows: from `count_classes`.
        parts: as of `count_classes`, with numbers.
        groups: how many there are. A group with images of two classes is counted in the rows of
            both. Then the groups of a part are not the sum over its classes, and are None here.
    """
    counted = ("files", "quarantined", "left_out", "used")
    total = {key: sum(row[key] for row in rows) for key in counted}
    sums = parts.groupby("part", sort=False)[["images", "groups"]].sum()
    sums["share"] = sums["images"] / max(total["used"], 1)
    if sums["groups"].sum() != groups:
        sums = sums.assign(groups=None)
    return {"cells": sums.to_dict("records"), **total}


def find_absent(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """The parts that lack a class, each with the names of the classes that it lacks."""
    cells = [(row["name"], cell) for row in rows for cell in row["cells"] if not cell["images"]]
    lacking = {part: [name for name, cell in cells if cell["part"] == part] for part in PARTS}
    return [(part, names) for part, names in lacking.items() if names]


def most_frequent(texts: pd.Series) -> list[tuple[str, int]]:
    """The different texts with their counts, the most frequent first; of equals, by the text."""
    return sorted(Counter(texts).items(), key=lambda item: (-item[1], item[0]))


def describe_pairs(table: pd.DataFrame, pictures: np.ndarray) -> list[dict[str, Any]]:
    """The pairs in their order, with pictures that a page can hold.

    Args:
        table: str columns kind, first, first_label, second, second_label and difference.
        pictures: uint8 (len(table), 2, side, side, 3), RGB.

    Returns:
        The rows of the table, difference as a number, with a `data:` URL of both pictures, their
        side in pixels as shown, and whether each pixel is enlarged to several.
    """
    side = pictures.shape[2]
    shown = shown_side(side)
    kept = min(side, shown)  # the browser enlarges
    encoded = [[encode_png(resize_picture(picture, kept)) for picture in pair] for pair in pictures]
    rows = table.astype({"difference": float}).assign(side=shown, enlarged=shown > side)
    return rows.assign(pictures=encoded).to_dict("records")
