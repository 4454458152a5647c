"""Workbooks of Excel: text stays text; which sheet is read; a title is no header."""

from pathlib import Path

import pandas as pd
import pytest

import fairseg
from fairseg.cohort.reading import read_table

# A column of text that looks like numbers, one of text and numbers, and numbers.
TABLE = pd.DataFrame(
    {
        "case": ["0010", "010", "10", "1e1"],
        "subject": ["001", "1", "01", "1.0"],
        "site": pd.Series(["01", 1, "1", 2.0], dtype=object),
        "age": [50.0, 61.5, None, 70.0],
        "visit": [1, 2, 3, 4],
    }
)


def test_text_cells_stay_text_as_in_other_files(tmp_path: Path) -> None:
    book, plain = tmp_path / "t.xlsx", tmp_path / "t.csv"
    TABLE.to_excel(book, index=False)
    TABLE.to_csv(plain, index=False)
    read, other = fairseg.read_cohort(book), fairseg.read_cohort(plain)
    for name in ("case", "subject"):
        assert read[name].tolist() == other[name].tolist() == TABLE[name].tolist()
    assert read["site"].tolist() == ["01", 1, "1", 2]
    for name, bins in (("site", None), ("age", {"age": [60]}), ("visit", None)):
        expected = fairseg.Groups.from_table(other, by=name, bins=bins).names
        assert fairseg.Groups.from_table(read, by=name, bins=bins).names == expected


def test_people_with_leading_zeros_are_counted_once_each(tmp_path: Path) -> None:
    subjects = [f"{number:03}" for number in range(1, 31)] + [str(number) for number in range(1, 31)]
    table = pd.DataFrame({"subject": subjects, "sex": ["F", "M"] * 30, "dice": [0.9] * 60})
    table.to_excel(tmp_path / "s.xlsx", index=False)
    groups = fairseg.audit(tmp_path / "s.xlsx", by="sex").groups
    assert groups["n"].tolist() == [30, 30]


def test_sheets_that_are_not_read_are_named(tmp_path: Path) -> None:
    book = tmp_path / "two.xlsx"
    with pd.ExcelWriter(book) as writer:
        TABLE.to_excel(writer, sheet_name="first", index=False)
        TABLE.to_excel(writer, sheet_name="second", index=False)
    assert any("1 sheet of the workbook not read: second" in note for note in read_table(book).notes)
    with pd.ExcelWriter(book) as writer:
        pd.DataFrame({"read": ["me"]}).to_excel(writer, sheet_name="notes", index=False)
        TABLE.to_excel(writer, sheet_name="people", index=False)
    with pytest.raises(ValueError, match=r"xlsx \(sheet 'notes', the first of 2\) must have a column 'case'"):
        fairseg.read_cohort(book)


@pytest.mark.parametrize("title", ["My study", None])
def test_a_title_above_the_header_is_named(title: str | None, tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "t.xlsx") as writer:
        TABLE.to_excel(writer, sheet_name="a", index=False, startrow=2)
        writer.sheets["a"].cell(1, 1, title)
    named = "only 'My study'" if title else "none"
    with pytest.raises(ValueError, match=f"names of its columns in row 1, got {named}: delete"):
        fairseg.read_cohort(tmp_path / "t.xlsx")


def test_an_index_without_a_name_is_no_title(tmp_path: Path) -> None:
    pd.DataFrame({"dice": [0.9, 0.8]}, index=["a", "b"]).to_excel(tmp_path / "t.xlsx")
    assert list(read_table(tmp_path / "t.xlsx").frame) == ["Unnamed: 0", "dice"]
