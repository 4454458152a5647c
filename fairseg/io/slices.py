"""A slice of a case as a small picture: which one, which part of it, and its pixels as a data URI."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fairseg.io.images import EXTENSIONS, Mask, check_same_grid, read_picture
from fairseg.io.label_files import with_spacing
from fairseg.io.voxel_data import Voxels

_CONTEXT = 0.35  # of the structures' size, shown on each side of them
_LEAST = 32.0  # mm, or pixels: the shortest side of what is shown
_MOST = 200  # pixels of the longer side of the picture; a larger one is shrunk
_WINDOW = (0.5, 99.5)  # percentiles of the shown pixels that become black and white
_THICK = 1.5  # ratio of spacings from which the coarsest axis is the one across slices


@dataclass(frozen=True)
class Plane:
    """A slice of a case, to be drawn.

    Attributes:
        index: of the slice in the array.
        axis: across slices; None for a 2D image.
        flips: slices that turn the picture the way radiologists look at it.
        spacing: of rows and columns.
    """

    index: int
    axis: int | None
    flips: tuple[slice, slice]
    spacing: tuple[float, float]

    def of(self, voxels: Voxels) -> Voxels:
        """Return the slice of an array that may have colours as its last axis."""
        plane = voxels if self.axis is None else np.take(voxels, self.index, axis=self.axis)
        return np.asarray(plane[self.flips])


def find_image(folder: Path, case: str) -> Path | None:
    """Return the image of a case: `CASE_0000.nii.gz`, as nnU-Net names a first channel, or `CASE.nii.gz`.

    Args:
        folder: of the images.
        case: its name.

    Returns:
        The file; None where there is none.
    """
    names = [f"{case}{channel}{end}" for channel in ("_0000", "") for end in EXTENSIONS]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_pixels(path: Path, truth: Mask, spacing: Sequence[float] | None = None) -> tuple[Voxels | None, str]:
    """Return the pixels of an image, colours as a last axis, or None; and a sentence on what is wrong.

    An image without a pixel size, such as PNG, states no position: it is drawn on masks of its shape.

    Args:
        path: of the image.
        truth: the reference mask.
        spacing: as `with_spacing` takes it.
    """
    try:
        placed = read_picture(path)
        image = with_spacing(placed, spacing)
    except ValueError:
        return None, " The image cannot be read."
    try:
        notes = check_same_grid(image, truth, ("the image", "the masks"))
        sentence = "".join(f" N.B.: {note}." for note in notes)
    except ValueError as error:
        if "px" not in (placed.unit, truth.unit) or image.grid["size"] != truth.grid["size"]:
            return None, f" The image is not shown: {str(error).replace('the image', 'it', 1)}."
        sentence = " Image or masks state no place: they are drawn pixel on pixel, as their files have them."
    pixels = image.voxels
    if pixels.ndim > len(image.spacing):  # colours, without transparency
        pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0]
    return pixels, sentence


def choose_plane(truth: Mask, structures: Iterable[tuple[Voxels, Voxels]]) -> tuple[Plane, str]:
    """Return the slice with most wrong voxels, or the one with most of the structures, and its name.

    Args:
        truth: the reference mask.
        structures: where each is in the reference and in the prediction, bool, of the shape of its voxels.
    """
    flips = _flips(truth)
    size = truth.voxels.ndim
    if size == 2:
        return Plane(0, None, flips[-2:], truth.spacing), ""  # type: ignore[arg-type]
    spacing = np.array(truth.spacing)
    axis = int(np.argmax(spacing)) if spacing.max() > _THICK * spacing.min() else 0
    rest = tuple(number for number in range(size) if number != axis)
    wrong, present = np.zeros((2, truth.voxels.shape[axis]), dtype=np.int64)
    for true, guessed in structures:
        wrong += (true != guessed).sum(axis=rest)
        present += true.sum(axis=rest)
    index = int(np.argmax(wrong if wrong.any() else present))
    plane = Plane(
        index, axis, (flips[rest[0]], flips[rest[1]]), (float(spacing[rest[0]]), float(spacing[rest[1]]))
    )
    return plane, f", slice {index + 1} of {truth.voxels.shape[axis]}"


def _flips(mask: Mask) -> tuple[slice, ...]:
    """Return the step along each axis so that left is right, front is up and head is up in the picture."""
    size = mask.voxels.ndim
    direction = np.reshape(mask.grid["direction"], (size, size))
    steps = []
    for axis in range(size):  # ITK's order: x, y, z
        patient = int(np.argmax(np.abs(direction[:, axis])))
        upward = direction[patient, axis] > 0
        steps.append(slice(None, None, -1 if upward == (patient == 2) else 1))
    return tuple(steps[::-1])


def window_around(mask: npt.NDArray[np.bool_], spacing: tuple[float, float]) -> tuple[slice, slice]:
    """Return the rows and columns around structures, with context on each side; all if there is none."""
    window = []
    for axis in range(2):
        positions = np.flatnonzero(mask.any(axis=1 - axis))
        length = mask.shape[axis]
        if not positions.size:
            window.append(slice(0, length))
            continue
        first, last = int(positions[0]), int(positions[-1]) + 1
        middle, half = (first + last) / 2, (last - first) / 2 * (1 + 2 * _CONTEXT)
        half = max(half, _LEAST / 2 / spacing[axis])
        window.append(slice(max(0, int(middle - half)), min(length, int(np.ceil(middle + half)))))
    return window[0], window[1]


def to_uri(pixels: Voxels) -> str:
    """Return pixels as a small picture in a data URI: PNG for grey ones, JPEG for colours."""
    values = np.nan_to_num(pixels.astype(np.float64))
    low, high = np.percentile(values, _WINDOW)
    shades = np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255
    picture = Image.fromarray(np.rint(shades).astype(np.uint8))
    shrink = _MOST / max(picture.size)
    if shrink < 1:
        size = (max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    kind = "png" if pixels.ndim == 2 else "jpeg"
    file = BytesIO()
    picture.save(file, kind, **({"optimize": True} if kind == "png" else {"quality": 88}))
    return f"data:image/{kind};base64,{b64encode(file.getvalue()).decode()}"
