"""Group metrics in the form of torchmetrics: update batch by batch, compute over all processes, reset.

`GroupDice`, `FairnessGap`, `SkewedErrorRatio`, `WorstGroupDice` and `GroupCounts` keep the same state, voxel
counts of each sample, and end in the functions of `fairseg.metrics`; a `MetricCollection` therefore counts
once for all of them. `GroupReport` is all of them in one, by names for a log. Needs the extra `torchmetrics`.
"""

from typing import Any

import torch
from torch import Tensor

from fairseg.cohort.vectors import Vector
from fairseg.integrations import needs
from fairseg.integrations.voxel_counts import (
    FairnessGapValue,
    GroupVoxelCounts,
    SkewedErrorRatioValue,
    WorstGroupValue,
)
from fairseg.losses.grouping import to_device

with needs("torchmetrics"):
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat

__all__ = ["FairnessGap", "GroupCounts", "GroupDice", "GroupReport", "SkewedErrorRatio", "WorstGroupDice"]


class _GroupMetric(GroupVoxelCounts, Metric):
    """The shared base of all metrics: the state and its update.

    Args:
        num_groups: groups of the cohort, G: how many, a `Groups`, or their names.
        labels: label values, or a mapping name -> value or tuple of values, whose union is then the
            structure; a subject's Dice is the mean over structures.
        samples: what a sample is. "cases": a whole image; it has its Dice, and a subject has the mean over
            its cases, as in the audit. "slices": a part of one; the voxels of all samples of a subject are
            added up before there is a Dice, as in a Dice of the volume.
        statistic: "median" or "mean" of the subjects of a group.
        ignore: voxels where the reference has this value count for nothing.
        kwargs: those of `torchmetrics.Metric`, such as `process_group`.

    Raises:
        ValueError: an argument is not usable.
    """

    is_differentiable = False
    full_state_update = False
    rows: list[Tensor]

    def _keep_rows(self) -> None:
        # All in int64, which every device has and which holds counts and ids exactly, and flat: for a rank
        # that saw no sample, torchmetrics makes an empty state of the metric's dtype and one axis, and those
        # of all ranks must be alike.
        self.set_dtype(torch.int64)
        self.add_state("rows", [], dist_reduce_fx="cat")
        # A state so that a collection never takes metrics of other labels for the same.
        unions = [value for union in self.labels for value in (len(union), *union)]
        ignored = (0, 0) if self.ignore is None else (1, self.ignore)  # no NaN, which is equal to nothing
        values = torch.tensor([*ignored, *unions], dtype=torch.int64)
        self.add_state("label_values", values, dist_reduce_fx="max")

    def update(
        self, prediction: Tensor, reference: Tensor, groups: Tensor | Vector, subjects: Tensor | None = None
    ) -> None:
        """Count the voxels of a batch.

        Args:
            prediction: label masks, integer (B, *S) or (B, 1, *S); or logits, floating (B, C, *S), whose
                largest channel is the label.
            reference: label masks, integer (B, *S) or (B, 1, *S).
            groups: ids, integer (B,), or names, if the metric has them; a sample with -1 or None is counted
                as unknown and has no other part.
            subjects: numbers of the subjects, integer (B,), from 0 to 2**53 - 1, the same on all processes;
                None: every sample is a subject of its own.

        Raises:
            ValueError: shapes or dtypes do not fit, NaN among the logits, or an id is out of range.
        """
        rows = self._count(prediction, reference, groups, subjects)
        self.rows.append(rows.flatten().to(self.device, self.dtype))

    def compute(self) -> Any:
        """Return the value over all batches and processes, float64 (float32 on Apple's MPS)."""
        return to_device(torch.as_tensor(self._value(), dtype=torch.float64), self.device)

    def _all_rows(self) -> Tensor | None:
        if not len(self.rows):
            return None
        return dim_zero_cat(self.rows).reshape(-1, 2 + 3 * len(self.labels))


class GroupDice(_GroupMetric):
    """Dice of each group: (G,), NaN for a group without any.

    >>> metric = GroupDice(num_groups=3, labels=[1])
    >>> reference = torch.tensor([[0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 0]])
    >>> prediction = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
    >>> metric.update(prediction, reference, groups=torch.tensor([0, 1, -1]))
    >>> metric.compute()
    tensor([1.0000, 0.6667,    nan], dtype=torch.float64)
    """

    higher_is_better = True
    plot_lower_bound, plot_upper_bound = 0.0, 1.0


