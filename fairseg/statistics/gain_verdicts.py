"""What may be said of a second model beside a baseline: from rows, changes and harm to verdicts.

The order matters. A model that fails comes before any word on fairness, and harm before any praise; a change
that is shown to be too small to matter comes before a change that is shown; what speaks against the second
model, in any structure or endpoint, comes before what speaks for it.
"""

from collections.abc import Sequence
from dataclasses import replace

from fairseg.statistics.findings import ALL_OTHERS, Grouping
from fairseg.statistics.gain_findings import GainRow, GroupChange, ModelGains, PairGains, sign
from fairseg.statistics.gain_pairs import beside_each_other, within
from fairseg.statistics.gain_reasons import GainReason, GainReasonKind
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.reasons import lost_cases
from fairseg.statistics.two_samples import fisher_exact
from fairseg.statistics.verdicts import Endpoint, Verdict

AGAINST = (Verdict.LEVELS_DOWN, Verdict.OVERCORRECTED, Verdict.LESS_FAIR)

_GRAVE = (Verdict.FAILS, Verdict.HARM)
# What may be said of others, or tells of more than is praised.
_UNTESTED = (GainReasonKind.UNJUDGED_STRUCTURE, GainReasonKind.STRATA, GainReasonKind.MEANS_DIFFER)
_POSSIBLE = 2  # times the error that harm is allowed, in which it is possible enough to withhold praise
_MUCH = 2  # margins, by which the lowest scores must have fallen
_FEW = 2  # subjects more harmed than helped, in a group too small to be judged


def row_verdict(row: GainRow) -> Verdict:
    """Return what one structure and endpoint show by themselves.

    |gap before| > |gap after| exactly where the gain and the sum of both gaps have one sign, which the limits
    of the narrowing show. Where they do not, a model is fairer still if a gap was shown, the group behind
    gained more, and the other is not behind by more than the margin. Typical gains that the means contradict
    say nothing, a hardest tenth that some only rose out of nothing against a model, and a gap whose estimates
    say the reverse neither fairer nor less fair. What is shown to lie within the margin is no more than a
    movement, and none that a model is blamed for; nor is it for a gap that is within the margin, or for what
    typically favours the group that is behind in the mean and comes nearer in it.
    """
    before, after = row.gap_before, row.gap_after
    towards = sign(row.gain.estimate) if row.shown and not row.contrary else 0
    sizes = abs(before.interval.estimate), abs(after.interval.estimate)
    blamed = towards != 0 and not row.passed and not row.inside
    # Where subjects changed by different amounts the gap need not follow the shift between their gains.
    followed = (before.interval.estimate - after.interval.estimate) * towards >= abs(row.gain.estimate) / 2
    not_reversed = row.reverse_bound <= row.margin  # whether the group that was ahead is behind by no more
    narrower = row.narrowing.low > 0 or (before.shown and towards == before.sign and not_reversed)
    slight = sizes[1] <= row.margin and sizes[1] < sizes[0]
    turned = before.shown and after.shown and before.sign != after.sign and not slight
    # Of a gap that did not matter before there is nothing to correct.
    corrected = turned and sizes[0] > row.margin
    # A gap that is not shown may lie either way; what is larger by the other sign has not closed it, and is
    # new where it grew by half of what the groups gained differently.
    grown = sizes[1] > sizes[0] and not before.shown
    mostly_new = sizes[1] - sizes[0] >= abs(row.gain.estimate) / 2
    opened = (
        after.shown
        and after.sign == -towards
        and (before.sign in (0, -towards) or (grown and (row.own_loss or mostly_new)))
    )
    wider = sizes[1] > max(sizes[0], row.margin) and (row.narrowing.high < 0 or opened or turned)
    rules = (
        (blamed and row.levels_down, Verdict.LEVELS_DOWN),
        (blamed and corrected and not row.still_behind, Verdict.OVERCORRECTED),
        (blamed and wider and not row.still_behind, Verdict.LESS_FAIR),
        (towards != 0 and narrower and followed and not row.inside and sizes[1] < sizes[0], Verdict.FAIRER),
        (towards != 0 and towards == before.sign and not grown, Verdict.MOVED),
        (row.inside, Verdict.SAME),
    )
    return next((verdict for holds, verdict in rules if holds), Verdict.OPEN)


