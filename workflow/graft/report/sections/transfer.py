"""What the page says of the transfer: augmentation, the depth, what was trained, other seeds.

Every function goes from what the stages wrote to what `templates/training.html.j2` shows.
"""

from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any

import numpy as np
import pandas as pd

from graft.report.thumbnails import encode_png, resize_picture, shown_side
from graft.statistics.intervals import repeatability

_GAP = 6  # pixels between shown pictures; three times as much beside the unchanged ones


def summarise_transfer(
    scores: pd.DataFrame,
    layer: Mapping[str, Any],
    unfreeze: Mapping[str, Any],
    samples: np.ndarray,
    steps: pd.DataFrame,
    repeats: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    """What the template shows beside the models' own curves, by the names that it uses.

    Args:
        scores: str columns layer, layers, width, log_loss, behind, standard_error, accuracy and
            role; a row a depth.
        layer: the chosen depth, as in `layer.json`.
        unfreeze: how many layers are trained and why, as in `unfreeze.json`.
        samples: uint8 (m, 1 + v, side, side, 3): m images, each unchanged and in v views.
        steps: str columns step, val_loss, val_accuracy, gain, standard_error and role; a row for
            each step between head and fine-tuned weights that was tried. A standard error of one
            unit is empty.
        repeats: str columns that include seed and accuracy, a row a seed, by the model's name.
    """
    numbers = steps.drop(columns="role").replace("", "nan").astype(float)
    return {
        "depths": describe_depths(scores),
        "layer": layer,
        "unfreeze": unfreeze,
        "samples": tile_samples(samples),
        "steps": numbers.assign(role=steps["role"]).to_dict("records"),
        "seeds": describe_seeds(repeats),
    }


def describe_depths(scores: pd.DataFrame) -> dict[str, Any]:
    """The depths that were tried as the feature, on one axis from the best to the worst.

    Args:
        scores: as in `summarise_transfer`.

    Returns:
        The ends of the axis, log losses in nats, and the rows of `scores` in their order with
        numbers. Each has besides, in % of the axis, the place of its loss, the start of the bar of
        one standard error to either side, and its length. The error is that of the difference to
        the best depth: a bar that reaches the dot of this one is of a depth as good.
    """
    names = ["log_loss", "behind", "standard_error", "accuracy"]
    table = scores.astype({"layers": int, "width": int} | dict.fromkeys(names, float))
    lows = table["log_loss"] - table["standard_error"]
    highs = table["log_loss"] + table["standard_error"]
    ends = lows.min(), highs.max()
    start = _places(lows, ends)
    length = _places(highs, ends) - start
    table = table.assign(place=_places(table["log_loss"], ends), start=start, length=length)
    return {"ends": ends, "rows": table.to_dict("records")}


def describe_seeds(repeats: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """The models that were trained with more than one seed, on one axis of accuracies.

    Args:
        repeats: as in `summarise_transfer`.

    Returns:
        The ends of the axis, accuracies on the test part, 0–1, and a row a model: its name; its
        seeds, each with its accuracy and the place of it on the axis, %; the mean and spread of
        the accuracies; and the limit by which two single trainings differ in 19 of 20 cases.
    """
    several = {
        name: table.astype({"accuracy": float}) for name, table in repeats.items() if len(table) > 1
    }
    every = [accuracy for table in several.values() for accuracy in table["accuracy"]]
    ends = min(every, default=np.nan), max(every, default=np.nan)
    rows = []
    for name, table in several.items():
        own = table["accuracy"].tolist()
        seeds = list(zip(table["seed"], own, _places(table["accuracy"], ends), strict=True))
        measured = {"mean": mean(own), "spread": stdev(own), "limit": repeatability(own)}
        rows.append({"name": name, "seeds": seeds, **measured})
    return {"ends": ends, "rows": rows}


def tile_samples(samples: np.ndarray) -> dict[str, Any] | None:
    """One picture of training images and their views; None where there are none.

    Args:
        samples: uint8 (m, 1 + v, side, side, 3), RGB.

    Returns:
        The .png as a `data:` URL, a grid on white with a row an image, unchanged in the first
        column; its width and height, in pixels as shown.
    """
    m, columns, side = samples.shape[:3]
    if not m:
        return None
    shown = shown_side(side)
    step = shown + _GAP
    left = [0, *(column * step + 2 * _GAP for column in range(1, columns))]
    grid = np.full((m * step - _GAP, left[-1] + shown, 3), 255, np.uint8)
    for row, column in np.ndindex(m, columns):
        top, start = row * step, left[column]
        picture = resize_picture(samples[row, column], shown)
        grid[top : top + shown, start : start + shown] = picture
    return {"picture": encode_png(grid), "width": grid.shape[1], "height": grid.shape[0]}


def _places(values: pd.Series, ends: tuple[float, float]) -> pd.Series:
    """Where values are between two ends, %; in the middle if these are equal or missing."""
    low, high = ends
    return 100 * (values - low) / (high - low) if high > low else 0 * values + 50.0
