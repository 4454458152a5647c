"""The loss that nnU-Net calls with a batch, whose groups the trainers set before."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from fairseg.losses import DeepSupervision
from fairseg.losses.group_loss import GroupLoss

Count = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class BatchLoss(nn.Module):
    """nnU-Net calls `loss(output, target)`; `of_groups` sets the groups of the batch before.

    Args:
        training: the loss in training mode.
        validation: the loss in eval mode.
        scales: weights of the outputs under deep supervision; None if there is one output.
        count: counts voxels in eval mode, of the output and target at full resolution.

    Attributes:
        counted: the counts of the last batch.
    """

    def __init__(
        self,
        training: GroupLoss,
        validation: GroupLoss,
        scales: Sequence[float] | None,
        count: Count | None = None,
    ) -> None:
        super().__init__()
        both = (training, validation)
        deep = both if scales is None else tuple(DeepSupervision(loss, scales) for loss in both)
        self.of_training: nn.Module = deep[0]
        self.of_validation: nn.Module = deep[1]
        self.counted: torch.Tensor | None = None
        self._count = count
        self._groups: torch.Tensor | None = None

    @contextmanager
    def of_groups(self, groups: torch.Tensor) -> Iterator[None]:
        """Set the groups, (B,), of the batch whose loss is computed within the `with` block."""
        self._groups = groups
        try:
            yield
        finally:
            self._groups = None

    def forward(self, output: Any, target: Any) -> torch.Tensor:
        """Return the loss of the batch, that of training or of validation by the module's mode.

        Raises:
            RuntimeError: the groups were not set.
        """
        if self._groups is None:
            raise RuntimeError(
                "the groups of the batch are not known: a train_step or validation_step of your own must call"
                " that of fairseg's trainer"
            )
        if self._count is not None and not self.training:
            full = (output[0], target[0]) if isinstance(output, list | tuple) else (output, target)
            self.counted = self._count(*full)
        loss = self.of_training if self.training else self.of_validation
        value: torch.Tensor = loss(output, target, self._groups)
        return value
