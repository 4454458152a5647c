"""What each process of MONAI's test with two does, given a folder for its results."""

import os
from pathlib import Path

import torch
import torch.distributed as dist

from fairseg.integrations.monai import GroupDiceMetric

SIZES = (5, 3)  # samples of each rank


def make_masks() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return predictions, references, groups and subjects of all samples."""
    generator = torch.Generator().manual_seed(0)
    prediction, reference = (torch.randint(0, 3, (8, 1, 5, 5), generator=generator) for _ in range(2))
    return (
        prediction,
        reference,
        torch.tensor([0, 1, 1, -1, 0, 1, 0, 1]),
        torch.tensor([0, 1, 1, 2, 3, 4, 0, 1]),
    )


def make_metric() -> GroupDiceMetric:
    return GroupDiceMetric(2, [1, 2], samples="slices")


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    mine = slice(0, SIZES[0]) if rank == 0 else slice(SIZES[0], sum(SIZES))
    prediction, reference, groups, subjects = (part[mine] for part in make_masks())
    metric = make_metric()
    metric(prediction, reference, groups=groups, subjects=subjects)
    torch.save({"dice": metric.aggregate(), **metric.counts()}, folder / f"{os.environ['RANK']}.pt")
    dist.destroy_process_group()
