"""What the page says of the transfer: changed images, the depth, what was trained, other seeds.

Every function goes from what the stages wrote to what `templates/transfer.html.j2` shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from graft.report.statistics import mean, repeatability, spread
from graft.report.thumbnails import encode_png, resize_picture, shown_side
from graft.report.wording import number, percent

_POOLING = {"avg": "average pooling", "max": "maximum pooling", "flatten": "flattened"}
_MONITORS = {"val_loss": "lowest validation loss", "val_accuracy": "highest validation accuracy"}
_BETTER = {"val_loss": "a lower validation loss", "val_accuracy": "a higher validation accuracy"}
_GAP = 6  # pixels between shown pictures; three times as much beside the unchanged ones


@dataclass(frozen=True)
class TriedDepth:
    """A layer whose output was tried as the feature.

    Attributes:
        layer: its name.
        layers: how many layers of the network there are up to it.
        width: of the feature.
        accuracy: of a linear model, cross-validated, 0–1.
        error: the standard error of that.
        role: what the layer was chosen for; empty for most.
        place: where the accuracy lies on the axis of all depths, %.
        bar: the left end and the width of one standard error to either side there, %.
    """

    layer: str
    layers: int
    width: int
    accuracy: float
    error: float
    role: str
    place: float
    bar: tuple[float, float]


@dataclass(frozen=True)
class SeedResults:
    """What came of one training with several seeds.

    Attributes:
        name: of the model.
        accuracies: on the test part, 0–1, by seed; the first is the model that is kept.
        mean: of the accuracies.
        spread: their standard deviation.
        limit: what two single trainings differ by at most, in 19 of 20 cases.
        places: where each accuracy lies on the axis of both models, %.
    """

    name: str
    accuracies: tuple[tuple[str, float], ...]
    mean: float
    spread: float
    limit: float
    places: tuple[float, ...]


@dataclass(frozen=True)
class Samples:
    """Training images, each with changed views of it.

    Attributes:
        png: a grid in base64, an image a row, unchanged in the first column.
        width: pixels, as shown.
        height: the same.
    """

    png: str
    width: int
    height: int


def summarise_transfer(
    scores: pd.DataFrame,
    layer: Mapping[str, Any],
    unfreeze: Mapping[str, Any],
    samples: np.ndarray,
    repeats: Mapping[str, pd.DataFrame],
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """What the template shows beside the models' own curves, by the names that it uses.

    Args:
        scores: str columns layer, layers, width, accuracy, standard_error and role; a row a depth.
        layer: the chosen depth, as in `layer.json`.
        unfreeze: how many layers are trained and why, as in `unfreeze.json`.
        samples: uint8 (m, 1 + v, side, side, 3): m images, each unchanged and in v changed views.
        repeats: str columns that include seed and accuracy, a row a seed, by the model's name.
        parameters: what the build was made with, by dotted key.
    """
    depths = describe_depths(scores)
    seeds = describe_seeds(repeats)
    ends = [
        end
        for depth in depths
        for end in (depth.accuracy - depth.error, depth.accuracy + depth.error)
    ]
    reached = [accuracy for own in seeds for _, accuracy in own.accuracies]
    return {
        "depths": depths,
        "depth_ends": (min(ends), max(ends)) if ends else None,
        "layer": {**layer, "pooling": _POOLING.get(layer["pooling"], layer["pooling"])},
        "unfreeze": unfreeze,
        "samples": tile_samples(samples),
        "changes": describe_changes(parameters),
        "copies": parameters["augment.copies"],
        "seeds": seeds,
        "seed_ends": (min(reached), max(reached)) if reached else None,
    }


def describe_depths(scores: pd.DataFrame) -> list[TriedDepth]:
    """The depths in their order, with their places on an axis from the worst to the best."""
    accuracies = scores["accuracy"].astype(float).to_numpy()
    errors = scores["standard_error"].astype(float).to_numpy()
    places = _places(np.concatenate([accuracies - errors, accuracies, accuracies + errors]))
    lows, middles, highs = places.reshape(3, -1)
    return [
        TriedDepth(
            layer=row.layer,
            layers=int(row.layers),
            width=int(row.width),
            accuracy=float(row.accuracy),
            error=float(row.standard_error),
            role=row.role,
            place=float(middle),
            bar=(float(low), float(high - low)),
        )
        for row, low, middle, high in zip(
            scores.itertuples(index=False), lows, middles, highs, strict=True
        )
    ]


def describe_seeds(repeats: Mapping[str, pd.DataFrame]) -> list[SeedResults]:
    """The models that were trained with more than one seed."""
    values = {name: list(map(float, table["accuracy"])) for name, table in repeats.items()}
    values = {name: own for name, own in values.items() if len(own) > 1}
    if not values:
        return []
    places = iter(_places(np.concatenate(list(values.values()))).tolist())
    return [
        SeedResults(
            name=name,
            accuracies=tuple(zip(repeats[name]["seed"], own, strict=True)),
            mean=mean(own),
            spread=spread(own),
            limit=repeatability(own),
            places=tuple(next(places) for _ in own),
        )
        for name, own in values.items()
    ]


def describe_changes(parameters: Mapping[str, Any]) -> list[str]:
    """What is done to training images, such as `rotation up to 10°`; empty where nothing is."""
    strengths = {
        "flip": lambda mode: f"{mode.replace('_', ' ')} flip",
        "rotation": lambda degrees: f"rotation up to {degrees:g}° to either side",
        "shift": lambda part: f"shift up to {_share(part)} of the side",
        "zoom": lambda part: f"zoom up to {_share(part)}",
        "brightness": lambda part: f"brightness up to {_share(part)} of the range",
        "contrast": lambda part: f"contrast up to {_share(part)}",
    }
    values = {name: parameters[f"augment.{name}"] for name in strengths}
    return [strengths[name](v) for name, v in values.items() if v not in (0, "none")]


def describe_training(history: pd.DataFrame, training: Mapping[str, Any], monitor: str) -> str:
    """How a model was trained and which epoch was kept.

    Args:
        history: float columns that include epoch; a row an epoch, and one for epoch 0, if there is
            one, for the model before its training.
        training: as in `training.json`.
        monitor: `val_loss` or `val_accuracy`, by which the epoch was chosen.
    """
    result = {
        "val_loss": number(training["val_loss"]),
        "val_accuracy": f"{percent(training['val_accuracy'])} of the validation images right",
    }
    kept = f"validation loss {result['val_loss']}, {result['val_accuracy']}"
    if "regularisation" in training:
        return f"Fitted at once, without epochs: {kept}."
    n = int((history["epoch"] > 0).sum())
    epochs = f"{n} epoch{'' if n == 1 else 's'}"
    best = training["best_epoch"]
    if best == 0:
        return f"{epochs}, none with {_BETTER[monitor]} than the start, which is kept: {kept}."
    if n == 1:
        return f"{epochs}: {kept}."
    return f"{epochs}; kept is epoch {best}, which has the {_MONITORS[monitor]}: {kept}."


def tile_samples(samples: np.ndarray) -> Samples | None:
    """One picture of all samples, on white; None where there are none.

    Args:
        samples: uint8 (m, 1 + v, side, side, 3), RGB.
    """
    m, columns, side = samples.shape[:3]
    if not m:
        return None
    shown = shown_side(side)
    left = [column * (shown + _GAP) + (2 * _GAP if column else 0) for column in range(columns)]
    grid = np.full((m * (shown + _GAP) - _GAP, left[-1] + shown, 3), 255, np.uint8)
    for row, images in enumerate(samples):
        for column, image in enumerate(images):
            top = row * (shown + _GAP)
            grid[top : top + shown, left[column] : left[column] + shown] = resize_picture(
                image, shown
            )
    return Samples(png=encode_png(grid), width=grid.shape[1], height=grid.shape[0])


def _places(values: np.ndarray) -> np.ndarray:
    """Where values lie between the smallest and the largest, %; in the middle if all are equal."""
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    return 100 * (values - low) / (high - low) if high > low else np.full(len(values), 50.0)


def _share(value: float) -> str:
    return f"{100 * value:g}\N{NO-BREAK SPACE}%"
