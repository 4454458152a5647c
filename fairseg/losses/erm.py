"""ERMLoss: the plain loss in the form of a group loss, the control of all others."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fairseg.losses.group_loss import Base
from fairseg.losses.objectives import BalancedGroupLoss


class ERMLoss(BalancedGroupLoss):
    """The loss over the whole batch, whatever the groups; samples of unknown group count too.

    Args:
        base: as in `GroupLoss`; with `DiceCELoss(pool="group")` the batch is pooled as one group, which
            is nnU-Net's batch Dice.
    """

    def __init__(self, base: Base) -> None:
        super().__init__(1, base)

    def forward(self, logits: Tensor, target: Tensor, groups: Tensor) -> Tensor:
        """Return the loss of a batch; arguments as in `GroupLoss.forward`."""
        return super().forward(logits, target, torch.zeros_like(groups))

    def forward_scales(
        self,
        outputs: Sequence[Tensor],
        targets: Sequence[Tensor],
        groups: Tensor,
        scale_weights: Sequence[float],
    ) -> Tensor:
        """Return the loss of outputs at several scales."""
        return super().forward_scales(outputs, targets, torch.zeros_like(groups), scale_weights)
