"""nnU-Net's trainers with group losses, made and stepped in this process. Half a minute."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from fairseg.integrations.nnunet import TRAINERS, trainers
from fairseg.losses import CVaRGroupLoss, GroupDROLoss

from .conftest import Dataset, loss_and_gradient

pytestmark = pytest.mark.slow

Batch = Callable[..., dict[str, Any]]
PATCH = {"2d": (16, 16), "3d_fullres": (8, 16, 16)}
MIXED = ["m0_ED", "f0_ES", "m1_ES", "u0_ED", "f0_ED"]
GROUP = {"F": [1, 4], "M": [0, 2]}  # places of each group in it


def started(dataset: Dataset, name: str, configuration: str = "2d", **more: Any) -> Any:
    """Return an initialised trainer."""
    trainer = dataset.trainer(getattr(trainers, name), configuration, **more)
    torch.manual_seed(0)
    trainer.initialize()
    trainer.network.train()
    return trainer


def stock_loss(output: list[torch.Tensor], target: list[torch.Tensor], *, batch_dice: bool) -> torch.Tensor:
    """Return nnU-Net's Dice + CE plus 1, with its weights of two outputs, 1 and 0."""
    dice = {"batch_dice": batch_dice, "smooth": 1e-5, "do_bg": False, "ddp": False}
    loss = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)
    value: torch.Tensor = loss(output[0], target[0]) + 1
    return value


REGIONS = {"labels": {"background": 0, "whole": [1, 2], "core": 2}, "regions_class_order": [1, 2]}


def about_of(dataset: Dataset, *, regions: bool, ignore: bool) -> dict[str, Any]:
    """Return what a dataset.json says of the labels."""
    about = dict(REGIONS) if regions else {"labels": dataset.about["labels"]}
    return {**about, "labels": {**about["labels"], "ignore": 3}} if ignore else about


def as_regions(target: torch.Tensor, *, ignore: bool) -> torch.Tensor:
    """Return labels (B, 1, *S) as nnU-Net's transform of regions gives them."""
    parts = [(target == 1) | (target == 2), target == 2, *([target == 3] if ignore else [])]
    return torch.cat(parts, dim=1)


def batch_with(batch: dict[str, Any], *, regions: bool, ignore: bool) -> dict[str, Any]:
    if ignore:  # as many in each sample: else nnU-Net's cross-entropy without batch Dice weighs samples by it
        batch["target"][0][..., :4], batch["target"][1][..., :2] = 3, 3
    if regions:
        batch["target"] = [as_regions(target, ignore=ignore) for target in batch["target"]]
    return batch


