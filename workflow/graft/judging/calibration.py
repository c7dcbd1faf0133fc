"""One factor for the logits, by which a model's confidence becomes what it is worth.

It is the inverse of the temperature of Guo et al. (2017, arXiv:1706.04599). It changes no order of
the classes and so no accuracy.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

_POWERS = (-2.0, 2.0)  # of ten: the least and the greatest factor
_LEAST = 1e-30  # probability: the logarithm of 0 would be none
# How far temperatures are from 1, in natural logarithms, before anything is known: a factor of two
# in two thirds of models. A few images cannot say more.
_SPREAD = np.log(2)


def fit_scale(margins: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The factor by which margins of any size become the logits with the lowest log loss.

    One image more is counted as mistaken for the class that comes next, so that no factor is beyond
    all bounds where all are right (Platt 1999 does likewise with the labels).

    Args:
        margins: float64 (n, classes), of images that were not learned from.
        labels: int64 (n,).
        weights: float64 (n,), of the images.
    """
    rows = np.arange(len(labels))
    others = margins.copy()
    others[rows, labels] = -np.inf
    next_ = others.argmax(1)

    def loss(scale: float) -> float:
        logs = log_softmax(scale * margins, axis=1)
        mistaken = np.average(logs[rows, next_], weights=weights)
        return -(weights @ logs[rows, labels] / weights.mean() + mistaken)

    return _minimise(loss, len(labels))


def calibrate(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray, learned: np.ndarray
) -> float:
    """The factor for the logits of a model, fitted on the validation part.

    It has the lowest log loss, but for a pull to 1: with few images little is known of it.

    Args:
        probabilities: float (n, classes), of the validation part.
        labels: int64 (n,).
        weights: float64 (n,), of the images.
        learned: int (k,), the classes that were learned from. An image of another one would say
            that no confidence is ever right.
    """
    own = np.isin(labels, learned)
    if not own.any():
        return 1.0
    logits, labels, weights = as_logits(probabilities[own]), labels[own], weights[own]
    rows = np.arange(len(labels))

    def loss(scale: float) -> float:
        logs = log_softmax(scale * logits, axis=1)[rows, labels]
        return -weights @ logs / weights.mean() + (np.log(scale) / _SPREAD) ** 2 / 2

    return _minimise(loss, len(labels))


def as_logits(probabilities: np.ndarray) -> np.ndarray:
    """Logits whose softmax the probabilities are, float64 (n, classes)."""
    return np.log(np.maximum(probabilities.astype(np.float64), _LEAST))


def rescale(probabilities: np.ndarray, scale: float) -> np.ndarray:
    """The probabilities once the logits are multiplied by a factor, float64 (n, classes)."""
    return softmax(scale * as_logits(probabilities), axis=1)


def _minimise(loss: Callable[[float], float], n: int) -> float:
    """The factor with the lowest loss, a sum over n images."""
    found = minimize_scalar(lambda power: loss(10**power) / n, bounds=_POWERS, method="bounded")
    return float(10**found.x)
