"""What the page says of the images: counts by class and part, warnings, bad files and copies.

Every function goes from tables to what `templates/images.html.j2` shows. Names and paths stay the
text that a data set holds; the template escapes them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd

from graft.common.classes import ALL_CLASSES, LEFT_OUT, PARTS, in_order
from graft.report.thumbnails import encode_png, resize_picture, shown_side

# What `split.json` counts that must be 0, as the page calls it: one of them, and several.
LEAKS = {
    "ids_in_two_parts": ("file", "files"),
    "clusters_in_two_parts": ("set of copies", "sets of copies"),
    "groups_in_two_parts": ("group", "groups"),
}


@dataclass(frozen=True)
class PartCell:
    """The images of one class, or of all, in one part.

    Attributes:
        images: how many.
        share: fraction of the used images of the class, 0–1; nan where there are none.
        groups: how many sets of images that must stay together; None where it is not known.
    """

    images: int
    share: float
    groups: int | None


@dataclass(frozen=True)
class ClassRow:
    """One class in the table of classes and parts.

    Attributes:
        name: of the class; empty for files outside every class.
        cells: in train, valid and test; none where no image of the class is used.
        left_out: images that could be read and are in no part.
        quarantined: files that could not be read.
        files: all files of the class.
    """

    name: str
    cells: tuple[PartCell, ...]
    left_out: int
    quarantined: int
    files: int

    @property
    def used(self) -> int:
        """How many images are in some part."""
        return sum(cell.images for cell in self.cells)


@dataclass(frozen=True)
class PicturePair:
    """Two pictures that are copies or nearly so.

    Attributes:
        kind: `two labels`, `near` or `exact`.
        difference: fraction of the contrast; 0 for exact copies.
        pictures: path, label and .png in base64 of each.
        side: pixels across, as shown.
        enlarged: whether each pixel of the file becomes several.
    """

    kind: str
    difference: float
    pictures: tuple[tuple[str, str, str], ...]
    side: int
    enlarged: bool


def summarise_images(
    split: pd.DataFrame,
    checked: pd.DataFrame,
    parts: pd.DataFrame,
    counts: Mapping[str, int],
    pairs: pd.DataFrame,
    pictures: np.ndarray,
    chosen: str | Sequence[str] = ALL_CLASSES,
) -> dict[str, Any]:
    """Everything that the template shows, by the names that it uses.

    Args:
        split: str columns id, path, label and part; a row a file.
        checked: str columns id, status and reason; a row for each different id of `split`.
        parts: str columns label, part, images, share and groups; a row for each class and part.
        counts: whole numbers by name, as `split.json` has them.
        pairs: str columns kind, first, first_label, second, second_label and difference.
        pictures: uint8 (len(pairs), 2, side, side, 3), RGB.
        chosen: what `dataset.classes` says: the order of the classes.
    """
    bad = quarantine(split, checked)
    left_out = split.drop(bad.index)
    left_out = left_out[left_out["part"].str.startswith(LEFT_OUT)]
    rows = count_classes(split, bad, left_out, parts, chosen)
    return {
        "rows": rows,
        "total": add_up(rows, counts["groups"]),
        "largest": max((row.used for row in rows), default=0),
        "counts": counts,
        "leaks": [(counts[key], *names) for key, names in LEAKS.items() if counts[key]],
        "extremes": find_extremes(rows),
        "absent": find_absent(rows),
        "quarantined": list(zip(bad["path"], bad["reason"], strict=True)),
        "bad_reasons": [
            (reason, number, most_frequent(bad["label"][bad["reason"] == reason]))
            for reason, number in most_frequent(bad["reason"])
        ],
        "left_out": most_frequent(left_out["part"].str.removeprefix(LEFT_OUT)),
        "pairs": describe_pairs(pairs, pictures),
    }


def quarantine(split: pd.DataFrame, checked: pd.DataFrame) -> pd.DataFrame:
    """The rows of `split` whose file could not be read, with one column more: the reason.

    Raises:
        KeyError: a file was never checked.
    """
    known = checked.set_index("id").loc[split["id"]]
    reasons = pd.Series(known["reason"].to_numpy(), split.index)
    bad = known["status"].to_numpy() != "ok"
    return split[bad].assign(reason=reasons[bad])


def count_classes(
    split: pd.DataFrame,
    bad: pd.DataFrame,
    left_out: pd.DataFrame,
    parts: pd.DataFrame,
    chosen: str | Sequence[str] = ALL_CLASSES,
) -> list[ClassRow]:
    """A row a class in the order of `dataset.classes`; last, files outside every class, if any.

    Args:
        split: str columns that include label; a row a file.
        bad: those of its rows whose file could not be read.
        left_out: those that are in no part for another reason.
        parts: str columns label, part, images, share and groups.
        chosen: what `dataset.classes` says.
    """
    cells = {
        (label, part): PartCell(int(images), float(share), int(groups))
        for label, part, images, share, groups in zip(
            *(parts[name] for name in ("label", "part", "images", "share", "groups")), strict=True
        )
    }
    files, unread, unused = (table["label"].value_counts() for table in (split, bad, left_out))
    names = in_order(chain(split["label"], parts["label"]), chosen)
    return [
        ClassRow(
            name=name,
            cells=tuple(cells[name, part] for part in PARTS if (name, part) in cells),
            left_out=int(unused.get(name, 0)),
            quarantined=int(unread.get(name, 0)),
            files=int(files.get(name, 0)),
        )
        for name in sorted(names, key=lambda name: name == "")
    ]


def add_up(rows: Sequence[ClassRow], groups: int) -> ClassRow:
    """The row below all others.

    Args:
        rows: one for each class.
        groups: how many there are. A group with images of two classes stands in the rows of both;
            then how many lie in a part is not the sum over its classes, and left open.
    """
    divided = [row.cells for row in rows if row.cells]
    used = sum(row.used for row in rows)
    once = sum(cell.groups for cells in divided for cell in cells) == groups
    return ClassRow(
        name="",
        cells=tuple(
            PartCell(
                images=(images := sum(cell.images for cell in column)),
                share=images / used if used else np.nan,
                groups=sum(cell.groups for cell in column) if once else None,
            )
            for column in zip(*divided, strict=True)
        ),
        left_out=sum(row.left_out for row in rows),
        quarantined=sum(row.quarantined for row in rows),
        files=sum(row.files for row in rows),
    )


def find_extremes(rows: Iterable[ClassRow]) -> tuple[ClassRow, ClassRow] | None:
    """The classes with most and with fewest images in use, the first of equals; None without any.

    A class without an image in use is none of them: it is absent, not small.
    """
    used = [row for row in rows if row.used]
    return (max(used, key=attrgetter("used")), min(used, key=attrgetter("used"))) if used else None


def find_absent(rows: Iterable[ClassRow]) -> list[tuple[str, list[str]]]:
    """The parts that lack a class, each with the names of the classes that it lacks."""
    rows = [row for row in rows if row.cells]
    lacking = [
        (part, [row.name for row in rows if not row.cells[number].images])
        for number, part in enumerate(PARTS)
    ]
    return [(part, names) for part, names in lacking if names]


def most_frequent(texts: pd.Series) -> list[tuple[str, int]]:
    """The different texts with their counts, the most frequent first; of equals, by the text."""
    counts = ((str(text), int(count)) for text, count in texts.value_counts().items())
    return sorted(counts, key=lambda item: (-item[1], item[0]))


def describe_pairs(table: pd.DataFrame, pictures: np.ndarray) -> list[PicturePair]:
    """The pairs in their order, with pictures that a page can hold.

    Args:
        table: str columns kind, first, first_label, second, second_label and difference.
        pictures: uint8 (len(table), 2, side, side, 3), RGB.
    """
    side = pictures.shape[2]
    shown = shown_side(side)
    kept = min(side, shown)  # the browser enlarges
    return [
        PicturePair(
            kind=row.kind,
            difference=float(row.difference),
            pictures=(
                (row.first, row.first_label, encode_png(resize_picture(first, kept))),
                (row.second, row.second_label, encode_png(resize_picture(second, kept))),
            ),
            side=shown,
            enlarged=shown > side,
        )
        for row, (first, second) in zip(table.itertuples(index=False), pictures, strict=True)
    ]
