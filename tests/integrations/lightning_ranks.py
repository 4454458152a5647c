"""What each process of the test with two does; started by torchrun with a folder for its results."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from fairseg.integrations.lightning import KeepGroupSampler, LogGroupMetrics
from fairseg.samplers import GroupBatchSampler, GroupWeightedSampler
from tests.integrations.test_lightning import GROUPS, NAMES, Segmenter, make_data, make_trainer


class OfRank(Segmenter):
    """Validates on its own part of the data, none of it twice; the parts differ in size."""

    def val_dataloader(self) -> Any:
        mine = range(self.trainer.global_rank, 30, self.trainer.world_size)
        return DataLoader(Subset(make_data(1), mine), batch_size=8 if self.trainer.global_rank else 3)


def fit(folder: Path, loader: Callable[[], Any] | None, distributed_sampler: bool) -> Any:
    log, model = LogGroupMetrics(NAMES, [1]), OfRank()
    trainer = make_trainer(
        folder,
        KeepGroupSampler(),
        log,
        max_epochs=2,
        devices=2,
        strategy="ddp",
        use_distributed_sampler=distributed_sampler,
    )
    if loader is not None:
        model.train_dataloader = loader
    trainer.fit(model)
    return model


def main(folder: Path) -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    data, groups = make_data(), GROUPS
    early = DataLoader(data, batch_sampler=GroupBatchSampler(groups, 3))
    attempts: dict[str, tuple[Callable[[], Any] | None, bool]] = {
        "made too early": (lambda: early, False),
        "batch sampler, Lightning's default": (None, True),
        "sampler, Lightning's default": (
            lambda: DataLoader(data, batch_size=3, sampler=GroupWeightedSampler(groups, 30)),
            True,
        ),
        "not dealt": (
            lambda: DataLoader(data, batch_sampler=GroupBatchSampler(groups, 3, num_replicas=1, rank=0)),
            False,
        ),
    }
    errors = {}
    for name, (loader, distributed_sampler) in attempts.items():
        try:
            fit(folder, loader, distributed_sampler)
        except (TypeError, ValueError) as error:
            errors[name] = str(error)
    model = fit(folder, None, False)
    results = {
        "errors": errors,
        "seen": model.seen,
        "weight": model.loss.group_weight,
        "logged": {name: float(value) for name, value in model.trainer.callback_metrics.items()},
    }
    results["logged"] = {
        name: value for name, value in results["logged"].items() if value == value and name != "steps"
    }
    torch.save(results, folder / f"{os.environ['RANK']}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
