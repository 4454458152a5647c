"""The training loss of each group and its weight in the objective, for the log of an epoch."""

from typing import Any

import torch
from torch import Tensor

from fairseg.losses import BalancedGroupLoss
from fairseg.losses.group_loss import GroupLoss
from fairseg.losses.grouping import precise
from fairseg.training.logger import by_name
from fairseg.training.methods import loss_of
from fairseg.training.ranks import ProcessGroup


class GroupLosses:
    """Means over the steps of an epoch: of each group's loss, and of its weight.

    Beside an objective that knows no groups (ERM), the loss of each is measured by itself, and its weight is
    its share of the batch. In several processes, the losses of a pooled base are averaged over their parts of
    the batch. A step without a group does not count in the mean of its loss, a step without any in no mean.

    Args:
        loss: the objective.
        names: of the groups, (G,).
        processes: that train together.
    """

    def __init__(self, loss: GroupLoss, names: tuple[str, ...], processes: ProcessGroup) -> None:
        self.loss, self.names, self.processes = loss, names, processes
        self.beside: GroupLoss | None = None
        if loss.num_groups != len(names):
            within: dict[str, Any] = {"within_group": loss.within_group, "alpha": loss.worst_share}
            self.beside = BalancedGroupLoss(len(names), loss.base, check=False, **within)
            self.beside.to(loss.group_loss.device)
        self._steps: list[Tensor] = []

    @torch.no_grad()
    def step(self, outputs: Any, target: Tensor, groups: Tensor) -> None:
        """Take the arguments of the objective; see `loss_of`."""
        if self.beside is not None:
            loss_of(self.beside, outputs, target, groups)
        loss = self.beside or self.loss
        parts = loss.group_loss, loss.group_count, loss.group_weight
        self._steps.append(torch.stack([precise(part) for part in parts]))

    def end_epoch(self) -> dict[str, dict[str, float | None]]:
        """Return `group_loss` and `group_weight`, name -> value; no loss of a group that was in no batch."""
        steps = torch.stack(self._steps).cpu()
        self._steps.clear()
        if self.beside is not None:
            steps = _joined(self.processes.gather(steps))
        loss, count, weight = steps.unbind(dim=1)
        losses = loss.nan_to_num().sum(dim=0) / (count > 0).sum(dim=0)
        weights = weight[(count > 0).any(dim=1)].mean(dim=0)
        return {
            "group_loss": by_name(self.names, losses.tolist()),
            "group_weight": by_name(self.names, weights.tolist()),
        }


def _joined(parts: list[Tensor]) -> Tensor:
    """Return losses, counts and shares (steps, 3, G) of the joint batches from those of each process."""
    loss, count = (torch.stack([part[:, row] for part in parts]) for row in (0, 1))
    total = count.sum(dim=0)
    joint = (loss.nan_to_num() * count).sum(dim=0) / total.clamp(min=1)
    return torch.stack([joint, total, total / total.sum(dim=1, keepdim=True).clamp(min=1)], dim=1)
