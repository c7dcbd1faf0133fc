"""How far from the head on the pretrained network to the fine-tuned weights a model goes.

Weights between the two are often better than either (WiSE-FT, Wortsman et al. 2022,
arXiv:2109.01903), and validation is too small to trust its favourite: among many models the best
one is partly lucky. So the smallest step is taken that does as well as the best one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from graft.judging.calibration import calibrate, rescale
from graft.judging.losses import choose_step, cross_entropies, standard_error
from graft.models.framework import keras
from graft.training.batches import Batches
from graft.training.histories import STEP_COLUMNS
from graft.training.steps import predict_rows

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


class Judges(NamedTuple):
    """By what models are judged: the validation part.

    Attributes:
        batches: of its rows, in their order.
        labels: int64 (n,).
        weights: float64 (n,), of the images, as in the training.
        units: int64 (n,), equal for images that belong together.
        learned: int (k,), the classes that were learned from.
    """

    batches: Batches
    labels: np.ndarray
    weights: np.ndarray
    units: np.ndarray
    learned: np.ndarray


class Step(NamedTuple):
    """The step that was taken.

    Attributes:
        step: from 0, the start, to 1, the trained weights.
        scale: the factor by which the logits of its model are to be multiplied; 1 for the start,
            which has been calibrated already.
        outputs: float64 (n, classes), of the validation part, with that factor.
        start: the same of the start.
        tried: a row for each step: step; val_loss (nats) and val_accuracy; gain, by how much the
            loss is lower than that of the start, with its standard error; role, `taken` or empty.
    """

    step: float
    scale: float
    outputs: np.ndarray
    start: np.ndarray
    tried: pd.DataFrame


def take_step(
    model: keras.Model,
    start: Sequence[np.ndarray],
    trained: Sequence[np.ndarray],
    judges: Judges,
    steps: Sequence[float] = STEPS,
) -> Step:
    """Tries steps between two sets of weights and leaves the model with those of the one taken.

    Each is judged by plain cross-entropy once its logits are calibrated, since that is how it would
    be used; the start once more, so that no step is better for its temperature alone.

    Args:
        model: from rows to class probabilities.
        start: its weights before the training.
        trained: its weights after it.
        judges: the validation part.
        steps: which are tried, rising from 0.
    """
    _, labels, weights, units, learned = judges
    raw, predict = [], predict_rows(model, judges.batches)
    for step in steps:
        model.set_weights(blend_weights(start, trained, step))
        raw.append(predict())
    scales = [calibrate(one, labels, weights, learned) for one in raw]
    outputs = [rescale(one, scale) for one, scale in zip(raw, scales, strict=True)]
    losses = np.stack([cross_entropies(one, labels) for one in outputs])
    taken = choose_step(losses, units, weights)
    model.set_weights(blend_weights(start, trained, steps[taken]))
    means = np.average(losses, axis=1, weights=weights)
    right = [(one.argmax(1) == labels).mean() for one in outputs]
    gains, several = losses[0] - losses, len(np.unique(units)) > 1
    errors = [standard_error(gain, units, weights) if several else np.nan for gain in gains]
    roles = ["taken" if n == taken else "" for n in range(len(steps))]
    columns = steps, means, right, means[0] - means, errors, roles
    tried = pd.DataFrame(dict(zip(STEP_COLUMNS, columns, strict=True))).round(6)
    if not taken:
        return Step(0.0, 1.0, raw[0], raw[0], tried)
    return Step(steps[taken], scales[taken], outputs[taken], raw[0], tried)


def blend_weights(
    start: Sequence[np.ndarray], trained: Sequence[np.ndarray], step: float
) -> list[np.ndarray]:
    """The weights at a step from 0, the start, to 1, the trained ones."""
    pairs = zip(start, trained, strict=True)
    return [one + np.float32(step) * (other - one) for one, other in pairs]
