"""From one value a sample to one value a group: on this process, or over all of torch.distributed."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from fairseg.cohort import Groups, as_groups, as_ids
from fairseg.cohort.vectors import Vector

_NO_GROUPS = (
    "groups must be given, one a sample: loss(logits, target, groups). An engine that calls it with two: "
    "MONAI's takes loss_function=GroupLossFunction(loss) and prepare_batch=PrepareGroupBatch(loss_function), "
    "of fairseg.integrations.monai; Hugging Face's the GroupTrainerMixin of "
    "fairseg.integrations.huggingface; in Lightning call it in training_step, with batch['group']"
)
NumGroups = int | Groups | Sequence[str]


class NonAdditiveLossError(ValueError):
    """The base loss can not be split by group: its value is not made of one value for each sample.

    The mean over a group's samples is then not the group's loss, and group weights would act on numbers
    that mix the groups (section 4.5 of Lee et al. 2025). Use a base that returns one value for each
    sample (`reduction="none"`), or Dice pooled inside each group: `DiceCELoss(pool="group")`.
    """


def group_mean(values: Tensor, groups: Tensor | Vector, num_groups: NumGroups) -> tuple[Tensor, Tensor]:
    """Average values within each group; differentiable.

    Args:
        values: one value a sample, (B,).
        groups: group ids, integer (B,); -1 is left out. Or names, if `num_groups` has them.
        num_groups: groups of the cohort, G; or a `Groups`, or their names.

    Returns:
        The means (G,), 0 for a group that is absent, and the counts (G,), of the type of the means, which
        is float32 at least. Mask with `counts > 0`: the 0 of an absent group is no loss of 0.

    Raises:
        ValueError: shapes, types or (on the CPU) ids are not as described.

    >>> group_mean(torch.tensor([1.0, 3.0, 5.0, 9.0]), torch.tensor([0, 0, 2, -1]), 3)
    (tensor([2., 0., 5.]), tensor([2., 0., 1.]))
    """
    cohort = as_groups(num_groups)
    number = len(cohort) if isinstance(cohort, Groups) else num_groups
    assert isinstance(number, int)
    ids = batch_ids(groups, cohort if isinstance(cohort, Groups) else None, values.device)
    check_group_ids(ids, values.shape[0] if values.ndim else 0, number, values.device)
    if values.ndim != 1:
        raise ValueError(f"values must be a vector, one a sample, got shape {tuple(values.shape)}")
    values = values if values.is_floating_point() else values.to(torch.get_default_dtype())
    sums, counts = group_sums(values.unsqueeze(1), ids, number)
    return sums.squeeze(1) / counts.clamp(min=1.0), counts


def group_sums(values: Tensor, groups: Tensor, num_groups: int) -> tuple[Tensor, Tensor]:
    """Sum values (B, K) within each group, (G, K), and count samples (G,); in float32 at least.

    A fixed number of groups and a mask: no size depends on the data, so nothing waits for a GPU. `where`
    rather than a product, so that a NaN stays in its group.
    """
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    member = groups == torch.arange(num_groups, device=groups.device).unsqueeze(1)  # (G, B)
    sums = torch.where(member.unsqueeze(2), values, 0.0).sum(dim=1)
    return sums, member.sum(dim=1, dtype=values.dtype)


def is_distributed() -> bool:
    """Whether torch.distributed is initialised."""
    return dist.is_available() and dist.is_initialized()


def sum_over_ranks(values: Tensor, process_group: dist.ProcessGroup | None = None) -> Tensor:
    """Sum a tensor over the ranks; the gradient is that of the sum under DistributedDataParallel.

    DDP averages gradients over ranks, so each rank's part is multiplied by the number of ranks. All
    ranks make the same scalar from the result, hence the same gradient: none has to be sent.
    """
    world = dist.get_world_size(process_group)
    total = values.detach().clone()
    dist.all_reduce(total, group=process_group)
    return total + world * (values - values.detach())


@torch.library.custom_op("fairseg::keep", mutates_args=())
def _keep(values: Tensor) -> Tensor:
    return values.clone()


@_keep.register_fake
def _(values: Tensor) -> Tensor:
    return torch.empty_like(values)


def is_transformed(values: Tensor) -> bool:
    """Whether a tensor is traced by torch.func (grad, jvp, vmap), where nothing outside may be written to."""
    if torch.compiler.is_compiling():
        return False
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(values))


def is_captured(values: Tensor) -> bool:
    """Whether work on a tensor's device is recorded for a CUDA graph, in which nothing may wait."""
    return values.device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def keep_for_backward(values: Tensor) -> Tensor:
    """Return values that torch.compile keeps for the backward pass.

    It may otherwise compute them again there, from buffers that the forward pass has changed by then, and
    silently give a wrong gradient (seen with torch 2.13). It keeps the results of operators it does not know.
    """
    return _keep(values) if torch.compiler.is_compiling() else values


def plain(tensor: Tensor) -> Tensor:
    """Return a MetaTensor of MONAI as the tensor that it holds, and any other tensor as it is."""
    # The kind first: torch.compile of 2.4 cannot ask a tensor for its attributes.
    if type(tensor) is Tensor or not hasattr(tensor, "as_tensor"):
        return tensor
    held_tensor: Tensor = tensor.as_tensor()
    return held_tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return values on a device, float64 as float32 if the device has no float64 (Apple's MPS)."""
    values = values.float() if device.type == "mps" and values.dtype == torch.float64 else values
    return values.to(device)


def precise(values: Tensor) -> Tensor:
    """Return float64, or float32 on a device without float64 (Apple's MPS)."""
    return values.float() if values.device.type == "mps" else values.double()


def batch_ids(groups: Tensor | Vector, known: Groups | None, device: torch.device) -> Tensor:
    """Return the groups of a batch as a tensor: a tensor as it is; other ids, or names, on `device`.

    Raises:
        ValueError: `groups` is None; it has names, and no groups are known (the batch may not have all of
            them), or a name is none of theirs: leaving a sample out by mistake would turn the mitigation off.
    """
    if isinstance(groups, Tensor):
        return plain(groups)
    if groups is None:
        raise ValueError(_NO_GROUPS)
    ids = as_ids(groups, known, strict=True)
    if ids.names is not None and known is None:
        raise ValueError(
            "groups are names, which are not known here: give the groups of the cohort, such as"
            " fairseg.Groups.from_values(...), in place of their number"
        )
    return torch.from_numpy(ids.ids).to(device)


def check_group_ids(groups: Tensor, batch_size: int, num_groups: int, device: torch.device) -> None:
    """Raise a ValueError unless `groups` are ids of a batch; their range is looked at on the CPU only."""
    if groups.is_floating_point() or groups.is_complex() or groups.dtype == torch.bool:
        raise ValueError(f"groups must be integer ids, got {groups.dtype}")
    if groups.shape != (batch_size,):
        raise ValueError(
            f"groups must have one id a sample, shape ({batch_size},), got {tuple(groups.shape)}"
        )
    if groups.device != device:
        raise ValueError(f"groups must be on the device of the logits, {device}, got {groups.device}")
    if groups.device.type == "cpu" and not torch.compiler.is_compiling() and not is_transformed(groups):
        check_range(groups, num_groups)


def check_range(groups: Tensor, num_groups: int) -> None:
    """Raise a ValueError unless all ids lie between -1 and G - 1; waits for a GPU."""
    if not groups.numel():
        return
    low, high = (int(end) for end in groups.long().aminmax())
    if low < -1 or high >= num_groups:
        wrong = low if low < -1 else high
        raise ValueError(f"groups must lie between -1 and {num_groups - 1}, got {wrong}")
