"""Draw curves and confusion matrices, and the page that shows them."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from graft import audit, pictures, tables, transfer
from graft.atomic import whole
from graft.classes import in_order
from graft.parts import PARTS
from graft.stage import Stage
from graft.wording import NO_BREAK, counted, number, percent

MODELS = {"head": "Head", "finetuned": "Fine-tuned model"}
PICTURES = ("curves", "curves_smoothed", "confusion")
TEMPLATES = Path(__file__).parent / "templates"
MOST_CONFUSED = 10  # pairs of classes on the page
IMBALANCED = 3  # times the images of the smallest class, above which the page names a remedy
MONITORS = {"head": "head.monitor", "finetuned": "finetune.monitor"}
WEIGHTS = ("head.class_weight", "finetune.class_weight")


@dataclass(frozen=True)
class Model:
    """What is known of one model.

    Attributes:
        key: as in the paths, such as `finetuned`.
        name: as people call it.
        metrics: numbers by name, on the test part.
        history: float columns epoch, loss, accuracy, val_loss, val_accuracy; a row an epoch. The
            fine-tuned model's begins with an epoch 0: the head on the network as it was.
        training: as `training.json` has it.
        monitor: `val_loss` or `val_accuracy`, by which the epoch was chosen.
        counts: int64 (n, n), test images by true class (rows) and predicted class (columns).
    """

    key: str
    name: str
    metrics: Mapping[str, Any]
    history: pd.DataFrame
    training: Mapping[str, Any]
    monitor: str
    counts: np.ndarray


def main(arguments: list[str]) -> None:
    """Writes three pictures a model and `index.html`, all of them or none."""
    stage = Stage("report", arguments)
    split = tables.read(stage.input("split_csv"))
    predictions = {key: tables.read(stage.input(f"{key}_predictions_csv")) for key in MODELS}
    used = split["label"][split["part"].isin(PARTS)]
    classes = in_order(
        chain(used, *(table[["label", "predicted"]].stack() for table in predictions.values())),
        stage["dataset.classes"],
    )
    parameters = _read_json(stage.input("params_json"))
    models = []
    for key, name in MODELS.items():
        training = _read_json(stage.input(f"{key}_training_json"))
        models.append(
            Model(
                key=key,
                name=name,
                metrics=_read_json(stage.input(f"{key}_metrics_json")),
                history=_read_history(stage.input(f"{key}_history_csv"), training),
                training=training,
                monitor=parameters[MONITORS[key]],
                counts=confusion(predictions[key]["label"], predictions[key]["predicted"], classes),
            )
        )
    images = audit.summary(
        split=split,
        checked=tables.read_all(stage.inputs("tensors_csv")),
        parts=tables.read(stage.input("parts_csv")),
        counts=_read_json(stage.input("split_json")),
        pairs=tables.read(stage.input("duplicates_pairs_csv")),
        pictures=np.load(stage.input("duplicates_pairs_npy")),
        chosen=stage["dataset.classes"],
    )
    learnt = transfer.summary(
        scores=tables.read(stage.input("depth_scores_csv")),
        layer=_read_json(stage.input("depth_layer_json")),
        unfreeze=_read_json(stage.input("depth_unfreeze_json")),
        samples=np.load(stage.input("views_samples_npy")),
        repeats={
            name: tables.read(stage.input(f"{key}_repeats_csv")) for key, name in MODELS.items()
        },
        parameters=parameters,
    )
    names = [(model, picture) for model in models for picture in PICTURES]
    outputs = [stage.output(f"{model.key}_{picture}_png") for model, picture in names]
    with whole(*outputs, stage.output("index_html")) as (*parts, page):
        drawn = {}
        for (model, picture), part in zip(names, parts, strict=True):
            _draw(part, picture, model, classes, stage["report.smoothing"])
            drawn[model.key, picture] = base64.b64encode(part.read_bytes()).decode("ascii")
        text = render(models, classes, images, learnt, parameters, drawn)
        page.write_text(text, encoding="utf-8", newline="\n")


def confusion(labels: pd.Series, predicted: pd.Series, classes: Sequence[str]) -> np.ndarray:
    """Counts of images by true class (rows) and predicted class (columns).

    Args:
        labels: str (images,), each in `classes`.
        predicted: the same.
        classes: n different names.

    Returns:
        int64 (n, n).
    """
    index = {name: i for i, name in enumerate(classes)}
    n = len(classes)
    cells = labels.map(index).to_numpy(np.int64) * n + predicted.map(index).to_numpy(np.int64)
    return np.bincount(cells, minlength=n * n).reshape(n, n)


def most_confused(counts: np.ndarray) -> list[tuple[int, int, int]]:
    """The pairs of different classes that are taken one for the other, the most frequent first.

    Args:
        counts: int (n, n), rows true and columns predicted.

    Returns:
        Row, column and count of every cell beside the diagonal that is not 0; of equal counts, the
        larger share of the true class first, then the order of the classes.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = [(int(i), int(j), int(counts[i, j])) for i, j in np.argwhere(counts) if i != j]
    return sorted(cells, key=lambda cell: (-cell[2], -shares[cell[:2]], cell[:2]))


