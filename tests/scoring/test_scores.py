"""Scores: what belongs to a row survives what people do with a table, and every table is read alike."""

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg import Groups
from fairseg.cli import main
from fairseg.cohort.columns import DISTANCES, METRICS
from fairseg.cohort.levels import MISSING
from fairseg.scoring.table import Scores, scores_to_files

Change = Callable[[pd.DataFrame, Path], Any]


def frame() -> pd.DataFrame:
    """Four subjects of two labels, distances in pixels; case 03 was skipped and case 02 has a note."""
    rows = [(case, label) for case in ("01", "02", "04") for label in ("LV", "RV")]
    scores = pd.DataFrame(rows, columns=["case", "label"])
    scores.insert(1, "subject", "p" + scores["case"])
    scores["dice"] = [0.9, 0.8, 0.7, float("nan"), 0.6, 0.5]
    scores["hd95"] = [1.5, 2.5, 3.5, float("nan"), 4.5, 5.5]
    scores["distance_unit"] = "px"
    scores["prediction_voxels"] = [10, 20, 30, 0, 50, 60]
    scores["reference_voxels"] = [11, 21, 31, 0, 51, 61]
    scores["note"] = scores["case"].map({"02": "blurred"})
    lost = pd.DataFrame({"case": ["03"], "subject": ["p03"], "skipped": ["no prediction"]})
    return pd.concat([scores, lost], ignore_index=True)


def demographics() -> pd.DataFrame:
    return pd.DataFrame(
        {"case": ["01", "02", "03", "04"], "sex": ["F", "M", "F", "M"], "age": [41, 57, 63, 70]}
    )


def plain_csv(scores: pd.DataFrame, folder: Path, **options: Any) -> pd.DataFrame:
    scores.to_csv(folder / "plain.csv", index=False)
    return pd.read_csv(folder / "plain.csv", **options)


def own_csv(scores: pd.DataFrame, folder: Path) -> Path:
    for name, text in scores_to_files(scores).items():
        (folder / name).write_bytes(text.encode())
    return folder / "scores.csv"


def written_by_pandas(scores: pd.DataFrame, folder: Path) -> Path:
    scores.to_csv(folder / "pandas.csv", index=False)
    return folder / "pandas.csv"


