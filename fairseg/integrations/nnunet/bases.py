"""nnU-Net's losses of a batch as losses of samples, which can be split by group."""

from typing import Any

import torch
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss, DC_and_topk_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss, SoftDiceLoss
from nnunetv2.training.loss.robust_ce_loss import RobustCrossEntropyLoss, TopKLoss
from nnunetv2.utilities.helpers import softmax_helper_dim1
from torch import nn

from fairseg import losses
from fairseg.losses.base import ignored_label

_NO_LABEL = -100  # the ignore_index of torch's cross-entropy if nobody asked for one


class NoSampleLossError(NotImplementedError):
    """A loss of nnU-Net that is not made of losses of samples."""


def per_sample(loss: nn.Module, ignored: int | None) -> nn.Module:
    """Return the base of group losses that has the value and gradient of a loss of nnU-Net.

    Over one group, that is: Dice over the batch becomes Dice pooled inside each group. Dice is 1 more than in
    nnU-Net, which minimises minus the Dice. A loss that nnU-Net does not have is returned as it is: the group
    loss says whether it has a value for each sample.

    Args:
        loss: of one output, or nnU-Net's wrapper for several.
        ignored: what marks the pixels that do not count: a label, or of regions the last channel of the
            target; None if all count.

    Raises:
        NoSampleLossError: it is made of the pixels of the whole batch, does not know what is ignored, or is
            of a form that nnU-Net does not use.
    """
    inner = loss.loss if isinstance(loss, DeepSupervisionWrapper) else loss
    base = _translate(inner, ignored)
    if base is not inner and ignored is not None and ignored_label(base) is None:
        raise NoSampleLossError(f"{type(inner).__name__} does not know the ignore label of this dataset")
    return base


def _translate(loss: Any, ignored: int | None) -> nn.Module:
    kind = type(loss)
    if kind is DC_and_CE_loss:
        options = {**_dice_options(loss.dc, softmax_helper_dim1), **_ce_options(loss.ce)}
        return losses.DiceCELoss(**options, dice_weight=loss.weight_dice, ce_weight=loss.weight_ce)
    if kind is DC_and_BCE_loss:
        options = _dice_options(loss.dc, torch.sigmoid)
        if loss.ce.weight is not None or loss.ce.pos_weight is not None:
            raise NoSampleLossError(f"{kind.__name__} must weigh all regions alike")
        return losses.DiceBCELoss(
            smooth=options["smooth"],
            pool=options["pool"],
            ignore_index=ignored if loss.use_ignore_label else None,
            dice_weight=loss.weight_dice,
            bce_weight=loss.weight_ce,
        )
    if kind is RobustCrossEntropyLoss:
        return losses.CrossEntropyLoss(**_ce_options(loss))
    if kind in (SoftDiceLoss, MemoryEfficientSoftDiceLoss):
        if loss.apply_nonlin is not torch.sigmoid:
            return losses.SoftDiceLoss(**_dice_options(loss, softmax_helper_dim1))
        options = _dice_options(loss, torch.sigmoid)
        return losses.DiceBCELoss(smooth=options["smooth"], pool=options["pool"], bce_weight=0)
    if kind in (TopKLoss, DC_and_topk_loss):
        raise NoSampleLossError(
            f"{kind.__name__} takes the worst pixels of the whole batch, so no sample has a loss of its own"
        )
    base: nn.Module = loss
    return base


def _dice_options(dice: Any, nonlinearity: Any) -> dict[str, Any]:
    dice = getattr(dice, "_orig_mod", dice)  # on a GPU nnU-Net compiles it
    if dice.apply_nonlin is not nonlinearity or getattr(dice, "clip_tp", None) is not None:
        raise NoSampleLossError(
            f"{type(dice).__name__} must be of a softmax, or of a sigmoid for regions, and without clip_tp"
        )
    if nonlinearity is torch.sigmoid and not dice.do_bg:
        raise NoSampleLossError(f"{type(dice).__name__} leaves out the first region (do_bg=False)")
    return {
        "include_background": dice.do_bg,
        "smooth": dice.smooth,
        "pool": "group" if dice.batch_dice else "sample",
    }


def _ce_options(ce: Any) -> dict[str, Any]:
    if ce.reduction not in ("mean", "none"):
        raise NoSampleLossError(f"{type(ce).__name__} must be a mean over pixels, is a {ce.reduction}")
    return {
        "ignore_index": None if ce.ignore_index == _NO_LABEL else ce.ignore_index,
        "class_weight": ce.weight,
        "label_smoothing": ce.label_smoothing,
    }
