"""Every kind of head, over real features: the grey values of handwritten digits."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC

from cases import read_cases
from digits import digits, parts, store
from graft.common.errors import UserError
from graft.common.tables import read_json, write_json
from graft.head import dense, head
from graft.head.construction import dense_head
from graft.judging.calibration import rescale
from graft.linear import fitting, linear
from graft.linear.linear import LinearRule, fit_linear
from graft.linear.standardising import find_moments, standardise
from graft.models.description import read_description
from graft.models.framework import keras
from graft.models.inference import run_graph
from graft.models.saving import load_model, save_model
from graft.statistics.accuracy import interval_of_counts
from graft.training.histories import best_epoch
from graft.training.loop import SmoothedCrossentropy, compile_model
from images import SIDE, Capture, change, check_cores, run
from trainings import cost

CASES = read_cases(__file__)


class Made(NamedTuple):
    """What the stage `head` has written, with what it was given.

    Attributes:
        model: `head.keras`.
        keras: its outputs for all images, float32 (n, classes).
        plain: the same without the temperature.
        graph: those of `head.xml`.
        history, repeats: the tables.
        summary: `training.json`.
    """

    model: Any
    keras: np.ndarray
    plain: np.ndarray
    graph: np.ndarray
    history: pd.DataFrame
    repeats: pd.DataFrame
    summary: dict[str, float]


def made(features: np.ndarray) -> Made:
    """Runs the stage `head` here.

    Args:
        features: float32 (n, d), of the chosen layer alone.
    """
    run("head")
    model = load_model(Path("data/models/head.keras"))
    outputs = model.predict(features, verbose=0)
    summary = read_json(Path("reports/head/training.json"))
    return Made(
        model,
        outputs,
        rescale(outputs, summary["temperature"]),
        np.concatenate(list(run_graph(Path("data/models/head.xml"), features))),
        pd.read_csv("reports/head/history.csv"),
        pd.read_csv("reports/head/repeats.csv"),
        summary,
    )


def written() -> dict[str, bytes]:
    """What the stage has written, but for the .xml, whose names count what this process built."""
    paths = [*Path("data/models").iterdir(), *Path("reports/head").iterdir()]
    return {path.name: path.read_bytes() for path in paths if path.suffix != ".xml"}


@pytest.mark.parametrize("kind, classes, class_weight, copies", CASES["linear"])
def test_a_linear_head_predicts_as_scikit_learn_does(
    empty: Path, kind: str, classes: int, class_weight: str, copies: int
) -> None:
    """Also with an earlier layer, changed copies, and classes of which one is rare."""
    features, labels = digits(500, classes)
    kept = (labels > 0) | (np.arange(len(labels)) % 5 < 2)
    features, labels = features[kept], labels[kept]
    part = parts(len(labels))
    train, valid = part == "train", part == "valid"
    generator = np.random.default_rng(1)
    views = [features[train] + generator.normal(size=features[train].shape) for _ in range(copies)]
    seen = np.concatenate([features[train], *views]).astype(np.float32)
    top = np.zeros((len(labels), 7), np.float32)
    both = np.concatenate([np.zeros((len(seen), 7)), seen], 1)[train.sum() :].astype("float32")
    changes = {"head.kind": kind, "head.class_weight": class_weight}
    store({"top": top, "below": features}, labels, changes, views=both)
    below = read_json(Path("data/backbone/depths.json"))["depths"][1]
    write_json(Path("data/depth/layer.json"), below)
    found = made(features)

    mean, variance = find_moments(seen)
    weight = class_weight if class_weight == "balanced" else None
    c = found.summary["regularisation"]
    own = LogisticRegression(C=c, class_weight=weight, tol=1e-8, max_iter=10_000)
    if kind == "svm":
        own = LinearSVC(C=c, class_weight=weight, tol=1e-8, max_iter=100_000, dual=False)
    own.fit(standardise(seen, mean, variance), np.tile(labels[train], 1 + copies))
    standardised = standardise(features, mean, variance)
    if kind == "logistic":
        assert np.allclose(found.plain, own.predict_proba(standardised), atol=1e-3)
    else:
        margins = own.decision_function(standardised)
        margins = np.stack([-margins, margins], 1) if classes == 2 else margins
        scale = np.ptp(np.log(found.keras), 1).sum() / np.ptp(margins, 1).sum()
        assert np.allclose(found.keras, softmax(scale * margins, 1), atol=2e-3)
        assert 0.01 < scale < 100
    assert (found.keras.argmax(1) == own.predict(standardised)).all()
    assert np.allclose(found.graph, found.keras, atol=1e-5)
    assert (found.graph.argmax(1) == own.predict(standardised)).all()

    (row,) = found.history.to_dict("records")
    for prefix, mine, names in [
        ("", found.model.predict(seen, verbose=0), np.tile(labels[train], 1 + copies)),
        ("val_", found.keras[valid], labels[valid]),
    ]:
        plain = rescale(mine, found.summary["temperature"])
        assert row[f"{prefix}loss"] == pytest.approx(cost(plain, names, class_weight), abs=1e-4)
        assert row[f"{prefix}accuracy"] == pytest.approx((mine.argmax(1) == names).mean(), abs=1e-5)
    summary = found.summary
    assert summary["epochs"] == summary["best_epoch"] == row["epoch"] == 1
    assert summary["parameters"] == summary["trained"] == 65 * classes
    assert summary["cv_accuracy"] == pytest.approx(row["val_accuracy"], abs=0.06)
    assert c == pytest.approx(min(linear._GRID, key=lambda one: abs(one - c)), rel=1e-5)


def test_units_stay_together_when_the_regularisation_is_chosen(empty: Path) -> None:
    """A classifier that sees one picture of a hand and is asked about the next learns hands."""
    generator = np.random.default_rng(1)
    units = np.repeat(np.arange(60), 5)
    labels = units % 2
    hands = 3 * generator.normal(size=(60, 150))[units]
    features = hands + 0.1 * generator.normal(size=(300, 150))
    features[:, 0] = 0.5 * (2 * labels - 1) + generator.normal(size=300)
    features = features.astype(np.float32)
    rule, chosen = LinearRule("logistic", 2, seed=1), {}
    for name, own in {"together": units, "apart": np.arange(300)}.items():
        fitted = fit_linear(rule, features.astype(float), labels, own)
        chosen[name] = fitted.scores.regularisation, fitted.scores.right.mean()
    assert chosen["together"][0] < chosen["apart"][0] / 30
    assert chosen["together"][1] < 0.75 and chosen["apart"][1] > 0.95
    store({"top": features}, labels, {"head.kind": "logistic"}, units)
    summary = made(features).summary
    train = parts(300) == "train"
    standardised = standardise(features[train], *find_moments(features[train]))
    fitted = fit_linear(rule, standardised, labels[train], units[train])
    assert summary["regularisation"] == pytest.approx(fitted.scores.regularisation, rel=1e-5)
    assert summary["cv_accuracy"] == pytest.approx(fitted.scores.right.mean(), abs=1e-6)
    assert fitted.scores.right.mean() < 0.75


def test_a_class_without_an_image_to_learn_from_is_never_predicted() -> None:
    features, labels = digits(200, 3)
    for kind in ("logistic", "svm"):
        apart = np.arange(len(labels))
        fitted = fit_linear(LinearRule(kind, 6), features.astype(float), 2 * labels, apart)
        outputs = features @ fitted.kernel + fitted.bias
        assert set(outputs.argmax(1)) == {0, 2, 4}
        assert np.isfinite(outputs).all() and 0.5 < fitted.scores.right.mean() <= 1


def test_an_optimiser_that_does_not_arrive_is_reported(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    features, labels = digits(200)
    store({"top": features}, labels, {"head.kind": "logistic"})
    monkeypatch.setattr(fitting, "LINEAR_STEPS", 3)
    monkeypatch.setattr(head, "LINEAR_STEPS", 3)
    run("head")
    lines = capsys.readouterr().err.splitlines()
    assert lines.count("head: warning: not converged after 3 steps") == 1
    assert not any("ConvergenceWarning" in line for line in lines)


def test_the_number_of_cores_changes_no_bit_of_a_linear_head(tmp_path: Path) -> None:
    code = """
        import numpy as np
        from graft.linear.linear import LinearRule, fit_linear
        features = np.random.default_rng(1).normal(size=(600, 300))
        labels = (features[:, :5].argmax(1)).astype(np.int64)
        for kind in ("logistic", "svm"):
            fitted = fit_linear(LinearRule(kind, 5), features, labels, np.arange(600))
            np.savez(f"{kind}.npz", *fitted[:2], *fitted.scores, fitted.converged)
    """
    check_cores(tmp_path, code, "logistic.npz", "svm.npz")


def test_one_logit_is_a_sigmoid_with_its_own_number_of_parameters(empty: Path) -> None:
    """The same numbers come of binary cross-entropy over one sigmoid unit."""
    wide = dense_head(np.zeros(2048, "float32"), np.ones(2048, "float32"), [], "sigmoid", 2)
    assert wide.count_params() == 2049 and wide.output_shape == (None, 2)

    features, labels = digits(200, 2)
    one = {"output": "sigmoid", "epochs": 5, "batch": 1000, "learning_rate": 0.001, "seed": 3}
    changes = {f"head.{name}": value for name, value in one.items()}
    store({"top": features}, labels, changes | {"head.label_smoothing": 0.1})
    found = made(features)
    assert found.summary["parameters"] == found.summary["trained"] == 65
    assert np.allclose(found.graph, found.keras, atol=1e-5)
    assert np.allclose(found.keras.sum(1), 1, atol=1e-6)

    train, valid = (parts(len(labels)) == name for name in ("train", "valid"))
    mean, variance = find_moments(features[train])
    keras.utils.set_random_seed(3)
    own = keras.Sequential([keras.Input((64,)), keras.layers.Dense(1, "sigmoid")])
    smoothed = keras.losses.BinaryCrossentropy(label_smoothing=0.1)
    own.compile(keras.optimizers.Adam(0.001), smoothed, metrics=["binary_crossentropy"])
    rows = standardise(features, mean, variance)
    data = (rows[train], labels[train, None]), (rows[valid], labels[valid, None])
    # An epoch here is as many steps as one of the stage.
    epochs = 5 * dense._STEPS
    history = own.fit(*data[0], 1000, epochs, validation_data=data[1], verbose=0).history
    last = history["val_binary_crossentropy"][dense._STEPS - 1 :: dense._STEPS]
    assert np.allclose(found.history["val_loss"], last, atol=1e-5)
    assert best_epoch(found.history, "val_loss") == 5  # so these weights were kept
    assert np.allclose(found.plain[:, 1:], own.predict(rows, verbose=0), atol=1e-3)


def test_a_stack_comes_before_the_output(empty: Path) -> None:
    """With rare classes that weigh more; twice the same bytes.

    What was trained is counted without moving statistics.
    """
    features, labels = digits(500)
    kept = (labels > 4) | (np.arange(len(labels)) % 5 < 2)
    features, labels = features[kept], labels[kept]
    changes = {"head.stack": ["dense 24", "norm", "dropout 0.5", "dense 16"], "head.epochs": 2}
    store({"top": features}, labels, {**changes, "head.class_weight": "balanced"})
    found = made(features)
    names = [layer.name for layer in found.model.layers[1:]]
    assert names == ["standardise", "dense_1", "norm_1", "dropout_1", "dense_2", "probabilities"]
    counts = [65 * 24, 4 * 24, 25 * 16, 17 * 10]
    assert found.summary["parameters"] == sum(counts)
    assert found.summary["trained"] == sum(counts) - 2 * 24
    assert np.allclose(found.graph, found.keras, atol=1e-5)
    best = found.history["val_loss"].idxmin()
    assert found.summary["best_epoch"] == best + 1 and found.summary["epochs"] == 2
    lowest = pytest.approx(found.history["val_loss"][best], rel=1e-4)
    assert found.summary["uncalibrated_val_loss"] == lowest
    valid = parts(len(labels)) == "valid"
    ways = ("none", "balanced")
    plain, balanced = (cost(found.keras[valid], labels[valid], way) for way in ways)
    assert found.summary["val_loss"] == pytest.approx(balanced, rel=1e-4)
    assert abs(plain - balanced) > 1e-2
    first = written()
    keras.backend.clear_session()  # numbers what has no name from the start, as a new process does
    made(features)
    assert written() == first


@pytest.mark.parametrize("case", CASES["refused"])
def test_what_cannot_be_trained_is_refused(empty: Path, case: str) -> None:
    """Nothing is written, and the message says what to change."""
    known = CASES["refused"][case]
    features, labels = digits(60, known["classes"])
    units = np.zeros(60, int) if known["together"] else None
    store({"top": features[:60]}, labels[:60], known["changes"], units)
    with pytest.raises(UserError, match=known["said"]):
        run("head")
    assert not written()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.7])
def test_smoothed_labels_cost_what_they_cost_in_keras(share: float) -> None:
    generator = np.random.default_rng(1)
    for classes in (2, 7):
        labels = generator.integers(0, classes, 50)
        probabilities = softmax(4 * generator.normal(size=(50, classes)), 1).astype(np.float32)
        own = SmoothedCrossentropy(share)(labels, probabilities)
        theirs = keras.losses.CategoricalCrossentropy(label_smoothing=share)
        expected = float(theirs(np.eye(classes)[labels], probabilities))
        assert float(own) == pytest.approx(expected, rel=1e-5)


def test_seeds_are_repeated_and_the_best_epoch_is_the_one_monitored(empty: Path) -> None:
    """The first row is the model's, and `evaluate` finds on the test part what it says."""
    features, labels = digits(250)
    changes = {"head.epochs": 8, "head.patience": 8, "head.learning_rate": 0.1, "head.batch": 16}
    changes |= {"head.monitor": "val_accuracy", "head.repeats": 2, "head.seed": 5}
    store({"top": features}, labels, changes)
    found = made(features)
    assert best_epoch(found.history, "val_accuracy") != best_epoch(found.history, "val_loss")
    best = found.history["val_accuracy"].max()
    valid = parts(len(labels)) == "valid"
    assert (found.keras[valid].argmax(1) == labels[valid]).mean() == pytest.approx(best, abs=1e-6)
    assert found.summary["best_epoch"] == best_epoch(found.history, "val_accuracy")
    assert found.summary["val_accuracy"] == best
    expected = cost(found.keras[valid], labels[valid])
    assert found.summary["val_loss"] == pytest.approx(expected, rel=1e-4)
    assert found.summary["val_loss"] < found.summary["uncalibrated_val_loss"]
    assert found.repeats["seed"].tolist() == [5, 6]
    assert list(found.repeats)[1:] == ["epochs", "val_loss", "val_accuracy", "accuracy", "log_loss"]
    assert (found.repeats["epochs"] == 8).all() and found.repeats["val_loss"].nunique() == 2
    run("evaluate", "head")
    metrics = read_json(Path("reports/head/metrics.json"))
    first = found.repeats.iloc[0]
    assert first["accuracy"] == metrics["accuracy"]
    assert first["log_loss"] == pytest.approx(metrics["log_loss"], abs=1e-4)
    assert first["val_accuracy"] == best
    assert list(metrics)[:2] == ["valid_accuracy", "valid_log_loss"]
    assert metrics["valid_accuracy"] == pytest.approx(best, abs=1e-6)
    about = read_description(Path("data/models/head.keras"))
    assert about == read_description(Path("data/models/head.xml"))
    ends = interval_of_counts(about.units)
    known = {"accuracy": about.accuracy, "accuracy_low": ends.low, "accuracy_high": ends.high}
    assert known == pytest.approx({name: metrics[name] for name in known}, abs=1e-6)
    assert about.n == metrics["n"]
    assert about.temperature == found.summary["temperature"]
    assert about.classes == tuple(f"class {n}" for n in range(10))
    assert (about.inputs, about.layer, about.pooling) == ("features", "top", "avg")
    assert (about.side, about.fit, about.network) == (SIDE, "stretch", "cnn")
    assert about.data == hashlib.sha256(Path("data/split.csv").read_bytes()).hexdigest()
    stored = np.load("data/predictions/head.npy")
    assert (stored.dtype, stored.shape) == (np.float32, (100, 10))
    for name, rows in (("validation", slice(50)), ("predictions", slice(50, None))):
        table = pd.read_csv(f"reports/head/{name}.csv")
        assert list(table) == ["path", "label", "predicted", "confidence", "truth", "unit"]
        part = "valid" if name == "validation" else "test"
        where = np.flatnonzero(parts(len(labels)) == part)
        assert table["path"].tolist() == [f"image {i}.png" for i in where]
        assert table["unit"].tolist() == where.tolist()
        assert table["confidence"].to_numpy() == pytest.approx(stored[rows].max(1), abs=1e-6)
        own = stored[rows][np.arange(50), labels[where]]
        assert table["truth"].to_numpy() == pytest.approx(own, abs=1e-6)

    # Another seed alone gives what its row says.
    change(Path(), {"head.repeats": 1, "head.seed": 6})
    assert made(features).repeats.iloc[0].equals(found.repeats.iloc[1])


