"""A case as a picture: the image, and on it the contours of both masks where they disagree most."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from markupsafe import Markup
from PIL import Image

from fairseg.io.images import EXTENSIONS, Mask, check_same_grid, itk_messages, read_mask
from fairseg.metrics import dice
from fairseg.report.charts.svg import px, tag
from fairseg.report.escape import plain
from fairseg.report.palette import STRUCTURES

Voxels = npt.NDArray[Any]

_CONTEXT = 0.35  # of the structures' size, shown on each side of them
_LEAST = 32.0  # mm, or pixels: the shortest side of what is shown
_MOST = 200  # pixels of the longer side of the picture; a larger one is shrunk
_WINDOW = (0.5, 99.5)  # percentiles of the shown pixels that become black and white
_SIDE = 320.0  # units of the longer side of the drawing
_THICK = 1.5  # ratio of spacings from which the coarsest axis is the one across slices


@dataclass(frozen=True)
class Overlay:
    """A case for the page.

    Attributes:
        picture: an SVG that has the text below as its name.
        text: case, slice, Dice, and what could not be shown.
        dice: mean over the labels, over the whole case; NaN where no label is in either mask.
    """

    picture: Markup
    text: str
    dice: float


@dataclass(frozen=True)
class _Plane:
    """A slice on its way to the page.

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


def overlay(
    case: str,
    reference: Path,
    prediction: Path,
    labels: Mapping[str, int],
    *,
    image: Path | None = None,
    note: str = "",
) -> Overlay:
    """Draw both masks of a case over its image, on the slice where most voxels disagree.

    Args:
        case: its name.
        reference: file of the reference mask.
        prediction: file of the predicted mask, on the same grid.
        labels: name -> value of the structures to draw, in the order of their colours.
        image: file of the image. With None, a file that cannot be read, or one on another grid, the masks
            stand on black, and the text says so.
        note: what else the text says.

    Raises:
        ValueError: a mask cannot be read, they lie on different grids, or labels are not usable.
    """
    truth, guess = read_mask(reference), read_mask(prediction)
    check_same_grid(guess, truth)
    values = list(labels.values())
    scores = dice(guess.voxels, truth.voxels, values)
    score = float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
    pixels, lacking = (None, " No image.") if image is None else _read_image(image, truth)
    plane, where = _choose_plane(truth, guess, values)
    masks = [np.where(np.isin(part, values), part, 0) for part in map(plane.of, (truth.voxels, guess.voxels))]
    window = _window((masks[0] > 0) | (masks[1] > 0), plane.spacing)
    text = f"Case {plain(case)}{where}. Dice {'undefined' if np.isnan(score) else f'{score:.3f}'}"
    text += f"{f'; {plain(note)}' if note else ''}.{lacking}"
    scene = None if pixels is None else _to_uri(plane.of(pixels)[window])
    picture = _draw(text, [mask[window] for mask in masks], values, plane.spacing, scene)
    return Overlay(picture, text, score)


def overlay_legend(labels: Sequence[str]) -> Markup:
    """Return which colour is which structure, and which line is which mask."""
    kinds = [("truth", "currentColor", "Reference (solid)"), ("guess", "currentColor", "Prediction (dashed)")]
    if len(labels) > 1:
        kinds += [("truth", _color(at), plain(name)) for at, name in enumerate(labels)]
    keys = []
    for css, color, name in kinds:
        lines = [tag("path", d="M2 7H34", class_="under"), tag("path", d="M2 7H34", class_=css, stroke=color)]
        key = tag("svg", *lines, class_="key", viewBox="0 0 36 14", width=36, height=14, aria_hidden="true")
        keys.append(tag("li", key, name))
    return tag("ul", *keys, class_="legend overlay-keys")


