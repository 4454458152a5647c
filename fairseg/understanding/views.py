"""Views of an image, from which a model reads groups: small arrays of one size, centred on the organ.

Each view is standardised by its own pixels, so that nothing outside it changes its brightness; two are
standardised over the whole image, to show what that lets in. The blanked part is a box of one size for all
subjects, never the organ's silhouette, which would be a view of its shape. Distances are in mm, so that the
size of pixels is a sign of a group in the view of the header alone.
"""

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from skimage.measure import perimeter

from fairseg.crop import Box
from fairseg.io.images import Mask, check_same_grid
from fairseg.io.label_files import read_image_files, read_labels, with_spacing
from fairseg.io.sentences import counted
from fairseg.understanding.organ_location import OrganLocation, axis_of, size_in_plane, slices_of

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]

STEP = 5.0  # mm
MARGINS = (0, 1, 2, 4, 8)  # steps
_RING = 4  # steps around the box
_FARTHEST = 2  # times the usual reach of an image, so that one large image makes no view coarse
LEAST = 1e-8  # of a standard deviation

WHOLE, OUTSIDE, AROUND = "whole image", "outside the box", "ring around the box"
ORGAN, MASK, SHAPE = "organ only", "reference mask", "numbers of the shape"
HEADER, POSITION = "header and field of view", "position of the organ"
INTENSITY, ERRORS = "intensity statistics", "map of errors"
BOTTLENECK = "bottleneck of the run"
LEAK = "organ only, image standardised"
LEAKING_BOX = "box, image standardised"
WITHIN, OUTLINE = "intensity within the reference", "roughness of the outline"
SCALED = "intensity within the reference, crop standardised"  # what is left of scale and offset
MEASURES = "measures of the reference"  # size and roughness of each label; compared, not read
ONE_PIXEL = "Dice of the reference moved by one pixel"  # what size and shape make of an error; not read
NOT_READ = (MEASURES, ONE_PIXEL)


BOX = "box + "


def box_name(margin: float, unit: str = "mm") -> str:
    """Return the name of the view of a box with so many mm around it, or pixels where these have no size.

    >>> box_name(5.0)
    'box + 5 mm'
    """
    return f"{BOX}{margin:g} {unit}"


@dataclass(frozen=True)
class CasePaths:
    """The files of a case.

    Attributes:
        name: of the case.
        images: one file a channel.
        reference: of the reference mask.
        prediction: of the model's mask, or None.
        spacing: pixel size of files that state none, as `with_spacing` takes it.
    """

    name: str
    images: tuple[Path, ...]
    reference: Path
    prediction: Path | None = None
    spacing: tuple[float, ...] | None = None

    def labels(self, file: Path, labels: Mapping[str, int]) -> Mask:
        """Return the mask in a file of the case."""
        codes = {name: (value,) for name, value in labels.items()}
        return with_spacing(read_labels(file, codes), self.spacing)


@dataclass(frozen=True)
class Frame:
    """The common frame of all views of a cohort.

    Attributes:
        axis: of the arrays as read, across which slices lie; None for images in 2D.
        flat: whether no image has more than one slice.
        whole: extent of the view of the whole image, mm (y, x): it holds every pixel of every image, but of
            those that reach more than twice as far from the organ as half of them do.
        box: extent of the largest organ, mm (y, x).
        pixel: median size of a pixel, mm (y, x), to which training resamples.
        labels: name -> value.
        margins: mm around the box.
        unit: "mm"; or "px" where some file states no pixel size, so that all lengths are in pixels.
        step: by which margins grow: 5 mm, or less where images are small, so that all crops remove something.
        useless: margins that were asked for, and are not tried, since a crop with them removes nothing of
            half of the images.
        blank: names of the cases whose reference mask has no label.
        removed: margin -> share of the image that such a crop removes, the median over cases, 0 to 1.
    """

    axis: int | None
    flat: bool
    whole: tuple[float, float]
    box: tuple[float, float]
    pixel: tuple[float, float]
    labels: Mapping[str, int]
    margins: tuple[float, ...]
    unit: str
    step: float
    useless: tuple[float, ...]
    blank: tuple[str, ...]
    removed: Mapping[float, float]

    @property
    def size(self) -> str:
        """The name of a structure's size: "volume", or "area" in 2D."""
        return "area" if self.flat else "volume"

    @property
    def size_unit(self) -> str:
        """The unit of `size`."""
        return {"area": ("mm²", "px"), "volume": ("ml", "1000 px")}[self.size][self.unit == "px"]

    @property
    def ring(self) -> tuple[float, float]:
        """The size of the box with the ring around it, mm (y, x)."""
        return self.extent(_RING * self.step)

    def extent(self, margin: float) -> tuple[float, float]:
        """Return the size of the box with a margin, mm (y, x)."""
        return self.box[0] + 2 * margin, self.box[1] + 2 * margin


