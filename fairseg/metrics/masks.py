"""Check two label masks once and crop them to their foreground, before every metric.

Nothing here knows about a metric. `counts` and `surface` take a `MaskPair` and need no checks of
their own; a wrong mask gets an error here that names the argument.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.cohort.columns import OVERALL
from fairseg.io.sentences import brief
from fairseg.io.voxel_data import is_one_hot

Labels = int | Sequence[int] | Mapping[str, int]
# A structure is a label, or a union of labels.
Structures = Labels | Mapping[str, int | tuple[int, ...]] | Mapping[str | int, tuple[int, ...]]
Unions = tuple[tuple[int, ...], ...]  # of each structure its label values
Mask = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
FEW = 16  # labels: up to here, comparing a mask with each beats a histogram
# The attribute that identifies images of SimpleITK and nibabel, and how to get their voxels.
_IMAGES = {
    "GetPixelIDValue": "sitk.GetArrayFromImage(image), with spacing=image.GetSpacing()[::-1] for distances",
    "dataobj": "np.asarray(image.dataobj), with spacing=image.header.get_zooms() for distances",
}


class Pair:
    """Two checked masks: a `MaskPair` has arrays, an `on_device.DevicePair` tensors.

    Attributes:
        labels: label values to score, int64 (L,); of a union its smallest in the reference.
        spacing: voxel size along each axis of the masks, float64 (S,), mm.
        shape: shape of the uncropped image.
    """

    labels: npt.NDArray[np.int64]
    spacing: Floats
    shape: tuple[int, ...]

    @property
    def diagonal(self) -> float:
        """Length of the image's diagonal in mm: what a missed structure costs with `empty="diagonal"`."""
        return float(np.linalg.norm(np.array(self.shape) * self.spacing))

    def on_host(self) -> "MaskPair":
        """Return the masks as arrays."""
        raise NotImplementedError


@dataclass(frozen=True)
class MaskPair(Pair):
    """Two checked label masks, cropped to the smallest box that holds the foreground of both.

    Attributes:
        prediction: label values, unsigned integers, a view into the caller's array.
        reference: the same for the ground truth, same shape.
        labels: label values to score, int64 (L,); of a union its smallest in the reference.
        spacing: voxel size along each axis of the masks, float64 (S,), mm.
        shape: shape of the uncropped image.
        unions: of each structure all its label values, in the prediction and in the reference; `None` if
            each is one label, the same in both.
    """

    prediction: Mask
    reference: Mask
    labels: npt.NDArray[np.int64]
    spacing: Floats
    shape: tuple[int, ...]
    unions: tuple[Unions, Unions] | None = None

    def on_host(self) -> "MaskPair":
        """Return itself."""
        return self

    def rounds(self) -> "list[tuple[list[int], MaskPair]]":
        """Return the structures in as few rounds as unions that share a label need, each with plain labels.

        A voxel of a `MaskPair` has one label, so unions that share one are measured separately.

        Returns:
            Positions of the structures of a round, and the masks in which these are labels of their own.
        """
        if self.unions is None:
            return [(list(range(len(self.labels))), self)]
        return [(members, self._renumbered(members)) for members in rounds_of(self.unions)]

    def _renumbered(self, members: Sequence[int]) -> "MaskPair":
        """Return the same masks with each of these structures as one label, from 1 on."""
        assert self.unions is not None
        predicted, true = (
            _numbered(mask, [unions[member] for member in members])
            for mask, unions in zip((self.prediction, self.reference), self.unions, strict=True)
        )
        return MaskPair(predicted, true, np.arange(1, len(members) + 1), self.spacing, self.shape)


