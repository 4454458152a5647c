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
    ALL_OTHERS,
    Comparison,
    Finding,
    GroupFacts,
    Grouping,
    PageJudgement,
    Reason,
    ReasonKind,
    worst,
)
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.page_level import (
    Line,
    Members,
    PageLevel,
    make_line,
    members,
    page_level,
    pairs_to_compare,
)
from fairseg.statistics.permutation import Row
from fairseg.statistics.row_tests import centre, row_samples, stratum_members, usable_strata
from fairseg.statistics.two_samples import brunner_munzel, fisher_exact, median_limits, wilson
from fairseg.statistics.verdicts import Endpoint, Verdict

HARDEST_SHARE = 0.1  # of all subjects
_HARDER_SHARES = (0.05, 0.025)  # that are looked at before a verdict is green
_LEAST_IN_TAIL = 5  # subjects of each group

_Facts = dict[str, list[list[GroupFacts]]]  # of each attribute, group and structure


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
        The verdict of each attribute and comparison, and the findings behind it. More than 1,000 rows are
        judged with 999 permutations at most.

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
    measured = [_Structure(name, column, options) for name, column in zip(structures, values.T, strict=True)]
    facts: _Facts = {
        grouping.name: [
            [_group_facts(grouping.name, group, grouping.ids == code, one, options) for one in measured]
            for code, group in enumerate(grouping.group_names)
        ]
        for grouping in groupings
    }
    all_subjects = np.ones(len(values), dtype=bool)
    everyone = [_group_facts("", "", all_subjects, one, options) for one in measured]
    known = [
        _group_facts(grouping.name, "", grouping.ids >= 0, one, options)
        for grouping in groupings
        for one in measured
    ]
    drafts = [
        draft
        for place, grouping in enumerate(groupings)
        for draft in _draft(place, grouping, facts, measured, blocks, options)
    ]
    lines = [line for draft in drafts for line in draft.lines]
    rows_level = (
        page_level(lines, groupings, options, blocks)
        if level is None
        else PageLevel(np.empty(0), level, options.alpha)
    )
    comparisons = [_judge(draft, rows_level, facts, measured, options) for draft in drafts]
    reasons = {grouping.name: _unjudged(grouping, facts, measured[0], options) for grouping in groupings}
    flat = {name: [fact for group in groups for fact in group] for name, groups in facts.items()}
    verdicts = {
        name: _attribute_verdict(
            [one for one in comparisons if one.attribute == name], [*flat[name], *everyone], reasons[name]
        )
        for name in flat
    }
    return PageJudgement(
        groupings[0].name,
        verdicts,
        reasons,
        tuple(comparisons),
        tuple(fact for group in flat.values() for fact in group),
        tuple(everyone),
        tuple(known),
        rows_level.alpha_star,
        options,
    )


