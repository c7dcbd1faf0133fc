"""What chance does to a difference, against SciPy and published examples."""

import math
import statistics
import warnings
from statistics import stdev

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from graft.report.statistics import repeatability
from graft.tools.significance import (
    LEVEL,
    independent_interval,
    mcnemar_test,
    paired_interval,
    welch_interval,
)

counts = st.integers(0, 400)
# Accuracies as they are written, rounded to six decimals.
accuracies = st.lists(st.integers(0, 10**6).map(lambda n: n / 10**6), min_size=2, max_size=8)


@given(counts, counts)
def test_the_exact_test_is_that_of_scipy(lost: int, won: int) -> None:
    expected = stats.binomtest(won, lost + won).pvalue if lost + won else 1
    assert mcnemar_test(lost, won) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_test(lost, won) == mcnemar_test(won, lost)


def test_published_examples() -> None:
    # Fagerland, Lydersen and Laake 2013, doi:10.1186/1471-2288-13-91: 1 and 7 of 21 children.
    assert mcnemar_test(7, 1) == pytest.approx(0.070, abs=5e-4)
    # Bonett's own example of his function CI.prop.ws: 4 and 26 of 40.
    assert paired_interval(4, 26, 40) == pytest.approx((0.3126438, 0.7349752), abs=1e-7)
    # Newcombe 1998, table II, method 10.
    for old, new, expected in (
        ((48, 80), (56, 70), (0.0524, 0.3339)),
        ((3, 10), (9, 10), (0.1705, 0.8090)),
        ((0, 29), (5, 56), (-0.0381, 0.1926)),
    ):
        found = independent_interval(*zip(old, new, strict=True))
        assert found == pytest.approx(expected, abs=5e-5)


@given(counts, counts, st.integers(0, 3000))
def test_intervals_of_pairs(lost: int, won: int, agreed: int) -> None:
    n = lost + won + agreed
    assume(n)
    low, high = paired_interval(lost, won, n)
    assert -1 <= low < high <= 1
    assert paired_interval(won, lost, n) == pytest.approx((-high, -low))
    # A difference that the test finds has its whole interval on the same side of 0.
    if mcnemar_test(lost, won) < LEVEL:
        assert low > 0 if won > lost else high < 0


@given(st.integers(1, 2000), st.integers(1, 2000), st.data())
def test_intervals_of_different_images(old_n: int, new_n: int, data: st.DataObject) -> None:
    old, new = data.draw(st.integers(0, old_n)), data.draw(st.integers(0, new_n))
    low, high = independent_interval((old, new), (old_n, new_n))
    assert -1 - 1e-9 <= low <= new / new_n - old / old_n <= high <= 1 + 1e-9
    turned = independent_interval((new, old), (new_n, old_n))
    assert turned == pytest.approx((-high, -low))


@given(accuracies, accuracies)
def test_the_interval_of_means_is_that_of_scipy(old: list[float], new: list[float]) -> None:
    with warnings.catch_warnings(action="error"):  # one side may have no spread
        low, high = welch_interval(old, new)
    if len({*old}) == len({*new}) == 1:
        assert low == high == new[0] - old[0]
        return
    with warnings.catch_warnings():
        # SciPy wonders about equal accuracies.
        warnings.simplefilter("ignore")
        expected = stats.ttest_ind(new, old, equal_var=False).confidence_interval()
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)


@given(accuracies)
def test_what_a_seed_does_is_known_from_few_seeds(values: list[float]) -> None:
    limit = repeatability(values)
    assert (limit == 0) == (len({*values}) == 1)
    quantile = stats.t.ppf(0.975, len(values) - 1)
    assert limit == pytest.approx(math.sqrt(2) * quantile * statistics.stdev(values), abs=1e-12)
    assert limit >= 2.77 * stdev(values)  # √2 · 1.96, as of many seeds
