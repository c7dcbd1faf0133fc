"""The layers of a network whose outputs may be the feature."""

from graft.models.cuts import find_cuts
from graft.models.framework import keras
from graft.models.pooling import NETWORK, Depth

# Layers that change no feature, or only its edges.
_IDLE = (keras.layers.ZeroPadding2D, keras.layers.Dropout, keras.layers.InputLayer)
_MANY = 9  # layers of one resolution, from which on those at its thirds are taken as well


def find_candidates(model: keras.Model, pooling: str) -> list[Depth]:
    """Layers of different depth, the network's last one first, then the others from the input on.

    They are the last layers of each resolution by whose output alone the network goes on, and
    those at the thirds of the two lowest resolutions, where most of the layers are.

    Args:
        model: a backbone.
        pooling: of its last layer. Others are pooled in the same way, but never by `flatten`:
            early layers would have a hundred thousand features.
    """
    body = model.get_layer(NETWORK)
    cuts, total = set(find_cuts(body)), len(body.layers)
    stages: dict[int, list[tuple[int, keras.Layer]]] = {}
    for count, layer in enumerate(body.layers, 1):
        if layer.name in cuts and not isinstance(layer, _IDLE):
            stages.setdefault(layer.output.shape[1], []).append((count, layer))
    chosen = [group[-1] for group in stages.values()]
    for group in list(stages.values())[-2:]:
        if len(group) >= _MANY:
            chosen += [group[len(group) // 3], group[2 * len(group) // 3]]
    other = "max" if pooling == "max" else "avg"
    found = [Depth(body.layers[-1].name, pooling, model.output_shape[-1], 0, total)]
    for count, layer in sorted(chosen):
        if count < total:
            start = found[-1].start + found[-1].width
            found.append(Depth(layer.name, other, layer.output.shape[-1], start, count))
    return found
