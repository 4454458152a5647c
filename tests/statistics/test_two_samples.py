"""The two-sample tests against SciPy, brute force and properties."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from fairseg.metrics.fairness import Floats
from fairseg.statistics import two_samples
from fairseg.statistics.two_samples import (
    LocationShift,
    brunner_munzel,
    fisher_exact,
    hodges_lehmann_limits,
    median_limits,
    newcombe,
    share_p_values,
    signed_rank_limits,
    wilson,
)


def samples(rng: np.random.Generator, shape: str, sizes: Sequence[int]) -> tuple[Floats, Floats]:
    first, second = (rng.beta(20, 2, size) for size in sizes)
    if shape == "two decimals":
        return first.round(2), (second - 0.01).round(2)
    if shape == "ceiling":
        return np.minimum(first * 1.08, 1.0), np.minimum(second * 1.06, 1.0)
    if shape == "spread":
        return 0.8 + (first - 0.8) * 3, second
    return first, second * 0.98


SHAPES = ["plain", "two decimals", "ceiling", "spread"]


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


@pytest.mark.parametrize("shape", ["plain", "spread"])
def test_shift_is_the_median_of_all_differences(shape: str) -> None:
    rng = np.random.default_rng(2)
    for sizes in [(5, 8), (7, 9), (54, 30), (700, 650)]:
        first, second = samples(rng, shape, sizes)
        estimate = hodges_lehmann_limits(first, second).estimate
        assert estimate == pytest.approx(np.median(np.subtract.outer(first, second)), abs=3e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_limits_agree_with_the_test_at_every_level(shape: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        first, second = samples(rng, shape, rng.integers(5, 60, 2))
        shift = LocationShift(first, second)
        for level in (0.8, 0.9, 0.95, 0.999):
            found = shift.limits(level)
            assert found.low <= found.estimate <= found.high
            assert (shift.test.p <= 1 - level) == (found.low > 0 or found.high < 0)


def test_limits_are_the_shifts_that_the_test_rejects() -> None:
    rng = np.random.default_rng(4)
    first, second = samples(rng, "spread", (54, 30))
    found = hodges_lehmann_limits(first, second, level=0.9)
    for limit, outward in ((found.low, -1), (found.high, 1)):
        assert brunner_munzel(first - (limit - outward * 1e-4), second).p > 0.1
        assert brunner_munzel(first - (limit + outward * 5e-3), second).p < 0.1


def test_shift_moves_with_the_values_and_turns_with_the_groups() -> None:
    rng = np.random.default_rng(5)
    first, second = samples(rng, "plain", (40, 25))
    found, moved, turned = (
        hodges_lehmann_limits(*pair) for pair in [(first, second), (first + 0.1, second), (second, first)]
    )
    np.testing.assert_allclose(moved, np.array(found) + 0.1, atol=1e-6)
    np.testing.assert_allclose(turned, [-found.estimate, -found.high, -found.low], atol=1e-6)


def test_values_to_two_decimals_give_the_shift_of_the_values_before_rounding() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.normal(0.85, 0.03, 3000), rng.normal(0.8367, 0.03, 3000)
    exact, rounded = (
        hodges_lehmann_limits(first, second),
        hodges_lehmann_limits(first.round(2), second.round(2)),
    )
    np.testing.assert_allclose(rounded, exact, atol=1e-3)


def test_one_group_unchanged_and_the_other_moved_alike() -> None:
    found = hodges_lehmann_limits([0.011] * 20, [0.0] * 30)
    np.testing.assert_allclose(found, 0.011, atol=1e-5)
    assert tuple(hodges_lehmann_limits([0.9] * 5, [0.9] * 6)) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("sizes", [(54, 30), (400, 12)])
@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_limits_cover_a_true_shift(sizes: tuple[int, int], spread: float) -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        first = rng.normal(0.85, 0.03, sizes[0])
        second = rng.normal(0.82, 0.03 * spread, sizes[1])
        low, high = hodges_lehmann_limits(first, second)[1:]
        covered += low <= 0.03 <= high
    assert 0.90 <= covered / 300 <= 0.985


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
        found = median_limits(values)
        known = stats.quantile_test(values).confidence_interval(0.95)
        assert (found.low, found.high) == (known.low, known.high)
    assert np.isnan(median_limits(np.arange(5.0)).low)


def test_wilson_and_newcombe_by_published_cases() -> None:
    assert tuple(wilson(81, 263)) == pytest.approx((0.3080, 0.2553, 0.3662), abs=5e-5)  # Newcombe 1998, 857
    assert tuple(newcombe(56, 70, 48, 80)) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)  # Newcombe, 873
    assert tuple(newcombe(0, 20, 0, 10)) == pytest.approx((0.0, -0.2775, 0.1611), abs=5e-5)


def test_fisher_is_twice_the_smaller_tail() -> None:
    for first, second in [((6, 10), (0, 30)), ((3, 12), (40, 400)), ((5, 54), (5, 30)), ((0, 5), (0, 6))]:
        law = stats.hypergeom(first[1] + second[1], first[0] + second[0], first[1])
        expected = min(1.0, 2 * min(law.cdf(first[0]), law.sf(first[0] - 1)))
        assert fisher_exact(*first, *second) == pytest.approx(expected)


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
        hodges_lehmann_limits([0.9, 0.8], [0.7, np.nan])
    with pytest.raises(ValueError, match=r"level must be between 0 and 1, got 95"):
        hodges_lehmann_limits([0.9, 0.8], [0.7, 0.6], level=95)
    with pytest.raises(ValueError, match="got 5 of 3"):
        newcombe(5, 3, 0, 3)


@pytest.mark.parametrize("decimals", [2, 4, 15])
@pytest.mark.parametrize("turned", [False, True])
def test_a_small_group_beside_thousands_is_tested_as_by_looking_up_every_subject(
    decimals: int, turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(decimals)
    parts = [rng.normal(0.9, 0.03, 20).round(decimals), rng.normal(0.89, 0.03, 3000).round(decimals)]
    parts = parts[::-1] if turned else parts
    counted = LocationShift(*parts)
    monkeypatch.setattr(two_samples, "_LARGE", 10_000)
    one_by_one = LocationShift(*parts)

    assert counted.test == one_by_one.test
    for shift in (-0.03, -0.01, 0.0, 0.005, 0.0123):
        np.testing.assert_allclose(counted.at(shift), one_by_one.at(shift), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(counted.limits(0.9999), one_by_one.limits(0.9999), atol=1e-7)
