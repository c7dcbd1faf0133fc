"""Heads as models of Keras, from features to class probabilities.

All have only layers of Keras: one format serves them all, and loading needs no code of graft's.
"""

from collections.abc import Sequence

import numpy as np

from graft.models.framework import keras
from graft.models.layers import apply_stack
from graft.models.stacks import Layer

_layers = keras.layers


def dense_head(
    mean: np.ndarray, variance: np.ndarray, stack: Sequence[Layer], output: str, classes: int
) -> keras.Model:
    """A head to be trained, or to be given weights.

    Args:
        mean: float32 (d,), of the features.
        variance: float32 (d,), by whose root they are divided.
        stack: the layers before the output.
        output: `softmax`, a unit for each class; or `sigmoid`, for two classes: one unit, the logit
            of the second class, d + 1 parameters. The logit of the first is 0, which makes the
            softmax of both the sigmoid.
        classes: how many there are.

    Returns:
        A model from float32 (batch, d) to float32 (batch, classes), probabilities.
    """
    inputs = keras.Input((len(mean),), name="features")
    x = _layers.Normalization(mean=mean, variance=variance, name="standardise")(inputs)
    x = apply_stack(stack, x)
    if output == "softmax":
        x = _layers.Dense(classes, "softmax", name="probabilities")(x)
    else:
        x = _layers.Dense(1, name="logit")(x)
        x = _layers.Concatenate(name="logits")([_layers.Rescaling(0.0, name="zero")(x), x])
        x = _layers.Softmax(name="probabilities")(x)
    return keras.Model(inputs, x, name="head")
