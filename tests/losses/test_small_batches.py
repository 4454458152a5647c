"""Group DRO on toys with a known minimax, where batches lack groups: its worst group must come down to it.

One free vector of two logits serves every group, and the last group has the other class, so the minimax is
log 2 = 0.693 whatever the number of groups, the batch size and the shares of the groups.
"""

import math

import numpy as np
import pytest
import torch

from fairseg.losses import GroupDROLoss
from fairseg.samplers import GroupBatchSampler


def train(
    counts: list[int],
    batch_size: int,
    *,
    balance: float = 1.0,
    step_size: float = 0.05,
    steps: int = 3000,
    seed: int = 0,
    absent: str = "recent",
) -> tuple[float, float]:
    """Return the worst group's loss of the last iterate, and of the average of the second half."""
    ids = np.repeat(np.arange(len(counts)), counts)
    target = torch.zeros(len(counts), dtype=torch.long)
    target[-1] = 1
    logits, mean = torch.zeros(2, requires_grad=True), torch.zeros(2)
    loss = GroupDROLoss(len(counts), step_size=step_size, absent=absent)  # type: ignore[arg-type]
    sampler = GroupBatchSampler(ids, batch_size, balance=balance, num_batches=steps, seed=seed)
    for step, batch in enumerate(sampler):
        groups = torch.from_numpy(ids[batch])
        value = loss(logits.expand(batch_size, 2), target[groups], groups)
        (gradient,) = torch.autograd.grad(value, logits)
        logits = (logits - 0.05 * gradient).detach().requires_grad_()
        if step >= steps // 2:
            mean += logits.detach() / (steps - steps // 2)
    return worst(logits.detach()), worst(mean)


def worst(logits: torch.Tensor) -> float:
    """The last group has one class, all others the other."""
    return float(-logits.log_softmax(0).min())


@pytest.mark.parametrize(
    ("num_groups", "batch_size"), [(6, 2), (8, 2), (8, 4), (12, 4), (4, 1), (3, 1), (5, 2), (7, 3), (12, 2)]
)
def test_balanced_batches_smaller_than_the_number_of_groups(num_groups: int, batch_size: int) -> None:
    last, mean = train([50] * num_groups, batch_size)
    assert last < 0.705
    assert mean < 0.70


def test_to_freeze_absent_groups_leaves_batches_of_one_as_good_as_untrained() -> None:
    last, _ = train([50] * 4, 1, absent="freeze", steps=1500)
    assert last > 1.2  # three groups against one, as without any weights


@pytest.mark.parametrize(("counts", "batch_size"), [([90, 9, 1], 4), ([996, 4], 12)], ids=str)
def test_natural_batches_in_which_a_group_is_rare(counts: list[int], batch_size: int) -> None:
    _, mean = train(counts, batch_size, balance=0.0)
    assert mean / math.log(2) < 1.3  # it is above 3 where the loss of absent groups is taken for 0


def test_shares_that_forbid_two_groups_to_meet() -> None:
    """2 : 1 : 1 in batches of two: the small groups are never in one batch, and are compared all the same."""
    last, _ = train([20, 10, 10], 2, balance=0.0, steps=2000)
    assert last < 0.72


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("step_size", [0.01, 0.05])
def test_regression_on_groups_with_other_targets(noise: float, step_size: float) -> None:
    """One number is fitted to targets around 0, 1, 2; the worst squared error is least at 1: 1 + noise^2."""
    ids, centres = np.repeat(np.arange(3), [90, 9, 1]), torch.tensor([0.0, 1.0, 2.0])
    drawn = torch.Generator().manual_seed(0)
    loss = GroupDROLoss(
        3, lambda value, target: (value[:, 0] - target) ** 2, step_size=step_size, check=False
    )
    value, mean = torch.zeros(1, requires_grad=True), torch.zeros(1)
    steps = 3000
    for step, batch in enumerate(GroupBatchSampler(ids, 4, balance=0.0, num_batches=steps)):
        groups = torch.from_numpy(ids[batch])
        target = centres[groups] + noise * torch.randn(len(groups), generator=drawn)
        (gradient,) = torch.autograd.grad(loss(value.expand(len(groups), 1), target, groups), value)
        value = (value - 0.05 * gradient).detach().requires_grad_()
        if step >= steps // 2:
            mean += value.detach() / (steps - steps // 2)
    least = 1 + noise**2
    assert ((mean - centres) ** 2 + noise**2).max() / least < 1.25  # 1.8 where absent groups' weights freeze
