"""Does the verdict hang on a choice? The page judged again from other scores, and without some subjects."""

from dataclasses import dataclass, replace

import numpy as np

from fairseg.report.audited import Audited
from fairseg.report.tables import Cell, Table
from fairseg.report.templates import say
from fairseg.scoring.variants import variants
from fairseg.statistics.sensitivity import VariantVerdict, judge_variants
from fairseg.statistics.verdicts import Verdict

_PERMUTATIONS = 999  # the answer to "does it flip" needs no more


@dataclass(frozen=True)
class Sensitivity:
    """What became of the verdict.

    Attributes:
        table: a row a choice: the verdict, the typical gap, and whether the verdict differs.
        sentence: what a reader must know first; empty if nothing flips.
    """

    table: Table
    sentence: str


def sensitivity(result: Audited) -> Sensitivity | None:
    """Judge the grouping that was asked about again under other choices; None where nothing is judged.

    Tried are: the median over structures in place of the mean, the mean without the best and the worst of at
    least four structures, a missed structure left out instead of scored 0, subjects with all structures only,
    each group without its best or worst subject, and all without each site (columns such as site, scanner).
    """
    if result.verdict is Verdict.NOT_JUDGED:
        return None
    page = replace(result.judgement, options=replace(result.options, permutations=_PERMUTATIONS))
    groupings = [result.analyses[0].grouping()]
    tried = variants(result.scores, result.common.overall, groupings[0], result.structures)
    own = tuple(one for one in page.comparisons if one.attribute == groupings[0].name)
    found = judge_variants(replace(page, comparisons=own), tried, groupings)
    names = dict.fromkeys(one.variant for one in found)
    judged = [_row(name, [one for one in found if one.variant == name]) for name in names]
    rows = [(name, "", cells) for name, cells, _ in judged]
    flips = [(name, cells[0].text) for name, cells, flips in judged if flips]
    caption = f"The verdict by {groupings[0].name} under other choices"
    table = Table.of(caption, ("Verdict", "Typical gap", "Changes"), rows, corner="Choice")
    sentence = say("flips", flips=flips, number=len(rows)) if flips else ""
    return Sensitivity(table, sentence)


def _row(name: str, found: list[VariantVerdict]) -> tuple[str, list[Cell], bool]:
    """Return the verdict of a choice that is least like the page's, where it was tried in several ways."""
    flipped = [one for one in found if one.flips and one.verdict is not Verdict.NOT_JUDGED]
    one = (flipped or found)[0]
    verdict = Cell(one.verdict.label.capitalize(), css=one.verdict.css_class)
    gap = max((other.estimate for other in found), key=lambda value: abs(np.nan_to_num(value)))
    changes = Cell(f"in {len(flipped)} of {len(found)}" if flipped else "no")
    return name, [verdict, Cell(gap), changes], bool(flipped)
