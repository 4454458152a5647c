"""One reader of tables: files and DataFrames alike, whatever the tool that wrote them.

The oracle of missing values is pandas' own reader.
"""

import gzip
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest

import fairseg
from fairseg import Groups, read_cohort
from fairseg.cohort.levels import MISSING
from fairseg.cohort.reading import TableOptions, read_table
from fairseg.cohort.table import read_split
from fairseg.scoring import read_scores
from fairseg.scoring.table import Scores

Read = Callable[..., pd.DataFrame]


def scored(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(label="LV", dice=0.9)


def written(table: pd.DataFrame, folder: Path, **how: Any) -> Path:
    table.to_csv(folder / "table.csv", index=False, **how)
    return folder / "table.csv"


READERS: dict[str, Read] = {
    "cohort, file": lambda table, place, **options: read_cohort(written(table, place), **options),
    "cohort, memory": lambda table, _, **options: read_cohort(table, **options),
    "cohort, mapping": lambda table, _, **options: read_cohort(table.to_dict("list"), **options),
    "scores, file": lambda table, place, **options: read_scores(written(scored(table), place), **options),
    "scores, memory": lambda table, _, **options: Scores.of(scored(table), **options).table,
    "scores, categories": lambda table, _, **options: (
        Scores.of(scored(table).astype({"sex": "category"}), **options).table
    ),
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)
PEOPLE = pd.DataFrame(
    {"case": list("abcd"), "subject": ["p1", "p1 ", "p2", "p3"], "sex": ["F", " F", "M", "M "]}
)


@every_reader
@pytest.mark.parametrize("nothing", [*MISSING, " NA ", "  "])
def test_what_says_not_known_is_missing_everywhere(read: Read, nothing: str, tmp_path: Path) -> None:
    table = PEOPLE.assign(sex=["F", nothing, "M", "M"], subject=["p1", "p2", nothing, "p3"])
    result = read(table, tmp_path)
    assert Groups.from_table(result, by="sex").names == ("F", "M")
    assert result["sex"].isna().tolist() == [False, True, False, False]
    assert result["subject"].tolist() == ["p1", "p2", "c", "p3"]  # nobody is called NA


@every_reader
def test_blanks_around_names_make_no_second_person_or_group(read: Read, tmp_path: Path) -> None:
    result = read(PEOPLE, tmp_path)
    assert result["subject"].tolist() == ["p1", "p1", "p2", "p3"]
    assert Groups.from_table(result, by="sex").names == ("F", "M")


def test_pandas_reads_the_same_as_missing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("case,x\n" + "".join(f"{n},{text}\n" for n, text in enumerate(MISSING)))
    assert pd.read_csv(tmp_path / "t.csv")["x"].isna().all()


@every_reader
def test_further_texts_for_not_known_and_levels_called_na(read: Read, tmp_path: Path) -> None:
    table = PEOPLE.assign(sex=["F", "?", "M", "M"], region=["NA", "EU", "NA", ""])
    result = read(table, tmp_path, options=TableOptions(na=["?"], keep_na=["region"]))
    assert result["sex"].isna().tolist() == [False, True, False, False]
    assert Groups.from_table(result, by="region").names == ('"NA"', "EU")
    assert result["region"].isna().tolist() == [False, False, False, True]


@every_reader
def test_columns_may_be_called_otherwise(read: Read, tmp_path: Path) -> None:
    table = PEOPLE.rename(columns={"case": "scan", "subject": "MRN"})
    result = read(table, tmp_path, options=TableOptions(case_column="scan", subject_column="MRN"))
    assert result["case"].tolist() == list("abcd")
    assert result["subject"].nunique() == 3
    with pytest.raises(ValueError, match="must have a column 'study'"):
        read(table, tmp_path, options=TableOptions(case_column="study"))
    assert (
        read(PEOPLE.rename(columns={"case": "Case", "subject": "SUBJECT"}), tmp_path)["subject"].nunique()
        == 3
    )


@every_reader
@pytest.mark.parametrize("ages", [("061Y", "018M", "070Y"), ("61Y", "18M", "70Y"), ("61", "9M", "70Y")])
def test_ages_of_dicom_are_years(read: Read, ages: tuple[str, ...], tmp_path: Path) -> None:
    result = read(PEOPLE.assign(age=[*ages, None]), tmp_path)
    groups = Groups.from_table(result, by="age", bins={"age": [2, 65]})
    assert [groups.name(one) for one in groups.encode(result)] == ["2<=age<65", "age<2", "age>=65", "unknown"]


AGES = ["41", "57", "63", "70", "71", "75", "80", "82"]


@pytest.mark.parametrize("odd", ["?", "unknown", "90+", "o61"])
def test_the_few_cells_that_are_no_numbers_are_named(odd: str, caplog: pytest.LogCaptureFixture) -> None:
    table = {"case": list("abcdefghi"), "age": [*AGES, odd]}
    with caplog.at_level(logging.WARNING):
        result = read_cohort(table)
    assert f"{odd!r} (row 8)" in caplog.text
    assert pd.to_numeric(result["age"]).notna().sum() == 8
    assert any(f"{odd!r} (row 8)" in note for note in Scores.of({**table, "dice": [0.9] * 9}).notes)
    caplog.clear()
    groups = Groups.from_table(table, by="age", bins={"age": [60]})
    assert f"age: numbers but for 1 cell, taken as not known: {odd!r} (case i)" in caplog.text
    assert groups.encode(table).tolist() == groups.encode(result).tolist()


def test_codes_of_letters_and_numbers_are_levels() -> None:
    table = {"case": list("abcdefgh"), "site": ["1", "2", "A", "B", "3", "C", "4", "D"]}
    assert read_table(table).notes == ()
    assert len(Groups.from_table(table, by="site")) == 8


@pytest.mark.parametrize(
    ("content", "sites"),
    [
        (b"case|site\na|Z\nb|\n", ["Z", None]),
        (b"sep=;\r\ncase;site\r\na;Z\r\nb;\r\n", ["Z", None]),
        ("case\tsite\na\tZ\u00fcrich\nb\tK\u00f6ln\n".encode("utf-16"), ["Z\u00fcrich", "K\u00f6ln"]),
        ("case;site\na;Z\u00fcrich\nb;K\u00f6ln\n".encode("cp1252"), ["Z\u00fcrich", "K\u00f6ln"]),
        ("case;site\na;Z\u00fcrich\nb;K\u00f6ln\n".encode("utf-8-sig"), ["Z\u00fcrich", "K\u00f6ln"]),
        (b"case;site\na;1,5\nb;3\n", ["1.5", "3"]),
        (b'"";"case";"site"\n"1";"a";0,5\n"2";"b";NA\n', ["0.5", None]),
        (b'sep=;\n"case";"site"\n"a";"8,7e-05"\n"b";"1"\n', ["8.7e-05", "1"]),
        (b"case;site\na;1,234\nb;2,5\n", ["1.234", "2.5"]),
        (b"case;site;dice\na;1,234;0.9\nb;12,345;0.8\n", ["1,234", "12,345"]),
        (b"case;site;dice\na;70,5;0.9\nb;1,234;0.8\n", ["70.5", "1.234"]),
        (b"case;site\na;x,y\nb;3\n", ["x,y", "3"]),
        (b'case,site\na,"' + b"x" * 100_000 + b'"\nb,y\n', ["x" * 100_000, "y"]),
    ],
    ids=[
        "bar",
        "sep=",
        "UTF-16",
        "Windows-1252",
        "BOM",
        "decimal comma",
        "write.csv2",
        "quoted",
        "three digits",
        "thousands",
        "mixed",
        "comma in text",
        "long cell",
    ],
)
def test_text_of_other_programs(content: bytes, sites: list[str], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    result = read_cohort(tmp_path / "t.csv")
    assert [None if pd.isna(site) else site for site in result["site"]] == sites


def test_the_encoding_that_was_guessed_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "t.csv").write_bytes("case;site\na;Z\u00fcrich\n".encode("cp1252"))
    with caplog.at_level(logging.WARNING):
        read_cohort(tmp_path / "t.csv")
    assert "Windows-1252" in caplog.text


def test_participants_of_bids(tmp_path: Path) -> None:
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t034Y\tF\nsub-02\tn/a\tM\n")
    result = read_cohort(tmp_path / "participants.tsv")
    assert result[["case", "subject"]].to_numpy().tolist() == [["sub-01"] * 2, ["sub-02"] * 2]
    assert result["age"].isna().tolist() == [False, True]


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_excel_and_parquet(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"t.{kind}"
    PEOPLE.to_excel(file, index=False) if kind == "xlsx" else PEOPLE.to_parquet(file)
    assert read_cohort(file)["subject"].nunique() == 3
    dice = np.random.default_rng(0).random(20)
    table = pd.DataFrame({"case": np.arange(20.0), "sex": ["F", "NA"] * 10, "dice": dice})
    table.to_excel(file, index=False) if kind == "xlsx" else table.to_parquet(file)
    scores = Scores.of(file).table
    np.testing.assert_allclose(scores["dice"], dice, rtol=1e-15)
    assert scores["case"].tolist() == [str(place) for place in range(20)]
    assert scores["sex"].tolist()[:2] == ["F", None]

    file.write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(ValueError, match="cannot be read as a table"):
        read_cohort(file)


def test_names_of_cases_that_are_numbers_with_a_gap() -> None:
    assert read_cohort({"case": [1.0, 2.0], "sex": ["F", "M"]})["case"].tolist() == ["1", "2"]
    nullable = pd.DataFrame({"case": pd.array([1, 2], dtype="Int64"), "sex": ["F", pd.NA]})
    assert read_cohort(nullable)["case"].tolist() == ["1", "2"]
    unknown = pd.DataFrame({"case": ["a", "b"], "subject": ["p", None]}).astype("category")
    assert read_cohort(unknown)["subject"].tolist() == ["p", "b"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["1.0", "2.0", "10.0"], ["1", "2", "10"]),
        (["1.0", "2.0", None], ["1", "2", None]),
        (["1.0", "1.1", "2.0"], ["1.0", "1.1", "2.0"]),  # versions, or parts of one
        (["1.0", "2", "3.0"], ["1.0", "2", "3.0"]),
        (["01.0", "02.0", "03.0"], ["01.0", "02.0", "03.0"]),
    ],
)
def test_names_that_are_all_written_as_floats_are_whole_numbers_in_every_table(
    written: list[str | None], read: list[str | None], tmp_path: Path
) -> None:
    cases = ["a", "b", "c"]
    subjects = [name or case for case, name in zip(cases, read, strict=True)]
    table = pd.DataFrame({"case": cases, "subject": written, "sex": ["F", "M", "F"]})
    table.to_csv(tmp_path / "groups.csv", index=False)
    assert read_cohort(table)["subject"].tolist() == subjects
    assert read_cohort(tmp_path / "groups.csv")["subject"].tolist() == subjects
    scores = Scores.of(table.assign(label="LV", dice=[0.9, 0.8, 0.7]))
    assert scores.table["subject"].tolist() == subjects
    if None not in written:
        table.assign(case=written).drop(columns="subject").to_csv(tmp_path / "groups.csv", index=False)
        assert read_cohort(tmp_path / "groups.csv")[["case", "subject"]].to_numpy().tolist() == [
            [name, name] for name in read
        ]
        table.assign(part="train").to_csv(tmp_path / "split.csv", index=False)
        assert list(read_split(tmp_path / "split.csv")) == read


