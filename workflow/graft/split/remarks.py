"""What is said of a split that is not as one would expect, with the reason and a remedy.

A part or a class without images mostly has one reason: a unit that holds too many of them.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from graft.common.cautions import Caution, set_command
from graft.common.classes import LEFT_OUT, PARTS
from graft.common.errors import WHERE_SOURCE, refuse
from graft.copies.large import NOTABLE
from graft.decoder.reasons import BLANK

# Why a file is in no part.
TWO_LABELS = "equal files have two labels"
_KEEP = set_command("dataset.two_labels", "keep")
_EXACT = set_command("split.kind", "stratified")
# From so many images of a class on a result begins to mean something; from so many on it does.
_FEW, _MANY = 10, 50
# A class that has less of its exact share than this has few by the division. With 12 to learn from
# chance does that once in ten times, with 42 once in a hundred.
_SHORT = 0.8
_NAMED = 3  # classes that a sentence has


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


def is_small(counts: pd.DataFrame) -> bool:
    """Whether some class has so few images that exact shares may serve it better.

    Args:
        counts: as `count_parts` gives them.
    """
    learned = counts["images"][counts["part"] == "train"]
    return bool((learned < _MANY).any() or (counts["images"] == 0).any())


def check_parts(files: pd.DataFrame, levels: pd.Series) -> None:
    """Refuses a split with which nothing could be learned or measured.

    Args:
        files: as of `describe_largest`, or none, with more columns: str label; str given, the part
            that the data set gives, or empty; str part; and str exact, the part by exact shares.
        levels: as of `describe_largest`.

    Raises:
        UserError: a part has no image; or, of what was drawn, a class is not learned though it is
            there, or the test part has images of one class alone.
    """
    if problem := _find_problem(files, files["part"], levels):
        where, allowed, received = problem
        if not _find_problem(files, files["exact"], levels):
            allowed += f"; exact shares make it so (`{_EXACT}`)"
        raise refuse(where, allowed, received)


def _find_problem(
    files: pd.DataFrame, part: pd.Series, levels: pd.Series
) -> tuple[str, str, str] | None:
    """What `check_parts` refuses: where, what must be there, and what is."""
    for name in PARTS:
        if not (part == name).any():
            allowed = f"a data set with images for {', '.join(PARTS[:-1])} and {PARTS[-1]}"
            if files["unit"].value_counts().max() > max(1, NOTABLE * len(files)):
                allowed += f"; {describe_largest(files, levels)}"
            return WHERE_SOURCE, allowed, f"none for {name}"
    label = files["label"]
    drawn = files[files.groupby("label")["given"].transform("max") == ""]
    for name, own in drawn[~drawn["label"].isin(label[part == "train"])].groupby("label"):
        allowed = f"in the training part; {describe_largest(own, levels)}"
        return f"some of the {len(own)} images of class {name!r}", allowed, "none"
    tested = label[part == "test"]
    if tested.nunique() == 1 and not (files["given"] == "test").any():
        (name,) = tested.unique()
        others = describe_largest(files[label != name], levels)
        allowed = f"of images of two classes or more; of the other classes, {others}"
        received = f"{len(tested)} of the {(label == name).sum()} images of class {name!r} alone"
        return "the test part", allowed, received
    return None


def explain_absent(
    files: pd.DataFrame, counts: pd.DataFrame, levels: pd.Series
) -> Iterator[Caution]:
    """A warning for each class and part without images, with the reason if its units are too few.

    Args:
        files: as of `check_parts`.
        counts: str label and part, int images and groups, as `count_parts` gives them.
        levels: as of `describe_largest`.
    """
    sums = counts.groupby("label")[["images", "groups"]].sum()
    for row in counts[counts["images"] == 0].itertuples():
        own = files[files["label"] == row.label]
        images, units = sums.loc[row.label]
        text = f"of the {images} images of class {row.label!r} none is in {row.part}"
        # A class of as many units as parts has images in each, unless the parts are given.
        if units < len(PARTS) <= len(own):
            text += f": of this class, {describe_largest(own, levels)}"
        yield Caution(text, _EXACT if (own["exact"] == row.part).any() else "")


def explain_few(files: pd.DataFrame) -> Iterator[Caution]:
    """A warning of classes with few images to learn from, and of those that chance left with few.

    Args:
        files: a row for each that may be in a part, with str id, label, part and exact, the part by
            exact shares.
    """
    files = files.drop_duplicates(["id", "label"])

    def count(part: pd.Series, *names: str) -> pd.Series:
        return part.isin(names).groupby(files["label"]).sum()

    learned, exact = count(files["part"], "train"), count(files["exact"], "train")
    table = pd.DataFrame({"learned": learned, "of": count(files["part"], *PARTS), "exact": exact})
    table["enough"] = (learned >= _SHORT * exact) | (learned >= _MANY)
    few = table[(learned < _FEW) | ~table["enough"]].sort_values(["enough", "learned"])
    if few.empty:
        return
    said = []
    for row in few.iloc[:_NAMED].itertuples():
        has, there = ("", "") if said else (" has", " images in the training part")
        share = "" if row.enough else f" ({row.exact} by exact shares)"
        said.append(f"{row.Index!r}{has} {row.learned} of its {row.of}{there}{share}")
    if more := len(few) - len(said):
        said[-1] += f" and {more} more class{'es' if more > 1 else ''}"
    text = f"few images to learn from: class {', '.join(said)}. From {_FEW} a class on a result"
    text += f" begins to mean something; {_MANY} or more are better"
    if few["enough"].all():
        yield Caution(text)
    else:
        text += ". Chance left fewer there than the share: exact shares suit a small set, but"
        yield Caution(f"{text} images that are added later can then move others", _EXACT)


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
        allowed = f"a colour on which all is seen, such as {other}"
        allowed += f" (`{set_command('image.background', other)}`), or grey if"
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
            set_command("image.background", other),
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
            f" {_name_two(found)}. Give each one label by `graft relabel`, or keep them under both",
            _KEEP,
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
                    f" a label, or keep them under both (`{_KEEP}`)"
                )
            raise refuse(f"the readable images of class {name!r}", allowed, count)


def _name_two(files: pd.DataFrame) -> str:
    """Two equal files of different labels."""
    own = files[files["id"] == files["id"].iloc[0]].drop_duplicates("label")["path"]
    return " and ".join(map(repr, own.iloc[:2]))