def _read_image(path: Path, truth: Mask) -> tuple[Voxels | None, str]:
    """Return the pixels of an image, colours as a last axis, or None and why."""
    try:
        with itk_messages():
            image = sitk.ReadImage(str(path))
    except RuntimeError:
        return None, " The image cannot be read."
    grid = {
        "size": image.GetSize(),
        "spacing": image.GetSpacing(),
        "origin": image.GetOrigin(),
        "direction": image.GetDirection(),
    }
    pixels = sitk.GetArrayFromImage(image)
    try:
        check_same_grid(Mask(pixels, image.GetSpacing()[::-1], grid, ()), truth)
    except ValueError:
        return None, " The image lies on another grid than the masks and is not shown."
    if image.GetNumberOfComponentsPerPixel() > 1:
        pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0]  # without transparency
    return pixels, ""


def _choose_plane(truth: Mask, guess: Mask, labels: Sequence[int]) -> tuple[_Plane, str]:
    """Return the slice with most wrong voxels, or the one with most of the structures, and its name."""
    flips = _flips(truth)
    size = truth.voxels.ndim
    if size == 2:
        return _Plane(0, None, flips[-2:], truth.spacing), ""  # type: ignore[arg-type]
    spacing = np.array(truth.spacing)
    axis = int(np.argmax(spacing)) if spacing.max() > _THICK * spacing.min() else 0
    flat = tuple(other for other in range(size) if other != axis)
    wrong = sum(((truth.voxels == label) != (guess.voxels == label)).sum(axis=flat) for label in labels)
    if not np.any(wrong):
        wrong = np.isin(truth.voxels, labels).sum(axis=flat)
    index = int(np.argmax(wrong))
    plane = _Plane(
        index, axis, (flips[flat[0]], flips[flat[1]]), (float(spacing[flat[0]]), float(spacing[flat[1]]))
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


def _window(shown: npt.NDArray[np.bool_], spacing: tuple[float, float]) -> tuple[slice, slice]:
    """Return rows and columns around the structures, with context on each side; all of them without any."""
    window = []
    for axis in range(2):
        places = np.flatnonzero(shown.any(axis=1 - axis))
        length = shown.shape[axis]
        if not places.size:
            window.append(slice(0, length))
            continue
        first, last = int(places[0]), int(places[-1]) + 1
        middle, half = (first + last) / 2, (last - first) / 2 * (1 + 2 * _CONTEXT)
        half = max(half, _LEAST / 2 / spacing[axis])
        window.append(slice(max(0, int(middle - half)), min(length, int(np.ceil(middle + half)))))
    return window[0], window[1]


def _to_uri(pixels: Voxels) -> str:
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


def _draw(
    text: str, masks: Sequence[Voxels], labels: Sequence[int], spacing: tuple[float, float], scene: str | None
) -> Markup:
    """Return the picture: pixels, and on them the outlines of both masks."""
    rows, columns = masks[0].shape
    tall, wide = rows * spacing[0], columns * spacing[1]
    unit = _SIDE / max(tall, wide)
    parts = []
    if scene is not None:
        parts.append(
            tag(
                "image",
                href=scene,
                width=px(wide * unit),
                height=px(tall * unit),
                preserveAspectRatio="none",
            )
        )
    for mask, css in zip(masks, ("truth", "guess"), strict=True):
        for at, label in enumerate(labels):
            if line := _outline(mask == label, (spacing[0] * unit, spacing[1] * unit)):
                parts.append(tag("path", d=line, class_="under"))
                parts.append(tag("path", d=line, class_=css, stroke=_color(at)))
    return tag(
        "svg",
        *parts,
        class_="overlay",
        role="img",
        aria_label=text,
        viewBox=f"0 0 {px(wide * unit)} {px(tall * unit)}",
    )


def _color(structure: int) -> str:
    return STRUCTURES[structure % len(STRUCTURES)]


def _outline(mask: npt.NDArray[np.bool_], step: tuple[float, float]) -> str:
    """Return the contours of a mask as a path; a pixel covers its whole square."""
    from skimage.measure import approximate_polygon, find_contours  # noqa: PLC0415

    lines = []
    for contour in find_contours(np.pad(mask, 1).astype(np.float64), 0.5):  # type: ignore[no-untyped-call]
        points = (approximate_polygon(contour, 0.2) - 0.5) * step  # type: ignore[no-untyped-call]
        lines.append("M" + "L".join(f"{px(x)} {px(y)}" for y, x in points[:-1]) + "z")
    return "".join(lines)
