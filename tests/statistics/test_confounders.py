"""Regression adjustment against normal equations written out, and what no regression can tell."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairseg.statistics.confounders import adjusted_gap

NAN = float("nan")
UNADJUSTED = ["unadjusted", "unadjusted_low", "unadjusted_high", "unadjusted_p"]
ADJUSTED = ["adjusted", "adjusted_low", "adjusted_high", "adjusted_p"]


def confounded(n: int = 80, seed: int = 0, num_groups: int = 2) -> tuple[Any, Any, pd.DataFrame]:
    """Return scores that fall with weight and differ by sex, of groups that differ in weight."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, num_groups, n)
    weight = 70 + 10 * group + rng.normal(0, 8, n)
    sex = rng.choice(["F", "M"], n)
    dice = 1.1 - 0.003 * weight - 0.02 * (sex == "M") + rng.normal(0, 0.01, n)
    return dice, group, pd.DataFrame({"weight": weight, "sex": sex})


def hc3(y: Any, x: Any, place: int, level: float = 0.95) -> list[float]:
    """Return estimate, low, high and p of one coefficient, by the formulas of MacKinnon and White 1985."""
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    residual = (y - x @ beta) / (1 - leverage)
    error = np.sqrt((inverse @ (x.T * residual**2) @ x @ inverse)[place, place])
    free = len(y) - x.shape[1]
    wide = stats.t.ppf((1 + level) / 2, free) * error
    p = 2 * stats.t.sf(abs(beta[place]) / error, free)
    return [beta[place], beta[place] - wide, beta[place] + wide, p]


