"""A sample with nothing but ignored pixels has no loss: values and gradients are those of the rest."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from monai.losses import DiceLoss, FocalLoss
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
    SoftDiceLoss,
    VRExLoss,
    WorstGroupLoss,
)
from fairseg.losses.erm import ERMLoss

IGNORED = 255
OBJECTIVES: dict[str, Callable[[Any], GroupLoss]] = {
    "dro": lambda base: GroupDROLoss(2, base, step_size=0.5),
    "dro freeze": lambda base: GroupDROLoss(2, base, step_size=0.5, absent="freeze"),
    "balanced": lambda base: BalancedGroupLoss(2, base),
    "reweighted": lambda base: ReweightedLoss([3, 1], base),
    "worst": lambda base: WorstGroupLoss(2, base),
    "cvar": lambda base: CVaRGroupLoss(2, base, alpha=0.7),
    "chi-square": lambda base: ChiSquareGroupLoss(2, base, radius=0.3),
    "v-rex": lambda base: VRExLoss(2, base),
    "pareto": lambda base: ParetoMinimaxLoss(2, base),
    "fair error bound": lambda base: FairErrorBoundLoss(2, base),
    "erm": ERMLoss,
}
MONAI = {"softmax": True, "to_onehot_y": True, "reduction": "none", "ignore_index": IGNORED}
BASES = {
    "ce": CrossEntropyLoss(IGNORED),
    "ce weighted": CrossEntropyLoss(IGNORED, [1.0, 2.0, 3.0], 0.1),
    "dice": SoftDiceLoss(ignore_index=IGNORED),
    "dice ce": DiceCELoss(ignore_index=IGNORED),
    "pooled": DiceCELoss(ignore_index=IGNORED, pool="group"),
    "torch": nn.CrossEntropyLoss(reduction="none", ignore_index=IGNORED),
    "monai dice": DiceLoss(**MONAI),
    "monai focal": FocalLoss(to_onehot_y=True, use_softmax=True, reduction="none", ignore_index=IGNORED),
}


def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Three of the four samples of group 1 have no annotation, and another sample has half of one."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(8, 3, 6, 5, generator=generator)
    target = torch.randint(0, 3, (8, 6, 5), generator=generator)
    target[[1, 3, 5]] = IGNORED
    target[0, :3] = IGNORED
    return logits, target, torch.tensor([0, 1, 0, 1, 0, 1, 0, 1])


def run(
    loss: GroupLoss, base: nn.Module, logits: Tensor, target: Tensor, groups: Tensor
) -> tuple[Tensor, ...]:
    logits = logits.clone().requires_grad_()
    shaped = target.unsqueeze(1) if type(base).__module__.startswith("monai") else target
    for _ in range(3):
        value = loss(logits, shaped, groups)
    (gradient,) = torch.autograd.grad(value, logits)
    return value, gradient, loss.group_loss.clone(), loss.group_count.clone(), loss.group_weight.clone()


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
@pytest.mark.parametrize("make", OBJECTIVES.values(), ids=OBJECTIVES)
def test_every_objective_and_base_gives_what_the_batch_without_them_gives(
    make: Callable[[Any], GroupLoss], base: nn.Module
) -> None:
    if isinstance(make(base), FairErrorBoundLoss) and type(base).__module__.startswith("monai"):
        pytest.skip("needs targets (B, *S) for its own Dice and (B, 1, *S) for MONAI's")
    logits, target, groups = batch()
    annotated = torch.tensor([0, 2, 4, 6, 7])
    whole = run(make(base), base, logits, target, groups)
    rest = run(make(base), base, logits[annotated], target[annotated], groups[annotated])
    torch.testing.assert_close(whole[0], rest[0])
    torch.testing.assert_close(whole[1][annotated], rest[1])
    assert (whole[1][[1, 3, 5]] == 0).all()
    for actual, expected in zip(whole[2:], rest[2:], strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("name", [name for name in BASES if name != "pooled"])
def test_the_pixels_of_a_sample_that_count_are_averaged_alone(name: str) -> None:
    """Half of the pixels ignored: the value is that of the other half, whoever wrote the base."""
    logits, target, _ = batch()
    base, half = BASES[name], logits[:1, :, 3:]
    monai = type(base).__module__.startswith("monai")
    values = [
        BalancedGroupLoss(1, base)(x, y.unsqueeze(1) if monai else y, torch.tensor([0]))
        for x, y in ((logits[:1], target[:1]), (half, target[:1, 3:]))
    ]
    torch.testing.assert_close(*values)


def test_one_hot_targets_of_monai_are_read_too() -> None:
    logits, target, groups = batch()
    onehot = nn.functional.one_hot(torch.where(target == IGNORED, 3, target), 4).movedim(-1, 1)[:, :3]
    base = DiceLoss(softmax=True, reduction="none", ignore_index=IGNORED)
    loss = BalancedGroupLoss(2, base)
    loss(logits, onehot, groups)
    assert loss.group_count.tolist() == [4, 1]
    channel = DiceLoss(softmax=True, reduction="none", ignore_index=0)
    loss = BalancedGroupLoss(2, channel)
    onehot = nn.functional.one_hot(torch.where(target == IGNORED, 0, target), 3).movedim(-1, 1)
    loss(logits, onehot, groups)
    assert loss.group_count.tolist() == [4, 1]


def test_group_dro_does_not_turn_away_from_a_group_without_annotations() -> None:
    """With 3 of 4 samples unannotated, a group that is served as badly as the other keeps its weight."""
    target = torch.zeros(8, 4, dtype=torch.long)
    target[[1, 3, 5]] = IGNORED
    logits = torch.zeros(8, 3, 4, requires_grad=True)
    loss = GroupDROLoss(2, CrossEntropyLoss(IGNORED), step_size=1.0)
    loss(logits, target, torch.tensor([0, 1] * 4))
    torch.testing.assert_close(loss.group_loss, torch.full((2,), 3.0).log())  # 1.10; it was .27 for group 1
    assert loss.group_weight.tolist() == [0.5, 0.5]


def test_a_batch_of_ignored_pixels_only_gives_0_with_a_gradient_of_0() -> None:
    logits, target, groups = batch()
    for make in OBJECTIVES.values():
        value, gradient, *_ = run(
            make(CrossEntropyLoss(IGNORED)), nn.Identity(), logits, target * 0 + IGNORED, groups
        )
        assert value == 0
        assert (gradient == 0).all()


@pytest.mark.parametrize("pool", ["sample", "group"])
def test_a_sample_without_annotation_at_a_low_resolution_counts_with_the_others(pool: Any) -> None:
    """Of one group each: at the scale that lacks sample 1, its loss is that of the other scale."""
    generator = torch.Generator().manual_seed(0)
    outputs = [torch.randn(2, 3, size, generator=generator) for size in (8, 4)]
    targets = [torch.randint(0, 3, (2, size), generator=generator) for size in (8, 4)]
    targets[1][1] = IGNORED
    base = DiceCELoss(ignore_index=IGNORED, pool=pool)
    loss = BalancedGroupLoss(2, base)
    DeepSupervision(loss, (0.75, 0.25))(outputs, targets, torch.tensor([0, 1]))
    alone = [[base(o[[n]], t[[n]]).squeeze() for n in (0, 1)] for o, t in zip(outputs, targets, strict=True)]
    expected = torch.stack([0.75 * alone[0][0] + 0.25 * alone[1][0], alone[0][1]])
    torch.testing.assert_close(loss.group_loss, expected)
    assert loss.group_count.tolist() == [1, 1]


def test_classification_leaves_ignored_samples_out() -> None:
    logits, target = torch.randn(4, 3), torch.tensor([0, IGNORED, 2, 1])
    groups = torch.tensor([0, 0, 1, 1])
    for make in (OBJECTIVES["dro"], OBJECTIVES["fair error bound"]):
        loss = make(CrossEntropyLoss(IGNORED))
        value = loss(logits, target, groups)
        assert loss.group_count.tolist() == [1, 2]
        rest = make(CrossEntropyLoss(IGNORED))(logits[[0, 2, 3]], target[[0, 2, 3]], groups[[0, 2, 3]])
        torch.testing.assert_close(value, rest)
