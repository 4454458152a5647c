"""DiceBCELoss: the per-sample loss of structures that may overlap, one sigmoid each."""

import logging

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseg.losses.grouping import is_captured, is_transformed
from fairseg.losses.per_sample import Pool, PooledLoss, SoftDiceLoss, ratio

logger = logging.getLogger(__name__)


class DiceBCELoss(PooledLoss):
    """Soft Dice plus binary cross-entropy of sigmoids: for regions, lesions and other overlapping structures.

    `dice_weight * (1 - mean over structures of soft Dice) + bce_weight * cross-entropy`, the latter averaged
    over pixels and structures. With `pool="group"` and one group this is nnU-Net's `DC_and_BCE_loss` (plus 1,
    see `SoftDiceLoss`), also in this: with an `ignore_index` the cross-entropy is summed over the structures.

    Args:
        smooth, pool: as in `SoftDiceLoss`.
        ignore_index: the last channel of the target, L, if it marks the pixels that do not count.
        dice_weight, bce_weight: weights of the two terms.

    Shapes:
        logits float (B, L, *S); target of 0 and 1, of any type, (B, L, *S), or (B, L + 1, *S) with an
        `ignore_index`; result float32, (B,), or a scalar with `pool="group"`. A structure that neither has
        gives Dice 1. A sample without any valid pixel has cross-entropy 0; a group loss leaves it out. The
        background has no channel: one-hot labels, as for a softmax, are noted in the first batch.

    Raises:
        ValueError: shapes do not fit, or the target holds something else (on the CPU).

    >>> target = torch.tensor([[[1, 1, 0, 0], [1, 0, 0, 0]]])  # a whole and its core
    >>> DiceBCELoss()(torch.where(target == 1, 20.0, -20.0), target).round(decimals=4)
    tensor([0.])
    >>> DiceBCELoss()(torch.zeros(1, 2, 4), target).round(decimals=4)
    tensor([1.2765])
    """

    def __init__(
        self,
        smooth: float = 1e-5,
        ignore_index: int | None = None,
        dice_weight: float = 1.0,
        bce_weight: float = 1.0,
        pool: Pool = "sample",
    ) -> None:
        super().__init__()
        self.dice = SoftDiceLoss(True, smooth, None, pool)
        self.dice_weight, self.bce_weight = float(dice_weight), float(bce_weight)
        self.ignore_index, self.pool = ignore_index, pool
        self._is_first = True  # batch

    def statistics(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the terms to sum over the samples of a group: Dice's and cross-entropy's, (B, 3 * L + 2)."""
        logits, target, valid = self._fit(logits, target)
        pixels = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        probability = logits.sigmoid()
        if valid is not None:
            pixels, probability, target = (part * valid for part in (pixels, probability, target))
        parts = [part.flatten(2).sum(dim=2) for part in (probability * target, probability, target)]
        count = pixels.new_full((logits.shape[0],), float(logits.shape[1:].numel()))
        if valid is not None:
            count = valid.flatten(1).sum(dim=1)
        return torch.cat([*parts, pixels.flatten(1).sum(dim=1, keepdim=True), count.unsqueeze(1)], dim=1)

    def from_statistics(self, statistics: Tensor) -> Tensor:
        """Return the loss from (summed) statistics, (..., 3 * L + 2) -> (...)."""
        bce = ratio(statistics[..., -2], statistics[..., -1])
        return self.dice_weight * self.dice.from_statistics(statistics[..., :-2]) + self.bce_weight * bce

    def _fit(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return logits and target in float32 at least, and which pixels count, (B, 1, *S) or None."""
        structures = logits.shape[1] if logits.ndim > 1 else 0
        extra = 0 if self.ignore_index is None else 1
        wanted = (*logits.shape[:1], structures + extra, *logits.shape[2:])
        if not structures or target.shape != wanted:
            more = ", the last for what is ignored" if extra else ""
            raise ValueError(
                f"logits and target must have shapes (B, L, *S) and (B, L{' + 1' * extra}, *S){more},"
                f" got {tuple(logits.shape)} and {tuple(target.shape)}"
            )
        if extra and self.ignore_index != structures:
            raise ValueError(f"ignore_index must be the last channel of the target, {structures}")
        self._check_values(target)
        self._note_one_hot(target)
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        target = target.to(logits.dtype)
        return logits, target[:, :structures], 1 - target[:, structures:] if extra else None

    def _note_one_hot(self, target: Tensor) -> None:
        """Warn if each pixel of the first batch is in exactly one channel: one may be the background."""
        if torch.compiler.is_compiling() or is_transformed(target) or is_captured(target):
            return
        first, self._is_first = self._is_first, False
        if not first or self.ignore_index is not None or target.shape[1] < 2 or not target.numel():
            return
        if bool((target.sum(dim=1) == 1).all()):
            logger.warning(
                "every pixel of the target is of exactly one of its %d channels: is the first the background?"
                " DiceBCELoss takes each for a structure with a sigmoid. For a softmax take DiceCELoss and"
                " class numbers, target.argmax(1, keepdim=True); for sigmoids leave the background out,"
                " target[:, 1:]",
                target.shape[1],
            )

    @staticmethod
    def _check_values(target: Tensor) -> None:
        """Raise a ValueError unless all are 0 or 1; on a GPU that would wait."""
        if target.dtype == torch.bool or target.device.type != "cpu":
            return
        if torch.compiler.is_compiling() or is_transformed(target):
            return
        odd = (target != 0) & (target != 1)
        if odd.any():
            wrong = float(target[odd][0])
            raise ValueError(f"target must hold 0 and 1, one channel a structure, got {wrong:g}")