def judged_gains(
    found: ModelGains, groupings: Sequence[Grouping], options: JudgeOptions, *, stratified: bool
) -> ModelGains:
    """Judge every pair, every attribute and the model.

    Args:
        found: all that is known of the model, without verdicts.
        groupings: the attributes.
        options: margins and error.
        stratified: whether rows within strata were asked for.
    """
    verdicts: dict[str, Verdict] = {}
    pairs: list[PairGains] = []
    for grouping in groupings:
        own = found.of_attribute(grouping.name)
        within_strata = stratified and not grouping.held
        judged = beside_each_other([_pair(pair, own, grouping, options, within_strata) for pair in own.pairs])
        verdicts[grouping.name] = _attribute(own, judged)
        pairs += [pair.as_told() for pair in judged]
    verdict, *others = verdicts.values()
    grave = [one for one in _GRAVE if one in (verdict, *others)]
    against = [one for one in AGAINST if (verdict.green or verdict is Verdict.OPEN) and one in others]
    return replace(
        found, verdict=(*grave, *against, verdict)[0], attribute_verdicts=verdicts, pairs=tuple(pairs)
    )


def _attribute(own: ModelGains, pairs: Sequence[PairGains]) -> Verdict:
    """Return the verdict over all pairs of an attribute, and over groups that stand in no judged pair."""
    judged = [pair for pair in pairs if pair.verdict is not Verdict.NOT_JUDGED]
    verdicts = {pair.verdict for pair in judged if not pair.outweighed}
    if own.failing:
        return Verdict.FAILS
    if own.shown_harm:
        return Verdict.HARM
    if not judged or _baseline_fails(own):
        return Verdict.NOT_JUDGED
    ranked = (*_GRAVE, *AGAINST, Verdict.FAIRER, Verdict.MOVED, Verdict.OPEN, Verdict.SAME)
    return next(verdict for verdict in ranked if verdict in verdicts)


def _baseline_fails(own: ModelGains) -> bool:
    """Return whether the baseline fails for all: a gap of it is none to compare with."""
    return any(not one.group for one in own.baseline_failing)


def _pair(
    pair: PairGains, own: ModelGains, grouping: Grouping, options: JudgeOptions, stratified: bool
) -> PairGains:
    """Judge the gains of two groups, or of one against all others, by what is known of their attribute."""
    rows = pair.rows
    # In a group against all others the other side is every group of the attribute.
    groups = set(grouping.group_names) if pair.first == ALL_OTHERS else {pair.first, pair.second}
    changes = [one for one in own.changes if one.group in groups]
    lost = [one for one in changes if one.judged and one.change.high < -options.margin]
    worse = [one for one in lost if one.mean_change.low <= 0]  # or some gained more than the others lost
    reasons = _reasons(groups, lost, own, options)
    reasons += [
        GainReason(GainReasonKind.LOST_CASES, one.group)
        for one in lost_cases(grouping, pair.first, pair.second, options)
        if one.group not in {reason.group for reason in reasons}
    ]
    if not rows:
        return replace(pair, reasons=tuple(reasons))
    reasons += _of_rows(rows, pair.second, stratified)
    outside, possible = _outside(rows, changes), _possible_harm(own, options)
    alone = _losses_alone(changes, rows[0])
    reasons += alone + _lowest_lost(own.changes, rows[0], options.margin)
    # What is shown of a single structure decides nothing where it is also shown to be too small to matter.
    slight = [row.inside and row.structure != rows[0].structure for row in rows]
    shown = [Verdict.SAME if one else row_verdict(row) for row, one in zip(rows, slight, strict=True)]
    reasons += _ahead_elsewhere(rows, shown) + _behind_in_mean(rows)
    barred = bool(possible) or any(one.kind not in _UNTESTED for one in reasons)
    gained = any(_gains(one, rows[0].structure, options.margin) for one in changes)
    moved = [row for row, one in zip(rows, shown, strict=True) if one in (Verdict.FAIRER, Verdict.MOVED)]
    harm = tuple(one for one in own.shown_harm if one.group in groups)
    rules = (
        (any(one.group in {"", *groups} for one in own.failing), Verdict.FAILS),
        (bool(harm), Verdict.HARM),
        (_baseline_fails(own), Verdict.NOT_JUDGED),
        (not outside and not reasons and not possible, Verdict.SAME),
        (Verdict.LEVELS_DOWN in shown, Verdict.LEVELS_DOWN),
        # Who lost is now behind, and nobody is better off for it.
        (bool(worse) and not gained and Verdict.OVERCORRECTED in shown, Verdict.HARM),
        *((verdict in shown, verdict) for verdict in AGAINST),
        (_fairer(rows, shown, stratified) and not barred, Verdict.FAIRER),
        (bool(worse) and not gained, Verdict.HARM),
        (bool(moved) and not (alone and all(row.inside for row in moved)), Verdict.MOVED),
        (bool(worse), Verdict.HARM),
    )
    verdict = next((verdict for holds, verdict in rules if holds), Verdict.OPEN)
    ranked = tuple(replace(row, verdict=within(verdict, one)) for row, one in zip(rows, shown, strict=True))
    undecided = verdict in (*_GRAVE, Verdict.NOT_JUDGED, Verdict.OPEN)
    decided = () if undecided else tuple(row for row in ranked if row.verdict is verdict)
    reasons += [*possible, *(outside if verdict is Verdict.OPEN else ())]
    return replace(pair, verdict=verdict, rows=ranked, decided_by=decided, harm=harm, reasons=tuple(reasons))


