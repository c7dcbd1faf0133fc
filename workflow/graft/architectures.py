"""The networks themselves: graft's own, and every class of `keras.applications`.

All take the same input, float32 (batch, side, side, 3) with values 0–255, and scale it themselves,
so that training, features, evaluation and export cannot disagree about scaling.
"""

from collections.abc import Sequence
from pathlib import Path

from graft.errors import refuse
from graft.fetching import fetching
from graft.framework import keras
from graft.layers import apply
from graft.models import calm, load
from graft.networks import LAST, OWN, STACK
from graft.preprocessing import scaling
from graft.pretrained import WHERE
from graft.stacks import Layer

layers = keras.layers

BODY = "network"


def cnn(side: int) -> keras.Model:
    """A small residual network for images of 32–96 pixels, without its classifier.

    Three residual blocks (He et al. 2016, arXiv:1512.03385) of 32, 64 and 120 filters, each after
    a halving of the side; the first convolution alone sees the full side, which is what makes
    it fast. 484,074 parameters with ten classes; the feature map is (side / 8, side / 8, 120).
    """
    inputs = keras.Input((side, side, 3), name="input_layer")
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


def stack(side: int, layers_: Sequence[Layer], initializer: str) -> keras.Model:
    """The network that `backbone.stack` lists, without its classifier."""
    inputs = keras.Input((side, side, 3), name="input_layer")
    return keras.Model(inputs, apply(layers_, inputs, initializer), name=BODY)


def network(
    name: str, side: int, layers_: Sequence[Layer] = (), initializer: str = "glorot_uniform"
) -> keras.Model:
    """A network with weights that are drawn, without its scaling, classifier and pooling.

    Args:
        name: `cnn`, `stack` or a class of `keras.applications`.
        side: the side of the images in pixels.
        layers_: of a stack.
        initializer: of a stack.
    """
    if name == "cnn":
        return cnn(side)
    if name == STACK:
        return stack(side, layers_, initializer)
    build = getattr(keras.applications, name)
    body = build(include_top=False, weights=None, input_shape=(side, side, 3))
    body.name = BODY
    return body


def backbone(
    name: str,
    side: int,
    weights: str,
    pooling: str,
    seed: int,
    layer: str = LAST,
    layers_: Sequence[Layer] = (),
    initializer: str = "glorot_uniform",
) -> keras.Model:
    """Scaling, network and pooling as one model.

    Args:
        name: `cnn`, `stack` or a class of `keras.applications`.
        side: the side of the images in pixels.
        weights: `none`, `imagenet`, a weights file for the network, or a model that this pipeline
            exported, with the network in it.
        pooling: `avg`, `max` or `flatten`.
        seed: draws the weights where they are `none`.
        layer: the layer whose output is pooled, `last` or its name; none above it is kept.
        layers_: of a stack.
        initializer: of a stack.

    Returns:
        A model from float32 (batch, side, side, 3), 0–255, to float32 (batch, d) features. Its
        layer `network` is the network as Keras knows it, with its own count of layers.

    Raises:
        UserError: the weights do not fit, are no weights, or cannot be fetched.
    """
    # Layers without a name of their own are counted, and so are known by it from the start.
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    body = network(name, side, layers_, initializer)
    if weights == "imagenet":
        body.set_weights(_fetch(name, side).get_weights())
    elif Path(weights).suffix == ".h5":
        _load(body, weights)
    if layer != LAST:
        body = keras.Model(body.input, body.get_layer(layer).output, name=BODY)
    if Path(weights).suffix == ".keras":
        _copy(body, weights)
    for own in body.layers:
        # It calculates with a copy of its statistics, which Keras does not renew with the weights.
        if isinstance(own, layers.Normalization):
            own.finalize_state()
    scale, offset, reverse = (
        ([1 / 127.5] * 3, [-1.0] * 3, False)
        if name in OWN
        else scaling(getattr(keras.applications, name), body)
    )
    inputs = keras.Input((side, side, 3), name="pixels")
    x = keras.ops.flip(inputs, axis=-1) if reverse else inputs
    x = layers.Rescaling(scale, offset, name="scaling")(x)
    return keras.Model(inputs, pool(body(x), pooling), name="backbone")


def pool(x, pooling: str, name: str = "pooling"):
    """The feature that a map (batch, height, width, channels) becomes, by `avg`, `max`, `flatten`.

    What has no height and width is left as it is.
    """
    kinds = {
        "avg": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
        "flatten": layers.Flatten,
    }
    return kinds["flatten" if len(x.shape) == 2 else pooling](name=name)(x)


def truncated(model: keras.Model, layer: str, pooling: str) -> keras.Model:
    """A model of `backbone` that ends at an earlier layer of its network, with the same weights."""
    body = model.get_layer(BODY)
    lower = keras.Model(body.input, body.get_layer(layer).output, name=BODY)
    scaled = model.get_layer("scaling").output
    return keras.Model(model.input, pool(lower(scaled), pooling), name="backbone")


def _fetch(name: str, side: int) -> keras.Model:
    with fetching(f"the ImageNet weights of {name}", "name a file in backbone.weights"):
        return getattr(keras.applications, name)(
            include_top=False, weights="imagenet", input_shape=(side, side, 3)
        )


def _load(body: keras.Model, weights: str) -> None:
    allowed = (
        f"a file of weights for backbone.name without its classifier ({len(body.layers)} layers)"
    )
    if not Path(weights).is_file():
        raise refuse(WHERE, "a file that exists", weights)
    try:
        with calm():
            body.load_weights(weights)
    except (ValueError, OSError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise refuse(WHERE, allowed, f"{weights} ({first})") from None


def _copy(body: keras.Model, weights: str) -> None:
    """Takes the weights of the layers of the same names from a model that graft exported."""
    if not Path(weights).is_file():
        raise refuse(WHERE, "a file that exists", weights)
    try:
        source = load(Path(weights)).get_layer("backbone").get_layer(BODY)
        for layer in body.layers[1:]:
            layer.set_weights(source.get_layer(layer.name).get_weights())
    except (ValueError, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        raise refuse(WHERE, f"a model with this network in it ({first})", weights) from None
