"""The phantom cohort: files as nnU-Net lays them out, groups that differ where they should, and no more."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from fairseg import Groups, read_cohort
from fairseg.cli import main
from fairseg.datasets.anatomy import LABELS
from fairseg.datasets.phantom import SHIFT, Shift, write_phantom

SMALL: dict[str, Any] = {"subjects": {"White": 4, "Black": 2}, "test_subjects": 2}


def digest(folder: Path) -> dict[str, str]:
    """Return a digest of the voxels, or of the text, of every file."""
    result = {}
    for file in sorted(folder.rglob("*.*")):
        content = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(file))).tobytes()
            if file.name.endswith(".nii.gz")
            else file.read_bytes()
        )
        result[str(file.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return result


def read(path: Path) -> np.ndarray[Any, Any]:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(folder, **SMALL)
    return folder


def test_the_layout_is_nnunets(cohort: Path) -> None:
    dataset = json.loads((cohort / "dataset.json").read_text())
    assert dataset["labels"] == {"background": 0, "RVBP": 1, "LVM": 2, "LVBP": 3}
    assert dataset["numTraining"] == len(list((cohort / "labelsTr").iterdir())) == 12
    for split in ("Tr", "Ts"):
        images = sorted(path.name for path in (cohort / f"images{split}").iterdir())
        labels = sorted(path.name for path in (cohort / f"labels{split}").iterdir())
        assert images == [name.replace(".nii.gz", "_0000.nii.gz") for name in labels]
        for name in labels:
            label = sitk.ReadImage(str(cohort / f"labels{split}" / name))
            image = sitk.ReadImage(str(cohort / f"images{split}" / name.replace(".nii", "_0000.nii")))
            assert label.GetSpacing() == image.GetSpacing() == (3.0, 3.0, 10.0)
            assert label.GetSize() == image.GetSize() == (80, 80, 4)
            assert image.GetPixelID() == sitk.sitkInt16


def test_the_table_has_everyone_once_a_frame(cohort: Path) -> None:
    table = read_cohort(cohort / "groups.csv")
    groups = Groups.from_table(table, by="group")
    assert dict(zip(groups.names, groups.counts(groups.encode(table)), strict=True)) == {
        "Black": 8,
        "White": 12,
    }
    cases = {path.name[:-7] for split in ("Tr", "Ts") for path in (cohort / f"labels{split}").iterdir()}
    assert set(table["case"]) == cases
    assert table.groupby("subject").size().eq(2).all()
    assert set(table["split"]) == {"train", "test"}
    numbers = table[["age", "height", "weight"]].astype(float)
    assert numbers["age"].between(45, 82).all()
    assert numbers["height"].between(130, 210).all()
    assert numbers["weight"].between(35, 160).all()


def test_hearts_look_like_hearts(cohort: Path) -> None:
    for path in sorted((cohort / "labelsTr").iterdir()):
        mask = read(path)
        image = read(cohort / "imagesTr" / path.name.replace(".nii", "_0000.nii")).astype(float)
        area = {name: (mask == value).sum(axis=(1, 2)) * 9.0 for name, value in LABELS.items()}
        assert (area["LVM"] > 0).all()
        assert area["LVBP"][0] > area["LVBP"][-1]  # from base to apex
        assert area["LVBP"][0] > 300  # mm2
        blood, muscle = image[mask == LABELS["LVBP"]].mean(), image[mask == LABELS["LVM"]].mean()
        assert blood > 1.3 * muscle
        inside = np.argwhere(mask > 0)
        assert np.abs(inside[:, 1:].mean(axis=0) - 39.5).max() < 16  # near the middle
        assert inside[:, 1:].min() > 3
        assert inside[:, 1:].max() < 76
    ends = {
        frame: (read(cohort / "labelsTr" / f"train_0_0000_{frame}.nii.gz") == 3).sum()
        for frame in ("ED", "ES")
    }
    assert ends["ES"] < 0.8 * ends["ED"]


def test_the_same_seed_gives_the_same_files_and_a_larger_cohort_keeps_its_people(
    cohort: Path, tmp_path: Path
) -> None:
    write_phantom(tmp_path / "again", **SMALL)
    assert digest(tmp_path / "again") == digest(cohort)
    write_phantom(tmp_path / "larger", subjects={"White": 5, "Black": 2}, test_subjects=2)
    larger = digest(tmp_path / "larger")
    assert all(larger[name] == value for name, value in digest(cohort).items() if name.endswith(".gz"))
    write_phantom(tmp_path / "other", **SMALL, seed=1)
    other = digest(tmp_path / "other")
    assert not any(other[name] == value for name, value in digest(cohort).items() if name.endswith(".gz"))


def test_without_a_shift_the_groups_are_alike_and_each_part_can_be_turned_off() -> None:
    assert SHIFT.scaled(0.0) == Shift()
    assert SHIFT.without(["fat", "heart"]).fat == SHIFT.without(["heart"]).heart == 0.0
    assert SHIFT.without(["fat"]).vessels == SHIFT.vessels
    with pytest.raises(ValueError, match=r"has the parts fat, vessels.*not blood"):
        SHIFT.without(["blood"])


def brightness(folder: Path, group: int) -> tuple[float, float]:
    """Return the mean brightness far from the heart, and at the heart, over blood's; of one group."""
    outside, inside = [], []
    for path in sorted((folder / "labelsTr").glob(f"train_{group}_*")):
        mask, image = (
            read(path),
            read(folder / "imagesTr" / path.name.replace(".nii", "_0000.nii")).astype(float),
        )
        y, x = np.mgrid[-39.5:40, -39.5:40]
        far = np.hypot(y, x) * 3 > 70
        blood = np.median(image[mask == 3])
        outside.append(image[:, far].mean() / blood)
        inside.append(image[mask == 2].mean() / blood)
    return float(np.mean(outside)), float(np.mean(inside))


