"""Train a new head over the features."""

import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from graft.common.errors import refuse
from graft.common.numbers import say_percent
from graft.common.stage import Stage
from graft.head.construction import dense_head
from graft.judging.calibration import calibrate
from graft.judging.losses import weigh_images
from graft.linear.folds import INDIVISIBLE
from graft.linear.linear import LINEAR_STEPS, LinearRule, fit_linear
from graft.linear.standardising import find_moments, standardise
from graft.models.framework import keras
from graft.models.layers import scale_logits
from graft.models.stacks import VECTOR_KINDS, read_stack
from graft.parts.rows import Rows, read_features, read_units
from graft.training.batches import Batches
from graft.training.loop import best_epoch, compile_model, fit
from graft.training.results import Result, write_trained
from graft.training.steps import Steps, predict_rows

# Of an epoch of a dense head at least. With few images a step or two would be an epoch, and the
# training would end before it has begun.
_STEPS = 30
_NAMES = {"logistic": "logistic regression", "svm": "support vector machine"}


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

    model: keras.Model
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
    learn = train_dense if stage["head.kind"] == "dense" else train_linear
    seeds = range(stage["head.seed"], stage["head.seed"] + stage["head.repeats"])
    trained = {seed: learn(stage, data, seed) for seed in seeds}
    results = [_calibrate(stage, data, seed, head) for seed, head in trained.items()]
    (_, (model, _, more)), *others = trained.items()
    learned = sum(weight.shape.num_elements() for weight in model.trainable_weights)
    counts = {"parameters": model.count_params(), "trained": learned}
    write_trained(stage, "head", model, data.parts, results, counts, more)
    weights = {
        f"{seed}/{number}": weight
        for seed, head in others
        for number, weight in enumerate(head.model.get_weights())
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


def _calibrate(stage: Stage, data: HeadData, seed: int, head: TrainedHead) -> Result:
    """Multiplies the logits of a head by what suits the validation part, and judges it."""
    parts = [data.parts[name] for name in ("valid", "test")]
    valid, test = (predict_rows(head.model, _batches(stage, part)) for part in parts)
    labels, learned = parts[0].labels, np.unique(data.parts["train"].labels)
    scale = calibrate(valid(), labels, weigh_images(labels, stage["head.class_weight"]), learned)
    scale_logits(head.model, scale)
    best = best_epoch(head.history, stage["head.monitor"])
    return Result(seed, head.history, best, scale, valid(), test())


def train_dense(stage: Stage, data: HeadData, seed: int) -> TrainedHead:
    """Trains a dense head by gradient descent, and stops by the validation part.

    Raises:
        UserError: the loss is not a finite number.
    """
    keras.utils.set_random_seed(seed)
    train, valid = data.parts["train"], data.parts["valid"]
    stack, classes = read_stack(stage["head.stack"], VECTOR_KINDS), len(train.classes)
    model = dense_head(data.mean, data.variance, stack, stage["head.output"], classes)
    optimizer = getattr(keras.optimizers, stage["head.optimizer"])(stage["head.learning_rate"])
    compile_model(model, optimizer, stage["head.label_smoothing"])
    batches = _batches(stage, train, seed, _STEPS), _batches(stage, valid)
    history = fit("head", stage, model, *batches, stage.scratch, f"seed-{seed}")
    return TrainedHead(model, history, {})


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
    model = dense_head(data.mean, data.variance, (), "softmax", rule.classes)
    scale = fitted.scores.scale  # which makes logits of margins
    model.layers[-1].set_weights([scale * fitted.kernel, scale * fitted.bias])
    compile_model(model, keras.optimizers.SGD())  # to be evaluated
    row, steps = {"epoch": 1}, Steps(model)
    for prefix, name in {"": "train", "val_": "valid"}.items():
        found = steps.test(_batches(stage, data.parts[name]))
        row |= {f"{prefix}{key}": found[key] for key in ("loss", "accuracy")}
    more = {"regularisation": float(f"{c:.6g}"), "cv_accuracy": round(accuracy, 6)}
    return TrainedHead(model, pd.DataFrame([row]), more)


def _batches(stage: Stage, part: Rows, seed: int | None = None, least: int = 1) -> Batches:
    return Batches(part, stage["head.batch"], seed, stage["head.class_weight"], least)
