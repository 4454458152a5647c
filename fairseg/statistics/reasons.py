"""What stands between a comparison, or an attribute, and "no relevant gap", though no test shows a gap.

Each is looked at by itself, at a level of its own: what it costs is a green verdict, never a false gap.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats, mann_whitney_u
from fairseg.statistics.findings import ALL_OTHERS, Finding, GroupFacts, Grouping, Reason, ReasonKind
from fairseg.statistics.group_facts import StructureScores
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.limits import Interval
from fairseg.statistics.means import welch_limits
from fairseg.statistics.page_level import Line, Members
from fairseg.statistics.row_tests import observe
from fairseg.statistics.two_samples import brunner_munzel, fisher_exact
from fairseg.statistics.verdicts import Endpoint, Verdict

_LEAST_IN_TAIL = 5  # subjects of each group
_MANY, _DRAWS = 1000, 4999  # subjects of a group, of whom no draws are needed
_ROUNDING = 1e-12  # of means of the same scores

UNKNOWN = "unknown group"

Pair = tuple[tuple[str, Members], tuple[str, Members]]  # names, and who is in the group, (N,)


def outside_margin(finding: Finding, options: JudgeOptions) -> Reason:
    """Return why a finding is not inside its margin."""
    if finding.verdict is not Verdict.NOT_JUDGED:
        kind = ReasonKind.MARGIN
    elif min(finding.n_first, finding.n_second) < options.min_size:
        kind = ReasonKind.TOO_FEW
    else:
        kind = ReasonKind.STRATA
    return Reason(kind, finding.structure, None, finding.endpoint, finding.adjusted)


def below_floor(facts: Sequence[GroupFacts]) -> list[Reason]:
    """Return a reason for each judged group and structure in which the model is not shown to work."""
    return [
        Reason(ReasonKind.FLOOR, fact.structure, fact.group, facts=(fact,))
        for fact in facts
        if fact.judged and not fact.passes_floor
    ]


def missing_scores(
    attribute: str, pair: Pair, measured: Sequence[StructureScores], options: JudgeOptions, *, of: int = 1
) -> list[Reason]:
    """Return a reason for each structure in which more of one group than of the other have no score.

    A structure may be absent from a reference; or scores may have been lost where the model failed. `of` is
    the number of pairs that share the level.
    """
    level = options.alpha / len(measured) / of
    reasons = []
    for one in measured:
        lacking = np.isnan(one.scores)
        counts = [(int(lacking[in_group].sum()), int(in_group.sum())) for _, in_group in pair]
        if min(total for _, total in counts) and fisher_exact(*counts[0], *counts[1]) <= level:
            facts = [one.facts(attribute, name, in_group) for name, in_group in pair]
            facts.sort(key=lambda fact: fact.missing / (fact.n + fact.missing), reverse=True)
            reason = Reason(ReasonKind.MISSING_SCORES, one.name, facts[0].group, facts=tuple(facts))
            reasons.append(reason)
    return reasons


def lost_cases(grouping: Grouping, first: str, second: str, options: JudgeOptions) -> list[Reason]:
    """Return a reason if cases of more subjects of one group than of the other have no score.

    What lacks a prediction may be what the model cannot do; those who are left say nothing of it.

    Args:
        grouping: of the attribute, with what was lost.
        first: name of a group, or `ALL_OTHERS`.
        second: name of another group.
        options: alpha.
    """
    if not grouping.lost:
        return []
    of_group = dict(zip((*grouping.group_names, UNKNOWN), grouping.lost, strict=True))
    others = [counts for name, counts in of_group.items() if name not in (second, UNKNOWN)]
    of_group[ALL_OTHERS] = sum(lost for lost, _ in others), sum(size for _, size in others)
    counts = {name: of_group[name] for name in (first, second)}
    if not all(size for _, size in counts.values()):
        return []
    (lost, size), (lost_second, size_second) = counts.values()
    if fisher_exact(lost, size, lost_second, size_second) > options.alpha:
        return []
    ordered = sorted(counts, key=lambda name: counts[name][0] / counts[name][1], reverse=True)
    facts = [
        GroupFacts(grouping.name, "", name, counts[name][1] - counts[name][0], counts[name][0], judged=False)
        for name in ordered
    ]
    return [Reason(ReasonKind.LOST_CASES, "", ordered[0], facts=tuple(facts))]


def means_apart(pair: Pair, measured: Sequence[StructureScores], options: JudgeOptions) -> list[Reason]:
    """Return a reason for each structure whose means are not shown to lie within the margin.

    The means are those of subjects for whom the model does not fail, since failures are an endpoint of their
    own; two one-sided tests compare them (Welch). If 15 of 100 more in one group are poor, but do not fail,
    hardly any subject is near the typical difference, and none of them need be among the hardest tenth.
    """
    reasons = []
    for one in measured:
        working = [
            part[part >= options.failure_threshold] for part in (one.scores[in_group] for _, in_group in pair)
        ]
        if min(part.size for part in working) < options.min_size:
            continue  # other reasons tell of that
        ahead = welch_limits(working[0], working[1], 1 - 2 * options.alpha)
        if max(-ahead.low, ahead.high) <= options.margin:
            continue
        worse = int(ahead.estimate > 0)
        names = pair[worse][0], pair[1 - worse][0]
        difference = ahead if worse else ahead.negated()
        reasons.append(Reason(ReasonKind.MEANS, one.name, names[0], against=names[1], difference=difference))
    return reasons


def severity(
    pair: Pair, measured: Sequence[StructureScores], options: JudgeOptions, *, of: int = 1
) -> list[Reason]:
    """Return a reason for each structure in which one group's hardest cases are worse than the other's.

    Equal shares of both groups may be among the hardest tenth, or fail, while one group is missed and the
    other is only poor. What matters is how far apart the means of the groups' own lowest tenths are: more
    than the margin. That is shown by a test of these means, or by the ranks in the hardest tenth of all, the
    counts in its harder parts, or those who fail, if these point the same way. The structures of
    the `of` pairs share a fifth of alpha, so that few green verdicts are lost.
    """
    level = options.alpha / 5 / len(measured) / of
    severe = []
    for one in measured:
        parts = [part[~np.isnan(part)] for part in (one.scores[in_group] for _, in_group in pair)]
        if min(part.size for part in parts) < options.min_size:
            continue
        ahead = _lowest_apart(parts[0], parts[1], 1 - level)
        worse = int(ahead.estimate > 0)
        behind = ahead if worse else ahead.negated()
        if behind.estimate <= options.margin:
            continue
        p_values = [1.0]  # of the tests in which this group is the worse one
        tails = [part[part <= one.hardest_cut] for part in parts]
        if min(tail.size for tail in tails) >= _LEAST_IN_TAIL:
            test = brunner_munzel(*tails)
            p_values += [test.p] * (int(test.effect > 0.5) == worse)
        for marks in (one.fails, *one.harder):
            counts = [
                (int(np.nansum(marks[in_group])), part.size)
                for (_, in_group), part in zip(pair, parts, strict=True)
            ]
            shares = [count / total for count, total in counts]
            p_values += [fisher_exact(*counts[0], *counts[1])] * (int(shares[1] > shares[0]) == worse)
        if min(p_values) <= level or (behind.low > 0 and _by_chance(parts) <= level):
            reason = Reason(ReasonKind.SEVERITY, one.name, pair[worse][0], Endpoint.HARDEST)
            severe.append(replace(reason, against=pair[1 - worse][0], difference=behind))
    return severe


def _lowest_apart(first: Floats, second: Floats, level: float) -> Interval:
    """Return the difference of the means of two groups' lowest tenths, with limits, as if both were alike.

    What a subject adds to such a mean is its distance below the tenth's edge. That spreads among all subjects
    as in both groups where these are alike; by itself, a small group without a miss would seem to be certain.
    """
    means = [np.sort(part)[: -(-part.size // 10)].mean() for part in (first, second)]
    both = np.concatenate([first, second])
    below = 10.0 * np.minimum(both - np.quantile(both, 0.1), 0.0)
    se = float(below.std()) * sqrt(1 / first.size + 1 / second.size)
    width = float(scipy.special.ndtri((1 + level) / 2)) * se
    estimate = float(means[0] - means[1])
    return Interval(estimate, estimate - width, estimate + width)


def _by_chance(parts: Sequence[Floats]) -> float:
    """Return how probable it is that as many of all subjects have a lowest tenth as far off; of many, 0.

    The normal limits of such a mean hold where many are in the tenth, and not of a small group of whom one
    more or less is missed.
    """
    small, _ = sorted(parts, key=len)
    if small.size >= _MANY:
        return 0.0
    both, lowest = np.concatenate(parts), -(-small.size // 10)
    rng = np.random.default_rng(0)
    draws = [rng.choice(both, small.size, replace=False, shuffle=False) for _ in range(_DRAWS)]
    means = np.partition(draws, lowest - 1, axis=1)[:, :lowest].mean(axis=1)
    observed = np.sort(small)[:lowest].mean()
    beyond = min((means <= observed + _ROUNDING).sum(), (means >= observed - _ROUNDING).sum())
    return float(2 * (beyond + 1) / (_DRAWS + 1))


def one_stratum(
    lines: Sequence[Line], grouping: Grouping, measured: Sequence[StructureScores], options: JudgeOptions
) -> list[Reason]:
    """Return a reason for each structure with a stratum in which a group is behind by more than a margin.

    Gaps that lie one way with one scanner and the other way with the next add up to none over both, and are
    told both. The test of each row is made in each of its strata, Bonferroni over all of these.
    """
    strata = [
        (line.finding, stratum, observe(replace(line.row, strata=(stratum,)), grouping.ids))
        for line in lines
        if line.row is not None and line.finding.adjusted
        for stratum in line.row.strata
    ]
    reasons: dict[tuple[str, str], Reason] = {}
    for finding, stratum, test in sorted(strata, key=lambda one: one[2].decisive_p):
        if test.decisive_p > options.alpha / len(strata):
            continue
        estimate = test.limits(test.source(), options.alpha)[0].estimate
        worse = finding.first if (estimate < 0) == (finding.endpoint is Endpoint.TYPICAL) else finding.second
        if abs(estimate) <= finding.margin or (finding.structure, worse) in reasons:
            continue
        here = np.isin(np.arange(len(grouping.ids)), stratum)
        one = next(one for one in measured if one.name == finding.structure)
        codes = [
            grouping.group_names.index(name) for name in (finding.first, finding.second) if name != ALL_OTHERS
        ]
        facts = tuple(
            one.facts(grouping.name, grouping.group_names[code], here & (grouping.ids == code))
            for code in codes
        )
        reasons[finding.structure, worse] = Reason(
            ReasonKind.ONE_STRATUM, finding.structure, worse, finding.endpoint, True, facts
        )
    return list(reasons.values())


def not_judged(
    grouping: Grouping, everyone: Sequence[GroupFacts], overall: StructureScores, options: JudgeOptions
) -> tuple[Reason, ...]:
    """Return groups too small to be judged, and subjects of unknown group, that are served otherwise.

    Badly, as they stand; or, of small groups and of all of these together, shown to be served other than the
    groups that are judged (Mann-Whitney, Bonferroni): each may be too small to say by how much.

    Args:
        grouping: the attribute.
        everyone: facts of the overall score of each group.
        overall: that score.
        options: alpha, and floors.
    """
    small = [code for code, fact in enumerate(everyone) if fact.n and not fact.judged]
    large = [code for code, fact in enumerate(everyone) if fact.judged]
    judged = overall.scores[np.isin(grouping.ids, large)]
    level = options.alpha / (len(small) + (len(small) > 1)) if small else 0.0

    def otherwise(in_group: Members) -> bool:
        return bool(large) and mann_whitney_u(overall.scores[in_group], judged) <= level

    reasons = [
        Reason(ReasonKind.SMALL_GROUP, overall.name, everyone[code].group, facts=(everyone[code],))
        for code in small
        if _badly(everyone[code], options) or otherwise(grouping.ids == code)
    ]
    together = np.isin(grouping.ids, small)
    if len(small) > 1 and not reasons and otherwise(together):
        fact = overall.facts(grouping.name, "", together)
        reasons.append(Reason(ReasonKind.SMALL_GROUP, overall.name, facts=(fact,)))
    # Whom no comparison counts may be those whose scores were lost.
    known = grouping.ids >= 0
    aside = [
        (everyone[code].group, grouping.ids == code, known & (grouping.ids != code))
        for code in range(len(everyone))
        if code not in large
    ]
    for name, in_group, others in (*aside, (UNKNOWN, ~known, known)):
        pair = (ALL_OTHERS, others), (name, in_group)
        reasons += [
            reason
            for reason in missing_scores(grouping.name, pair, [overall], options, of=len(aside) + 1)
            if reason.group == name
        ]
    for name in (*(name for name, _, _ in aside), UNKNOWN):
        if name not in {one.group for one in reasons}:
            reasons += [one for one in lost_cases(grouping, ALL_OTHERS, name, options) if one.group == name]
    unknown = overall.facts(grouping.name, "", grouping.ids < 0)
    if unknown.judged and _badly(unknown, options):
        reasons.append(Reason(ReasonKind.UNKNOWN_GROUP, overall.name, facts=(unknown,)))
    return tuple(reasons)


def _badly(fact: GroupFacts, options: JudgeOptions) -> bool:
    return fact.median < options.median_floor or fact.failure_rate > options.failure_floor
