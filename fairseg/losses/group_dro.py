"""Group DRO: weights over groups that grow where the loss is high (Sagawa et al. 2020)."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from fairseg.losses.group_loss import Base, GroupLoss
from fairseg.losses.grouping import keep_for_backward, precise


class GroupDROLoss(GroupLoss):
    """Group distributionally robust optimisation, online (Algorithm 1 of Sagawa et al., ICLR 2020).

    Each training step, with `l_g` the mean loss of group g in the batch:

        q_g <- q_g * exp(step_size * (l_g + adjustment / sqrt(n_g)))   for the groups in the batch,
        rescaled so that they sum to what they summed to before;
        loss = sum over groups in the batch of q_g * l_g.

    It is meant for batches in which every group is present, as `fairseg.samplers.GroupBatchSampler`
    makes them: this is then Algorithm 1 to the letter. A group that a batch lacks keeps its weight to the
    last bit. (Taking its loss for 0, as other implementations do, lets the weights of small groups fade
    with every batch that they are not in.)

    Weights are updated by a forward pass in training mode with gradients on, and by nothing else: not in
    eval mode, not under `torch.no_grad`, not if any group's loss is NaN or infinite. With gradient
    accumulation they are updated by every forward pass, so keep the loss out of regions that activation
    checkpointing runs twice. They are part of `state_dict`.

    Args:
        num_groups: groups of the cohort, G.
        base: per-sample or pooled loss; default `CrossEntropyLoss()`, as in the paper.
        step_size: how fast the weights follow the losses, above 0.
        adjustment: C of the generalisation adjustment, 0 or more; needs `group_counts`. It acts on the
            weights; the value is made of the losses themselves.
        group_counts: samples of each group in the training cohort, n_g, (G,).
        normalize_loss: divide the adjusted losses by their sum first (over the groups that are updated),
            which makes `step_size` independent of the size of the loss. For losses of 0 and more.
        absent: "freeze" leaves the weight of an absent group as it is; "ema" updates it with the running
            mean of its loss, if it was ever there.
        ema_decay: of that running mean: `ema <- decay * ema + (1 - decay) * loss`.
        **options: `group_weights`, `check` and `process_group`, as in `GroupLoss`. With
            `group_weights=group_weights(counts)` this is the paper's reweighting + Group DRO.

    Attributes:
        group_weight: q, float64 (G,), sums to 1; even at the start.
        group_loss, group_count: as in `GroupLoss`.

    Raises:
        ValueError: an argument is not as said above, or a group's loss is not finite.

    >>> logits = torch.tensor([[[2.0], [0.0]], [[0.0], [0.0]]], requires_grad=True)  # (B=2, C=2, 1 pixel)
    >>> loss = GroupDROLoss(num_groups=2, step_size=1.0)
    >>> value = loss(logits, torch.tensor([[0], [0]]), groups=torch.tensor([0, 1]))
    >>> loss.group_loss, loss.group_weight.float()
    (tensor([0.1269, 0.6931]), tensor([0.3621, 0.6379]))
    """

    group_counts: Tensor | None
    group_loss_ema: Tensor | None
    group_seen: Tensor | None

    def __init__(
        self,
        num_groups: int,
        base: Base | None = None,
        *,
        step_size: float = 0.01,
        adjustment: float = 0.0,
        group_counts: Sequence[float] | Tensor | None = None,
        normalize_loss: bool = False,
        absent: Literal["freeze", "ema"] = "freeze",
        ema_decay: float = 0.9,
        **options: Any,
    ) -> None:
        super().__init__(num_groups, base, **options)
        if not 0 < step_size < float("inf"):
            raise ValueError(f"step_size must be above 0, got {step_size}")
        if not 0 <= adjustment < float("inf"):
            raise ValueError(f"adjustment must be 0 or more, got {adjustment}")
        if adjustment and group_counts is None:
            raise ValueError("adjustment needs group_counts, the samples of each group in the cohort")
        if absent not in ("freeze", "ema"):
            raise ValueError(f'absent must be "freeze" or "ema", got {absent!r}')
        if not 0 <= ema_decay < 1:
            raise ValueError(f"ema_decay must be 0 or more and below 1, got {ema_decay}")
        self.step_size, self.adjustment, self.ema_decay = (
            float(step_size),
            float(adjustment),
            float(ema_decay),
        )
        self.normalize_loss, self.absent = bool(normalize_loss), absent
        self._keep_positive("group_counts", group_counts, "group_counts")
        self._keep("group_weight", self.group_weight)
        self._keep("group_loss_ema", torch.zeros(num_groups) if absent == "ema" else None)
        self._keep("group_seen", torch.zeros(num_groups) if absent == "ema" else None)

    def objective(self, loss: Tensor, count: Tensor) -> Tensor:
        """Update the weights, if this is a training step, and return the weighted sum."""
        present = count > 0
        is_step = self.training and torch.is_grad_enabled()
        with torch.no_grad():
            if is_step:
                self._update(precise(loss.detach()), present)
            weight = keep_for_backward(torch.where(present, self.group_weight, 0.0).to(loss.dtype))
        return (weight * loss).sum()

    def _update(self, loss: Tensor, present: Tensor) -> None:
        """Take one step of the algorithm; none if a loss is not finite."""
        sound = loss.isfinite().all()
        updated = present
        if self.group_loss_ema is not None and self.group_seen is not None:
            mixed = self.ema_decay * self.group_loss_ema + (1.0 - self.ema_decay) * loss
            ema = torch.where(present, torch.where(self.group_seen > 0, mixed, loss), self.group_loss_ema)
            seen = torch.maximum(self.group_seen, present.to(self.group_seen.dtype))
            loss, updated = torch.where(present, loss, ema), seen > 0
            self.group_loss_ema.copy_(torch.where(sound, ema, self.group_loss_ema))
            self.group_seen.copy_(torch.where(sound, seen, self.group_seen))
        if self.group_counts is not None:
            loss = loss + self.adjustment / self.group_counts.sqrt()
        loss = torch.where(updated, loss, 0.0)
        if self.normalize_loss:
            total = loss.sum()
            loss = loss / torch.where(total > 0, total, 1.0)
        before = self.group_weight
        # Relative to the largest loss, so that no exponential overflows; a common factor cancels.
        grown = before * torch.exp(self.step_size * (loss - torch.where(updated, loss, -torch.inf).amax()))
        scale = (before * updated).sum() / (grown * updated).sum()
        least = torch.finfo(before.dtype).tiny  # a weight of 0 could never grow again
        after = torch.where(updated, (grown * scale).clamp(min=least), before)
        before.copy_(torch.where(sound, after, before))
