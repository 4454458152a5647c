"""A group loss in MONAI's `SupervisedTrainer`, which calls its loss with prediction and label alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.engines.utils import PrepareBatch, PrepareBatchDefault
from torch import Tensor, nn

from fairseg.integrations.monai.batches import ids_of
from fairseg.integrations.voxel_counts import numbered
from fairseg.losses.grouping import plain
from fairseg.losses.per_sample import integer_labels


def with_groups(
    data: Sequence[Mapping[str, Any]], groups: npt.ArrayLike, *, key: str = "group"
) -> list[dict[str, Any]]:
    """Return a list of MONAI's dictionaries with the group of each; the given ones stay as they are.

    The list goes into any dataset of MONAI's; its transforms carry the group along, also to every patch of an
    image. The same ids, in the same order, go into `GroupBatchSampler`.

    Args:
        data: one dictionary a sample, (N,).
        groups: ids, integer (N,), such as `Groups.encode` returns; -1 is unknown.
        key: under which the group comes.

    Raises:
        ValueError: there are not as many ids, they are no integers, or the key is taken.

    >>> with_groups([{"image": "a.nii.gz"}, {"image": "b.nii.gz"}], [1, 0])
    [{'image': 'a.nii.gz', 'group': 1}, {'image': 'b.nii.gz', 'group': 0}]
    """
    ids = np.asarray(groups)
    if ids.shape != (len(data),) or ids.dtype.kind not in "iu":
        raise ValueError(
            f"groups must be {len(data)} integer ids, one a dictionary, got {ids.dtype} of shape {ids.shape};"
            f" of names make them by {numbered('groups')}"
        )
    for number, entry in enumerate(data):
        if key in entry:
            raise ValueError(f"data must not have the key {key!r} yet, entry {number} has")
    return [{**entry, key: group} for entry, group in zip(data, ids.tolist(), strict=True)]


class GroupLossFunction(nn.Module):
    """A group loss as the `loss_function` of a trainer; `PrepareGroupBatch` gives it each batch's groups.

    MetaTensors are made plain and float labels integer on the way. As a module it has parameters, buffers and
    `state_dict` of the loss: put it into `CheckpointSaver` beside the network, and move it to the device.

    Args:
        loss: called `loss(logits, target, groups)`: any of `fairseg.losses`, or your own.

    Raises:
        ValueError: it is called without groups for the batch, or with those of another.

    >>> from fairseg.losses import GroupDROLoss
    >>> loss_function = GroupLossFunction(GroupDROLoss(num_groups=2))
    >>> loss_function.groups = torch.tensor([0, 1])
    >>> round(loss_function(torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4)).item(), 3)
    1.099
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.groups: Tensor | None = None

    def forward(self, prediction: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """Return the loss of the batch whose groups were set, and forget them.

        Args:
            prediction: logits (B, C, *S), or a list of them for `DeepSupervision`.
            target: label masks (B, 1, *S) or (B, *S), integer or whole floats.
        """
        groups, self.groups = self.groups, None
        if groups is None:
            raise ValueError(
                "the groups of this batch are not known: give the trainer"
                " prepare_batch=PrepareGroupBatch(loss_function)"
            )
        logits = plain(prediction) if isinstance(prediction, Tensor) else [plain(part) for part in prediction]
        value: Tensor = self.loss(logits, integer_labels(target, "label"), groups)
        return value


class PrepareGroupBatch(PrepareBatch):
    """Prepares a batch as MONAI does, and gives its groups to a `GroupLossFunction`.

    Args:
        loss_function: that of the trainer.
        group_key: where the groups are in the batch.
        prepare_batch: what prepares the rest; MONAI's default, or `PrepareBatchExtraInput` and the like.

    >>> from fairseg.losses import GroupDROLoss
    >>> loss_function = GroupLossFunction(GroupDROLoss(num_groups=2))
    >>> images, labels = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    >>> batch = {"image": images, "label": labels, "group": torch.tensor([0, 1])}
    >>> image, label = PrepareGroupBatch(loss_function)(batch, device="cpu")
    >>> loss_function.groups
    tensor([0, 1])
    """

    def __init__(
        self,
        loss_function: GroupLossFunction,
        *,
        group_key: str = "group",
        prepare_batch: Callable[..., Any] | None = None,
    ) -> None:
        if not isinstance(loss_function, GroupLossFunction):
            raise ValueError(
                "loss_function must be a GroupLossFunction around the loss, got"
                f" {type(loss_function).__name__}"
            )
        self.loss_function, self.group_key = loss_function, group_key
        self.prepare_batch = PrepareBatchDefault() if prepare_batch is None else prepare_batch

    def __call__(
        self,
        batchdata: Any,
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the arguments with which the trainer calls network and loss.

        Raises:
            ValueError: the batch has no groups, or not one for each sample.
        """
        prepared = self.prepare_batch(batchdata, device, non_blocking, **kwargs)
        groups = ids_of(batchdata, self.group_key, len(prepared[0]), what="groups")
        self.loss_function.groups = groups.to(device=device, non_blocking=non_blocking)
        return prepared
