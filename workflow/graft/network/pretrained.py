"""What a file of weights holds, by its own account and without TensorFlow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from graft.common.errors import refuse
from graft.network.catalogue import Network
from graft.network.stored_model import read_config
from graft.network.stored_weights import NotPlain, count_numbers

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
        UserError: it is no such file, or holds something else than plain arrays.
    """
    try:
        return count_numbers(path)
    except (OSError, NotPlain) as error:
        raise refuse(_WHERE, "a file of weights in HDF5, plain arrays", _say(path, error)) from None


def layers_of(path: Path) -> tuple[str, ...]:
    """The names of the layers of the network in a model that this pipeline made.

    Args:
        path: the model, `.keras`.

    Raises:
        UserError: it is no such file, or has a part that no such model has.
    """
    try:
        config: Any = read_config(path)
    except NotPlain as error:
        raise refuse(_WHERE, "a model that graft made (.keras)", _say(path, error)) from None
    for name in _NESTED:
        config = next((layer for layer in _layers(config) if layer.get("name") == name), None)
        if config is None:
            allowed = "a model that graft made, such as data/models/finetuned.keras"
            raise refuse(_WHERE, allowed, f"{path}, which has no layer {name}")
    return tuple(str(layer.get("name")) for layer in _layers(config))


def _say(path: Path, error: Exception) -> str:
    return f"{path} ({' '.join(str(error).split())[:300]})"


def _layers(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    inside = config.get("config")
    layers = inside.get("layers") if isinstance(inside, dict) else None
    found = layers if isinstance(layers, list) else ()
    return (layer for layer in found if isinstance(layer, dict))
