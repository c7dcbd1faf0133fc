"""The networks themselves: graft's own, every class of `keras.applications`, and KerasHub's.

All take the same input, float32 (batch, side, side, 3) with values 0–255, and scale it themselves,
so that training, features, evaluation and export cannot disagree about scaling.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.backbone.opened import build_hub
from graft.backbone.scaling import find_scaling
from graft.backbone.weights import load_weights
from graft.models.framework import keras
from graft.models.layers import apply_stack
from graft.models.pooling import NETWORK, pool
from graft.models.stacks import IMAGE_KINDS, Layer, read_stack
from graft.network.hub import HUB

_layers = keras.layers
# From scratch the statistics must follow within a short training.
_MOMENTUM = 0.9
_BATCHES, _CLOUDS = 4, 4  # of pictures to begin with, and pictures of each: few, for their memory


def cnn(side: int) -> keras.Model:
    """A small residual network for images of 32–96 pixels, without its classifier.

    Three residual blocks (He et al. 2016, arXiv:1512.03385) of 32, 64 and 120 filters, each after
    a halving of the side; the first convolution alone sees the full side, which is what makes
    it fast. 484,074 parameters with ten classes; the feature map is (side / 8, side / 8, 120).
    """
    inputs = keras.Input((side, side, 3), name="input_layer")
    x = _convolution(inputs, 32, "stem")
    for filters in (32, 64, 120):
        if filters > 32:
            x = _convolution(x, filters, f"widen_{filters}")
        x = _layers.MaxPooling2D(name=f"halve_{filters}")(x)
        y = _convolution(x, filters, f"residual_{filters}_1")
        y = _convolution(y, filters, f"residual_{filters}_2", activate=False)
        x = _layers.Add(name=f"residual_{filters}_add")([x, y])
        x = _layers.ReLU(name=f"residual_{filters}_out")(x)
    return keras.Model(inputs, x, name=NETWORK)


def _convolution(x, filters: int, name: str, activate: bool = True):
    x = _layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    x = _layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return _layers.ReLU(name=f"{name}_relu")(x) if activate else x


# graft's own networks: the function that builds one, the smallest and the largest side in pixels.
# Their pixels are scaled to −1…1, and there are no ImageNet weights for them.
OWN_NETWORKS = {"cnn": (cnn, 32, 96)}


def build_network(
    name: str, side: int, stack: Sequence[Layer] = (), initializer: str = "glorot_uniform"
) -> keras.Model:
    """A network with weights that are drawn, without its scaling, classifier and pooling.

    Args:
        name: one of `OWN_NETWORKS`, `stack` or a class of `keras.applications`.
        side: the side of the images in pixels.
        stack: of the network `stack`, its layers.
        initializer: of the network `stack`.
    """
    if name in OWN_NETWORKS:
        return OWN_NETWORKS[name][0](side)
    if name == "stack":
        inputs = keras.Input((side, side, 3), name="input_layer")
        return keras.Model(inputs, apply_stack(stack, inputs, initializer), name=NETWORK)
    build = getattr(keras.applications, name)
    network = build(include_top=False, weights=None, input_shape=(side, side, 3))
    network.name = NETWORK
    return network


def build_backbone(settings: Mapping[str, Any]) -> keras.Model:
    """Scaling, network and pooling as one model.

    Args:
        settings: the parameters `backbone.*` and `image.side` by dotted key.

    Returns:
        A model from float32 (batch, side, side, 3), 0–255, to float32 (batch, d) features. Its
        layer `network` is the network as Keras knows it, with its own count of layers.

    Raises:
        UserError: the weights do not fit, are no weights, or cannot be fetched.
    """
    name, side = settings["backbone.name"], settings["image.side"]
    # Keras counts the layers that are given no name: their names depend on where it starts.
    keras.backend.clear_session()
    keras.utils.set_random_seed(settings["backbone.seed"])
    stack = read_stack(settings["backbone.stack"], IMAGE_KINDS)
    weights, prefix, reverse = settings["backbone.weights"], 0, False
    if name.startswith(HUB):
        whole, scale, offset, prefix = build_hub(name, side, weights)
    else:
        whole = build_network(name, side, stack, settings["backbone.initializer"])
    network = load_weights(whole, name, weights, settings["backbone.layer"])
    if name == "stack" or name in OWN_NETWORKS:
        scale, offset = [1 / 127.5] * 3, [-1.0] * 3
    elif not name.startswith(HUB):
        scale, offset, reverse = find_scaling(getattr(keras.applications, name), network)
    inputs = keras.Input((side, side, 3), name="pixels")
    x = keras.ops.flip(inputs, axis=-1) if reverse else inputs
    x = _layers.Rescaling(scale, offset, name="scaling")(x)
    features = pool(network(x), settings["backbone.pooling"], prefix=prefix)
    model = keras.Model(inputs, features, name="backbone")
    if weights == "none":
        settle_statistics(model, settings["backbone.seed"])
    return model


def settle_statistics(model: keras.Model, seed: int) -> None:
    """Lets the batch normalisations of a network with drawn weights know what comes to them.

    New ones say mean 0 and variance 1, with which maps fade by orders of magnitude from layer to
    layer. A head that was trained on such features falls apart with the first steps of the whole,
    in which batches normalise themselves. So they get the statistics of pictures of clouds. With a
    momentum of 0.9 these follow within a short training from scratch; Keras has up to 0.999.

    Args:
        model: from pixels 0–255, float32 (batch, side, side, 3).
        seed: draws the pictures.
    """
    norms = [
        layer
        for layer in model.get_layer(NETWORK).layers
        if isinstance(layer, _layers.BatchNormalization)
    ]
    draw = np.random.default_rng(seed)
    for count in range(1, 1 + (_BATCHES if norms else 0)):
        for norm in norms:
            norm.momentum = 1 - 1 / count  # the mean of all batches so far
        model(_draw_clouds(draw, model.input_shape[1]), training=True)
    for norm in norms:
        norm.momentum = _MOMENTUM


def _draw_clouds(draw: np.random.Generator, side: int) -> np.ndarray:
    """Pictures as rough at each scale, float32 (_CLOUDS, side, side, 3), 0–255."""
    total = np.zeros((_CLOUDS, side, side, 3), np.float32)
    for step in range(1, side.bit_length()):
        size = min(2**step, side)
        noise = draw.normal(size=(_CLOUDS, size, size, 3)).astype(np.float32)
        total += keras.ops.convert_to_numpy(keras.ops.image.resize(noise, (side, side)))
    return np.clip(128 + 40 * total, 0, 255)
