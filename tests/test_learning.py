"""Networks, heads and fine-tuning, on images made on the spot."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.class_weight import compute_class_weight

from graft import tables
from graft.errors import UserError
from graft.rows import Rows, rows
from images import SHARDS, SIDE, change, graft, workspace


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


def blobs(counts: tuple[int, ...], seed: int = 0) -> Rows:
    """Classes of so many points each, around corners that are near: float32 rows of width 3."""
    labels = np.repeat(np.arange(len(counts)), counts)
    points = np.random.default_rng(seed).normal(size=(len(labels), 3)) + np.eye(3)[labels]
    return as_rows(points.astype(np.float32), labels)


def loss(probabilities: np.ndarray, labels: np.ndarray, class_weight: str) -> float:
    """The mean cross-entropy, of all images or of the classes' own means."""
    own = -np.log(probabilities[np.arange(len(labels)), labels])
    classes = [own[labels == label].mean() for label in np.unique(labels)]
    return float(np.mean(classes if class_weight == "balanced" else own))


def divided(folder: Path, changes: dict[str, object]) -> np.ndarray:
    """A folder in which `backbone`, `head` and `finetune` can run; c is a rare class.

    Returns:
        float32 (n, 120), the features of all images, in the order of the split.
    """
    workspace(folder, {"backbone.weights": "none", "finetune.warmup": 0, **changes})
    (folder / "data/pretrained").mkdir(parents=True)
    pixels, labels = pictures(60)
    kept = np.flatnonzero((labels < 2) | (np.arange(60) % 10 < 3))
    pixels, labels = pixels[kept], labels[kept]
    features = np.random.default_rng(1).normal(size=(len(kept), 120)).astype(np.float32)
    features[np.arange(len(kept)), labels] += 2
    split = pd.DataFrame({"id": [f"{i}" for i in kept], "label": np.array([*"abc"])[labels]})
    split["path"] = split["id"] + ".png"
    split["part"] = np.resize(["train", "valid", "train", "test", "train"], len(kept))
    tables.write(folder / "data/split.csv", split)
    for shard in range(SHARDS):
        mine = np.arange(shard, len(kept), SHARDS)
        table = pd.DataFrame({"id": split["id"][mine], "status": "ok"})
        tables.write(folder / f"data/tensors/{shard}.csv", table)
        for name, rows_ in {"tensors": pixels, "features": features}.items():
            (folder / "data" / name).mkdir(exist_ok=True)
            np.save(folder / f"data/{name}/{shard}.npy", rows_[mine])
    return features


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
    assert train[:].tolist() == [[4], [0], [2]]
    assert train[np.array([2, 0])].tolist() == [[2], [4]]


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
        "test", model, training.Batches(part, 16, 1), training.Batches(part, 16), 2, 2, {}
    )
    assert history["epoch"].tolist() == [1, 2]
    after = [norm.get_weights() for norm in norms]
    same = [
        all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        for a, b in zip(before, after, strict=True)
    ]
    assert all(same) if pretrained else not any(same)


@pytest.mark.parametrize("counts", [(40, 8, 2), (1, 1, 1), (30, 0, 10), (5, 0, 0)])
def test_balanced_weights_are_those_of_scikit_learn(keras, counts: tuple[int, ...]) -> None:
    from graft import training

    part = blobs(counts)
    found: dict[int, float] = {}
    batches = training.Batches(part, 16, 1, "balanced")
    for index in range(len(batches)):
        points, labels, weights = batches[index]
        assert len(points) == len(labels) == len(weights)
        found |= dict(zip(labels.tolist(), weights.tolist(), strict=True))
    present = np.unique(part.labels)
    expected = compute_class_weight("balanced", classes=present, y=part.labels)
    assert found == pytest.approx(dict(zip(present.tolist(), expected.tolist(), strict=True)))


def test_without_class_weight_batches_have_no_weights(keras) -> None:
    from graft import training

    part = blobs((5, 3, 2))
    ((points, labels),) = list(training.Batches(part, 16, class_weight="none"))
    assert np.array_equal(points, part[:]) and np.array_equal(labels, part.labels)


