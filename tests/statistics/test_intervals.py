"""Intervals against SciPy's bootstrap, against every resample there is, and against how often they hold."""

from itertools import product
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairseg.metrics import by_group, fairness_gap, iqr, skewed_error_ratio
from fairseg.statistics import (
    Interval,
    bootstrap_interval,
    differences,
    equity_interval,
    group_intervals,
    order_statistics,
)
from fairseg.statistics.limits import left_out_iqrs
from fairseg.statistics.order_statistics import (
    between,
    binomial_medians,
    binomial_ranks,
    left_out_medians,
    resampled_medians,
    resampled_quartiles,
)

METHODS = ("bca", "percentile", "binomial")


def two_groups(sizes: tuple[int, int], seed: int = 3) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(0.90, 0.03, sizes[0]), rng.normal(0.87, 0.03, sizes[1])]
    return np.concatenate(parts), np.repeat([0, 1], sizes), parts


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_drawn_medians_are_those_of_all_resamples(size: int) -> None:
    values = np.sort(np.random.default_rng(0).random(size))
    every = np.median(values[np.array(list(product(range(size), repeat=size)))], axis=1)
    drawn = resampled_medians(size, 40_000, np.random.default_rng(1)).of(values)
    levels, counts = np.unique(every.round(12), return_counts=True)
    found = np.array([np.isclose(drawn, level).mean() for level in levels])
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, counts / counts.sum(), atol=0.012)


@pytest.mark.parametrize("size", [5, 8, 13])
def test_drawn_quartiles_are_those_of_resamples(size: int) -> None:
    rng = np.random.default_rng(0)
    values = np.sort(rng.random(size))
    brute = np.percentile(rng.choice(values, (60_000, size)), [25, 75], axis=1)
    drawn = [between(values, ranks) for ranks in resampled_quartiles(size, 60_000, rng)]
    for one, other in (
        (brute[0], drawn[0]),
        (brute[1], drawn[1]),
        (np.ptp(brute, axis=0), np.ptp(drawn, axis=0)),
    ):
        assert stats.ks_2samp(one.round(9), other.round(9)).statistic < 0.012


def test_binomial_limits_of_ten_values_as_printed() -> None:
    # Hettmansperger and Sheather (1986) interpolate the 97.85% and 89.06% intervals: worked by hand.
    share = (0.978515625 - 0.95) / (0.978515625 - 0.890625)
    share = 8 * share / (2 + 6 * share)
    ranks = binomial_ranks(10, np.array([0.025, 0.975]))
    np.testing.assert_allclose(ranks.of(np.arange(1.0, 11.0)), [2 + share, 9 - share])


@pytest.mark.parametrize("size", [2, 3, 7, 10, 41])
def test_binomial_draws_grow_with_probability_and_are_symmetric(size: int) -> None:
    values = np.sort(np.random.default_rng(size).random(size))
    even = np.linspace(0.001, 0.999, 999)
    limits = binomial_ranks(size, even).of(values)
    assert (np.diff(limits) >= -1e-12).all()
    mirrored = 1 - binomial_ranks(size, even[::-1]).of(np.sort(1 - values))
    np.testing.assert_allclose(limits, mirrored, atol=1e-12)
    assert binomial_ranks(size, np.array([0.5])).of(values)[0] == pytest.approx(np.median(values))
    drawn = binomial_medians(size, 2000, np.random.default_rng(0)).of(values)
    assert np.median(drawn) == pytest.approx(np.median(values), abs=0.02)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9, unique=True))
def test_left_out_medians_are_those_of_the_samples_left(values: list[float]) -> None:
    ordered = np.sort(values)
    medians, counts = left_out_medians(ordered)
    brute = [np.median(np.delete(ordered, place)) for place in range(len(ordered))]
    np.testing.assert_allclose(np.sort(np.repeat(medians, counts)), np.sort(brute))
    spread, ones = left_out_iqrs(ordered)
    assert ones.sum() == len(ordered)
    np.testing.assert_allclose(
        spread, [iqr(np.delete(ordered, place)) for place in range(len(ordered))], atol=1e-15
    )


