"""Verdicts: how often they are false, what they could have shown, and the edges of when they are given."""

import numpy as np
import pytest
from scipy import stats

from fairseg.metrics import by_group, fairness_gap, skewed_error_ratio, worst_group
from fairseg.statistics import (
    benjamini_hochberg,
    bootstrap_interval,
    compare_fairness,
    detectable_gaps,
    judge,
    wilcoxon_signed_rank,
)
from fairseg.statistics.differences import sorted_parts
from fairseg.statistics.evidence import IRRELEVANT, NOT_JUDGED, OPEN, SHOWN
from fairseg.statistics.order_statistics import binomial_medians

DRAW = {
    "normal": lambda rng, size: rng.normal(0.9, 0.03, size),
    "skewed": lambda rng, size: 1 - rng.gamma(2.0, 0.04, size),
    "tied": lambda rng, size: np.round(rng.normal(0.9, 0.03, size), 2),
}
QUICK = {"resamples": 500, "simulations": 100}
FAST = {"resamples": 300, "simulations": 100}


def cohort(
    sizes: tuple[int, ...], medians: tuple[float, ...], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(0).normal(np.array(medians)[groups], 0.02), groups


def test_verdicts() -> None:
    values, groups = cohort((200, 40), (0.90, 0.86))
    assert judge(values, groups, 2, reference=0, **QUICK).verdict == SHOWN
    assert judge(values, groups, 2, **QUICK).verdict == SHOWN
    assert judge(values, groups, 2, reference=1, **QUICK).gap.estimate < 0
    equal, groups = cohort((200, 200), (0.9, 0.9))
    assert judge(equal, groups, 2, reference=0, **QUICK).verdict == OPEN
    assert judge(equal, groups, 2, reference=0, margin=0.02, **QUICK).verdict == IRRELEVANT
    assert judge(equal, groups, 2, margin=0.001, **QUICK).verdict == OPEN
    # A gap that is real and too small to matter does not matter.
    small, groups = cohort((4000, 4000), (0.9, 0.895))
    assert judge(small, groups, 2, **QUICK).verdict == SHOWN
    assert judge(small, groups, 2, margin=0.02, **QUICK).verdict == IRRELEVANT


def test_small_groups_are_reported_and_never_judged() -> None:
    values, groups = cohort((60, 30, 6, 0), (0.9, 0.9, 0.2, 0.9))
    evidence = judge(values, groups, 4, reference=0, **QUICK)
    assert evidence.judged == [0, 1]
    assert evidence.medians[2].estimate < 0.3
    assert abs(evidence.gap.estimate) < 0.1
    one, two = evidence.comparisons
    assert (one.second, one.verdict, two.second, two.verdict) == (1, OPEN, 2, NOT_JUDGED)
    assert two.gap.estimate > 0.5
    assert np.isnan([two.gap.low, two.p, two.corrected, two.detectable]).all()
    assert evidence.of(2) is two
    assert judge(values, groups, 4, reference=0, min_size=5, **QUICK).verdict == SHOWN
    # Five subjects lie on one side of their median too often for 95%, and so does one of two groups of six.
    for sizes in ((60, 30, 5), (60, 6, 6)):
        tiny = judge(*cohort(sizes, (0.9, 0.2, 0.2)), 3, reference=0, min_size=2, **QUICK)
        assert (tiny.judged, tiny.min_size) == ([0, 1] if 30 in sizes else [0], 6 if 30 in sizes else 7)
        assert tiny.comparisons[1].verdict == NOT_JUDGED
    # Nothing to judge: a reference that is too small, one group only, nobody.
    for chosen, given in ((2, groups), (None, np.zeros_like(groups)), (None, np.full_like(groups, -1))):
        nothing = judge(values, given, 4, reference=chosen, **QUICK)
        assert nothing.verdict == NOT_JUDGED
        assert np.isnan(nothing.gap.low)
        assert np.isnan(nothing.detectable)


def test_figures_are_those_of_the_measures() -> None:
    values, groups = cohort((60, 30, 20), (0.9, 0.88, 0.93))
    evidence = judge(values, groups, 3, **QUICK)
    medians, _ = by_group(values, groups, 3)
    assert [one.estimate for one in evidence.medians] == medians.tolist()
    assert evidence.gap.estimate == fairness_gap(medians)
    assert evidence.ratio.estimate == skewed_error_ratio(medians)
    assert evidence.worst.estimate == worst_group(medians)
    assert evidence.p == pytest.approx(stats.kruskal(*(values[groups == group] for group in range(3))).pvalue)
    assert [(one.first, one.second) for one in evidence.comparisons] == [(0, 1), (0, 2), (1, 2)]
    assert evidence.of(1) is None
    alone = bootstrap_interval(values, groups, 3, "fairness_gap", method="binomial", resamples=500)
    assert evidence.gap == alone
    # Limits hold together, so each is wider than that of two groups alone.
    pair = bootstrap_interval(
        values, np.where(groups == 2, -1, groups), 2, "fairness_gap", reference=0, method="binomial"
    )
    first = evidence.comparisons[0].gap
    assert first.high - first.low > pair.high - pair.low
    assert np.isnan(judge(values * 100, groups, 3, **QUICK).ratio).all()  # no shares of 1


@pytest.mark.parametrize("kind", DRAW)
@pytest.mark.parametrize("sizes", [(400, 12), (54, 30), (100, 40, 12), (60, 50, 40, 30, 20, 12)])
def test_no_gap_is_seldom_shown(sizes: tuple[int, ...], kind: str) -> None:
    rng = np.random.default_rng(len(sizes))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    number, false = 120, 0
    for seed in range(number):
        values = DRAW[kind](rng, sum(sizes))
        evidence = judge(values, groups, len(sizes), reference=0, **FAST, seed=seed)
        false += evidence.verdict == SHOWN
        assert (evidence.verdict == SHOWN) == any(one.verdict == SHOWN for one in evidence.comparisons)
    assert false / number <= 0.05 + 3 * 0.02


@pytest.mark.parametrize("size", [5, 6, 7, 8])
@pytest.mark.parametrize("number", [1, 5, 11])
def test_no_gap_to_tiny_groups_is_seldom_shown(size: int, number: int) -> None:
    rng = np.random.default_rng(size)
    sizes = (100, *[size] * number)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    false = 0
    for seed in range(80):
        values = rng.normal(0.9, 0.03, groups.size)
        evidence = judge(values, groups, len(sizes), reference=0, min_size=2, **FAST, seed=seed)
        false += evidence.verdict == SHOWN
    assert false / 80 <= 0.05 + 2 * 0.025


@pytest.mark.parametrize("sizes", [(200, 12), (54, 30)])
def test_detectable_gaps_are_shown_in_four_of_five_cohorts(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat([0, 1], sizes)
    scores = 1 - rng.gamma(2.0, 0.04, sum(sizes))
    parts = [np.sort(scores[groups == group]) for group in (0, 1)]
    [gap] = detectable_gaps(parts, [(0, 1)], tail=0.025, simulations=4000)
    pool = np.concatenate([part - np.median(part) for part in parts])
    shown = 0
    for seed in range(200):
        values = rng.choice(pool, sum(sizes)) + np.where(groups, gap * (-1) ** seed, 0.0)
        shown += judge(values, groups, 2, reference=0, **FAST, seed=seed).verdict == SHOWN
    assert shown / 200 == pytest.approx(0.8, abs=3 * 0.028)


def test_detectable_gaps_of_tied_scores_are_steps() -> None:
    # With 2000 rounded scores a group the limits are 0 and 0: the smallest gap there can be is shown, 0 not.
    rng = np.random.default_rng(0)
    parts = [np.sort(rng.normal(0.9, 0.03, 2000).round(2)) for _ in range(2)]
    [gap] = detectable_gaps(parts, [(0, 1)], tail=0.025)
    assert gap == pytest.approx(0.01)
    moved = np.concatenate([parts[0], (parts[1] - gap).round(2)])
    assert judge(moved, np.repeat([0, 1], 2000), 2, **QUICK).verdict == SHOWN
    assert detectable_gaps([np.full(20, 0.9)] * 2, [(0, 1)], tail=0.025) == [0.0]
    # Limits of a dozen lie between scores, where no gap can lie: the next step is named.
    few = [np.sort(np.round(rng.normal(0.9, 0.03, size) / 0.02) * 0.02) for size in (400, 12)]
    assert detectable_gaps(few, [(0, 1)], tail=0.025) == pytest.approx([0.04])


def test_missing_scores_take_no_part_in_verdicts() -> None:
    values, groups = cohort((60, 30, 12), (0.9, 0.88, 0.93))
    many = np.full(300, np.nan)
    padded = np.r_[many, values], np.r_[np.repeat([0, 1, 2], 100), groups]
    assert judge(*padded, 3, **QUICK) == judge(values, groups, 3, **QUICK)


def test_rounding_shows_no_gap() -> None:
    assert 0.1 + 0.2 > 0.3
    values = np.repeat([0.1 + 0.2, 0.3], 20)
    assert judge(values, np.repeat([0, 1], 20), 2, reference=0, **QUICK).verdict == OPEN
    # Draws between equal scores are these scores, whatever the share.
    rng = np.random.default_rng(0)
    for score in (0.9, 0.7, 0.93):
        assert set(binomial_medians(11, 1000, rng).of(np.full(11, score))) == {score}


def test_larger_cohorts_detect_more() -> None:
    rng = np.random.default_rng(0)
    found = []
    for size in (12, 50, 200, 3000):
        parts = [np.sort(rng.normal(0, 1, size)) for _ in range(2)]
        found.append(detectable_gaps(parts, [(0, 1)], tail=0.025)[0])
        # Of normal scores: (1.96 + 0.84) standard errors of a difference of medians.
        assert found[-1] == pytest.approx(2.8 * np.sqrt(np.pi / size), rel=0.3)
    assert sorted(found, reverse=True) == found
    assert detectable_gaps([], [], tail=0.025).size == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": 0.0}, "margin must be above 0, got 0.0"),
        ({"min_size": 1}, "min_size must be at least 2, got 1"),
        ({"level": 95}, "level"),
        ({"reference": 7}, "reference"),
    ],
)
def test_bad_options_of_verdicts_are_named(options: dict, message: str) -> None:
    values, groups = cohort((20, 20), (0.9, 0.8))
    with pytest.raises(ValueError, match=message):
        judge(values, groups, 2, **options)


