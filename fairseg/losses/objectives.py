"""Group objectives without state: each uses only the losses of the groups in the batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fairseg.cohort import Groups
from fairseg.io.arguments import fits
from fairseg.losses.base import Base
from fairseg.losses.counts import Counts, group_weights, read_counts
from fairseg.losses.group_loss import GroupLoss
from fairseg.losses.grouping import NumGroups, precise
from fairseg.losses.per_sample import DiceCELoss

_TINY = 1e-30  # keeps a sum of nothing from dividing by 0


class ReweightedLoss(GroupLoss):
    """Mean over samples, each weighted inversely to the size of its group (section 4.4, Eq. 1-2).

    `1/B * sum over samples of w_g(b) * loss(b)`, with B the samples of known group. The weights are the
    cohort's and never those of the batch. For combinations give the weights to another group loss:
    `GroupDROLoss(G, group_weights=group_weights(counts))`.

    Args:
        group_counts: samples of each group in the training cohort, (G,); or name -> samples, or the names
            of the samples' groups, such as `df["sex"]`, as in `group_weights`.
        base: per-sample or pooled loss; default `DiceCELoss()`, as in the paper.
        normalize: "sum" makes the weights sum to 1, as in Eq. 2; "mean" makes their mean over the groups 1,
            which keeps the size of the loss in balanced batches; "samples" their mean over the cohort's
            samples, which keeps it in natural ones. See `group_weights`.
        eps: as in Eq. 1.
        groups: the groups of the cohort or their names, if `group_counts` are numbers and calls give names.
        **options: as in `GroupLoss`.

    >>> loss = ReweightedLoss([300, 100])
    >>> loss.weight
    tensor([0.2500, 0.7500], dtype=torch.float64)
    >>> ReweightedLoss({"M": 300, "F": 100}).names
    ('F', 'M')
    >>> from fairseg.losses import CrossEntropyLoss
    >>> logits, target, natural = torch.zeros(100, 2, 4), torch.zeros(100, 4), [0] * 95 + [1] * 5
    >>> for normalize in ("sum", "mean", "samples"):  # without weights: 0.693
    ...     loss = ReweightedLoss([95, 5], CrossEntropyLoss(), normalize=normalize)
    ...     print(normalize, round(float(loss(logits, target, natural)), 3))
    sum 0.066
    mean 0.132
    samples 0.693
    """

    group_counts: Tensor
    weight: Tensor

    def __init__(
        self,
        group_counts: Counts,
        base: Base | None = None,
        normalize: str = "sum",
        *,
        eps: float = 1e-6,
        groups: Groups | Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        cohort = Groups(groups) if groups is not None and not isinstance(groups, Groups) else groups
        named, counts = read_counts(group_counts, cohort, "group_counts")
        super().__init__(named or counts.numel(), DiceCELoss() if base is None else base, **options)
        if counts.numel() != self.num_groups:
            raise ValueError(
                f"group_counts must have one entry a group, {self.num_groups}, got {counts.numel()}"
            )
        self._keep("group_counts", counts)
        self._log("weight", group_weights(counts, eps=eps, normalize=normalize).double())

    def weights(self, loss: Tensor, count: Tensor) -> Tensor:
        """Return each group's share of the batch times its weight."""
        return self.weight * count / count.sum().clamp(min=1.0)


class BalancedGroupLoss(GroupLoss):
    """Mean of the group means over the groups in the batch.

    This is what the released code of Lee et al. (2025) computes under the name of Group DRO: every
    present group weighs the same at every step, so it neither looks for the worst group, as
    `WorstGroupLoss` does, nor learns group weights, as `GroupDROLoss` does.
    """

    def weights(self, loss: Tensor, count: Tensor) -> Tensor:
        """Return 1 / (number of groups present)."""
        return uniform(count)


class WorstGroupLoss(GroupLoss):
    """Loss of the worst group in the batch: the paper's L_DRO (section 4.5), taken literally.

    `max over groups of 1/n_g * sum over i in g of L(y_i, p_i)`. The gradient is the worst group's alone;
    of several worst groups, the one with the smallest id.
    """

    def weights(self, loss: Tensor, count: Tensor) -> Tensor:
        """Return 1 for the worst group present."""
        present = count > 0
        worst = torch.where(present, loss, -torch.inf).argmax()
        return present & (torch.arange(self.num_groups, device=loss.device) == worst)


class CVaRGroupLoss(GroupLoss):
    """Mean loss over the worst fraction `alpha` of the groups: conditional value at risk.

    `max over q of sum_g q_g loss_g` with `0 <= q_g <= p_g / alpha` and `sum q = 1`, where p is even over
    the groups present, or in proportion to `group_counts`. At `alpha = 1` it is the mean under p, and
    from `alpha <= min p` on it is the worst group's loss (Rockafellar and Uryasev 2000; Duchi and
    Namkoong 2021 for its use over groups).

    Args:
        num_groups, base, **options: as in `GroupLoss`.
        alpha: the fraction of the groups, above 0 and at most 1.
        within_alpha: with `within_group="cvar"`, the fraction of a group's samples; by default `alpha`.
        group_counts: weigh groups by their size in the cohort, (G,); default: evenly.
    """

    group_counts: Tensor | None

    def __init__(
        self,
        num_groups: NumGroups,
        base: Base | None = None,
        *,
        alpha: float = 0.5,
        within_alpha: float | None = None,
        group_counts: Counts | None = None,
        **options: Any,
    ) -> None:
        default = alpha if options.get("within_group") == "cvar" else None
        super().__init__(num_groups, base, alpha=within_alpha or default, **options)
        if not fits(alpha, lambda share: 0 < share <= 1):
            raise ValueError(f"alpha must lie above 0 and be at most 1, got {alpha}")
        self.alpha = float(alpha)
        self._keep_positive("group_counts", group_counts, "group_counts")

    def weights(self, loss: Tensor, count: Tensor) -> Tensor:
        """Give the worst groups their largest weights until the weights sum to 1."""
        share, order = _worst_first(loss, count, self.group_counts)
        most = share[order] / self.alpha
        before = most.cumsum(0) - most
        weight = torch.minimum(most, (1.0 - before).clamp(min=0.0))
        return torch.zeros_like(weight).scatter(0, order, weight)


