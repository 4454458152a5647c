"""What else nnU-Net's users do: the cascade, and benchmarks without data. Half a minute."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer.variants.benchmarking import nnUNetTrainerBenchmark_5epochs_noDataLoading

from fairseg.integrations.nnunet import trainers

from .conftest import CASES, Dataset

pytestmark = pytest.mark.slow

ERM, DRO = "nnUNetTrainerFairERM", "nnUNetTrainerFairGroupDRO_Oversampling"


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
    assert [found["fastest_epoch"] > 0 for found in result.values()] == [True]