def test_tables_of_thousands_of_columns_are_read(tmp_path: Path) -> None:
    wide = pd.DataFrame({"case": ["a", "b"]} | {f"c{n}": ["1", "x"] for n in range(4000)})
    assert read_cohort(written(wide, tmp_path)).shape == (2, 4002)


# --- scores of another shape


def test_a_column_for_each_label_is_refused_with_the_option_to_type_and_read_with_it() -> None:
    wide = pd.DataFrame(
        {"case": list("ab"), "sex": ["F", "M"], "dice_LV": [0.9, 0.8], "dice_RV": [0.7, None]}
    )
    with pytest.raises(ValueError, match=r"wide=\['dice_LV', 'dice_RV'\] \(in a command --wide"):
        Scores.of(wide)
    result = Scores.of(wide, wide=["dice_LV", "dice_RV"]).table
    expected = wide.melt(["case", "sex"], var_name="label", value_name="dice")
    assert result["label"].tolist() == ["LV", "LV", "RV", "RV"]
    pd.testing.assert_series_equal(result["dice"], expected["dice"])
    both = wide.assign(hd_LV=[3.0, 4.0])
    table = Scores.of(both, wide=["dice_LV", "dice_RV", "hd_LV"]).table
    assert table["hd"].tolist()[:2] == [3.0, 4.0]
    assert table["hd"].isna().tolist() == [False, False, True, True]
    with pytest.raises(ValueError, match="row 1, column dice_LV: must be a number, got 'x'"):
        Scores.of(wide.assign(dice_LV=[0.9, "x"]), wide=["dice_LV", "dice_RV"])


