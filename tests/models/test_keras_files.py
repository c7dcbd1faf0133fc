"""Model files that are written without Keras are what Keras reads and writes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graft.head.linear_model import LinearModel
from graft.models.framework import keras
from graft.models.inference import run_graph
from graft.models.joining import JoinedModel
from graft.models.keras_files import open_keras
from graft.models.pooling import Depth, together
from graft.models.saving import BuiltModel, load_model, save_graph, save_model
from trainings import backbone

WIDE = 40


def linear(width: int, classes: int = 3) -> LinearModel:
    """A head with numbers that are drawn."""
    draw = np.random.default_rng(width)
    arrays = [draw.normal(size=shape) for shape in (width, width, (width, classes), classes)]
    arrays[1] = arrays[1] ** 2 + 0.1
    return LinearModel(*(array.astype(np.float32) for array in arrays))


@pytest.mark.parametrize("width, classes", [(1, 2), (WIDE, 3)])
def test_a_linear_model_is_read_by_keras(tmp_path: Path, width: int, classes: int) -> None:
    model = linear(width, classes).scaled(1.7)
    model.save(tmp_path / "head.keras")
    model.save_graph(tmp_path / "head.xml")
    rows = np.random.default_rng(1).normal(size=(50, width)).astype(np.float32)
    loaded, found = load_model(tmp_path / "head.keras"), model.answer(rows)
    assert found.shape == (50, classes) and np.allclose(found.sum(1), 1, atol=1e-6)
    assert np.allclose(loaded.predict(rows, verbose=0), found, atol=1e-6)
    assert np.allclose(np.concatenate([*run_graph(tmp_path / "head.xml", rows)]), found, atol=1e-6)
    assert loaded.count_params() == model.parameters == model.trained
    assert (loaded.name, loaded.input.name) == (model.name, model.inputs)
    # Keras writes the same layers, in the same way.
    save_model(loaded, tmp_path / "again.keras")
    with open_keras(tmp_path / "head.keras") as one, open_keras(tmp_path / "again.keras") as other:
        assert without_usual(one.config) == without_usual(other.config)
        assert list(one.weights["layers"]) == list(other.weights["layers"])


def without_usual(config: Any, key: str = "") -> Any:
    """What a config says besides what Keras takes where nothing is said."""
    usual = ("_initializer", "_regularizer", "_constraint", "sparse", "ragged", "optional")
    if isinstance(config, dict):
        left = {name: without_usual(value, name) for name, value in config.items()}
        return {
            name: value
            for name, value in left.items()
            if not name.endswith(usual) and name != "quantization_config"
        }
    return [without_usual(value) for value in config] if isinstance(config, list) else config


def test_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        model = linear(WIDE)
        model.save(tmp_path / f"{name}.keras")
        model.save_graph(tmp_path / f"{name}.xml")
    for kind in ("keras", "xml", "bin"):
        one, two = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two"))
        assert one == two


# Networks with normalisation, branches, attention to channels, dropout, and other pixels.
NETWORKS = {
    "cnn": ("cnn", 32, {}),
    "MobileNetV3Small": ("MobileNetV3Small", 32, {}),
    "EfficientNetB0": ("EfficientNetB0", 32, {"pooling": "max"}),
    "VGG16": ("VGG16", 32, {"pooling": "flatten"}),  # blue before red
    "stack": ("stack", 16, {"stack": ["conv 4", "dropout 0.2", "norm", "pool"]}),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_head_on_a_network_is_what_keras_makes_of_them(tmp_path: Path, network: str) -> None:
    name, side, more = NETWORKS[network]
    body = backbone(name, side, **more)
    inputs = keras.Input(body.output_shape[1:], name="features")
    x = keras.layers.Dense(8, "relu")(inputs)
    x = keras.layers.BatchNormalization()(keras.layers.Dropout(0.5)(x))
    top = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x), name="head")
    save_model(body, tmp_path / "network.keras")
    save_graph(body, tmp_path / "graph.xml")
    BuiltModel(top).save(tmp_path / "head.keras")
    BuiltModel(top).save_graph(tmp_path / "head.xml")
    joined = JoinedModel(
        tmp_path / "network.keras", tmp_path / "graph.xml", 0, tmp_path / "head.keras"
    )
    joined.save(tmp_path / "both.keras")
    joined.save_graph(tmp_path / "both.xml")

    pixels = keras.Input(body.input_shape[1:], name="pixels")
    own = keras.Model(pixels, top(body(pixels)), name="finetuned")
    images = np.random.default_rng(1).integers(0, 256, (6, side, side, 3)).astype(np.float32)
    expected, loaded = own.predict_on_batch(images), load_model(tmp_path / "both.keras")
    assert np.array_equal(loaded.predict_on_batch(images), expected)
    assert loaded.count_params() == own.count_params() == joined.count_parameters()
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in own.layers]
    graph = np.concatenate([*run_graph(tmp_path / "both.xml", images)])
    assert np.allclose(graph, expected, atol=1e-5)


def test_columns_of_several_depths_are_found(tmp_path: Path) -> None:
    """Also where the features of a depth are of two parts of the graph."""
    body = backbone("cnn", 32)
    names = ("residual_120_out", "residual_32_out", "residual_64_out")
    widths = (120, 32, 64)
    depths = [
        Depth(name, "avg", width, sum(widths[:place]), 1)
        for place, (name, width) in enumerate(zip(names, widths, strict=True))
    ]
    save_graph(together(body, depths), tmp_path / "graph.xml")
    pixels = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    features = np.concatenate([*run_graph(tmp_path / "graph.xml", pixels)])
    for start, width in ((0, 120), (120, 32), (152, 64), (120, 96), (0, 216)):
        head = linear(width)
        head.save(tmp_path / "head.keras")
        head.save_graph(tmp_path / "head.xml")
        arguments = tmp_path / "none.keras", tmp_path / "graph.xml", start, tmp_path / "head.keras"
        JoinedModel(*arguments).save_graph(tmp_path / "both.xml")
        found = np.concatenate([*run_graph(tmp_path / "both.xml", pixels)])
        expected = head.answer(features[:, start : start + width])
        assert np.allclose(found, expected, atol=1e-5)
    JoinedModel(*arguments[:2], 7, arguments[3])
    with pytest.raises(RuntimeError, match="no features of the width 216 from 7 on"):
        JoinedModel(*arguments[:2], 7, arguments[3]).save_graph(tmp_path / "both.xml")
