"""What the stages `head` and `finetune` write about their trainings, and their models."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from graft.common.stage import Stage
from graft.common.tables import read_json, write_json, write_table
from graft.judging.accuracy import accuracy_interval
from graft.judging.calibration import rescale
from graft.judging.losses import accuracy_and_loss
from graft.models.description import ModelDescription, write_description
from graft.models.framework import keras
from graft.models.saving import save_graph, save_model
from graft.parts.rows import Rows, read_units


class Result(NamedTuple):
    """The result of a training with one seed.

    Attributes:
        seed: the seed of the training.
        history: a row an epoch: epoch, loss, accuracy, val_loss, val_accuracy; none where nothing
            was trained.
        best: the epoch whose weights the model has; 0 for those that it started from.
        valid: float (n, classes), the model's outputs on the validation part.
        test: the same on the test part.
    """

    seed: int
    history: pd.DataFrame
    best: int
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


def summarise_validation(
    result: Result, labels: np.ndarray, class_weight: str, scale: float
) -> dict[str, float]:
    """What `training.json` says of the validation part.

    Args:
        result: the calibrated outputs.
        labels: int (n,), of the validation part.
        class_weight: as of `judge`.
        scale: the factor by which the logits were multiplied.

    Returns:
        val_loss and val_accuracy of the model, the temperature by which its logits were divided,
        and uncalibrated_val_loss, that without it.
    """
    before = judge(rescale(result.valid, 1 / scale), labels, class_weight)
    return {
        **judge(result.valid, labels, class_weight),
        "temperature": float(f"{1 / scale:.6g}"),
        "uncalibrated_val_loss": before["val_loss"],
    }


def tabulate_seeds(
    results: Sequence[Result], labels: Mapping[str, np.ndarray], class_weight: str
) -> pd.DataFrame:
    """The table `repeats.csv`, a row a seed.

    Args:
        results: one for each seed.
        labels: int (n,), the true classes of the parts `valid` and `test`.
        class_weight: how the validation images weigh, as in the training.

    Returns:
        Columns seed; epochs, how many were trained; val_loss (nats) and val_accuracy of the model;
        accuracy and log_loss (nats) on the test part, as in `metrics.json`.
    """
    rows = []
    for result in results:
        row = {"seed": result.seed, "epochs": len(result.history)}
        row |= judge(result.valid, labels["valid"], class_weight)
        rows.append(row | accuracy_and_loss(result.test, labels["test"]))
    return pd.DataFrame(rows)


def describe_model(
    stage: Stage, inputs: str, test: Rows, outputs: np.ndarray, temperature: float
) -> ModelDescription:
    """What the files of a model say of it.

    Args:
        stage: must declare the split, the units, the layer, and the parameters that are named.
        inputs: `pixels` or `features`.
        test: the test part.
        outputs: float (n, classes), the model's outputs on it.
        temperature: by which the logits were divided.
    """
    right = outputs.argmax(1) == test.labels
    units = read_units(stage.input("data/units.csv"), test.ids)
    interval = accuracy_interval(right, units)
    layer = read_json(stage.input("data/depth/layer.json"))
    data = stage.input("data/split.csv").read_bytes()
    return ModelDescription(
        classes=test.classes,
        inputs=inputs,
        side=stage["image.side"],
        fit=stage["image.fit"],
        network=stage["backbone.name"],
        weights=stage["backbone.weights"],
        layer=layer["layer"],
        pooling=layer["pooling"],
        temperature=temperature,
        accuracy=round(float(right.mean()), 6),
        accuracy_low=round(interval.low, 6),
        accuracy_high=round(interval.high, 6),
        n=len(test),
        data=hashlib.sha256(data).hexdigest(),
        graft=version("graft"),
    )


def write_results(
    stage: Stage,
    name: str,
    model: keras.Model,
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
        seeds: from `tabulate_seeds`.
        summary: what `training.json` says.
    """
    for save, kind in ((save_model, "keras"), (save_graph, "xml")):
        path = stage.output(f"data/models/{name}.{kind}")
        save(model, path)
        write_description(path, description)
    # Six decimals are more than a person compares, and hide most last digits that another processor
    # changes.
    write_table(stage.output(f"reports/{name}/history.csv"), history.round(6))
    write_table(stage.output(f"reports/{name}/repeats.csv"), seeds)
    write_json(stage.output(f"reports/{name}/training.json"), summary)
