"""Overlap, surface distance, the scores table and fairness measures. No torch needed.

One pair of masks: `dice`, `hausdorff`, `hd95`, `assd`, `nsd`, `volumes`, or `score_case` for several
at once. Folders of masks: `evaluate`; its table from a file: `read_scores`. One value a subject:
`by_group`, `fairness_gap`, `gap_pair`, `skewed_error_ratio`, `equity_scaled`, `worst_group`,
`mann_whitney_u`; how sure they are: `bootstrap_interval`, and all of `fairseg.statistics`. What
clinicians measure: `clinical_measures`, and by group `agreement` and `bland_altman_points`.
"""

from fairseg.clinical.agreement import agreement, bland_altman_points
from fairseg.clinical.measures import clinical_measures
from fairseg.metrics.distance import assd, hausdorff, hd95, nsd
from fairseg.scoring.evaluate import evaluate
from fairseg.metrics.fairness import (
    by_group,
    equity_scaled,
    fairness_gap,
    gap_pair,
    iqr,
    mann_whitney_u,
    skewed_error_ratio,
    split_by_group,
    worst_group,
)
from fairseg.metrics.overlap import dice, volumes
from fairseg.metrics.score import score_case
from fairseg.io.scores import read_scores
from fairseg.statistics.intervals import bootstrap_interval
from fairseg.statistics.limits import Interval

__all__ = [
    "Interval",
    "agreement",
    "assd",
    "bland_altman_points",
    "bootstrap_interval",
    "by_group",
    "clinical_measures",
    "dice",
    "equity_scaled",
    "evaluate",
    "fairness_gap",
    "gap_pair",
    "hausdorff",
    "hd95",
    "iqr",
    "mann_whitney_u",
    "nsd",
    "read_scores",
    "score_case",
    "skewed_error_ratio",
    "split_by_group",
    "volumes",
    "worst_group",
]
