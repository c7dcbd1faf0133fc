"""A model from uint8 pixels to named probabilities, and TensorFlow's own format of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from graft.common.arrays import RowSource, in_batches
from graft.exporting.contents import BESIDE
from graft.exporting.facts import Request
from graft.models.framework import keras, tf
from graft.models.saving import calm

PIXELS, PROBABILITIES = "pixels", "probabilities"  # the names of input and output


def build_served(
    model: keras.Model, batch: int | None = None, dtype: tf.DType = tf.uint8
) -> tuple[Callable, tf.TensorSpec]:
    """The function that all converted formats compute, and what it takes.

    It takes uint8, as photos are: so no program can hand over pixels of 0–1 by mistake.

    Args:
        model: from float32 (batch, side, side, 3), 0–255, to float32 (batch, classes).
        batch: the number of images, if it is fixed.
        dtype: of the pixels, if a converter is to choose the numbers itself.

    Returns:
        From a tensor `pixels`, uint8 or `dtype` of the same shape, to `probabilities` by this name.
    """

    def serve(pixels):
        return {PROBABILITIES: model(tf.cast(pixels, tf.float32), training=False)}

    return serve, tf.TensorSpec((batch, *model.input_shape[1:]), dtype, name=PIXELS)


def write_served(
    model: keras.Model, path: Path, batch: int | None = None, dtype: tf.DType = tf.uint8
) -> None:
    """Writes a SavedModel with the signatures `serve` and `serving_default`, which are the same.

    Args:
        model: as of `build_served`.
        path: the folder.
        batch: the number of images, if it is fixed.
        dtype: of the pixels.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    serve, given = build_served(model, batch, dtype)
    archive.add_endpoint("serve", serve, [given])
    with calm():
        archive.write_out(str(path), verbose=False)


def write_saved_model(model: keras.Model, path: Path, request: Request, _: np.ndarray) -> None:
    """Writes a SavedModel with the names of its classes, where TensorFlow reads nothing.

    Args:
        model: as of `build_served`.
        path: the folder.
        request: how; it cannot be quantised.
    """
    write_served(model, path)
    extra = path / "assets.extra"
    extra.mkdir()
    for name in BESIDE:
        shutil.copyfile(path.with_name(name), extra / name)


def run_saved_model(path: Path, pixels: RowSource) -> np.ndarray:
    """The answers of a SavedModel: float32 (n, classes) for uint8 pixels (n, side, side, 3)."""
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    found = [serve(pixels=tf.constant(batch)) for batch in in_batches(pixels)]
    return np.concatenate([answers[PROBABILITIES].numpy() for answers in found])
