"""Networks, heads and fine-tuning, on images made on the spot."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graft import tables
from graft.errors import UserError
from graft.rows import Rows, rows

SIDE = 32


@pytest.fixture(scope="module")
def keras():
    from graft.framework import keras

    return keras


def pictures(n: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images whose class is the channel that is bright: uint8 (n, SIDE, SIDE, 3), int64 (n,)."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    pixels = generator.integers(0, 120, (n, SIDE, SIDE, 3))
    pixels[np.arange(n), :, :, labels] += 100
    return pixels.astype(np.uint8), labels


def as_rows(pixels: np.ndarray, labels: np.ndarray) -> Rows:
    where = np.stack([np.zeros(len(labels), np.int64), np.arange(len(labels))], 1)
    names = tuple("abc")
    return Rows(tuple(map(str, range(len(labels)))), labels, names, (pixels,), where)


def test_rows_come_in_the_order_of_the_split(tmp_path: Path) -> None:
    """Two shards, one quarantined image, one image left out: every row is the right one."""
    checked = [
        pd.DataFrame({"id": ["a", "b", "c"], "status": ["ok", "quarantined", "ok"]}),
        pd.DataFrame({"id": ["d", "e"], "status": ["ok", "ok"]}),
        pd.DataFrame({"id": [], "status": []}),
    ]
    arrays = [np.array([[0], [2]]), np.array([[3], [4]]), np.zeros((0, 0))]
    for number, (table, array) in enumerate(zip(checked, arrays, strict=True)):
        tables.write(tmp_path / f"{number}.csv", table)
        np.save(tmp_path / f"{number}.npy", array)
    split = pd.DataFrame(
        [("e", "10"), ("a", "2"), ("b", "2"), ("d", "nan"), ("c", "10")], columns=["id", "label"]
    )
    split["path"] = split["id"] + ".png"
    split["part"] = ["train", "train", "left out: truncated", "test", "train"]
    tables.write(tmp_path / "split.csv", split)
    files = [sorted(tmp_path.glob(f"[0-9].{kind}")) for kind in ("csv", "npy")]
    train = rows("train", tmp_path / "split.csv", *files)
    assert train.classes == ("2", "10", "nan")
    assert train.paths == ("e.png", "a.png", "c.png")
    assert train.labels.tolist() == [1, 0, 1]
    assert train.take().tolist() == [[4], [0], [2]]
    assert train.take(np.array([2, 0])).tolist() == [[2], [4]]


@pytest.mark.parametrize("pretrained", [True, False])
def test_batch_norm_of_a_pretrained_network_stays_as_it_is(keras, pretrained: bool) -> None:
    from graft import architectures, training
    from graft.finetune import freeze

    backbone = architectures.backbone("cnn", SIDE, "none", "avg", 1)
    body = backbone.get_layer(architectures.BODY)
    norms = [x for x in body.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert len(norms) == 9
    before = [[np.array(w) for w in norm.get_weights()] for norm in norms]
    freeze(backbone, "all", pretrained)
    model = keras.Sequential([backbone, keras.layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    part = as_rows(*pictures(48))
    history = training.fit(
        "test", model, training.Batches(part, 16, 1), training.Batches(part, 16), 2, 2
    )
    assert history["epoch"].tolist() == [1, 2]
    after = [norm.get_weights() for norm in norms]
    same = [
        all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        for a, b in zip(before, after, strict=True)
    ]
    assert all(same) if pretrained else not any(same)


@pytest.mark.parametrize("unfreeze", ["none", 1, 4, 9, "all"])
def test_unfreezing_counts_layers_from_the_top(keras, unfreeze: int | str) -> None:
    from graft import architectures
    from graft.finetune import freeze

    backbone = architectures.backbone("cnn", SIDE, "none", "avg", 1)
    freeze(backbone, unfreeze, pretrained=True)
    layers = backbone.get_layer(architectures.BODY).layers
    top = {"none": [], "all": layers}.get(unfreeze) if isinstance(unfreeze, str) else None
    expected = [
        layer.name
        for layer in (layers[-unfreeze:] if top is None else top)
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert [layer.name for layer in layers if layer.trainable_variables] == expected


def test_head_and_backbone_learn_at_their_own_rates(keras) -> None:
    """The first step of Adam has the size of the rate, whatever the gradient."""
    from graft.rates import optimizer

    slow, fast = keras.Variable(np.ones(3, "float32")), keras.Variable(np.ones(3, "float32"))
    made = optimizer(0.001, 0.01, [fast], warmup=0, steps=10, weight_decay=0.0)
    made.apply([keras.ops.ones(3), keras.ops.ones(3) * 1e3], [slow, fast])
    assert np.allclose(1 - slow.numpy(), 0.001, rtol=1e-3)
    assert np.allclose(1 - fast.numpy(), 0.01, rtol=1e-3)


def test_the_rate_warms_up_and_falls_to_zero(keras) -> None:
    from graft.rates import optimizer

    schedule = optimizer(0.5, 0.5, [], warmup=4, steps=20, weight_decay=0.0)._learning_rate
    rates = [float(schedule(step)) for step in range(21)]
    assert rates[0] == 0 and rates[20] == pytest.approx(0, abs=1e-6)
    assert max(rates) == pytest.approx(0.5) and rates.index(max(rates)) == 4
    assert rates[:5] == sorted(rates[:5]) and rates[4:] == sorted(rates[4:], reverse=True)


@pytest.mark.parametrize(
    "module",
    ["vgg16", "resnet", "mobilenet_v2", "densenet", "inception_v3", "xception", "efficientnet"],
)
def test_scaling_is_the_one_of_keras(keras, module: str) -> None:
    from graft.architectures import affine

    own = getattr(keras.applications, module)
    scale, offset, reverse = affine(own)
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 5, 5, 3)).astype("float32")
    mine = (pixels[..., ::-1] if reverse else pixels) * scale + offset
    assert np.allclose(mine, own.preprocess_input(pixels.copy()), atol=1e-3)


def test_equal_models_are_equal_files(keras, tmp_path: Path) -> None:
    from graft import architectures, models

    for name in ("one", "two"):
        keras.utils.clear_session()
        model = architectures.backbone("cnn", SIDE, "none", "avg", 1)
        (tmp_path / name).mkdir()
        models.save(model, tmp_path / name / "model.keras")
        models.save_graph(model, tmp_path / name / "model.xml")
    # The names in the .xml count what this process has built; stages are processes of their own.
    for file in ("model.keras", "model.bin"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == [
        "model.bin",
        "model.keras",
        "model.xml",
    ]


@pytest.mark.parametrize("pooling", ["avg", "max", "flatten"])
def test_graph_and_keras_agree(keras, tmp_path: Path, pooling: str) -> None:
    from graft import architectures, models
    from graft.inference import in_batches, run

    model = architectures.backbone("cnn", SIDE, "none", pooling, 1)
    models.save_graph(model, tmp_path / "graph.xml")
    pixels, _ = pictures(37)
    features = np.concatenate(list(run(tmp_path / "graph.xml", in_batches(pixels))))
    expected = model.predict(pixels, verbose=0)
    assert features.shape == expected.shape == (37, 120 if pooling != "flatten" else 1920)
    assert np.abs(features - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_number_of_cores_changes_no_bit_of_the_features(keras, tmp_path: Path) -> None:
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores whose use can be limited")
    from graft import architectures, models

    models.save_graph(architectures.backbone("cnn", SIDE, "none", "avg", 1), tmp_path / "graph.xml")
    np.save(tmp_path / "pixels.npy", pictures(50)[0])
    code = """if True:
        import os, sys
        import numpy as np
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv[1])])
        from graft.inference import in_batches, run
        rows = run("graph.xml", in_batches(np.load("pixels.npy")))
        np.save(f"{sys.argv[1]}.npy", np.concatenate(list(rows)))
    """
    for cores in ("1", "2"):
        subprocess.run([sys.executable, "-c", code, cores], cwd=tmp_path, check=True)
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "2.npy").read_bytes()


def test_weights_of_a_trained_model_serve_as_backbone_weights(keras, tmp_path: Path) -> None:
    from graft import architectures, models, weights

    backbone = architectures.backbone("cnn", SIDE, "none", "avg", 7)
    pixels = keras.Input((SIDE, SIDE, 3))
    whole = keras.Model(pixels, keras.layers.Dense(2, "softmax")(backbone(pixels)))
    models.save(whole, tmp_path / "model.keras")
    file = tmp_path / "mine.weights.h5"
    weights.main([str(tmp_path / "model.keras"), str(file)])
    assert file.stat().st_size <= 2_000_000
    again = architectures.backbone("cnn", 48, str(file), "avg", 1)
    images = np.random.default_rng(1).uniform(0, 255, (2, 48, 48, 3)).astype("float32")
    larger = architectures.backbone("cnn", 48, "none", "avg", 7)
    assert np.array_equal(again.predict(images, verbose=0), larger.predict(images, verbose=0))

    with pytest.raises(UserError, match=r"weights must be a file of weights .* Received: "):
        architectures.backbone("VGG16", 48, str(file), "avg", 1)


def test_weights_that_cannot_be_fetched_are_named(tmp_path: Path) -> None:
    """No network: the message says which file to put where."""
    code = (
        "from graft.architectures import backbone\n"
        "from graft.errors import UserError\n"
        "try:\n    backbone('VGG16', 48, 'imagenet', 'avg', 1)\n"
        "except UserError as error:\n    print(error)\n"
    )
    nowhere = {"https_proxy": "http://127.0.0.1:9", "KERAS_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the ImageNet weights of VGG16 cannot be fetched" in result.stdout
    assert "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5" in result.stdout
    assert str(tmp_path / "models") in result.stdout


def test_augmentation_changes_training_images_only(keras) -> None:
    from graft.augment import augmentation

    off = {
        "augment.flip": "none",
        "augment.rotation": 0,
        "augment.shift": 0.0,
        "augment.zoom": 0.0,
        "augment.brightness": 0.0,
        "augment.contrast": 0.0,
    }
    assert augmentation(off, SIDE, 1) is None
    pixels = pictures(8)[0].astype("float32")
    for name, strength in {
        "flip": "horizontal",
        "rotation": 45,
        "shift": 0.2,
        "zoom": 0.3,
        "brightness": 0.3,
        "contrast": 0.3,
    }.items():
        change = augmentation(off | {f"augment.{name}": strength}, SIDE, 1)
        assert np.array_equal(change(pixels, training=False), pixels), name
        changed = np.asarray(change(pixels, training=True))
        assert changed.shape == pixels.shape and not np.array_equal(changed, pixels), name
        assert changed.min() >= 0 and changed.max() <= 255, name
