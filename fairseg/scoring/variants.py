"""Other ways to score the same masks and other choices of subjects, on which a verdict should not depend."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fairseg.cohort.columns import VOXELS
from fairseg.metrics.fairness import Floats
from fairseg.scoring.subjects import covariate, structure_scores
from fairseg.scoring.table import Scores
from fairseg.statistics.common_structures import CommonStructures, common_structures
from fairseg.statistics.findings import Grouping
from fairseg.statistics.sensitivity import Variant, influential_rows, leave_out

SITES = ("site", "scanner", "centre", "center", "hospital", "vendor", "clinic")
Rows = npt.NDArray[np.bool_]

_MOST_SITES = 12
_MOST_LEFT_OUT = 24  # subjects, one at a time; if there are more, one of each group at once
_MOST_SUBJECTS = 3000  # above which no single subject can matter


def variants(
    scores: Scores, common: CommonStructures, grouping: Grouping, structures: tuple[str, ...], min_size: int
) -> list[Variant]:
    """Return the choices to try, each with its scores.

    A subject's overall score is always made of the structures that the groups have in common.

    Args:
        scores: that were judged.
        common: the overall score of each subject, and the structures that it is made of.
        grouping: the attribute that was judged.
        structures: names of the columns that were judged, the overall one first.
        min_size: subjects that a group needs to be judged.
    """
    of_structure = structure_scores(scores)
    several = of_structure.shape[1] > 1
    indices = [scores.labels.index(name) for name in common.used]
    used = of_structure[:, indices]

    def variant(name: str, middle: Floats, parts: Floats = of_structure, rows: Rows | None = None) -> Variant:
        columns = np.column_stack([middle, parts]) if several else middle[:, None]
        return Variant(name, columns, structures, rows)

    base = variant("as judged", common.overall)
    whole: Rows = np.asarray(~np.isnan(used).any(axis=1))
    tried = []
    if len(indices) > 2:
        tried.append(variant("median over structures", np.median(used, axis=1), rows=whole))
    if len(indices) > 3:
        inner = np.sort(used, axis=1)[:, 1:-1]
        tried.append(variant("mean without best and worst structure", inner.mean(axis=1), rows=whole))
    if (missed := _without_missed(scores)) is not None:
        other = common_structures(missed[:, indices], [grouping], structures=common.used, min_size=min_size)
        tried.append(variant("missed structures left out", other.overall, missed))
        without = np.asarray(~(np.isnan(missed) & ~np.isnan(of_structure)).any(axis=1))
        tried.append(replace(base, name="subjects with a missed structure left out", rows=without))
    every = ~np.isnan(of_structure).any(axis=1)
    if several and not every.all():
        tried.append(replace(base, name="subjects with every structure", rows=np.asarray(every)))
    if len(of_structure) <= _MOST_SUBJECTS:
        ends = influential_rows(common.overall, grouping)
        rows = sorted({row for end in ends for row in end})
        if len(rows) <= _MOST_LEFT_OUT:
            name = "without the best or worst subject of a group"
            tried += [leave_out(base, [row], name) for row in rows]
        else:
            names = (f"without the {end} subject of every group" for end in ("worst", "best"))
            tried += [leave_out(base, end, name) for name, end in zip(names, ends, strict=True)]
    for name in scores.attributes:
        if name.lower() not in SITES or name in grouping.name.split(" and "):
            continue
        site = np.array(["unknown" if value is None else str(value) for value in covariate(scores, name)[0]])
        levels = np.unique(site)
        if 2 <= len(levels) <= _MOST_SITES:
            tried += [
                leave_out(base, np.flatnonzero(site == level), f"without {name} {level}") for level in levels
            ]
    # If all subjects lack a structure, or have one missed, a choice leaves no subject to judge.
    return [choice for choice in tried if choice.rows is None or choice.rows.any()]


def _without_missed(scores: Scores) -> Floats | None:
    """Return the scores of structures with a missed one as no score; None if none was missed."""
    table = scores.table
    missed = table["dice"] == 0
    if set(VOXELS) <= set(table.columns):
        missed &= (table[VOXELS[0]] == 0) & (table[VOXELS[1]] > 0)
    if not missed.any():
        return None
    return structure_scores(replace(scores, table=table.assign(dice=table["dice"].mask(missed))))
