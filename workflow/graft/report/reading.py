"""What the stages wrote about the test part, read once for all sections of the page."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from graft.common.arrays import Chosen, RowSource, Stored
from graft.common.classes import PARTS, in_order
from graft.common.stage import Stage
from graft.common.tables import read_json, read_table
from graft.report.confusion import count_confusion

MODEL_NAMES = {"head": "Head", "finetuned": "Fine-tuned model"}


class ReportedModel(NamedTuple):
    """What is known of one model.

    Attributes:
        key: as in the paths, such as `finetuned`.
        name: in words.
        metrics: numbers by name, on the test part.
        history: float columns epoch, loss, accuracy, val_loss, val_accuracy; a row an epoch. The
            fine-tuned model's begins with an epoch 0: the head on the network as it was.
        training: as `training.json` has it.
        predicted: int64 (n,), the predicted class of each test image.
        confidence: float64 (n,), its probability.
        counts: int64 (classes, classes), test images by true class (rows) and predicted class.
        probabilities: rows (n, classes) of all classes, read when asked for.
    """

    key: str
    name: str
    metrics: Mapping[str, Any]
    history: pd.DataFrame
    training: Mapping[str, Any]
    predicted: np.ndarray
    confidence: np.ndarray
    counts: np.ndarray
    probabilities: RowSource


class Tested(NamedTuple):
    """The test part, and both models on it.

    Attributes:
        classes: names, in the order of the models' outputs.
        paths: str (n,), of the test images.
        labels: int64 (n,), their true classes.
        units: int64 (n,), equal for images that belong together.
        models: the chosen one first. Where the fine-tuned model is the head itself, only the head.
        all_models: head, then fine-tuned model.
    """

    classes: tuple[str, ...]
    paths: np.ndarray
    labels: np.ndarray
    units: np.ndarray
    models: tuple[ReportedModel, ...]
    all_models: tuple[ReportedModel, ...]

    @property
    def chosen(self) -> ReportedModel:
        """The model that the validation part chose."""
        return self.models[0]

    def surest_first(self, model: ReportedModel) -> np.ndarray:
        """The test images by the confidence of a model, those it is surest of first: int64 (n,)."""
        return np.lexsort((self.paths, -model.confidence))


def read_tested(stage: Stage, split: pd.DataFrame) -> Tested:
    """Reads what the stage `evaluate` wrote, and how the models were trained.

    Args:
        stage: must declare the files.
        split: str columns label and part; a row a file.

    Raises:
        ValueError: the models were not measured on the same images in the same order.
    """
    tables = {key: read_table(stage.input(f"reports/{key}/predictions.csv")) for key in MODEL_NAMES}
    used = split["label"][split["part"].isin(PARTS)]
    predicted = (table[["label", "predicted"]].stack() for table in tables.values())
    classes = in_order(chain(used, *predicted), stage["dataset.classes"])
    models = tuple(_read_model(stage, key, tables[key], classes) for key in MODEL_NAMES)
    head, finetuned = tables.values()
    # The head is the fine-tuned model itself where it was chosen.
    alone = models[1].training.get("chosen") == "head"
    if not head[["path", "label"]].equals(finetuned[["path", "label"]]):
        raise ValueError("the models were measured on other images")
    return Tested(
        classes=classes,
        paths=head["path"].to_numpy(),
        labels=pd.Index(classes).get_indexer(head["label"]),
        units=head["unit"].astype(np.int64).to_numpy(),
        models=models[:1] if alone else models[::-1],
        all_models=models,
    )


def _read_model(
    stage: Stage, key: str, table: pd.DataFrame, classes: Sequence[str]
) -> ReportedModel:
    training = read_json(stage.input(f"reports/{key}/training.json"))
    answers = Stored(stage.input(f"data/predictions/{key}.npy"))  # on validation, then on test
    return ReportedModel(
        key=key,
        name=MODEL_NAMES[key],
        metrics=read_json(stage.input(f"reports/{key}/metrics.json")),
        history=_read_history(stage.input(f"reports/{key}/history.csv"), training),
        training=training,
        predicted=pd.Index(classes).get_indexer(table["predicted"]),
        confidence=table["confidence"].astype(float).to_numpy(),
        counts=count_confusion(table["label"], table["predicted"], classes),
        probabilities=Chosen(answers, np.arange(len(answers) - len(table), len(answers))),
    )


def _read_history(path: Path, training: Mapping[str, Any]) -> pd.DataFrame:
    # An empty cell is a loss that was not a number. A training that diverged has a report, too.
    history = read_table(path).replace("", "nan").astype(np.float64)
    if "start_val_loss" not in training:
        return history
    start = {name: training[f"start_{name}"] for name in ("val_loss", "val_accuracy")}
    return pd.concat([pd.DataFrame([{"epoch": 0.0, **start}]), history])[history.columns]
