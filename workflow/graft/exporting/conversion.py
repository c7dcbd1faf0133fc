"""One model in any of the formats, and its answers there."""

import shutil
from pathlib import Path

import numpy as np

from graft.common.arrays import RowSource
from graft.exporting.facts import Request
from graft.exporting.formats import FORMATS
from graft.exporting.runtimes.keras_file import run_keras, write_keras
from graft.exporting.runtimes.onnx_file import run_onnx, write_onnx
from graft.exporting.runtimes.openvino_graph import run_openvino, write_openvino
from graft.exporting.runtimes.served import run_saved_model, write_saved_model
from graft.exporting.runtimes.tflite_file import run_tflite, write_tflite
from graft.models.saving import load_model
from graft.unknown.neighbours import beside

# Of these formats a program can have the features besides the probabilities.
WITH_FEATURES = ("keras", "openvino")


# What writes each format from a loaded model, and what runs it; a `.keras` is made of the file.
_WAYS = {
    "keras": (None, run_keras),
    "saved_model": (write_saved_model, run_saved_model),
    "onnx": (write_onnx, run_onnx),
    "openvino": (write_openvino, run_openvino),
    "tflite": (write_tflite, run_tflite),
}


def convert_model(request: Request, folder: Path, calibration: np.ndarray) -> None:
    """Writes a model in a format, with the names of its classes within where there is a place.

    Args:
        request: which model, and how.
        folder: where to; `labels.txt` and `model.json` are there already.
        calibration: uint8 (n, side, side, 3), images that 8 bits find their ranges from.
    """
    target = folder / FORMATS[request.kind].model
    write, _ = _WAYS[request.kind]
    if write is None:
        write_keras(request.model, target)
    else:
        write(load_model(request.model), target, request, calibration)


def add_known(request: Request, folder: Path) -> tuple[str, ...]:
    """Puts the photos that a model knows beside it, where its features can be had.

    Of formats that give probabilities alone, and of rounded weights, by which distances are
    others, there are none; nor of a model that has none beside itself.

    Returns:
        The names of the files that were added.
    """
    source = beside(request.model)
    if request.kind not in WITH_FEATURES or request.quantize or not source.is_file():
        return ()
    target = beside(folder / FORMATS[request.kind].model)
    shutil.copyfile(source, target)
    return (target.name,)


def run_export(kind: str, folder: Path, pixels: RowSource) -> np.ndarray:
    """The answers of an export in its own runtime.

    Args:
        kind: of FORMATS.
        folder: of the export.
        pixels: uint8 (n, side, side, 3).

    Returns:
        float32 (n, classes), probabilities.
    """
    _, run = _WAYS[kind]
    return run(folder / FORMATS[kind].model, pixels)
