"""The layers of Keras for what `stacks` reads, and a factor for those that end in logits."""

from collections.abc import Sequence

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
    for layer in stack:
        x = _build(layer, initializer)(x)
    return x


def _build(layer: Layer, initializer: str) -> keras.Layer:
    name, numbers = layer.name, layer.numbers
    active = {"activation": "relu", "kernel_initializer": initializer, "name": name}
    match layer.kind:
        case "conv":
            return _layers.Conv2D(*map(int, numbers), padding="same", **active)
        case "pool":
            return _layers.MaxPooling2D(int(numbers[0]), name=name)
        case "dense":
            return _layers.Dense(int(numbers[0]), **active)
        case "dropout":
            return _layers.Dropout(numbers[0], name=name)
        case "norm":
            # Momentum 0.9: from scratch the statistics must follow within a short training.
            return _layers.BatchNormalization(momentum=0.9, name=name)
    raise ValueError(f"a kind of layer must be one that stacks reads. Received: {layer.kind}")


def scale_logits(head: keras.Model, scale: float) -> None:
    """Multiplies the logits of a head by a factor, within the weights of its last dense layer."""
    last = [layer for layer in head.layers if isinstance(layer, _layers.Dense)][-1]
    last.set_weights([weight * np.float32(scale) for weight in last.get_weights()])
