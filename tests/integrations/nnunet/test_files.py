"""Folders, splits, scores and checkpoints for nnU-Net, which need no nnU-Net. Twenty seconds."""

import json
import math
import os
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch

from fairseg.cli import main
from fairseg.cohort.table import fold_subjects
from fairseg.integrations.nnunet import (
    TRAINERS,
    export_model,
    install,
    read_summaries,
    write_splits,
    write_trainers,
)
from fairseg.integrations.nnunet.cases import group_cases
from fairseg.scoring.table import Scores, read_scores

SUMMARY = {
    "metric_per_case": [
        {
            "metrics": {
                "1": {"Dice": 0.8, "n_pred": 12, "n_ref": 8, "TP": 8, "FP": 4, "FN": 0, "TN": 0, "IoU": 0.67},
                "2": {"Dice": float("nan"), "n_pred": 0, "n_ref": 0},
            },
            "prediction_file": "/somewhere/validation/a_ED.nii.gz",
            "reference_file": "/elsewhere/gt_segmentations/a_ED.nii.gz",
        }
    ]
}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a raw and a preprocessed dataset of 12 men, 5 women, all of two cases."""
    for name in ("raw", "preprocessed"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
        (tmp_path / name / "Dataset902_Split").mkdir(parents=True)
    for variable in ("FAIRSEG_BY", "FAIRSEG_BINS", "FAIRSEG_GROUPS"):
        monkeypatch.delenv(variable, raising=False)
    labels = tmp_path / "raw" / "Dataset902_Split" / "labelsTr"
    labels.mkdir()
    rows = ["case,subject,sex,site"]
    for number in range(17):
        for frame in ("ED", "ES"):
            (labels / f"s{number:02d}_{frame}.nii.gz").touch()
            rows.append(
                f"s{number:02d}_{frame},s{number:02d},{'F' if number % 3 == 0 and number < 15 else 'M'},A"
            )
    (labels.parent / "groups.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def model(folder: Path, name: str = "nnUNetTrainerFairERM") -> Path:
    """Write what a folder of a trained model has, with a tiny checkpoint."""
    place = folder / f"{name}__nnUNetPlans__2d"
    (place / "fold_0" / "validation").mkdir(parents=True)
    (place / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LVM": 1, "LVBP": 2}}))
    (place / "plans.json").write_text("{}")
    (place / "fold_0" / "validation" / "summary.json").write_text(json.dumps(SUMMARY))
    logging = {
        "train_losses": [1.0],
        "group_weights": [{"F": 0.5}],
        "group_losses": [{}],
        "group_loss_state": [{}],
        "group_best": [{}],
        "network_of": ["nnUNetTrainer"],
        "case_weights": [{"a case": 2.0}],
    }
    checkpoint = {"trainer_name": name, "logging": logging, "network_weights": {"w": torch.arange(3.0)}}
    torch.save(checkpoint, place / "fold_0" / "checkpoint_final.pth")
    return place


def test_install_writes_one_file_and_tells_the_variable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("nnUNet_extTrainer", raising=False)
    place = tmp_path / "my trainers"
    assert main(["nnunet", "install", str(place)]) == 0
    assert capsys.readouterr().out == f"export nnUNet_extTrainer='{place}'\n"
    text = (place / "fairseg_trainers.py").read_text()
    assert all(f"    {name},\n" in text for name in TRAINERS)
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join(["/others", str(place)]))
    assert main(["nnunet", "install", str(place)]) == 0
    assert capsys.readouterr().out == f"export nnUNet_extTrainer='/others:{place}'\n"
    with pytest.raises(ValueError, match="folder must be one for trainers alone"):
        write_trainers(tmp_path / "site-packages")


def test_splits_have_every_group_in_every_fold_and_a_subject_in_one(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["nnunet", "splits", "902", "--by", "sex"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["  F: 1, 1, 1, 1, 1", "  M: 3, 3, 2, 2, 2"]
    file = folders / "preprocessed" / "Dataset902_Split" / "splits_final.json"
    splits = json.loads(file.read_text())
    everyone = {f"s{number:02d}_{frame}" for number in range(17) for frame in ("ED", "ES")}
    for split in splits:
        assert set(split["train"]) | set(split["val"]) == everyone
        assert {case[:3] for case in split["train"]}.isdisjoint(case[:3] for case in split["val"])
    assert sorted(case for split in splits for case in split["val"]) == sorted(everyone)
    assert main(["nnunet", "splits", "Dataset902_Split", "--by", "sex", "--seed", "1"]) == 2
    assert "splits_final.json is there; networks may have been trained by it" in capsys.readouterr().err
    assert json.loads(file.read_text()) == splits
    assert main(["nnunet", "splits", "902", "--by", "sex", "--seed", "1", "--replace"]) == 0
    assert json.loads(file.read_text()) != splits
    assert main(["nnunet", "splits", "902", "--by", "sex", "--folds", "6", "--replace"]) == 0
    message = capsys.readouterr().err
    assert "group F has no subject to validate on in some fold" in message
    assert "none to train on" not in message
    table = folders / "raw" / "Dataset902_Split" / "groups.csv"
    table.write_text(table.read_text().replace("s01,M", "s01,X"))  # a group of one subject
    assert main(["nnunet", "splits", "902", "--by", "sex", "--replace"]) == 0
    (fold,) = [n for n, split in enumerate(json.loads(file.read_text())) if "s01_ED" in split["val"]]
    message = capsys.readouterr().err
    assert (
        f"group X has no subject to validate on in some fold, and none to train on in fold {fold}" in message
    )


def _without_attributes(rows: list[str]) -> list[str]:
    return [",".join(row.split(",")[:2]) for row in rows]


def _with_a_weight(rows: list[str]) -> list[str]:
    header, *others = _without_attributes(rows)
    return [f"{header},often", *(f"{row},1" for row in others)]


def _with_a_subject_left_blank(rows: list[str]) -> list[str]:
    """The reader then adds a note, which is no attribute."""
    return [row.replace(",s00", ",", 1) for row in _without_attributes(rows)]


@pytest.mark.parametrize(
    ("change", "options", "counts"),
    [
        (_without_attributes, [], "4, 4, 3, 3, 3"),
        (_with_a_weight, [], "4, 4, 3, 3, 3"),
        (_with_a_subject_left_blank, [], "4, 4, 4, 3, 3"),
        (list, ["--by-subject-only"], "4, 4, 3, 3, 3"),
    ],
)
def test_splits_without_groups_are_by_subject(
    folders: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[list[str]], list[str]],
    options: list[str],
    counts: str,
) -> None:
    table = folders / "raw" / "Dataset902_Split" / "groups.csv"
    table.write_text("\n".join(change(table.read_text().split())) + "\n")
    monkeypatch.setenv("FAIRSEG_WEIGHT", "often")
    assert main(["nnunet", "splits", "902", *options]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [f"  everyone: {counts}"]
    file = folders / "preprocessed" / "Dataset902_Split" / "splits_final.json"
    for split in json.loads(file.read_text()):
        subjects = [{case[:3] for case in split[part] if case[:3] != "s00"} for part in ("train", "val")]
        assert subjects[0].isdisjoint(subjects[1])
        assert len(split["train"]) + len(split["val"]) == 34
    assert main(["nnunet", "splits", "902", "--by-subject-only", "--by", "sex", "--replace"]) == 2


def test_splits_are_of_the_cases_that_were_preprocessed(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = folders / "raw" / "Dataset902_Split" / "labelsTr"
    kept = folders / "preprocessed" / "Dataset902_Split" / "gt_segmentations"
    shutil.copytree(labels, kept)
    (kept / "s00_ED.nii.gz").unlink()
    (labels / "s01_ES.nii.gz").unlink()
    (labels / "new.nii.gz").touch()  # without a row in the table, which it needs no more than a fold
    assert main(["nnunet", "splits", "902", "--by", "sex"]) == 0
    message = capsys.readouterr().err.splitlines()
    assert message[0].startswith(
        "fairseg: note: 2 cases in labelsTr not preprocessed, so in no fold: new, s00_ED;"
    )
    assert message[1:] == ["fairseg: note: 1 case preprocessed, but not in labelsTr: s01_ES"]
    splits = json.loads((kept.parent / "splits_final.json").read_text())
    cases = {path.name.removesuffix(".nii.gz") for path in kept.iterdir()}
    assert all({*split["train"], *split["val"]} == cases for split in splits)
    shutil.rmtree(labels)  # dataset.json may name files that lie elsewhere
    assert main(["nnunet", "splits", "902", "--by", "sex", "--replace"]) == 0
    assert capsys.readouterr().err == ""


def test_the_ending_of_files_is_that_of_dataset_json(folders: Path, tmp_path: Path) -> None:
    raw = folders / "raw" / "Dataset902_Split"
    for file in (raw / "labelsTr").iterdir():
        file.rename(file.with_name(file.name.replace(".nii.gz", ".tif")))
    (raw / "dataset.json").write_text('{"file_ending": ".tif"}')
    write_splits("902", by=["sex"])
    split = json.loads((folders / "preprocessed" / raw.name / "splits_final.json").read_text())[0]
    assert len(split["train"] + split["val"]) == 34
    assert "s00_ED" in split["train"] + split["val"]
    (raw / "dataset.json").write_text('{"file_ending": ".bmp"}')
    with pytest.raises(ValueError, match=r"labelsTr has no file that ends in \.bmp, the file_ending of"):
        write_splits("902", by=["sex"], replace_file=True)
    (raw / "dataset.json").write_text('{"file_ending": 1}')
    with pytest.raises(ValueError, match=r'dataset\.json must have a file_ending such as "\.nii\.gz", got 1'):
        write_splits("902", by=["sex"], replace_file=True)
    (raw / "dataset.json").write_text("{")
    with pytest.raises(ValueError, match=r"dataset\.json cannot be read as a dataset\.json of nnU-Net"):
        write_splits("902", by=["sex"], replace_file=True)
    place = model(tmp_path)
    (place / "dataset.json").write_text('{"labels": {"background": 0, "LVM": 1}, "file_ending": ".tif"}')
    file = place / "fold_0" / "validation" / "summary.json"
    file.write_text(file.read_text().replace(".nii.gz", ".tif"))
    table = tmp_path / "groups.csv"
    table.write_text("case,subject,sex\na_ED,a,F\n")
    assert read_summaries([place], table)[["case", "sex"]].to_numpy().tolist() == [["a_ED", "F"]] * 2


def test_folds_do_not_depend_on_the_order_of_rows() -> None:
    subjects = [f"s{number}" for number in range(11)]
    groups = [0, 0, 0, 1, 1, 1, 1, 1, -1, -1, 0]
    folds = fold_subjects(subjects, groups, 3, seed=4)
    back = fold_subjects(subjects[::-1], groups[::-1], 3, seed=4)[::-1]
    assert folds.tolist() == back.tolist()
    table = pd.crosstab(groups, folds)
    assert ((table.max(axis=1) - table.min(axis=1)) <= 1).all()
    assert pd.Series(folds).value_counts().max() == 4
    with pytest.raises(ValueError, match="folds must be from 2 to the number of subjects, 11, got 12"):
        fold_subjects(subjects, groups, 12)


def test_the_fold_all_validates_on_its_training_cases(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("case,subject,sex\na,p1,F\nb,p2,M\nc,p3,F\n")
    cases = group_cases(tmp_path / "groups.csv", ["a", "b", "c"], ["a", "b", "c"], by=["sex"])
    assert cases.ids == cases.validation_ids == {"a": 0, "b": 1, "c": 0}
    assert cases.counts == (2, 1)
    assert not cases.untrained


def test_splits_say_what_is_wrong(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"has 2 attributes \(sex, site\): say which"):
        write_splits("902")
    with pytest.raises(ValueError, match=r"groups\.csv has no attribute 'age'"):
        write_splits("902", by=["age"])
    with pytest.raises(ValueError, match="must have one dataset 903, has none"):
        write_splits("903", by=["sex"])
    (folders / "raw" / "Dataset902_Split" / "labelsTr" / "new.nii.gz").touch()
    with pytest.raises(ValueError, match=r"groups\.csv has no row for 1 case of 35: new"):
        write_splits("902", by=["sex"])
    (folders / "preprocessed" / "Dataset902_Split").rmdir()
    with pytest.raises(ValueError, match="run nnUNetv2_plan_and_preprocess first"):
        write_splits("902", by=["sex"])
    monkeypatch.delenv("nnUNet_raw")
    with pytest.raises(ValueError, match="variable nnUNet_raw is not set"):
        write_splits("902", by=["sex"])


def test_a_summary_that_was_written_on_windows(tmp_path: Path) -> None:
    about = json.loads(json.dumps(SUMMARY))
    for side in ("prediction", "reference"):
        about["metric_per_case"][0][f"{side}_file"] = rf"D:\\nnUNet_results\\fold_0\\{side}\\a_ED.nii.gz"
    (tmp_path / "summary.json").write_text(json.dumps(about))
    (tmp_path / "groups.csv").write_text("case,sex\na_ED,F\n")
    scores = read_summaries([tmp_path / "summary.json"], tmp_path / "groups.csv", labels={"LVM": 1})
    assert scores[["case", "sex", "dice"]].to_numpy().tolist() == [["a_ED", "F", 0.8]]


@pytest.mark.parametrize("what", ["", "fold_0", "fold_0/validation", "fold_0/validation/summary.json"])
def test_a_summary_becomes_a_scores_table(tmp_path: Path, what: str) -> None:
    (tmp_path / "groups.csv").write_text("case,subject,sex\na_ED,a,F\nb_ED,b,M\n")
    place, out = model(tmp_path) / what, tmp_path / "scores.csv"
    assert (
        main(["nnunet", "scores", str(place), "--groups", f"{tmp_path}/groups.csv", "--out", str(out)]) == 0
    )
    scores = read_scores(out)
    columns = ["case", "subject", "sex", "label", "dice", "prediction_voxels", "reference_voxels", "note"]
    assert list(scores.columns) == columns
    assert scores.iloc[0].tolist()[:-1] == ["a_ED", "a", "F", "LVM", 0.8, 12, 8]
    assert scores.iloc[1, 3] == "LVBP"
    assert math.isnan(scores.iloc[1, 4])


def test_summaries_say_what_is_wrong(tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("case,subject,sex\nb_ED,b,M\n")
    place, out = model(tmp_path), tmp_path / "scores.csv"
    with pytest.raises(ValueError, match=r"no case of .* has a row in .*groups\.csv: .* b_ED, .* a_ED$"):
        read_summaries([place], table)
    assert main(["nnunet", "scores", str(place), "--groups", str(table), "--out", str(out)]) == 2
    assert not out.exists()
    two: Any = json.loads(json.dumps(SUMMARY))
    two["metric_per_case"].append({**SUMMARY["metric_per_case"][0], "reference_file": "/labels/b_ED.nii.gz"})
    (place / "fold_0" / "validation" / "summary.json").write_text(json.dumps(two))
    scores = read_summaries([place], table)
    unknown = scores["note"].str.contains("unknown group")
    assert scores.loc[unknown, "case"].unique().tolist() == ["a_ED"]
    assert scores.loc[unknown, "sex"].isna().all()
    assert "(2 cases: " in Scores.of(scores).notes[0]  # all have their Dice from nnU-Net
    table.write_text("case,subject,sex\na_ED,a,F\n")
    with pytest.raises(ValueError, match="case a_ED must be in one summary"):
        read_summaries([place, model(tmp_path, "nnUNetTrainerFairGroupDRO")], table)
    with pytest.raises(ValueError, match=r"fold_7 has no summary\.json"):
        read_summaries([place / "fold_7"], table)
    file = place / "fold_0" / "validation" / "summary.json"
    file.write_text("[]")
    with pytest.raises(ValueError, match=r"must be a summary\.json as nnU-Net writes it"):
        read_summaries([place], table)
    file.write_text('{"metric_per_case": []}')
    with pytest.raises(ValueError, match="results must have a case"):
        read_summaries([place], table)


def validated(folder: Path, regions: bool = False) -> tuple[Path, Path]:
    """Write a trained model with masks and a summary of two folds, as nnU-Net does; and the references.

    A square of 4 x 4 with a core of 2 x 2; the prediction lies one pixel lower, and 4 pixels are ignored.
    """
    place = model(folder)
    labels = (
        {"background": 0, "whole": [1, 2], "core": 2} if regions else {"background": 0, "rim": 1, "core": 2}
    )
    about = {"labels": {**labels, "ignore": 3}, "file_ending": ".nii.gz"}
    (place / "dataset.json").write_text(json.dumps(about))
    references = folder / "preprocessed" / "Dataset903_Kept" / "gt_segmentations"
    references.mkdir(parents=True)
    for fold, case in enumerate(("a_ED", "b_ED")):
        true = np.zeros((2, 12, 12), np.uint8)
        true[:, 4:8, 4:8], true[:, 5:7, 5:7] = 1, 2
        predicted = np.roll(true, 1, axis=1)
        true[0, :2, :2] = 3
        predicted[0, 0, 0] = 2  # where nothing counts
        masks = place / f"fold_{fold}" / "validation"
        masks.mkdir(parents=True, exist_ok=True)
        for file, mask in ((references, true), (masks, predicted)):
            image = sitk.GetImageFromArray(mask)
            image.SetSpacing((1.0, 2.0, 5.0))
            sitk.WriteImage(image, str(file / f"{case}.nii.gz"))
        entries = {}
        for key, codes in (("(1, 2)", (1, 2)), ("2", (2,))) if regions else (("1", (1,)), ("2", (2,))):
            here, there = (np.isin(mask, codes) & (true != 3) for mask in (predicted, true))
            hit, both = int((here & there).sum()), int(here.sum() + there.sum())
            entries[key] = {"Dice": 2 * hit / both, "n_pred": int(here.sum()), "n_ref": int(there.sum())}
        entry = {
            "metrics": entries,
            "prediction_file": f"D:\\results\\validation\\{case}.nii.gz",  # written on Windows
            "reference_file": f"D:\\preprocessed\\gt_segmentations\\{case}.nii.gz",
        }
        (masks / "summary.json").write_text(json.dumps({"metric_per_case": [entry]}))
    return place, references


@pytest.mark.parametrize("regions", [False, True])
def test_metrics_are_computed_from_the_masks_of_all_folds(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    regions: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    place, references = validated(tmp_path, regions)
    table, out = tmp_path / "groups.csv", tmp_path / "scores.csv"
    table.write_text("case,subject,sex\na_ED,a,F\nb_ED,b,M\nc_ED,c,M\n")  # c: validated in no fold
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
    command = ["nnunet", "scores", str(place), "--groups", str(table), "--out", str(out)]
    plain = read_summaries([place], table)
    # As in nnU-Net's gt_segmentations, the references are those of all folds.
    (references / "c_ED.nii.gz").write_bytes((references / "a_ED.nii.gz").read_bytes())
    assert main([*command, "--references", str(references), "--metrics", "hd95,nsd", "--tolerance", "1"]) == 0
    assert "c_ED" not in caplog.text
    result = read_scores(out)
    names = ["whole", "core"] if regions else ["rim", "core"]
    assert result["label"].tolist() == plain["label"].tolist() == names * 2
    assert result["case"].tolist() == ["a_ED"] * 2 + ["b_ED"] * 2
    np.testing.assert_allclose(result["dice"], plain["dice"])
    assert result["dice"].iloc[1] == 0.5  # a core of two rows, of which one is met
    # One row lower, of rows 2 mm apart: the core is 2 mm off in either direction.
    assert result["hd95"].iloc[1] == pytest.approx(2.0)
    assert result["sex"].tolist() == ["F", "F", "M", "M"]


def test_references_are_found_where_nnunet_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, references = validated(tmp_path)
    table = tmp_path / "groups.csv"
    table.write_text("case,subject,sex\na_ED,a,F\nb_ED,b,M\n")
    command = ["nnunet", "scores", str(place), "--groups", str(table), "--out", str(tmp_path / "scores.csv")]
    assert main([*command, "--references", str(references)]) == 2
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    with pytest.raises(ValueError, match=r"are not there .* say --references FOLDER"):
        read_summaries([place], table, metrics=["hd95"])
    results = tmp_path / "results" / "Dataset903_Kept"
    results.mkdir(parents=True)
    moved = place.rename(results / place.name)
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
    assert read_summaries([moved], table, metrics=["hd95"])["hd95"].notna().all()
    # Another validation has overwritten the masks: the summary is not theirs.
    masks = moved / "fold_0" / "validation" / "a_ED.nii.gz"
    masks.write_bytes((references / "a_ED.nii.gz").read_bytes())
    with pytest.raises(ValueError, match="masks of 2 of 4 structures have another Dice than the summary"):
        read_summaries([moved], table, metrics=["hd95"])


def test_install_says_what_keeps_nnunet_from_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def of(version: str | None, *, timm: bool = True) -> int:
        def find_version(_: str) -> str:
            if version is None:
                raise PackageNotFoundError
            return version

        monkeypatch.setattr(install, "version", find_version)
        monkeypatch.setattr(install, "find_spec", lambda _: timm or None)
        return main(["nnunet", "install", str(tmp_path / "own")])

    assert of("2.7.1") == 2
    message = capsys.readouterr()
    assert "nnU-Net 2.7.1 is installed, which finds no trainer outside of itself; 2.8 or newer" in message.err
    assert not message.out
    assert not (tmp_path / "own").exists()
    for version, timm, note in (
        ("2.8.0", True, ""),
        ("2.10.0", True, ""),
        ("2.8.1", False, "timm is not installed"),
        (None, True, "nnU-Net is not installed in this Python"),
    ):
        assert of(version, timm=timm) == 0
        message = capsys.readouterr()
        assert message.out.startswith("export nnUNet_extTrainer=")
        assert len(message.err.splitlines()) == bool(note)
        assert note in message.err


def test_an_exported_checkpoint_bears_nnunets_name_and_the_same_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, out = model(tmp_path), tmp_path / "plain"
    assert main(["nnunet", "export", str(place), "--out", str(out)]) == 0
    message = f"nnUNetv2_predict_from_modelfolder -m {out} -f 0 -chk checkpoint_final.pth -i IMAGES -o MASKS"
    assert capsys.readouterr().out.strip() == f"1 fold: {message}"
    content = torch.load(out / "fold_0" / "checkpoint_final.pth", weights_only=True)
    assert content["trainer_name"] == "nnUNetTrainer"
    assert content["logging"] == {"train_losses": [1.0]}
    assert content["network_weights"]["w"].tolist() == [0, 1, 2]
    assert (out / "plans.json").read_text() == "{}"
    with pytest.raises(ValueError, match="out must be a new or empty folder"):
        export_model(place, out)


def test_export_prints_the_command_for_its_folds_and_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, out = model(tmp_path), tmp_path / "my plain one"
    for fold in ("0", "2", "10", "all"):
        (place / f"fold_{fold}").mkdir(exist_ok=True)
        shutil.copy(place / "fold_0" / "checkpoint_final.pth", place / f"fold_{fold}" / "checkpoint_best.pth")
    (place / "fold_0" / "checkpoint_final.pth").unlink()
    best = ("--checkpoint", "checkpoint_best.pth")
    assert main(["nnunet", "export", str(place), "--out", str(out), *best]) == 0
    message = capsys.readouterr().out
    assert f"predict_from_modelfolder -m '{out}' -f 0 2 10 all -chk checkpoint_best.pth -i" in message
    assert (out / "fold_10" / "checkpoint_best.pth").is_file()


def test_exports_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is of nnUNetTrainer$"):
        export_model(model(tmp_path, "nnUNetTrainer"), tmp_path / "out")
    place = model(tmp_path)
    with pytest.raises(ValueError, match=r"has no fold_\*/checkpoint_best\.pth"):
        export_model(place, tmp_path / "out", checkpoint="checkpoint_best.pth")
    with pytest.raises(ValueError, match=r"has no plans\.json and no dataset\.json"):
        export_model(tmp_path, tmp_path / "out")
    (place / "fold_0" / "checkpoint_final.pth").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint of nnU-Net"):
        export_model(place, tmp_path / "out")
    assert not (tmp_path / "out").exists()
