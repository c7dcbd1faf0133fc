"""The networks that `backbone.name` may be, with what is checked before TensorFlow is imported.

The file beside this module says of each network what the pinned Keras builds: its smallest side,
its parameters and its layers. `workflow/scripts/networks.py` writes it; a test compares.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from graft import stacks
from graft.stacks import Layer

FILE = Path(__file__).with_suffix(".json")
STACK = "stack"  # the network that `backbone.stack` lists
OWN = ("cnn", STACK)  # graft's own, which nobody has trained on ImageNet
LAST = "last"  # what `backbone.layer` calls the last layer of any network
LARGEST = {"cnn": 96}  # pixels
LIMIT = 1024  # pixels, for all others


class Network(NamedTuple):
    """What params.yaml is checked against.

    Attributes:
        layers: the names of its layers without its classifier, input first, as Keras has them.
        parameters: how many parameters these layers have.
        sides: the smallest and largest side that it takes, in pixels.
    """

    layers: tuple[str, ...]
    parameters: int
    sides: tuple[int, int]

    def below(self, layer: str) -> tuple[str, ...]:
        """The layers from the input up to the one that `backbone.layer` names.

        Raises:
            ValueError: there is no such layer.
        """
        return self.layers if layer == LAST else self.layers[: self.layers.index(layer) + 1]


def _read() -> dict[str, Network]:
    rows = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        name: Network(
            layers=tuple(row["layers"].split()),
            parameters=row["parameters"],
            sides=(row["side"], LARGEST.get(name, LIMIT)),
        )
        for name, row in rows.items()
    }


# Every class of `keras.applications`, and `cnn`; what a stack is follows from what it lists.
NETWORKS = _read()
NAMES = (*OWN, *(name for name in NETWORKS if name not in OWN))


def network(name: str, stack: Sequence[Layer] = ()) -> Network:
    """What is known of the network that `backbone.name` and, for `stack`, `backbone.stack` say."""
    if name != STACK:
        return NETWORKS[name]
    return Network(stacks.names(stack), stacks.parameters(stack), (stacks.side(stack), LIMIT))


def matching(layers: Sequence[str], block: str) -> int | None:
    """The first of the layers that a block has: of that name, or of one that goes on with `_`.

    `block5` is found in VGG16, where `block5_conv1` begins it, `mixed9` in InceptionV3.
    """
    for number, name in enumerate(layers):
        if name == block or name.startswith(f"{block}_"):
            return number
    return None
