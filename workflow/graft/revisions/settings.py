"""What a git revision, or the work tree, holds: its parameters and the results of both models."""

import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from graft.common.errors import UserError, refuse
from graft.common.tables import read_table
from graft.integrity.ground import flatten
from graft.integrity.yaml12 import read_yaml
from graft.judging.losses import LEAST_PROBABILITY
from graft.revisions.git import find_revision, run_git

_PARAMETERS = "params.yaml"
_BUILD = "run the pipeline, and commit the results that git keeps"
MODELS = ("head", "finetuned")
# The parts that results are of: the table of the predictions, what stands before the names of the
# metrics, and the columns of a seed's accuracy and log loss in `repeats.csv`.
_TABLES = {"validation": "validation.csv", "test": "predictions.csv"}
_PREFIXES = {"validation": "valid_", "test": ""}
_SEEDS = {
    "validation": {"accuracy": "val_accuracy", "log_loss": "val_loss"},
    "test": {"accuracy": "accuracy", "log_loss": "log_loss"},
}
MOST_LOSS = -math.log(LEAST_PROBABILITY)  # nats, of one image
# What reading and parsing a file may raise.
_BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class ModelResults(NamedTuple):
    """How one model did on one part.

    Attributes:
        accuracy: fraction, 0–1.
        log_loss: nats; None where it is not known of each image.
        images: by path and label, in their order, of each image whether it was classified right
            (bool), its loss (nats; NaN where `log_loss` is None), its unit (int64, equal for images
            that must stay together; each its own where it is not known), the class predicted (str),
            and which image it is (str): its path, or the hash of its content.
        units_known: whether the units are.
        seeds: by measure, `accuracy` and `log_loss`, the results of each seed that it was trained
            with, the first of them those of the model. On validation they are what training itself
            measured, with its label smoothing and class weights.
        split: the hash of the split that it was made with; None where it is not known.
        by_content: whether `images` says which image it is by content.
    """

    accuracy: float
    log_loss: float | None
    images: pd.DataFrame
    units_known: bool
    seeds: dict[str, tuple[float, ...]]
    split: str | None
    by_content: bool = False


class Setting(NamedTuple):
    """One side of a comparison.

    Attributes:
        name: what people call it, as `Revision` has it, or `the work tree`.
        title: what it is, as `Revision` has it; empty for the work tree.
        parameters: by dotted key.
        outdated: the parameters that have another value now than when the results were made.
        part: `validation` or `test`, of which the results are.
        models: the results by model, `head` and `finetuned`.
        histories: by model, float columns epoch, loss, accuracy, val_loss and val_accuracy, a row
            an epoch; no rows where a revision has no history.
    """

    name: str
    title: str
    parameters: dict[str, Any]
    outdated: list[str]
    part: str
    models: dict[str, ModelResults]
    histories: dict[str, pd.DataFrame]


