"""How tables are laid out on the page: nothing may leave it, whatever the number of groups."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg import Groups
from fairseg.report import ReportSections, Summary, summarize
from fairseg.report.numbers import NONE
from fairseg.report.summary_table import summary_table
from fairseg.report.tables import Cell, Heading, Table, to_latex, to_markdown


def make_scores(number: int, metrics: tuple[str, ...] = ("dice", "hd"), missed: bool = False) -> pd.DataFrame:
    """Return the scores of `number` groups of four subjects each."""
    rng = np.random.default_rng(0)
    rows = [(f"c{group}{index}", f"group {group}") for group in range(number) for index in range(4)]
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
    table = summary_table(overall(make_scores(number)))
    (part,) = table.fitted()
    assert not part.tall
    assert part.columns == table.columns


@pytest.mark.parametrize("metrics", [("dice", "hd"), ("dice", "hd", "hd95", "assd", "nsd")])
@pytest.mark.parametrize("number", [5, 12])
def test_many_groups_stand_below_each_other_and_no_number_is_lost(
    number: int, metrics: tuple[str, ...]
) -> None:
    table = summary_table(overall(make_scores(number, metrics, missed=True)))
    expected = table.without_zeros().to_frame()
    assert "Subjects without HD" in expected.index
    shown: dict[tuple[str, str], str] = {}
    for part in table.fitted():
        assert part.tall
        assert len(part.columns) <= 10
        text = part.to_frame()
        shown |= {(measure, group): text.loc[group, measure] for group in text.index for measure in text}
    for group in expected:
        for measure, cell in expected[group].items():
            assert shown.get((measure, group), NONE) == cell


def test_kinds_of_measures_that_do_not_fit_side_by_side_get_tables_of_their_own() -> None:
    metrics = ("dice", "hd", "hd95", "assd", "nsd")
    parts = summary_table(overall(make_scores(6, metrics, missed=True))).fitted()
    kinds = [{column.css.split(" ")[0] for column in part.columns} for part in parts]
    assert kinds == [{""}, {"fairness"}, {"count"}]
    assert [bool(part.note) for part in parts] == [False, False, True]


def test_fairness_and_counts_are_set_off() -> None:
    (part,) = summary_table(overall(make_scores(2, missed=True))).fitted()
    kinds = {heading.name: heading.css for heading in part.rows}
    assert kinds["Median DSC"] == ""
    assert kinds["SER"] == kinds["Fairness gap"] == "fairness"
    assert kinds["Subjects without HD"] == "count"


def test_counts_of_nothing_are_one_line() -> None:
    (part,) = summary_table(overall(make_scores(2))).fitted()
    assert part.note.startswith("Left out: none.")
    assert part.rows[-1].name == "p (Mann-Whitney U)"


@pytest.mark.parametrize("number", [2, 6])
def test_counts_of_something_stay_and_the_line_speaks_of_the_others(number: int) -> None:
    part = summary_table(overall(make_scores(number, missed=True))).fitted()[-1]
    assert part.note.startswith("Nothing else is left out.")
    names = [heading.name for heading in (part.columns if part.tall else part.rows)]
    assert names[-2:] == ["Subjects without HD", "Structures missed (prediction empty)"]


def test_headings_over_several_columns_and_best_cells_in_every_form() -> None:
    table = Table(
        "Models",
        (Heading("F"), Heading("M")) * 2,
        (Heading("Median"), Heading("Gap")),
        (
            (Cell(0.9, best=True), Cell(0.8), Cell(0.7), Cell(-0.6)),
            (Cell(0.1, 0.05, 0.15, span=2), Cell(0.2, span=2)),
        ),
        spans=(("one", 2), ("two", 2)),
    )
    latex = to_latex([table])
    assert r" & \multicolumn{2}{c}{one} & \multicolumn{2}{c}{two} \\" in latex
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-5}" in latex
    assert r"Median & \textbf{0.900} & 0.800 & 0.700 & $-$0.600 \\" in latex
    assert r"Gap & \multicolumn{2}{c}{0.100 (0.050 to 0.150)} & \multicolumn{2}{c}{0.200} \\" in latex
    rows = [[part.strip() for part in line.split("|")[1:-1]] for line in to_markdown([table]).splitlines()]
    assert rows[2] == ["", "one: F", "one: M", "two: F", "two: M"]
    assert rows[4] == ["Median", "**0.900**", "0.800", "0.700", "\N{MINUS SIGN}0.600"]
    assert rows[5] == ["Gap", "0.100 (0.050 to 0.150)", "", "0.200", ""]


def save(scores: pd.DataFrame, folder: Path) -> str:
    result = fairseg.audit(scores, by="site", min_size=2, sections=ReportSections(resamples=100))
    return result.save(folder).read_text()


def test_the_footnote_stands_once_unless_it_differs(tmp_path: Path) -> None:
    scores = make_scores(2)
    page = save(pd.concat([scores, scores.assign(label="RV"), scores.assign(label="LA")]), tmp_path)
    assert page.count("SER: largest median error") == 1
    assert page.count("Left out: none.") == 1


def test_in_print_no_column_is_cut_off(tmp_path: Path) -> None:
    (rules,) = re.findall(r"@media print \{(.*?)\n\}", save(make_scores(6), tmp_path), re.DOTALL)
    assert ".scroll { overflow: visible; }" in rules