def make_frame(
    cases: Sequence[CasePaths], labels: Mapping[str, int], margins: Sequence[float] | None
) -> Frame:
    """Read all reference masks for the largest organ, and how far images reach around it.

    Args:
        cases: of the cohort.
        labels: name -> value.
        margins: that are asked for, mm; those from which on a crop removes nothing are left out. None:
            `MARGINS`.

    Raises:
        ValueError: a mask cannot be read, or no mask has a label.
    """
    organs, farthest, axes, pixels, depths, units, blank = [], [], [], [], [], set(), []
    placements: list[tuple[Floats, Floats]] = []  # center of the organ, and size of its image
    for case in cases:
        mask = case.labels(case.reference, labels)
        axes.append(axis_of(mask))
        units.add(mask.unit)
        voxels, spacing = slices_of(mask.voxels, axes[-1]), size_in_plane(mask, axes[-1])
        pixels.append(np.asarray(spacing))
        depths.append(len(voxels))
        if voxels.any():
            organ = Box.around(voxels, ndim=2)
            organs.append(np.array(organ.shape) * spacing)
            sides = np.array(organ.center), np.array(voxels.shape[1:]) - organ.center
            farthest.append(np.maximum(*sides) * spacing)
            placements.append((np.array(organ.center) * spacing, np.array(voxels.shape[1:]) * spacing))
        else:
            blank.append(case.name)
    if not organs:
        raise ValueError("the reference masks must have a label in some case, all are empty")
    if len(set(axes)) > 1:
        raise ValueError("images must all be in 2D, or all have their slices across the same axis")
    # As wide as the image, a view would lose what is far from an organ that lies aside.
    reaches = np.minimum(np.max(farthest, axis=0), _FARTHEST * np.median(farthest, axis=0))
    sizes = (2 * reaches, np.max(organs, axis=0), np.median(pixels, axis=0))
    whole, box, pixel = ((float(y), float(x)) for y, x in sizes)
    unit = "px" if "px" in units else "mm"
    reach = float(np.median((np.array(farthest) - np.array(box) / 2).max(axis=1)))
    step = _step(max(reach, min(pixel)) / MARGINS[-1])
    step = min(step, STEP) if unit == "mm" else max(step, 1.0)
    candidates = [number * step for number in MARGINS] if margins is None else sorted(set(margins))
    useless = tuple(margin for margin in candidates if margin >= reach)
    tried = tuple(margin for margin in candidates if margin < reach)
    flat = max(depths) == 1
    removed = {margin: _removed(placements, np.array(box) / 2 + margin) for margin in tried}
    lengths, without = (whole, box, pixel), (useless, tuple(blank), removed)
    return Frame(axes[0], flat, *lengths, dict(labels), tried, unit, step, *without)


def _removed(placements: Sequence[tuple[Floats, Floats]], half: Floats) -> float:
    """Return the share of an image that a crop around the organ removes, the median over images.

    Args:
        placements: center of the organ and size of the image, each (y, x).
        half: half the size of the crop, (y, x).

    >>> _removed([(np.array([5.0, 1.0]), np.array([10.0, 4.0]))], np.array([2.5, 1.5]))
    0.6875
    """
    inside = [np.minimum(center + half, size) - np.maximum(center - half, 0) for center, size in placements]
    return float(
        np.median([1 - (part / size).prod() for part, (_, size) in zip(inside, placements, strict=True)])
    )


def _step(most: float) -> float:
    """Return the largest 1, 2 or 5 of a decade that is not above a number.

    >>> _step(37.0), _step(5.0), _step(0.014)
    (20.0, 5.0, 0.01)
    """
    decade = 10.0 ** math.floor(math.log10(most))
    return next(round(one * decade, 12) for one in (5, 2, 1) if one * decade <= most)


def views_of(case: CasePaths, frame: Frame, notes: Counter[str] | None = None) -> dict[str, Floats]:
    """Return the views of a case: images (C, levels, y, x), and vectors of numbers.

    A case without any label has none. Warnings about its grids are counted in `notes`.

    Raises:
        ValueError: a file cannot be read, or lies on another grid than the reference; it names the case.
    """
    try:
        mask = case.labels(case.reference, frame.labels)
        channels = [with_spacing(channel, case.spacing) for channel in read_image_files(case.images)]
        warnings = [*check_same_grid(channels[0], mask, names=("the image", "the mask"))]
        prediction = None if case.prediction is None else case.labels(case.prediction, frame.labels)
        if prediction is not None:
            warnings += check_same_grid(prediction, mask)
    except ValueError as error:
        raise ValueError(f"case {case.name}: {error}") from None
    if notes is not None:
        notes.update(warnings)
    if not mask.voxels.any():
        return {}
    stacks = [slices_of(channel.voxels, frame.axis).astype(np.float64) for channel in channels]
    location = OrganLocation(mask, frame.axis, flat=frame.flat)
    views = _image_views(stacks, location, frame)
    views |= _number_views(stacks, mask, location, frame)
    if prediction is not None:
        views[ERRORS] = error_maps(slices_of(prediction.voxels, frame.axis), location, frame)
    return views


