"""The base of group metrics in a training loop: batches of masks to voxel counts, and those to Dice by group.

`GroupVoxelCounts` is the one accumulator; the metrics for torchmetrics (and through them Lightning) and for
MONAI are its subclasses, which add how their framework keeps rows, and gathers them over processes.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fairseg.cohort import Groups, as_groups
from fairseg.cohort.ids import as_ids
from fairseg.integrations.trackers import log_keys
from fairseg.io.sentences import brief
from fairseg.losses.grouping import NumGroups, batch_ids
from fairseg.metrics.counts import Counts
from fairseg.metrics.fairness import Floats, by_group, fairness_gap, skewed_error_ratio, worst_group
from fairseg.metrics.masks import Structures, check_ignore, structure_values

Ids = npt.NDArray[np.int64]
Samples = Literal["cases", "slices"]
Statistic = Literal["median", "mean"]
ALONE = -1  # subject of a sample that came without one: it counts as a subject of its own
_LARGEST_SUBJECT = 2**53 - 1  # the arithmetic of `subject_dice`, in float64, would merge subjects above it


class GroupVoxelCounts:
    """A row a sample with its group, its subject and the voxels of each label; and what follows from them."""

    def __init__(
        self,
        num_groups: NumGroups,
        labels: Structures,
        *,
        samples: Samples = "cases",
        statistic: Statistic = "median",
        ignore: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)  # of the framework's class
        groups = as_groups(num_groups)
        self._groups = groups if isinstance(groups, Groups) else None
        self.num_groups = len(groups) if isinstance(groups, Groups) else int(groups or 0)
        if samples not in ("cases", "slices"):
            raise ValueError(f'samples must be "cases" or "slices", got {samples!r}')
        if statistic not in ("median", "mean"):
            raise ValueError(f'statistic must be "median" or "mean", got {statistic!r}')
        self.labels = list(structure_values(labels).values())  # of each structure its values
        if ignore is not None:
            check_ignore(ignore, self.labels)
        self.ignore = ignore
        self.samples: Samples = samples
        self.statistic: Statistic = statistic
        self._keep_rows()

    def _keep_rows(self) -> None:
        """Make room for rows, where the framework must be told of them."""

    def _count(self, prediction: Tensor, reference: Tensor, groups: Any, subjects: Any) -> Tensor:
        """Return the row of each sample, int64 (B, 2 + 3 L): group, subject, voxel counts."""
        voxels = count_voxels(prediction, reference, self.labels, self.ignore)
        size = len(voxels)
        group_ids = batch_ids(groups, self._groups, voxels.device)
        ids = check_ids(group_ids, "groups", size, -1, self.num_groups - 1)
        owners = torch.full((size,), ALONE)
        if subjects is not None:
            owners = check_ids(subjects, "subjects", size, 0, _LARGEST_SUBJECT)
        elif self.samples == "slices":
            raise ValueError('subjects must say whose slice each sample is, as samples="slices", got None')
        parts = (ids.unsqueeze(1), owners.unsqueeze(1), voxels.flatten(1))
        return torch.cat([part.to(voxels.device, torch.int64) for part in parts], dim=1)

    def _all_rows(self) -> Tensor | None:
        """Return the rows of all batches, over all processes; `None` before the first."""
        raise NotImplementedError

    def _subjects(self) -> tuple[Floats, Ids]:
        """Return the Dice of each subject, NaN where there is none, and its group."""
        rows = self._all_rows()
        if rows is None:
            return np.empty(0), np.empty(0, dtype=np.int64)
        table = rows.double().cpu().numpy()
        return subject_dice(table[:, 2:].reshape(len(table), 3, -1), table[:, 0], table[:, 1], self.samples)

    def _by_group(self) -> Floats:
        dice, groups = self._subjects()
        return by_group(dice, as_ids(groups, known=self.num_groups), self.statistic)[0]

    def _value(self) -> npt.ArrayLike:
        """Return the metric's value: the statistic of each group (G,), or one that follows from it."""
        return self._by_group()

    def _counts(self) -> dict[str, Tensor]:
        """Return the numbers of subjects behind the values, and of those left out, int64."""
        dice, groups = self._subjects()
        counts = {
            "subjects": by_group(dice, as_ids(groups, known=self.num_groups))[1],
            "unknown_group": (groups < 0).sum(),
            "empty_masks": (np.isnan(dice) & (groups >= 0)).sum(),
        }
        return {name: torch.as_tensor(count) for name, count in counts.items()}

    def _report(self, reference: int | None) -> dict[str, float]:
        """Return all values and counts by the keys under which experiment trackers take them."""
        if self._groups is None:
            raise ValueError("num_groups must be the groups or their names, by which the report names them")
        values, counts = self._by_group(), self._counts()
        keys, subjects = log_keys(self._groups.names), counts.pop("subjects")
        return {
            **{f"dice_{key}": float(value) for key, value in zip(keys, values, strict=True)},
            **{f"subjects_{key}": int(count) for key, count in zip(keys, subjects, strict=True)},
            "worst_group_dice": float(worst_group(values)),
            "fairness_gap": float(fairness_gap(values, reference=reference)),
            "skewed_error_ratio": float(skewed_error_ratio(values)),
            **{name: int(count) for name, count in counts.items()},
        }


