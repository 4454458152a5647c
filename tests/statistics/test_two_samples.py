"""The two-sample tests against SciPy, brute force and properties."""

import numpy as np
import pytest
from scipy import stats

from fairseg.statistics.location_shift import LocationShift
from fairseg.statistics.two_samples import (
    brunner_munzel,
    fisher_exact,
    limits_of_median,
    newcombe,
    share_p_values,
    signed_rank_limits,
    times_to_settle_shares,
    wilson,
)
from tests.statistics.two_groups import SHAPES, samples


@pytest.mark.parametrize("shape", SHAPES)
def test_brunner_munzel_is_scipys(shape: str) -> None:
    rng = np.random.default_rng(1)
    for sizes in [(12, 15), (54, 30), (400, 12)]:
        first, second = samples(rng, shape, sizes)
        known = stats.brunnermunzel(first, second)
        test = brunner_munzel(first, second)
        assert test.p == pytest.approx(known.pvalue, rel=1e-6)
        assert (test.effect - 0.5) / test.se == pytest.approx(-known.statistic, rel=1e-6)


def test_without_overlap_p_is_small_but_not_zero() -> None:
    test = brunner_munzel(np.linspace(0.8, 0.9, 12), np.linspace(0.3, 0.4, 15))
    assert test.effect == 1.0
    assert 0.0 < test.p < 1e-20


@pytest.mark.parametrize(("sizes", "perfect"), [((400, 12), 0.8), ((400, 12), 0.95), ((400, 60), 0.95)])
def test_a_group_of_one_value_that_others_have_too_shows_little(
    sizes: tuple[int, int], perfect: float
) -> None:
    rng = np.random.default_rng(0)
    p = []
    for _ in range(200):
        parts = [np.where(rng.random(n) < perfect, 1.0, rng.uniform(0.6, 0.9, n)) for n in sizes]
        p.append(brunner_munzel(*parts).p)
        assert LocationShift(*parts).test.p == p[-1]
    assert np.mean(np.array(p) <= 0.05) <= 0.08
    assert min(p) > 1e-4


@pytest.mark.parametrize("size", [1, 4, 6, 11, 40, 130])
def test_signed_rank_limits_by_listing_all_pairs(size: int) -> None:
    values = np.random.default_rng(size).normal(0.01, 0.03, size).round(4)
    rows, columns = np.triu_indices(size)
    means = np.sort((values[rows] + values[columns]) / 2)
    found = signed_rank_limits(values)
    assert found.estimate == pytest.approx(np.median(means), abs=1e-9)
    if size < 6:
        assert np.isnan([found.low, found.high]).all()
        return
    for limit in (found.low, found.high):
        assert np.abs(means - limit).min() < 1e-9
    for shift, outside in ((found.low - 1e-6, True), (found.low + 1e-6, False), (found.high + 1e-6, True)):
        method = "exact" if size <= 100 else "asymptotic"
        p = stats.wilcoxon(values - shift, method=method, correction=size > 100).pvalue
        assert (p <= 0.05) == outside


def test_median_limits_by_the_binomial_distribution() -> None:
    for size in (6, 10, 31, 200):
        values = np.arange(size, dtype=float)
        found = limits_of_median(np.sort(values))
        known = stats.quantile_test(values).confidence_interval(0.95)
        assert (found.low, found.high) == (known.low, known.high)
    assert np.isnan(limits_of_median(np.arange(5.0)).low)


def test_wilson_and_newcombe_by_published_cases() -> None:
    assert tuple(wilson(81, 263)) == pytest.approx((0.3080, 0.2553, 0.3662), abs=5e-5)  # Newcombe 1998, 857
    assert tuple(newcombe(56, 70, 48, 80)) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)  # Newcombe, 873
    assert tuple(newcombe(0, 20, 0, 10)) == pytest.approx((0.0, -0.2775, 0.1611), abs=5e-5)


def test_fisher_is_of_all_tables_that_are_no_likelier() -> None:
    for first, second in [((6, 10), (0, 30)), ((3, 12), (40, 400)), ((5, 54), (5, 30)), ((0, 5), (0, 6))]:
        table = [[first[0], first[1] - first[0]], [second[0], second[1] - second[0]]]
        assert fisher_exact(*first, *second) == pytest.approx(stats.fisher_exact(table).pvalue)


def test_p_of_shares_never_contradicts_newcombe() -> None:
    for one, other, marked in [(54, 30, 15), (200, 200, 11), (10, 30, 7), (12, 400, 20)]:
        p = share_p_values(one, other, marked)
        for count in np.flatnonzero(~np.isnan(p)):
            assert p[count] >= fisher_exact(count, one, marked - count, other) - 1e-12
            if 1e-12 < p[count] < 0.3:
                found = newcombe(count, one, marked - count, other, level=1 - p[count] * 1.0001)
                assert found.low > 0 or found.high < 0


def test_missing_values_are_left_out_and_errors_name_the_argument() -> None:
    assert brunner_munzel([0.9, np.nan, 0.8], [0.7, 0.6, np.nan]).effect == 1.0
    with pytest.raises(ValueError, match="second must have at least 2 values, got 1"):
        LocationShift([0.9, 0.8], [0.7, np.nan]).limits()
    with pytest.raises(ValueError, match=r"level must be between 0 and 1, got 95"):
        LocationShift([0.9, 0.8], [0.7, 0.6]).limits(level=95)
    with pytest.raises(ValueError, match="got 5 of 3"):
        newcombe(5, 3, 0, 3)


def test_the_subjects_that_settle_a_share_are_those_that_halving_finds() -> None:
    def settled(first: int, n: int, second: int, m: int, margin: float, times: float) -> bool:
        share, other = (wilson(k * times, total * times, 0.9) for k, total in ((first, n), (second, m)))
        difference = share.estimate - other.estimate
        low = difference - np.hypot(share.estimate - share.low, other.high - other.estimate)
        high = difference + np.hypot(share.high - share.estimate, other.estimate - other.low)
        return bool(-margin <= low and high <= margin) or low > margin or high < -margin

    rng = np.random.default_rng(0)
    for _ in range(60):
        n, m = rng.integers(5, 60, 2).tolist()
        table = int(rng.integers(0, n + 1)), n, int(rng.integers(0, m + 1)), m
        found = times_to_settle_shares(*table, 0.05, 0.05)
        if found == 1.0:
            assert settled(*table, 0.05, 1.0)
        elif np.isfinite(found):
            assert settled(*table, 0.05, found * (1 + 1e-6))
            assert not settled(*table, 0.05, found * (1 - 1e-5))