def render(
    models: list[Model],
    classes: Sequence[str],
    images: Mapping[str, Any],
    learnt: Mapping[str, Any],
    parameters: Mapping[str, Any],
    drawn: Mapping[tuple[str, str], str],
) -> str:
    """The page as HTML: one file that asks for no other.

    Args:
        models: in the order of the columns; without any, the page has no section on training.
        classes: names of all classes, in the order of the models' counts.
        images: what `audit.summary` found.
        learnt: what `transfer.summary` found.
        parameters: what the build was made with, by dotted key.
        drawn: the .png in base64 by model and picture.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,  # class names and paths are whatever a data set holds
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "counted": counted}
    return environment.get_template("report.html.j2").render(
        classes=classes,
        models=models,
        drawn=drawn,
        alternatives={
            (model.key, picture): _alternative(model, picture, len(classes))
            for model in models
            for picture in PICTURES
        },
        training={model.key: _describe_training(model) for model in models},
        extra_metrics=sorted(set().union(*(model.metrics for model in models)) - SHOWN_METRICS),
        confused={
            model.key: [
                (classes[i], classes[j], count, count / model.counts[i].sum())
                for i, j, count in most_confused(model.counts)[:MOST_CONFUSED]
            ]
            for model in models
        },
        pairs={model.key: len(most_confused(model.counts)) for model in models},
        images=images,
        learnt=learnt,
        chosen=next((m.training["chosen"] for m in models if "chosen" in m.training), None),
        imbalanced=IMBALANCED,
        weighted=all(parameters[key] == "balanced" for key in WEIGHTS),
        part_names=PARTS,
        parameters=[(key, _write_value(parameters[key])) for key in sorted(parameters)],
        dataset=parameters["dataset.path"],
    )


# The metrics that the page names itself; what else `evaluate` measures follows below them.
SHOWN_METRICS = {
    *("accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy"),
    *("macro_f1", "log_loss", "ece", "n"),
}


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _read_history(path: Path, training: Mapping[str, Any]) -> pd.DataFrame:
    # An empty cell is a loss that was not a number: a training that diverged still has its report.
    history = tables.read(path).replace("", "nan").astype(np.float64)
    if "start_val_loss" not in training or (history["epoch"] == 0).any():
        return history
    start = {name: training[f"start_{name}"] for name in ("val_loss", "val_accuracy")}
    return pd.concat([pd.DataFrame([{"epoch": 0.0, **start}]), history])[history.columns]


def _draw(path: Path, picture: str, model: Model, classes: Sequence[str], smoothing: float) -> None:
    if picture == "confusion":
        pictures.draw_confusion(
            path, model.counts, classes, model.name, _describe_accuracy(model.metrics)
        )
    else:
        weight = smoothing if picture == "curves_smoothed" else None
        pictures.draw_curves(path, model.history, model.name, model.training["best_epoch"], weight)


def _describe_accuracy(metrics: Mapping[str, Any]) -> str:
    low, high = percent(metrics["accuracy_low"]), percent(metrics["accuracy_high"])
    interval = f"95{NO_BREAK}% interval {low} to {high}"
    return f"accuracy {percent(metrics['accuracy'])} ({interval}), n = {metrics['n']:,}"


def _describe_training(model: Model) -> str:
    return transfer.describe_training(model.history, model.training, model.monitor)


def _alternative(model: Model, picture: str, classes: int) -> str:
    """What a reader is told who does not see the picture."""
    if picture == "confusion":
        title = f"Confusion matrix of {classes} classes"
        return f"{title}. {model.name}: {_describe_accuracy(model.metrics)}."
    kind = "Smoothed accuracy" if picture == "curves_smoothed" else "Accuracy"
    return f"{kind} and loss by epoch. {model.name}: {_describe_training(model)}"


def _write_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