def models(
    loss: float, gain: float, sizes: tuple[int, int] = (80, 25)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two models' scores: the second costs group 0 a loss and brings group 1 a gain."""
    first, groups = cohort(sizes, (0.92, 0.86))
    noise = np.random.default_rng(9).normal(0, 0.004, first.size)
    return first, first + noise + np.where(groups == 0, -loss, gain), groups


def test_lifting_is_told_from_levelling_down() -> None:
    lifted = compare_fairness(*models(0.0, 0.05), 2)
    assert lifted.fairer
    assert not lifted.levels_down
    assert lifted.share_lost < 0.1
    assert (lifted.best, lifted.worst) == (0, 1)
    assert lifted.changes[1].low > 0.03
    down = compare_fairness(*models(0.05, 0.0), 2, reference=0)
    assert down.fairer
    assert down.levels_down
    assert down.changes[0].high < -0.03
    assert down.p[0] < 0.001
    both = compare_fairness(*models(0.02, 0.03), 2)
    assert both.share_lost == pytest.approx(0.4, abs=0.1)
    assert not both.levels_down
    worse = compare_fairness(*models(-0.02, 0.0), 2)
    assert worse.narrowing.high < 0
    assert np.isnan(worse.share_lost)
    assert not worse.levels_down
    same, _, groups = models(0, 0)
    nothing = compare_fairness(same, same, groups, 2)
    assert (nothing.narrowing.estimate, nothing.p_all) == (0, 1)
    assert not nothing.fairer


def test_changes_are_those_of_resampled_pairs() -> None:
    first, second, groups = models(0.01, 0.01, (31, 14))
    found = compare_fairness(first, second, groups, 2)
    rng = np.random.default_rng(0)
    drawn = np.empty((4000, 2, 2))
    for row in drawn:
        for group in (0, 1):
            places = rng.choice(np.flatnonzero(groups == group), (groups == group).sum())
            row[group] = np.median(first[places]), np.median(second[places])
    for group in (0, 1):
        limits = np.quantile(
            drawn[:, group, 1] - drawn[:, group, 0], (0.0125, 0.9875)
        )  # of two groups together
        np.testing.assert_allclose(found.changes[group][1:], limits, atol=1.5e-3)
        assert found.p[group] == wilcoxon_signed_rank(second[groups == group], first[groups == group])
    # The gaps are far from zero, so that only one order of the groups is plausible: plain percentiles.
    gaps = drawn[:, 0] - drawn[:, 1]
    np.testing.assert_allclose(
        found.narrowing[1:], np.quantile(gaps[:, 0] - gaps[:, 1], (0.025, 0.975)), atol=1.5e-3
    )
    assert found.gaps[0] == bootstrap_interval(first, groups, 2, "fairness_gap", method="binomial")


def test_subjects_without_a_pair_and_small_groups_take_no_part() -> None:
    first, second, groups = models(0.02, 0.03)
    expected = compare_fairness(first, second, groups, 2)
    first, second = np.r_[first, np.nan, 0.1, 0.2, 0.3], np.r_[second, 0.5, np.nan, 0.2, 0.3]
    found = compare_fairness(first, second, np.r_[groups, 0, 1, -1, 2], 3)
    assert (found.judged, found.narrowing, found.gaps) == ([0, 1], expected.narrowing, expected.gaps)
    assert np.isnan(found.changes[2].low)
    empty = compare_fairness([], [], np.zeros(0, int), 2)
    assert np.isnan(empty.narrowing).all()
    assert empty.best is None
    with pytest.raises(ValueError, match="vectors of one length"):
        compare_fairness(first, second[:-1], groups, 3)


@pytest.mark.parametrize("after", [(0.9, 0.9), (0.9, 0.92), (0.9, 0.86)])
@pytest.mark.parametrize("sizes", [(100, 12), (54, 30)])
def test_a_fairer_model_is_seldom_claimed_in_vain(sizes: tuple[int, int], after: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], sizes)
    truth = 0.04 - abs(after[0] - after[1])
    missed = 0
    for seed in range(150):
        shared = rng.normal(0, 0.02, groups.size)
        one = np.array((0.9, 0.86))[groups] + shared + rng.normal(0, 0.015, groups.size)
        two = np.array(after)[groups] + shared + rng.normal(0, 0.015, groups.size)
        narrowing = compare_fairness(one, two, groups, 2, resamples=300, seed=seed).narrowing
        missed += not narrowing.low <= truth <= narrowing.high
    assert missed / 150 <= 0.07 + 3 * 0.018


