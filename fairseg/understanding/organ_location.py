"""The place of the organ in a case, around which all `views` are sampled."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from fairseg.crop import Box
from fairseg.io.images import Mask
from fairseg.training.raw import slice_axis

Floats = npt.NDArray[np.float64]

SIZE = 40  # pixels of a view along each axis
LEVELS = (1 / 6, 1 / 2, 5 / 6)  # where the slices of a view lie between the organ's first and last


class OrganLocation:
    """The place of the organ in a case, and how to sample around it.

    Args:
        mask: with some label.
        axis: of the array as read, across which slices lie; None in 2D.
        flat: whether one slice is sampled, and not three.
    """

    def __init__(self, mask: Mask, axis: int | None, *, flat: bool) -> None:
        self.labels = slices_of(mask.voxels, axis)
        self.spacing = size_in_plane(mask, axis)
        self.organ = Box.around(self.labels)
        first, last = self.organ.start[0], self.organ.stop[0]
        levels = (0.5,) if flat else LEVELS
        self.levels = [min(int(first + level * (last - first)), last - 1) for level in levels]
        self.center = np.array(self.organ.center[1:]) - 0.5
        self.grid = (len(levels), SIZE, SIZE)

    def points(self, extent: Sequence[float]) -> list[Floats]:
        """Return the rows and columns, in voxels, that a view of an extent in mm samples."""
        steps = (np.arange(SIZE) - (SIZE - 1) / 2) / SIZE
        return [
            middle + steps * length / size
            for middle, length, size in zip(self.center, extent, self.spacing, strict=True)
        ]

    def sample(
        self,
        stack: npt.NDArray[Any],
        extent: Sequence[float],
        beyond: Literal["constant", "nearest"] = "constant",
    ) -> Floats:
        """Return a stack around the organ, (levels, SIZE, SIZE); beyond the image 0 or its border."""
        rows, columns = self.points(extent)
        # A coarser grid than that of the image sees means, not single pixels.
        blur = [
            0.5 * max(length / SIZE / size - 1.0, 0.0)
            for length, size in zip(extent, self.spacing, strict=True)
        ]
        grid = np.meshgrid(rows, columns, indexing="ij")
        planes = [gaussian_filter(stack[level].astype(np.float64), blur) for level in self.levels]
        return np.stack([map_coordinates(plane, grid, order=1, mode=beyond) for plane in planes])

    def inside(self, extent: Sequence[float]) -> npt.NDArray[np.bool_]:
        """Return which pixels of a view lie in the image, (levels, SIZE, SIZE)."""
        rows, columns = self.points(extent)
        height, width = self.labels.shape[1:]
        in_image = ((rows >= 0) & (rows <= height - 1))[:, None] & ((columns >= 0) & (columns <= width - 1))
        return np.broadcast_to(in_image, self.grid)

    def crop(self, stack: Floats, extent: Sequence[float]) -> Floats:
        """Return the pixels of a stack, (slices, y, x), that lie in a box of some mm around the center."""
        half = np.array(extent) / 2 / self.spacing
        start = np.maximum(np.ceil(self.center - half), 0).astype(int)
        stop = np.floor(self.center + half).astype(int) + 1
        return stack[:, start[0] : stop[0], start[1] : stop[1]]

    def within(self, extent: Sequence[float], box: Sequence[float]) -> npt.NDArray[np.bool_]:
        """Return which pixels of a view lie in a box of some mm around the organ's center."""
        steps = np.abs(np.arange(SIZE) - (SIZE - 1) / 2) / SIZE
        rows, columns = (steps * length <= size / 2 for length, size in zip(extent, box, strict=True))
        return np.broadcast_to(rows[:, None] & columns, self.grid)


def axis_of(mask: Mask) -> int | None:
    """Return the axis across slices, as in training; None in 2D."""
    return None if mask.voxels.ndim == 2 else slice_axis(mask.spacing)


def slices_of(voxels: npt.NDArray[Any], axis: int | None) -> npt.NDArray[Any]:
    """Return an array with its slices first, (Z, y, x); in 2D it is the only one."""
    return voxels[None] if axis is None else np.moveaxis(voxels, axis, 0)


def size_in_plane(mask: Mask, axis: int | None) -> Floats:
    """Return the size of a pixel of a slice, mm (y, x)."""
    spacing = np.array(mask.spacing, dtype=np.float64)
    return spacing if axis is None else np.delete(spacing, axis)