def _fairer(rows: Sequence[GainRow], shown: Sequence[Verdict], stratified: bool) -> bool:
    """Return whether an overall endpoint is fairer, also among those who are alike if that is asked for.

    Means that tell another story than the typical case stand against that, unless they favour the same group.
    """
    directions = {
        (row.endpoint, row.adjusted): sign(row.gain.estimate)
        for row, verdict in zip(rows, shown, strict=True)
        if row.structure == rows[0].structure and verdict is Verdict.FAIRER
    }
    opposed = [row.mean_gain for row in rows if row.means_oppose and row.mean_gain is not None]
    return any(
        all((endpoint, adjusted) in directions for adjusted in (False, stratified))
        and all(directions[endpoint, False] * limit > 0 for one in opposed for limit in one[1:])
        for endpoint in (Endpoint.TYPICAL, Endpoint.FAILURES)
    )


def _gains(change: GroupChange, overall: str, margin: float) -> bool:
    """Return whether a group is shown to have gained, and not by little: in scores, or in failures."""
    gains = change.change, change.mean_change
    by_score = any(one.low > 0 and one.estimate >= margin / 2 for one in gains)
    return change.judged and change.structure == overall and (by_score or change.failures.high < 0)


def _losses_alone(changes: Sequence[GroupChange], row: GainRow) -> list[GainReason]:
    """Return who is shown to have lost half of what a gap moved by, where nobody is shown to have gained."""
    overall = row.structure
    overall_changes = [one for one in changes if one.judged and one.structure == overall]
    if any(one.change.low > 0 or one.mean_change.low > 0 or one.failures.high < 0 for one in overall_changes):
        return []
    return [
        GainReason(GainReasonKind.LOSS_ALONE, one.group, overall)
        for one in overall_changes
        if one.change.high < 0 and -one.change.estimate >= abs(row.gain.estimate) / 2
    ]


def _lowest_lost(changes: Sequence[GroupChange], row: GainRow, margin: float) -> list[GainReason]:
    """Return the groups whose lowest scores are shown to be lower, by more than the margin, over all."""
    return [
        GainReason(GainReasonKind.LOWEST_LOST, one.group, one.structure)
        for one in changes
        if one.judged
        and one.structure == row.structure
        and not one.change.high < -margin  # that says more
        and one.lowest.high < 0
        and one.lowest.estimate < -_MUCH * margin
    ]


def _ahead_elsewhere(rows: Sequence[GainRow], shown: Sequence[Verdict]) -> list[GainReason]:
    """Return where a group that a fairer row favours was ahead, in the mean or in shares, or is now.

    It is shown to have been, by more than the margin, so that the gap in it is wider now, or as it was. Or
    its mean is shown to be ahead so now, by more than it was apart before.
    """
    own = [
        (row, verdict)
        for row, verdict in zip(rows, shown, strict=True)
        if row.structure == rows[0].structure and not row.adjusted
    ]
    reasons = []
    for fairer in (row for row, verdict in own if verdict is Verdict.FAIRER):
        for other in (row for row, _ in own if row.mean_gaps is not None or row is not fairer):
            gaps = other.mean_gaps or ((other.gap_before.interval,) if other.gap_before.shown else ())
            ahead = [gap if fairer.gain.estimate < 0 else gap.negated() for gap in gaps]
            beyond = [gap.low > 0 and gap.estimate > other.margin for gap in ahead]
            if any(beyond[:1]) or (any(beyond) and ahead[1].estimate > -ahead[0].estimate):
                where = (fairer.favoured, other.structure, other.endpoint)
                reasons.append(GainReason(GainReasonKind.AHEAD_ELSEWHERE, *where))
    return list(dict.fromkeys(reasons))


def _behind_in_mean(rows: Sequence[GainRow]) -> list[GainReason]:
    """Return where a row would speak against the model, were it not for who is behind in the mean."""
    return [
        GainReason(GainReasonKind.BEHIND_IN_MEAN, row.favoured, row.structure, row.endpoint)
        for row in rows
        if row.still_behind
        and not row.adjusted
        and row_verdict(replace(row, still_behind=False)) in AGAINST[1:]
    ]


