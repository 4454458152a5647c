"""Does the verdict hang on a choice? The page judged again from other scores, and without some subjects."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fairseg.cohort.columns import VOXELS
from fairseg.metrics.fairness import Floats
from fairseg.report.tables import Cell, Table
from fairseg.report.templates import say
from fairseg.scoring.subjects import covariate, structure_scores
from fairseg.scoring.table import Scores
from fairseg.statistics.sensitivity import (
    Variant,
    VariantVerdict,
    influential_rows,
    judge_variants,
    leave_out,
)
from fairseg.statistics.verdicts import Verdict

if TYPE_CHECKING:
    from fairseg.report.audit import AuditResult

SITES = ("site", "scanner", "centre", "center", "hospital", "vendor", "clinic")
_MOST_SITES = 12
_PERMUTATIONS = 999  # the answer to "does it flip" needs no more
_MOST_SUBJECTS = 3000  # above which no single subject can matter


@dataclass(frozen=True)
class Sensitivity:
    """What became of the verdict.

    Attributes:
        table: a row a choice: the verdict, the typical gap, and whether the verdict differs.
        sentence: what a reader must know first; empty if nothing flips.
    """

    table: Table
    sentence: str


def sensitivity(result: "AuditResult") -> Sensitivity | None:
    """Judge the grouping that was asked about again under other choices; None where nothing is judged.

    Tried are: the median over structures in place of the mean, the mean without the best and the worst of at
    least four structures, a missed structure left out instead of scored 0, subjects with all structures only,
    each group without its best or worst subject, and all without each site (columns such as site, scanner).
    """
    if result.verdict is Verdict.NOT_JUDGED:
        return None
    page = replace(result.judgement, options=replace(result.options, permutations=_PERMUTATIONS))
    groupings = [result.analyses[0].grouping()]
    own = tuple(one for one in page.comparisons if one.attribute == groupings[0].name)
    found = judge_variants(replace(page, comparisons=own), variants(result), groupings)
    names = dict.fromkeys(one.variant for one in found)
    judged = [_row(name, [one for one in found if one.variant == name]) for name in names]
    rows = [(name, "", cells) for name, cells, _ in judged]
    flips = [(name, cells[0].text) for name, cells, flips in judged if flips]
    caption = f"The verdict by {groupings[0].name} under other choices"
    table = Table.of(caption, ("Verdict", "Typical gap", "Changes"), rows, corner="Choice")
    sentence = say("flips", flips=flips, number=len(rows)) if flips else ""
    return Sensitivity(table, sentence)


def variants(result: "AuditResult") -> list[Variant]:
    """Return the choices to try."""
    scores, overall = result.scores, result.common.overall
    of_structure = structure_scores(scores)
    several = of_structure.shape[1] > 1

    def variant(name: str, middle: Floats, parts: Floats = of_structure) -> Variant:
        columns = np.column_stack([middle, parts]) if several else middle[:, None]
        return Variant(name, columns, result.structures)

    base = variant("as judged", overall)
    tried = []
    with np.errstate(all="ignore"):
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
        rows = influential_rows(overall, result.analyses[0].grouping())
        tried += [leave_out(base, [row], "without the best or worst subject of a group") for row in rows[:6]]
    for name in scores.attributes:
        if name.lower() not in SITES or name in result.analyses[0].groups.attributes:
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


def _row(name: str, found: list[VariantVerdict]) -> tuple[str, list[Cell], bool]:
    """Return the verdict of a choice that is least like the page's, where it was tried in several ways."""
    flipped = [one for one in found if one.flips and one.verdict is not Verdict.NOT_JUDGED]
    one = (flipped or found)[0]
    verdict = Cell(one.verdict.label.capitalize(), css=one.verdict.css_class)
    gap = max((other.estimate for other in found), key=lambda value: abs(np.nan_to_num(value)))
    changes = Cell(f"in {len(flipped)} of {len(found)}" if flipped else "no")
    return name, [verdict, Cell(gap), changes], bool(flipped)