CHANGES: dict[str, Change] = {
    "merge": lambda scores, _: scores.merge(demographics(), on="case"),
    "left merge": lambda scores, _: scores.merge(demographics(), on="case", how="left"),
    "merge on the left": lambda scores, _: demographics().merge(scores, on="case"),
    "join": lambda scores, _: scores.join(demographics().set_index("case"), on="case"),
    "join of indexes": lambda scores, _: scores.set_index("case").join(demographics().set_index("case")),
    "index of two": lambda scores, _: scores.set_index(["case", "label"]),
    "csv of pandas": lambda scores, folder: plain_csv(scores, folder, dtype={"case": str}),
    "csv of pandas, read here": written_by_pandas,
    "csv of fairseg": own_csv,
    "csv of fairseg, read by pandas": lambda scores, folder: pd.read_csv(
        own_csv(scores, folder), dtype={"case": str}
    ),
    "merge, then csv": lambda scores, folder: plain_csv(
        scores.merge(demographics(), on="case"), folder, dtype={"case": str}
    ),
    "concat": lambda scores, _: pd.concat([scores[scores["case"] < "03"], scores[scores["case"] >= "03"]]),
    "sorted": lambda scores, _: scores.sort_values("dice").sort_values("case", kind="stable"),
    "copy": lambda scores, _: scores.copy(),
    "nullable": lambda scores, _: scores.convert_dtypes(),
    "categories": lambda scores, _: scores.astype(
        dict.fromkeys(["case", "subject", "label", "distance_unit", "skipped", "note"], "category")
    ),
    "mapping": lambda scores, _: scores.to_dict(orient="list"),
    "to_frame": lambda scores, _: Scores.of(scores).to_frame(),
    "Scores": lambda scores, _: Scores.of(scores),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_unit_skipped_cases_and_notes_survive(change: Change, tmp_path: Path) -> None:
    scores = Scores.of(change(frame(), tmp_path))
    assert scores.unit == "px"
    assert scores.reasons == {"03": "no prediction"}
    assert scores.skipped["subject"].tolist() == ["p03"]
    assert [note.endswith("(1 case: 02)") for note in scores.notes] == [False, True]
    expected = Scores.of(frame()).table
    result = scores.table.sort_values(["case", "label"], ignore_index=True)[list(expected)]
    pd.testing.assert_frame_equal(result, expected)


@pytest.mark.parametrize("change", ["merge", "left merge", "join", "join of indexes", "merge, then csv"])
def test_a_skipped_case_has_its_attributes(change: str, tmp_path: Path) -> None:
    scores = Scores.of(CHANGES[change](frame(), tmp_path))
    assert scores.attributes == ["sex", "age"]
    assert scores.skipped[["sex", "age"]].to_numpy().tolist() == [["F", "63"]]
    assert Groups.from_table(scores.table, by="sex").counts([0, 1]).tolist() == [1, 1]


def test_case_names_that_pandas_made_numbers_of_are_whole() -> None:
    scores = Scores.of(pd.DataFrame({"case": [1.0, 2.0], "label": [3, 3], "dice": [0.5, 0.6]}))
    assert scores.table["case"].tolist() == ["1", "2"]
    assert scores.labels == ["3"]
    lost = pd.DataFrame({"case": [3], "skipped": ["no file"]})  # makes floats of the labels
    assert Scores.of(pd.concat([scores.to_frame().astype({"label": int}), lost])).labels == ["3"]


def test_the_table_of_the_caller_stays_as_it_was() -> None:
    before, scores = frame(), frame()
    Scores.of(scores)
    pd.testing.assert_frame_equal(scores, before)


# --- the unit


def test_a_table_that_does_not_state_the_unit_of_its_distances_gets_a_note() -> None:
    scores = Scores.of(frame().drop(columns="distance_unit"))
    assert scores.unit is None
    assert [("unit" in note, "distance_unit" in note) for note in scores.notes] == [
        (True, True),
        (False, False),
    ]
    without = Scores.of(frame().drop(columns=["distance_unit", "hd95"]))
    assert (without.unit, len(without.notes)) == (None, 1)


@pytest.mark.parametrize(("name", "unit"), [("HD95 (mm)", "mm"), ("hd95_px", "px")])
def test_the_name_of_a_column_may_state_the_unit(name: str, unit: str) -> None:
    table = frame().drop(columns="distance_unit").rename(columns={"hd95": name})
    assert Scores.of(table).unit == unit
    assert Scores.of(table).metrics == ["dice", "hd95"]


def test_a_row_that_lost_its_unit_is_an_error_that_names_row_and_column() -> None:
    other = frame().drop(columns="distance_unit").replace({"case": {"01": "05", "02": "06", "04": "07"}})
    with pytest.raises(ValueError, match=r"row 7, column distance_unit: must be mm or px, got nothing"):
        Scores.of(pd.concat([frame(), other]))
    # Without a distance there is nothing in a unit.
    assert Scores.of(pd.concat([frame(), other.assign(hd95=float("nan"))])).unit == "px"


def test_a_case_that_an_outer_merge_adds_is_an_error_that_names_the_row() -> None:
    more = pd.concat([demographics(), pd.DataFrame({"case": ["99"], "sex": ["F"]})])
    with pytest.raises(ValueError, match=r"row 7 has no label"):
        Scores.of(frame().merge(more, on="case", how="outer"))


@pytest.mark.parametrize("unit", ["cm", "MM", 1])
def test_another_unit_is_an_error(unit: object) -> None:
    with pytest.raises(ValueError, match=rf"row 0, column distance_unit: must be mm or px, got '{unit}'"):
        Scores.of(frame().assign(distance_unit=unit))


def test_of_two_units_the_distances_in_pixels_are_left_out_and_noted_for_good() -> None:
    mixed = frame()
    mixed.loc[mixed["case"] == "01", "distance_unit"] = "mm"
    scores = Scores.of(mixed)
    assert scores.unit == "mm"
    assert scores.table["hd95"].notna().tolist() == [True, True, False, False, False, False]
    assert scores.table["dice"].notna().sum() == 5
    assert sum(note.endswith("(2 cases: 02, 04)") for note in scores.notes) == 1
    assert Scores.of(scores.to_frame()).notes == scores.notes


def test_a_column_that_a_merge_has_doubled_is_an_error() -> None:
    for name in ("subject", "distance_unit", "note", "skipped", "dice"):
        other = demographics().assign(**{name: "x"})
        with pytest.raises(ValueError, match=rf"one column '{name}'.*{name}_x.*{name}_y"):
            Scores.of(frame().merge(other, on="case"))


# --- cells


@pytest.mark.parametrize("marker", [*MISSING, None, float("nan"), pd.NA, pd.NaT, " NA "])
def test_what_says_not_known_is_missing_in_every_column(marker: Any) -> None:
    table = pd.DataFrame(
        {
            "case": ["a", "b", "c"],
            "subject": ["p", marker, "q"],
            "sex": ["F", "M", marker],
            "label": "LV",
            "dice": [0.9, marker, 0.8],
            "skipped": marker,
            "note": marker,
        },
        dtype=object,
    )
    scores = Scores.of(table)
    assert scores.table["subject"].tolist() == ["p", "b", "q"]
    assert scores.table["sex"].tolist() == ["F", "M", None]
    np.testing.assert_equal(scores.table["dice"].to_numpy(), [0.9, np.nan, 0.8])
    assert scores.skipped.empty
    assert len(scores.notes) == 1  # on the subject of b
    # The groups of any DataFrame, checked or not, are the same.
    assert Groups.from_table(table, by="sex").encode(table).tolist() == [0, 1, -1]


@pytest.mark.parametrize("marker", MISSING)
def test_a_file_says_the_same_as_the_table(marker: str, tmp_path: Path) -> None:
    text = f"case,subject,sex,label,dice\na,p,F,LV,0.9\nb,{marker},M,LV,{marker}\nc,q , {marker} ,LV,0.8\n"
    (tmp_path / "scores.csv").write_text(text)
    from_file = Scores.of(tmp_path / "scores.csv")
    in_memory = Scores.of(pd.read_csv(StringIO(text), keep_default_na=False))
    pd.testing.assert_frame_equal(from_file.table, in_memory.table)
    assert from_file.table["sex"].tolist() == ["F", "M", None]
    assert from_file.notes == in_memory.notes


def test_blanks_around_names_make_no_second_person_level_or_label() -> None:
    table = {
        "case": ["a ", " b"],
        "subject": ["p", "p "],
        "sex": ["F", " F"],
        "label": ["LV", "LV\t"],
        "dice": [" 0.5 ", "0.6"],
    }
    for source in (table, pd.DataFrame(table), pd.DataFrame(table).astype("category")):
        clean = Scores.of(source).table
        assert [clean[name].unique().tolist() for name in ("subject", "sex", "label")] == [
            ["p"],
            ["F"],
            ["LV"],
        ]
        assert clean["dice"].tolist() == [0.5, 0.6]


def test_an_ordered_categorical_keeps_its_order() -> None:
    stages = pd.Categorical(["mild", "none ", "severe"], ["none ", "mild", "severe"], ordered=True)
    scores = Scores.of({"stage": stages, "dice": [0.9, 0.8, 0.7]})
    assert Groups.from_table(scores.table, by="stage").names == ("none", "mild", "severe")
    assert Groups.from_table(scores.to_frame(), by="stage").names == ("none", "mild", "severe")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([41, 57], ["41", "57"]),
        ([41.0, float("nan")], ["41", None]),
        ([1.5, 3], ["1.5", "3"]),
        ([True, False], ["True", "False"]),
        (["01", "1.0"], ["01", "1.0"]),
    ],
)
def test_attributes_are_text(values: list[Any], texts: list[str | None]) -> None:
    assert Scores.of({"site": values, "dice": [0.5, 0.6]}).table["site"].tolist() == texts


