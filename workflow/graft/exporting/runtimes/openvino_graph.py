"""Graphs of OpenVINO for other programs; quantised by NNCF."""

import io
import os
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from graft.common.arrays import RowSource, in_batches
from graft.exporting.facts import Request
from graft.exporting.runtimes.served import PIXELS, PROBABILITIES
from graft.models.description import write_description
from graft.models.framework import keras
from graft.models.saving import save_graph
from graft.unknown.tapping import find_features

FEATURES = "features"  # the tensor from which known photos are told, by `add_outputs`


def write_openvino(
    model: keras.Model, path: Path, request: Request, calibration: np.ndarray
) -> None:
    """Writes a graph: `.xml`, with its weights in `.bin` beside it.

    Args:
        model: from float32 (batch, side, side, 3), 0–255, to float32 (batch, classes).
        path: the `.xml` file.
        request: quantised to `float16` or `int8`, or not.
        calibration: uint8 (n, side, side, 3), images that int8 finds its ranges from.
    """
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras exports what was called
    with tempfile.TemporaryDirectory() as folder:
        # A graph maps its weights to memory: to write over them would kill the process.
        plain = Path(folder, "plain.xml")
        save_graph(model, plain)
        steps = PrePostProcessor(ov.Core().read_model(plain))
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        graph = steps.build()
        graph.input().get_tensor().set_names({PIXELS})
        graph.output().get_tensor().set_names({PROBABILITIES})
        find_features(graph).get_tensor().add_names({FEATURES})
        if request.quantize == "int8":
            graph = _quantized(graph, calibration)
        ov.save_model(graph, path, compress_to_fp16=request.quantize == "float16")
    write_description(path, request.description)


def run_openvino(path: Path, pixels: RowSource) -> np.ndarray:
    """The answers of a graph: float32 (n, classes) for uint8 pixels (n, side, side, 3).

    Sums are in float32, as use.py asks for too: by default OpenVINO takes bfloat16 where the
    processor has it.
    """
    import openvino as ov

    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(batch)[0].copy() for batch in in_batches(pixels)])


def _quantized(graph, calibration: np.ndarray):
    """The graph with 8 bits where that is faster, by NNCF's own choice."""
    # NNCF would tell Google of each use otherwise; it calls the variable that stops it so.
    os.environ.setdefault("NNCF_CI", "1")
    import logging

    import nncf

    nncf.set_log_level(logging.ERROR)
    images = nncf.Dataset([image[None] for image in calibration])
    with redirect_stdout(io.StringIO()):  # its bars would be among what the command says
        return nncf.quantize(graph, images, subset_size=len(calibration))
