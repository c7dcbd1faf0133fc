"""Train a new head over the features."""

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from graft.common.errors import refuse
from graft.common.stage import Stage
from graft.common.tables import write_json
from graft.head.folds import read_units
from graft.head.standardising import find_moments, standardise
from graft.models.stacks import VECTOR_KINDS, read_stack
from graft.training.repeats import repeat_row, write_repeats
from graft.training.rows import Rows, read_features

if TYPE_CHECKING:
    from graft.models.framework import keras
    from graft.training.loop import Batches

_NAMES = {"logistic": "logistic regression", "svm": "support vector machine"}


@dataclass(frozen=True)
class HeadData:
    """What a head is trained and judged on.

    Attributes:
        train: with the changed copies of the images.
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


@dataclass(frozen=True)
class TrainedHead:
    """The result of one seed.

    Attributes:
        model: from float32 (batch, d) to float32 (batch, classes), probabilities.
        history: a row an epoch: epoch, loss, accuracy, val_loss, val_accuracy.
        best: the epoch whose weights the model has.
        more: what `training.json` says besides.
    """

    model: "keras.Model"
    history: pd.DataFrame
    best: int
    more: dict[str, float] = field(default_factory=dict)


def main(stage: Stage) -> None:
    """Writes the head, from features to class probabilities, and how it was trained.

    Raises:
        UserError: the output does not suit the number of classes, the training diverges, or the
            images of the training part cannot be divided to choose the regularisation.
    """
    data = _read(stage)
    learn = train_dense if stage["head.kind"] == "dense" else train_linear
    table, first = [], None
    for seed in range(stage["head.seed"], stage["head.seed"] + stage["head.repeats"]):
        trained = learn(stage, data, seed)
        outputs = trained.model.predict(_batches(stage, data.test), verbose=0)
        table.append(repeat_row(seed, trained.history, trained.best, outputs, data.test.labels))
        first = first or trained
    from graft.models.saving import save_graph, save_model
    from graft.training.loop import write_history

    save_model(first.model, stage.output("data/models/head.keras"))
    save_graph(first.model, stage.output("data/models/head.xml"))
    write_history(stage.output("reports/head/history.csv"), first.history)
    write_repeats(stage.output("reports/head/repeats.csv"), table)
    write_json(stage.output("reports/head/training.json"), _summarise(first))


def _read(stage: Stage) -> HeadData:
    parts = read_features(stage)
    train, classes = parts["train"], parts["train"].classes
    if stage["head.output"] == "sigmoid" and len(classes) != 2:
        allowed = f"softmax for {len(classes)} classes; sigmoid is one unit for two"
        raise refuse("params.yaml: head.output", allowed, "sigmoid")
    views = train.with_views(stage.input("data/views/features.npy"))
    return HeadData(views, len(train), parts["valid"], parts["test"], *find_moments(views))


def train_dense(stage: Stage, data: HeadData, seed: int) -> TrainedHead:
    """Trains a dense head by gradient descent, and stops by the validation part.

    Raises:
        UserError: the loss is not a finite number.
    """
    from graft.head.construction import dense_head
    from graft.models.framework import keras
    from graft.training.loop import best_epoch, compile_model, fit
    from graft.training.optimizers import constant_rate

    keras.utils.set_random_seed(seed)
    model = dense_head(
        data.mean,
        data.variance,
        read_stack(stage["head.stack"], VECTOR_KINDS),
        stage["head.output"],
        len(data.train.classes),
    )
    rate, monitor = stage["head.learning_rate"], stage["head.monitor"]
    optimizer = constant_rate(stage["head.optimizer"], rate)
    compile_model(model, optimizer, stage["head.label_smoothing"])
    history = fit(
        "head",
        model,
        _batches(stage, data.train, seed),
        _batches(stage, data.valid),
        stage["head.epochs"],
        stage["head.patience"],
        {"head.learning_rate": rate},
        monitor,
    )
    return TrainedHead(model, history, best_epoch(history, monitor))


def train_linear(stage: Stage, data: HeadData, seed: int) -> TrainedHead:
    """Fits a linear head, which has no epochs: its history is one row.

    Raises:
        UserError: the images cannot be divided into folds.
    """
    from graft.head.linear import LINEAR_STEPS, fit_linear

    kind, images = stage["head.kind"], data.images
    fitted = fit_linear(
        kind,
        standardise(data.train, data.mean, data.variance),
        data.train.labels[:images],
        len(data.train.classes),
        read_units(stage.input("data/units.csv"), data.train.ids[:images]),
        stage["head.class_weight"],
        seed,
    )
    if fitted is None:
        allowed = "dense: the training part cannot be divided so that copies and groups stay"
        allowed += " together and both sides have two classes"
        raise refuse("params.yaml: head.kind", allowed, kind)
    c = f"C {fitted.regularisation:.3g}"
    print(f"head: {_NAMES[kind]} with {c}, {100 * fitted.cv_accuracy:.1f} % in cross-validation")
    if not fitted.converged:
        print(f"head: warning: not converged after {LINEAR_STEPS:,} steps", file=sys.stderr)
    from graft.head.construction import linear_head
    from graft.training.loop import compile_model
    from graft.training.optimizers import constant_rate

    model = linear_head(data.mean, data.variance, fitted)
    compile_model(model, constant_rate("SGD", 1.0))  # to be evaluated
    row: dict[str, float] = {"epoch": 1}
    for prefix, part in {"": data.train, "val_": data.valid}.items():
        found = model.evaluate(_batches(stage, part), verbose=0, return_dict=True)
        row |= {f"{prefix}{name}": found[name] for name in ("loss", "accuracy")}
    more = {
        "regularisation": float(f"{fitted.regularisation:.6g}"),
        "cv_accuracy": round(fitted.cv_accuracy, 6),
    }
    return TrainedHead(model, pd.DataFrame([row]), 1, more)


def _summarise(trained: TrainedHead) -> dict[str, float | int]:
    """What `training.json` says."""
    row = trained.history.set_index("epoch").loc[trained.best]
    weights = trained.model.trainable_weights
    return {
        "parameters": trained.model.count_params(),
        "trained": sum(int(np.prod(weight.shape)) for weight in weights),
        "epochs": len(trained.history),
        "best_epoch": trained.best,
        **{name: round(float(row[name]), 6) for name in ("val_loss", "val_accuracy")},
        **trained.more,
    }


def _batches(stage: Stage, part: Rows, seed: int | None = None) -> "Batches":
    from graft.training.loop import Batches

    return Batches(part, stage["head.batch"], seed, stage["head.class_weight"])
