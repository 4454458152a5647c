"""How tables are laid out on the page: nothing may leave it, whatever the number of groups."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairseg import Groups
from fairseg.report import Summary, summarize, write_report
from fairseg.report.page_table import page_table
from fairseg.report.render import NONE, cells


def make_scores(number: int, metrics: tuple[str, ...] = ("dice", "hd"), missed: bool = False) -> pd.DataFrame:
    """Return the scores of `number` groups of four subjects each."""
    rng = np.random.default_rng(0)
    rows = [(f"c{group}{place}", f"group {group}") for group in range(number) for place in range(4)]
    scores = pd.DataFrame(rows, columns=["case", "site"]).assign(label="LV")
    scores["subject"] = scores["case"]
    for metric in metrics:
        scores[metric] = rng.uniform(0.7, 1.0, len(scores))
    scores = scores.assign(prediction_voxels=9, reference_voxels=9)
    if missed:
        scores.loc[0, ["dice", "hd", "prediction_voxels"]] = [0.0, np.nan, 0]
    return scores


def overall(scores: pd.DataFrame) -> Summary:
    return summarize(scores, Groups.from_table(scores, by="site"), reference="group 0")[0]


@pytest.mark.parametrize("number", [2, 4])
def test_few_groups_stand_side_by_side(number: int) -> None:
    summary = overall(make_scores(number))
    table = page_table(summary)
    assert not table.tall
    (part,) = table.parts
    assert [name for name, _ in part.columns] == list(cells(summary).columns)


@pytest.mark.parametrize("number", [5, 12])
def test_many_groups_stand_below_each_other_and_no_number_is_lost(number: int) -> None:
    summary = overall(make_scores(number, missed=True))
    table = page_table(summary)
    assert table.tall
    expected = cells(summary)
    kept = [name for name in expected.index if not set(expected.loc[name]) <= {"0", NONE}]
    assert "Subjects without HD" in kept
    expected = expected.loc[kept]
    shown: dict[tuple[str, str], str] = {}
    for part in table.parts:
        assert [name for name, *_ in part.rows] == list(expected.columns)
        for group, _, row in part.rows:
            shown |= {(name, group): cell for (name, _), cell in zip(part.columns, row, strict=True)}
    assert shown == {
        (measure, group): cell for group in expected for measure, cell in expected[group].items()
    }


def test_measures_that_do_not_fit_side_by_side_leave_the_counts_to_a_second_table() -> None:
    metrics = ("dice", "hd", "hd95", "assd", "nsd")
    measures, counts = page_table(overall(make_scores(6, metrics, missed=True))).parts
    assert not any(name.startswith(("Subjects", "Structures")) for name, _ in measures.columns)
    assert all(name.startswith(("Subjects", "Structures")) for name, _ in counts.columns)


def test_fairness_and_counts_are_set_off() -> None:
    (part,) = page_table(overall(make_scores(2, missed=True))).parts
    kinds = {name: kind for name, kind, _ in part.rows}
    assert kinds["Median DSC"] == ""
    assert kinds["SER"] == kinds["Fairness gap"] == "fairness"
    assert next(kind for kind in kinds.values() if kind.startswith("count")) == "count rule"


def test_counts_of_nothing_are_one_line() -> None:
    table = page_table(overall(make_scores(2)))
    assert table.nothing == "Left out: none."
    assert [name for name, *_ in table.parts[0].rows][-1] == "p (Mann-Whitney U)"


@pytest.mark.parametrize("number", [2, 6])
def test_counts_of_something_stay_and_the_line_speaks_of_the_others(number: int) -> None:
    table = page_table(overall(make_scores(number, missed=True)))
    assert table.nothing == "Left out besides: none."
    part = table.parts[-1]
    names = [name for name, *_ in (part.columns if table.tall else part.rows)]
    assert names[-2:] == ["Subjects without HD", "Structures missed (prediction empty)"]


def test_the_footnote_stands_once_unless_it_differs(tmp_path: Path) -> None:
    scores = make_scores(2)
    scores = pd.concat([scores, scores.assign(label="RV"), scores.assign(label="LA")])
    write_report(scores, Groups.from_table(scores, by="site"), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert page.count("SER: largest median error") == 1
    assert page.count("Left out: none.") == 4


def test_in_print_no_column_is_cut_off(tmp_path: Path) -> None:
    scores = make_scores(6)
    write_report(scores, Groups.from_table(scores, by="site"), tmp_path)
    page = (tmp_path / "report.html").read_text()
    (rules,) = re.findall(r"@media print \{(.*?)\n\}", page, re.DOTALL)
    assert ".scroll { overflow: visible; }" in rules