def _of_rows(rows: Sequence[GainRow], second: str, stratified: bool) -> list[GainReason]:
    """Return where means tell another story than the tests, and what could not be looked at within strata."""
    oppose = [
        GainReason(GainReasonKind.TYPICAL_OPPOSES, second, row.structure, row.endpoint)
        for row in rows
        if row.contrary and row.shown and not row.inside and not row.adjusted
    ]
    differ = [
        GainReason(GainReasonKind.MEANS_DIFFER, second, row.structure, row.endpoint)
        for row in rows
        if row.mean_gain is not None and (row.means_differ or row.means_oppose or row.contrary)
    ]
    there = {row.structure for row in rows if row.adjusted}
    lacking = dict.fromkeys(row.structure for row in rows if stratified and row.structure not in there)
    return oppose + differ + [GainReason(GainReasonKind.STRATA, None, structure) for structure in lacking]


def _possible_harm(own: ModelGains, options: JudgeOptions) -> list[GainReason]:
    """Return where harm is likely enough to withhold praise, though it is not shown."""
    harmed = [
        (one.group, one.structure)
        for one in own.harm
        if one.allowed < one.p_adjusted <= _POSSIBLE * options.alpha
    ]
    harmed += _uneven_losses(own, options)
    return [GainReason(GainReasonKind.POSSIBLE_HARM, *where) for where in dict.fromkeys(harmed)]


def _outside(rows: Sequence[GainRow], changes: Sequence[GroupChange]) -> list[GainReason]:
    """Return which limits reach beyond the margins, and which rows have none."""
    kind, hidden = GainReasonKind.REMAINING_MARGIN, GainReasonKind.HIDDEN_TENTH
    return [
        GainReason(hidden if row.hidden else kind, None, row.structure, row.endpoint)
        for row in rows
        if not row.inside
    ] + [GainReason(kind, one.group, one.structure) for one in changes if one.judged and not one.harmless]


def _uneven_losses(own: ModelGains, options: JudgeOptions) -> list[tuple[str, str]]:
    """Return where more of a group than of the others lost much, of which McNemar's test may show nothing."""
    judged = [one for one in own.changes if one.judged]
    shown = {row.group for row in own.shown_harm}
    reasons = []
    for one in judged:
        others = [other for other in judged if other.structure == one.structure and other is not one]
        lost, n = sum(other.lost for other in others), sum(other.n for other in others)
        more = one.group not in shown and n and one.lost > one.gained and one.lost * n > lost * one.n
        if more and fisher_exact(one.lost, one.n, lost, n) <= options.alpha / len(judged):
            reasons.append((one.group, one.structure))
    return reasons


def _unpaired(change: GroupChange, own: ModelGains, options: JudgeOptions) -> bool:
    """Return whether more of a group than of the others have, in some case, no score of both models."""
    others = [one for one in own.changes if one.structure == change.structure and one.group != change.group]
    lacking, rest = (sum(one.size - one.n + one.partly for one in part) for part in ([change], others))
    size, size_rest = change.size, sum(one.size for one in others)
    if not size or not size_rest or lacking * size_rest <= rest * size:
        return False
    return fisher_exact(lacking, size, rest, size_rest) <= options.alpha / len(own.changes)


def _reasons(
    groups: set[str], lost: Sequence[GroupChange], own: ModelGains, options: JudgeOptions
) -> list[GainReason]:
    """Return what no green verdict is given with, though no test of the pair shows it."""
    kinds = GainReasonKind
    reasons = [GainReason(kinds.LOSS_BEYOND_MARGIN, one.group, one.structure) for one in lost]
    absent = {one.structure for one in own.changes} - {one.structure for one in own.changes if one.n}
    dropped = {one.structure for one in own.changes if one.structure in absent and one.dropped}
    reasons += [GainReason(kinds.DROPPED_STRUCTURE, None, structure) for structure in sorted(dropped)]
    for one in own.changes:
        if one.structure in absent:
            continue
        # At most so many have a score with the baseline in every case that matters here.
        if one.dropped > options.failure_margin * (one.n + one.missing_after - one.partly):
            reasons.append(GainReason(kinds.DROPPED_SUBJECTS, one.group, one.structure))
        elif _unpaired(one, own, options):
            reasons.append(GainReason(kinds.UNPAIRED, one.group, one.structure))
        if not one.judged and one.net_harmed >= _FEW:
            reasons.append(GainReason(kinds.SMALL_GROUP_FAILS, one.group, one.structure))
        elif not one.judged and one.loses:
            reasons.append(GainReason(kinds.LOSS_BEYOND_MARGIN, one.group, one.structure))
    reasons += [
        GainReason(kinds.UNKNOWN_GROUP_FAILS, one.group, one.structure)
        for one in own.unknown
        if one.net_harmed >= _FEW or one.loses
    ]
    too_small = {one.group for one in own.unjudged}
    reasons += [
        GainReason(kinds.UNJUDGED_STRUCTURE, one.group, one.structure)
        for one in own.changes
        if one.group in groups - too_small and not one.judged and one.structure not in absent
    ]
    return reasons
