"""Features of layers: the pooled outputs of a backbone's network, at its end or further below.

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
        pooling: what its map becomes a feature by: `avg`, `max` or `flatten`.
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
    """The feature that a map (batch, height, width, channels) becomes, by `avg`, `max`, `flatten`.

    What has no height and width is left as it is.
    """
    kinds = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "flatten": keras.layers.Flatten,
    }
    return kinds["flatten" if len(x.shape) == 2 else pooling](name=name)(x)


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
        wanted: the candidates; the first is the output of the model itself.

    Returns:
        A model from float32 (batch, side, side, 3) to float32 (batch, the sum of all widths).
    """
    body = model.get_layer(NETWORK)
    names = [depth.layer for depth in wanted[1:]]
    if not names:
        return model
    maps = keras.Model(body.input, [body.output, *(body.get_layer(n).output for n in names)])
    first, *others = maps(model.get_layer("scaling").output)
    pooled = [pool(first, wanted[0].pooling)]
    for depth, output in zip(wanted[1:], others, strict=True):
        pooled.append(pool(output, depth.pooling, f"pooling_{depth.layer}"))
    features = keras.layers.Concatenate(name="depths")(pooled)
    return keras.Model(model.input, features, name="backbone")
