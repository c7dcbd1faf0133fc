"""ONNX, by tf2onnx; quantised and run by ONNX Runtime."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from graft.common.arrays import RowSource, in_batches
from graft.exporting.facts import Request
from graft.exporting.runtimes.served import PIXELS, PROBABILITIES, build_served
from graft.models.framework import keras, tf

# Whose last sums stay float: with 256 steps a confidence of 0.999 would be 1, or 0.996.
_LAST = ("Softmax", "Sigmoid")


def write_onnx(model: keras.Model, path: Path, request: Request, calibration: np.ndarray) -> None:
    """Writes an ONNX file, which says what it is in its `metadata_props`.

    Args:
        model: as of `build_served`.
        path: the file.
        request: quantised to `float16` or `int8`, or not.
        calibration: uint8 (n, side, side, 3), images that int8 finds its ranges from.
    """
    import onnx

    made = _convert(model)
    if request.quantize == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        made = convert_float_to_float16(made, keep_io_types=True)
    elif request.quantize == "int8":
        onnx.save(made, path)
        _quantize(path, calibration)
        made = onnx.load(path)
    notes = {"graft": json.dumps(asdict(request.description), sort_keys=True)}
    notes["classes"] = json.dumps(request.description.classes, ensure_ascii=False)
    onnx.helper.set_model_props(made, notes)
    onnx.checker.check_model(made)
    onnx.save(made, path)


def run_onnx(path: Path, pixels: RowSource) -> np.ndarray:
    """The answers of an ONNX file: float32 (n, classes) for uint8 pixels (n, side, side, 3)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = [session.run([PROBABILITIES], {PIXELS: batch})[0] for batch in in_batches(pixels)]
    return np.concatenate(found)


def _convert(model: keras.Model):
    """The model as ONNX in float32.

    `model.export(format="onnx")` would leave the constants of a Normalization layer as inputs
    without a value. So they and the weights become constants of the graph first.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    serve, pixels = build_served(model)
    traced = tf.function(serve, [pixels]).get_concrete_function()
    frozen = convert_variables_to_constants_v2(traced)
    (given,), (answer,) = frozen.inputs, frozen.outputs
    with _quiet():
        from tf2onnx.convert import from_graph_def

        made, _ = from_graph_def(
            frozen.graph.as_graph_def(),
            name="graft",
            input_names=[given.name],
            output_names=[answer.name],
            opset=18,  # the newest that tf2onnx writes
            tensors_to_rename={given.name: PIXELS, answer.name: PROBABILITIES},
        )
    for tensor in (*made.graph.input, *made.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    return made


def _quantize(path: Path, calibration: np.ndarray) -> None:
    """Quantises a file in place to 8 bits.

    Unsigned activations and signed weights are what ONNX Runtime advises for processors of x86.
    Each channel has its own scale: with one for all, the depthwise convolutions of MobileNetV2 lost
    half of the accuracy.
    """
    import onnx
    from onnxruntime import quantization

    images = ({PIXELS: image[None]} for image in calibration)

    class Images(quantization.CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(images, None)

    with _quiet():
        quantization.quant_pre_process(str(path), str(path), skip_symbolic_shape=True)
        last = [node.name for node in onnx.load(path).graph.node if node.op_type in _LAST]
        quantization.quantize_static(
            str(path),
            str(path),
            Images(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=last,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the converters tell on the way, which is nothing that a user could act upon."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
