"""`graft classify`: the answers of Keras' own networks, and what it says of wrong input."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cases import read_cases
from graft.backbone.fetched import fetching, find_published
from graft.backbone.scaling import find_scaling, probe_scaling
from graft.common.errors import UserError
from graft.images.decoding import decode
from graft.models.framework import keras
from graft.network.catalogue import NETWORKS
from graft.prediction.classifier import classify_photos, scale_pixels
from graft.prediction.imagenet import CLASSES, IMAGENET_NAMES, ImageNetClass
from graft.tools.classify import label_text, main
from images import Capture, encoded, picture, write

INDEX = {str(i): [f"n{i:08d}", f"thing_{i}"] for i in range(CLASSES)}
GIVEN = ["--weights", "mine.weights.h5", "--classes", "classes.json"]
NAMES = ["b/2.png", "b/10.png", "a.jpg", "c.png", "d.png"]
PHOTOS = {
    name: encoded(picture(seed, 300, 240 + 40 * seed), "PNG" if name.endswith("png") else "JPEG")
    for seed, name in enumerate(NAMES)
}


def squares(side: int, fit: str = "crop") -> np.ndarray:
    """The photos as the pipeline sees them: float32 (5, side, side, 3)."""
    return np.stack([decode(data, side, fit).pixels for data in PHOTOS.values()]).astype(np.float32)


def know_the_photos(network: Any, preprocess: Callable) -> None:
    """Makes a network with random weights one that tells the photos apart, as a trained one would.

    The statistics of its batch norms become those of the photos, and its last layer takes away what
    the photos have in common.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    last = [layer for layer in network.layers if layer.weights][-1]
    below = keras.Model(network.input, last.input)
    features = np.asarray(below(preprocess(squares(224)), training=True))
    kernel, _ = last.get_weights()
    logits = features.reshape(len(PHOTOS), -1) @ kernel.reshape(-1, CLASSES)
    factor = 3 / (logits - logits.mean(0)).std()
    last.set_weights([factor * kernel, -factor * logits.mean(0)])


def ship(network: Any, file: Path) -> None:
    """Saves weights in the older format, in which Keras offers its own."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(file, "w") as group:
        legacy_h5_format.save_weights_to_hdf5_group(group, network)


@pytest.fixture(scope="module")
def network() -> Any:
    """A MobileNet that knows the photos."""
    keras.utils.set_random_seed(1)
    made = keras.applications.MobileNet(weights=None)
    know_the_photos(made, keras.applications.mobilenet.preprocess_input)
    return made


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photos, the network's weights and a class index."""
    made = tmp_path_factory.mktemp("classify")
    write(made / "photos", PHOTOS | {"b/.hidden": b"", "Thumbs.db": b""})
    network.save_weights(made / "mine.weights.h5")
    ship(network, made / "shipped.h5")
    (made / "classes.json").write_text(json.dumps(INDEX))
    return made


