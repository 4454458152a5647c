"""ERMLoss: the plain loss in the form of a group loss, the control of all others."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fairseg.cohort.vectors import Vector
from fairseg.losses.base import Base
from fairseg.losses.objectives import BalancedGroupLoss


class ERMLoss(BalancedGroupLoss):
    """The loss over the whole batch, whatever the groups; samples of unknown group count too.

    Args:
        base: as in `GroupLoss`; with `DiceCELoss(pool="group")` the batch is pooled as one group, which
            is nnU-Net's batch Dice.
        **options: as in `GroupLoss`; with `within_group="cvar"` the mean of the batch's worst samples.
    """

    def __init__(self, base: Base, **options: Any) -> None:
        super().__init__(1, base, **options)

    def forward(self, logits: Tensor, target: Tensor, groups: Tensor | Vector = None) -> Tensor:
        """Return the loss of a batch; arguments as in `GroupLoss.forward`."""
        return super().forward(logits, target, _one_group(logits))

    def forward_scales(
        self,
        outputs: Sequence[Tensor],
        targets: Sequence[Tensor],
        groups: Tensor | Vector,
        scale_weights: Sequence[float],
    ) -> Tensor:
        """Return the loss of outputs at several scales."""
        return super().forward_scales(outputs, targets, _one_group(outputs[0]), scale_weights)


def _one_group(logits: Tensor) -> Tensor:
    return torch.zeros(logits.shape[0], dtype=torch.long, device=logits.device)
