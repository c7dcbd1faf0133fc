"""What a file of weights holds, by its own account and without TensorFlow."""

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from graft.common.errors import refuse
from graft.network.catalogue import Network

_WHERE = "params.yaml: backbone.weights"
# Layers of `data/models/*.keras`, from the outside in: the network as Keras knows it is the last.
_NESTED = ("backbone", "network")


def check_weights_file(path: Path, name: str, network: Network, layers: Sequence[str]) -> None:
    """Checks that a file can hold the weights of a network.

    Args:
        path: weights (`.h5`), or a model that this pipeline exported (`.keras`).
        name: of the network.
        network: what is known of it.
        layers: those of its layers that are used.

    Raises:
        UserError: the file is of another kind, or of another network.
    """
    if path.suffix == ".keras":
        found = layers_of(path)
        lacking = [layer for layer in layers[1:] if layer not in found]
        if lacking:
            allowed = f"a model whose network is {name}"
            raise refuse(_WHERE, allowed, f"{path}, which has no layer {lacking[0]}")
        return
    count = count_weights(path)
    if count != network.parameters:
        allowed = f"weights of {name} without its classifier, {network.parameters:,} numbers"
        raise refuse(_WHERE, allowed, f"{path} with {count:,} numbers")


def count_weights(path: Path) -> int:
    """How many numbers a weights file of Keras holds, of either of its formats.

    Raises:
        UserError: it is no such file.
    """
    import h5py

    total = 0

    def add(name: str, item: Any) -> None:
        nonlocal total
        # Some files bring the optimizer's state along.
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            total += item.size

    try:
        with h5py.File(path) as file:
            file.visititems(add)
    except OSError as error:
        raise refuse(_WHERE, "a file of weights in HDF5", f"{path} ({error})") from None
    return total


def layers_of(path: Path, nested: Sequence[str] = _NESTED) -> tuple[str, ...]:
    """The names of the layers of the network in a model that this pipeline made.

    Args:
        path: the model, `.keras`.
        nested: the layers that lead to the network, itself the last.

    Raises:
        UserError: it is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise refuse(_WHERE, "a model in the format .keras", f"{path} ({error})") from None
    for name in nested:
        config = next((layer for layer in _layers(config) if layer.get("name") == name), None)
        if config is None:
            allowed = "a model that graft made, such as data/models/finetuned.keras"
            raise refuse(_WHERE, allowed, f"{path}, which has no layer {name}")
    return tuple(layer["name"] for layer in _layers(config))


def _layers(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from config.get("config", {}).get("layers", ())
