"""What the trainers log by group, and what they check of it to go on. Half a minute."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

from nnunetv2.training.logging.nnunet_logger import MetaLogger

from fairseg.cohort.groups import Groups
from fairseg.integrations.nnunet import group_log
from fairseg.losses import GroupDROLoss

from .conftest import Dataset
from .test_trainers import MIXED, Batch, started, trained

pytestmark = pytest.mark.slow

READERS = ("nnUNetTrainerFairOversampling", "nnUNetTrainerFairReweighting", "nnUNetTrainerFairGroupDRO")


def refused(dataset: Dataset, name: str, file: Path, message: str) -> None:
    """Go on from the checkpoint, which must fail."""
    with pytest.raises(ValueError, match=message):
        started(dataset, name, resume=True).load_checkpoint(str(file))


@pytest.mark.parametrize("name", READERS)
def test_no_trainer_goes_on_with_other_groups(dataset: Dataset, batch_of: Batch, name: str) -> None:
    trainer = started(dataset, name)
    trained(dataset, batch_of, range(1), trainer)
    file, good = Path(trainer.output_folder) / "checkpoint_best.pth", dataset.table.read_text()
    started(dataset, name, resume=True).load_checkpoint(str(file))
    swapped = good.replace(",M\n", ",X\n").replace(",F\n", ",M\n").replace(",X\n", ",F\n")
    dataset.table.write_text(swapped)
    refused(dataset, name, file, r"of other groups \(by group they were F 2, M 8, now they are F 8, M 2\)")
    started(dataset, name).load_checkpoint(str(file))  # --val takes it as it is
    few = good.replace("f0,F", "f0,M").replace("m0,M", "m0,F")  # as many of each as before
    dataset.table.write_text(few)
    refused(dataset, name, file, r"of other groups \(by group they were F 2, M 8, now .*look at groups\.csv")
    dataset.table.write_text(good)
    split = next(dataset.preprocessed.glob("splits_final.json"))
    split.write_text(split.read_text().replace('"m4_ED"', '"x"').replace('"m3_ED"', '"m4_ED"'))
    split.write_text(split.read_text().replace('"x"', '"m3_ED"'))
    refused(dataset, name, file, r"other training cases \(.*look at splits_final\.json")


def test_a_checkpoint_without_fingerprints_is_refused(dataset: Dataset, batch_of: Batch) -> None:
    trainer = started(dataset, "nnUNetTrainerFairGroupDRO")
    trained(dataset, batch_of, range(1), trainer)
    file = Path(trainer.output_folder) / "checkpoint_best.pth"
    content = torch.load(file, weights_only=False)
    del content["logging"]["group_loss_state"][-1]["fingerprint"]
    torch.save(content, file)
    refused(dataset, "nnUNetTrainerFairGroupDRO", file, "an earlier fairseg wrote it; start anew")


def test_the_control_keeps_nothing_of_groups(dataset: Dataset, batch_of: Batch) -> None:
    trainer = started(dataset, "nnUNetTrainerFairERM")
    trained(dataset, batch_of, range(1), trainer)
    assert not [key for key in trainer.logger.get_checkpoint() if key.startswith("group")]
    oversampling = started(dataset, "nnUNetTrainerFairOversampling")
    trained(dataset, batch_of, range(1), oversampling)
    kept = [key for key in oversampling.logger.get_checkpoint() if key.startswith("group")]
    assert kept == ["group_loss_state"]


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_a_sample_that_is_wholly_ignored_is_of_no_group(
    dataset: Dataset, batch_of: Batch, configuration: str
) -> None:
    labels = {"labels": {**dataset.about["labels"], "ignore": 3}}
    trainer = started(dataset, "nnUNetTrainerFairGroupDRO", configuration, **labels)
    shape = (16, 16) if configuration == "2d" else (8, 16, 16)
    batch = batch_of(["m0_ED", "f0_ES", "f0_ED"], shape)
    for target in batch["target"]:
        target[1:] = 3
    batch["target"][0][2].view(-1)[0] = 1  # a single voxel to learn from
    result = trainer.train_step(batch)
    assert result["group_count"].tolist() == [1, 1]
    batch["target"][0][2] = 3
    last_loss = trainer.group_loss.group_last_loss.clone()
    result = trainer.train_step(batch)
    assert result["group_count"].tolist() == [0, 1]
    assert np.isnan(result["group_loss"][0])
    # F is absent: nothing new is known of it.
    assert trainer.group_loss.group_last_loss[0] == last_loss[0]
    assert trainer.group_loss.group_recency.tolist() == pytest.approx([0.97, 1.0])


def test_steps_without_a_known_group_have_no_part_in_the_training_loss(
    dataset: Dataset, batch_of: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = started(dataset, "nnUNetTrainerFairGroupDRO")
    mixed, unknown = (trainer.train_step(batch_of(keys)) for keys in (MIXED, ["u0_ED", "u0_ED"]))
    assert unknown["loss"] == 0
    trainer.on_train_epoch_end([unknown, mixed, unknown])
    assert "2 of 3 steps had no sample of known group" in capsys.readouterr().out
    trainer.current_epoch = 1
    trainer.on_train_epoch_end([unknown, unknown])
    trainer.current_epoch = 2
    diverged = {**mixed, "loss": np.array(np.nan, np.float32)}
    trainer.on_train_epoch_end([diverged, mixed])  # that is to be seen
    losses = trainer.logger.get_value("train_losses", None)
    np.testing.assert_array_equal(losses, [mixed["loss"], np.nan, np.nan])
    assert trainer.logger.get_value("group_losses", 1) == {"F": None, "M": None}


def test_losses_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    groups = Groups.from_table({"site": list("ABCD")}, by="site")
    logger = MetaLogger(str(tmp_path), resume=False)
    inf, nan = np.inf, np.nan
    losses = np.array([[1.0, 2.0, inf, nan], [3.0, inf, nan, nan], [nan, nan, nan, nan]])
    counts = np.array([[1, 1, 2, 0], [2, 1, 1, 0], [0, 1, 1, 0]])
    line = group_log.write(logger, 0, GroupDROLoss(4), groups, list(losses), list(counts))
    assert line == (
        "training loss by group: A 2.0000 (weight 0.2500), B 2.0000 (weight 0.2500; not finite in 2 of 3"
        " steps), C not finite (weight 0.2500; not finite in 3 of 3 steps), D none (weight 0.2500)"
    )
    means: dict[str, Any] = logger.get_value("group_losses", 0)
    assert (means["A"], means["B"], means["D"]) == (2.0, 2.0, None)
    assert np.isnan(means["C"])


def test_no_trainer_goes_on_with_other_weights_of_the_cases(
    dataset: Dataset, batch_of: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "nnUNetTrainerFairOversampling"
    lines = dataset.table.read_text().splitlines()
    weighted = [f"{line},{1 + number % 2}" for number, line in enumerate(lines[1:])]
    dataset.table.write_text("\n".join([f"{lines[0]},often", *weighted]) + "\n")
    monkeypatch.setenv("FAIRSEG_BY", "sex")
    monkeypatch.setenv("FAIRSEG_WEIGHT", "often")
    trainer = started(dataset, name)
    trained(dataset, batch_of, range(1), trainer)
    file = Path(trainer.output_folder) / "checkpoint_best.pth"
    started(dataset, name, resume=True).load_checkpoint(str(file))
    monkeypatch.delenv("FAIRSEG_WEIGHT")
    refused(dataset, name, file, "drawn by other weights: to go on, FAIRSEG_WEIGHT and the column must be")
    monkeypatch.setenv("FAIRSEG_WEIGHT", "often")
    dataset.table.write_text("\n".join([f"{lines[0]},often", *(line[:-1] + "3" for line in weighted)]) + "\n")
    refused(dataset, name, file, "drawn by other weights")
