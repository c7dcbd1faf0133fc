"""One model in any of the formats, and its answers there."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np

from graft.common.arrays import RowSource
from graft.exporting.contents import ABOUT, LABELS
from graft.exporting.formats import FORMATS
from graft.exporting.runtimes import onnx_file, openvino_graph, served, tflite_file
from graft.models.description import ModelDescription
from graft.models.saving import load_model

_KERAS_BATCH = 16


def convert_model(
    kind: str,
    source: Path,
    folder: Path,
    quantize: str,
    calibration: np.ndarray,
    description: ModelDescription,
) -> None:
    """Writes a model in a format, with the names of its classes within where there is a place.

    Args:
        kind: of FORMATS.
        source: a `.keras` file of graft, from pixels.
        folder: where to; `labels.txt` and `model.json` are there already.
        quantize: as `check_format` takes it.
        calibration: uint8 (n, side, side, 3).
        description: what the model says of itself.
    """
    target = folder / FORMATS[kind].model
    beside = folder / LABELS, folder / ABOUT
    if kind == "keras":
        shutil.copyfile(source, target)
        return
    model = load_model(source)
    match kind:
        case "saved_model":
            served.write_saved_model(model, target)
            served.add_saved_assets(target, *beside)
        case "onnx":
            notes = {"graft": json.dumps(asdict(description), sort_keys=True)}
            notes["classes"] = json.dumps(description.classes, ensure_ascii=False)
            onnx_file.write_onnx(model, target, quantize, calibration, notes)
        case "openvino":
            openvino_graph.write_openvino(model, target, quantize, calibration, description)
        case "tflite":
            tflite_file.write_tflite(model, target, quantize, calibration)
            tflite_file.add_tflite_files(target, *beside)


def run_keras(path: Path, pixels: RowSource) -> np.ndarray:
    """The answers of a `.keras` file: float32 (n, classes) for pixels (n, side, side, 3)."""
    model = load_model(path)
    return model.predict(pixels[:], batch_size=_KERAS_BATCH, verbose=0)


_RUNS = {
    "keras": run_keras,
    "saved_model": served.run_saved_model,
    "onnx": onnx_file.run_onnx,
    "openvino": openvino_graph.run_openvino,
    "tflite": tflite_file.run_tflite,
}


def run_export(kind: str, folder: Path, pixels: RowSource) -> np.ndarray:
    """The answers of an export in its own runtime.

    Args:
        kind: of FORMATS.
        folder: of the export.
        pixels: uint8 (n, side, side, 3).

    Returns:
        float32 (n, classes), probabilities.
    """
    return _RUNS[kind](folder / FORMATS[kind].model, pixels)
