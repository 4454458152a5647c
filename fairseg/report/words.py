"""The report's findings as sentences: the answer first, then what else a reader must know."""

from collections.abc import Sequence
from math import isnan

from fairseg.io.sentences import counted, listed
from fairseg.report import render
from fairseg.report.summary import GAP, OVERALL, Summary
from fairseg.statistics import Evidence, Interval, Judgement
from fairseg.statistics.evidence import IRRELEVANT, NOT_JUDGED, OPEN, SHOWN

_LIMIT = "The limit is --min-size, to be set before the results are looked at."
_LEAST = 0.0005  # what a table does not show as zero


def number(value: float) -> str:
    """Return a score or a difference of scores as the tables show it."""
    return render.cell(GAP, value)


def between(interval: Interval, level: float) -> str:
    """Return the limits of an interval.

    >>> between(Interval(0.05, 0.012, 0.0871), 0.95)
    '95% interval 0.012 to 0.087'
    """
    return f"{100 * level:g}% interval {number(interval.low)} to {number(interval.high)}"


def answer(summary: Summary) -> str:
    """Say in one sentence, or two, what the scores of one structure show of the groups."""
    if "dice" not in summary.subjects:
        return "Without Dice there is no fairness gap: only medians and distances are shown."
    if summary.evidence is None:
        shared = counted(len(summary.shared), "subject")
        return f"No gap can be judged: {shared} with cases in several groups, which so are not independent."
    evidence = summary.evidence
    if evidence.verdict == NOT_JUDGED:
        return _nothing_judged(summary, evidence)
    if evidence.verdict == SHOWN:
        return _shown(summary, evidence)
    names = _joined([summary.groups.name(group) for group in evidence.judged])
    if evidence.verdict == IRRELEVANT:
        return (
            f"No relevant gap between {names}: the whole interval lies within "
            f"{number(evidence.margin or 0)}, the largest gap that was said not to matter."
        )
    text = f"Not enough evidence for a gap between {names}, nor for its absence"
    return f"{text}{_could_show(summary, evidence)}."


def _could_show(summary: Summary, evidence: Evidence) -> str:
    """Say what gap would have been shown: of several pairs, by the most and the least sensitive."""
    judged = sorted(
        (one for one in evidence.comparisons if not isnan(one.detectable)), key=lambda one: one.detectable
    )
    if not judged or judged[-1].detectable < _LEAST:  # all scores are equal
        return ""
    start = ": groups of these sizes show a gap of"
    if len(judged) == 1:
        return f"{start} {number(judged[0].detectable)} or more in four of five cohorts"
    told = []
    for one in (judged[0], judged[-1]):
        pair = (summary.groups.name(group) for group in (one.first, one.second))
        told.append(f"{number(one.detectable)} or more between {' and '.join(pair)}")
    return f"{start} {told[0]}, but only of {told[1]}, in four of five cohorts"


def _shown(summary: Summary, evidence: Evidence) -> str:
    far = farthest_shown(evidence)
    assert far is not None
    text = f"The model serves {_worse(far, summary)}."
    if len(evidence.comparisons) > 1:
        shown = sum(one.verdict == SHOWN for one in evidence.comparisons)
        shows = "shows" if shown == 1 else "show"
        text += f" {shown} of {len(evidence.comparisons)} comparisons {shows} a gap."
    return text


def farthest_shown(evidence: Evidence) -> Judgement | None:
    """Return the largest gap that is shown; a gap of a small group can be larger and not shown."""
    shown = [one for one in evidence.comparisons if one.verdict == SHOWN]
    return max(shown, key=lambda one: abs(one.gap.estimate), default=None)


def headline(summary: Summary) -> tuple[float, str]:
    """Return the gap that `answer` speaks of, and what it is, with its limits and what could be shown."""
    evidence = summary.evidence
    if evidence is None:
        return float("nan"), "fairness gap"
    if isnan(evidence.gap.low):
        return float(summary.table.loc[[GAP]].to_numpy()[0, -1]), "gap in median DSC, not judged"
    gap, detectable, between_whom = evidence.gap, evidence.detectable, ""
    judged = [one for one in evidence.comparisons if one.verdict != NOT_JUDGED]
    if len(judged) > 1:
        far = farthest_shown(evidence) or max(judged, key=lambda one: abs(one.gap.estimate))
        first, second = (summary.groups.name(group) for group in (far.first, far.second))
        gap, detectable = far.gap, far.detectable
        if summary.reference is None and gap.estimate < 0:
            first, second = second, first
            gap = gap.negated()
        between_whom = f", {first} minus {second}"
    shows = "" if detectable < _LEAST else f"; this cohort would show {number(detectable)} or more"
    return gap.estimate, f"gap in median DSC{between_whom}, {between(gap, evidence.level)}{shows}"


