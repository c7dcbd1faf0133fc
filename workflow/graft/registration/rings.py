"""What a picture has on rings around its middle: the same for one that is turned or mirrored.

A turn moves what is on a ring along it, so that the magnitudes of its Fourier series stay (Zahn and
Roskies 1972 did so with contours; Reddy and Chatterji 1996 with whole pictures). The radii grow in
proportion, so that an enlarged picture has on one ring what the other has some rings further in.
"""

from functools import cache

import numpy as np

from graft.registration.middles import FIELDS

# A picture may be enlarged by up to 1.5, in steps of one ring; WINDOW rings are compared.
ZOOMS, _STEP, WINDOW = 7, 1.5 ** (1 / 6), 12
_RINGS, _ORDERS, _ANGLES = WINDOW + ZOOMS - 1, 6, 64
# The outermost radius, in fields, and the places by which each ring is thick, in rings.
_RADIUS, _ACROSS = FIELDS / 2 - 1, (-1 / 3, 0.0, 1 / 3)
# Whole numbers have no rounding in sums up to 2²⁴, so that any number of cores finds the same. 255
# times the sum of the weights of a value stays below that.
_WEIGHTS = 65_000
# Rings whose magnitudes are added, and by what descriptions are multiplied to be whole numbers.
_TOGETHER, FINE = 3, 1024
# Of an outer ring there is more to see.
_AREAS = (_STEP ** -np.arange(WINDOW)).astype(np.float32)
# Grey values by which a picture must differ from itself, or it shows nothing but noise.
_FAINT = 4 * float(np.sqrt(_AREAS.sum()))


def zoom_of(steps: np.ndarray) -> np.ndarray:
    """By how much a picture is enlarged that lies so many rings further in: from 1 to 1.5."""
    return _STEP**steps


def ring_series(fields: np.ndarray) -> np.ndarray:
    """The Fourier series of each ring, the outermost first.

    Args:
        fields: uint8 (n, FIELDS, FIELDS).

    Returns:
        complex64 (n, rings, 1 + orders), in grey values; the order 0 is the mean of the ring.
    """
    product = fields.reshape(-1, FIELDS**2).astype(np.float32) @ _ring_matrix()
    cosines, sines = np.split(product.reshape(-1, _RINGS, 2 * (1 + _ORDERS)) / _WEIGHTS, 2, 2)
    return (cosines - 1j * sines).astype(np.complex64)


def weigh_window(series: np.ndarray) -> np.ndarray:
    """Series of WINDOW rings that can be compared: without their mean, and outer rings weigh more.

    Args:
        series: complex64 (n, WINDOW, 1 + orders), as `ring_series` gives them.
    """
    mean = np.zeros_like(series)
    mean[..., 0] = (series[..., 0] @ _AREAS / _AREAS.sum())[:, None]
    return (series - mean) * np.sqrt(_AREAS)[:, None]


def describe_rings(series: np.ndarray) -> np.ndarray:
    """What pictures have in common with those that are turned, mirrored or enlarged.

    Args:
        series: complex64 (n, rings, 1 + orders), as `ring_series` gives them.

    Returns:
        int16 (ZOOMS, n, values), of length FINE: first of the whole middle, then of what would be
        seen if it were enlarged. All 0 where nothing is to be seen.
    """
    found = []
    for start in range(ZOOMS):
        own = weigh_window(series[:, start : start + WINDOW])
        power = 2 * np.abs(own[..., 1:]) ** 2
        power = power.reshape(-1, WINDOW // _TOGETHER, _TOGETHER, _ORDERS).sum(2)
        values = np.concatenate(
            [own[..., 0].real, np.sqrt(power).reshape(len(series), WINDOW // _TOGETHER * _ORDERS)],
            1,
        )
        length = np.linalg.norm(values, axis=1, keepdims=True)
        whole = np.rint(values * (FINE / np.maximum(length, _FAINT)))
        found.append(np.where(length < _FAINT, 0, whole).astype(np.int16))
    return np.stack(found)


@cache
def _ring_matrix() -> np.ndarray:
    """By what the fields are multiplied: whole numbers, float32 (fields², rings · values)."""
    angles = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    orders = np.arange(_ORDERS + 1)[:, None] * angles
    waves = np.concatenate([np.cos(orders), np.sin(orders)]) / _ANGLES
    columns = []
    for ring in range(_RINGS):
        weights = np.zeros((_ANGLES, FIELDS, FIELDS))
        for away in _ACROSS:
            radius = min(_RADIUS, _RADIUS * _STEP ** -(ring + away))
            x, y = (FIELDS - 1) / 2 + radius * np.stack([np.cos(angles), np.sin(angles)])
            left, top = np.floor(x).astype(int), np.floor(y).astype(int)
            for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
                share = (1 - abs(y - top - i)) * (1 - abs(x - left - j))
                weights[np.arange(_ANGLES), top + i, left + j] += share / len(_ACROSS)
        columns.append(waves @ weights.reshape(_ANGLES, -1))
    return np.rint(np.concatenate(columns) * _WEIGHTS).T.astype(np.float32)
