"""Fine-tuning: what is frozen, what is stored, and what it starts from."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graft.common.errors import UserError
from graft.project import parameters
from graft.project.schema import OPTIMIZERS
from images import SHARDS, SIDE, change
from trainings import COUNTS, pictures, place, start

FILES = (
    *(f"data/models/finetuned.{kind}" for kind in ("keras", "bin")),
    *(f"reports/finetuned/{name}" for name in ("history.csv", "training.json", "repeats.csv")),
)
ALL, VIEWED = sum(COUNTS.values()), 2 * COUNTS["train"]


@pytest.fixture(scope="module")
def keras():
    from graft.models.framework import keras

    return keras


@pytest.fixture(scope="module")
def begun(keras, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stages before the head have run, with one stored view of each image."""
    from graft.network import backbone
    from graft.training import views

    folder = tmp_path_factory.mktemp("begun")
    place(folder, {"augment.rotation": 10, "augment.copies": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        backbone.main([])
        views.main([])
    return folder


@pytest.fixture
def project(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is the present one."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assembled(keras, name: str, side: int, count: int, classes: int = 3, **options):
    """A new head on a network of which `count` layers are free: model, backbone, head, sizes."""
    from graft.finetune.freeze import sizes
    from graft.network import architectures

    backbone = architectures.backbone(name, side, "none", "avg", 1, **options)
    inputs = keras.Input((backbone.output_shape[-1],))
    dense = keras.layers.Dense(classes, "softmax" if classes > 1 else "sigmoid")
    head = keras.Model(inputs, dense(inputs), name="head")
    pixels = keras.Input((side, side, 3), name="pixels")
    model = keras.Model(pixels, head(backbone(pixels)), name="finetuned")
    return model, backbone, head, sizes(model, backbone, count, True)


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


def losses(keras, model, head, data) -> np.ndarray:
    """Two epochs from the weights that the model has: training and validation loss, (4,)."""
    from graft.training import loop as training
    from graft.training.optimizers import two_rates

    before = model.get_weights()
    keras.utils.set_random_seed(1)
    optimizer = two_rates("Adam", 1e-4, 1e-3, head.trainable_variables, 0, 10, 0.0)
    training.compile(model, optimizer)
    batches = training.Batches(data["train"], 8, 1), training.Batches(data["valid"], 8)
    history = training.fit("test", model, *batches, 2, 2, {})
    model.set_weights(before)
    return history[["loss", "val_loss"]].to_numpy().ravel()


@pytest.mark.parametrize(
    ("name", "side", "count", "cut"),
    [("cnn", 32, 9, "halve_120"), ("MobileNet", 40, 10, "conv_dw_12_relu")],
)
def test_the_tail_on_stored_outputs_learns_like_the_whole_model(
    keras, tmp_path: Path, name: str, side: int, count: int, cut: str
) -> None:
    """Frozen layers in every epoch, or once: the same losses; moving statistics never change."""
    from graft.finetune.cut import Frozen, divide
    from graft.finetune.stored import store

    model, backbone, head, _ = assembled(keras, name, side, count)
    parts = divide(model, backbone, head)
    assert parts.cut == cut
    body = backbone.get_layer("network").layers
    norms = [layer for layer in body if isinstance(layer, keras.layers.BatchNormalization)]
    before = [norm.get_weights() for norm in norms]
    pixels = {"train": Images(24, side), "valid": Images(12, side)}
    inputs = keras.Input((side, side, 3))
    whole = keras.Model(inputs, parts.tail(Frozen(parts.frozen)(inputs)))
    expected = losses(keras, whole, head, pixels)
    assert expected[2] < expected[0]
    # Half precision has eleven bits, outputs are off by up to 0.05 %: here losses are by less.
    for dtype, tolerance in {np.float32: 1e-5, np.float16: 5e-4}.items():
        data = store(parts.frozen, pixels, tmp_path, dtype)
        assert losses(keras, parts.tail, head, data) == pytest.approx(expected, rel=tolerance)
    after = [norm.get_weights() for norm in norms]
    assert len(norms) >= 9
    for one, other in zip(before, after, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("pretrained", [True, False])
def test_batch_norm_of_a_pretrained_network_stays_as_it_is(keras, pretrained: bool) -> None:
    from graft.finetune import freeze
    from graft.training import loop as training

    model, backbone, _, _ = assembled(keras, "cnn", SIDE, 0)
    body = backbone.get_layer("network").layers
    norms = [layer for layer in body if isinstance(layer, keras.layers.BatchNormalization)]
    before = [norm.get_weights() for norm in norms]
    freeze(backbone, len(body), pretrained)
    training.compile(model, keras.optimizers.Adam(1e-3))
    part = Images(24, SIDE)
    batches = training.Batches(part, 8, 1), training.Batches(part, 8)
    training.fit("test", model, *batches, 1, 1, {})
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
    keras, name: str, count: int, classes: int, expected: dict[str, int]
) -> None:
    *_, sizes = assembled(keras, name, 150, count, classes)
    assert sizes._asdict().items() >= expected.items()


@pytest.mark.parametrize("count", [0, 1, 4, 9, 34])
def test_unfreezing_counts_layers_from_the_top(keras, count: int) -> None:
    from graft.finetune import freeze
    from graft.finetune.cut import divide

    model, backbone, head, _ = assembled(keras, "cnn", SIDE, count)
    layers = backbone.get_layer("network").layers
    free = layers[len(layers) - count :]
    learning = [layer.name for layer in free if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.name for layer in layers if layer.trainable_variables] == learning
    parts = divide(model, backbone, head)
    assert (parts.frozen is None, parts.below) == (count == 34, 0 if count == 34 else parts.below)
    freeze(backbone, count, pretrained=False)
    norms = [layer for layer in free if isinstance(layer, keras.layers.BatchNormalization)]
    assert all(layer.trainable_variables for layer in norms)


def test_chance_is_at_work_in_free_layers_alone(keras) -> None:
    """Dropout below the cut never drops; one in a free layer keeps the cut below itself."""
    from graft.finetune.cut import Frozen, divide
    from graft.models import stacks

    texts = ["conv 4", "dropout 0.5", "pool", "conv 8", "dropout 0.5", "pool"]
    options = {"layers_": stacks.read(texts, stacks.IMAGES)}
    images = pictures(8)[0].astype(np.float32)
    for count, cut in {0: "pooling", 1: "pooling", 2: "conv_2", 3: "pool_1"}.items():
        parts = divide(*assembled(keras, "stack", SIDE, count, **options)[:3])
        assert parts.cut == cut
        inputs = keras.Input((SIDE, SIDE, 3))
        frozen = keras.Model(inputs, Frozen(parts.frozen)(inputs))
        still = parts.frozen(images, training=False)
        assert np.array_equal(frozen(images, training=True), still)
        same = np.array_equal(parts.tail(still, training=True), parts.tail(still, training=False))
        assert same == (count < 2)


def predicted(path: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """What a written model says of a part, and the truth: float (n, 3), int64 (n,)."""
    from graft.models import saving as models

    pixels, labels = pictures(ALL)
    mine = np.repeat([*COUNTS], [*COUNTS.values()]) == part
    return models.load(path).predict(pixels[mine], verbose=0), labels[mine]


def balanced(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean over classes of their mean cross-entropies."""
    own = -np.log(probabilities[np.arange(len(labels)), labels])
    return float(np.mean([own[labels == label].mean() for label in np.unique(labels)]))


def contents(names: Sequence[str]) -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in names}


def test_the_stage_trains_from_the_cut(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On stored outputs of images and views; with two seeds, and with one the same again."""
    from graft.finetune import finetune

    balance = {"finetune.class_weight": "balanced"}
    change(project, {**balance, "finetune.cut": "always", "finetune.repeats": 2})
    start()
    capsys.readouterr()
    finetune.main([])
    printed = capsys.readouterr()
    stored = VIEWED + COUNTS["valid"] + COUNTS["test"]
    assert printed.out.splitlines()[0] == "finetune: 259,563 parameters trained, 183,168 frozen"
    assert printed.out.splitlines()[1].startswith(
        f"finetune: stored {stored} outputs of halve_120 (3.84 kB each, 369 kB) once instead of"
        " running 27 of 34 layers in each of 4 epochs: "
    )
    steps = 2 * -(-VIEWED // 8)
    assert printed.err.count(f"finetune: {steps}/{steps} steps") == 2
    assert not list(Path(".graft").iterdir())
    summary = json.loads(Path("reports/finetuned/training.json").read_text())
    history = pd.read_csv("reports/finetuned/history.csv")
    seeds = pd.read_csv("reports/finetuned/repeats.csv")
    assert summary["cut"] == "halve_120" and summary["chosen"] == "finetuned"
    assert summary["best_epoch"] == history["val_loss"].idxmin() + 1 and summary["epochs"] == 2
    assert summary["val_loss"] == history["val_loss"].min() < summary["start_val_loss"]
    assert [summary[name] for name in ("parameters", "unfrozen", "trained")] == [
        *(442_731, 260_043, 259_563)
    ]
    assert seeds["seed"].tolist() == [1, 2] and seeds["epochs"].tolist() == [2, 2]
    assert seeds["val_loss"][0] == summary["val_loss"] != seeds["val_loss"][1]
    outputs, labels = predicted(Path("data/models/finetuned.keras"), "valid")
    assert balanced(outputs, labels) == pytest.approx(summary["val_loss"], rel=2e-3)
    outputs, labels = predicted(Path("data/models/finetuned.keras"), "test")
    assert (outputs.argmax(1) == labels).mean() == pytest.approx(seeds["accuracy"][0])

    before = contents(FILES)
    change(project, {"finetune.repeats": 1})
    finetune.main([])
    after = contents(FILES)
    first = b"\n".join(before[FILES[-1]].splitlines()[:2]) + b"\n"
    assert after == before | {FILES[-1]: first}


def test_a_start_that_is_best_is_kept(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The head, alone on an earlier layer; at such a rate every epoch is worse than it was."""
    from graft.finetune import finetune
    from graft.models import saving as models
    from graft.network import architectures

    # Smoothed labels punish the certainty that such steps lead to.
    wild = {"finetune.head_learning_rate": 1.0, "finetune.label_smoothing": 0.5}
    change(project, {**wild, "finetune.epochs": 1, "finetune.cut": "always"})
    start(depth=2, unfreeze=0)
    finetune.main([])
    assert "outputs of pooling (" in capsys.readouterr().out
    history = pd.read_csv("reports/finetuned/history.csv")
    summary = json.loads(Path("reports/finetuned/training.json").read_text())
    assert summary["chosen"] == "head" and summary["best_epoch"] == 0 and summary["epochs"] == 1
    assert summary["val_loss"] == summary["start_val_loss"] < history["val_loss"].min()
    assert summary["val_accuracy"] == summary["start_val_accuracy"]
    row = json.loads(Path("data/depth/layer.json").read_text())
    assert row["layer"] != "residual_120_out"
    backbone = models.load(Path("data/backbone/network.keras"))
    lower = architectures.truncated(backbone, row["layer"], row["pooling"])
    head = models.load(Path("data/models/head.keras"))
    made = models.load(Path("data/models/finetuned.keras"))
    body = made.get_layer("backbone").get_layer("network")
    assert body.layers[-1].name == row["layer"] and len(body.layers) == row["layers"]
    pixels = pictures(4)[0]
    expected = head.predict(lower.predict(pixels, verbose=0), verbose=0)
    assert np.allclose(made.predict(pixels, verbose=0), expected, rtol=1e-5)


def test_what_cannot_be_stored_is_said(
    keras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from graft.finetune import shortcut
    from graft.finetune.cut import divide
    from graft.training import rows

    place(tmp_path, {"finetune.cut": "always", "augment.rotation": 5})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"finetune\.cut must be auto or never where augment\.copi"):
        parameters.read()
    change(tmp_path, {"finetune.epochs": 100_000, "augment.rotation": 0})
    settings = parameters.flatten(parameters.read())
    files = [sorted(Path("data/tensors").glob(f"*.{kind}")) for kind in ("csv", "npy")]
    pixels = {part: rows(part, Path("data/split.csv"), *files) for part in COUNTS}
    assert len(files[0]) == SHARDS

    def told(parts, cut: str) -> str:
        with shortcut.data(settings | {"finetune.cut": cut}, parts, pixels) as data:
            assert (data is pixels) == (not Path(".graft/cut").exists() or "auto" in cut)
        assert not Path(".graft/cut").exists()
        return capsys.readouterr().out

    everything = divide(*assembled(keras, "cnn", SIDE, 34)[:3])
    with pytest.raises(UserError, match=r"auto or never where finetune\.unfreeze leaves no layer"):
        told(everything, "always")
    assert told(everything, "auto") == (
        "finetune: trains on pixels: no layer that computes is frozen\n"
    )
    model, backbone, head, _ = assembled(keras, "cnn", SIDE, 9)
    parts = divide(model, backbone, head)
    assert told(parts, "always").startswith("finetune: stored 60 outputs of halve_120")
    # An hour of training is saved by a graph that takes a second; two epochs are not worth it.
    norm = backbone.get_layer("network").get_layer("residual_64_2_norm")
    norm.set_weights([1e6 * weight for weight in norm.get_weights()[:2]] + norm.get_weights()[2:])
    overflow = r"halve_120: one is \S+, too large for float16\n"
    assert re.search(overflow, told(parts, "auto"))
    with pytest.raises(UserError, match=r"auto or never: of the outputs of halve_120 one is"):
        told(parts, "always")
    settings |= {"finetune.epochs": 2, "augment.rotation": 5}
    assert "augment.copies is 0, so that every epoch changes" in told(parts, "auto")
    settings |= {"augment.rotation": 0}
    assert "(0 MB) would save little time" in told(parts, "auto")
    assert told(parts, "never") == (
        "finetune: runs 27 of 34 layers in each of 2 epochs, those up to halve_120:"
        " finetune.cut is never\n"
    )


def test_costs_are_counted_from_kernels(keras) -> None:
    from graft import costs

    layers = keras.layers
    inner = keras.Sequential([keras.Input((4, 4, 8)), layers.DepthwiseConv2D(3, padding="same")])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, strides=2, padding="same"),
            inner,
            layers.SeparableConv2D(5, 3, padding="same"),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7),
        ]
    )
    expected = 16 * 9 * 3 * 8 + 16 * 9 * 8 + 16 * (9 * 8 + 8 * 5) + 5 * 7
    assert costs.multiply_adds(model) == expected
    work = costs.Work(10**9, 10**8, 10_000, train=1000, valid=100, test=100, epochs=20)
    assert work.worth() is None and 0.5 < work.saving() < 1
    assert "20,000 GB" in work._replace(width=10**10, train=1800).worth()
    assert "would save little time" in work._replace(frozen=10**6).worth()


def test_a_fine_tuning_that_diverges_is_refused(project: Path) -> None:
    from graft.finetune import finetune

    # A decay of 1 at a rate of 10 multiplies every weight by -9 in a step.
    wild = {
        "finetune.learning_rate": 10.0,
        "finetune.head_learning_rate": 9.5,
        "finetune.weight_decay": 1.0,
        "finetune.epochs": 20,
        "finetune.cut": "always",
    }
    change(project, wild)
    start()
    with pytest.raises(UserError, match=r"^finetune: the .*loss is not a finite number") as refused:
        finetune.main([])
    lower = "lower finetune.learning_rate or finetune.head_learning_rate. Received: 10.0, 9.5"
    assert str(refused.value).endswith(lower)
    assert not list(Path("data/models").glob("fine*")) and not Path("reports/finetuned").exists()
    assert not list(Path(".graft").iterdir())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_head_and_backbone_learn_at_their_own_rates(keras, name: str) -> None:
    from graft.training.optimizers import two_rates

    slow, fast = (keras.Variable(np.full((3, 4), 2, "float32")) for _ in range(2))
    made = two_rates(name, 0.001, 0.01, [fast], warmup=0, steps=10, weight_decay=0.0)
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


def test_the_rate_warms_up_and_falls_to_zero(keras) -> None:
    from graft.training.optimizers import two_rates

    weight = keras.Variable(np.zeros(1, "float32"))
    made = two_rates("SGD", 0.1, 0.5, [weight], warmup=4, steps=20, weight_decay=0.0)
    made.build([weight])
    (own,) = made.optimizers
    rates = [float(own._learning_rate(step)) for step in range(21)]
    assert rates[0] == 0 and rates[20] == pytest.approx(0, abs=1e-6)
    assert max(rates) == pytest.approx(0.5) and rates.index(max(rates)) == 4
    assert rates[:5] == sorted(rates[:5]) and rates[4:] == sorted(rates[4:], reverse=True)
