"""What the networks of Keras want their pixels multiplied by, read off Keras itself."""

import inspect
from collections.abc import Callable
from types import ModuleType

import numpy as np

from graft.models.framework import keras

# The layers of a network of which one each is needed for the correction.
_CORRECTED = keras.layers.Rescaling, keras.layers.Normalization


def find_scaling(
    build: Callable[..., keras.Model], body: keras.Model
) -> tuple[list[float], list[float], bool]:
    """What a network needs in front of it, so that pixels mean to it what they meant in training.

    That is `probe_scaling`, and a correction for EfficientNetB0–B7. The Normalization layer in
    their ImageNet weights has the standard deviation where its variance belongs; Keras adds a layer
    that makes up for it, but only to networks that it builds with `weights="imagenet"`. This
    function does the same for others, whose weights come from a file.

    Args:
        build: the class of `keras.applications`.
        body: what it built, with its weights.

    Returns:
        Scale and offset of each channel (3,), and whether the channels are reversed before.
    """
    module = inspect.getmodule(build)
    scale, offset, reverse = probe_scaling(module)
    deviation = getattr(module, "IMAGENET_STDDEV_RGB", None)
    kinds = [type(layer) for layer in body.layers]
    if deviation is None or [kinds.count(kind) for kind in _CORRECTED] != [1, 1]:
        return scale, offset, reverse
    norm = body.layers[kinds.index(keras.layers.Normalization)]
    mean, variance = (np.ravel(x) for x in (norm.mean, norm.variance))
    if not np.allclose(variance, deviation, rtol=1e-3):
        return scale, offset, reverse  # the layer's own numbers, and right
    # (x' / 255 - mean) / sqrt(variance) is to be k times what it is of x.
    k = 1 / np.sqrt(deviation)
    corrected = k * offset + 255 * mean.astype(np.float64) * (1 - k)
    return (k * scale).tolist(), corrected.tolist(), reverse


def probe_scaling(module: ModuleType) -> tuple[list[float], list[float], bool]:
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
    pixels = probe.reshape(1, -1, 1, 3).copy()
    result = np.asarray(module.preprocess_input(pixels, data_format="channels_last")).reshape(-1, 3)
    offset, matrix = result[0], (result[1:4] - result[0]) / 255
    reverse = bool(abs(matrix[0, 2]) > abs(matrix[0, 0]))
    scale = np.diag(matrix[::-1] if reverse else matrix)
    check = probe[4][::-1] if reverse else probe[4]
    if not np.allclose(check * scale + offset, result[4], atol=1e-3):
        raise ValueError(f"the preprocessing of {module.__name__} is not one of scale and offset")
    return scale.tolist(), offset.tolist(), reverse
