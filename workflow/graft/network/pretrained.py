"""What a file of weights holds, by its own account and without TensorFlow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graft.common.errors import refuse
from graft.network.catalogue import Network
from graft.network.stored_model import read_config
from graft.network.stored_weights import NotPlain, count_numbers

_WHERE = "params.yaml: backbone.weights"
_PLAIN = "a file of weights in HDF5, plain arrays"
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
        UserError: the file is of another kind, holds something else than a model or plain arrays,
            or is of another network.
    """
    is_model = path.suffix == ".keras"
    try:
        found: Any = read_config(path) if is_model else count_numbers(path)
    except (OSError, NotPlain) as error:
        form = "a model that graft made (.keras)" if is_model else _PLAIN
        problem = " ".join(str(error).split())[:300]
        raise refuse(_WHERE, form, f"{path} ({problem})") from None
    if not is_model:
        if found != network.parameters:
            allowed = f"weights of {name} without its classifier, {network.parameters:,} numbers"
            raise refuse(_WHERE, allowed, f"{path} with {found:,} numbers")
        return
    for outer in _NESTED:
        if (found := _layers(found).get(outer)) is None:
            allowed = "a model that graft made, such as data/models/finetuned.keras"
            raise refuse(_WHERE, allowed, f"{path}, which has no layer {outer}")
    lacking = [layer for layer in layers[1:] if layer not in _layers(found)]
    if lacking:
        allowed = f"a model whose network is {name}"
        raise refuse(_WHERE, allowed, f"{path}, which has no layer {lacking[0]}")


def _layers(config: Any) -> dict[str, Any]:
    """The layers of a model by their names, as a `.keras` file has them."""
    match config:
        case {"config": {"layers": [*layers]}}:
            return {str(layer.get("name")): layer for layer in layers if isinstance(layer, dict)}
    return {}
