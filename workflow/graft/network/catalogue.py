"""The networks of `backbone.name`: what params.yaml is checked against, without TensorFlow.

`networks.json` beside this module lists for each network what the pinned Keras builds: its smallest
and largest side, that of its ImageNet photos, its parameters and its layers.
`workflow/scripts/networks.py` writes it; a test compares.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from graft.models.stacks import Layer, count_parameters, layer_names, smallest_side
from graft.network.hub import HUB, find_preset, find_sides

NETWORKS_FILE = Path(__file__).with_name("networks.json")
STACK = "stack"  # the network that `backbone.stack` lists
LAST = "last"  # the value of `backbone.layer` for the last layer of any network
_LIMIT = 1024  # pixels of the largest side, where the network itself has no limit


class Network(NamedTuple):
    """What params.yaml is checked against.

    Attributes:
        layers: the names of its layers without its classifier, input first, as Keras has them;
            none where they are not known before it is built.
        parameters: how many parameters these layers have; of KerasHub's about as many.
        sides: the smallest and largest side that it takes, in pixels.
        imagenet: the side of the photos that Keras trained it on, in pixels; 0 where it did not.
        step: the side is a multiple of it, in pixels.
        prefix: how many tokens of its output come before those of the patches; the first of them
            stands for the whole image.
    """

    layers: tuple[str, ...]
    parameters: int
    sides: Sequence[int]
    imagenet: int = 0
    step: int = 1
    prefix: int = 0

    def takes(self, side: int) -> bool:
        """Whether it takes images of this side, in pixels."""
        return self.sides[0] <= side <= self.sides[1] and side % self.step == 0

    def phrase_sides(self, name: str) -> str:
        """Which sides it takes, as a phrase that follows "must be"."""
        low, high = self.sides
        if low == high:
            return f"{low} pixels for {name}, whose positions are those of this side"
        of = f", a multiple of {self.step}" if self.step > 1 else ""
        return f"from {low} to {high} pixels{of} for {name}"

    def below(self, layer: str) -> tuple[str, ...]:
        """The layers from the input up to the one that `backbone.layer` names.

        Raises:
            ValueError: there is no such layer.
        """
        known = self.layers and layer != LAST
        return self.layers[: self.layers.index(layer) + 1] if known else self.layers


# Every class of `keras.applications`, and graft's own; a stack follows from its list of layers.
NETWORKS = {
    name: Network(**row | {"layers": tuple(row["layers"].split())})
    for name, row in json.loads(NETWORKS_FILE.read_text(encoding="utf-8")).items()
}
# Networks without ImageNet weights.
OWN = (*(name for name, network in NETWORKS.items() if not network.imagenet), STACK)
NAMES = (*OWN, *(name for name in NETWORKS if name not in OWN))


def look_up(name: str, stack: Sequence[Layer] = ()) -> Network:
    """What is known of the network that `backbone.name` and, for `stack`, `backbone.stack` say.

    Args:
        name: of the network.
        stack: of the network `stack`, its layers.
    Raises:
        UserError: there is no such network of KerasHub, or its folder is none.
    """
    if name == STACK:
        return Network(layer_names(stack), count_parameters(stack), (smallest_side(stack), _LIMIT))
    if not name.startswith(HUB):
        return NETWORKS[name]
    preset = find_preset(name)
    *sides, step = find_sides(preset)
    return Network((), preset.parameters, sides, step=step, prefix=preset.prefix)
