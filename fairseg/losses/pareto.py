"""Minimax Pareto fairness: group weights that follow the validation risks (Martinez et al. 2020)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fairseg.io.arguments import fits
from fairseg.losses.base import Base
from fairseg.losses.group_loss import GroupLoss
from fairseg.losses.grouping import NumGroups


class ParetoMinimaxLoss(GroupLoss):
    """Weighted sum of the groups' losses, with weights that `update` moves between rounds of training.

    Approximate projection onto the star sets (APStar, Algorithm 1 of Martinez et al., ICML 2020): train
    for a while, measure each group's risk on validation data, call `update(risks)`, and go on. The
    weights drift towards the groups whose risk is not below the best worst-case risk so far, in steps that
    shrink while nothing improves. Weights are part of `state_dict`.

        if max(risks) < best:  best = max(risks), K = min(K, k_min)    else:  K = K + 1
        mu = (1 - alpha) * mu + alpha / K * s,  s even over the groups with risk >= best;  mu = mu / sum(mu)

    A good practice, from the paper: when `update` returns True, keep the model; it is the best so far.

    Args:
        num_groups, base, **options: as in `GroupLoss`.
        alpha: share of the old weights that a step gives up, above 0 and below 1.
        within_alpha: with `within_group="cvar"`, the fraction of a group's samples; by default `alpha`.
        k_min: what K falls back to, at most, when the worst risk improves; at least 1.

    >>> loss = ParetoMinimaxLoss(num_groups=2)
    >>> loss.update([0.3, 0.5])  # the first risks are the best so far
    True
    >>> loss.group_weight
    tensor([0.2500, 0.7500], dtype=torch.float64)
    """

    best_risk: Tensor
    step_number: Tensor

    def __init__(
        self,
        num_groups: NumGroups,
        base: Base | None = None,
        *,
        alpha: float = 0.5,
        within_alpha: float | None = None,
        k_min: int = 20,
        **options: Any,
    ) -> None:
        default = alpha if options.get("within_group") == "cvar" else None
        super().__init__(num_groups, base, alpha=within_alpha or default, **options)
        if not fits(alpha, lambda share: 0 < share < 1):
            raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
        if isinstance(k_min, bool) or not isinstance(k_min, int) or k_min < 1:
            raise ValueError(f"k_min must be an integer of at least 1, got {k_min!r}")
        self.alpha, self.k_min = float(alpha), k_min
        self._keep("group_weight", self.group_weight)
        self._keep("best_risk", torch.tensor(torch.inf))
        self._keep("step_number", torch.tensor(1.0))

    @torch.no_grad()
    def update(self, risks: Sequence[float] | Tensor) -> bool:
        """Move the weights by the groups' validation risks.

        Args:
            risks: mean validation loss of each group, (G,), all finite; lower is better.

        Returns:
            Whether the worst risk is the lowest so far.

        Raises:
            ValueError: not one risk a group, or a risk that is not finite; the message names the group,
                and the weights stay as they were.
        """
        risk = torch.as_tensor(risks).detach().to(self.group_weight)
        if risk.shape != (self.num_groups,):
            raise ValueError(f"risks must have one entry a group, {self.num_groups}, got {tuple(risk.shape)}")
        for group, value in enumerate(risk.tolist()):
            if not -float("inf") < value < float("inf"):
                raise ValueError(f"the risk of group {self.name_of(group)} is {value}, which is not finite")
        worst = risk.max()
        improved = bool(worst < self.best_risk)
        if improved:
            self.best_risk.copy_(worst)
            self.step_number.clamp_(max=self.k_min)
        else:
            self.step_number.add_(1.0)
        behind = (risk >= self.best_risk).to(risk.dtype)
        weight = (1.0 - self.alpha) * self.group_weight
        weight = weight + self.alpha / self.step_number * behind / behind.sum()
        self.group_weight.copy_(weight / weight.sum())
        return improved

    def objective(self, loss: Tensor, count: Tensor) -> Tensor:
        """Return the weighted sum over the groups present; the weights stay as they are."""
        weight = torch.where(count > 0, self.group_weight, 0.0).to(loss.dtype)
        return (weight * loss).sum()
