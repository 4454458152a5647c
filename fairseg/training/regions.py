"""Regions: structures that are unions of labels, and may overlap, so each has a sigmoid, as in nnU-Net.

Masks stay label maps everywhere: the loss makes channels of them, and predictions are painted into one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fairseg.losses import DiceBCELoss
from fairseg.losses.per_sample import PooledLoss
from fairseg.scoring.labels import Codes

NO_REGIONS = "loss fair_error_bound is defined by a softmax over labels, and takes no regions"
_VALUES = 256  # that a prepared mask can have


class RegionLoss(PooledLoss):
    """A loss of channels, one a structure, for targets that are label maps.

    Args:
        base: the loss of the channels; with `ignored`, the last channel marks pixels that do not count.
        structures: values of each, L of them.
        ignored: the label that does not count, if there is one.

    Shapes:
        logits float (B, L, *S); target integer (B, *S), 0 to 255; result as that of the base.
    """

    channels: Tensor

    def __init__(self, base: DiceBCELoss, structures: Sequence[Codes], ignored: int | None = None) -> None:
        super().__init__()
        self.base, self.pool, self.ignore_index = base, base.pool, ignored
        channels = torch.zeros(_VALUES, len(structures) + (ignored is not None), dtype=torch.bool)
        for index, codes in enumerate(structures):
            channels[list(codes), index] = True
        if ignored is not None:
            channels[ignored, -1] = True
        self.register_buffer("channels", channels, persistent=False)  # it follows from the dataset

    def statistics(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the statistics that are summed over the samples of a group, (B, 3 * L + 2)."""
        return self.base.statistics(logits, self.channels[target.long()].movedim(-1, 1))

    def from_statistics(self, statistics: Tensor) -> Tensor:
        """Return the loss from (summed) statistics, (..., 3 * L + 2) -> (...)."""
        return self.base.from_statistics(statistics)


def with_background(logits: Tensor) -> Tensor:
    """Return logits (B, L, *S) of structures with a first channel of 0, (B, 1 + L, *S).

    A structure whose sigmoid is above 0.5 is above it, so as with labels, the first channel is the largest
    where there is nothing.
    """
    return torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1)


def label_map(logits: Tensor, order: Sequence[int] | None) -> Tensor:
    """Return the label map (B, *S) of logits (B, K, *S), of which the first channel is background.

    Args:
        logits: of labels, or of structures after `with_background`.
        order: None: the largest is the label. With regions, the label that each is painted with where its
            sigmoid is above 0.5, one over the other.

    >>> whole, core = torch.tensor([2.0, 2.0, -2.0]), torch.tensor([-1.0, 1.0, -1.0])
    >>> label_map(with_background(torch.stack([whole, core])[None]), (1, 2))
    tensor([[1, 2, 0]])
    """
    if order is None:
        return logits.argmax(dim=1)
    labels = torch.zeros_like(logits[:, 0], dtype=torch.long)
    for channel, label in enumerate(order, start=1):
        labels[logits[:, channel] > 0] = label
    return labels
