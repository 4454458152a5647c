"""Dice + binary cross-entropy of overlapping structures: by hand, beside torch, MONAI and nnU-Net."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fairseg.losses import BalancedGroupLoss, DeepSupervision, DiceBCELoss, GroupDROLoss


def batch(seed: int = 0, shape: tuple[int, ...] = (6, 5), ignored: bool = False) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 3, *shape, generator=random, requires_grad=True)
    target = torch.randint(0, 2, (4, 3 + ignored, *shape), generator=random)
    return logits, target


def by_hand(logits: Tensor, target: Tensor) -> Tensor:
    """Return the loss of each sample, pixel by pixel."""
    losses = []
    for sample, masks in zip(logits, target, strict=True):
        dice = [
            (2 * (p.sigmoid() * m).sum() + 1e-5) / (p.sigmoid().sum() + m.sum() + 1e-5)
            for p, m in zip(sample, masks, strict=True)
        ]
        bce = F.binary_cross_entropy_with_logits(sample, masks.float())
        losses.append(1 - torch.stack(dice).mean() + bce)
    return torch.stack(losses)


@pytest.mark.parametrize("shape", [(30,), (6, 5), (3, 2, 5)])
@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_each_sample_has_its_own_loss(shape: tuple[int, ...], kind: torch.dtype) -> None:
    logits, target = batch(shape=shape)
    torch.testing.assert_close(DiceBCELoss()(logits, target.to(kind)), by_hand(logits, target))
    weighed = DiceBCELoss(dice_weight=0, bce_weight=2)(logits, target)
    bce = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none").flatten(1).mean(1)
    torch.testing.assert_close(weighed, 2 * bce)


def test_monai_finds_the_same_dice() -> None:
    dice_loss = pytest.importorskip("monai.losses").DiceLoss
    logits, target = batch()
    monai = dice_loss(sigmoid=True, reduction="none", smooth_nr=1e-5, smooth_dr=1e-5)(logits, target)
    torch.testing.assert_close(DiceBCELoss(bce_weight=0)(logits, target), monai.flatten(1).mean(1))


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("pool", ["sample", "group"])
def test_over_one_group_value_and_gradient_are_nnunets(pool: str, ignored: bool) -> None:
    compound = pytest.importorskip("nnunetv2.training.loss.compound_losses")
    dice = pytest.importorskip("nnunetv2.training.loss.dice")
    options = {"batch_dice": pool == "group", "do_bg": True, "smooth": 1e-5, "ddp": False}
    stock = compound.DC_and_BCE_loss(
        {}, options, use_ignore_label=ignored, dice_class=dice.MemoryEfficientSoftDiceLoss
    )
    logits, target = batch(ignored=ignored)
    if ignored:  # as many in each sample: else nnU-Net without batch Dice weighs samples by it
        target[:, -1] = 0
        target[:, -1, :2] = 1
    wanted = stock(logits, target.bool())
    (gradient,) = torch.autograd.grad(wanted, logits)
    actual = BalancedGroupLoss(1, DiceBCELoss(pool=pool, ignore_index=3 if ignored else None))
    value = actual(logits, target.bool(), torch.zeros(4, dtype=torch.long))
    torch.testing.assert_close(value, wanted + 1)
    torch.testing.assert_close(torch.autograd.grad(value, logits)[0], gradient)


def test_ignored_pixels_have_no_part_and_wholly_ignored_samples_none() -> None:
    logits, target = batch(ignored=True)
    target[2, -1] = 1
    groups = torch.tensor([0, 1, 1, 0])
    for pool in ("sample", "group"):
        loss = BalancedGroupLoss(2, DiceBCELoss(ignore_index=3, pool=pool))
        value = loss(logits, target, groups)
        assert loss.group_count.tolist() == [2, 1]
        (gradient,) = torch.autograd.grad(value, logits)
        ignored = target[:, -1:].bool().expand_as(gradient)
        assert not gradient[ignored].any()
        assert (gradient[~ignored] != 0).all()
        other = torch.where(ignored, -9.0 * logits, logits)
        torch.testing.assert_close(loss(other, target, groups), value)


def test_pooled_it_is_the_loss_of_the_group_as_one_image() -> None:
    logits, target = batch()
    groups = torch.tensor([0, 1, 1, 0])
    loss = GroupDROLoss(2, DiceBCELoss(pool="group"))
    loss(logits, target, groups)
    for group in range(2):
        mine = groups == group
        image, masks = (part[mine].transpose(0, 1).flatten(1).unsqueeze(0) for part in (logits, target))
        torch.testing.assert_close(loss.group_loss[group], by_hand(image, masks)[0].detach())


def test_under_deep_supervision_and_with_bfloat16() -> None:
    logits, target = batch()
    deep = DeepSupervision(BalancedGroupLoss(2, DiceBCELoss()), [0.75, 0.25])
    groups = torch.tensor([0, 1, 0, 1])
    value = deep([logits, logits], [target, target], groups)
    torch.testing.assert_close(value, by_hand(logits, target).mean())
    half = DiceBCELoss()(logits.bfloat16(), target)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, by_hand(logits, target), rtol=0.02, atol=0.02)


def test_a_channel_for_the_background_is_noted_once(caplog: pytest.LogCaptureFixture) -> None:
    logits, _ = batch()
    labels = torch.arange(120).reshape(4, 6, 5) % 3
    one_hot = F.one_hot(labels, 3).movedim(-1, 1)
    loss = GroupDROLoss(2, DiceBCELoss())
    for target in (one_hot, one_hot):
        loss(logits, target.float(), torch.tensor([0, 1, 1, 0]))
    (record,) = caplog.records
    assert "exactly one of its 3 channels" in record.message
    assert "target.argmax(1, keepdim=True)" in record.message
    caplog.clear()
    nothing = one_hot.clone()
    nothing[0, :, 0, 0] = 0  # a pixel of the background
    DiceBCELoss()(logits, nothing)
    DiceBCELoss()(logits[:, :1], torch.ones(4, 1, 6, 5))
    assert not caplog.records


def test_it_compiles_to_one_graph() -> None:
    logits, target = batch()
    result = torch.compile(DiceBCELoss(), fullgraph=True, backend="eager")(logits, target)
    torch.testing.assert_close(result, by_hand(logits, target))


def test_what_does_not_fit_is_said() -> None:
    logits, target = batch()
    for wrong in (target[:, :2], target[:, :1], target[:2], target[:, 0]):
        with pytest.raises(ValueError, match=r"shapes \(B, L, \*S\) and \(B, L, \*S\), got"):
            DiceBCELoss()(logits, wrong)
    with pytest.raises(ValueError, match=r"\(B, L \+ 1, \*S\), the last for what is ignored"):
        DiceBCELoss(ignore_index=3)(logits, target)
    with pytest.raises(ValueError, match="target must hold 0 and 1, one channel a structure, got 2"):
        DiceBCELoss()(logits, target * 2)
    with pytest.raises(ValueError, match="ignore_index must be the last channel of the target, 3"):
        DiceBCELoss(ignore_index=1)(*batch(ignored=True))
