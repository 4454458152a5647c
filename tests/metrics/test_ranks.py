"""Ranks and the Mann-Whitney test against SciPy, on thousands of random samples with and without ties."""

import numpy as np
import pytest
from scipy import stats

from fairseg.metrics.ranks import mid_ranks, rank_sum_p, tie_sum


@pytest.mark.parametrize("decimals", [0, 1, 15])
def test_mid_ranks_are_scipys(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    for size in (1, 2, 7, 60):
        rows = rng.normal(size=(50, size)).round(decimals)
        assert (mid_ranks(rows) == stats.rankdata(rows, axis=1)).all()
        assert (mid_ranks(rows[0]) == stats.rankdata(rows[0])).all()
        tied = 1 - tie_sum(rows[0]) / max(size**3 - size, 1)
        assert tied == pytest.approx(stats.tiecorrect(stats.rankdata(rows[0])), rel=1e-12)


@pytest.mark.parametrize("decimals", [0, 1, 15])
@pytest.mark.parametrize("most", [4, 12, 80])
def test_rank_sums_are_scipys(most: int, decimals: int) -> None:
    rng = np.random.default_rng(most)
    for _ in range(400):
        first, second = (
            rng.normal(shift, size=rng.integers(2, most)).round(decimals) for shift in (0, rng.normal())
        )
        p = stats.mannwhitneyu(first, second, alternative="two-sided").pvalue
        assert rank_sum_p(first, second) == pytest.approx(p, rel=1e-12)


def test_a_large_group_beside_a_small_one_is_exact_beyond_the_integers_of_a_computer() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.normal(-2.0, size=8), rng.normal(size=900)
    p = stats.mannwhitneyu(small, large, method="exact").pvalue
    assert rank_sum_p(small, large) == pytest.approx(p, rel=1e-12)


def test_all_equal_is_no_evidence() -> None:
    assert rank_sum_p(np.ones(3), np.ones(20)) == 1.0
