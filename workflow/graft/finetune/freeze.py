"""Which layers of a network are trained, and how many parameters that makes."""

from graft.models.framework import keras
from graft.models.pooling import NETWORK


def freeze_layers(backbone: keras.Model, count: int, pretrained: bool) -> None:
    """Makes only the top layers of a backbone trainable.

    Batch normalisation of a pretrained network stays frozen, even where all else is trained: with
    `trainable = False` it keeps its moving statistics and uses them, while `training=False` alone
    is overridden inside `fit` (keras#20285). What makes tokens of the pixels is never trained: the
    rest learns as well without (Kumar et al. 2022, arXiv:2211.09359).

    Args:
        backbone: the layers of its `network` are counted.
        count: how many layers from the top.
        pretrained: whether its weights were learned before.
    """
    network = backbone.get_layer(NETWORK)
    backbone.trainable = network.trainable = True
    count = min(count, len(network.layers) - _count_embedding(network))
    for number, layer in enumerate(reversed(network.layers)):
        norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = number < count and not (norm and pretrained)


def _count_embedding(network: keras.Model) -> int:
    """How many layers there are up to the first whose output is tokens; 0 where there are none."""
    tokens = (len(layer.output.shape) == 3 for layer in network.layers)
    return next((n for n, found in enumerate(tokens, 1) if found), 0)


def count_sizes(
    model: keras.Model, backbone: keras.Model, count: int, pretrained: bool
) -> dict[str, int]:
    """Freezes a backbone and counts the parameters of the model that it is a part of.

    Returns:
        parameters, those of the whole model; unfrozen, those of the layers that are not frozen and
        of the head, without moving statistics, with batch normalisation counted as if it were
        trained; trained, those that change.
    """
    sizes = {"parameters": model.count_params()}
    for name, still_norms in {"unfrozen": False, "trained": pretrained}.items():
        freeze_layers(backbone, count, still_norms)
        sizes[name] = sum(weight.shape.num_elements() for weight in model.trainable_variables)
    return sizes
