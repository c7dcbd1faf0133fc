"""Which layers of a network are trained, and how many parameters that makes."""

from typing import NamedTuple

from graft.architectures import BODY
from graft.framework import keras


class Sizes(NamedTuple):
    """Numbers of parameters.

    Attributes:
        parameters: of the whole model.
        unfrozen: of the layers that are not frozen and the head, without moving statistics, with
            batch normalisation counted as if it were trained.
        trained: those that change.
    """

    parameters: int
    unfrozen: int
    trained: int


def freeze(backbone: keras.Model, count: int, pretrained: bool) -> None:
    """Makes only the top layers of a backbone trainable.

    Batch normalisation of a pretrained network stays frozen, whatever else is not: with
    `trainable = False` it keeps its moving statistics and uses them, while `training=False` alone
    is overridden inside `fit` (keras#20285).

    Args:
        backbone: of `architectures.backbone`; the layers of its `network` are counted.
        count: how many layers from the top.
        pretrained: whether its weights were learned before.
    """
    network = backbone.get_layer(BODY)
    backbone.trainable = network.trainable = True
    for number, layer in enumerate(reversed(network.layers)):
        norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = number < count and not (norm and pretrained)


def sizes(model: keras.Model, backbone: keras.Model, count: int, pretrained: bool) -> Sizes:
    """Freezes a backbone and counts the parameters of the model that it is a part of."""
    freeze(backbone, count, pretrained=False)
    unfrozen = _count(model.trainable_variables)
    freeze(backbone, count, pretrained)
    return Sizes(model.count_params(), unfrozen, _count(model.trainable_variables))


def _count(variables: list[keras.Variable]) -> int:
    return sum(variable.shape.num_elements() for variable in variables)
