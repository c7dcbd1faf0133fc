"""Train a new head over the features."""

import json
import sys
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from graft import folds, repeats, stacks
from graft.atomic import whole
from graft.errors import refuse
from graft.moments import moments, standardise
from graft.rows import Rows, columns, rows
from graft.stage import Stage

NAMES = {"logistic": "logistic regression", "svm": "support vector machine"}


class Parts(NamedTuple):
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


class Trained(NamedTuple):
    """What came of one seed.

    Attributes:
        model: from float32 (batch, d) to float32 (batch, classes), probabilities.
        history: a row an epoch: epoch, loss, accuracy, val_loss, val_accuracy.
        best: the epoch whose weights the model has.
        more: what `training.json` says besides.
    """

    model: Any
    history: pd.DataFrame
    best: int
    more: dict[str, float]


def main(arguments: list[str]) -> None:
    """Writes the head, from features to class probabilities, and how it came about.

    Raises:
        UserError: the output does not suit the number of classes, the training diverges, or the
            images of the training part cannot be divided to choose the regularisation.
    """
    stage = Stage("head", arguments)
    parts = read(stage)
    learn = train if stage["head.kind"] == "dense" else fit
    table, first = [], None
    for seed in range(stage["head.seed"], stage["head.seed"] + stage["head.repeats"]):
        trained = learn(stage, parts, seed)
        outputs = trained.model.predict(_batches(stage, parts.test), verbose=0)
        labels = parts.test.labels
        table.append(repeats.row(seed, trained.history, trained.best, outputs, labels))
        first = first or trained
    from graft import models, training

    made = [stage.output(f"models_head_{suffix}") for suffix in ("keras", "xml", "bin")]
    told = [stage.output(f"head_{name}") for name in ("history_csv", "repeats_csv")]
    summary = stage.output("head_training_json")
    with whole(*made, *told, summary) as (network, graph, _, history, seeds, text):
        models.save(first.model, network)
        models.save_graph(first.model, graph)
        training.write_history(history, first.history)
        repeats.write(seeds, table)
        text.write_text(json.dumps(summarise(first), indent=1) + "\n", encoding="utf-8")


def read(stage: Stage) -> Parts:
    """The features that the stage `depth` has chosen.

    Raises:
        UserError: the output does not suit the number of classes.
    """
    files = (
        stage.input("split_csv"),
        stage.inputs("tensors_csv"),
        stage.inputs("features_npy"),
        stage["dataset.classes"],
    )
    chosen = columns(stage.input("depth_layer_json"))
    own, valid, test = (
        rows(part, *files).of_columns(chosen) for part in ("train", "valid", "test")
    )
    if stage["head.output"] == "sigmoid" and len(own.classes) != 2:
        allowed = f"softmax for {len(own.classes)} classes; sigmoid is one unit for two"
        raise refuse("params.yaml: head.output", allowed, "sigmoid")
    views = own.with_views(stage.input("views_features_npy"))
    return Parts(views, len(own), valid, test, *moments(views))


def train(stage: Stage, parts: Parts, seed: int) -> Trained:
    """Trains a dense head by gradient descent, and stops by the validation part.

    Raises:
        UserError: the loss is not a finite number.
    """
    from graft import heads, optimizers, training
    from graft.framework import keras

    keras.utils.set_random_seed(seed)
    model = heads.dense(
        parts.mean,
        parts.variance,
        stacks.read(stage["head.stack"], stacks.VECTORS),
        stage["head.output"],
        len(parts.train.classes),
    )
    rate, monitor = stage["head.learning_rate"], stage["head.monitor"]
    optimizer = optimizers.plain(stage["head.optimizer"], rate)
    training.compile(model, optimizer, stage["head.label_smoothing"])
    history = training.fit(
        "head",
        model,
        _batches(stage, parts.train, seed),
        _batches(stage, parts.valid),
        stage["head.epochs"],
        stage["head.patience"],
        {"head.learning_rate": rate},
        monitor,
    )
    return Trained(model, history, training.best_epoch(history, monitor), {})


def fit(stage: Stage, parts: Parts, seed: int) -> Trained:
    """Fits a linear head, which knows no epochs: its history is one row.

    Raises:
        UserError: the images cannot be divided into folds.
    """
    from graft import linear

    kind, images = stage["head.kind"], parts.images
    fitted = linear.fit(
        kind,
        standardise(parts.train, parts.mean, parts.variance),
        parts.train.labels[:images],
        len(parts.train.classes),
        folds.units(stage.input("units_csv"), parts.train.ids[:images]),
        stage["head.class_weight"],
        seed,
    )
    if fitted is None:
        allowed = "dense: there is no way to divide the training part that keeps together what"
        allowed += " belongs together and has two classes on both sides"
        raise refuse("params.yaml: head.kind", allowed, kind)
    c = f"C {fitted.regularisation:.3g}"
    print(f"head: {NAMES[kind]} with {c}, {100 * fitted.cv_accuracy:.1f} % in cross-validation")
    if not fitted.converged:
        print(f"head: warning: it had not converged after {linear.STEPS:,} steps", file=sys.stderr)
    from graft import heads, optimizers, training

    model = heads.linear(parts.mean, parts.variance, fitted)
    training.compile(model, optimizers.plain("SGD", 1.0))  # to be evaluated
    row: dict[str, float] = {"epoch": 1}
    for prefix, part in {"": parts.train, "val_": parts.valid}.items():
        found = model.evaluate(_batches(stage, part), verbose=0, return_dict=True)
        row |= {f"{prefix}{name}": found[name] for name in ("loss", "accuracy")}
    return Trained(
        model,
        pd.DataFrame([row]),
        best=1,
        more={
            "regularisation": float(f"{fitted.regularisation:.6g}"),
            "cv_accuracy": round(fitted.cv_accuracy, 6),
        },
    )


def summarise(trained: Trained) -> dict[str, float | int]:
    """What `training.json` says."""
    model, history, best, more = trained
    row = history.set_index("epoch").loc[best]
    return {
        "parameters": model.count_params(),
        "trained": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        "epochs": len(history),
        "best_epoch": best,
        **{name: round(float(row[name]), 6) for name in ("val_loss", "val_accuracy")},
        **more,
    }


def _batches(stage: Stage, part: Rows, seed: int | None = None):
    from graft.training import Batches

    return Batches(part, stage["head.batch"], seed, stage["head.class_weight"])
