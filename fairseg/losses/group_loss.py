"""GroupLoss: what every group loss shares. An objective is a few lines on top of it; see docs/extend.md."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from fairseg.losses.grouping import (
    NonAdditiveLossError,
    check_counts,
    check_group_ids,
    check_range,
    group_sums,
    is_distributed,
    sum_over_ranks,
)
from fairseg.losses.per_sample import CrossEntropyLoss, each_mean

Base = Callable[[Tensor, Tensor], Tensor]


class _Shield(torch.autograd.Function):
    """Passes on its input, and of the gradient what belongs to samples of known group."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, groups: Tensor) -> Tensor:
        ctx.save_for_backward(groups)
        return logits.view_as(logits)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (groups,) = ctx.saved_tensors
        return torch.where(_as_rows(groups >= 0, gradient), gradient, 0.0), None


def _as_rows(vector: Tensor, like: Tensor) -> Tensor:
    """Return (B,) as (B, 1, ...), with as many axes as `like`."""
    return vector.reshape(-1, *[1] * (like.ndim - 1))


def _shield(logits: Tensor, groups: Tensor) -> Tensor:
    shielded: Tensor = _Shield.apply(logits, groups)  # type: ignore[no-untyped-call]
    return shielded


class GroupLoss(nn.Module):
    """A scalar made of the losses of the groups in a batch: `loss(logits, target, groups)`.

    Subclasses say how, by one of two methods: `weights` for a weighted sum of the groups' losses, or
    `objective` for anything else. They see one loss a group, and never the samples.

    What holds for all of them: samples of group -1 are left out; absent groups have no part in value or
    gradient; a batch of unknown samples only gives 0 with a gradient of 0; reductions are in float32 at
    least; nothing depends on the data but numbers, so nothing waits for a GPU, and `torch.compile`
    makes one graph. In a training step under torch.distributed, sums and counts run over all ranks: with
    DistributedDataParallel, the gradient is that of one process with all samples. In eval mode, and without
    gradients, each rank stands alone.

    Args:
        num_groups: groups of the cohort, G; not of the batch.
        base: per-sample loss, `base(logits, target) -> (B,)`, or `(B, ...)`, which is averaged per
            sample; or a pooled one such as `DiceCELoss(pool="group")`. Default: `CrossEntropyLoss`.
        group_weights: factors for the groups' losses, (G,), such as `group_weights(counts)`.
        check: look for ids out of range and for losses that are not finite, and raise. By default on the
            CPU only, because it makes a GPU wait. Never under torch.compile.
        process_group: the ranks to sum over; default: all.

    Attributes:
        group_loss: loss of each group in the last batch, float (G,); NaN for those absent. Detached.
        group_count: how many samples of each group it had, (G,).
        group_weight: weight of each group in the last loss, (G,): its derivative by that group's loss
            (times `group_weights`, if there are any).

    Raises:
        NonAdditiveLossError: the base reduces over the batch.
        ValueError: group ids are not as said, or a group's loss is not finite; the message names it.
    """

    group_loss: Tensor
    group_count: Tensor
    group_weight: Tensor
    group_factor: Tensor | None

    def __init__(
        self,
        num_groups: int,
        base: Base | None = None,
        *,
        group_weights: Sequence[float] | Tensor | None = None,
        check: bool | None = None,
        process_group: dist.ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        self.num_groups = num_groups = _check_number(num_groups)
        self.check, self.process_group = check, process_group
        self.base: Base = CrossEntropyLoss() if base is None else base
        _check_base(self.base)
        self._trusted = type(self.base).__module__.startswith("fairseg.losses.")
        self._keep_positive("group_factor", group_weights, "group_weights")
        self._log("group_loss", torch.full((num_groups,), torch.nan))
        self._log("group_count", torch.zeros(num_groups))
        self._log("group_weight", torch.full((num_groups,), 1.0 / num_groups, dtype=torch.float64))

    def forward(self, logits: Tensor, target: Tensor, groups: Tensor) -> Tensor:
        """Return the loss of a batch.

        Args:
            logits: float (B, C, *S).
            target: what the base takes; for ours, integer (B, *S) or (B, 1, *S).
            groups: group ids, integer (B,), on the device of the logits; -1 is unknown.
        """
        return self.combine(*self.group_losses(logits, target, groups))

    def weights(self, loss: Tensor, count: Tensor) -> Tensor:
        """Return the weights of the groups in the sum that is the loss, (G,); 0 for absent groups.

        Called without gradients. `loss` (G,) is detached and 0 for absent groups, `count` (G,) says how
        many samples each group has.
        """
        raise NotImplementedError(f"{type(self).__name__} must define weights or objective")

    def objective(self, loss: Tensor, count: Tensor) -> Tensor:
        """Return a scalar made of the groups' losses (G,), which are 0 where `count` (G,) is 0.

        One that keeps state updates it here, if `self.training and torch.is_grad_enabled()`.
        """
        with torch.no_grad():
            weight = self.weights(loss.detach(), count).to(loss.dtype)
            if weight.shape != loss.shape:
                shapes = f"{tuple(loss.shape)}, got {tuple(weight.shape)}"
                raise ValueError(f"weights must return one weight a group, {shapes}")
            self.group_weight.copy_(weight)
        return (weight * loss).sum()

    def group_losses(self, logits: Tensor, target: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the number of samples of each group, (G,) and (G,), over all ranks."""
        logits = self._known(logits, groups)
        if getattr(self.base, "pool", "sample") == "group":
            sums, count = self.sum_by_group(self.base.statistics(logits, target), groups)  # type: ignore[attr-defined]
            loss: Tensor = self.base.from_statistics(sums)  # type: ignore[attr-defined]
            return torch.where(count > 0, loss, torch.zeros_like(loss)), count
        sums, count = self.sum_by_group(self._each(logits, target).unsqueeze(1), groups)
        return sums.squeeze(1) / count.clamp(min=1.0), count

    def combine(self, loss: Tensor, count: Tensor) -> Tensor:
        """Return the scalar made of the groups' losses; keeps them for logging, and checks them."""
        self._note(loss, count)
        if self.group_factor is not None:
            loss = loss * self.group_factor.to(loss.dtype)
        return self.objective(loss, count)

    def forward_scales(
        self, outputs: Sequence[Tensor], targets: Sequence[Tensor], groups: Tensor, weights: Sequence[float]
    ) -> Tensor:
        """Return the loss of outputs at several scales: one objective of the weighted sum of their losses."""
        pairs = [
            self.group_losses(output, target, groups) for output, target in zip(outputs, targets, strict=True)
        ]
        total = torch.stack([weight * loss for weight, (loss, _) in zip(weights, pairs, strict=True)]).sum(0)
        return self.combine(total, pairs[0][1])

    def sum_by_group(self, values: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Sum values (B, K) within each group, over all ranks in a training step: (G, K); and counts (G,)."""
        sums, count = group_sums(values, groups, self.num_groups)
        if not (self.training and torch.is_grad_enabled() and is_distributed()):
            return sums, count
        joint = sum_over_ranks(torch.cat([sums, count.unsqueeze(1)], dim=1), self.process_group)
        return joint[:, :-1], joint[:, -1].detach()

    def extra_repr(self) -> str:
        """Show the options."""
        shown = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        kinds = (int, float, str)
        return ", ".join(f"{n}={v}" for n, v in shown.items() if isinstance(v, kinds) and n != "training")

    def _known(self, logits: Tensor, groups: Tensor) -> Tensor:
        """Check the groups; return logits through which no gradient reaches unknown samples, not even NaN."""
        check_group_ids(groups, logits.shape[0], self.num_groups, logits.device)
        if torch.compiler.is_compiling():  # there, what this copies is fused away
            return torch.where(_as_rows(groups >= 0, logits), logits, 0.0)
        if self.check and logits.device.type != "cpu":
            check_range(groups, self.num_groups)
        if logits.device.type == "cpu" and bool((groups >= 0).all()):
            return logits
        return _shield(logits, groups)

    @torch.no_grad()
    def _note(self, loss: Tensor, count: Tensor) -> None:
        """Keep the groups' losses for logging, and raise if one is not finite."""
        self.group_loss.copy_(torch.where(count > 0, loss, torch.nan))
        self.group_count.copy_(count)
        if self._checks(loss):
            for group, value in enumerate(loss.tolist()):
                if not -float("inf") < value < float("inf"):
                    raise ValueError(f"the loss of group {group} is {value}, which is not finite")

    def _each(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the base's loss of each sample, (B,)."""
        if not self._trusted:
            _check_declared(self.base)
        value = self.base(logits, target)
        batch_size = logits.shape[0]
        if value.ndim == 0 or value.shape[0] != batch_size:
            raise NonAdditiveLossError(
                f"the base loss must return one value a sample, shape ({batch_size}, ...), got"
                f" {tuple(value.shape)}: a loss that reduces over the batch can not be split by group."
                f" {_WAY_OUT}"
            )
        if value.dtype in (torch.float16, torch.bfloat16):
            value = value.float()
        value = each_mean(value)
        if not self._trusted and batch_size > 1 and self._checks(value):
            self._check_additive(logits, target)
        return value

    @torch.no_grad()
    def _check_additive(self, logits: Tensor, target: Tensor) -> None:
        """Compare, once, a sample's loss in a batch with the loss that it has alone."""
        generator = torch.Generator(logits.device).manual_seed(0)
        noise = torch.randn(logits.shape, generator=generator, device=logits.device)
        logits = logits + 2.0 * noise.to(logits.dtype)  # samples that are alike would hide it
        batch, again = (each_mean(self.base(logits, target).float()) for _ in range(2))
        alone = self.base(logits[:1], target[:1]).float().mean()
        steady = torch.equal(batch, again)  # else the base is random, and nothing can be told
        if steady and not torch.isclose(alone, batch[0], rtol=1e-2, atol=1e-4, equal_nan=True):
            raise NonAdditiveLossError(
                f"the base loss gives a sample {float(batch[0]):g} in a batch and {float(alone):g}"
                f" alone: it mixes samples, and can not be split by group. {_WAY_OUT}"
            )
        self._trusted = True

    def _checks(self, on: Tensor) -> bool:
        if torch.compiler.is_compiling():
            return False
        return on.device.type == "cpu" if self.check is None else self.check

    def _keep_positive(self, name: str, values: Sequence[float] | Tensor | None, argument: str) -> None:
        """Register an optional argument that is a positive number for each group."""
        checked = None if values is None else check_counts(values, argument)
        if checked is not None and checked.shape != (self.num_groups,):
            said = f"{self.num_groups}, got {checked.numel()}"
            raise ValueError(f"{argument} must have one entry a group, {said}")
        self._keep(name, checked)

    def _keep(self, name: str, value: Tensor | None) -> None:
        """Register state that goes into state_dict and must keep its precision."""
        self.register_buffer(name, None if value is None else value.to(torch.float64))

    def _log(self, name: str, value: Tensor) -> None:
        """Register what is only looked at."""
        self.register_buffer(name, value, persistent=False)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move to a device; but `half()` and the like do not touch the state, which would lose updates."""
        before = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        for name in before:
            self._buffers[name] = None
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            device = fn(torch.empty(0, device=buffer.device)).device
            precise = buffer.float() if device.type == "mps" and buffer.dtype == torch.float64 else buffer
            self._buffers[name] = precise.to(device)
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        weight = state_dict.get(prefix + "group_weight")
        if weight is not None and not bool(weight.isfinite().all()):
            raise ValueError(f"the state has group weights that are not finite: {weight.tolist()}")
        for name in ("group_counts", "group_factor"):
            mine, theirs = getattr(self, name, None), state_dict.get(prefix + name)
            if mine is not None and theirs is not None and not _same(mine, theirs):
                raise ValueError(
                    f"the state is of another cohort: its {name} are {theirs.tolist()},"
                    f" here they are {mine.tolist()}"
                )
        super()._load_from_state_dict(state_dict, prefix, *args)


_WAY_OUT = (
    'Use reduction="none" and no batch Dice, or Dice pooled inside each group:'
    ' fairseg.losses.DiceCELoss(pool="group").'
)


def _check_number(num_groups: object) -> int:
    if isinstance(num_groups, bool) or not isinstance(num_groups, Integral) or int(num_groups) < 1:
        raise ValueError(f"num_groups must be an integer of at least 1, got {num_groups!r}")
    return int(num_groups)


def _same(mine: Tensor, theirs: Tensor) -> bool:
    return mine.shape == theirs.shape and bool(torch.allclose(mine.cpu().double(), theirs.cpu().double()))


def _check_base(base: Base) -> None:
    """Refuse what is no loss of samples at all."""
    if not callable(base) or isinstance(base, type):
        raise ValueError(f"base must be a loss, called with logits and target, got {base!r}")
    if isinstance(base, GroupLoss):
        raise ValueError("base must be a loss of samples, got a group loss")


def _check_declared(base: Base) -> None:
    """Refuse what says of itself that it reduces over the batch; the rest shows in what it returns."""
    name, reduction = type(base).__name__, getattr(base, "reduction", "none")
    # Of torch's losses only: MONAI's DiceFocalLoss says "mean" whatever it does.
    if type(base).__module__.startswith("torch.nn.") and reduction != "none":
        raise NonAdditiveLossError(
            f'{name} has reduction="{reduction}" and can not be split by group. {_WAY_OUT}'
        )
    parts = [base, *(base.modules() if isinstance(base, nn.Module) else ())]
    if any(getattr(part, flag, False) is True for part in parts for flag in ("batch", "batch_dice")):
        raise NonAdditiveLossError(
            f"{name} computes Dice over the batch and can not be split by group. {_WAY_OUT}"
        )
