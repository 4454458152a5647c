"""Real processes with uneven batches give what one process with all samples gives."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fairseg.losses import (
    AttributeHead,
    ChiSquareGroupLoss,
    CrossEntropyLoss,
    CVaRGroupLoss,
    DiceCELoss,
    FairErrorBoundLoss,
    GroupDROLoss,
    GroupLoss,
    HookedFeatures,
    LossWithAttributeHead,
    ReweightedLoss,
    VRExLoss,
    WorstGroupLoss,
)
from fairseg.samplers import GroupBatchSampler
from tests.ranks import run_ranks

pytestmark = pytest.mark.slow

# Ranks' batches differ in size; rank 0 lacks group 2, the last rank knows no group at all.
GROUPS = {
    2: [[0, 0, 1, 0, 1], [2, -1, 0]],
    4: [[0, 0, 1, 0, 1], [2, -1, 0], [1], [-1, -1]],
}
STEPS = 3


def make_losses() -> dict[str, GroupLoss]:
    return {
        "dro": GroupDROLoss(3, step_size=0.5),
        "dro freeze": GroupDROLoss(3, step_size=0.5, absent="freeze"),
        "dro cvar": GroupDROLoss(3, step_size=0.5, within_group="cvar", alpha=0.4),
        "dro ignoring": GroupDROLoss(3, CrossEntropyLoss(ignore_index=0), step_size=0.5),
        "dro dice": GroupDROLoss(3, DiceCELoss(pool="group"), step_size=0.5),
        "reweighted": ReweightedLoss([5, 3, 1]),
        "worst": WorstGroupLoss(3),
        "cvar": CVaRGroupLoss(3, alpha=0.6),
        "chi-square": ChiSquareGroupLoss(3, radius=0.5),
        "v-rex": VRExLoss(3),
        "fair error bound": FairErrorBoundLoss(3),
    }


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1)).double()


def samples(world: int, step: int) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return images, targets and groups of each rank."""
    generator = torch.Generator().manual_seed(step)
    sizes = [len(groups) for groups in GROUPS[world]]
    images = [torch.randn(size, 1, 6, 6, generator=generator, dtype=torch.float64) for size in sizes]
    targets = [torch.randint(0, 3, (size, 6, 6), generator=generator) for size in sizes]
    targets[0][0] = 0  # nothing but pixels that one of the losses ignores
    groups = [torch.tensor(ids).roll(step) for ids in GROUPS[world]]
    return images, targets, groups


def make_head() -> AttributeHead:
    torch.manual_seed(1)
    return AttributeHead(3, 4, reverse=True, warm_up=2, hidden=5, group_counts=[5, 3, 1]).double()


def train_with_head(
    model: nn.Module, head: nn.Module, batches: list[tuple[Tensor, Tensor, Tensor]]
) -> dict[str, Tensor]:
    with HookedFeatures(model, "1") as features:
        loss = LossWithAttributeHead(GroupDROLoss(3, step_size=0.5), head, features, weight=2.0)
        parts = nn.ModuleDict({"model": model, "head": head})
        seen = {}
        for step, (images, targets, groups) in enumerate(batches):
            parts.zero_grad()
            loss(model(images), targets, groups).backward()
            for name, parameter in parts.named_parameters():
                assert parameter.grad is not None
                seen[f"{name.replace('.module', '')} {step}"] = parameter.grad.clone()
    return seen


def train(
    model: nn.Module, loss: GroupLoss, batches: list[tuple[Tensor, Tensor, Tensor]]
) -> dict[str, Tensor]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = {}
    for step, (images, targets, groups) in enumerate(batches):
        optimizer.zero_grad()
        value = loss(model(images), targets, groups)
        value.backward()
        seen[f"value {step}"] = value.detach()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            seen[f"{name.removeprefix('module.')} {step}"] = parameter.grad.clone()
        optimizer.step()
        seen[f"weights {step}"] = loss.group_weight.clone()
        seen[f"counts {step}"] = loss.group_count.double().clone()
    return seen


def run_rank(folder: Path) -> None:
    """What each process does."""
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    batches = [tuple(part[rank] for part in samples(world, step)) for step in range(STEPS)]
    results = {
        name: train(DistributedDataParallel(make_model()), loss, batches)  # type: ignore[arg-type]
        for name, loss in make_losses().items()
    }
    results["attribute head"] = train_with_head(
        DistributedDataParallel(make_model()),
        DistributedDataParallel(make_head()),
        batches,  # type: ignore[arg-type]
    )
    sampler = GroupBatchSampler([0] * 40 + [1] * 8, 4)
    torch.save({"results": results, "drawn": list(sampler)}, folder / f"{rank}.pt")
    # A rank may be alone with its validation data: nobody is waited for.
    images, targets, groups = batches[0]
    if rank == 0:
        loss = GroupDROLoss(3).eval()
        assert loss(make_model()(images), targets, groups).isfinite()
        assert loss.group_count.sum() == 5
        with torch.no_grad():
            assert loss.train()(make_model()(images), targets, groups).isfinite()
        assert loss.group_count.sum() == 5
    # The ranks of one process group sum among themselves; a rank may have no sample at all.
    halves = [dist.new_group(list(range(first, first + 2))) for first in range(0, world, 2)]
    loss = GroupDROLoss(3, process_group=halves[rank // 2])
    few = slice(0, 0) if rank % 2 else slice(None)
    loss(make_model()(images[few]), targets[few], groups[few])
    known = [sum(g >= 0 for g in GROUPS[world][first]) for first in range(0, world, 2)]
    assert loss.group_count.sum() == known[rank // 2], (loss.group_count, known)
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_together_are_one_process_with_all_samples(world: int, tmp_path: Path) -> None:
    ranks = run_ranks(run_rank, tmp_path, world=world)
    batches = [tuple(torch.cat(part) for part in samples(world, step)) for step in range(STEPS)]
    alone = {name: train(make_model(), loss, batches) for name, loss in make_losses().items()}  # type: ignore[arg-type]
    alone["attribute head"] = train_with_head(make_model(), make_head(), batches)  # type: ignore[arg-type]
    for name, expected in alone.items():
        for rank, saved in enumerate(ranks):
            for key, value in expected.items():
                where = f"{name}, {key}, rank {rank}"
                assert torch.allclose(saved["results"][name][key], value, rtol=1e-6, atol=1e-9), where
    first = 16 // (4 * world)  # batches until 16 are drawn
    flat = [index for saved in ranks for batch in saved["drawn"][:first] for index in batch]
    assert len(flat) == len(set(flat)) == 16  # the sampler found its rank by itself; no draw is shared