class WorstGroupValue(GroupVoxelCounts):
    """The value is the Dice of the worst-served group; NaN without any group."""

    def _value(self) -> npt.ArrayLike:
        return worst_group(self._by_group())


class FairnessGapValue(GroupVoxelCounts):
    """The value is the gap; NaN with fewer than two groups, or without the reference group."""

    def __init__(
        self, num_groups: NumGroups, labels: Structures, *, reference: int | str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(num_groups, labels, **kwargs)
        if isinstance(reference, str):
            names = () if self._groups is None else self._groups.names
            if reference not in names:
                raise ValueError(f"reference must be one of the groups {list(names)}, got {reference!r}")
            reference = names.index(reference)
        fairness_gap(np.zeros(self.num_groups), reference)  # a wrong index must not come out after an epoch
        self.reference = reference

    def _value(self) -> npt.ArrayLike:
        return fairness_gap(self._by_group(), self.reference)


class SkewedErrorRatioValue(GroupVoxelCounts):
    """The value is the ratio; NaN with fewer than two groups, inf if only some are perfect."""

    def _value(self) -> npt.ArrayLike:
        return skewed_error_ratio(self._by_group())


def count_voxels(
    prediction: Tensor, reference: Tensor, labels: Sequence[tuple[int, ...]], ignore: int | None = None
) -> Tensor:
    """Count the voxels of every structure in each sample: in the prediction, in the reference, in both.

    Args:
        prediction: label masks, integer (B, *S) or (B, 1, *S); or logits, floating (B, C, *S), whose
            largest channel is the label.
        reference: label masks, integer (B, *S) or (B, 1, *S).
        labels: the values of each structure.
        ignore: voxels where the reference has this value are not counted.

    Returns:
        int64 (B, 3, L).

    Raises:
        ValueError: shapes or dtypes do not fit, or NaN among the logits.

    >>> count_voxels(torch.tensor([[0, 1, 1]]), torch.tensor([[2, 0, 1]]), labels=[(1,), (2,)]).tolist()
    [[[2, 0], [1, 1], [1, 0]]]
    """
    truth = _mask(reference, "reference", None)
    predicted = _mask(prediction, "prediction", truth)
    if ignore is not None:
        predicted, truth = (mask.masked_fill(truth == ignore, 0) for mask in (predicted, truth))
    counts = [
        torch.stack([part.flatten(1).sum(1) for part in (first, second, first & second)], dim=1)
        for first, second in ((_is_in(predicted, values), _is_in(truth, values)) for values in labels)
    ]
    return torch.stack(counts, dim=2)


def _is_in(mask: Tensor, values: tuple[int, ...]) -> Tensor:
    inside = mask == values[0]
    for value in values[1:]:
        inside = inside | (mask == value)
    return inside


def subject_dice(
    voxels: Floats, groups: npt.ArrayLike, subjects: npt.ArrayLike, samples: Samples
) -> tuple[Floats, Ids]:
    """Return the Dice of each subject, the mean over labels.

    Args:
        voxels: as from `count_voxels`, (N, 3, L).
        groups: ids (N,).
        subjects: numbers (N,); `ALONE` for a sample that is a subject of its own.
        samples: "cases": the mean over a subject's samples of their Dice; "slices": the Dice of all its
            samples' voxels together.

    Returns:
        Dice, float64, NaN for a subject with no label in any mask; and groups, int64. A subject in two
        groups is one of each, as in the audit.

    >>> voxels = np.array([[[4.0], [4.0], [4.0]], [[2.0], [0.0], [0.0]]])
    >>> subject_dice(voxels, [0, 0], [7, 7], "cases"), subject_dice(voxels, [0, 0], [7, 7], "slices")
    ((array([0.5]), array([0])), (array([0.8]), array([0])))
    """
    owner = np.asarray(subjects, dtype=np.float64)
    owner = np.where(owner == ALONE, -1.0 - np.arange(len(owner)), owner)
    pairs, index = np.unique(np.stack([owner, np.asarray(groups)], axis=1), axis=0, return_inverse=True)
    index = index.ravel()
    if samples == "slices":
        dice = mean_dice(_sum(voxels, index, len(pairs)))
    else:
        case_dice = mean_dice(voxels)
        finite = ~np.isnan(case_dice)
        total = _sum(np.where(finite, case_dice, 0.0), index, len(pairs))
        dice = _ratio(total, _sum(finite.astype(float), index, len(pairs)))
    return dice, pairs[:, 1].astype(np.int64)


def numbered(name: str) -> str:
    """Return the code that makes ids of names: groups as `Groups` numbers them, subjects over all batches."""
    if name == "groups":
        return "fairseg.Groups.from_values(names).encode(names), names of the whole cohort"
    return "pandas.factorize(names)[0], names of the whole cohort"


def check_ids(ids: Tensor, name: str, size: int, low: int, high: int) -> Tensor:
    """Return ids, an integer tensor (size,) with values from `low` to `high`, or raise a ValueError."""
    try:
        values = torch.as_tensor(ids)
    except (TypeError, ValueError):  # names
        raise ValueError(
            f"{name} must be integers, got {brief(ids)}; of names make them by {numbered(name)}"
        ) from None
    if values.shape != (size,) or values.is_floating_point() or values.dtype == torch.bool:
        raise ValueError(
            f"{name} must be {size} integer ids, got {values.dtype} of shape {tuple(values.shape)}"
        )
    least, most = int(values.min()), int(values.max())  # as Python's: a narrow dtype may not hold `high`
    if least < low or most > high:
        wrong = least if least < low else most
        raise ValueError(f"{name} must be between {low} and {high}, got {wrong}")
    return values


def _mask(array: Tensor, name: str, like: Tensor | None) -> Tensor:
    """Return label masks (B, *S)."""
    if not isinstance(array, Tensor) or array.ndim < 2 or array.numel() == 0:
        received = tuple(array.shape) if isinstance(array, Tensor) else type(array).__name__
        raise ValueError(f"{name} must be a tensor (B, *S) with at least one voxel, got {received}")
    if like is not None and array.is_floating_point():
        if array.ndim != like.ndim + 1 or array.shape[1] < 2:
            raise ValueError(
                f"{name} must be integer masks, or logits (B, C, *S) of 2 or more classes, got {array.dtype} "
                f"of shape {tuple(array.shape)} for masks {tuple(like.shape)}"
            )
        if array.isnan().any():
            raise ValueError(f"{name} must hold numbers, got NaN")
        array = array.argmax(1)
    elif array.is_floating_point() or array.is_complex():
        raise ValueError(f"{name} must be integer label masks, got {array.dtype}")
    if array.ndim > 2 and array.shape[1] == 1 and (like is None or array.ndim == like.ndim + 1):
        array = array.squeeze(1)
    if like is not None and array.shape != like.shape:
        raise ValueError(
            f"prediction and reference must have the same shape, got {tuple(array.shape)} "
            f"and {tuple(like.shape)}"
        )
    return array


def _sum(values: Floats, index: Ids, size: int) -> Floats:
    total = np.zeros((size, *values.shape[1:]))
    np.add.at(total, index, values)
    return total


def mean_dice(counts: Floats) -> Floats:
    """Return the mean over labels of the Dice of voxel counts (N, 3, L): (N,), NaN where no label is."""
    dice = Counts(*np.moveaxis(counts, 1, 0).astype(np.int64)).dice
    return _ratio(np.nansum(dice, axis=1), (~np.isnan(dice)).sum(axis=1).astype(float))


def _ratio(part: Floats, total: Floats) -> Floats:
    result = np.full(part.shape, np.nan)
    np.divide(part, total, out=result, where=total > 0)
    return result
