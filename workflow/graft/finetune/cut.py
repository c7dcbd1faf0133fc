"""A model cut in two: the frozen part below, and the tail above it that is trained."""

import inspect
from typing import NamedTuple

from graft.models.cuts import find_cuts
from graft.models.framework import keras
from graft.models.pooling import NETWORK

_POOLING = "pooling"


class Halves(NamedTuple):
    """Both parts of a model; they share their layers with it.

    Attributes:
        frozen: from pixels 0–255, float32 (batch, side, side, 3), to the output of the cut; None
            where nothing that computes is frozen.
        tail: from there, or from pixels, to class probabilities, float32 (batch, classes).
        cut: the layer whose output goes from one to the other.
    """

    frozen: keras.Model | None
    tail: keras.Model
    cut: str


def cut_model(model: keras.Model, backbone: keras.Model, head: keras.Model) -> Halves:
    """Divides a model at the last place where one tensor goes from what is frozen to what is not.

    Args:
        model: from pixels to class probabilities, the head on the backbone.
        backbone: a backbone, frozen as it is to be trained.
        head: from its features to class probabilities.
    """
    body = backbone.get_layer(NETWORK)
    layers = body.layers
    learning = next((n for n, layer in enumerate(layers) if _learns(layer)), None)
    if learning is None:
        # A model of its own: compiled, the head itself could not be saved as a part of the whole.
        inputs = keras.Input(head.input_shape[1:], name="cut")
        tail = keras.Model(inputs, head(inputs), name="tail")
        return Halves(backbone, tail, _POOLING)
    below = {layer.name for layer in layers[:learning]}
    # The input is a cut of any network, and in front of all that learns.
    cut = next(name for name in reversed(find_cuts(body)) if name in below)
    seam = body.get_layer(cut).output
    lower = keras.Model(body.input, seam)
    if not any(len(weight.shape) > 1 for weight in lower.weights):  # no kernels: it computes little
        return Halves(None, model, cut)
    frozen = keras.Model(backbone.input, lower(backbone.get_layer("scaling").output), name="frozen")
    inputs = keras.Input(seam.shape[1:], name="cut")
    features = backbone.get_layer(_POOLING)(keras.Model(seam, body.output)(inputs))
    return Halves(frozen, keras.Model(inputs, head(features), name="tail"), cut)


class Frozen(keras.layers.Layer):
    """A part of a model that always runs as in inference.

    As a layer of a functional model `fit` would set it to training (keras#20285): its dropout
    and stochastic depth would be at work, although nothing in it learns.
    """

    def __init__(self, part: keras.Model) -> None:
        super().__init__(name="frozen_part")
        self._part = part

    def call(self, pixels):
        """From pixels (batch, side, side, 3) to the output of the part."""
        return keras.ops.stop_gradient(self._part(pixels, training=False))


def _learns(layer: keras.layers.Layer) -> bool:
    """Whether a layer does something else in training than in inference."""
    random = layer.trainable and "training" in inspect.signature(layer.call).parameters
    return bool(layer.trainable_variables) or random
