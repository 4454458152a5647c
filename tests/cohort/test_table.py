"""read_cohort: what people's tools write is read alike, and every complaint says where."""

import re
import warnings
from pathlib import Path

import pandas as pd
import pytest

from fairseg import read_cohort
from fairseg.cohort import TableOptions
from fairseg.cohort.levels import MISSING
from fairseg.cohort.table import read_split, rows_of
from fairseg.io.csv_files import to_csv

EXPECTED = pd.DataFrame({"case": ["p1_ED", "p1_ES"], "subject": ["p1", "p1"], "sex": ["F", "M"]}, dtype=str)


def read(tmp_path: Path, text: str | bytes) -> pd.DataFrame:
    path = tmp_path / "groups.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_cohort(path)


def complaint(tmp_path: Path, text: str | bytes) -> str:
    """Return the error of a bad table; it must name the file and fit on a line."""
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "groups.csv"))) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "case,subject,sex\np1_ED,p1,F\np1_ES,p1,M\n",
        "case;subject;sex\np1_ED;p1;F\np1_ES;p1;M\n",
        "case\tsubject\tsex\np1_ED\tp1\tF\np1_ES\tp1\tM\n",
        "sex,case,subject\nF,p1_ED,p1\nM,p1_ES,p1",
        "\ufeffcase,subject,sex\r\np1_ED,p1,F\r\np1_ES,p1,M\r\n",
        '\ufeff"case","subject","sex"\n"p1_ED","p1","F"\n"p1_ES","p1","M"\n',
        " case , subject , sex \n p1_ED , p1 ,F\np1_ES,p1, M \n",
        "case,subject,sex\n\np1_ED,p1,F\n,,\n  \np1_ES,p1,M\n\n\n",
    ],
    ids=["comma", "semicolon", "tab", "order", "BOM and CRLF", "quotes", "spaces", "blank lines"],
)
def test_tables_that_say_the_same_read_the_same(tmp_path: Path, text: str) -> None:
    table = read(tmp_path, text)
    assert list(table.columns) == ["case", "subject", "sex"]
    assert list(table.index) == [0, 1]
    assert table.to_numpy().tolist() == EXPECTED.to_numpy().tolist()


@pytest.mark.parametrize("marker", MISSING)
def test_markers_of_missing_values_become_missing(tmp_path: Path, marker: str) -> None:
    table = read(tmp_path, f"case,sex\n1,F\n2,{marker}\n3, {marker} \n")
    assert table["sex"].isna().tolist() == [False, True, True]


def test_leading_zeros_and_numbers_stay_the_text_that_they_are(tmp_path: Path) -> None:
    table = read(tmp_path, "case,disease,site,age\n007,mild,01,1.50\n7,none,1,1e3\n")
    assert table["case"].tolist() == ["007", "7"]
    assert table["disease"].tolist() == ["mild", "none"]
    assert table["site"].tolist() == ["01", "1"]
    assert table["age"].tolist() == ["1.50", "1e3"]


def test_a_quoted_value_may_hold_separators_and_line_breaks(tmp_path: Path) -> None:
    table = read(tmp_path, 'case,site\n1,"a,b"\n2,"a\nb"\n')
    assert table["site"].tolist() == ["a,b", "a\nb"]


def test_a_quoted_column_name_may_hold_the_separator(tmp_path: Path) -> None:
    table = read(tmp_path, 'case,"sex, reported","sex, recorded"\n1,F,M\n')
    assert list(table.columns) == ["case", "subject", "sex, reported", "sex, recorded"]


def test_without_a_column_subject_the_case_is_the_subject(tmp_path: Path) -> None:
    table = read(tmp_path, "case\n1\n2\n")
    assert table["subject"].tolist() == ["1", "2"]


def test_where_a_row_lacks_its_subject_the_case_is_the_subject(tmp_path: Path) -> None:
    table = read(tmp_path, "case,subject\n1,p1\n2,\n3,NA\n4,p1\n")
    assert table["subject"].tolist() == ["p1", "2", "3", "p1"]


def test_a_short_row_has_missing_attributes(tmp_path: Path) -> None:
    assert read(tmp_path, "case,sex\n1\n2,M\n")["sex"].isna().tolist() == [True, False]


