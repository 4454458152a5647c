"""The audit of 80 real cases: ACDC masks in nnU-Net's layout and the predictions of a small U-Net.

The files are under a licence that keeps them out of this repository; FAIRSEG_ACDC names their folder.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from medpy import io
from medpy.metric import binary

from fairseg import Groups, read_cohort
from fairseg.cli import main
from fairseg.io.images import itk_messages
from fairseg.scoring import evaluate

ACDC = Path(os.environ.get("FAIRSEG_ACDC", "../shared/data/Dataset027_ACDC"))
pytestmark = pytest.mark.skipif(not ACDC.is_dir(), reason=f"FAIRSEG_ACDC: no real data in {ACDC}")
AUDIT = ["audit", str(ACDC / "predictions"), str(ACDC / "labelsTr"), "--groups", str(ACDC / "groups.csv")]


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return evaluate(ACDC / "predictions", ACDC / "labelsTr", read_cohort(ACDC / "groups.csv"))


def test_every_score_equals_medpy_on_its_own_reading_of_the_files(scores: pd.DataFrame) -> None:
    labels = {"RVBP": 1, "LVM": 2, "LVBP": 3}
    cases = sorted(scores["case"].unique())
    assert len(cases) == 80
    for case in cases[::8]:  # ten cases: medpy needs a quarter of a second for each
        with itk_messages():
            p, _ = io.load(str(ACDC / "predictions" / f"{case}.nii.gz"))
            r, header = io.load(str(ACDC / "labelsTr" / f"{case}.nii.gz"))
        spacing = header.get_voxel_spacing()
        assert max(spacing) == 10.0 or max(spacing) == 5.0  # pixdim, not the sform's 1 mm
        rows = scores[scores["case"] == case].set_index("label")
        for name, value in labels.items():
            a, b = p == value, r == value
            assert rows.loc[name, "dice"] == pytest.approx(binary.dc(a, b), abs=1e-12)
            assert rows.loc[name, "hd"] == pytest.approx(binary.hd(a, b, spacing), abs=1e-9)
            assert rows.loc[name, "prediction_voxels"] == a.sum()
            assert rows.loc[name, "reference_voxels"] == b.sum()


def test_the_figures_that_are_known_of_the_data(scores: pd.DataFrame) -> None:
    assert len(scores) == 240
    assert scores["dice"].median() == pytest.approx(0.894, abs=5e-4)
    assert scores["dice"].min() == pytest.approx(0.408, abs=5e-4)
    assert scores["hd"].median() == pytest.approx(13.3, abs=0.05)
    assert scores["hd"].max() == pytest.approx(107, abs=0.5)
    assert list(scores["label"].unique()) == ["RVBP", "LVM", "LVBP"]


def test_audit_by_bmi_group(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--by", "bmi_group", "--reference", "non-obese", "--cross-check", "6", "--out", str(tmp_path)]
    assert main([*AUDIT, *options]) == 0
    said = capfd.readouterr()
    assert "WARNING" not in said.err  # ITK's two lines for each of 160 files
    notes = said.err.splitlines()
    assert any("12 scores recomputed with medpy" in note for note in notes)
    assert any("sform" in note and "80 cases" in note for note in notes)
    groups = pd.read_csv(tmp_path / "subgroups.csv")
    medians = groups[groups["structure"] == "Overall"].set_index("group")["median"]
    assert medians["obese"] == pytest.approx(0.909, abs=5e-4)
    assert medians["non-obese"] == pytest.approx(0.877, abs=5e-4)
    summary = pd.read_csv(tmp_path / "summary.csv").set_index(["structure", "measure"])
    assert summary.loc[("Overall", "Fairness gap"), "All (n=40)"] == pytest.approx(-0.032, abs=5e-4)
    found = pd.read_csv(tmp_path / "findings.csv")
    assert (found["low"] <= found["estimate"]).all()
    assert (found["estimate"] <= found["high"]).all()
    assert f"Report: {tmp_path / 'report.html'}" in said.out


def test_five_groups_of_eight_are_too_small_to_be_judged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*AUDIT, "--by", "pathology", "--workers", "2", "--out", str(tmp_path)]) == 0
    assert capfd.readouterr().out.splitlines()[0].endswith("Not judged")
    groups = pd.read_csv(tmp_path / "subgroups.csv")
    sizes = groups[groups["structure"] == "Overall"].set_index("group")["n"].to_dict()
    assert {name: sizes[name] for name in ("DCM", "HCM", "MINF", "NOR", "RV")} == dict.fromkeys(
        ("DCM", "HCM", "MINF", "NOR", "RV"), 8
    )


def test_audit_by_an_intersection(tmp_path: Path) -> None:
    by = ["--by", "bmi_group", "--by", "pathology", "--reference", "pathology=NOR, bmi_group=non-obese"]
    assert main([*AUDIT, *by, "--out", str(tmp_path)]) == 0
    summary = pd.read_csv(tmp_path / "summary.csv").set_index(["structure", "measure"])
    assert summary.columns[0] == "bmi_group=non-obese, pathology=DCM (n=6)"
    assert summary.shape[1] == 11
    one = summary["bmi_group=obese, pathology=RV (n=1)"].loc["Overall"]
    assert np.isfinite(one["Median DSC"])
    assert np.isnan(one["IQR DSC"])  # one subject has no spread ...
    assert np.isnan(one["p (Mann-Whitney U)"])  # ... and proves nothing


def test_scores_do_not_depend_on_the_number_of_workers(scores: pd.DataFrame) -> None:
    again = evaluate(ACDC / "predictions", ACDC / "labelsTr", read_cohort(ACDC / "groups.csv"), num_workers=2)
    pd.testing.assert_frame_equal(scores, again)


def test_groups_of_the_cohort() -> None:
    cohort = read_cohort(ACDC / "groups.csv")
    groups = Groups.from_table(cohort, by="bmi", bins={"bmi": [30]})
    by_bins = groups.encode(cohort)
    as_given = Groups.from_table(cohort, by="bmi_group").encode(cohort)
    np.testing.assert_array_equal(by_bins, as_given)


@pytest.mark.slow
def test_a_short_training_learns_real_hearts_and_its_predictions_can_be_audited(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    short = ["--epochs", "2", "--steps", "180", "--learning-rate", "0.1", "--momentum", "0.9"]
    small = ["--features", "12", "--most-features", "96", "--batch-size", "8", "--device", "cpu"]
    coarse = ["--spacing", "3,3", "--patch-size", "96,96"]
    method = ["--by", "bmi_group", "--sampler", "oversampling", "--loss", "group_dro", "--base", "dice_ce"]
    assert main(["train", str(ACDC), "--out", str(run), *method, *short, *small, *coarse]) == 0
    held_out = json.loads((run / "run.json").read_text())["validation"]
    assert len(held_out) == 16  # 8 subjects: 2 of 10 obese, 6 of 30 others
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    for case in held_out:
        (images / f"{case}_0000.nii.gz").symlink_to((ACDC / "imagesTr" / f"{case}_0000.nii.gz").resolve())
        (masks / f"{case}.nii.gz").symlink_to((ACDC / "labelsTr" / f"{case}.nii.gz").resolve())
    predicted = tmp_path / "predicted"
    plain = ["--out", str(predicted), "--device", "cpu", "--no-mirror"]
    assert main(["predict", str(run), str(images), *plain]) == 0
    labels = ["--labels", "RVBP=1,LVM=2,LVBP=3"]
    groups = ["--groups", str(ACDC / "groups.csv"), "--by", "bmi_group", "--out", str(tmp_path / "report")]
    assert main(["audit", str(predicted), str(masks), *groups, *labels]) == 0
    scores = pd.read_csv(tmp_path / "report" / "scores.csv")
    medians = scores.groupby("label")["dice"].median()
    assert len(medians) == 3
    assert medians.min() > 0.5, medians
    err = capfd.readouterr().err
    assert "Traceback" not in err
    assert err.count("another scale") <= 3  # once a command, however many files say it


@pytest.mark.slow
def test_a_small_experiment_by_bmi_with_pathology_reported_at_test(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arms = [
        f"--arms={images}/{method}" for images in ("full", "crop") for method in ("baseline", "oversampling")
    ]
    recipe = ["features=4", "most_features=32", "epochs=1", "steps=15", "spacing=3,3", "batch_size=4"]
    options = [*arms, *(f"--set={one}" for one in recipe), "--seeds=1", "--device=cpu", "--jobs=2"]
    asked = ["--by=bmi_group", "--also=pathology", *options]
    assert main(["experiment", str(ACDC), "--out", str(out), *asked]) == 0
    arms_table = pd.read_csv(out / "report" / "arms.csv")
    assert sorted(arms_table["status"]) == ["done"] * 4
    split = pd.read_csv(out / "split.csv")
    tested = set(split[split["part"] == "test"]["subject"])
    assert split[split["part"] == "test"].groupby("group").size().to_dict() == {"non-obese": 8, "obese": 2}
    scores = pd.read_csv(out / "report" / "scores.csv")
    assert set(scores["subject"]) == tested
    assert len(scores) == 4 * 10 * 2 * 3  # arms, subjects, frames, labels
    assert scores["dice"].notna().all()
    page = (out / "report" / "experiment.html").read_text()
    for text in ("Table 4", "Table 6", "by pathology", "HCM", "non-obese"):
        assert text in page, text
    assert "Traceback" not in capfd.readouterr().err
