"""AttributeHead: a classifier of an attribute on a network's features, as one more term of the loss."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fairseg.cohort.vectors import Vector
from fairseg.losses.counts import Counts
from fairseg.losses.group_loss import GroupLoss
from fairseg.losses.grouping import NumGroups, group_sums, is_transformed, keep_for_backward
from fairseg.losses.hooked_features import HookedFeatures
from fairseg.losses.per_sample import CrossEntropyLoss


class AttributeHead(nn.Module):
    """A small classifier of the group on a network's features: `head(features, groups) -> scalar`.

    Its cross-entropy is a term to add to the loss of the segmentation. With `reverse=False` network and head
    learn both tasks together: the multi-task training of Puyol-Antón et al. (MICCAI 2021). With
    `reverse=True` the gradient changes its sign between head and network: the head learns to tell the groups
    apart, and the network to give features that do not. That is adversarial debiasing (Zhang et al. 2018;
    Madras et al. 2018) by the reversed gradient of Ganin et al. (2016). (Zhang et al. take the prediction in
    place of features, and subtract a projection; Madras et al. take another loss.) With `strength=0` the
    network learns nothing from it, and the head measures what can be read.

    **An adversary may remove anatomy.** Hearts differ in size by sex and body size. Features that forget the
    sex can forget the heart; and another head may read what this one cannot. Look at every group's Dice, not
    at the head's accuracy.

    Args:
        num_groups: groups of the attribute, 2 or more; or a `Groups`, or their names.
        channels: channels of the features.
        reverse: whether the gradient changes its sign on its way into the network.
        strength: factor of that gradient, 0 or more. (A weight of the term scales the head's own gradient
            too.)
        warm_up: number of training steps in which the factor grows from 0 to `strength`, by tanh(5 p) at
            the share p of them, the schedule of Ganin et al.; 0 for all of it from the start.
        hidden: width of the hidden layer; `None` for a linear classifier.
        channel_axis: where the channels are: 1 for (B, C, *S), -1 for the tokens (B, N, C) of a transformer.
        group_counts: samples of each group in the training cohort, (G,); or name -> samples. Each sample then
            weighs N / (G n_g), so that groups weigh the same however rare. Default: samples weigh the same.

    Attributes:
        names: the names of the groups, if they were given; else `None`.
        group_loss, group_count: cross-entropy and samples of each group in the last batch, (G,).
        group_accuracy: the share of each group's samples in the last batch (of this process) that the head
            got right, (G,); NaN for absent groups. With random guesses their mean is 1 / G.

    Shapes:
        features float (B, C) or (B, C, *S), averaged over space in any number of axes; groups (B,), ids or
        names; -1 is unknown, and has no part in value or gradient. The value is that of all ranks together,
        as in `GroupLoss`; under DistributedDataParallel wrap network and head, each in its own.

    Raises:
        ValueError: an argument is not as described.

    >>> _ = torch.manual_seed(0)
    >>> head = AttributeHead(["F", "M"], channels=8, reverse=True)
    >>> features = torch.randn(4, 8, 5, 5, requires_grad=True)  # of a layer: see HookedFeatures
    >>> value = head(features, ["F", "M", "M", None])
    >>> head.group_count
    tensor([1., 2.])
    """

    steps_taken: Tensor

    def __init__(
        self,
        num_groups: NumGroups,
        channels: int,
        *,
        reverse: bool = False,
        strength: float = 1.0,
        warm_up: int = 0,
        hidden: int | None = 64,
        channel_axis: Literal[1, -1] = 1,
        group_counts: Counts | None = None,
    ) -> None:
        super().__init__()
        for name, number in (("channels", channels), ("hidden", hidden)):
            if number is not None and number < 1:
                raise ValueError(f"{name} must be 1 or more, got {number}")
        if not 0 <= strength < float("inf"):
            raise ValueError(f"strength must be 0 or more, got {strength}")
        if warm_up < 0:
            raise ValueError(f"warm_up must be 0 or more, got {warm_up}")
        if channel_axis not in (1, -1):
            raise ValueError(f"channel_axis must be 1 or -1, got {channel_axis}")
        self.loss = _AttributeLoss(num_groups, group_counts)
        groups = self.loss.num_groups
        if groups < 2:
            raise ValueError(f"num_groups must be 2 or more, got {groups}")
        self.channels, self.channel_axis = channels, channel_axis
        self.reverse, self.strength, self.warm_up = reverse, float(strength), warm_up
        layers = [] if hidden is None else [nn.Linear(channels, hidden), nn.ReLU()]
        self.classifier = nn.Sequential(*layers, nn.Linear(hidden or channels, groups))
        self.register_buffer("steps_taken", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor, groups: Tensor | Vector) -> Tensor:
        """Return the cross-entropy of the groups' ids, averaged over the samples of known group."""
        axis = self.channel_axis
        if features.ndim < 2 or features.shape[axis] != self.channels:
            shape = f"{self.channels} channels on axis {axis}, got shape {tuple(features.shape)}"
            raise ValueError(f"features must have {shape}")
        pooled = features.movedim(axis, 1)
        pooled = pooled.flatten(2).mean(dim=2) if pooled.ndim > 2 else pooled
        ids = self.loss.group_ids(groups, pooled)
        first: Tensor = self.classifier[0].weight  # type: ignore[assignment]
        pooled = torch.where((ids >= 0).unsqueeze(1), pooled, 0.0).to(first.dtype)
        constant = pooled.detach()
        logits = self.classifier(constant + self._factor().to(constant.dtype) * (pooled - constant))
        value: Tensor = self.loss(logits, ids, ids)
        if self.training and torch.is_grad_enabled() and not is_transformed(value):
            self.steps_taken += 1
        return value

    def _factor(self) -> Tensor:
        full = -self.strength if self.reverse else self.strength
        if not self.warm_up:
            return torch.full_like(self.steps_taken, full, dtype=torch.float32)
        return keep_for_backward(full * torch.tanh(5.0 * self.steps_taken / self.warm_up))

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the groups, if they were given."""
        return self.loss.names

    @property
    def group_loss(self) -> Tensor:
        """The cross-entropy of each group in the last batch, (G,)."""
        return self.loss.group_loss

    @property
    def group_count(self) -> Tensor:
        """How many samples of each group the last batch had, (G,)."""
        return self.loss.group_count

    @property
    def group_accuracy(self) -> Tensor:
        """The share of each group's samples in the last batch that the head got right, (G,)."""
        return self.loss.group_accuracy


