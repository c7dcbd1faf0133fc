"""Networks of KerasHub: their presets found or fetched, opened into layers, with their scaling.

KerasHub's transformers have all their blocks in one layer. Opened, a network has a layer for each
block, so that it can be cut between any two, and batch normalisation lies bare and can be frozen.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from graft.backbone.fetched import first_line
from graft.common.errors import UserError, refuse
from graft.models.framework import keras
from graft.models.pooling import NETWORK
from graft.models.saving import import_hub
from graft.network.hub import (
    CONVERTER,
    HUB,
    PRESET,
    TOWERS,
    check_preset_weights,
    find_folder,
    find_preset,
    name_folder,
    read_json_part,
    read_preset,
)

_layers = keras.layers


class HubNetwork(NamedTuple):
    """A network of KerasHub as graft uses it.

    Attributes:
        network: from scaled pixels, float32 (batch, side, side, 3), to a map, to tokens
            (batch, tokens, width), or to a vector where it pools by itself.
        scale, offset: of each channel (3,), for pixels 0–255.
        prefix: how many tokens come before those of the patches: class, distillation, registers.
    """

    network: keras.Model
    scale: list[float]
    offset: list[float]
    prefix: int


def build_hub(name: str, side: int, weights: str) -> HubNetwork:
    """Builds a network of KerasHub, with the weights of its preset or with drawn ones.

    Args:
        name: in `backbone.name`.
        side: of the images in pixels.
        weights: `preset`; with any other value they are drawn.

    Raises:
        UserError: the preset cannot be fetched, is broken, or does not take this side; KerasHub is
            not installed.
    """
    keras_hub = import_hub(f"backbone.name {name}")
    folder = find_folder(name) or _fetch(keras_hub, name)
    preset = read_preset(folder)
    known = find_preset(name)._replace(parameters=preset.parameters)
    if preset != known:  # by which params.yaml was checked
        raise refuse(str(folder), f"the preset that graft knows, {known}", preset)
    scale, offset = _read_scaling(keras_hub, folder)
    if weights == PRESET:
        check_preset_weights(folder)
    # Others take any side, or one alone.
    more = {"image_shape": (side, side, 3)} if preset.patch > 1 else {}
    try:
        whole = keras_hub.models.Backbone.from_preset(
            str(folder), load_weights=weights == PRESET, dtype="float32", **more
        )
    except Exception as error:  # a broken preset can make Keras raise almost anything
        allowed = "a preset that KerasHub reads"
        raise refuse(str(folder), allowed, first_line(error)[:300]) from None
    tower = whole.vision_encoder if type(whole).__name__ in TOWERS else whole
    inputs = keras.Input((side, side, 3), name="input_layer")
    opened = keras.Model(inputs, open_network(tower, inputs), name=NETWORK)
    # New layers, each of which is called once: these are called in the network of KerasHub, too.
    network = keras.Model.from_config(opened.get_config())
    network.set_weights(opened.get_weights())
    return HubNetwork(network, scale, offset, preset.prefix)


def open_network(tower: keras.Model, inputs):
    """Puts the layers of a network on an input, block by block; they keep their weights.

    Args:
        tower: a network of KerasHub that sees images.
        inputs: a Keras tensor (batch, side, side, 3).

    Returns:
        The Keras tensor of its output.
    """
    if type(tower).__name__ == "DINOV3Backbone":
        return _open_dinov3(tower, inputs)
    network, waiting = keras.Model(keras.tree.flatten(tower.input)[0], tower.output), True
    while waiting:  # one that was opened may have others in it
        network = keras.models.clone_model(
            network, inputs, clone_function=lambda layer: layer, call_function=_call
        )
        waiting = any(type(layer).__name__ in _OPENERS for layer in network.layers)
    return network.output


def _call(layer, *arguments, **options):
    opener = _OPENERS.get(type(layer).__name__)
    return opener(layer, *arguments, **options) if opener else layer(*arguments, **options)


def _open(layer, *arguments, **options):
    return layer.call(*arguments, **options)


def _open_dinov3(tower: keras.Model, inputs):
    """Its positions depend on nothing but the number of patches, yet all blocks take them from one
    layer over the pixels, which would pass by every cut. Here each block has them from its tokens.
    """
    build_rope = type(tower.rope_embedding)
    prefix = 1 + tower.num_register_tokens
    patches = inputs.shape[1] // tower.patch_size
    x = tower.embeddings(inputs)
    for block in tower.encoder.layers:
        grid = _layers.Cropping1D((prefix, 0), name=f"{block.name}_patches")(x)
        grid = _layers.Reshape((patches, patches, -1), name=f"{block.name}_grid")(grid)
        rope = build_rope(
            tower.hidden_dim, tower.num_heads, tower.rope_theta, 1, name=f"{block.name}_rope"
        )
        x = block(x, position_embeddings=rope(grid), num_prefix_tokens=prefix)
    return tower.layernorm(x)


def _open_embedding(layer, pixels):
    """The tokens of ViT, DeiT and SigLIP, by layers of Keras: KerasHub does not load those that it
    saves, or is wrong about their number.

    Positions and the tokens before the patches are added by a layer that subtracts a mean: it is
    the one of Keras that holds a number for each place, and it is never trained.
    """
    tokens = [getattr(layer, name, None) for name in ("class_token", "distillation_token")]
    before = [keras.ops.convert_to_numpy(token)[0, 0] for token in tokens if token is not None]
    known = layer.position_embedding  # a layer with a row for each token, or the rows
    known = known.embeddings if isinstance(known, _layers.Embedding) else known[0]
    added = keras.ops.convert_to_numpy(known).copy()
    added[: len(before)] += np.reshape(before, (-1, added.shape[1]))
    x = layer.patch_embedding(pixels)
    x = _layers.Reshape((x.shape[1] * x.shape[2], x.shape[3]), name="patches")(x)
    x = _layers.ZeroPadding1D((len(before), 0), name="tokens")(x) if before else x
    positions = _layers.Normalization(axis=(1, 2), name="positions")
    positions.build(x.shape)
    positions.set_weights([-added, np.ones_like(added), np.zeros(())])
    positions.finalize_state()
    return positions(x)


def _open_encoder(encoder, x):
    """The blocks of ViT and DeiT, without dropout, by layers of Keras for the same reason."""
    for block in encoder.encoder_layers:
        mlp = getattr(block, "output_layer", block.mlp)
        narrow = getattr(mlp, "dense_2", None) or mlp.dense
        wide = getattr(block.mlp, "dense_1", None) or block.mlp.dense
        for layer in (block.layer_norm_1, block.mha, block.layer_norm_2, wide, narrow):
            layer.name = f"{block.name}_{layer.name}"
        y = block.layer_norm_1(x)
        x = _layers.Add(name=f"{block.name}_seen")([x, block.mha(y, y)])
        y = narrow(wide(block.layer_norm_2(x)))
        x = _layers.Add(name=block.name)([x, y])
    return encoder.layer_norm(x)


# By the class of a layer, what takes its place. Most have no weights but those of their layers.
_OPENERS = {
    **dict.fromkeys(("CBABlock", "FusedMBConvBlock", "MBConvBlock"), _open),
    **dict.fromkeys(("ConvBnActBlock", "DepthwiseConvBlock", "InvertedResidualBlock"), _open),
    **dict.fromkeys(("DINOV2Encoder", "SqueezeAndExcite2D"), _open),
    **dict.fromkeys(("DeiTEncoder", "ViTEncoder"), _open_encoder),
    **dict.fromkeys(
        ("DeiTEmbeddings", "SigLIPVisionEmbedding", "ViTPatchingAndEmbedding"), _open_embedding
    ),
}


def _read_scaling(keras_hub, folder: Path) -> tuple[list[float], list[float]]:
    """What the converter of a preset multiplies pixels 0–255 by, and adds, for each channel."""
    config = read_json_part(folder, CONVERTER)["config"]
    kept = {key: config[key] for key in ("scale", "offset", "mean", "variance") if key in config}
    try:
        converter = keras_hub.layers.ImageConverter(**kept)
        both = (1.0, converter.scale), (0.0, converter.offset)
        scale, offset = (
            np.broadcast_to(np.asarray(usual if given is None else given, float), 3).tolist()
            for usual, given in both
        )
    except Exception:  # it takes what a file says
        raise refuse(str(folder / CONVERTER), "three numbers as scale and offset", kept) from None
    return scale, offset


def _fetch(keras_hub, name: str) -> Path:
    """Fetches a published preset, unless it was fetched before."""
    import kagglehub

    preset = name.removeprefix(HUB)
    presets = keras_hub.models.Backbone.presets
    handle = presets[preset]["kaggle_handle"].removeprefix("kaggle://")
    try:
        return Path(kagglehub.model_download(handle))
    except Exception as error:  # without a network it raises errors of several kinds
        raise UserError(
            f'{name} cannot be fetched. Run `uv run --extra hub python -c "import kagglehub;'
            f" print(kagglehub.model_download('{handle}'))\"` where there is a network, and copy"
            f" the folder that it names to {name_folder(name)}. Received: {first_line(error)}"
        ) from None
