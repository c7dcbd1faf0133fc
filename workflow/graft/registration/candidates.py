"""Which pictures are so alike on their rings that they may be one: few of all pairs."""

from collections.abc import Iterator

import numpy as np

from graft.common.arrays import in_batches
from graft.registration.rings import FINE, ZOOMS

# Descriptions that are further apart, as a fraction of their length, are of two pictures. Those of
# copies are nearer in 95 to 100 of 100 cases.
_APART = 0.15
# A picture is compared with so many of its neighbours at each zoom, and in all there are at most so
# many pairs for each picture.
_NEIGHBOURS, _PAIRS = 8, 2
# Directions that are compared first, and squares of the two last of them in what is near.
_DIRECTIONS, _FINER = 12, 2
# Products that are made at once.
_AT_ONCE = 2**21


def find_alike(described: np.ndarray) -> np.ndarray:
    """Pairs of pictures that may be one, the most alike first.

    Args:
        described: int16 (ZOOMS, n, values), as `describe_rings` gives them.

    Returns:
        int64 (m, 3): a picture; another one, which may be the first, enlarged; and by how many
        steps. At most 2 n.
    """
    seen = described[0].any(1)
    rows = np.flatnonzero(seen)
    narrow = described[0][rows].astype(np.float32)
    found = [np.empty((0, 4), np.int64)]
    for steps in range(ZOOMS):
        wide = described[steps][rows].astype(np.float32)
        for first, second, alike in _compare(wide, narrow):
            # Without a zoom, each pair is met twice.
            other = first < second if steps == 0 else first != second
            first, second, alike = first[other], second[other], alike[other]
            order = np.lexsort((second, -alike, first))
            first, second, alike = first[order], second[order], alike[order]
            rank = np.arange(len(first)) - np.searchsorted(first, first)
            near = rank < _NEIGHBOURS
            columns = [-alike, rows[first], rows[second], np.full(len(first), steps)]
            found.append(np.stack(columns, 1)[near])
    pairs = np.concatenate(found)
    order = np.lexsort(pairs.T[::-1])[: _PAIRS * described.shape[1]]
    return pairs[order, 1:]


def _compare(wide: np.ndarray, narrow: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """The pairs of a description of the one and of the other kind that are near.

    What is near is near in any direction. So of the two directions in which descriptions differ
    most, squares are made, and only neighbours are compared: first in some directions, and those
    that are near there in all.

    Args:
        wide: float32 (n, values), whole numbers.
        narrow: the same.

    Yields:
        int64 (m,) and int64 (m,), rows of the two, and int64 (m,), their products. All pairs of a
        row of the first come together.
    """
    if not len(narrow):
        return
    enough = FINE**2 * (1 - _APART**2 / 2)
    # A little more than needed, for what is rounded.
    limit = _APART * FINE * 1.01
    centre = narrow.mean(0, dtype=float)
    spread = (narrow - centre).T @ (narrow - centre)
    directions = np.linalg.eigh(spread)[1][:, -_DIRECTIONS:]
    own, other = ((values - centre) @ directions for values in (wide, narrow))
    # Products of these are −½ of the squared distances.
    own_half, other_half = (-(values**2).sum(1, keepdims=True) / 2 for values in (own, other))
    left = np.concatenate([own, own_half, np.ones_like(own_half)], 1).astype(np.float32)
    right = np.concatenate([other, np.ones_like(other_half), other_half], 1).astype(np.float32)
    squares, places = (
        np.floor(values[:, -2:] * (_FINER / limit)).astype(np.int64) for values in (own, other)
    )
    # The squares as single numbers: what is beside it in its line is one more, or one less.
    least = min(squares.min(), places.min()) - _FINER
    across = int(max(squares.max(), places.max()) - least) + _FINER + 1
    squares, places = (
        (values[:, 1] - least) * across + values[:, 0] - least for values in (squares, places)
    )
    order = np.argsort(places, kind="stable")
    places, right = places[order], right[order]
    around = np.arange(-_FINER, _FINER + 1)
    for square in np.unique(squares):
        lines = square + across * around
        starts = np.searchsorted(places, lines - _FINER)
        stops = np.searchsorted(places, lines + _FINER, side="right")
        rows = np.concatenate([np.arange(*ends) for ends in zip(starts, stops, strict=True)])
        members, near = np.flatnonzero(squares == square), right[rows].T
        for some in in_batches(members, max(1, _AT_ONCE // max(1, len(rows)))):
            # Of a flat array, which is several times as fast.
            where = np.flatnonzero((left[some] @ near).ravel() >= -(limit**2) / 2)
            i, j = np.divmod(where, len(rows))
            i, j = some[i], order[rows[j]]
            alike = (wide[i] * narrow[j]).sum(1)
            good = alike >= enough
            yield i[good], j[good], alike[good].astype(np.int64)