def test_thousands_of_columns_are_read() -> None:
    wide = {f"feature{number}": ["x", "y"] for number in range(3000)}
    assert len(Scores.of({**wide, "dice": [0.5, 0.6]}).attributes) == 3000


# --- what a row is


def test_one_row_a_subject() -> None:
    scores = Scores.of({"subject": ["p", "q"], "sex": ["F", "M"], "dice": [0.9, 0.8]})
    assert scores.table["case"].tolist() == scores.table["subject"].tolist() == ["p", "q"]
    assert len(scores.labels) == 1


def test_without_any_name_a_row_is_a_subject() -> None:
    scores = Scores.of({"sex": ["F", "M"], "dice": [0.9, 0.8]})
    assert scores.table["subject"].tolist() == ["0", "1"]  # as `loc` finds them


def test_the_index_of_a_table_names_rows_that_no_column_names(tmp_path: Path) -> None:
    table = pd.DataFrame({"sex": ["F", "M"], "dice": [0.9, 0.8]}, index=["p07", "p11"])
    assert Scores.of(table).table["subject"].tolist() == ["p07", "p11"]
    assert Scores.of(table.set_axis([3, 8])).table["case"].tolist() == ["3", "8"]
    assert Scores.of(table.set_axis([3, 3])).table["case"].tolist() == ["0", "1"]  # which is no name
    sites = pd.MultiIndex.from_tuples([("A", 1), ("B", 1)])
    assert Scores.of(table.set_axis(sites)).table["case"].tolist() == ["A, 1", "B, 1"]
    wide = table.rename(columns={"dice": "dice_LV"})
    assert Scores.of(wide, wide=["dice_LV"]).table["subject"].tolist() == ["p07", "p11"]
    assert Scores.of(table.rename_axis("subject").assign(case=["a", "b"])).table["case"].tolist() == [
        "a",
        "b",
    ]
    table.to_csv(file := tmp_path / "scores.csv", index=False)
    assert Scores.of(file).table["subject"].tolist() == ["1", "2"]  # the rows of a file have no index


