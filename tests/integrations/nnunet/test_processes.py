"""nnU-Net in two processes, as with `-num_gpus 2`: the weights and the network of one with the whole batch.

Real processes over gloo. What nnU-Net fixes to GPUs is set to the CPU: the device, and that of the network's
wrapper.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as trainer_module

from fairseg.integrations.nnunet import trainers
from tests.integrations.nnunet.conftest import NAME, Dataset, make_batch
from tests.ranks import run_ranks

pytestmark = pytest.mark.slow

CASES = ["m0_ED", "f0_ES", "m1_ES", "u0_ED", "f0_ED"]
OF_RANK = (slice(0, 3), slice(3, 5))  # the second has no man, and a case of unknown group
VALIDATED = ["m4_ED", "f1_ED", "m4_ES"]
EPOCHS, STEPS = 2, 2


class OnCPU(trainers.nnUNetTrainerFairGroupDRO):
    """The trainer on a CPU, also where nnU-Net would take the GPU of its rank."""

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device,
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.device, self.grad_scaler = torch.device("cpu"), None


def part_of(batch: dict[str, Any], places: slice) -> dict[str, Any]:
    targets = [target[places].clone() for target in batch["target"]]
    return {"data": batch["data"][places], "target": targets, "keys": batch["keys"][places]}


def train(trainer: Any, rank: int | None) -> dict[str, Any]:
    """Train by hand on the batches of a rank, or on the whole ones, and return what there is to compare."""
    torch.manual_seed(0)
    trainer.initialize()
    places = slice(None) if rank is None else OF_RANK[rank]
    some = slice(None) if rank is None else slice(0, 2) if rank == 0 else slice(2, 3)
    for epoch in range(EPOCHS):
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        batches = [part_of(make_batch(CASES, seed=10 * epoch + step), places) for step in range(STEPS)]
        trainer.on_train_epoch_end([trainer.train_step(batch) for batch in batches])
        trainer.on_validation_epoch_start()
        with torch.no_grad():
            trainer.on_validation_epoch_end([trainer.validation_step(part_of(make_batch(VALIDATED), some))])
        trainer.on_epoch_end()
    network = getattr(trainer.network, "module", trainer.network)
    logged = trainer.logger.local_logger.my_fantastic_logging
    return {
        "network": network.state_dict(),
        "weights": trainer.group_loss.group_weight,
        **{name: logged[name] for name in ("group_losses", "train_losses", "mean_fg_dice", "group_best")},
    }


def run_rank(folder: Path) -> None:
    """What each process does."""
    dist.init_process_group("gloo")
    trainers._check_processes = lambda: None
    trainer_module.DDP = lambda network, device_ids: DistributedDataParallel(network)
    place = folder / "preprocessed" / NAME
    plans, about = (json.loads((place / name).read_text()) for name in ("nnUNetPlans.json", "dataset.json"))
    plans["continue_training"] = False
    trainer = OnCPU(plans, "2d", 0, about, torch.device("cpu"))
    rank = dist.get_rank()
    torch.save(train(trainer, rank), folder / f"{rank}.pt")
    assert trainer.batch_size == 3
    dist.barrier()


def test_two_processes_are_one_with_the_whole_batch(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRSEG_BEST", "mean")
    ranks = run_ranks(run_rank, tmp_path)
    alone = train(dataset.trainer(OnCPU), None)
    for result in ranks:
        torch.testing.assert_close(result["weights"], alone["weights"], rtol=1e-5, atol=0)
        # With several processes nnU-Net gives the lowest output a weight of 1e-6 in place of 0.
        for name, value in alone["network"].items():
            torch.testing.assert_close(result["network"][name], value, rtol=1e-3, atol=1e-5)
        assert result["train_losses"] == pytest.approx(alone["train_losses"], rel=1e-4)
        assert result["mean_fg_dice"] == pytest.approx(alone["mean_fg_dice"], rel=0.02)
        for epoch in range(EPOCHS):
            assert result["group_losses"][epoch] == pytest.approx(alone["group_losses"][epoch], rel=1e-4)
            for name, dice in alone["group_best"][epoch]["dice"].items():
                assert result["group_best"][epoch]["dice"][name] == pytest.approx(dice, rel=0.02)
    assert alone["weights"][0] != 0.5
