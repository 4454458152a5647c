"""The gap within strata and over them, by hand and against brute-force resampling."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairseg import Groups
from fairseg.statistics import bootstrap_interval
from fairseg.statistics.stratified import StratifiedGap, stratified_gap

NAN = float("nan")


def simpson(n: int = 200, seed: int = 0) -> tuple[Any, Any, Any]:
    """Return scores without any gap within a site, of groups that are unevenly spread over the sites."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, n)
    site = np.where(rng.random(n) < np.where(group == 0, 0.8, 0.3), "A", "B")
    dice = np.where(site == "A", 0.9, 0.8) + rng.normal(0, 0.01, n)
    return dice, group, site


def by_hand(**options: Any) -> StratifiedGap:
    # A: medians 0.9 of 3 and 0.8 of 2; B: 0.7 of 1 and 0.6 of 4; C lacks the reference.
    dice = [0.89, 0.9, 0.95, 0.79, 0.81, 0.7, 0.5, 0.59, 0.61, 0.99, 0.3, NAN, 0.1, 0.2]
    group = [0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, -1, 0]
    site = list("AAAAABBBBBCCAA")
    site[-1] = ""
    return stratified_gap(dice, group, 2, site, reference=0, **options)


def test_by_hand() -> None:
    found = by_hand()
    expected = pd.DataFrame(
        {
            "group": [1, 1, 1],
            "stratum": ["A", "B", "C"],
            "n_reference": [3, 1, 0],
            "n_group": [2, 4, 1],
            "weight": [6 / 5, 4 / 5, 0.0],
            "gap": [0.1, 0.1, NAN],
        }
    )
    pd.testing.assert_frame_equal(found.strata[list(expected)], expected)
    pooled = found.pooled.iloc[0]
    assert pooled[["group", "strata", "n_reference", "n_group"]].tolist() == [1, 2, 4, 6]
    assert pooled["gap"] == pytest.approx(0.1)
    assert pooled["crude"] == pytest.approx(0.895 - 0.7)
    assert found.notes == [
        "1 subject of unknown stratum left out",
        "group 1: strata without one of both groups left out: C",
        "group 1: no interval within strata of fewer than 6 subjects of a group: A, B",
    ]
    assert found.strata["low"].isna().tolist() == [True, True, True]
    assert np.isnan(pooled["low"])


def test_weights_are_those_of_mantel_and_haenszel() -> None:
    rng = np.random.default_rng(1)
    site = rng.choice(["A", "B", "C"], 300, p=[0.6, 0.3, 0.1])
    group = rng.integers(0, 3, 300)
    dice = rng.random(300)
    found = stratified_gap(dice, group, 3, site, reference=2)
    for other in (0, 1):
        gaps, weights = [], []
        for name in ("A", "B", "C"):
            first, second = (dice[(site == name) & (group == number)] for number in (2, other))
            gaps.append(np.median(first) - np.median(second))
            weights.append(1 / (1 / len(first) + 1 / len(second)))
        pooled = found.pooled.set_index("group").loc[other, "gap"]
        assert pooled == pytest.approx(np.average(gaps, weights=weights))


def test_within_a_stratum_the_interval_is_that_of_the_gap() -> None:
    dice, group, site = simpson(90)
    found = stratified_gap(dice, group, 2, site, reference=0, resamples=20_000)
    for row in found.strata.to_dict("records"):
        there = site == row["stratum"]
        gap = bootstrap_interval(
            dice[there], group[there], 2, "fairness_gap", reference=0, method="binomial", resamples=20_000
        )
        assert (row["gap"], row["low"], row["high"]) == pytest.approx(gap, abs=8e-4)


def test_the_pooled_interval_is_that_of_weighted_draws() -> None:
    dice, group, site = simpson(200)
    found = stratified_gap(dice, group, 2, site, reference=0, resamples=20_000).pooled.iloc[0]
    rng = np.random.default_rng(5)
    draws, total = np.zeros(20_000), 0.0
    for name in ("A", "B"):
        parts = [np.sort(dice[(site == name) & (group == number)]) for number in (0, 1)]
        # Large groups: the number of scores below the median is that of heads, give or take half a rank.
        first, second = (
            np.interp(rng.binomial(part.size, 0.5, 20_000) + rng.random(20_000) - 1, range(part.size), part)
            for part in parts
        )
        weight = 1 / (1 / parts[0].size + 1 / parts[1].size)
        draws += weight * (first - second)
        total += weight
    np.testing.assert_allclose(
        found[["low", "high"]].tolist(), np.percentile(draws / total, [2.5, 97.5]), atol=6e-4
    )


def test_strata_of_fewer_than_six_must_not_have_more_than_a_tenth_of_the_weight() -> None:
    rng = np.random.default_rng(0)
    for small, known in ((1, True), (5, False)):  # strata of 4 and 1, beside one of 60 and 12
        site = ["A"] * 72 + [f"B{number}" for number in range(small) for _ in range(5)]
        group = np.r_[np.repeat([0, 1], [60, 12]), np.tile(np.repeat([0, 1], [4, 1]), small)]
        found = stratified_gap(rng.random(len(site)), group, 2, site, reference=0, resamples=500)
        weights = found.strata.set_index("stratum")["weight"]
        assert (weights["A"] >= 0.9 * weights.sum()) == known
        assert np.isfinite(found.pooled["low"].iloc[0]) == known
        assert np.isfinite(found.strata["low"]).sum() == 1