def test_several_rows_of_a_subject_are_its_cases() -> None:
    scores = Scores.of({"subject": ["p", "q", "p"], "dice": [0.9, 0.8, 0.7]})
    assert scores.table["subject"].tolist() == ["p", "q", "p"]
    assert scores.table["case"].nunique() == 3
    labels = Scores.of({"subject": ["p", "p"], "label": ["LV", "RV"], "dice": [0.9, 0.8]})
    assert labels.table["case"].tolist() == ["p", "p"]


def test_one_row_a_case_may_be_a_skipped_one() -> None:
    scores = Scores.of({"case": ["a", "b"], "dice": [0.9, None], "skipped": [None, "no file"]})
    assert scores.reasons == {"b": "no file"}
    assert len(scores.labels) == 1
    # A case with a score was not skipped, whatever the column says; one without a reason has no score.
    assert Scores.of({"case": ["a", "b"], "dice": [0.9, 0.8], "skipped": [None, "no"]}).skipped.empty


def test_a_score_beside_a_reason_to_skip_counts_and_is_told() -> None:
    cases = {"case": ["a", "b", "c"], "dice": [0.9, 0.8, 0.7]}
    scores = Scores.of(cases | {"skipped": [None, "bad file", "bad file"]})
    assert len(scores.table) == 3
    assert scores.notes == (
        "2 cases have a score, which counts, and yet a reason in the column 'skipped': b, c",
    )
    assert not any("skipped" in note for note in Scores.of(cases | {"skipped": [False, "no", None]}).notes)
    assert len(Scores.of({"case": ["a", "b"], "dice": [0.9, None]}).table) == 2


def test_skipped_cases_alone_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"2 skipped cases only"):
        Scores.of({"case": ["a", "b"], "label": None, "dice": float("nan"), "skipped": "no file"})


@pytest.mark.parametrize(
    "source",
    [None, 3, [0.5], np.array([0.5]), pd.Series([0.5]), {"dice": 0.5}, {"dice": [1, 2], "sex": ["F"]}, {}],
    ids=["none", "number", "list", "array", "series", "scalars", "lengths", "nothing"],
)
def test_what_is_no_table_is_an_error_that_names_the_argument(source: Any) -> None:
    with pytest.raises(ValueError, match=r"^answers must"):
        Scores.of(source, where="answers")


# --- metrics


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("Dice", "dice"),
        ("DSC", "dice"),
        ("dice_score", "dice"),
        ("Dice coefficient", "dice"),
        ("HD", "hd"),
        ("Hausdorff distance", "hd"),
        ("HD95 (mm)", "hd95"),
        ("hausdorff_95", "hd95"),
        ("ASSD", "assd"),
        ("NSD", "nsd"),
        ("surface dice", "nsd"),
        *((name, name) for name in METRICS),
        *((metric.title, name) for name, metric in METRICS.items()),
    ],
)
def test_metrics_are_found_by_the_names_that_people_give_them(name: str, metric: str) -> None:
    scores = Scores.of({"sex": ["F", "M"], name: [0.25, 0.5]})
    assert scores.metrics == [metric]
    assert scores.table[metric].tolist() == [0.25, 0.5]
    assert scores.attributes == ["sex"]


