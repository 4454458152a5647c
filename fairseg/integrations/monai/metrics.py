"""Group metrics in the form of MONAI's `CumulativeIterationMetric`: call on batches, aggregate, reset.

All keep one row a sample, its voxel counts, group and subject, and end in the functions of `fairseg.metrics`.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from monai.metrics.metric import CumulativeIterationMetric
from torch import Tensor

from fairseg.integrations.monai.batches import integer_labels, plain
from fairseg.integrations.voxel_counts import (
    Ids,
    check_ids,
    check_options,
    check_subjects,
    count_subjects,
    count_voxels,
    subject_dice,
)
from fairseg.metrics import by_group, fairness_gap, skewed_error_ratio, worst_group
from fairseg.metrics.fairness import Floats
from fairseg.metrics.masks import Labels, label_values


class GroupDiceMetric(CumulativeIterationMetric):
    """Dice of each group: `aggregate()` gives (G,), NaN for a group without any.

    Call it as MONAI's metrics, with prediction and reference as a batch (B, C, *S) or as a list of (C, *S);
    both one-hot with the background, as after `AsDiscrete`, or label masks of one channel. The prediction may
    be logits too: the largest channel is the label. `groups` and, if there are any, `subjects` come as
    keyword arguments; `GroupMetricHandler` fills them in from the batch of an engine.

    Several processes: what each has counted is gathered at `aggregate`. As with all of MONAI's metrics, each
    must have had a sample.

    Args:
        num_groups: number of groups in the cohort, G.
        labels: label values, or a mapping name -> value; a subject's Dice is the mean over them.
        samples: what a sample is. "cases": a whole image; it has its Dice, and a subject has the mean over
            its cases. "slices": a part of one; the voxels of all samples of a subject are added up first.
        statistic: "median" or "mean" of the subjects of a group.

    Raises:
        ValueError: an argument is not usable.

    >>> metric = GroupDiceMetric(num_groups=3, labels=[1])
    >>> reference = torch.tensor([[[0, 1, 1, 0]], [[0, 1, 1, 0]], [[1, 0, 0, 0]]])
    >>> prediction = torch.tensor([[[0, 1, 1, 0]], [[0, 1, 0, 0]], [[0, 1, 0, 0]]])
    >>> _ = metric(prediction, reference, groups=torch.tensor([0, 1, -1]))
    >>> metric.aggregate()
    tensor([1.0000, 0.6667,    nan], dtype=torch.float64)
    >>> {name: count.tolist() for name, count in metric.counts().items()}
    {'subjects': [1, 1, 0], 'unknown_group': 1, 'empty_masks': 0}
    """

    def __init__(
        self,
        num_groups: int,
        labels: Labels,
        *,
        samples: Literal["cases", "slices"] = "cases",
        statistic: Literal["median", "mean"] = "median",
    ) -> None:
        super().__init__()
        check_options(num_groups, samples, statistic)
        self.num_groups, self.labels = num_groups, list(label_values(labels).values())
        self.samples: Literal["cases", "slices"] = samples
        self.statistic: Literal["median", "mean"] = statistic

    def aggregate(self) -> Tensor:
        """Return the statistic of each group over all samples since the last reset, float64 (G,)."""
        return torch.as_tensor(self._by_group())

    def counts(self) -> dict[str, Tensor]:
        """Return on how many subjects the values rest, and how many they leave out; int64.

        `subjects` (G,): those with a Dice; `unknown_group`: subjects without a group; `empty_masks`: subjects
        of a group with no label in either mask.
        """
        counts = count_subjects(*self._subjects(), self.num_groups)
        return {name: torch.as_tensor(count) for name, count in counts.items()}

    def _by_group(self) -> Floats:
        return by_group(*self._subjects(), self.num_groups, self.statistic)[0]

    def _subjects(self) -> tuple[Floats, Ids]:
        rows = self.get_buffer()  # type: ignore[no-untyped-call]
        if rows is None:
            return np.empty(0), np.empty(0, dtype=np.int64)
        table = rows.double().cpu().numpy()
        return subject_dice(table[:, 2:].reshape(len(table), 3, -1), table[:, 0], table[:, 1], self.samples)

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Return the row of each sample, float64 (B, 2 + 3 L): group, subject, voxel counts."""
        if y is None:
            raise ValueError("y must be the reference masks, got None")
        if (groups := kwargs.pop("groups", None)) is None:
            raise ValueError(
                "groups must be the ids of the samples, got none; in an engine use GroupMetricHandler"
            )
        subjects = kwargs.pop("subjects", None)
        if kwargs:
            raise ValueError(f"unknown arguments: {', '.join(kwargs)}; groups and subjects are known")
        voxels = count_voxels(_label_mask(y_pred, "y_pred"), _label_mask(y, "y"), self.labels)
        size = len(voxels)
        ids = check_ids(groups, "groups", size, -1, self.num_groups - 1)
        owner = check_subjects(subjects, size)
        row = (ids.unsqueeze(1), owner.unsqueeze(1), voxels.flatten(1))
        return torch.cat([part.to(voxels.device, torch.float64) for part in row], dim=1)

    def _compute_list(self, y_pred: Any, y: Any = None, **kwargs: Any) -> Any:
        """Do the same with a list: each sample may be of another size."""
        if y is None or len(y) != len(y_pred):
            raise ValueError(
                f"y must be as many masks as y_pred, {len(y_pred)}, got {0 if y is None else len(y)}"
            )
        given = {name: torch.as_tensor(ids) for name, ids in kwargs.items() if ids is not None}
        for name, ids in given.items():
            if ids.shape != (len(y_pred),):
                raise ValueError(f"{name} must be {len(y_pred)} integer ids, got shape {tuple(ids.shape)}")
        rows = [
            self._compute_tensor(
                _one(y_pred[i]), _one(y[i]), **{name: ids[i : i + 1] for name, ids in given.items()}
            )
            for i in range(len(y_pred))
        ]
        return torch.cat(rows)