def _image_views(stacks: Sequence[Floats], location: OrganLocation, frame: Frame) -> dict[str, Floats]:
    """Return the views that show pixels, (C, levels, y, x)."""
    parts: list[dict[str, Floats]] = []
    tight, ring = frame.extent(0.0), frame.ring
    share = location.sample(location.labels > 0, tight)
    organ = share >= 0.5
    for stack in stacks:
        mean, spread = float(stack.mean()), max(float(stack.std()), LEAST)
        # Its border goes on, since an edge would tell where in the image the organ lies.
        whole, in_whole = location.sample(stack, frame.whole, "nearest"), location.inside(frame.whole)
        outside = ~location.within(frame.whole, tight)
        wide, in_wide = location.sample(stack, ring), location.inside(ring)
        close, in_close = location.sample(stack, tight), location.inside(tight)
        # Blanked before it is sampled: a pixel of the rim would be a mean with what lies outside.
        organ_pixels = location.sample(np.where(location.labels > 0, stack, 0.0), tight) / np.maximum(
            share, 0.5
        )
        views = {
            WHOLE: standardised(whole, np.ones_like(in_whole), in_whole),
            OUTSIDE: standardised(whole, outside, in_whole & outside),
            AROUND: standardised(wide, in_wide & ~location.within(ring, tight)),
            ORGAN: standardised(organ_pixels, organ),
            LEAK: np.where(organ, (organ_pixels - mean) / spread, 0.0),
            LEAKING_BOX: np.where(in_close, (close - mean) / spread, 0.0),
        }
        for margin in frame.margins:
            extent = frame.extent(margin)
            views[box_name(margin, frame.unit)] = standardised(
                location.sample(stack, extent), location.inside(extent)
            )
        parts.append(views)
    images = {name: np.stack([views[name] for views in parts]) for name in parts[0]}
    indicators = [location.sample(location.labels == value, tight) for value in frame.labels.values()]
    return {**images, MASK: np.stack(indicators)}


def standardised(
    view: Floats, mask: npt.NDArray[np.bool_], measured: npt.NDArray[np.bool_] | None = None
) -> Floats:
    """Return a view with mean 0 and standard deviation 1 over the pixels that are shown; others are 0.

    Args:
        view: of any shape.
        mask: which pixels of it, of the same shape.
        measured: over which mean and standard deviation are taken; None: those that are shown.

    >>> standardised(np.array([1.0, 3.0, 9.0]), np.array([True, True, False]))
    array([-1.,  1.,  0.])
    """
    pixels = view[mask if measured is None else measured]
    if not pixels.size:
        return np.zeros_like(view)
    return np.where(mask, (view - pixels.mean()) / max(float(pixels.std()), LEAST), 0.0)


def _number_views(
    stacks: Sequence[Floats], mask: Mask, location: OrganLocation, frame: Frame
) -> dict[str, Floats]:
    """Return the views that are a few numbers."""
    voxel = float(np.prod(location.spacing if frame.flat else mask.spacing))
    field = np.array(location.labels.shape[1:]) * location.spacing
    shape = [*(np.array(location.organ.shape[1:]) * location.spacing), location.organ.shape[0]]
    crops = [location.crop(stack, frame.extent(0.0)) for stack in stacks]
    scales = [(float(crop.mean()), max(float(crop.std()), LEAST)) for crop in crops]
    within, scaled, measures, moved = [], [], [], []
    for value in frame.labels.values():
        inside = location.labels == value
        shape.append(np.log(inside.sum() * voxel + voxel))
        shape += _moments(inside, location.spacing)
        measures += [inside.sum() * voxel / (1 if frame.flat else 1000), _roughness(inside)]
        if inside.any():
            moved.append(_moved_by_one(inside))
        for stack, (mean, spread) in zip(stacks, scales, strict=True):
            pixels = stack[inside] if inside.any() else np.zeros(1)
            within += [pixels.mean(), pixels.std()]
            scaled += [(pixels.mean() - mean) / spread, pixels.std() / spread]
    intensity = []
    for stack in stacks:
        intensity += [stack.mean(), stack.std(), *np.percentile(stack, (5, 25, 50, 75, 95))]
    offset = (location.center - (np.array(location.labels.shape[1:]) - 1) / 2) * location.spacing
    header = [*mask.spacing, *mask.voxels.shape, *field, *mask.grid["origin"], *mask.grid["direction"]]
    views: dict[str, Any] = {
        SHAPE: shape,
        HEADER: header,
        POSITION: offset,
        INTENSITY: intensity,
        WITHIN: within,
        SCALED: scaled,
        OUTLINE: np.nan_to_num(measures[1::2]),
        MEASURES: measures,
        ONE_PIXEL: [np.mean(moved)],
    }
    return {name: np.array(numbers, dtype=np.float64) for name, numbers in views.items()}


