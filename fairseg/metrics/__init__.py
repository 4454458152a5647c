"""Overlap, surface distance and fairness measures of arrays. No torch, no files.

One pair of masks: `dice`, `iou`, `precision`, `recall`, `volume_error`, `hausdorff`, `hd95`, `assd`, `masd`,
`nsd`, `volumes`; of structures that are many `lesion_dice`, `lesion_precision`, `lesion_recall`, `lesions`;
or `score_case` for several at once. One value a subject and the groups, ids or names:
`by_group`, `fairness_gap`, `gap_pair`, `skewed_error_ratio`, `equity_scaled`, `fairness_score`,
`worst_group`, `mann_whitney_u`. Folders of masks: `fairseg.evaluate`; how sure the measures are:
`fairseg.statistics`.
"""

from importlib import import_module

from fairseg.deprecation import moved
from fairseg.metrics.distance import assd, hausdorff, hd95, masd, nsd
from fairseg.metrics.fairness import (
    by_group,
    equity_scaled,
    fairness_gap,
    fairness_score,
    gap_pair,
    iqr,
    mann_whitney_u,
    skewed_error_ratio,
    split_by_group,
    worst_group,
)
from fairseg.metrics.lesions import Lesions, lesion_dice, lesion_precision, lesion_recall, lesions
from fairseg.metrics.overlap import dice, iou, precision, recall, volume_error, volumes
from fairseg.metrics.score import score_case

__all__ = [
    "Lesions",
    "assd",
    "by_group",
    "dice",
    "equity_scaled",
    "fairness_gap",
    "fairness_score",
    "gap_pair",
    "hausdorff",
    "hd95",
    "iou",
    "iqr",
    "lesion_dice",
    "lesion_precision",
    "lesion_recall",
    "lesions",
    "mann_whitney_u",
    "masd",
    "nsd",
    "precision",
    "recall",
    "score_case",
    "skewed_error_ratio",
    "split_by_group",
    "volume_error",
    "volumes",
    "worst_group",
]

# These two live on higher floors, and people look for them here.
_ABOVE = {"bootstrap_interval": "fairseg.statistics", "evaluate": "fairseg.scoring"}
_MOVED = {
    "Interval": "fairseg.statistics",
    "agreement": "fairseg.clinical",
    "bland_altman_points": "fairseg.clinical",
    "clinical_measures": "fairseg.clinical",
    "read_scores": "fairseg.scoring",
}


def __dir__() -> list[str]:
    return sorted([*__all__, *_ABOVE])


def __getattr__(name: str) -> object:
    if name in _ABOVE:
        return getattr(import_module(_ABOVE[name]), name)
    return moved(__name__, _MOVED, name)