class WorstGroupDiceMetric(GroupDiceMetric):
    """Dice of the worst-served group, a scalar: the metric to select models by.

    >>> metric = WorstGroupDiceMetric(num_groups=2, labels=[1])
    >>> masks = torch.tensor([[[0, 1, 1]], [[0, 1, 0]]]), torch.tensor([[[0, 1, 1]], [[0, 1, 1]]])
    >>> _ = metric(*masks, groups=torch.tensor([0, 1]))
    >>> round(metric.aggregate().item(), 3)
    0.667
    """

    def aggregate(self) -> Tensor:
        """Return a scalar; NaN without any group."""
        return torch.as_tensor(worst_group(self._by_group()))


class FairnessGapMetric(GroupDiceMetric):
    """Gap between the groups' Dice, a scalar: best minus worst, or signed against a group.

    Args:
        num_groups: as for all metrics here.
        labels: as for all metrics here.
        reference: index of the reference group, which makes the gap signed; None: best minus worst.
        kwargs: `samples` and `statistic`.

    >>> metric = FairnessGapMetric(num_groups=2, labels=[1], reference=0)
    >>> masks = torch.tensor([[[0, 1, 1]], [[0, 1, 0]]]), torch.tensor([[[0, 1, 1]], [[0, 1, 1]]])
    >>> _ = metric(*masks, groups=torch.tensor([0, 1]))
    >>> round(metric.aggregate().item(), 3)
    0.333
    """

    def __init__(
        self, num_groups: int, labels: Labels, *, reference: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(num_groups, labels, **kwargs)
        fairness_gap(np.zeros(num_groups), reference)  # a wrong index must not come out after an epoch
        self.reference = reference

    def aggregate(self) -> Tensor:
        """Return a scalar; NaN with fewer than two groups, or without the reference group."""
        return torch.as_tensor(fairness_gap(self._by_group(), self.reference))


class SkewedErrorRatioMetric(GroupDiceMetric):
    """Largest group error over the smallest, a scalar; 1 is fair.

    >>> metric = SkewedErrorRatioMetric(num_groups=2, labels=[1])
    >>> masks = torch.tensor([[[1, 1, 0]], [[0, 1, 0]]]), torch.tensor([[[1, 0, 1]], [[0, 1, 1]]])
    >>> _ = metric(*masks, groups=torch.tensor([0, 1]))
    >>> round(metric.aggregate().item(), 3)
    1.5
    """

    def aggregate(self) -> Tensor:
        """Return a scalar; NaN with fewer than two groups, inf if only some are perfect."""
        return torch.as_tensor(skewed_error_ratio(self._by_group()))


def _one(mask: Any) -> Tensor:
    return torch.as_tensor(mask).detach().unsqueeze(0)


def _label_mask(masks: Tensor, name: str) -> Tensor:
    """Return label masks, integer (B, 1, *S), or logits (B, C, *S), from what MONAI's metrics are given."""
    masks = plain(masks)
    if masks.ndim < 3:
        raise ValueError(f"{name} must be (B, C, *S), got shape {tuple(masks.shape)}")
    if masks.shape[1] == 1:
        return integer_labels(masks, name)
    sums = masks.sum(dim=1)
    binary = bool(((masks == 0) | (masks == 1)).all())
    if binary and bool((sums == 1).all()):
        return masks.argmax(dim=1, keepdim=True)
    if binary or name == "y":
        raise ValueError(
            f"{name} of {masks.shape[1]} channels must be one-hot with the background first: one channel is"
            " 1 at each voxel. Labels that overlap, or a background left out, can not be told apart"
        )
    return masks


def check_metric(metric: object) -> GroupDiceMetric:
    """Return a group metric, or raise a ValueError."""
    if not isinstance(metric, GroupDiceMetric):
        raise ValueError(f"metric_fn must be a group metric of fairseg, got {type(metric).__name__}")
    return metric


def named(values: Tensor, name: str, groups: Sequence[str]) -> dict[str, float]:
    """Return the values of the groups with their names.

    >>> named(torch.tensor([0.5, 0.75]), "dice", ["Black", "White"])
    {'dice_Black': 0.5, 'dice_White': 0.75}
    """
    return {f"{name}_{group}": float(value) for group, value in zip(groups, values, strict=True)}