class ChiSquareGroupLoss(GroupLoss):
    """Worst mean over group weights within a chi-square ball around even ones.

    `max over q of sum_g q_g loss_g` with `sum_g (q_g - p_g)^2 / p_g <= radius`, q >= 0, `sum q = 1`,
    where p is even over the groups present, or in proportion to `group_counts`. At radius 0 it is the
    mean under p; with growing radius it tends to the worst group's loss, and reaches it at
    `1 / p_worst - 1` (Hashimoto et al. 2018; Levy et al. 2020, whose divergence has a factor of 1/2).

    Solved exactly: the optimum gives weight to the k worst groups, linear in their losses, for some k;
    all G candidates are computed and the best that is feasible is taken.

    Args:
        num_groups, base, **options: as in `GroupLoss`.
        radius: 0 or more.
        group_counts: centre the ball on the groups' shares of the cohort, (G,); default: even ones.
    """

    group_counts: Tensor | None

    def __init__(
        self,
        num_groups: NumGroups,
        base: Base | None = None,
        *,
        radius: float = 1.0,
        group_counts: Counts | None = None,
        **options: Any,
    ) -> None:
        super().__init__(num_groups, base, **options)
        if not 0 <= radius < float("inf"):
            raise ValueError(f"radius must be 0 or more, got {radius}")
        self.radius = float(radius)
        self._keep_positive("group_counts", group_counts, "group_counts")

    def weights(self, loss: Tensor, count: Tensor) -> Tensor:
        """Return the worst weights in the ball."""
        share, order = _worst_first(loss, count, self.group_counts)
        p = share[order]
        present = p > 0
        worst = loss[order[:1]].to(p.dtype)
        x = torch.where(present, loss[order] - worst, 0.0)  # 0 and below: nothing cancels
        mass = p.cumsum(0)  # of the k worst groups, for every k; and so on
        mean = (p * x).cumsum(0) / mass.clamp(min=_TINY)
        spread = (p * (x - mean.unsqueeze(1)) ** 2).tril().sum(1) / mass.clamp(min=_TINY)
        room = mass * (1.0 + self.radius) - 1.0
        slope = torch.where(spread > 0, (room.clamp(min=0.0) / spread).sqrt(), 0.0)
        feasible = present & (room >= -1e-12) & (1.0 + slope * (x - mean) >= -1e-9)
        best = torch.where(feasible, mean + slope * spread, -torch.inf).argmax().reshape(1)
        tilt = (1.0 + slope[best] * (x - mean[best])).clamp(min=0.0)
        weight = torch.where(mass <= mass[best], p * tilt, 0.0)
        weight = weight / weight.sum().clamp(min=_TINY)
        return torch.zeros_like(weight).scatter(0, order, weight)


class VRExLoss(GroupLoss):
    """Mean of the groups' losses plus their variance: risk extrapolation (Krueger et al. 2021).

    `mean_g loss_g + penalty * var_g loss_g` over the groups present, with the variance of a population
    (divided by their number), as in the authors' code.

    Args:
        num_groups, base, **options: as in `GroupLoss`.
        penalty: 0 or more.
    """

    def __init__(
        self, num_groups: NumGroups, base: Base | None = None, *, penalty: float = 1.0, **options: Any
    ) -> None:
        super().__init__(num_groups, base, **options)
        if not fits(penalty, lambda number: 0 <= number < float("inf")):
            raise ValueError(f"penalty must be 0 or more, got {penalty}")
        self.penalty = float(penalty)

    def objective(self, loss: Tensor, count: Tensor) -> Tensor:
        """Return the mean plus the penalised variance."""
        share = uniform(count).to(loss.dtype)
        mean = (share * loss).sum()
        with torch.no_grad():
            self.record("group_weight", share * (1.0 + 2.0 * self.penalty * (loss - mean)))
        return mean + self.penalty * (share * (loss - mean) ** 2).sum()


def uniform(count: Tensor) -> Tensor:
    """Return even weights over the groups present, (G,)."""
    present = (count > 0).to(count.dtype)
    return present / present.sum().clamp(min=1.0)


def _worst_first(loss: Tensor, count: Tensor, group_counts: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return p, float64 (G,), over the groups present, and the groups' order, worst first, absent last."""
    present = count > 0
    size = precise(present) if group_counts is None else group_counts * present
    share = size / size.sum().clamp(min=_TINY)
    return share, torch.where(present, loss, -torch.inf).argsort(descending=True, stable=True)
