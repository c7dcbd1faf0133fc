"""The networks themselves: graft's own small one, and every class of `keras.applications`.

All take the same input, float32 (batch, side, side, 3) with values 0–255, and scale it themselves,
so that training, features, evaluation and export cannot disagree about scaling.
"""

import inspect
import os
from pathlib import Path
from types import ModuleType

import numpy as np

from graft.errors import UserError, refuse
from graft.framework import keras
from graft.models import calm

layers = keras.layers

BODY = "network"


def cnn() -> keras.Model:
    """A small residual network for images of 32–96 pixels, without its classifier.

    Three residual blocks (He et al. 2016, arXiv:1512.03385) of 32, 64 and 120 filters, each after
    a halving of the side; the first convolution alone sees the full side, which is what makes
    it fast. 484,074 parameters with ten classes; the feature map is (side / 8, side / 8, 120).
    """
    inputs = keras.Input((None, None, 3))
    x = _convolution(inputs, 32, "stem")
    for filters in (32, 64, 120):
        if filters > 32:
            x = _convolution(x, filters, f"widen_{filters}")
        x = layers.MaxPooling2D(name=f"halve_{filters}")(x)
        y = _convolution(x, filters, f"residual_{filters}_1")
        y = _convolution(y, filters, f"residual_{filters}_2", activate=False)
        x = layers.Add(name=f"residual_{filters}_add")([x, y])
        x = layers.ReLU(name=f"residual_{filters}_out")(x)
    return keras.Model(inputs, x, name=BODY)


def _convolution(x, filters: int, name: str, activate: bool = True):
    x = layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    # Momentum 0.9: from scratch the statistics must follow within a short training.
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activate else x


def backbone(name: str, side: int, weights: str, pooling: str, seed: int) -> keras.Model:
    """Scaling, network and pooling as one model.

    Args:
        name: `cnn` or a class of `keras.applications`.
        side: the side of the images in pixels.
        weights: `none`, `imagenet`, or a weights file for the network.
        pooling: `avg`, `max` or `flatten`.
        seed: draws the weights where they are `none`.

    Returns:
        A model from float32 (batch, side, side, 3), 0–255, to float32 (batch, d) features. Its
        layer `network` is the network as Keras knows it, with its own count of layers.

    Raises:
        UserError: the weights do not fit, are no weights, or cannot be fetched.
    """
    keras.utils.set_random_seed(seed)
    body, scale, offset, reverse = _body(name, side, weights)
    inputs = keras.Input((side, side, 3), name="pixels")
    x = keras.ops.flip(inputs, axis=-1) if reverse else inputs
    x = layers.Rescaling(scale, offset, name="scaling")(x)
    x = body(x)
    pool = {
        "avg": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
        "flatten": layers.Flatten,
    }[pooling]
    return keras.Model(inputs, pool(name="pooling")(x), name="backbone")


def _body(name: str, side: int, weights: str) -> tuple[keras.Model, list[float], list[float], bool]:
    if name == "cnn":
        body = cnn()
        if weights != "none":
            _load(body, weights)
        return body, [1 / 127.5] * 3, [-1.0] * 3, False
    build = getattr(keras.applications, name)
    try:
        source = weights if weights == "imagenet" else None
        body = build(include_top=False, weights=source, input_shape=(side, side, 3))
    except Exception as error:
        if "URL fetch failure" not in str(error):
            raise
        raise UserError(_unreachable(name, str(error))) from None
    # Named afterwards: Keras makes the name of the file that it fetches from the network's own.
    body.name = BODY
    if weights not in ("none", "imagenet"):
        _load(body, weights)
    return body, *affine(inspect.getmodule(build))


def affine(module: ModuleType) -> tuple[list[float], list[float], bool]:
    """The scaling of a `keras.applications` module, read off its own `preprocess_input`.

    All of Keras' modes are `x * scale + offset` a channel, some after reversing RGB to BGR.
    Asking the function itself keeps graft right about networks that it has never heard of.

    Args:
        module: the module that defines the network, with its `preprocess_input`.

    Returns:
        Scale and offset of each output channel (3,), and whether the channels are reversed.

    Raises:
        ValueError: the function is not of that form.
    """
    probe = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3), [[17.0, 99.0, 201.0]]])
    result = np.asarray(
        module.preprocess_input(probe.reshape(1, -1, 1, 3).copy(), data_format="channels_last")
    ).reshape(-1, 3)
    offset, matrix = result[0], (result[1:4] - result[0]) / 255
    reverse = bool(abs(matrix[0, 2]) > abs(matrix[0, 0]))
    scale = np.diag(matrix[::-1] if reverse else matrix)
    check = probe[4][::-1] if reverse else probe[4]
    if not np.allclose(check * scale + offset, result[4], atol=1e-3):
        raise ValueError(f"the preprocessing of {module.__name__} is not one of scale and offset")
    return scale.tolist(), offset.tolist(), reverse


def _load(body: keras.Model, weights: str) -> None:
    allowed = (
        f"a file of weights for backbone.name without its classifier ({len(body.layers)} layers)"
    )
    if not Path(weights).is_file():
        raise refuse("params.yaml: backbone.weights", "a file that exists", weights)
    try:
        with calm():
            body.load_weights(weights)
    except (ValueError, OSError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise refuse("params.yaml: backbone.weights", allowed, f"{weights} ({first})") from None


def _unreachable(name: str, message: str) -> str:
    url = next((word for word in message.split() if word.startswith("http")), "?").rstrip(":,.")
    # Where Keras itself looks before it fetches anything, and checks the file's hash.
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    place = home / "models" / url.rpartition("/")[2]
    return (
        f"the ImageNet weights of {name} cannot be fetched. Download {url} where there is a network"
        f" and put it at {place}, or name a file in backbone.weights. Received: {message}"
    )
