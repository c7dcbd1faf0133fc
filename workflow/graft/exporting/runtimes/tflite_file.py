"""TFLite, by TensorFlow's converter; run by LiteRT."""

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from graft.common.arrays import RowSource
from graft.exporting.runtimes.served import PIXELS, PROBABILITIES, write_saved_model
from graft.models.framework import keras, tf


def write_tflite(model: keras.Model, path: Path, quantize: str, calibration: np.ndarray) -> None:
    """Writes a TFLite file, for one image at a time, of operations that each runtime has.

    Args:
        model: as of `build_served`.
        path: the file.
        quantize: `float16` (the weights) or `int8` (weights and sums), or empty for float32.
        calibration: uint8 (n, side, side, 3), images that int8 finds its ranges from.
    """

    def images() -> Iterator[list[np.ndarray]]:
        for image in calibration:
            yield [image[None]]

    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(model, Path(folder), batch=1)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if quantize:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        elif quantize == "int8":
            converter.representative_dataset = images
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        path.write_bytes(converter.convert())


def add_tflite_files(path: Path, *files: Path) -> None:
    """Puts files into a TFLite file as its metadata does: as a zip archive behind the model."""
    with zipfile.ZipFile(path, "a") as archive:
        for file in files:
            archive.write(file, file.name)


def run_tflite(path: Path, pixels: RowSource) -> np.ndarray:
    """The answers of a TFLite file: float32 (n, classes) for uint8 pixels (n, side, side, 3)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    answer = interpreter.get_signature_runner()
    found = [answer(**{PIXELS: pixels[n : n + 1]})[PROBABILITIES] for n in range(len(pixels))]
    return np.concatenate(found)
