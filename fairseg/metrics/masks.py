"""Check two label masks once and crop them to their foreground: what every metric starts from.

Nothing here knows about a metric. `overlap` and `surface` take a `Pair` and need no checks of
their own; a mask that is wrong in any way ends here, with an error that names the argument.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt

Labels = Sequence[int] | Mapping[str, int]


@dataclass(frozen=True)
class Pair:
    """Two checked label masks, cropped to the smallest box that holds the foreground of both.

    Attributes:
        prediction: label values, unsigned integers, a view into the caller's array.
        reference: the same for the ground truth, same shape.
        labels: label values to score, int64 (L,).
        spacing: voxel size along each axis of the masks, float64 (S,), mm.
        shape: shape of the uncropped image.
    """

    prediction: npt.NDArray[Any]
    reference: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    spacing: npt.NDArray[np.float64]
    shape: tuple[int, ...]

    @property
    def diagonal(self) -> float:
        """Length of the image's diagonal in mm: what a missed structure costs if asked for."""
        return float(np.linalg.norm(np.array(self.shape) * self.spacing))


def check_pair(
    prediction: object, reference: object, labels: Labels, spacing: Sequence[float] | None
) -> Pair:
    """Check two masks, their labels and their spacing, and crop to the common foreground.

    Raises:
        ValueError: shapes differ, a mask is not made of integers >= 0, or labels or spacing are
            not usable; the message names the argument, what was expected and what came.
    """
    predicted = as_mask(prediction, "prediction")
    truth = as_mask(reference, "reference")
    if predicted.shape != truth.shape:
        raise ValueError(
            f"prediction and reference must have the same shape, got {predicted.shape} and {truth.shape}"
        )
    values = np.array(list(label_values(labels).values()), dtype=np.int64)
    size = check_spacing(spacing, predicted.ndim)
    shape = predicted.shape
    if truth.flags.f_contiguous and not truth.flags.c_contiguous:
        # nibabel's arrays lie in memory the other way round: walk them as they lie.
        predicted, truth, size = predicted.T, truth.T, size[::-1]
        shape = shape[::-1]
    box = _foreground(predicted, truth)
    return Pair(predicted[box], truth[box], values, size, shape)


def as_mask(array: object, name: str) -> npt.NDArray[Any]:
    """Return a NumPy array of unsigned integers with the values of `array`; copy only if needed.

    Args:
        array: NumPy array or torch tensor of any shape: bool, integers >= 0, or floats that are
            whole numbers.
        name: the argument's name, for the error message.
    """
    if hasattr(array, "detach"):  # a torch tensor, without importing torch
        tensor: Any = array.detach().cpu()
        array = (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    try:
        mask = np.asarray(array)
    except ValueError as error:
        raise ValueError(f"{name} must be an array: {error}") from None
    if mask.ndim == 0 or mask.size == 0:
        raise ValueError(f"{name} must have at least one voxel, got shape {mask.shape}")
    if mask.dtype.kind == "b":
        return mask.view(np.uint8)
    if mask.dtype.kind == "u" and mask.dtype.itemsize < 8:
        return mask
    if mask.dtype.kind not in "iuf":
        raise ValueError(f"{name} must hold integer labels, got dtype {mask.dtype}")
    low, high = mask.min(), mask.max()  # NaN, if there is one, comes out of both
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} must hold integer labels, got NaN or infinity")
    if low < 0:
        raise ValueError(f"{name} must hold labels >= 0, got {low}")
    if float(high) >= 2.0**63:
        raise ValueError(f"{name} must hold labels below 2**63, got {high}")
    if mask.dtype.kind == "u":
        return mask
    whole = mask.astype(np.min_scalar_type(int(high)))
    if mask.dtype.kind == "f" and not np.array_equal(whole, mask):
        wrong = mask[whole != mask].flat[0]
        raise ValueError(f"{name} must hold integer labels, got {wrong} (a probability map? take its argmax)")
    return whole


def label_values(labels: Labels) -> dict[str | int, int]:
    """Return the labels as name -> value, in the order given; plain ints are their own names.

    Raises:
        ValueError: no labels, a label that is not an integer or not positive (0 is background),
            or the same value twice.
    """
    if isinstance(labels, str | bytes) or not isinstance(labels, Mapping | Sequence | np.ndarray):
        raise ValueError(f"labels must be a sequence of ints or a mapping name -> int, got {labels!r}")
    items = labels.items() if isinstance(labels, Mapping) else [(value, value) for value in labels]
    named: dict[str | int, int] = {}
    for name, value in items:
        try:
            if isinstance(value, bool | np.bool_):
                raise TypeError
            number = index(value)
        except TypeError:
            raise ValueError(f"labels must be integers, got {value!r}") from None
        if number <= 0:
            raise ValueError(f"labels must be positive (0 is background), got {number}")
        if number >= 2**63:
            raise ValueError(f"labels must be below 2**63, got {number}")
        if number in named.values():
            raise ValueError(f"labels must differ, got {number} twice")
        named[name if isinstance(name, str) else number] = number
    if not named:
        raise ValueError("labels must name at least one label, got none")
    return named


def check_spacing(spacing: Sequence[float] | None, ndim: int) -> npt.NDArray[np.float64]:
    """Return the voxel size along each axis, float64 (ndim,), mm; `None` means 1 mm."""
    if spacing is None:
        return np.ones(ndim)
    try:
        size = np.asarray(spacing, dtype=np.float64)
    except (TypeError, ValueError):
        size = np.empty(0)
    if size.shape != (ndim,) or not np.isfinite(size).all() or (size <= 0).any():
        raise ValueError(f"spacing must have {ndim} positive numbers, got {spacing!r}")
    return size


def _foreground(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> tuple[slice, ...]:
    """Return the smallest box that holds every non-zero voxel of both masks (empty if none)."""
    box: list[slice] = []
    ndim = first.ndim
    while len(box) < ndim:
        rest = tuple(range(1, first.ndim))
        used = np.bitwise_or.reduce(first, axis=rest) | np.bitwise_or.reduce(second, axis=rest)
        where = np.flatnonzero(used)
        if not where.size:
            return (slice(0, 0),) * ndim
        box.append(slice(int(where[0]), int(where[-1]) + 1))
        if rest:  # the other axes need only the projection along this one
            first = np.bitwise_or.reduce(first, axis=0)
            second = np.bitwise_or.reduce(second, axis=0)
    return tuple(box)