def hardest(values: Floats, share: float = HARDEST_SHARE) -> Floats:
    """Mark the worst tenth of the subjects with 1, the others with 0, (N,); NaN without a score.

    Equal scores are marked alike, so that more or fewer than a tenth may be marked: fewer where a tenth would
    be more than 15%, unless nothing near a tenth were left. Where all scores are equal none is marked.

    >>> hardest(np.array([0.9, 0.8, np.nan, 0.9, 0.8, 0.7]), 0.2).tolist()
    [0.0, 0.0, nan, 0.0, 0.0, 1.0]
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return values.copy()
    cut = np.quantile(known, share, method="inverted_cdf")
    below, at_most = float((known < cut).mean()), float((known <= cut).mean())
    with_ties = at_most <= 1.5 * share or (below < share / 2 and at_most < 1)
    marked = (values <= cut if with_ties else values < cut).astype(np.float64)
    marked[np.isnan(values)] = np.nan
    return marked


class _Structure:
    """The scores of a structure, and who fails or is among the hardest in it."""

    def __init__(self, name: str, scores: Floats, options: JudgeOptions) -> None:
        self.name = name
        self.scores = np.ascontiguousarray(scores)
        self.fails = np.where(np.isnan(scores), np.nan, scores < options.failure_threshold)
        self.hardest = hardest(self.scores)

    def endpoints(self, options: JudgeOptions) -> dict[Endpoint, tuple[Floats, bool, float, float]]:
        """Return values, whether they are marks, margin, and the weight of the overall score."""
        return {
            Endpoint.TYPICAL: (self.scores, False, options.margin, 1.0),
            Endpoint.FAILURES: (self.fails, True, options.failure_margin, 1.0),
            Endpoint.HARDEST: (self.hardest, True, options.tail_margin, 0.5),
        }


@dataclass(frozen=True)
class _Draft:
    """A comparison before it is judged."""

    comparison: Comparison
    members: tuple[Members, Members]
    lines: list[Line]


def _draft(
    place: int,
    grouping: Grouping,
    facts: _Facts,
    measured: Sequence[_Structure],
    blocks: list[Integers] | None,
    options: JudgeOptions,
) -> list[_Draft]:
    """Return the comparisons of an attribute, with every row tested by itself."""
    drafts = []
    everyone = (np.arange(len(grouping.ids)),)
    judged = [group[0].judged for group in facts[grouping.name]]
    for first, second in pairs_to_compare(grouping, judged):
        name = ALL_OTHERS if first is None else grouping.group_names[first]
        who = members(grouping, first, second)
        sizes = [[int((~np.isnan(one.scores[group])).sum()) for group in who] for one in measured]
        comparison = Comparison(
            grouping.name, name, grouping.group_names[second], sizes[0][0], sizes[0][1], Verdict.NOT_JUDGED
        )
        lines: list[Line] = []
        for number, (one, size) in enumerate(zip(measured, sizes, strict=True)):
            if min(sizes[0]) < options.min_size:
                continue
            enough = min(size) >= options.min_size
            scored = [group & ~np.isnan(one.scores) for group in who]
            within = None if blocks is None else usable_strata(scored, blocks, options.min_size)
            for endpoint, (values, marks, margin, weight) in one.endpoints(options).items():
                row = Row(place, first, second, values, marks, 0.25 if number else weight, everyone)
                crude = row_samples(row, grouping.ids, everyone[0])
                one_centre, other_centre = (centre(part, marks=marks) for part in crude)
                finding = Finding(
                    grouping.name,
                    one.name,
                    endpoint,
                    name,
                    comparison.second,
                    size[0],
                    size[1],
                    one_centre,
                    other_centre,
                    margin=margin,
                )
                worse = 0 if marks else 1
                lines.append(make_line(finding, row if enough else None, grouping.ids, worse))
                if blocks is not None:
                    plain = replace(finding, adjusted=True, value_first=np.nan, value_second=np.nan)
                    alike = None if within is None else replace(row, strata=within)
                    lines.append(make_line(plain, alike, grouping.ids, worse))
        drafts.append(_Draft(comparison, who, lines))
    return drafts


def _judge(
    draft: _Draft,
    level: PageLevel,
    facts: _Facts,
    measured: Sequence[_Structure],
    options: JudgeOptions,
) -> Comparison:
    """Give a comparison its numbers and its verdict."""
    comparison = draft.comparison
    if not draft.lines:
        return comparison
    findings = [level.finding(line) for line in draft.lines]
    own = [
        fact
        for group in facts[comparison.attribute]
        for fact in group
        if fact.group in (comparison.first, comparison.second)
    ]
    failing = tuple(fact for fact in own if fact.fails)
    reasons = [_reason(finding, options) for finding in findings if not finding.inside]
    reasons += [
        Reason(ReasonKind.FLOOR, fact.structure, fact.group)
        for fact in own
        if fact.judged and not fact.passes_floor
    ]
    reasons += [*_missing(draft, measured[0], options), *_severity(draft, measured, options)]
    if failing:
        verdict = Verdict.FAILS
    elif not reasons:
        verdict = Verdict.NO_GAP
    else:
        verdict = Verdict.GAP if any(finding.shown for finding in findings) else Verdict.OPEN
    if verdict in (Verdict.FAILS, Verdict.NO_GAP):
        findings = [replace(row, verdict=verdict) if row.level > 0 else row for row in findings]
    return replace(
        comparison, verdict=verdict, findings=tuple(findings), failing=failing, reasons=tuple(reasons)
    )


def _reason(finding: Finding, options: JudgeOptions) -> Reason:
    """Return why a finding is not inside its margin."""
    if finding.verdict is not Verdict.NOT_JUDGED:
        kind = ReasonKind.MARGIN
    elif min(finding.n_first, finding.n_second) < options.min_size:
        kind = ReasonKind.TOO_FEW
    else:
        kind = ReasonKind.STRATA
    return Reason(kind, finding.structure, None, finding.endpoint, finding.adjusted)


def _missing(draft: _Draft, overall: _Structure, options: JudgeOptions) -> list[Reason]:
    """Return a reason if more subjects of one group than of the other have no overall score."""
    absent = [np.isnan(overall.scores[who]) for who in draft.members]
    counts = [(int(part.sum()), part.size) for part in absent]
    if fisher_exact(*counts[0], *counts[1]) > options.alpha:
        return []
    more = int(counts[1][0] / counts[1][1] > counts[0][0] / counts[0][1])
    name = (draft.comparison.first, draft.comparison.second)[more]
    return [Reason(ReasonKind.MISSING_SCORES, overall.name, name)]


def _severity(draft: _Draft, measured: Sequence[_Structure], options: JudgeOptions) -> list[Reason]:
    """Return a reason for each structure in which one group's hardest cases are far worse than the other's.

    As many of both groups may be among the hardest tenth, or fail, and yet one group be missed and the other
    only poor. Each structure has its part of a fifth of alpha, which so few green verdicts cost.
    """
    level = options.alpha / 5 / len(measured)
    found = []
    for one in measured:
        parts = [part[~np.isnan(part)] for part in (one.scores[who] for who in draft.members)]
        if min(part.size for part in parts) < options.min_size:
            continue
        cut = np.nanmax(np.where(one.hardest == 1, one.scores, -np.inf))
        tails = [part[part <= cut] for part in parts]
        p = brunner_munzel(*tails).p if min(tail.size for tail in tails) >= _LEAST_IN_TAIL else 1.0
        for share in _HARDER_SHARES:
            harder = hardest(one.scores, share)
            counts = [
                (int(np.nansum(harder[who])), part.size)
                for who, part in zip(draft.members, parts, strict=True)
            ]
            p = min(p, fisher_exact(*counts[0], *counts[1]))
        if p <= level:
            found.append(Reason(ReasonKind.SEVERITY, one.name, None, Endpoint.HARDEST))
    return found


def _unjudged(
    grouping: Grouping, facts: _Facts, overall: _Structure, options: JudgeOptions
) -> tuple[Reason, ...]:
    """Return groups that are too small, or subjects of unknown group, that are badly served as they stand."""

    def badly(scores: Floats) -> bool:
        known = scores[~np.isnan(scores)]
        if not known.size:
            return False
        rate = float((known < options.failure_threshold).mean())
        return bool(np.median(known) < options.median_floor or rate > options.failure_floor)

    found = [
        Reason(ReasonKind.SMALL_GROUP, overall.name, group[0].group)
        for code, group in enumerate(facts[grouping.name])
        if not group[0].judged and badly(overall.scores[grouping.ids == code])
    ]
    unknown = overall.scores[grouping.ids < 0]
    if np.isfinite(unknown).sum() >= options.min_size and badly(unknown):
        found.append(Reason(ReasonKind.UNKNOWN_GROUP, overall.name))
    return tuple(found)


def _attribute_verdict(
    comparisons: Sequence[Comparison], facts: Sequence[GroupFacts], reasons: Sequence[Reason]
) -> Verdict:
    if any(fact.fails for fact in facts):
        return Verdict.FAILS
    verdict = worst(comparison.verdict for comparison in comparisons)
    return Verdict.OPEN if verdict is Verdict.NO_GAP and reasons else verdict


def _group_facts(
    attribute: str, group: str, who: npt.NDArray[np.bool_], one: _Structure, options: JudgeOptions
) -> GroupFacts:
    scores = one.scores[who]
    known = scores[~np.isnan(scores)]
    n = known.size
    found = GroupFacts(attribute, one.name, group, n, scores.size - n, judged=n >= options.min_size)
    if not n:
        return found
    fails = int((known < options.failure_threshold).sum())
    median, rate = median_limits(known), wilson(fails, n)
    hard = wilson(int(np.nansum(one.hardest[who])), n)
    one_sided = 1 - 2 * options.alpha
    at_least, at_most = median_limits(known, one_sided).low, wilson(fails, n, one_sided).high
    return replace(
        found,
        median=median.estimate,
        median_low=median.low,
        median_high=median.high,
        failures=fails,
        failure_rate=rate.estimate,
        failure_low=rate.low,
        failure_high=rate.high,
        hardest=hard.estimate,
        hardest_low=hard.low,
        hardest_high=hard.high,
        median_at_least=at_least,
        failure_at_most=at_most,
        fails=found.judged and (median.high < options.failing_median or rate.low > 0.5),
        passes_floor=at_least >= options.median_floor and at_most <= options.failure_floor,
    )


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
