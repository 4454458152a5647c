"""Deep supervision: one objective of the weighted losses, one update of the weights a step."""

import pytest
import torch
from torch import Tensor

from fairseg.losses import (
    BalancedGroupLoss,
    CrossEntropyLoss,
    DeepSupervision,
    DiceCELoss,
    FairErrorBoundLoss,
    GroupDROLoss,
    WorstGroupLoss,
)

GROUPS = torch.tensor([0, 1, 1, -1, 2])
WEIGHTS = (4 / 7, 2 / 7, 1 / 7)


def scales(dims: int = 2) -> tuple[list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(0)
    sizes = [(16 >> level,) * dims for level in range(3)]
    outputs = [torch.randn(5, 3, *size, generator=generator, requires_grad=True) for size in sizes]
    return outputs, [torch.randint(0, 3, (5, *size), generator=generator) for size in sizes]


def test_a_linear_objective_is_the_weighted_sum_of_the_scales() -> None:
    outputs, targets = scales()
    for loss in (BalancedGroupLoss(3), FairErrorBoundLoss(3), BalancedGroupLoss(3, DiceCELoss(pool="group"))):
        expected = sum(
            weight * loss(output, target, GROUPS)
            for weight, output, target in zip(WEIGHTS, outputs, targets, strict=True)
        )
        torch.testing.assert_close(DeepSupervision(loss, WEIGHTS)(outputs, targets, GROUPS), expected)


def test_the_worst_group_is_the_worst_over_all_scales_together() -> None:
    outputs, targets = scales()
    each = sum(
        weight * CrossEntropyLoss()(output, target)
        for weight, output, target in zip(WEIGHTS, outputs, targets, strict=True)
    )
    assert isinstance(each, Tensor)
    means = torch.stack([each[group == GROUPS].mean() for group in range(3)])
    value = DeepSupervision(WorstGroupLoss(3), WEIGHTS)(outputs, targets, GROUPS)
    torch.testing.assert_close(value, means.max())


@pytest.mark.parametrize("dims", [2, 3])
def test_group_weights_move_once_a_step(dims: int) -> None:
    outputs, targets = scales(dims)
    once, deep = GroupDROLoss(3, step_size=0.5), GroupDROLoss(3, step_size=0.5)
    value = DeepSupervision(deep, (1.0, 0.0, 0.0))(outputs, targets, GROUPS)
    torch.testing.assert_close(value, once(outputs[0], targets[0], GROUPS))
    assert torch.equal(deep.group_weight, once.group_weight)
    DeepSupervision(deep, WEIGHTS)(outputs, targets, GROUPS)
    torch.testing.assert_close(deep.group_weight.sum(), torch.tensor(1.0, dtype=torch.float64))


def test_one_target_is_resized_by_nearest_neighbour() -> None:
    outputs, targets = scales()
    supervision = DeepSupervision(BalancedGroupLoss(3), WEIGHTS)
    full = targets[0]
    small = [full, full[:, 1::2, 1::2], full[:, 2::4, 2::4]]
    expected = supervision(outputs, small, GROUPS)
    torch.testing.assert_close(supervision(outputs, full, GROUPS), expected)
    torch.testing.assert_close(supervision(outputs, full.unsqueeze(1), GROUPS), expected)
    huge = torch.where(full == 0, 0, full) + 0
    torch.testing.assert_close(supervision(outputs, huge.to(torch.uint8), GROUPS), expected)


def test_outputs_of_weight_zero_are_not_looked_at() -> None:
    outputs, targets = scales()
    outputs[2] = torch.full_like(outputs[2], torch.nan)
    assert DeepSupervision(BalancedGroupLoss(3), (2 / 3, 1 / 3, 0.0))(outputs, targets, GROUPS).isfinite()


def test_its_state_is_that_of_the_loss() -> None:
    deep = DeepSupervision(GroupDROLoss(3), WEIGHTS)
    assert list(deep.state_dict()) == [f"loss.{name}" for name in deep.loss.state_dict()]
    assert "loss.group_weight" in deep.state_dict()


def test_bad_input_is_named() -> None:
    outputs, targets = scales()
    deep = DeepSupervision(BalancedGroupLoss(3), WEIGHTS)
    with pytest.raises(ValueError, match="as many as the weights, 3, got 2 and 3"):
        deep(outputs[:2], targets, GROUPS)
    with pytest.raises(ValueError, match="got 3 and 2"):
        deep(outputs, targets[:2], GROUPS)
    with pytest.raises(ValueError, match="outputs must be a list, one tensor a scale, got a tensor"):
        deep(outputs[0], targets[0], GROUPS)
    for weights in ((), (0.0, 0.0), (1.0, -1.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="weights must be 0 or more"):
            DeepSupervision(BalancedGroupLoss(3), weights)
    with pytest.raises(ValueError, match="loss must be a group loss, got CrossEntropyLoss"):
        DeepSupervision(CrossEntropyLoss(), WEIGHTS)  # type: ignore[arg-type]
