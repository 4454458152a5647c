"""All metrics of one pair of masks from one look at it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fairseg.cohort.columns import METRICS
from fairseg.metrics.distance import (
    Empty,
    check_empty,
    check_tolerance,
    distance_percentile,
    mean_distance,
    mean_of_directed_means,
    share_within,
)
from fairseg.metrics.masks import MaskPair, Structures, check_pair
from fairseg.metrics.overlap import Counts, count
from fairseg.metrics.surface import surface_distances

OF_COUNTS = ("dice", "iou", "precision", "recall", "volume_error")  # properties of `Counts`


def score_case(
    prediction: object,
    reference: object,
    *,
    labels: Structures | None = None,
    spacing: Sequence[float] | None = None,
    metrics: Sequence[str] = ("dice", "hd"),
    empty: Empty = "nan",
    tolerance: float | None = None,
    ignore: int | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """Score one prediction against its reference: each metric of each structure.

    Args:
        prediction: label mask (*S), integers, bool, or whole-number floats; NumPy or torch.
        reference: the ground-truth mask (*S), the same shape.
        labels: as for `dice`; `None`: the labels that occur in either mask, in increasing order.
        spacing: voxel size along each axis of the arrays, mm; `None` means 1 mm.
        metrics: any of "dice", "iou", "precision", "recall", "volume_error", "hd", "hd95", "hd95_pooled",
            "assd", "masd", "nsd"; "hd95" is the larger of the two directed percentiles, "hd95_pooled" is
            medpy's.
        empty: distance of a structure that only one mask has: "nan", or "diagonal" (see `hausdorff`).
        tolerance: for "nsd", mm.
        ignore: as for `dice` and `hausdorff`.

    Returns:
        metric -> float64 (L,), in the order of `metrics`. Where neither mask has the structure all are NaN;
        where one lacks it shares are 0, distances follow `empty`, and `volume_error` says which one.

    Raises:
        ValueError: an input is not usable; the message names it.

    >>> scores = score_case([[1, 1, 0]], [[0, 1, 0]], labels={"heart": 1}, spacing=(1.5, 1.5))
    >>> {metric: values.round(3).tolist() for metric, values in scores.items()}
    {'dice': [0.667], 'hd': [1.5]}
    """
    check_metrics(metrics, empty, tolerance)
    pair = check_pair(prediction, reference, labels, spacing, ignore)
    return score_pair(pair, metrics, empty, tolerance)[0]


def check_metrics(metrics: Sequence[str], empty: str, tolerance: float | None) -> None:
    """Raise a ValueError unless the metrics are known and have what they need."""
    if isinstance(metrics, str):
        among = ", ".join(METRICS)
        raise ValueError(f"metrics must be some of {among}, as a sequence such as ('dice',), got {metrics!r}")
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown or not metrics:
        raise ValueError(f"metrics must be some of {', '.join(METRICS)}, got {metrics!r}")
    if len(set(metrics)) < len(metrics):
        raise ValueError(f"metrics must differ, got {metrics!r}")
    check_empty(empty)
    if "nsd" in metrics:
        check_tolerance(tolerance)


def score_pair(
    pair: MaskPair, metrics: Sequence[str], empty: Empty, tolerance: float | None
) -> tuple[dict[str, npt.NDArray[np.float64]], Counts]:
    """Score checked masks; return the metrics and the voxel counts."""
    counts = count(pair)
    scores = {metric: getattr(counts, metric) for metric in metrics if metric in OF_COUNTS}
    if measured := set(metrics) - set(OF_COUNTS):
        distances = surface_distances(pair, only_largest=measured == {"hd"})
        if "hd" in measured:
            scores["hd"] = distance_percentile(pair, distances, 100.0, empty)
        if "hd95" in measured:
            scores["hd95"] = distance_percentile(pair, distances, 95.0, empty)
        if "hd95_pooled" in measured:
            scores["hd95_pooled"] = distance_percentile(pair, distances, 95.0, empty, "pooled")
        if "assd" in measured:
            scores["assd"] = mean_distance(pair, distances, empty)
        if "masd" in measured:
            scores["masd"] = mean_of_directed_means(pair, distances, empty)
        if tolerance is not None and "nsd" in measured:
            scores["nsd"] = share_within(distances, tolerance)
    return {metric: scores[metric] for metric in metrics}, counts
