"""The answer of a comparison: a sentence or two for each model, harm before praise.

This module chooses from the findings what is said; the words are the macro `gains` of `sentences.txt.j2`.
"""

from functools import partial
from typing import Any

from fairseg.report import numbers
from fairseg.report.compare.compared import Compared
from fairseg.report.templates import say
from fairseg.statistics.gain_findings import (
    GainRow,
    GroupChange,
    ModelGains,
    PairGains,
    sign,
)
from fairseg.statistics.gain_reasons import GainReason, GainReasonKind
from fairseg.statistics.gain_verdicts import AGAINST, row_verdict
from fairseg.statistics.harm import HarmRow
from fairseg.statistics.limits import Interval
from fairseg.statistics.verdicts import Endpoint, Verdict

_LEAST = 0.0005  # less is written as 0


def answer(result: Compared) -> str:
    """Return the answer on every model, as plain text on one line."""
    return " ".join(model_answer(result, model) for model in result.judgement.models)


def model_answer(result: Compared, model: ModelGains) -> str:
    """Return what the evidence says of one model beside the baseline."""
    pair = model.pair_of(model.decisive)
    row = None if pair is None else pair.telling
    told_row = None if row is None else spoken_row(row, result)
    told_structure = row.structure if row is not None and model.verdict in AGAINST else None
    few = {one.group for one in model.unjudged if one.attribute == model.primary}
    reference = result.analyses[0].grouping().reference_name
    return say(
        "gains",
        model=model.model,
        baseline=result.baseline,
        verdict=model.verdict.name,
        title=result.scores.spoken_title,
        options=result.options,
        drop=result.judgement.drop,
        several=len(result.judgement.structures) > 1,
        failing=_failing(model, result.judgement.structures[0]),
        harm=[spoken_harm(one) for one in _worst(model)],
        losses=_losses(model, result),
        row=told_row,
        left=None if pair is None or row is pair.typical else _gap_left(pair, result),
        favour=(favour := _favour(model, row, result)),
        rose=[] if favour else _rose(model, pair, row, result),
        settled=row is not None and not row.shown and pair is not None and row is not pair.typical,
        held_itself=pair is not None and pair.attribute in {one.name for one in result.analyses if one.held},
        held=result.held_fixed,
        within=_within_strata(result, pair, row),
        changes=[] if pair is None else _changes(model, pair, result, told_structure),
        others=_others(model, pair, row, result),
        reasons=_reasons(model, pair, told_row, result),
        unjudged=_unjudged(model, pair, result.judgement.structures[0]),
        reference=reference if reference in few else None,
    )


def _unjudged(model: ModelGains, pair: PairGains | None, overall: str) -> list[str]:
    """Return the groups too small to be judged, each with how many have scores, and are harmed by the model.

    A group that stands among the reasons of the pair that is spoken of is not named again.
    """
    spoken = model.verdict in (Verdict.MOVED, Verdict.OPEN, Verdict.SAME)
    reasons = () if pair is None or not spoken else pair.reasons
    told_groups = {one.group for one in reasons if one.kind is GainReasonKind.SMALL_GROUP_FAILS}
    texts_of_groups = []
    for one in model.unjudged:
        texts = [f"{one.n} of {one.size} with both scores"] if one.n < one.size else []
        changes = [
            each for each in model.changes if (each.attribute, each.group) == (one.attribute, one.group)
        ]
        worst = max(changes, key=lambda each: (each.net_harmed, each.structure == overall), default=None)
        if worst is not None and worst.net_harmed > 0 and one.group not in told_groups:
            texts.append(say("small_group", change=worst, overall=overall))
        texts_of_groups.append(f"{one.group} ({'; '.join(texts)})" if texts else one.group)
    return texts_of_groups


def spoken_row(row: GainRow, result: Compared) -> dict[str, Any]:
    """Return a row as sentences tell it: who was behind, who gained more, and by how much."""
    write = numbers.score if row.endpoint is Endpoint.TYPICAL else numbers.points_of
    behind = row.second if row.gap_before.sign >= 0 else row.first
    now_behind = row.second if row.gap_after.sign >= 0 else row.first
    gained = row.favoured
    return {
        "endpoint": row.endpoint.name,
        "structure": "" if row.structure == result.judgement.structures[0] else row.structure,
        "behind": behind,
        "ahead": row.first if behind == row.second else row.second,
        "now_behind": now_behind,
        "now_ahead": row.first if now_behind == row.second else row.second,
        "gained": gained,
        "other": row.first if gained == row.second else row.second,
        "gain": _abs(row.gain, write, row.margin),
        "none": abs(row.gain.estimate) < _LEAST,
        "before": _abs(row.gap_before.interval, write, row.margin),
        "after": _abs(row.gap_after.interval, write, row.margin),
        "turned": row.gap_before.sign * row.gap_after.sign < 0,
        "after_shown": row.gap_after.shown,
        "narrower": row_verdict(row) is Verdict.FAIRER,
        "slight": row.inside,
        "at_most": write(max(0.0, row.reverse_bound), apart=[row.margin])
        if row.reverse_bound == row.reverse_bound
        else "",
        "not_reversed": row.reverse_bound <= 0,
        "unit": "" if row.endpoint is Endpoint.TYPICAL else " points",
        "contrary": row.contrary,
        "told_by_group": row.contrary or row.still_behind,
        "held": result.held_fixed if row.adjusted else "",
        "by": "" if row.attribute == result.analyses[0].name else row.attribute,
    }


