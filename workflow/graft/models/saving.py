"""Models as files: the same model, the same bytes."""

import json
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graft.models.framework import keras

# The earliest time that a zip file can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def save_model(model: keras.Model, path: Path) -> None:
    """Saves a model as `.keras`, without the time of saving and without how it was trained.

    Keras writes the time into `metadata.json` and into the zip entries, and memory addresses into
    `config.json`, so that equal models differ as files and all that depends on them would be made
    again. Of a compiled model it writes the optimizer, twice the weights again, although it is told
    not to, and the loss, which may be one of graft's own and missing where the model is used. So a
    model of the same layers that was never compiled is saved.
    """
    raw = path.with_name("raw.keras")
    if model.compiled:
        model = keras.Model(model.input, model.output, name=model.name)
    model.save(raw)
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(path, "w") as new:
        for name in sorted(old.namelist()):
            data = old.read(name)
            if name == "metadata.json":
                metadata = json.loads(data)
                metadata.pop("date_saved", None)
                data = json.dumps(metadata, sort_keys=True).encode()
            elif name == "config.json":
                data = json.dumps(_renumber(json.loads(data), {}), sort_keys=True).encode()
            new.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    raw.unlink()


def _renumber(config: Any, seen: dict[int, int]) -> Any:
    """Numbers shared objects in the order of their first appearance."""
    if isinstance(config, list):
        return [_renumber(value, seen) for value in config]
    if not isinstance(config, dict):
        return config
    return {
        key: seen.setdefault(value, len(seen) + 1)
        if key == "shared_object_id"
        else _renumber(value, seen)
        for key, value in config.items()
    }


def load_model(path: Path) -> keras.Model:
    """Loads a model that `save_model` wrote."""
    with calm():
        return keras.models.load_model(path, compile=False)


@contextmanager
def calm() -> Iterator[None]:
    """Silences what Keras 3.15 says of nested models whose weights it loads, and loads well."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
        yield


def save_graph(model: keras.Model, path: Path) -> None:
    """Saves a model as an OpenVINO graph in float32: `.xml`, with its weights beside it."""
    model.export(str(path), format="openvino", verbose=False)