def test_two_columns_of_one_metric_are_an_error_that_names_both() -> None:
    with pytest.raises(ValueError, match=r"one column of dice, got dice and DSC"):
        Scores.of({"dice": [0.5], "DSC": [0.5]})


def test_a_table_without_metric_says_what_it_has() -> None:
    with pytest.raises(ValueError, match=r"column of scores \(dice, .*it has sex, volume"):
        Scores.of({"sex": ["F"], "volume": [3.0]})


@pytest.mark.parametrize("person", ["patient_id", "Subject", "PatientID", "Participant ID", "ID"])
@pytest.mark.parametrize("structure", ["Label", "structure"])
def test_rows_of_one_person_are_one_subject_whatever_the_columns_are_called(
    person: str, structure: str
) -> None:
    scores = Scores.of({person: ["p", "p", "q"], structure: ["LV", "RV", "LV"], "DSC": [0.9, 0.8, 0.7]})
    assert scores.table["subject"].tolist() == ["p", "p", "q"]
    assert scores.labels == ["LV", "RV"]
    assert scores.attributes == []
    assert scores.notes == ()


def test_a_table_that_names_nobody_says_that_rows_are_taken_for_persons() -> None:
    assert "each row is taken for a person" in Scores.of({"sex": ["F", "M"], "dice": [0.9, 0.8]}).notes[0]


def test_two_columns_that_may_name_the_person_are_an_error_that_names_both() -> None:
    with pytest.raises(ValueError, match=r"scores: .* subject, got patient and PatientID"):
        Scores.of({"patient": ["a"], "PatientID": ["b"], "dice": [0.9]})
    assert Scores.of({"subject": ["a"], "PatientID": ["b"], "dice": [0.9]}).attributes == ["PatientID"]


def test_one_column_a_structure_is_an_error_with_the_line_that_mends_it() -> None:
    wide = pd.DataFrame({"patient_id": ["a", "b"], "dice_LV": [0.9, 0.8], "dice_RV": [0.7, 0.6]})
    with pytest.raises(ValueError, match="dice_LV") as error:
        Scores.of(wide)
    line = re.search(r"wide=\[.*?\]", str(error.value))
    assert line is not None
    scores = eval(f"Scores.of(table, {line[0]})", {"Scores": Scores, "table": wide})
    assert scores.labels == ["LV", "RV"]
    assert scores.table.set_index(["subject", "label"])["dice"].to_dict() == {
        ("a", "LV"): 0.9, ("b", "LV"): 0.8, ("a", "RV"): 0.7, ("b", "RV"): 0.6
    }  # fmt: skip
    columns: Any = ["dice_LV", "dice_RV"]
    with pytest.raises(ValueError, match=r"metric must be the name of one column, got \['dice_LV'.*wide="):
        Scores.of(wide, metric=columns)


def test_errors_call_a_column_as_its_table_does() -> None:
    with pytest.raises(ValueError, match=r"row 1, column Dice score: .*'0,9' .a decimal comma"):
        Scores.of({"Dice score": [0.5, "0,9"]})


