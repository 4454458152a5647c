"""Folders of masks to the lesions of each case: in the table, in its file, and in an audit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

import fairseg
from fairseg.cli.command import main
from fairseg.scoring.table import read_scores

METRICS = ("dice", "lesion_dice", "lesion_precision", "lesion_recall")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty cases with lesions of 1 and 8 voxels: the small ones are missed in F, and case 19 has none."""
    rows = []
    for number in range(20):
        sex = "FM"[number % 2]
        true = np.zeros((4, 10, 10), dtype=np.uint8)
        if number < 19:
            true[0:2, 0:2, 0:2] = true[3, 8, 8] = true[3, 0, 8] = 1
        predicted = true.copy()
        if sex == "F":
            predicted[3] = 0
        if number == 19:
            predicted[0, 0, 0] = 1
        for kind, mask in (("predictions", predicted), ("references", true)):
            (tmp_path / kind).mkdir(exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(mask), str(tmp_path / kind / f"c{number:02}.nii.gz"))
        rows.append({"case": f"c{number:02}", "sex": sex})
    pd.DataFrame(rows).to_csv(tmp_path / "groups.csv", index=False)
    return tmp_path


def test_the_table_has_lesions_and_how_many(folder: Path) -> None:
    paths = (folder / "predictions", folder / "references", folder / "groups.csv")
    table = fairseg.evaluate(*paths, labels={"lesion": 1}, metrics=METRICS).set_index("case")
    assert "distance_unit" not in table
    female, male, none = table.loc["c00"], table.loc["c01"], table.loc["c19"]
    assert female[["prediction_lesions", "reference_lesions"]].tolist() == [1, 3]
    assert female[[*METRICS]].tolist() == pytest.approx([16 / 18, 1 / 3, 1.0, 1 / 3])
    assert male[[*METRICS]].tolist() == [1.0] * 4
    assert none[["prediction_lesions", "reference_lesions"]].tolist() == [1, 0]
    np.testing.assert_array_equal(none[[*METRICS]].to_numpy(float), [0.0, 0.0, 0.0, np.nan])
    without = fairseg.evaluate(*paths, labels={"lesion": 1})
    assert "reference_lesions" not in without


def test_whose_lesions_are_missed(folder: Path) -> None:
    result = fairseg.audit(
        predictions=folder / "predictions",
        references=folder / "references",
        cohort=folder / "groups.csv",
        by="sex",
        labels={"lesion": 1},
        metric="lesion_recall",
        min_size=5,
    )
    assert result.verdict in (fairseg.Verdict.GAP, fairseg.Verdict.FAILS)
    medians = result.scores.table.groupby("sex")["dice"].median()  # the main score's column
    assert medians.tolist() == pytest.approx([1 / 3, 1.0])
    assert result.scores.title == "Lesion recall"


def test_the_command_takes_the_threshold_and_writes_whole_numbers(folder: Path) -> None:
    given = [str(folder / "predictions"), str(folder / "references"), "--groups", str(folder / "groups.csv")]
    out = folder / "scores.csv"
    more = ["--labels", "lesion=1", "--metrics", ",".join(METRICS), "--min-iou", "0.2", "--out", str(out)]
    assert main(["evaluate", *given, *more]) == 0
    assert ",1,3\n" in out.read_text(encoding="utf-8")
    again = read_scores(out)
    assert again["reference_lesions"].tolist() == [3] * 19 + [0]
    assert main(["evaluate", *given, *more[:4], "--min-iou", "2", "--out", str(folder / "no.csv")]) == 2
