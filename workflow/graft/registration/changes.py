"""Find pictures that are others mirrored, turned or enlarged."""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from graft.common.arrays import RowSource, in_batches
from graft.common.parallel import in_threads
from graft.registration.candidates import find_alike
from graft.registration.middles import colour_middle, grey_fields
from graft.registration.octaves import octave_difference
from graft.registration.rings import describe_rings, ring_series, zoom_of
from graft.registration.warps import guess_warps, name_change, refine_warps, sample, soften

# Pixels a side of the whole middle, when two pictures are laid on each other for the last time.
_SIDE = 48
# What pairs must reach before they are laid on each other more exactly.
_CORRELATION, _ROUGH = 0.96, 0.2
_ROUNDS, _LAST_ROUNDS = 2, 3
# Fields of what is enlarged by more are softer by one softening.
_MUCH = 1.2
# Pairs that are worked on at once, with fields and with pictures; pictures that are read at once,
# and that are described.
_PAIRS, _FEW, _READ, _DESCRIBED = 1024, 128, 256, 4096
# Among 10,000 pictures of CIFAR-10 all pairs up to 0.3 but one are one picture; among photos of
# hands two pairs that are not differ by 0.28. Of pictures that are drawn alike, many differ by
# less, but then far more do by a little more: the limit is lowered until at most as many pairs are
# between it and the limit before as are below it.
_LOWER, _FALLS = 2**-0.5, 4


class Changed(NamedTuple):
    """Pairs of pictures of which one is the other, changed.

    Attributes:
        pairs: int64 (m, 2), the smaller index first.
        differences: float64 (m,), how much they differ once they lie on each other, as a fraction
            of their contrast.
        changes: what was done, such as "mirrored", by pair.
    """

    pairs: np.ndarray
    differences: np.ndarray
    changes: list[str]


def find_changed(pixels: RowSource, extents: np.ndarray, sets: np.ndarray, limit: float) -> Changed:
    """The pairs that are one picture, of those that are not known to be one.

    Args:
        pixels: uint8 (n, side, side, 3).
        extents: float64 (n, 2), as `middle_extents` gives them.
        sets: int (n,), equal for pictures that are known to be one.
        limit: the difference up to which two pictures are one; with 0 there is none, since what
            is mirrored or enlarged differs by its rounding at least.
    """
    if not limit:
        return Changed(np.empty((0, 2), np.int64), np.empty(0), [])
    series = _read_series(pixels, extents)
    described = [describe_rings(some) for some in in_batches(series, _DESCRIBED)]
    candidates = find_alike(np.concatenate([describe_rings(series[:0]), *described], 1))
    candidates = candidates[sets[candidates[:, 0]] != sets[candidates[:, 1]]]

    def compare(batch: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        laid = _lay_roughly(pixels, extents, series, batch)
        return [compare_pairs(pixels, extents, *some) for some in laid]

    batches = in_threads(compare, in_batches(candidates, _PAIRS))
    found = list(chain.from_iterable(batches))
    pairs = np.concatenate([np.empty((0, 2), np.int64), *(some for some, _, _ in found)])
    differences = np.concatenate([np.empty(0), *(some for _, some, _ in found)])
    warps = np.concatenate([np.empty((0, 2, 3)), *(some for _, _, some in found)])
    # Of several ways from the one to the other, the best one.
    order = np.argsort(differences, kind="stable")
    ordered = np.sort(pairs[order], 1)
    best = order[np.sort(np.unique(ordered, axis=0, return_index=True)[1])]
    near = best[differences[best] <= find_gap(differences[best], limit)]
    changes = [name_change(warps[row]) for row in near]
    return Changed(np.sort(pairs[near], 1), differences[near], changes)


def find_gap(differences: np.ndarray, limit: float) -> float:
    """The highest limit, of a few from the given one down, just above which there are few pairs.

    Args:
        differences: float64 (m,), of pairs.
        limit: the highest one that is tried.
    """
    for _ in range(_FALLS):
        below = (differences <= limit).sum()
        if (differences <= limit / _LOWER).sum() <= 2 * below:
            break
        limit *= _LOWER
    return limit


def _read_series(pixels: RowSource, extents: np.ndarray) -> np.ndarray:
    """What is on the rings of pictures, as `ring_series` gives it."""
    parts = zip(in_batches(pixels, _READ), in_batches(extents, _READ), strict=True)
    found = [ring_series(grey_fields(*part)) for part in parts]
    return np.concatenate([ring_series(grey_fields(pixels[:0], extents[:0])), *found])


def _lay_roughly(
    pixels: RowSource, extents: np.ndarray, series: np.ndarray, candidates: np.ndarray
) -> Iterator[tuple[np.ndarray, ...]]:
    """The pairs that fit as fields: int64 (m, 2), with their warps, and steps, by steps."""
    first, second, steps = candidates.T
    warps, correlation = guess_warps(series[first], series[second], steps)
    good = correlation >= _CORRELATION
    first, second, steps = first[good], second[good], steps[good]
    needed, where = np.unique([first, second], return_inverse=True)
    one, other = soften(grey_fields(pixels[needed], extents[needed]).astype(np.float32))[where]
    # What is enlarged from fields of the first is softer than the second is.
    much = zoom_of(steps) > _MUCH
    other[much] = soften(other[much])
    warps, apart = refine_warps(one, other, warps[good], _ROUNDS)
    for step in np.unique(steps[apart <= _ROUGH]):
        mine = (apart <= _ROUGH) & (steps == step)
        pairs = np.stack([first[mine], second[mine]], 1)
        for start in range(0, len(pairs), _FEW):
            some = slice(start, start + _FEW)
            yield pairs[some], warps[mine][some], step


def compare_pairs(
    pixels: RowSource, extents: np.ndarray, pairs: np.ndarray, warps: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lays pictures on each other as exactly as can be, and compares them.

    Args:
        pixels, extents: as of `find_changed`.
        pairs: int64 (m, 2), a picture and another one, which may be the first, enlarged.
        warps: float64 (m, 2, 3), how they lie on each other, roughly.
        step: by how much the second is enlarged, as `zoom_of` has it: then it has that much fewer
            pixels, so that one pixel shows as much of both.

    Returns:
        The pairs; float64 (m,), their differences; and float64 (m, 2, 3), their warps.
    """
    side = round(_SIDE / float(zoom_of(step)) / 2) * 2
    pictures = []
    for which, own in ((pairs[:, 0], _SIDE), (pairs[:, 1], side)):
        needed, where = np.unique(which, return_inverse=True)
        middles = map(colour_middle, pixels[needed], extents[needed], [own] * len(needed))
        pictures.append(np.stack(list(middles)).astype(np.float32)[where])
    first, second = pictures
    halves = [_halve_grey(one) for one in pictures]
    warps, _ = refine_warps(*halves, warps, _LAST_ROUNDS)
    return pairs, octave_difference(sample(first, warps, side), second), warps


def _halve_grey(pictures: np.ndarray) -> np.ndarray:
    m, side = pictures.shape[:2]
    return pictures.mean(3).reshape(m, side // 2, 2, side // 2, 2).mean((2, 4))
