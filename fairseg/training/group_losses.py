"""The training loss of each group and its weight in the objective, for the log of an epoch."""

from typing import Any

import torch
from torch import Tensor

from fairseg.losses import BalancedGroupLoss
from fairseg.losses.group_loss import GroupLoss
from fairseg.training.methods import loss_of
from fairseg.training.ranks import ProcessGroup


class GroupLosses:
    """Means over the steps of an epoch: of each group's loss, and of its weight.

    Of an objective that knows no groups (ERM), the loss of each is measured beside it, and its weight is its
    share of the batch. A step without a group does not count in the mean of its loss.

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
        """Take what the objective was just taken of; see `loss_of`."""
        if self.beside is None:
            loss, count, weight = self.loss.group_loss, self.loss.group_count, self.loss.group_weight
        else:
            loss_of(self.beside, outputs, target, groups)
            loss, count = self.beside.group_loss, self.beside.group_count
            weight = count / count.sum().clamp(min=1)
        present = (count > 0).double()
        self._steps.append(torch.stack([loss.double().nan_to_num() * present, present, weight.double()]))

    def end_epoch(self) -> dict[str, dict[str, float | None]]:
        """Return `group_loss` and `group_weight`, name -> value; no loss of a group that was in no batch."""
        total = torch.stack(self._steps).sum(dim=0).cpu()
        steps = len(self._steps)
        self._steps.clear()
        if self.beside is not None:  # each process has looked at its part of the batch
            total = torch.stack(self.processes.gather(total)).sum(dim=0)
            steps *= self.processes.world
        loss, present, weight = total.tolist()
        return {
            "group_loss": {
                name: round(value / number, 6) if number else None
                for name, value, number in zip(self.names, loss, present, strict=True)
            },
            "group_weight": {
                name: round(value / steps, 6) for name, value in zip(self.names, weight, strict=True)
            },
        }
