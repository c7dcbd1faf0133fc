"""How far a photo is from all that a model has learned from: nearest neighbours of its features.

The distance is 1 less the cosine between the features of a photo and those of the k-th nearest
training photo (Sun et al. 2022, Out-of-distribution detection with deep nearest neighbors,
arXiv:2204.06507). It takes nothing for granted of how features are spread, and works with a few
photos of a class. docs/predict.md has what it was measured against.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from graft.common.errors import refuse
from graft.models.description import ModelDescription

# Of photos of the classes, at most so many are to be beyond the limit on average; most publications
# have this share.
_BEYOND = 0.05
# The neighbour that counts. From 1 to 20 it hardly matters; the first alone would let a single
# photo in a wrong class speak for all that is like it.
_NEIGHBOURS = 5
_PHOTOS = 1000  # that are kept at most: the network runs over them once more
_NUMBERS = 4_000_000  # features of all of them, 8 MB: fewer photos where a network has wide ones
_STORED = np.float16  # moved the distances of flowers by 0.00001 at most
_DECIMALS = 6  # of a distance, so that the order of sums changes none


class KnownPhotos(NamedTuple):
    """What a model has learned from, as photos are compared with it.

    Attributes:
        directions: float64 (m, width), features of training photos, rounded as the file has them:
            each row of length 1, or 0 where all features are 0.
        neighbours: the distance is that of the neighbour of this number, 1 to m.
        limit: the distance above which a photo is none of the classes, 0–2.
    """

    directions: np.ndarray
    neighbours: int
    limit: float

    def distances_of(self, features: np.ndarray) -> np.ndarray:
        """The distances of photos: float64 (n,), 0–2, of six decimals.

        Args:
            features: float32 (n, width).
        """
        cosines = _directions(features) @ self.directions.T
        place = len(self.directions) - self.neighbours
        nearest = np.partition(cosines, place, axis=1)[:, place]
        return np.clip(1 - nearest, 0, 2).round(_DECIMALS)


def choose_known(ids: tuple[str, ...], labels: np.ndarray, width: int) -> np.ndarray:
    """The training photos that are kept: int64 (m,), indices.

    All of them, or 1,000, as evenly by class as can be; fewer where features are wide. Which ones
    follows from their ids, so their order changes nothing.

    Args:
        ids: of the photos, n; those of equal files are equal.
        labels: int64 (n,), the class of each.
        width: of the features.
    """
    most = max(min(_PHOTOS, _NUMBERS // width), 1)
    order = np.lexsort((labels, np.array(ids)))
    ranks = np.empty(len(ids), np.int64)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        ranks[own] = np.arange(len(own))
    return np.lexsort((np.array(ids), labels, ranks))[:most]


def learn_known(features: np.ndarray, labels: np.ndarray) -> KnownPhotos:
    """What photos are compared with; no distance is beyond its limit yet.

    Args:
        features: float32 (m, width) of training photos, one or more.
        labels: int64 (m,), their classes. Where one has fewer photos than neighbours would count,
            so many count: a photo needs no more that are like it than there are.
    """
    smallest = np.unique(labels, return_counts=True)[1].min()
    directions = _directions(_directions(features).astype(_STORED))
    return KnownPhotos(directions, int(min(_NEIGHBOURS, smallest)), 2.0)


def find_limit(distances: np.ndarray, units: np.ndarray) -> float:
    """The distance that few photos of the classes exceed: on average a share of `share_beyond`.

    It is conformal by unit (Lee, Barber and Willett 2023, Distribution-free inference with
    hierarchical data, arXiv:2306.06342): all units weigh the same, and so does one more that is
    still to come, of which nothing is known. Where no two photos belong together, it is the
    distance of rank 0.95 (n + 1) (Vovk, Gammerman and Shafer 2005).

    Args:
        distances: float64 (n,), of validation photos; n is 1 or more.
        units: int64 (n,), equal for photos that belong together.

    Returns:
        One of the distances; the largest where there are too few units.
    """
    _, numbers, sizes = np.unique(units, return_inverse=True, return_counts=True)
    order = np.argsort(distances, kind="stable")
    weights = np.cumsum(1 / sizes[numbers[order]])
    wanted = (1 - share_beyond(len(sizes))) * (len(sizes) + 1)
    # The weights of a unit may add up to a little less than 1.
    place = min(int(np.searchsorted(weights, wanted - 1e-9)), len(order) - 1)
    return float(distances[order[place]])


def share_beyond(units: int) -> float:
    """The share of photos of the classes that are beyond the limit at most, on average.

    Args:
        units: how many of validation photos there are. With fewer than 19 the share is larger: no
            distance of these can be sure to be exceeded less often.
    """
    return max(_BEYOND, 1 / (units + 1))


def beside(model: Path) -> Path:
    """Where a model file has the photos that it knows: `x.unknown.npz` for `x.keras` or `x.xml`."""
    return model.with_suffix(".unknown.npz")


def write_known(path: Path, known: KnownPhotos, about: ModelDescription) -> None:
    """Writes the photos that a model knows, with a digest of what the model says of itself."""
    with path.open("wb") as file:
        rounded = known._replace(directions=known.directions.astype(_STORED))
        np.savez(file, model=_digest(about), **rounded._asdict())


def read_known(path: Path, about: ModelDescription) -> KnownPhotos:
    """Reads the photos that a model knows.

    Args:
        path: as `write_known` has written it.
        about: what the model says of itself.

    Raises:
        UserError: it is no such file, or that of another model.
    """
    allowed = "the file of known photos that graft wrote with the model: run or export anew"
    try:
        with np.load(path, allow_pickle=False) as found:
            directions, neighbours, limit, model = (
                found[name] for name in (*KnownPhotos._fields, "model")
            )
        sound = directions.ndim == 2 and directions.dtype == _STORED
        sound = sound and np.isfinite(directions).all() and 0 <= limit <= 2
        if not (sound and 1 <= neighbours <= len(directions)):
            raise ValueError("other numbers than graft writes")
        known = KnownPhotos(_directions(directions), int(neighbours), float(limit))
    except Exception as error:  # broken files make NumPy and zipfile raise almost anything
        raise refuse(str(path), allowed, " ".join(str(error)[:200].split())) from None
    if not np.array_equal(model, _digest(about)):
        raise refuse(str(path), allowed, "that of another model")
    return known


def _directions(features: np.ndarray) -> np.ndarray:
    """Rows of length 1: float64. One of zeros stays: it is as far from all others."""
    rows = features.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def _digest(about: ModelDescription) -> np.ndarray:
    """SHA-256 of what a model says of itself, alike in its `.keras` and `.xml`: uint8 (32,)."""
    text = json.dumps(asdict(about), sort_keys=True)
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
