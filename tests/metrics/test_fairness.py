"""Fairness measures against explicit loops, SciPy, and figures worked out by hand."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairseg.metrics import (
    by_group,
    equity_scaled,
    fairness_gap,
    fairness_score,
    gap_pair,
    iqr,
    mann_whitney_u,
    skewed_error_ratio,
    split_by_group,
    worst_group,
)

NAN = float("nan")
NUM_GROUPS = 4
SCORES = st.floats(0.0, 1.0, width=32)
SAMPLES = st.lists(
    st.tuples(SCORES | st.just(NAN), st.integers(-1, NUM_GROUPS - 1)), min_size=1, max_size=40
).map(lambda rows: (np.array([row[0] for row in rows]), np.array([row[1] for row in rows])))
GROUP_VALUES = st.lists(SCORES | st.just(NAN), min_size=1, max_size=6)


# --- by_group ---------------------------------------------------------------------------------------


@given(SAMPLES, st.sampled_from(["median", "mean", "iqr"]))
def test_by_group_equals_an_explicit_loop(sample: tuple[Any, Any], statistic: Any) -> None:
    values, groups = sample
    result, counts = by_group(values, groups, NUM_GROUPS, statistic)
    assert result.shape == counts.shape == (NUM_GROUPS,)
    assert result.dtype == np.float64
    assert counts.dtype == np.int64
    for number in range(NUM_GROUPS):
        members = pd.Series([v for v, g in zip(values, groups, strict=True) if g == number and v == v])
        assert counts[number] == len(members)
        if not len(members):
            assert np.isnan(result[number])
        elif statistic == "iqr":
            expected = members.quantile(0.75) - members.quantile(0.25)
            np.testing.assert_allclose(result[number], expected, rtol=1e-12, atol=1e-15)
        else:
            np.testing.assert_allclose(result[number], getattr(members, statistic)(), rtol=1e-12, atol=1e-15)


@given(SAMPLES, st.permutations(range(NUM_GROUPS)))
def test_relabelling_groups_permutes_by_group_and_leaves_the_measures_alone(
    sample: tuple[Any, Any], order: list[int]
) -> None:
    values, groups = sample
    relabelled = np.where(groups >= 0, np.array(order)[groups], -1)
    before, counts_before = by_group(values, groups, NUM_GROUPS)
    after, counts_after = by_group(values, relabelled, NUM_GROUPS)
    np.testing.assert_array_equal(after[order], before)
    np.testing.assert_array_equal(counts_after[order], counts_before)
    np.testing.assert_equal(fairness_gap(after), fairness_gap(before))
    np.testing.assert_equal(worst_group(after), worst_group(before))
    np.testing.assert_equal(skewed_error_ratio(after), skewed_error_ratio(before))
    for reference in range(NUM_GROUPS):
        np.testing.assert_equal(
            fairness_gap(after, reference=order[reference]), fairness_gap(before, reference=reference)
        )


@given(SAMPLES)
def test_split_by_group_keeps_every_known_value_once_and_in_order(sample: tuple[Any, Any]) -> None:
    values, groups = sample
    parts = split_by_group(values, groups, NUM_GROUPS)
    assert len(parts) == NUM_GROUPS
    for number, part in enumerate(parts):
        assert part.tolist() == [v for v, g in zip(values, groups, strict=True) if g == number and v == v]


def test_an_absent_group_is_nan_with_count_0_never_0() -> None:
    values, counts = by_group([0.5, NAN, 0.7], [0, 1, -1], num_groups=3)
    np.testing.assert_array_equal(values, [0.5, NAN, NAN])
    np.testing.assert_array_equal(counts, [1, 0, 0])
    values, counts = by_group([], [], num_groups=2)
    np.testing.assert_array_equal(values, [NAN, NAN])
    np.testing.assert_array_equal(counts, [0, 0])


def test_statistics_by_hand() -> None:
    values, groups = [1.0, 2.0, 4.0, 9.0, 3.0], [1, 1, 1, 1, 0]
    assert by_group(values, groups, 2, "median")[0].tolist() == [3.0, 3.0]
    assert by_group(values, groups, 2, "mean")[0].tolist() == [3.0, 4.0]
    assert by_group(values, groups, 2, "iqr")[0].tolist() == [0.0, 5.25 - 1.75]
    assert iqr([1.0, 2.0, 4.0, 9.0]) == 3.5


@pytest.mark.parametrize(
    ("values", "groups", "said"),
    [
        ([0.1, 0.2], [0], "one length"),
        ([0.1], [0, 1], "one length"),
        ([[0.1, 0.2]], [[0, 1]], "groups must be a vector"),
        ([[0.1, 0.2]], [0, 1], "vectors"),
        ([0.1, 0.2], [0.0, 1.5], "integer"),
        ([0.1, 0.2], [0, 2], r"groups must be ids from -1 \(unknown\) to 1, got 2"),
        ([0.1, 0.2], [0, -2], "groups must be ids from -1 .* got -2"),
        (["high", 0.2], [0, 1], "values must be numbers, got 'high'"),
        ([0.1, float("inf")], [0, 1], "infinity"),
    ],
)
def test_bad_values_and_groups_are_refused(values: Any, groups: Any, said: str) -> None:
    for function in (by_group, split_by_group):
        with pytest.raises(ValueError, match=said):
            function(values, groups, 2)


def test_an_unknown_statistic_is_refused() -> None:
    with pytest.raises(ValueError, match="statistic must be one of median, mean, iqr, got 'max'"):
        by_group([0.1], [0], 1, "max")  # type: ignore[arg-type]


# --- fairness gap -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "reference", "gap"),
    [
        ([0.75, 0.5, 0.25], 0, 0.5),  # group 2 is farthest, and worse off
        ([0.75, 0.5, 0.25], 2, -0.5),  # group 0 is farthest, and better off
        ([0.5, 0.625, 0.25], 0, 0.25),
        ([0.5, 0.875, 0.25], 0, -0.375),
        ([0.5, 0.75, 0.25], 0, 0.25),  # equally far: the positive one
        ([0.5, 0.25, 0.75], 0, 0.25),
        ([0.5, 0.5, 0.5], 1, 0.0),
        ([0.5, NAN, 0.25], 0, 0.25),
        ([0.5, NAN], 0, NAN),
        ([NAN, 0.5, 0.25], 0, NAN),
        ([0.5], 0, NAN),
        ([0.25, 0.75, 0.5], None, 0.5),
        ([0.25, NAN, 0.5], None, 0.25),
        ([0.25, NAN], None, NAN),
        ([0.25], None, NAN),
        ([], None, NAN),
        ([0.5, 0.5], None, 0.0),
    ],
)
def test_fairness_gap_by_hand(values: list[float], reference: int | None, gap: float) -> None:
    np.testing.assert_equal(fairness_gap(values, reference), gap)


@given(GROUP_VALUES, st.data())
def test_the_gap_to_a_reference_is_the_signed_difference_of_the_farthest_group(
    values: list[float], data: st.DataObject
) -> None:
    reference = data.draw(st.integers(0, len(values) - 1))
    gap = fairness_gap(values, reference)
    gaps = [values[reference] - v for index, v in enumerate(values) if index != reference and v == v]
    if not gaps or np.isnan(values[reference]):
        assert np.isnan(gap)
        return
    assert gap in gaps
    assert abs(gap) == pytest.approx(max(map(abs, gaps)), rel=0, abs=1e-12)  # a tie to rounding
    assert abs(gap) <= fairness_gap(values)


@pytest.mark.parametrize("reference", [2, -1])
def test_a_reference_that_is_no_group_is_refused(reference: int) -> None:
    with pytest.raises(ValueError, match=f"reference must be .*got {reference}"):
        fairness_gap([0.5, 0.6], reference)


# --- skewed error ratio, worst group ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "ratio"),
    [
        ([0.75, 0.5], 2.0),
        ([0.5, 0.75], 2.0),
        ([0.75, 0.5, 0.875, NAN], 4.0),
        ([0.5, 0.5, 0.5, 0.5], 1.0),
        ([0.0, 0.0], 1.0),
        ([1.0, 0.5], float("inf")),
        ([1.0, 1.0], NAN),
        ([0.5, NAN], NAN),
        ([0.5], NAN),
        ([], NAN),
    ],
)
def test_skewed_error_ratio_by_hand(values: list[float], ratio: float) -> None:
    np.testing.assert_equal(skewed_error_ratio(values), ratio)


@given(GROUP_VALUES)
def test_skewed_error_ratio_is_the_largest_ratio_of_any_two_groups(values: list[float]) -> None:
    errors = [1.0 - v for v in values if v == v]
    result = skewed_error_ratio(values)
    if len(errors) < 2 or max(errors) == 0:
        assert np.isnan(result)
    else:
        assert result >= 1
        ratios = [a / b if b else float("inf") for a in errors for b in errors if a or b]
        np.testing.assert_allclose(result, max(ratios), rtol=1e-12)


@pytest.mark.parametrize("values", [[1.01, 0.5], [-0.01, 0.5], [91.7, 88.8], [float("inf"), 0.5]])
def test_skewed_error_ratio_refuses_what_is_no_share(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"values must lie between 0 and 1, got \["):
        skewed_error_ratio(values)


def test_worst_group_by_hand() -> None:
    assert worst_group([0.5, NAN, 0.25]) == 0.25
    assert np.isnan(worst_group([NAN, NAN]))
    assert np.isnan(worst_group([]))


@pytest.mark.parametrize("function", [fairness_gap, skewed_error_ratio, worst_group])
def test_group_values_must_be_a_vector(function: Any) -> None:
    for values in (0.5, [[0.5, 0.6]]):
        with pytest.raises(ValueError, match="values must be a vector"):
            function(values)


# --- equity-scaled ----------------------------------------------------------------------------------


def test_the_three_variants_of_equity_scaled_by_hand() -> None:
    # overall 0.8; |0.8 - 0.9| + |0.8 - 0.6| + |0.8 - 0.6| = 0.5; the groups' mean is 0.7, their squared
    # deviations are 0.04, 0.01, 0.01, so the variance is 0.06 / 2 with ddof 1 and 0.06 / 3 with ddof 0.
    values = [0.9, 0.6, NAN, 0.6]
    assert equity_scaled(0.8, values, "sum") == pytest.approx(0.8 / 1.5, rel=1e-12)
    assert equity_scaled(0.8, values, "std", ddof=1) == pytest.approx(0.8 / (1 + 0.03**0.5), rel=1e-12)
    assert equity_scaled(0.8, values, "std", ddof=0) == pytest.approx(0.8 / (1 + 0.02**0.5), rel=1e-12)


@given(SCORES, GROUP_VALUES, st.sampled_from([("sum", None), ("std", 0), ("std", 1)]))
def test_equity_scaled_is_at_most_the_overall_score(
    overall: float, values: list[float], how: tuple[Any, int | None]
) -> None:
    result = equity_scaled(overall, values, how[0], how[1])
    if sum(v == v for v in values) < 2:
        assert np.isnan(result)
    else:
        assert 0 <= result <= overall


def test_equal_groups_keep_the_overall_score() -> None:
    for variant, ddof in (("sum", None), ("std", 0), ("std", 1)):
        assert equity_scaled(0.75, [0.75, 0.75, 0.75], variant, ddof) == 0.75  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variant", "ddof", "said"),
    [
        ("mean", None, "variant"),
        ("std", None, "ddof"),
        ("std", 2, "ddof"),
        ("sum", 0, "ddof"),
        ("sum", 1, "ddof"),
    ],
)
def test_a_variant_that_is_not_explicit_is_refused(variant: Any, ddof: int | None, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said} must"):
        equity_scaled(0.8, [0.9, 0.7], variant, ddof)


# --- Mann-Whitney U ---------------------------------------------------------------------------------


@given(st.lists(SCORES, min_size=2, max_size=12), st.lists(SCORES, min_size=2, max_size=12))
def test_mann_whitney_u_is_scipys_two_sided_test(first: list[float], second: list[float]) -> None:
    expected = stats.mannwhitneyu(first, second, alternative="two-sided").pvalue
    assert mann_whitney_u(first, second) == pytest.approx(expected, rel=1e-12)
    assert mann_whitney_u(second, first) == pytest.approx(expected, rel=1e-9)
    assert mann_whitney_u([NAN, *first], [*second, NAN]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("first", [(0.1, 0.2, 0.3), (0.1, 0.2, 0.5), (0.2, 0.4, 0.7), (0.1, 0.4, 0.7)])
def test_a_tiny_sample_has_the_p_value_of_all_its_permutations(first: tuple[float, ...]) -> None:
    everyone = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)

    def statistic(chosen: tuple[float, ...]) -> float:
        """How far U, the pairs that `chosen` wins, lies from its mean."""
        rest = [value for value in everyone if value not in chosen]
        return abs(sum(a > b for a in chosen for b in rest) - len(chosen) * len(rest) / 2)

    every = [statistic(chosen) for chosen in combinations(everyone, 3)]
    expected = np.mean([value >= statistic(first) for value in every])
    second = [value for value in everyone if value not in first]
    assert mann_whitney_u(first, second) == pytest.approx(expected, rel=1e-12)


def test_groups_that_are_all_alike_give_p_1() -> None:
    assert mann_whitney_u([1.0, 1.0, 1.0], [1.0, 1.0]) == 1.0


@pytest.mark.parametrize(
    ("first", "second"), [([0.5], [0.1, 0.2]), ([], [0.1, 0.2]), ([0.1, 0.2], [0.5, NAN])]
)
def test_fewer_than_two_values_give_no_p_value(first: list[float], second: list[float]) -> None:
    assert np.isnan(mann_whitney_u(first, second))


@pytest.mark.parametrize(
    ("values", "reference", "pair"),
    [
        ([0.9, 0.8, 0.85], None, (0, 1)),
        ([0.9, 0.8, 0.85], 2, (2, 1)),  # as far from both: the gap is the positive one, as in fairness_gap
        ([0.8, 0.9, 0.85], 2, (2, 0)),
        ([0.8, 0.95, 0.85], 2, (1, 2)),  # the farthest is served better than the reference
        ([0.7, 0.7, float("nan")], None, (0, 1)),
        ([0.7, 0.7, float("nan")], 1, (0, 1)),
        ([0.7, 0.8, float("nan")], 2, None),
        ([0.7], None, None),
    ],
)
def test_the_pair_is_the_one_whose_difference_is_the_gap(
    values: list[float], reference: int | None, pair: tuple[int, int] | None
) -> None:
    assert gap_pair(values, reference) == pair
    if pair:
        assert values[pair[0]] - values[pair[1]] == pytest.approx(abs(fairness_gap(values, reference)))


def test_the_fairness_score_of_mama_mia_by_hand() -> None:
    dice, hd95 = [0.9, 0.8, 0.6, 0.7], [10.0, 20.0, 40.0, 80.0]
    sex, site = ["F", "F", "M", "M"], [0, 1, 0, 1]
    # sex: means 0.85 and 0.65, 15 and 60 mm; site: 0.75 and 0.75, 25 and 50 mm.
    by_sex, by_site = 1 - (0.2 + 45 / 150) / 2, 1 - (0.0 + 25 / 150) / 2
    assert fairness_score(dice, hd95, sex) == pytest.approx(by_sex)
    assert fairness_score(dice, hd95, {"sex": sex, "site": site}) == pytest.approx((by_sex + by_site) / 2)
    assert fairness_score([0.1] * 4, [90.0] * 4, sex) == 1.0
    assert fairness_score(dice, [10.0, np.nan, 40.0, 80.0], sex) == pytest.approx(1 - (0.2 + 50 / 150) / 2)
    assert np.isnan(fairness_score(dice, hd95, ["F"] * 4))
    with pytest.raises(ValueError, match="at least one attribute"):
        fairness_score(dice, hd95, {})
    with pytest.raises(ValueError, match="hd95_scale"):
        fairness_score(dice, hd95, sex, hd95_scale=0.0)
