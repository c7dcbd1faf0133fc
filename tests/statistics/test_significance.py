"""What chance does to a difference, against SciPy and published examples."""

import itertools
import math
import warnings
from statistics import stdev

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.special import xlogy

from graft.statistics import significance
from graft.statistics.accuracy import wilson_interval
from graft.statistics.intervals import mean_ends, repeatability
from graft.statistics.significance import compare_right, flip_test, mcnemar_test, paired_interval

counts = st.integers(0, 400)
# Accuracies as they are written, rounded to six decimals.
accuracies = st.lists(st.integers(0, 10**6).map(lambda n: n / 10**6), min_size=2, max_size=8)


@given(counts, counts)
def test_mid_p_counts_the_observed_case_by_half(lost: int, won: int) -> None:
    both = lost + won
    # Where both counts are equal, no case is more extreme in one direction than in the other.
    expected = 1.0
    if lost != won:
        expected = stats.binomtest(won, both).pvalue - stats.binom.pmf(won, both, 0.5)
    assert mcnemar_test(lost, won) == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert mcnemar_test(lost, won) == mcnemar_test(won, lost)


def test_images_that_belong_together_are_compared_as_one() -> None:
    before, after = np.repeat([True, False], [7, 5]), np.repeat([False, True], [7, 5])
    after[-4:] = False  # 7 lost, 1 won
    alone = compare_right(before, after, np.arange(12))
    assert alone[:3] == (7, 1, mcnemar_test(7, 1)) and alone[2] < 0.05
    together = compare_right(before, after, np.repeat([1, 2, 3], [7, 1, 4]))
    assert together == (7, 1, *flip_test(np.array([-7, 1, 0]), np.array([7, 1, 4]), 1.0))
    assert together[2] > 0.05


def test_published_examples() -> None:
    # Fagerland, Lydersen and Laake 2013, doi:10.1186/1471-2288-13-91: 1 and 7 of 21 children.
    assert mcnemar_test(7, 1) == pytest.approx(0.039, abs=5e-4)
    # Newcombe 1998, table II, method 10.
    for old, new, expected in (
        ((48, 80), (56, 70), (0.0524, 0.3339)),
        ((3, 10), (9, 10), (0.1705, 0.8090)),
        ((0, 29), (5, 56), (-0.0381, 0.1926)),
    ):
        ends = [wilson_interval(*side) for side in (old, new)]
        found = significance.independent_interval(old[0] / old[1], new[0] / new[1], *ends)
        assert found == pytest.approx(expected, abs=5e-5)


@given(counts, counts, st.integers(0, 3000))
def test_intervals_of_pairs(lost: int, won: int, agreed: int) -> None:
    n = lost + won + agreed
    assume(n)
    low, high = paired_interval(lost, won, n)
    assert -1 <= low < high <= 1
    assert low <= (won - lost) / n <= high
    assert paired_interval(won, lost, n) == pytest.approx((-high, -low))
    # The test finds a difference exactly where the interval is on one side of 0.
    assert (mcnemar_test(lost, won) < significance.LEVEL) == (not low <= 0 <= high)
    # Its ends are where Tango's score turns, or the end that the test widens it to.
    for end in {low, high} - {-1.0, 0.0, 1.0}:
        assert abs(_score(lost, won, n, end)) == pytest.approx(1.959964, rel=1e-5)


def _score(lost: int, won: int, n: int, difference: float) -> float:
    """Tango's score, with the likelihood maximised by search."""

    def minus_log(share: float) -> float:  # of lost images; won are as many and the difference
        chances = (share, share + difference, 1 - 2 * share - difference)
        return -sum(xlogy(k, p) for k, p in zip((lost, won, n - lost - won), chances, strict=True))

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    found = optimize.minimize_scalar(minus_log, bounds=bounds, options={"xatol": 1e-12})
    share = min([found.x, *bounds], key=minus_log)
    variance = n * (2 * share + difference * (1 - difference))
    return (won - lost - n * difference) / math.sqrt(variance)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_the_interval_of_pairs_and_its_test_agree(lost: int, won: int) -> None:
    low, high = paired_interval(lost, won, 5000)
    assert (mcnemar_test(lost, won) < significance.LEVEL) == (not low <= 0 <= high)