@pytest.mark.parametrize("sizes", [(30, 13), (12, 40)])
@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_limits_are_those_of_scipy(sizes: tuple[int, int], method: str) -> None:
    values, groups, parts = two_groups(sizes)

    def gap(one: np.ndarray, two: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.median(one, axis=axis) - np.median(two, axis=axis)

    expected = stats.bootstrap(
        parts, gap, n_resamples=60_000, method={"bca": "BCa"}.get(method, method), vectorized=True, rng=0
    ).confidence_interval
    found = bootstrap_interval(
        values,
        groups,
        2,
        "fairness_gap",
        reference=0,
        method=method,
        resamples=60_000,  # type: ignore[arg-type]
    )
    np.testing.assert_allclose(found[1:], expected, atol=6e-4)
    own = bootstrap_interval(values, groups, 2, lambda medians: medians[0] - medians[1], method=method)  # type: ignore[arg-type]
    np.testing.assert_allclose(own, found, atol=1.5e-3)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_limits_of_a_spread_are_those_of_scipy(method: str) -> None:
    values = np.random.default_rng(0).gamma(2, 0.04, 25)
    expected = stats.bootstrap(
        (values,), stats.iqr, n_resamples=20_000, method={"bca": "BCa"}.get(method, method), rng=0
    ).confidence_interval
    [found] = group_intervals(values, np.zeros(25, int), 1, "iqr", method=method, resamples=20_000)  # type: ignore[arg-type]
    assert found.estimate == pytest.approx(stats.iqr(values))
    np.testing.assert_allclose(found[1:], expected, atol=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_gap_without_reference_is_a_size(method: str) -> None:
    values, groups, _ = two_groups((40, 15))
    signed = bootstrap_interval(values, groups, 2, "fairness_gap", reference=1, method=method)  # type: ignore[arg-type]
    size = bootstrap_interval(values, groups, 2, "fairness_gap", method=method)  # type: ignore[arg-type]
    assert signed.estimate == -size.estimate < 0
    assert (size.low, size.high) == pytest.approx((max(0.0, -signed.high), -signed.low))
    near = np.where(groups == 0, values, values + 0.03)  # no gap worth the name: the interval begins at zero
    size = bootstrap_interval(near, groups, 2, "fairness_gap", method=method)  # type: ignore[arg-type]
    assert size.low == 0
    assert 0 <= size.estimate <= size.high


@pytest.mark.parametrize("method", METHODS)
def test_ratio_of_errors_is_exp_of_a_gap_of_logs(method: str) -> None:
    values, groups, _ = two_groups((40, 15))
    ratio = bootstrap_interval(values, groups, 2, "skewed_error_ratio", method=method)  # type: ignore[arg-type]
    signed = bootstrap_interval(
        values,
        groups,
        2,
        lambda medians: float(np.log((1 - medians[1]) / (1 - medians[0]))),
        method=method,  # type: ignore[arg-type]
    )
    np.testing.assert_allclose(ratio, np.exp(signed), rtol=0.02)
    assert ratio.estimate == skewed_error_ratio(by_group(values, groups, 2)[0])


def test_perfect_groups_have_no_ratio_or_an_endless_one() -> None:
    ones = np.ones(20)
    assert np.isnan(bootstrap_interval(ones, np.repeat([0, 1], 10), 2, "skewed_error_ratio")).all()
    half = np.r_[np.ones(10), np.linspace(0.8, 0.9, 10)]
    found = bootstrap_interval(half, np.repeat([0, 1], 10), 2, "skewed_error_ratio")
    assert found.estimate == found.high == float("inf")


def test_groups_that_cannot_say_anything() -> None:
    values, groups = np.array([0.9, 0.8, 0.85, 0.7]), np.array([0, 0, 0, 1])
    for measure in ("fairness_gap", "skewed_error_ratio", "worst_group", np.nanmax):
        found = bootstrap_interval(values, groups, 2, measure)  # type: ignore[arg-type]
        assert np.isfinite(found.estimate)
        assert np.isnan(found.low)
        assert np.isnan(found.high)
    assert np.isnan(bootstrap_interval(values, np.full(4, -1), 2, "fairness_gap")).all()
    assert np.isnan(bootstrap_interval(values, np.full(4, -1), 2, "worst_group")).all()
    assert np.isnan(bootstrap_interval([], [], 2, "fairness_gap", reference=0)).all()
    assert np.isnan(equity_interval([], [], 2)).all()
    # An absent group takes no part, an unknown id neither, nor does NaN.
    rng = np.random.default_rng(0)
    plain = bootstrap_interval(rng.random(30), np.repeat([0, 1], 15), 2, "fairness_gap", reference=0)
    rng = np.random.default_rng(0)
    more = np.r_[rng.random(30), 0.1, np.nan]
    again = bootstrap_interval(more, np.r_[np.repeat([0, 2], 15), -1, 2], 4, "fairness_gap", reference=0)
    assert again == plain
    single = group_intervals(values, groups, 3)
    assert single[1] == Interval(0.7, pytest.approx(np.nan, nan_ok=True), pytest.approx(np.nan, nan_ok=True))
    assert np.isnan(single[2]).all()


@pytest.mark.parametrize("measure", ["fairness_gap", "skewed_error_ratio", "worst_group", np.nanmax])
def test_binomial_limits_need_values_enough(measure: object) -> None:
    # Five values all lie on one side of the median in 1 of 16 samples: more than 5%.
    values = np.random.default_rng(0).normal(0.8, 0.02, 30)
    for small, level, enough in ((5, 0.95, False), (6, 0.95, True), (5, 0.9, True), (7, 0.99, False)):
        groups = np.where(np.arange(30) < small, 1, 0)
        options = {"level": level, "method": "binomial", "resamples": 500}
        found = bootstrap_interval(values, groups, 2, measure, **options)  # type: ignore[arg-type]
        assert np.isfinite(found.estimate)
        assert np.isfinite(found[1:]).all() == enough
        assert np.isfinite(group_intervals(values, groups, 2, **options)[1].low) == enough  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "enough"), [(11, False), (12, True)])
