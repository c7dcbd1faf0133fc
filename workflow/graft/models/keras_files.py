"""Model files of Keras, written and joined without Keras, whose import takes four seconds.

A `.keras` file is a zip archive: `config.json` has the layers and which tensor goes where,
`model.weights.h5` has a group for each layer, named by its class and counted. All that is written
here is read from such files, or has one of two known layers.
"""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from graft.models.description import EPOCH

KERAS_CONFIG = "config.json"
_WEIGHTS = "model.weights.h5"
_METADATA = "metadata.json"
_FLOAT32 = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float32"},
    "registered_name": None,
}
_LEARNED = {"dtype": _FLOAT32, "trainable": True}
_LAYERS, _GENERATOR = "layers", "seed_generator"


class StoredKeras(NamedTuple):
    """A model as its file has it.

    Attributes:
        config: of the model, a `Functional`.
        weights: the group of its weights.
    """

    config: dict[str, Any]
    weights: h5py.Group

    def count_parameters(self) -> int:
        """How many there are, those that are not trained included, as Keras counts them."""
        found = []

        def add(name: str, item: Any) -> None:
            # What draws a dropout is stored with the weights, and is none.
            if isinstance(item, h5py.Dataset) and _GENERATOR not in name.split("/"):
                found.append(item.size)

        self.weights.visititems(add)
        return sum(found)


@contextmanager
def open_keras(path: Path) -> Iterator[StoredKeras]:
    """Opens the file of a model."""
    with zipfile.ZipFile(path) as archive:
        config, data = json.loads(archive.read(KERAS_CONFIG)), archive.read(_WEIGHTS)
    with h5py.File(io.BytesIO(data)) as weights:
        yield StoredKeras(_without_numbers(config), weights)


def _write_layers(path: Path, config: Mapping[str, Any], groups: Sequence[Any]) -> None:
    """Writes the file of a model.

    Args:
        path: `.keras`.
        config: of the model, a `Functional`.
        groups: the weights of each of its layers, in their order: arrays, or the group of another
            file.
    """
    layers, data = config["config"]["layers"], io.BytesIO()
    with h5py.File(data, "w") as file:
        own = file.create_group(_LAYERS)
        for layer, name, group in zip(layers, _name_groups(layers), groups, strict=True):
            if isinstance(group, h5py.Group):
                own.copy(group, name)
                continue
            variables = own.create_group(f"{name}/vars")
            variables.attrs["name"] = layer["config"]["name"]
            for number, array in enumerate(group):
                variables.create_dataset(str(number), data=array)
        file.create_group("vars").attrs["name"] = config["config"]["name"]
    metadata = {"keras_version": version("keras")}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (
            (KERAS_CONFIG, json.dumps(config, sort_keys=True)),
            (_METADATA, json.dumps(metadata)),
            (_WEIGHTS, data.getvalue()),
        ):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)


def write_linear(path: Path, names: Sequence[str], arrays: Sequence[np.ndarray]) -> None:
    """Writes a standardising layer and a dense one with softmax as one model.

    Args:
        path: `.keras`.
        names: of the model, the input, and both layers.
        arrays: float32: mean (d,) and variance (d,) of the first; kernel (d, classes) and bias
            (classes,) of the second.
    """
    name, features, standardise, probabilities = names
    mean, variance, kernel, bias = arrays
    shape, classes = [None, len(mean)], len(bias)
    dense = {"activation": "softmax", "units": classes, "use_bias": True}
    moments = {"axis": [-1], "mean": mean.tolist(), "variance": variance.tolist(), "invert": False}
    layers = [
        _layer("InputLayer", features, {"batch_shape": shape, "dtype": "float32"}),
        _layer("Normalization", standardise, {**_LEARNED, **moments}, features, shape),
        _layer("Dense", probabilities, {**_LEARNED, **dense}, standardise, shape),
    ]
    config = _functional(name, layers, (probabilities, 0, 0))
    _write_layers(path, config, [(), (), (kernel, bias)])


def _layer(
    kind: str,
    name: str,
    config: Mapping[str, Any],
    source: str = "",
    shape: Sequence[int | None] = (),
) -> dict[str, Any]:
    """The config of a layer of Keras, called once on the output of another one."""
    nodes = [{"args": [_tensor(source, shape)], "kwargs": {}}] if source else []
    layer = {
        "module": "keras.layers",
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": None,
        "name": name,
        "inbound_nodes": nodes,
    }
    return layer | ({"build_config": {"input_shape": [*shape]}} if source else {})


def join_keras(path: Path, network: StoredKeras, head: StoredKeras, name: str) -> None:
    """Writes the head on a backbone as one model.

    Args:
        path: `.keras`.
        network: a backbone, from pixels to features.
        head: from features to class probabilities.
        name: of the model.
    """
    pixels, features = (model.config["config"]["layers"][0] for model in (network, head))
    layers = [pixels, _called(network.config, pixels), _called(head.config, features, "backbone")]
    # Keras counts the calls of a model from the one by which it was made.
    config = _functional(name, layers, (head.config["config"]["name"], 1, 0))
    _write_layers(path, config, [(), network.weights, head.weights])


def _called(model: Mapping[str, Any], inputs: Mapping[str, Any], source: str = "") -> dict:
    """A model as a layer of another one, called once.

    Args:
        model: its config.
        inputs: the config of its own input, which says the shape.
        source: the layer that it is called on; the input itself if empty.
    """
    tensor = _tensor(source or inputs["config"]["name"], inputs["config"]["batch_shape"])
    nodes = [{"args": [tensor], "kwargs": {"mask": None}}]
    return {**model, "name": model["config"]["name"], "inbound_nodes": nodes}


def _tensor(source: str, shape: Sequence[int | None]) -> dict[str, Any]:
    about = {"shape": [*shape], "dtype": "float32", "keras_history": [source, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": about}


def _functional(name: str, layers: Sequence[Any], output: Sequence[Any]) -> dict[str, Any]:
    """The config of a model of layers, the first of which is its input.

    Args:
        name: of the model.
        layers: their configs.
        output: the layer of the output, the number of its call, and of the tensor.
    """
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": name,
            "trainable": True,
            "layers": [*layers],
            "input_layers": [layers[0]["config"]["name"], 0, 0],
            "output_layers": [*output],
        },
        "registered_name": "Functional",
        "build_config": {"input_shape": None},
        "compile_config": {},
    }


def _without_numbers(config: Any) -> Any:
    """A config without the numbers of shared objects, which differ from file to file.

    What is shared are the names of types of numbers, which may as well be there twice.
    """
    if isinstance(config, dict):
        kept = {key: value for key, value in config.items() if key != "shared_object_id"}
        return {key: _without_numbers(value) for key, value in kept.items()}
    return [*map(_without_numbers, config)] if isinstance(config, list) else config


def _name_groups(layers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The names of the groups of weights, as Keras makes them of the classes of layers."""
    seen = Counter[str]()
    for layer in layers:
        name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", layer["class_name"])
        name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
        yield f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1