def test_percentages_are_converted_only_if_asked() -> None:
    table = {"sex": ["F", "M"], "dice": [91.0, 88.0], "hd": [3.0, 2.0]}
    with pytest.raises(ValueError, match="--percent"):
        Scores.of(table)
    result = Scores.of(table, percent=True).table
    assert result["dice"].tolist() == [0.91, 0.88]
    assert result["hd"].tolist() == [3.0, 2.0]
    with pytest.raises(ValueError, match="must have percentages"):
        Scores.of({"sex": ["F", "M"], "dice": [0.91, 0.88]}, percent=True)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_without_name_and_text_are_left_out(separator: str, tmp_path: Path) -> None:
    text = "case,sex,,age,\na,F,,41,\nb,M,,52,\n,,,,\n".replace(",", separator)
    (tmp_path / "t.csv").write_text(text)
    assert list(read_cohort(tmp_path / "t.csv")) == ["case", "subject", "sex", "age"]
    table = pd.DataFrame({"case": ["a", "b"], "sex": ["F", "M"], " ": [None, None], "  ": [None, None]})
    table.columns = pd.Index(["case", "sex", None, None])
    table.to_excel(tmp_path / "t.xlsx", index=False)
    assert list(read_cohort(tmp_path / "t.xlsx")) == ["case", "subject", "sex"]
    (tmp_path / "two.csv").write_text("case,sex,,\na,F,1,2\n")
    with pytest.raises(ValueError, match="must name each column once, got '' twice"):
        read_cohort(tmp_path / "two.csv")