def test_a_spread_needs_a_dozen_subjects(size: int, enough: bool) -> None:
    values = np.random.default_rng(0).random(size)
    [found] = group_intervals(values, np.zeros(size, int), 1, "iqr", method="percentile")
    assert np.isfinite(found.estimate)
    assert np.isfinite(found[1:]).all() == enough


def test_equal_values_have_an_interval_of_no_width() -> None:
    for method in METHODS:
        found = bootstrap_interval(
            np.full(24, 0.5),
            np.repeat([0, 1], 12),
            2,
            "fairness_gap",
            reference=0,
            method=method,  # type: ignore[arg-type]
        )
        assert found == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 1.0}, "level must lie between 0 and 1, got 1.0"),
        ({"resamples": 10}, "resamples must be an integer from 100 to 1,000,000, got 10"),
        ({"resamples": 1000.0}, "resamples"),
        ({"method": "basic"}, "method must be one of bca, percentile, binomial, got 'basic'"),
        ({"measure": "gap"}, 'measure must be "fairness_gap"'),
        ({"measure": "worst_group", "reference": 0}, 'reference must only be given with "fairness_gap"'),
        ({"measure": lambda medians: medians}, "measure must give a number"),
        ({"reference": 5}, "reference must be a group id below 2"),
        ({"values": [[0.1]]}, "vectors of one length"),
        ({"groups": np.full(43, 2)}, r"groups must be ids from -1 \(unknown\) to 1, got 2"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    values, groups, _ = two_groups((30, 13))
    given = {"values": values, "groups": groups, "num_groups": 2, "measure": "fairness_gap", **options}
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(**given)  # type: ignore[arg-type]


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(METHODS))
def test_moving_and_relabelling(seed: int, method: str) -> None:
    rng = np.random.default_rng(seed)
    values, groups = rng.normal(0.8, 0.05, 60), rng.integers(0, 2, 60)
    options = {"method": method, "resamples": 500, "reference": 0}
    before = bootstrap_interval(values, groups, 2, "fairness_gap", **options)  # type: ignore[arg-type]
    moved = bootstrap_interval(values + 0.1, groups, 2, "fairness_gap", **options)  # type: ignore[arg-type]
    np.testing.assert_allclose(moved, before, atol=1e-12)
    lifted = bootstrap_interval(np.where(groups, values, values + 0.1), groups, 2, "fairness_gap", **options)  # type: ignore[arg-type]
    np.testing.assert_allclose(lifted, np.array(before) + 0.1, atol=1e-9)
    order = rng.permutation(60)
    shuffled = bootstrap_interval(values[order], groups[order], 2, "fairness_gap", **options)  # type: ignore[arg-type]
    assert shuffled == before
    assert before.low <= before.estimate + 1e-9
    assert before.estimate <= before.high + 1e-9


