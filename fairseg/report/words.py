"""The report's findings as sentences: the answer first, then what else a reader must know."""

from collections.abc import Sequence
from math import isnan

from fairseg.metrics.statistics import Evidence, Interval, Judgement
from fairseg.metrics.statistics.evidence import IRRELEVANT, NOT_JUDGED, OPEN, SHOWN
from fairseg.metrics.wording import counted, listed
from fairseg.report import render
from fairseg.report.summary import GAP, OVERALL, Summary


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
    several = len(evidence.comparisons) > 1
    if evidence.verdict == SHOWN:
        shown = [one for one in evidence.comparisons if one.verdict == SHOWN]
        far = max(shown, key=lambda one: abs(one.gap.estimate))
        text = f"The model serves {_worse(far, summary)}."
        if several:
            shows = "shows" if len(shown) == 1 else "show"
            text += f" {len(shown)} of {len(evidence.comparisons)} comparisons {shows} a gap."
        return text
    names = _joined([summary.groups.name(group) for group in evidence.judged])
    if evidence.verdict == IRRELEVANT:
        return (
            f"No relevant gap between {names}: the whole interval lies within "
            f"{number(evidence.margin or 0)}, the largest gap that was said not to matter."
        )
    return (
        f"Not enough evidence for a gap between {names}, nor for its absence: groups of these sizes show a "
        f"gap of {number(evidence.detectable)} or more in four of five cohorts."
    )


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


def hint(summary: Summary) -> str:
    """Say what would let the report conclude more; empty if nothing would."""
    evidence = summary.evidence
    if evidence is None or evidence.verdict != OPEN or evidence.margin is not None:
        return ""
    return (
        "State the largest gap that does not matter (--margin) to learn whether one that does is ruled out."
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
    sizes = [f"{name} {count}" for name, count in zip(summary.groups.names, summary.counts, strict=True)]
    least = counted(evidence.min_size, "subject")
    if summary.reference is not None and summary.reference not in evidence.judged and evidence.judged:
        return f"No gap can be judged: the reference group has fewer than {least} ({listed(sizes)})."
    return f"No gap can be judged: fewer than two groups have {least} or more ({listed(sizes)})."
