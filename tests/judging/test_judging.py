"""How models are judged and chosen on validation, and how their confidence is calibrated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from graft.judging.calibration import calibrate, rescale
from graft.judging.losses import choose_step, cross_entropies, standard_error, weigh_images


def draw(generator: np.random.Generator, n: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, 4), calibrated, and labels that are drawn by their probabilities."""
    logits = strength * generator.normal(size=(n, 4))
    chances = softmax(logits, 1)
    labels = (chances.cumsum(1) > generator.random((n, 1))).argmax(1)
    return logits, labels


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_the_temperature_undoes_what_was_done_to_the_logits(factor: float) -> None:
    logits, labels = draw(np.random.default_rng(1), 3000, 3.0)
    probabilities = softmax(factor * logits, 1).astype(np.float32)
    found = calibrate(probabilities, labels, np.ones(3000), np.arange(4))
    assert found * factor == pytest.approx(1, rel=0.1)
    after = rescale(probabilities, found)
    assert (after.argmax(1) == probabilities.argmax(1)).all()
    assert np.allclose(after.sum(1), 1)
    assert np.allclose(rescale(after, 1 / found), probabilities, atol=1e-5)
    before, later = (cross_entropies(p, labels).mean() for p in (probabilities, after))
    assert later <= before + 1e-3 if factor == 1 else later < before - 0.02


@pytest.mark.parametrize("wrong", [0, 3])
def test_few_images_change_little(wrong: int) -> None:
    """All right on nine images does not mean that no image is ever wrong."""
    probabilities = np.tile([0.9, 0.1], (9, 1))
    labels = np.arange(9) < wrong
    found = calibrate(probabilities, labels.astype(int), np.ones(9), np.arange(2))
    assert 0.75 < rescale(probabilities, found)[0, 0] < 0.97


def test_a_calibrated_model_stays_so() -> None:
    """Also where it is nearly always right, and one image would decide."""
    generator = np.random.default_rng(1)
    for _ in range(20):
        logits, labels = draw(generator, 300, 12.0)
        probabilities = softmax(logits, 1)
        found = calibrate(probabilities, labels, np.ones(300), np.arange(4))
        assert 0.5 < found < 2


def test_a_class_that_was_not_learned_says_nothing() -> None:
    logits, labels = draw(np.random.default_rng(1), 500, 3.0)
    probabilities = softmax(np.append(logits, np.full((500, 1), -900.0), 1), 1)
    labels[:50] = 4
    weights = weigh_images(labels, "balanced")
    found = calibrate(probabilities, labels, weights, np.arange(4))
    rest = calibrate(probabilities[50:], labels[50:], weights[50:], np.arange(5))
    assert found == pytest.approx(rest)
    assert 0.5 < found < 2
    assert calibrate(probabilities[:50], labels[:50], weights[:50], np.arange(4)) == 1


def test_a_model_that_is_only_lucky_is_seldom_chosen() -> None:
    """Twelve epochs that are truly no better than the head, on 320 validation images.

    The best by accuracy, ties to the epochs, leaves the head in most cases.
    """
    generator, left, by_accuracy = np.random.default_rng(1), 0, 0
    for _ in range(300):
        margins = 2.5 + 1.5 * generator.normal(size=320)
        noise = 0.5 * generator.normal(size=(12, 320))
        every = np.vstack([margins, margins - 0.02 + noise])
        losses = np.log1p(np.exp(-every))
        # As the stage does it: the best epoch by loss, then the step.
        best = losses[1:].mean(1).argmin() + 1
        left += choose_step(losses[[0, best]], np.arange(320), np.ones(320))
        right = (every > 0).mean(1)
        by_accuracy += right[1:].max() >= right[0]
    assert left < 60 and by_accuracy > 150


def test_a_gain_beyond_chance_is_taken_with_the_smallest_step() -> None:
    generator = np.random.default_rng(1)
    start = generator.exponential(size=400)
    gains = np.array([0, 0.2, 0.3, 0.31, 0.305])[:, None]
    losses = start - gains + 0.3 * generator.normal(size=(5, 400))
    assert choose_step(losses, np.arange(400), np.ones(400)) in (2, 3)
    # Ten copies of forty images tell no more than forty images.
    few = np.tile(losses[:, :40], 10)
    again = choose_step(few, np.tile(np.arange(40), 10), np.ones(400))
    assert again == choose_step(few[:, :40], np.arange(40), np.ones(40))


@given(
    st.integers(1, 6).flatmap(
        lambda k: st.lists(st.lists(st.floats(0, 9), min_size=k, max_size=k), min_size=2)
    )
)
def test_the_step_is_within_an_error_of_the_best(rows: list[list[float]]) -> None:
    losses = np.array(rows).T
    units, weights = np.arange(losses.shape[1]), np.ones(losses.shape[1])
    taken = choose_step(losses, units, weights)
    best = losses[losses.mean(1).argmin()]
    gaps = [own - best for own in losses]
    within = [gap.mean() <= standard_error(gap, units, weights) for gap in gaps]
    assert within[taken] and not any(within[:taken])
    assert choose_step(losses, np.zeros(len(units), int), weights) == 0
