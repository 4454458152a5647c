"""The scores table survives its file, no spreadsheet runs it, and a bad file is named with row and column."""

import csv
import re
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseg.cohort.levels import is_missing
from fairseg.scoring.table import Scores, read_scores, scores_to_files

NASTY = [
    "=cmd()",
    "-1",
    "-",
    "+x",
    "@SUM(A1)",
    "'=quoted",
    "''=quoted twice",
    "'plain quote",
    '"double"',
    "a,b;c",
    "two\nlines",
    "two\r\nlines",
    "two\rlines",
    "-1+2",
    "007",
    "1.0",
    "München ♀ 心",
    "<script>alert(1)</script>",
]
NO_WIDTH = "\ufeff\u200b\u200c\u200d\u2060"
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=8
).filter(
    lambda text: text.strip("\ufeff\u200b\u200c\u200d\u2060") == text.strip() == text and not is_missing(text)
)


def table(levels: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "case": [f"c{index}" for index in range(len(levels))],
            "subject": levels,
            "site": levels,
            "label": levels,
            "dice": [1 / (index + 3) for index in range(len(levels))],
            "hd": [float("nan") if index % 2 else index + 0.1 for index in range(len(levels))],
            "distance_unit": "mm",
            "prediction_voxels": list(range(len(levels))),
            "reference_voxels": [7] * len(levels),
            "prediction_ml": [0.1 * index for index in range(len(levels))],
            "reference_ml": [float("nan") if index % 2 else 7.7 for index in range(len(levels))],
        }
    )


def again(scores: pd.DataFrame) -> pd.DataFrame:
    with TemporaryDirectory() as folder:
        for name, text in scores_to_files(scores).items():
            Path(folder, name).write_bytes(text.encode())
        return read_scores(Path(folder, "scores.csv"))


def assert_same(result: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(result.columns) == list(expected.columns)
    for name in expected:
        for a, b in zip(result[name], expected[name], strict=True):
            assert a == b or (pd.isna(a) and pd.isna(b)), f"{name}: {a!r} is not {b!r}"


def read(tmp_path: Path, text: str | bytes) -> pd.DataFrame:
    path = tmp_path / "scores.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_scores(path)


def complaint(tmp_path: Path, text: str | bytes) -> str:
    """Return the error of a bad table without the file's name, which must be in it."""
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "scores.csv"))) as caught:
        read(tmp_path, text)
    return str(caught.value).replace(str(tmp_path), "")


# --- round trip -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", NASTY)
def test_a_nasty_level_comes_back_as_it_was(level: str) -> None:
    levels = [level, "b"]  # names that are all such as 1.0 are read as 1
    assert_same(again(table(levels)), table(levels))


# No label beside others may be called as tables call the mean over all.
@given(st.lists(TEXT.filter(lambda text: text.strip().casefold() != "overall"), min_size=1, max_size=4))
def test_any_text_comes_back_as_it_was(levels: list[str]) -> None:
    levels = [*levels, "b"]
    assert_same(again(table(levels)), table(levels))


@given(st.lists(st.floats(0, 1e6) | st.just(float("nan")), min_size=1, max_size=8))
def test_scores_come_back_to_the_last_bit(values: list[float]) -> None:
    scores = table([str(index) for index in range(len(values))]).assign(hd=values)
    assert_same(again(scores), scores)


@pytest.mark.parametrize("name", ["=cmd()", "-x", "'=quoted", "a,b", "größe"])
def test_a_nasty_attribute_name_comes_back_as_it_was(name: str) -> None:
    scores = table(["a", "b"]).rename(columns={"site": name})
    assert_same(again(scores), scores)


def test_a_missing_attribute_comes_back_missing() -> None:
    scores = table(["a", "b"]).assign(site=["a", None])
    assert again(scores)["site"].isna().tolist() == [False, True]


def test_no_cell_of_the_file_is_a_formula() -> None:
    levels = ["\ttab", *(level for level in NASTY if level != "two\rlines")]
    text = scores_to_files(table(levels).rename(columns={"site": "=site"}))["scores.csv"]
    for row in csv.reader(StringIO(text)):
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or cell == "-1"


