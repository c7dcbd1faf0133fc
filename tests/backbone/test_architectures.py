"""Networks with the weights that they are given, and pixels scaled as each expects them."""

from pathlib import Path

import numpy as np
import pytest

from graft.backbone.backbone import find_candidates
from graft.common.errors import UserError
from graft.models.framework import keras
from graft.models.inference import run_graph
from graft.models.pooling import NETWORK, together, truncated
from graft.models.saving import save_graph, save_model
from graft.models.stacks import IMAGE_KINDS, read_stack
from graft.network.catalogue import NETWORKS, look_up
from graft.network.pretrained import check_weights_file
from trainings import backbone


@pytest.fixture
def here(empty: Path) -> Path:
    (empty / "data/pretrained").mkdir(parents=True)
    return Path("data/pretrained")


def photos(side: int, n: int = 3) -> np.ndarray:
    return np.random.default_rng(2).uniform(0, 255, (n, side, side, 3)).astype(np.float32)


def test_efficientnet_sees_the_pixels_that_its_imagenet_weights_know(here: Path) -> None:
    """Keras divides once more, by the square root of the deviations, where it fetches them."""
    build = keras.applications.EfficientNetB0
    known = build(include_top=False, weights=None, input_shape=(32, 32, 3))
    means, deviations = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    (norm,) = (one for one in known.layers if isinstance(one, keras.layers.Normalization))
    # Where the variance belongs, Keras' files have the deviation.
    norm.set_weights([means, deviations, *norm.get_weights()[2:]])
    norm.finalize_state()
    known.save_weights(here / "mine.weights.h5")
    once_more = keras.layers.Rescaling((1 / np.sqrt(deviations)).tolist())
    lower = keras.Model(known.input, norm.output)
    upper = keras.Model(norm.output, known.get_layer("stem_activation").output)
    pixels = photos(32)
    expected = np.mean(upper(once_more(lower(pixels))), (1, 2))

    assert np.abs(expected).mean() > 1e-7
    for weights in ("mine.weights.h5", "mine.keras"):
        model = backbone("EfficientNetB0", 32, str(here / weights), layer="stem_activation")
        found = model(pixels, training=False)
        assert np.allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
        inputs = keras.Input((32, 32, 3))
        save_model(keras.Model(inputs, model(inputs)), here / "mine.keras")
    plain = np.mean(upper(lower(pixels)), (1, 2))
    assert not np.allclose(plain, expected, atol=0.1 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "cnn"])
def test_a_drawn_network_answers_in_inference_as_in_training(name: str) -> None:
    """With the statistics of Keras, features of MobileNetV2 differ by 1e-12 between photos."""
    model, again = (backbone(name, 64, "none") for _ in range(2))
    for first, second in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(first, second) and np.isfinite(first).all()
    pixels = photos(64, 16)
    spreads = [np.std(model(pixels, training=way), 0).mean() for way in (False, True)]
    assert 0.2 < spreads[0] / spreads[1] < 5
    layers = model.get_layer(NETWORK).layers
    norms = [one for one in layers if isinstance(one, keras.layers.BatchNormalization)]
    assert norms and {norm.momentum for norm in norms} == {0.9}


@pytest.mark.parametrize(
    "name, side, listed", [("cnn", 32, ()), ("stack", 16, ("conv 4", "norm", "pool", "conv 8"))]
)
def test_the_network_of_an_exported_model_is_taken_over(
    here: Path, name: str, side: int, listed: tuple[str, ...]
) -> None:
    """For images of another side, and up to any of its layers."""
    source = backbone(name, side, seed=7, stack=listed)
    source.set_weights([weights + 0.01 for weights in source.get_weights()])  # batch norm's too
    pixels = keras.Input((side, side, 3), name="pixels")
    head = keras.Sequential([keras.layers.Dense(2, "softmax")], name="head")
    save_model(keras.Model(pixels, head(source(pixels)), name="finetuned"), here / "mine.keras")

    weights = str(here / "mine.keras")
    network = look_up(name, read_stack(listed, IMAGE_KINDS))
    check_weights_file(Path(weights), name, network, network.layers)
    again = backbone(name, side, weights, stack=listed)
    assert np.array_equal(again(photos(side), training=False), source(photos(side), training=False))
    larger = backbone(name, 2 * side, weights, pooling="max", stack=listed)
    assert larger(photos(2 * side)).shape == (3, source.output_shape[1])

    middle = network.layers[len(network.layers) // 2]
    below = backbone(name, side, weights, layer=middle, stack=listed)
    same = truncated(source, middle, "avg")
    assert np.allclose(below(photos(side)), same(photos(side), training=False), atol=1e-6)

    with pytest.raises(UserError, match=r"backbone\.weights must be a model with this network"):
        backbone("stack", 32, weights, stack=["conv 3"])
    with pytest.raises(UserError, match="which has no layer block1_conv1"):
        vgg = NETWORKS["VGG16"]
        check_weights_file(Path(weights), "VGG16", vgg, vgg.layers)


def test_a_truncated_export_gives_its_layers_and_no_more(here: Path) -> None:
    layer = "residual_64_out"
    source = backbone("cnn", 32, seed=7, layer=layer)
    pixels = keras.Input((32, 32, 3), name="pixels")
    save_model(keras.Model(pixels, keras.layers.Dense(2)(source(pixels))), here / "mine.keras")
    weights = str(here / "mine.keras")
    again = backbone("cnn", 32, weights, layer=layer)
    assert np.array_equal(again(photos(32)), source(photos(32)))
    with pytest.raises(UserError, match="a model with this network in it"):
        backbone("cnn", 32, weights)


@pytest.mark.parametrize("weights", ["data/pretrained/no.h5", "data/pretrained/no.keras"])
def test_a_file_that_is_not_there_is_refused(here: Path, weights: str) -> None:
    with pytest.raises(UserError, match=r"backbone\.weights must be a file that exists"):
        backbone("cnn", 32, weights)


def test_the_initializer_of_a_stack_is_the_one_named() -> None:
    """He draws with twice the variance of LeCun (2 and 1 over the inputs of a unit)."""

    stack = ["conv 64", "conv 256"]
    for name, share in {"he_normal": 2, "he_uniform": 2, "lecun_normal": 1}.items():
        model = backbone("stack", 8, stack=stack, initializer=name)
        kernel = model.get_layer(NETWORK).get_layer("conv_2").get_weights()[0]
        assert kernel.var() * 9 * 64 == pytest.approx(share, rel=0.05), name


def test_a_graph_answers_as_its_network_with_one_output(here: Path) -> None:
    """TensorFlow's swish leaves outputs of its own in a graph, in each layer of an EfficientNet."""
    model = backbone("EfficientNetB0", 64)
    model = together(model, find_candidates(model, "avg"))
    save_graph(model, here / "graph.xml")
    assert sorted(path.name for path in here.iterdir()) == ["graph.bin", "graph.xml"]
    pixels = photos(64)
    (found,) = run_graph(here / "graph.xml", pixels)
    expected = model.predict_on_batch(pixels)
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
