"""Plans: the power they state is the power there is, in either direction; exact power by other means."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fairseg.statistics.planning import (
    assumed_scores,
    detectable_failures,
    detectable_shifts,
    failure_power,
    plan_failures,
    plan_shift,
)
from fairseg.statistics.pools import DIRECTIONS, Direction, Pools


def pool(kind: str) -> Any:
    rng = np.random.default_rng(3)
    if kind == "skewed":
        return assumed_scores(0.9, 0.08)
    good = rng.beta(20, 2.2, 1500)
    return np.where(rng.random(1500) < 0.08, rng.uniform(0.1, 0.45, 1500), good)  # a failing tail


def counted_power(
    first: Any, second: Any, difference: float, sizes: tuple[int, int], direction: Direction, alpha: float
) -> float:
    """Return the share of 300 cohorts in which SciPy's test shows the difference."""
    rng, shown = np.random.default_rng(17), 0
    for _ in range(300):
        x, y = (rng.choice(part, size) for part, size in zip((first, second), sizes, strict=True))
        worse = y if direction == "second worse" else x
        worse -= np.minimum(difference, worse)
        shown += bool(
            stats.brunnermunzel(*((x, y) if direction == "second worse" else (y, x))).pvalue <= alpha
            and (np.median(x) > np.median(y)) == (direction == "second worse")
        )
    return shown / 300


@pytest.mark.parametrize(
    ("kind", "sizes", "alpha"),
    [
        ("skewed", (54, 30), 0.05),
        ("skewed", (150, 12), 0.05),
        ("tail", (54, 30), 0.004),
        ("tail", (100, 100), 0.05),
    ],
)
def test_what_a_cohort_can_show_is_shown_as_often_as_stated(
    kind: str, sizes: tuple[int, int], alpha: float
) -> None:
    scores = pool(kind)
    for plan, direction in zip(
        detectable_shifts(scores, scores, *sizes, alpha=alpha), DIRECTIONS, strict=True
    ):
        assert plan.direction == direction
        assert 0.75 <= plan.power <= 0.85
        # The standard error of 300 cohorts is 2.3 points.
        assert 0.73 <= counted_power(scores, scores, plan.difference, sizes, direction, alpha) <= 0.87


@pytest.mark.parametrize(("direction", "ratio"), [*product(DIRECTIONS, [1.0, 4.0])])
def test_the_subjects_needed_give_the_power_asked_for(direction: Direction, ratio: float) -> None:
    scores = pool("skewed")
    plan = plan_shift(scores, scores, 0.04, direction=direction, ratio=ratio)
    assert plan.n_first == pytest.approx(ratio * plan.n_second, abs=1)
    assert 0.75 <= plan.power <= 0.86
    sizes = plan.n_first, plan.n_second
    assert 0.73 <= counted_power(scores, scores, 0.04, sizes, direction, 0.05) <= 0.87


def test_power_rises_steadily_with_the_shift_where_scores_have_two_decimals() -> None:
    scores = np.minimum(np.random.default_rng(0).beta(30, 1.5, 800), 1.0).round(2)
    pools = Pools(scores, scores, (0.0, 1.0))
    shifts = [0.016, 0.018, 0.0199, 0.0201, 0.022, 0.024]
    powers = [pools.power(shift, 54, 30, "second worse", 0.05, seed=0) for shift in shifts]
    assert np.diff(powers).min() > -0.03
    assert np.diff(powers).max() < 0.15
    for plan in detectable_shifts(scores, scores, 54, 30):
        assert 0.75 <= plan.power <= 0.85


def test_the_two_directions_are_told_apart() -> None:
    scores = assumed_scores(0.9, 0.08)
    worse, better = detectable_shifts(scores, scores, 120, 12)
    other_worse, other_better = detectable_shifts(scores, scores, 12, 120)
    assert abs(worse.difference - better.difference) > 0.005
    assert other_worse.difference == pytest.approx(better.difference, rel=0.1)
    assert other_better.difference == pytest.approx(worse.difference, rel=0.1)


def test_a_gap_of_the_pilot_itself_does_not_help() -> None:
    scores = assumed_scores(0.85, 0.08)
    plans = [plan_shift(scores, second, 0.05).n_second for second in (scores, scores - 0.1)]
    assert plans[0] == pytest.approx(plans[1], abs=2)


def test_more_subjects_are_needed_for_less_and_for_surer() -> None:
    scores = assumed_scores(0.9, 0.06)
    base = plan_shift(scores, scores, 0.03).n_second
    assert plan_shift(scores, scores, 0.015).n_second > 2.5 * base
    assert plan_shift(scores, scores, 0.03, power=0.95).n_second > base
    assert plan_shift(scores, scores, 0.03, alpha=0.005).n_second > base


