"""What became of each group by itself with the second of two models: counts, changes, failing, too few."""

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats
from fairseg.statistics.findings import GroupFacts
from fairseg.statistics.gain_findings import GroupChange
from fairseg.statistics.gain_tests import Cohort
from fairseg.statistics.group_facts import OVERALL_WEIGHT, StructureScores, with_failing
from fairseg.statistics.harm import net_events
from fairseg.statistics.limits import Interval
from fairseg.statistics.paired_shares import pooled_share_limits
from fairseg.statistics.reasons import UNKNOWN
from fairseg.statistics.two_samples import limits_of_median, signed_rank_limits

_UNCHANGED = Interval(0.0, 0.0, 0.0)
_ROUNDING = 1e-9
_TENTH, _LEAST = 0.1, 5  # the lowest of a group: a tenth, and at least so many subjects
_NEAR = 0.1  # share of the subjects whose gains are near the centre, below which it is not typical


def group_changes(cohort: Cohort, model: int, *, unknown: bool = False) -> tuple[GroupChange, ...]:
    """Return the change of every group and structure, overall first; or of those of unknown group, if any."""
    return tuple(
        _change(cohort, model, attribute, group, structure)
        for attribute, grouping in enumerate(cohort.groupings)
        for group in range(-1 if unknown else 0, 0 if unknown else len(grouping.group_names))
        if group >= 0 or (grouping.ids < 0).any()
        for structure in range(len(cohort.structures))
    )


def _change(cohort: Cohort, model: int, attribute: int, group: int, structure: int) -> GroupChange:
    options, grouping = cohort.options, cohort.groupings[attribute]
    judged = cohort.judged(model, attribute)
    member = grouping.ids == group  # of an unknown one it is -1
    raw_before, raw_after = cohort.raw_before[:, structure], cohort.raw_after[model, :, structure]
    pair = cohort.before[model, :, structure], cohort.after[model, :, structure]
    only_before, only_after = (
        member & ~np.isnan(one) & np.isnan(two)
        for one, two in ((raw_before, raw_after), (raw_after, raw_before))
    )
    here = member & ~np.isnan(pair[0])
    before, after = (one[here] for one in pair)
    # The overall score of who lacks a structure hangs on others' scores, so the structures tell the cases:
    # those that both models have of somebody, for what one has of nobody is compared in no subject.
    whole = structure == 0 and len(cohort.structures) > 1
    columns = _in_both(cohort, model) if whole else np.array([structure])
    partly_before, partly_after = (
        here & _of_other_cases(raw[:, columns], both[:, columns]).any(axis=1)
        for raw, both in (
            (cohort.raw_after[model], cohort.after[model]),
            (cohort.raw_before, cohort.before[model]),
        )
    )
    gains = (after - before).round(10)
    newly, lost = net_events(before, after, options.failure_threshold, cohort.drop)
    fails = before < options.failure_threshold, after < options.failure_threshold
    weight = OVERALL_WEIGHT if structure == 0 else 1
    weights = max(len(judged), 1) * (OVERALL_WEIGHT + len(cohort.structures) - 1)
    level, one_sided = 1 - options.alpha * weight / weights, 1 - 2 * options.alpha
    change, failures = _centre(gains, level, options.margin), pooled_share_limits([fails], np.ones(1), level)
    centre = _centre(gains, one_sided, options.margin)
    most = pooled_share_limits([fails], np.ones(1), one_sided).high
    if gains.size and not gains.any():
        change = failures = _UNCHANGED
        centre, most = _UNCHANGED, 0.0
    return GroupChange(
        attribute=grouping.name,
        group=grouping.group_names[group] if group >= 0 else UNKNOWN,
        structure=cohort.structures[structure],
        judged=group in judged and gains.size >= options.min_size,
        n=gains.size,
        median_before=float(np.median(before)) if gains.size else float("nan"),
        median_after=float(np.median(after)) if gains.size else float("nan"),
        change=change,
        level=level,
        median_change=float(np.median(gains)) if gains.size else float("nan"),
        failing_before=int(fails[0].sum()),
        failing_after=int(fails[1].sum()),
        newly_failing=int((newly > 0).sum()),
        rescued=int((newly < 0).sum()),
        lost=int((lost > 0).sum()),
        gained=int((lost < 0).sum()),
        failures=failures,
        size=int(member.sum()),
        missing_before=int((only_after | partly_before).sum()),
        missing_after=int((only_before | partly_after).sum()),
        dropped=int((raw_before[only_before | partly_after] > 0).sum()),
        partly=int((partly_before | partly_after).sum()),
        mean_change=_mean(gains, 1 - options.alpha),
        lowest=_mean(_of_lowest(after) - _of_lowest(before), one_sided),
        n_lowest=round(_share_of_lowest(gains.size) * gains.size),
        harmless=bool(centre.low >= -options.margin and most <= options.failure_margin),
        loses=bool(centre.high < -options.margin),
    )


