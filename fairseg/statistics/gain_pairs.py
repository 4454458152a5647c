"""What the pairs of one attribute say of each other: of several gaps it is the largest that counts."""

from collections.abc import Sequence
from dataclasses import replace

from fairseg.statistics.gain_findings import GainRow, PairGains
from fairseg.statistics.gain_reasons import GainReason, GainReasonKind
from fairseg.statistics.verdicts import Endpoint, Verdict

_PRAISE = (Verdict.FAIRER, Verdict.MOVED)


def beside_each_other(pairs: Sequence[PairGains]) -> tuple[PairGains, ...]:
    """Return all pairs of an attribute, each judged in the light of the others."""
    return _beside_the_widened(_beside_the_largest(pairs))


def within(pair: Verdict, row: Verdict) -> Verdict:
    """Return a row's verdict as far as the pair's allows: no praise beside harm, no alarm within margins."""
    if pair in (Verdict.FAILS, Verdict.NOT_JUDGED, Verdict.SAME):
        return pair
    return Verdict.MOVED if row is Verdict.FAIRER and pair is not row else row


def _beside_the_largest(pairs: Sequence[PairGains]) -> tuple[PairGains, ...]:
    """Let no pair be fairer where another leaves the attribute's largest gap about as large as it was."""
    checked = []
    for pair in pairs:
        same = [one for one in pairs if one.rows]
        fairer = pair.verdict is Verdict.FAIRER
        remaining, grown = (_largest_left(pair, same), _grown(pair, same)) if fairer else (None, None)
        if remaining is not None:
            checked.append(_no_more_than_moved(pair, _about(remaining, GainReasonKind.LARGEST_GAP)))
        elif grown is not None:
            checked.append(_no_more_than_moved(pair, _about(grown, GainReasonKind.GROWN_ELSEWHERE)))
        else:
            checked.append(pair)
    return tuple(checked)


def _largest_left(pair: PairGains, pairs: Sequence[PairGains]) -> GainRow | None:
    """Return the row of another pair whose gap was the largest and is not fairer, or is nearly that large.

    The largest gap of an attribute is smaller only where what is largest now falls short of what was by half
    as much as the pair gained.
    """
    shown = [one for one in pairs if one.rows[0].gap_before.shown and one.verdict is not Verdict.NOT_JUDGED]
    largest = max(shown, key=lambda one: abs(one.rows[0].gap_before.interval.estimate), default=pair)
    typical = largest.rows[0]
    before, after = (abs(gap.interval.estimate) for gap in (typical.gap_before, typical.gap_after))
    matters = after > typical.margin or (before > typical.margin and largest.reasons)
    if largest.verdict is not Verdict.FAIRER and matters:
        return typical
    decided = (row for row in pair.decided_by if row.structure == pair.rows[0].structure and not row.adjusted)
    remaining = (_left_behind(row, pairs) for row in decided if row.endpoint is not Endpoint.HARDEST)
    return next((row for row in remaining if row is not None), None)


def _grown(pair: PairGains, pairs: Sequence[PairGains]) -> GainRow | None:
    """Return the row of another pair whose gap is shown now, matters, and grew by more than half the margin.

    Rows that are less fair by themselves are told of by `_beside_the_widened`.
    """
    rows = (row for one in pairs if one is not pair for row in one.rows)
    for row in (row for row in rows if row.structure == pair.rows[0].structure and not row.adjusted):
        before, after = abs(row.gap_before.interval.estimate), abs(row.gap_after.interval.estimate)
        grown = row.gap_after.shown and after > row.margin and after - before > row.margin / 2
        if grown and row.verdict is not Verdict.LESS_FAIR and row.endpoint is not Endpoint.HARDEST:
            return row
    return None


def _left_behind(row: GainRow, pairs: Sequence[PairGains]) -> GainRow | None:
    at = (row.structure, row.endpoint, row.adjusted)
    every = (one for pair in pairs for one in pair.rows)
    rows = [one for one in every if (one.structure, one.endpoint, one.adjusted) == at]
    before = max(abs(one.gap_before.interval.estimate) for one in rows)
    remaining = [one for one in rows if one is not row and one.gap_after.shown]
    largest = max(remaining, key=lambda one: abs(one.gap_after.interval.estimate), default=row)
    now = abs(largest.gap_after.interval.estimate)
    matters = largest is not row and now > max(row.margin, abs(row.gap_after.interval.estimate))
    return largest if matters and before - now < abs(row.gain.estimate) / 2 else None


def _beside_the_widened(pairs: Sequence[PairGains]) -> tuple[PairGains, ...]:
    """Let a pair whose gap is wider, though neither of its groups lost, not be the verdict on an attribute.

    That is so where the attribute's largest gap, which another pair has, is smaller by half as much as this
    one's groups differ in what they gained. No pair is called fairer beside it, and the others tell of it.
    """
    checked = list(pairs)
    for index, pair in enumerate(pairs):
        rows = [row for row in pair.decided_by if pair.verdict is Verdict.LESS_FAIR]
        same = [one for one in range(len(pairs)) if one != index]
        others = [row for one in same for row in pairs[one].rows]
        praised = [one for one in same if checked[one].verdict in _PRAISE]  # which tell of it
        if not rows or not praised or not all(_outweighed(row, others) for row in rows):
            continue
        checked[index] = replace(checked[index], outweighed=True)
        reason = _about(rows[0], GainReasonKind.WIDER_ELSEWHERE)
        for one in praised:
            checked[one] = _no_more_than_moved(checked[one], reason)
    return tuple(checked)


def _outweighed(row: GainRow, others: Sequence[GainRow]) -> bool:
    """Return whether rows of other pairs show the largest gap to be smaller, and by enough."""
    at = (row.structure, row.endpoint, row.adjusted)
    rows = [one for one in others if (one.structure, one.endpoint, one.adjusted) == at]
    if not rows or row.own_loss:
        return False
    least = abs(row.gain.estimate) / 2
    largest = max(abs(one.gap_before.interval.estimate) for one in rows)
    now = max(abs(one.gap_after.interval.estimate) for one in (*rows, row))
    # Of gaps that are about as large as the largest, which it is may be chance.
    moved = (
        one.gap_before.shown and one.verdict in _PRAISE
        for one in rows
        if abs(one.gap_before.interval.estimate) >= largest - least
    )
    return largest - now >= least and any(moved)


def _about(row: GainRow, kind: GainReasonKind) -> GainReason:
    return GainReason(kind, row.second, row.structure, row.endpoint, beside=row.first)


def _no_more_than_moved(pair: PairGains, reason: GainReason) -> PairGains:
    rows = tuple(replace(row, verdict=within(Verdict.MOVED, row.verdict)) for row in pair.rows)
    decided = tuple(row for row in rows if row.verdict is Verdict.MOVED)
    reasons = (*pair.reasons, reason)
    return replace(pair, verdict=Verdict.MOVED, rows=rows, decided_by=decided, reasons=reasons)
