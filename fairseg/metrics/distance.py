"""Surface distances of each structure in one line each: Hausdorff, HD95, ASSD, MASD, NSD.

All of them summarise the same `SurfaceDistances`. Distances run in two directions, from each surface to the
other, so there are two definitions of a percentile or a mean: HD95 is the larger of the two directed
percentiles (as in MetricsReloaded and MONAI), or the percentile of both directions pooled (as in medpy); ASSD
is the mean of both directions pooled (medpy), MASD the mean of the two directed means (MetricsReloaded).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from fairseg.io.arguments import fits
from fairseg.metrics.masks import Pair, Structures
from fairseg.metrics.pairs import pair_of
from fairseg.metrics.surface import SurfaceDistances, surface_distances
from fairseg.metrics.surface_area import share_of_area_within

Empty = Literal["nan", "diagonal"]
Directed = Literal["max", "pooled"]
Floats = npt.NDArray[np.float64]


def hausdorff(
    prediction: object,
    reference: object,
    labels: Structures | None = None,
    *,
    spacing: float | Sequence[float] | None = None,
    percentile: float = 100.0,
    directed: Directed = "max",
    empty: Empty = "nan",
    ignore: int | None = None,
) -> Floats:
    """Hausdorff distance (HD) of each structure, or a percentile of the surface distances, in mm.

    The largest distance from a surface voxel of one mask to the nearest surface voxel of the other,
    both ways; equal to medpy's `hd`.

    Args:
        prediction: label mask (*S), integers, bool, or whole-number floats; NumPy or torch.
        reference: the ground-truth mask (*S), the same shape.
        labels: as for `dice`; `None`: the labels that occur in either mask, in increasing order.
        spacing: voxel size along each axis of the arrays, mm, or one number for all; `None` means 1 mm.
        percentile: 0 to 100, of the distances.
        directed: "max", the larger of the percentiles of the two directions, or "pooled", the percentile of
            both directions together. For the largest distance they are the same.
        empty: the value of a structure that only one mask has: "nan", or "diagonal", the diagonal of the
            image in mm, so that missing a structure costs more than any error could.
        ignore: voxels where the reference has this value become background in both masks before their
            surfaces are taken: a structure that extends into them has the same surface there in both,
            which adds distances of 0.

    Returns:
        float64 (L,), mm. NaN where the structure is in neither mask.

    Raises:
        ValueError: an input is not usable; the message names it.

    >>> hausdorff([[1, 1, 0, 0]], [[0, 0, 0, 1]], [1], spacing=(5.0, 2.0))
    array([6.])
    """
    if not fits(percentile, lambda share: 0.0 <= share <= 100.0):
        raise ValueError(f"percentile must lie between 0 and 100, got {percentile!r}")
    if directed not in ("max", "pooled"):
        raise ValueError(f'directed must be "max" or "pooled", got {directed!r}')
    check_empty(empty)
    pair = pair_of(prediction, reference, labels, spacing, ignore)
    distances = surface_distances(pair, only_largest=percentile == 100.0)
    return distance_percentile(pair, distances, percentile, empty, directed)


def hd95(
    prediction: object,
    reference: object,
    labels: Structures | None = None,
    *,
    spacing: float | Sequence[float] | None = None,
    directed: Directed = "max",
    empty: Empty = "nan",
    ignore: int | None = None,
) -> Floats:
    """95th percentile of the surface distances of each structure (HD95), in mm.

    With `directed="max"` the larger of the percentiles of the two directions, equal to MetricsReloaded and
    MONAI (not to surface-distance, whose percentiles are of area); with "pooled" that of both directions
    together, medpy's `hd95`. Values of the two definitions must not be compared. Arguments, empty masks and
    errors are those of `hausdorff`.

    >>> hd95([[1, 1, 0, 0]], [[0, 0, 0, 1]], [1], spacing=(5.0, 2.0))
    array([5.9])
    >>> hd95([[1, 1, 0, 0]], [[0, 0, 0, 1]], [1], spacing=(5.0, 2.0), directed="pooled")
    array([5.8])
    """
    return hausdorff(
        prediction,
        reference,
        labels,
        spacing=spacing,
        percentile=95.0,
        directed=directed,
        empty=empty,
        ignore=ignore,
    )


def assd(
    prediction: object,
    reference: object,
    labels: Structures | None = None,
    *,
    spacing: float | Sequence[float] | None = None,
    empty: Empty = "nan",
    ignore: int | None = None,
) -> Floats:
    """Average symmetric surface distance (ASSD) of each structure, in mm: the mean over both surfaces.

    Distances of both directions are pooled, so the larger surface counts for more; equal to medpy's `assd`.
    Arguments, empty masks and errors are those of `hausdorff`.

    >>> assd([[1, 1, 0, 0]], [[0, 0, 0, 1]], [1], spacing=(5.0, 2.0))
    array([4.66666667])
    """
    check_empty(empty)
    pair = pair_of(prediction, reference, labels, spacing, ignore)
    return mean_distance(pair, surface_distances(pair), empty)


def masd(
    prediction: object,
    reference: object,
    labels: Structures | None = None,
    *,
    spacing: float | Sequence[float] | None = None,
    empty: Empty = "nan",
    ignore: int | None = None,
) -> Floats:
    """Mean average surface distance (MASD) of each structure, in mm: the mean of the two directed means.

    Each surface counts for half, whatever its size, as in MetricsReloaded. Arguments, empty masks and errors
    are those of `hausdorff`.

    >>> masd([[1, 1, 0, 0]], [[0, 0, 0, 1]], [1], spacing=(5.0, 2.0))  # (5 + 4) / 2
    array([4.5])
    """
    check_empty(empty)
    pair = pair_of(prediction, reference, labels, spacing, ignore)
    return mean_of_directed_means(pair, surface_distances(pair), empty)


def nsd(
    prediction: object,
    reference: object,
    labels: Structures | None = None,
    *,
    tolerance: float,
    surface: Literal["voxels", "area"] = "voxels",
    spacing: float | Sequence[float] | None = None,
    ignore: int | None = None,
) -> Floats:
    """Normalised surface distance (surface Dice) of each structure at a tolerance in mm.

    The share of both surfaces that lies within `tolerance` of the other one (Nikolov et al. 2021).

    Args:
        prediction: label mask (*S), as for `hausdorff`.
        reference: the ground-truth mask (*S), the same shape.
        labels: as for `dice`; `None`: the labels that occur in either mask, in increasing order.
        tolerance: largest accepted distance, mm, >= 0; a distance equal to it is accepted.
        surface: "voxels", surface voxels are counted, as MONAI does; or "area", the surface runs between
            voxels and is weighed in mm^2 (in 2D mm), as surface-distance does. The two differ; tables call
            the second `nsd_area`.
        spacing: voxel size along each axis of the arrays, mm, or one number for all; `None` means 1 mm.
        ignore: as for `hausdorff`.

    Returns:
        float64 (L,), between 0 and 1. 0 where only one mask has the label, NaN where neither has.

    Raises:
        ValueError: an input is not usable; the message names it.

    >>> nsd([[1, 1, 0, 0]], [[0, 0, 0, 1]], [1], spacing=(5.0, 2.0), tolerance=4.0)
    array([0.66666667])
    >>> nsd([[1, 1, 0, 0]], [[0, 0, 0, 1]], [1], spacing=(5.0, 2.0), tolerance=4.0, surface="area").round(3)
    array([0.789])
    """
    check_tolerance(tolerance)
    if surface not in ("voxels", "area"):
        raise ValueError(f'surface must be "voxels" or "area", got {surface!r}')
    pair = pair_of(prediction, reference, labels, spacing, ignore)
    if surface == "area":
        return share_of_area_within(pair.on_host(), tolerance)
    return share_within(surface_distances(pair), tolerance)


def distance_percentile(
    pair: Pair, distances: SurfaceDistances, percentile: float, empty: Empty, directed: Directed = "max"
) -> Floats:
    """Percentile of the surface distances of each structure, mm (L,)."""
    result = _without_surface(pair, distances, empty)
    for position in _measured(distances):
        counts = distances.count[:, position]
        if percentile == 100.0:
            result[position] = distances.of(position).max(initial=0.0)
        elif directed == "pooled":
            result[position] = _percentile(distances.of(position), counts.sum(), percentile)
        else:
            sides = (_percentile(distances.of(position, n), counts[n], percentile) for n in (0, 1))
            result[position] = max(sides)
    return result


def _percentile(positive: Floats, count: int, percentile: float) -> float:
    """Return the percentile of `count` distances: the positive ones, and zeros."""
    return float(np.percentile(np.concatenate((np.zeros(count - positive.size), positive)), percentile))


def mean_of_directed_means(pair: Pair, distances: SurfaceDistances, empty: Empty) -> Floats:
    """Mean of the means of the two directions, of each structure, mm (L,)."""
    result = _without_surface(pair, distances, empty)
    for position in _measured(distances):
        means = [distances.of(position, n).sum() / distances.count[n, position] for n in (0, 1)]
        result[position] = sum(means) / 2
    return result


def mean_distance(pair: Pair, distances: SurfaceDistances, empty: Empty) -> Floats:
    """Mean of all surface distances of each structure, mm (L,)."""
    result = _without_surface(pair, distances, empty)
    for position in _measured(distances):
        result[position] = distances.of(position).sum() / distances.count[:, position].sum()
    return result


def share_within(distances: SurfaceDistances, tolerance: float) -> Floats:
    """Share of the surface voxels of each structure whose distance is at most `tolerance` mm (L,)."""
    result = np.where(distances.count.any(axis=0), 0.0, np.nan)
    for position in _measured(distances):
        beyond = np.count_nonzero(distances.of(position) > tolerance)
        result[position] = 1.0 - beyond / distances.count[:, position].sum()
    return result


def check_empty(empty: str) -> None:
    """Raise a ValueError unless `empty` is a policy that `hausdorff` knows."""
    if empty not in ("nan", "diagonal"):
        raise ValueError(f'empty must be "nan" or "diagonal", got {empty!r}')


def check_tolerance(tolerance: float | None) -> None:
    """Raise a ValueError unless `tolerance` is a finite number of mm >= 0."""
    if tolerance is None or not fits(tolerance, lambda distance: 0 <= distance < np.inf):
        needed = "; nsd needs it, such as tolerance=2 or --tolerance 2" if tolerance is None else ""
        raise ValueError(f"tolerance must be a number of mm >= 0, got {tolerance!r}{needed}")


def _measured(distances: SurfaceDistances) -> npt.NDArray[np.intp]:
    """Return the positions of the labels that both masks have."""
    return np.flatnonzero(distances.count.all(axis=0))


def _without_surface(pair: Pair, distances: SurfaceDistances, empty: Empty) -> Floats:
    """Return the values of the labels that at least one mask lacks, NaN elsewhere."""
    value = pair.diagonal if empty == "diagonal" else np.nan
    return np.where(distances.count.any(axis=0), value, np.nan)