def _centre(gains: Floats, level: float, margin: float) -> Interval:
    """Return the centre of the gains, with limits.

    If hardly any subject is near the centre, as when half gained and half lost, it says nothing of a typical
    subject: limits that hold 0 then reach as far as those of the median. They do so too if mean and median
    both have the other sign, since nothing was gained or lost on balance.
    """
    centre = signed_rank_limits(gains, level)
    if not gains.size:
        return centre
    contradicted = max(centre.estimate * gains.mean(), centre.estimate * np.median(gains)) < 0
    if not contradicted and not centre.low <= 0 <= centre.high:
        return centre
    spread = float(np.subtract(*np.percentile(gains, [75, 25])))
    near = np.abs(gains - centre.estimate) <= max(margin, spread / 4) + _ROUNDING
    if not contradicted and near.mean() >= _NEAR:  # a quarter of those who have one peak, and more
        return centre
    middle = limits_of_median(np.sort(gains), level)
    return Interval(centre.estimate, min(centre.low, middle.low), max(centre.high, middle.high))


def _mean(values: Floats, level: float) -> Interval:
    """Return the mean with limits by Student's t; of fewer than two values they reach everywhere."""
    if values.size < 2:
        return Interval(float("nan"), -float("inf"), float("inf"))
    half = float(
        scipy.special.stdtrit(values.size - 1, (1 + level) / 2) * values.std(ddof=1) / values.size**0.5
    )
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half)


def _of_lowest(scores: Floats) -> Floats:
    """Return one number a subject, whose mean is that of the lowest scores: their influence on it."""
    if not scores.size:
        return scores
    share = _share_of_lowest(scores.size)
    edge = np.quantile(scores, share)
    return np.asarray(edge - np.maximum(edge - scores, 0.0) / share)


def _share_of_lowest(subjects: int) -> float:
    number = max(np.ceil(round(_TENTH * subjects, 9)), min(_LEAST, subjects))
    return float(number / max(subjects, 1))


def _in_both(cohort: Cohort, model: int) -> npt.NDArray[np.int64]:
    """Return the single structures that the baseline and the model both have scores of."""
    scores = cohort.raw_before, cohort.raw_after[model]
    known = np.all([~np.isnan(one[:, 1:]).all(axis=0) for one in scores], axis=0)
    return np.flatnonzero(known) + 1


def _of_other_cases(raw: Floats, both: Floats) -> npt.NDArray[np.bool_]:
    """Return whether scores are means of other cases than of those that both models have scores of."""
    return ~np.isnan(raw) & ~(np.abs(raw - both) <= _ROUNDING)


def failing(cohort: Cohort, model: int, scores: Floats) -> tuple[GroupFacts, ...]:
    """Return where scores, (N, S), show that their model fails, of everyone and of every judged group.

    They are judged as on a page of that model alone: over all groups and structures together, and over those
    of everyone.
    """
    options, everyone, of_groups = cohort.options, [], []
    groups = [
        (grouping.name, grouping.group_names[group], grouping.ids == group)
        for attribute, grouping in enumerate(cohort.groupings)
        for group in cohort.judged(model, attribute)
    ]
    for name, column in zip(cohort.structures, scores.T, strict=True):
        one = StructureScores(name, column, options)
        everyone.append(one.facts("", "", np.ones(len(scores), dtype=bool)))
        of_groups += [one.facts(*group) for group in groups]
    facts = [
        fact for part in (everyone, of_groups) for fact in with_failing(part, cohort.structures[0], options)
    ]
    return tuple(
        fact for name in cohort.structures for fact in facts if fact.fails and fact.structure == name
    )
