"""Networks, heads and fine-tuning, on images made on the spot."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import openvino
import pandas as pd
import pytest
from sklearn.utils.class_weight import compute_class_weight

from graft.backbone.scaling import probe_scaling
from graft.common.errors import UserError
from graft.common.stage import Stage
from graft.common.tables import read_json, write_json, write_table
from graft.head.construction import dense_head
from graft.images.files import identity
from graft.linear.standardising import find_moments
from graft.models.framework import keras, tf
from graft.models.inference import run_graph
from graft.models.pooling import truncated
from graft.models.saving import load_model, save_graph, save_model
from graft.parts.rows import Rows, read_features, read_parts
from graft.training.batches import Batch, Batches
from graft.training.histories import best_epoch
from graft.training.loop import compile_model, fit
from images import SIDE, check_cores, python, run, workspace
from trainings import backbone, blobs, cost, pictures

SETTINGS = {
    "test.epochs": 12,
    "test.patience": 12,
    "test.monitor": "val_loss",
    "test.stop_by": "monitor",
}


def classes(*counts: int, seed: int = 0) -> Rows:
    """Classes of so many points each."""
    return blobs(np.repeat(np.arange(len(counts)), counts), seed)


def new_head(train: Rows):
    """A head without hidden layers over the features of a part."""
    return dense_head(*find_moments(train), [], "softmax", len(train.classes))


def test_rows_come_in_the_order_of_the_split(empty: Path) -> None:
    """Two shards, one quarantined image, one image left out: every row is the right one.

    Of two columns one can be chosen, and changed copies can follow, of all images at a time.
    """
    checked = [
        pd.DataFrame({"id": ["a", "b", "c"], "status": ["ok", "quarantined", "ok"]}),
        pd.DataFrame({"id": ["d", "e"], "status": ["ok", "ok"]}),
        pd.DataFrame({"id": [], "status": []}),
    ]
    arrays = [np.array([[0, 5], [2, 6]]), np.array([[3, 7], [4, 8]]), np.zeros((0, 0))]
    for name in ("checked", "features", "depth"):
        Path("data", name).mkdir(parents=True)
    paths = [Path("data/split.csv"), Path("data/depth/layer.json")]
    for number, (table, array) in enumerate(zip(checked, arrays, strict=True)):
        paths += [Path(f"data/checked/{number}.csv"), Path(f"data/features/{number}.npy")]
        write_table(paths[-2], table)
        np.save(paths[-1], array)
    split = pd.DataFrame({"id": [*"eabdc"], "label": ["10", "2", "2", "nan", "10"]})
    split["path"] = split["id"] + ".png"
    split["part"] = ["train", "train", "left out: truncated", "test", "train"]
    write_table(paths[0], split)
    write_json(paths[1], {"layer": "later", "start": 1, "width": 1})
    stage = Stage("test", {}, {"dataset.classes": "all"}, tuple(paths), {})
    train = read_parts(stage, "data/features")["train"]
    assert train.classes == ("2", "10", "nan")
    assert train.paths == ("e.png", "a.png", "c.png")
    assert train.labels.tolist() == [1, 0, 1]
    assert train[:].tolist() == [[4, 8], [0, 5], [2, 6]]
    assert train[np.array([2, 0])].tolist() == [[2, 6], [4, 8]]
    later = read_features(stage)["train"]
    assert later[:].tolist() == [[8], [5], [6]] and later[:0].shape == (0, 1)
    np.save("none.npy", np.zeros((0, 2)))
    assert train.with_views(Path("none.npy"))[:].tolist() == train[:].tolist()
    np.save("views.npy", np.arange(20, 32).reshape(6, 2))
    both = later.with_views(Path("views.npy"))
    assert both[:].tolist() == [[8], [5], [6], [21], [23], [25], [27], [29], [31]]
    assert both[np.array([7, 0, 3])].tolist() == [[29], [8], [21]]
    assert len(both) == 9 and both.labels.tolist() == 3 * [1, 0, 1]
    assert both.ids == 3 * ("e", "a", "c") and both.paths == 3 * train.paths


@pytest.mark.parametrize(("batch", "least", "expected"), [(4, 1, 3), (4, 7, 9), (64, 30, 30)])
def test_an_epoch_of_few_images_repeats_them(batch: int, least: int, expected: int) -> None:
    """Each time through all of them, in another order, and never twice in one batch."""
    part = classes(10)
    batches = Batches(part, batch, 1, least=least)
    assert len(batches) == expected
    rounds = []
    for _ in range(2):
        drawn = [batches[index][0] for index in range(len(batches))]
        rows = np.concatenate(drawn).reshape(-1, 10, 3)
        assert all(np.array_equal(np.sort(own, 0), np.sort(part[:], 0)) for own in rows)
        rounds += [own.tobytes() for own in rows]
        batches.on_epoch_end()
    assert len(set(rounds)) == len(rounds)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_losses_are_plain_and_weighted(smoothing: float) -> None:
    """Smoothed labels are for the training alone; classes weigh as they do in it."""
    train, valid = classes(30, 12, 6), classes(10, 4, 2, seed=1)
    keras.utils.set_random_seed(1)
    model = new_head(train)
    compile_model(model, keras.optimizers.Adam(0.05), smoothing)
    batches = Batches(train, 16, 1, "balanced"), Batches(valid, 16, class_weight="balanced")
    settings = SETTINGS | {"test.epochs": 3, "test.patience": 3}
    history = fit("test", settings, model, *batches)
    expected = cost(model.predict(valid[:], verbose=0), valid.labels, "balanced")
    assert history["val_loss"].min() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("stop_by", ["val_loss", "monitor"])
def test_one_measure_may_stop_and_another_keep(stop_by: str) -> None:
    train, valid = classes(40, 40, 40), classes(30, 30, 30, seed=10)
    keras.utils.set_random_seed(1)
    model = new_head(train)
    compile_model(model, keras.optimizers.SGD(3.0), 0.0)  # too fast: both measures go up and down
    own = {"epochs": 40, "patience": 3, "monitor": "val_accuracy", "stop_by": stop_by}
    settings = {f"test.{name}": value for name, value in own.items()}
    history = fit("test", settings, model, Batches(train, 16, 1), Batches(valid, 16))
    stops, keeps = best_epoch(history, "val_loss"), best_epoch(history, "val_accuracy")
    assert stops != keeps
    assert len(history) == min(40, (stops if stop_by == "val_loss" else keeps) + 3)
    right = (model.predict(valid[:], verbose=0).argmax(1) == valid.labels).mean()
    assert right == pytest.approx(history["val_accuracy"].max(), abs=1e-6)


@pytest.mark.parametrize("counts", [(40, 8, 2), (1, 1, 1), (30, 0, 10), (5, 0, 0)])
def test_balanced_weights_are_those_of_scikit_learn(counts: tuple[int, ...]) -> None:
    part = classes(*counts)
    found: dict[int, float] = {}
    batches = Batches(part, 16, 1, "balanced")
    for index in range(len(batches)):
        points, labels, weights = batches[index]
        assert len(points) == len(labels) == len(weights)
        found |= dict(zip(labels.tolist(), weights.tolist(), strict=True))
    present = np.unique(part.labels)
    expected = compute_class_weight("balanced", classes=present, y=part.labels)
    assert found == pytest.approx(dict(zip(present.tolist(), expected.tolist(), strict=True)))


def test_without_class_weight_batches_have_no_weights() -> None:
    part = classes(5, 3, 2)
    ((points, labels),) = list(Batches(part, 16, class_weight="none"))
    assert np.array_equal(points, part[:]) and np.array_equal(labels, part.labels)


def test_balanced_training_finds_the_rare_class() -> None:
    train, valid = classes(300, 300, 12, seed=1), classes(100, 100, 4, seed=2)
    test = classes(200, 200, 200, seed=3)
    recall, weights = {}, []
    for class_weight in ("none", "balanced", "balanced"):
        keras.utils.set_random_seed(1)
        model = new_head(train)
        compile_model(model, keras.optimizers.Adam(0.02))
        judged = Batches(valid, 64, class_weight=class_weight)
        history = fit("test", SETTINGS, model, Batches(train, 64, 1, class_weight), judged)
        assert list(history) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
        outputs = model.predict(valid[:], verbose=0)
        expected = cost(outputs, valid.labels, class_weight)
        assert history["val_loss"].min() == pytest.approx(expected, rel=1e-4)
        # Accuracy is that of the images, whatever they weigh.
        best = history["val_accuracy"][history["val_loss"].idxmin()]
        assert best == pytest.approx((outputs.argmax(1) == valid.labels).mean())
        predicted = model.predict(test[:], verbose=0).argmax(1)
        recall[class_weight] = [(predicted[test.labels == k] == k).mean() for k in range(3)]
        weights.append(model.get_weights())
    assert recall["none"][2] < 0.2 and recall["balanced"][2] > 0.5
    assert np.mean(recall["balanced"]) > np.mean(recall["none"]) + 0.05
    assert all(np.array_equal(a, b) for a, b in zip(*weights[1:], strict=True))


def test_a_training_can_be_followed_while_it_runs(empty: Path) -> None:
    train, valid = classes(32, 32, 32, seed=1), classes(10, 10, 10, seed=2)
    model = new_head(train)
    compile_model(model, keras.optimizers.Adam(0.02))
    seen = []

    class Follower(Batches):
        """Looks at the file when an epoch is judged, before its own row is written."""

        def __getitem__(self, index: int) -> Batch:
            seen.append(len(pd.read_csv("logs/test.csv")) if Path("logs/test.csv").exists() else 0)
            return super().__getitem__(index)

    batches = Batches(train, 96, 1), Follower(valid, 30)
    history = fit("test", SETTINGS, model, *batches, scratch=Path("scratch"))
    pd.testing.assert_frame_equal(pd.read_csv("logs/test.csv"), history, atol=1e-5)
    assert sorted(set(seen)) == list(range(12)) and seen == sorted(seen)


def test_good_epochs_excuse_no_bad_one() -> None:
    """The third epoch spoils the weights after its own loss was taken."""
    train, valid = classes(32, 32, 32, seed=1), classes(10, 10, 10, seed=2)
    keras.utils.set_random_seed(1)
    model = new_head(train)
    rates = {"test.learning_rate": 0.01, "test.other_learning_rate": 3e38}
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.01, 3e38])
    compile_model(model, keras.optimizers.SGD(rate))
    lower = r"lower test\.learning_rate or test\.other_learning_rate\. Received: 0\.01, 3e\+38$"
    with pytest.raises(UserError, match=rf"^test: the validation loss .* in epoch 3: {lower}"):
        fit("test", SETTINGS | rates, model, Batches(train, 96, 1), Batches(valid, 30))


@pytest.mark.parametrize(
    "module",
    ["vgg16", "resnet", "mobilenet_v2", "densenet", "inception_v3", "xception", "efficientnet"],
)
def test_scaling_is_the_one_of_keras(module: str) -> None:
    own = getattr(keras.applications, module)
    scale, offset, reverse = probe_scaling(own)
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 5, 5, 3)).astype("float32")
    mine = (pixels[..., ::-1] if reverse else pixels) * scale + offset
    assert np.allclose(mine, own.preprocess_input(pixels.copy()), atol=1e-3)


def test_equal_models_are_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        keras.utils.clear_session()
        model = backbone("cnn", SIDE)
        (tmp_path / name).mkdir()
        save_model(model, tmp_path / name / "model.keras")
        save_graph(model, tmp_path / name / "model.xml")
    # The names in the .xml count what this process has built; stages are processes of their own.
    for file in ("model.keras", "model.bin"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    made = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert made == ["model.bin", "model.keras", "model.xml"]


def begin(*shards: np.ndarray, **features: str) -> None:
    """Writes what the stage `tensors` would have of good images here, and runs `backbone`."""
    changes = {f"features.{name}": value for name, value in features.items()}
    workspace(Path(), {"backbone.weights": "none", **changes})
    for name in ("checked", "pretrained", "tensors"):
        Path("data", name).mkdir(parents=True, exist_ok=True)
    for shard, pixels in enumerate(shards):
        table = pd.DataFrame({"status": "ok", "pixels": [identity(row) for row in pixels]})
        write_table(Path(f"data/checked/{shard}.csv"), table)
        np.save(f"data/tensors/{shard}.npy", pixels)
    run("backbone")


def test_features_in_bfloat16_are_near_those_in_float32(empty: Path) -> None:
    """Eight bits of a number are left; where the processor has no bfloat16, it says so."""
    found = {}
    for precision in ("float32", "bfloat16"):
        begin(pictures(40)[0], precision=precision)
        capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and "BF16" not in capabilities:
            with pytest.raises(UserError, match=r"features\.precision must be float32 on this"):
                run("features", "0")
            return
        run("features", "0")
        found[precision] = np.load("data/features/0.npy")
    full, rounded = found.values()
    assert rounded.dtype == np.float32
    assert not np.array_equal(full, rounded)
    assert np.abs(full - rounded).max() <= 2**-5 * np.abs(full).max()


def test_features_on_a_graphics_card_are_refused_where_there_is_none(empty: Path) -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("a graphics card is here")
    begin(pictures(4)[0], pictures(0)[0], runtime="gpu")
    allowed = "openvino or tensorflow here, where TensorFlow finds no graphics card"
    with pytest.raises(UserError, match=f"features.runtime must be {allowed}. Received: 'gpu'"):
        run("features", "0")
    assert not Path("data/features/0.npy").exists()


@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
def test_features_are_computed_in_pieces(empty: Path, runtime: str) -> None:
    """A full shard, an empty one, and one whose features are not finite."""
    pixels, _ = pictures(150)
    begin(pixels, pixels[:0], runtime=runtime)
    for shard in "01":
        run("features", shard)
    model = load_model(Path("data/backbone/network.keras"))
    found = np.load("data/features/0.npy")
    table = read_json(Path("data/backbone/depths.json"))
    assert table["layers"] == [layer.name for layer in model.get_layer("network").layers]
    rows_ = table["depths"]
    assert found.dtype == np.float32 and found.shape == (150, sum(row["width"] for row in rows_))
    assert rows_[0]["width"] == model.output_shape[1] and len(rows_) > 2
    for row in (rows_[0], rows_[-1]):
        mine = found[:, row["start"] : row["start"] + row["width"]]
        expected = truncated(model, row["layer"], row["pooling"]).predict(pixels, verbose=0)
        assert np.abs(mine - expected).max() <= 1e-4 * np.abs(expected).max(), row["layer"]
    empty = np.load("data/features/1.npy")
    assert empty.shape == (0, 0) and empty.dtype == np.float32

    wild = keras.Sequential([keras.Input((SIDE, SIDE, 3))])
    wild.add(keras.layers.Rescaling(1e38, name="network"))
    wild.add(keras.layers.GlobalAveragePooling2D())
    save_model(wild, Path("data/backbone/network.keras"))
    save_graph(wild, Path("data/backbone/graph.xml"))
    write_json(Path("data/backbone/depths.json"), table | {"depths": rows_[:1]})
    Path("data/features/0.npy").unlink()
    shutil.rmtree(".graft/records")  # which know the files of before
    with pytest.raises(UserError, match="features are not finite"):
        run("features", "0")
    assert [path.name for path in Path("data/features").iterdir()] == ["1.npy"]


@pytest.mark.parametrize(
    ("pooling", "name", "width"),
    [("avg", "cnn", 120), ("max", "stack", 5), ("flatten", "stack", 5 * 16 * 16)],
)
def test_graph_and_keras_agree(tmp_path: Path, pooling: str, name: str, width: int) -> None:
    stack = ["conv 4", "norm", "pool", "conv 5"]
    model = backbone(name, SIDE, pooling=pooling, stack=stack)
    save_graph(model, tmp_path / "graph.xml")
    pixels, _ = pictures(37)
    features = np.concatenate(list(run_graph(tmp_path / "graph.xml", pixels)))
    expected = model.predict(pixels, verbose=0)
    assert features.shape == expected.shape == (37, width)
    assert np.abs(features - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_number_of_cores_changes_no_bit_of_the_features(tmp_path: Path) -> None:
    save_graph(backbone("cnn", SIDE), tmp_path / "graph.xml")
    np.save(tmp_path / "pixels.npy", pictures(50)[0])
    code = """
        import numpy as np
        from graft.models.inference import run_graph
        rows = run_graph("graph.xml", np.load("pixels.npy"))
        np.save("features.npy", np.concatenate(list(rows)))
    """
    check_cores(tmp_path, code, "features.npy")


def test_a_weights_file_serves_images_of_another_side(tmp_path: Path) -> None:
    source = backbone("cnn", SIDE, seed=7)
    file = tmp_path / "mine.weights.h5"
    source.get_layer("network").save_weights(file)
    again = backbone("cnn", 48, str(file))
    images = np.random.default_rng(1).uniform(0, 255, (2, 48, 48, 3)).astype("float32")
    larger = backbone("cnn", 48)
    larger.set_weights(source.get_weights())
    assert np.array_equal(again.predict(images, verbose=0), larger.predict(images, verbose=0))

    with pytest.raises(UserError, match=r"weights must be a file of weights .* Received: "):
        backbone("VGG16", 48, str(file))


def test_weights_that_cannot_be_fetched_are_named(tmp_path: Path) -> None:
    """No network: the message says which file to put where."""
    code = """
        from graft.common.errors import UserError
        from trainings import backbone
        try:
            backbone("VGG16", 48, "imagenet")
        except UserError as error:
            print(error)
    """
    nowhere = {"https_proxy": "http://127.0.0.1:9", "KERAS_HOME": str(tmp_path)}
    nowhere["PYTHONPATH"] = os.pathsep.join(sys.path)
    said = python(code, env=os.environ | nowhere)
    assert "the ImageNet weights of VGG16 cannot be fetched" in said
    assert "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5" in said
    assert str(tmp_path / "models") in said