@pytest.mark.parametrize("first", [0, 1])
def test_row_numbers_of_another_program_are_no_attribute(first: int, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(f'"","sex","dice"\n"{first}","F",0.9\n"{first + 1}","M",0.8\n')
    assert Scores.of(path).attributes == ["sex"]
    assert Scores.of(pd.read_csv(path)).attributes == ["sex"]
    path.write_text('"","sex","dice"\n"7","F",0.9\n"7","M",0.8\n')
    assert Scores.of(path).attributes == ["", "sex"]


@pytest.mark.parametrize("values", [[91.0, 88.5], ["91", "0.5"]])
def test_percentages_are_refused_with_what_to_do(values: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"row 0, column DSC: must be from 0 to 1, got '?91.*--percent"):
        Scores.of({"DSC": values})


def test_percentages_with_their_sign_are_read_where_said(tmp_path: Path) -> None:
    table = {"DSC": ["89.1%", "87 %", None], "iou": ["80%", "75%", "70%"], "hd": [3.0, 4.0, 5.0]}
    assert Scores.of(table, percent=True).table["dice"].tolist()[:2] == pytest.approx([0.891, 0.87])
    wide = {"sex": ["F", "M"], "dice_LV": ["89.1%", "87%"], "dice_RV": ["90%", "88%"]}
    read = Scores.of(wide, wide=["dice_LV", "dice_RV"], percent=True)
    assert read.table["dice"].tolist() == pytest.approx([0.891, 0.87, 0.9, 0.88])
    with pytest.raises(
        ValueError, match=r"got '89.1%' .percentages. say so: percent=True, in a command --percent"
    ):
        Scores.of(table)
    path = tmp_path / "scores.csv"
    path.write_text("case,sex,dice\n" + "".join(f"{n},{'FM'[n % 2]},{80 + n}.5%\n" for n in range(12)))
    given = ["report", str(path), "--by", "sex", "--min-size", "5", "--out", str(tmp_path / "out")]
    assert main(given) == 2
    assert main([*given, "--percent"]) == 0


@pytest.mark.parametrize(("name", "value"), [("dice", -0.1), ("hd", -1.0), ("dice", np.inf), ("nsd", 1.5)])
def test_a_score_outside_its_range_is_an_error(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"row 1, column {name}: .*{re.escape(str(value))}"):
        Scores.of({name: [0.5, value]})


def test_groups_may_be_judged_by_another_share() -> None:
    table = {
        "sex": ["F", "M"],
        "dice": [0.9, 0.8],
        "NSD": [0.7, 0.6],
        "lesion F1": [0.5, 0.4],
        "hd": [1.0, 2.0],
    }
    nsd = Scores.of(table, metric="nsd")
    assert (nsd.title, nsd.table["dice"].tolist(), nsd.metrics) == ("NSD", [0.7, 0.6], ["dice", "hd"])
    own = Scores.of(table, metric="lesion F1")
    assert (own.title, own.table["dice"].tolist()) == ("lesion F1", [0.5, 0.4])
    assert Scores.of(table, metric="DSC").table["dice"].tolist() == [0.9, 0.8]
    for scores, metric in ((nsd, "nsd"), (own, "lesion F1")):
        frame = scores.to_frame()
        assert "dice" not in frame
        assert Scores.of(frame, metric=metric).table["dice"].tolist() == scores.table["dice"].tolist()
        assert Scores.of(scores, metric=metric) is scores
    with pytest.raises(ValueError, match=r"judged by DSC, not nsd"):
        Scores.of(Scores.of(table), metric="nsd")


def test_a_metric_that_cannot_be_judged_by_is_an_error() -> None:
    for name in (*DISTANCES, "volume_error"):
        with pytest.raises(ValueError, match=rf"metric must be a share of 1.*got '{name}'"):
            Scores.of({"dice": [0.9], name: [0.1]}, metric=name)
    with pytest.raises(ValueError, match=r"metric 'iou' is not in scores, which has dice, hd"):
        Scores.of({"dice": [0.9], "hd": [1.0]}, metric="iou")


# --- files


@pytest.mark.parametrize(
    ("name", "reader"), [("a.parquet", "pyarrow"), ("a.xlsx", "openpyxl"), ("a.xls", "xlrd")]
)
def test_a_reader_that_is_not_installed_is_named(
    name: str, reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Path, **__: Any) -> pd.DataFrame:
        raise ImportError("no engine\nof many lines")

    monkeypatch.setattr(pd, "read_parquet", missing)
    monkeypatch.setattr(pd, "ExcelFile", missing)
    with pytest.raises(
        ValueError,
        match=rf"{re.escape(name)} cannot be read.*pip install {reader}(, or 'fairseg\[tables\]')?$",
    ):
        Scores.of(tmp_path / name)


@pytest.mark.parametrize("name", ["a.parquet", "A.XLSX"])
def test_other_files_say_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pd, "read_parquet", lambda _: frame().set_index("case"))
    frame().to_excel(tmp_path / "a.xlsx", index=False)
    (tmp_path / "a.xlsx").rename(tmp_path / name)
    scores = Scores.of(tmp_path / name)
    pd.testing.assert_frame_equal(scores.table, Scores.of(frame()).table)
    assert (scores.unit, scores.reasons) == ("px", {"03": "no prediction"})


def test_rows_of_a_spreadsheet_are_counted_as_it_shows_them(tmp_path: Path) -> None:
    table = pd.DataFrame({"case": ["a", None, "b"], "dice": [0.5, None, 2.5]})
    table.to_excel(tmp_path / "a.xlsx", index=False)
    with pytest.raises(ValueError, match=r"a\.xlsx: row 4, column dice"):
        Scores.of(tmp_path / "a.xlsx")


