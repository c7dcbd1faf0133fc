"""Measure a model on the validation and test parts, and keep what it says about each image."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graft.common.stage import Stage
from graft.common.tables import read_json, write_json, write_table
from graft.evaluation.looks import NO_LOOKS, find_looks
from graft.evaluation.strangers import answer_parts, judge_strangers
from graft.judging.calibration import rescale
from graft.judging.losses import accuracy_and_loss
from graft.models.description import read_description
from graft.parts.rows import Rows, read_features, read_parts, read_units
from graft.statistics.measures import measure
from graft.statistics.reliability import calibration_error
from graft.statistics.threshold import judge_two_classes
from graft.unknown.neighbours import write_known
from graft.unknown.tapping import save_upper

_PRECISION = "float32"  # in which models answer
# What `dvc exp show` and `dvc metrics diff` show, from left to right.
_COMPARED = ("valid_accuracy", "valid_log_loss", "accuracy", "accuracy_low", "accuracy_high")


def main(stage: Stage) -> None:
    """Writes the predictions on both parts, and `metrics.json`.

    `predictions.csv` (test) and `validation.csv` have a row an image: path, label, predicted,
    confidence (probability of the predicted class), truth (of the true one) and unit (equal for
    images that must stay together). `data/predictions` has all probabilities, float32
    (validation + test, classes), in the order of these tables, validation first.

    `data/models/MODEL.unknown.npz` has photos that the model knows, by which `graft predict
    --unknown` finds what is none of the classes. `unknown.json` says what that is worth, as of
    `judge_strangers`.

    `data/looks` has where the network looked in images that it gets wrong: `rows` and `maps`, as
    `Looks` has them; none for the head.

    `metrics.json` is of the test part. It begins with the accuracy and log loss on validation:
    they are what settings are chosen by. In the end it has log loss and calibration error as they
    would be with a temperature of 1.

    `summary.json` has the few that experiments are compared by, below the name of the model.
    """
    model = stage.key
    graph = stage.input(f"data/models/{model}.xml")
    training = read_json(stage.input(f"reports/{model}/training.json"))
    with _find_shortest(stage, graph, training) as (answering, parts):
        known, answers, tested = answer_parts(model, answering, parts)
    valid, test = parts["valid"], parts["test"]
    before, after = answers.probabilities, tested.probabilities
    valid_units, test_units = (
        read_units(stage.input("data/units.csv"), part.ids) for part in (valid, test)
    )

    validation = accuracy_and_loss(before, valid.labels)
    metrics = {f"valid_{name}": value for name, value in validation.items()}
    metrics |= measure(after, test.labels, test_units)
    if len(test.classes) == 2:
        metrics |= judge_two_classes(before[:, 1], valid.labels, after[:, 1], test.labels)
    plain = rescale(after, training["temperature"])
    metrics["uncalibrated_log_loss"] = accuracy_and_loss(plain, test.labels)["log_loss"]
    error = calibration_error(plain.max(1), plain.argmax(1) == test.labels)
    metrics["uncalibrated_ece"] = round(error, 6)
    np.save(stage.output(f"data/predictions/{model}.npy"), np.concatenate([before, after]))
    # The graph of the head begins with features, which have no places.
    looks = NO_LOOKS if model == "head" else find_looks(graph, _pixels(stage)["test"], after)
    np.savez(stage.output(f"data/looks/{model}.npz"), **looks._asdict())
    known, strangers = judge_strangers(
        known, (answers.distances, valid_units), (tested.distances, test_units)
    )
    about = read_description(graph)
    write_known(stage.output(f"data/models/{model}.unknown.npz"), known, about)
    write_json(stage.output(f"reports/{model}/unknown.json"), strangers)
    write_json(stage.output(f"reports/{model}/metrics.json"), metrics)
    summary = {name: metrics[name] for name in _COMPARED}
    write_json(stage.output(f"reports/{model}/summary.json"), {model: summary})
    for name, table in (
        ("validation", _tabulate(valid, before, valid_units)),
        ("predictions", _tabulate(test, after, test_units)),
    ):
        write_table(stage.output(f"reports/{model}/{name}.csv"), table)
    interval = f"{metrics['accuracy_low']:.4f}–{metrics['accuracy_high']:.4f}"
    print(f"evaluate {model}: accuracy {metrics['accuracy']:.4f} ({interval}), n {metrics['n']}")


@contextmanager
def _find_shortest(
    stage: Stage, graph: Path, training: Mapping[str, Any]
) -> Iterator[tuple[Path, Mapping[str, Rows]]]:
    """The least that gives the answers of a model, and the rows of all parts that it begins with.

    The head on the network, where nothing was trained, has given its features already.
    """
    if stage.key == "head":
        yield graph, read_features(stage)
        return
    with tempfile.TemporaryDirectory() as folder:
        upper = Path(folder, "upper.xml")
        # What was computed in another precision would give other answers than the model does.
        if training["chosen"] == "head" and stage["features.precision"] == _PRECISION:
            width = read_json(stage.input("data/depth/layer.json"))["width"]
            if save_upper(graph, upper) == width:
                yield upper, read_features(stage)
                return
        yield graph, _pixels(stage)


def _pixels(stage: Stage) -> Mapping[str, Rows]:
    return read_parts(stage, "data/tensors")


def _tabulate(rows: Rows, probabilities: np.ndarray, units: np.ndarray) -> pd.DataFrame:
    own = probabilities[np.arange(len(rows)), rows.labels]
    return pd.DataFrame(
        {
            "path": rows.paths,
            "label": [rows.classes[label] for label in rows.labels],
            "predicted": [rows.classes[label] for label in probabilities.argmax(1)],
            "confidence": probabilities.max(1).astype(float).round(6),
            "truth": own.astype(float).round(6),
            "unit": units,
        }
    )
