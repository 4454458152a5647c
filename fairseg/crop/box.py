"""Boxes around objects; crop to them, and put crops back in their places."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import index
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fairseg.io.sentences import brief

Array = TypeVar("Array")  # a NumPy array or a torch tensor


@dataclass(frozen=True)
class Box:
    """A box of voxels: from `start` up to, not including, `stop`, along each axis.

    It covers the last axes of an array. It may reach out of the image.

    >>> box = Box((2, 3), (6, 8))
    >>> box.shape, box.center
    ((4, 5), (4.0, 5.5))
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]

    def __post_init__(self) -> None:
        try:
            start, stop = (tuple(index(edge) for edge in edges) for edges in (self.start, self.stop))
        except TypeError:
            raise ValueError(f"start and stop must be integers, got {self.start} and {self.stop}") from None
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "stop", stop)
        if len(start) != len(stop) or not start:
            raise ValueError(f"start and stop must have one entry an axis, got {start} and {stop}")
        if any(low >= high for low, high in zip(start, stop, strict=True)):
            raise ValueError(f"start must lie below stop along every axis, got {start} and {stop}")

    @classmethod
    def around(cls, mask: Any, margin: int | Sequence[int] = 0, *, ndim: int | None = None) -> "Box":
        """Return the smallest box that holds all foreground, widened by a margin.

        Args:
            mask: NumPy array or torch tensor; everything but 0 is foreground.
            margin: voxels on each side, one number or one an axis; the box may then leave the image.
            ndim: axes of the box, the last of the mask; leading ones (slices, a batch) are taken together.
                Default: all.

        Raises:
            ValueError: the mask has no foreground, or margin or ndim do not fit.

        >>> mask = np.zeros((3, 8, 9))
        >>> mask[0, 2, 4] = mask[2, 5, 6] = 1
        >>> Box.around(mask), Box.around(mask, margin=5, ndim=2)
        (Box(start=(0, 2, 4), stop=(3, 6, 7)), Box(start=(-3, -1), stop=(11, 12)))
        """
        if hasattr(mask, "detach"):  # a torch tensor, without importing torch
            mask = mask.detach().cpu().numpy()
        voxels = np.asarray(mask) != 0
        axes = voxels.ndim if ndim is None else ndim
        if not 1 <= axes <= voxels.ndim:
            raise ValueError(f"ndim must lie between 1 and the mask's {voxels.ndim} axes, got {ndim}")
        margins = _per_axis(margin, axes, "margin", least=0)
        start, stop = [], []
        for axis in range(voxels.ndim - axes, voxels.ndim):
            across = tuple(number for number in range(voxels.ndim) if number != axis)
            occupied = np.flatnonzero(voxels.any(axis=across))
            if not occupied.size:
                raise ValueError("mask has no foreground to put a box around")
            start.append(int(occupied[0]))
            stop.append(int(occupied[-1]) + 1)
        return cls(
            tuple(low - width for low, width in zip(start, margins, strict=True)),
            tuple(high + width for high, width in zip(stop, margins, strict=True)),
        )

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.start)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return tuple(high - low for low, high in zip(self.start, self.stop, strict=True))

    @property
    def center(self) -> tuple[float, ...]:
        """Middle between start and stop along each axis; a half where the number of voxels is odd."""
        return tuple((low + high) / 2 for low, high in zip(self.start, self.stop, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        """Index of the box in an array of its last axes.

        Raises:
            ValueError: the box begins before the image, where NumPy would count from the end; use `crop`.
        """
        if min(self.start) < 0:
            raise ValueError(f"a box that begins before the image has no slices, start is {self.start}")
        return tuple(slice(low, high) for low, high in zip(self.start, self.stop, strict=True))

    def resized(self, size: int | Sequence[int]) -> "Box":
        """Return a box of another size around the same center.

        Where that falls between voxels, the box lies half a voxel towards the start.

        >>> Box((2, 3), (6, 8)).resized((10, 4))
        Box(start=(-1, 3), stop=(9, 7))
        """
        wanted = _per_axis(size, self.ndim, "size", least=1)
        start = tuple(
            (low + high - width) // 2 for low, high, width in zip(self.start, self.stop, wanted, strict=True)
        )
        return Box(start, tuple(low + width for low, width in zip(start, wanted, strict=True)))

    def shifted(self, by: Sequence[int]) -> "Box":
        """Return the box moved by some voxels along each axis."""
        start, stop = (
            tuple(edge + step for edge, step in zip(edges, by, strict=True))
            for edges in (self.start, self.stop)
        )
        return Box(start, stop)


def overlap(first: Box, second: Box) -> Box:
    """Return the box that two boxes have in common.

    Raises:
        ValueError: they have nothing in common.

    >>> overlap(Box((0, 0), (4, 4)), Box((2, -3), (9, 3)))
    Box(start=(2, 0), stop=(4, 3))
    """
    return Box(tuple(map(max, first.start, second.start)), tuple(map(min, first.stop, second.stop)))


def crop_size(
    masks: Iterable[Any], margin: int | Sequence[int] = 5, *, ndim: int | None = None
) -> tuple[int, ...]:
    """Return the size that holds every object: the largest extent along each axis, and a margin.

    Section 4.7 of Lee et al. (2025): all images are cropped to "the size of the largest heart in the
    training set plus a buffer of 5 pixels". Take the masks of the training set only.

    Args:
        masks: the masks, read one after the other; empty ones are left out.
        margin: voxels on each side, one number or one an axis.
        ndim: axes of the crop, the last of the masks (2 for in-plane crops of stacks). Default: all.

    Raises:
        ValueError: no mask has foreground, or masks differ in their number of axes.

    >>> masks = [np.zeros((10, 12)), np.ones((2, 2)), np.pad(np.ones((3, 1)), 4)]
    >>> crop_size(masks, margin=1)
    (5, 4)
    """
    sizes = [Box.around(mask, ndim=ndim).shape for mask in masks if (mask != 0).any()]
    if not sizes:
        raise ValueError("masks must have foreground in at least one of them, all are empty")
    if len({len(size) for size in sizes}) > 1:
        raise ValueError("masks must have the same number of axes; give ndim for the axes of the crop")
    largest = [max(extents) for extents in zip(*sizes, strict=True)]
    around = _per_axis(margin, len(largest), "margin", least=0)
    return tuple(extent + 2 * width for extent, width in zip(largest, around, strict=True))


def crop(array: Array, box: Box, fill: float = 0) -> Array:
    """Cut out a box; where it leaves the image, it is padded with `fill`.

    Args:
        array: NumPy array or torch tensor (..., *S); the box covers its last axes, leading ones pass
            through. The result is a copy, on the same device, of the same type, and differentiable.
        box: which part of the last axes.
        fill: value outside the image.

    Raises:
        ValueError: the array has fewer axes than the box, or its type has no such number as `fill`.

    >>> crop(np.arange(12).reshape(3, 4), Box((1, -1), (4, 2)), fill=9)
    array([[9, 4, 5],
           [9, 8, 9],
           [9, 9, 9]])
    """
    image: Any = array
    lead = _leading(image, box)
    in_box, in_image = _overlap(box, tuple(image.shape[len(lead) :]))
    result = _filled(image, (*lead, *box.shape), fill)
    result[(..., *in_box)] = image[(..., *in_image)]
    whole: Array = result
    return whole


def uncrop(array: Array, box: Box, shape: Sequence[int], fill: float = 0) -> Array:
    """Put a crop back in its place; the inverse of `crop` inside the box and the image.

    Args:
        array: NumPy array or torch tensor (..., *box.shape), cut out with `box`.
        box: where it was cut out.
        shape: size of the image along the axes of the box.
        fill: value outside the box.

    Raises:
        ValueError: the last axes of the array are not of the box's shape, shape has another length, or the
            type of the array has no such number as `fill`.

    >>> uncrop(np.ones((1, 2)), Box((1, 2), (2, 4)), (2, 3))
    array([[0., 0., 0.],
           [0., 0., 1.]])
    """
    part: Any = array
    lead = _leading(part, box)
    if tuple(part.shape[len(lead) :]) != box.shape:
        raise ValueError(
            f"array must end in the box's shape, {box.shape}, got {tuple(part.shape[len(lead) :])}"
        )
    size = _per_axis(tuple(shape), box.ndim, "shape", least=1)
    in_box, in_image = _overlap(box, size)
    result = _filled(part, (*lead, *size), fill)
    result[(..., *in_image)] = part[(..., *in_box)]
    whole: Array = result
    return whole


def box_error(predicted: Box | Sequence[Box], reference: Box | Sequence[Box]) -> npt.NDArray[np.float64]:
    """Return the difference in size of two boxes, in percent of the reference, for each axis (Table S4).

    For two sets of boxes, the sizes of their crops are compared: the largest extent along each axis, as in
    `crop_size`. The table's figures are those of crops of 135 x 137 pixels.

    Args:
        predicted: the box, or boxes, found by the first network of a cascade.
        reference: the box, or boxes, of the reference masks.

    Returns:
        Percent along each axis, 0 or more, float64 (S,).

    >>> box_error(Box((0, 0), (130, 146)), Box((4, 1), (139, 138))).round(2)  # baseline: 3.70 and 6.57
    array([3.7 , 6.57])
    """
    sizes = []
    for name, boxes in (("predicted", predicted), ("reference", reference)):
        several = [boxes] if isinstance(boxes, Box) else list(boxes)
        if not several or len({box.ndim for box in several}) != 1:
            raise ValueError(f"{name} must be boxes of one number of axes, and at least one")
        sizes.append(np.max([box.shape for box in several], axis=0).astype(np.float64))
    first, second = sizes
    if first.shape != second.shape:
        raise ValueError(
            f"predicted and reference must have as many axes, got {first.size} and {second.size}"
        )
    return np.asarray(100.0 * np.abs(first - second) / second)


def _overlap(box: Box, size: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where box and image overlap: as an index into the box, and into the image."""
    in_box, in_image = [], []
    for low, high, length in zip(box.start, box.stop, size, strict=True):
        first = min(max(low, 0), length)
        last = max(min(high, length), first)
        in_box.append(slice(first - low, last - low) if last > first else slice(0, 0))
        in_image.append(slice(first, last))
    return tuple(in_box), tuple(in_image)


def _filled(like: Any, shape: tuple[int, ...], fill: float) -> Any:
    """Return an array of a value, or raise a ValueError where its type has no such number."""
    make = like.new_full if hasattr(like, "new_full") else partial(np.full, dtype=like.dtype)
    if isinstance(fill, int | float) and fill == 0:  # every type has it: no GPU is asked
        return make(shape, fill)
    try:
        with np.errstate(invalid="ignore"):
            fits_type = bool(make((1,), fill)[0].item() == fill) or not _is_whole(like)
    except (OverflowError, RuntimeError, TypeError, ValueError):
        fits_type = False
    if not fits_type:
        raise ValueError(
            f"fill must be a number that an array of {like.dtype} has, got {fill!r}: convert the array first"
        )
    return make(shape, fill)


def _is_whole(array: Any) -> bool:
    """Whether an array holds only integers or truth values, of NumPy or torch."""
    kind = getattr(array.dtype, "kind", None)
    return kind in "biu" if kind else not (array.dtype.is_floating_point or array.dtype.is_complex)


def _leading(array: Any, box: Box) -> tuple[int, ...]:
    if not isinstance(box, Box):
        raise ValueError(f"box must be a Box, such as Box.around(mask), got {type(box).__name__}")
    if len(array.shape) < box.ndim:
        raise ValueError(
            f"array must have the box's {box.ndim} axes at least, got shape {tuple(array.shape)}"
        )
    return tuple(array.shape[: len(array.shape) - box.ndim])


def _per_axis(value: Any, ndim: int, name: str, *, least: int) -> tuple[int, ...]:
    """Return one integer for each axis, or raise a ValueError that names the argument."""
    try:
        several = tuple(index(part) for part in value) if np.iterable(value) else (index(value),) * ndim
    except TypeError:
        several = ()
    if len(several) != ndim or min(several) < least:
        kind = "positive integer" if least else "integer of 0 or more"
        raise ValueError(f"{name} must be a {kind}, or one for each of the {ndim} axes, got {brief(value)}")
    return several
