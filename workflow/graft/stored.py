"""Outputs of a frozen part: computed once, kept in files of the stage's own while it runs."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from graft import models
from graft.arrays import Growing, Stored
from graft.errors import UserError
from graft.framework import keras
from graft.inference import in_batches, run
from graft.progress import Progress
from graft.rows import Rows

# Beside what the engines keep: ignored by git and unknown to DVC.
FOLDER = Path(".graft/cut")


class Overflow(ArithmeticError):
    """An output is too large for the numbers that it would be stored as."""


class Outputs:
    """The stored outputs for one part of the images, as something to train on.

    Args:
        path: an array of them, a row for each image or view of the part.
        labels: int64 (n,).
    """

    def __init__(self, path: Path, labels: np.ndarray) -> None:
        self.labels, self._rows = labels, Stored(path)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: np.ndarray) -> np.ndarray:
        return self._rows[which]


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder for outputs, removed in the end; what a killed run left of one goes first."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        yield FOLDER
    finally:
        shutil.rmtree(FOLDER)


def store(
    frozen: keras.Model, parts: dict[str, Rows], where: Path, dtype: Any = np.float16
) -> dict[str, Outputs]:
    """Runs a frozen part once over all images and views.

    Args:
        frozen: from pixels 0–255, float32 (batch, side, side, 3), to its outputs.
        parts: uint8 pixels of each part, by name.
        where: the folder that the outputs go to, one file a part.
        dtype: what they are stored as.

    Returns:
        Outputs in the order of the pixels, for each part.

    Raises:
        Overflow: one does not fit the dtype.
        UserError: there is no room for them, or one is no finite number in the first place.
    """
    each = np.dtype(dtype).itemsize * int(np.prod(frozen.output_shape[1:]))
    needed, free = each * sum(map(len, parts.values())), shutil.disk_usage(where).free
    if needed > free:
        raise UserError(
            f"the outputs of the frozen layers need {needed / 1e9:.1f} GB of disk; {free / 1e9:.1f}"
            " GB are free. Set finetune.cut to never, or unfreeze fewer layers"
        )
    models.save_graph(frozen, where / "frozen.xml")
    found = {}
    with Progress("finetune: frozen layers", sum(map(len, parts.values())), "images") as progress:
        for name, pixels in parts.items():
            path = where / f"{name}.npy"
            with Growing(path, dtype, frozen.output_shape[1:]) as array:
                for output in run(where / "frozen.xml", in_batches(pixels)):
                    array.add(_narrow(output, dtype))
                    progress.advance(len(output))
            found[name] = Outputs(path, pixels.labels)
    return found


def _narrow(output: np.ndarray, dtype: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        narrow = output.astype(dtype)
    if not np.isfinite(narrow).all():
        if not np.isfinite(output).all():
            raise UserError(
                "some outputs of the frozen layers are not finite numbers: backbone.weights do not"
                " fit the network"
            )
        raise Overflow(f"one is {np.abs(output).max():.3g}")
    return narrow
