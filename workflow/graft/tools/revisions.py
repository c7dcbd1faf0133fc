"""What a git revision, or the work tree, holds: its parameters and the results of both models."""

import io
import json
import math
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from graft.common.errors import UserError, refuse
from graft.common.tables import read_table
from graft.project.parameters import flatten
from graft.project.yaml12 import read_yaml

_MODELS = ("head", "finetuned")
_WORK_TREE = "the work tree"
_PARAMETERS, _LOCK = "params.yaml", "dvc.lock"
_BUILD = "run the pipeline, and commit the results that git keeps"
ABSENT = object()  # a parameter that is not there


@dataclass(frozen=True)
class ModelResults:
    """How one model did on the test part.

    Attributes:
        accuracy: fraction, 0–1.
        right: whether each image was classified right: bool, by path and label.
        seeds: the accuracy of each seed it was trained with; the first is `accuracy`.
    """

    accuracy: float
    right: pd.Series
    seeds: tuple[float, ...]


@dataclass(frozen=True)
class Setting:
    """One side of a comparison.

    Attributes:
        name: the revision as it was asked for, or `the work tree`.
        title: what it is: a commit's short name and subject; empty for the work tree.
        parameters: by dotted key.
        outdated: the parameters that are no longer those by which the results were made.
        models: the results by model, `head` and `finetuned`.
    """

    name: str
    title: str
    parameters: dict[str, Any]
    outdated: list[str]
    models: dict[str, ModelResults]


@dataclass(frozen=True)
class _Files:
    """The files of one side.

    Attributes:
        name: of the side, for errors.
        commit: its full name; None for the work tree.
    """

    name: str
    commit: str | None

    def parse(self, path: str, allowed: str, parse: Callable[[bytes], Any]) -> Any:
        """What `parse` makes of a file; a user error where the file is missing or is not
        what `allowed` says."""
        data = self._read(path)
        if data is None:
            remedy = "run graft in the project's folder" if path == _PARAMETERS else _BUILD
            raise UserError(f"there is no {path} in {self.name}: {remedy}")
        try:
            return parse(data)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            received = " ".join(f"{type(error).__name__}: {error}".split())
        except RecursionError:
            received = "too many levels"
        raise UserError(f"{path} of {self.name} must be {allowed}. Received: {received}")

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        if self.commit is None:
            return Path(path).exists()
        # Like any path on git's command line, it starts from the present folder.
        return bool(_git("ls-tree", "-z", self.commit, "--", path).stdout)

    def _read(self, path: str) -> bytes | None:
        if not self.has(path):
            return None
        if self.commit is None:
            try:
                return Path(path).read_bytes()
            except OSError as error:
                raise UserError(f"cannot read {path}: {error.strerror}") from None
        # The dot says that this one starts from the present folder, too.
        shown = _git("show", f"{self.commit}:./{path}")
        if shown.returncode:
            received = shown.stderr.decode(errors="replace").strip()
            raise UserError(f"git cannot read {path} of {self.name}. Received: {received}")
        return shown.stdout


def read_setting(revision: str | None) -> Setting:
    """Reads one side.

    Args:
        revision: any name that git takes for a commit; None is the work tree, here.

    Raises:
        UserError: there is no such revision, or a file of it is missing or broken.
    """
    commit, title = (None, "") if revision is None else _resolve(revision)
    files = _Files(_WORK_TREE if revision is None else revision, commit)
    parameters = files.parse(_PARAMETERS, "YAML", lambda data: flatten(_yaml(data)))
    return Setting(
        name=files.name,
        title=title,
        parameters=parameters,
        outdated=files.parse(_LOCK, "YAML", lambda data: find_outdated(_yaml(data), parameters))
        if files.has(_LOCK)
        else [],
        models={model: _results(files, f"reports/{model}") for model in _MODELS},
    )


def find_outdated(lock: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """The parameters by which DVC last ran some stage and which have another value now.

    After a change of parameters without a run, the results would be old ones.

    Args:
        lock: what dvc.lock holds.
        parameters: by dotted key.
    """
    return sorted(
        {
            key
            for stage in (lock.get("stages") or {}).values()
            for key, value in flatten(stage.get("params", {}).get(_PARAMETERS, {})).items()
            if parameters.get(key, ABSENT) != value
        }
    )


def check_repository() -> None:
    """Checks that here is a git repository.

    Raises:
        UserError: it is none, or there is no git.
    """
    ended = _git("rev-parse", "--is-inside-work-tree")
    if ended.stdout.strip() != b"true":
        why = ended.stderr.decode(errors="replace").strip().partition("\n")[0]
        received = f"{Path.cwd()}{why and f' ({why})'}"
        raise UserError(f"comparing takes a git repository. Received: {received}")


def _resolve(revision: str) -> tuple[str, str]:
    """The full and the readable name of a commit."""
    # What begins with a dash git would take for an option.
    found = "" if revision.startswith("-") else _line("rev-parse", "--verify", "-q", revision)
    # A tag has a name of its own.
    commit = found and _line("rev-parse", "--verify", "-q", f"{found}^{{commit}}")
    if not commit:
        raise refuse("a revision", "a commit, branch or tag of this git repository", revision)
    title = _line("-c", "log.showSignature=false", "log", "-1", "--format=%h %s", commit)
    return commit, "".join(c if c.isprintable() else " " for c in title)


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], capture_output=True)
    except FileNotFoundError:
        raise UserError("comparing needs git, and there is none on the path") from None


def _line(*arguments: str) -> str:
    """What git prints; nothing where it fails."""
    return _git(*arguments).stdout.decode(errors="replace").strip()


def _results(files: _Files, folder: str) -> ModelResults:
    accuracy = files.parse(
        f"{folder}/metrics.json",
        "a JSON object with an accuracy from 0 to 1",
        lambda data: _share(json.loads(data)["accuracy"]),
    )
    right = files.parse(
        f"{folder}/predictions.csv",
        "a CSV with the columns path, label and predicted, and a row or more",
        _right,
    )
    if not math.isclose(right.mean(), accuracy, abs_tol=1e-5):  # both are rounded
        where = f"the accuracy in {folder}/metrics.json of {files.name}"
        allowed = f"{right.mean():.6f}, as predictions.csv beside it has it"
        raise refuse(where, allowed, accuracy)
    repeats = f"{folder}/repeats.csv"
    seeds = (accuracy,)  # what was built before there were repeats has one seed
    if files.has(repeats):
        allowed = "a CSV with a column accuracy from 0 to 1, and a row or more"
        seeds = files.parse(repeats, allowed, _seeds)
    return ModelResults(accuracy=accuracy, right=right, seeds=seeds)


def _yaml(data: bytes) -> dict[str, Any]:
    values = read_yaml(data)
    if not isinstance(values, dict):
        raise TypeError(f"no mapping: {values!r}")
    return values


def _right(data: bytes) -> pd.Series:
    table = read_table(io.BytesIO(data))
    right = (table["label"] == table["predicted"]).to_numpy()
    if not len(right):
        raise ValueError("no row")
    return pd.Series(right, pd.MultiIndex.from_frame(table[["path", "label"]]))


def _seeds(data: bytes) -> tuple[float, ...]:
    seeds = tuple(_share(float(text)) for text in read_table(io.BytesIO(data))["accuracy"])
    if not seeds:
        raise ValueError("no row")
    return seeds


def _share(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(value)
    return float(value)