DRAW = {
    "normal": lambda rng, size: rng.normal(0.9, 0.03, size),
    "skewed": lambda rng, size: 1 - rng.gamma(2.0, 0.04, size),
    "tied": lambda rng, size: np.round(rng.normal(0.9, 0.03, size), 2),
}


@pytest.mark.parametrize("method", ["bca", "binomial"])
@pytest.mark.parametrize("kind", DRAW)
@pytest.mark.parametrize("sizes", [(400, 12), (54, 30), (200, 200)])
def test_intervals_cover_the_truth(sizes: tuple[int, int], kind: str, method: str) -> None:
    # The full study is benchmarks/simulations.py; 250 cohorts leave a standard error of 1.4%.
    rng = np.random.default_rng(sum(sizes))
    groups = np.repeat([0, 1], sizes)
    held = {"gap": 0, "ratio": 0}
    number = 250
    middle = {"skewed": 1 - 0.04 * stats.gamma(2).median()}.get(kind, 0.9)
    for seed in range(number):
        values = DRAW[kind](rng, sum(sizes)) - np.where(groups, 0.04, 0.0)
        options = {"method": method, "resamples": 500, "seed": seed}
        gap = bootstrap_interval(values, groups, 2, "fairness_gap", reference=0, **options)  # type: ignore[arg-type]
        ratio = bootstrap_interval(np.clip(values, 0, 1), groups, 2, "skewed_error_ratio", **options)  # type: ignore[arg-type]
        held["gap"] += gap.low - 1e-9 <= 0.04 <= gap.high + 1e-9
        held["ratio"] += ratio.low - 1e-9 <= (1.04 - middle) / (1 - middle) <= ratio.high + 1e-9
    for count in held.values():
        assert count / number > 0.93 - 3 * 0.014
        # Where scores are tied the sample's median is often exactly the truth, and every interval holds it.
        assert kind == "tied" or count / number < 0.97 + 3 * 0.014


@pytest.mark.parametrize("reference", [None, 0])
@pytest.mark.parametrize("medians", [(0.9, 0.9, 0.9, 0.9), (0.9, 0.87, 0.9, 0.9), (0.9, 0.95, 0.85, 0.9)])
def test_gaps_of_several_groups_cover_the_truth(medians: tuple[float, ...], reference: int | None) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), (12, 30, 60, 200))
    center = np.array(medians)
    size, worst, held = abs(fairness_gap(center, reference)), center.min(), np.zeros(2)
    for seed in range(200):
        values = rng.normal(center[groups], 0.03)
        options = {"method": "binomial", "resamples": 400, "seed": seed}
        gap = bootstrap_interval(values, groups, 4, "fairness_gap", reference=reference, **options)  # type: ignore[arg-type]
        low = bootstrap_interval(values, groups, 4, "worst_group", **options)  # type: ignore[arg-type]
        either = gap.low <= size <= gap.high or (reference is not None and gap.low <= -size <= gap.high)
        held += either, low.low <= worst <= low.high
    assert (held / 200 > 0.95 - 3 * 0.0154).all()