def check_pair(
    prediction: object,
    reference: object,
    labels: Structures | None,
    spacing: float | Sequence[float] | None = None,
    ignore: int | None = None,
    prediction_labels: Structures | None = None,
) -> MaskPair:
    """Check two masks, their labels and their spacing, and crop to the common foreground.

    Args:
        prediction: label mask (*S).
        reference: the ground-truth mask (*S), the same shape.
        labels: what to score; `None`: the labels that occur in either mask, in increasing order.
        spacing: voxel size along each axis, mm, or one number for all; `None` means 1 mm.
        ignore: voxels where the reference has this value become background in both masks.
        prediction_labels: the values of the same structures in the prediction, in the same order; `None`:
            those of `labels`.

    Raises:
        ValueError: shapes differ, a mask is not made of integers >= 0, or labels, spacing or `ignore` are
            not usable; the message names the argument, what was expected and what came.
    """
    unions = None if labels is None else tuple(structure_values(labels).values())
    predicted_unions = (
        unions if prediction_labels is None else tuple(structure_values(prediction_labels).values())
    )
    if ignore is not None:
        check_ignore(ignore, unions)
        prediction, reference = _without(prediction, reference, ignore)
    predicted = as_mask(prediction, "prediction")
    truth = as_mask(reference, "reference")
    check_shapes(predicted.shape, truth.shape)
    check_is_no_batch(predicted.shape, spacing)
    check_no_channels(truth, "reference")
    check_no_channels(predicted, "prediction")
    size = check_spacing(spacing, predicted.ndim)
    shape = predicted.shape
    if truth.flags.f_contiguous and not truth.flags.c_contiguous:
        # nibabel's arrays have the reverse order in memory: work in that order.
        predicted, truth, size = predicted.T, truth.T, size[::-1]
        shape = shape[::-1]
    box = foreground(predicted, truth)
    predicted, truth = np.ascontiguousarray(predicted[box]), np.ascontiguousarray(truth[box])
    if unions is None or predicted_unions is None:
        present = np.union1d(labels_in(predicted), labels_in(truth)).astype(np.int64)
        return MaskPair(predicted, truth, present[present != ignore], size, shape)
    values = np.array([min(union) for union in unions], dtype=np.int64)
    plain = predicted_unions == unions and all(len(union) == 1 for union in unions)
    return MaskPair(predicted, truth, values, size, shape, None if plain else (predicted_unions, unions))


def rounds_of(unions: tuple[Unions, Unions]) -> list[list[int]]:
    """Return the positions of the structures in rounds: those of one share no label, in either mask.

    >>> whole, core, edge = (1, 2, 3), (2, 3), (1,)
    >>> rounds_of(((whole, core, edge), (whole, core, edge)))
    [[0], [1, 2]]
    """
    rounds: list[list[int]] = []
    for position in range(len(unions[0])):
        for members in rounds:
            if not any(set(side[position]) & set(side[member]) for side in unions for member in members):
                members.append(position)
                break
        else:
            rounds.append([position])
    return rounds


def check_ignore(ignore: int, unions: Sequence[tuple[int, ...]] | None) -> None:
    """Raise a ValueError unless `ignore` can be the value of voxels that count for nothing."""
    if isinstance(ignore, bool) or not isinstance(ignore, int | np.integer) or ignore == 0:
        raise ValueError(f"ignore must be an integer other than 0, the background, got {brief(ignore)}")
    if not -(2**63) <= ignore < 2**63:
        raise ValueError(f"ignore must be what a mask can hold, from -2**63 to below 2**63, got {ignore}")
    if unions is not None and any(ignore in union for union in unions):
        raise ValueError(f"ignore must be none of the labels, got {ignore}")


def _without(prediction: object, reference: object, ignore: int) -> tuple[Mask, Mask]:
    """Return both masks with background where the reference has the value `ignore`, which may be negative."""
    predicted, truth = _array(prediction, "prediction"), _array(reference, "reference")
    check_shapes(predicted.shape, truth.shape)
    ignored = truth == ignore
    return np.where(ignored, 0, predicted), np.where(ignored, 0, truth)


def check_no_channels(mask: Mask, name: str) -> None:
    """Raise a ValueError if a mask has a channel for each label."""
    if is_one_hot(mask):
        raise ValueError(f"{name} must hold labels, got a channel for each (one-hot): take its argmax")


def check_shapes(prediction: tuple[int, ...], reference: tuple[int, ...]) -> None:
    """Raise a ValueError unless two masks have the same shape."""
    if prediction != reference:
        raise ValueError(
            f"prediction and reference must have the same shape, got {prediction} and {reference}"
        )


