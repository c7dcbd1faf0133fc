"""How one picture lies on another: mirrored, turned, enlarged, and moved a little.

A warp is a matrix (2, 3) that leads from a place in the second picture to the same place in the
first: x, y and 1, where the middle is 0 and the edges are −1 and 1.
"""

import math

import numpy as np

from graft.registration.rings import WINDOW, weigh_window, zoom_of

# Turns that are tried.
_TURNS = 64
# What is compared: corners may have been filled by a program that has turned the picture.
DISC = 0.94
# Numbers that a step of `refine_warps` solves for.
_UNKNOWN = 8
# Below this, values are noise of rounding.
_TINY = 1e-6


def guess_warps(
    first: np.ndarray, second: np.ndarray, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best turn of each pair, mirrored or not, by what is on the rings.

    Args:
        first: complex64 (m, rings, 1 + orders), as `ring_series` gives them.
        second: the same, of enlarged parts of the first.
        steps: int (m,), by how much, as `zoom_of` has it.

    Returns:
        float64 (m, 2, 3), warps; and float64 (m,), the correlation on the rings, −1 to 1.
    """
    rows = np.arange(len(steps))
    one = weigh_window(first[rows[:, None], steps[:, None] + np.arange(WINDOW)])
    other = weigh_window(second[:, :WINDOW])
    lengths = np.sqrt(_energy(one) * _energy(other))
    # The second as it is, and upside down.
    products = [(one * kind).sum(1) for kind in (other.conj(), other)]
    turned = np.fft.irfft(np.stack(products, 1), _TURNS) * _TURNS
    kind, turn = np.divmod(turned.reshape(len(steps), -1).argmax(1), _TURNS)
    correlation = turned[rows, kind, turn] / np.maximum(lengths, _TINY)
    angle, sign = 2 * np.pi * turn / _TURNS, 1 - 2 * kind
    warps = np.zeros((len(steps), 2, 3))
    warps[:, 0, 0], warps[:, 0, 1] = np.cos(angle), -np.sin(angle) * sign
    warps[:, 1, 0], warps[:, 1, 1] = np.sin(angle), np.cos(angle) * sign
    return warps / zoom_of(steps)[:, None, None], correlation


def refine_warps(
    first: np.ndarray, second: np.ndarray, warps: np.ndarray, rounds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lays each first picture on the second more exactly: Gauss-Newton, forwards and composed.

    It is that of Baker and Matthews (2004), "Lucas-Kanade 20 Years On", for an affine warp, with
    contrast and brightness as two more unknowns.

    Args:
        first: float32 (m, any, any), grey values.
        second: float32 (m, side, side), grey values.
        warps: float64 (m, 2, 3).
        rounds: steps that are taken.

    Returns:
        float64 (m, 2, 3), warps; and float64 (m,), how the pictures differ in the middle, √(2 − 2
        correlation): 0 for equal ones, about 1.4 for unrelated ones.
    """
    side = second.shape[1]
    x, y = places(side)
    inside = np.hypot(x, y) <= DISC
    x, y = x[inside].astype(np.float32), y[inside].astype(np.float32)
    goal = _normalise(second[:, inside])
    for _ in range(rounds):
        shown = sample(first, warps, side)
        down, across = np.gradient(shown, np.float32(2 / side), axis=(1, 2))
        values = _normalise(shown[:, inside])
        scale = 1 / np.maximum(shown[:, inside].std(1, keepdims=True), _TINY)
        across, down = across[:, inside] * scale, down[:, inside] * scale
        one = np.ones_like(across)
        columns = [across * x, across * y, across, down * x, down * y, down, values, one]
        slopes = np.stack(columns, 1)
        # A little on the diagonal, since nothing changes along the edges of a picture of one edge.
        square = slopes @ slopes.transpose(0, 2, 1) + 1e-3 * goal.shape[1] * np.eye(_UNKNOWN)
        step = np.linalg.solve(square, slopes @ (goal - values)[..., None])[:, :6, 0]
        step = np.clip(step, -0.2, 0.2).reshape(-1, 2, 3)
        linear = warps[:, :, :2]
        warps = np.concatenate([linear + linear @ step[:, :, :2], warps[:, :, 2:]], 2)
        warps[:, :, 2:] += linear @ step[:, :, 2:]
    values = _normalise(sample(first, warps, side)[:, inside])
    correlation = (values * goal).mean(1)
    return warps, np.sqrt(np.maximum(0, 2 - 2 * correlation))


def sample(pictures: np.ndarray, warps: np.ndarray, side: int) -> np.ndarray:
    """What pictures have at the places that warps lead to, mixed of the four nearest pixels.

    Args:
        pictures: float32 (m, own, own) or (m, own, own, channels).
        warps: float64 (m, 2, 3).
        side: of the result, pixels.

    Returns:
        float32 (m, side, side) or (m, side, side, channels); beyond an edge, what is at the edge.
    """
    own = pictures.shape[1]
    across, down = places(side)
    grid = np.stack([across.ravel(), down.ravel(), np.ones(side * side)])
    where = np.clip((warps @ grid + 1) * own / 2 - 0.5, 0, own - 1).astype(np.float32)
    start = np.minimum(where.astype(np.int32), own - 2)
    (x, y), (left, top) = (np.moveaxis(values, 1, 0) for values in (where - start, start))
    flat = pictures.reshape(len(pictures) * own * own, math.prod(pictures.shape[3:]))
    first = (np.arange(len(pictures))[:, None] * own + top) * own + left
    mixed = 0
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = (y if i else 1 - y) * (x if j else 1 - x)
        mixed = mixed + flat[first + i * own + j] * share[..., None]
    return mixed.reshape(len(pictures), side, side, *pictures.shape[3:])


def soften(values: np.ndarray) -> np.ndarray:
    """Each value mixed with its neighbours, 1-2-1 across and down: (m, side, side, …)."""
    for axis in (1, 2):
        along = np.moveaxis(values, axis, 0)
        mixed = 2 * along
        mixed[1:] += along[:-1]
        mixed[:-1] += along[1:]
        # At an edge a value is its own neighbour.
        mixed[0] += along[0]
        mixed[-1] += along[-1]
        mixed /= 4
        values = np.moveaxis(mixed, 0, axis)
    return values


def places(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Across and down, the places of the pixels of a square: float64 (side, side), −1 to 1."""
    along = (np.arange(side) + 0.5) * 2 / side - 1
    across, down = np.meshgrid(along, along)
    return across, down


def _normalise(values: np.ndarray) -> np.ndarray:
    """Each row with a mean of 0 and a deviation of 1, or all 0: (m, values)."""
    centred = values - values.mean(1, keepdims=True)
    return centred / np.maximum(centred.std(1, keepdims=True), _TINY)


def name_change(warp: np.ndarray) -> str:
    """What was done to a picture, such as "mirrored and turned by 15°"; "near" if nothing was.

    Args:
        warp: float64 (2, 3).
    """
    (a, b), (c, d) = warp[:, :2]
    mirrored = a * d - b * c < 0
    # What is mirrored is so from left to right, then turned.
    angle = np.degrees(np.arctan2(-c, -a) if mirrored else np.arctan2(c, a))
    zoom = 1 / np.sqrt(max(abs(a * d - b * c), _TINY))
    turn = abs(round(angle))
    words = ["mirrored"] if mirrored else []
    words += [f"turned by {turn}°"] if turn >= 2 else []
    words += (
        [f"enlarged by {100 * (max(zoom, 1 / zoom) - 1):.0f} %"] if abs(zoom - 1) > 0.04 else []
    )
    return " and ".join(words) or "near"


def _energy(series: np.ndarray) -> np.ndarray:
    power = (np.abs(series) ** 2).sum(1)
    return power[:, 0] + 2 * power[:, 1:].sum(1)
