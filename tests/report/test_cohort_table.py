"""The cohort table as text: the form of the paper's tables, rounding, and names that can do no harm."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairseg import Groups
from fairseg.report.cohort_table import cohort_page_table
from fairseg.report.numbers import NONE
from fairseg.report.tables import to_latex, to_markdown
from fairseg.statistics.cohort_table import CohortTable, cohort_table

NASTY = ["<b>x</b>", "a|b", "50%_&", "$x$", "two\nlines", "{#~^}", "\x1b[31m"]


def cohort_cells(table: pd.DataFrame) -> pd.DataFrame:
    return cohort_page_table(table).to_frame()


def table_of(cases: Any, by: Any, **options: Any) -> pd.DataFrame:
    return cohort_table(cases, Groups.from_table(cases, by=by), **options)


def with_moments(n: int, mean: float, sd: float, seed: int) -> list[float]:
    """Return n values with exactly this mean and standard deviation."""
    values = np.random.default_rng(seed).normal(size=n)
    return list(mean + sd * (values - values.mean()) / values.std(ddof=1))


# Table 3 of Lee et al. 2025: the external validation set.
TABLE_3 = {
    "Age (years)": [(40.5, 14.1), (49.1, 11.0)],
    "Weight (kg)": [(92.6, 19.3), (95.1, 20.2)],
    "Height (cm)": [(176.9, 7.33), (172.9, 9.48)],
    "Body Mass Index": [(29.6, 6.13), (31.8, 6.23)],
}


def test_the_form_of_table_3() -> None:
    cases = pd.DataFrame(
        {
            "case": [f"c{number}" for number in range(84)],
            "ethnicity": ["White"] * 30 + ["Black"] * 54,
            **{
                name: with_moments(30, *white, seed) + with_moments(54, *black, seed + 50)
                for seed, (name, (white, black)) in enumerate(TABLE_3.items())
            },
        }
    )
    cells = cohort_cells(table_of(cases, "ethnicity", columns=list(TABLE_3)))
    assert list(cells.columns) == ["Black", "White", "All", "SMD", "p"]
    assert list(cells.index) == ["n subjects", *TABLE_3]
    assert cells.loc["n subjects"].tolist() == ["54", "30", "84", NONE, NONE]
    for name, moments in TABLE_3.items():
        for group, (mean, sd) in zip(("White", "Black"), moments, strict=True):
            assert cells.loc[name, group] == f"{mean:.1f} ({sd:.1f})"
    # The paper's averages over both groups, from the moments of each.
    assert cells.loc["Age (years)", "All"] == "46.0 (12.8)"
    assert cells.loc["Height (cm)", "All"].startswith("174.3 (8.9")  # printed 8.96
    # The paper stars nothing; by these moments age and height differ (Welch's t is 2.89 and 2.15).
    assert [bool(re.search(r"\*$", shown)) for shown in cells["p"][1:]] == [True, False, True, False]


@pytest.mark.parametrize(
    ("mean", "sd", "shown"),
    [
        (64.6, 7.7, "64.6 (7.7)"),
        (1234567.0, 2345.6, "1,234,567.0 (2,345.6)"),
        (1.7312, 0.0934, "1.731 (0.093)"),
        (0.9, 0.55, "0.90 (0.55)"),
        (0.0123, 0.00045, "0.01230 (0.00045)"),
        (-3.0, 1.0, "\N{MINUS SIGN}3.0 (1.0)"),
    ],
)
def test_decimals_show_two_digits_of_the_spread(mean: float, sd: float, shown: str) -> None:
    values = with_moments(20, mean, sd, 1)
    cells = cohort_cells(
        table_of({"case": list(range(40)), "x": values * 2, "sex": ["F"] * 20 + ["M"] * 20}, "sex")
    )
    assert cells.loc["x", ["F", "M"]].tolist() == [shown] * 2


def test_counts_stand_with_their_percentage_and_p_once() -> None:
    cases = {
        "case": list(range(8)),
        "group": list("xxxxyyyy"),
        "sex": ["F", "F", "F", "M", "F", "M", "M", None],
    }
    cells = cohort_cells(table_of(cases, "group", columns=["sex"]))
    assert cells.loc["sex=F"].tolist() == ["3 (75.0%)", "1 (33.3%)", "4 (57.1%)", "0.92", "0.49"]
    assert cells.loc["sex=M"].tolist() == ["1 (25.0%)", "2 (66.7%)", "3 (42.9%)", NONE, NONE]
    assert cells.loc["sex: missing"].tolist() == ["0 (0.0%)", "1 (25.0%)", "1 (12.5%)", NONE, NONE]


def test_a_small_share_does_not_look_like_none() -> None:
    cases = {"case": list(range(4000)), "sex": ["F", "M"] * 2000, "rare": ["yes", *["no"] * 3999]}
    assert cohort_cells(table_of(cases, "sex", columns=["rare"])).loc["rare=yes"].tolist() == [
        "1 (0.1%)",  # of 2000: 0.05%
        "0 (0.0%)",
        "1 (<0.1%)",
        NONE,
        NONE,
    ]


def test_small_p_is_starred_and_bounded() -> None:
    cases = {
        "case": list(range(80)),
        "sex": ["F"] * 40 + ["M"] * 40,
        "kg": [*np.arange(40.0), *np.arange(100.0, 140.0)],
    }
    table = table_of(cases, "sex", columns=["kg"])
    assert cohort_cells(table).loc["kg", "p"] == "<0.001*"
    assert cohort_page_table(table).note == (
        "Mean (standard deviation). SMD: largest standardised mean difference between two groups. "
        "p: Welch's t-test, not corrected for several attributes; * p < 0.05."
    )


def test_one_subject_no_subject_and_the_unknown() -> None:
    cases = {"case": list("abcde"), "sex": ["F", "M", "M", "", "M"], "kg": [60.1, 70.2, 80.3, 90.4, 75.5]}
    groups = Groups.from_table({"sex": ["F", "M", "X"]}, by="sex")
    cells = cohort_cells(cohort_table(cases, groups, ["kg", "sex"]))
    assert list(cells.columns) == ["F", "M", "X", "All", "unknown", "SMD", "p"]
    assert cells.loc["kg"].tolist() == [
        f"60.1 ({NONE})",
        "75.3 (5.1)",
        NONE,
        "71.5 (8.7)",
        f"90.4 ({NONE})",
        NONE,
        NONE,
    ]
    assert cells.loc["sex=F"].tolist() == ["1 (100.0%)", "0 (0.0%)", NONE, "1 (25.0%)", NONE, NONE, NONE]


def test_notes_stand_below() -> None:
    cases = {"case": list("abc"), "subject": list("aab"), "sex": list("FFM"), "frame": ["ED", "ES", "ED"]}
    table = table_of(cases, "sex")
    assert "Frame: left out, it differs between the cases of 1 of 2 subjects (a)." in to_markdown(
        [cohort_page_table(table)]
    )
    assert "Frame: left out" in to_latex([cohort_page_table(table)])


@pytest.mark.parametrize("name", NASTY)
def test_names_are_made_safe(name: str) -> None:
    cases = {"case": list("abcd"), name: ["x", name, "x", name], "sex": [name, name, "z", "z"]}
    table = table_of(cases, "sex")
    markdown, latex = to_markdown([cohort_page_table(table)]), to_latex([cohort_page_table(table)])
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}  # five columns and the labels
    assert "<b>" not in markdown
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {5}
    assert "\x1b" not in markdown + latex
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == 1


def test_the_page_gets_plain_rows_with_a_rule_between_attributes() -> None:
    cases = {
        "case": list("abcd"),
        "sex": list("FFMM"),
        "site": ["A", "B", "A", None],
        "<i>": ["1", "2", "1", "2"],
    }
    part = cohort_page_table(table_of(cases, "sex", columns=["site", "<i>"]))
    assert [heading.name for heading in part.columns] == ["F", "M", "All", "SMD", "p"]
    assert [(heading.name, heading.css) for heading in part.rows] == [
        ("n subjects", "rule"),
        ("site=A", "rule"),
        ("site=B", ""),
        ("site: missing", "count"),
        ("<i>=1", "rule"),
        ("<i>=2", ""),
    ]
    assert {len(cells) for cells in part.cells} == {5}


def smd_of(table: CohortTable) -> dict[str, float]:
    return {str(name): rows["smd"].iloc[0] for name, rows in table.table.groupby("attribute") if name}


def test_standardised_differences_are_those_of_their_definition() -> None:
    cases = {
        "case": list(range(30)),
        "sex": ["F"] * 10 + ["M"] * 20,
        "kg": [*np.arange(60.0, 70.0), *np.arange(70.0, 90.0)],
        "smoker": ["yes"] * 3 + ["no"] * 7 + ["yes"] * 12 + ["no"] * 8,
        "site": (["A"] * 5 + ["B"] * 3 + ["C"] * 2) + (["A"] * 5 + ["B"] * 5 + ["C"] * 10),
    }
    smd = smd_of(table_of(cases, "sex", columns=["kg", "smoker", "site"]))
    kg = {sex: np.array(cases["kg"])[np.array(cases["sex"]) == sex] for sex in "FM"}
    expected = (79.5 - 64.5) / np.sqrt((kg["F"].var(ddof=1) + kg["M"].var(ddof=1)) / 2)
    assert smd["kg"] == pytest.approx(expected)
    # Of two levels: the difference of the shares over the root of the mean variance.
    assert smd["smoker"] == pytest.approx(0.3 / np.sqrt((0.3 * 0.7 + 0.6 * 0.4) / 2))
    first, second = np.array([0.3, 0.2]), np.array([0.25, 0.5])
    spread = sum(np.diag(part) - np.outer(part, part) for part in (first, second)) / 2
    away = first - second
    assert smd["site"] == pytest.approx(np.sqrt(away @ np.linalg.inv(spread) @ away))


def test_groups_that_are_wholly_apart_are_infinitely_far_from_each_other() -> None:
    group = np.repeat(["A", "B", "C"], 10)
    attributes = {
        "site": np.where(group == "C", "y", "x"),  # A and B alike, C apart
        "scanner": np.select([group == "A", group == "B"], ["p", "q"], "r"),
        "grade": np.where(group == "C", np.tile(["u", "v"], 15), "w"),
        "kg": np.select([group == "A", group == "B"], [70.1, 60.3], 50.7),
        "arm": ["left"] * 30,
        "age": [50.1] * 30,
        "clinic": np.where(group == "C", "m", np.tile(["m", "n"], 15)),
    }
    cases = {"case": list(range(30)), "group": group} | attributes
    table = table_of(cases, "group", columns=list(attributes))
    smds = smd_of(table)
    assert {name for name, smd in smds.items() if np.isinf(smd)} == {"site", "scanner", "grade", "kg"}
    assert smds["arm"] == smds["age"] == 0
    assert smds["clinic"] == pytest.approx(0.5 / np.sqrt(0.25 / 2))
    page = cohort_page_table(table)
    assert "\N{INFINITY}: two groups have no value in common" in page.note
    assert cohort_cells(table).loc["site=x", "SMD"] == "\N{INFINITY}"
    assert r"$\infty$" in to_latex([page])
    del cases["scanner"], cases["grade"], cases["kg"], cases["site"]
    assert "\N{INFINITY}" not in cohort_page_table(table_of(cases, "group")).note
