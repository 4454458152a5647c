"""Group metrics in the form of MONAI's `CumulativeIterationMetric`: call on batches, aggregate, reset.

All keep one row a sample, its voxel counts, group and subject, and end in the functions of `fairseg.metrics`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from monai.metrics.metric import CumulativeIterationMetric
from torch import Tensor

from fairseg.integrations.trackers import log_keys
from fairseg.integrations.voxel_counts import (
    FairnessGapValue,
    GroupVoxelCounts,
    SkewedErrorRatioValue,
    WorstGroupValue,
)
from fairseg.losses.grouping import batch_ids, plain
from fairseg.losses.per_sample import integer_labels


class GroupDiceMetric(GroupVoxelCounts, CumulativeIterationMetric):
    """Dice of each group: `aggregate()` gives (G,), NaN for a group without any.

    Call it as MONAI's metrics, with prediction and reference as a batch (B, C, *S) or as a list of (C, *S);
    both one-hot with the background, as after `AsDiscrete`, or label masks of one channel. The prediction may
    be logits too: the largest channel is the label. `groups` and, if there are any, `subjects` come as
    keyword arguments; `GroupMetricHandler` fills them in from the batch of an engine.

    Several processes: what each has counted is gathered at `aggregate`. As with all of MONAI's metrics, each
    must have had a sample.

    Args:
        num_groups: groups of the cohort, G: how many, a `Groups`, or their names; with names, `groups` may be
            names too.
        labels: label values, or a mapping name -> value or tuple of values, whose union is then the
            structure; a subject's Dice is the mean over structures.
        samples: what a sample is. "cases": a whole image; it has its Dice, and a subject has the mean over
            its cases. "slices": a part of one; the voxels of all samples of a subject are added up first.
        statistic: "median" or "mean" of the subjects of a group.
        ignore: voxels where the reference has this value count for nothing.

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

    def aggregate(self) -> Tensor:
        """Return the value over all samples since the last reset, float64."""
        return torch.as_tensor(self._value())

    def counts(self) -> dict[str, Tensor]:
        """Return the numbers of subjects behind the values, and of those left out, int64.

        `subjects` (G,): those with a Dice; `unknown_group`: subjects without a group; `empty_masks`: subjects
        of a group with no label in either mask.
        """
        return self._counts()

    def _all_rows(self) -> Tensor | None:
        rows: Tensor | None = self.get_buffer()  # type: ignore[no-untyped-call]
        return rows

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Return the row of each sample, float64 (B, 2 + 3 L)."""
        if y is None:
            raise ValueError("y must be the reference masks, got None")
        if (groups := kwargs.pop("groups", None)) is None:
            raise ValueError(
                "groups must be the ids of the samples, got none; in an engine use GroupMetricHandler"
            )
        subjects = kwargs.pop("subjects", None)
        if kwargs:
            raise ValueError(f"unknown arguments: {', '.join(kwargs)}; groups and subjects are known")
        return self._count(_label_mask(y_pred, "y_pred"), _label_mask(y, "y"), groups, subjects)

    def _compute_list(self, y_pred: Any, y: Any = None, **kwargs: Any) -> Any:
        """Do the same with a list: each sample may be of another size."""
        if y is None or len(y) != len(y_pred):
            raise ValueError(
                f"y must be as many masks as y_pred, {len(y_pred)}, got {0 if y is None else len(y)}"
            )
        ids_by_name = {name: ids for name, ids in kwargs.items() if ids is not None}
        if "groups" in ids_by_name:
            ids_by_name["groups"] = batch_ids(ids_by_name["groups"], self._groups, torch.device("cpu"))
        ids_by_name = {name: torch.as_tensor(ids) for name, ids in ids_by_name.items()}
        for name, ids in ids_by_name.items():
            if ids.shape != (len(y_pred),):
                raise ValueError(f"{name} must be {len(y_pred)} integer ids, got shape {tuple(ids.shape)}")
        rows = [
            self._compute_tensor(
                *(torch.as_tensor(masks[i]).detach().unsqueeze(0) for masks in (y_pred, y)),
                **{name: ids[i : i + 1] for name, ids in ids_by_name.items()},
            )
            for i in range(len(y_pred))
        ]
        return torch.cat(rows)


class WorstGroupDiceMetric(WorstGroupValue, GroupDiceMetric):
    """Dice of the worst-served group, a scalar: the metric to select models by.

    >>> metric = WorstGroupDiceMetric(num_groups=2, labels=[1])
    >>> masks = torch.tensor([[[0, 1, 1]], [[0, 1, 0]]]), torch.tensor([[[0, 1, 1]], [[0, 1, 1]]])
    >>> _ = metric(*masks, groups=torch.tensor([0, 1]))
    >>> round(metric.aggregate().item(), 3)
    0.667
    """


class FairnessGapMetric(FairnessGapValue, GroupDiceMetric):
    """Gap between the groups' Dice, a scalar: best minus worst, or signed against the group `reference`.

    >>> metric = FairnessGapMetric(num_groups=2, labels=[1], reference=0)
    >>> masks = torch.tensor([[[0, 1, 1]], [[0, 1, 0]]]), torch.tensor([[[0, 1, 1]], [[0, 1, 1]]])
    >>> _ = metric(*masks, groups=torch.tensor([0, 1]))
    >>> round(metric.aggregate().item(), 3)
    0.333
    """


class SkewedErrorRatioMetric(SkewedErrorRatioValue, GroupDiceMetric):
    """Largest group error over the smallest, a scalar; 1 is fair.

    >>> metric = SkewedErrorRatioMetric(num_groups=2, labels=[1])
    >>> masks = torch.tensor([[[1, 1, 0]], [[0, 1, 0]]]), torch.tensor([[[1, 0, 1]], [[0, 1, 1]]])
    >>> _ = metric(*masks, groups=torch.tensor([0, 1]))
    >>> round(metric.aggregate().item(), 3)
    1.5
    """


def _label_mask(masks: Tensor, name: str) -> Tensor:
    """Return label masks, integer (B, 1, *S), or logits (B, C, *S), from the arguments of MONAI's metrics."""
    masks = plain(masks)
    if masks.ndim < 3:
        raise ValueError(f"{name} must be (B, C, *S), got shape {tuple(masks.shape)}")
    if masks.shape[1] == 1:
        return integer_labels(masks, name)
    binary = bool(((masks == 0) | (masks == 1)).all())
    if binary and bool((masks.sum(dim=1) == 1).all()):
        return masks.argmax(dim=1, keepdim=True)
    if binary or name == "y":
        raise ValueError(
            f"{name} of {masks.shape[1]} channels must be one-hot with the background first: one channel is"
            " 1 at each voxel. Labels that overlap, or a background left out, can not be told apart"
        )
    return masks


def named(values: Tensor, name: str, groups: Sequence[str]) -> dict[str, float]:
    """Return the values of the groups with their names, as experiment trackers take them (`log_keys`).

    >>> named(torch.tensor([0.5, 0.75]), "dice", ["age<50", "age>=50"])
    {'dice_age_lt_50': 0.5, 'dice_age_ge_50': 0.75}
    """
    return {f"{name}_{key}": value for key, value in zip(log_keys(groups), values.tolist(), strict=True)}
