"""Names of cases as people write them in tables go with the names of files; what is not clear is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fairseg
from fairseg.cli.command import main
from fairseg.scoring import read_scores

Save = Callable[..., Path]


def folders(folder: Path, names: list[str], save_mask: Save) -> list[Path]:
    voxels = np.zeros((2, 6, 6), np.uint8)
    voxels[:, 1:4, 1:4] = 1
    for kind in ("predictions", "references"):
        (folder / kind).mkdir()
        for name in names:
            save_mask(folder / kind / f"{name}.nii.gz", voxels)
    return [folder / "predictions", folder / "references"]


@pytest.mark.parametrize(
    ("cases", "files"),
    [
        (["a.nii.gz", "b.nii.gz"], ["a", "b"]),
        ([1.0, 2.0], ["1", "2"]),
        (["1.0", "2.0"], ["1", "2"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),
        (["01", "02"], ["sub-01", "sub-02"]),
        (["sub-a", "sub-b"], ["a", "b"]),
        (["sub-01", "sub-02"], ["sub-01_T1w", "sub-02_T1w"]),
    ],
    ids=["extension", "floats", "text of floats", "files of floats", "without sub-", "with sub-", "BIDS"],
)
def test_other_spellings_of_cases_find_their_files(
    cases: list[Any], files: list[str], tmp_path: Path, save_mask: Save
) -> None:
    masks = folders(tmp_path, files, save_mask)
    scores = fairseg.evaluate(*masks, {"case": cases, "sex": ["F", "M"]})
    assert scores["case"].tolist() == files
    assert scores["sex"].tolist() == ["F", "M"]


def test_a_row_of_a_person_stands_for_all_its_files(tmp_path: Path, save_mask: Save) -> None:
    files = ["sub-01_ses-1_dseg", "sub-01_ses-2_dseg", "sub-02_ses-1_dseg"]
    masks = folders(tmp_path, files, save_mask)
    (tmp_path / "participants.tsv").write_text("participant_id\tsex\nsub-01\tF\nsub-02\tM\n")
    scores = fairseg.evaluate(*masks, tmp_path / "participants.tsv")
    assert scores[["case", "subject", "sex"]].to_numpy().tolist() == [
        [files[0], "sub-01", "F"],
        [files[1], "sub-01", "F"],
        [files[2], "sub-02", "M"],
    ]


def test_the_labels_of_a_dataset_of_the_decathlon_and_cases_written_as_floats(
    tmp_path: Path, save_mask: Save
) -> None:
    masks = folders(tmp_path, ["1", "2"], save_mask)
    about = {"labels": {"0": "background", "1": "organ"}, "training": [{"image": "./imagesTr/1.nii.gz"}]}
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    (tmp_path / "groups.csv").write_text("case,sex\n1.0,F\n2.0,M\n")
    scores = fairseg.evaluate(*masks, tmp_path / "groups.csv")
    assert scores[["case", "sex", "label"]].to_numpy().tolist() == [["1", "F", "organ"], ["2", "M", "organ"]]


def test_two_rows_that_come_to_one_file_are_not_guessed(tmp_path: Path, save_mask: Save) -> None:
    masks = folders(tmp_path, ["a"], save_mask)
    with pytest.raises(ValueError, match="must share cases"):
        fairseg.evaluate(*masks, {"case": ["a.nii.gz", "a.nrrd"], "sex": ["F", "M"]})


def test_capitals_are_hinted_at(tmp_path: Path, save_mask: Save) -> None:
    masks = folders(tmp_path, ["p1"], save_mask)
    with pytest.raises(ValueError, match="capitals differ: P1 and p1"):
        fairseg.evaluate(*masks, {"case": ["P1"], "sex": ["F"]})


def test_the_options_of_tables_reach_every_command(tmp_path: Path, save_mask: Save) -> None:
    names = [f"c{number:02}" for number in range(12)]
    masks = list(map(str, folders(tmp_path, names, save_mask)))
    rows = "".join(f"{name},p{number},{'FM?'[number % 3]}\n" for number, name in enumerate(names))
    (tmp_path / "t.csv").write_text("scan,MRN,sex\n" + rows)
    options = ["--case-column", "scan", "--subject-column", "MRN", "--na", "?"]
    table, out = ["--groups", str(tmp_path / "t.csv")], tmp_path / "scores.csv"
    assert main(["evaluate", *masks, *table, *options, "--out", str(out)]) == 0
    scores = read_scores(out)
    assert scores["sex"].isna().sum() == 4
    assert scores["subject"].nunique() == 12
    by = ["--by", "sex", "--min-size", "2"]
    assert main(["audit", *masks, *table, *options, *by, "--out", str(tmp_path / "audit")]) == 0
    percent = scores.assign(dice=90.0 + np.arange(12) / 10, sex=list("FM?") * 4)
    percent.drop(columns=["label", "hd", "distance_unit"]).rename(
        columns={"dice": "dice_LV", "case": "scan", "subject": "MRN"}
    ).to_csv(tmp_path / "wide.csv", index=False)
    wide = [str(tmp_path / "wide.csv"), *options]
    assert main(["report", *wide, *by, "--out", str(tmp_path / "report")]) == 2
    shapes = ["--wide", "dice_LV", "--percent"]
    assert main(["report", *wide, *shapes, *by, "--out", str(tmp_path / "report")]) == 0
    (tmp_path / "other.csv").write_bytes((tmp_path / "wide.csv").read_bytes())
    both = [wide[0], str(tmp_path / "other.csv"), *options, *shapes]
    assert main(["compare", *both, *by, "--out", str(tmp_path / "compared")]) == 0


@pytest.mark.parametrize(
    ("cases", "endings"),
    [
        (["p1", "p2"], ("_pred", "_gt")),
        (["p1", "p2"], ("", "_0000")),
        (["p1", "p2"], (".seg", "")),
        (["p1.nii.gz", "p2.nii.gz"], ("_seg", "_seg")),
        (["1", "10"], ("_pred", "")),
        (["p1", "p2", "p3"], ("-mask", "")),
        (["sub-1", "sub-2"], ("_pred", "_gt")),
    ],
)
def test_files_of_one_ending_belong_to_the_cases_that_they_begin_with(
    cases: list[str], endings: tuple[str, str], tmp_path: Path, save_mask: Save
) -> None:
    names = [case.removesuffix(".nii.gz") for case in cases]
    masks = folders(tmp_path, names, save_mask)
    for folder, end in zip(masks, endings, strict=True):
        for name in names:
            file = folder / f"{name}.nii.gz"
            file.rename(folder / f"{name}{end}.nii.gz")
    table = {"case": cases, "sex": ["F", "M", "F"][: len(cases)]}
    scores = fairseg.evaluate(*masks, table)
    assert scores["case"].tolist() == names
    assert scores["sex"].tolist() == table["sex"]
    result = fairseg.check(predictions=masks[0], references=masks[1], cohort=table)
    assert not result.findings["kind"].isin(["no_match", "no_prediction", "no_reference"]).any()


@pytest.mark.parametrize(
    ("cases", "files"),
    [
        (["p1"], ["p1_ED", "p1_ES"]),  # two frames of one
        (["p1", "p2"], ["p10", "p20"]),  # other people
        (["p1", "p2", "p3"], ["p1_gt", "p8_gt", "p9_gt"]),  # hardly anybody
        (["p1", "p2"], ["p1_gt", "p2_seg"]),
    ],
)
def test_files_that_may_be_of_others_are_not_guessed(
    cases: list[str], files: list[str], tmp_path: Path, save_mask: Save
) -> None:
    masks = folders(tmp_path, files, save_mask)
    with pytest.raises(ValueError, match="must share cases: the table has"):
        fairseg.evaluate(*masks, {"case": cases, "sex": ["F"] * len(cases)})


@pytest.mark.parametrize(
    ("cases", "files"),
    [
        (["1", "2"], ["00001", "00002"]),
        (["01", "2"], ["00001", "2"]),
        (["0", "10"], ["000", "010"]),
        (["/data/masks/a.png", "/data/masks/b.nii.gz"], ["a", "b"]),
        (["C:\\masks\\a.png", "..\\b"], ["a", "b"]),
        (["masks/a", "masks\\b_0000.nii.gz"], ["a", "b"]),
    ],
)
def test_numbers_with_zeros_and_paths_are_found(
    cases: list[str], files: list[str], tmp_path: Path, save_mask: Save
) -> None:
    masks = folders(tmp_path, files, save_mask)
    scores = fairseg.evaluate(*masks, {"case": cases, "subject": ["P", "Q"], "sex": ["F", "M"]})
    assert scores[["case", "subject"]].to_numpy().tolist() == [[files[0], "P"], [files[1], "Q"]]


@pytest.mark.parametrize(
    ("cases", "files"),
    [(["1", "2"], ["001", "01"]), (["1", "01"], ["001", "002"]), (["x/a", "y/a"], ["a", "b"])],
)
def test_what_two_files_or_rows_could_mean_is_not_guessed(
    cases: list[str], files: list[str], tmp_path: Path, save_mask: Save
) -> None:
    masks = folders(tmp_path, files, save_mask)
    with pytest.raises(ValueError, match="cohort and folders must share cases"):
        fairseg.evaluate(*masks, {"case": cases, "sex": ["F", "M"]})


def test_a_folder_a_structure_is_told_how_to_lie(tmp_path: Path, save_mask: Save) -> None:
    for kind in ("predictions", "references"):
        for structure in ("left", "right"):
            (tmp_path / kind / structure).mkdir(parents=True)
            for case in ("a", "b"):
                mask = np.zeros((2, 6, 6), np.uint8)
                mask[:, 1:3, 1:3] = 1
                save_mask(tmp_path / kind / structure / f"{case}.nii.gz", mask)
    masks = tmp_path / "predictions", tmp_path / "references"
    table = {"case": ["a", "b"], "sex": ["F", "M"]}
    with pytest.raises(ValueError, match=r"folder a case with a file a structure, such as a/left\.nii\.gz"):
        fairseg.evaluate(*masks, table)
    result = fairseg.check(predictions=masks[0], references=masks[1], cohort=table).findings["what"]
    assert result.str.contains("such as a/left.nii.gz", regex=False).any()


def test_columns_of_the_cohort_are_named_in_python(tmp_path: Path, save_mask: Save) -> None:
    given = dict(zip(("predictions", "references"), folders(tmp_path, ["a", "b"], save_mask), strict=True))
    table = {"Nr": ["a", "b"], "Patient": ["P", "Q"], "sex": ["F", "M"]}
    columns = {"case_column": "Nr", "subject_column": "Patient"}
    assert fairseg.evaluate(**given, cohort=table, **columns)["subject"].tolist() == ["P", "Q"]
    audited = fairseg.audit(**given, cohort=table, by="sex", **columns)
    assert audited.scores.table["subject"].tolist() == ["P", "Q"]
    assert fairseg.check(**given, cohort=table, **columns).subjects == 2
    scores = {"Nr": list("abc"), "Patient": list("PPQ"), "sex": list("FFM"), "dice": [0.9, 0.8, 0.7]}
    assert fairseg.audit(scores, by="sex", **columns).groups["n"].tolist() == [1, 1]
    assert fairseg.check(scores, **columns).subjects == 2
