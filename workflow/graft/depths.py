"""Features of several depths of a network at once, for the choice of the layer."""

from collections.abc import Sequence
from typing import NamedTuple

from graft.architectures import BODY, pool
from graft.cuts import cuts
from graft.framework import keras

# What changes no feature, or nothing but its edges.
IDLE = (keras.layers.ZeroPadding2D, keras.layers.Dropout, keras.layers.InputLayer)
MANY = 9  # layers of one resolution, from which on those at its thirds are taken as well


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


def depths(model: keras.Model, pooling: str) -> list[Depth]:
    """Layers of different depth, the network's last one first, then the others from below.

    They are the last layers of each resolution by whose output alone the network goes on, and
    those at the thirds of the two lowest resolutions, where most of the layers lie.

    Args:
        model: of `architectures.backbone`.
        pooling: of its last layer. Others are pooled in the same way, but never by `flatten`, by
            which early layers would have a hundred thousand features.
    """
    body = model.get_layer(BODY)
    order = [layer.name for layer in body.layers]
    layers = [body.get_layer(name) for name in cuts(body)]
    stages: dict[int, list[keras.Layer]] = {}
    for layer in layers:
        if not isinstance(layer, IDLE):
            stages.setdefault(layer.output.shape[1], []).append(layer)
    chosen = [group[-1] for group in stages.values()]
    for group in list(stages.values())[-2:]:
        if len(group) >= MANY:
            chosen += [group[len(group) // 3], group[2 * len(group) // 3]]
    other = "max" if pooling == "max" else "avg"
    below = sorted(
        (order.index(layer.name) + 1, layer) for layer in chosen if layer.name != order[-1]
    )
    found = [Depth(order[-1], pooling, model.output_shape[-1], 0, len(order))]
    for count, layer in below:
        start = found[-1].start + found[-1].width
        found.append(Depth(layer.name, other, layer.output.shape[-1], start, count))
    return found


def together(model: keras.Model, wanted: Sequence[Depth]) -> keras.Model:
    """A model of the features of several depths, one after the other.

    Args:
        model: of `architectures.backbone`.
        wanted: what `depths` found; the first is the output of the model itself.

    Returns:
        A model from float32 (batch, side, side, 3) to float32 (batch, the sum of all widths).
    """
    body = model.get_layer(BODY)
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
