"""What is said of a split that is not as one would expect, with the reason and a remedy.

A part or a class without images mostly has one reason: a unit that holds too many of them.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from graft.common.cautions import Caution
from graft.common.classes import LEFT_OUT, PARTS
from graft.common.errors import BLANK, WHERE_SOURCE, refuse
from graft.split.large import NOTABLE

# Why a file is in no part.
TWO_LABELS = "equal files have two labels"
_KEEP = "dataset.two_labels=keep"
_CHANGE = "uv run graft use --set image.background="


def describe_largest(files: pd.DataFrame, levels: pd.Series) -> str:
    """The largest unit: its share, an example, what holds it together, and what divides it.

    Args:
        files: a row for each that may be in a part, at least one, with str path, id, cluster and
            group, empty where a file has none, and int unit.
        levels: str, by cluster: the difference at which a large cluster falls apart, or empty.
    """
    own = files[files["unit"] == files["unit"].value_counts().idxmax()]
    grouped = own["group"][own["group"] != ""].value_counts()
    clusters = own["cluster"].value_counts()
    if len(grouped) and grouped.iloc[0] >= clusters.iloc[0]:
        why = f"which dataset.group puts into one group ({grouped.index[0]!r})"
    elif own["id"].nunique() == 1:
        why = "which are equal files"
    else:
        level = levels.get(clusters.index[0])
        lower = f"{level} divides them" if level else "none divides them"
        lower = "a lower one may divide them" if level is None else lower
        why = f"which count as near copies (duplicates.difference: {lower})"
    example = own["path"].iloc[0]
    return f"the largest unit holds {len(own)} of {len(files)} images, such as {example!r}, {why}"


def check_parts(files: pd.DataFrame, levels: pd.Series) -> None:
    """Refuses a split with which nothing could be learned or measured.

    Args:
        files: as of `describe_largest`, or none, with more columns: str label; str given, the part
            that the data set gives, or empty; and str part.
        levels: as of `describe_largest`.

    Raises:
        UserError: a part has no image; or, of what was drawn, a class is not learned though it is
            there, or the test part has images of one class alone.
    """
    for name in PARTS:
        if not (files["part"] == name).any():
            allowed = f"a data set with images for {', '.join(PARTS[:-1])} and {PARTS[-1]}"
            if files["unit"].value_counts().max() > max(1, NOTABLE * len(files)):
                allowed += f"; {describe_largest(files, levels)}"
            raise refuse(WHERE_SOURCE, allowed, f"none for {name}")
    drawn = files[files.groupby("label")["given"].transform("max") == ""]
    learned = files["label"][files["part"] == "train"]
    for name, own in drawn[~drawn["label"].isin(learned)].groupby("label"):
        allowed = f"in the training part; {describe_largest(own, levels)}"
        raise refuse(f"some images of class {name!r}", allowed, "none")
    tested = files["label"][files["part"] == "test"].unique()
    if len(tested) == 1 and not (files["given"] == "test").any():
        others = describe_largest(files[files["label"] != tested[0]], levels)
        allowed = f"of images of two classes or more; of the other classes, {others}"
        raise refuse("the test part", allowed, f"class {tested[0]!r} alone")


def explain_absent(files: pd.DataFrame, counts: pd.DataFrame, levels: pd.Series) -> Iterator[str]:
    """A sentence for each class and part without images, with the reason if its units are too few.

    Args:
        files: as of `check_parts`.
        counts: str label and part, int images and groups, as `count_parts` gives them.
        levels: as of `describe_largest`.
    """
    units = counts.groupby("label")["groups"].sum()
    for row in counts[counts["images"] == 0].itertuples():
        own = files[files["label"] == row.label]
        text = f"no image of class {row.label!r} in {row.part}"
        # A class of as many units as parts has images in each, unless the parts are given.
        if units[row.label] < len(PARTS) <= len(own):
            text += f": of this class, {describe_largest(own, levels)}"
        yield text


def check_seen(files: pd.DataFrame, limit: float) -> None:
    """Refuses a background on which too many pictures show nothing.

    Args:
        files: as of `explain_blank`.
        limit: the fraction of them that may be so.

    Raises:
        UserError: there are more.
    """
    blank, colour, other = _find_blank(files)
    if len(blank) > limit * len(files):
        first = blank["path"].iloc[0]
        allowed = f"a colour on which all is seen, such as {other} (`{_CHANGE}{other}`), or grey if"
        allowed += f" there are {other} pictures too"
        received = f"{colour}: {len(blank)} of {len(files)} pictures become blank, such as {first}"
        raise refuse("params.yaml: image.background", allowed, received)


def explain_blank(files: pd.DataFrame) -> Iterator[Caution]:
    """A warning of pictures that show nothing on the background, if there are any.

    Args:
        files: with str path and reason, why a file is not used.
    """
    blank, colour, other = _find_blank(files)
    if len(blank):
        yield Caution(
            f"{len(blank)} of {len(files)} pictures become blank and are left out, such as"
            f" {blank['path'].iloc[0]!r}: what is not transparent in them is {colour}, as"
            f" image.background is. They are seen on {other}, or on grey if there are {other}"
            " pictures too",
            f"{_CHANGE}{other}",
        )


def _find_blank(files: pd.DataFrame) -> tuple[pd.DataFrame, str, str]:
    """The rows of the blank pictures, the background, and another one."""
    blank = files[files["reason"].str.startswith(BLANK)]
    colour = "".join(blank["reason"].iloc[:1]).removeprefix(BLANK)
    return blank, colour, "white" if colour == "black" else "black"


def explain_conflicts(files: pd.DataFrame) -> Iterator[str]:
    """A sentence on near copies under two labels, if there are any.

    Args:
        files: a row for each that is in a part, with str path, label, and cluster, equal for near
            copies.
    """
    found = files[files.groupby("cluster")["label"].transform("nunique") > 1]
    if len(found):
        own = found[found["cluster"] == found["cluster"].iloc[0]]
        first, second = own.drop_duplicates("label").iloc[:2].itertuples()
        sets = found["cluster"].nunique()
        yield (
            f"{len(found)} images in {sets} {'set' if sets == 1 else 'sets'} of near copies have"
            f" two labels, such as {first.path!r} ({first.label!r}) and {second.path!r}"
            f" ({second.label!r}). They are kept, each set in one part. The page shows pairs: if"
            " they are no copies, lower duplicates.difference; else correct a label, or set"
            " dataset.two_labels to keep"
        )


def explain_equal(files: pd.DataFrame) -> Iterator[Caution]:
    """A warning of equal files under two labels that are left out, if there are any.

    Args:
        files: a row for each file, with str id, path and label, and part, which says why a file is
            in none.
    """
    found = files[files["part"] == LEFT_OUT + TWO_LABELS]
    if len(found):
        yield Caution(
            f"{len(found):,} images are left out, since equal files have two labels, such as"
            f" {_name_two(found)}. Correct a label, or keep them under both",
            f"uv run graft use --set {_KEEP}",
        )


def check_classes(files: pd.DataFrame, classes: Sequence[str]) -> None:
    """Checks that each class has as many different images as there are parts.

    Args:
        files: as of `explain_equal`; the part is empty where a file may be in one.
        classes: the classes that are used.

    Raises:
        UserError: there are fewer than two classes, or too few images of one; with the reason where
            equal files under two labels are left out.
    """
    if len(classes) < 2:
        raise refuse(WHERE_SOURCE, "images of two classes or more", list(classes))
    counts = files["id"][files["part"] == ""].groupby(files["label"]).nunique()
    for name in classes:
        count = int(counts.get(name, 0))
        if count < len(PARTS):
            allowed = f"{len(PARTS)} or more, all different: one for each part"
            lost = files[files["part"] == LEFT_OUT + TWO_LABELS]
            own = lost[lost["id"].isin(lost["id"][lost["label"] == name])]
            if len(own):
                allowed += (
                    f"; of others, equal files have two labels, such as {_name_two(own)}: correct"
                    f" a label, or keep them under both (`uv run graft use --set {_KEEP}`)"
                )
            raise refuse(f"the readable images of class {name!r}", allowed, count)


def _name_two(files: pd.DataFrame) -> str:
    """Two equal files of different labels."""
    own = files[files["id"] == files["id"].iloc[0]].drop_duplicates("label")["path"]
    return " and ".join(map(repr, own.iloc[:2]))
