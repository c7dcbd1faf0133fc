"""The images of a project that an export is checked, measured and calibrated with."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from graft.common.errors import refuse
from graft.common.stage import Stage
from graft.models.description import ModelDescription
from graft.parts.rows import Rows, read_parts, read_units

# Test images: enough to see a difference of a percentage point, seconds in any runtime. Of a larger
# test part so many are taken at even steps.
_CHECKED = 500
# Training images for the ranges of int8; NNCF advises 300.
_CALIBRATING = 300


@dataclass(frozen=True)
class Evidence:
    """What there is to check an export with.

    Attributes:
        pixels: uint8 (n, side, side, 3), images of the test part.
        labels: int64 (n,), their classes.
        units: int64 (n,), equal for images that must stay together.
        places: int64 (n,), their rows in what `evaluate` predicted: validation, then test.
        originals: ids by paths in the data set: of these images, and of one of the test part for
            each way in which names end.
        calibration: uint8 (m, side, side, 3), images of the training part.
        counts: how many images of each class there are, by part.
    """

    pixels: np.ndarray
    labels: np.ndarray
    units: np.ndarray
    places: np.ndarray
    originals: dict[str, str]
    calibration: np.ndarray
    counts: dict[str, list[int]]


def check_origin(stage: Stage, path: Path, description: ModelDescription) -> None:
    """Checks that a model takes pixels, and was made from the present split of the images.

    Only then has it not learned from the test part, and are its classes those of the project.

    Args:
        stage: must declare `data/split.csv`.
        path: of the model.
        description: what it says of itself.

    Raises:
        UserError: it is another one.
    """
    name = f"--model {path}"
    if description.inputs != "pixels":
        allowed = "a model from pixels, such as data/models/finetuned.keras"
        raise refuse(name, allowed, f"a model from {description.inputs}")
    data = hashlib.sha256(stage.input("data/split.csv").read_bytes()).hexdigest()
    if description.data != data:
        allowed = "of the images and the split of this project: it is checked with its test part"
        raise refuse(name, f"{allowed} ({data[:12]}…)", f"{description.data[:12]}…")


def read_evidence(stage: Stage) -> Evidence:
    """Reads the images.

    Args:
        stage: must declare what `read_parts` needs of `data/tensors`, and `data/units.csv`.
    """
    parts = read_parts(stage, "data/tensors")
    test, train = parts["test"], parts["train"]
    places = _spread(test, _CHECKED)
    classes = len(test.classes)
    return Evidence(
        pixels=test[places],
        labels=test.labels[places],
        units=read_units(stage.input("data/units.csv"), test.ids)[places],
        places=len(parts["valid"]) + places,
        originals=_name_originals(test, places),
        calibration=train[_spread(train, _CALIBRATING)],
        counts={
            name: np.bincount(rows.labels, minlength=classes).tolist()
            for name, rows in parts.items()
        },
    )


def _name_originals(test: Rows, places: np.ndarray) -> dict[str, str]:
    """The ids of these rows by their paths, and of one for each way in which names end."""
    ends = {PurePosixPath(path).suffix.lower(): row for row, path in enumerate(test.paths)}
    rows = {*places.tolist(), *ends.values()}
    return {test.paths[row]: test.ids[row] for row in sorted(rows)}


def _spread(rows: Rows, most: int) -> np.ndarray:
    """At most so many of the rows, at even steps from the first to the last: int64 (n,)."""
    return np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(np.int64)
