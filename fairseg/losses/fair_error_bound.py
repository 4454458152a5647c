"""Fair error-bound scaling (Tian et al., FairSeg, ICLR 2024)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseg.cohort.vectors import Vector
from fairseg.losses.base import Base, is_pooled, valid_pixels
from fairseg.losses.group_loss import GroupLoss
from fairseg.losses.grouping import NumGroups, plain
from fairseg.losses.multilabel import DiceBCELoss
from fairseg.losses.per_sample import CrossEntropyLoss, class_sums, each_mean, fit, of_target


class FairErrorBoundLoss(GroupLoss):
    """Dice with predictions scaled by group, plus a per-sample loss.

    Groups with a larger Dice loss D_g get smaller scales `w_g = tanh((min_h D_h / D_g)^gamma)`. Each
    sample's probabilities are multiplied by its group's scale before the Dice over the batch, so an error
    in a group that is served badly costs more:

        loss = dice_weight * (1 - mean over classes of (2 sum w p y + s) / (sum (w p)^2 + sum y^2 + s))
               + (1 - dice_weight) * mean over samples of base (of a pooled base: its loss of the batch)

    D_g is the same Dice without scales inside group g; scales are not differentiated. Pixels that the base
    ignores have no part in any of it. All this is as in the authors' code (background included, squares in
    the denominator), but for its fault with absent groups: there a group that a batch lacks has D = 0, which
    makes the minimum 0, every scale 0, and the loss independent of the prediction. Here the minimum is over
    the groups present, and no D counts as less than `floor`.

    Args:
        num_groups, **options: as in `GroupLoss`; without `group_weights`.
        base: the per-sample loss, or a pooled one; default `CrossEntropyLoss()`.
        gamma: how strongly the scales differ, 0 or more; 1 in the paper's experiments.
        dice_weight: share of the Dice, 0 to 1; 0.5 in the authors' code.
        smooth: added to numerator and denominator.
        floor: smallest D_g, above 0. Without it, a group that is served perfectly in one batch makes all
            other scales 0, and the loss independent of the prediction.

    Attributes:
        group_weight: the scales w of the last batch, (G,); 0 for groups absent.
        group_loss: D of the last batch, (G,).
    """

    def __init__(
        self,
        num_groups: NumGroups,
        base: Base | None = None,
        *,
        gamma: float = 1.0,
        dice_weight: float = 0.5,
        smooth: float = 1e-5,
        floor: float = 0.05,
        **options: Any,
    ) -> None:
        super().__init__(num_groups, base, **options)
        if self.group_factor is not None:
            raise ValueError("FairErrorBoundLoss makes its own weights, and takes no group_weights")
        if isinstance(base, DiceBCELoss):
            raise ValueError(
                "FairErrorBoundLoss is defined by a softmax over labels, and takes no DiceBCELoss"
            )
        if not 0 <= gamma < float("inf"):
            raise ValueError(f"gamma must be 0 or more, got {gamma}")
        if not 0 <= dice_weight <= 1:
            raise ValueError(f"dice_weight must lie between 0 and 1, got {dice_weight}")
        if not smooth > 0:
            raise ValueError(f"smooth must be positive, got {smooth}")
        if not floor > 0:
            raise ValueError(f"floor must be positive, got {floor}")
        self.floor = float(floor)
        self.gamma, self.dice_weight, self.smooth = float(gamma), float(dice_weight), float(smooth)

    def forward(self, logits: Tensor, target: Tensor, groups: Tensor | Vector = None) -> Tensor:
        """Return the loss of a batch; arguments as in `GroupLoss.forward`."""
        logits, target = plain(logits), plain(target)
        ids = self.annotated_ids(self.group_ids(groups, logits), logits, target)
        logits = self.shielded(logits, ids)
        scores, labels = fit(logits, target)
        log_probability = F.log_softmax(scores, dim=1)
        log_chosen = of_target(log_probability, labels, self._ignored)
        terms = self._terms(log_probability, log_chosen, labels)
        classes = terms.shape[1] // 3
        pooled = is_pooled(self.base)
        is_plain = isinstance(self.base, CrossEntropyLoss) and self.base.is_plain
        if pooled:
            each: Tensor = self.base.statistics(logits, target)  # type: ignore[attr-defined]
        else:
            each = -each_mean(log_chosen) if is_plain else self._each(logits, target)
            each = self.within(each, ids).unsqueeze(1)
        sums, count = self.sum_by_group(torch.cat([terms, each.to(terms.dtype)], dim=1), ids)
        product, squares, mask = sums[:, : 3 * classes].chunk(3, dim=1)
        present = count > 0
        with torch.no_grad():
            dice_loss = self._dice_loss(product.detach(), squares.detach(), mask.detach())
            dice_loss = torch.where(present, dice_loss, 0.0)
            self._note(dice_loss, count)
            bound = dice_loss.clamp(min=self.floor)
            least = torch.where(present, bound, torch.inf).amin()
            scale = torch.tanh((least / bound) ** self.gamma)
            scale = torch.where(present, scale, 0.0)
            self.record("group_weight", scale)
        weight = scale.unsqueeze(1)
        dice = self._dice_loss((weight * product).sum(0), (weight**2 * squares).sum(0), mask.sum(0))
        rest = sums[:, 3 * classes :].sum(dim=0, keepdim=True)
        if pooled:
            mean = self.base.from_statistics(rest).squeeze(0)  # type: ignore[attr-defined]
        else:
            mean = rest.squeeze() / count.sum().clamp(min=1.0)
        value = self.dice_weight * dice + (1.0 - self.dice_weight) * mean
        return torch.where(present.any(), value, value * 0.0)

    def forward_scales(
        self,
        outputs: Sequence[Tensor],
        targets: Sequence[Tensor],
        groups: Tensor | Vector,
        weights: Sequence[float],
    ) -> Tensor:
        """Return the weighted sum of the losses of outputs at several scales."""
        values = [
            weight * self(output, target, groups)
            for output, target, weight in zip(outputs, targets, weights, strict=True)
        ]
        return torch.stack(values).sum()

    def _terms(self, log_probability: Tensor, log_chosen: Tensor, labels: Tensor) -> Tensor:
        """Return the sums over pixels of p y, p^2 and y, for each sample and class, (B, 3 * C)."""
        probability, chosen = log_probability.exp(), log_chosen.exp()
        inside, ones = labels, torch.ones_like(chosen)
        if self._ignored is not None:
            valid = valid_pixels(labels, log_probability, self._ignored)
            probability, chosen, ones = probability * valid.unsqueeze(1), chosen * valid, ones * valid
            inside = torch.where(valid, labels, 0)
        classes = probability.shape[1]
        pixels = probability.unsqueeze(2).flatten(2)  # one pixel where there are no axes of space
        squares = torch.linalg.vector_norm(pixels, dim=2).square()
        product, mask = class_sums(chosen, inside, classes), class_sums(ones, inside, classes)
        return torch.cat([product, squares, mask], dim=1)

    def _dice_loss(self, product: Tensor, squares: Tensor, mask: Tensor) -> Tensor:
        dice = (2.0 * product + self.smooth) / (squares + mask + self.smooth)
        return 1.0 - dice.mean(dim=-1)