def units(most: int) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Sums of differences and sizes of some units."""
    sizes = st.integers(1, 5)
    unit = sizes.flatmap(lambda size: st.tuples(st.integers(-size, size), st.just(size)))
    columns = st.lists(unit, min_size=1, max_size=most).map(np.array)
    return columns.map(lambda table: (table[:, 0].astype(float), table[:, 1]))


@settings(max_examples=40, deadline=None)
@given(units(9))
def test_few_units_have_an_exact_test(case: tuple[np.ndarray, np.ndarray]) -> None:
    differences, sizes = case
    p, low, high = flip_test(differences, sizes, 1.0)
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=len(sizes))
    ]
    expected = np.mean([abs(value) >= abs(differences.sum()) for value in sums])
    assert p == pytest.approx(expected)
    centre = differences.sum() / sizes.sum()
    assert -1 <= low <= centre + 1e-9 and centre - 1e-9 <= high <= 1
    assert (p < significance.LEVEL) == (not low <= 0 <= high)
    if len(sizes) < 6:  # with so few signs no difference can be rejected
        assert (low, high) == (-1, 1)
    turned = flip_test(-differences, sizes, 1.0)
    assert turned == pytest.approx((p, -high, -low), abs=1e-8)


@settings(max_examples=20, deadline=None)
@given(units(60), st.floats(-0.3, 0.3))
def test_many_units_are_drawn_the_same(case: tuple[np.ndarray, np.ndarray], shift: float) -> None:
    differences, sizes = case[0] + shift * case[1], case[1]
    p, low, high = flip_test(differences, sizes, 1.4)
    assert flip_test(differences, sizes, 1.4) == (p, low, high)
    assert (p < significance.LEVEL) == (not low <= 0 <= high)


def test_the_test_by_unit_is_students_where_there_are_many_units() -> None:
    generator = np.random.default_rng(1)
    values, unit = generator.normal(0.05, 1, 800), np.repeat(np.arange(400), 2)
    p, low, high = flip_test(np.bincount(unit, values), np.full(400, 2), 16.0)
    expected = mean_ends(values, unit)
    assert (low, high) == pytest.approx(expected, abs=0.01)
    found = stats.ttest_1samp(np.bincount(unit, values), 0).pvalue
    assert p == pytest.approx(found, abs=0.02)


def test_units_that_move_as_one_are_no_more_than_one_image_each() -> None:
    """200 images in 10 units, each wholly lost or won: 8 won, 2 lost."""
    differences = np.repeat([20.0, -20.0], [8, 2])
    p, low, high = flip_test(differences, np.full(10, 20), 1.0)
    assert p == pytest.approx(stats.binomtest(2, 10).pvalue)
    assert low < 0 < high
    # As separate images they would be a clear difference.
    assert mcnemar_test(40, 160) < 1e-6


@pytest.mark.parametrize("correlated", [False, True])
def test_equal_models_differ_in_one_of_twenty_cases(correlated: bool) -> None:
    generator = np.random.default_rng(7)
    found = 0
    for _ in range(300):
        unit = np.repeat(np.arange(30), 6)
        scale = generator.normal(size=30)[unit] if correlated else 0
        values = generator.normal(size=180) + 2 * scale
        p, low, high = flip_test(np.bincount(unit, values), np.full(30, 6), 16.0)
        found += p < significance.LEVEL
        assert (p < significance.LEVEL) == (not low <= 0 <= high)
    assert 5 <= found <= 27  # 15 are expected


def test_one_unit_says_nothing_of_others() -> None:
    assert mean_ends(np.array([1.0, 2.0]), np.array([3, 3])) == (-math.inf, math.inf)
    assert flip_test(np.array([4.0]), np.array([8]), 1.0) == (1, -1, 1)


@given(st.integers(1, 2000), st.integers(1, 2000), st.data())
def test_intervals_of_different_images(old_n: int, new_n: int, data: st.DataObject) -> None:
    old, new = data.draw(st.integers(0, old_n)), data.draw(st.integers(0, new_n))
    sides = ((old, old_n), (new, new_n))
    ends = [wilson_interval(*side) for side in sides]
    low, high = significance.independent_interval(old / old_n, new / new_n, *ends)
    assert -1 - 1e-9 <= low <= new / new_n - old / old_n <= high <= 1 + 1e-9
    turned = significance.independent_interval(new / new_n, old / old_n, *ends[::-1])
    assert turned == pytest.approx((-high, -low))


@given(accuracies, accuracies)
def test_the_interval_of_means_is_that_of_scipy(old: list[float], new: list[float]) -> None:
    with warnings.catch_warnings(action="error"):  # one side may have no spread
        low, high = significance.welch_interval(old, new)
    if len({*old}) == len({*new}) == 1:
        assert low == high == new[0] - old[0]
        return
    with warnings.catch_warnings(action="ignore"):  # SciPy wonders about equal accuracies
        expected = stats.ttest_ind(new, old, equal_var=False).confidence_interval()
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)


@given(accuracies)
def test_what_a_seed_does_is_known_from_few_seeds(values: list[float]) -> None:
    limit = repeatability(values)
    assert (limit == 0) == (len({*values}) == 1)
    quantile = stats.t.ppf(0.975, len(values) - 1)
    assert limit == pytest.approx(math.sqrt(2) * quantile * stdev(values), abs=1e-12)
    assert limit >= 2.77 * stdev(values)  # √2 · 1.96, as of many seeds