class WorstGroupDice(WorstGroupValue, _GroupMetric):
    """Dice of the worst-served group, a scalar as `fairseg.metrics.worst_group`, to select models by.

    >>> metric = WorstGroupDice(num_groups=2, labels=[1])
    >>> masks = torch.tensor([[0, 1, 1], [0, 1, 0]]), torch.tensor([[0, 1, 1], [0, 1, 1]])
    >>> round(metric(*masks, groups=torch.tensor([0, 1])).item(), 3)
    0.667
    """

    higher_is_better = True
    plot_lower_bound, plot_upper_bound = 0.0, 1.0


class FairnessGap(FairnessGapValue, _GroupMetric):
    """Gap between the groups' Dice, a scalar as `fairseg.metrics.fairness_gap`.

    `reference` is the index of the reference group, which makes the gap signed; None: best minus worst.

    >>> metric = FairnessGap(num_groups=2, labels=[1], reference=0)
    >>> masks = torch.tensor([[0, 1, 1], [0, 1, 0]]), torch.tensor([[0, 1, 1], [0, 1, 1]])
    >>> round(metric(*masks, groups=torch.tensor([0, 1])).item(), 3)
    0.333
    """


class SkewedErrorRatio(SkewedErrorRatioValue, _GroupMetric):
    """Largest group error over the smallest, a scalar as `fairseg.metrics.skewed_error_ratio`; 1 is fair.

    >>> metric = SkewedErrorRatio(num_groups=2, labels=[1])
    >>> masks = torch.tensor([[1, 1, 0], [0, 1, 0]]), torch.tensor([[1, 0, 1], [0, 1, 1]])
    >>> round(metric(*masks, groups=torch.tensor([0, 1])).item(), 3)
    1.5
    """

    higher_is_better = False


class GroupCounts(_GroupMetric):
    """The numbers of subjects behind the other metrics, and of those left out; int64.

    `subjects` (G,): those with a Dice; `unknown_group`: subjects without a group; `empty_masks`: subjects
    of a group with no label in either mask, which have no Dice.

    >>> metric = GroupCounts(num_groups=2, labels=[1])
    >>> masks = torch.tensor([[0, 1], [0, 0], [1, 0]]), torch.tensor([[0, 1], [0, 0], [0, 1]])
    >>> metric.update(*masks, groups=torch.tensor([0, 1, -1]))
    >>> {name: count.tolist() for name, count in metric.compute().items()}
    {'subjects': [1, 0], 'unknown_group': 1, 'empty_masks': 1}
    """

    def compute(self) -> dict[str, Tensor]:
        """Return the counts by name."""
        return {name: count.to(self.device) for name, count in self._counts().items()}


class GroupReport(FairnessGapValue, _GroupMetric):
    """All values and counts of the groups by name, for `log_dict` or any experiment tracker; float.

    `num_groups` must be a `Groups` or names. `dice_NAME` and `subjects_NAME` for each group,
    `worst_group_dice`, `fairness_gap` (against the group `reference`, a name or an index; None: best minus
    worst), `skewed_error_ratio`, `unknown_group`, `empty_masks`. A group without a Dice is NaN. NAME is the
    group's, as `fairseg.integrations.trackers.log_keys` makes it for MLflow and Weights & Biases.

    >>> metric = GroupReport(["age<50", "age>=50"], labels=[1])
    >>> masks = torch.tensor([[0, 1], [1, 1]]), torch.tensor([[0, 1], [0, 1]])
    >>> metric.update(*masks, groups=["age<50", "age>=50"])
    >>> {name: round(value.item(), 3) for name, value in metric.compute().items()}
    {'dice_age_lt_50': 1.0, 'dice_age_ge_50': 0.667, 'subjects_age_lt_50': 1.0, 'subjects_age_ge_50': 1.0,
     'worst_group_dice': 0.667, 'fairness_gap': 0.333, 'skewed_error_ratio': inf, 'unknown_group': 0.0,
     'empty_masks': 0.0}
    """

    def compute(self) -> dict[str, Tensor]:
        """Return the values by name, float32 scalars."""
        values = self._report(self.reference)
        return {name: torch.tensor(value, device=self.device).float() for name, value in values.items()}
