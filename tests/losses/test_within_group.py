"""CVaR within a group, against sorting in plain Python."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fairseg.losses import (
    BalancedGroupLoss,
    ChiSquareGroupLoss,
    CrossEntropyLoss,
    CVaRGroupLoss,
    DeepSupervision,
    DiceCELoss,
    FairErrorBoundLoss,
    GroupDROLoss,
    GroupLoss,
    ParetoMinimaxLoss,
    ReweightedLoss,
    VRExLoss,
    WorstGroupLoss,
)
from fairseg.losses.erm import ERMLoss
from fairseg.losses.testing import check_group_loss

LOSSES: dict[str, Callable[..., GroupLoss]] = {
    "dro": GroupDROLoss,
    "balanced": BalancedGroupLoss,
    "worst": WorstGroupLoss,
    "chi-square": ChiSquareGroupLoss,
    "v-rex": VRExLoss,
    "fair error bound": FairErrorBoundLoss,
    "reweighted": lambda n, **o: ReweightedLoss(range(1, n + 1), CrossEntropyLoss(), **o),
    "cvar": lambda n, alpha, **o: CVaRGroupLoss(n, alpha=0.6, within_alpha=alpha, **o),
    "pareto": lambda n, alpha, **o: ParetoMinimaxLoss(n, within_alpha=alpha, **o),
}


class Given(nn.Module):
    """A base whose losses are the logits themselves."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return logits


def cvar(losses: list[float], alpha: float) -> float:
    """Fill up from the worst until alpha * n samples are in."""
    left, total = alpha * len(losses), 0.0
    if left <= 1:
        return max(losses)
    for loss in sorted(losses, reverse=True):
        total += min(left, 1.0) * loss
        left = max(left - 1.0, 0.0)
    return total / (alpha * len(losses))


@given(
    st.lists(
        st.tuples(st.integers(-1, 2), st.sampled_from([0.0, 0.5, 1.0, 2.5, 7.0])), min_size=1, max_size=20
    ),
    st.floats(0.05, 1.0),
)
def test_a_groups_loss_is_the_mean_of_its_worst_samples(
    samples: list[tuple[int, float]], alpha: float
) -> None:
    loss = BalancedGroupLoss(3, Given(), within_group="cvar", alpha=alpha)
    groups, values = torch.tensor([g for g, _ in samples]), torch.tensor([v for _, v in samples]).double()
    loss(values.requires_grad_(), torch.zeros(0), groups)
    for group in range(3):
        mine = [value for g, value in samples if g == group]
        if mine:
            assert loss.group_loss[group].item() == pytest.approx(cvar(mine, alpha), rel=1e-5)
    assert loss.group_count.tolist() == [sum(g == group for g, _ in samples) for group in range(3)]


def test_by_hand_with_its_gradient() -> None:
    # Group 0 has 4 samples: at .375 one and a half of them count. Group 1 has one, which counts.
    values = torch.tensor([4.0, 1.0, 3.0, 2.0, 5.0], requires_grad=True)
    loss = BalancedGroupLoss(2, Given(), within_group="cvar", alpha=0.375)
    value = loss(values, torch.zeros(0), torch.tensor([0, 0, 0, 0, 1]))
    assert value.item() == pytest.approx(((4 + 0.5 * 3) / 1.5 + 5) / 2)
    (gradient,) = torch.autograd.grad(value, values)
    assert gradient.tolist() == pytest.approx([1 / 3, 0, 1 / 6, 0, 1 / 2])


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_every_group_loss_takes_it_and_keeps_its_promises(make: Any) -> None:
    check_group_loss(lambda number: make(number, within_group="cvar", alpha=0.4))


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_at_1_it_is_the_mean_and_near_0_the_worst(make: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 3, 4, generator=generator)
    target = torch.randint(0, 3, (9, 4), generator=generator)
    groups = torch.tensor([0, 1, 2] * 3)
    plain = (
        make(3, alpha=None)
        if make not in LOSSES.values() or make in (LOSSES["cvar"], LOSSES["pareto"])
        else make(3)
    )
    assert torch.equal(
        make(3, within_group="cvar", alpha=1.0)(logits, target, groups), plain(logits, target, groups)
    )
    if make is LOSSES["fair error bound"]:
        return  # its group_loss is a Dice
    loss = make(3, within_group="cvar", alpha=0.01)
    loss(logits, target, groups)
    each = CrossEntropyLoss()(logits, target)
    torch.testing.assert_close(
        loss.group_loss, torch.stack([each[groups == group].max() for group in range(3)])
    )


def test_of_one_group_it_is_the_cvar_of_the_batch() -> None:
    loss = ERMLoss(Given(), within_group="cvar", alpha=0.5)
    assert loss(torch.tensor([4.0, 1.0, 3.0, 2.0]), torch.zeros(0), torch.tensor([0, 1, -1, 1])).item() == 3.5


def test_alpha_of_the_groups_serves_within_them_where_nothing_else_is_said() -> None:
    groups = torch.tensor([0, 0, 1, 1])
    losses = torch.tensor([4.0, 0.0, 2.0, 0.0])
    both = CVaRGroupLoss(2, Given(), alpha=0.5, within_group="cvar")
    assert both(losses, torch.zeros(0), groups).item() == pytest.approx(4.0)
    one = CVaRGroupLoss(2, Given(), alpha=0.5, within_group="cvar", within_alpha=1.0)
    assert one(losses, torch.zeros(0), groups).item() == pytest.approx(2.0)


def test_a_sample_is_as_bad_as_all_its_scales_together() -> None:
    outputs = [torch.tensor([4.0, 0.0, 1.0, 0.0]), torch.tensor([0.0, 5.0, 0.0, 1.0])]
    loss = BalancedGroupLoss(1, Given(), within_group="cvar", alpha=0.25)
    value = DeepSupervision(loss, (0.5, 0.5))(
        outputs, [torch.zeros(4), torch.zeros(4)], torch.zeros(4).long()
    )
    assert value.item() == pytest.approx(2.5)


def test_a_nan_is_said_to_be_in_its_group() -> None:
    loss = BalancedGroupLoss(2, Given(), within_group="cvar", alpha=0.3)
    with pytest.raises(ValueError, match="the loss of group 1 is nan"):
        loss(torch.tensor([1.0, math.nan, 2.0]), torch.zeros(0), torch.tensor([0, 1, 1]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"within_group": "cvar"}, "needs alpha above 0 and at most 1, got None"),
        ({"within_group": "cvar", "alpha": 0.0}, "needs alpha"),
        ({"within_group": "cvar", "alpha": 1.5}, "needs alpha"),
        ({"within_group": "median"}, 'within_group must be "mean" or "cvar"'),
        ({"alpha": 0.5}, 'alpha is the share of within_group="cvar"'),
        ({"within_group": "cvar", "alpha": 0.5, "base": DiceCELoss(pool="group")}, "got a pooled one"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GroupDROLoss(2, **options)
