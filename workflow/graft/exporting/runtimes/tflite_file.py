"""TFLite, by TensorFlow's converter; run by LiteRT."""

import tempfile
import zipfile
from pathlib import Path

import numpy as np

from graft.common.arrays import RowSource
from graft.exporting.contents import BESIDE
from graft.exporting.facts import Request
from graft.exporting.runtimes.served import PIXELS, PROBABILITIES, write_served
from graft.models.framework import keras, tf


def write_tflite(model: keras.Model, path: Path, request: Request, calibration: np.ndarray) -> None:
    """Writes a TFLite file, for one image at a time, of operations that each runtime has.

    The names of its classes are in it as its metadata is: in a zip archive behind the model.

    Args:
        model: as of `build_served`.
        path: the file.
        request: quantised to `float16` (the weights) or `int8` (weights and sums), or not.
        calibration: uint8 (n, side, side, 3), images that int8 finds its ranges from.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_served(model, Path(folder), batch=1)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if request.quantize:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if request.quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        elif request.quantize == "int8":
            converter.representative_dataset = lambda: ([image[None]] for image in calibration)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        path.write_bytes(converter.convert())
    with zipfile.ZipFile(path, "a") as archive:
        for name in BESIDE:
            archive.write(path.with_name(name), name)


def run_tflite(path: Path, pixels: RowSource) -> np.ndarray:
    """The answers of a TFLite file: float32 (n, classes) for uint8 pixels (n, side, side, 3)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    answer = interpreter.get_signature_runner()
    found = [answer(**{PIXELS: pixels[n : n + 1]})[PROBABILITIES] for n in range(len(pixels))]
    return np.concatenate(found)
