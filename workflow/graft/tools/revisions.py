"""What a git revision, or the work tree, holds: its parameters and the results of both models."""

import io
import json
import math
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from graft.common.errors import UserError, refuse
from graft.common.tables import read_table
from graft.project.parameters import flatten
from graft.project.yaml12 import read_yaml

_PARAMETERS = "params.yaml"
_BUILD = "run the pipeline, and commit the results that git keeps"
# What reading and parsing a file may raise.
_BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class ModelResults(NamedTuple):
    """How one model did on the test part.

    Attributes:
        accuracy: fraction, 0–1.
        right: whether each image was classified right: bool, by path and label.
        seeds: the accuracy of each seed it was trained with; the first is `accuracy`.
    """

    accuracy: float
    right: pd.Series
    seeds: tuple[float, ...]


class Setting(NamedTuple):
    """One side of a comparison.

    Attributes:
        name: the revision as the command names it, or `the work tree`.
        title: what it is: a commit's short name and subject; empty for the work tree.
        parameters: by dotted key.
        outdated: the parameters that have another value now than when the results were made.
        models: the results by model, `head` and `finetuned`.
    """

    name: str
    title: str
    parameters: dict[str, Any]
    outdated: list[str]
    models: dict[str, ModelResults]


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
            data = self._read(path)
            if data is not None:
                return parse(data)
        except _BROKEN as error:
            received = " ".join(f"{type(error).__name__}: {error}".split())
            where = f"{path} of {self.name}"
            raise UserError(f"{where} must be {allowed}. Received: {received}") from None
        if missing is None:
            remedy = "run graft in the project's folder" if path == _PARAMETERS else _BUILD
            raise UserError(f"there is no {path} in {self.name}: {remedy}")
        return missing

    def _read(self, path: str) -> bytes | None:
        """The bytes of a file; None where there is none."""
        if self.commit is None:
            return Path(path).read_bytes() if Path(path).exists() else None
        # Like any path on git's command line, this one starts from the present folder.
        if not _git("ls-tree", "-z", self.commit, "--", path).stdout:
            return None
        # The dot says that this one does, too.
        shown = _git("show", f"{self.commit}:./{path}")
        if shown.returncode:
            raise OSError(shown.stderr.decode(errors="replace"))
        return shown.stdout


def read_setting(revision: str | None) -> Setting:
    """Reads one side.

    Args:
        revision: any name that git takes for a commit; None is the work tree, here.

    Raises:
        UserError: there is no such revision, or a file of it is missing or broken.
    """
    commit, title = (None, "") if revision is None else _resolve(revision)
    files = _Files("the work tree" if revision is None else revision, commit)
    parameters = files.parse(_PARAMETERS, "YAML", lambda data: flatten(_yaml(data)))
    outdated = files.parse(
        "dvc.lock", "YAML", lambda data: find_outdated(_yaml(data), parameters), missing=[]
    )
    models = {model: _results(files, f"reports/{model}") for model in ("head", "finetuned")}
    return Setting(files.name, title, parameters, outdated, models)


def find_outdated(lock: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """The parameters with which DVC last ran some stage and which have another value now.

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
            if key not in parameters or parameters[key] != value
        }
    )


def check_repository() -> None:
    """Checks that the present folder is in a git repository.

    Raises:
        UserError: it is not, or there is no git.
    """
    ended = _git("rev-parse", "--is-inside-work-tree")
    if ended.stdout.strip() != b"true":
        why = ended.stderr.decode(errors="replace").strip().partition("\n")[0]
        received = f"{Path.cwd()}{why and f' ({why})'}"
        raise UserError(f"comparing takes a git repository. Received: {received}")


def _resolve(revision: str) -> tuple[str, str]:
    """The full and the readable name of a commit."""
    # Git would take a name that begins with a dash for an option.
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
    seeds = files.parse(
        f"{folder}/repeats.csv",
        "a CSV with a column accuracy from 0 to 1, and a row or more",
        _seeds,
        missing=(accuracy,),  # what was built before there were repeats has one seed
    )
    return ModelResults(accuracy, right, seeds)


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


def _right(data: bytes) -> pd.Series:
    table = _table(data)
    index = pd.MultiIndex.from_frame(table[["path", "label"]])
    return (table["label"] == table["predicted"]).set_axis(index)


def _seeds(data: bytes) -> tuple[float, ...]:
    return tuple(_share(float(text)) for text in _table(data)["accuracy"])


def _share(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(value)
    return float(value)
