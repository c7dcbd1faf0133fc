"""What the stages `head` and `finetune` write about their trainings, and their models."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from graft.common.stage import Stage
from graft.common.tables import write_json, write_table
from graft.models.framework import keras
from graft.models.saving import save_graph, save_model
from graft.training.measures import accuracy_and_loss


class Result(NamedTuple):
    """The result of a training with one seed.

    Attributes:
        seed: the seed of the training.
        history: a row an epoch: epoch, loss, accuracy, val_loss, val_accuracy. It may begin with an
            epoch 0, the model before its training, which has no loss and accuracy of its own.
        best: the epoch whose weights the model has.
        probabilities: float32 (n, classes), the model's outputs on the test part.
    """

    seed: int
    history: pd.DataFrame
    best: int
    probabilities: np.ndarray


def judge_epoch(history: pd.DataFrame, epoch: int) -> dict[str, float]:
    """The val_loss (nats) and val_accuracy of an epoch, with six decimals."""
    row = history.set_index("epoch").loc[epoch]
    return {name: round(float(row[name]), 6) for name in ("val_loss", "val_accuracy")}


def write_results(
    stage: Stage,
    name: str,
    model: keras.Model,
    results: Sequence[Result],
    labels: np.ndarray,
    summary: Mapping[str, Any],
) -> None:
    """Writes a model as `.keras` and as a graph, `history.csv`, `repeats.csv` and `training.json`.

    A row of `repeats.csv` is: seed; epochs, how many were trained; val_loss (nats) and val_accuracy
    of the best one; accuracy and log_loss (nats) on the test part, as in `metrics.json`.

    Args:
        stage: must declare these outputs.
        name: of the model, `head` or `finetuned`.
        model: trained, of the first result.
        results: one for each seed.
        labels: int (n,), the true classes of the test part.
        summary: what `training.json` says.
    """
    rows = []
    for result in results:
        row = {"seed": result.seed, "epochs": int(result.history["epoch"].max())}
        row |= judge_epoch(result.history, result.best)
        rows.append(row | accuracy_and_loss(result.probabilities, labels))
    history = results[0].history
    # Six decimals are more than a person compares, and hide most last digits that another processor
    # changes.
    history = history[history["epoch"] > 0].round(6)
    save_model(model, stage.output(f"data/models/{name}.keras"))
    save_graph(model, stage.output(f"data/models/{name}.xml"))
    write_table(stage.output(f"reports/{name}/history.csv"), history)
    write_table(stage.output(f"reports/{name}/repeats.csv"), pd.DataFrame(rows))
    write_json(stage.output(f"reports/{name}/training.json"), summary)
