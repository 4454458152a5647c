"""Tests, corrections and effect sizes against SciPy, statsmodels, scikit-learn and slow loops."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from fairseg.statistics import (
    benjamini_hochberg,
    cliffs_delta,
    effects,
    hodges_lehmann,
    holm,
    kruskal_wallis,
    pairwise_mann_whitney,
    permutation_test,
    wilcoxon_signed_rank,
)

NAN = float("nan")
# Ties and equal groups included; whole numbers, so that slow loops and sums agree to the bit.
samples = st.lists(st.integers(0, 12), min_size=1, max_size=15)


def test_kruskal_wallis_is_scipys_over_known_groups() -> None:
    rng = np.random.default_rng(0)
    values, groups = rng.random(60), np.repeat([0, 1, 2, -1], 15)
    expected = stats.kruskal(*(values[groups == group] for group in range(3))).pvalue
    assert kruskal_wallis(values, groups, 4) == pytest.approx(expected)
    assert np.isnan(kruskal_wallis(values[:15], groups[:15], 3))
    assert kruskal_wallis(np.ones(30), groups[:30], 3) == 1.0
    # A group of one value is no evidence.
    assert kruskal_wallis(np.r_[values, 99.0], np.r_[groups, 3], 4) == pytest.approx(expected)


def test_pairs_are_tested_and_corrected() -> None:
    rng = np.random.default_rng(1)
    values, groups = rng.random(45), np.repeat([0, 1, 2], 15)
    parts = [values[groups == group] for group in range(3)]
    pairs, p_values, corrected = pairwise_mann_whitney(values, groups, 3)
    assert pairs == [(0, 1), (0, 2), (1, 2)]
    expected = [stats.mannwhitneyu(parts[one], parts[two]).pvalue for one, two in pairs]
    np.testing.assert_allclose(p_values, expected)
    np.testing.assert_allclose(corrected, multipletests(expected, method="holm")[1])
    pairs, _, corrected = pairwise_mann_whitney(values, groups, 4, reference=1)
    assert pairs == [(1, 0), (1, 2)]
    np.testing.assert_allclose(corrected, multipletests([expected[0], expected[2]], method="holm")[1])
    assert pairwise_mann_whitney(values, groups, 4, reference=3)[0] == []


def test_corrections_by_hand() -> None:
    # Holm: 0.01 x 3, then 0.03 x 2, then 0.04 x 1 but no smaller than the one before.
    np.testing.assert_allclose(holm([0.04, NAN, 0.01, 0.03]), [0.06, NAN, 0.03, 0.06])
    # Benjamini-Hochberg: 0.04 x 3/3, 0.03 x 3/2 but no larger than the one after, 0.01 x 3/1.
    np.testing.assert_allclose(benjamini_hochberg([0.04, NAN, 0.01, 0.03]), [0.04, NAN, 0.03, 0.04])
    drawn = np.random.default_rng(0).random(30) ** 4
    np.testing.assert_allclose(holm(drawn), multipletests(drawn, method="holm")[1])
    np.testing.assert_allclose(benjamini_hochberg(drawn), multipletests(drawn, method="fdr_bh")[1])
    assert holm([]).size == 0
    assert np.isnan(holm([NAN])).all()


def test_signed_ranks_are_scipys() -> None:
    rng = np.random.default_rng(0)
    one = rng.random(20)
    two = one + rng.normal(0.05, 0.1, 20)
    assert wilcoxon_signed_rank(one, two) == pytest.approx(stats.wilcoxon(one, two).pvalue)
    assert wilcoxon_signed_rank(np.r_[one, NAN], np.r_[two, 0.1]) == pytest.approx(
        stats.wilcoxon(one, two).pvalue
    )
    assert wilcoxon_signed_rank(one, one) == 1.0
    assert wilcoxon_signed_rank(one, one + 1e-15) == 1.0
    assert np.isnan(wilcoxon_signed_rank([0.1], [0.2]))
    with pytest.raises(ValueError, match="vectors of one length, got"):
        wilcoxon_signed_rank(one, two[:5])


@pytest.mark.parametrize("size", [2, 3, 8, 10, 14])
@pytest.mark.parametrize("decimals", [1, 9])
def test_signed_ranks_are_scipys_with_and_without_ties(size: int, decimals: int) -> None:
    for seed in range(4):
        change = np.random.default_rng(seed).normal(0.3, 1, size).round(decimals)
        expected = stats.wilcoxon(change[change != 0]).pvalue
        assert wilcoxon_signed_rank(change, np.zeros(size)) == pytest.approx(expected)


def test_pairs_without_a_difference_do_not_make_the_others_many() -> None:
    """SciPy tests 5 that differ of 14 by the normal approximation: p = 0.043, which no 5 signs can have."""
    change = np.r_[0.01, 0.02, 0.03, 0.04, 0.05, np.zeros(9)]
    assert wilcoxon_signed_rank(change, np.zeros(14)) == pytest.approx(2 / 2**5)
    twenty = np.r_[np.arange(1, 21), np.zeros(9)]
    assert wilcoxon_signed_rank(twenty, np.zeros(29)) == pytest.approx(2 / 2**20)


def test_rounding_does_not_rank_equal_changes() -> None:
    one = np.array([0.92, 0.95, 0.81, 0.77, 0.60])
    two = np.array([0.90, 0.93, 0.83, 0.75, 0.58])
    assert len(set(np.abs(one - two))) > 1  # all changed by 0.02, as far as floats can say
    assert wilcoxon_signed_rank(one, two) == pytest.approx(2 * 6 / 32)  # one of five signs, or none
    assert wilcoxon_signed_rank(one + 300, two + 300) == pytest.approx(2 * 6 / 32)


def test_permutations_are_scipys() -> None:
    rng = np.random.default_rng(0)
    parts = rng.normal(0, 1, 25), rng.normal(0.6, 1, 14)

    def size(one: np.ndarray, two: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.abs(np.median(one, axis=axis) - np.median(two, axis=axis))

    expected = stats.permutation_test(parts, size, n_resamples=20_000, alternative="greater", rng=0).pvalue
    values, groups = np.concatenate(parts), np.repeat([0, 1], [25, 14])
    assert permutation_test(values, groups, 2, permutations=20_000) == pytest.approx(expected, abs=0.01)
    assert permutation_test(values, groups, 2, reference=1, permutations=20_000) == pytest.approx(
        expected, abs=0.01
    )
    assert np.isnan(permutation_test(values[:25], groups[:25], 2))


def test_few_permutations_can_be_counted() -> None:
    # Of the 20 ways to deal six subjects, two put {4, 5, 6} against {1, 2, 3}: medians 3 apart or more.
    ways = list(product([0, 1], repeat=6))
    dealt = [np.array(way) for way in ways if sum(way) == 3]
    values = np.arange(1.0, 7.0)
    share = np.mean([abs(np.median(values[way == 0]) - np.median(values[way == 1])) >= 3 for way in dealt])
    found = permutation_test(values, [0, 0, 0, 1, 1, 1], 2, permutations=40_000)
    assert found == pytest.approx(share, abs=0.006)


def test_permutation_tests_are_exact_without_a_gap() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], (40, 12, 8))
    p_values = [
        permutation_test(1 - rng.gamma(2, 0.04, 60), groups, 3, permutations=199, seed=seed)
        for seed in range(400)
    ]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=3 * 0.011)


@settings(max_examples=60)
@given(samples, samples)
def test_effects_are_those_of_slow_loops(first: list[int], second: list[int]) -> None:
    signs = [np.sign(one - two) for one in first for two in second]
    delta = cliffs_delta(first, second)
    assert delta.estimate == pytest.approx(np.mean(signs), abs=1e-12)
    assert -1 <= delta.low <= delta.estimate + 1e-9
    assert delta.estimate - 1e-9 <= delta.high <= 1
    opposite = cliffs_delta(second, first)
    np.testing.assert_allclose((opposite.low, opposite.high), (-delta.high, -delta.low), atol=1e-9)
    differences = np.sort([one - two for one in first for two in second])
    shift = hodges_lehmann(first, second)
    assert shift.estimate == pytest.approx(np.median(differences), abs=1e-9)
    spread = np.sqrt(len(signs) * (len(first) + len(second) + 1) / 12)
    rank = max(0, int(np.floor(len(signs) / 2 - stats.norm.ppf(0.975) * spread - 0.5)))
    assert shift.low == pytest.approx(differences[rank], abs=1e-9)
    assert shift.high == pytest.approx(differences[-1 - rank], abs=1e-9)


def test_effects_of_nothing() -> None:
    assert np.isnan(cliffs_delta([], [1.0])).all()
    assert np.isnan(hodges_lehmann([NAN], [1.0])).all()
    apart = cliffs_delta(np.arange(12.0) + 100, np.arange(12.0))
    assert apart.estimate == apart.high == 1
    assert 0.5 < apart.low < 0.9  # no overlap in twelve is no proof of none


def test_interval_of_delta_agrees_with_newcombes() -> None:
    # The equation of his method 5, solved on a grid.
    rng = np.random.default_rng(4)
    one, two = rng.normal(1, 1, 12), rng.normal(0, 1, 30)
    found = cliffs_delta(one, two)
    grid = np.linspace(0, 1, 2_000_001)
    half = (12 + 30) / 2 - 1
    variance = grid * (1 - grid) * (1 + half * (1 - grid) / (2 - grid) + half * grid / (1 + grid)) / 360
    inside = grid[np.abs((found.estimate + 1) / 2 - grid) <= stats.norm.ppf(0.975) * np.sqrt(variance)]
    np.testing.assert_allclose(found[1:], 2 * inside[[0, -1]] - 1, atol=2e-6)


@pytest.mark.parametrize("sizes", [(12, 200), (30, 54)])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_intervals_of_effects_cover_the_truth(sizes: tuple[int, int], shift: float) -> None:
    rng = np.random.default_rng(0)
    truth = 2 * stats.norm.cdf(shift / np.sqrt(2)) - 1
    held = np.zeros(2)
    for _ in range(600):
        one, two = rng.normal(shift, 1, sizes[0]), rng.normal(0, 1, sizes[1])
        delta, moved = cliffs_delta(one, two), hodges_lehmann(one, two)
        held += delta.low <= truth <= delta.high, moved.low <= shift <= moved.high
    assert (np.abs(held / 600 - 0.95) < 0.02 + 3 * 0.009).all()


def test_counting_pairs_gives_what_sorting_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 9, 40) / 8, rng.random(31)
    listed = hodges_lehmann(one, two)
    monkeypatch.setattr(effects, "_MOST_LISTED", 0)
    np.testing.assert_allclose(hodges_lehmann(one, two), listed, atol=1e-12)


def test_large_groups_need_no_list_of_pairs() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(0.3, 1, 30_000), rng.normal(0, 1, 40_000)  # 1.2 billion pairs
    shift = hodges_lehmann(one, two)
    assert shift.estimate == pytest.approx(0.3, abs=0.03)
    assert shift.low < 0.3 < shift.high


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_many_samples_have_scipys_p_values(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    for _ in range(400):
        sizes = rng.integers(2, 25, rng.integers(2, 6))
        parts = [rng.normal(rng.normal(), 1, size).round(decimals) for size in sizes]
        pooled, groups = np.concatenate(parts), np.repeat(np.arange(sizes.size), sizes)
        if np.ptp(pooled):
            expected = stats.kruskal(*parts).pvalue
            assert kruskal_wallis(pooled, groups) == pytest.approx(expected, rel=1e-12)
        change = rng.normal(0.2, 1, rng.integers(14, 90)).round(decimals)
        expected = stats.wilcoxon(change[change != 0]).pvalue
        assert wilcoxon_signed_rank(change, np.zeros(change.size)) == pytest.approx(expected, rel=1e-12)
        p = rng.random(rng.integers(1, 30)).round(decimals)
        np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p), rtol=1e-12)


def test_a_p_value_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"p_values must be from 0 to 1, got 0\.5 to 1\.5"):
        benjamini_hochberg([0.5, NAN, 1.5])
