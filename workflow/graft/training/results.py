"""What the stages `head` and `finetune` write about their trainings, and their models."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from graft.common.stage import Stage
from graft.common.tables import read_json, write_json, write_table
from graft.judging.calibration import rescale
from graft.judging.losses import accuracy_and_loss
from graft.judging.unit_counts import count_units
from graft.models.description import ModelDescription, write_description
from graft.parts.rows import Rows, read_units


class SavedModel(Protocol):
    """A model that can be written, of Keras or not."""

    @property
    def inputs(self) -> str:
        """The name of its input, `pixels` or `features`."""

    def save(self, path: Path) -> None:
        """Saves it as `.keras`."""

    def save_graph(self, path: Path) -> None:
        """Saves it as an OpenVINO graph: `.xml`, with its weights beside it."""


class Result(NamedTuple):
    """The result of a training with one seed.

    Attributes:
        seed: the seed of the training.
        history: a row an epoch: epoch, loss, accuracy, val_loss, val_accuracy; none where nothing
            was trained.
        best: the epoch whose weights the model has; 0 for those that it started from.
        scale: the factor by which the logits were multiplied to calibrate the model.
        valid: float (n, classes), the calibrated outputs on the validation part.
        test: the same on the test part.
    """

    seed: int
    history: pd.DataFrame
    best: int
    scale: float
    valid: np.ndarray
    test: np.ndarray


def judge(probabilities: np.ndarray, labels: np.ndarray, class_weight: str) -> dict[str, float]:
    """val_loss (cross-entropy, nats) and val_accuracy (0–1) on validation, with six decimals.

    Args:
        probabilities: float (n, classes).
        labels: int (n,).
        class_weight: `none` or `balanced`: how images weigh in the loss.
    """
    found = accuracy_and_loss(probabilities, labels, class_weight)
    return {"val_loss": found["log_loss"], "val_accuracy": found["accuracy"]}


def write_trained(
    stage: Stage,
    name: str,
    model: SavedModel,
    parts: Mapping[str, Rows],
    results: Sequence[Result],
    known: Mapping[str, Any],
    more: Mapping[str, Any],
) -> None:
    """Writes a model and how it was trained, as `write_results` does.

    `repeats.csv` has a row a seed: seed; epochs, how many were trained; val_loss (nats) and
    val_accuracy of the model, weighted as in the training; accuracy and log_loss (nats) on the
    test part, as in `metrics.json`.

    `training.json` has of the first seed: epochs, how many were trained; best_epoch, whose weights
    the model has; val_loss and val_accuracy; the temperature by which its logits were divided; and
    uncalibrated_val_loss, that without it.

    Args:
        stage: must declare these outputs, the split, the units, the layer, and the parameters that
            a model's files say.
        name: of the model, `head` or `finetuned`.
        model: trained, of the first seed.
        parts: those that it is judged by, `valid` and `test`.
        results: one for each seed.
        known: what `training.json` says before that.
        more: what it says after that.
    """
    class_weight = stage[f"{stage.address}.class_weight"]
    valid, test, first, rows = parts["valid"].labels, parts["test"], results[0], []
    for result in results:
        row = {"seed": result.seed, "epochs": len(result.history)}
        row |= judge(result.valid, valid, class_weight)
        rows.append(row | accuracy_and_loss(result.test, test.labels))
    description = _describe(stage, model, test, first)
    before = judge(rescale(first.valid, 1 / first.scale), valid, class_weight)
    summary = {
        **known,
        "epochs": len(first.history),
        "best_epoch": first.best,
        **judge(first.valid, valid, class_weight),
        "temperature": description.temperature,
        "uncalibrated_val_loss": before["val_loss"],
        **more,
    }
    write_results(stage, name, model, description, first.history, pd.DataFrame(rows), summary)


def _describe(stage: Stage, model: SavedModel, test: Rows, result: Result) -> ModelDescription:
    """What the files of a model say of it."""
    right = result.test.argmax(1) == test.labels
    units = read_units(stage.input("data/units.csv"), test.ids)
    layer = read_json(stage.input("data/depth/layer.json"))
    data = stage.input("data/split.csv").read_bytes()
    return ModelDescription(
        classes=test.classes,
        inputs=model.inputs,
        side=stage["image.side"],
        fit=stage["image.fit"],
        network=stage["backbone.name"],
        weights=stage["backbone.weights"],
        layer=layer["layer"],
        pooling=layer["pooling"],
        temperature=float(f"{1 / result.scale:.6g}"),
        accuracy=round(float(right.mean()), 6),
        n=len(test),
        units=count_units(right, units),
        data=hashlib.sha256(data).hexdigest(),
        graft=version("graft"),
        background=stage["image.background"],
        white_level=stage["image.white_level"],
    )


def write_results(
    stage: Stage,
    name: str,
    model: SavedModel,
    description: ModelDescription,
    history: pd.DataFrame,
    seeds: pd.DataFrame,
    summary: Mapping[str, Any],
) -> None:
    """Writes a model as `.keras` and as a graph, `history.csv`, `repeats.csv` and `training.json`.

    Args:
        stage: must declare these outputs.
        name: of the model, `head` or `finetuned`.
        model: trained, of the first seed.
        description: what its files say of it.
        history: of its training.
        seeds: the table `repeats.csv`.
        summary: what `training.json` says.
    """
    for save, kind in ((model.save, "keras"), (model.save_graph, "xml")):
        path = stage.output(f"data/models/{name}.{kind}")
        save(path)
        write_description(path, description)
    # Six decimals are more than a person compares, and hide most last digits that another processor
    # changes.
    write_table(stage.output(f"reports/{name}/history.csv"), history.round(6))
    write_table(stage.output(f"reports/{name}/repeats.csv"), seeds)
    write_json(stage.output(f"reports/{name}/training.json"), summary)
