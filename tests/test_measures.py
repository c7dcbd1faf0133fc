"""The measures against their definitions, and against scikit-learn where it has them."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from graft.judging.measures import _BINS, calibration_error, measure, wilson_interval

# The first example imports what the others find imported.
unhurried = settings(deadline=None)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float32 (n, classes), as models give them, and labels int (n,)."""
    n, count = draw(st.integers(1, 60)), draw(st.integers(2, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sharpness = draw(st.sampled_from([0.1, 1.0, 10.0, 100.0]))
    logits = sharpness * generator.normal(size=(n, count))
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = (exponents / exponents.sum(1, keepdims=True)).astype(np.float32)
    return probabilities, generator.integers(0, draw(st.integers(1, count)), n)


@unhurried
@given(predictions())
def test_they_are_those_of_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = case
    predicted = probabilities.argmax(1)
    clipped = np.clip(probabilities.astype(float), 1e-7, 1)
    with warnings.catch_warnings():
        # scikit-learn wonders about classes that are predicted and not there.
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": metrics.accuracy_score(labels, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
            "macro_f1": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
            "log_loss": np.mean([-math.log(clipped[row, own]) for row, own in enumerate(labels)]),
        }
    found = measure(probabilities, labels)
    assert found["n"] == len(labels)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


@unhurried
@given(predictions())
def test_they_are_plain_numbers_within_their_limits(case: tuple[np.ndarray, np.ndarray]) -> None:
    found = measure(*case)
    assert list(found) == [
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "balanced_accuracy",
        "macro_f1",
        "log_loss",
        "ece",
        "n",
    ]
    for name, value in found.items():
        assert type(value) is (int if name == "n" else float)
        assert value == round(value, 6)
        assert 0 <= value <= (math.inf if name in ("n", "log_loss") else 1)
    assert found["accuracy_low"] <= found["accuracy"] <= found["accuracy_high"]


@unhurried
@given(predictions(), st.randoms(use_true_random=False))
def test_they_do_not_depend_on_the_order(case: tuple[np.ndarray, np.ndarray], random) -> None:
    probabilities, labels = case
    order = random.sample(range(len(labels)), len(labels))
    one, two = measure(probabilities, labels), measure(probabilities[order], labels[order])
    assert one == pytest.approx(two, abs=2e-6)


def test_a_measure_says_nothing_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure(np.array([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1]]), np.array([0, 0]))


def test_a_perfect_and_a_hopeless_model() -> None:
    eye = np.eye(4)
    perfect = measure(eye, np.arange(4))
    assert (perfect["accuracy"], perfect["macro_f1"], perfect["log_loss"]) == (1, 1, 0)
    assert (perfect["ece"], perfect["accuracy_high"]) == (0, 1)
    hopeless = measure(eye, (np.arange(4) + 1) % 4)
    assert (hopeless["accuracy"], hopeless["accuracy_low"], hopeless["ece"]) == (0, 0, 1)
    assert hopeless["log_loss"] == pytest.approx(-math.log(1e-7), abs=1e-6)


def test_classes_count_the_same_whatever_their_size() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    found = measure(np.tile([0.9, 0.1], (100, 1)), labels)
    assert found["accuracy"] == 0.9
    assert found["balanced_accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx((2 * 0.9 / 1.9) / 2, abs=1e-6)
    assert found["ece"] == 0


@pytest.mark.parametrize(
    "right, n, low, high",
    # Newcombe 1998, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_that_of_the_literature(
    right: int, n: int, low: float, high: float
) -> None:
    assert wilson_interval(right, n) == pytest.approx((low, high), abs=5e-5)


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


@pytest.mark.parametrize("n", [0, -1])
def test_there_is_no_interval_of_nothing(n: int) -> None:
    with pytest.raises(ValueError, match="n"):
        wilson_interval(0, n)


@unhurried
@given(predictions())
def test_calibration_is_as_defined(case: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = case
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    expected = 0.0
    for number in range(_BINS):
        # A bin is open below and closed above (Guo et al. 2017, section 2).
        scaled = confidence * _BINS
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
