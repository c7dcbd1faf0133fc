"""The measures against their definitions, and against scikit-learn where it has them."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics

from graft.judging.losses import accuracy_and_loss
from graft.statistics.accuracy import wilson_interval
from graft.statistics.measures import measure
from graft.statistics.reliability import ECE_BINS, calibrated_errors, calibration_error
from images import Capture


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float32 (n, classes), as models give them, and labels int (n,)."""
    n, count = draw(st.integers(1, 60)), draw(st.integers(2, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sharpness = draw(st.sampled_from([0.1, 1.0, 10.0, 100.0]))
    probabilities = softmax(sharpness * generator.normal(size=(n, count)), 1)
    labels = generator.integers(0, draw(st.integers(1, count)), n)
    return probabilities.astype(np.float32), labels


def measured(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
    """The metrics of images none of which belongs to another."""
    return measure(probabilities, labels, np.arange(len(labels)))


@settings(deadline=None)  # the first example imports what the others find imported
@given(predictions())
def test_they_are_those_of_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = case
    predicted = probabilities.argmax(1)
    clipped = np.clip(probabilities.astype(float), 1e-7, 1)
    # scikit-learn wonders about classes that are predicted and not there.
    with warnings.catch_warnings(action="ignore"):
        expected = {
            "accuracy": metrics.accuracy_score(labels, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
            "macro_f1": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
            "log_loss": np.mean([-math.log(clipped[row, own]) for row, own in enumerate(labels)]),
        }
    found = measured(probabilities, labels)
    assert found["n"] == len(labels)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


@given(predictions())
def test_they_are_plain_numbers_within_their_limits(case: tuple[np.ndarray, np.ndarray]) -> None:
    found = measured(*case)
    names = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece")
    intervals = [name + end for name in names for end in ("", "_low", "_high")]
    top = ["top5_accuracy"] if case[0].shape[1] > 5 else []
    assert list(found) == [*intervals, "ece_expected", *top, "n", "units", "n_effective"]
    for name, value in found.items():
        assert type(value) is (int if name in ("n", "units") else float)
        assert value == round(value, 6)
        assert 0 <= value <= (math.inf if name in ("n", "units", "n_effective") else 16.2)
        assert value <= 1 or name.startswith(("log_loss", "n", "units"))
    for name in names:
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"], name
    assert found["n"] == found["units"] == found["n_effective"] == len(case[1])
    both = accuracy_and_loss(*case)
    assert both == {name: found[name] for name in ("accuracy", "log_loss")}
    low, high = wilson_interval(round(found["accuracy"] * found["n"]), found["n"])
    assert (found["accuracy_low"], found["accuracy_high"]) == pytest.approx((low, high), abs=1e-6)


@given(predictions(), st.randoms(use_true_random=False))
def test_they_do_not_depend_on_the_order(case: tuple[np.ndarray, np.ndarray], random) -> None:
    probabilities, labels = case
    order = random.sample(range(len(labels)), len(labels))
    units = np.arange(len(labels)) // 3 * 7
    one = measure(probabilities, labels, units)
    two = measure(probabilities[order], labels[order], units[order])
    assert one == pytest.approx(two, abs=2e-6)


def test_a_measure_says_nothing_on_standard_error(capfd: Capture) -> None:
    with warnings.catch_warnings(action="error"):
        measured(np.array([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1]]), np.array([0, 0]))


def test_a_perfect_and_a_hopeless_model() -> None:
    eye = np.eye(4)
    perfect = measured(eye, np.arange(4))
    assert (perfect["accuracy"], perfect["macro_f1"], perfect["log_loss"]) == (1, 1, 0)
    assert (perfect["ece"], perfect["accuracy_high"]) == (0, 1)
    hopeless = measured(eye, (np.arange(4) + 1) % 4)
    assert (hopeless["accuracy"], hopeless["accuracy_low"], hopeless["ece"]) == (0, 0, 1)
    assert hopeless["log_loss"] == pytest.approx(-math.log(1e-7), abs=1e-6)


def test_where_nothing_is_wrong_nothing_is_certain() -> None:
    """A bootstrap of images that are all right would say that every image is right."""
    sure = np.where(np.eye(3)[np.arange(60) % 3] == 1, 0.999, 0.0005)
    found = measured(sure, np.arange(60) % 3)
    assert found["accuracy"] == found["macro_f1"] == found["balanced_accuracy"] == 1
    for name in ("accuracy", "macro_f1", "balanced_accuracy"):
        assert 0.9 < found[f"{name}_low"] < 0.95
    assert found["log_loss"] == pytest.approx(0.001, abs=1e-5)
    assert found["log_loss_high"] > 0.05


def test_images_that_belong_together_widen_every_interval() -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat(generator.integers(0, 4, 40), 10)
    logits = 3 * np.eye(4)[labels] + np.repeat(2 * generator.normal(size=(40, 4)), 10, axis=0)
    probabilities = softmax(logits, 1)
    apart = measured(probabilities, labels)
    together = measure(probabilities, labels, np.repeat(np.arange(40), 10))
    assert (together["n"], together["units"]) == (400, 40)
    assert 35 < together["n_effective"] < 60 < apart["n_effective"] == 400
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss"):
        assert together[name] == apart[name]
        one, two = (found[f"{name}_high"] - found[f"{name}_low"] for found in (apart, together))
        assert two > 2 * one, name
    assert together["ece_high"] > apart["ece_high"]


@pytest.mark.parametrize("grouped", [False, True])
def test_the_other_intervals_hold_the_truth_about_as_often(grouped: bool) -> None:
    """Of log loss, ECE, macro F1 and balanced accuracy, at an accuracy of about 93 %."""
    generator = np.random.default_rng(5)
    names = ("log_loss", "ece", "macro_f1", "balanced_accuracy")

    def draw(units: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        unit = np.repeat(np.arange(units), 8 if grouped else 1)
        labels = generator.integers(0, 4, len(unit))
        logits = generator.normal(size=(len(unit), 4)) + 3.2 * np.eye(4)[labels]
        if grouped:
            logits += 0.7 * generator.normal(size=(units, 4))[unit]
        return softmax(3.2 * 1.3 * logits, 1), labels, unit

    probabilities, labels, unit = draw(8000 if grouped else 64_000)
    truth = measure(probabilities, labels, unit % 10)  # so that no time goes into its intervals
    held = dict.fromkeys(names, 0)
    for _ in range(80):
        found = measure(*draw(40 if grouped else 200))
        for name in names:
            held[name] += found[f"{name}_low"] <= truth[name] <= found[f"{name}_high"]
    # 76 are expected; fewer than 69 would be by chance in one of a thousand simulations.
    assert min(held.values()) >= 69, held


def test_a_calibrated_model_has_an_error_by_chance() -> None:
    generator = np.random.default_rng(2)
    confidence = generator.uniform(0.5, 1, 300)
    drawn = [calibration_error(confidence, generator.random(300) < confidence) for _ in range(400)]
    found = calibrated_errors(confidence)
    assert found.mean() == pytest.approx(np.mean(drawn), rel=0.05)
    assert found.std() == pytest.approx(np.std(drawn), rel=0.15)
    probabilities = np.stack([1 - confidence, confidence], 1)
    labels = (generator.random(300) < confidence).astype(int)
    metrics = measured(probabilities, labels)
    assert metrics["ece_expected"] == pytest.approx(found.mean(), abs=1e-6)
    assert metrics["ece_low"] == 0
    # Labels at random: far from calibrated, and no chance makes the error 0.
    assert measured(probabilities, generator.integers(0, 2, 300))["ece_low"] > 0.05


def test_five_guesses() -> None:
    probabilities = np.tile([0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05], (7, 1))
    assert measured(probabilities, np.arange(7))["top5_accuracy"] == pytest.approx(5 / 7, abs=1e-6)
    # Of equal probabilities the first classes count, as with the class predicted.
    equal = measured(np.full((7, 7), 1 / 7), np.arange(7))
    assert equal["top5_accuracy"] == pytest.approx(5 / 7, abs=1e-6)


def test_classes_count_the_same_whatever_their_size() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    found = measured(np.tile([0.9, 0.1], (100, 1)), labels)
    assert (found["accuracy"], found["balanced_accuracy"], found["ece"]) == (0.9, 0.5, 0)
    assert found["macro_f1"] == pytest.approx((2 * 0.9 / 1.9) / 2, abs=1e-6)


def test_the_interval_is_that_of_the_literature() -> None:
    """Newcombe 1998, table I, method 3."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_where_the_score_test_turns(case: tuple[int, int]) -> None:
    right, n = case
    low, high = wilson_interval(right, n)
    assert 0 <= low <= right / n <= high <= 1
    for edge in {low, high} - {0.0, 1.0}:
        score = abs(right / n - edge) / math.sqrt(edge * (1 - edge) / n)
        assert score == pytest.approx(1.959964, rel=1e-6)
    mirrored = wilson_interval(n - right, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_there_is_no_interval_of_nothing() -> None:
    for n in (0, -1):
        with pytest.raises(ValueError, match="n"):
            wilson_interval(0, n)


@given(predictions())
def test_calibration_is_as_defined(case: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = case
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    expected = 0.0
    scaled = confidence * ECE_BINS
    for number in range(ECE_BINS):
        # A bin is open below and closed above (Guo et al. 2017, section 2).
        own = (scaled > number) & (scaled <= number + 1)
        if own.any():
            gap = abs(right[own].mean() - confidence[own].astype(float).mean())
            expected += own.mean() * gap
    assert calibration_error(confidence, right) == pytest.approx(expected, abs=1e-12)


def test_a_model_that_knows_how_sure_it_is_has_no_calibration_error() -> None:
    confidence = np.repeat([0.7, 0.9], 100)
    right = np.concatenate([np.arange(100) < 70, np.arange(100) < 90])
    assert calibration_error(confidence, right) == pytest.approx(0, abs=1e-12)
    assert calibration_error(confidence, np.ones(200, bool)) == pytest.approx(0.2, abs=1e-12)
