"""All metrics of one pair of masks, checked once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.cohort.columns import LESIONS, METRICS, TOLERANT, VOXELS
from fairseg.io.sentences import brief, did_you_mean
from fairseg.metrics.counts import count
from fairseg.metrics.distance import (
    Empty,
    check_empty,
    check_tolerance,
    distance_percentile,
    mean_distance,
    mean_of_directed_means,
    share_within,
)
from fairseg.metrics.lesions import check_min_iou, match_lesions, of_each
from fairseg.metrics.masks import Pair, Structures
from fairseg.metrics.pairs import pair_of
from fairseg.metrics.surface import surface_distances
from fairseg.metrics.surface_area import share_of_area_within

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

OF_COUNTS = ("dice", "iou", "precision", "recall", "volume_error")  # properties of `Counts`
OF_LESIONS = {f"lesion_{name}": name for name in ("dice", "precision", "recall")}  # of `Lesions`


# Names that other libraries have for them, too far from ours to be seen as misspelt.
_FULL_NAMES = {"hausdorff": "hd", "hausdorff_distance": "hd", "jaccard": "iou", "f1": "dice", "dsc": "dice"}


@dataclass(frozen=True)
class Measures:
    """What to measure of each pair of masks, and how: the options of `score_case`, checked.

    Raises:
        ValueError: a metric is not known, or lacks what it needs.
    """

    metrics: tuple[str, ...]
    empty: Empty = "nan"
    tolerance: float | None = None
    min_iou: float = 0.5

    def __post_init__(self) -> None:
        unknown = [metric for metric in self.metrics if metric not in METRICS]
        if unknown or not self.metrics:
            hint = did_you_mean(_FULL_NAMES.get(unknown[0], unknown[0]), METRICS) if unknown else ""
            raise ValueError(
                f"metrics must be some of {', '.join(METRICS)}, got {list(self.metrics)!r}{hint}"
            )
        if len(set(self.metrics)) < len(self.metrics):
            raise ValueError(f"metrics must differ, got {list(self.metrics)!r}")
        check_empty(self.empty)
        check_min_iou(self.min_iou)
        if set(TOLERANT) & set(self.metrics):
            check_tolerance(self.tolerance)

    @classmethod
    def of(cls, metrics: Sequence[str], *options: Any) -> "Measures":
        """Return the measures of a sequence of metrics, which a plain string is not."""
        if isinstance(metrics, str):
            raise ValueError(
                f"metrics must be some of {', '.join(METRICS)}, as a sequence such as ('dice',), "
                f"got {brief(metrics)}"
            )
        return cls(tuple(metrics), *options)


def score_case(
    prediction: object,
    reference: object,
    *,
    labels: Structures | None = None,
    spacing: float | Sequence[float] | None = None,
    metrics: Sequence[str] = ("dice", "hd"),
    empty: Empty = "nan",
    tolerance: float | None = None,
    min_iou: float = 0.5,
    ignore: int | None = None,
) -> dict[str, Floats]:
    """Score one prediction against its reference: each metric of each structure.

    Args:
        prediction: label mask (*S), integers, bool, or whole-number floats; NumPy or torch.
        reference: the ground-truth mask (*S), the same shape.
        labels: as for `dice`; `None`: the labels that occur in either mask, in increasing order.
        spacing: voxel size along each axis of the arrays, mm, or one number for all; `None` means 1 mm.
        metrics: any of "dice", "iou", "precision", "recall", "volume_error", "hd", "hd95", "hd95_pooled",
            "assd", "masd", "nsd", "nsd_area", "lesion_dice", "lesion_precision", "lesion_recall"; "hd95" is
            the larger of the two directed percentiles, "hd95_pooled" is medpy's; "nsd_area" weighs surfaces
            by area.
        empty: distance of a structure that only one mask has: "nan", or "diagonal" (see `hausdorff`).
        tolerance: for "nsd" and "nsd_area", mm.
        min_iou: from which on a lesion is found (see `lesions`).
        ignore: as for `dice` and `hausdorff`.

    Returns:
        metric -> float64 (L,), in the order of `metrics`. Where neither mask has the structure all are NaN;
        where one lacks it shares are 0, distances follow `empty`, and `volume_error` and `lesion_recall` are
        NaN where the reference lacks it.

    Raises:
        ValueError: an input is not usable; the message names it.

    >>> scores = score_case([[1, 1, 0]], [[0, 1, 0]], labels={"heart": 1}, spacing=(1.5, 1.5))
    >>> {metric: values.round(3).tolist() for metric, values in scores.items()}
    {'dice': [0.667], 'hd': [1.5]}
    """
    measures = Measures.of(metrics, empty, tolerance, min_iou)
    return score_pair(pair_of(prediction, reference, labels, spacing, ignore), measures)[0]


def score_pair(pair: Pair, measures: Measures) -> tuple[dict[str, Floats], dict[str, Ints]]:
    """Score checked masks; return the metrics, and the sizes of both masks by the names of their columns."""
    counts = count(pair)
    sizes = dict(zip(VOXELS, (counts.prediction, counts.reference), strict=True))
    scores = {name: getattr(counts, name) for name in OF_COUNTS}
    wanted = set(measures.metrics)
    if wanted & OF_LESIONS.keys():
        matched = match_lesions(pair.on_host(), measures.min_iou)
        scores |= {name: of_each(matched, value) for name, value in OF_LESIONS.items()}
        numbers = [(len(lesion.prediction_voxels), len(lesion.reference_voxels)) for lesion in matched]
        sizes |= dict(zip(LESIONS, np.array(numbers, dtype=np.int64).reshape(-1, 2).T, strict=True))
    if "nsd_area" in wanted and measures.tolerance is not None:
        scores["nsd_area"] = share_of_area_within(pair.on_host(), measures.tolerance)
    if of_distances := wanted - scores.keys():
        scores |= _of_distances(pair, of_distances, measures)
    return {metric: scores[metric] for metric in measures.metrics}, sizes


def _of_distances(pair: Pair, wanted: set[str], measures: Measures) -> dict[str, Floats]:
    distances = surface_distances(pair, only_largest=wanted == {"hd"})
    empty, tolerance = measures.empty, measures.tolerance
    score_of: dict[str, Callable[[], Floats]] = {
        "hd": lambda: distance_percentile(pair, distances, 100.0, empty),
        "hd95": lambda: distance_percentile(pair, distances, 95.0, empty),
        "hd95_pooled": lambda: distance_percentile(pair, distances, 95.0, empty, "pooled"),
        "assd": lambda: mean_distance(pair, distances, empty),
        "masd": lambda: mean_of_directed_means(pair, distances, empty),
    }
    if tolerance is not None:
        score_of["nsd"] = lambda: share_within(distances, tolerance)
    return {name: score_of[name]() for name in score_of if name in wanted}
