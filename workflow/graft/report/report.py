"""Draw curves and confusion matrices, and the page that shows them."""

import base64
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graft.common.cautions import read_warnings
from graft.common.classes import PARTS, in_order
from graft.common.stage import Stage
from graft.common.tables import read_json, read_table, read_tables
from graft.report.audit import summarise_images
from graft.report.confusion import count_confusion
from graft.report.page import (
    PICTURES,
    ReportedModel,
    describe_accuracy,
    render_page,
    summarise_crossed,
)
from graft.report.pictures import draw_confusion, draw_curves
from graft.report.transfer import summarise_transfer

_MODELS = {"head": "Head", "finetuned": "Fine-tuned model"}
_MONITORS = {"head": "head.monitor", "finetuned": "finetune.monitor"}


def main(stage: Stage) -> None:
    """Writes three pictures a model, and `index.html`."""
    predictions = {
        key: read_table(stage.input(f"reports/{key}/predictions.csv")) for key in _MODELS
    }
    split = read_table(stage.input("data/split.csv"))
    used = split["label"][split["part"].isin(PARTS)]
    predicted = (table[["label", "predicted"]].stack() for table in predictions.values())
    classes = in_order(chain(used, *predicted), stage["dataset.classes"])
    models = [_read_model(stage, key, predictions[key], classes) for key in _MODELS]
    drawn = {
        (model.key, picture): _draw(stage, model, picture, classes)
        for model in models
        for picture in PICTURES
    }
    images, transfer = _summarise_images(stage, split), _summarise_transfer(stage)
    crossed = summarise_crossed(
        read_json(stage.input("reports/cross_validation.json")),
        read_table(stage.input("reports/label_errors.csv")),
    )
    cautions = read_warnings(stage.input("reports/warnings.json"))
    text = render_page(models, classes, images, transfer, crossed, dict(stage), drawn, cautions)
    stage.output("reports/index.html").write_text(text, encoding="utf-8", newline="\n")


def _read_model(
    stage: Stage, key: str, predictions: pd.DataFrame, classes: Sequence[str]
) -> ReportedModel:
    training = read_json(stage.input(f"reports/{key}/training.json"))
    return ReportedModel(
        key=key,
        name=_MODELS[key],
        metrics=read_json(stage.input(f"reports/{key}/metrics.json")),
        history=_read_history(stage.input(f"reports/{key}/history.csv"), training),
        training=training,
        monitor=stage[_MONITORS[key]],
        counts=count_confusion(predictions["label"], predictions["predicted"], classes),
    )


def _read_history(path: Path, training: Mapping[str, Any]) -> pd.DataFrame:
    # An empty cell is a loss that was not a number. A training that diverged has a report, too.
    history = read_table(path).replace("", "nan").astype(np.float64)
    if "start_val_loss" not in training:
        return history
    start = {name: training[f"start_{name}"] for name in ("val_loss", "val_accuracy")}
    return pd.concat([pd.DataFrame([{"epoch": 0.0, **start}]), history])[history.columns]


def _summarise_images(stage: Stage, split: pd.DataFrame) -> dict[str, Any]:
    return summarise_images(
        split=split,
        checked=read_tables(stage.inputs("data/checked")),
        parts=read_table(stage.input("data/parts.csv")),
        counts=read_json(stage.input("reports/split.json")),
        pairs=read_table(stage.input("data/duplicates/pairs.csv")),
        pictures=np.load(stage.input("data/duplicates/pairs.npy")),
        large=read_table(stage.input("data/duplicates/large.csv")),
        chosen=stage["dataset.classes"],
    )


def _summarise_transfer(stage: Stage) -> dict[str, Any]:
    return summarise_transfer(
        scores=read_table(stage.input("data/depth/scores.csv")),
        layer=read_json(stage.input("data/depth/layer.json")),
        unfreeze=read_json(stage.input("data/depth/unfreeze.json")),
        samples=np.load(stage.input("data/views/samples.npy")),
        steps=read_table(stage.input("reports/finetuned/steps.csv")),
        repeats={
            name: read_table(stage.input(f"reports/{key}/repeats.csv"))
            for key, name in _MODELS.items()
        },
        parameters=stage,
    )


def _draw(stage: Stage, model: ReportedModel, picture: str, classes: Sequence[str]) -> str:
    """Writes one picture of a model; returns it in base64."""
    path = stage.output(f"reports/{model.key}/{picture}.png")
    if picture == "confusion":
        subtitle = describe_accuracy(model.metrics)
        draw_confusion(path, model.counts, classes, model.name, subtitle)
    else:
        weight = stage["report.smoothing"] if picture == "curves_smoothed" else None
        draw_curves(path, model.history, model.name, model.training["best_epoch"], weight)
    return base64.b64encode(path.read_bytes()).decode("ascii")
