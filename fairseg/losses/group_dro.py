"""Group DRO: weights over groups that grow where the loss is high (Sagawa et al. 2020)."""

import warnings
from typing import Any, Literal

import torch
from torch import Tensor

from fairseg.io.arguments import fits
from fairseg.losses.base import Base
from fairseg.losses.counts import Counts
from fairseg.losses.group_loss import GroupLoss
from fairseg.losses.grouping import NumGroups, keep_for_backward, precise

# The state of the rules for absent groups: the last (or mean) loss of each group, and whether or when it was
# seen.
_STATE = {"recent": ("group_last_loss", "group_recency"), "ema": ("group_loss_ema", "group_seen")}


class GroupDROLoss(GroupLoss):
    """Group distributionally robust optimisation, online (Algorithm 1 of Sagawa et al., ICLR 2020).

    Each training step, with `l_g` the mean loss of group g in the batch:

        q_g <- q_g * exp(step_size * (l_g + adjustment / sqrt(n_g))),  rescaled so that they sum to 1;
        loss = sum over groups in the batch of q_g * l_g.

    With every group in the batch this is exactly Algorithm 1. A group that the batch lacks has no l_g, and
    `absent` says what replaces it. By default it is the mean of the groups' last losses, weighted by q and by
    how recently each group was seen: a group's weight then moves relative to the others while it is present,
    and follows their mean while it is absent. So the weights tend to the minimax solution for batches with
    fewer samples than groups, and for batches of one; a rare group neither fades, as it would with a loss of
    0, nor keeps the weight that it had. Where only B of G groups are in a batch, the value is about B / G of
    the value with all; to log the whole, use `(group_weight * group_last_loss).sum()`.

    Only a forward pass in training mode with gradients on updates the weights: not eval mode, not
    `torch.no_grad`, and not a batch in which a group's loss is NaN or infinite. With gradient accumulation
    every forward pass updates them, so keep the loss out of regions that activation checkpointing runs twice.
    They are part of `state_dict`.

    Args:
        num_groups: groups of the cohort, G; or a `Groups`, or their names.
        base: per-sample or pooled loss; default `CrossEntropyLoss()`, as in the paper.
        step_size: how fast the weights follow the losses, above 0.
        adjustment: C of the generalisation adjustment, 0 or more; needs `group_counts`. It acts on the
            weights; the value is made of the losses themselves.
        group_counts: samples of each group in the training cohort, n_g, (G,); or name -> n_g.
        normalize_loss: divide the adjusted losses by their sum first (over the groups that are updated),
            which makes `step_size` independent of the size of the loss. For losses of 0 and more.
        absent: "recent", as above; "freeze" leaves the weight of an absent group as it is, so that groups
            which never meet in a batch are never compared; "ema" (deprecated: it oscillates) takes the
            running mean of the group's losses.
        memory: what a group's recency is multiplied by in each batch without it, 0 to 1.
        ema_decay: of the running mean of "ema": `ema <- decay * ema + (1 - decay) * loss`.
        **options: `group_weights`, `within_group`, `alpha`, `check` and `process_group`, as in `GroupLoss`.
            With `group_weights=group_weights(counts)` this is the paper's reweighting + Group DRO.

    Attributes:
        group_weight: q, float64 (G,), sums to 1; even at the start.
        group_last_loss: the last loss of each group, float64 (G,); 0 before it was seen. With "recent".
        group_recency: 1 for groups in the last batch, less the longer ago, 0 before they were seen.
        group_loss, group_count: as in `GroupLoss`.

    Raises:
        ValueError: an argument is not as described, or a group's loss is not finite.

    >>> logits = torch.tensor([[[2.0], [0.0]], [[0.0], [0.0]]], requires_grad=True)  # (B=2, C=2, 1 pixel)
    >>> loss = GroupDROLoss(num_groups=2, step_size=1.0)
    >>> value = loss(logits, torch.tensor([[0], [0]]), groups=torch.tensor([0, 1]))
    >>> loss.group_loss, loss.group_weight.float()
    (tensor([0.1269, 0.6931]), tensor([0.3621, 0.6379]))
    """

    group_counts: Tensor | None
    group_last_loss: Tensor | None
    group_recency: Tensor | None
    group_loss_ema: Tensor | None
    group_seen: Tensor | None

    def __init__(
        self,
        num_groups: NumGroups,
        base: Base | None = None,
        *,
        step_size: float = 0.01,
        adjustment: float = 0.0,
        group_counts: Counts | None = None,
        normalize_loss: bool = False,
        absent: Literal["recent", "freeze", "ema"] = "recent",
        memory: float = 0.97,
        ema_decay: float = 0.9,
        **options: Any,
    ) -> None:
        super().__init__(num_groups, base, **options)
        if not fits(step_size, lambda size: 0 < size < float("inf")):
            raise ValueError(f"step_size must be above 0, got {step_size}")
        if not fits(adjustment, lambda number: 0 <= number < float("inf")):
            raise ValueError(f"adjustment must be 0 or more, got {adjustment}")
        if adjustment and group_counts is None:
            raise ValueError("adjustment needs group_counts, the samples of each group in the cohort")
        if absent not in ("recent", "freeze", "ema"):
            raise ValueError(f'absent must be "recent", "freeze" or "ema", got {absent!r}')
        if absent == "ema":
            warnings.warn(
                'absent="ema" oscillates and goes in fairseg 0.3; the default, "recent", does not',
                DeprecationWarning,
                stacklevel=2,
            )
        if not 0 <= memory <= 1:
            raise ValueError(f"memory must lie between 0 and 1, got {memory}")
        if not 0 <= ema_decay < 1:
            raise ValueError(f"ema_decay must be 0 or more and below 1, got {ema_decay}")
        self.step_size, self.adjustment = float(step_size), float(adjustment)
        self.memory, self.ema_decay = float(memory), float(ema_decay)
        self.normalize_loss, self.absent = bool(normalize_loss), absent
        self._keep_positive("group_counts", group_counts, "group_counts")
        self._keep("group_weight", self.group_weight)
        for rule, names in _STATE.items():
            for name in names:
                self._keep(name, torch.zeros(self.num_groups) if absent == rule else None)

    def objective(self, loss: Tensor, count: Tensor) -> Tensor:
        """Update the weights, if this is a training step, and return the weighted sum."""
        present = count > 0
        is_step = self.training and torch.is_grad_enabled()
        with torch.no_grad():
            q = self.group_weight
            if is_step:
                q = self._next_weights(precise(loss.detach()), present)
            weight = keep_for_backward(torch.where(present, q, 0.0).to(loss.dtype))
        return (weight * loss).sum()

    def _next_weights(self, loss: Tensor, present: Tensor) -> Tensor:
        """Take one step of the algorithm, unless a loss is not finite, and return the weights."""
        is_finite = loss.isfinite().all()
        loss, updated = self._with_absent(loss, present, is_finite)
        loss = torch.where(updated, loss, 0.0)
        if self.normalize_loss:
            total = loss.sum()
            loss = loss / torch.where(total > 0, total, 1.0)
        before = self.group_weight
        # Relative to the largest loss, so that no exponential overflows; a common factor cancels.
        grown = before * torch.exp(self.step_size * (loss - torch.where(updated, loss, -torch.inf).amax()))
        scale = (before * updated).sum() / (grown * updated).sum()
        least = torch.finfo(before.dtype).tiny  # a weight of 0 could never grow again
        after = torch.where(is_finite & updated, (grown * scale).clamp(min=least), before)
        self.record("group_weight", after)
        return after

    def _with_absent(self, loss: Tensor, present: Tensor, is_finite: Tensor) -> tuple[Tensor, Tensor]:
        """Return the adjusted losses, with those of absent groups replaced, and which groups are updated."""
        added = 0.0 if self.group_counts is None else self.adjustment / self.group_counts.sqrt()
        if self.group_last_loss is not None and self.group_recency is not None:
            last = torch.where(present, loss, self.group_last_loss)
            recency = torch.where(present, 1.0, self.memory * self.group_recency)
            self.record("group_last_loss", torch.where(is_finite, last, self.group_last_loss))
            self.record("group_recency", torch.where(is_finite, recency, self.group_recency))
            share = self.group_weight * recency
            mean = (share * (last + added)).sum() / share.sum().clamp(min=torch.finfo(share.dtype).tiny)
            return torch.where(present, loss + added, mean), present.any() | present
        if self.group_loss_ema is not None and self.group_seen is not None:
            mixed = self.ema_decay * self.group_loss_ema + (1.0 - self.ema_decay) * loss
            ema = torch.where(present, torch.where(self.group_seen > 0, mixed, loss), self.group_loss_ema)
            group_seen = torch.maximum(self.group_seen, present.to(self.group_seen.dtype))
            self.record("group_loss_ema", torch.where(is_finite, ema, self.group_loss_ema))
            self.record("group_seen", torch.where(is_finite, group_seen, self.group_seen))
            return torch.where(present, loss, ema) + added, group_seen > 0
        return loss + added, present

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load a state of any rule for absent groups; older versions saved only the weights."""
        if prefix + "group_weight" in state_dict:
            saved = [[state_dict.pop(prefix + name, None) for name in names] for names in _STATE.values()]
            for position, name in enumerate(_STATE.get(self.absent, ())):
                # What the other rule has in this place is the nearest to it.
                values = [names[position] for names in saved if names[position] is not None]
                state_dict[prefix + name] = values[0] if values else torch.zeros_like(getattr(self, name))
        super()._load_from_state_dict(state_dict, prefix, *args)