@pytest.fixture
def answer(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Callable[..., str]:
    """Runs the command in that folder: what it prints."""

    def run(*arguments: str) -> str:
        monkeypatch.chdir(folder)
        main(["--backbone", "MobileNet", *arguments])
        return capsys.readouterr().out

    return run


def test_sides_are_those_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but MobileNetV3 ask one function for their side before they make a layer."""

    class Side(Exception):
        pass

    def tell(*_, default_size: int, **__) -> None:
        raise Side(default_size)

    monkeypatch.setattr("keras.src.applications.imagenet_utils.obtain_input_shape", tell)
    names = [name for name in IMAGENET_NAMES if not name.startswith("MobileNetV3")]
    assert len(names) == len(IMAGENET_NAMES) - 2 > 30
    for name in names:
        with pytest.raises(Side) as side:
            getattr(keras.applications, name)(weights=None)
        assert side.value.args == (NETWORKS[name].imagenet,), name


def test_answers_are_those_of_plain_keras(
    network, answer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own preprocessing, network and decoding."""
    own = keras.applications.mobilenet
    expected = np.asarray(network(own.preprocess_input(squares(224)), training=False))
    monkeypatch.setattr("keras.src.applications.imagenet_utils.CLASS_INDEX", INDEX)
    decoded = own.decode_predictions(expected, top=7)
    # The test would notice if photos, labels or their order were others.
    assert len({best[0][1] for best in decoded}) > 1 and 0.01 < decoded[0][0][2] < 0.99
    photos = [f"photos/{name}" for name in NAMES]
    given = ("--weights", "shipped.h5", "--classes", "classes.json")
    printed = answer(*photos, *given, "--json", "--top", "7")
    found = [json.loads(line) for line in printed.splitlines()]
    assert [line["photo"] for line in found] == photos
    for line, best in zip(found, decoded, strict=True):
        assert [(x["id"], x["label"]) for x in line["labels"]] == [x[:2] for x in best]
        values = [x["confidence"] for x in line["labels"]]
        assert values == pytest.approx([x[2] for x in best], abs=5e-4)
        assert values == sorted(values, reverse=True)


def test_a_folder_is_read_in_natural_order_for_people(network, answer) -> None:
    pixels = keras.applications.mobilenet.preprocess_input(squares(224, "stretch"))
    expected = np.asarray(network(pixels, training=False))
    printed = answer("photos/c.png", "photos", *GIVEN, "--top", "2", "--fit", "stretch")
    assert printed.endswith("\n") and not printed.endswith("\n\n")
    blocks = [block.splitlines() for block in printed.split("\n\n")]
    order = ["c.png", "a.jpg", "b/2.png", "b/10.png", "c.png", "d.png"]
    assert [block[0] for block in blocks] == [f"photos/{name}" for name in order]
    assert blocks[0] == blocks[4]
    for name, block in zip(order, blocks, strict=True):
        best = np.argsort(-expected[NAMES.index(name)])[:2]
        assert [line.split("%  ")[1] for line in block[1:]] == [f"thing {i}" for i in best]
        assert {len(line.partition("%")[0]) for line in block[1:]} == {8}


def test_small_confidences_are_not_nothing() -> None:
    found = [(ImageNetClass("n1", "a_b"), value) for value in (0.99996, 0.0951, 0.00049, 0.0)]
    lines = label_text("x", found).splitlines()
    assert lines == ["x", "  100.0 %  a b", "    9.5 %  a b", "   <0.1 %  a b", "   <0.1 %  a b"]


def test_efficientnet_is_scaled_as_keras_scales_what_it_fetches(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same weights in the network that Keras builds for them and in one that reads a file."""
    build, file = keras.applications.EfficientNetB0, home / "efficientnetb0.h5"
    keras.utils.set_random_seed(1)
    fresh = build(weights=None)
    nothing = ([1.0] * 3, [0.0] * 3, False)
    assert find_scaling(build, fresh) == nothing
    (norm,) = [x for x in fresh.layers if isinstance(x, keras.layers.Normalization)]
    # The standard deviation in place of the variance, as it is in what Keras offers.
    means, deviations = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    norm.set_weights([np.array(means), np.array(deviations), np.array(0)])
    ship(fresh, file)
    hashes = {"b0": (hashlib.md5(file.read_bytes()).hexdigest(), "")}
    monkeypatch.setattr("keras.src.applications.efficientnet.WEIGHTS_HASHES", hashes)
    own = build(weights="imagenet")
    assert find_scaling(build, own) == nothing
    know_the_photos(own, lambda pixels: pixels)
    expected = np.asarray(own(squares(224), training=False))
    assert len(set(expected.argmax(1))) > 1
    ship(own, file)
    found = np.stack([*classify_photos("EfficientNetB0", file, squares(224))])
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("module", ["densenet", "efficientnet", "resnet", "xception"])
def test_pixels_are_prepared_as_keras_does(module: str) -> None:
    own = getattr(keras.applications, module)
    photos = squares(32)
    found = scale_pixels(photos.astype(np.uint8), *probe_scaling(own))
    assert found.dtype == np.float32
    assert np.abs(found - own.preprocess_input(photos)).max() < 1e-4


@pytest.mark.parametrize("arguments, message", read_cases(__file__)["wrong"])
def test_what_is_wrong_is_one_message(
    answer, wrong: None, capsys: Capture, arguments: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        answer(*GIVEN, *arguments)
    assert "\n" not in str(error.value) and capsys.readouterr().out == ""


@pytest.fixture(scope="module")
def wrong(folder: Path) -> None:
    """Files beside the right ones that are not what they should be."""
    good = (folder / "mine.weights.h5").read_bytes()
    write(folder, {"cut.jpg": PHOTOS["a.jpg"][:-500], "empty/.hidden": b"", "list.json": b"[]"})
    write(folder / "bad", {str(number): b"" for number in range(1, 8)})
    write(folder, {"text.h5": b"weights", "infinite.weights.h5": good})
    write(folder, {"cut.weights.h5": good[: len(good) // 2]})
    few, odd = dict([*INDEX.items()][:10]), INDEX | {"7": ["n00000007", "a\nb"]}
    for name, index in {"few": few, "odd": odd}.items():
        (folder / f"{name}.json").write_text(json.dumps(index))
    with h5py.File(folder / "infinite.weights.h5", "r+") as file:
        file["layers/conv2d/vars/0"][...] = np.nan
    with h5py.File(folder / "odd.h5", "w") as file:
        file.attrs["layer_names"] = 3
    build = keras.applications.MobileNet
    build(weights=None, include_top=False).save_weights(folder / "headless.weights.h5")
    build(weights=None, alpha=0.25).save_weights(folder / "other.weights.h5")


def test_what_cannot_be_fetched_is_named_with_its_place(answer, home: Path) -> None:
    index = "imagenet_class_index.json"
    with pytest.raises(UserError, match=r"ImageNet classes .* name a file with --classes") as error:
        answer("photos", *GIVEN[:2])
    assert f"/{index} where there is a network" in str(error.value)
    assert f"put it at {home}/{index}, or" in str(error.value)
    file = "mobilenet_1_0_224_tf.h5"
    with pytest.raises(UserError, match=r"weights of MobileNet .* name a file with --w") as error:
        answer("photos", *GIVEN[2:])
    place = f"put it at {home}/{file},"
    assert f"/{file} where there is a network and {place}" in str(error.value)
    # What a killed download has left of it; Keras knows no hash of this one.
    (home / file).write_bytes(b"half")
    with pytest.raises(UserError, match=rf"must be the .* Delete {home}/{file}, so that"):
        answer("photos", *GIVEN[2:])


def test_the_place_of_a_file_may_have_another_name_than_its_url(home: Path) -> None:
    url = "https://storage.googleapis.com/tensorflow/keras-applications/nasnet/NASNet-mobile.h5"
    place = f"{home}/nasnet_mobile.h5"
    message = f"x cannot be fetched. Download {url} where .* put it at {place}, or y"
    file = find_published("NASNetMobile", 224)
    with pytest.raises(UserError, match=message), fetching(file, "x", "y"):
        pass


def test_a_network_has_a_file_for_each_side_that_keras_trained_it_at() -> None:
    for side, own in ((128, 128), (224, 224), (200, 224), (96, 224)):
        found = find_published("MobileNet", side, top=False)
        assert found.name == f"mobilenet_1_0_{own}_tf_no_top.h5"
        assert found.origin.endswith(f"/{found.name}")
    assert find_published("MobileNetV2", 96).name.endswith("_1.0_96.h5")
