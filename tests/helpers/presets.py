"""Small networks of KerasHub with drawn weights, which KerasHub itself saves as presets."""

from pathlib import Path
from typing import Any

import keras_hub
import numpy as np

from graft.models.framework import keras

_VIT = {"num_layers": 3, "num_heads": 2, "hidden_dim": 24}
_TOWER = _VIT | {"patch_size": 16, "intermediate_dim": 48, "image_shape": (64, 64, 3)}
_TEXT = {"vocabulary_size": 8, "embedding_dim": 24, "hidden_dim": 24, "num_layers": 1}
_TEXT |= {"num_heads": 2, "intermediate_dim": 24, "max_sequence_length": 4}
_PLAIN = {"image_shape": (64, 64, 3), "patch_size": 16}
_DINO = _VIT | {"intermediate_dim": 48, "num_register_tokens": 2}
_EFFICIENT = {
    "stackwise_width_coefficients": [1.0] * 2,
    "stackwise_depth_coefficients": [1.0] * 2,
    "stackwise_kernel_sizes": [3, 3],
    "stackwise_num_repeats": [2, 2],
    "stackwise_input_filters": [8, 8],
    "stackwise_output_filters": [8, 16],
    "stackwise_expansion_ratios": [1, 4],
    "stackwise_squeeze_and_excite_ratios": [0.25, 0.25],
    "stackwise_strides": [1, 2],
    "stackwise_block_types": ["v1", "v1"],
}
_MOBILE = {
    "stackwise_expansion": [[16, 24], [24, 24]],
    "stackwise_num_blocks": [2, 2],
    "stackwise_num_filters": [[16, 16], [24, 24]],
    "stackwise_kernel_size": [[3, 3], [5, 5]],
    "stackwise_num_strides": [[2, 1], [2, 1]],
    "stackwise_se_ratio": [[None, None], [0.25, 0.25]],
    "stackwise_activation": [["relu", "relu"], ["hard_swish", "hard_swish"]],
    "stackwise_padding": [[1, 1], [2, 2]],
    "output_num_filters": 32,
    "input_activation": "hard_swish",
    "output_activation": "hard_swish",
    "input_num_filters": 16,
    "depthwise_filters": 8,
    "depthwise_stride": 2,
    "depthwise_residual": False,
    "last_layer_filter": 32,
}
_RES = {"input_conv_filters": [64], "input_conv_kernel_sizes": [7], "block_type": "basic_block"}
_RES |= {"stackwise_num_filters": [64, 64], "stackwise_num_blocks": [2, 1]}
_RES |= {"stackwise_num_strides": [1, 2]}


def _clip() -> Any:
    vision, text = keras_hub.models.CLIPVisionEncoder, keras_hub.models.CLIPTextEncoder
    return keras_hub.models.CLIPBackbone(vision(**_TOWER), text(**_TEXT), projection_dim=16)


def _siglip() -> Any:
    vision, text = keras_hub.models.SigLIPVisionEncoder, keras_hub.models.SigLIPTextEncoder
    return keras_hub.models.SigLIPBackbone(vision(**_TOWER), text(projection_dim=24, **_TEXT))


_models = keras_hub.models
# The title of a family, as KerasHub's converters begin: what makes one, and the pooling.
FAMILIES = {
    "DINOV2": (
        lambda: _models.DINOV2Backbone(14, position_embedding_shape=(70, 70), **_DINO),
        "token_avg",
    ),
    "DINOV3": (lambda: _models.DINOV3Backbone(16, **_DINO | {"hidden_dim": 32}), "token_avg"),
    "ViT": (lambda: _models.ViTBackbone(mlp_dim=48, **_VIT, **_PLAIN), "token"),
    "DeiT": (lambda: _models.DeiTBackbone(intermediate_dim=48, **_VIT, **_PLAIN), "token"),
    "CLIP": (_clip, "token"),
    "SigLIP": (_siglip, "avg"),
    "ResNet": (lambda: _models.ResNetBackbone(**_RES), "avg"),
    "EfficientNet": (lambda: _models.EfficientNetBackbone(**_EFFICIENT), "avg"),
    "MobileNet": (lambda: _models.MobileNetBackbone(**_MOBILE), "avg"),
}
SCALE, OFFSET = [0.02, 0.018, 0.016], [-2.1, -2.0, -1.8]


def save_preset(family: str, folder: Path, seed: int = 1) -> keras.Model:
    """Saves a preset of a family, all weights drawn, and returns its network.

    Args:
        family: a key of FAMILIES.
        folder: for the preset.
        seed: draws its weights, those that begin as zeros too.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    network, generator = FAMILIES[family][0](), np.random.default_rng(seed)
    for weight in network.weights:
        if weight.dtype == "float32":
            weight.assign(weight + generator.uniform(0, 0.02, weight.shape))
    network.save_to_preset(str(folder))
    converter = getattr(keras_hub.layers, f"{family}ImageConverter")
    converter(image_size=(64, 64), scale=SCALE, offset=OFFSET).save_to_preset(str(folder))
    return network
