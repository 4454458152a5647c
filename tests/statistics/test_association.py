"""Tests of counts and means against SciPy, statsmodels, and every table counted out."""

from collections.abc import Iterator
from itertools import product
from math import factorial, prod

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from fairseg.statistics.association import (
    CHI_SQUARED,
    FISHER,
    MONTE_CARLO,
    WELCH_ANOVA,
    WELCH_T,
    count_test,
    mean_test,
    random_tables,
)


def tables_with_margins(rows: list[int], columns: list[int]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield every table of counts with these margins, by brute force."""
    ranges = [range(min(row, column) + 1) for row, column in product(rows, columns)]
    for cells in product(*ranges):
        table = np.array(cells).reshape(len(rows), len(columns))
        if table.sum(axis=1).tolist() == rows and table.sum(axis=0).tolist() == columns:
            yield table


def exact_p(table: npt.NDArray[np.int64]) -> float:
    def weight(one: npt.NDArray[np.int64]) -> float:
        return 1.0 / prod(map(factorial, one.ravel().tolist()))

    every = [weight(one) for one in tables_with_margins(table.sum(1).tolist(), table.sum(0).tolist())]
    return sum(w for w in every if w <= weight(table) * (1 + 1e-9)) / sum(every)


# --- counts -----------------------------------------------------------------------------------------


def test_the_lady_tasting_tea() -> None:
    p, test = count_test([[3, 1], [1, 3]])
    assert test == FISHER
    assert p == pytest.approx(34 / 70)


def test_chi_squared_by_hand_where_every_expected_count_is_five() -> None:
    # Expected 5 everywhere: (2^2 / 5) * 4 = 3.2 on one degree of freedom.
    p, test = count_test([[7, 3], [3, 7]])
    assert test == CHI_SQUARED
    assert p == pytest.approx(stats.chi2.sf(3.2, 1), rel=1e-12)


def test_the_expected_counts_choose_the_test_not_the_observed_ones() -> None:
    assert count_test([[0, 40], [20, 20]])[1] == CHI_SQUARED  # observed 0, expected 10
    assert count_test([[5, 5], [0, 5]])[1] == FISHER
    assert count_test([[50, 50], [4, 5]])[1] == FISHER  # expected 4.46


@pytest.mark.parametrize("most", [6, 40, 300])
def test_many_tables_have_scipys_p_values(most: int) -> None:
    rng = np.random.default_rng(most)
    for _ in range(500):
        table = rng.integers(0, most, (2, 2))
        p, test = count_test(table)
        if test == FISHER:
            assert p == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-12)
        elif test == CHI_SQUARED:
            assert p == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-12)


@pytest.mark.parametrize(
    "counts", [[[3, 1], [0, 2], [1, 4]], [[2, 2, 1], [0, 3, 1]], [[4, 0, 0], [0, 4, 0], [1, 1, 2]]]
)
def test_monte_carlo_comes_close_to_all_tables_counted_out(counts: list[list[int]]) -> None:
    p, test = count_test(counts)
    assert test == MONTE_CARLO
    expected = exact_p(np.array(counts))
    assert abs(p - expected) < 4 * np.sqrt(expected * (1 - expected) / 20_000) + 1 / 20_000
    assert count_test(counts) == (p, test)  # a fixed seed
    assert (p * 20_001) == pytest.approx(round(p * 20_001))


@pytest.mark.parametrize(
    ("rows", "columns"),
    [([3, 2, 4], [4, 3, 2]), ([5, 1], [2, 4]), ([2, 3, 1, 1], [1, 6]), ([0, 4, 3], [5, 2])],
)
def test_tables_are_drawn_as_often_as_they_are_probable(rows: list[int], columns: list[int]) -> None:
    number = 100_000
    tables = random_tables(np.array(rows), np.array(columns), number, np.random.default_rng(0))
    probability = stats.random_table(rows, columns)
    kinds, times = np.unique(tables, axis=0, return_counts=True)
    every = {table.tobytes(): probability.pmf(table) for table in tables_with_margins(rows, columns)}
    assert {kind.tobytes() for kind in kinds} <= set(every)
    shares = dict.fromkeys(every, 0.0)
    shares |= {kind.tobytes(): count / number for kind, count in zip(kinds, times.tolist(), strict=True)}
    for key, p in every.items():
        assert abs(shares[key] - p) < 5 * np.sqrt(p * (1 - p) / number) + 1 / number


def test_monte_carlo_never_says_zero() -> None:
    p, test = count_test([[30, 0, 0], [0, 4, 0], [0, 0, 30]])
    assert test == MONTE_CARLO
    assert p == pytest.approx(1 / 20_001)


@given(st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=2, max_size=4))
@settings(max_examples=25)
def test_order_orientation_and_empty_levels_do_not_matter(counts: list[list[int]]) -> None:
    table = np.array(counts)
    p, test = count_test(table)
    padded = np.pad(table, ((0, 1), (1, 0)))
    np.testing.assert_equal(count_test(padded), (p, test))
    if test == CHI_SQUARED:
        assert p == pytest.approx(stats.chi2_contingency(table[table.any(1)][:, table.any(0)], False).pvalue)
    for other in (table[::-1], table[:, ::-1], table.T):
        again, name = count_test(other)
        assert name == test
        assert np.isnan(p) == np.isnan(again)
        if test:
            assert again == pytest.approx(p, abs=0.02)


@pytest.mark.parametrize(
    "counts", [[[1, 2]], [[1], [2]], [[0, 0], [3, 4]], [[0, 3], [0, 4]], [[0, 0], [0, 0]]]
)
def test_nothing_to_compare_is_no_p(counts: list[list[int]]) -> None:
    p, test = count_test(counts)
    assert np.isnan(p)
    assert test == ""


@pytest.mark.parametrize("counts", [[1, 2], [[1.5, 2.0], [1.0, 1.0]], [[-1, 2], [3, 4]]])
def test_what_is_no_table_of_counts_is_refused(counts: list[object]) -> None:
    with pytest.raises(ValueError, match="counts must be a table"):
        count_test(counts)


# --- means ------------------------------------------------------------------------------------------


def test_two_groups_are_scipys_welch_and_more_statsmodels_anova() -> None:
    rng = np.random.default_rng(3)
    samples = [rng.normal(0, 1, 9), rng.normal(0.5, 4, 30), rng.normal(1, 2, 5)]
    p, test = mean_test(samples[:2])
    assert test == WELCH_T
    assert p == pytest.approx(stats.ttest_ind(*samples[:2], equal_var=False).pvalue, rel=1e-12)
    p, test = mean_test(samples)
    assert test == WELCH_ANOVA
    assert p == pytest.approx(anova_oneway(samples, use_var="unequal").pvalue, rel=1e-12)


def test_groups_of_one_take_no_part_in_means() -> None:
    rng = np.random.default_rng(4)
    two = [rng.normal(size=5), rng.normal(size=6)]
    assert mean_test([two[0], np.array([9.0]), two[1], np.array([])]) == mean_test(two)


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [[1.0, 2.0]],
        [[1.0, 2.0], [3.0]],
        [[1.0, 1.0], [2.0, 2.0]],
        [[0.1, 0.1, 0.1], [0.1, 0.1], [0.1, 0.2]],
    ],
)
def test_without_spread_or_groups_means_have_no_p(samples: list[list[float]]) -> None:
    p, test = mean_test([np.array(values) for values in samples])
    assert np.isnan(p)
    assert test == ""


def test_one_constant_group_of_two_can_be_compared() -> None:
    p, _ = mean_test([np.array([1.0, 1.0, 1.0]), np.array([2.0, 3.0, 4.0])])
    assert p == pytest.approx(stats.ttest_1samp([2.0, 3.0, 4.0], 1.0).pvalue)
