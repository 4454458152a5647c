"""GroupDROLoss beside what others wrote: Sagawa's Algorithm 1 to the letter, and their mini-batch code.

The oracles are written out here from the paper and the authors' `LossComputer`; WILDS' update, which is the
same without adjustment, is in test_group_dro.py.
"""

import math
import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fairseg.losses import GroupDROLoss

COUNTS = [400, 100, 25, 4]


class Given(nn.Module):
    """A base whose losses are the logits themselves."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return logits


class MiniBatchCode:
    """The authors' `compute_robust_loss`, with a loss of 0 for absent groups."""

    def __init__(self, step_size: float, adjustment: float, normalize: bool) -> None:
        self.step_size, self.normalize = step_size, normalize
        self.adj = torch.full((4,), adjustment, dtype=torch.float64)
        self.adv_probs = torch.ones(4, dtype=torch.float64) / 4
        self.group_counts = torch.tensor(COUNTS, dtype=torch.float64)

    def robust_loss(self, losses: Tensor, group_idx: Tensor) -> Tensor:
        group_map = (group_idx == torch.arange(4).unsqueeze(1)).to(losses.dtype)
        group_count = group_map.sum(1)
        group_denom = group_count + (group_count == 0).to(losses.dtype)
        group_loss = (group_map @ losses.view(-1)) / group_denom
        adjusted_loss = group_loss
        if torch.all(self.adj > 0):
            adjusted_loss = adjusted_loss + self.adj / torch.sqrt(self.group_counts)
        if self.normalize:
            adjusted_loss = adjusted_loss / adjusted_loss.sum()
        self.adv_probs = self.adv_probs * torch.exp(self.step_size * adjusted_loss.data)
        self.adv_probs = self.adv_probs / self.adv_probs.sum()
        return group_loss @ self.adv_probs


@pytest.mark.parametrize(
    ("step_size", "adjustment", "normalize"),
    [(0.01, 0.0, False), (0.2, 0.0, False), (0.1, 3.0, False), (0.1, 0.0, True), (0.1, 2.0, True)],
)
def test_two_hundred_steps_train_a_network_as_the_mini_batch_code_does(
    step_size: float, adjustment: float, normalize: bool
) -> None:
    """Every group in every batch, shares that vary: same values, weights and parameters after 200 steps."""
    options: dict[str, Any] = {"adjustment": adjustment, "group_counts": COUNTS} if adjustment else {}
    actual = GroupDROLoss(4, step_size=step_size, normalize_loss=normalize, **options)
    theirs = MiniBatchCode(step_size, adjustment, normalize)
    torch.manual_seed(0)
    one = nn.Linear(5, 3, dtype=torch.float64)
    two = nn.Linear(5, 3, dtype=torch.float64)
    two.load_state_dict(one.state_dict())
    for step in range(200):
        generator = torch.Generator().manual_seed(step)
        inputs = torch.randn(10, 5, generator=generator, dtype=torch.float64)
        target = torch.randint(0, 3, (10,), generator=generator)
        groups = torch.cat([torch.arange(4), torch.randint(0, 4, (6,), generator=generator)])
        value = actual(one(inputs), target, groups)
        each = nn.functional.cross_entropy(two(inputs), target, reduction="none")
        expected = theirs.robust_loss(each, groups)
        torch.testing.assert_close(value, expected, rtol=1e-11, atol=0)
        for network, loss in ((one, value), (two, expected)):
            for parameter, gradient in zip(
                network.parameters(), torch.autograd.grad(loss, list(network.parameters())), strict=True
            ):
                parameter.data -= 0.1 * gradient
    torch.testing.assert_close(actual.group_weight, theirs.adv_probs, rtol=1e-9, atol=0)
    torch.testing.assert_close(one.weight, two.weight, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("step_size", [0.01, 0.02, 0.05])
@pytest.mark.parametrize("losses", [[1.0, 1.5, 0.5, 2.0], [0.2, 0.25, 0.3, 0.1]], ids=["apart", "alike"])
def test_one_group_a_step_goes_as_algorithm_1_to_the_letter(step_size: float, losses: list[float]) -> None:
    """A group is drawn, its weight grows by exp(step size * loss), and all are divided by their sum.

    Ours lets absent groups go with the mean, which cancels over a round of all groups but for the order in
    it. So after rounds the weights are the same within a hundredth; the rule that freezes stays at 1/4.
    """
    draws, q = random.Random(0), [0.25] * 4
    rounds = [group for _ in range(50) for group in draws.sample(range(4), 4)]
    recent, frozen = (
        GroupDROLoss(4, Given(), step_size=step_size, absent=rule)  # type: ignore[arg-type]
        for rule in ("recent", "freeze")
    )
    for group in rounds:
        q[group] *= math.exp(step_size * losses[group])
        q = [weight / sum(q) for weight in q]
        for loss in (recent, frozen):
            loss(torch.tensor([losses[group]], requires_grad=True), torch.zeros(0), torch.tensor([group]))
    assert recent.group_weight.tolist() == pytest.approx(q, abs=0.01)
    assert frozen.group_weight.tolist() == pytest.approx([0.25] * 4)
    assert max(q) - min(q) > 0.02