@pytest.mark.parametrize("configuration", list(PATCH))
@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("ignore", [False, True])
def test_the_control_has_the_loss_and_gradient_of_nnunet(
    dataset: Dataset, batch_of: Batch, configuration: str, regions: bool, ignore: bool
) -> None:
    about = about_of(dataset, regions=regions, ignore=ignore)
    ours = started(dataset, "nnUNetTrainerFairERM", configuration, **about)
    stock = dataset.trainer(nnUNetTrainer, configuration, **about)
    torch.manual_seed(0)
    stock.initialize()
    batch = batch_with(batch_of(MIXED, PATCH[configuration]), regions=regions, ignore=ignore)
    (value, gradient), (wanted, stock_gradient) = (loss_and_gradient(t, batch) for t in (ours, stock))
    assert value == pytest.approx(wanted + 1, rel=1e-5)
    torch.testing.assert_close(gradient, stock_gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("ignore", [False, True])
def test_group_dro_of_regions_has_nnunets_loss_within_each_group(
    dataset: Dataset, batch_of: Batch, ignore: bool
) -> None:
    about = about_of(dataset, regions=True, ignore=ignore)
    trainer = started(dataset, "nnUNetTrainerFairGroupDRO", **about)
    stock = dataset.trainer(nnUNetTrainer, **about)
    stock.initialize()
    batch = batch_with(batch_of(MIXED), regions=True, ignore=ignore)
    with torch.no_grad():
        output = trainer.network(batch["data"])
        wanted = [
            stock.loss([o[places] for o in output], [t[places] for t in batch["target"]]).item() + 1
            for places in GROUP.values()
        ]
    result = trainer.train_step(batch)
    np.testing.assert_allclose(result["group_loss"], wanted, rtol=1e-4)


@pytest.mark.parametrize("regions", [False, True])
def test_a_patch_that_is_wholly_ignored_is_no_sample_of_its_group(
    dataset: Dataset, batch_of: Batch, regions: bool
) -> None:
    about = about_of(dataset, regions=regions, ignore=True)
    trainer = started(dataset, "nnUNetTrainerFairGroupDRO", "3d_fullres", **about)
    batch = batch_of(MIXED, PATCH["3d_fullres"])
    for target in batch["target"]:
        target[1] = 3
    if regions:
        batch["target"] = [as_regions(target, ignore=True) for target in batch["target"]]
    assert trainer.train_step(batch)["group_count"].tolist() == [1, 2]


@pytest.mark.parametrize("configuration", list(PATCH))
def test_the_weights_of_group_dro_follow_the_losses_of_nnunet_within_each_group(
    dataset: Dataset, batch_of: Batch, configuration: str
) -> None:
    trainer = started(dataset, "nnUNetTrainerFairGroupDRO", configuration)
    weight = {"F": 0.5, "M": 0.5}
    for step in range(2):
        batch = batch_of(MIXED, PATCH[configuration], seed=step)
        with torch.no_grad():
            output = trainer.network(batch["data"])
            wanted = {
                name: stock_loss(
                    [scale[places] for scale in output],
                    [scale[places] for scale in batch["target"]],
                    batch_dice=configuration == "2d",
                ).item()
                for name, places in GROUP.items()
            }
        result = trainer.train_step(batch)
        np.testing.assert_allclose(result["group_loss"], [wanted["F"], wanted["M"]], rtol=1e-4)
        grown = {name: weight[name] * math.exp(0.01 * wanted[name]) for name in weight}
        weight = {name: value / sum(grown.values()) for name, value in grown.items()}
        np.testing.assert_allclose(trainer.group_loss.group_weight, [weight["F"], weight["M"]], rtol=1e-5)
        assert result["loss"] == pytest.approx(sum(weight[name] * wanted[name] for name in weight), rel=1e-4)


def test_reweighting_takes_the_training_cases_of_the_fold(dataset: Dataset, batch_of: Batch) -> None:
    trainer = started(dataset, "nnUNetTrainerFairReweighting")
    # Fold 0 trains on 8 cases of M and 2 of F: weights 10/8 and 10/2, divided by their sum (Eq. 1-2).
    assert trainer.case_groups.counts == (2, 8)
    result = trainer.train_step(batch_of(MIXED))
    female, male = result["group_loss"]
    assert result["loss"] == pytest.approx((0.8 * 2 * female + 0.2 * 2 * male) / 4, rel=1e-5)


@pytest.mark.parametrize("name", TRAINERS)
def test_every_trainer_steps_and_validates_with_one_loss(
    dataset: Dataset, batch_of: Batch, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    dataset.add_column("weight")
    monkeypatch.setenv("FAIRSEG_BY", "sex")
    trainer = started(dataset, name)
    batch = batch_of(["m4_ED", "f1_ED", "m4_ES"])  # cases to validate on have no group in training
    trainer.on_validation_epoch_start()
    with torch.no_grad():
        output = trainer.network(batch["data"])
        result = trainer.validation_step(batch)
    assert result["loss"] == pytest.approx(
        stock_loss(output, batch["target"], batch_dice=True).item(), rel=1e-5
    )
    before = [parameter.detach().clone() for parameter in trainer.network.parameters()]
    trainer.network.train()
    trainer.train_step(batch_of(MIXED))
    assert any(not torch.equal(*pair) for pair in zip(before, trainer.network.parameters(), strict=True))


def trained(dataset: Dataset, batch_of: Batch, epochs: range, trainer: Any) -> None:
    """Train by hand, three steps an epoch, with what nnU-Net does around it."""
    for epoch in epochs:
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        steps = [trainer.train_step(batch_of(MIXED, seed=10 * epoch + step)) for step in range(3)]
        trainer.on_train_epoch_end(steps)
        trainer.on_validation_epoch_start()
        with torch.no_grad():
            trainer.on_validation_epoch_end([trainer.validation_step(batch_of(["m4_ED", "f1_ED"]))])
        trainer.on_epoch_end()


def test_training_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(
    dataset: Dataset, batch_of: Batch, tmp_path: Path
) -> None:
    whole = started(dataset, "nnUNetTrainerFairGroupDRO")
    whole.num_epochs, whole.save_every = 4, 2
    trained(dataset, batch_of, range(2), whole)
    kept = tmp_path / "kept.pth"
    (Path(whole.output_folder) / "checkpoint_latest.pth").rename(kept)
    trained(dataset, batch_of, range(2, 3), whole)
    resumed = started(dataset, "nnUNetTrainerFairGroupDRO", resume=True)
    resumed.num_epochs, resumed.save_every = 4, 50
    resumed.load_checkpoint(str(kept))
    assert resumed.current_epoch == 2
    trained(dataset, batch_of, range(2, 3), resumed)
    assert torch.equal(resumed.group_loss.group_weight, whole.group_loss.group_weight)
    assert not torch.equal(whole.group_loss.group_weight, torch.tensor([0.5, 0.5], dtype=torch.float64))
    for name in ("group_losses", "group_weights"):
        logged = [trainer.logger.get_value(name, None) for trainer in (whole, resumed)]
        assert logged[0] == logged[1]
        assert len(logged[0]) == 3
        assert list(logged[0][0]) == ["F", "M"]
    # The checkpoint is plain: fairseg is not needed to load it.
    logging = torch.load(kept, weights_only=False)["logging"]
    assert logging["group_loss_state"][-1]["groups"]["cells"] == [["F"], ["M"]]


def test_a_checkpoint_of_other_groups_is_refused(dataset: Dataset, batch_of: Batch, tmp_path: Path) -> None:
    trainer = started(dataset, "nnUNetTrainerFairGroupDRO")
    trained(dataset, batch_of, range(1), trainer)
    file = Path(trainer.output_folder) / "checkpoint_best.pth"
    dataset.table.write_text(dataset.table.read_text().replace(",M", ",male"))
    other = started(dataset, "nnUNetTrainerFairGroupDRO", resume=True)
    with pytest.raises(ValueError, match=r"trained on the groups F; M \(by sex\), now they are F; male"):
        other.load_checkpoint(str(file))
    started(dataset, "nnUNetTrainerFairGroupDRO").load_checkpoint(str(file))  # --val takes it as it is
    control = started(dataset, "nnUNetTrainerFairERM")
    trained(dataset, batch_of, range(1), control)
    with pytest.raises(ValueError, match="no state of groups"):
        other.load_checkpoint(str(Path(control.output_folder) / "checkpoint_best.pth"))


def test_a_reweighted_checkpoint_of_another_cohort_is_refused(dataset: Dataset, batch_of: Batch) -> None:
    trainer = started(dataset, "nnUNetTrainerFairReweighting")
    trained(dataset, batch_of, range(1), trainer)
    dataset.table.write_text(dataset.table.read_text().replace("u0_ED,u0,", "u0_ED,u0,F"))
    other = started(dataset, "nnUNetTrainerFairReweighting", resume=True)
    with pytest.raises(ValueError, match="another cohort"):
        other.load_checkpoint(str(Path(trainer.output_folder) / "checkpoint_best.pth"))


def test_a_trainer_of_ones_own_takes_any_loss(dataset: Dataset, batch_of: Batch) -> None:
    class nnUNetTrainerFairCVaR(trainers.FairTrainer):  # noqa: N801
        balanced = True

        def make_loss(self, base: torch.nn.Module, counts: tuple[int, ...]) -> CVaRGroupLoss:
            return CVaRGroupLoss(len(counts), base, alpha=0.5)

    trainer = dataset.trainer(nnUNetTrainerFairCVaR)
    trainer.initialize()
    trainer.network.train()
    result = trainer.train_step(batch_of(MIXED))
    assert result["loss"] == pytest.approx(
        max(result["group_loss"]), rel=1e-5
    )  # half of two groups: the worst


def test_epochs_and_device_are_those_asked_for(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dataset.trainer(trainers.nnUNetTrainerFairERM).num_epochs == 1000
    monkeypatch.setenv("FAIRSEG_EPOCHS", "7")
    trainer = started(dataset, "nnUNetTrainerFairGroupDRO")
    assert trainer.num_epochs == trainer.lr_scheduler.max_steps == 7
    assert set(trainer.my_init_kwargs) == {"plans", "configuration", "fold", "dataset_json", "device"}
    assert isinstance(trainer.group_loss, GroupDROLoss)
    monkeypatch.setenv("FAIRSEG_EPOCHS", "some")
    with pytest.raises(ValueError, match="FAIRSEG_EPOCHS must be a positive integer, got 'some'"):
        dataset.trainer(trainers.nnUNetTrainerFairERM)


@pytest.mark.parametrize("ignore", [False, True])
@pytest.mark.parametrize("name", TRAINERS)
def test_every_trainer_learns_regions_from_nnunets_own_batches(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, name: str, ignore: bool
) -> None:
    monkeypatch.setenv("FAIRSEG_STEPS", "1")
    monkeypatch.setenv("FAIRSEG_EPOCHS", "1")
    monkeypatch.setenv("FAIRSEG_BEST", "mean")
    dataset.add_column("weight")
    monkeypatch.setenv("FAIRSEG_BY", "sex")
    trainer = dataset.trainer(getattr(trainers, name), **about_of(dataset, regions=True, ignore=ignore))
    trainer.run_training()
    logged = torch.load(Path(trainer.output_folder) / "checkpoint_final.pth", weights_only=False)["logging"]
    assert np.isfinite(logged["train_losses"]).all()
    assert len(logged["dice_per_class_or_region"][0]) == 2


def test_several_processes_need_gpus(dataset: Dataset, tmp_path: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        with pytest.raises(NotImplementedError, match="on GPUs alone, and torch finds none here; leave out"):
            dataset.trainer(trainers.nnUNetTrainerFairOversampling)
    finally:
        dist.destroy_process_group()
    assert not list((tmp_path / "results").iterdir())


def test_groups_csv_is_checked(dataset: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = dataset.table
    good = table.read_text()

    def refused(message: str) -> None:
        with pytest.raises(ValueError, match=message):
            started(dataset, "nnUNetTrainerFairGroupDRO")

    table.write_text(good.replace("f1_ED,f1,F\n", ""))  # a case to validate on
    refused(r"groups\.csv has no row for 1 case of 14: f1_ED")
    table.write_text(good.replace("_ED", "_01").replace("_ES", "_02"))
    refused(r"has no row for 14 cases of 14: f0_ED, .*the table has m0_01")
    table.write_text(good.replace(",F\n", ",M\n"))
    refused(r"groups\.csv: the training cases must be of at least two groups by sex, all 10 .* are of M")
    table.write_text(good)
    monkeypatch.setenv("FAIRSEG_BY", "ethnicity")
    refused(r"groups\.csv has no attribute 'ethnicity', it has sex")
    monkeypatch.delenv("FAIRSEG_BY")
    table.write_text("\n".join(f"{line},x" for line in good.replace("sex", "sex,site").splitlines()))
    table.write_text(table.read_text().replace("site,x", "site"))
    refused(r"has 2 attributes \(sex, site\): say which makes the groups, by the variable FAIRSEG_BY")
    elsewhere = table.rename(tmp_path / "elsewhere.csv")
    refused(r"Dataset901_Small/groups\.csv is not there: put the table of cases")
    monkeypatch.setenv("FAIRSEG_GROUPS", str(elsewhere))
    monkeypatch.setenv("FAIRSEG_BY", "sex")
    trainer = started(dataset, "nnUNetTrainerFairGroupDRO")
    assert str(trainer.case_groups) == "training cases by sex: F 2, M 8; unknown 1"
    changed = elsewhere.read_text().replace("f1_ED,f1,F", "f1_ED,f1,X")  # both are to validate on
    elsewhere.write_text(changed.replace("m4_ES,m4,M", "m4_ES,m4,"))
    trainer = started(dataset, "nnUNetTrainerFairGroupDRO")
    told = "training cases by sex: F 2, M 8; unknown 1; to validate on, and none to train on: X 1"
    assert str(trainer.case_groups) == told
    monkeypatch.delenv("FAIRSEG_GROUPS")
    monkeypatch.delenv("nnUNet_raw")
    refused("nnUNet_raw is not set; set it, or name the table by FAIRSEG_GROUPS")
    started(dataset, "nnUNetTrainerFairERM")  # needs no table


def test_numbers_are_cut_into_bins(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    ages = {"F": "70", "M": "40", "": ""}
    rows = (line.rsplit(",", 1) for line in dataset.table.read_text().splitlines()[1:])
    dataset.table.write_text("case,subject,age\n" + "".join(f"{case},{ages[sex]}\n" for case, sex in rows))
    monkeypatch.setenv("FAIRSEG_BINS", "age=50")
    assert started(dataset, "nnUNetTrainerFairGroupDRO").case_groups.groups.names == ("age<50", "age>=50")
    monkeypatch.setenv("FAIRSEG_BINS", "age=old")
    with pytest.raises(ValueError, match="FAIRSEG_BINS must be like"):
        dataset.trainer(trainers.nnUNetTrainerFairGroupDRO)


@pytest.mark.parametrize("configuration", list(PATCH))
def test_an_epoch_is_trained_as_nnunet_does_it(dataset: Dataset, configuration: str) -> None:
    trainer = dataset.trainer(trainers.nnUNetTrainerFairGroupDRO_Oversampling, configuration)
    trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = 2, 3, 1
    trainer.run_training()
    final = torch.load(Path(trainer.output_folder) / "checkpoint_final.pth", weights_only=False)
    assert final["trainer_name"] == "nnUNetTrainerFairGroupDRO_Oversampling"
    losses = final["logging"]["group_losses"]
    assert [set(entry) for entry in losses] == [{"F", "M"}] * 2
    assert all(0 < value < 10 for entry in losses for value in entry.values())
    log = next(Path(trainer.output_folder).glob("training_log_*.txt")).read_text()
    assert log.count("training loss by group: F ") == 2
