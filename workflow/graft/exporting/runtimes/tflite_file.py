"""TFLite, by TensorFlow's converter; run by LiteRT.

Numbers of 8 bits stand for `scale · (number − zero_point)` (Jacob et al. 2018, arXiv:1712.05877).
"""

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from graft.common.arrays import RowSource
from graft.common.errors import refuse
from graft.common.tables import read_json, write_json
from graft.exporting.contents import ABOUT, BESIDE
from graft.exporting.facts import Request
from graft.exporting.formats import FULL_INT8
from graft.exporting.runtimes.served import PIXELS, PROBABILITIES, write_served
from graft.models.framework import keras, tf


def write_tflite(model: keras.Model, path: Path, request: Request, calibration: np.ndarray) -> None:
    """Writes a TFLite file, for one image at a time, of operations that each runtime has.

    The names of its classes are in it as its metadata is: in a zip archive behind the model.

    Args:
        model: as of `build_served`.
        path: the file.
        request: quantised to `float16` (the weights), `int8` (weights and sums) or `full-int8`
            (input and output, too, of which `model.json` then says the scales), or not.
        calibration: uint8 (n, side, side, 3), images that 8 bits find their ranges from.

    Raises:
        UserError: the network has an operation that does not go with 8 bits alone.
    """
    full = request.quantize == FULL_INT8
    with tempfile.TemporaryDirectory() as folder:
        write_served(model, Path(folder), batch=1, dtype=tf.float32 if full else tf.uint8)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if request.quantize:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if request.quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        elif request.quantize:
            images = calibration
            if full:
                images = calibration.astype(np.float32)
                # So that pixels have a scale of 1, and none brighter than these images is cut off.
                images[0, 0, :2] = [[0], [255]]
            converter.representative_dataset = lambda: ([image[None]] for image in images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if full:
            converter.inference_input_type = converter.inference_output_type = tf.int8
        path.write_bytes(converter.convert())
    if full:
        _check_whole(path)
        _add_scales(path)
    with zipfile.ZipFile(path, "a") as archive:
        for name in BESIDE:
            archive.write(path.with_name(name), name)


def run_tflite(path: Path, pixels: RowSource) -> np.ndarray:
    """The answers of a TFLite file: float32 (n, classes) for uint8 pixels (n, side, side, 3)."""
    answer = _open(path).get_signature_runner()
    given, told = _details(answer)
    found = []
    for number in range(len(pixels)):
        image = pixels[number : number + 1]
        if given["dtype"] == np.int8:
            scale, zero = given["quantization"]
            image = np.clip(np.rint(image / scale) + zero, -128, 127).astype(np.int8)
        found.append(answer(**{PIXELS: image})[PROBABILITIES])
    answers = np.concatenate(found)
    if told["dtype"] == np.int8:
        scale, zero = told["quantization"]
        answers = np.float32(scale) * (answers.astype(np.float32) - zero)
    return answers


def _open(path: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path))


def _details(answer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the runner of a signature says of input and output."""
    return answer.get_input_details()[PIXELS], answer.get_output_details()[PROBABILITIES]


def _check_whole(path: Path) -> None:
    """Checks that a file computes with whole numbers alone.

    Raises:
        UserError: it has a tensor of another kind.
    """
    tensors = _open(path).get_tensor_details()
    other = [one for one in tensors if not np.issubdtype(one["dtype"], np.integer)]
    if other:
        allowed = "for a network whose layers all go with whole numbers; for others there is int8"
        kinds = ", ".join(sorted({np.dtype(one["dtype"]).name for one in other}))
        received = f"{len(other)} tensors of {kinds}"
        raise refuse(f"--quantize {FULL_INT8}", allowed, received)


def _add_scales(path: Path) -> None:
    """Puts the kind of numbers of input and output into `model.json`, with scale and zero point."""
    about = read_json(path.with_name(ABOUT))
    details = _details(_open(path).get_signature_runner())
    for part, found in zip(("input", "output"), details, strict=True):
        scale, zero = found["quantization"]
        about[part] |= {"dtype": "int8", "scale": float(scale), "zero_point": int(zero)}
    write_json(path.with_name(ABOUT), about)