@pytest.mark.parametrize("blank", ["\u200b", "\ufeff", "\u00a0", " \u2060 "])
def test_blanks_without_width_are_blanks(blank: str) -> None:
    table = {"case": ["a", "b"], "subject": ["p1", f"{blank}p1{blank}"], "sex": [f"F{blank}", blank]}
    read = read_cohort(table)
    assert read["subject"].tolist() == ["p1", "p1"]
    assert read["sex"][0] == "F"
    assert read["sex"].isna().tolist() == [False, True]


def test_a_few_odd_cells_among_ages_of_dicom_are_not_known() -> None:
    ages = [f"{40 + number:03}Y" for number in range(9)]
    read = read_table({"case": list("abcdefghij"), "PatientAge": [*ages, "?"]})
    assert read.frame["PatientAge"].tolist()[:9] == [*map(str, range(40, 49))]
    assert read.frame["PatientAge"].isna().tolist() == [False] * 9 + [True]
    assert list(read.odd) == ["PatientAge"]
    few = read_table({"case": list("abcd"), "PatientAge": ["041Y", "052Y", "063Y", "?"]})
    with pytest.raises(ValueError, match=r"got '\?' \(case d\); if it means not known: --na '\?'"):
        Groups.from_table(few.frame, by="PatientAge", bins={"PatientAge": [50]})
    many = {"case": list("abcd"), "PatientAge": ["041Y", "052Y", "?", "?"]}
    assert read_table(many).frame["PatientAge"].tolist() == ["41", "52", "?", "?"]
    visits = {"case": list("abcd"), "visit": ["6M", "12M", "baseline", "baseline"]}
    assert read_table(visits).frame["visit"].tolist() == visits["visit"]


@every_reader
def test_groups_of_a_table_in_memory_are_those_of_its_file(read: Read, tmp_path: Path) -> None:
    ages = [f"{30 + number:03}Y" for number in range(24)]
    table = pd.DataFrame({"case": [f"c{number}" for number in range(25)], "sex": "F", "age": [*ages, "?"]})
    in_file = read(table, tmp_path)
    for bins in ({"age": [40]}, {"age": [35, 45]}):
        groups = Groups.from_table(table, by="age", bins=bins)
        assert groups == Groups.from_table(in_file, by="age", bins=bins)
        assert groups.encode(table).tolist() == groups.encode(in_file).tolist()
        assert groups.encode(table.iloc[:2]).tolist() == groups.encode(table)[:2].tolist()
    for source in (table, in_file):
        with pytest.raises(ValueError, match=r"24 numeric levels .such as 30.*give its bins"):
            Groups.from_table(source, by="age")
    few = Groups.from_table({"age": ["030Y", "061Y", "030Y"]}, by="age")
    assert few.names == ("30", "61")
    assert few.encode({"age": ["061Y", "?"]}).tolist() == few.encode(["061Y", None]).tolist() == [1, -1]


@pytest.mark.parametrize("ages", [[f"{30 + number:03}Y" for number in range(24)], list(range(30, 54))])
def test_where_many_ages_are_not_known_the_text_that_says_so_is_named(
    ages: list[Any], tmp_path: Path
) -> None:
    rows = [*ages, *["?"] * 12]
    table = pd.DataFrame({"case": [f"c{number}" for number in range(36)], "age": rows, "dice": 0.9})
    path = tmp_path / "scores.csv"
    table.to_csv(path, index=False)
    for source in (table, read_cohort(path)):
        with pytest.raises(ValueError, match=r"got '\?' .*--na '\?', in Python None"):
            Groups.from_table(source, by="age", bins={"age": [40]})
        with pytest.raises(ValueError, match=r"24 numeric levels .*beside '\?'.*not known: --na '\?'"):
            Groups.from_table(source, by="age")
    for bins in ({"age": [40]}, {}):
        with pytest.raises(ValueError, match=r"--na '\?'"):
            fairseg.audit(path, by="age", bins=bins)