def compared(one: Judgement, summary: Summary, evidence: Evidence) -> str:
    """Say what one comparison shows, with both medians, the interval and what could have been shown."""
    first, second = (summary.groups.name(group) for group in (one.first, one.second))
    medians = [evidence.medians[group].estimate for group in (one.first, one.second)]
    pair = f"{first} {number(medians[0])}, {second} {number(medians[1])}"
    if isnan(one.gap.low):
        return f"{one.verdict}: {pair}, gap {number(one.gap.estimate)}"
    limits = between(one.gap, evidence.level)
    detectable = f"detectable {number(one.detectable)}"
    return f"{one.verdict}: {pair}, gap {number(one.gap.estimate)} ({limits}; {detectable})"


def lines(summaries: Sequence[Summary]) -> list[str]:
    """Return the answer and every comparison, for the terminal."""
    overall = summaries[0]
    found = [answer(overall)]
    if overall.evidence is not None and len(overall.evidence.comparisons) <= 12:
        found += [f"  {compared(one, overall, overall.evidence)}" for one in overall.evidence.comparisons]
    for summary in summaries[1:] if len(summaries) > 2 else ():
        if summary.evidence is not None and summary.evidence.verdict != NOT_JUDGED:
            evidence = summary.evidence
            gap = f"gap {number(evidence.gap.estimate)} ({between(evidence.gap, evidence.level)})"
            found.append(f"  {summary.structure}: {evidence.verdict}, {gap}")
    # Names may hold what a terminal would obey.
    return [" " * (len(line) - len(line.lstrip())) + render.plain(line) for line in found]


def not_judged(summary: Summary) -> str:
    """Name the groups that are too small to be judged, with their medians; empty if there are none."""
    evidence = summary.evidence
    if evidence is None or evidence.verdict == NOT_JUDGED:
        return ""
    told = [
        f"{name} (n={summary.scored[group]}, median DSC {number(evidence.medians[group].estimate)})"
        for group, name in enumerate(summary.groups.names)
        if group not in evidence.judged and summary.scored[group]
    ]
    return f"Not judged, too few subjects: {listed(told)}." if told else ""


def hint(summary: Summary) -> str:
    """Say what would let the report conclude more; empty if nothing would."""
    evidence = summary.evidence
    if evidence is None or evidence.verdict != OPEN or evidence.margin is not None:
        return ""
    return (
        "How large a gap may be before it matters was not said (option --margin). With it, the report can "
        "also say that no relevant gap is there."
    )


def _joined(names: Sequence[str]) -> str:
    return f"{names[0]} and {names[1]}" if len(names) == 2 else listed(names, most=3)


def _worse(one: Judgement, summary: Summary) -> str:
    better, worse = (one.first, one.second) if one.gap.estimate > 0 else (one.second, one.first)
    assert summary.evidence is not None
    low, high = (number(summary.evidence.medians[group].estimate) for group in (worse, better))
    names = summary.groups.name(worse), summary.groups.name(better)
    what = "" if summary.structure == OVERALL else f" on {summary.structure}"
    return f"{names[0]} worse than {names[1]}{what}: median DSC {low} against {high}"


def _nothing_judged(summary: Summary, evidence: Evidence) -> str:
    sizes = [f"{name} {count}" for name, count in zip(summary.groups.names, summary.scored, strict=True)]
    least = counted(evidence.min_size, "subject")
    if summary.reference is not None and summary.reference not in evidence.judged and evidence.judged:
        return f"No gap can be judged: the reference group has fewer than {least} ({listed(sizes)}). {_LIMIT}"
    return f"No gap can be judged: fewer than two groups have {least} or more ({listed(sizes)}). {_LIMIT}"
