"""The `.keras` file, without what only training needs and older versions of Keras do not know."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from graft.common.arrays import INFERENCE_BATCH, RowSource
from graft.models.saving import load_model

_CONFIG = "config.json"
# Settings of layers that change no answer. Each version of Keras refuses those that came later:
# `quantization_config` with 3.13, `renorm` with 3.14, `input_axes` of initialisers with 3.15.
_TRAINING = re.compile(
    ".+_(initializer|regularizer|constraint)|renorm.*|quantization_config|compile_config"
)
# Until 3.10 an operation that is no layer takes no name; what refers to it has it once more.
_OPERATIONS = "keras.src.ops."


def write_keras(source: Path, target: Path) -> None:
    """Writes a model file anew, with the same weights to the byte.

    Args:
        source: as `save_model` wrote it, with or without a description.
        target: the new file.
    """
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            data = old.read(member)
            if member.filename == _CONFIG:
                data = json.dumps(_for_inference(json.loads(data)), sort_keys=True).encode()
            new.writestr(zipfile.ZipInfo(member.filename, member.date_time), data)


def run_keras(path: Path, pixels: RowSource) -> np.ndarray:
    """The answers of a `.keras` file: float32 (n, classes) for pixels (n, side, side, 3)."""
    model = load_model(path)
    return model.predict(pixels[:], batch_size=INFERENCE_BATCH, verbose=0)


def _for_inference(part: Any) -> Any:
    """A part of what Keras says of a model, without the settings of its training."""
    if isinstance(part, list):
        return [*map(_for_inference, part)]
    if not isinstance(part, dict):
        return part
    kept = {key: value for key, value in part.items() if not _TRAINING.fullmatch(key)}
    if str(part.get("module")).startswith(_OPERATIONS):
        kept["config"] = {key: value for key, value in part["config"].items() if key != "name"}
    return {key: _for_inference(value) for key, value in kept.items()}
