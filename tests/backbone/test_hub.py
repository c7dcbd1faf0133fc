"""Networks of KerasHub: features are those that it computes itself, in every form of the model."""

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras_hub", reason="KerasHub is not installed: uv sync --extra hub")

import keras_hub

from graft.backbone.backbone import find_candidates
from graft.common.errors import UserError
from graft.finetune.freeze import freeze_layers
from graft.models.cuts import find_cuts
from graft.models.framework import keras
from graft.models.inference import run_graph
from graft.models.pooling import NETWORK, together, truncated
from graft.models.saving import load_model, save_graph, save_model
from graft.network.catalogue import look_up
from graft.network.hub import PRESETS, find_preset
from graft.network.stored_model import read_config
from presets import FAMILIES, OFFSET, SCALE, save_preset
from trainings import backbone


def photos(side: int) -> np.ndarray:
    """Three, of which one is dark."""
    noise = np.random.default_rng(2).uniform(0, 255, (3, side, side, 3))
    return (noise * [[[[0.2]]], [[[0.6]]], [[[1]]]]).astype(np.float32)


def is_near(found: np.ndarray, expected: np.ndarray) -> bool:
    """Within 1e-4 of what the features differ between photos."""
    spread = np.ptp(expected, axis=0).max()
    return spread > 0 and np.abs(found - expected).max() < 1e-4 * spread


def own_features(name: str, side: int) -> np.ndarray:
    """The features of a preset by KerasHub alone: its converter's scaling, network and pooling."""
    kind = find_preset(f"hub/{name}")
    more = {"image_shape": (side, side, 3)} if kind.patch > 1 else {}
    model = keras_hub.models.Backbone.from_preset(f"data/pretrained/{name}", **more)
    model = getattr(model, "vision_encoder", model)
    scaled = photos(side) * np.float32(SCALE) + np.float32(OFFSET)
    keys = list(model.input) if isinstance(model.input, dict) else []
    output = model.predict({keys[0]: scaled} if keys else scaled, verbose=0)
    if output.ndim == 3:
        ways = {"token": output[:, 0], "avg": output[:, kind.prefix :].mean(1)}
        return np.hstack([ways[way] for way in FAMILIES[name][1].split("_")])
    return output.mean((1, 2)) if output.ndim == 4 else output


@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_those_of_kerashub(empty: Path, family: str) -> None:
    """Within 1e-4: of the model, of its file, and of the graph with features of several depths."""
    save_preset(family, Path("data/pretrained") / family)
    # DINOv2 interpolates its positions, to a side that its preset has not.
    side, pooling = 70 if family == "DINOV2" else 64, FAMILIES[family][1]
    expected = own_features(family, side)
    model = backbone(f"hub/{family}", side, "preset", pooling=pooling)
    found = model.predict(photos(side), verbose=0)
    assert is_near(found, expected)

    save_model(model, Path("network.keras"))
    read_config(Path("network.keras"))  # all its layers are known
    again = load_model(Path("network.keras"))
    assert np.array_equal(again.predict(photos(side), verbose=0), found)
    depths = find_candidates(model, pooling, look_up(f"hub/{family}").prefix)
    all_depths = together(model, depths)
    save_graph(all_depths, Path("graph.xml"))
    features = np.concatenate(list(run_graph(Path("graph.xml"), photos(side))))
    assert features.shape == (3, depths[-1].start + depths[-1].width)
    assert is_near(features[:, : found.shape[1]], expected)
    for depth in depths[1:]:
        own = features[:, depth.start : depth.start + depth.width]
        assert is_near(
            own,
            truncated(again, depth.layer, depth.pooling, depth.prefix).predict(
                photos(side), verbose=0
            ),
        )

    network = model.get_layer(NETWORK)
    blocks = [one.name for one in network.layers if re.search(r"(layers|block)_\d$", one.name)]
    if look_up(f"hub/{family}").prefix or family == "SigLIP":
        assert len(blocks) == 3 and set(blocks) <= set(find_cuts(network))
    freeze_layers(model, len(network.layers), pretrained=True)
    trained = {layer.name for layer in network.layers if layer.trainable_variables}
    assert not any("embedding" in name or "position" in name for name in trained)
    norms = [one for one in network.layers if isinstance(one, keras.layers.BatchNormalization)]
    assert trained and not any(norm.trainable for norm in norms)
    if family in ("ResNet", "EfficientNet", "MobileNet"):
        assert norms


def test_a_network_is_the_same_each_time_and_takes_what_graft_trained(empty: Path) -> None:
    save_preset("ViT", Path("data/pretrained/mine"))
    files = [Path("one.keras"), Path("other.keras")]
    for path in files:
        save_model(backbone("hub/mine", 64, "preset", pooling="token"), path)
    assert files[0].read_bytes() == files[1].read_bytes()
    drawn = backbone("hub/mine", 64, seed=3, pooling="token")
    assert not np.allclose(drawn(photos(64)), load_model(files[0])(photos(64)), atol=1e-2)
    pixels = keras.Input((64, 64, 3), name="pixels")
    save_model(keras.Model(pixels, keras.layers.Dense(2)(drawn(pixels))), Path("mine.keras"))
    taken = backbone("hub/mine", 64, "mine.keras", pooling="token")
    assert np.array_equal(taken(photos(64)), drawn(photos(64)))
    with pytest.raises(UserError, match=r"did you mean transformer_block_3\?"):
        backbone("hub/mine", 64, "preset", layer="transformer_block_4")


def test_a_broken_preset_is_refused(empty: Path) -> None:
    folder = Path("data/pretrained/mine")
    save_preset("CLIP", folder)
    converter = folder / "image_converter.json"
    text = converter.read_text(encoding="utf-8")
    converter.write_text(text.replace("0.018", '"much"'), encoding="utf-8")
    with pytest.raises(UserError, match="must be three numbers as scale and offset"):
        backbone("hub/mine", 64, "preset")
    converter.write_text(text, encoding="utf-8")
    (folder / "model.weights.h5").write_bytes(b"nothing")
    with pytest.raises(UserError, match="must be a file of weights in HDF5, plain arrays"):
        backbone("hub/mine", 64, "preset")
    assert backbone("hub/mine", 64, "none", pooling="token").output_shape == (None, 24)


def test_the_list_has_what_kerashub_publishes() -> None:
    known = keras_hub.models.Backbone.presets
    assert set(PRESETS) <= set(known)
    assert set(keras_hub.models.DINOV2Backbone.presets) <= set(PRESETS)
