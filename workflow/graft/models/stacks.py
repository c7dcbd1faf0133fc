"""Stacks of plain layers, as `backbone.stack` and `head.stack` list them: `[conv 32, pool, norm]`.

    conv FILTERS [KERNEL]   convolution of that kernel (3 × 3), same size, ReLU
    pool [WINDOW]           maximum of each window (2 × 2)
    dense WIDTH             dense layer, ReLU
    norm                    batch normalisation
    dropout FRACTION        dropout while training

Behind its numbers a convolution may have a stride and `valid`, by which it is not padded at the
edges, and it and a dense layer another activation: `conv 32 5 /2 valid tanh`, `dense 128 elu`.

This module says what follows from the text alone; `layers.py` builds the layers of Keras.
"""

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

# How the output of a network becomes a feature; the last two are of networks with a class token.
POOLINGS = (*("avg", "max", "flatten"), *(TOKEN_POOLINGS := ("token", "token_avg")))
IMAGE_KINDS = ("conv", "pool", "norm", "dropout")
VECTOR_KINDS = ("dense", "norm", "dropout")
_FORMS = (
    *("conv FILTERS [KERNEL] [/STRIDE] [valid] [ACTIVATION]", "pool [WINDOW]"),
    *("dense WIDTH [ACTIVATION]", "norm", "dropout FRACTION"),
)
# By their names in `keras.activations`.
ACTIVATIONS = ("relu", "elu", "gelu", "leaky_relu", "linear", "selu", "sigmoid", "silu", "tanh")
_MOST_STRIDE = 16
_DEFAULTS = {"conv": "3", "pool": "2"}  # of the last number, where it may be left out
# The limit of each number: of a whole number from 1 on, or None for a fraction, which is below 1.
_LIMITS = {"conv": (4096, 31), "pool": (64,), "dense": (65536,), "norm": (), "dropout": (None,)}
LONGEST_STACK = 100  # layers


class Layer(NamedTuple):
    """One layer of a stack.

    Attributes:
        kind: one of the kinds above.
        numbers: filters and kernel of a convolution, the window of a pool, the width of a dense
            layer or the fraction of a dropout.
        name: as Keras calls it, such as `conv_2`: its kind, counted from the first of its kind.
        stride: of a convolution, in pixels.
        padding: of a convolution, `same` or `valid`.
        activation: of a convolution or a dense layer.
    """

    kind: str
    numbers: tuple[float, ...]
    name: str
    stride: int = 1
    padding: str = "same"
    activation: str = "relu"

    def needs(self, left: int) -> int:
        """The smallest side of an image of which this side is left, in pixels."""
        if self.kind == "pool":
            return int(self.numbers[0]) * left
        if self.kind == "conv":
            kernel = int(self.numbers[1]) if self.padding == "valid" else 1
            return (left - 1) * self.stride + kernel
        return left


def read_stack(texts: Sequence[str], kinds: Sequence[str]) -> tuple[Layer, ...]:
    """The layers that the texts list.

    Args:
        texts: one a layer.
        kinds: those that are allowed, `IMAGE_KINDS` or `VECTOR_KINDS`.

    Raises:
        ValueError: one is none of these, or a number is outside its limits.
    """
    found: list[Layer] = []
    for text in texts:
        kind, *words = text.split()
        if kind not in kinds:
            raise ValueError(text)
        numbers = list(itertools.takewhile(lambda word: word[0].isdigit(), words))
        ways = _read_ways(kind, words[len(numbers) :])
        limits = _LIMITS[kind]
        if kind in _DEFAULTS and len(numbers) == len(limits) - 1:
            numbers.append(_DEFAULTS[kind])
        values = tuple(_number(n, limit) for n, limit in zip(numbers, limits, strict=True))
        count = sum(layer.kind == kind for layer in found) + 1
        found.append(Layer(kind, values, f"{kind}_{count}", **ways))
    return tuple(found)


def _read_ways(kind: str, words: Sequence[str]) -> dict[str, Any]:
    """What stands behind the numbers of a layer, each at most once."""
    ways: dict[str, Any] = {}
    for word in words:
        if kind == "conv" and word.startswith("/"):
            way, value = "stride", int(_number(word[1:], _MOST_STRIDE))
        elif kind == "conv" and word == "valid":
            way, value = "padding", word
        elif kind in ("conv", "dense") and word in ACTIVATIONS:
            way, value = "activation", word
        else:
            raise ValueError(word)
        if way in ways:
            raise ValueError(word)
        ways[way] = value
    return ways


def describe_forms(kinds: Sequence[str]) -> str:
    """The forms that a list of these kinds may have."""
    forms = ", ".join(form for form in _FORMS if form.split()[0] in kinds)
    text = f"a list of at most {LONGEST_STACK} layers: {forms}"
    return f"{text}, ACTIVATION one of {', '.join(ACTIVATIONS)}"


def layer_names(stack: Sequence[Layer]) -> tuple[str, ...]:
    """The names of the network's layers, input first."""
    return ("input_layer", *(layer.name for layer in stack))


def count_parameters(stack: Sequence[Layer], channels: int = 3) -> int:
    """How many parameters the layers have, those of batch normalisation's statistics included."""
    total = 0
    for layer in stack:
        if layer.kind == "norm":
            total += 4 * channels
        elif layer.kind in ("conv", "dense"):
            width, *kernel = map(int, layer.numbers)
            total += (math.prod(kernel) ** 2 * channels + 1) * width
            channels = width
    return total


def smallest_side(stack: Sequence[Layer]) -> int:
    """The smallest side of an image of which something is left after all layers, in pixels."""
    side = 1
    for layer in reversed(stack):
        side = layer.needs(side)
    return side


def _number(text: str, limit: int | None) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
        raise ValueError(text)
    number = float(text) if limit is None else int(text)
    if not (number < 1 if limit is None else 1 <= number <= limit):
        raise ValueError(text)
    return number
