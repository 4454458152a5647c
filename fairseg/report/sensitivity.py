"""Does the verdict hang on a choice? The page is judged again from other scores and without some subjects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairseg.cohort.columns import HD95, METRICS
from fairseg.report.analyses import strata_ids
from fairseg.report.audited import Audited
from fairseg.report.findings_table import ORDER
from fairseg.report.tables import Cell, Table
from fairseg.report.templates import say
from fairseg.scoring.variants import variants
from fairseg.statistics.findings import Finding
from fairseg.statistics.sensitivity import VariantVerdict, judge_centres, judge_variants
from fairseg.statistics.verdicts import Endpoint, Verdict


@dataclass(frozen=True)
class Sensitivity:
    """The verdict under other choices.

    Attributes:
        table: a row a choice: the verdict, the typical gap, and whether the verdict differs.
        sentence: which choices change the verdict; empty if none does.
    """

    table: Table
    sentence: str


def sensitivity(result: Audited, secondary: Sequence[Finding] = ()) -> Sensitivity | None:
    """Judge the grouping that was asked about again under other choices; None where nothing is judged.

    Tried are: the median over structures in place of the mean, the mean without the best and the worst of at
    least four structures, a missed structure left out instead of scored 0, subjects without a missed
    structure, subjects with all structures only, each group without its best or worst subject (of more than
    12 groups all at once), all without each site (columns such as site, scanner); means, trimmed means and
    medians of the groups in place of the Hodges-Lehmann shift; and, where the scores have both, the other
    definition of HD95, as `secondary` findings compare both.
    """
    if result.verdict is Verdict.NOT_JUDGED:
        return None
    page, grouping, sections = result.judgement, result.analyses[0].grouping, result.sections
    choices = variants(result.scores, result.common, grouping, result.structures, result.options.min_size)
    strata = strata_ids(result.scores, sections.adjust, sections.bins)
    definitions = _rows(_other_definition(secondary), result)
    verdicts = [
        *_as_judged(result),
        *judge_variants(page, choices, [grouping], strata=strata),
        *judge_centres(page, result.common.overall, grouping),
    ]
    judged = _rows(verdicts, result)
    rows = [(name, *cells) for name, cells, _ in (*judged, *definitions)]
    flips = [(name, flip) for name, _, flip in judged if flip is not None]
    definition_flips = [(name, cells[0].text) for name, cells, flip in definitions if flip is not None]
    pairs = [one for one in page.comparisons if one.attribute == grouping.name]
    alone = len(pairs) == 1 and pairs[0].verdict is result.verdict  # else each pair has its own
    caption = f"The verdict by {grouping.name} under other choices"
    one_definition = len(set(HD95) & set(result.scores.metrics)) == 1
    note = say("about_sensitivity", one_definition=one_definition)
    heads = ("Verdict", "Typical gap", "Changes")
    table = Table.of(caption, heads, rows, corner="Choice", note=note, tall=True)
    sentences = [say("flips", flips=flips, number=len(judged) - 1, alone=alone)] if flips else []
    sentences += [say("other_definition", flips=definition_flips)] if definition_flips else []
    return Sensitivity(table, " ".join(sentences))


def _as_judged(result: Audited) -> list[VariantVerdict]:
    used = " and ".join(result.common.used) if result.common.dropped else "structures"
    name = f"as judged: mean over {used}, a missed one is 0" if len(result.structures) > 1 else "as judged"
    name += ", one without a score adjusted for" if result.common.moved else ""
    verdicts = []
    for one in (one for one in result.judgement.comparisons if one.attribute == result.analyses[0].name):
        gap = one.findings[0].estimate if one.findings else np.nan
        verdicts.append(VariantVerdict(name, one.attribute, one.first, one.second, one.verdict, False, gap))
    return verdicts


def _other_definition(secondary: Sequence[Finding]) -> list[VariantVerdict]:
    """Compare the findings of both definitions of HD95, by the typical case and the hardest tenth."""
    largest, pooled = (
        {
            (row.first, row.second, row.endpoint): row
            for row in secondary
            if row.structure.split(" (")[0] == METRICS[name].title
        }
        for name in HD95
    )
    verdicts = []
    for key in (key for key in largest if key in pooled):
        row = pooled[key]
        endpoint = "typical case" if row.endpoint is Endpoint.TYPICAL else "hardest tenth"
        name = f"HD95, {endpoint}: pooled (medpy), not the larger direction"
        flips = row.verdict is not largest[key].verdict
        verdicts.append(
            VariantVerdict(name, row.attribute, row.first, row.second, row.verdict, flips, -row.estimate)
        )
    return verdicts


def _rows(
    verdicts: list[VariantVerdict], result: Audited
) -> list[tuple[str, list[Cell], VariantVerdict | None]]:
    """Return a row a choice, with the pairs named as all over the page."""
    verdicts = [
        replace(one, first=one.second, second=one.first, estimate=-one.estimate)
        if (one.attribute, one.first, one.second) in result.turned
        else one
        for one in verdicts
    ]
    names = dict.fromkeys(one.variant for one in verdicts)
    return [_row(name, [one for one in verdicts if one.variant == name]) for name in names]


def _row(name: str, verdicts: list[VariantVerdict]) -> tuple[str, list[Cell], VariantVerdict | None]:
    """Return a choice, its cells (verdict, typical gap, pairs that flip) and the verdict that flips, if any.

    Of several pairs the verdict is the worst of those that flip, else of all: those that fail first, then
    those with the widest gaps, as in the card.
    """
    flipped = [one for one in verdicts if one.flips and one.verdict is not Verdict.NOT_JUDGED]
    one = min(
        flipped or verdicts, key=lambda each: (ORDER.index(each.verdict), -abs(np.nan_to_num(each.estimate)))
    )
    text = one.verdict.label.capitalize()
    if len({(each.first, each.second) for each in verdicts}) > 1:
        text += f": {one.second} against {one.first}"
    verdict = Cell(text, css=one.verdict.css_class)
    of_pair = [each.estimate for each in verdicts if (each.first, each.second) == (one.first, one.second)]
    gap = max(of_pair, key=lambda value: abs(np.nan_to_num(value)))
    changes = Cell(f"in {len(flipped)} of {len(verdicts)}" if flipped else "no")
    return name, [verdict, Cell(gap), changes], one if flipped else None
