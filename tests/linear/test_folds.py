"""Folds, and the mean and deviation of features."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.linear.folds import _FOLDS, divide_folds, judged_rows, sample_images
from graft.linear.standardising import _FLOOR, _PIECE, find_moments, standardise


@st.composite
def parts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels and units of some images; a unit may have images of several classes."""
    n = draw(st.integers(1, 60))
    numbers = st.lists(st.integers(0, draw(st.integers(0, 30))), min_size=n, max_size=n)
    labels = st.lists(st.integers(0, draw(st.integers(0, 4))), min_size=n, max_size=n)
    return np.array(draw(labels)), np.array(draw(numbers))


@given(parts(), st.integers(0, 3))
def test_no_unit_and_no_class_is_where_it_must_not_be(
    part: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    labels, units = part
    divided = divide_folds(labels, units, seed)
    judged_once = np.zeros(len(labels), int)
    for learned, judged in divided:
        assert len(judged) and len(np.unique(labels[learned])) > 1
        assert not np.intersect1d(units[learned], units[judged]).size
        assert np.isin(labels[judged], labels[learned]).all()
        judged_once[judged] += 1
    assert judged_once.max() <= 1
    counts = [len(np.unique(units[labels == label])) for label in np.unique(labels)]
    if len(counts) > 1 and min(counts) >= 2 and len(units) == len(np.unique(units)):
        # Where nothing must stay together, all are judged, and classes are spread evenly.
        assert judged_once.all()
        table = [np.bincount(labels[judged], minlength=5) for _, judged in divided]
        assert np.ptp(table, axis=0).max() <= 1
    if max(counts) < 2 or len(counts) < 2:
        assert not divided


def test_a_class_of_one_unit_is_judged_nowhere() -> None:
    labels, units = np.array([0] * 20 + [1] * 20 + [2] * 3), np.array([*range(40), 99, 99, 99])
    divided = divide_folds(labels, units, 1)
    assert len(divided) == _FOLDS
    assert judged_rows(divided).tolist() == list(range(40))
    assert sum(2 in labels[learned] for learned, _ in divided) == _FOLDS - 1


def test_units_of_many_sizes_fill_folds_alike() -> None:
    """The largest come first, so that small ones fill what they leave."""
    generator = np.random.default_rng(1)
    units = np.repeat(np.arange(200), generator.geometric(0.2, 200))
    labels = generator.integers(0, 5, len(units))
    divided = divide_folds(labels, units, 1)
    table = np.array([np.bincount(labels[judged]) for _, judged in divided])
    shares = table / table.sum(0)
    assert len(divided) == _FOLDS and np.abs(shares - 1 / _FOLDS).max() < 0.02


@given(parts(), st.integers(1, 60), st.integers(0, 3))
def test_a_sample_has_the_shares_of_the_whole(
    part: tuple[np.ndarray, np.ndarray], most: int, seed: int
) -> None:
    labels, _ = part
    chosen = sample_images(labels, most, seed)
    assert len(chosen) == min(most, len(labels))
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    for label in np.unique(labels):
        share = (labels == label).sum() * len(chosen) / len(labels)
        assert abs((labels[chosen] == label).sum() - share) <= 1


@pytest.mark.parametrize("n", [1, _PIECE, 2 * _PIECE + 7])
def test_moments_are_those_of_all_rows(n: int) -> None:
    generator = np.random.default_rng(1)
    scales = 10.0 ** np.arange(-3, 3)
    features = (5e3 + scales * generator.normal(size=(n, 6))).astype(np.float32)
    mean, variance = find_moments(features)
    assert mean.dtype == variance.dtype == np.float32
    wide = features.astype(float)
    assert np.allclose(mean, wide.mean(0), rtol=1e-6)
    deviation = wide.std(0)
    differ = deviation[deviation > 0]
    floor = _FLOOR * np.median(differ) if n > 1 else 1.0
    assert np.allclose(variance, np.maximum(deviation, floor) ** 2, rtol=1e-5)
    expected = (wide - mean.astype(float)) / np.sqrt(variance.astype(float))
    assert np.allclose(standardise(features, mean, variance), expected)


def test_a_feature_that_hardly_differs_is_not_blown_up() -> None:
    features = np.random.default_rng(1).normal(size=(1000, 5)).astype(np.float32)
    features[:, 0] = 0
    features[:, 1] *= 1e-6
    _, variance = find_moments(features)
    assert np.allclose(variance[:2], _FLOOR**2, rtol=0.2)
    assert np.allclose(variance[2:], 1, rtol=0.2)
