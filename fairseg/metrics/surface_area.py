"""Normalised surface distance weighted by surface area, as surface-distance computes it.

The surface runs between voxels. Where 2 x 2 (x 2) neighbours meet, some inside and some outside, lies a
piece of it: the line of marching squares, or the triangles of marching cubes (Lorensen & Cline 1987), whose
corners are the midpoints of the edges. Its length or area depends on which neighbours are inside and on the
voxel size; its position is the point where the neighbours meet. `surface` measures voxels instead.
"""

from itertools import permutations, product

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.masks import Mask, MaskPair, foreground

Floats = npt.NDArray[np.float64]
Triangle = tuple[int, int, int]

# The neighbours inside, by their position in the cube -> its triangles, as eighths of a voxel's faces that
# they cover, seen along each axis. All other cubes are one of these rotated, mirrored, or with inside and
# outside swapped.
_TRIANGLES: dict[str, tuple[Triangle, ...]] = {
    "111": ((1, 1, 1),),
    "110 111": ((2, 2, 0), (2, 2, 0)),
    "101 110": ((1, 1, 1), (1, 1, 1)),
    "011 100": ((1, 1, 1), (1, 1, 1)),
    "101 110 111": ((4, 0, 0), (2, 2, 2), (1, 1, 1)),
    "011 101 110": ((1, 1, 1), (1, 1, 1), (1, 1, 1)),
    "011 100 111": ((0, 2, 2), (0, 2, 2), (1, 1, 1)),
    "100 101 110 111": ((4, 0, 0), (4, 0, 0)),
    "011 101 110 111": ((1, 1, 1), (2, 2, 2), (2, 2, 2), (1, 1, 1)),
    "011 100 110 111": ((1, 1, 1), (3, 3, 3), (0, 2, 2), (2, 0, 2)),
    "011 100 101 110": ((4, 0, 0), (1, 1, 1), (2, 2, 2), (1, 1, 1)),
    "010 011 100 101": ((2, 2, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0)),
    "001 010 100 111": ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
}


def share_of_area_within(pair: MaskPair, tolerance: float) -> Floats:
    """Share of the surface area of each structure whose distance is at most `tolerance` mm (L,).

    0 where only one mask has the structure, NaN where neither has.

    Raises:
        ValueError: the masks have neither 2 nor 3 axes.
    """
    if pair.reference.ndim not in (2, 3):
        raise ValueError(f"prediction must have 2 or 3 axes to have a surface area, got shape {pair.shape}")
    areas = _areas(pair.spacing)
    result = np.full(len(pair.labels), np.nan)
    for positions, simple in pair.rounds():
        for position, label in zip(positions, simple.labels, strict=True):
            masks = simple.prediction == label, simple.reference == label
            result[position] = _share(masks, pair.spacing, areas, tolerance)
    return result


def _share(masks: tuple[Mask, Mask], spacing: Floats, areas: Floats, tolerance: float) -> float:
    box = foreground(*masks)
    codes = [_codes(np.pad(mask[box], 1)) for mask in masks]
    surfaces = [(code > 0) & (code < len(areas) - 1) for code in codes]
    if not all(surface.any() for surface in surfaces):
        return 0.0 if any(surface.any() for surface in surfaces) else np.nan
    within = total = 0.0
    for code, surface, opposite in zip(codes, surfaces, surfaces[::-1], strict=True):
        distance = scipy.ndimage.distance_transform_edt(~opposite, sampling=spacing)
        area = areas[code[surface]]
        within += area[distance[surface] <= tolerance].sum()
        total += area.sum()
    return within / total


def _codes(mask: Mask) -> npt.NDArray[np.uint8]:
    """Return for each point where 2**S voxels meet which of them are inside, one bit each."""
    code = np.zeros([size - 1 for size in mask.shape], dtype=np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=mask.ndim)):
        window = tuple(slice(start, start + size - 1) for start, size in zip(corner, mask.shape, strict=True))
        code |= mask[window].astype(np.uint8) << np.uint8(bit)
    return code


def _areas(spacing: Floats) -> Floats:
    """Return the size of the piece of surface of each code of `_codes`: mm (16,) or mm^2 (256,)."""
    return _lengths(*spacing) if len(spacing) == 2 else _triangle_areas(spacing)


def _lengths(rows: float, columns: float) -> Floats:
    diagonal = 0.5 * float(np.hypot(rows, columns))
    lengths = np.full(16, diagonal)  # one corner is inside, or one is outside
    lengths[[0, 15]] = 0.0
    lengths[[0b0011, 0b1100]] = columns  # a row of two
    lengths[[0b0101, 0b1010]] = rows
    lengths[[0b0110, 0b1001]] = 2 * diagonal  # opposite corners
    return lengths


def _triangle_areas(spacing: Floats) -> Floats:
    faces = spacing.prod() / spacing
    bit = {corner: 1 << position for position, corner in enumerate(product((0, 1), repeat=3))}
    areas = np.zeros(256)
    for inside, triangles in _TRIANGLES.items():
        corners = [tuple(map(int, corner)) for corner in inside.split()]
        for order, flips in product(permutations(range(3)), product((0, 1), repeat=3)):
            rotated = [tuple(corner[axis] ^ flips[axis] for axis in order) for corner in corners]
            code = sum(bit[corner] for corner in rotated)
            shares = np.array(triangles)[:, order] / 8
            areas[[code, 255 - code]] = np.linalg.norm(shares * faces, axis=1).sum()
    return areas
