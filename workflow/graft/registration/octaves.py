"""How different two pictures are that lie on each other, in coarse and in fine details."""

import numpy as np

from graft.registration.warps import DISC, places, soften

# Details of so many sizes are compared, each twice as large as those before.
_OCTAVES = 4
_TINY = 1e-6


def octave_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The difference as a fraction of the contrast, where each size of details has the same weight.

    Pictures of one kind agree in what is coarse. Only those that are one agree in details too.

    Args:
        first: float32 (m, side, side, 3), the sides at least 32.
        second: the same, lying on the first.

    Returns:
        float64 (m,), √(2 − 2 mean correlation): 0 for equal ones, about 1.4 for unrelated ones.
    """
    pair = [_cut_out(first), _cut_out(second)]
    found = []
    for octave in range(_OCTAVES):
        coarse = [soften(soften(values)) for values in pair]
        last = octave == _OCTAVES - 1
        details = pair if last else [a - b for a, b in zip(pair, coarse, strict=True)]
        one, other = (values.reshape(len(values), -1).astype(float) for values in details)
        lengths = np.sqrt((one**2).sum(1) * (other**2).sum(1))
        found.append((one * other).sum(1) / np.maximum(lengths, _TINY))
        pair = [_halve(values) for values in coarse]
    return np.sqrt(np.maximum(0, 2 - 2 * np.mean(found, 0)))


def _cut_out(pictures: np.ndarray) -> np.ndarray:
    """The disc in the middle, with a mean of 0, and 0 around it.

    What is beyond it, such as corners that a program has filled, would reach into coarse details.
    The finest details are noise of interpolation and compression, and softened.
    """
    inside = np.hypot(*places(pictures.shape[1])) <= DISC
    mean = pictures[:, inside].mean((1, 2))
    return soften(soften((pictures - mean[:, None, None, None]) * inside[..., None]))


def _halve(values: np.ndarray) -> np.ndarray:
    """Means of 2 × 2 values; what is over is left out."""
    side = values.shape[1] // 2 * 2
    even = values[:, :side, :side]
    return (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4
