"""Group metrics in the form of torchmetrics: update batch by batch, compute over all processes, reset.

`GroupDice`, `FairnessGap`, `SkewedErrorRatio`, `WorstGroupDice` and `GroupCounts` keep the same state, voxel
counts of each sample, and end in the functions of `fairseg.metrics`; a `MetricCollection` therefore counts
once for all of them. Needs the extra `torchmetrics`.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

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

__all__ = ["FairnessGap", "GroupCounts", "GroupDice", "SkewedErrorRatio", "WorstGroupDice"]


class _GroupMetric(Metric):
    """What all of them share: the state, and the way from voxels to one Dice a subject.

    Args:
        num_groups: number of groups in the cohort, G.
        labels: label values, or a mapping name -> value; a subject's Dice is the mean over them.
        samples: what a sample is. "cases": a whole image; it has its Dice, and a subject has the mean over
            its cases, as in the audit. "slices": a part of one; the voxels of all samples of a subject are
            added up before there is a Dice, as in a Dice of the volume.
        statistic: "median" or "mean" of the subjects of a group.
        kwargs: those of `torchmetrics.Metric`, such as `process_group`.

    Raises:
        ValueError: an argument is not usable.
    """

    is_differentiable = False
    full_state_update = False
    voxels: list[Tensor]
    groups: list[Tensor]
    subjects: list[Tensor]

    def __init__(
        self,
        num_groups: int,
        labels: Labels,
        *,
        samples: Literal["cases", "slices"] = "cases",
        statistic: Literal["median", "mean"] = "median",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_options(num_groups, samples, statistic)
        self.num_groups = num_groups
        self.samples = samples
        self.statistic: Literal["median", "mean"] = statistic
        values = list(label_values(labels).values())
        # All in float64, which holds counts and ids exactly, and flat: for a rank that saw no sample,
        # torchmetrics makes an empty state of the metric's dtype and one axis, and all ranks' must be alike.
        self.set_dtype(torch.float64)
        for name in ("voxels", "groups", "subjects"):
            self.add_state(name, [], dist_reduce_fx="cat")
        # A state so that a collection never takes metrics of other labels for the same.
        self.add_state("label_values", torch.tensor(values, dtype=torch.float64), dist_reduce_fx="max")

    def update(
        self, prediction: Tensor, reference: Tensor, groups: Tensor, subjects: Tensor | None = None
    ) -> None:
        """Count the voxels of a batch.

        Args:
            prediction: label masks, integer (B, *S) or (B, 1, *S); or logits, floating (B, C, *S), whose
                largest channel is the label.
            reference: label masks, integer (B, *S) or (B, 1, *S).
            groups: ids, integer (B,); a sample with -1 is counted as unknown and has no other part.
            subjects: numbers of the subjects, integer (B,), from 0 to 2**53 - 1, the same on all processes;
                None: every sample is a subject of its own.

        Raises:
            ValueError: shapes or dtypes do not fit, NaN among the logits, or an id is out of range.
        """
        assert isinstance(self.label_values, Tensor)
        voxels = count_voxels(prediction, reference, [int(value) for value in self.label_values.tolist()])
        size = len(voxels)
        ids = check_ids(groups, "groups", size, -1, self.num_groups - 1)
        owner = check_subjects(subjects, size)
        for name, state in (("voxels", voxels.flatten()), ("groups", ids), ("subjects", owner)):
            getattr(self, name).append(state.to(self.device, self.dtype))

    def _subjects(self) -> tuple[Floats, Ids]:
        """Return the Dice of each subject, NaN where there is none, and its group; over all processes."""
        if not len(self.groups):
            return np.empty(0), np.empty(0, dtype=np.int64)
        voxels, group, owner = (
            dim_zero_cat(state).double().cpu().numpy() for state in (self.voxels, self.groups, self.subjects)
        )
        return subject_dice(voxels.reshape(len(group), 3, -1), group, owner, self.samples)

    def _by_group(self) -> Floats:
        return by_group(*self._subjects(), self.num_groups, self.statistic)[0]

    def _tensor(self, value: npt.ArrayLike) -> Tensor:
        return torch.as_tensor(value, dtype=self.dtype, device=self.device)


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

    def compute(self) -> Tensor:
        """Return the statistic of each group, float64 (G,)."""
        return self._tensor(self._by_group())


class WorstGroupDice(_GroupMetric):
    """Dice of the worst-served group, as `fairseg.metrics.worst_group`; the number to select models by.

    >>> metric = WorstGroupDice(num_groups=2, labels=[1])
    >>> masks = torch.tensor([[0, 1, 1], [0, 1, 0]]), torch.tensor([[0, 1, 1], [0, 1, 1]])
    >>> round(metric(*masks, groups=torch.tensor([0, 1])).item(), 3)
    0.667
    """

    higher_is_better = True
    plot_lower_bound, plot_upper_bound = 0.0, 1.0

    def compute(self) -> Tensor:
        """Return a scalar; NaN without any group."""
        return self._tensor(worst_group(self._by_group()))


class FairnessGap(_GroupMetric):
    """Gap between the groups' Dice, as `fairseg.metrics.fairness_gap`.

    Args:
        num_groups: as for all metrics here.
        labels: as for all metrics here.
        reference: index of the reference group, which makes the gap signed; None: best minus worst.
        kwargs: `samples`, `statistic`, and those of `torchmetrics.Metric`.

    >>> metric = FairnessGap(num_groups=2, labels=[1], reference=0)
    >>> masks = torch.tensor([[0, 1, 1], [0, 1, 0]]), torch.tensor([[0, 1, 1], [0, 1, 1]])
    >>> round(metric(*masks, groups=torch.tensor([0, 1])).item(), 3)
    0.333
    """

    def __init__(
        self, num_groups: int, labels: Labels, *, reference: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(num_groups, labels, **kwargs)
        fairness_gap(np.zeros(num_groups), reference)  # a wrong index must not come out after an epoch
        self.reference = reference

    def compute(self) -> Tensor:
        """Return a scalar; NaN with fewer than two groups, or without the reference group."""
        return self._tensor(fairness_gap(self._by_group(), self.reference))


class SkewedErrorRatio(_GroupMetric):
    """Largest group error over the smallest, as `fairseg.metrics.skewed_error_ratio`; 1 is fair.

    >>> metric = SkewedErrorRatio(num_groups=2, labels=[1])
    >>> masks = torch.tensor([[1, 1, 0], [0, 1, 0]]), torch.tensor([[1, 0, 1], [0, 1, 1]])
    >>> round(metric(*masks, groups=torch.tensor([0, 1])).item(), 3)
    1.5
    """

    higher_is_better = False

    def compute(self) -> Tensor:
        """Return a scalar; NaN with fewer than two groups, inf if only some are perfect."""
        return self._tensor(skewed_error_ratio(self._by_group()))


class GroupCounts(_GroupMetric):
    """How many subjects the other metrics rest on, and how many they leave out.

    >>> metric = GroupCounts(num_groups=2, labels=[1])
    >>> masks = torch.tensor([[0, 1], [0, 0], [1, 0]]), torch.tensor([[0, 1], [0, 0], [0, 1]])
    >>> metric.update(*masks, groups=torch.tensor([0, 1, -1]))
    >>> {name: count.tolist() for name, count in metric.compute().items()}
    {'subjects': [1, 0], 'unknown_group': 1, 'empty_masks': 1}
    """

    def compute(self) -> dict[str, Tensor]:
        """Return what there is, int64.

        `subjects` (G,): those with a Dice; `unknown_group`: subjects without a group; `empty_masks`: subjects
        of a group with no label in either mask, which have no Dice.
        """
        counts = count_subjects(*self._subjects(), self.num_groups)
        return {name: torch.as_tensor(count, device=self.device) for name, count in counts.items()}
