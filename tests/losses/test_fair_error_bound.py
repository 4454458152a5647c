"""FairErrorBoundLoss against the authors' formula written out, and its absent-group fault."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fairseg.losses import CrossEntropyLoss, DiceCELoss, FairErrorBoundLoss, SoftDiceLoss


def dice_loss(score: Tensor, mask: Tensor) -> Tensor:
    return 1 - (2 * (score * mask).sum() + 1e-5) / ((score**2).sum() + (mask**2).sum() + 1e-5)


def authors_formula(
    logits: Tensor, target: Tensor, groups: Tensor, gamma: float, *, absent_is_zero: bool, num_groups: int
) -> Tensor:
    """As in the released FairSeg code: per class over the whole batch, scales from unscaled group Dice."""
    probability = logits.softmax(1)
    onehot = F.one_hot(target, logits.shape[1]).movedim(-1, 1).float()
    classes = logits.shape[1]
    bound = torch.zeros(num_groups)
    for group in groups.unique():
        mine = groups == group
        for label in range(classes):
            bound[group] += dice_loss(probability[mine][:, label], onehot[mine][:, label]).detach()
    present = torch.tensor([bool((groups == group).any()) for group in range(num_groups)])
    least = bound.min() if absent_is_zero else bound[present].min()
    scale = torch.tanh((least / bound) ** gamma)
    scaled = probability * scale[groups].reshape(-1, *[1] * (logits.ndim - 1))
    dice = torch.stack([dice_loss(scaled[:, label], onehot[:, label]) for label in range(classes)]).mean()
    return 0.5 * F.cross_entropy(logits, target) + 0.5 * dice


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(8, 3, 6, 5, generator=generator, requires_grad=True)
    return logits, torch.randint(0, 3, (8, 6, 5), generator=generator)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("groups", [[0, 1, 2, 0, 1, 2, 0, 0], [2, 0, 2, 0, 2, 0, 0, 2], [1] * 8])
def test_it_is_the_authors_formula_over_the_groups_present(gamma: float, groups: list[int]) -> None:
    logits, target = batch()
    ids = torch.tensor(groups)
    actual = FairErrorBoundLoss(3, gamma=gamma)(logits, target, ids)
    expected = authors_formula(logits, target, ids, gamma, absent_is_zero=False, num_groups=3)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (actual, expected)))
    other_base = FairErrorBoundLoss(3, CrossEntropyLoss(label_smoothing=1e-9), gamma=gamma)
    torch.testing.assert_close(other_base(logits, target, ids), expected)


def test_with_an_absent_group_the_original_can_not_see_the_prediction() -> None:
    logits, target = batch()
    ids = torch.tensor([0, 1] * 4)  # of three groups
    expected = authors_formula(logits, target, ids, 1.0, absent_is_zero=True, num_groups=3)
    dice_part = expected - 0.5 * F.cross_entropy(logits, target)
    (gradient,) = torch.autograd.grad(dice_part, logits)
    assert gradient.abs().max() < 1e-6  # every scale is 0
    actual = FairErrorBoundLoss(3, dice_weight=1.0)(logits, target, ids)
    (gradient,) = torch.autograd.grad(actual, logits)
    assert gradient.abs().max() > 1e-3


def test_a_group_that_is_segmented_perfectly_gives_no_nan() -> None:
    logits, target = batch()
    perfect = logits.detach().clone()
    perfect[:4] = 200.0 * F.one_hot(target[:4], 3).movedim(-1, 1)
    perfect.requires_grad_()
    for gamma in (0.5, 1.0):
        loss = FairErrorBoundLoss(2, gamma=gamma, dice_weight=1.0)
        value = loss(perfect, target, torch.tensor([0] * 4 + [1] * 4))
        assert value.isfinite()
        (gradient,) = torch.autograd.grad(value, perfect)
        assert gradient.isfinite().all()
        assert gradient[4:].abs().max() > 1e-5  # the other group still learns


def test_a_pooled_base_counts_with_its_loss_of_the_batch() -> None:
    logits, target = batch()
    groups = torch.tensor([0] * 4 + [1] * 4)
    for base in (DiceCELoss(pool="group"), SoftDiceLoss(pool="group")):
        result = FairErrorBoundLoss(2, base, dice_weight=0.25)(logits, target, groups)
        scaled = FairErrorBoundLoss(2, dice_weight=1.0)(logits, target, groups)
        torch.testing.assert_close(result, 0.25 * scaled + 0.75 * base(logits, target))
