"""What fine-tuning learns from: pixels, or outputs of the frozen part, computed once or anew."""

import math
import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice, tee
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from graft.augmentation.random_layers import switched_on
from graft.common.arrays import INFERENCE_BATCH, Growing, Stored, in_batches
from graft.common.errors import UserError, refuse
from graft.common.progress import Progress
from graft.finetune.cut import Halves
from graft.models.framework import keras
from graft.models.saving import save_graph
from graft.parts.rows import LabelledRows, Rows
from graft.training.batches import Batch

# Beside the files of the engines: ignored by git and unknown to DVC.
_FOLDER = Path(".graft/cut")
_GRAPH, _STORED = "frozen.xml", np.float16
_JUDGED = ("valid", "test")
# Bytes that `auto` stores at most. It is a constant, since the two ways differ in the last bits of
# what is trained: a larger disk must not give another model.
_LARGEST = 20e9


class Overflow(ArithmeticError):
    """An output is too large for the numbers that it would be stored as."""


class Outputs(Stored):
    """The stored outputs for one part of the images, as something to train on.

    Args:
        path: an array of them, a row for each image or view of the part.
        labels: int64 (n,).
    """

    def __init__(self, path: Path, labels: np.ndarray) -> None:
        super().__init__(path)
        self.labels = labels


class TrainingData(NamedTuple):
    """What a model is trained on and judged by.

    Attributes:
        parts: train, valid and test; of each pixels, uint8 (n, side, side, 3), or outputs of the
            frozen part.
        frozen: the graph that makes outputs of the batches of train, whose rows are pixels; None
            where that is not needed.
        stored: whether valid and test are outputs.
    """

    parts: Mapping[str, LabelledRows]
    frozen: Path | None
    stored: bool


@contextmanager
def open_training_data(
    settings: Mapping[str, Any], halves: Halves, pixels: dict[str, Rows]
) -> Iterator[TrainingData]:
    """The rows to train on: outputs of the frozen part where there is one, or pixels.

    Outputs are stored once for all epochs. Where the images of train change with each epoch, or
    their outputs cannot be stored, those of valid and test are, in float32, and those of train are
    to be computed in each epoch.

    Args:
        settings: the parameters `finetune.*` and `augment.*` by dotted key.
        halves: the model in two parts.
        pixels: the rows of train, with its views, valid and test.

    Yields:
        Outputs for the tail, or the pixels themselves. What is stored is deleted afterwards.

    Raises:
        UserError: `finetune.cut` is `always` and cannot be; the disk is full.
    """
    shutil.rmtree(_FOLDER, ignore_errors=True)  # remains of a killed run
    try:
        yield _gather(settings, halves, pixels)
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def _gather(
    settings: Mapping[str, Any], halves: Halves, pixels: Mapping[str, Rows]
) -> TrainingData:
    cut, reason = settings["finetune.cut"], _reason(settings, halves, pixels)
    if reason is None:
        try:
            parts = store_outputs(halves.frozen, pixels, _FOLDER)
            count = sum(map(len, parts.values()))
            print(f"finetune: trains on {count:,} stored outputs of {halves.cut}")
            return TrainingData(parts, None, True)
        except Overflow as overflow:
            reason = f"of the outputs of {halves.cut} {overflow}, too large for float16"
    if cut == "always":
        raise refuse("params.yaml: finetune.cut", f"auto or never: {reason}", cut)
    judged = {name: pixels[name] for name in _JUDGED}
    apart = halves.frozen is not None and cut != "never"
    if apart and _bytes(halves.frozen, judged, np.float32) <= _LARGEST:
        print(f"finetune: trains on outputs of {halves.cut}, made in each epoch: {reason}")
        parts = {**pixels, **store_outputs(halves.frozen, judged, _FOLDER, np.float32)}
        return TrainingData(parts, _FOLDER / _GRAPH, True)
    print(f"finetune: trains on pixels: {reason}")
    return TrainingData(pixels, None, False)


