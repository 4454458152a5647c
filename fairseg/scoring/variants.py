"""Other ways to score the same masks, and other choices of subjects: what a verdict should not hang on."""

import warnings
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fairseg.cohort.columns import VOXELS
from fairseg.metrics.fairness import Floats
from fairseg.scoring.subjects import covariate, structure_scores
from fairseg.scoring.table import Scores
from fairseg.statistics.findings import Grouping
from fairseg.statistics.sensitivity import Variant, influential_rows, leave_out

SITES = ("site", "scanner", "centre", "center", "hospital", "vendor", "clinic")
_MOST_SITES = 12
_MOST_SUBJECTS = 3000  # above which no single subject can matter


def variants(
    scores: Scores, overall: Floats, grouping: Grouping, structures: tuple[str, ...]
) -> list[Variant]:
    """Return the choices to try, each as the scores that come of it.

    Args:
        scores: that were judged.
        overall: the overall score of each subject, (N,).
        grouping: the attribute that was judged.
        structures: names of the columns that were judged, the overall one first.
    """
    of_structure = structure_scores(scores)
    several = of_structure.shape[1] > 1

    def variant(name: str, middle: Floats, parts: Floats = of_structure) -> Variant:
        columns = np.column_stack([middle, parts]) if several else middle[:, None]
        return Variant(name, columns, structures)

    base = variant("as judged", overall)
    tried = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a subject without any structure has no mean
        if of_structure.shape[1] > 2:
            tried.append(variant("median over structures", np.nanmedian(of_structure, axis=1)))
        if of_structure.shape[1] > 3:
            inner = np.sort(of_structure, axis=1)[:, 1:-1]
            tried.append(variant("mean without best and worst structure", np.nanmean(inner, axis=1)))
        if (missed := _without_missed(scores)) is not None:
            tried.append(variant("missed structures left out", np.nanmean(missed, axis=1), missed))
    whole: npt.NDArray[np.bool_] = np.asarray(~np.isnan(of_structure).any(axis=1))
    if several and not whole.all():
        tried.append(replace(base, name="subjects with every structure", rows=whole))
    if len(overall) <= _MOST_SUBJECTS:
        rows = influential_rows(overall, grouping)
        tried += [leave_out(base, [row], "without the best or worst subject of a group") for row in rows[:6]]
    for name in scores.attributes:
        if name.lower() not in SITES or name in grouping.name.split(" and "):
            continue
        site = np.array([str(value) for value in covariate(scores, name)[0]])
        levels = np.unique(site)
        if 2 <= len(levels) <= _MOST_SITES:
            tried += [
                leave_out(base, np.flatnonzero(site == level), f"without {name} {level}") for level in levels
            ]
    return tried


def _without_missed(scores: Scores) -> Floats | None:
    """Return the scores of structures with a missed one as no score; None if none was missed."""
    table = scores.table
    missed = table["dice"] == 0
    if set(VOXELS) <= set(table.columns):
        missed &= (table[VOXELS[0]] == 0) & (table[VOXELS[1]] > 0)
    if not missed.any():
        return None
    return structure_scores(replace(scores, table=table.assign(dice=table["dice"].mask(missed))))
