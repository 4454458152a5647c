"""CVaR within a group: the mean loss of the group's worst samples instead of all of them."""

import torch
import torch.distributed as dist
from torch import Tensor


def cvar_weights(values: Tensor, groups: Tensor, alpha: float) -> Tensor:
    """Return weights under which a group's mean is the mean of the worst fraction `alpha` of its samples.

    Of n samples, the worst `alpha * n` count, the last of them in part; at `alpha * n <= 1` only the worst
    counts. Samples with the same loss share the weight that remains. The weights of a group sum to n.

    Args:
        values: the loss of each sample, (B,).
        groups: group ids, (B,); samples of -1 get weights too, which are not used.
        alpha: above 0 and at most 1.

    Returns:
        Weights (B,), without a gradient: the derivative of CVaR is the mean's, over the samples that count.

    >>> cvar_weights(torch.tensor([4.0, 1.0, 3.0, 2.0]), torch.tensor([0, 0, 0, 0]), alpha=0.375)
    tensor([2.6667, 0.0000, 1.3333, 0.0000])
    """
    return _weights(values.detach(), groups, values.detach(), groups, alpha)


def cvar_weights_over_ranks(
    values: Tensor, groups: Tensor, alpha: float, process_group: dist.ProcessGroup | None, *, uneven: bool
) -> Tensor:
    """Return the same for this rank's samples among those of all ranks in `process_group`.

    With `uneven` the ranks may have batches of different sizes; to find out, the host waits.
    """
    size = values.shape[0]
    local = torch.stack([values.detach(), groups.to(values.dtype)])
    if uneven:
        most = torch.tensor([size], device=values.device)
        dist.all_reduce(most, op=dist.ReduceOp.MAX, group=process_group)
        local = torch.nn.functional.pad(local, (0, int(most) - size), value=-1.0)
    gathered = [torch.empty_like(local) for _ in range(dist.get_world_size(process_group))]
    dist.all_gather(gathered, local, group=process_group)
    everyone = torch.cat(gathered, dim=1)
    return _weights(values.detach(), groups, everyone[0], everyone[1].to(groups.dtype), alpha)


def _weights(values: Tensor, groups: Tensor, all_values: Tensor, all_groups: Tensor, alpha: float) -> Tensor:
    """Weigh samples by their ranks among all samples of their groups; (B, N) comparisons and no sorting."""
    peer = groups.unsqueeze(1) == all_groups
    number = peer.sum(dim=1)
    above = (peer & (all_values > values.unsqueeze(1))).sum(dim=1)
    equal = (peer & (all_values == values.unsqueeze(1))).sum(dim=1).clamp(min=1)  # a NaN equals nothing
    count = alpha * number.to(values.dtype)
    inside = ((count - above) / equal).clamp(min=0.0, max=1.0)
    return inside * number / count
