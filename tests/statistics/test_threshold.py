"""Two classes: ranking, and the threshold that is chosen on validation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from graft.statistics.threshold import choose_threshold, judge_two_classes

images = st.lists(
    st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=2, max_size=40
).filter(lambda drawn: len({label for _, label in drawn}) == 2)


@settings(deadline=None)  # the first example imports scikit-learn's metrics
@given(images)
def test_no_other_threshold_is_better(drawn: list[tuple[float, bool]]) -> None:
    scores, labels = (np.array(column) for column in zip(*drawn, strict=True))
    found = choose_threshold(scores, labels.astype(int))
    assert 0 <= found <= 1
    quality = balanced_accuracy_score(labels, scores > found)
    for other in np.linspace(-0.025, 1.025, 22):
        assert balanced_accuracy_score(labels, scores > other) <= quality + 1e-12
    # It is in the middle of its interval.
    ends = np.concatenate([[0.0], np.unique(scores), [1.0]])
    assert np.abs((ends[:-1] + ends[1:]) / 2 - found).min() < 1e-6


def test_the_threshold_is_in_the_middle_between_the_classes() -> None:
    assert choose_threshold(np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1])) == 0.4
    # Of two that are as good, the one nearest to 0.5.
    scores, labels = np.array([0.1, 0.2, 0.4, 0.8]), np.array([0, 1, 0, 1])
    assert choose_threshold(scores, labels) == pytest.approx(0.6)


def test_a_rare_class_that_is_never_predicted_is_found_by_its_threshold() -> None:
    generator = np.random.default_rng(1)
    labels = (np.arange(400) % 10 == 0).astype(int)
    scores = 0.05 + 0.2 * labels + 0.05 * generator.random(400)
    found = judge_two_classes(scores[:200], labels[:200], scores[200:], labels[200:])
    assert (found["auc"], found["average_precision"]) == (1, 1)
    assert (found["threshold_accuracy"], found["threshold_balanced_accuracy"]) == (1, 1)
    assert 0.1 < found["threshold"] < 0.25


@settings(deadline=None)
@given(images, images)
def test_ranking_is_that_of_scikit_learn(
    valid: list[tuple[float, bool]], test: list[tuple[float, bool]]
) -> None:
    before, after = (np.array(drawn).T for drawn in (valid, test))
    found = judge_two_classes(*before, *after)
    assert found["auc"] == pytest.approx(roc_auc_score(after[1], after[0]), abs=1e-6)
    assert all(0 <= value <= 1 for value in found.values())


def test_what_one_class_alone_cannot_say_is_left_out() -> None:
    scores, labels, ones = np.array([0.2, 0.7]), np.array([0, 1]), np.array([1, 1])
    both = {"auc", "average_precision"}
    threshold = {"threshold", "threshold_accuracy", "threshold_balanced_accuracy"}
    assert set(judge_two_classes(scores, labels, scores, labels)) == both | threshold
    assert set(judge_two_classes(scores, labels, scores, ones)) == threshold
    assert set(judge_two_classes(scores, ones, scores, labels)) == both
