"""The heads: models of Keras from features to class probabilities, whatever they were fitted by.

All have layers of Keras alone: one format serves them all, and loading takes no code of ours.
"""

from collections.abc import Sequence

import numpy as np

from graft.framework import keras
from graft.layers import apply
from graft.linear import Linear
from graft.stacks import Layer

layers = keras.layers


def dense(
    mean: np.ndarray, variance: np.ndarray, stack: Sequence[Layer], output: str, classes: int
) -> keras.Model:
    """A head to be trained.

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
    inputs, x = _standardised(mean, variance)
    x = apply(stack, x)
    if output == "softmax":
        x = layers.Dense(classes, "softmax", name="probabilities")(x)
    else:
        x = layers.Dense(1, name="logit")(x)
        x = layers.Concatenate(name="logits")([layers.Rescaling(0.0, name="zero")(x), x])
        x = layers.Softmax(name="probabilities")(x)
    return keras.Model(inputs, x, name="head")


def linear(mean: np.ndarray, variance: np.ndarray, fitted: Linear) -> keras.Model:
    """A head that scikit-learn has fitted to standardised features.

    A scale other than 1 stays beside the weights, in a layer without parameters: the outputs of
    the layer before it are then the margins of the machine.

    Args:
        mean: float32 (d,), of the features.
        variance: float32 (d,), by whose root they are divided.
        fitted: kernel, bias and scale.

    Returns:
        A model from float32 (batch, d) to float32 (batch, classes), probabilities.
    """
    inputs, x = _standardised(mean, variance)
    classes = len(fitted.bias)
    if fitted.scale == 1:
        output = layers.Dense(classes, "softmax", name="probabilities")
        x = output(x)
    else:
        output = layers.Dense(classes, name="margins")
        x = layers.Rescaling(fitted.scale, name="scale")(output(x))
        x = layers.Softmax(name="probabilities")(x)
    output.set_weights([fitted.kernel, fitted.bias])
    return keras.Model(inputs, x, name="head")


def _standardised(mean: np.ndarray, variance: np.ndarray):
    inputs = keras.Input((len(mean),), name="features")
    return inputs, layers.Normalization(mean=mean, variance=variance, name="standardise")(inputs)
