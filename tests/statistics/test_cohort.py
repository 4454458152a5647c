"""The cohort by group: subjects, kinds of attributes, and the tests between groups."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairseg import Groups
from fairseg.cohort.attributes import read_attribute, read_subjects
from fairseg.statistics.association import FISHER, WELCH_ANOVA, WELCH_T
from fairseg.statistics.cohort_table import CohortTable, cohort_table


def cohort(n: int = 40, seed: int = 0) -> pd.DataFrame:
    """Return a cohort of text, as read from a file: one case a subject."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "case": [f"c{number}" for number in range(n)],
            "ethnicity": rng.choice(["Black", "White"], n),
            "sex": rng.choice(["F", "M"], n),
            "weight": [f"{value:.1f}" for value in rng.normal(75, 12, n)],
            "age": [str(value) for value in rng.integers(40, 80, n)],
        }
    )


def shown(cases: Any, by: Any = "ethnicity", **options: Any) -> CohortTable:
    return cohort_table(cases, Groups.from_table(cases, by=by), **options)


def table_of(cases: Any, by: Any = "ethnicity", **options: Any) -> pd.DataFrame:
    return shown(cases, by, **options).table


def rows(table: pd.DataFrame, attribute: str, kind: str, level: str = "") -> pd.DataFrame:
    chosen = (table["attribute"] == attribute) & (table["kind"] == kind) & (table["level"] == level)
    return table[chosen].set_index("name")


# --- what stands in it ------------------------------------------------------------------------------


def test_every_number_equals_an_explicit_pandas_computation() -> None:
    cases = cohort()
    found = shown(cases)
    table = found.table
    assert list(table["attribute"].unique()) == ["", "ethnicity", "sex", "weight", "age"]
    weight = pd.to_numeric(cases["weight"])
    for name, members in [("Black", cases["ethnicity"] == "Black"), ("All", cases["ethnicity"] != "")]:
        assert rows(table, "", "subjects").loc[name, "n"] == members.sum()
        line = rows(table, "weight", "mean").loc[name]
        assert line["n"] == members.sum()
        assert line["mean"] == pytest.approx(weight[members].mean())
        assert line["sd"] == pytest.approx(weight[members].std())
        women = rows(table, "sex", "level", "F").loc[name]
        assert women["count"] == ((cases["sex"] == "F") & members).sum()
        assert women["share"] == pytest.approx(women["count"] / members.sum())
    split = [weight[cases["ethnicity"] == name] for name in ("Black", "White")]
    assert rows(table, "weight", "mean")["p"].iloc[0] == pytest.approx(
        stats.ttest_ind(*split, equal_var=False).pvalue
    )
    crossed = pd.crosstab(cases["sex"], cases["ethnicity"])
    assert rows(table, "sex", "level", "F")["p"].iloc[0] == pytest.approx(
        stats.chi2_contingency(crossed, correction=False).pvalue
    )
    assert table["group"].tolist()[:3] == [0, 1, pd.NA]
    assert found.notes == []


def test_subjects_are_counted_not_cases_nor_labels() -> None:
    cases = cohort()
    twice = pd.concat(
        [cases.assign(subject=cases["case"], case=cases["case"] + end) for end in ("_ED", "_ES")]
    )
    scores = pd.concat([twice.assign(label=label, dice=0.9, prediction_voxels=1) for label in ("LV", "RV")])
    pd.testing.assert_frame_equal(table_of(scores.sample(frac=1, random_state=1)), table_of(cases))


@given(st.permutations(range(40)))
@settings(max_examples=10)
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    pd.testing.assert_frame_equal(table_of(cohort().iloc[order]), table_of(cohort()), rtol=1e-12)


def test_an_attribute_of_cases_is_left_out_with_a_note() -> None:
    cases = pd.DataFrame(
        {
            "case": list("abcdef"),
            "subject": ["1", "1", "2", "2", "3", "4"],
            "sex": list("FFMMFM"),
            "frame": ["ED", "ES", "ED", "ES", "ED", "ED"],
            "site": ["A", None, "", "B", "A", "B"],  # a value in one case is the subject's
        }
    )
    found = shown(cases, "sex")
    table = found.table
    assert "frame" not in set(table["attribute"])
    assert found.notes == ["frame: left out, it differs between the cases of 2 of 4 subjects (1, 2)"]
    assert rows(table, "site", "level", "A")["count"].tolist() == [2, 0, 2]
    assert rows(table, "site", "missing").empty


def test_numbers_written_differently_are_one_number() -> None:
    cases = cohort().assign(subject=cohort()["case"])
    again = cases.assign(case=cases["case"] + "_ES", weight=cases["weight"] + "0")
    pd.testing.assert_frame_equal(table_of(pd.concat([cases, again])), table_of(cases))


