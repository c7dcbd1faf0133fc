"""Fine-tuning: what is frozen, what is stored, and what it starts from."""

import re
import shutil
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graft.common.errors import UserError
from graft.common.tables import read_json, write_table
from graft.finetune import stored
from graft.finetune.cut import Frozen, cut_model
from graft.finetune.freeze import count_sizes, freeze_layers
from graft.finetune.stored import frozen_outputs, open_training_data, store_outputs
from graft.judging.unit_counts import count_units
from graft.models.description import read_description
from graft.models.framework import keras, name_device
from graft.models.inference import run_graph
from graft.models.pooling import truncated
from graft.models.saving import load_model, save_model
from graft.parts.rows import read_parts
from graft.project.schema import OPTIMIZERS
from graft.training.batches import Batches
from graft.training.loop import compile_model, fit
from graft.training.optimizers import two_rates
from images import SIDE, Capture, change, run
from trainings import COUNTS, backbone, cost, describe, pictures, place, stage_here, start

REPORTS = ("history.csv", "training.json", "steps.csv", "repeats.csv")
FILES = [f"data/models/finetuned.{kind}" for kind in ("keras", "bin")]
FILES += [f"reports/finetuned/{name}" for name in REPORTS]
SETTINGS = {
    "test.epochs": 2,
    "test.patience": 2,
    "test.monitor": "val_loss",
    "test.stop_by": "monitor",
}
ALL, VIEWED = sum(COUNTS.values()), 2 * COUNTS["train"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stages before the head have run, with one stored view of each image."""
    folder = tmp_path_factory.mktemp("begun")
    with chdir(folder):
        place({"augment.rotation": 10, "augment.copies": 1})
        run("backbone")
        run("views")
    return folder


@pytest.fixture
def project(begun: Path, empty: Path) -> Path:
    """A copy of that folder, which is the present one."""
    shutil.copytree(begun, empty, dirs_exist_ok=True)
    return empty


def assembled(name: str, side: int, count: int, classes: int = 3, **options):
    """A new head on a network of which `count` layers are free: model, backbone, head, sizes."""
    body = backbone(name, side, **options)
    inputs = keras.Input((body.output_shape[-1],))
    dense = keras.layers.Dense(classes, "softmax" if classes > 1 else "sigmoid")
    head = keras.Model(inputs, dense(inputs), name="head")
    pixels = keras.Input((side, side, 3), name="pixels")
    model = keras.Model(pixels, head(body(pixels)), name="finetuned")
    return model, body, head, count_sizes(model, body, count, True)


def batch_norms(layers: Sequence[Any]) -> list[Any]:
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


class Images:
    """Pixels as a part to train on, of any side."""

    def __init__(self, n: int, side: int) -> None:
        pixels, self.labels = pictures(n)
        self._pixels = pixels.repeat(-(-side // SIDE), 1).repeat(-(-side // SIDE), 2)
        self._pixels = self._pixels[:, :side, :side]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which) -> np.ndarray:
        return self._pixels[which]


def rates(name: str, peak: float, head: float, epochs: int, warmup: int = 0) -> dict[str, Any]:
    """The parameters of an optimizer."""
    settings = {"optimizer": name, "learning_rate": peak, "head_learning_rate": head}
    settings |= {"epochs": epochs, "warmup": warmup, "weight_decay": 0.0}
    return {f"finetune.{key}": value for key, value in settings.items()}


def losses(model, head, data, prepare=None) -> np.ndarray:
    """Two epochs from the weights that the model has: training and validation loss, (4,)."""
    before = model.get_weights()
    keras.utils.set_random_seed(1)
    optimizer = two_rates(rates("Adam", 1e-4, 1e-3, epochs=10), head.trainable_variables, 1)
    compile_model(model, optimizer)
    batches = Batches(data["train"], 8, 1), Batches(data["valid"], 8)
    history = fit("test", SETTINGS, model, *batches, prepare=prepare)
    model.set_weights(before)
    return history[["loss", "val_loss"]].to_numpy().ravel()


@pytest.mark.parametrize(
    ("name", "side", "count", "cut", "dtypes"),
    [
        ("cnn", 32, 9, "halve_120", {np.float32: 1e-5, np.float16: 5e-4}),
        ("MobileNet", 40, 10, "conv_dw_12_relu", {np.float16: 5e-4}),
    ],
)
def test_the_tail_on_stored_outputs_learns_like_the_whole_model(
    tmp_path: Path, name: str, side: int, count: int, cut: str, dtypes: dict[type, float]
) -> None:
    """Frozen layers in every epoch, or once: the same losses; moving statistics never change."""
    model, whole_body, head, _ = assembled(name, side, count)
    parts = cut_model(model, whole_body, head)
    assert parts.cut == cut
    norms = batch_norms(whole_body.get_layer("network").layers)
    before = [norm.get_weights() for norm in norms]
    pixels = {"train": Images(24, side), "valid": Images(12, side)}
    inputs = keras.Input((side, side, 3))
    whole = keras.Model(inputs, parts.tail(Frozen(parts.frozen)(inputs)))
    expected = losses(whole, head, pixels)
    assert expected[2] < expected[0]
    # Half precision has eleven bits, outputs are off by up to 0.05 %: here losses are by less.
    for dtype, tolerance in dtypes.items():
        data = store_outputs(parts.frozen, pixels, tmp_path, dtype)
        found = losses(parts.tail, head, data)
        assert found == pytest.approx(expected, rel=tolerance, abs=5e-5)
    # In every epoch, but by OpenVINO, ahead of the steps.
    graph, data = tmp_path / "frozen.xml", {**data, "train": pixels["train"]}
    found = losses(parts.tail, head, data, lambda batches, _: frozen_outputs(graph, batches))
    assert found == pytest.approx(expected, rel=5e-4, abs=5e-5)
    after = [norm.get_weights() for norm in norms]
    assert len(norms) >= 9
    for one, other in zip(before, after, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("pretrained", [True, False])
def test_batch_norm_of_a_pretrained_network_stays_as_it_is(pretrained: bool) -> None:
    model, network, _, _ = assembled("cnn", SIDE, 0)
    body = network.get_layer("network").layers
    norms = batch_norms(body)
    before = [norm.get_weights() for norm in norms]
    freeze_layers(network, len(body), pretrained)
    compile_model(model, keras.optimizers.Adam(1e-3))
    part = Images(24, SIDE)
    fit("test", SETTINGS | {"test.epochs": 1}, model, Batches(part, 8, 1), Batches(part, 8))
    for norm, old in zip(norms, before, strict=True):
        same = [np.array_equal(a, b) for a, b in zip(norm.get_weights(), old, strict=True)]
        assert all(same) if pretrained else not any(same)


@pytest.mark.parametrize(
    ("name", "count", "classes", "expected"),
    [
        ("InceptionV3", 31, 2, {"parameters": 21_806_882, "unfrozen": 6_077_634}),
        ("Xception", 0, 1, {"parameters": 20_863_529, "trained": 2_049}),
    ],
)
def test_parameters_are_those_that_were_published(
    name: str, count: int, classes: int, expected: dict[str, int]
) -> None:
    *_, sizes = assembled(name, 150, count, classes)
    assert sizes.items() >= expected.items()


@pytest.mark.parametrize("count", [0, 1, 4, 9, 34])
def test_unfreezing_counts_layers_from_the_top(count: int) -> None:
    model, network, head, _ = assembled("cnn", SIDE, count)
    layers = network.get_layer("network").layers
    free = layers[len(layers) - count :]
    learning = [layer.name for layer in free if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.name for layer in layers if layer.trainable_variables] == learning
    assert (cut_model(model, network, head).frozen is None) == (count == 34)
    freeze_layers(network, count, pretrained=False)
    assert all(layer.trainable_variables for layer in batch_norms(free))


def test_chance_is_at_work_in_free_layers_alone() -> None:
    """Dropout below the cut never drops; one in a free layer keeps the cut below itself."""
    texts = ["conv 4", "dropout 0.5", "pool", "conv 8", "dropout 0.5", "pool"]
    images = pictures(8)[0].astype(np.float32)
    for count, cut in {0: "pooling", 1: "pooling", 2: "conv_2", 3: "pool_1"}.items():
        parts = cut_model(*assembled("stack", SIDE, count, stack=texts)[:3])
        assert parts.cut == cut
        inputs = keras.Input((SIDE, SIDE, 3))
        frozen = keras.Model(inputs, Frozen(parts.frozen)(inputs))
        still = parts.frozen(images, training=False)
        assert np.array_equal(frozen(images, training=True), still)
        same = np.array_equal(parts.tail(still, training=True), parts.tail(still, training=False))
        assert same == (count < 2)


def predicted(path: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """What a written model says of a part, and the truth: float (n, 3), int64 (n,)."""
    pixels, labels = pictures(ALL)
    mine = np.repeat([*COUNTS], [*COUNTS.values()]) == part
    return load_model(path).predict(pixels[mine], verbose=0), labels[mine]


def assert_head_on_network(layer: str, pooling: str) -> Any:
    """Holds the fine-tuned model to answer as the head on the network; returns its backbone."""
    network = truncated(load_model(Path("data/backbone/network.keras")), layer, pooling)
    head, made = (load_model(Path(f"data/models/{name}.keras")) for name in ("head", "finetuned"))
    pixels = pictures(4)[0]
    expected = head.predict(network.predict(pixels, verbose=0), verbose=0)
    assert np.allclose(made.predict(pixels, verbose=0), expected, rtol=1e-5)
    return made.get_layer("backbone")


def contents(names: Sequence[str]) -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in names}


def test_the_stage_trains_from_the_cut(project: Path, capsys: Capture) -> None:
    """On stored outputs of images and views; with two seeds, and with one the same again."""
    balance = {"finetune.class_weight": "balanced"}
    both = {"head.repeats": 2, "finetune.repeats": 2}
    change(project, {**balance, **both, "finetune.cut": "always"})
    start(strength=-0.05)
    capsys.readouterr()
    run("finetune")
    printed = capsys.readouterr()
    count = VIEWED + COUNTS["valid"] + COUNTS["test"]
    assert printed.out.splitlines()[1] == "finetune: 259,563 parameters trained, 183,168 frozen"
    assert printed.out.splitlines()[2] == f"finetune: trains on {count} stored outputs of halve_120"
    steps = 2 * -(-VIEWED // 8)
    assert printed.err.count(f"finetune: {steps}/{steps} steps") == 2
    assert not Path(".graft/cut").exists()
    summary = read_json(Path("reports/finetuned/training.json"))
    history = pd.read_csv("reports/finetuned/history.csv")
    seeds = pd.read_csv("reports/finetuned/repeats.csv")
    assert summary["cut"] == "halve_120" and summary["chosen"] == "finetuned"
    assert summary["device"] == name_device()
    assert summary["best_epoch"] == history["val_loss"].idxmin() + 1 and summary["epochs"] == 2
    assert summary["val_loss"] < summary["start_val_loss"]
    tried = pd.read_csv("reports/finetuned/steps.csv", keep_default_na=False)
    assert tried["step"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    (taken,) = tried[tried["role"] == "taken"].to_dict("records")
    assert taken["step"] == summary["step"] > 0 and taken["val_loss"] == summary["val_loss"]
    assert tried["val_loss"][0] <= summary["start_val_loss"]
    assert tried["gain"][0] == 0 and taken["gain"] > taken["standard_error"] > 0
    counts = {"parameters": 442_731, "unfrozen": 260_043, "trained": 259_563}
    assert summary.items() >= counts.items()
    assert seeds["seed"].tolist() == [1, 2] and seeds["epochs"].tolist() == [2, 2]
    assert seeds["val_loss"][0] == summary["val_loss"] != seeds["val_loss"][1]
    outputs, labels = predicted(Path("data/models/finetuned.keras"), "valid")
    assert cost(outputs, labels, "balanced") == pytest.approx(summary["val_loss"], rel=2e-3)
    outputs, labels = predicted(Path("data/models/finetuned.keras"), "test")
    right = (outputs.argmax(1) == labels).mean()
    assert right == pytest.approx(seeds["accuracy"][0], abs=1e-6)
    about = read_description(Path("data/models/finetuned.keras"))
    assert about == read_description(Path("data/models/finetuned.xml"))
    assert about.accuracy == seeds["accuracy"][0] and about.n == COUNTS["test"]
    assert about.units == count_units(outputs.argmax(1) == labels, np.arange(len(labels)))
    assert about.temperature == summary["temperature"]
    assert (about.classes, about.inputs, about.side) == (("a", "b", "c"), "pixels", SIDE)

    before = contents(FILES)
    change(project, {"finetune.repeats": 1})
    run("finetune")
    after = contents(FILES)
    names, *rows = before[FILES[-1]].splitlines(keepends=True)
    first, second = (names + row for row in rows)
    assert after == before | {FILES[-1]: first}

    # A run with the second seeds of head and training alone ends where the second repeat did.
    with np.load("data/models/repeats.npz") as heads:
        head = load_model(Path("data/models/head.keras"))
        head.set_weights([heads[f"2/{number}"] for number in range(len(head.weights))])
    save_model(head, Path("data/models/head.keras"))
    change(project, {"head.seed": 2, "finetune.seed": 2})
    run("finetune")
    assert Path(FILES[-1]).read_bytes() == second


def test_changes_and_frozen_layers_ahead_of_the_steps(project: Path) -> None:
    """Images that change in each epoch: as with frozen layers within the steps, by TensorFlow."""
    changing = {"augment.copies": 0, "augment.zoom": 0.2, "augment.brightness": 0.1}
    change(project, changing | {"finetune.repeats": 2, "head.repeats": 2})
    run("views")
    start()
    found = {}
    for cut in ("never", "auto"):
        change(project, {"finetune.cut": cut})
        run("finetune")
        tables = [pd.read_csv(f"reports/finetuned/{name}.csv") for name in ("history", "repeats")]
        found[cut] = [table.drop(columns="accuracy").to_numpy() for table in tables]
        summary = read_json(Path("reports/finetuned/training.json"))
        assert summary["cut"] == {"never": "none", "auto": "halve_120"}[cut]
    for one, other in zip(*found.values(), strict=True):
        assert np.allclose(one, other, rtol=1e-3)


def test_a_start_that_is_best_is_kept(project: Path, capsys: Capture) -> None:
    """The head on an earlier layer, where training images have the labels of others."""
    change(project, {"finetune.learning_rate": 0.01, "finetune.cut": "always"})
    split = pd.read_csv("data/split.csv")
    labels = split["label"].map({"a": "b", "b": "c", "c": "a"})
    split["label"] = labels.where(split["part"] == "train", split["label"])
    write_table(Path("data/split.csv"), split)
    start(depth=2, unfreeze=2)
    run("finetune")
    assert "a step of 0, validation loss" in capsys.readouterr().out
    summary = read_json(Path("reports/finetuned/training.json"))
    assert summary["chosen"] == "head" and summary["best_epoch"] == 0 and summary["epochs"] == 2
    tried = pd.read_csv("reports/finetuned/steps.csv")
    assert (tried["gain"] <= tried["standard_error"]).all()
    assert summary["val_loss"] == summary["start_val_loss"]
    assert summary["step"] == 0 and summary["temperature"] == 1
    assert summary["val_accuracy"] == summary["start_val_accuracy"]
    row = read_json(Path("data/depth/layer.json"))
    assert row["layer"] != "residual_120_out"
    body = assert_head_on_network(row["layer"], row["pooling"]).get_layer("network")
    assert body.layers[-1].name == row["layer"] and len(body.layers) == row["layers"]


@pytest.mark.parametrize("depth", [0, 1])
def test_without_a_free_layer_nothing_is_trained(project: Path, depth: int) -> None:
    """The fine-tuned model is the head on the network, and what is known of both is the same."""
    start(depth, unfreeze=0)
    run("finetune")
    summary = read_json(Path("reports/finetuned/training.json"))
    assert summary["chosen"] == "head" and summary["epochs"] == summary["step"] == 0
    assert summary["val_loss"] == summary["start_val_loss"] == 0.5
    for name in ("history", "steps"):
        assert pd.read_csv(f"reports/finetuned/{name}.csv").empty
    (row,) = pd.read_csv("reports/finetuned/repeats.csv").to_numpy().tolist()
    assert row == [1, 0, 0.5, 0.75, 0.8, 0.4]
    about = replace(describe(), inputs="pixels", temperature=1.0)
    assert about == read_description(Path("data/models/finetuned.keras"))
    assert about == read_description(Path("data/models/finetuned.xml"))
    layer = read_json(Path("data/depth/layer.json"))
    assert_head_on_network(layer["layer"], layer["pooling"])
    model, pixels = load_model(Path("data/models/finetuned.keras")), pictures(20)[0]
    graph = np.concatenate([*run_graph(Path("data/models/finetuned.xml"), pixels)])
    assert np.allclose(graph, model.predict(pixels, verbose=0), atol=1e-5)
    backbone, head = (model.get_layer(name) for name in ("backbone", "head"))
    counts = count_sizes(model, backbone, 0, True)
    assert counts["trained"] == head.count_params()
    assert counts == {name: summary[name] for name in counts}


def test_outputs_that_cannot_be_stored_are_reported(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    place({"finetune.cut": "always", "augment.rotation": 5})
    with pytest.raises(UserError, match=r"finetune\.cut must be auto or never where augment\.copi"):
        stage_here("finetune")
    change(empty, {"augment.rotation": 0})
    stage = stage_here("finetune")
    pixels = read_parts(stage, "data/tensors")

    def trains_on(halves, cut: str, **others: int) -> str:
        changes = {f"augment.{name}": value for name, value in others.items()}
        settings = {**stage, "finetune.cut": cut, **changes}
        with open_training_data(settings, halves, pixels) as data:
            printed = capsys.readouterr().out
            assert data.stored != printed.startswith("finetune: trains on pixels: ")
            anew = ", made in each epoch: " in printed
            images = data.stored and data.parts["train"] is pixels["train"]
            assert anew == (data.frozen is not None) == images
        assert not Path(".graft/cut").exists()
        return printed.partition("trains on ")[2]

    def halved(count: int):
        model, network, head, _ = assembled("stack", SIDE, count, stack=texts)
        return cut_model(model, network, head), network.get_layer("network").get_layer("norm_1")

    texts = ["conv 4", "norm", "pool", "conv 4"]
    everything, _ = halved(5)
    nothing = "finetune.unfreeze leaves no layer frozen that computes"
    with pytest.raises(UserError, match=r"auto or never: finetune\.unfreeze leaves no layer"):
        trains_on(everything, "always")
    assert trains_on(everything, "auto") == f"pixels: {nothing}\n"
    halves, norm = halved(1)
    assert trains_on(halves, "never") == "pixels: finetune.cut is never\n"
    found = trains_on(halves, "auto", rotation=5)
    anew = "outputs of pool_1, made in each epoch: "
    assert found == f"{anew}augment.copies is 0, so that every epoch changes the images anew\n"
    size = 60 * 16 * 16 * 4 * 2  # bytes of all outputs
    with monkeypatch.context() as patch:
        patch.setattr(stored, "_LARGEST", size - 1)
        large = "the outputs of pool_1 would take 0 GB\n"
        assert trains_on(halves, "auto") == anew + large
        patch.setattr(stored, "_LARGEST", 24 * size // 60 * 2 - 1)  # those of validation and test
        assert trains_on(halves, "auto") == f"pixels: {large}"
        patch.setattr(stored, "_LARGEST", size)
        found = trains_on(halves, "auto", rotation=5, copies=1)
        assert found == "60 stored outputs of pool_1\n"
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=size - 1))
        with pytest.raises(UserError, match=r"need 0\.0 GB of disk; 0\.0 GB are free\. Set fine"):
            trains_on(halves, "always")

    before = norm.get_weights()
    norm.set_weights([1e6 * weight for weight in before[:2]] + before[2:])
    overflow = r"of the outputs of pool_1 one is \S+, too large for float16\n"
    assert re.fullmatch(anew + overflow, trains_on(halves, "auto"))
    with pytest.raises(UserError, match=r"auto or never: of the outputs of pool_1 one is"):
        trains_on(halves, "always")
    norm.set_weights([3e38 + 0 * weight for weight in before[:2]] + [before[2] - 9, before[3]])
    with pytest.raises(UserError, match=r"some outputs of the frozen layers are not finite"):
        trains_on(halves, "auto")


def test_a_fine_tuning_that_diverges_is_refused(project: Path) -> None:
    # A decay of 1 at a rate of 10 multiplies every weight by -9 in a step.
    change(project, {"finetune.learning_rate": 10.0, "finetune.head_learning_rate": 9.5})
    change(project, {"finetune.weight_decay": 1.0, "finetune.epochs": 20, "finetune.cut": "always"})
    start()
    with pytest.raises(UserError, match=r"^finetune: the .*loss is not a finite number") as refused:
        run("finetune")
    lower = "lower finetune.learning_rate or finetune.head_learning_rate. Received: 10.0, 9.5"
    assert str(refused.value).endswith(lower)
    assert not any(Path(name).exists() for name in FILES)
    assert not Path(".graft/cut").exists()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_head_and_backbone_learn_at_their_own_rates(name: str) -> None:
    slow, fast = (keras.Variable(np.full((3, 4), 2, "float32")) for _ in range(2))
    made = two_rates(rates(name, 0.001, 0.01, epochs=10), [fast], 1)
    made.apply([keras.ops.full((3, 4), 0.5), keras.ops.full((3, 4), 0.5)], [slow, fast])
    steps = [2 - variable.numpy() for variable in (slow, fast)]
    assert all(np.isfinite(step).all() and step.any() for step in steps)
    # The first step of Adam has the size of the rate, that of SGD the rate times the gradient.
    first = {"Adam": 1.0, "SGD": 0.5}.get(name)
    if first:
        assert np.allclose(steps[0], 0.001 * first, rtol=1e-3)
        assert np.allclose(steps[1], 0.01 * first, rtol=1e-3)
    else:
        assert np.abs(steps[1]).mean() > np.abs(steps[0]).mean()


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    weight = keras.Variable(np.zeros(1, "float32"))
    made = two_rates(rates("SGD", 0.1, 0.5, epochs=5, warmup=1), [weight], 4)
    made.build([weight])
    (own,) = made.optimizers
    found = [float(own._learning_rate(step)) for step in range(21)]
    assert found[0] == 0 and found[20] == pytest.approx(0, abs=1e-6)
    assert max(found) == pytest.approx(0.5) and found.index(max(found)) == 4
    assert found[:5] == sorted(found[:5]) and found[4:] == sorted(found[4:], reverse=True)
