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
    for layer in stack:
        active = {"activation": layer.activation, "kernel_initializer": initializer}
        match layer.kind:
            case "conv":
                ways = {"strides": layer.stride, "padding": layer.padding}
                make = partial(_layers.Conv2D, **ways, **active)
            case "pool":
                make = _layers.MaxPooling2D
            case "dense":
                make = partial(_layers.Dense, **active)
            case "dropout":
                make = _layers.Dropout
            case "norm":
                # Momentum 0.9: from scratch the statistics must follow within a short training.
                make = partial(_layers.BatchNormalization, momentum=0.9)
        x = make(*layer.numbers, name=layer.name)(x)
    return x


def scale_logits(head: keras.Model, scale: float) -> None:
    """Multiplies the logits of a head by a factor, within the weights of its last dense layer."""
    last = [layer for layer in head.layers if isinstance(layer, _layers.Dense)][-1]
    last.set_weights([weight * np.float32(scale) for weight in last.get_weights()])