@pytest.mark.parametrize("rows", ["1,F,x\n2,M,y\n", "1,F,x\n2,M\n", "1,F\n2,M,y\n"])
@pytest.mark.parametrize("action", ["error", "ignore"])
def test_a_row_with_more_fields_than_the_header_is_refused_not_cut(
    tmp_path: Path, rows: str, action: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(action)  # type: ignore[arg-type]
        assert "cannot be read as a table" in complaint(tmp_path, "case,sex\n" + rows)


def test_a_case_in_several_rows_is_named_with_the_rows_of_a_spreadsheet(tmp_path: Path) -> None:
    message = complaint(tmp_path, "case,sex\n1,F\n\n2,M\n 1 ,F\n3,F\n1,M\n2,M\n")
    assert "case 1" in message
    assert re.findall(r"\d+", message.split("rows")[-1]) == ["2", "5", "7"]


def test_a_row_without_case_is_named(tmp_path: Path) -> None:
    assert "row 4 has no case" in complaint(tmp_path, "case,sex\n1,F\n\n,M\n")
    assert "row 2 has no case" in complaint(tmp_path, "case,sex\nNA,F\n")


def test_rows_of_a_subject_are_one_unless_they_contradict(tmp_path: Path) -> None:
    text = "subject,sex,age\nb,M,50\na,F,\na,,41\n"
    (tmp_path / "people.csv").write_text(text)
    table = read_cohort(tmp_path / "people.csv")
    assert table.to_numpy().tolist() == [["b", "b", "M", "50"], ["a", "a", "F", "41"]]
    message = complaint(tmp_path, text + "a,M,41\n")
    assert "subject a must have one sex, got 'F' in row 3 and 'M' in row 5" in message


def test_a_column_that_is_not_there_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("file,sex\na,F\n")
    with pytest.raises(ValueError, match=r"column 'fil', it has file, sex; did you mean 'file'"):
        read_cohort(tmp_path / "g.csv", TableOptions(case_column="fil"))
    with pytest.raises(TypeError, match=r"case_column='file', subject_column='patient'"):
        read_cohort(tmp_path / "g.csv", column="file")  # type: ignore[call-arg]


def test_a_table_without_column_case_says_which_it_has(tmp_path: Path) -> None:
    message = complaint(tmp_path, "name,sex\n1,F\n")
    assert "'case'" in message
    assert "name, sex" in message
    assert "--case-column" in message


@pytest.mark.parametrize("header", ["Case,sex", "case_id,sex", "patient_id,sex", "ID,sex"])
def test_cases_are_found_under_other_names(header: str, tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(f"{header}\na,F\nb,M\n")
    cohort = read_cohort(path)
    assert cohort.columns.tolist() == ["case", "subject", "sex"]
    assert cohort["case"].tolist() == cohort["subject"].tolist() == ["a", "b"]


def test_cases_of_one_patient_are_of_one_subject(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("case,PatientID,organ\na_ED,a,heart\na_ES,a,heart\n")
    cohort = read_cohort(path)
    assert cohort["subject"].tolist() == ["a", "a"]
    assert cohort.columns.tolist() == ["case", "subject", "organ"]


@pytest.mark.parametrize("text", ["", "\n", "  \n\n", "\ufeff"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    complaint(tmp_path, text)


@pytest.mark.parametrize("text", ["case,sex\n", "case,sex", "case,sex\n\n,\n"])
def test_a_header_alone_is_refused(tmp_path: Path, text: str) -> None:
    assert "at least one row" in complaint(tmp_path, text)


@pytest.mark.parametrize("header", ["case,sex,sex", 'case,"sex",sex', "case, sex,sex ", "case,case"])
def test_a_column_name_given_twice_is_named(tmp_path: Path, header: str) -> None:
    message = complaint(tmp_path, f"{header}\n1,F,M\n")
    assert repr(header.rsplit(",", maxsplit=1)[-1].strip()) in message


@pytest.mark.parametrize(
    "data",
    [
        "case,site\n1,A\n".encode("utf-16-le"),
        b"\x1f\x8b\x08\xff",
        b"case,site\n1,\x81\n",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "UTF-8" in complaint(tmp_path, data)


def test_no_such_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_cohort(path)


def test_the_path_may_be_text(tmp_path: Path) -> None:
    read(tmp_path, "case\n1\n")
    assert len(read_cohort(str(tmp_path / "groups.csv"))) == 1


def test_rows_of_cases_come_in_their_order_and_unknown_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("case,subject,sex\na,A,F\nb,,M\nc,C,F\n")
    rows = rows_of(read_cohort(tmp_path / "groups.csv"), ["c", "x", "b"])
    assert list(rows.columns) == ["case", "subject", "sex", "note"]
    assert rows["note"].isna().tolist() == [True, True, False]  # of b, whose subject is not known
    assert rows[["case", "subject"]].to_numpy().tolist() == [["c", "C"], ["x", "x"], ["b", "b"]]
    assert rows["sex"].isna().tolist() == [False, True, False]


def test_a_split_is_read_as_it_was_written_safe_for_spreadsheets(tmp_path: Path) -> None:
    table = pd.DataFrame({"subject": ["=s1", "-s2", "s3"], "part": ["train", "validation", "test"]})
    (tmp_path / "split.csv").write_text(to_csv(table))
    assert "'=s1" in (tmp_path / "split.csv").read_text()
    assert read_split(tmp_path / "split.csv") == {"=s1": "train", "-s2": "validation", "s3": "test"}
