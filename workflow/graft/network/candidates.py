"""The layers of a network whose outputs may be the feature."""

from graft.models.cuts import find_cuts
from graft.models.framework import keras
from graft.models.pooling import Depth
from graft.network.architectures import NETWORK

# Layers that change no feature, or only its edges.
_IDLE = (keras.layers.ZeroPadding2D, keras.layers.Dropout, keras.layers.InputLayer)
_MANY = 9  # layers of one resolution, from which on those at its thirds are taken as well


def find_candidates(model: keras.Model, pooling: str) -> list[Depth]:
    """Layers of different depth, the network's last one first, then the others from below.

    They are the last layers of each resolution by whose output alone the network goes on, and
    those at the thirds of the two lowest resolutions, where most of the layers lie.

    Args:
        model: a backbone.
        pooling: of its last layer. Others are pooled in the same way, but never by `flatten`, by
            which early layers would have a hundred thousand features.
    """
    body = model.get_layer(NETWORK)
    order = [layer.name for layer in body.layers]
    layers = [body.get_layer(name) for name in find_cuts(body)]
    stages: dict[int, list[keras.Layer]] = {}
    for layer in layers:
        if not isinstance(layer, _IDLE):
            stages.setdefault(layer.output.shape[1], []).append(layer)
    chosen = [group[-1] for group in stages.values()]
    for group in list(stages.values())[-2:]:
        if len(group) >= _MANY:
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
