"""GroupLoss, the base of every group loss. An objective is a few lines on top of it; see docs/extend.md."""

import json
from collections.abc import Sequence
from functools import reduce
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from fairseg.cohort import Groups, as_groups
from fairseg.cohort.vectors import Vector
from fairseg.io.arguments import fits
from fairseg.losses.base import (
    Base,
    check_additive,
    check_base,
    check_declared,
    ignored_label,
    is_pooled,
    sample_losses,
    valid_pixels,
)
from fairseg.losses.counts import Counts, read_counts
from fairseg.losses.grouping import (
    NumGroups,
    batch_ids,
    check_group_ids,
    check_range,
    group_sums,
    is_captured,
    is_distributed,
    is_transformed,
    plain,
    sum_over_ranks,
    to_device,
)
from fairseg.losses.per_sample import CrossEntropyLoss
from fairseg.losses.within_group import cvar_weights, cvar_weights_over_ranks


class _Shield(torch.autograd.Function):
    """Passes on its input, and the gradient of samples of known group."""

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


class GroupLoss(nn.Module):
    """A scalar made of the losses of the groups in a batch: `loss(logits, target, groups)`.

    Subclasses say how, by one of two methods: `weights` for a weighted sum of the groups' losses, or
    `objective` for anything else. They see one loss a group, and never the samples.

    In all of them, samples of group -1, and samples with nothing but ignored pixels, are left out of values,
    counts and gradients; absent groups have no part in value or gradient; a batch without any known sample
    gives 0 with a gradient of 0; reductions are in float32 at least; no shape and no branch depends on the
    data, so nothing waits for a GPU, and `torch.compile` makes one graph. In a training step under
    torch.distributed, sums and counts run over all ranks: with DistributedDataParallel, the gradient is that
    of one process with all samples. In eval mode, and without gradients, each rank works alone. Under
    torch.func (`grad`, `jvp`, `vmap`) a loss is a pure function: it writes neither weights nor logged values.

    Args:
        num_groups: groups of the cohort, G, not of the batch; or the groups: a `Groups`, or their names.
        base: per-sample loss, `base(logits, target) -> (B,)`, or `(B, ...)`, which is averaged per
            sample; or a pooled one such as `DiceCELoss(pool="group")`. Default: `CrossEntropyLoss`.
        group_weights: factors for the groups' losses, (G,), such as `group_weights(counts)`; or name ->
            factor.
        within_group: the loss of a group: the "mean" of its samples' losses, or "cvar", the mean of the
            worst fraction `alpha` of them in the batch: the loss of FairDRO (Tian et al. 2026). Not of a
            pooled base. On a GPU under torch.distributed, "cvar" needs batches of one size on all ranks.
        alpha: that fraction, above 0 and at most 1.
        check: look for ids out of range and for losses that are not finite, and raise. By default on the
            CPU, and elsewhere at the first batch, because it makes a GPU wait. Never under torch.compile,
            torch.func or in a CUDA graph.
        process_group: the ranks to sum over; default: all.

    Attributes:
        names: the names of the groups, (G,), if they were given; else `None`.
        group_loss: loss of each group in the last batch, float (G,); NaN for those absent. Detached.
        group_count: how many samples of each group it had, (G,).
        group_weight: weight of each group in the last loss, (G,): its derivative by that group's loss
            (times `group_weights`, if there are any).

    Raises:
        NonAdditiveLossError: the base reduces over the batch.
        ValueError: group ids are not as described, or a group's loss is not finite; the message names it.
    """

    group_loss: Tensor
    group_count: Tensor
    group_weight: Tensor
    group_factor: Tensor | None

    def __init__(
        self,
        num_groups: NumGroups,
        base: Base | None = None,
        *,
        group_weights: Counts | None = None,
        within_group: Literal["mean", "cvar"] = "mean",
        alpha: float | None = None,
        check: bool | None = None,
        process_group: dist.ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        groups = as_groups(num_groups)
        assert groups is not None
        self._groups = groups if isinstance(groups, Groups) else None
        self.names = groups.names if isinstance(groups, Groups) else None
        self.num_groups = number = len(groups) if isinstance(groups, Groups) else groups
        self.check, self.process_group = check, process_group
        self._is_first = True  # batch
        self.base: Base = CrossEntropyLoss() if base is None else base
        check_base(self.base)
        self.within_group = within_group
        self.worst_share = _check_within(within_group, alpha, pooled=is_pooled(self.base))
        self._ignored = ignored_label(self.base)
        self._trusted = type(self.base).__module__.startswith("fairseg.losses.")
        self._keep_positive("group_factor", group_weights, "group_weights", whole=False)
        self._log("group_loss", torch.full((number,), torch.nan))
        self._log("group_count", torch.zeros(number))
        self._log("group_weight", torch.full((number,), 1.0 / number, dtype=torch.float64))

    def forward(self, logits: Tensor, target: Tensor, groups: Tensor | Vector = None) -> Tensor:
        """Return the loss of a batch.

        Args:
            logits: float (B, C, *S).
            target: what the base takes; for ours, integer or whole floats, (B, *S) or (B, 1, *S).
            groups: group ids, integer (B,), on the device of the logits; -1 is unknown. Or a list, array or
                Series of ids, or of names if the loss was made with names.

        MONAI's MetaTensors are taken as the tensors that they hold.
        """
        return self.combine(*self.group_losses(plain(logits), plain(target), groups))

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
                raise ValueError(
                    f"weights must return one weight a group, {tuple(loss.shape)}, got {tuple(weight.shape)}"
                )
            self.record("group_weight", weight)
        return (weight * loss).sum()

    def group_losses(self, logits: Tensor, target: Tensor, groups: Tensor | Vector) -> tuple[Tensor, Tensor]:
        """Return the loss and the number of samples of each group, (G,) and (G,), over all ranks."""
        ids = self.annotated_ids(self.group_ids(groups, logits), logits, target)
        if is_pooled(self.base):
            logits = self.shielded(logits, ids)
            sums, count = self.sum_by_group(self.base.statistics(logits, target), ids)  # type: ignore[attr-defined]
            loss: Tensor = self.base.from_statistics(sums)  # type: ignore[attr-defined]
            return torch.where(count > 0, loss, torch.zeros_like(loss)), count
        return self._reduce(self._each(self.shielded(logits, ids), target), ids)

    def combine(self, loss: Tensor, count: Tensor) -> Tensor:
        """Return the scalar made of the groups' losses; keeps them for logging, and checks them."""
        self._note(loss, count)
        if not torch.compiler.is_compiling():
            self._is_first = False
        if self.group_factor is not None:
            loss = loss * self.group_factor.to(loss.dtype)
        return self.objective(loss, count)

    def forward_scales(
        self,
        outputs: Sequence[Tensor],
        targets: Sequence[Tensor],
        groups: Tensor | Vector,
        weights: Sequence[float],
    ) -> Tensor:
        """Return the loss of outputs at several scales: one objective of the weighted sum of their losses.

        A sample (of a pooled base: a group) that has no annotated pixel at a scale has its loss from the
        other scales.
        """
        outputs, targets = [plain(output) for output in outputs], [plain(target) for target in targets]
        ids = self.group_ids(groups, outputs[0])
        losses, present = [], []
        for output, target in zip(outputs, targets, strict=True):
            if is_pooled(self.base):
                loss, count = self.group_losses(output, target, ids)
                present.append(count)
            else:
                at_scale = self.annotated_ids(ids, output, target)
                loss = self._each(self.shielded(output, at_scale), target)
                present.append((at_scale >= 0).to(loss.dtype))
            losses.append(torch.where(present[-1] > 0, loss, 0.0))
        counted = [weight * (count > 0) for weight, count in zip(weights, present, strict=True)]
        total = sum(weight * loss for weight, loss in zip(weights, losses, strict=True))
        scale = reduce(torch.add, counted).clamp(min=min(weights))
        joint = total * (reduce(torch.add, [torch.full_like(scale, weight) for weight in weights]) / scale)
        most = reduce(torch.maximum, present)
        if is_pooled(self.base):
            return self.combine(joint, most)
        return self.combine(*self._reduce(joint, torch.where(most > 0, ids, -1)))

    def group_ids(self, groups: Tensor | Vector, logits: Any) -> Tensor:
        """Return the groups of a batch as ids on the device of the logits, (B,), and check them."""
        value: Any = logits
        if not isinstance(value, Tensor):
            raise ValueError(
                f"logits must be a tensor, got {type(value).__name__}: fairseg.losses.DeepSupervision takes "
                "the outputs of several scales"
            )
        groups = batch_ids(groups, self._groups, logits.device)
        check_group_ids(groups, logits.shape[0], self.num_groups, logits.device)
        if logits.device.type != "cpu" and self._checks(logits):
            check_range(groups, self.num_groups)
        return groups

    def annotated_ids(self, ids: Tensor, logits: Tensor, target: Tensor) -> Tensor:
        """Return the ids (B,), -1 for samples in which the base ignores every pixel."""
        if self._ignored is None or target.ndim < 1 or target.shape[0] != ids.shape[0]:
            return ids
        valid = valid_pixels(target, logits, self._ignored)
        return torch.where(valid.flatten(1).any(dim=1) if valid.ndim > 1 else valid, ids, -1)

    def shielded(self, logits: Tensor, ids: Tensor) -> Tensor:
        """Return logits through which no gradient reaches samples of id -1, not even NaN."""
        if torch.compiler.is_compiling() or is_transformed(logits) or is_transformed(ids):
            return torch.where(_as_rows(ids >= 0, logits), logits, 0.0)  # compiled, this copy is fused away
        if logits.device.type == "cpu" and bool((ids >= 0).all()):
            return logits
        shielded: Tensor = _Shield.apply(logits, ids)  # type: ignore[no-untyped-call]
        return shielded

    def record(self, name: str, value: Tensor) -> None:
        """Write into a buffer, detached; under torch.func it stays as it is."""
        if not is_transformed(value):
            getattr(self, name).copy_(value.detach())

    def sum_by_group(self, values: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Sum values (B, K) within each group, over all ranks in a training step: (G, K); and counts (G,)."""
        sums, count = group_sums(values, groups, self.num_groups)
        if not self._is_joint_step():
            return sums, count
        joint = sum_over_ranks(torch.cat([sums, count.unsqueeze(1)], dim=1), self.process_group)
        return joint[:, :-1], joint[:, -1].detach()

    def name_of(self, group: int) -> str:
        """Return the name of a group in errors: its number if no names were given."""
        return str(group) if self.names is None else self.names[group]

    def extra_repr(self) -> str:
        """Show the options."""
        options = {name: value for name, value in vars(self).items() if isinstance(value, int | float | str)}
        shown = (name for name in options if not name.startswith("_") and name != "training")
        return ", ".join(f"{name}={options[name]}" for name in shown)

    def _reduce(self, each: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the groups' losses (G,) and counts (G,) from the samples' losses (B,)."""
        sums, count = self.sum_by_group(self.within(each, ids).unsqueeze(1), ids)
        return sums.squeeze(1) / count.clamp(min=1.0), count

    def within(self, each: Tensor, ids: Tensor) -> Tensor:
        """Return the samples' losses (B,) weighed so that their mean in a group is the group's loss."""
        if self.worst_share is None:
            return each
        if self._is_joint_step():
            uneven = self._checks(each)
            weight = cvar_weights_over_ranks(each, ids, self.worst_share, self.process_group, uneven=uneven)
        else:
            weight = cvar_weights(each, ids, self.worst_share)
        return torch.where(weight > 0, weight * each, 0.0)

    def _is_joint_step(self) -> bool:
        return self.training and torch.is_grad_enabled() and is_distributed()

    @torch.no_grad()
    def _note(self, loss: Tensor, count: Tensor) -> None:
        """Keep the groups' losses for logging, and raise if one is not finite."""
        self.record("group_loss", torch.where(count > 0, loss, torch.nan))
        self.record("group_count", count)
        if self._checks(loss):
            for group, value in enumerate(loss.tolist()):
                if not -float("inf") < value < float("inf"):
                    name = self.name_of(group)
                    raise ValueError(f"the loss of group {name} is {value}, which is not finite")

    def _each(self, logits: Tensor, target: Tensor) -> Tensor:
        if not self._trusted:
            check_declared(self.base)
        value = sample_losses(self.base, logits, target, self._ignored)
        if not self._trusted and logits.shape[0] > 1 and self._checks(value):
            check_additive(self.base, logits, target)
            self._trusted = True
        return value

    def _checks(self, on: Tensor) -> bool:
        if torch.compiler.is_compiling() or is_transformed(on):
            return False
        if self.check is not None:
            return self.check
        return on.device.type == "cpu" or (self._is_first and not is_captured(on))

    def _keep_positive(self, name: str, values: Counts | None, argument: str, *, whole: bool = True) -> None:
        """Register an optional argument that is a positive number for each group: a count if `whole`."""
        checked = None if values is None else read_counts(values, self._groups, argument, whole=whole)[1]
        if checked is not None and checked.shape != (self.num_groups,):
            raise ValueError(
                f"{argument} must have one entry a group, {self.num_groups}, got {checked.numel()}"
            )
        self._keep(name, checked)

    def _keep(self, name: str, value: Tensor | None) -> None:
        """Register a value of state_dict, which must keep its precision, with the names of the groups."""
        self.register_buffer(name, None if value is None else value.to(torch.float64))
        if value is not None and self.names is not None:
            self.register_buffer("group_names", _encode(self.names))

    def _log(self, name: str, value: Tensor) -> None:
        """Register a value that is only for logging."""
        self.register_buffer(name, value, persistent=False)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move to a device; but `half()` and the like do not touch the state, which would lose updates."""
        before = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        for name in before:
            self._buffers[name] = None
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            device = fn(torch.empty(0, device=buffer.device)).device
            self._buffers[name] = to_device(buffer, device)
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        self._check_names(state_dict, prefix)
        weight = state_dict.get(prefix + "group_weight")
        if weight is not None and not bool(weight.isfinite().all()):
            raise ValueError(f"the state has group weights that are not finite: {weight.tolist()}")
        for name in ("group_counts", "group_factor"):
            expected, saved = getattr(self, name, None), state_dict.get(prefix + name)
            if expected is not None and saved is not None and not _equal(expected, saved):
                raise ValueError(
                    f"the state is of another cohort: its {name} are {saved.tolist()},"
                    f" here they are {expected.tolist()}"
                )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_names(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Raise if a state is of other groups, or of these in another order; one without names passes."""
        expected, saved = getattr(self, "group_names", None), state_dict.pop(prefix + "group_names", None)
        if expected is None:
            return
        state_dict[prefix + "group_names"] = expected
        if saved is not None and _decode(saved) != _decode(expected):
            raise ValueError(
                f"the state is of the groups {', '.join(_decode(saved))} in this order, here they are"
                f" {', '.join(_decode(expected))}"
            )


def _encode(names: Sequence[str]) -> Tensor:
    """Return names as bytes, uint8, since code that saves a state may take only tensors."""
    return torch.tensor(list(json.dumps(list(names)).encode()), dtype=torch.uint8)


def _decode(names: Tensor) -> list[str]:
    decoded: list[str] = json.loads(bytes(names.to(torch.uint8).tolist()))
    return decoded


def _check_within(within_group: str, alpha: float | None, *, pooled: bool) -> float | None:
    """Return the share of a group's samples that counts; `None` if all do."""
    if within_group not in ("mean", "cvar"):
        raise ValueError(f'within_group must be "mean" or "cvar", got {within_group!r}')
    if within_group == "mean":
        if alpha is not None:
            raise ValueError(f'alpha is the share of within_group="cvar", got {alpha} with "mean"')
        return None
    if alpha is None or not fits(alpha, lambda share: 0 < share <= 1):
        raise ValueError(f'within_group="cvar" needs alpha above 0 and at most 1, got {alpha}')
    if pooled:
        raise ValueError('within_group="cvar" needs a base with a loss of each sample, got a pooled one')
    return float(alpha)


def _equal(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and bool(torch.allclose(first.cpu().double(), second.cpu().double()))
