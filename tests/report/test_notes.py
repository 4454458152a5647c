"""Notes on a scores table: what a reader must know, and nothing where all is well."""

import logging
from pathlib import Path

import pandas as pd
import pytest

from fairseg import Groups
from fairseg.report import summarize, write_report
from fairseg.report.notes import notes_on
from fairseg.report.summary_table import footnote, summary_table
from fairseg.report.tables import to_terminal


def table(cases: int = 8, labels: tuple[str, ...] = ("LV", "RV")) -> pd.DataFrame:
    rows = [(f"c{place}", f"c{place}", "FM"[place % 2], label) for place in range(cases) for label in labels]
    scores = pd.DataFrame(rows, columns=["case", "subject", "sex", "label"])
    return scores.assign(dice=[0.5 + place / 200 for place in range(len(scores))], hd=2.0)


def notes(scores: pd.DataFrame, by: str = "sex") -> list[str]:
    return notes_on(scores, summarize(scores, Groups.from_table(scores, by=by))[0])


def test_a_whole_table_gives_nothing_to_note() -> None:
    assert notes(table()) == []


def test_without_dice_the_missing_measures_are_noted_and_no_footnote_is_left_blank(tmp_path: Path) -> None:
    scores = table().drop(columns="dice")
    assert notes(scores) == ["without Dice there is no SER, no fairness gap and no p: all need it"]
    summaries = write_report(scores, Groups.from_table(scores, by="sex"), tmp_path)
    assert len(summaries) == 3
    assert '<p class="note"></p>' not in (tmp_path / "report.html").read_text()
    assert ". }" not in (tmp_path / "summary.tex").read_text()
    for text in ((tmp_path / "summary.md").read_text(), to_terminal(map(summary_table, summaries))):
        assert "\n\n\n" not in text
        assert text.endswith("\n")
        assert not text.endswith("\n\n")


def test_a_subject_in_two_groups_is_named() -> None:
    scores = table()
    scores.loc[scores["case"].isin(["c0", "c1"]), "subject"] = "p7"
    assert notes(scores) == ["1 subject is in more than one group and counted in each: p7"]
    summary = summarize(scores, Groups.from_table(scores, by="sex"))[0]
    assert "p: not given, 1 subject is in more than one group." in footnote(summary)


def test_of_many_subjects_in_several_groups_five_are_named_and_each_is_counted_once() -> None:
    scores = table(24).assign(site=[f"site {place // 2 % 3}" for place in range(48)])
    scores["subject"] = [f"p{place // 6}" for place in range(48)]  # each in all three
    (note,) = notes(scores, by="site")
    assert note == "8 subjects are in more than one group and counted in each: p0, p1, p2, p3, p4 and 3 more"


def test_a_case_that_lacks_the_row_of_a_label_is_named_with_the_label() -> None:
    scores = table()
    (note,) = notes(scores[(scores["case"] != "c3") | (scores["label"] != "RV")])
    assert note == (
        "1 case without a row of a label that other cases have, so averaged over fewer labels: c3 (RV)"
    )


def test_of_many_cases_that_lack_labels_five_are_named() -> None:
    scores = table(20, ("LV", "RV", "LA"))
    (note,) = notes(scores[(scores["case"] == "c0") | (scores["label"] == "RV")])
    assert note.startswith("19 cases without")
    assert note.endswith("c1 (LV, LA), c2 (LV, LA), c3 (LV, LA), c4 (LV, LA), c5 (LV, LA) and 14 more")


def test_a_row_without_a_score_is_a_row() -> None:
    scores = table()
    scores.loc[0, ["dice", "hd"]] = float("nan")
    assert notes(scores) == []


def test_notes_stand_on_the_page_after_those_of_the_table_and_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scores = table().drop(index=3).assign(note="said before")
    with caplog.at_level(logging.WARNING, logger="fairseg"):
        write_report(scores, Groups.from_table(scores, by="sex"), tmp_path)
    (record,) = caplog.records
    assert "c1 (RV)" in record.getMessage()
    page = (tmp_path / "report.html").read_text()
    assert page.index("said before") < page.index("c1 (RV)")
