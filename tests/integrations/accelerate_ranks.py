"""What each process of the test of accelerate does, given a folder for its results."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DataLoaderConfiguration
from torch.utils.data import DataLoader, TensorDataset

from fairseg.integrations.loaders import check_loader
from fairseg.losses import GroupDROLoss
from fairseg.samplers import GroupBatchSampler, GroupWeightedSampler

GROUPS = np.repeat([0, 1, 2], [24, 9, 3])
BATCH = 6


def make_data() -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(len(GROUPS), 1, 4, 4, generator=generator)
    return TensorDataset(
        images, (images[:, 0] > 0).long(), torch.from_numpy(GROUPS), torch.arange(len(GROUPS))
    )


def make_loader(**options: Any) -> Any:
    return DataLoader(make_data(), batch_sampler=GroupBatchSampler(GROUPS, BATCH, **options))


def make_weighted(draws: int) -> Any:
    sampler = GroupWeightedSampler(GROUPS, draws, num_replicas=1, rank=0)
    return DataLoader(make_data(), batch_size=BATCH, sampler=sampler)


def make_model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Conv2d(1, 2, 3, padding=1)


def accelerator_of(**options: Any) -> Accelerator:
    return Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(**options))


def seen(loader: Any) -> list[list[int]]:
    return [batch[3].tolist() for batch in loader]


def error_of(make: Callable[[], Any]) -> str:
    try:
        check_loader(make())
    except ValueError as error:
        return str(error)
    return "none"


def counted(loader: Any) -> tuple[int, str]:
    """Return how many batches come on this process, and what check_loader says of that."""
    error = error_of(lambda: loader)
    return len(seen(loader)), error


def train(accelerator: Accelerator, loader: Any) -> dict[str, Any]:
    loss = GroupDROLoss(3, step_size=0.1)
    model = make_model()
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.5))
    for image, mask, group, _ in loader:
        optimizer.zero_grad()
        accelerator.backward(loss(model(image), mask, group))
        optimizer.step()
    return {"weight": loss.group_weight, "kernel": next(model.parameters()).detach()}


def main(folder: Path) -> None:
    early = make_loader()  # before there are processes to ask for
    plain = accelerator_of()
    results: dict[str, Any] = {"drawn": {}, "errors": {}}
    for name, options in {
        "dealt": {},
        "split": {"split_batches": True},
        "dispatched": {"dispatch_batches": True},
        "dispatched and split": {"dispatch_batches": True, "split_batches": True},
    }.items():
        loader = accelerator_of(**options).prepare(make_loader(num_replicas=1, rank=0))
        check_loader(loader)
        results["drawn"][name] = [seen(loader) for _ in range(2)]
    loader = plain.prepare(make_weighted(36))
    check_loader(loader)
    results["drawn"]["weighted"] = [seen(loader)]
    results["errors"] = {
        "made with its ranks": error_of(lambda: plain.prepare(make_loader())),
        "made too early": error_of(lambda: plain.prepare(early)),
        "not prepared": error_of(lambda: make_loader(num_replicas=1, rank=0)),
        "right without accelerate": error_of(make_loader),
    }
    uneven = accelerator_of(even_batches=False)
    split = accelerator_of(even_batches=False, split_batches=True)
    results["uneven"] = {
        number: counted(uneven.prepare(make_loader(num_replicas=1, rank=0, num_batches=number)))
        for number in (4, 5)
    }
    results["uneven"] |= {
        f"split {number}": counted(split.prepare(make_weighted(number))) for number in (24, 27, 28)
    }
    # Training, and a restart after the first batch of the second epoch.
    results["trained"] = train(plain, plain.prepare(make_loader(num_replicas=1, rank=0)))
    loader = plain.prepare(make_loader(num_replicas=1, rank=0))
    check_loader(loader).set_epoch(1)
    results["rest"] = seen(plain.skip_first_batches(loader, 1))
    stateful = accelerator_of(use_stateful_dataloader=True)
    loader = stateful.prepare(make_loader(num_replicas=1, rank=0))
    check_loader(loader).set_epoch(1)
    stream = iter(loader)
    next(stream)
    state = loader.state_dict()
    stream.close()
    loader = stateful.prepare(make_loader(num_replicas=1, rank=0))
    check_loader(loader).set_epoch(1)
    loader.load_state_dict(state)
    results["rest of stateful"] = seen(loader)
    torch.save(results, folder / f"{os.environ['RANK']}.pt")
