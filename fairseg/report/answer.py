"""The answer of an audit in a sentence or two, made from its findings by a template.

What is said is chosen here; the words stand in `answer.txt.j2`. Every sentence names the groups and the
figures that it rests on.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairseg.report import numbers
from fairseg.report.audited import Audited
from fairseg.report.findings_table import telling
from fairseg.report.templates import render_text
from fairseg.statistics.findings import Comparison, Finding, GroupFacts
from fairseg.statistics.verdicts import Endpoint, Verdict

if TYPE_CHECKING:
    from fairseg.report.analyses import Analysis


def answer(result: Audited, analysis: "Analysis") -> str:
    """Return the answer for one grouping, as plain text on one line."""
    return " ".join(answer_lines(result, analysis))


def answer_lines(result: Audited, analysis: "Analysis") -> list[str]:
    """Return the answer, its sentences by themselves: the first stands large."""
    judgement = result.judgement
    comparisons = [one for one in judgement.comparisons if one.attribute == analysis.name]
    verdict = judgement.verdicts[analysis.name]
    lead = leading_finding(result, comparisons)
    facts = overall_facts(result, analysis.name)
    text = render_text(
        "answer.txt.j2",
        verdict=verdict.name,
        title=result.scores.title if result.scores.title != "DSC" else "Dice",
        options=result.options,
        lead=None if lead is None else spoken(lead, result),
        also=[spoken(finding, result) for finding in _others(comparisons, lead)],
        shown=sum(one.verdict is Verdict.GAP for one in comparisons),
        comparisons=len([one for one in comparisons if one.verdict is not Verdict.NOT_JUDGED]),
        failing=_failing(comparisons),
        everyone=_fails_everyone(comparisons, facts),
        judged=[fact.group for fact in facts if fact.judged],
        sizes=[(fact.group, fact.n) for fact in facts],
        widest=_widest(result, comparisons),
        floor=[fact for fact in facts if fact.judged and not fact.passes_floor],
        adjusted=bool(result.sections.adjust) and any(finding.adjusted for finding in judgement.findings),
        adjust=" and ".join(result.sections.adjust),
        several=len(result.structures) > 1,
    )
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def spoken(finding: Finding, result: Audited) -> dict[str, Any]:
    """Return a finding as sentences say it: who is worse off, by how much, and the figures of both groups."""
    worse = finding.worse or finding.second
    better = finding.first if worse == finding.second else finding.second
    value = {finding.first: finding.value_first, finding.second: finding.value_second}
    gap, *limits = finding.disadvantage
    low, high = sorted(map(abs, limits))
    if finding.low * finding.high < 0:  # the limits hold 0, so neither sign may be dropped
        low, high = sorted(limit if gap >= 0 else -limit for limit in limits)
    write = numbers.score if finding.endpoint is Endpoint.TYPICAL else numbers.points_of
    apart = value[better] - value[worse]
    return {
        "endpoint": finding.endpoint.name,
        "structure": "" if finding.structure == result.structures[0] else finding.structure,
        "adjusted": finding.adjusted,
        "worse": worse,
        "better": better,
        "value_worse": value[worse],
        "value_better": value[better],
        # Medians may lie the other way round than the typical difference; then they are no proof of it.
        "medians_agree": finding.endpoint is Endpoint.TYPICAL and round(apart, 3) > 0,
        "by": write(abs(finding.estimate), apart=[finding.margin]),
        "limits": numbers.span(low, high, write, apart=(0.0, finding.margin, -finding.margin)),
        "times": finding.times_subjects,
        "margin": write(finding.margin),
    }


def leading_finding(result: Audited, comparisons: Sequence[Comparison]) -> Finding | None:
    """Return the shown finding to speak of first.

    Overall before a structure; then the one that exceeds its margin most.
    """
    shown = [finding for one in comparisons if one.verdict is Verdict.GAP for finding in one.shown]
    return min(shown, key=lambda row: telling(row, result), default=None)


def overall_facts(result: Audited, attribute: str) -> list[GroupFacts]:
    """Return the facts of each group of an attribute, over all structures."""
    first = result.structures[0]
    return [
        fact for fact in result.judgement.facts if fact.attribute == attribute and fact.structure == first
    ]


def _others(comparisons: Sequence[Comparison], lead: Finding | None) -> list[Finding]:
    """Return what else is shown of the pair that the leading finding is of."""
    if lead is None:
        return []
    pair = (lead.first, lead.second)
    found = [finding for one in comparisons if (one.first, one.second) == pair for finding in one.shown]
    return [finding for finding in found if finding is not lead][:3]


def _failing(comparisons: Sequence[Comparison]) -> list[GroupFacts]:
    facts = {(fact.structure, fact.group): fact for one in comparisons for fact in one.failing}
    return list(facts.values())


def _fails_everyone(comparisons: Sequence[Comparison], facts: Sequence[GroupFacts]) -> bool:
    judged = {fact.group for fact in facts if fact.judged}
    return bool(judged) and judged <= {fact.group for fact in _failing(comparisons)}


def _widest(result: Audited, comparisons: Sequence[Comparison]) -> dict[str, Any] | None:
    """Return the finding that most stands in the way of saying that no relevant gap is there."""
    pairs = {(one.first, one.second) for one in comparisons if one.verdict is Verdict.OPEN}
    attribute = comparisons[0].attribute if comparisons else ""
    rows = [
        finding
        for finding in result.judgement.findings
        if finding.attribute == attribute and (finding.first, finding.second) in pairs
        if finding.verdict is Verdict.OPEN and not finding.inside
    ]
    far = max(rows, key=lambda finding: finding.times_subjects, default=None)
    return None if far is None else spoken(far, result)
