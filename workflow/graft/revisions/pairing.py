"""Which images two results share, so that two models can be compared on the very same ones."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from graft.common.tables import read_table
from graft.integrity.damage import hash_file
from graft.revisions.settings import ModelResults, Setting

_SPLIT = Path("data/split.csv")


class Pairing(NamedTuple):
    """What two results have in common.

    Attributes:
        before, after: the rows of `ModelResults.images` of the images that both have with the same
            label, in the same order.
        n: images of the old and of the new result.
        only: how many of them the other one does not have.
        relabelled: images that both have, under another label.
        by_content: whether it is known that they are the same by their content; otherwise by their
            path, although paths may stand for other images now.
    """

    before: pd.DataFrame
    after: pd.DataFrame
    n: tuple[int, int]
    only: tuple[int, int]
    relabelled: int
    by_content: bool

    @property
    def is_complete(self) -> bool:
        """Whether both have the same images under the same labels."""
        return len(self.before) == max(self.n)

    @property
    def needed(self) -> int:
        """As many pairs as a paired comparison must have to be worth it: half of the images.

        Of parts of n and m images it is n·m / (n + m), half of their harmonic mean. With as many
        pairs, the variance of a paired difference is at most that of two independent results if
        right and wrong of the two models correlate by 0.5 or more, as those of two settings do. It
        follows from counts alone: the narrower of two intervals, chosen once both are known, would
        too often miss the truth.
        """
        return -(-self.n[0] * self.n[1] // sum(self.n))

    def join_units(self) -> np.ndarray:
        """The unit of each pair: int64, equal for images that belong together on either side.

        A side that does not know its units takes no two images together.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        sides = self.before["unit"].to_numpy(), self.after["unit"].to_numpy()
        (one, first), (other, second) = (np.unique(own, return_inverse=True) for own in sides)
        count = len(one) + len(other)
        places = first, len(one) + second
        graph = coo_array((np.ones(len(first)), places), shape=(count, count))
        joined = connected_components(graph, directed=False)[1][first]
        # By the numbers of the side that takes more together, which is all of it in most cases.
        numbers = sides[0] if len(one) <= len(other) else sides[1]
        return pd.Series(numbers).groupby(joined).transform("min").to_numpy()

    def summarise(self) -> dict[str, Any]:
        """The counts: `images` in both with the same label, `n`, `only`, `relabelled` and `needed`.

        And `complete` and `by_content`, which say whether.
        """
        return {
            "images": len(self.before),
            "n": self.n,
            "only": self.only,
            "relabelled": self.relabelled,
            "needed": self.needed,
            "complete": self.is_complete,
            "by_content": self.by_content,
        }


def pair_images(old: ModelResults, new: ModelResults) -> Pairing:
    """Finds the images that both have, with the same label.

    An image that a result has several times under one label is paired as often as both have it.

    Args:
        old, new: of the same part, both as `identify_images` gives them.
    """
    rows = []
    for side in (old, new):
        own = pd.DataFrame({"image": side.images["image"].to_numpy()})
        own["label"] = side.images.index.get_level_values("label")
        own["time"] = own.groupby(["image", "label"]).cumcount()
        rows.append(own.reset_index(names="row"))
    both = rows[0].merge(rows[1], on=["image", "label", "time"], suffixes=("_old", "_new"))
    places = both["row_old"].to_numpy(), both["row_new"].to_numpy()
    left = [
        own["image"].drop(own.index[place]).value_counts()
        for own, place in zip(rows, places, strict=True)
    ]
    # Of images that one side lacks there is no count.
    relabelled = int(pd.concat(left, axis=1).min(axis=1, skipna=False).sum())
    return Pairing(
        before=old.images.iloc[places[0]],
        after=new.images.iloc[places[1]],
        n=(len(old.images), len(new.images)),
        only=(int(left[0].sum()) - relabelled, int(left[1].sum()) - relabelled),
        relabelled=relabelled,
        by_content=old.by_content or (old.split is not None and old.split == new.split),
    )


def identify_images(old: Setting, new: Setting) -> tuple[Setting, Setting]:
    """Lets the results of two settings say by content which images they are of.

    Where both were made with the same split, their paths say as much. Otherwise the contents are
    looked up in the tables of both splits, which this folder or DVC's cache has; without one of
    them paths it remains.

    Raises:
        UserError: DVC cannot read its settings.
    """
    sides = [dict(old.models), dict(new.models)]
    for model in old.models:
        pair = [side[model] for side in sides]
        splits = [results.split for results in pair]
        if None in splits or splits[0] == splits[1]:
            continue
        named = [_name_by_content(results) for results in pair]
        if None not in named:
            for side, results in zip(sides, named, strict=True):
                side[model] = results
    return old._replace(models=sides[0]), new._replace(models=sides[1])


def _name_by_content(results: ModelResults) -> ModelResults | None:
    """The same results by content; None where the table of their split is not at hand."""
    path = _find_split(str(results.split))
    if path is None:
        return None
    table = read_table(path, ["id", "path"]).drop_duplicates("path")
    ids = pd.Series(table["id"].to_numpy(), table["path"])
    images = ids.reindex(results.images.index.get_level_values("path")).to_numpy()
    if pd.isna(images).any():  # a table that was changed by hand
        return None
    return results._replace(images=results.images.assign(image=images), by_content=True)


def _find_split(digest: str) -> Path | None:
    if _SPLIT.exists() and hash_file(_SPLIT) == digest:
        return _SPLIT
    # DVC takes half a second to import, and equal splits do not need it.
    from graft.scheduling.dvc_calls import find_cached

    return find_cached(digest)


def describe_shared(shared: dict[str, Any], part: str, old: str, new: str) -> str:
    """Which images two results share, in words.

    Args:
        shared: from `Pairing.summarise`.
        part: `validation` or `test`.
        old, new: the names of the sides.
    """
    both, known = shared["images"] + shared["relabelled"], shared["n"][0]
    rest = [
        f"{count:,} only in {name}"
        for name, count in zip((old, new), shared["only"], strict=True)
        if count
    ]
    if shared["relabelled"]:
        verb = "has" if shared["relabelled"] == 1 else "have"
        rest.append(f"{shared['relabelled']:,} {verb} another label")
    text = f"{both:,} of {known:,} {part} photos are in both"
    return f"{text}; {', '.join(rest)}" if rest else text
