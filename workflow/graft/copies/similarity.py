"""Which pictures are one and the same: re-encoded, resized, or saved in another format.

Two steps, since neither is enough. Perceptual hashes that nearly agree are cheap to find among many
(Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"), but drawings
and photos of one kind of thing often nearly agree without being one picture. So the pixels decide.
"""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from graft.common.arrays import RowSource, in_batches

# Perceptual hashes of 64 bits that differ in fewer bits than they have bytes agree in some byte:
# hashes that share no byte need no comparison. Copies at half the size, or at JPEG quality 30,
# differ in 6 bits at most in 99 of 100 photos of 32 to 100 pixels.
_BYTES = 8
NEAR_BITS = _BYTES - 1
# Pictures are compared as so many fields a side, which evens out what compression does to pixels.
_FIELDS = 16
# Grey values of the least contrast: below it, noise would count as a difference.
FAINT = 8.0
# Pairs that are compared at once, and hashes whose table of distances is made at once.
_PAIRS, _DISTANCES = 2048, 2**20


def near_hashes(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """Every pair of hashes that differ in at most `NEAR_BITS` bits, each pair once.

    Args:
        hashes: uint64 (n,).

    Yields:
        int64 (m, 2), indices into `hashes`, the smaller first.
    """
    columns = np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, _BYTES)
    for byte in range(_BYTES):
        order = np.argsort(columns[:, byte], kind="stable")
        edges = np.flatnonzero(np.diff(columns[order, byte])) + 1
        for own in np.split(order, edges):
            step = max(1, _DISTANCES // max(1, len(own)))
            for start in range(0, len(own) - 1, step):
                some, rest = own[start : start + step], own[start:]
                different = hashes[some, None] ^ hashes[None, rest]
                near = np.bitwise_count(different) <= NEAR_BITS
                # What agrees in an earlier byte was found there.
                earlier = different.view(np.uint8).reshape(*different.shape, _BYTES)[..., :byte]
                near &= (earlier != 0).all(-1)
                i, j = np.nonzero(np.triu(near, 1))
                yield np.sort(np.stack([some[i], rest[j]], 1), 1)


def field_means(pixels: np.ndarray) -> np.ndarray:
    """The mean colours of `_FIELDS` × `_FIELDS` fields, or the pixels themselves if they are fewer.

    Args:
        pixels: uint8 (n, side, side, 3).

    Returns:
        float32 (n, fields, 3).
    """
    side = pixels.shape[1]
    edges = np.arange(min(_FIELDS, side)) * side // min(_FIELDS, side)
    lengths = np.diff(edges, append=side)
    sums = np.add.reduceat(np.add.reduceat(pixels, edges, 1, np.float32), edges, 2)
    means = sums / (lengths[:, None] * lengths)[..., None]
    return means.reshape(len(pixels), len(edges) ** 2, 3).astype(np.float32)


def find_contrast(fields: np.ndarray) -> np.ndarray:
    """The contrast of pictures in grey values: how much their fields deviate from their mean.

    Args:
        fields: float32 (n, fields, 3), as `field_means` gives them.

    Returns:
        float32 (n,).
    """
    return fields.std(1).mean(1)


def contrast_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How different pictures are: the root mean square of what differs, over their contrast.

    Args:
        first: float32 (n, fields, 3), as `field_means` gives them.
        second: the same.

    Returns:
        float32 (n,), 0 for equal ones, about 1.4 for unrelated ones.
    """
    contrast = (find_contrast(first) + find_contrast(second)) / 2
    return np.sqrt(((first - second) ** 2).mean((1, 2))) / np.maximum(contrast, FAINT)


def find_near(hashes: np.ndarray, pixels: RowSource, limit: float) -> tuple[np.ndarray, ...]:
    """The sets of pictures that are one: each is near another of its set.

    Args:
        hashes: uint64 (n,), perceptual.
        pixels: uint8 (n, side, side, 3).
        limit: the difference up to which two pictures are one.

    Returns:
        int64 (n,), equal for pictures of one set; int64 (m, 2), the pairs that make up the sets,
        the smaller index first; float32 (m,), their differences. Pairs within a set that is known
        already are not compared: a thousand copies have some thousand pairs, not half a million.
    """
    sets = np.arange(len(hashes))
    pairs, differences = np.empty((0, 2), np.int64), np.empty(0, np.float32)
    for block in near_hashes(hashes):
        for some in in_batches(block, _PAIRS):
            some = some[sets[some[:, 0]] != sets[some[:, 1]]]
            needed, where = np.unique(some, return_inverse=True)
            apart = contrast_difference(*field_means(pixels[needed])[where.T])
            near = apart <= limit
            if near.any():
                pairs = np.concatenate([pairs, some[near]])
                differences = np.concatenate([differences, apart[near]])
                sets = join_pairs(pairs, len(hashes))
    return sets, pairs, differences


def join_pairs(pairs: np.ndarray, n: int) -> np.ndarray:
    """The sets that pairs make of n things: int64 (n,), equal for things that are connected.

    Args:
        pairs: int64 (m, 2), indices of two things.
        n: how many things there are.
    """
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)