@pytest.mark.parametrize("cells", [[(12, 6)], [(200, 8), (30, 8), (9, 1)], [(200, 6), (200, 12), (9, 1)]])
def test_the_interval_covers_with_small_strata(cells: list[tuple[int, int]]) -> None:
    group = np.concatenate([np.repeat([0, 1], cell) for cell in cells])
    site = np.repeat([f"site {number}" for number in range(len(cells))], [sum(cell) for cell in cells])
    rng, inside = np.random.default_rng(0), 0
    for seed in range(200):
        dice = 1 - rng.gamma(2.0, 0.04, group.size)  # skewed
        options = {"reference": 0, "resamples": 500, "seed": seed}
        pooled = stratified_gap(dice, group, 2, site, **options).pooled.iloc[0]  # type: ignore[arg-type]
        inside += pooled["low"] <= 0 <= pooled["high"]
    assert inside >= 181  # 190 expected, three standard errors


def test_a_gap_that_the_strata_explain_goes() -> None:
    pooled = stratified_gap(*simpson()[:2], 2, simpson()[2], reference=0).pooled.iloc[0]
    assert pooled["crude"] > 0.05
    assert abs(pooled["gap"]) < 0.01
    assert pooled["low"] < 0 < pooled["high"]


def test_the_interval_covers() -> None:
    inside = 0
    for seed in range(60):
        dice, group, site = simpson(120, seed)
        pooled = stratified_gap(dice, group, 2, site, reference=0, resamples=500, seed=seed).pooled.iloc[0]
        inside += pooled["low"] <= 0 <= pooled["high"]
    assert 50 <= inside <= 60  # 95%, within what 60 trials can tell


def test_changing_sides_changes_the_sign() -> None:
    dice, group, site = simpson()
    one = stratified_gap(dice, group, 2, site, reference=0).pooled.iloc[0]
    other = stratified_gap(dice, 1 - group, 2, site, reference=1).pooled.iloc[0]
    assert other["gap"] == pytest.approx(one["gap"])
    back = stratified_gap(dice, group, 2, site, reference=1).pooled.iloc[0]
    assert back["gap"] == pytest.approx(-one["gap"])
    assert back["low"] == pytest.approx(-one["high"], abs=1e-3)


def test_one_stratum_is_the_plain_gap() -> None:
    dice, group, _ = simpson()
    found = stratified_gap(dice, group, 2, ["x"] * 200, reference=0)
    assert found.pooled["gap"].iloc[0] == pytest.approx(found.pooled["crude"].iloc[0])
    assert found.pooled["gap"].iloc[0] == pytest.approx(
        np.median(dice[group == 0]) - np.median(dice[group == 1])
    )


def test_seeds_and_levels_are_explicit() -> None:
    def pooled(**options: Any) -> pd.DataFrame:
        dice, group, site = simpson()
        return stratified_gap(dice, group, 2, site, reference=0, **options).pooled

    pd.testing.assert_frame_equal(pooled(seed=4), pooled(seed=4))
    wide, narrow = pooled(level=0.99).iloc[0], pooled(level=0.5).iloc[0]
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]


@pytest.mark.parametrize(
    ("group", "site"), [([0, 0, 0], "AAA"), ([0, 0, 1], "AAB"), ([0, 0, 1], [None] * 3), ([-1] * 3, "AAA")]
)
def test_nothing_to_compare_is_nan(group: list[int], site: Any) -> None:
    found = stratified_gap([0.1, 0.2, 0.3], group, 2, list(site), reference=0)
    assert found.pooled[["strata", "n_reference", "n_group"]].to_numpy().tolist() == [[0, 0, 0]]
    assert found.pooled[["crude", "gap", "low", "high"]].isna().all(axis=None)


def test_single_subjects_everywhere_give_a_gap_without_interval() -> None:
    pooled = stratified_gap([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1], 2, list("AABB"), reference=0).pooled.iloc[0]
    assert pooled["gap"] == pytest.approx(0.1)
    assert np.isnan(pooled["low"])
    assert np.isnan(pooled["high"])


def test_bins_come_from_groups() -> None:
    table = {"age": [41, 45, 58, 62, 75, 70, None]}
    bins = Groups.from_table(table, by="age", bins={"age": [50, 65]})
    strata = pd.Categorical.from_codes(bins.encode(table), list(bins.names), ordered=True)
    found = stratified_gap([0.9] * 7, [0, 1] * 3 + [0], 2, strata, reference=0)
    assert found.strata["stratum"].tolist() == ["age<50", "50<=age<65", "age>=65"]
    assert found.notes[0] == "1 subject of unknown stratum left out"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strata": [1, 2]}, r"strata must be text, got numbers \(int64\): make bins"),
        ({"strata": pd.Series([1.5, None])}, r"strata must be text, got numbers \(float64\)"),
        ({"strata": ["a"]}, r"strata must be one a value, \(2,\), got 1"),
        ({"reference": 2}, "reference must be a group id below 2, got 2"),
        ({"reference": "White"}, "reference must be a group id below 2, got 'White'"),
        ({"level": 95}, "level must lie between 0 and 1, got 95"),
        ({"resamples": 0}, "resamples must be at least 1, got 0"),
        ({"groups": [0, 2]}, r"groups must be ids from -1 \(unknown\) to 1, got 2"),
        ({"values": [0.1, float("inf")]}, "values must be finite or NaN"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "values": [0.1, 0.2],
        "groups": [0, 1],
        "num_groups": 2,
        "strata": ["a", "a"],
        "reference": 0,
    }
    with pytest.raises(ValueError, match=message):
        stratified_gap(**{**given, **change})


def test_numbers_as_text_are_not_cut_either() -> None:
    with pytest.raises(ValueError, match="strata must be levels, got 8 different numbers: make bins"):
        stratified_gap([0.5] * 8, [0, 1] * 4, 2, [str(40 + number) for number in range(8)], reference=0)
