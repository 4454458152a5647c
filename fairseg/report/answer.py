"""The answer of an audit in a sentence or two, made from its findings by a template.

This module chooses what is said; the words stand in `answer.txt.j2`. Every sentence names the groups and
the figures that it rests on.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fairseg.report import numbers
from fairseg.report.analyses import Analysis
from fairseg.report.audited import Audited
from fairseg.report.findings_table import hardest_name, telling
from fairseg.report.templates import render_text, say
from fairseg.statistics.findings import ALL_OTHERS, Comparison, Finding, Reason, ReasonKind
from fairseg.statistics.verdicts import Endpoint, Verdict

# A reader must know who is not judged or has no score, whatever is shown.
_ALWAYS_SAID = (
    ReasonKind.SMALL_GROUP,
    ReasonKind.UNKNOWN_GROUP,
    ReasonKind.MISSING_SCORES,
    ReasonKind.LOST_CASES,
)


_MOST_TOLD = 3  # findings beside the leading one


def answer(result: Audited, analysis: Analysis) -> str:
    """Return the answer for one grouping, as plain text on one line."""
    return " ".join(answer_lines(result, analysis))


def answer_lines(result: Audited, analysis: Analysis) -> list[str]:
    """Return the answer as a list of sentences, of which a page sets the first one large."""
    judgement = result.judgement
    comparisons = [one for one in judgement.comparisons if one.attribute == analysis.name]
    verdict = judgement.verdicts[analysis.name]
    lead = leading_finding(result, comparisons)
    facts = judgement.facts_of(analysis.name, result.structures[0])
    judged = [fact.group for fact in facts if fact.judged]
    # Of all facts, not of those in comparisons: the group that fails may be the only one that is judged.
    failing = [fact for fact in judgement.facts if fact.attribute == analysis.name and fact.fails]
    all_fail = [fact for fact in judgement.everyone if fact.fails]
    # "Everyone" needs every group to fail, those too small to be judged as well.
    groups = {fact.group for fact in facts if fact.n}
    shown_of_each = bool(groups) and groups <= {fact.group for fact in failing}
    everyone = bool(all_fail) and shown_of_each and not analysis.members.unknown
    rows = [] if lead is None else _rows_of_pair(comparisons, lead)
    told = [] if lead is None else _told(result, rows, lead)
    text = render_text(
        "answer.txt.j2",
        verdict=verdict.name,
        title=result.scores.spoken_title,
        options=result.options,
        lead=told[0] if told else None,
        also=told[1 : 1 + _MOST_TOLD],
        untold=told[1 + _MOST_TOLD :],
        shown=sum(one.verdict is Verdict.GAP for one in comparisons),
        beside_all=any(ALL_OTHERS in (one.first, one.second) for one in comparisons),
        comparisons=len([one for one in comparisons if one.verdict is not Verdict.NOT_JUDGED]),
        failing=failing or all_fail,
        everyone=everyone,
        together=None if everyone or not failing else next(iter(all_fail), None),
        judged=judged,
        sizes=[(fact.group, fact.n, fact.missing) for fact in facts],
        reference=analysis.grouping.reference_name,
        other_way=None if lead is None else _other_way(_with_or_without(rows, lead), lead),
        widest=_widest(result, comparisons),
        reasons=_reasons(result, comparisons, analysis.name),
        adjusted=any(finding.adjusted for one in comparisons for finding in one.findings),
        adjust=result.held_fixed,
        several=len(result.structures) > 1,
    )
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def spoken(finding: Finding, result: Audited) -> dict[str, Any]:
    """Return a finding as sentences tell it: who is worse off, by how much, and both groups' figures."""
    of_second = finding.disadvantage
    by, low, high = positive = of_second.positive()
    # An estimate of 0 has a side as well: that on which its limits lie for the most part.
    sides = (finding.second, finding.first)
    worse, better = sides if positive is of_second else sides[::-1]
    value = {finding.first: finding.value_first, finding.second: finding.value_second}
    write = numbers.score if finding.endpoint is Endpoint.TYPICAL else numbers.points_of
    return {
        "endpoint": finding.endpoint.name,
        "hardest": hardest_name(result, finding.structure),
        "structure": "" if finding.structure == result.structures[0] else finding.structure,
        "adjusted": finding.adjusted,
        "worse": worse,
        "better": better,
        "value_worse": value[worse],
        "value_better": value[better],
        # Medians may lie the other way round than the typical difference, and then do not support it.
        "medians_agree": finding.endpoint is Endpoint.TYPICAL
        and round(value[better], 3) > round(value[worse], 3),
        "by": write(by, apart=[finding.margin]),
        "limits": numbers.span(low, high, write, apart=(0.0, finding.margin, -finding.margin)),
        "times": finding.times_subjects,
        "margin": write(finding.margin),
        "inside": finding.inside,
    }


def leading_finding(result: Audited, comparisons: Sequence[Comparison]) -> Finding | None:
    """Return the shown finding to begin with: one that may matter, overall, farthest beyond its margin."""
    findings = [finding for one in comparisons if one.verdict is Verdict.GAP for finding in one.shown]
    return min(findings, key=lambda row: telling(row, result), default=None)