def test_what_cannot_be_shown_is_said() -> None:
    scores = assumed_scores(0.9, 0.06)
    assert all(np.isnan(plan.difference) for plan in detectable_shifts(scores, scores, 2, 2, alpha=0.001))
    assert np.isnan(detectable_failures(0.05, 3, 3)[0].difference)
    same = plan_shift([0.5] * 20, [0.5] * 20, 0.1)
    assert same.n_first == same.n_second > 1  # no spread: a few suffice


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_difference_that_no_scores_can_have_is_refused(direction: Direction) -> None:
    """From a typical score of .9 another lies at most .9 lower, whichever group is the better served."""
    pool = assumed_scores(0.9, 0.03)
    assert plan_shift(pool, pool, 0.85, direction=direction).n_second > 0
    with pytest.raises(ValueError, match=r"at most 0\.9, got 0\.95"):
        plan_shift(pool, pool, 0.95, direction=direction)


@pytest.mark.parametrize("alike", [True, False])
def test_sizes_for_less_than_a_pilot_resolves_go_with_the_square(alike: bool) -> None:
    """Normal groups of SD s need 2 (1.96 + 0.84)^2 pi/3 (s/d)^2 subjects each, nearly, where d is small."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.9, 0.03, (2, 20))
    truth = 2 * 7.85 * np.pi / 3 * (0.03 / 0.001) ** 2
    fine = plan_shift(first, first if alike else second, 0.001)
    finer = plan_shift(first, first if alike else second, 0.0005)
    assert truth / 3 < fine.n_second < 3 * truth
    assert finer.n_second == pytest.approx(4 * fine.n_second, rel=0.15)
    assert plan_shift(first, second, 0.0001).n_second == 0  # more than 100,000 subjects
    (shown, _) = detectable_shifts(first, first if alike else second, fine.n_first, fine.n_second)
    assert shown.difference == pytest.approx(0.001, rel=0.15)


def test_distances_are_planned_within_their_own_bounds() -> None:
    distances = np.random.default_rng(0).lognormal(1.5, 0.4, 400)
    plan = plan_shift(-distances, -distances, 1.0, bounds=(-np.inf, 0.0))
    assert plan.n_first > 5
    with pytest.raises(ValueError, match=r"first must lie within \(0.0, 1.0\)"):
        plan_shift(distances, distances, 1.0)


def test_power_of_failures_is_that_of_all_tables() -> None:
    expected = 0.0
    for a, b in product(range(13), range(10)):
        table = [[a, 12 - a], [b, 9 - b]]
        p = stats.fisher_exact(table).pvalue
        likely = stats.binom.pmf(a, 12, 0.05) * stats.binom.pmf(b, 9, 0.6)
        expected += likely * (p <= 0.05 and b / 9 > a / 12)
    assert failure_power(0.05, 0.6, 12, 9) == pytest.approx(expected, abs=1e-6)
    assert failure_power(0.6, 0.05, 9, 12) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_plans_for_failures_have_the_exact_power(direction: Direction) -> None:
    plan = plan_failures(0.02, 0.18, direction=direction, ratio=2.0)
    shares = (0.02, 0.2) if direction == "second worse" else (0.2, 0.02)
    assert plan.power == pytest.approx(failure_power(*shares, plan.n_first, plan.n_second))
    assert 0.8 <= plan.power <= 0.85
    assert failure_power(*shares, plan.n_first - 8, plan.n_second - 4) < 0.8


def test_detectable_failures_differ_by_direction() -> None:
    worse, better = detectable_failures(0.02, 400, 12)
    assert worse.difference < 0.9 * better.difference
    for plan in (worse, better):
        assert 0.8 <= plan.power <= 0.85


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plan_shift([0.9] * 4, [0.9] * 9, 0.1), "first must have at least 5 scores"),
        (lambda: plan_shift([0.9] * 9, [0.9] * 9, 0.0), "difference must be at least 0.0001, got 0.0"),
        (lambda: plan_shift([0.9] * 9, [0.9] * 9, 0.1, power=1.0), "power must be between 0 and 1"),
        (lambda: plan_shift([0.9] * 9, [0.9] * 9, 0.1, ratio=0), "ratio must be from 0.001 to 1000"),
        (lambda: detectable_shifts([0.9] * 9, [0.9] * 9, 1, 9), "must be at least 2"),
        (lambda: plan_failures(0.9, 0.2), "share and share"),
        (lambda: failure_power(0.1, 1.2, 5, 5), "share_second must lie between 0 and 1"),
        (lambda: failure_power(0.1, 0.2, 0, 5), "at least 1"),
        (lambda: assumed_scores(0.5, 0.9), "no scores between 0 and 1"),
        (lambda: assumed_scores(1.5, 0.1), "median must lie between 0 and 1"),
    ],
)
def test_bad_input_says_what_was_expected(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
