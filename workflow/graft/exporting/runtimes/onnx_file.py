"""ONNX, by tf2onnx; quantised and run by ONNX Runtime."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from graft.common.arrays import RowSource, in_batches
from graft.exporting.runtimes.served import PIXELS, PROBABILITIES, build_served, served_input
from graft.models.framework import keras, tf

# The newest that tf2onnx writes.
_OPSET = 18
# Whose last sums stay float: with 256 steps a confidence of 0.999 would be 1, or 0.996.
_LAST = ("Softmax", "Sigmoid")


def write_onnx(
    model: keras.Model, path: Path, quantize: str, calibration: np.ndarray, notes: Mapping[str, str]
) -> None:
    """Writes an ONNX file.

    Args:
        model: as of `build_served`.
        path: the file.
        quantize: `float16` or `int8`, or empty for float32.
        calibration: uint8 (n, side, side, 3), images that int8 finds its ranges from.
        notes: texts for its `metadata_props`.
    """
    import onnx

    made = _convert(model)
    if quantize == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        made = convert_float_to_float16(made, keep_io_types=True)
    elif quantize == "int8":
        onnx.save(made, path)
        _quantize(path, calibration)
        made = onnx.load(path)
    onnx.helper.set_model_props(made, dict(notes))
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

    serve = tf.function(build_served(model), [served_input(model)])
    frozen = convert_variables_to_constants_v2(serve.get_concrete_function())
    (given,), (answer,) = frozen.inputs, frozen.outputs
    with _quiet():
        from tf2onnx.convert import from_graph_def

        made, _ = from_graph_def(
            frozen.graph.as_graph_def(),
            name="graft",
            input_names=[given.name],
            output_names=[answer.name],
            opset=_OPSET,
        )
    graph, names = made.graph, {given.name: PIXELS, answer.name: PROBABILITIES}
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(name, name) for name in tensors]
    for tensor in (*graph.input, *graph.output):
        tensor.name = names[tensor.name]
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    return made


def _quantize(path: Path, calibration: np.ndarray) -> None:
    """Quantises a file in place to 8 bits.

    Unsigned activations and signed weights are what ONNX Runtime advises for processors of x86.
    Each channel has its own scale: with one for all, the depthwise convolutions of MobileNetV2 lost
    half of the accuracy.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self._rest: Iterator[np.ndarray] = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self._rest, None)
            return None if image is None else {PIXELS: image[None]}

    with _quiet():
        quant_pre_process(str(path), str(path), skip_symbolic_shape=True)
        last = [node.name for node in onnx.load(path).graph.node if node.op_type in _LAST]
        quantize_static(
            str(path),
            str(path),
            Images(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
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
