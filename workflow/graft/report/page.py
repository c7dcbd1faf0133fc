"""The page of the report: what its template shows, and the HTML itself."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from graft.common.cautions import Caution
from graft.common.classes import PARTS
from graft.report.confusion import most_confused
from graft.report.transfer import describe_training
from graft.report.wording import NO_BREAK, counted, number, percent

PICTURES = ("curves", "curves_smoothed", "confusion")
_TEMPLATES = Path(__file__).parent / "templates"
# The metrics that the template names itself; all others follow below them.
_MEASURED = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece")
_SHOWN_METRICS = {
    *(name + end for name in _MEASURED for end in ("", "_low", "_high")),
    *("uncalibrated_log_loss", "uncalibrated_ece"),
    *("ece_expected", "n", "units", "n_effective", "valid_accuracy", "valid_log_loss"),
}


class ReportedModel(NamedTuple):
    """What is known of one model.

    Attributes:
        key: as in the paths, such as `finetuned`.
        name: in words.
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


def render_page(
    models: Sequence[ReportedModel],
    classes: Sequence[str],
    images: Mapping[str, Any],
    transfer: Mapping[str, Any],
    crossed: Mapping[str, Any],
    parameters: Mapping[str, Any],
    drawn: Mapping[tuple[str, str], str],
    cautions: Sequence[Caution] = (),
) -> str:
    """The page as HTML: one file that asks for no other.

    Args:
        models: in the order of the columns; without any, the page has no section on training.
        classes: names of all classes, in the order of the models' counts.
        images: from `summarise_images`.
        transfer: from `summarise_transfer`.
        crossed: from `summarise_crossed`.
        parameters: those of the build, by dotted key.
        drawn: the .png in base64 by model and picture.
        cautions: the warnings of the run.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES, encoding="utf-8"),
        autoescape=True,  # names of classes and files may hold anything
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "counted": counted}
    return environment.get_template("report.html.j2").render(
        classes=classes,
        models=models,
        drawn=drawn,
        measured={model.key: describe_accuracy(model.metrics) for model in models},
        trained={model.key: describe_training(model.training, model.monitor) for model in models},
        extra_metrics=sorted(set().union(*(model.metrics for model in models)) - _SHOWN_METRICS),
        confused={model.key: most_confused(model.counts) for model in models},
        images=images,
        learnt=transfer,
        crossed=crossed,
        cautions=cautions,
        chosen=next((m.training["chosen"] for m in models if "chosen" in m.training), None),
        part_names=PARTS,
        parameters={key: _write_value(parameters[key]) for key in sorted(parameters)},
    )


def summarise_crossed(measured: Mapping[str, Any], errors: pd.DataFrame) -> dict[str, Any]:
    """What the page says of the classifiers that judged every image, and of labels that look wrong.

    Args:
        measured: as `cross_validation.json` has it.
        errors: str columns path, part, label, looks_like, confidence, self_confidence and likely,
            the most doubtful image first.

    Returns:
        The values of `measured`, and `errors`, the rows with numbers; `leads` says whether the
        cross-validated accuracy is the headline, which needs an image that could be judged.
    """
    rows = errors.astype({"confidence": float, "self_confidence": float}).to_dict("records")
    leads = measured["headline"] == "cross_validation" and measured["n"] > 0
    return {**measured, "errors": rows, "leads": leads}


def describe_accuracy(metrics: Mapping[str, Any]) -> str:
    """The accuracy with its interval and the number of images, and of units, in a line."""
    low, high = percent(metrics["accuracy_low"]), percent(metrics["accuracy_high"])
    interval = f"95{NO_BREAK}% interval {low} to {high}"
    n = f"{metrics['n']:,}"
    if metrics["units"] != metrics["n"]:
        n += f" in {counted(metrics['units'], 'unit')}"
    return f"accuracy {percent(metrics['accuracy'])} ({interval}), n = {n}"


def _write_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