def test_groups_differ_outside_the_heart_and_hardly_inside(tmp_path: Path) -> None:
    write_phantom(tmp_path, subjects={"A": 25, "B": 25, "C": 25}, test_subjects=0)
    (far_a, near_a), (far_b, _), (far_c, near_c) = (brightness(tmp_path, group) for group in range(3))
    assert far_a < far_b < far_c
    assert far_c > 1.4 * far_a
    assert abs(near_c - near_a) < 0.1 * near_a


def test_names_with_commas_survive(tmp_path: Path) -> None:
    write_phantom(tmp_path, subjects={"A, B": 1, 'C "D"': 1}, test_subjects=0)
    with (tmp_path / "groups.csv").open() as file:
        assert {row["group"] for row in csv.DictReader(file)} == {"A, B", 'C "D"'}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subjects": {}}, "subjects must be group -> number"),
        ({"subjects": {"A": -1}}, "subjects must be"),
        ({"subjects": {" ": 1}}, "groups must have names"),
        ({"test_subjects": -1}, "test_subjects must be an integer of at least 0"),
        ({"slices": 0}, "slices must be an integer of at least 1"),
        ({"seed": 0.5}, "seed must be"),
        ({"shape": (20, 80)}, "must cover 150 mm"),
    ],
)
def test_bad_options_are_named_and_nothing_is_written(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_phantom(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_a_dataset_is_refused(cohort: Path) -> None:
    before = digest(cohort)
    with pytest.raises(
        ValueError, match=r"must hold no dataset, .* has dataset\.json, groups\.csv, imagesTr"
    ):
        write_phantom(cohort, subjects={"White": 1}, test_subjects=0)
    assert digest(cohort) == before


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cohort"
    arguments = ["--subjects", "F=2", "--subjects", "M=1", "--test-subjects", "1", "--without", "vessels"]
    assert main(["phantom", str(out), *arguments, "--slices", "2", "--size", "60"]) == 0
    assert "F 2, M 1; test subjects of each: 1" in capfd.readouterr().out
    assert sitk.ReadImage(str(next((out / "labelsTs").iterdir()))).GetSize() == (60, 60, 2)
    for wrong, message in (
        (["--subjects", "F"], "--subjects"),
        (["--subjects", "F=1", "--subjects", "F=2"], "each group once"),
        (["--without", "blood"], "blood"),
        (["--strength", "-1"], "--strength"),
    ):
        assert main(["phantom", str(tmp_path / "wrong"), *wrong]) == 2
        assert message in capfd.readouterr().err
    assert not (tmp_path / "wrong").exists()
