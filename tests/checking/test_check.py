"""`fairseg.check` finds each slip that is put into a cohort, and nothing in one without slips."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

import fairseg
from fairseg.checking import CheckFinding, Severity, page
from fairseg.cli import main
from fairseg.cohort import TableOptions
from fairseg.report.templates import environment

Save = Callable[..., Path]
FEW = "small_groups"  # which every cohort this small has


def check(folder: Path, **options: Any) -> fairseg.checking.CheckResult:
    given = {name: folder / name for name in ("predictions", "references")}
    return fairseg.check(**{**given, "cohort": folder / "groups.csv", "by": "sex", **options})


def kinds(result: fairseg.checking.CheckResult) -> dict[str, tuple[str, ...]]:
    """Return kind -> names, of what is no mere note."""
    return {
        one.kind: one.names for one in result.details if one.severity is not Severity.NOTE and one.kind != FEW
    }


def change(path: Path, values: Callable[[Any], Any]) -> None:
    image = sitk.ReadImage(str(path))
    changed = sitk.GetImageFromArray(values(sitk.GetArrayFromImage(image)))
    changed.CopyInformation(image)
    sitk.WriteImage(changed, str(path))


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def cohort(cohort: Path) -> Path:
    """Return the shared cohort, of which no two references are the same."""
    for place, file in enumerate(sorted((cohort / "references").iterdir())):

        def mark(voxels: Any, place: int = place) -> Any:
            voxels[0, 0, place] = 1
            return voxels

        change(file, mark)
    return cohort


def test_nothing_is_wrong_with_a_cohort_without_slips(cohort: Path) -> None:
    result = check(cohort)
    assert kinds(result) == {}
    assert (result.subjects, result.cases, len(result.file_facts)) == (8, 10, 20)
    assert result.labels.to_numpy().tolist() == [[1, "RVBP", 10, 10], [2, "LVM", 10, 10], [3, "LVBP", 10, 10]]
    sizes = result.groups.set_index(["attribute", "group"])["subjects"]
    assert sizes.loc["sex"].to_dict() == {"F": 4, "M": 4}
    assert set(result.files["spacing"]) == {(8.0, 1.5, 1.25)}
    assert result.numbers.to_numpy().tolist() == [["age", 8, 31.0, 59.0, 75.0]]


def test_groups_are_counted_among_those_with_files(cohort: Path) -> None:
    """The table holds 20 people more, without files, as of a training set."""
    with (cohort / "groups.csv").open("a") as file:
        file.writelines(f"t{number},t{number},{'FM'[number % 2]},A,50\n" for number in range(20))
    result = check(cohort)
    (few,) = [one for one in result.details if one.kind == FEW and one.where == "sex"]
    assert (few.severity, few.names) == (Severity.WARNING, ("F (4)", "M (4)"))
    sizes = result.groups.set_index(["attribute", "group"])["subjects"]
    assert sizes.loc["sex"].to_dict() == {"F": 4, "M": 4}
    assert (result.subjects, result.cases) == (8, 10)
    assert fairseg.check(cohort / "groups.csv", by="sex").subjects == 28


@pytest.mark.parametrize(
    ("slip", "kind", "names"),
    [
        (lambda c: (c / "predictions/s3_ED.nii.gz").unlink(), "no_prediction", ("s3_ED",)),
        (lambda c: (c / "references/s3_ED.nii.gz").unlink(), "no_reference", ("s3_ED",)),
        (lambda c: rewrite(c / "groups.csv", "s5_ED,s5,F,A,60\n", ""), "not_in_table", ("s5_ED",)),
        (
            lambda c: shutil.copy(c / "references/s4_ED.nii.gz", c / "references/s5_ED.nii.gz"),
            "same_files",
            ("s4_ED (of s4) = s5_ED (of s5)",),
        ),
        (lambda c: change(c / "predictions/s6_ED.nii.gz", lambda a: a * 0), "empty", ("s6_ED",)),
        (
            lambda c: change(c / "references/s6_ED.nii.gz", lambda a: np.where(a == 0, 9, a)),
            "stray_values",
            ("9 (in 1)",),
        ),
        (lambda c: rewrite(c / "groups.csv", "s5,F", "s5,female"), "alike", ("F", "female")),
        (lambda c: rewrite(c / "groups.csv", "s5_ED,s5", "s5_ED,S4"), "alike", ("S4", "s4")),
        (lambda c: rewrite(c / "groups.csv", "s1_ES,s1,F", "s1_ES,s1,M"), "several_groups", ("s1",)),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_slip_is_found_by_name(
    cohort: Path, slip: Callable[[Path], Any], kind: str, names: tuple[str, ...]
) -> None:
    slip(cohort)
    assert kinds(check(cohort)) == {kind: names}


def test_every_damaged_file_is_named_and_the_others_are_read(cohort: Path) -> None:
    for case in ("s1_ED", "s7_ED"):
        file = cohort / f"predictions/{case}.nii.gz"
        file.write_bytes(file.read_bytes()[:100])
    result = check(cohort)
    (one,) = (one for one in result.details if one.kind == "unusable")
    assert [name.split(".")[0] for name in one.names] == ["s1_ED", "s7_ED"]
    assert (result.exit_code, int((result.files["error"] == "").sum())) == (2, 18)


def test_another_grid_and_another_unit_are_found(cohort: Path) -> None:
    file = str(cohort / "predictions/s2_ED.nii.gz")
    image = sitk.ReadImage(file)
    image.SetSpacing([size / 10 for size in image.GetSpacing()])
    sitk.WriteImage(image, file)
    assert kinds(check(cohort)).keys() == {"other_grid", "spacing_differs"}


def test_codes_that_differ_on_one_side_are_an_error_with_the_option_to_type(cohort: Path) -> None:
    for file in (cohort / "references").iterdir():
        change(file, lambda voxels: voxels * 50)
    (cohort / "dataset.json").unlink()
    result = check(cohort, labels={"RVBP": 50, "LVM": 100, "LVBP": 150})
    assert result.exit_code == 2
    assert not (result.findings["kind"] == "stray_values").any()  # they are in the error
    assert '--labels "RVBP=50:1"' in result.findings.query("kind == 'refused'")["what"].item()


def test_predictions_that_are_the_references_are_doubted(cohort: Path) -> None:
    result = check(cohort, predictions=cohort / "references")
    assert len(kinds(result)["prediction_is_reference"]) == 10


def test_png_without_a_size_says_which_option_states_it(tmp_path: Path, save_mask: Save) -> None:
    for folder in ("predictions", "references"):
        (tmp_path / folder).mkdir()
        for index, case in enumerate("ab"):
            voxels = np.zeros((6, 6), np.uint8)
            voxels[1 + index, 1 if folder == "references" else 2] = 1
            save_mask(tmp_path / folder / f"{case}.png", voxels, spacing=(1.0, 1.0))
    given = {"cohort": {"case": ["a", "b"], "sex": ["F", "M"]}, "labels": [1]}
    result = check(tmp_path, **given)
    assert kinds(result) == {"no_spacing": ("a", "b")}
    assert any("--spacing" in one.to_do for one in result.details)
    assert kinds(check(tmp_path, **given, spacing=(0.5, 0.5))) == {}


# A raw dataset


@pytest.fixture
def raw(tmp_path: Path, save_mask: Save) -> Path:
    """Return four training and two test cases, an image and a mask each."""
    rng = np.random.default_rng(3)
    for folder in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (tmp_path / folder).mkdir()
    for index in range(6):
        end = "Tr" if index < 4 else "Ts"
        save_mask(
            tmp_path / f"images{end}/c{index}_0000.nii.gz", rng.normal(size=(3, 8, 8)).astype(np.float32)
        )
        save_mask(tmp_path / f"labels{end}/c{index}.nii.gz", rng.integers(0, 2, (3, 8, 8)).astype(np.uint8))
    rows = [f"c{index},p{index},{'FM'[index % 2]}" for index in range(6)]
    (tmp_path / "groups.csv").write_text("\n".join(["case,subject,sex", *rows]))
    about = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "organ": 1}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    return tmp_path


def test_a_dataset_is_looked_at_with_its_test_part(raw: Path) -> None:
    result = fairseg.check(raw, by="sex")
    assert kinds(result) == {}
    assert result.files.groupby(["part", "role"]).size().to_dict() == {
        ("test", "image 0000"): 2,
        ("test", "reference"): 2,
        ("training", "image 0000"): 4,
        ("training", "reference"): 4,
    }


def test_what_to_do_about_an_image_is_not_what_to_do_about_a_mask(raw: Path) -> None:
    change(raw / "imagesTr/c0_0000.nii.gz", lambda voxels: voxels * np.nan)
    small = sitk.GetImageFromArray(np.random.default_rng(1).normal(size=(3, 6, 8)).astype(np.float32))
    sitk.WriteImage(small, str(raw / "imagesTr/c1_0000.nii.gz"))
    result = fairseg.check(raw)
    to_do = {one.kind: one.to_do for one in result.details}
    assert "--on-error" not in to_do["unusable"]  # no option of what reads images
    assert "linearly" in to_do["other_grid"]
    for kind, needed in (("unusable", "--on-error skip"), ("other_grid", "nearest neighbours")):
        assert needed in CheckFinding(kind, Severity.ERROR, "prediction", ("c0",)).to_do


def test_a_person_in_training_and_test_is_an_error_by_name_and_by_image(raw: Path) -> None:
    rewrite(raw / "groups.csv", "c4,p4", "c4,p0")
    shutil.copy(raw / "imagesTr/c1_0000.nii.gz", raw / "imagesTs/c5_0000.nii.gz")
    result = fairseg.check(raw, by="sex")
    assert kinds(result) == {
        "several_parts": ("p0 (training, test)",),
        "same_files_across": ("c1 (of p1) = c5 (of p5)",),
    }
    assert result.exit_code == 2


def test_what_a_dataset_lacks_is_named(raw: Path) -> None:
    (raw / "labelsTr/c0.nii.gz").unlink()
    (raw / "imagesTr/c1_0000.nii.gz").rename(raw / "imagesTr/c1.nii.gz")
    assert kinds(fairseg.check(raw)) == {"misnamed": ("c1.nii.gz",), "no_mask": ("c0",), "no_image": ("c1",)}


def test_what_training_refuses_is_an_error(raw: Path) -> None:
    rewrite(raw / "dataset.json", '"organ": 1', '"organ": 3')
    result = fairseg.check(raw)
    assert [one.where for one in result.details if one.severity is Severity.ERROR] == ["training", "labels"]


# A table


def scores(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = {"subject": [f"p{index}" for index in range(40)], "sex": ["F", "M"] * 20, "dice": rng.random(40)}
    return pd.DataFrame(table | columns)


def test_scores_of_one_person_under_two_names_are_found() -> None:
    table = scores()
    table.loc[7, "dice"] = table.loc[3, "dice"]
    assert kinds(fairseg.check(table, by="sex")) == {"same_scores": ("p3 = p7",)}
    assert kinds(fairseg.check(scores(), by="sex")) == {}


def test_distances_in_another_unit_are_found() -> None:
    distance = np.random.default_rng(1).uniform(5, 9, 40) * np.where(np.arange(40) % 2, 1.0, 0.1)
    assert kinds(fairseg.check(scores(hd=distance), by="sex")) == {"scale": ("M", "F")}


@pytest.mark.filterwarnings("error")
def test_subjects_without_any_score_are_counted_and_those_that_lack_some_are_noted() -> None:
    few = scores(hd=np.random.default_rng(1).uniform(5, 9, 40))
    few.loc[1:38, "dice"] = np.nan
    result = fairseg.check(few, by="sex")
    assert kinds(result) == {"unscored": tuple(f"p{index}" for index in range(1, 39))}
    (found,) = (one for one in result.details if one.kind == "unscored")
    assert (found.severity, found.where, found.facts["subjects"]) == (Severity.WARNING, "DSC", 40)
    (found,) = (one for one in fairseg.check(scores(dice=np.nan)).details if one.kind == "unscored")
    assert found.severity is Severity.ERROR  # as for an audit
    both = pd.concat([scores(label="LV"), scores(label="RV").assign(dice=np.nan)])
    assert all(one.severity is Severity.NOTE for one in fairseg.check(both, by="sex").details)
    in_neither = few.assign(prediction_voxels=5, reference_voxels=5)
    in_neither.loc[1:37, ["prediction_voxels", "reference_voxels"]] = 0
    assert kinds(fairseg.check(in_neither, by="sex")) == {"unscored": ("p38",)}


def test_people_in_two_parts_are_found_by_the_levels_of_a_column_or_by_a_file(tmp_path: Path) -> None:
    table = scores(part=["train", "TEST"] * 20)
    table.loc[1, "subject"] = "p0"
    table["case"] = [f"c{index}" for index in range(40)]
    assert kinds(fairseg.check(table))["several_parts"] == ("p0 (train, test)",)
    body_parts = table.assign(part=["left", "right"] * 20)
    assert "several_parts" not in kinds(fairseg.check(body_parts))
    split = tmp_path / "split.csv"
    split.write_text("subject,part\np0,train\np0,test\n")
    assert fairseg.check(body_parts, split=split).details[0].kind == "refused"


def test_odd_cells_are_named_once_with_the_option_to_type() -> None:
    result = fairseg.check(scores(age=[*map(str, range(20, 59)), "?"]), by="sex")
    assert kinds(result) == {"odd_cells": ("'?' (row 39)",)}
    assert "--na '?'" in result.details[0].to_do
    assert len(result.details) == 1


@pytest.mark.parametrize(
    ("table", "option"),
    [
        (scores(dice=np.linspace(40, 99, 40)), "--percent"),
        (scores().rename(columns={"dice": "dice_LV"}).assign(dice_RV=0.5), "--wide"),
        (scores(age=range(40)), "--bins age="),
        (scores().assign(sex=None), "attribute 'sex' must have a value"),
        (scores().assign(sex="F"), "at least two groups"),
        (scores().rename(columns={"dice": "hd95"}), "got hd95"),
        (scores().rename(columns={"dice": "nsd"}), "--metric nsd"),
        (scores(label=["Overall", "LV"] * 20), "may not be called 'Overall'"),
        (scores(label=np.repeat(["LV", "RV"], 20), sex=np.repeat(["F", "M"], 20)), "no structure in common"),
    ],
)
def test_what_an_audit_would_refuse_is_an_error_in_its_words(table: pd.DataFrame, option: str) -> None:
    by = "age" if "age" in table else "sex"
    result = fairseg.check(table, by=by)
    with pytest.raises(ValueError, match=option) as refusal:
        fairseg.audit(table, by=by)
    assert result.exit_code == 2
    messages = [one.what.removesuffix(".") for one in result.details if one.severity is Severity.ERROR]
    assert any(option in one and one in str(refusal.value) for one in messages), (messages, refusal.value)


@pytest.mark.parametrize("by", ["subject", "case", "dice", "label"])
def test_what_is_no_attribute_makes_no_groups(by: str) -> None:
    table = scores(label="LV", case=[f"c{row}" for row in range(40)])
    with pytest.raises(ValueError, match=f"'{by}' is no attribute .* it has sex"):
        fairseg.audit(table, by=by)
    (finding,) = fairseg.check(table, by=by).details[:1]
    assert (finding.severity, finding.where) == (Severity.ERROR, by)


def test_folders_whose_cases_are_all_of_one_group_are_an_error(cohort: Path) -> None:
    table = pd.read_csv(cohort / "groups.csv").assign(sex="F")
    assert [one.facts["reason"] for one in check(cohort, cohort=table).details if one.kind == "refused"] == [
        "by sex: at least two groups are needed to compare, got 1 group: F"
    ]


# The result


def test_every_kind_says_what_and_what_to_do() -> None:
    macros: Any = environment(html=False).get_template("check.txt.j2").module
    names = [name for name in dir(macros) if not name.startswith("_") and name != "answer"]
    sources = "".join(file.read_text() for file in Path(page.__file__).parent.glob("*.py"))
    used = set(re.findall(r'[fF]inding\(\s*f?"([a-z_{}]+)"', sources)) - {"no_{side}", "only_{side}"}
    used |= {f"{start}_{side}" for start in ("no", "only") for side in ("prediction", "reference")}
    assert used <= set(names)
    assert {f"{kind}_do" for kind in used} | used == set(names)


def test_the_worst_finding_decides_the_exit_code() -> None:
    assert [level.exit_code for level in Severity] == [2, 1, 0]
    assert CheckFinding("no_table", Severity.WARNING, "groups").to_do.startswith("Write groups.csv")


def test_files_of_a_check_are_whole_and_nothing_is_markup(cohort: Path, tmp_path: Path) -> None:
    rewrite(cohort / "groups.csv", "s5,F", "s5,<b>f</b>")
    result = check(cohort)
    file = result.save(tmp_path / "out")
    written = {one.name for one in file.parent.iterdir()} - {".fairseg.jsonl"}
    assert written == set(page.FILES)
    assert "<b>f</b>" not in file.read_text() + (file.parent / "check.md").read_text()
    assert len(pd.read_csv(file.parent / "files.csv")) == 20
    assert str(result) in " ".join(repr(result).split())
    assert "fairseg" in result._repr_html_()


@pytest.mark.parametrize(
    ("slip", "code"),
    [
        (lambda _: None, 1),  # groups of four are small
        (lambda c: (c / "predictions/s3_ED.nii.gz").unlink(), 2),
    ],
)
def test_the_command_ends_with_the_code_and_writes_the_page(
    cohort: Path, tmp_path: Path, slip: Callable[[Path], Any], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    slip(cohort)
    typed = ["check", str(cohort / "predictions"), str(cohort / "references")]
    typed += ["--groups", str(cohort / "groups.csv"), "--by", "sex", "--out", str(tmp_path / "out")]
    assert main(typed) == code
    assert "What is there" not in capsys.readouterr().out
    assert (tmp_path / "out/check.html").is_file()
    assert main(["check", str(cohort / "groups.csv")]) == 0


@pytest.mark.parametrize("given", [{}, {"predictions": "a"}, {"data": "a", "predictions": "b"}])
def test_there_is_one_thing_to_look_at(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="check needs data, or predictions and references"):
        fairseg.check(**given)


def test_a_folder_that_is_no_dataset_says_what_to_type(cohort: Path) -> None:
    with pytest.raises(ValueError, match="fairseg check PREDICTIONS REFERENCES"):
        fairseg.check(cohort / "references")


@pytest.mark.parametrize("level", ["unknown", "?", "-", "Not reported", "n.a."])
def test_levels_that_may_mean_not_known_are_told_with_what_to_type(level: str) -> None:
    table = {"case": [f"c{index}" for index in range(60)], "sex": ["F", "M", level] * 20}
    (finding,) = fairseg.check(table, by="sex").findings.itertuples()
    assert (finding.severity, finding.kind) == ("warning", "perhaps_missing")
    assert f"--na {shlex.quote(level)}" in finding.to_do
    as_missing = fairseg.check(table, by="sex", options=TableOptions(na=[level]))
    assert not as_missing.findings["kind"].isin(["perhaps_missing"]).any()