def check_is_no_batch(shape: tuple[int, ...], spacing: object) -> None:
    """Raise a ValueError for masks (B, 1, *S), whose voxels would go for those of one image.

    Of an image that has these axes, such as the frames of one slice, the spacing is known.
    """
    if spacing is None and len(shape) > 3 and shape[0] > 1 and shape[1] == 1:
        raise ValueError(
            f"prediction and reference must be masks of one case, got shape {shape}, a batch: score each, "
            "prediction[i, 0] and reference[i, 0]; of one image give the spacing"
        )


def as_mask(array: object, name: str) -> Mask:
    """Return a NumPy array of unsigned integers with the values of `array`; copy only if needed.

    Args:
        array: NumPy array or torch tensor of any shape: bool, integers >= 0, or floats that are
            whole numbers.
        name: the argument's name, for the error message.
    """
    mask = _array(array, name)
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
        raise ValueError(f"{name} must hold labels >= 0, got {low} (logits? take their argmax)")
    if float(high) >= 2.0**63:
        raise ValueError(f"{name} must hold labels below 2**63, got {high}")
    if mask.dtype.kind == "u":
        return mask
    whole = mask.astype(np.min_scalar_type(int(high)))
    if mask.dtype.kind == "f" and not np.array_equal(whole, mask):
        wrong = mask[whole != mask].flat[0]
        raise ValueError(f"{name} must hold integer labels, got {wrong} (a probability map? take its argmax)")
    return whole


def _array(array: object, name: str) -> Mask:
    if isinstance(array, str | PathLike):
        raise ValueError(
            f"{name} must be an array of labels, got the path {str(array)!r}: read its file first"
        )
    for attribute, how in _IMAGES.items():
        if hasattr(array, attribute):
            raise ValueError(f"{name} must be an array of labels, got an image: take {how}")
    if hasattr(array, "detach"):  # a torch tensor, without importing torch
        tensor: Any = array.detach().cpu()
        array = (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    try:
        return np.asarray(array)
    except ValueError as error:
        raise ValueError(f"{name} must be an array: {error}") from None


def labels_in(mask: Mask) -> npt.NDArray[np.int64]:
    """Return the labels that occur in a checked mask, in increasing order, without background.

    >>> labels_in(np.array([[0, 3], [1, 3]], dtype=np.uint8))
    array([1, 3])
    """
    if mask.dtype.itemsize > 2:
        values = np.unique(mask)
        return values[values > 0].astype(np.int64)
    top = int(mask.max(initial=0))
    if top <= FEW:
        return np.array([value for value in range(1, top + 1) if (mask == value).any()], dtype=np.int64)
    occurs = np.zeros(1 << 8 * mask.dtype.itemsize, dtype=bool)
    occurs[mask.ravel()] = True  # no sort: many times faster than np.unique
    return np.flatnonzero(occurs[1:]) + 1


def renumber(mask: Mask, values: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]) -> Mask:
    """Return a mask with `numbers` in place of `values`, 0 for all else, in the smallest unsigned type."""
    small = np.min_scalar_type(int(numbers.max(initial=0)))
    top = int(mask.max(initial=0))
    if top <= np.iinfo(np.uint16).max:
        table = np.zeros(top + 1, dtype=small)
        occurs = values <= top
        table[values[occurs]] = numbers[occurs]
        return table[mask]
    order = np.argsort(values)
    ordered = values[order]
    nearest = np.minimum(np.searchsorted(ordered, mask), len(ordered) - 1)
    return np.where(ordered[nearest] == mask, numbers[order][nearest], 0).astype(small)


def _numbered(mask: Mask, unions: Sequence[tuple[int, ...]]) -> Mask:
    """Return a mask in which each union is one label, from 1 on."""
    values = np.array([value for union in unions for value in union])
    number = np.repeat(np.arange(1, len(unions) + 1), [len(union) for union in unions])
    return renumber(mask, values, number)