def test_the_plain_bootstrap_of_a_size_never_holds_zero() -> None:
    # Why the gap of several groups is not resampled as it stands.
    rng = np.random.default_rng(0)
    values, groups = rng.normal(0.9, 0.03, 120), np.repeat(np.arange(4), 30)
    assert bootstrap_interval(values, groups, 4, np.ptp, method="percentile").low > 0
    assert bootstrap_interval(values, groups, 4, "fairness_gap", method="percentile").low == 0


def test_the_equity_scaled_interval_spans_what_medians_within_their_limits_give() -> None:
    values, groups, parts = two_groups((40, 15))
    found = equity_interval(values, groups, 2)
    middle = np.median(values)
    medians = [np.median(part) for part in parts]
    assert found.estimate == pytest.approx(middle / (1 + np.abs(middle - medians).sum()))
    # Brute force: a grid over the box of the three medians' limits, each of level 1 - 0.05 / 3.
    level = 1 - 0.05 / 3
    axes = []
    for part in (values, *parts):
        [box] = group_intervals(part, np.zeros(part.size, int), 1, level=level, method="binomial")
        axes.append(np.linspace(box.low, box.high, 61))
    overall, one, two = np.meshgrid(*axes)
    score = overall / (1 + np.abs(overall - one) + np.abs(overall - two))
    np.testing.assert_allclose(found[1:], (score.min(), score.max()), atol=2e-4)
    assert found.low <= score.min()
    assert score.max() <= found.high


@pytest.mark.parametrize("sizes", [(12, 200), (30, 54), (10, 20, 40, 80)])
def test_the_equity_scaled_interval_holds_the_truth_of_equal_groups(sizes: tuple[int, ...]) -> None:
    # There a bootstrap lies below the truth, which is the median itself, in most cohorts.
    rng, groups, held = np.random.default_rng(0), np.repeat(np.arange(len(sizes)), sizes), 0
    for _ in range(200):
        found = equity_interval(rng.normal(0.9, 0.03, groups.size), groups, len(sizes))
        held += found.low <= 0.9 <= found.high
    assert held >= 184  # of 190 expected, three standard errors


@pytest.mark.parametrize("measure", ["fairness_gap", "skewed_error_ratio"])
def test_limits_of_very_many_groups_hold_and_are_wider_than_those_of_pairs(
    measure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(61), 20)  # 1,830 pairs
    values = rng.normal(0.9, 0.02, groups.size) - 0.1 * (groups == 7)
    of_groups = bootstrap_interval(values, groups, measure, resamples=500)  # type: ignore[arg-type]
    monkeypatch.setattr(differences, "_MOST_PAIRS", 2000)
    of_pairs = bootstrap_interval(values, groups, measure, resamples=500)  # type: ignore[arg-type]

    assert of_groups.estimate == of_pairs.estimate
    assert of_groups.low <= of_pairs.low <= of_pairs.estimate <= of_pairs.high <= of_groups.high
    assert of_groups.low > (0.04 if measure == "fairness_gap" else 1.3)  # the gap of 0.1 is seen


def test_a_gap_among_very_many_groups_is_inside_its_limits() -> None:
    rng = np.random.default_rng(5)
    groups, held = np.repeat(np.arange(61), 15), 0
    for _ in range(40):
        gap = bootstrap_interval(rng.normal(0.9, 0.02, groups.size), groups, "fairness_gap", resamples=400)
        held += gap.low == 0.0  # all groups are alike

    assert held >= 38


@pytest.mark.parametrize(("statistic", "method"), [("iqr", "bca"), ("iqr", "percentile"), ("median", "bca")])
def test_draws_that_are_kept_are_those_that_would_be_drawn(
    statistic: Literal["median", "iqr"], method: Literal["bca", "percentile"], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat([0, 1, 2], [20, 5, 31])
    scores = [rng.normal(size=56) for _ in range(3)]
    found = [group_intervals(one, groups, statistic, method=method) for one in scores]
    monkeypatch.setattr(order_statistics, "_MOST_KEPT", 0)
    np.testing.assert_equal(found, [group_intervals(one, groups, statistic, method=method) for one in scores])
