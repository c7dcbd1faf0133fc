"""The training photos that the network finds most similar: by the angle between features."""

import json
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from graft.serving.collection import LAYER, Collection, Gone, Picture, sign_file

_ROWS = 4096  # of features at once, so that memory stays flat


class Near(NamedTuple):
    """A training photo near another photo.

    Attributes:
        id: of it.
        similarity: the cosine of the angle between their features, −1 to 1.
    """

    id: str
    similarity: float


def read_layer(collection: Collection) -> slice:
    """The columns of the stored features that the chosen layer has.

    Raises:
        Gone: none is chosen, or a build has chosen again.
    """
    try:
        layer = json.loads(LAYER.read_bytes())
    except (OSError, ValueError):
        raise Gone(str(LAYER)) from None
    if sign_file(LAYER) != collection.signs[LAYER]:
        raise Gone(str(LAYER))
    return slice(layer["start"], layer["start"] + layer["width"])


def find_feature(collection: Collection, picture: Picture) -> np.ndarray:
    """The feature of a picture of the data set, at the chosen layer: float32 (width,).

    Raises:
        Gone: there is none, or a build has written others.
    """
    if picture.place is None:
        raise Gone(picture.id)
    stored = collection.open_features(picture.place.shard)
    return stored[picture.place.row, read_layer(collection)].astype(np.float32)


def find_nearest(
    collection: Collection, feature: np.ndarray, count: int, but: str = ""
) -> list[Near]:
    """The training photos whose features have the smallest angle to one, the nearest first.

    Args:
        collection: the data set.
        feature: float32 (width,), at the chosen layer.
        count: how many, at most.
        but: the id of a picture that is not among them, such as that whose feature it is.

    Raises:
        Gone: there are no features, or a build has written others.
    """
    columns = read_layer(collection)
    rows = defaultdict(list)
    for picture in collection.pictures.values():
        if picture.part == "train" and picture.place and picture.id != but:
            rows[picture.place.shard].append((picture.place.row, picture.id))
    found: list[Near] = []
    for shard, own in rows.items():
        places, ids = zip(*sorted(own), strict=True)
        stored = collection.open_features(shard)
        if stored.ndim != 2 or stored.shape[1] < columns.stop or len(stored) <= places[-1]:
            raise Gone(shard)
        similar = _find_cosines(stored, np.array(places), columns, feature)
        best = np.argsort(-similar, kind="stable")[:count]
        found += [Near(ids[i], float(similar[i])) for i in best]
    return sorted(found, key=lambda near: -near.similarity)[:count]


def _find_cosines(
    stored: np.ndarray, places: np.ndarray, columns: slice, feature: np.ndarray
) -> np.ndarray:
    """The cosine for some rows of an array: float32 (as many,)."""
    unit = feature / max(float(np.linalg.norm(feature)), 1e-12)
    found = np.empty(len(places), np.float32)
    for start in range(0, len(places), _ROWS):
        some = slice(start, start + _ROWS)
        block = stored[places[some], columns].astype(np.float32)
        found[some] = block @ unit / np.maximum(np.linalg.norm(block, axis=1), 1e-12)
    return found