def structure_values(structures: Structures) -> dict[str | int, tuple[int, ...]]:
    """Return the structures as name -> label values, in the order given; plain ints are their own names.

    Raises:
        ValueError: as `label_values`; a union without a label, with one twice, or outside a mapping.

    >>> structure_values({"whole tumour": (1, 2, 3), "core": (2, 3), "edema": 1})
    {'whole tumour': (1, 2, 3), 'core': (2, 3), 'edema': (1,)}
    """
    if isinstance(structures, Mapping):
        check_label_names(structures, "labels")
    if not isinstance(structures, Mapping) or not any(map(_is_union, structures.values())):
        return {name: (value,) for name, value in label_values(structures).items()}  # type: ignore[arg-type]
    unions: dict[str | int, tuple[int, ...]] = {}
    for name, value in structures.items():
        members: Any = value if _is_union(value) else (value,)
        try:
            union = tuple(label_values(members).values())
        except ValueError as error:
            raise ValueError(f"{error} (of {name!r})") from None
        if set(union) in map(set, unions.values()):
            raise ValueError(f"labels must differ, got {union} twice")
        unions[name] = union
    return unions


def check_label_names(names: Collection[object], where: str, hint: str = "") -> None:
    """Raise a ValueError if one of several labels has the name that tables use for the mean over all.

    >>> check_label_names(["Overall"], "labels")  # alone it is the mean
    """
    overall = [name for name in names if str(name).casefold() == OVERALL.casefold()]
    if len(names) > 1 and overall:
        raise ValueError(
            f"{where}: a label beside others may not be called {overall[0]!r}, which stands for the mean "
            f"over the labels: rename it, or leave it out if it is that mean{hint}"
        )


def _is_union(value: object) -> bool:
    return isinstance(value, tuple | list | np.ndarray)


def _hint_of_names(labels: Any) -> str:
    """Return what to type for labels whose names and values are exchanged, or that are names alone."""
    if isinstance(labels, Mapping):
        turned = {name: value for value, name in labels.items()}
        fits = all(isinstance(name, str) and isinstance(value, int) for name, value in turned.items())
        return f"; name first: labels={turned}" if fits else ""
    if isinstance(labels, Sequence) and all(isinstance(name, str) for name in labels):
        numbered = {name: number for number, name in enumerate(labels, 1)}
        return f"; say which value each has, such as labels={numbered}"
    return ""


def label_values(labels: Labels) -> dict[str | int, int]:
    """Return the labels, or the one, as name -> value, in the order given; plain ints are their own names.

    Raises:
        ValueError: no labels, a label that is not an integer or not positive (0 is background),
            or the same value twice.
    """
    if isinstance(labels, int | np.integer) and not isinstance(labels, bool):
        labels = (int(labels),)
    if isinstance(labels, str | bytes) or not isinstance(labels, Mapping | Sequence | np.ndarray):
        raise ValueError(f"labels must be a sequence of ints or a mapping name -> int, got {brief(labels)}")
    items = labels.items() if isinstance(labels, Mapping) else [(value, value) for value in labels]
    named: dict[str | int, int] = {}
    for name, value in items:
        try:
            if isinstance(value, bool | np.bool_):
                raise TypeError
            number = index(value)
        except TypeError:
            raise ValueError(f"labels must be integers, got {brief(value)}{_hint_of_names(labels)}") from None
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


def check_spacing(spacing: float | Sequence[float] | None, ndim: int) -> npt.NDArray[np.float64]:
    """Return the voxel size along each axis, float64 (ndim,), mm; one may go for all, `None` is 1."""
    if spacing is None:
        return np.ones(ndim)
    try:
        size = np.asarray(spacing, dtype=np.float64)
    except (TypeError, ValueError):
        size = np.empty(0)
    if size.ndim == 0:
        size = np.full(ndim, float(size))
    if size.shape != (ndim,) or not np.isfinite(size).all() or (size <= 0).any():
        raise ValueError(f"spacing must have {ndim} positive numbers, got {brief(spacing)}")
    return size


def foreground(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> tuple[slice, ...]:
    """Return the smallest box that holds every non-zero voxel of both masks (empty if none)."""
    box: list[slice] = []
    ndim = first.ndim
    while len(box) < ndim:
        rest = tuple(range(1, first.ndim))
        used = np.bitwise_or.reduce(first, axis=rest) | np.bitwise_or.reduce(second, axis=rest)
        positions = np.flatnonzero(used)
        if not positions.size:
            return (slice(0, 0),) * ndim
        box.append(slice(int(positions[0]), int(positions[-1]) + 1))
        if rest:  # the other axes need only the projection along this one
            first = np.bitwise_or.reduce(first, axis=0)
            second = np.bitwise_or.reduce(second, axis=0)
    return tuple(box)