@pytest.mark.parametrize("level", [0.95, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_both_gaps_equal_the_formulas_written_out(seed: int, level: float) -> None:
    dice, group, covariates = confounded(seed=seed, num_groups=3)
    found = adjusted_gap(dice, group, 3, covariates, reference=1, level=level).table.set_index("group")
    ones = np.ones(len(dice))
    for place, number in ((1, 0), (2, 2)):
        groups = np.stack([ones, group == 0, group == 2], axis=1).astype(float)
        whole = np.column_stack([groups, covariates["weight"], covariates["sex"] == "M"]).astype(float)
        for columns, design in ((UNADJUSTED, groups), (ADJUSTED, whole)):
            estimate, low, high, p = hc3(dice, design, place, level)
            np.testing.assert_allclose(
                found.loc[number, columns].tolist(), [-estimate, -high, -low, p], rtol=1e-6, atol=1e-12
            )
        assert found.loc[number, "unadjusted"] == pytest.approx(
            dice[group == 1].mean() - dice[group == number].mean()
        )
        assert found.loc[number, ["n_reference", "n_group"]].tolist() == [
            (group == 1).sum(),
            (group == number).sum(),
        ]


def test_a_gap_that_covariates_explain_goes_and_a_positive_one_favours_the_reference() -> None:
    dice, group, covariates = confounded(400)
    found = adjusted_gap(dice, group, 2, covariates, reference=0).table.iloc[0]
    assert found["unadjusted"] > 0.02
    assert found["unadjusted_p"] < 0.001
    assert found["adjusted_low"] < 0 < found["adjusted_high"]
    assert abs(found["adjusted"]) < 0.005


def test_changing_sides_changes_the_sign_only() -> None:
    dice, group, covariates = confounded()
    one, other = (
        adjusted_gap(dice, group, 2, covariates, reference=number).table.iloc[0] for number in (0, 1)
    )
    for kind in ("unadjusted", "adjusted"):
        assert other[kind] == pytest.approx(-one[kind])
        assert other[f"{kind}_low"] == pytest.approx(-one[f"{kind}_high"])
        assert other[f"{kind}_p"] == pytest.approx(one[f"{kind}_p"])


def test_units_text_and_order_do_not_matter() -> None:
    dice, group, covariates = confounded()
    expected = adjusted_gap(dice, group, 2, covariates, reference=0).table
    order = np.random.default_rng(1).permutation(len(dice))
    for other in (
        covariates.assign(weight=covariates["weight"] * 1e6 + 1e9),
        covariates.assign(weight=covariates["weight"].map(str)),
        {"weight": covariates["weight"].tolist(), "sex": (covariates["sex"] == "F").tolist()},
    ):
        found = adjusted_gap(dice, group, 2, other, reference=0).table
        pd.testing.assert_frame_equal(found, expected, rtol=1e-5)
    shuffled = adjusted_gap(dice[order], group[order], 2, covariates.iloc[order], reference=0).table
    pd.testing.assert_frame_equal(shuffled, expected)


def test_both_gaps_are_of_the_same_subjects_and_what_is_left_out_is_counted() -> None:
    dice, group, covariates = confounded()
    covariates.loc[:4, "weight"] = NAN
    covariates["sex"] = covariates["sex"].astype(object)
    covariates.loc[3:6, "sex"] = None
    dice[7], group[8] = NAN, -1
    gap = adjusted_gap(dice, group, 2, covariates, reference=0)
    found = gap.table
    kept = adjusted_gap(dice[9:], group[9:], 2, covariates[9:], reference=0).table
    pd.testing.assert_frame_equal(found, kept, rtol=1e-9)
    assert gap.notes == [
        "weight: 5 subjects without a value left out",
        "sex: 4 subjects without a value left out",
    ]
    assert found[["n_reference", "n_group"]].to_numpy().sum() == 71


# --- what cannot be told ----------------------------------------------------------------------------


def test_a_covariate_that_determines_the_group_is_named() -> None:
    dice, group, covariates = confounded()
    scanner = np.where(group == 1, "B", "A")
    gap = adjusted_gap(dice, group, 2, covariates.assign(scanner=scanner), reference=0)
    found = gap.table
    assert found[ADJUSTED].isna().all(axis=None)
    assert found[UNADJUSTED].notna().all(axis=None)
    assert gap.notes == ["group 1: not adjusted, scanner determines who is in it"]


def test_only_the_group_that_is_determined_goes_without() -> None:
    dice, group, covariates = confounded(num_groups=3, n=120)
    scanner = np.where(group == 2, "B", "A")
    found = adjusted_gap(dice, group, 3, covariates.assign(scanner=scanner), reference=0).table.set_index(
        "group"
    )
    assert found.loc[2, ADJUSTED].isna().all()
    pair = adjusted_gap(dice, group, 3, covariates, reference=0).table.set_index("group")
    assert found.loc[1, "adjusted"] == pytest.approx(pair.loc[1, "adjusted"])
    reference = adjusted_gap(dice, group, 3, covariates.assign(scanner=scanner), reference=2).table
    assert reference[ADJUSTED].isna().all(axis=None)


def test_covariates_that_determine_the_group_together_only() -> None:
    dice, _, _ = confounded()
    first = np.tile([0.5, 1.5, 2.5, 7.0], 20)
    second = np.repeat([0.5, 1.5, 2.5, 9.0], 20)
    group = (first + second > 4).astype(int)
    sum_of_both = first + group
    gap = adjusted_gap(dice, group, 2, {"a": first, "b": sum_of_both}, reference=0)
    found = gap.table
    assert found["adjusted"].isna().all()
    assert gap.notes == ["group 1: not adjusted, a with b determines who is in it"]


def test_constant_and_repeated_covariates_change_nothing() -> None:
    dice, group, covariates = confounded()
    expected = adjusted_gap(dice, group, 2, covariates, reference=0).table
    pounds = covariates["weight"] * 2.2046
    gap = adjusted_gap(dice, group, 2, covariates.assign(site="A", zero=0.0, pounds=pounds), reference=0)
    found = gap.table
    pd.testing.assert_frame_equal(found, expected, rtol=1e-6)
    same = "left out, it is the same for all subjects used"
    assert gap.notes == [f"site: {same}", f"zero: {same}"]


@pytest.mark.parametrize("n", [1, 3, 4])
def test_too_few_subjects_for_the_parameters(n: int) -> None:
    dice, group, weight = [0.9, 0.7, 0.8, 0.85][:n], [0, 1, 0, 1][:n], [50.5, 60.5, 72.5, 81.5][:n]
    columns = {"weight": np.array(weight), "height": np.array(weight) ** 2}
    gap = adjusted_gap(dice, group, 2, columns, reference=0)
    found = gap.table
    assert found[ADJUSTED].isna().all(axis=None)
    if n > 1:
        assert any(note.startswith(f"not estimated: {n} subjects for") for note in gap.notes)


def test_names_as_a_covariate_fit_everything() -> None:
    dice, group, _ = confounded(30)
    gap = adjusted_gap(dice, group, 2, {"id": [f"s{number}" for number in range(30)]}, reference=0)
    found = gap.table
    assert found["adjusted"].isna().all()
    assert found["unadjusted"].notna().all()
    assert gap.notes == ["not estimated: 30 subjects for 30 parameters"]


def test_who_is_alone_in_a_level_is_left_out_and_changes_nothing_else() -> None:
    dice, group, covariates = confounded()
    lonely = covariates.assign(site=["X"] + ["A", "B"] * 39 + ["A"])
    gap = adjusted_gap(dice, group, 2, lonely, reference=0)
    found = gap.table
    without = adjusted_gap(dice[1:], group[1:], 2, lonely[1:], reference=0).table
    pd.testing.assert_frame_equal(found, without, rtol=1e-9)
    assert gap.notes == ["1 subject alone in a group or level, or like no other, left out"]
    dice[0] = -99.0
    again = adjusted_gap(dice, group, 2, lonely, reference=0).table
    pd.testing.assert_frame_equal(again, found, rtol=1e-9)


@pytest.mark.parametrize("alone", [0, 1])
def test_a_group_of_one_has_no_gap(alone: int) -> None:
    dice, _, covariates = confounded()
    group = np.full(80, 1 - alone)
    group[5] = alone
    found = adjusted_gap(dice, group, 3, covariates, reference=0).table
    assert found[[*UNADJUSTED, *ADJUSTED]].isna().all(axis=None)
    assert found["group"].tolist() == [1, 2]
    assert found["n_group"].tolist() == [0 if alone else 79, 0]


def test_a_group_of_one_beside_more_parameters_than_subjects_has_no_limits() -> None:
    """Its residual of 0 was divided by 1 minus a leverage of 1, by rounding another number each time."""
    dice, group = [0.91, 0.88, 0.93, 0.85, 0.80, 0.70], [0, 0, 0, 1, 1, 2]
    site, weight = list("abccba"), np.array([50.5, 60.5, 72.5, 81.5, 64.0, 90.0])
    both = adjusted_gap(dice, group, {"site": site, "weight": weight, "height": weight**2}, reference=0)
    assert both.table["unadjusted"].tolist() == pytest.approx([0.08166667, 0.20666667])
    without = adjusted_gap(dice[:5], group[:5], {"weight": weight[:5]}, reference=0).table
    columns = ["unadjusted_low", "unadjusted_high", "unadjusted_p"]
    np.testing.assert_allclose(both.table[columns].iloc[0], without[columns].iloc[0].tolist())
    assert both.table[columns].iloc[1].isna().all()


def test_everything_missing() -> None:
    gap = adjusted_gap([0.1, 0.2], [0, 1], 2, {"age": [None, ""], "kg": [NAN, 1.0]}, reference=0)
    found = gap.table
    assert found[["n_reference", "n_group"]].to_numpy().tolist() == [[0, 0]]
    assert found["adjusted"].isna().all()
    assert gap.notes[0] == "age: 2 subjects without a value left out"


@pytest.mark.parametrize("value", [0.0, 0.9])
def test_values_that_do_not_vary_have_a_gap_of_zero_and_no_p(value: float) -> None:
    _, group, covariates = confounded()
    found = adjusted_gap([value] * 80, group, 2, covariates, reference=0).table.iloc[0]
    for kind in ("unadjusted", "adjusted"):
        assert found[kind] == pytest.approx(0, abs=1e-12)
        assert found[[f"{kind}_low", f"{kind}_high", f"{kind}_p"]].isna().all()


def test_an_interval_covers_as_often_as_it_says() -> None:
    inside = 0
    for seed in range(120):
        dice, group, covariates = confounded(40, seed)
        found = adjusted_gap(dice, group, 2, covariates, reference=0).table.iloc[0]
        inside += found["adjusted_low"] <= 0 <= found["adjusted_high"]
    assert 107 <= inside <= 120  # 95%: 114 expected, standard deviation 2.4


# --- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"covariates": {}}, "covariates must have a column at least and a row for each of 2 values"),
        ({"covariates": {"a": [1]}}, "got 1 columns of 1"),
        ({"covariates": {"a": [1.0, float("inf")]}}, "covariate 'a' must be finite or missing, got infinity"),
        ({"reference": -1}, "reference must be a group id below 2, got -1"),
        ({"level": 1.0}, "level must lie between 0 and 1, got 1.0"),
        ({"groups": [0.5, 1.0]}, "groups must be integer ids"),
        ({"values": [0.1]}, "values and groups must be vectors of one length"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "values": [0.1, 0.2],
        "groups": [0, 1],
        "num_groups": 2,
        "covariates": {"a": [1, 2]},
        "reference": 0,
    }
    with pytest.raises(ValueError, match=message):
        adjusted_gap(**{**given, **change})
