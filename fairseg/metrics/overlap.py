"""Metrics of voxel counts in one line each: Dice, IoU, precision, recall, volumes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fairseg.metrics.counts import count
from fairseg.metrics.masks import Structures, as_mask, check_spacing, labels_in, structure_values
from fairseg.metrics.pairs import pair_of


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
    mask: object, labels: Structures | None = None, *, spacing: float | Sequence[float]
) -> npt.NDArray[np.float64]:
    """Volume of each structure, in millilitres (1 ml = 1000 mm^3).

    Args:
        mask: label mask (*S) of three axes, as for `dice`.
        labels: as for `dice`; `None`: the labels that occur in the mask, in increasing order.
        spacing: voxel size along each axis of `mask`, mm, or one number for all.

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