@pytest.mark.parametrize("name", ["t.nii.gz", "t.feather", "t.pkl", "t.json", "t.ods"])
def test_formats_that_are_not_read_are_told_those_that_are(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=r"must be a table in a format that is read: CSV \(\.csv"):
        read_table(tmp_path / name)


def test_a_packed_table_is_read_as_it_is(tmp_path: Path) -> None:
    table = pd.DataFrame({"subject": [f"p{at}" for at in range(24)], "sex": ["F", "M"] * 12, "dice": 0.9})
    for name in ("t.csv", "t.csv.gz", "T.TSV.GZ"):
        table.to_csv(tmp_path / name, index=False, sep="\t" if "T" in name else ",", compression="infer")
    (tmp_path / "T.TSV.GZ").write_bytes(gzip.compress(table.to_csv(index=False, sep="\t").encode()))
    expected = Scores.of(tmp_path / "t.csv")
    for name in ("t.csv.gz", "T.TSV.GZ"):
        pd.testing.assert_frame_equal(Scores.of(tmp_path / name).table, expected.table)
    assert fairseg.compare(tmp_path / "t.csv.gz", str(tmp_path / "t.csv"), by="sex").verdicts
    (tmp_path / "cut.csv.gz").write_bytes((tmp_path / "t.csv.gz").read_bytes()[:40])
    (tmp_path / "no.csv.gz").write_text("subject,dice")
    for name in ("cut.csv.gz", "no.csv.gz"):
        with pytest.raises(ValueError, match=rf"{name} cannot be read: "):
            Scores.of(tmp_path / name)


class Polars:
    """A table of another library, such as polars' DataFrame."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.columns, self._table = list(table), table

    def to_pandas(self) -> pd.DataFrame:
        return self._table


def test_tables_of_other_libraries_are_taken(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"case": [f"p{at}" for at in range(24)], "sex": ["F", "M"] * 12})
    scores = table.assign(dice=rng.uniform(0.8, 0.9, 24))
    expected = fairseg.audit(scores, by="sex")
    for other in (Polars(scores), pyarrow.Table.from_pandas(scores)):
        assert repr(fairseg.audit(other, by="sex")) == repr(expected)
        assert repr(fairseg.audit(scores=other, by="sex")) == repr(expected)
        assert fairseg.compare({"a": other, "b": scores}, groups=table["sex"]).verdicts
        assert fairseg.compare([other, other], by="sex").verdicts
        assert fairseg.check(other).severity == fairseg.check(scores).severity
    pd.testing.assert_frame_equal(read_cohort(Polars(table)), read_cohort(table))


def test_the_summary_of_nnunet_is_told_its_command(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"metric_per_case": []}')
    with pytest.raises(ValueError, match=r"fairseg nnunet scores \S+summary.json --groups groups.csv --out"):
        Scores.of(tmp_path / "summary.json")


def test_columns_are_named_in_python_as_in_the_commands(caplog: pytest.LogCaptureFixture) -> None:
    table = {"Bild": ["a", "b"], "Nr": ["p", "p"], "sex": ["F", "F"]}
    read = read_cohort(table, case_column="Bild", subject_column="Nr")
    assert read[["case", "subject"]].to_numpy().tolist() == [["a", "p"], ["b", "p"]]
    assert "each case is taken for a person" not in caplog.text
    assert read_cohort(table, case_column="Bild")["subject"].tolist() == ["a", "b"]
    assert "no column names the subjects: each case is taken for a person" in caplog.text


def test_several_names_in_one_option_are_told_apart() -> None:
    table = {"subject": list("abcd"), "sex": list("FFMM"), "site": list("ABAB"), "dice": [0.9] * 4}
    with pytest.raises(
        ValueError,
        match=r"name each by itself, such as by=\['sex', 'site'\] \(in a command --by sex --by site\)",
    ):
        fairseg.audit(table, by="sex,site")
    for by in ("sex*site", "sex & site", "sex x site", "sex:site", "sex and site"):
        with pytest.raises(ValueError, match=r"name each by itself, such as by=\['sex', 'site'\]"):
            fairseg.audit(table, by=by)