def test_a_slip_in_a_numeric_column_is_named() -> None:
    cases = cohort()
    cases["weight"] = [f"{number + 0.5}" for number in range(39)] + ["70,5"]
    assert shown(cases).notes == ["weight: left out, most of its values are numbers, but not 70,5"]


def test_names_are_left_out() -> None:
    cases = cohort().assign(code=[f"id-{number}" for number in range(40)])
    found = shown(cases)
    table = found.table
    assert "code" not in set(table["attribute"])
    assert found.notes == ["code: left out, 40 levels of 40 subjects are names"]


def test_a_column_without_any_value_is_left_out() -> None:
    found = shown(cohort().assign(scanner=None))
    assert found.notes == ["scanner: left out, no subject has a value"]


def test_missing_values_are_counted_and_stay_out_of_means_and_shares() -> None:
    cases = cohort()
    cases.loc[:4, "weight"] = ""
    cases.loc[:9, "sex"] = None
    table = table_of(cases)
    assert rows(table, "weight", "mean").loc["All", "n"] == 35
    missing = rows(table, "sex", "missing")
    assert missing.loc["All", ["count", "n"]].tolist() == [10, 40]
    assert missing["p"].isna().all()
    shares = [rows(table, "sex", "level", level)["share"] for level in ("F", "M")]
    np.testing.assert_allclose(shares[0] + shares[1], 1.0)
    assert rows(table, "age", "missing").empty


def test_unknown_groups_are_shown_but_neither_tested_nor_in_all() -> None:
    cases = cohort()
    stranger = pd.DataFrame(
        {"case": ["x", "y"], "sex": ["M", "M"], "weight": ["900.0", "901.0"], "age": ["5", ""]}
    )
    with_unknown = table_of(pd.concat([cases, stranger], ignore_index=True))
    known = with_unknown[~(with_unknown["group"] == -1).fillna(False)]
    without = table_of(cases)
    plain = known[known["kind"] != "missing"].reset_index(drop=True)
    pd.testing.assert_frame_equal(plain, without)
    assert rows(with_unknown, "", "subjects").loc["unknown", "n"] == 2
    assert rows(with_unknown, "weight", "mean").loc["unknown", "mean"] == pytest.approx(900.5)
    assert rows(with_unknown, "age", "missing").loc["unknown", "count"] == 1


def test_a_subject_with_a_known_and_an_unknown_case_is_known() -> None:
    cases = pd.DataFrame({"case": list("abc"), "subject": list("112"), "sex": ["F", "", "M"]})
    assert rows(table_of(cases, "sex"), "", "subjects")["n"].to_dict() == {"F": 1, "M": 1, "All": 2}


# --- the tests --------------------------------------------------------------------------------------


def test_attributes_of_the_groups_are_shown_but_not_tested() -> None:
    cases = cohort()
    groups = Groups.from_table(cases, by=("ethnicity", "age"), bins={"age": [60]})
    table = cohort_table(cases, groups).table
    assert table.loc[table["attribute"].isin(["ethnicity", "age"]), "p"].isna().all()
    assert (table.loc[table["attribute"].isin(["ethnicity", "age"]), "test"] == "").all()
    assert set(table.loc[table["attribute"] == "weight", "test"]) == {WELCH_ANOVA}


def test_a_subject_in_two_groups_forbids_all_tests() -> None:
    cases = pd.concat(
        [cohort().assign(subject=cohort()["case"]), cohort().assign(subject="c0", case="z").head(1)]
    )
    cases.iloc[-1, cases.columns.get_loc("ethnicity")] = (
        "White" if cases.iloc[0]["ethnicity"] == "Black" else "Black"
    )
    found = shown(cases, columns=["weight"])
    table = found.table
    assert table["p"].isna().all()
    assert found.notes == ["no tests: 1 subject is in more than one group: c0"]
    assert rows(table, "", "subjects").loc["All", "n"] == 40


def test_a_group_of_one_is_in_no_test_of_means_and_has_no_spread() -> None:
    cases = cohort()
    cases.loc[0, "ethnicity"] = "Other"
    found = shown(cases, columns=["weight", "sex"])
    table = found.table
    assert np.isnan(rows(table, "weight", "mean").loc["Other", "sd"])
    assert set(rows(table, "weight", "mean")["test"]) == {WELCH_T}
    assert found.notes == ["weight: not in the test, with one value only: Other"]
    assert table_of(cases.head(8), columns=["sex"])["test"].iloc[-1] != ""


