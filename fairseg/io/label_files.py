"""Read a file of labels: what `read_mask` reads, and other formats that hold whole numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from fairseg.io.image_checks import check_image
from fairseg.io.images import Mask, check_same_grid, plain_mask, read_channels, read_grid, read_mask
from fairseg.io.structure_files import read_structures
from fairseg.io.voxel_data import is_one_hot

NEAR = 1e-3  # labels that resampling left this far from whole numbers are rounded
_OTHER_MODES = ("1", "P", "PA", "LA", "RGB", "RGBA")  # of PNG, that ITK does not read as labels


def read_labels(path: Path, structures: Mapping[Any, tuple[int, ...]] | None = None) -> Mask:
    """Read a mask of labels.

    A folder is a case whose structures have a file each, named as in `structures`: name -> values.

    Formats are those of `read_mask`, and PNG with a palette (its indices are the labels), of 1 bit, grey with
    transparency (which is left out), or in colours whose channels are equal. Labels that differ from whole
    numbers by at most 0.001, as after resampling, are rounded, and a message says so.

    Raises:
        ValueError: as `read_mask`; or the colours of a PNG are no grey values.
    """
    if path.is_dir():
        return read_structures(path, structures or {}, read_labels)
    mode = _png_mode(path)
    mask = _rounded(read_mask(path) if mode is None else _read_png(path, mode))
    if is_one_hot(mask.voxels):
        raise ValueError(f"{path} must hold labels, got a channel for each (one-hot): save their argmax")
    return mask


def read_image(path: Path) -> Mask:
    """Read an image of one channel: what `read_mask` reads, and PNG of grey values in any mode.

    Colours, also those of a palette, must be equal, and become one channel; transparency is left out. A
    message says so.

    Raises:
        ValueError: as `read_mask`; or a PNG has colours.
    """
    mode = _png_mode(path)
    return read_mask(path) if mode is None else _read_png(path, mode, shades=True)


def read_image_files(files: Sequence[Path]) -> list[Mask]:
    """Read the channels of an image, from a file each, or from one that is named for all of them.

    Raises:
        ValueError: as `read_image`; a value is not finite, the one file has another number of channels, or
            files lie on several grids; the message names the file.
    """
    in_one = len(files) > 1 and len(set(files)) == 1
    channels = read_channels(files[0], len(files)) if in_one else [read_image(file) for file in files]
    messages: dict[str, None] = {}
    for file, channel in zip(files, channels, strict=True):
        names = (f"channel {file.name}", f"channel {files[0].name}")
        for message in check_same_grid(channel, channels[0], names):
            messages[message.replace(names[0], "a channel").replace(names[1], "the first")] = None
        if not np.isfinite(channel.voxels).all():
            raise ValueError(f"{file} must be finite everywhere, got NaN or infinity")
    return [replace(channels[0], messages=(*channels[0].messages, *messages)), *channels[1:]]


def read_image_grid(path: Path) -> tuple[tuple[int, ...], tuple[float, ...], str]:
    """Return size, spacing and its unit of an image that `read_image` reads, as `read_grid`."""
    if _png_mode(path) is None:
        return read_grid(path)
    with Image.open(path) as image:
        size, spacing = image.size[::-1], _spacing(path)
    return size, spacing, "px" if set(spacing) == {1.0} else "mm"


def with_spacing(mask: Mask, spacing: Sequence[float] | None) -> Mask:
    """Give a mask whose file states no voxel size this one; return any other as it is.

    Args:
        mask: as it was read.
        spacing: mm along its axes, or one number for all; None: not known.

    Raises:
        ValueError: the spacing has not one number an axis.
    """
    if spacing is None or mask.unit == "mm":
        return mask
    size = spacing_of_axes(spacing, len(mask.spacing))  # an image can have an axis of colours besides
    return replace(mask, spacing=size, grid={**mask.grid, "spacing": size[::-1]}, unit="mm")


def spacing_of_axes(spacing: Sequence[float], axes: int) -> tuple[float, ...]:
    """Return a spacing with one number an axis, from one for all or one an axis.

    Raises:
        ValueError: it has another number of them.
    """
    if len(spacing) not in (1, axes):
        raise ValueError(f"spacing must have {axes} numbers for this image, got {len(spacing) or 'none'}")
    return tuple(map(float, spacing)) * (axes if len(spacing) == 1 else 1)


def _png_mode(path: Path) -> str | None:
    """Return the mode of a PNG that ITK does not read as labels; None of any other file."""
    if path.suffix.lower() != ".png":
        return None
    try:
        with Image.open(path) as image:
            return image.mode if image.mode in _OTHER_MODES and image.format == "PNG" else None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None  # `read_mask` says what is wrong


def _read_png(path: Path, mode: str, *, shades: bool = False) -> Mask:
    """Return a PNG as one channel; of a palette its indices, or what they show if `shades`."""
    check_image(path)
    try:
        with Image.open(path) as image:
            image.load()
            if shades and mode in ("P", "PA"):
                mode = "RGB"
            pixels: npt.NDArray[Any] = np.asarray(image if mode == image.mode else image.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from None
    if mode in ("RGB", "RGBA"):
        if not (pixels[..., :1] == pixels[..., :3]).all():
            hint = " (dataset.json must name three channels for them)" if shades else ""
            expected = "grey values" if shades else "grey values or indices of a palette as labels"
            raise ValueError(f"{path} must hold {expected}, got colours{hint}")
        messages: tuple[str, ...] = ("its three equal channels were read as one",)
    else:
        messages = ("its transparency was left out",) if mode in ("LA", "PA") else ()
    if pixels.ndim == 3:
        pixels = pixels[..., 0]
    return plain_mask(pixels.astype(np.uint8), messages, path, _spacing(path))


def _spacing(path: Path) -> tuple[float, ...]:
    """Return the pixel size that ITK finds in a PNG; only a PNG of ITK states one."""
    try:
        return read_grid(path)[1][-2:]
    except ValueError:
        return (1.0, 1.0)


def _rounded(mask: Mask) -> Mask:
    """Round a mask of nearly whole numbers; return any other as it is."""
    if mask.voxels.dtype.kind != "f":
        return mask
    whole = np.rint(mask.voxels)
    distance = float(np.abs(mask.voxels - whole).max(initial=0.0))
    if not 0 < distance <= NEAR:
        return mask
    note = f"labels within {NEAR:g} of whole numbers were rounded"
    return replace(mask, voxels=whole, messages=(*mask.messages, note))
