"""Features of layers: the pooled outputs of a backbone's network, at its end or before it.

A backbone is a model of scaling, network and pooling: its layers `scaling`, `network`, `pooling`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from graft.models.framework import keras

NETWORK = "network"  # the layer of a backbone that is the network as Keras knows it


class Depth(NamedTuple):
    """A layer whose output may be the feature.

    Attributes:
        layer: its name.
        pooling: how its map becomes a feature: `avg`, `max` or `flatten`.
        width: of the feature.
        start: the first of its columns among the features of all depths.
        layers: how many layers of the network there are up to it, input included.
    """

    layer: str
    pooling: str
    width: int
    start: int
    layers: int


def pool(x, pooling: str, name: str = "pooling"):
    """Pools a map (batch, height, width, channels) by `avg`, `max` or `flatten`: (batch, width).

    An output without height and width is left as it is.
    """
    kinds = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
    flat = pooling == "flatten" or len(x.shape) == 2
    return (keras.layers.Flatten if flat else kinds[pooling])(name=name)(x)


def truncated(model: keras.Model, layer: str, pooling: str) -> keras.Model:
    """A backbone that ends at an earlier layer of its network, with the same weights."""
    body = model.get_layer(NETWORK)
    lower = keras.Model(body.input, body.get_layer(layer).output, name=NETWORK)
    scaled = model.get_layer("scaling").output
    return keras.Model(model.input, pool(lower(scaled), pooling), name="backbone")


def together(model: keras.Model, wanted: Sequence[Depth]) -> keras.Model:
    """A model of the features of several depths, one after the other.

    Args:
        model: a backbone.
        wanted: the candidates; the first is the last layer of the network.

    Returns:
        A model from float32 (batch, side, side, 3) to float32 (batch, the sum of all widths).
    """
    if len(wanted) == 1:
        return model
    body = model.get_layer(NETWORK)
    maps = keras.Model(body.input, [body.get_layer(depth.layer).output for depth in wanted])
    outputs = maps(model.get_layer("scaling").output)
    names = ["pooling", *(f"pooling_{depth.layer}" for depth in wanted[1:])]
    pooled = [pool(x, depth.pooling, n) for x, depth, n in zip(outputs, wanted, names, strict=True)]
    features = keras.layers.Concatenate(name="depths")(pooled)
    return keras.Model(model.input, features, name="backbone")
