"""Judge all comparisons of a page: what is shown, what is shown not to matter, and what is open.

Three endpoints of every comparison and structure: the typical case, failures, and the hardest tenth; within
strata too, where strata are given. One level over the whole page (`permutation`), at which the limits of
every row hold together. In this order: a comparison is not judged, the model fails, no relevant gap (which
needs all rows, and groups for which the model works), a gap is shown, or there is not enough evidence.
The procedure and its measured error rates: docs/statistics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.batches import Integers
from fairseg.statistics.findings import (
    Comparison,
    GroupFacts,
    Grouping,
    PageJudgement,
    Reason,
    ReasonKind,
    worst,
)
from fairseg.statistics.group_facts import StructureScores, with_failing
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.page_level import (
    Line,
    Members,
    PageLevel,
    line_of,
    members,
    page_level,
    pairs_to_compare,
)
from fairseg.statistics.permutation import Row
from fairseg.statistics.reasons import (
    below_floor,
    lost_cases,
    means_apart,
    missing_scores,
    not_judged,
    one_stratum,
    outside_margin,
    severity,
)
from fairseg.statistics.row_tests import stratum_members, usable_strata
from fairseg.statistics.verdicts import Verdict


def judge_page(
    scores: npt.ArrayLike,
    groupings: Sequence[Grouping],
    *,
    structures: Sequence[str] = ("Overall",),
    strata: npt.ArrayLike | None = None,
    options: JudgeOptions | None = None,
    level: float | None = None,
) -> PageJudgement:
    """Judge the fairness of a model from its scores, over all attributes and structures at one level.

    Args:
        scores: one row a subject, (N, S), from 0 to 1 and the higher the better, such as the Dice; the first
            column is the overall score, the others are of single structures. A missed structure is 0; NaN
            takes no part. Where groups lack structures, make the first column by `common_structures`.
        groupings: the attributes; the first is that of the primary hypothesis.
        structures: names of the columns, (S,).
        strata: id of the stratum of each subject, integer (N,), -1 unknown; adds the comparisons among
            subjects of the same stratum.
        options: margins, thresholds and floors; None for the defaults.
        level: of a row of full weight, where it is that of another page (its `alpha_star`); no p-value is
            adjusted then. None: as permutations say.

    Returns:
        The verdict of each attribute and comparison, and the findings behind it. More than 1,000 rows, or
        more than 50,000 subjects, are judged with 999 permutations at most.

    Raises:
        ValueError: shapes differ, names repeat, or scores are not from 0 to 1, as percentages.

    >>> rng = np.random.default_rng(0)
    >>> dice = rng.normal(0.9, 0.02, (80, 1)) - np.repeat([[0.0], [0.05]], 40, axis=0)
    >>> sex = Grouping("sex", ("M", "F"), np.repeat([0, 1], 40), reference=0)
    >>> judged = judge_page(dice, [sex])
    >>> judged.verdict, [str(row.endpoint) for row in judged.comparisons[0].shown]
    (<Verdict.GAP: 'gap shown'>, ['typical case', 'hardest tenth'])
    """
    options = options or JudgeOptions()
    values = _check_scores(scores, groupings, structures)
    blocks = None if strata is None else stratum_members(strata, len(values))
    columns = zip(structures, values.T, strict=True)
    measured = [StructureScores(name, column, options) for name, column in columns]
    each = with_failing(
        [
            one.facts(grouping.name, group, grouping.ids == code)
            for grouping in groupings
            for code, group in enumerate(grouping.group_names)
            for one in measured
        ],
        structures[0],
        options,
    )
    overall = {
        one.name: [fact for fact in each if (fact.attribute, fact.structure) == (one.name, structures[0])]
        for one in groupings
    }

    # Of all subjects, and of those of known group.
    def of_all(attribute: str, in_group: Members) -> list[GroupFacts]:
        return with_failing([one.facts(attribute, "", in_group) for one in measured], structures[0], options)

    everyone = of_all("", np.ones(len(values), dtype=bool))

    def of_known(grouping: Grouping) -> list[GroupFacts]:
        if (grouping.ids < 0).any():
            return of_all(grouping.name, grouping.ids >= 0)
        return [replace(fact, attribute=grouping.name) for fact in everyone]

    known = [fact for grouping in groupings for fact in of_known(grouping)]
    drafts = [
        draft
        for grouping_index, grouping in enumerate(groupings)
        for draft in _draft(grouping_index, grouping, overall[grouping.name], measured, blocks, options)
    ]
    lines = [line for draft in drafts for line in draft.lines]
    rows_level = (
        page_level(lines, groupings, options, blocks)
        if level is None
        else PageLevel(np.empty(0), level, options.alpha)
    )
    compared = sum(bool(draft.lines) for draft in drafts)
    comparisons = [_judge(draft, rows_level, each, measured, options, compared) for draft in drafts]
    reasons = {one.name: not_judged(one, overall[one.name], measured[0], options) for one in groupings}
    verdicts = {
        name: _attribute_verdict(
            [one for one in comparisons if one.attribute == name],
            [*(fact for fact in each if fact.attribute == name), *everyone],
            reasons[name],
        )
        for name in reasons
    }
    return PageJudgement(
        groupings[0].name,
        verdicts,
        reasons,
        tuple(comparisons),
        tuple(each),
        tuple(everyone),
        tuple(known),
        rows_level.alpha_star,
        options,
        max(rows_level.smallest.size - 1, 0),
    )


@dataclass(frozen=True)
class _Draft:
    """A comparison before it is judged."""

    comparison: Comparison
    grouping: Grouping
    members: tuple[Members, Members]
    lines: list[Line]


def _draft(
    grouping_index: int,
    grouping: Grouping,
    overall: Sequence[GroupFacts],
    measured: Sequence[StructureScores],
    blocks: list[Integers] | None,
    options: JudgeOptions,
) -> list[_Draft]:
    """Return the comparisons of an attribute, with every row tested by itself."""
    drafts = []
    everyone = (np.arange(len(grouping.ids)),)
    for first, second in pairs_to_compare(grouping, [fact.judged for fact in overall]):
        names = grouping.group_name(first), grouping.group_names[second]
        groups_of_pair = members(grouping, first, second)
        sizes = [int((~np.isnan(measured[0].scores[group])).sum()) for group in groups_of_pair]
        comparison = Comparison(grouping.name, *names, sizes[0], sizes[1], Verdict.NOT_JUDGED)
        lines: list[Line] = []
        for number, one in enumerate(measured if min(sizes) >= options.min_size else ()):
            scored = [group & ~np.isnan(one.scores) for group in groups_of_pair]
            within = None if blocks is None else usable_strata(scored, blocks, options.min_size)
            for endpoint, (values, marks, margin, weight) in one.endpoints().items():
                row = Row(grouping_index, first, second, values, marks, 0.25 if number else weight, everyone)
                worse = 0 if marks else 1
                line = line_of(row, grouping, one.name, endpoint, margin, worse, options.min_size)
                lines.append(line)
                if blocks is not None and not grouping.held:
                    lines.append(line.within(within, grouping.ids))
        drafts.append(_Draft(comparison, grouping, groups_of_pair, lines))
    return drafts


def _judge(
    draft: _Draft,
    level: PageLevel,
    facts: Sequence[GroupFacts],
    measured: Sequence[StructureScores],
    options: JudgeOptions,
    compared: int,
) -> Comparison:
    """Give a comparison, one of so many of the page, its numbers and its verdict."""
    comparison = draft.comparison
    if not draft.lines:
        return comparison
    findings = [level.finding(line) for line in draft.lines]
    pair_facts = [
        fact
        for fact in facts
        if fact.attribute == comparison.attribute and fact.group in (comparison.first, comparison.second)
    ]
    failing = tuple(fact for fact in pair_facts if fact.fails)
    first, second = draft.members
    pair = (comparison.first, first), (comparison.second, second)
    reasons = [outside_margin(finding, options) for finding in findings if not finding.inside]
    reasons += below_floor(pair_facts)
    reasons += missing_scores(comparison.attribute, pair, measured, options)
    if not any(one.kind is ReasonKind.MISSING_SCORES for one in reasons):
        reasons += lost_cases(draft.grouping, comparison.first, comparison.second, options)
    reasons += means_apart(pair, measured, options)
    reasons += severity(pair, measured, options, of=compared)
    reasons += one_stratum(draft.lines, draft.grouping, measured, options)
    within = all(finding.inside for finding in findings)  # a difference may be shown, and too small to matter
    if failing:
        verdict = Verdict.FAILS
    elif not reasons:
        verdict = Verdict.NO_GAP
    else:
        verdict = Verdict.GAP if any(one.shown for one in findings) and not within else Verdict.OPEN
    if failing or within:
        findings = [replace(row, verdict=verdict) if row.level > 0 else row for row in findings]
    return replace(
        comparison, verdict=verdict, findings=tuple(findings), failing=failing, reasons=tuple(reasons)
    )


def _attribute_verdict(
    comparisons: Sequence[Comparison], facts: Sequence[GroupFacts], reasons: Sequence[Reason]
) -> Verdict:
    if any(fact.fails for fact in facts):
        return Verdict.FAILS
    verdict = worst(comparison.verdict for comparison in comparisons)
    return Verdict.OPEN if verdict is Verdict.NO_GAP and reasons else verdict


def _check_scores(scores: npt.ArrayLike, groupings: Sequence[Grouping], structures: Sequence[str]) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or not values.size or values.shape[1] != len(structures):
        raise ValueError(f"scores must be (N, {len(structures)}), a column a structure, got {values.shape}")
    if np.isinf(values).any():
        raise ValueError("scores must be finite or NaN, got infinity")
    if np.nanmin(values, initial=0.0) < 0 or np.nanmax(values, initial=0.0) > 1:
        lowest, highest = np.nanmin(values), np.nanmax(values)
        raise ValueError(f"scores must be from 0 to 1, got {lowest:g} to {highest:g}")
    if not groupings:
        raise ValueError("groupings must have at least one attribute, got none")
    for grouping in groupings:
        if len(grouping.ids) != len(values):
            raise ValueError(f"ids must be one a subject, {len(values)}, got {len(grouping.ids)}")
    for what, names in (("structures", list(structures)), ("groupings", [one.name for one in groupings])):
        if len(set(names)) < len(names):
            raise ValueError(f"names of {what} must differ, got {names}")
    return np.round(values, 10)
