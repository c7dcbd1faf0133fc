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
        pooling: how its map or tokens become a feature, a value of `backbone.pooling`.
        width: of the feature.
        start: the first of its columns among the features of all depths.
        layers: how many layers of the network there are up to it, input included.
        prefix: of a network of tokens, how many come before those of the patches.
    """

    layer: str
    pooling: str
    width: int
    start: int
    layers: int
    prefix: int = 0


def pool(x, pooling: str, name: str = "pooling", prefix: int = 0):
    """Pools the output of a layer: (batch, width).

    Args:
        x: a map (batch, height, width, channels), tokens (batch, tokens, channels), or a vector,
            which is left as it is.
        pooling: `avg` or `max`, over the map or the tokens of the patches; `flatten`, all of it;
            `token`, the first token; `token_avg`, that and the mean of the patches.
        name: of the layer that does it.
        prefix: of tokens, how many come before those of the patches.
    """
    if pooling == "flatten" or len(x.shape) == 2:
        return keras.layers.Flatten(name=name)(x)
    if len(x.shape) == 3:
        return _token_pooling(x.shape[1:], pooling, name, prefix)(x)
    kinds = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
    return kinds[pooling](name=name)(x)


def _token_pooling(shape: tuple[int, int], pooling: str, name: str, prefix: int) -> keras.Model:
    """A model of plain layers from tokens, (batch, *shape), to (batch, width)."""
    layers, tokens = keras.layers, keras.Input(shape, name="tokens")
    kinds = {"max": layers.GlobalMaxPooling1D}
    found = []
    for kind in pooling.split("_"):
        # The mean of a single token is the token.
        cut = (0, shape[0] - 1) if kind == "token" else (prefix, 0)
        kept = layers.Cropping1D(cut, name=f"{kind}_kept")(tokens)
        found.append(kinds.get(kind, layers.GlobalAveragePooling1D)(name=kind)(kept))
    both = layers.Concatenate(name="both")(found) if len(found) > 1 else found[0]
    return keras.Model(tokens, both, name=name)


def truncated(model: keras.Model, layer: str, pooling: str, prefix: int = 0) -> keras.Model:
    """A backbone that ends at an earlier layer of its network, with the same weights."""
    body = model.get_layer(NETWORK)
    lower = keras.Model(body.input, body.get_layer(layer).output, name=NETWORK)
    features = pool(lower(model.get_layer("scaling").output), pooling, prefix=prefix)
    return keras.Model(model.input, features, name="backbone")


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
    pooled = [
        pool(x, depth.pooling, name, depth.prefix)
        for x, depth, name in zip(outputs, wanted, names, strict=True)
    ]
    features = keras.layers.Concatenate(name="depths")(pooled)
    return keras.Model(model.input, features, name="backbone")
