"""The voxel size of files that state none, from the table of cases."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import fairseg
from fairseg.scoring.voxel_sizes import VoxelSizes

CASES = ["a", "b"]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return predictions that lie one row, and one column, beside their references."""
    for name in ("predictions", "references"):
        (tmp_path / name).mkdir()
        for axis, case in enumerate(CASES):
            mask = np.zeros((8, 9), np.uint8)
            mask[3:5, 3:6] = 1
            mask = np.roll(mask, name == "predictions", axis)
            Image.fromarray(mask).save(tmp_path / name / f"{case}.png")
    return tmp_path / "predictions", tmp_path / "references"


def cohort(**columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"case": CASES, "sex": ["F", "M"], **columns})


@pytest.mark.parametrize(
    ("columns", "spacing", "distances"),
    [
        ({"mm": [0.5, 2]}, "mm", [0.5, 2.0]),
        ({"mm": ["0.5\\3", "[0.5, 3]"]}, "mm", [0.5, 3.0]),
        ({"mm": ["0.5x3", "(0.5 3)"]}, ["mm"], [0.5, 3.0]),
        ({"tall": [0.5, 7], "wide": [7, 4]}, ("tall", "wide"), [0.5, 4.0]),
    ],
)
def test_a_column_has_the_size_of_each_case(
    folders: tuple[Path, Path], columns: dict[str, list[Any]], spacing: Any, distances: list[float]
) -> None:
    scores = fairseg.evaluate(*folders, cohort(**columns), spacing=spacing)
    assert scores["hd"].tolist() == distances
    assert set(scores["distance_unit"]) == {"mm"}
    given = {"predictions": folders[0], "references": folders[1], "cohort": cohort(**columns)}
    audited = fairseg.audit(**given, by="sex", spacing=spacing, min_size=2)
    assert audited.scores.table["hd"].tolist() == distances
    sizes = fairseg.check(
        predictions=folders[0], references=folders[1], cohort=cohort(**columns), spacing=spacing
    ).files
    assert set(sizes["unit"]) == {"mm"}
    assert {size[axis] for axis, size in zip((0, 1), sizes["spacing"][::2], strict=True)} == set(distances)


def test_one_number_goes_for_all_axes(folders: tuple[Path, Path]) -> None:
    for spacing in (0.14, [0.14], (0.14, 0.14)):
        scores = fairseg.evaluate(*folders, cohort(), spacing=spacing, cross_check=2)
        assert scores["hd"].tolist() == pytest.approx([0.14, 0.14])
    with pytest.raises(ValueError, match="spacing must have 1 positive numbers, got"):
        fairseg.evaluate(*folders, cohort(), spacing=-1)


@pytest.mark.parametrize(
    ("columns", "spacing", "message"),
    [
        ({"mm": [0.5, None]}, "mm", "case b: spacing must have 2 numbers for this image, got none"),
        ({"mm": [1, 0]}, "mm", "positive numbers, got '0' in column mm of case b"),
        ({"mm": ["0,14", 1]}, "mm", "positive numbers, got '0,14' in column mm of case a"),
        ({"mm": [1, "wide"]}, "mm", "positive numbers, got 'wide' in column mm of case b"),
        ({}, "mm", "the cohort must have a column 'mm', it has subject, sex"),
        ({"mm": [1, 1]}, ("mm", 2.0), "spacing must have 2 positive numbers"),
        ({}, (), "spacing must have 2 numbers"),
    ],
)
def test_what_is_no_size_is_named(
    folders: tuple[Path, Path], columns: dict[str, list[Any]], spacing: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        fairseg.evaluate(*folders, cohort(**columns), spacing=spacing)


def test_a_case_that_the_table_lacks_has_no_size() -> None:
    sizes = VoxelSizes.of("mm", cohort(mm=[1, 2]).set_index("case"))
    assert sizes["c"] == ()
    assert VoxelSizes()["c"] is None


@pytest.mark.parametrize(
    "of_masks",
    [{"spacing": (0.5, 0.5)}, {"labels": {"LV": 1}}, {"prediction_labels": {"LV": 1}}, {"ignore": 255}],
)
def test_scores_have_no_pixels_to_size_or_to_read(of_masks: Any) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(of_masks))} is of masks"):
        fairseg.audit({"dice": [0.9, 0.8], "sex": ["F", "M"]}, by="sex", **of_masks)
