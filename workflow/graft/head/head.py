"""Train a new head over the features."""

import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from graft.common.errors import refuse
from graft.common.numbers import say_percent
from graft.common.stage import Stage
from graft.head.construction import dense_head, linear_head
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
from graft.training.results import (
    Result,
    describe_model,
    summarise_validation,
    tabulate_seeds,
    write_results,
)
from graft.training.steps import Steps, predict_rows

# Of an epoch of a dense head at least. With few images a step or two would be an epoch, and the
# training would end before it has begun.
_STEPS = 30
_NAMES = {"logistic": "logistic regression", "svm": "support vector machine"}


class HeadData(NamedTuple):
    """What a head is trained and judged on.

    Attributes:
        train: with the views of the images.
        images: how many of `train` are images; those come first.
        valid: of the same columns, as is `test`.
        mean: float32 (d,), of `train`.
        variance: float32 (d,), by whose root features are divided.
    """

    train: Rows
    images: int
    valid: Rows
    test: Rows
    mean: np.ndarray
    variance: np.ndarray


class TrainedHead(NamedTuple):
    """The result of one seed.

    Attributes:
        model: from float32 (batch, d) to float32 (batch, classes), probabilities.
        history: a row an epoch: epoch, loss, accuracy, val_loss, val_accuracy.
        best: the epoch whose weights the model has.
        more: what `training.json` says besides.
    """

    model: keras.Model
    history: pd.DataFrame
    best: int
    more: Mapping[str, float]


def main(stage: Stage) -> None:
    """Writes the head, from features to class probabilities, and how it was trained.

    `repeats.npz` has the weights of the heads of all other seeds, by seed and number: each is where
    a fine-tuning with another seed starts from.

    Raises:
        UserError: the output does not suit the number of classes, the training diverges, or the
            images of the training part cannot be divided to choose the regularisation.
    """
    data, class_weight = _read(stage), stage["head.class_weight"]
    learn = train_dense if stage["head.kind"] == "dense" else train_linear
    seeds = range(stage["head.seed"], stage["head.seed"] + stage["head.repeats"])
    trained = [learn(stage, data, seed) for seed in seeds]
    scales = [_calibrate(stage, data, each.model) for each in trained]
    results = [
        Result(seed, each.history, each.best, *_predict(stage, each.model, data.valid, data.test))
        for seed, each in zip(seeds, trained, strict=True)
    ]
    first, result = trained[0], results[0]
    summary = {
        "parameters": first.model.count_params(),
        "trained": sum(weight.shape.num_elements() for weight in first.model.trainable_weights),
        "epochs": len(first.history),
        "best_epoch": first.best,
        **summarise_validation(result, data.valid.labels, class_weight, scales[0]),
        **first.more,
    }
    labels = {"valid": data.valid.labels, "test": data.test.labels}
    table = tabulate_seeds(results, labels, class_weight)
    about = describe_model(stage, "features", data.test, result.test, summary["temperature"])
    write_results(stage, "head", first.model, about, first.history, table, summary)
    others = zip(seeds[1:], trained[1:], strict=True)
    weights = {
        f"{seed}/{number}": weight
        for seed, each in others
        for number, weight in enumerate(each.model.get_weights())
    }
    with stage.output("data/models/repeats.npz").open("wb") as file:
        np.savez(file, **weights)


def _calibrate(stage: Stage, data: HeadData, model: keras.Model) -> float:
    """Multiplies the logits of a head by what suits the validation part: the factor."""
    (outputs,), labels = _predict(stage, model, data.valid), data.valid.labels
    weights = weigh_images(labels, stage["head.class_weight"])
    scale = calibrate(outputs, labels, weights, np.unique(data.train.labels))
    scale_logits(model, scale)
    return scale


def _predict(stage: Stage, model: keras.Model, *parts: Rows) -> list[np.ndarray]:
    return [predict_rows(model, _batches(stage, part))() for part in parts]


def _read(stage: Stage) -> HeadData:
    parts = read_features(stage)
    train, classes = parts["train"], len(parts["train"].classes)
    if stage["head.output"] == "sigmoid" and classes != 2:
        allowed = f"softmax for {classes} classes; sigmoid is one unit for two"
        raise refuse("params.yaml: head.output", allowed, "sigmoid")
    views = train.with_views(stage.input("data/views/features.npy"))
    return HeadData(views, len(train), parts["valid"], parts["test"], *find_moments(views))


def train_dense(stage: Stage, data: HeadData, seed: int) -> TrainedHead:
    """Trains a dense head by gradient descent, and stops by the validation part.

    Raises:
        UserError: the loss is not a finite number.
    """
    keras.utils.set_random_seed(seed)
    stack, classes = read_stack(stage["head.stack"], VECTOR_KINDS), len(data.train.classes)
    model = dense_head(data.mean, data.variance, stack, stage["head.output"], classes)
    optimizer = getattr(keras.optimizers, stage["head.optimizer"])(stage["head.learning_rate"])
    compile_model(model, optimizer, stage["head.label_smoothing"])
    batches = _batches(stage, data.train, seed, _STEPS), _batches(stage, data.valid)
    history = fit("head", stage, model, *batches, stage.scratch, f"seed-{seed}")
    return TrainedHead(model, history, best_epoch(history, stage["head.monitor"]), {})


def train_linear(stage: Stage, data: HeadData, seed: int) -> TrainedHead:
    """Fits a linear head, which has no epochs: its history is one row.

    Raises:
        UserError: the images cannot be divided into folds.
    """
    kind, images, classes = stage["head.kind"], data.images, len(data.train.classes)
    units = read_units(stage.input("data/units.csv"), data.train.ids[:images])
    features = standardise(data.train, data.mean, data.variance)
    rule = LinearRule(kind, classes, stage["head.class_weight"], seed)
    fitted = fit_linear(rule, features, data.train.labels[:images], units)
    if fitted is None:
        raise refuse("params.yaml: head.kind", f"dense: {INDIVISIBLE}", kind)
    c, accuracy = fitted.scores.regularisation, float(fitted.scores.right.mean())
    print(f"head: {_NAMES[kind]} with C {c:.3g}, {say_percent(accuracy)} in cross-validation")
    if not fitted.converged:
        print(f"head: warning: not converged after {LINEAR_STEPS:,} steps", file=sys.stderr)
    model = linear_head(data.mean, data.variance, fitted)
    compile_model(model, keras.optimizers.SGD())  # to be evaluated
    row, steps = {"epoch": 1}, Steps(model)
    for prefix, part in {"": data.train, "val_": data.valid}.items():
        found = steps.test(_batches(stage, part))
        row |= {f"{prefix}{name}": found[name] for name in ("loss", "accuracy")}
    more = {"regularisation": float(f"{c:.6g}"), "cv_accuracy": round(accuracy, 6)}
    return TrainedHead(model, pd.DataFrame([row]), 1, more)


def _batches(stage: Stage, part: Rows, seed: int | None = None, least: int = 1) -> Batches:
    return Batches(part, stage["head.batch"], seed, stage["head.class_weight"], least)