def _reason(settings: Mapping[str, Any], halves: Halves, pixels: Mapping[str, Rows]) -> str | None:
    """Why the outputs of the frozen part are not stored, or None where they are."""
    if halves.frozen is None:
        return "finetune.unfreeze leaves no layer frozen that computes"
    if settings["finetune.cut"] != "auto":
        return "finetune.cut is never" if settings["finetune.cut"] == "never" else None
    if switched_on(settings) and not settings["augment.copies"]:
        return "augment.copies is 0, so that every epoch changes the images anew"
    needed = _bytes(halves.frozen, pixels, _STORED)
    if needed > _LARGEST:
        return f"the outputs of {halves.cut} would take {needed / 1e9:,.0f} GB"
    return None


def _bytes(frozen: keras.Model, pixels: Mapping[str, Rows], dtype: Any) -> int:
    each = np.dtype(dtype).itemsize * math.prod(frozen.output_shape[1:])
    return each * sum(map(len, pixels.values()))


def store_outputs(
    frozen: keras.Model, parts: Mapping[str, Rows], where: Path, dtype: Any = _STORED
) -> dict[str, Outputs]:
    """Runs a frozen part once over all images and views.

    Args:
        frozen: from pixels 0–255, float32 (batch, side, side, 3), to its outputs.
        parts: uint8 pixels of each part, by name.
        where: the folder that the outputs go to, one file a part; it is made if it is not there.
        dtype: what they are stored as.

    Returns:
        Outputs in the order of the pixels, for each part.

    Raises:
        Overflow: one does not fit the dtype.
        UserError: there is no room for them, or one is no finite number in the first place.
    """
    from graft.models.inference import run_batches

    where.mkdir(parents=True, exist_ok=True)
    needed, free = _bytes(frozen, parts, dtype), shutil.disk_usage(where).free
    if needed > free:
        raise UserError(
            f"the outputs of the frozen layers need {needed / 1e9:.1f} GB of disk; {free / 1e9:.1f}"
            " GB are free. Set finetune.cut to never, or unfreeze fewer layers"
        )
    save_graph(frozen, where / _GRAPH)
    # One after the other, by a graph that is made ready once.
    outputs = run_batches(where / _GRAPH, chain.from_iterable(map(in_batches, parts.values())))
    with Progress("finetune: frozen layers", sum(map(len, parts.values())), "images") as progress:
        for name, pixels in parts.items():
            with Growing(where / f"{name}.npy", dtype, frozen.output_shape[1:]) as array:
                while len(array) < len(pixels):
                    output = next(outputs)
                    array.add(_narrow(output, dtype))
                    progress.advance(len(output))
    return {name: Outputs(where / f"{name}.npy", part.labels) for name, part in parts.items()}


def frozen_outputs(graph: Path, batches: Generator[Batch]) -> Generator[Batch]:
    """Batches with the outputs of a frozen part in place of pixels.

    Args:
        graph: of the frozen part.
        batches: their first arrays are pixels, (batch, side, side, 3).

    Yields:
        The batches in their order; their first arrays are float32 (batch, …).

    Raises:
        UserError: an output is no finite number.
    """
    from graft.models.inference import run_batches

    batches, waiting = tee(batches)
    pieces = chain.from_iterable(in_batches(pixels) for pixels, *_ in batches)
    outputs = run_batches(graph, pieces)
    for pixels, *others in waiting:
        count = -(-len(pixels) // INFERENCE_BATCH)
        made = [_narrow(output, np.float32) for output in islice(outputs, count)]
        yield np.concatenate(made), *others


def _narrow(output: np.ndarray, dtype: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        narrow = output.astype(dtype)
    if np.isfinite(narrow).all():
        return narrow
    if np.isfinite(output).all():
        raise Overflow(f"one is {np.abs(output).max():.3g}")
    raise UserError(
        "some outputs of the frozen layers are not finite numbers: backbone.weights do not fit the"
        " network"
    )
