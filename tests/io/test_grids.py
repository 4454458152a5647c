"""Wherever grids are compared, what is written a little apart is one grid, and that is said."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import fairseg
from fairseg.cli import main
from fairseg.datasets.phantom import write_phantom
from fairseg.io.label_files import read_image_files, read_labels
from fairseg.io.slices import read_pixels
from fairseg.training.prepare import make_plan, prepare
from fairseg.training.raw import read_raw

A_LITTLE = "differ a little"


def turn(file: Path, angle: float = 0.002) -> None:
    image = sitk.ReadImage(str(file))
    c, s = np.cos(angle), np.sin(angle)
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    sitk.WriteImage(image, str(file))


@pytest.fixture
def turned(cohort: Path) -> Path:
    for file in (cohort / "predictions").iterdir():
        turn(file)
    return cohort


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_phantom(
        folder, subjects={"White": 5, "Black": 5}, test_subjects=1, shape=(32, 32), spacing=6.0, slices=2
    )
    for file in (folder / "labelsTr").iterdir():
        turn(file)
    return folder


def test_scores_are_as_of_one_grid_and_note_it(turned: Path, caplog: pytest.LogCaptureFixture) -> None:
    folders = turned / "predictions", turned / "references", turned / "groups.csv"
    scores = fairseg.evaluate(*folders, cross_check=5)
    assert all(A_LITTLE in note for note in scores["note"])
    for file in (turned / "references").iterdir():
        turn(file)
    assert scores.drop(columns="note").equals(fairseg.evaluate(*folders))


def test_check_notes_it(turned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = turned / "predictions", turned / "references", "--groups", turned / "groups.csv", "--by", "sex"
    main(["check", *map(str, given), "--out", str(turned / "out")])
    text = (turned / "out" / "check.md").read_text()
    assert A_LITTLE in text
    assert "another grid" not in text


def test_training_notes_it(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = read_raw(data)
    prepare(raw, make_plan(raw), tmp_path / "prepared")
    assert any(A_LITTLE in record.message for record in caplog.records)


def test_understand_notes_it_once(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    fairseg.understand(data, by="group", min_size=5, permutations=120)
    assert sum(A_LITTLE in record.getMessage() for record in caplog.records) == 1


def test_channels_pictures_and_files_of_structures_note_it(
    tmp_path: Path, save_mask: Callable[..., Path]
) -> None:
    case = tmp_path / "case"
    case.mkdir()
    left = np.zeros((3, 8, 8), np.uint8)
    left[:, 2:4, 2:4] = 1
    files = [
        save_mask(case / f"{name}.nii.gz", voxels) for name, voxels in (("a", left), ("b", left[:, ::-1]))
    ]
    turn(files[1])
    assert A_LITTLE in read_image_files(files)[0].messages[0]
    assert A_LITTLE in read_labels(case, {"a": (1,), "b": (2,)}).messages[0]
    pixels, about = read_pixels(files[1], read_labels(files[0]))
    assert pixels is not None
    assert A_LITTLE in about


def test_prediction_notes_it_of_the_references_that_say_where_to_look(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = (
        "train",
        data,
        "--by",
        "group",
        "--out",
        tmp_path / "run",
        "--crop",
        "reference",
        "--features",
        "4",
    )
    steps = ("--epochs", "1", "--steps", "1", "--prepared", tmp_path / "prepared", "--device", "cpu")
    assert main([str(one) for one in (*train, *steps)]) == 0
    caplog.clear()
    fairseg.training.predict(
        tmp_path / "run", data / "imagesTr", tmp_path / "out", references=data / "labelsTr", device="cpu"
    )
    assert any(A_LITTLE in record.getMessage() for record in caplog.records)