def test_a_group_of_the_training_cohort_that_is_absent_here() -> None:
    cases = cohort()
    groups = Groups.from_table({"ethnicity": ["Asian", "Black", "White"]}, by="ethnicity")
    table = cohort_table(cases, groups).table
    assert rows(table, "", "subjects").loc["Asian", "n"] == 0
    assert np.isnan(rows(table, "weight", "mean").loc["Asian", "mean"])
    assert np.isnan(rows(table, "sex", "level", "F").loc["Asian", "share"])
    same = table_of(cases)
    assert rows(table, "weight", "mean").loc["All", "p"] == rows(same, "weight", "mean").loc["All", "p"]


def test_small_counts_get_an_exact_test() -> None:
    cases = {"case": list("abcdefgh"), "group": list("xxxxyyyy"), "sex": list("FFFMFMMM")}
    table = table_of(cases, "group")
    assert set(rows(table, "sex", "level", "F")["test"]) == {FISHER}
    assert rows(table, "sex", "level", "F")["p"].iloc[0] == pytest.approx(34 / 70)


def test_constant_attributes_have_no_p() -> None:
    table = table_of(cohort().assign(scanner="A"))
    line = rows(table, "scanner", "level", "A")
    assert line["p"].isna().all()
    assert (line["share"] == 1).all()


# --- what is numeric --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["41", "57", "63", "70", "71", "75", "80"], "numeric"),
        ([41, 57, 63, 70, 71, 75, 80, None], "numeric"),
        (["1", "2", "3", "4", "5", "6", "1.0"], "categorical"),
        (["1.5", "3.0", "1.5", "3"], "categorical"),  # field strengths
        (["60.1", "60.2", "60.3"], "numeric"),
        (["41", "57", "63", "70", "71", "75", "80", "old"], "identifier"),
        ([True, False, None], "categorical"),
        (["1", "2", "3", "4", "5", "6", "inf"] * 2, "categorical"),
        ([f"p{number}" for number in range(7)], "identifier"),
        ([f"p{number}" for number in range(6)], "categorical"),
        ([f"p{number}" for number in range(7)] * 2, "categorical"),
        ([None, "", float("nan")], "categorical"),
    ],
)
def test_kinds(values: list[Any], kind: str) -> None:
    assert read_attribute("x", values).kind == kind


def test_levels_stand_in_the_order_of_groups() -> None:
    assert read_attribute("stage", ["10", "2", "1.0", "2"]).levels == ("1", "2", "10")
    ordered = pd.Categorical(["high", "low"], ["low", "mid", "high"], ordered=True)
    table = cohort_table({"case": [1, 2], "sex": ["F", "M"], "dose": pd.Series(ordered)}, GROUPS).table
    assert list(table.loc[table["attribute"] == "dose", "level"].unique()) == ["low", "high"]


# --- bad input --------------------------------------------------------------------------------------

GROUPS = Groups.from_table({"sex": ["F", "M"]}, by="sex")


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        ({"sex": ["F"]}, None, "table must have a column 'subject' or 'case', got sex"),
        ({"case": [None], "sex": ["F"]}, None, "must name the case of every row, got none in row 0"),
        (
            {"case": ["a"], "sex": ["F"]},
            ["age"],
            "columns must be attributes of the table, which has sex, got 'age'",
        ),
        ({"case": ["a"], "sex": ["F"]}, ["case"], "columns must be attributes of subjects, got 'case'"),
        (
            {"case": ["a"], "sex": ["F"]},
            "sex",
            r"columns must be a sequence of attributes, such as \['sex'\]",
        ),
        ({"case": ["a"]}, None, "attribute 'sex' is not in the table"),
    ],
)
def test_bad_input_is_named(table: dict[str, Any], columns: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cohort_table(table, GROUPS, columns)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 0], r"\(1,\), got int64 of shape \(2,\)"),
        ([0.0], "got float64"),
        ([2], "between -1 and 1, got 2 to 2"),
    ],
)
def test_ids_must_fit(ids: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_subjects(pd.DataFrame({"case": ["a"]}), ids, 2)
    with pytest.raises(ValueError, match="name each column once, got 'case' twice"):
        read_subjects(pd.DataFrame([["a", "b"]], columns=["case", "case"]), [0], 2)


def test_no_subject_at_all() -> None:
    found = cohort_table({"case": [], "sex": []}, GROUPS)
    assert found.table["n"].tolist() == [0, 0, 0]
    assert found.notes == ["sex: left out, no subject has a value"]


@pytest.mark.parametrize("name", ["a|b", "=cmd()", "", "All", "unknown", "two\nlines"])
def test_odd_names_of_attributes_and_levels(name: str) -> None:
    cases = {"case": list("abcd"), "sex": list("FFMM"), name: [name or "x", "y", "x", None]}
    table = table_of(cases, "sex", columns=[name])
    assert set(table.loc[table["kind"] == "level", "attribute"]) == {name}