def _moments(inside: npt.NDArray[np.bool_], spacing: Floats) -> list[float]:
    """Return the spread of a label in plane: the standard deviations along y and x, and their correlation."""
    _, rows, columns = np.nonzero(inside)
    if rows.size < 3:
        return [0.0, 0.0, 0.0]
    points = np.stack([rows * spacing[0], columns * spacing[1]])
    covariance = np.cov(points)
    high, wide = np.sqrt(np.diag(covariance))
    return [float(high), float(wide), float(covariance[0, 1] / max(high * wide, LEAST))]


def _roughness(inside: npt.NDArray[np.bool_]) -> float:
    """Return the percentage by which an outline exceeds that of the smoothed label; NaN without one."""
    ratios = []
    for plane in inside:
        smooth = gaussian_filter(plane.astype(np.float64), 2.0) >= 0.5
        length, smoothed = (float(perimeter(one)) for one in (plane, smooth))  # type: ignore[no-untyped-call]
        if smoothed > 0:
            ratios.append(100 * (length / smoothed - 1))
    return float(np.mean(ratios)) if ratios else float("nan")


def errors_extent(frame: Frame) -> tuple[float, float]:
    """Return the extent of the maps of errors, mm (y, x)."""
    return frame.extent(_RING / 2 * frame.step)


def _moved_by_one(inside: npt.NDArray[np.bool_]) -> float:
    """Return the Dice of a label, (slices, y, x), with itself moved by one pixel in plane.

    >>> _moved_by_one(np.ones((1, 4, 2), dtype=bool))
    0.625
    """
    overlaps = (inside[:, 1:] & inside[:, :-1]).sum() + (inside[:, :, 1:] & inside[:, :, :-1]).sum()
    return float(overlaps / (2 * inside.sum()))


def error_maps(prediction: npt.NDArray[Any], location: OrganLocation, frame: Frame) -> Floats:
    """Return false positives and false negatives of each label, (2 L, levels, y, x), on the organ's box."""
    extent = errors_extent(frame)
    maps = []
    for value in frame.labels.values():
        predicted, true = prediction == value, location.labels == value
        maps += [location.sample(predicted & ~true, extent), location.sample(true & ~predicted, extent)]
    return np.stack(maps)


def subject_views(
    cases: Sequence[CasePaths], subjects: Sequence[str], frame: Frame
) -> tuple[list[str], dict[str, npt.NDArray[np.float32]]]:
    """Return the mean of each view over the cases of a subject, and the subjects that have any.

    Args:
        cases: of the cohort.
        subjects: of each case.
        frame: as from `make_frame`.

    Returns:
        The subjects, in the order of the cases, and name -> (N, ...).
    """
    sums: dict[str, dict[str, Floats]] = {}
    number: dict[str, int] = {}
    notes: Counter[str] = Counter()
    for subject, case_views in zip(subjects, (views_of(case, frame, notes) for case in cases), strict=True):
        if not case_views:
            continue
        number[subject] = number.get(subject, 0) + 1
        totals = sums.setdefault(subject, {})
        for name, view in case_views.items():
            totals[name] = totals[name] + view if name in totals else view
    for note, times in notes.items():
        logger.warning("%s (%s)", note, counted(times, "case"))
    names = list(sums)
    if not names:
        raise ValueError("no case has a label to centre a view on")
    shared = [name for name in sums[names[0]] if all(name in sums[subject] for subject in names)]
    views = {
        name: np.stack([sums[subject][name] / number[subject] for subject in names]).astype(np.float32)
        for name in shared
    }
    return names, views


def image_columns(views: Mapping[str, npt.NDArray[np.floating]], frame: Frame) -> dict[str, Floats]:
    """Return columns that a table may lack: size of the organ, its brightness, size of pixels.

    Brightness is that of the first channel within the organ, in standard deviations above the image's mean.
    """
    leak = views[LEAK][:, 0]
    in_organ = leak != 0
    bright = np.where(in_organ, leak, 0.0).sum(axis=(1, 2, 3)) / np.maximum(in_organ.sum(axis=(1, 2, 3)), 1)
    return {
        f"organ {frame.size} ({frame.size_unit})": np.nansum(
            views[MEASURES][:, ::2], axis=1, dtype=np.float64
        ),
        "organ brightness (SD of the image)": bright.astype(np.float64),
        **({"pixel size (mm)": views[HEADER][:, 1].astype(np.float64)} if frame.unit == "mm" else {}),
    }
