"""The weights of a linear classifier: SciPy's L-BFGS, with all directions brought to one scale.

Features of a network vary a thousand times more along some directions than along others, and an
optimiser takes as many more steps. Along their principal axes the curvature of the loss is nearly
known beforehand: it is the mean square of the features times that of the loss in its outputs, and
the penalty. Divided by its root all directions are alike, and a fit needs some 15 steps in place of
100, to the same weights.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from graft.linear.axes import Axes

LINEAR_STEPS = 10_000  # of an optimiser
_LEAST = 1e-3  # curvature: where all rows are right it would be none

# Of outputs (n, classes) and labels (n,): losses (n,), slopes and curvatures (n, classes).
Loss = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


class Weights(NamedTuple):
    """What was fitted.

    Attributes:
        kernel: float64 (d, classes).
        bias: float64 (classes,).
        converged: whether the optimiser arrived within LINEAR_STEPS steps.
    """

    kernel: np.ndarray
    bias: np.ndarray
    converged: bool = True


class Penalty(NamedTuple):
    """What is added to the mean loss.

    Attributes:
        strength: times half of the squared kernel.
        of_bias: whether the bias is penalised, too.
    """

    strength: float
    of_bias: bool


def lose_logistic(outputs: np.ndarray, labels: np.ndarray):
    """The log loss of the softmax of outputs, its slopes and curvatures."""
    logs, rows = log_softmax(outputs, axis=1), np.arange(len(labels))
    probabilities = np.exp(logs)
    slopes = probabilities.copy()
    slopes[rows, labels] -= 1
    return -logs[rows, labels], slopes, probabilities * (1 - probabilities)


def lose_hinge(outputs: np.ndarray, labels: np.ndarray):
    """The squared hinge of each class against the rest, its slopes and curvatures."""
    signs = np.full(outputs.shape, -1.0)
    signs[np.arange(len(labels)), labels] = 1
    short = np.maximum(0, 1 - signs * outputs)
    return (short**2).sum(1), -2 * signs * short, 2.0 * (short > 0)


def fit_weights(
    lose: Loss,
    features: np.ndarray,
    labels: np.ndarray,
    importance: np.ndarray,
    penalty: Penalty,
    axes: Axes,
    start: Weights,
    tolerance: float,
) -> Weights:
    """Minimises the mean loss and the penalty.

    Args:
        lose: the loss.
        features: float32 or float64 (n, d); the products with them are of this dtype.
        labels: int64 (n,).
        importance: float64 (n,), the weights of the rows, of a mean of 1.
        penalty: of the weights.
        axes: of the features, or of some of them. Where their basis is None, the features are
            coordinates along them.
        start: from where.
        tolerance: the largest slope in the scaled weights at which the optimiser has arrived.
    """
    n = len(labels)
    share = importance / n

    def answer(kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return (features @ kernel.astype(features.dtype)).astype(np.float64) + bias

    *_, curvatures = lose(answer(start.kernel, start.bias), labels)
    curvature = max(float(share @ curvatures.mean(1)), _LEAST)
    factors = 1 / np.sqrt(curvature * axes.squares + penalty.strength)
    rest = 1 / np.sqrt(penalty.strength)  # where the rows do not reach
    own = penalty.strength if penalty.of_bias else 0.0
    factor = 1 / np.sqrt(curvature + own)

    def evaluate(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = scaled.reshape(-1, len(start.bias))
        kernel, bias = _scale(axes, factors, rest, scaled[:-1]), factor * scaled[-1]
        losses, slopes, _ = lose(answer(kernel, bias), labels)
        slopes *= share[:, None]
        steep = (features.T @ slopes.astype(features.dtype)).astype(np.float64)
        steep = _scale(axes, factors, rest, steep + penalty.strength * kernel)
        steep_bias = factor * (slopes.sum(0) + own * bias)
        cost = penalty.strength * np.vdot(kernel, kernel) + own * np.vdot(bias, bias)
        return float(share @ losses + cost / 2), np.vstack([steep, steep_bias]).ravel()

    first = _scale(axes, 1 / factors, 1 / rest, start.kernel)
    first = np.vstack([first, start.bias / factor]).ravel()
    options = {"maxiter": LINEAR_STEPS, "gtol": tolerance, "ftol": 1e-14}
    found = minimize(evaluate, first, jac=True, method="L-BFGS-B", options=options)
    scaled = found.x.reshape(-1, len(start.bias))
    kernel = _scale(axes, factors, rest, scaled[:-1])
    return Weights(kernel, factor * scaled[-1], found.nit < LINEAR_STEPS)


def _scale(axes: Axes, factors: np.ndarray, rest: float, values: np.ndarray) -> np.ndarray:
    """Values (d, classes) times `factors` along the axes, and times `rest` across them."""
    if axes.basis is None:
        return factors[:, None] * values
    along = (factors - rest)[:, None] * (axes.basis.T @ values)
    return rest * values + axes.basis @ along