def test_numbers_of_voxels_are_written_whole_beside_a_case_without_any() -> None:
    lost = pd.DataFrame({"case": ["lost"], "skipped": ["no file"]})
    text = scores_to_files(pd.concat([table(["a", "b"]), lost]), "run 1.csv")["run 1.csv"]
    assert [row["prediction_voxels"] for row in csv.DictReader(StringIO(text))] == ["0", "1", ""]


# --- tables made by other means ---------------------------------------------------------------------


def test_a_table_made_by_hand_needs_only_case_label_and_one_metric(tmp_path: Path) -> None:
    scores = read(tmp_path, "\ufeffcase,label,dice\r\n01,1,0.5\r\n02,1,\r\n")
    assert scores["case"].tolist() == scores["subject"].tolist() == ["01", "02"]
    assert scores["label"].tolist() == ["1", "1"]
    assert scores["dice"].tolist()[0] == 0.5
    assert scores["dice"].isna().tolist() == [False, True]


def test_a_table_from_before_volumes_still_reads(tmp_path: Path) -> None:
    scores = read(tmp_path, "case,label,dice,prediction_voxels,reference_voxels\na,1,0.5,3,4\n")
    assert list(scores["reference_voxels"]) == [4.0]
    assert not {"prediction_ml", "reference_ml"} & set(scores)


def test_where_a_row_lacks_its_subject_the_case_is_the_subject(tmp_path: Path) -> None:
    scores = read(tmp_path, "case,subject,label,hd\n1,p,1,2\n2,,1,2\n")
    assert scores["subject"].tolist() == ["p", "2"]
    assert scores["note"].isna().tolist() == [True, False]
    assert_same(again(scores), scores)  # said once
    (note, _) = reversed(Scores.of(scores).notes)
    assert note.endswith("(1 case: 2)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case,label,dice\na,1,0.5\nb,1,x\n", "row 3, column dice: must be a number, got 'x'"),
        ("case,label,hd,reference_voxels\na,1,2,many\n", "row 2, column reference_voxels"),
        ("case,label,hd,reference_ml\na,1,2,-0.1\n", "column reference_ml: must be 0 or more, got '-0.1'"),
        ("case,label,hd,prediction_ml\na,1,2,full\n", "column prediction_ml: must be a number, got 'full'"),
        ('case,label,dice\na,1,"0,5"\n', "row 2, column dice: must be a number, got '0,5'"),
        ("case,label,dice\na,1,0.5\nb,1,0.5\na,1,0.6\n", "row 4 has case a, label 1 again"),
        ("case,dice\na,0.5\n", "no label"),
        ("dice\n0.5\n", "no case and no label"),
        ("case,label,score\na,1,0.5\n", "column of scores (dice, hd, hd95,"),
        ("case,label,dice\na,1,0.5\nb,1,0.5,3,4\n", "cannot be read as a table"),
        ("", "cannot be read as a table"),
    ],
)
def test_a_bad_table_is_named_with_row_and_column(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said.lower() in complaint(tmp_path, text).lower()


@pytest.mark.parametrize(
    ("text", "what"),
    [(",1,0.5", "case"), ("b,,0.5", "label"), ("b,\u200b,0.5", "label"), ("\u200b \u200b,1,0.5", "case")],
)
def test_a_row_without_case_or_label_is_refused_not_lost(tmp_path: Path, text: str, what: str) -> None:
    message = complaint(tmp_path, f"case,label,dice\na,1,0.5\n{text}\n")
    assert "row 3" in message
    assert what in message


def test_an_infinite_score_is_refused_with_its_row(tmp_path: Path) -> None:
    assert "row 3, column hd" in complaint(tmp_path, "case,label,hd\na,1,0.5\nb,1,inf\n")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    assert "row" in complaint(tmp_path, "case,label,dice\n")


def test_rows_longer_than_the_header_do_not_shift_the_columns(tmp_path: Path) -> None:
    try:
        scores = read(tmp_path, "case,label,dice\na,1,0.5,\nb,1,0.6,\n")
    except ValueError as error:
        assert str(tmp_path / "scores.csv") in str(error)  # noqa: PT017
    else:
        assert scores["case"].tolist() == ["a", "b"]
        assert scores["dice"].tolist() == [0.5, 0.6]


def test_no_such_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_scores(path)