def test_balanced_training_finds_the_rare_class(keras) -> None:
    from graft import head, training

    train, valid, test = (blobs((300, 300, 12), 1), blobs((100, 100, 4), 2), blobs((200,) * 3, 3))
    recall, weights = {}, []
    for class_weight in ("none", "balanced", "balanced"):
        keras.utils.set_random_seed(1)
        model = head.build(train[:], 3, [], 0.0)
        model.compile(
            keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        history = training.fit(
            "test",
            model,
            training.Batches(train, 32, 1, class_weight),
            training.Batches(valid, 32, class_weight=class_weight),
            12,
            12,
            {},
        )
        assert list(history) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
        outputs = model.predict(valid[:], verbose=0)
        assert history["val_loss"].min() == pytest.approx(
            loss(outputs, valid.labels, class_weight), rel=1e-4
        )
        # Accuracy is that of the images, whatever they weigh.
        best = history["val_accuracy"][history["val_loss"].idxmin()]
        assert best == pytest.approx((outputs.argmax(1) == valid.labels).mean())
        predicted = model.predict(test[:], verbose=0).argmax(1)
        recall[class_weight] = [(predicted[test.labels == k] == k).mean() for k in range(3)]
        weights.append(model.get_weights())
    assert recall["none"][2] < 0.2 and recall["balanced"][2] > 0.5
    assert np.mean(recall["balanced"]) > np.mean(recall["none"]) + 0.05
    assert all(np.array_equal(a, b) for a, b in zip(*weights[1:], strict=True))


@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_stages_weigh_classes_as_they_are_told(
    keras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, class_weight: str
) -> None:
    """The loss that the best epoch was chosen by is the one asked for, in both trainings."""
    from graft import backbone, finetune, head, models

    both = {
        f"{stage}.{name}": value
        for stage in ("head", "finetune")
        for name, value in {"class_weight": class_weight, "epochs": 2, "batch": 8}.items()
    }
    features = divided(tmp_path, both)
    monkeypatch.chdir(tmp_path)
    for stage in (backbone, head, finetune):
        stage.main([])
    split = tables.read(Path("data/split.csv"))
    mine = (split["part"] == "valid").to_numpy()
    labels = split["label"][mine].map("abc".index).to_numpy()
    pixels = np.empty((len(split), SIDE, SIDE, 3), np.uint8)
    for shard in range(SHARDS):
        pixels[shard::SHARDS] = np.load(f"data/tensors/{shard}.npy")
    assert sorted(np.bincount(labels)) != [len(labels) // 3] * 3
    for name, array in {"head": features, "finetuned": pixels}.items():
        history = pd.read_csv(f"reports/{name}/history.csv")
        model = models.load(Path(f"data/models/{name}.keras"))
        outputs = model.predict(array[mine].astype(np.float32), verbose=0)
        expected = loss(outputs, labels, class_weight)
        assert history["val_loss"].min() == pytest.approx(expected, rel=1e-3), name


def test_a_training_that_diverges_is_refused(keras, tmp_path: Path) -> None:
    """Nothing is written, and the message says what to lower."""
    wild = {"head.hidden": [512] * 8, "head.learning_rate": 10.0, "head.batch": 8}
    divided(tmp_path, wild)
    status, _, errors = graft(tmp_path, "head")
    assert status == 2
    assert re.search(
        r"head: the (validation )?loss is not a finite number in epoch 1:"
        r" lower head\.learning_rate\. Received: 10\.0$",
        errors.strip(),
    )
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("data/models/*")) and not (tmp_path / "reports/head").exists()


def test_a_fine_tuning_that_diverges_is_refused(
    keras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graft import backbone, finetune, head

    divided(tmp_path, {"head.epochs": 1})
    monkeypatch.chdir(tmp_path)
    for stage in (backbone, head):
        stage.main([])
    # A decay of 1 at a rate of 10 multiplies every weight by -9 in a step.
    change(
        tmp_path,
        {
            "finetune.learning_rate": 10.0,
            "finetune.head_learning_rate": 9.5,
            "finetune.weight_decay": 1.0,
            "finetune.batch": 4,
            "finetune.epochs": 20,
            "finetune.patience": 20,
        },
    )
    with pytest.raises(UserError, match=r"^finetune: the .*loss is not a finite number") as refused:
        finetune.main([])
    lower = "lower finetune.learning_rate or finetune.head_learning_rate. Received: 10.0, 9.5"
    assert str(refused.value).endswith(lower)
    assert not list(Path("data/models").glob("fine*")) and not Path("reports/finetuned").exists()


def test_good_epochs_excuse_no_bad_one(keras) -> None:
    """The third epoch spoils the weights after its own loss was taken."""
    from graft import head, training

    train, valid = blobs((32, 32, 32), 1), blobs((10, 10, 10), 2)
    keras.utils.set_random_seed(1)
    model = head.build(train[:], 3, [], 0.0)
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.01, 3e38])
    model.compile(
        keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    with pytest.raises(
        UserError, match=r"test: the validation loss .* in epoch 3: lower one or two\. Received: "
    ):
        training.fit(
            "test",
            model,
            training.Batches(train, 96, 1),
            training.Batches(valid, 30),
            9,
            9,
            {"one": 0.01, "two": 3e38},
        )


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


@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
def test_features_are_computed_in_pieces(
    keras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    """A full shard, an empty one, and one whose features are not finite."""
    from graft import backbone, features, models

    divided(tmp_path, {"features.runtime": runtime, "image.side": SIDE})
    pixels, _ = pictures(150)
    np.save(tmp_path / "data/tensors/0.npy", pixels)
    np.save(tmp_path / "data/tensors/1.npy", pixels[:0])
    for old in (tmp_path / "data/features").iterdir():
        old.unlink()
    monkeypatch.chdir(tmp_path)
    backbone.main([])
    for shard in "01":
        features.main([shard])
    model = models.load(Path("data/backbone/network.keras"))
    found, expected = np.load("data/features/0.npy"), model.predict(pixels, verbose=0)
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    empty = np.load("data/features/1.npy")
    assert empty.shape == (0, 0) and empty.dtype == np.float32

    wild = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Rescaling(1e38),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    models.save(wild, Path("data/backbone/network.keras"))
    models.save_graph(wild, Path("data/backbone/graph.xml"))
    Path("data/features/0.npy").unlink()
    status, _, errors = graft(tmp_path, "features", "0")
    assert status == 2 and "features are not finite" in errors and "Traceback" not in errors
    assert [path.name for path in Path("data/features").iterdir()] == ["1.npy"]


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