class _Files(NamedTuple):
    """The files of one side.

    Attributes:
        name: of the side, for errors.
        commit: its full name; None for the work tree.
    """

    name: str
    commit: str | None

    def parse(
        self, path: str, allowed: str, parse: Callable[[bytes], Any], missing: Any = None
    ) -> Any:
        """What `parse` makes of a file; `missing` where there is none.

        Raises:
            UserError: the file is missing and `missing` is None, or it cannot be read or is not
                what `allowed` says.
        """
        try:
            if (data := self.read(path)) is not None:
                return parse(data)
        except _BROKEN as error:
            received = " ".join(f"{type(error).__name__}: {error}".split())
            where = f"{path} of {self.name}"
            raise UserError(f"{where} must be {allowed}. Received: {received}") from None
        if missing is None:
            remedy = "run graft in the project's folder" if path == _PARAMETERS else _BUILD
            raise UserError(f"there is no {path} in {self.name}: {remedy}")
        return missing

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None where there is none."""
        if self.commit is None:
            return Path(path).read_bytes() if Path(path).exists() else None
        # Like any path on git's command line, this one starts from the present folder.
        if not run_git("ls-tree", "-z", self.commit, "--", path).stdout:
            return None
        # The dot says that this one does, too.
        shown = run_git("show", f"{self.commit}:./{path}")
        if shown.returncode:
            raise OSError(shown.stderr.decode(errors="replace"))
        return shown.stdout


def read_setting(revision: str | None, part: str) -> Setting:
    """Reads one side.

    Args:
        revision: any name that git takes for a commit; None is the work tree, here.
        part: `validation` or `test`, by which it is judged.

    Raises:
        UserError: there is no such revision, or a file of it is missing or broken.
    """
    found = None if revision is None else find_revision(revision)
    files = _Files(found.name, found.commit) if found else _Files("the work tree", None)
    parameters = files.parse(_PARAMETERS, "YAML", lambda data: flatten(_yaml(data)))
    outdated, splits = files.parse(
        "dvc.lock", "YAML", lambda data: _read_lock(data, parameters), missing=([], {})
    )
    models = {model: _results(files, model, part, splits.get(model)) for model in MODELS}
    histories = {model: _read_history(files, model) for model in MODELS}
    title = found.title if found else ""
    return Setting(files.name, title, parameters, outdated, part, models, histories)


def _read_lock(data: bytes, parameters: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """What dvc.lock says of the runs by which the results were made.

    Args:
        data: its bytes.
        parameters: by dotted key.

    Returns:
        The parameters with which some stage last ran and which have another value now: after a
        change of parameters without a run, the results are old ones. And the hash of the split with
        which each model was last evaluated, where it is known.
    """
    stages = _yaml(data).get("stages") or {}
    outdated = {
        key
        for stage in stages.values()
        for key, value in flatten(stage.get("params", {}).get(_PARAMETERS, {})).items()
        if key not in parameters or parameters[key] != value
    }
    splits = {
        model: file["md5"]
        for model in MODELS
        for file in stages.get(f"evaluate@{model}", {}).get("deps", ())
        if file["path"] == "data/split.csv"
    }
    return sorted(outdated), splits


def _results(files: _Files, model: str, part: str, split: str | None) -> ModelResults:
    folder, prefix = f"reports/{model}", _PREFIXES[part]
    name = f"{folder}/{_TABLES[part]}"
    metrics = files.parse(
        f"{folder}/metrics.json",
        "a JSON object with an accuracy from 0 to 1",
        lambda data: _metrics(data, prefix),
    )
    if metrics is None or (part == "validation" and files.read(name) is None):
        raise UserError(
            f"{files.name} was built before graft kept predictions on validation: there is no"
            f" {name}. Judge by the test part with --test, or build it again:"
            f" check it out, {_BUILD}"
        )
    accuracy, loss = metrics
    images, known = files.parse(
        name, "a CSV with the columns path, label and predicted, and a row or more", _images
    )
    if not math.isclose(images["right"].mean(), accuracy, abs_tol=1e-5):  # both are rounded
        where = f"the accuracy in {folder}/metrics.json of {files.name}"
        allowed = f"{images['right'].mean():.6f}, as {_TABLES[part]} beside it has it"
        raise refuse(where, allowed, accuracy)
    if images["loss"].isna().any():
        loss = None
    seeds = files.parse(
        f"{folder}/repeats.csv",
        "a CSV with a column accuracy from 0 to 1, and a row or more",
        lambda data: _seeds(data, _SEEDS[part]),
        missing={},  # what was built before there were repeats has one seed
    )
    return ModelResults(accuracy, loss, images, known, seeds, split)


def _read_history(files: _Files, model: str) -> pd.DataFrame:
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    return files.parse(
        f"reports/{model}/history.csv",
        f"a CSV with numbers in the columns {', '.join(columns)}",
        # An empty cell is a loss that was not a number.
        lambda data: read_table(io.BytesIO(data))[columns].replace("", "nan").astype(float),
        missing=pd.DataFrame(columns=columns, dtype=float),
    )


def _yaml(data: bytes) -> dict[str, Any]:
    values = read_yaml(data)
    if not isinstance(values, dict):
        raise TypeError(f"no mapping: {values!r}")
    return values


def _table(data: bytes) -> pd.DataFrame:
    table = read_table(io.BytesIO(data))
    if table.empty:
        raise ValueError("no row")
    return table


def _metrics(data: bytes, prefix: str) -> tuple[float, float | None] | None:
    """The accuracy and log loss; None where there are those of the test part alone."""
    metrics = json.loads(data)
    _share(metrics["accuracy"])
    if f"{prefix}accuracy" not in metrics:
        return None
    loss = metrics.get(f"{prefix}log_loss")
    return _share(metrics[f"{prefix}accuracy"]), None if loss is None else float(loss)


def _images(data: bytes) -> tuple[pd.DataFrame, bool]:
    """The rows of `ModelResults.images`, and whether their units are known."""
    table = _table(data)
    found = pd.DataFrame({"right": table["label"] == table["predicted"]})
    # Tables of earlier versions of graft have neither.
    truth = table.get("truth", pd.Series("nan", table.index)).astype(float)
    found["loss"] = -np.log(np.clip(truth, math.exp(-MOST_LOSS), 1.0))
    known = "unit" in table
    found["unit"] = table["unit"].astype(np.int64) if known else np.arange(len(table))
    found["predicted"] = table["predicted"]
    found["image"] = table["path"]
    return found.set_index(pd.MultiIndex.from_frame(table[["path", "label"]])).sort_index(), known


def _seeds(data: bytes, columns: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    table = _table(data)
    found = {"accuracy": tuple(_share(float(text)) for text in table[columns["accuracy"]])}
    if columns["log_loss"] in table:
        found["log_loss"] = tuple(map(float, table[columns["log_loss"]]))
    return found


def _share(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(value)
    return float(value)
