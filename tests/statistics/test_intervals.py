"""The intervals: how often they hold the truth in simulations, and what they are made of."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from graft.statistics.accuracy import (
    effective_sizes,
    student_quantile,
    unit_quantile,
    wilson_interval,
)
from graft.statistics.intervals import mean_interval

# Images of each unit.
SIZES = {
    **{f"{n} images": np.ones(n, int) for n in (60, 271, 2000)},
    **{f"{n} groups of 10": np.full(n, 10) for n in (20, 60, 200)},
    "20 groups of 3": np.full(20, 3),
    "few large, many single": np.repeat([40, 1], [5, 200]),
    "very unequal": np.repeat([100, 50, 20, 5], [2, 3, 5, 10]),
    "1 to 10": np.repeat(np.arange(1, 11), 5),
    "pairs and single": np.repeat([2, 1], [30, 100]),
}
CORRELATIONS = (0.1, 0.5, 0.9, 1.0)
CASES = [
    (name, correlation)
    for name, sizes in SIZES.items()
    for correlation in (CORRELATIONS if sizes.max() > 1 else (0.0,))
]


def draw(
    generator: np.random.Generator, sizes: np.ndarray, accuracy: np.ndarray, correlation: float
) -> np.ndarray:
    """Right images of each unit, int64 (samples, units): beta-binomial, accuracy (samples,)."""
    shape = (len(accuracy), len(sizes))
    if correlation == 0:
        chance = np.broadcast_to(accuracy[:, None], shape)
    elif correlation == 1:
        chance = (generator.random(shape) < accuracy[:, None]).astype(float)
    else:
        total = (1 - correlation) / correlation
        a, b = (np.maximum(total * p, 1e-9)[:, None] for p in (accuracy, 1 - accuracy))
        chance = generator.beta(a, b, shape)
    return generator.binomial(sizes, chance)


def coverage(
    generator: np.random.Generator, sizes: np.ndarray, accuracy: np.ndarray, correlation: float
) -> float:
    """How often the interval of the accuracy holds it."""
    right = draw(generator, sizes, accuracy, correlation)
    effective, n = effective_sizes(sizes, right), sizes.sum()
    quantile = unit_quantile(n, len(sizes))
    pairs = zip(right.sum(1) / n, effective, strict=True)
    ends = np.array([wilson_interval(share * size, size, quantile) for share, size in pairs])
    return float(np.mean((ends[:, 0] <= accuracy) & (accuracy <= ends[:, 1])))


@pytest.mark.parametrize(("name", "correlation"), CASES)
def test_intervals_hold_the_accuracy_in_19_of_20_cases(name: str, correlation: float) -> None:
    generator = np.random.default_rng(11)
    found = coverage(generator, SIZES[name], generator.uniform(0.8, 1, 3000), correlation)
    assert 0.93 <= found <= 0.97


@pytest.mark.parametrize("accuracy", [0.8, 0.9, 0.95, 0.98, 0.99])
def test_no_accuracy_is_missed_often(accuracy: float) -> None:
    generator = np.random.default_rng(12)
    for correlation in CORRELATIONS:
        truth = np.full(1000, accuracy)
        assert coverage(generator, SIZES["60 groups of 10"], truth, correlation) > 0.89


def test_intervals_that_take_groups_as_independent_are_too_narrow() -> None:
    generator, sizes = np.random.default_rng(13), SIZES["20 groups of 10"]
    accuracy = generator.uniform(0.8, 1, 1000)
    right = draw(generator, sizes, accuracy, 0.5).sum(1)
    ends = np.array([wilson_interval(count, sizes.sum()) for count in right])
    assert np.mean((ends[:, 0] <= accuracy) & (accuracy <= ends[:, 1])) < 0.75


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1)), min_size=1, max_size=60))
def test_the_effective_size_is_between_its_extremes(drawn: list[tuple[int, float]]) -> None:
    sizes = np.array([size for size, _ in drawn])
    right = np.array([round(size * share) for size, share in drawn])
    n = sizes.sum()
    found = float(effective_sizes(sizes, right))
    assert n**2 / (sizes**2).sum() - 1e-6 <= found <= n + 1e-6
    assert (found == n) == (sizes.max() == 1)
    # The order of the units is nothing, and right and wrong are alike.
    order = np.argsort(right, kind="stable")
    assert float(effective_sizes(sizes[order], right[order])) == pytest.approx(found)
    assert float(effective_sizes(sizes, sizes - right)) == pytest.approx(found)
    # Several samples at once are as each by itself.
    both = effective_sizes(sizes, np.stack([right, sizes]))
    assert both[0] == pytest.approx(found)
    assert both[1] == pytest.approx(float(effective_sizes(sizes, sizes)))


def test_equal_units_say_what_one_image_of_each_says() -> None:
    sizes = np.full(50, 10)
    whole = np.where(np.arange(50) < 40, 10, 0)
    assert float(effective_sizes(sizes, whole)) == pytest.approx(50, rel=0.05)
    # As spread as separate images: nearly all of them count.
    spread = np.random.default_rng(3).binomial(sizes, 0.8)
    assert float(effective_sizes(sizes, spread)) > 300
    # Where none is wrong, nothing says how much they share.
    assert 50 < float(effective_sizes(sizes, sizes)) < 300


@given(st.integers(1, 10**5))
def test_students_quantile_is_that_of_scipy(freedom: int) -> None:
    assert student_quantile(freedom) == pytest.approx(stdtrit(freedom, 0.975), rel=1e-9)


def test_students_quantile_is_for_units_alone() -> None:
    assert unit_quantile(100, 100) == pytest.approx(1.959964)
    assert unit_quantile(100, 20) == pytest.approx(2.093024, abs=1e-6)
    assert unit_quantile(5, 1) == unit_quantile(5, 2) == pytest.approx(12.7062, abs=1e-4)


@given(st.floats(0, 20), st.floats(1e-6, 1), st.floats(1.9, 13))
def test_the_interval_of_a_mean_is_where_its_score_turns(
    value: float, spread: float, quantile: float
) -> None:
    low, high = mean_interval(value, spread, quantile)
    assert 0 <= low <= value + 1e-9 and value <= high
    assert high - value >= value - low - 1e-9
    variance = (high - value) ** 2 / high
    assert variance == pytest.approx(quantile**2 * spread, rel=1e-6)
    assert math.isclose(low * high, value**2, rel_tol=1e-3, abs_tol=1e-6)
