"""Which pictures a model was made from, by the files of its project."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from graft.common.arrays import Chosen, Joined, RowSource, Stored
from graft.common.classes import PARTS
from graft.common.tables import read_table
from graft.copies.similarity import contrast_difference, field_means, near_hashes
from graft.models.description import ModelDescription

SPLIT = Path("data/split.csv")
_CHECKED, _TENSORS = Path("data/checked"), Path("data/tensors")
_FITTED = ("train", "valid")  # the parts by which a model was made
_PAIRS = 2048  # that are compared at once


class LearnedPictures(NamedTuple):
    """What a model was made from.

    Attributes:
        parts: of each picture of the data set, by its id: `train`, `valid` or `test`; of one in
            several parts, the first of these.
        known: the parts of the pictures whose pixels are here, str (m,): of the training and the
            validation part.
        hashes: their perceptual hashes, uint64 (m,).
        pixels: uint8 (m, side, side, 3), as the model sees them.
    """

    parts: dict[str, str]
    known: np.ndarray
    hashes: np.ndarray
    pixels: RowSource


def find_learned(about: ModelDescription) -> LearnedPictures | None:
    """The pictures that a model was made from.

    Args:
        about: what the model says of itself: it names the table by a hash.

    Returns:
        None where the table is not here, or is of another model.
    """
    if not SPLIT.is_file() or hashlib.sha256(SPLIT.read_bytes()).hexdigest() != about.data:
        return None
    table = read_table(SPLIT, ["id", "part"])
    parts: dict[str, str] = {}
    for part in PARTS:
        for id_ in table["id"][table["part"] == part]:
            parts.setdefault(id_, part)
    names, hashes, pixels = [], [], []
    for place in sorted(_CHECKED.glob("*.csv")):
        rows = Stored(_TENSORS / f"{place.stem}.npy")
        checked = read_table(place, ["id", "status", "phash"])
        good = checked[checked["status"] == "ok"].reset_index(drop=True)
        # After another build the pixels here may be of other parameters than the model's.
        if not _fits(rows, len(good), about.side):
            continue
        own = good["id"].map(parts)
        own = own[own.isin(_FITTED)]
        names.append(own)
        hashes.append(np.array([int(text, 16) for text in good["phash"][own.index]], np.uint64))
        pixels.append(Chosen(rows, own.index.to_numpy()))
    none = np.empty((0, about.side, about.side, 3), np.uint8)
    return LearnedPictures(
        parts,
        pd.concat([pd.Series(dtype=str), *names]).to_numpy(object),
        np.concatenate([np.empty(0, np.uint64), *hashes]),
        Joined([none, *pixels]),
    )


def _fits(rows: Stored, count: int, side: int) -> bool:
    try:
        return len(rows) == count and rows[:0].shape[1:] == (side, side, 3)
    except (OSError, ValueError):
        return False


def find_nearly_learned(
    learned: LearnedPictures, hashes: np.ndarray, pixels: RowSource, limit: float
) -> np.ndarray:
    """Which photos are near copies of what a model was made from: resized, or saved anew.

    Args:
        learned: what it was made from.
        hashes: of the photos, perceptual, uint64 (n,).
        pixels: of the photos, as the model sees them, uint8 (n, side, side, 3).
        limit: the difference up to which two pictures are one, as of `duplicates.difference`.

    Returns:
        The part of the picture that each photo is nearly, str (n,), `train` before `valid`; empty
        where there is none.
    """
    found, count = np.full(len(hashes), "", object), len(learned.hashes)
    both = Joined([learned.pixels, pixels])
    for block in near_hashes(np.concatenate([learned.hashes, hashes])):
        crossing = block[(block[:, 0] < count) & (block[:, 1] >= count)]
        for start in range(0, len(crossing), _PAIRS):
            some = crossing[start : start + _PAIRS]
            needed, where = np.unique(some, return_inverse=True)
            fields = field_means(both[needed])
            apart = contrast_difference(*fields[where.reshape(some.shape).T])
            for own, photo in some[apart <= limit]:
                found[photo - count] = min(found[photo - count] or "z", learned.known[own])
    return found
