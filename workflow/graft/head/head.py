"""Train a new head over the features."""

import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, Self

import numpy as np
import pandas as pd

from graft.common.errors import refuse
from graft.common.numbers import say_percent
from graft.common.stage import Stage
from graft.head.linear_model import LinearModel
from graft.judging.calibration import calibrate
from graft.judging.losses import accuracy_and_loss, weigh_images
from graft.linear.fitting import LINEAR_STEPS
from graft.linear.folds import INDIVISIBLE
from graft.linear.linear import LinearRule, fit_linear
from graft.linear.standardising import find_moments, standardise
from graft.parts.rows import Rows, read_features, read_units
from graft.training.histories import best_epoch
from graft.training.results import Result, SavedModel, write_trained

_NAMES = {"logistic": "logistic regression", "svm": "support vector machine"}


class HeadModel(SavedModel, Protocol):
    """A head from features to class probabilities, of Keras or not."""

    @property
    def parameters(self) -> int:
        """How many there are."""

    @property
    def trained(self) -> int:
        """How many of them are trained."""

    @property
    def weights(self) -> list[np.ndarray]:
        """All weights, in the order of Keras."""

    def scaled(self, scale: float) -> Self:
        """The model with its logits multiplied by a factor; this one is not used any more."""

    def answer(self, rows: Rows) -> np.ndarray:
        """The probabilities, float32 (n, classes), of features (n, d)."""


class HeadData(NamedTuple):
    """What a head is trained and judged on.

    Attributes:
        parts: train, with the views of the images, valid and test; all of the same columns.
        images: how many of train are images; those come first.
        mean: float32 (d,), of train.
        variance: float32 (d,), by whose root features are divided.
    """

    parts: Mapping[str, Rows]
    images: int
    mean: np.ndarray
    variance: np.ndarray


class TrainedHead(NamedTuple):
    """A head before it is calibrated.

    Attributes:
        model: from float32 (batch, d) to float32 (batch, classes), probabilities.
        history: a row an epoch: epoch, loss, accuracy, val_loss, val_accuracy.
        more: what `training.json` says besides.
    """

    model: HeadModel
    history: pd.DataFrame
    more: Mapping[str, float]


def main(stage: Stage) -> None:
    """Writes the head, from features to class probabilities, and how it was trained.

    `repeats.npz` has the weights of the heads of all other seeds, by seed and number: each is where
    a fine-tuning with another seed starts from.

    Raises:
        UserError: the output does not suit the number of classes, the training diverges, or the
            images of the training part cannot be divided to choose the regularisation.
    """
    data = _read(stage)
    learn = _find_training(stage["head.kind"])
    seeds = range(stage["head.seed"], stage["head.seed"] + stage["head.repeats"])
    found = [_calibrate(stage, data, seed, learn(stage, data, seed)) for seed in seeds]
    results, models, (more, *_) = zip(*found, strict=True)
    first, *others = models
    counts = {"parameters": first.parameters, "trained": first.trained}
    write_trained(stage, "head", first, data.parts, results, counts, more)
    weights = {
        f"{seed}/{number}": weight
        for seed, model in zip(seeds[1:], others, strict=True)
        for number, weight in enumerate(model.weights)
    }
    with stage.output("data/models/repeats.npz").open("wb") as file:
        np.savez(file, **weights)


def _read(stage: Stage) -> HeadData:
    parts = read_features(stage)
    train, classes = parts["train"], len(parts["train"].classes)
    if stage["head.output"] == "sigmoid" and classes != 2:
        allowed = f"softmax for {classes} classes; sigmoid is one unit for two"
        raise refuse("params.yaml: head.output", allowed, "sigmoid")
    views = train.with_views(stage.input("data/views/features.npy"))
    return HeadData({**parts, "train": views}, len(train), *find_moments(views))


def _find_training(kind: str) -> Callable[[Stage, HeadData, int], TrainedHead]:
    if kind != "dense":
        return train_linear
    from graft.head.dense import train_dense  # it imports Keras, which no other kind needs

    def train(stage: Stage, data: HeadData, seed: int) -> TrainedHead:
        moments = data.mean, data.variance
        return TrainedHead(*train_dense(stage, data.parts, moments, seed), {})

    return train


def _calibrate(
    stage: Stage, data: HeadData, seed: int, head: TrainedHead
) -> tuple[Result, HeadModel, Mapping[str, float]]:
    """Multiplies the logits of a head by what suits the validation part, and judges it."""
    valid, test = (data.parts[name] for name in ("valid", "test"))
    labels, learned = valid.labels, np.unique(data.parts["train"].labels)
    weights = weigh_images(labels, stage["head.class_weight"])
    scale = calibrate(head.model.answer(valid), labels, weights, learned)
    model = head.model.scaled(scale)
    best = best_epoch(head.history, stage["head.monitor"])
    answers = model.answer(valid), model.answer(test)
    return Result(seed, head.history, best, scale, *answers), model, head.more


def train_linear(stage: Stage, data: HeadData, seed: int) -> TrainedHead:
    """Fits a linear head, which has no epochs: its history is one row.

    Raises:
        UserError: the images cannot be divided into folds.
    """
    kind, train, images = stage["head.kind"], data.parts["train"], data.images
    units = read_units(stage.input("data/units.csv"), train.ids[:images])
    features = standardise(train, data.mean, data.variance)
    rule = LinearRule(kind, len(train.classes), stage["head.class_weight"], seed)
    fitted = fit_linear(rule, features, train.labels[:images], units)
    if fitted is None:
        raise refuse("params.yaml: head.kind", f"dense: {INDIVISIBLE}", kind)
    c, accuracy = fitted.scores.regularisation, float(fitted.scores.right.mean())
    print(f"head: {_NAMES[kind]} with C {c:.3g}, {say_percent(accuracy)} in cross-validation")
    if not fitted.converged:
        print(f"head: warning: not converged after {LINEAR_STEPS:,} steps", file=sys.stderr)
    weights = (weight.astype(np.float32) for weight in (fitted.kernel, fitted.bias))
    # The scale makes logits of margins.
    model = LinearModel(data.mean, data.variance, *weights).scaled(fitted.scores.scale)
    row: dict[str, float] = {"epoch": 1}
    for prefix, name in {"": "train", "val_": "valid"}.items():
        part = data.parts[name]
        judged = accuracy_and_loss(model.answer(part), part.labels, rule.class_weight)
        row |= {f"{prefix}loss": judged["log_loss"], f"{prefix}accuracy": judged["accuracy"]}
    more = {"regularisation": float(f"{c:.6g}"), "cv_accuracy": round(accuracy, 6)}
    return TrainedHead(model, pd.DataFrame([row]), more)