class LossWithAttributeHead(nn.Module):
    """A loss with the term of an `AttributeHead`: `loss(outputs, target, groups)`, as that of a group loss.

    For loops that know one loss, such as those of MONAI's trainers and of nnU-Net. In eval mode, and without
    gradients, it is the loss alone.

    Args:
        loss: called `loss(outputs, target, groups)`: any group loss, or `DeepSupervision`.
        head: the head, or it in DistributedDataParallel. Its parameters are this module's: give the optimiser
            both `network.parameters()` and `loss.parameters()`.
        features: those of the network that gives `outputs`.
        weight: of the head's term, 0 or more.

    >>> from fairseg.losses import GroupDROLoss
    >>> network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3))
    >>> with HookedFeatures(network, "1") as features:
    ...     loss = LossWithAttributeHead(GroupDROLoss(2), AttributeHead(2, channels=8), features, weight=0.1)
    ...     target, groups = torch.zeros(4, 12, 12, dtype=torch.long), torch.tensor([0, 1, 1, -1])
    ...     loss(network(torch.zeros(4, 1, 16, 16)), target, groups).backward()
    """

    def __init__(
        self, loss: Callable[..., Tensor], head: nn.Module, features: HookedFeatures, weight: float = 1.0
    ) -> None:
        super().__init__()
        if not 0 <= weight < float("inf"):
            raise ValueError(f"weight must be 0 or more, got {weight}")
        self.loss, self.head, self.features, self.weight = loss, head, features, float(weight)

    def forward(self, outputs: Any, target: Any, groups: Tensor | Vector = None) -> Tensor:
        """Return the loss of a batch, with the head's term in a training step."""
        value = self.loss(outputs, target, groups)
        if not (self.training and torch.is_grad_enabled()):
            return value
        term: Tensor = self.head(self.features.take(), groups)
        return value + self.weight * term


class _AttributeLoss(GroupLoss):
    """Cross-entropy of the samples of known group; each weighs the same, or N / (G n_g) by counts."""

    group_counts: Tensor | None
    group_accuracy: Tensor

    def __init__(self, num_groups: NumGroups, group_counts: Counts | None) -> None:
        super().__init__(num_groups, CrossEntropyLoss(ignore_index=-1))
        self._keep_positive("group_counts", group_counts, "group_counts")
        self._log("group_accuracy", torch.full((self.num_groups,), torch.nan))

    def forward(self, logits: Tensor, target: Tensor, groups: Tensor | Vector = None) -> Tensor:
        right = (logits.argmax(dim=1) == target).to(logits.dtype).unsqueeze(1)
        sums, count = group_sums(right, target, self.num_groups)
        self.record("group_accuracy", sums.squeeze(1) / count)  # NaN for absent groups
        return super().forward(logits, target, groups)

    def weights(self, loss: Tensor, count: Tensor) -> Tensor:
        share = count / count.sum().clamp(min=1.0)
        if self.group_counts is None:
            return share
        return share * self.group_counts.mean() / self.group_counts