def spoken_harm(row: HarmRow) -> dict[str, Any]:
    """Return a row of harm as sentences tell it."""
    return {
        "group": row.group,
        "structure": row.structure,
        "failing": row.event == "newly failing",
        "worse": row.worse,
        "better": row.better,
        "n": row.n,
        "between": row.test == "between",
        "deeper_than": f"{row.deeper_than:g}" if row.deeper_than else "",
        "worse_others": row.worse_others,
        "n_others": row.n_others,
    }


def _abs(interval: Interval, write: Any, margin: float = 0.0) -> str:
    """Write an interval, negated if its estimate is below 0."""
    one = interval.negated() if interval.estimate < 0 else interval
    return numbers.with_limits(*one, write, apart=(0.0, margin, -margin))


def _shown(change: Interval) -> int:
    """Return 1 for what is shown to have gained, -1 for what is shown to have lost, 0 for neither."""
    return int(change.low > 0) - int(change.high < 0)


def _within_strata(result: Compared, pair: PairGains | None, told: GainRow | None) -> dict[str, Any] | None:
    """Return the gains within strata in the endpoint that is told; None without any, or if told already."""
    if pair is None or told is None or told.adjusted:
        return None
    row = pair.within_strata(told)
    return None if row is None else spoken_row(row, result)


def _worst(model: ModelGains) -> list[HarmRow]:
    """Return the clearest harm of each group, new failures before losses."""
    clearest: dict[str, HarmRow] = {}
    order = sorted(
        model.shown_harm, key=lambda row: (row.event != "newly failing", row.p_adjusted, -row.worse)
    )
    for row in order:
        clearest.setdefault(row.group, row)
    return list(clearest.values())[:3]


def _failing(model: ModelGains, overall: str) -> list[dict[str, Any]]:
    """Return where a model fails, then where the baseline does: at most three entries each, overall first.

    Where all groups fail, "everyone" stands once in their place.
    """
    groups = {one.group for one in model.changes if one.n and one.attribute == model.primary}
    failures = []
    for baseline, failing in ((False, model.failing), (True, model.baseline_failing)):
        entries = []
        for one in sorted(failing, key=lambda one: one.structure != overall):
            fail = {each.group for each in failing if each.structure == one.structure}
            everyone = bool(groups) and fail >= {"", *groups} and not model.unknown
            if not (one.group and everyone):
                label = one.group or ("everyone" if everyone else "all subjects together")
                facts = {name: getattr(one, name) for name in ("structure", "median", "failures", "n")}
                entries.append({"who": label, "baseline": baseline, **facts})
        failures += entries[:3]
    return failures


def _losses(model: ModelGains, result: Compared) -> list[dict[str, str]]:
    """Return the groups whose typical case is shown to have lost more than the margin."""
    lost = {
        (reason.group, reason.structure)
        for pair in model.pairs
        for reason in pair.reasons
        if reason.kind is GainReasonKind.LOSS_BEYOND_MARGIN and pair.verdict is Verdict.HARM
    }
    return [
        {
            **_counts(one),
            "structure": one.structure,
            "by": _abs(one.change, numbers.score, result.options.margin),
        }
        for one in model.changes
        if (one.group, one.structure) in lost and one.change.estimate < 0 and one.mean_change.low <= 0
    ][:3]


def _others(model: ModelGains, pair: PairGains | None, row: GainRow | None, result: Compared) -> list[str]:
    """Return what else is against the model: other structures of a pair, and other attributes."""
    rows = [
        one
        for one in (() if pair is None or pair.verdict not in AGAINST else pair.rows)
        if one.verdict in AGAINST and one.endpoint is Endpoint.TYPICAL and one is not row
    ]
    elsewhere = [
        one.decided_by[0]
        for name, verdict in model.attribute_verdicts.items()
        if verdict in AGAINST and name != model.decisive and (one := model.pair_of(name)) is not None
    ]
    return [
        say("against", row=spoken_row(one, result), verdict=one.verdict.label)
        for one in (*rows[:2], *elsewhere)
    ]


