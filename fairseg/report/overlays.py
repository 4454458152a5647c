"""A case as a picture: the slice where both masks disagree most, with their contours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from fairseg.io.images import check_same_grid
from fairseg.io.label_files import read_labels, with_spacing
from fairseg.io.slices import choose_plane, read_pixels, to_uri, window_around
from fairseg.io.voxel_data import Voxels
from fairseg.metrics.counts import count
from fairseg.metrics.grouped import Floats
from fairseg.metrics.masks import check_pair
from fairseg.report.charts.svg import px, tag
from fairseg.report.escape import plain
from fairseg.report.palette import STRUCTURES
from fairseg.scoring.labels import LabelMap

_SIDE = 320.0  # units of the longer side of the drawing


@dataclass(frozen=True)
class Overlay:
    """A case for the page.

    Attributes:
        picture: an SVG that has the text below as its name.
        text: case, slice, Dice, and notes on what is missing.
        dice: mean over the labels, over the whole case; NaN where no label is in either mask.
    """

    picture: Markup
    text: str
    dice: float


def overlay(
    case: str,
    reference: Path,
    prediction: Path,
    labels: LabelMap,
    *,
    image: Path | None = None,
    note: str = "",
    spacing: Sequence[float] | None = None,
) -> Overlay:
    """Draw both masks of a case over its image, on the slice where most voxels disagree.

    Args:
        case: its name.
        reference: file of the reference mask.
        prediction: file of the predicted mask, on the same grid.
        labels: the structures to draw, in the order of their colours.
        image: file of the image. With None, a file that cannot be read, or one on another grid, the masks
            stand on black, and the text says so.
        note: what else the text says.
        spacing: pixel size of files that state none, as `with_spacing` takes it.

    Raises:
        ValueError: a mask cannot be read, they lie on different grids, or labels are not usable.
    """
    truth, guess = (
        with_spacing(read_labels(file, codes), spacing)
        for file, codes in ((reference, labels.reference), (prediction, labels.prediction))
    )
    check_same_grid(guess, truth)
    pair = check_pair(
        guess.voxels,
        truth.voxels,
        labels.reference,
        ignore=labels.ignore,
        prediction_labels=labels.prediction,
    )
    scores = count(pair).dice
    score = float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
    pixels, lacking = (None, " No image.") if image is None else read_pixels(image, truth, spacing)
    plane, slice_text = choose_plane(truth, _structures(truth.voxels, guess.voxels, labels))
    masks = np.array(list(_structures(plane.of(truth.voxels), plane.of(guess.voxels), labels)))
    window = window_around(np.asarray(masks.any(axis=(0, 1))), plane.spacing)
    text = f"Case {plain(case)}{slice_text}. Dice {'undefined' if np.isnan(score) else f'{score:.3f}'}"
    text += f"{f'; {plain(note)}' if note else ''}.{lacking}"
    scene = None if pixels is None else to_uri(plane.of(pixels)[window])
    picture = _draw(text, masks[:, :, window[0], window[1]], plane.spacing, scene)
    return Overlay(picture, text, score)


def overlay_legend(labels: Sequence[str]) -> Markup:
    """Return the key of the pictures: the colours of structures and the lines of both masks."""
    kinds = [("truth", "currentColor", "Reference (solid)"), ("guess", "currentColor", "Prediction (dashed)")]
    if len(labels) > 1:
        kinds += [("truth", _color(at), plain(name)) for at, name in enumerate(labels)]
    keys = []
    for css, color, name in kinds:
        lines = [tag("path", d="M2 7H34", class_="under"), tag("path", d="M2 7H34", class_=css, stroke=color)]
        key = tag("svg", *lines, class_="key", viewBox="0 0 36 14", width=36, height=14, aria_hidden="true")
        keys.append(tag("li", key, name))
    return tag("ul", *keys, class_="legend overlay-keys")


def _structures(truth: Voxels, guess: Voxels, labels: LabelMap) -> Iterator[tuple[Voxels, Voxels]]:
    """Return where each structure is in the reference and in the prediction, bool."""
    counts = True if labels.ignore is None else truth != labels.ignore
    for name, codes in labels.reference.items():
        yield np.isin(truth, codes) & counts, np.isin(guess, labels.prediction[name]) & counts


def _draw(text: str, masks: Voxels, spacing: tuple[float, float], scene: str | None) -> Markup:
    """Return the picture: pixels, and on them the outlines of structures in both masks, bool (L, 2, Y, X)."""
    rows, columns = masks.shape[2:]
    height, width = rows * spacing[0], columns * spacing[1]
    unit = _SIDE / max(height, width)
    box = {"width": px(width * unit), "height": px(height * unit)}
    parts = []
    if scene is not None:
        parts.append(tag("image", href=scene, **box, preserveAspectRatio="none"))
    for side, css in enumerate(("truth", "guess")):
        for structure, of_structure in enumerate(masks):
            if line := _outline(of_structure[side], (spacing[0] * unit, spacing[1] * unit)):
                parts.append(tag("path", d=line, class_="under"))
                parts.append(tag("path", d=line, class_=css, stroke=_color(structure)))
    return tag(
        "svg",
        *parts,
        class_="overlay",
        role="img",
        aria_label=text,
        viewBox=f"0 0 {box['width']} {box['height']}",
    )


def _color(structure: int) -> str:
    return STRUCTURES[structure % len(STRUCTURES)]


def _outline(mask: npt.NDArray[np.bool_], step: tuple[float, float]) -> str:
    """Return the contours of a mask as a path; a pixel covers its whole square."""
    from skimage.measure import find_contours  # noqa: PLC0415  (slow to import)

    lines = []
    for contour in find_contours(np.pad(mask, 1).astype(np.float64), 0.5):  # type: ignore[no-untyped-call]
        points = (simplified(contour, 0.2) - 0.5) * step
        lines.append("M" + "L".join(f"{px(x)} {px(y)}" for y, x in points[:-1]) + "z")
    return "".join(lines)


def simplified(line: Floats, tolerance: float) -> Floats:
    """Return the points of a line without those that lie near a chord between others (Douglas, Peucker 1973).

    Point by point as scikit-image's `approximate_polygon`, the import of which loads `scipy.signal`.

    Args:
        line: points, (N, 2).
        tolerance: how far from a chord points may lie that are left out.

    >>> simplified(np.array([[0.0, 0.0], [0.1, 1.0], [0.0, 2.0], [3.0, 2.0]]), 0.2).tolist()
    [[0.0, 0.0], [0.0, 2.0], [3.0, 2.0]]
    """
    needed = np.zeros(len(line), dtype=bool)
    needed[[0, -1]] = True
    chords = [(0, len(line) - 1)]
    while chords:
        start, end = chords.pop()
        distances = _distances(line[start + 1 : end], line[start], line[end])
        if (distances > tolerance).any():
            farthest = start + 1 + int(distances.argmax())
            needed[farthest] = True
            chords += [(farthest, end), (start, farthest)]
    return line[needed]


def _distances(points: Floats, first: Floats, last: Floats) -> Floats:
    """Return how far points, (N, 2), lie from a chord; from its nearer end, if they do not lie beside it."""
    from_first, from_last, chord = points - first, points - last, last - first
    angle = -np.arctan2(*chord)
    turn = np.array([np.cos(angle), np.sin(angle)])
    line = first[1] * turn[1] + first[0] * turn[0]
    beside = ((from_first * chord).sum(axis=1) > 0) & ((-from_last * chord).sum(axis=1) > 0)
    to_line = np.abs(points[:, 0] * turn[0] + points[:, 1] * turn[1] - line)
    to_ends = [np.sqrt((away**2).sum(axis=1)) for away in (from_first, from_last)]
    return np.asarray(np.where(beside, to_line, np.minimum(*to_ends)))
