"""Voxel counts, and what follows from them in one line: Dice, IoU, precision, recall, volumes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.metrics.masks import (
    MaskPair,
    Pair,
    Structures,
    as_mask,
    check_spacing,
    labels_in,
    pair_of,
    structure_values,
)

_CHUNK = 1 << 16  # voxels counted at a time: small enough to stay in the processor's cache
_FEW = 16  # up to here, comparing with each label beats a histogram


@dataclass(frozen=True)
class Counts:
    """Voxels of each structure, int64 (L,) or (..., L): in the prediction, in the reference, and in both.

    What follows from them is float64 of the same shape, NaN where both masks lack the structure.
    """

    prediction: npt.NDArray[np.int64]
    reference: npt.NDArray[np.int64]
    both: npt.NDArray[np.int64]

    @property
    def dice(self) -> npt.NDArray[np.float64]:
        """2 |P and R| / (|P| + |R|)."""
        return self._share(2.0 * self.both, self.prediction + self.reference)

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """|P and R| / |P or R|."""
        return self._share(self.both, self.prediction + self.reference - self.both)

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """|P and R| / |P|; 0 where only the prediction lacks the structure."""
        return self._share(self.both, self.prediction)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """|P and R| / |R|; 0 where only the reference lacks the structure."""
        return self._share(self.both, self.reference)

    @property
    def volume_error(self) -> npt.NDArray[np.float64]:
        """(|P| - |R|) / |R|; NaN where the reference lacks the structure."""
        error = np.full(self.reference.shape, np.nan)
        np.divide(self.prediction - self.reference, self.reference, out=error, where=self.reference > 0)
        return error

    def _share(self, part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        share = np.where(self.prediction + self.reference > 0, 0.0, np.nan)
        np.divide(part, whole, out=share, where=whole > 0)
        return share


@singledispatch
def count(pair: Pair) -> Counts:
    """Count the voxels of every structure in one pass over the two masks, or a few if unions overlap."""
    assert isinstance(pair, MaskPair)  # `on_device` has the way of tensors
    counts = np.zeros((3, len(pair.labels)), dtype=np.int64)
    for places, plain in pair.rounds():
        counts[:, places] = _count(plain)
    return Counts(*counts)


def _count(pair: MaskPair) -> npt.NDArray[np.int64]:
    counts = np.zeros((3, len(pair.labels)), dtype=np.int64)
    if pair.reference.size:
        rows = max(1, _CHUNK * len(pair.reference) // pair.reference.size)
        tally = _compare if len(pair.labels) <= _FEW else _histogram
        for start in range(0, len(pair.reference), rows):
            part = slice(start, start + rows)
            tally(pair.prediction[part], pair.reference[part], pair.labels, counts)
    return counts


def dice(
    prediction: object, reference: object, labels: Structures | None = None, *, ignore: int | None = None
) -> npt.NDArray[np.float64]:
    """Dice similarity coefficient (DSC) of each structure: 2 |P and R| / (|P| + |R|).

    Args:
        prediction: the model's label mask (*S), integers, bool, or whole-number floats; NumPy
            array or torch tensor.
        reference: the ground-truth mask (*S), the same shape.
        labels: label values, or a mapping name -> value or tuple of values, whose union is then the
            structure; unions may share labels. `None`: the labels that occur in either mask, in increasing
            order, without 0, which is background.
        ignore: voxels where the reference has this value count for nothing, in either mask.

    Returns:
        float64 (L,), between 0 and 1. NaN where the structure is in neither mask (medpy's `dc` has
        1 or NaN there, depending on the version of NumPy), 0 where it is in only one.

    Raises:
        ValueError: shapes differ, a mask is not made of integers >= 0, or labels are not usable.

    >>> dice([[0, 1, 1]], [[0, 0, 1]], labels=[1, 2])
    array([0.66666667,        nan])
    >>> dice([[0, 1, 3, 3]], [[1, 1, 2, 3]])  # of 1, 2 and 3
    array([0.66666667, 0.        , 0.66666667])
    >>> dice([[0, 1, 3, 3]], [[1, 1, 2, 3]], {"tumour": (1, 2, 3), "core": (2, 3)})
    array([0.85714286, 1.        ])
    """
    return count(pair_of(prediction, reference, labels, ignore=ignore)).dice


def iou(
    prediction: object, reference: object, labels: Structures | None = None, *, ignore: int | None = None
) -> npt.NDArray[np.float64]:
    """Intersection over union (Jaccard index) of each structure: |P and R| / |P or R|.

    Arguments, empty masks and errors are those of `dice`.

    >>> iou([[0, 1, 1]], [[0, 0, 1]], labels=[1])
    array([0.5])
    """
    return count(pair_of(prediction, reference, labels, ignore=ignore)).iou


def precision(
    prediction: object, reference: object, labels: Structures | None = None, *, ignore: int | None = None
) -> npt.NDArray[np.float64]:
    """Precision of each structure: the share of the predicted voxels that are true, |P and R| / |P|.

    Low where a structure is over-segmented. Arguments and errors are those of `dice`. NaN where neither mask
    has the structure, 0 where only one has it: a missed structure is never left out.

    >>> precision([[0, 1, 1]], [[0, 0, 1]], labels=[1])
    array([0.5])
    """
    return count(pair_of(prediction, reference, labels, ignore=ignore)).precision


def recall(
    prediction: object, reference: object, labels: Structures | None = None, *, ignore: int | None = None
) -> npt.NDArray[np.float64]:
    """Recall (sensitivity) of each structure: the share of the true voxels that are found, |P and R| / |R|.

    Low where a structure is under-segmented. Arguments and errors are those of `dice`. NaN where neither mask
    has the structure, 0 where only one has it.

    >>> recall([[0, 1, 1]], [[0, 0, 1]], labels=[1])
    array([1.])
    """
    return count(pair_of(prediction, reference, labels, ignore=ignore)).recall


def volume_error(
    prediction: object, reference: object, labels: Structures | None = None, *, ignore: int | None = None
) -> npt.NDArray[np.float64]:
    """Relative volume error of each structure: (|P| - |R|) / |R|, above 0 where it is over-segmented.

    By group it shows who is over- and who is under-segmented. Arguments and errors are those of `dice`.

    Returns:
        float64 (L,), -1 for a missed structure; NaN where the reference lacks it, which leaves nothing to
        divide by.

    >>> volume_error([[0, 1, 1]], [[0, 0, 1]], labels=[1])
    array([1.])
    """
    return count(pair_of(prediction, reference, labels, ignore=ignore)).volume_error


def volumes(
    mask: object, labels: Structures | None = None, *, spacing: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Volume of each structure, in millilitres (1 ml = 1000 mm^3).

    Args:
        mask: label mask (*S) of three axes, as for `dice`.
        labels: as for `dice`; `None`: the labels that occur in the mask, in increasing order.
        spacing: voxel size along each axis of `mask`, mm.

    Returns:
        float64 (L,); 0.0 where the structure is not in the mask.

    Raises:
        ValueError: the mask has not three axes (a 2D mask has an area), or an input is not usable.

    >>> volumes([[[1, 1], [0, 2]]], [1, 2, 3], spacing=(10.0, 5.0, 2.0))
    array([0.2, 0.1, 0. ])
    """
    voxels = as_mask(mask, "mask")
    if voxels.ndim != 3:
        raise ValueError(f"mask must have 3 axes to have a volume, got shape {voxels.shape}")
    size = check_spacing(spacing, 3)
    unions = (
        [(int(value),) for value in labels_in(voxels)]
        if labels is None
        else structure_values(labels).values()
    )
    counts = [sum(np.count_nonzero(voxels == value) for value in union) for union in unions]
    return np.asarray(np.array(counts) * size.prod() / 1000.0)


def _compare(
    prediction: npt.NDArray[Any],
    reference: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> None:
    for position, value in enumerate(labels):
        predicted, true = prediction == value, reference == value
        counts[0, position] += np.count_nonzero(predicted)
        counts[1, position] += np.count_nonzero(true)
        counts[2, position] += np.count_nonzero(predicted & true)


def _histogram(
    prediction: npt.NDArray[Any],
    reference: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> None:
    same = prediction[prediction == reference]
    for row, values in enumerate((prediction, reference, same)):
        present, times = np.unique(values, return_counts=True)
        if present.size:
            nearest = np.minimum(np.searchsorted(present, labels), present.size - 1)
            counts[row] += np.where(present[nearest] == labels, times[nearest], 0)