def _reasons(
    model: ModelGains, pair: PairGains | None, told_row: dict[str, Any] | None, result: Compared
) -> list[str]:
    """Return the reasons against a greener verdict of a pair that are not told yet, each in words, once."""
    overall, options = result.judgement.structures[0], result.options
    facts = {"model": model.model, "baseline": result.baseline, "overall": overall, "options": options}
    if pair is None:
        return []
    changes: dict[tuple[str | None, str | None], GroupChange] = {
        (one.group, one.structure): one
        for one in (*model.changes, *model.unknown)
        if one.attribute == pair.attribute
    }
    texts = []
    for one in pair.reasons:
        about_group = one.kind not in (GainReasonKind.DROPPED_STRUCTURE, GainReasonKind.HIDDEN_TENTH)
        # A row comes with its limits; those of a group's own change are told where the row is within margins.
        told_with_row = one.kind is GainReasonKind.REMAINING_MARGIN and not (
            told_row is not None and told_row["slight"]
        )
        if told_with_row or (one.group is None and about_group):
            continue
        if one.kind is GainReasonKind.DROPPED_SUBJECTS:
            dropped = [changes[one.group, at].dropped for at in result.judgement.structures]
            if _told_elsewhere(dropped, overall=one.structure == overall):
                continue
        related = _related(model, pair, one, result)
        if told_row is not None and _repeats(told_row, related):
            continue
        change = changes.get((one.group, one.structure))
        by = "" if change is None else _abs(change.change, numbers.score, options.margin)
        if one.kind is GainReasonKind.LOWEST_LOST and change is not None:
            by = _abs(change.lowest, numbers.score)
        texts.append(say("gain_reason", one=one, change=change, by=by, **related, **facts))
    return list(dict.fromkeys(texts))[:3]


def _related(
    model: ModelGains, pair: PairGains, reason: GainReason, result: Compared
) -> dict[str, dict[str, Any] | None]:
    """Return what the text of a reason tells of other rows than its own; None where it tells nothing."""
    kind = reason.kind
    ahead = kind in (GainReasonKind.AHEAD_ELSEWHERE, GainReasonKind.BEHIND_IN_MEAN)
    return {
        "mean": _mean_gain(pair, reason) if kind is GainReasonKind.MEANS_DIFFER else None,
        "typical": _typical_gain(pair, reason, result) if kind is GainReasonKind.TYPICAL_OPPOSES else None,
        "pair": None if reason.beside is None else _other_pair(model, pair, reason, result),
        "ahead": _ahead(pair, reason, result) if ahead else None,
    }


def _repeats(told_row: dict[str, Any], related: dict[str, dict[str, Any] | None]) -> bool:
    """Return whether the gain that a reason tells is told already, or supports what is told."""
    mean, is_typical = related["mean"], bool(told_row["endpoint"] == "TYPICAL")
    if related["typical"] is not None:
        return is_typical
    return mean is not None and not is_typical and bool(mean["gained"] == told_row["gained"])


def _told_elsewhere(dropped: list[int], *, overall: bool) -> bool:
    """Return whether other reasons tell of the same lost subjects, so that they are not told twice.

    Where every structure lacks as many as overall, the reason on overall tells of them; else those of the
    structures do.

    Args:
        dropped: subjects that were lost overall, then of each structure.
        overall: whether the reason is that of overall.
    """
    alike = dropped.count(dropped[0])
    return 1 < alike < len(dropped) if overall else alike == len(dropped)


def _gap_left(pair: PairGains, result: Compared) -> dict[str, Any] | None:
    """Return the typical case of all structures where a gap is shown with the second model, else None."""
    row = pair.typical
    return spoken_row(row, result) if row is not None and row.gap_after.shown else None


def _favour(model: ModelGains, row: GainRow | None, result: Compared) -> list[dict[str, Any]]:
    """Return what is shown for a model over all structures, where another row is against it."""
    if row is None or model.verdict not in AGAINST:
        return []
    rows = [
        one
        for pair in sorted(model.pairs, key=lambda pair: row not in pair.rows)
        for one in pair.rows
        if one.attribute == model.decisive and one.structure == result.judgement.structures[0]
        if one.verdict in (Verdict.MOVED, Verdict.FAIRER) and not (one.inside or one.adjusted or one is row)
    ]
    return [spoken_row(one, result) for one in rows if one.endpoint is not Endpoint.HARDEST][:2]


def _rose(
    model: ModelGains, pair: PairGains | None, row: GainRow | None, result: Compared
) -> list[dict[str, Any]]:
    """Return the groups that are shown to have gained over all structures, where a row is against a model.

    Groups whose changes are told with the row are left out.
    """
    if pair is None or row is None or model.verdict not in AGAINST:
        return []
    overall, margin = result.judgement.structures[0], result.options.margin
    told = {pair.first, pair.second} if row.structure == overall else set()
    if model.verdict is Verdict.LESS_FAIR:  # the gain of the better served is what is against the model
        told.add(row.favoured)
    gains = []
    for one in model.changes:
        if (one.attribute, one.structure) != (model.decisive, overall) or one.group in told or not one.judged:
            continue
        for gain, least, mean in ((one.change, margin / 2, False), (one.mean_change, margin, True)):
            if gain.low > 0 and gain.estimate >= least:
                gains.append({"group": one.group, "by": _abs(gain, numbers.score), "mean": mean})
                break
    return gains[:3]


