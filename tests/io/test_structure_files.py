"""One file a structure in a folder a case: scored as the same masks in one file of labels, or refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg.io.images import find_masks
from fairseg.io.label_files import read_labels
from fairseg.understanding.views import CasePaths, make_frame

Save = Callable[..., Path]
NAMES = ("liver", "spleen", "aorta")
COHORT = {"case": ["a", "b"], "sex": ["F", "M"]}


def masks(seed: int) -> Any:
    return np.random.default_rng(seed).choice(4, (3, 9, 8), p=[0.7, 0.1, 0.1, 0.1]).astype(np.uint8)


@pytest.fixture(params=["", "segmentations"])
def folders(request: pytest.FixtureRequest, tmp_path: Path, save_mask: Save) -> Path:
    """Return predictions and references of two cases, with one file a structure and, beside, one a case."""
    for side, start in (("predictions", 0), ("references", 10)):
        for index, case in enumerate("ab"):
            voxels = masks(start + index)
            (tmp_path / "whole" / side).mkdir(parents=True, exist_ok=True)
            save_mask(tmp_path / "whole" / side / f"{case}.nii.gz", voxels)
            inner = tmp_path / side / case / request.param
            inner.mkdir(parents=True)
            for value, name in enumerate(NAMES, 1):
                high = np.uint8(255 if value == 2 else 1)
                save_mask(inner / f"{name}.nii.gz", (voxels == value) * high)
    return tmp_path


def test_scores_are_those_of_files_of_labels(folders: Path) -> None:
    scores = fairseg.evaluate(folders / "predictions", folders / "references", COHORT)
    labels = dict(zip(NAMES, (1, 2, 3), strict=True))
    whole = folders / "whole"
    same = fairseg.evaluate(whole / "predictions", whole / "references", COHORT, labels=labels)
    order = ["case", "label"]
    pd.testing.assert_frame_equal(
        scores.sort_values(order, ignore_index=True), same.sort_values(order, ignore_index=True)
    )
    assert set(scores["label"]) == set(NAMES)


def test_labels_choose_structures_and_say_the_values_of_the_other_side(folders: Path) -> None:
    mixed = folders / "predictions", folders / "whole" / "references"
    scores = fairseg.evaluate(*mixed, COHORT, labels={"spleen": 2})
    one = fairseg.evaluate(folders / "predictions", folders / "references", COHORT, labels={"spleen": 7})
    assert scores["dice"].tolist() == one["dice"].tolist()
    with pytest.raises(ValueError, match=r"the references have one a case: say .* --labels aorta=1"):
        fairseg.evaluate(*mixed, COHORT)
    with pytest.raises(ValueError, match=r"none for 1: name structures as their files, .*--labels aorta=1"):
        fairseg.evaluate(*mixed, COHORT, labels=[1])


def test_a_structure_without_a_file_is_absent_with_a_note(folders: Path) -> None:
    next((folders / "predictions" / "a").rglob("aorta.nii.gz")).unlink()
    scores = fairseg.evaluate(folders / "predictions", folders / "references", COHORT)
    row = scores[(scores["case"] == "a") & (scores["label"] == "aorta")]
    assert row["dice"].item() == 0
    assert "no file of aorta: taken as absent" in row["note"].item()


def test_structures_that_overlap_and_files_of_several_values_are_refused(
    folders: Path, save_mask: Save
) -> None:
    case = find_masks(folders / "predictions", "predictions")["a"]
    codes = {name: (value,) for value, name in enumerate(NAMES, 1)}
    file = next(case.rglob("aorta.nii.gz"))
    save_mask(file, np.ones((3, 9, 8), np.uint8))
    with pytest.raises(ValueError, match=r"liver and aorta overlap in \d+ voxels: .*one file of labels"):
        read_labels(case, codes)
    save_mask(file, masks(3))
    with pytest.raises(ValueError, match=re.escape(str(file)) + " must hold one structure, got the values"):
        read_labels(case, codes)
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ValueError, match=re.escape(str(file)) + " is truncated or damaged"):
        read_labels(case, codes)


def test_other_doors_read_them_too(folders: Path, tmp_path: Path) -> None:
    result = fairseg.check(
        predictions=folders / "predictions", references=folders / "references", cohort=COHORT
    )
    assert result.labels[["structures", "references"]].to_numpy().tolist() == [
        ["aorta", 2],
        ["liver", 2],
        ["spleen", 2],
    ]
    assert not result.files["error"].any()
    codes = dict(zip(NAMES, (1, 2, 3), strict=True))
    cases = [
        [CasePaths(case, (), file) for case, file in find_masks(folder, "references").items()]
        for folder in (folders / "references", folders / "whole" / "references")
    ]
    first, second = (make_frame(own, codes, (0.0,)) for own in cases)
    assert first == second


def test_dicom_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").touch()
    with pytest.raises(ValueError, match="segimage2itkimage"):
        find_masks(tmp_path, "references")


def test_images_directly_in_a_folder_come_first(folders: Path) -> None:
    assert find_masks(folders / "whole" / "references", "references").keys() == {"a", "b"}