def test_a_damaged_parquet_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_: Path) -> pd.DataFrame:
        raise OSError("Parquet magic bytes not found")

    monkeypatch.setattr(pd, "read_parquet", damaged)
    with pytest.raises(ValueError, match=r"a\.parquet cannot be read as a table: Parquet magic"):
        Scores.of(tmp_path / "a.parquet")


def test_subjects_with_several_rows_are_told_to_have_several_cases() -> None:
    table = {"subject": ["a", "b", "a"], "sex": ["F", "M", "F"], "dice": [0.9, 0.8, 0.2]}
    (note,) = Scores.of(table).notes
    assert note == "1 subject with several rows of a label, taken as cases of theirs: a"
    assert "1 subject with several rows" in str(fairseg.check(table, by="sex").findings["what"].tolist())
    assert any("1 subject with several rows" in note for note in fairseg.audit(table, by="sex").notes)
    assert not Scores.of({**table, "label": ["LV", "LV", "RV"]}).notes
    assert not Scores.of({**table, "case": ["1", "2", "3"]}).notes


@pytest.mark.parametrize("cell", [np.inf, "inf"])
def test_an_infinite_distance_is_told_what_to_do(cell: Any) -> None:
    with pytest.raises(ValueError, match=r"hd: must be a number, got '?inf'? \(of a structure .*leave the"):
        Scores.of({"dice": [0.9, 0.0], "hd": [3.0, cell]})


def test_wide_columns_beside_a_distance_are_told_of_too() -> None:
    table = pd.DataFrame(
        {"sex": ["F", "M"], "dice_LV": [0.9, 0.8], "dice_RV": [0.9, 0.8], "hd95": [3.0, 4.0]}
    )
    with pytest.raises(
        ValueError, match=r"wide=\['dice_LV', 'dice_RV'\] \(in a command --wide 'dice_LV,dice_RV'\)"
    ):
        fairseg.audit(table, by="sex")


WIDE = {
    "bare": (("LV", "MYO", "RV"), ("LV", "MYO", "RV")),
    "suffix": (("LV_dice", "RV_dice"), ("LV_dice", "RV_dice")),
    "suffix of two": (("LV_dice", "RV_dice", "LV_hd95"), ("LV_dice", "RV_dice", "LV_hd95")),
    "brackets": (("Dice(LV)", "Dice[RV]"), ("Dice(LV)", "Dice[RV]")),
    "words": (("left lung DSC", "right lung DSC"), ("left lung DSC", "right lung DSC")),
    "beside their mean": (("dice_LV", "dice_RV", "dice_mean", "dice_std"), ("dice_LV", "dice_RV")),
}


@pytest.mark.parametrize("name", WIDE)
def test_what_is_said_to_a_table_of_one_column_a_label_can_be_typed(name: str, tmp_path: Path) -> None:
    has, wide = WIDE[name]
    rng = np.random.default_rng(0)
    people = {"case": [f"c{n}" for n in range(24)], "sex": ["F", "M"] * 12, "age": rng.integers(30, 90, 24)}
    table = pd.DataFrame({**people, **{column: rng.uniform(0.7, 0.9, 24) for column in has}})
    path = tmp_path / "scores.csv"
    table.to_csv(path, index=False)
    for source in (table, path):
        with pytest.raises(ValueError, match="--wide") as error:
            fairseg.audit(source, by="sex")
        message = str(error.value)
        (options,) = re.findall(r"\(in a command --wide '(.+?)'\)", message)
        (typed,) = re.findall(r": (wide=\[[^:]*?'\]) \(", message)
        assert options.split(",") == list(wide)
        names = {"fairseg": fairseg, "source": source}
        result = eval(f"fairseg.audit(source, by='sex', {typed})", names)
        both = eval(f"fairseg.compare({{'a': source, 'b': source}}, by='sex', {typed})", names)
        assert both.scores.labels == result.scores.labels
        assert set(result.scores.labels) == {
            re.sub(r"_?dice_?|_hd95| DSC|[()\[\]]", "", name, flags=re.I) for name in wide
        }
    out = tmp_path / "out"
    assert main(["report", str(path), "--by", "sex", "--out", str(out), "--wide", options]) == 0


