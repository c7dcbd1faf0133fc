"""Sets of near pictures that are too large to be copies: what they are, and where they divide.

A camera that does not move makes all its pictures near, and a chain of pictures, each near the
next, is one set though its ends have nothing in common. A set that swallows a data set leaves no
split. Pixels cannot tell copies of one picture from pictures of one scene, but labels can: copies
of one picture have one label. So a large set whose labels are as mixed as those of the data set is
divided where its pictures differ most, as long as copies of them would stay together. A chain and
any other set are kept, and a warning says what it is and where it would divide.
"""

import io
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from graft.common.arrays import Chosen, RowSource
from graft.copies.forest import Forest, grow_forest
from graft.copies.similarity import contrast_difference, field_means, join_pairs

# A set is large if it has more than these fractions of all pictures, or of those of a class: a test
# part of the usual size would be this set, or a class would have nothing else to be tested with.
NOTABLE = 0.1
_OF_A_CLASS = 0.5
# Fewer pictures are no large set: ten pictures of a small data set may well be copies.
_FEWEST = 10
# Labels are mixed if so many pictures have another label than most, and if these are at least this
# fraction of what they are in the data set. Fewer may be mistakes in the labels of copies.
_OTHERS, _MIXED = 3, 0.5
# Limits that are tried, the highest first: few, so that more pictures seldom change the limit.
_LEVELS = [m / 10**e for e in (2, 3, 4) for m in (80, 60, 50, 40, 30, 25, 20, 15, 12, 10)]
# Pictures that are copied to see how much copies differ, and how they are: as the worst that people
# do to a picture without noticing.
_COPIED, _QUALITY, _SMALLER = 50, 30, 2
# A set of which less than this fraction of the pairs are near is a chain. Each of its pictures has
# neighbours of its own, as frames of a film have: it is not divided.
CHAIN = 0.1


class LargeSet(NamedTuple):
    """What a large set is.

    Attributes:
        members: int64 (n,), indices of its pictures.
        near: the fraction of its pairs that are near, 0–1: low in a chain.
        level: the highest limit, as a difference, that leaves no large set; nan if none does.
        copies: the difference of the worst copies of its pictures.
        divided: whether it is divided at this level.
        pieces: int64 (n,), equal for members that stay together.
        pairs: int64 (m, 2), the nearest pairs that hold the pieces together, as indices.
        differences: float64 (m,), of these pairs.
    """

    members: np.ndarray
    near: float
    level: float
    copies: float
    divided: bool
    pieces: np.ndarray
    pairs: np.ndarray
    differences: np.ndarray


def find_large(sets: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The numbers of the large sets, in ascending order.

    Args:
        sets: int64 (n,), equal for pictures of one set.
        labels: str (n,); empty where a picture has none.
    """
    table = pd.DataFrame({"set": sets, "label": labels})
    size = table.groupby("set").size()
    own = table[table["label"] != ""].groupby(["set", "label"]).size()
    of_class = own / own.groupby("label").transform("sum")
    share = of_class[own >= _FEWEST].groupby("set").max().reindex(size.index, fill_value=0.0)
    large = (size > NOTABLE * len(sets)) | (share > _OF_A_CLASS)
    return size.index[large & (size >= _FEWEST)].to_numpy()


def examine_set(
    members: np.ndarray, hashes: np.ndarray, pixels: RowSource, labels: np.ndarray, limit: float
) -> LargeSet:
    """Finds out what a large set is, and divides it if its labels say that it has no copies alone.

    Args:
        members: int64 (m,), indices of its pictures, in ascending order.
        hashes: uint64 (n,), perceptual.
        pixels: uint8 (n, side, side, 3).
        labels: str (n,); empty where a picture has none.
        limit: the difference up to which two pictures are near.
    """
    forest = grow_forest(hashes[members], Chosen(pixels, members), limit)
    level = _find_level(forest, members, labels, limit)
    sample = members[np.linspace(0, len(members) - 1, _COPIED).astype(int)]
    copies = copy_difference(pixels[np.unique(sample)])
    divided = forest.near >= CHAIN and _are_mixed(labels[members], labels) and level >= copies
    kept = forest.differences <= (level if divided else limit)
    pairs, differences = forest.pairs[kept], forest.differences[kept]
    pieces = join_pairs(pairs, len(members))
    near = forest.near
    return LargeSet(members, near, level, copies, divided, pieces, members[pairs], differences)


def copy_difference(pixels: np.ndarray) -> float:
    """How much the worst copies of some pictures differ from them: JPEGs, and half the size.

    The copies are made of pictures of the size that is learned from. Those of a larger original
    differ less.

    Args:
        pixels: uint8 (n, side, side, 3), n at least 1.
    """
    fields = field_means(pixels)
    made = (np.stack([copy(one) for one in pixels]) for copy in (_as_jpeg, _as_half))
    return max(float(contrast_difference(fields, field_means(copies)).max()) for copies in made)


def _find_level(forest: Forest, members: np.ndarray, labels: np.ndarray, limit: float) -> float:
    """The highest of `_LEVELS` at which no piece of the set is large."""
    for level in _LEVELS:
        if level < limit:
            pieces = join_pairs(forest.pairs[forest.differences <= level], len(members))
            sets = np.zeros(len(labels), np.int64)  # 0 is what is not of this set
            sets[members] = 1 + pieces
            if not find_large(sets, labels).any():
                return level
    return float("nan")


def _are_mixed(own: np.ndarray, every: np.ndarray) -> bool:
    """Whether the labels of a set are about as mixed as those of the data set."""
    (others, count), (all_others, all_count) = map(_count_others, (own, every))
    return others >= _OTHERS and others / count >= _MIXED * all_others / all_count


def _count_others(labels: np.ndarray) -> tuple[int, int]:
    """How many pictures have another label than most, and how many have one."""
    counts = np.unique(labels[labels != ""], return_counts=True)[1]
    return counts.sum() - counts.max(initial=0), counts.sum()


def _as_jpeg(picture: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY)
    return np.asarray(Image.open(file))


def _as_half(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    side = max(1, image.width // _SMALLER)
    half = image.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(half.resize(image.size, Image.Resampling.BICUBIC))
