"""Folders of data/pretrained with a network of KerasHub: what may be in them."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from graft.backbone.opened import build_hub
from graft.common.errors import UserError
from graft.network.catalogue import look_up
from graft.network.hub import FAMILIES, PRESETS, check_preset_weights, find_preset

_MODELS = "keras_hub.src.models"
_DINO = {
    "module": f"{_MODELS}.dinov2.dinov2_backbone",
    "class_name": "DINOV2Backbone",
    "registered_name": "keras_hub>DINOV2Backbone",
    "config": {"image_shape": [56, 56, 3], "patch_size": 14, "num_register_tokens": 4},
}
_TEXT = {"module": f"{_MODELS}.bert.bert_backbone", "class_name": "BertBackbone"}
_LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {}}


def place(config: Any, name: str = "mine") -> Path:
    folder = Path("data/pretrained") / name
    folder.mkdir(parents=True, exist_ok=True)
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "config.json").write_text(text, encoding="utf-8")
    return folder


def test_a_folder_says_which_sides_and_tokens_its_network_has(empty: Path) -> None:
    place(_DINO)
    network = look_up("hub/mine")
    assert network.takes(70) and not network.takes(64) and network.prefix == 5
    clip = _DINO | {"class_name": "CLIPBackbone", "registered_name": "keras_hub>CLIPBackbone"}
    clip["module"] = f"{_MODELS}.clip.clip_backbone"
    inner = {"module": f"{_MODELS}.clip.clip_vision_encoder", "class_name": "CLIPVisionEncoder"}
    inner["config"] = {"image_shape": [336, 336, 3], "patch_size": 14}
    place(clip | {"config": {"vision_encoder": inner}}, "dinov2_small")
    # A folder counts before what KerasHub publishes under this name.
    assert look_up("hub/dinov2_small").sides == [336, 336]
    assert {preset.family for preset in PRESETS.values()} == set(FAMILIES)


@pytest.mark.parametrize(
    "config, message",
    [
        ("{", "must be the JSON of a network that graft knows. Received: 'Expecting"),
        ("[" * 100_000, "must be the JSON of a network"),
        (" " * 2**20 + "{}", "more than 1 MiB"),
        ([], "must be as `save_to_preset` of KerasHub writes it"),
        (_DINO | _TEXT, "a part of the kind BertBackbone, which no model of graft has"),
        (_DINO | {"config": {"layers": [_LAMBDA]}}, "a part of the kind Lambda"),
        (_DINO | {"registered_name": "keras_hub>GemmaBackbone"}, "as `save_to_preset` of Ker"),
        (_DINO | {"config": {"patch_size": 14}}, "a network with image_shape, patch_size"),
        (_DINO | {"config": {"image_shape": [9e9] * 3, "patch_size": True}}, "with image_shape"),
    ],
)
def test_what_is_no_such_network_is_refused(empty: Path, config: Any, message: str) -> None:
    place(config)
    with pytest.raises(UserError) as refused:
        find_preset("hub/mine")
    assert message in str(refused.value) and "Received: " in str(refused.value)


def test_weights_must_be_there_and_plain_and_no_link(empty: Path) -> None:
    folder = place(_DINO)
    weights = folder / "model.weights.h5"
    with pytest.raises(UserError, match=r"model\.weights\.h5 must be a file of weights in HDF5"):
        check_preset_weights(folder)
    with h5py.File(weights, "w") as file:
        file["a"] = np.zeros(3, np.float32)
    check_preset_weights(folder)
    with h5py.File(weights, "w") as file:
        file["a"] = h5py.ExternalLink("/etc/hostname", "/")
    with pytest.raises(UserError, match="/a is a link"):
        check_preset_weights(folder)
    weights.unlink()
    weights.symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="a folder of plain files, without links"):
        find_preset("hub/mine")


@pytest.mark.skipif(importlib.util.find_spec("keras_hub") is not None, reason="KerasHub is there")
def test_without_kerashub_the_extra_is_named(empty: Path) -> None:
    place(_DINO)
    with pytest.raises(UserError, match=r"`uv sync --extra hub`\. Received: 'no pack"):
        build_hub("hub/mine", 56, "preset")
