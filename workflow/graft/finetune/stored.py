"""What fine-tuning reads in every epoch: pixels, or outputs of the frozen part, computed once."""

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from graft.common.arrays import Growing, Stored
from graft.common.errors import UserError, refuse
from graft.common.progress import Progress
from graft.finetune.cut import Halves
from graft.models.framework import keras
from graft.models.saving import save_graph
from graft.training.augmentation import switched_on
from graft.training.rows import LabelledRows, Rows

# Beside the files of the engines: ignored by git and unknown to DVC.
_FOLDER = Path(".graft/cut")
_STORED = np.float16
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


@contextmanager
def open_training_data(
    settings: Mapping[str, Any], halves: Halves, pixels: dict[str, Rows]
) -> Iterator[Mapping[str, LabelledRows]]:
    """The rows to train on: stored outputs of the frozen part where they stay the same, or pixels.

    Args:
        settings: the parameters `finetune.*` and `augment.*` by dotted key.
        halves: the model in two parts.
        pixels: the rows of train, with its views, valid and test.

    Yields:
        `Outputs` for the tail, or the pixels themselves. The outputs are deleted afterwards.

    Raises:
        UserError: `finetune.cut` is `always` and cannot be; the disk is full.
    """
    data, reason = pixels, _reason(settings, halves, pixels)
    shutil.rmtree(_FOLDER, ignore_errors=True)  # remains of a killed run
    try:
        if reason is None:
            try:
                data = store_outputs(halves.frozen, pixels, _FOLDER)
            except Overflow as overflow:
                reason = f"of the outputs of {halves.cut} {overflow}, too large for float16"
        if reason is not None and settings["finetune.cut"] == "always":
            raise refuse("params.yaml: finetune.cut", f"auto or never: {reason}", "always")
        outputs = f"{sum(map(len, data.values())):,} stored outputs of {halves.cut}"
        print(f"finetune: trains on {outputs if reason is None else f'pixels: {reason}'}")
        yield data
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def _reason(settings: Mapping[str, Any], halves: Halves, pixels: Mapping[str, Rows]) -> str | None:
    """Why the frozen part runs in every epoch, or None where it runs once."""
    if halves.frozen is None:
        return "finetune.unfreeze leaves no layer frozen that computes"
    if settings["finetune.cut"] != "auto":
        return "finetune.cut is never" if settings["finetune.cut"] == "never" else None
    if switched_on(settings) and not settings["augment.copies"]:
        return "augment.copies is 0, so that every epoch changes the images anew"
    needed = _bytes(halves.frozen, pixels)
    if needed > _LARGEST:
        return f"the outputs of {halves.cut} would take {needed / 1e9:,.0f} GB"
    return None


def _bytes(frozen: keras.Model, pixels: Mapping[str, Rows]) -> int:
    each = np.dtype(_STORED).itemsize * math.prod(frozen.output_shape[1:])
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
    from graft.models.inference import run_graph

    where.mkdir(parents=True, exist_ok=True)
    needed, free = _bytes(frozen, parts), shutil.disk_usage(where).free
    if needed > free:
        raise UserError(
            f"the outputs of the frozen layers need {needed / 1e9:.1f} GB of disk; {free / 1e9:.1f}"
            " GB are free. Set finetune.cut to never, or unfreeze fewer layers"
        )
    save_graph(frozen, where / "frozen.xml")
    found = {}
    with Progress("finetune: frozen layers", sum(map(len, parts.values())), "images") as progress:
        for name, pixels in parts.items():
            path = where / f"{name}.npy"
            with Growing(path, dtype, frozen.output_shape[1:]) as array:
                for output in run_graph(where / "frozen.xml", pixels):
                    array.add(_narrow(output, dtype))
                    progress.advance(len(output))
            found[name] = Outputs(path, pixels.labels)
    return found


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