def test_percentages_of_one_column_a_label_are_told_both_options() -> None:
    table = {"sex": ["F", "M"], "age": [61, 62], "LV": [90.5, 88.0], "RV": [70.5, 71.0]}
    with pytest.raises(ValueError, match=r"wide=.*, percent=True \(.* --wide 'LV,RV' --percent\)"):
        Scores.of(table)
    result = fairseg.audit(table, by="sex", wide=["LV", "RV"], percent=True, min_size=2)
    assert result.scores.table["dice"].tolist() == [0.905, 0.88, 0.705, 0.71]
    with pytest.raises(ValueError, match="wide and percent are of a table"):
        fairseg.audit(result.scores, by="sex", percent=True)
    with pytest.raises(ValueError, match="wide and percent are of a table"):
        fairseg.audit("predictions", "references", "groups.csv", "sex", wide=["LV"])
    with pytest.raises(ValueError, match=r"it has sex, age, site$"):
        Scores.of({"sex": ["F", "M"], "age": [61, 62], "site": ["A", "B"]})


@pytest.mark.parametrize("column", ["mean_dice", "Dice mean", "avg_DSC"])
@pytest.mark.parametrize("beside", [{}, {"hd95": [3.0, 4.0]}])
def test_a_mean_over_labels_is_told_as_what_to_judge_by(column: str, beside: dict[str, Any]) -> None:
    table = {"sex": ["F", "M"], column: [0.9, 0.8], "HD (mm)": [9.0, 8.0], **beside}
    with pytest.raises(ValueError, match=f"metric='{column}' .*--metric .*{column}") as error:
        fairseg.audit(table, by="sex")
    assert "--wide" not in str(error.value)
    assert Scores.of(table, metric=column).table["dice"].tolist() == [0.9, 0.8]


@pytest.mark.parametrize("swapped", [False, True])
def test_what_pivot_makes_is_told_how_to_name_its_columns(swapped: bool) -> None:
    long = pd.DataFrame({"case": list("aabb"), "label": ["LV", "RV"] * 2, "dice": 0.9, "hd": 3.0})
    table = long.pivot_table(index="case", columns="label", values=["dice", "hd"])
    table = table.swaplevel(axis=1) if swapped else table.reset_index()
    with pytest.raises(ValueError, match="one name a column") as error:
        Scores.of(table)
    name, wide = re.findall(r": (table\.columns = .*); then (wide=.*)$", str(error.value))[0]
    given = {"Scores": Scores, "table": table}
    exec(name, given)
    scores = eval(f"Scores.of(table, {wide})", given)
    assert scores.labels == ["LV", "RV"]
    assert scores.metrics == ["dice", "hd"]


def test_a_wide_column_out_of_range_is_named_as_in_its_table_with_its_row() -> None:
    table = {"sex": ["F", "M", "F"], "dice_LV": [0.9, 0.8, 0.7], "dice_RV": [0.9, 0.8, 1.7]}
    with pytest.raises(ValueError, match=r"row 2, column dice_RV: must be from 0 to 1, got 1\.7"):
        Scores.of(table, wide=["dice_LV", "dice_RV"])
    percent = {"sex": ["F", "M"], "dice_LV": [90, 80], "dice_RV": [90, 80]}
    wide = ["dice_LV", "dice_RV"]
    assert Scores.of(percent, wide=wide, percent=True).table["dice"].tolist() == [0.9, 0.8, 0.9, 0.8]
    with pytest.raises(ValueError, match=r"column dice_LV: must be from 0 to 1, got 90 .percentages"):
        Scores.of(percent, wide=wide)
    with pytest.raises(ValueError, match=r"column dice_RV: must be .* got 800"):
        Scores.of({**percent, "dice_RV": [90, 800]}, wide=wide, percent=True)


def test_arrays_are_told_what_scores_them() -> None:
    mask = np.zeros((4, 4), np.uint8)
    with pytest.raises(
        ValueError, match=r"got one array: .*fairseg\.metrics\.score_case\(prediction, reference"
    ):
        fairseg.evaluate(mask, mask)


def test_a_result_is_no_file(tmp_path: Path) -> None:
    result = fairseg.audit({"sex": ["F", "M"] * 12, "dice": [0.9] * 24}, by="sex")
    with pytest.raises(ValueError, match=r"rep1\.html is named as a file, .* type \S*rep1$"):
        result.save(tmp_path / "rep1.html")
    assert not list(tmp_path.iterdir())
