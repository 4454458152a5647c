"""A wrong table is a ValueError that names the argument or column, and what there is instead: everywhere."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import fairseg
from fairseg import Groups
from fairseg.clinical import agreement, clinical_measures
from fairseg.cohort import TableOptions
from fairseg.datasets.phantom import write_phantom
from fairseg.experiment import Plan, make_recipe
from fairseg.experiment.study import make_study
from fairseg.integrations.nnunet.cases import make_groups, read_rows
from fairseg.scoring import evaluate
from fairseg.scoring.summary import summarize
from fairseg.scoring.table import Scores
from fairseg.statistics.cohort_table import cohort_table
from fairseg.statistics.confounders import adjusted_gap
from fairseg.statistics.missingness import missingness
from fairseg.training import Settings
from fairseg.training.data import load_data

GROUPS = Groups.from_table({"sex": ["F", "M"]}, by="sex")
SEX = ["F", "F", "M", "M"]


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "case": list("abcd"),
            "subject": list("abcd"),
            "sex": SEX,
            "label": "LV",
            "dice": [0.9, 0.8, 0.7, 0.6],
            "prediction_voxels": [9, 8, 7, 6],
            "reference_voxels": [9, 9, 9, 9],
            "prediction_ml": [90.0, 80.0, 70.0, 60.0],
            "reference_ml": [90.0, 90.0, 90.0, 90.0],
        }
    )


READERS: dict[str, Callable[[Any], Any]] = {
    "summarize": lambda scores: summarize(scores, GROUPS),
    "audit": lambda scores: fairseg.audit(scores, by="sex"),
    "compare": lambda scores: fairseg.compare({"other": table(), "mine": scores}, by="sex"),
    "cohort_table": lambda scores: cohort_table(scores, GROUPS),
    "missingness": lambda scores: missingness(scores, SEX),
    "clinical_measures": lambda scores: clinical_measures(scores, {}),
    "agreement": lambda scores: agreement(scores, SEX),
    "adjusted_gap": lambda scores: adjusted_gap([0.9, 0.8, 0.7, 0.6], SEX, covariates=scores, reference="F"),
    "evaluate": lambda scores: evaluate(Path("nowhere"), Path("nowhere"), scores),
    "Scores.of": Scores.of,
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    "wrong", [None, 3, [0.5], [["a", 0.5]], {"dice": 0.5}, {"a": [1], "b": [1, 2]}], ids=str
)
def test_what_is_no_table_is_named(reader: Callable[[Any], Any], wrong: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^(scores|model 'mine'|audit needs scores|table|measures|covariates|cohort)"
    ):
        reader(wrong)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_column_given_twice_is_named(reader: Callable[[Any], Any]) -> None:
    twice = pd.concat([table(), table()[["sex"]]], axis=1)
    with pytest.raises(ValueError, match=r"must name each column once, got 'sex' twice"):
        reader(twice)


@pytest.mark.parametrize(
    ("reader", "change", "message"),
    [
        ("summarize", {"drop": "dice"}, "must have a column of scores .*it has case, subject, sex, label"),
        ("summarize", {"drop": "sex"}, "attribute 'sex' is not in the table, which has case, subject, label"),
        ("audit", {"drop": "dice"}, "scores must have a column of scores .*it has case, subject, sex, label"),
        ("audit", {"drop": "sex"}, "by: the table has no attribute at all, so no sex; .*scores\\.merge"),
        ("audit", {"dice": "x"}, "scores: row 0, column dice: must be a number, got 'x'"),
        ("compare", {"drop": "dice"}, "must have a column of scores .*it has case, subject, sex, label"),
        ("compare", {"dice": "x"}, "row 0, column dice: must be a number, got 'x'"),
        ("summarize", {"dice": 90.0}, "row 0, column dice: must be from 0 to 1, got 90.0"),
        ("cohort_table", {"drop": "sex"}, "attribute 'sex' is not in the table, which has case"),
        ("missingness", {"prediction_voxels": "x"}, "row 0, column prediction_voxels: .*got 'x'"),
        ("clinical_measures", {"drop": "prediction_ml"}, "column prediction_ml, .*got case, subject"),
        ("clinical_measures", {"drop": "label"}, "column label, got case, subject"),
        ("clinical_measures", {"reference_ml": "x"}, "row 0, column reference_ml: .*got 'x'"),
        ("agreement", {}, "must have the columns subject, measure.*has no measure and no unit.*it has case"),
        ("evaluate", {}, r"cohort must not use the names of scores for attributes, got \['label', 'dice'"),
        ("evaluate", {"drop": ["case", "subject"]}, "cohort must have a column 'case' or 'subject', got sex"),
    ],
)
def test_a_table_that_lacks_what_is_needed_says_what_it_has(
    reader: str, change: dict[str, Any], message: str
) -> None:
    wrong = table()
    for name, value in change.items():
        wrong = wrong.drop(columns=value) if name == "drop" else wrong.assign(**{name: value})
    with pytest.raises(ValueError, match=message):
        READERS[reader](wrong)


def test_without_subjects_and_cases_nothing_can_be_counted() -> None:
    bare = table().drop(columns=["case", "subject"])
    for reader in ("cohort_table", "missingness"):
        with pytest.raises(ValueError, match="must have a column 'subject' or 'case', got sex, label"):
            READERS[reader](bare)


def test_groups_of_another_type_are_named() -> None:
    with pytest.raises(ValueError, match=r"groups must be Groups, as from Groups.from_table, got str"):
        cohort_table(table(), "sex")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"groups must be Groups, such as Groups.from_table"):
        summarize(table(), "sex")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["cohort_table", "missingness"])
def test_skipped_cases_and_odd_cells_change_no_count(name: str) -> None:
    def counts(scores: pd.DataFrame) -> pd.DataFrame:
        if name == "missingness":
            return missingness(scores, scores["sex"].to_numpy())
        return cohort_table(scores, GROUPS).table

    lost = pd.DataFrame({"case": ["e"], "subject": ["e"], "sex": ["M"], "skipped": ["no file"]})
    odd = table().assign(subject=["a ", " b", "NA", None])
    kinds = table().astype(dict.fromkeys(["case", "subject", "sex", "label"], "category"))
    for other in (pd.concat([table(), lost]), odd, kinds, table().convert_dtypes()):
        pd.testing.assert_frame_equal(counts(other), counts(table()))


def test_columns_with_names_of_several_levels_are_refused() -> None:
    table = pd.concat({"model": pd.DataFrame({"sex": ["F", "M"], "dice": [0.9, 0.8]})}, axis=1)
    with pytest.raises(ValueError, match=r"scores must have one name a column, got .'model', 'sex'"):
        fairseg.audit(table, by="sex")


def test_a_sign_of_percent_is_answered_with_what_to_type() -> None:
    with pytest.raises(ValueError, match=r"row 0, column dice: .*'88\.0%' .*--percent"):
        fairseg.audit({"sex": ["F", "M"], "dice": ["88.0%", "90.1%"]}, by="sex")


GROUPERS: dict[str, Callable[[Path, list[str]], Any]] = {
    "train": lambda data, _: load_data(data, Settings(by=("group",)), data / "prepared"),
    "nnU-Net": lambda data, cases: make_groups(data, read_rows(data / "groups.csv", cases), ["group"]),
    "understand": lambda data, _: fairseg.understand(data, "group"),
    "experiment": lambda data, _: make_study(Plan(data, make_recipe(("group",), "quick"))),
}


@pytest.mark.parametrize("grouper", GROUPERS.values(), ids=GROUPERS)
@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("Female", "levels of group that look alike are groups of their own: F, Female."),
        ("not_reported", "levels of group that may mean 'not known' are groups of their own: not_reported."),
    ],
)
def test_levels_that_are_hardly_meant_are_named_wherever_groups_are_made(
    grouper: Callable[[Path, list[str]], Any],
    level: str,
    said: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = tmp_path / "data"
    write_phantom(
        data, subjects={"F": 4, "M": 2}, test_subjects=0, shape=(32, 32), spacing=6.0, slices=2, seed=1
    )
    file = data / "groups.csv"
    rows = pd.read_csv(file)
    rows.loc[rows["subject"].isin(sorted(rows.loc[rows["group"] == "F", "subject"])[:2]), "group"] = level
    rows.to_csv(file, index=False)
    with suppress(ValueError):  # the groups are too small for some
        grouper(data, rows["case"].tolist())
    groups = Groups.from_table(rows, by="group")
    assert groups.alike == ([("group", ("F", "Female"))] if level == "Female" else [])
    assert groups.perhaps_missing == ([] if level == "Female" else [("group", ("not_reported",))])
    assert caplog.text.count(said) == 1


APART: dict[str, Callable[[Path, Path], Any]] = {
    "evaluate": lambda data, file: evaluate(data / "labelsTr", data / "labelsTr", file),
    "train": lambda data, file: load_data(data, Settings(by=("sex",)), data / "prepared", table=file),
    "understand": lambda data, file: fairseg.understand(data, "sex", cohort=file),
    "nnU-Net": lambda _, file: read_rows(file, ["p1", "p2"]),
    "check": lambda data, file: fairseg.check(data, cohort=file).findings.astype(str).to_numpy().ravel(),
}


@pytest.mark.parametrize("command", APART.values(), ids=APART)
@pytest.mark.parametrize("names", [["p1.nii.gz", "p2.nii.gz"], ["p1_0000.nii.gz", "p2_0000"], ["p1", "p2"]])
def test_the_column_that_names_files_is_told_where_no_case_does(
    command: Callable[[Path, Path], Any], names: list[str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    write_phantom(data, subjects={"F": 1, "M": 1}, test_subjects=0, shape=(32, 32), spacing=6.0, slices=2)
    for number, case in enumerate(sorted(path.name[:-7] for path in (data / "labelsTr").iterdir()), start=1):
        for folder, channel in (("labelsTr", ""), ("imagesTr", "_0000")):
            file = data / folder / f"{case}{channel}.nii.gz"
            if number > 2:
                file.unlink()
            else:
                file.rename(file.with_name(f"p{number}{channel}.nii.gz"))
    table = pd.DataFrame({"Patient ID": ["7", "8"], "Image Index": names, "sex": ["F", "M"]})
    table.to_csv(tmp_path / "people.csv", index=False)
    try:
        said = str(command(data, tmp_path / "people.csv"))
    except ValueError as error:
        said = str(error)
    # nnU-Net's commands have no such option.
    way_out = "call it case" if "call it case" in said else "--case-column 'Image Index'"
    assert f"the column 'Image Index' names files: {way_out}" in said


def test_understand_reads_a_table_as_it_is(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "people.csv"
    write_phantom(data, subjects={"F": 1, "M": 1}, test_subjects=0, shape=(32, 32), spacing=6.0, slices=2)
    rows = pd.read_csv(data / "groups.csv").rename(columns={"case": "Image Index"})
    rows.assign(group=["?", *rows["group"][1:]]).to_csv(file, index=False)
    options = TableOptions(case_column="Image Index", na=["?"])
    with pytest.raises(ValueError, match=r"at least two groups of 10 subjects .* got F 1, M 1"):
        fairseg.understand(data, "group", cohort=file, options=options)