def test_false_discoveries_among_many_labels_are_few() -> None:
    rng = np.random.default_rng(0)
    p_values = np.r_[rng.random(90), rng.random(10) * 1e-4]
    found = benjamini_hochberg(p_values) < 0.05
    assert found[90:].all()
    assert found[:90].mean() < 0.05


@pytest.mark.parametrize(("sizes", "spread"), [((400, 12), 4.0), ((54, 30), 2.0), ((400, 30), 0.3)])
def test_a_group_that_is_spread_differently_shows_its_detectable_gap(
    sizes: tuple[int, int], spread: float
) -> None:
    groups, scale = np.repeat([0, 1], sizes), np.repeat([0.03, 0.03 * spread], sizes)
    rng = np.random.default_rng(0)
    pairs = [(0, 1)]
    cohorts = [sorted_parts(rng.normal(0.9, scale), groups, 2) for _ in range(30)]
    gap = np.median([detectable_gaps(parts, pairs, tail=0.025, simulations=200)[0] for parts in cohorts])
    shown = 0
    for seed in range(100):
        values = rng.normal(0.9 - gap * groups, scale)
        found = judge(values, groups, 2, reference=0, resamples=500, simulations=100, seed=seed)
        shown += found.verdict == "gap shown"
    assert 65 <= shown <= 96  # drawn from the scores of all: 10 of the first, 36 of the second, 100


def test_groups_that_spread_alike_are_drawn_from_the_scores_of_all() -> None:
    rng = np.random.default_rng(0)
    parts = [np.sort(rng.normal(0.9, 0.03, size)) for size in (200, 200, 12)]
    before = detectable_gaps(parts, [(0, 2)], tail=0.025)
    parts[2] = np.sort(parts[2] + 0.1)  # a gap is no spread
    assert detectable_gaps(parts, [(0, 2)], tail=0.025) == pytest.approx(before)
