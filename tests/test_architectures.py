"""Networks with the weights that they are given, and pixels scaled as each expects them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graft.common.errors import UserError
from graft.models import stacks
from graft.project import catalogue as networks
from graft.project import pretrained


@pytest.fixture(scope="module")
def keras() -> Any:
    from graft.models.framework import keras

    return keras


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data/pretrained").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return Path("data/pretrained")


def photos(side: int, n: int = 3) -> np.ndarray:
    return np.random.default_rng(2).uniform(0, 255, (n, side, side, 3)).astype(np.float32)


def test_efficientnet_sees_the_pixels_that_its_imagenet_weights_know(keras, here: Path) -> None:
    """Keras divides once more, by the square root of the deviations, where it fetches them."""
    from graft.models import saving as models
    from graft.network import architectures

    build = keras.applications.EfficientNetB0
    known = build(include_top=False, weights=None, input_shape=(64, 64, 3))
    means, deviations = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    norm = known.get_layer("normalization")
    # Where the variance belongs, Keras' files have the deviation.
    norm.set_weights([means, deviations, *norm.get_weights()[2:]])
    norm.finalize_state()
    known.save_weights(here / "mine.weights.h5")
    once_more = keras.layers.Rescaling((1 / np.sqrt(deviations)).tolist())
    lower = keras.Model(known.input, norm.output)
    upper = keras.Model(norm.output, known.output)
    pixels = photos(64)
    expected = np.mean(upper(once_more(lower(pixels))), (1, 2))

    assert np.abs(expected).mean() > 1e-7
    for weights in ("mine.weights.h5", "mine.keras"):
        path = str(here / weights)
        model = architectures.backbone("EfficientNetB0", 64, path, "avg", 1)
        found = model(pixels, training=False)
        assert np.allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
        inputs = keras.Input((64, 64, 3))
        models.save(keras.Model(inputs, model(inputs)), here / "mine.keras")
    plain = np.mean(known(pixels), (1, 2))
    assert not np.allclose(plain, expected, atol=0.1 * np.abs(expected).max())


@pytest.mark.parametrize(
    "name, side, listed",
    [("cnn", 32, ()), ("stack", 16, ("conv 4", "norm", "pool", "conv 8"))],
)
def test_the_network_of_an_exported_model_is_taken_over(
    keras, here: Path, name: str, side: int, listed: tuple[str, ...]
) -> None:
    """For images of another side, and up to any of its layers."""
    from graft.models import saving as models
    from graft.network import architectures

    stack = stacks.read(listed, stacks.IMAGES)
    source = architectures.backbone(name, side, "none", "avg", 7, layers_=stack)
    source.set_weights([weights + 0.01 for weights in source.get_weights()])  # batch norm's too
    pixels = keras.Input((side, side, 3), name="pixels")
    head = keras.Sequential([keras.layers.Dense(2, "softmax")], name="head")
    models.save(keras.Model(pixels, head(source(pixels)), name="finetuned"), here / "mine.keras")

    weights = str(here / "mine.keras")
    network = networks.network(name, stack)
    pretrained.check(Path(weights), name, network, network.layers)
    again = architectures.backbone(name, side, weights, "avg", 1, layers_=stack)
    assert np.array_equal(again(photos(side), training=False), source(photos(side), training=False))
    larger = architectures.backbone(name, 2 * side, weights, "max", 1, layers_=stack)
    assert larger(photos(2 * side)).shape == (3, source.output_shape[1])

    middle = network.layers[len(network.layers) // 2]
    below = architectures.backbone(name, side, weights, "avg", 1, middle, stack)
    same = architectures.truncated(source, middle, "avg")
    assert np.allclose(below(photos(side)), same(photos(side), training=False), atol=1e-6)

    wrong = stacks.read(["conv 3"], stacks.IMAGES)
    with pytest.raises(UserError, match=r"backbone\.weights must be a model with this network"):
        architectures.backbone("stack", 32, weights, "avg", 1, layers_=wrong)
    with pytest.raises(UserError, match="which has no layer block1_conv1"):
        vgg = networks.NETWORKS["VGG16"]
        pretrained.check(Path(weights), "VGG16", vgg, vgg.layers)


def test_a_truncated_export_gives_its_layers_and_no_more(keras, here: Path) -> None:
    from graft.models import saving as models
    from graft.network import architectures

    layer = "residual_64_out"
    source = architectures.backbone("cnn", 32, "none", "avg", 7, layer)
    pixels = keras.Input((32, 32, 3), name="pixels")
    models.save(keras.Model(pixels, keras.layers.Dense(2)(source(pixels))), here / "mine.keras")
    weights = str(here / "mine.keras")
    again = architectures.backbone("cnn", 32, weights, "avg", 1, layer)
    assert np.array_equal(again(photos(32)), source(photos(32)))
    with pytest.raises(UserError, match="a model with this network in it"):
        architectures.backbone("cnn", 32, weights, "avg", 1)


@pytest.mark.parametrize("weights", ["data/pretrained/no.h5", "data/pretrained/no.keras"])
def test_a_file_that_is_not_there_is_told(keras, here: Path, weights: str) -> None:
    from graft.network import architectures

    with pytest.raises(UserError, match=r"backbone\.weights must be a file that exists"):
        architectures.backbone("cnn", 32, weights, "avg", 1)


def test_the_initializer_of_a_stack_is_the_one_named(keras) -> None:
    """He draws with twice the variance of LeCun (2 and 1 over the inputs of a unit)."""
    from graft.network import architectures

    stack = stacks.read(["conv 64", "conv 256"], stacks.IMAGES)
    for name, share in {"he_normal": 2, "he_uniform": 2, "lecun_normal": 1}.items():
        model = architectures.backbone("stack", 8, "none", "avg", 1, "last", stack, name)
        kernel = model.get_layer(architectures.BODY).get_layer("conv_2").get_weights()[0]
        assert kernel.var() * 9 * 64 == pytest.approx(share, rel=0.05), name
