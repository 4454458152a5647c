"""Challenge folders, made up in their layouts, as data sets that training and audit read without a touch."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from fairseg.cli import convert as command
from fairseg.cli.command import main
from fairseg.cohort.table import read_cohort
from fairseg.datasets import CONVERTERS, convert
from fairseg.training.raw import read_raw

SPACING = (1.5, 1.25, 8.0)


def save(path: Path, array: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(np.asarray(array))
    image.SetSpacing((*SPACING, 1.0)[: image.GetDimension()])
    sitk.WriteImage(image, str(path))


def save_table(path: Path, rows: list[list[str]], separator: str = ",", encoding: str = "utf-8") -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=separator).writerows(rows)


def mask(*values: int) -> Any:
    voxels = np.zeros((2, 4, 5), dtype=np.uint8)
    for place, value in enumerate(values):
        voxels[0, 0, place] = value
    return voxels


def kits23(folder: Path) -> None:
    people = [
        {"case_id": "case_00000", "gender": "male", "age_at_nephrectomy": 49, "bmi": 29.47},
        {"case_id": "case_00003", "gender": "female", "age_at_nephrectomy": 43, "bmi": None},
        {"case_id": "case_00400", "gender": "female", "age_at_nephrectomy": 60, "bmi": 30.0},  # of no files
    ]
    (folder / "kits23.json").write_text(json.dumps(people), encoding="utf-8")
    for case in ("case_00000", "case_00003"):
        save(folder / case / "imaging.nii.gz", np.arange(40, dtype=np.int16).reshape(2, 4, 5))
        save(folder / case / "segmentation.nii.gz", mask(1, 2, 3))
    save(folder / "case_00500" / "imaging.nii.gz", mask())  # not annotated


def mnms(folder: Path) -> None:
    head = ["", "External code", "VendorName", "Vendor", "Centre", "ED", "ES", "Age", "Pathology", "Sex"]
    rows = [
        [*head, "Height", "Weight"],
        ["0", "A0S9V9", "Siemens", "A", "1", "0", "2", "49", "NOR", "F", "165", "60"],
        ["1", "B3P6S1", "Philips", "B", "2", "1", "0", "", "DCM", "M", "", "82"],
        ["2", "Z9Z9Z9", "Canon", "D", "5", "0", "1", "70", "HCM", "M", "170", "82"],
    ]
    save_table(folder / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv", rows)
    for case in ("A0S9V9", "B3P6S1"):
        place = folder / "Training" / "Labeled" / case
        frames = np.stack([np.full((2, 4, 5), 10 * frame, dtype=np.int16) for frame in range(3)])
        save_4d(place / f"{case}_sa.nii.gz", frames)
        save_4d(place / f"{case}_sa_gt.nii.gz", np.stack([mask(1, 2, 3), mask(), mask(3)]))


def save_4d(path: Path, frames: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = []
    for frame in frames:
        parts.append(sitk.GetImageFromArray(frame))
        parts[-1].SetSpacing(SPACING)
    sitk.WriteImage(sitk.JoinSeries(parts), str(path))


def amos(folder: Path) -> None:
    rows = [
        ["amos_id", "Patient's Birth Date", "Patient's Sex", "Patient's Age", "Manufacturer", "Site"],
        ["1", "1960", "F", "061Y", "Aquilion ONE", "A"],
        ["8", "", "M", "", "Brilliance16", "B"],
    ]
    save_table(folder / "labeled_data_meta_0000_0599.csv", rows)
    for end, case in (("Tr", "amos_0001"), ("Va", "amos_0008"), ("Tr", "amos_0507")):
        save(folder / f"images{end}" / f"{case}.nii.gz", mask())
        save(folder / f"labels{end}" / f"{case}.nii.gz", mask(*range(1, 6)))


def totalsegmentator(folder: Path) -> None:
    rows = [
        ["image_id", "age", "gender", "institute", "study_type", "split"],
        ["s0000", "76", "m", "C", "ct abdomen", "train"],
        ["s0001", "", "f", "B", "ct thorax", "test"],
    ]
    save_table(folder / "meta.csv", rows, ";", "utf-8-sig")
    for case in ("s0000", "s0001"):
        save(folder / case / "ct.nii.gz", mask())
        save(folder / case / "segmentations" / "liver.nii.gz", mask(1))
        save(folder / case / "segmentations" / "spleen.nii.gz", mask(case == "s0001", 1))


def camus(folder: Path) -> None:
    for person, sex in (("patient0001", "F"), ("patient0450", "M")):
        for view in ("2CH", "4CH"):
            about = f"ED: 1\nES: 18\nNbFrame: 18\nSex: {sex}\nAge: 56\nImageQuality: Good\nEF: 54\n"
            for phase in ("ED", "ES"):
                save(folder / person / f"{person}_{view}_{phase}.nii.gz", mask()[0])
                save(folder / person / f"{person}_{view}_{phase}_gt.nii.gz", mask(1, 2, 3)[0])
            save(folder / person / f"{person}_{view}_half_sequence.nii.gz", mask())
            (folder / person / f"Info_{view}.cfg").write_text(about, encoding="utf-8")


FOLDERS = {
    "kits23": kits23,
    "mnms": mnms,
    "amos": amos,
    "camus": camus,
    "totalsegmentator": totalsegmentator,
}


@pytest.mark.parametrize("challenge", CONVERTERS)
def test_what_is_converted_is_read_without_a_touch(
    challenge: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "downloaded", tmp_path / "dataset"
    source.mkdir()
    FOLDERS[challenge](source)
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    assert main(["convert", challenge, str(source), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert CONVERTERS[challenge].licence in text
    assert CONVERTERS[challenge].citation in text
    raw = read_raw(out)
    table = read_cohort(out / "groups.csv")
    assert set(table["case"]) == set(raw.images) == set(raw.masks)
    assert {"sex", "age"} <= set(table)
    assert before == {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    for file in raw.masks.values():
        size = sitk.ReadImage(str(file)).GetSpacing()
        assert size == pytest.approx(SPACING[: len(size)])
    assert main(["convert", challenge, str(source), "--out", str(out)]) == 2
    assert "nothing is written over" in capsys.readouterr().err


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "groups.csv").open(encoding="utf-8") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def voxels(file: Path) -> Any:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(file)))


def test_kits23_by_hand(tmp_path: Path) -> None:
    kits23(tmp_path)
    done = convert("kits23", tmp_path, tmp_path / "out")
    assert (done.cases, done.subjects, done.missing) == (2, 2, {"bmi": 1})
    first = rows(tmp_path / "out")["case_00000"]
    assert (first["sex"], first["age"], first["bmi"]) == ("male", "49", "29.47")
    copied = tmp_path / "out" / "labelsTr" / "case_00003.nii.gz"
    assert copied.read_bytes() == (tmp_path / "case_00003" / "segmentation.nii.gz").read_bytes()
    about = json.loads((tmp_path / "out" / "dataset.json").read_text(encoding="utf-8"))
    assert about["labels"] == {"background": 0, "kidney": 1, "tumor": 2, "cyst": 3}


def test_camus_has_a_case_for_each_view_and_phase_of_a_person(tmp_path: Path) -> None:
    camus(tmp_path)
    done = convert("camus", tmp_path, tmp_path / "out")
    assert (done.cases, done.subjects, done.missing) == (8, 2, {})
    about = rows(tmp_path / "out")["patient0450_4CH_ES"]
    assert about["subject"] == "patient0450"
    names = ("view", "phase", "sex", "age", "image_quality", "ejection_fraction")
    assert [about[name] for name in names] == ["4CH", "ES", "M", "56", "Good", "54"]
    (tmp_path / "patient0001" / "Info_4CH.cfg").unlink()
    with pytest.raises(ValueError, match=r"patient0001 must hold Info_4CH\.cfg"):
        convert("camus", tmp_path, tmp_path / "again")


def test_mnms_frames_are_those_of_the_table(tmp_path: Path) -> None:
    mnms(tmp_path)
    done = convert("mnms", tmp_path, tmp_path / "out")
    assert (done.cases, done.subjects, done.missing) == (4, 2, {"age": 2, "height": 2})
    images, labels = tmp_path / "out" / "imagesTr", tmp_path / "out" / "labelsTr"
    assert np.unique(voxels(images / "A0S9V9_ES_0000.nii.gz")).tolist() == [20]
    assert np.unique(voxels(images / "B3P6S1_ED_0000.nii.gz")).tolist() == [10]
    np.testing.assert_array_equal(voxels(labels / "A0S9V9_ED.nii.gz"), mask(1, 2, 3))
    np.testing.assert_array_equal(voxels(labels / "A0S9V9_ES.nii.gz"), mask(3))
    row = rows(tmp_path / "out")["B3P6S1_ED"]
    assert (row["subject"], row["phase"], row["sex"], row["vendor"]) == ("B3P6S1", "ED", "M", "Philips")


def test_amos_has_both_parts_and_both_modalities(tmp_path: Path) -> None:
    amos(tmp_path)
    done = convert("amos", tmp_path, tmp_path / "out")
    assert done.missing == {"sex": 1, "age": 2, "site": 1, "manufacturer": 1}
    result = rows(tmp_path / "out")
    assert [result[f"amos_{number}"]["modality"] for number in ("0001", "0008", "0507")] == ["CT", "CT", "MR"]
    assert [result[f"amos_{number}"]["part"] for number in ("0001", "0008")] == ["train", "validation"]
    assert read_cohort(tmp_path / "out" / "groups.csv").set_index("case")["sex"]["amos_0001"] == "F"


def test_totalsegmentators_masks_become_one(tmp_path: Path) -> None:
    totalsegmentator(tmp_path)
    done = convert("totalsegmentator", tmp_path, tmp_path / "out")
    assert read_raw(tmp_path / "out").labels == {"liver": 1, "spleen": 2}
    np.testing.assert_array_equal(voxels(tmp_path / "out" / "labelsTr" / "s0000.nii.gz"), mask(1, 2))
    np.testing.assert_array_equal(voxels(tmp_path / "out" / "labelsTr" / "s0001.nii.gz"), mask(2, 2))
    assert done.notes == ("s0001: 1 voxel in two masks, given to the later name",)


def test_the_command_names_all_of_the_table() -> None:
    assert set(command._NAMES) == set(CONVERTERS) == set(FOLDERS)


@pytest.mark.parametrize("challenge", CONVERTERS)
def test_another_folder_is_refused_and_leaves_nothing(challenge: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source in ("empty", "none"):
        with pytest.raises(ValueError, match="must hold"):
            convert(challenge, tmp_path / source, tmp_path / "out")
    FOLDERS[challenge](tmp_path / "empty")
    for end in ("*.csv", "*.json", "*/*.cfg"):
        for about in (tmp_path / "empty").glob(end):
            about.unlink()
    with pytest.raises(ValueError, match=r"must hold (one|Info)"):
        convert(challenge, tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="challenge must be one of kits23"):
        convert("brats", tmp_path, tmp_path / "out")
    mnms(tmp_path)
    save(tmp_path / "Training" / "Labeled" / "A0S9V9" / "A0S9V9_sa.nii.gz", mask())
    with pytest.raises(ValueError, match=r"A0S9V9_sa.nii.gz must have four axes and a frame 0"):
        convert("mnms", tmp_path, tmp_path / "out")
    (tmp_path / "Training" / "Labeled" / "A0S9V9" / "A0S9V9_sa.nii.gz").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"A0S9V9_sa.nii.gz cannot be read"):
        convert("mnms", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
