"""What else nnU-Net's users do: PNG of two channels, the cascade, benchmarks without data.

The first by nnU-Net's own commands, a step each.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer.variants.benchmarking import nnUNetTrainerBenchmark_5epochs_noDataLoading

from fairseg.cli import main
from fairseg.integrations.nnunet import trainers
from fairseg.scoring.table import Scores

from .conftest import CASES, Dataset, make_small

pytestmark = pytest.mark.slow

ERM, DRO = "nnUNetTrainerFairERM", "nnUNetTrainerFairGroupDRO_Oversampling"
WEIGHTED = "nnUNetTrainerFairWeightedSampling"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with nnU-Net's three, and the trainers installed."""
    for name in ("raw", "preprocessed", "results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    assert main(["nnunet", "install", str(tmp_path / "installed")]) == 0
    variables = {"FAIRSEG_STEPS": "1", "FAIRSEG_EPOCHS": "1", "FAIRSEG_BY": "group"}
    for name, value in {**variables, "nnUNet_extTrainer": str(tmp_path / "installed")}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_png_of_two_channels_drawn_by_weight(folder: Path, command: Callable[..., str]) -> None:
    name = "Dataset902_Flat"
    raw = folder / "raw" / name
    for part in ("imagesTr", "labelsTr"):
        (raw / part).mkdir(parents=True)
    random, rows = np.random.default_rng(0), ["case,subject,group,weight"]
    for number in range(8):
        mask = np.zeros((40, 48), np.uint8)
        mask[8:24, 10 + number : 30 + number] = 1
        for channel in (0, 1):
            noisy = (60 * (channel + 1) * mask + random.integers(0, 60, mask.shape)).astype(np.uint8)
            sitk.WriteImage(
                sitk.GetImageFromArray(noisy), str(raw / "imagesTr" / f"p{number}_000{channel}.png")
            )
        sitk.WriteImage(sitk.GetImageFromArray(mask), str(raw / "labelsTr" / f"p{number}.png"))
        rows.append(f"p{number},p{number},{'AB'[number % 2]},{number % 3}")
    (raw / "groups.csv").write_text("\n".join(rows) + "\n")
    about = {"channel_names": {"0": "a", "1": "b"}, "labels": {"background": 0, "organ": 1}}
    (raw / "dataset.json").write_text(json.dumps({**about, "numTraining": 8, "file_ending": ".png"}))
    command("nnUNetv2_plan_and_preprocess", "-d", "902", "-c", "2d", "-np", "1")
    make_small(folder / "preprocessed" / name / "nnUNetPlans.json")
    assert main(["nnunet", "splits", "902", "--folds", "2"]) == 0
    message = command("nnUNetv2_train", "902", "2d", "0", "-tr", WEIGHTED, "-device", "cpu")
    assert "fairseg: training cases are drawn by weight: 0 to 2" in message
    place, out = folder / "results" / name / f"{WEIGHTED}__nnUNetPlans__2d", folder / "scores.csv"
    scores = ("nnunet", "scores", str(place), "--groups", str(raw / "groups.csv"), "--out", str(out))
    assert main([*scores, "--metrics", "dice,hd95", "--labels", "organ=1:1"]) == 0
    assert Scores.of(out).table["case"].nunique() == 4


def test_the_cascade_learns_from_the_predictions_of_its_own_trainer(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRSEG_STEPS", "1")
    monkeypatch.setenv("FAIRSEG_EPOCHS", "1")
    monkeypatch.setenv("FAIRSEG_BEST", "worst")
    full = dataset.plans["configurations"]["3d_fullres"]
    dataset.plans["configurations"] |= {
        "3d_lowres": {**full, "next_stage": "3d_cascade_fullres"},
        "3d_cascade_fullres": {**full, "previous_stage": "3d_lowres"},
    }
    kind = trainers.nnUNetTrainerFairGroupDRO_Oversampling
    low = dataset.trainer(kind, "3d_lowres")
    low.run_training()
    trainer = dataset.trainer(kind, "3d_cascade_fullres")
    before = Path(trainer.folder_with_segs_from_previous_stage)
    assert before.parent.parent == Path(low.output_folder_base)
    before.mkdir(parents=True)
    for case in CASES:
        nnUNetDatasetBlosc2.save_seg(np.ones((8, 24, 24), np.int16), str(before / case))
    trainer.run_training()
    logged: Any = torch.load(Path(trainer.output_folder) / "checkpoint_final.pth", weights_only=False)
    assert set(logged["logging"]["group_losses"][0]) == {"F", "M"}
    assert np.isfinite(list(logged["logging"]["group_losses"][0].values())).all()
    assert trainer.num_input_channels == 3  # the image and two labels of the first stage


@pytest.mark.parametrize("name", [ERM, DRO])
def test_nnunets_benchmark_without_data_takes_every_trainer(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(
        torch.cuda, "is_available", lambda: True
    )  # it wants a GPU, and computes where it is told
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "none")
    monkeypatch.setenv("FAIRSEG_STEPS", "2")
    monkeypatch.setenv("FAIRSEG_EPOCHS", "2")
    stock = nnUNetTrainerBenchmark_5epochs_noDataLoading.nnUNetTrainerBenchmark_5epochs_noDataLoading
    kind = type("nnUNetTrainerFairBenchmark", (getattr(trainers, name), stock), {})
    trainer = dataset.trainer(kind)
    trainer.run_training()
    assert not trainer.crashed_with_runtime_error
    result = json.loads((Path(trainer.output_folder) / "benchmark_result.json").read_text())
    assert [results["fastest_epoch"] > 0 for results in result.values()] == [True]