def _other_pair(model: ModelGains, pair: PairGains, reason: GainReason, result: Compared) -> dict[str, Any]:
    """Return the row of another pair as sentences tell it, and whether its gap was and is the largest."""
    at = (reason.structure, reason.endpoint)
    rows = [
        row
        for one in model.pairs
        if one.attribute == pair.attribute
        for row in one.rows
        if (row.structure, row.endpoint) == at and not row.adjusted
    ]
    row = next(row for row in rows if (row.first, row.second) == (reason.beside, reason.group))
    was, is_now = (
        abs(getattr(row, gap).interval.estimate)
        >= max(abs(getattr(one, gap).interval.estimate) for one in rows)
        for gap in ("gap_before", "gap_after")
    )
    return {**spoken_row(row, result), "was": was, "is_now": is_now}


def _ahead(pair: PairGains, reason: GainReason, result: Compared) -> dict[str, Any]:
    """Return whom a group was ahead of or behind in the mean or a share, and by how much, before and now."""
    at = (reason.structure, reason.endpoint, False)
    row = next(one for one in pair.rows if (one.structure, one.endpoint, one.adjusted) == at)
    write = numbers.score if row.endpoint is Endpoint.TYPICAL else numbers.points_of
    second = reason.group == row.second
    before, after = row.mean_gaps or (row.gap_before.interval, row.gap_after.interval)
    ahead = before.negated() if second else before
    return {
        "other": row.first if second else row.second,
        "by": _abs(before, write),
        "now_by": _abs(after, write),
        "already": ahead.low > 0 and ahead.estimate > row.margin,
        "row": spoken_row(row, result),
    }


def _typical_gain(pair: PairGains, reason: GainReason, result: Compared) -> dict[str, Any]:
    """Return who typically gained more than whom in a structure, and by how much."""
    spoken = spoken_row(_typical_row(pair, reason), result)
    return {"gained": spoken["gained"], "other": spoken["other"], "by": spoken["gain"]}


def _mean_gain(pair: PairGains, reason: GainReason) -> dict[str, Any]:
    """Return who gained more than whom in the mean, by how much, and whether that is less than typically."""
    row = _typical_row(pair, reason)
    assert row.mean_gain is not None
    order = (row.second, row.first) if row.mean_gain.estimate >= 0 else (row.first, row.second)
    less = row.means_oppose and row.mean_gain.estimate * row.gain.estimate > 0
    return {"gained": order[0], "other": order[1], "by": _abs(row.mean_gain, numbers.score), "less": less}


def _typical_row(pair: PairGains, reason: GainReason) -> GainRow:
    """Return the typical case among all subjects, in the structure of a reason."""
    return next(row for row in pair.rows if row.mean_gain is not None and row.structure == reason.structure)


def _changes(
    model: ModelGains, pair: PairGains, result: Compared, structure: str | None = None
) -> list[dict[str, Any]]:
    """Return the typical change of both groups of a pair in a structure; None: over all structures."""
    overall, margin = result.judgement.structures[0], result.options.margin
    of_group: dict[str, GroupChange] = {}
    for one in model.changes:
        if one.attribute == pair.attribute and structure in (None, one.structure):
            of_group.setdefault(one.group, one)
    changes = []
    for one in (of_group[group] for group in (pair.first, pair.second) if group in of_group):
        if one.judged:
            signed = partial(numbers.score, sign=True)
            gained_or_lost = _shown(one.change)
            by = (
                _abs(one.change, numbers.score, margin)
                if gained_or_lost
                else numbers.with_limits(*one.change, signed, apart=(0.0, margin, -margin))
            )
            elsewhere = "" if structure in (None, overall) else structure
            changes.append({**_counts(one), "shown": gained_or_lost, "by": by, "structure": elsewhere})
    return changes


def _counts(change: GroupChange) -> dict[str, Any]:
    """Return how many of a group changed how, what its median subject gained, and whether these contradict.

    They do where the median change and the typical change have different signs.
    """
    names = ("group", "n", "newly_failing", "rescued", "lost", "gained")
    mixed = (
        sign(change.median_change) != sign(change.change.estimate) and abs(change.change.estimate) >= _LEAST
    )
    median = {"mixed": mixed, "median_change": numbers.score(change.median_change, sign=True)}
    return {name: getattr(change, name) for name in names} | median