def test_two_classes_have_a_threshold(empty: Path) -> None:
    features, labels = digits(120, classes=2)
    store({"top": features}, labels, {"head.epochs": 2}, units=np.arange(120) // 10)
    made(features)
    run("evaluate", "head")
    metrics = read_json(Path("reports/head/metrics.json"))
    stored = np.load("data/predictions/head.npy")[:, 1]
    table = pd.read_csv("reports/head/predictions.csv")
    after, second = stored[-len(table) :], table["label"] == "class 1"
    assert metrics["auc"] == pytest.approx(roc_auc_score(second, after), abs=1e-4)
    right = (after > metrics["threshold"]) == second
    assert metrics["threshold_accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    assert (metrics["n"], metrics["units"]) == (24, 12) and metrics["n_effective"] < 24


def test_the_best_of_equal_epochs_is_the_last() -> None:
    history = pd.DataFrame({"epoch": [1, 2, 3, 4], "val_loss": [2.0, 1.0, 1.0, 1.5]})
    history["val_accuracy"] = [0.5, 0.75, 0.75, 0.5]
    assert best_epoch(history, "val_loss") == best_epoch(history, "val_accuracy") == 3


def test_how_a_model_was_trained_is_not_in_its_file(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    inputs = keras.Input((4,))
    model = keras.Model(inputs, inner(inputs))
    save_model(model, tmp_path / "plain.keras")
    compile_model(model, keras.optimizers.Adam(0.0), 0.1)
    model.fit(np.ones((2, 4)), np.ones(2), verbose=0)
    save_model(model, tmp_path / "compiled.keras")
    plain, compiled = ((tmp_path / f"{n}.keras").read_bytes() for n in ("plain", "compiled"))
    assert plain == compiled
