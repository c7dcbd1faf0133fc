"""The layers of Keras for what `stacks` reads, and a factor for those that end in logits."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from graft.models.framework import keras
from graft.models.stacks import Layer

_layers = keras.layers


def apply_stack(stack: Sequence[Layer], x, initializer: str = "glorot_uniform"):
    """Puts a stack on a tensor.

    Args:
        stack: the layers, the first to be applied first.
        x: a Keras tensor, images (batch, height, width, channels) or vectors (batch, width).
        initializer: draws the kernels, by its name in `keras.initializers`.

    Returns:
        The Keras tensor after the last layer.
    """
    active = {"activation": "relu", "kernel_initializer": initializer}
    kinds = {
        "conv": partial(_layers.Conv2D, padding="same", **active),
        "pool": _layers.MaxPooling2D,
        "dense": partial(_layers.Dense, **active),
        "dropout": _layers.Dropout,
        # Momentum 0.9: from scratch the statistics must follow within a short training.
        "norm": partial(_layers.BatchNormalization, momentum=0.9),
    }
    for layer in stack:
        x = kinds[layer.kind](*layer.numbers, name=layer.name)(x)
    return x


def scale_logits(head: keras.Model, scale: float) -> None:
    """Multiplies the logits of a head by a factor, within the weights of its last dense layer."""
    last = [layer for layer in head.layers if isinstance(layer, _layers.Dense)][-1]
    last.set_weights([weight * np.float32(scale) for weight in last.get_weights()])