def _rows_of_pair(comparisons: Sequence[Comparison], lead: Finding) -> list[Finding]:
    """Return all findings on the pair of the leading one."""
    pair = (lead.first, lead.second)
    return [row for one in comparisons if (one.first, one.second) == pair for row in one.findings]


def _told(result: Audited, rows: Sequence[Finding], lead: Finding) -> list[dict[str, Any]]:
    """Return the leading finding and the other shown ones on its pair as sentences tell them.

    The most telling come first: those by which it is the other group that is worse off before the others, and
    those with strata held fixed last, since most repeat another one. One that is turned round by strata, or
    without them, comes with the other one, as `turned`: a reader of one alone takes it for the whole truth.
    """
    rest = [
        one
        for one in rows
        if one.shown
        and one is not lead
        # Among many equal scores a shift of size 0 may be shown.
        and not (one.endpoint is Endpoint.TYPICAL and round(abs(one.estimate), 3) == 0)
    ]
    rest.sort(key=lambda one: (one.worse == lead.worse, one.adjusted, *telling(one, result)))
    told: list[dict[str, Any]] = []
    while rest or not told:
        finding = rest.pop(0) if told else lead
        beside = _with_or_without(rows, finding)
        turned = next((one for one in rest if one is beside and one.worse != finding.worse), None)
        rest = [one for one in rest if one is not turned]
        told.append({**spoken(finding, result), "turned": None if turned is None else spoken(turned, result)})
    return told


def _with_or_without(rows: Sequence[Finding], finding: Finding) -> Finding | None:
    """Return a finding with strata held fixed, or without where it has them, from the rows of its pair."""
    same = (finding.structure, finding.endpoint, not finding.adjusted)
    return next((row for row in rows if (row.structure, row.endpoint, row.adjusted) == same), None)


def _other_way(row: Finding | None, lead: Finding) -> dict[str, Any] | None:
    """Return what is said of the leading finding with strata held fixed, or without, if it is not shown."""
    if row is not None and not row.shown:
        gap, low, high = row.disadvantage
        if lead.worse == lead.first:
            gap, low, high = -gap, -high, -low
        typical = row.endpoint is Endpoint.TYPICAL
        by = numbers.with_limits(gap, low, high, numbers.score if typical else numbers.points_of)
        judged = row.verdict is not Verdict.NOT_JUDGED
        return {"adjusted": row.adjusted, "judged": judged, "by": by, "points": not typical}
    return None


def _reasons(result: Audited, comparisons: Sequence[Comparison], attribute: str) -> list[str]:
    """Return the other reasons against a green verdict, each in words, once."""
    reasons = [
        reason
        for one in comparisons
        if one.verdict in (Verdict.OPEN, Verdict.GAP)
        for reason in one.reasons
        if reason.kind is not ReasonKind.MARGIN
        and (reason.kind is not ReasonKind.MEANS or _tells(reason, one))
    ]
    if floors := [reason for reason in reasons if reason.kind is ReasonKind.FLOOR]:
        position = reasons.index(floors[0])  # a group below the floor stands in each of its comparisons
        reasons = [reason for reason in reasons if reason.kind is not ReasonKind.FLOOR]
        reasons.insert(position, _floors(result, floors))
    facts = {"title": result.scores.spoken_title, "overall": result.structures[0], "options": result.options}
    adjust = result.held_fixed
    texts = [
        say("reason", one=one, adjust=adjust, by=_by(one, result), **facts)
        for one in (*result.judgement.reasons[attribute], *reasons)
        if result.judgement.verdicts[attribute] is Verdict.OPEN or one.kind in _ALWAYS_SAID
    ]
    return list(dict.fromkeys(texts))[:3]


def _by(reason: Reason, result: Audited) -> str:
    """Write the difference that a reason rests on, if there is one."""
    if reason.difference is None:
        return ""
    return numbers.with_limits(*reason.difference, numbers.score, apart=(0.0, result.options.margin))


def _tells(reason: Reason, comparison: Comparison) -> bool:
    """Return whether means say what the rows of a comparison do not: a difference, or the only reason."""
    assert reason.difference is not None
    alone = all(one.kind is ReasonKind.MEANS for one in comparison.reasons)
    return alone or (reason.difference.low > 0 and not comparison.shown)


def _floors(result: Audited, floors: Sequence[Reason]) -> Reason:
    """Return one reason for all groups for whom the model is not shown to work well enough, the worst first.

    Each group stands there once: with its scores over all structures, or else with its worst structure.
    """
    overall = result.structures[0]
    facts = sorted(
        (fact for one in floors for fact in one.facts),
        key=lambda fact: (fact.structure != overall, fact.median, -fact.failure_rate),
    )
    of_group = {fact.group: fact for fact in reversed(facts)}
    worst = sorted(of_group.values(), key=lambda fact: (fact.median, -fact.failure_rate))
    return replace(floors[0], facts=tuple(worst))


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
    widest = max(rows, key=lambda finding: finding.times_subjects, default=None)
    return None if widest is None else spoken(widest, result)
