"""Under torch.func a loss is a pure function: the gradients are those of autograd, and nothing is written."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fairseg.losses import (
    BalancedGroupLoss,
    ChiSquareGroupLoss,
    CrossEntropyLoss,
    CVaRGroupLoss,
    DiceCELoss,
    FairErrorBoundLoss,
    GroupDROLoss,
    GroupLoss,
    ParetoMinimaxLoss,
    ReweightedLoss,
    VRExLoss,
    WorstGroupLoss,
)

LOSSES: dict[str, Callable[[], GroupLoss]] = {
    "dro": lambda: GroupDROLoss(3, step_size=0.5),
    "dro freeze": lambda: GroupDROLoss(3, step_size=0.5, absent="freeze"),
    "dro dice": lambda: GroupDROLoss(3, DiceCELoss(pool="group"), step_size=0.5),
    "dro ignoring": lambda: GroupDROLoss(3, CrossEntropyLoss(2), step_size=0.5),
    "dro cvar": lambda: GroupDROLoss(3, within_group="cvar", alpha=0.4),
    "reweighted": lambda: ReweightedLoss([1, 2, 3]),
    "balanced": lambda: BalancedGroupLoss(3),
    "worst": lambda: WorstGroupLoss(3),
    "cvar": lambda: CVaRGroupLoss(3, alpha=0.4),
    "chi-square": lambda: ChiSquareGroupLoss(3, radius=0.3),
    "v-rex": lambda: VRExLoss(3),
    "pareto": lambda: ParetoMinimaxLoss(3),
    "fair error bound": lambda: FairErrorBoundLoss(3),
    "foreign base": lambda: BalancedGroupLoss(3, torch.nn.CrossEntropyLoss(reduction="none")),
}
GROUPS = torch.tensor([0, 2, 0, -1, 2, 0])


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 3, 4, 5, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 3, (6, 4, 5), generator=generator)


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_grad_and_jvp_are_those_of_autograd_and_leave_no_trace(make: Any) -> None:
    logits, target = batch()
    loss, plain = make(), make()
    before = {name: buffer.clone() for name, buffer in loss.named_buffers()}
    gradient = torch.func.grad(lambda x: loss(x, target, GROUPS))(logits)
    leaf = logits.clone().requires_grad_()
    value = plain(leaf, target, GROUPS)
    (expected,) = torch.autograd.grad(value, leaf)
    torch.testing.assert_close(gradient, expected)
    tangent = torch.ones_like(logits).tril()
    primal, directional = torch.func.jvp(lambda x: loss(x, target, GROUPS), (logits,), (tangent,))
    torch.testing.assert_close(primal, value.detach())
    torch.testing.assert_close(directional, (expected * tangent).sum())
    for name, buffer in loss.named_buffers():
        assert torch.equal(buffer.nan_to_num(7), before[name].nan_to_num(7)), name
    loss(logits.requires_grad_(), target, GROUPS)  # and then it goes on as it would have
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(dict(loss.named_buffers())[name], buffer, equal_nan=True)


def test_a_gradient_for_each_of_several_batches_at_once() -> None:
    logits, target = batch()
    loss = BalancedGroupLoss(3)
    stacked = torch.stack([logits, 2 * logits])
    gradients = torch.func.vmap(torch.func.grad(lambda x: loss(x, target, GROUPS)))(stacked)
    for each, gradient in zip(stacked, gradients, strict=True):
        torch.testing.assert_close(torch.func.grad(lambda x: loss(x, target, GROUPS))(each), gradient)


def test_groups_may_be_an_argument_too() -> None:
    logits, target = batch()
    loss = GroupDROLoss(3)
    gradient, value = torch.func.grad_and_value(loss)(logits, target, GROUPS)
    leaf = logits.clone().requires_grad_()
    expected = GroupDROLoss(3)(leaf, target, GROUPS)
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0])
