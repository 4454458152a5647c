"""The answer of a comparison: a sentence or two for each model, harm before praise.

This module chooses from the findings what is said; the words are the macro `gains` of `sentences.txt.j2`.
"""

from functools import cached_property, partial
from typing import Any

from fairseg.report import numbers
from fairseg.report.compare.compared import Compared
from fairseg.report.templates import say
from fairseg.statistics.findings import ALL_OTHERS
from fairseg.statistics.gain_findings import GainRow, GroupChange, ModelGains, PairGains, sign
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
    return say("gains", content=_Content(result, model))


class _Content:
    """What is said of one model, as the macro `gains` asks for it.

    Args:
        result: of a comparison.
        model: one of its models.
    """

    def __init__(self, result: Compared, model: ModelGains) -> None:
        self.result, self.model, self.baseline = result, model, result.baseline
        self.options, self.drop = result.options, result.judgement.drop
        self.title, self.held = result.scores.spoken_title, result.held_fixed
        self.overall, *labels = result.judgement.structures
        self.several = bool(labels)
        self.against = model.verdict in AGAINST
        no_pair = PairGains(model.decisive, "", "", 0, 0, ())
        self.pair = model.pair_of(model.decisive) or no_pair
        self.telling = self.pair.telling
        # The overall typical case, where another row is told.
        self.typical = None if self.pair.typical is self.telling else self.pair.typical

    @cached_property
    def row(self) -> dict[str, Any] | None:
        """The row that is told."""
        return None if self.telling is None else self._spoken(self.telling)

    @property
    def settled(self) -> bool:
        """Whether the overall typical gains lie within the margin, and another row is open."""
        return self.typical is not None and self.telling is not None and not self.telling.shown

    @property
    def held_itself(self) -> bool:
        """Whether the groups are made of what is held fixed."""
        return self.pair.attribute in {one.name for one in self.result.analyses if one.grouping.held}

    @property
    def reference(self) -> str | None:
        """The group that others are compared with, if it is too small to be judged."""
        name = self.result.analyses[0].grouping.reference_name
        few = [one.group for one in self.model.unjudged if one.attribute == self.model.primary]
        return name if name in few else None

    @cached_property
    def unjudged(self) -> list[str]:
        """The groups too small to be judged, each with how many have scores, and are harmed by the model.

        A group that stands among the reasons of the pair that is spoken of is not named again.
        """
        spoken = self.model.verdict in (Verdict.MOVED, Verdict.OPEN, Verdict.SAME)
        reasons = self.pair.reasons if spoken else ()
        told_groups = {one.group for one in reasons if one.kind is GainReasonKind.SMALL_GROUP_FAILS}
        texts_of_groups = []
        for one in self.model.unjudged:
            texts = [f"{one.n} of {one.size} with both scores"] if one.n < one.size else []
            at = (one.attribute, one.group)
            changes = [each for each in self.model.changes if (each.attribute, each.group) == at]
            worst = max(changes, key=lambda each: (each.net_harmed, each.structure == self.overall))
            if worst.net_harmed > 0 and one.group not in told_groups:
                texts.append(say("small_group", change=worst, overall=self.overall))
            texts_of_groups.append(f"{one.group} ({'; '.join(texts)})" if texts else one.group)
        return texts_of_groups

    @cached_property
    def within(self) -> dict[str, Any] | None:
        """The gains within strata in the endpoint that is told; None without any, or if told already."""
        if self.telling is None or self.telling.adjusted:
            return None
        row = self.pair.within_strata(self.telling)
        return None if row is None else self._spoken(row)

    @cached_property
    def harm(self) -> list[HarmRow]:
        """The clearest harm of each group, new failures before losses."""
        clearest: dict[str, HarmRow] = {}
        order = sorted(
            self.model.shown_harm, key=lambda row: (row.event != "newly failing", row.p_adjusted, -row.worse)
        )
        for row in order:
            clearest.setdefault(row.group, row)
        return list(clearest.values())

    @cached_property
    def failing(self) -> list[dict[str, Any]]:
        """Where the model fails, then where the baseline does: at most three entries each, overall first.

        Where all groups fail, "everyone" stands once in their place.
        """
        model = self.model
        groups = {one.group for one in model.changes if one.n and one.attribute == model.primary}
        failures = []
        for baseline, failing in ((False, model.failing), (True, model.baseline_failing)):
            entries = []
            for one in sorted(failing, key=lambda one: one.structure != self.overall):
                fail = {each.group for each in failing if each.structure == one.structure}
                everyone = bool(groups) and fail >= {"", *groups} and not model.unknown
                if not (one.group and everyone):
                    label = one.group or ("everyone" if everyone else "all subjects together")
                    entries.append({**vars(one), "who": label, "baseline": baseline})
            failures += entries[:3]
        return failures

    @property
    def losses(self) -> list[dict[str, Any]]:
        """The groups whose typical case is shown to have lost more than the margin."""
        lost = {
            (reason.group, reason.structure)
            for pair in self.model.pairs
            for reason in pair.reasons
            if reason.kind is GainReasonKind.LOSS_BEYOND_MARGIN and pair.verdict is Verdict.HARM
        }
        return [
            {**_counts(one), "by": _abs(one.change, numbers.score, self.options.margin)}
            for one in self.model.changes
            if (one.group, one.structure) in lost and one.change.estimate < 0 and one.mean_change.low <= 0
        ]

    @cached_property
    def others(self) -> list[str]:
        """What else is against the model: other structures of the pair, and other attributes."""
        rows = [
            one
            for one in self.pair.rows
            if self.pair.verdict in AGAINST
            if one.verdict in AGAINST and one.endpoint is Endpoint.TYPICAL and one is not self.telling
        ]
        elsewhere = [
            one.decided_by[0]
            for name, verdict in self.model.attribute_verdicts.items()
            if verdict in AGAINST and name != self.model.decisive
            if (one := self.model.pair_of(name)) is not None
        ]
        return [
            say("against", row=self._spoken(one), verdict=one.verdict.label)
            for one in (*rows[:2], *elsewhere)
        ]

    @cached_property
    def _change_of(self) -> dict[tuple[str | None, str | None], GroupChange]:
        changes = (*self.model.changes, *self.model.unknown)
        return {(one.group, one.structure): one for one in changes if one.attribute == self.model.decisive}

    @cached_property
    def reasons(self) -> list[str]:
        """The reasons against a greener verdict of the pair that are not told yet, each in words, once."""
        texts = []
        for one in self.pair.reasons:
            about_group = one.kind not in (GainReasonKind.DROPPED_STRUCTURE, GainReasonKind.HIDDEN_TENTH)
            if one.group is None and about_group:
                continue
            # A row comes with its limits; a group's own are told where the row is within margins.
            if one.kind is GainReasonKind.REMAINING_MARGIN and (self.row is None or not self.row["slight"]):
                continue
            if one.kind is GainReasonKind.DROPPED_SUBJECTS:
                structures = self.result.judgement.structures
                dropped = [self._change_of[one.group, at].dropped for at in structures]
                if _told_elsewhere(dropped, overall=one.structure == self.overall):
                    continue
            related = self._related(one)
            if self.row is not None and _repeats(self.row, related):
                continue
            change = self._change_of.get((one.group, one.structure))
            by = "" if change is None else _abs(change.change, numbers.score, self.options.margin)
            if one.kind is GainReasonKind.LOWEST_LOST and change is not None:
                by = _abs(change.lowest, numbers.score)
            texts.append(say("gain_reason", one=one, content=self, change=change, by=by, **related))
        return list(dict.fromkeys(texts))[:3]

    def _related(self, reason: GainReason) -> dict[str, dict[str, Any]]:
        """Return what the text of a reason tells of other rows than its own."""
        kind = reason.kind
        if kind is GainReasonKind.MEANS_DIFFER:
            return {"mean": self._mean_gain(self._row_of(reason))}
        if kind is GainReasonKind.TYPICAL_OPPOSES:
            return {"typical": self._spoken(self._row_of(reason))}
        if kind in (GainReasonKind.AHEAD_ELSEWHERE, GainReasonKind.BEHIND_IN_MEAN):
            return {"ahead": self._ahead(reason)}
        return {} if reason.beside is None else {"pair": self._other_pair(reason)}

    def _spoken(self, row: GainRow) -> dict[str, Any]:
        """Return a row as sentences tell it: who was behind, who gained more, and by how much."""
        write = _writer(row)
        behind = row.second if row.gap_before.sign >= 0 else row.first
        now_behind = row.second if row.gap_after.sign >= 0 else row.first
        gained = row.favoured
        other = {row.first: row.second, row.second: row.first}
        return {
            "endpoint": row.endpoint.name,
            "structure": "" if row.structure == self.overall else row.structure,
            "behind": behind,
            "ahead": other[behind],
            "now_behind": now_behind,
            "now_ahead": other[now_behind],
            "gained": gained,
            "other": other[gained],
            "way": self._way(row, gained, other[gained]),
            "gain": _abs(row.gain, write, row.margin),
            "none": abs(row.gain.estimate) < _LEAST,
            "before": _abs(row.gap_before.interval, write, row.margin),
            "after": _abs(row.gap_after.interval, write, row.margin),
            "turned": row.gap_before.sign * row.gap_after.sign < 0,
            "after_shown": row.gap_after.shown,
            "narrower": row_verdict(row) is Verdict.FAIRER,
            "slight": row.inside,
            "at_most": write(row.reverse_bound, apart=[row.margin]) if row.reverse_bound > 0 else "",
            "unit": "" if row.endpoint is Endpoint.TYPICAL else " points",
            "contrary": row.contrary,
            "told_by_group": row.contrary or row.still_behind,
            "held": self.held if row.adjusted else "",
            "by": "" if row.attribute == self.result.analyses[0].name else row.attribute,
        }

    def _way(self, row: GainRow, gained: str, other: str, *, mean: bool = False) -> str:
        """Return in which way one group gained more than the other, of whom that is true by themselves.

        Returns:
            "gained": it gained itself; "lost": it did not, and the other lost as much as is told; of
            failures "fell": fewer of it fail, and no more of the other, or "rose" the other way round. ""
            where none of these is so, or cannot be told: within strata, and of shares of the hardest tenth.
        """
        if row.endpoint is Endpoint.HARDEST or row.adjusted:
            return ""
        at = (row.attribute, row.structure)
        changes = {one.group: one for one in self.model.changes if (one.attribute, one.structure) == at}
        winners, losers = (
            [change for group, change in changes.items() if side in (group, ALL_OTHERS) and group != opposite]
            for side, opposite in ((gained, other), (other, gained))
        )
        if not winners or not losers:
            return ""
        if row.endpoint is Endpoint.FAILURES:
            fewer = [[one.rescued - one.newly_failing for one in side] for side in (winners, losers)]
            if min(fewer[0]) > 0 and min(fewer[1]) >= 0:
                return "fell"
            return "rose" if max(fewer[0]) <= 0 and max(fewer[1]) < 0 else ""
        gain = row.mean_gain if mean else row.gain
        assert gain is not None
        slight = max(_LEAST, 0.1 * abs(gain.estimate))  # of what is told

        def change(of: GroupChange) -> float:
            return of.mean_change.estimate if mean else of.change.estimate

        if all(max(change(one), one.median_change) < slight for one in winners):
            return "lost" if all(-change(one) > abs(gain.estimate) - slight for one in losers) else ""
        return "gained" if all(change(one) >= _LEAST for one in winners) else ""

    def _mean_gain(self, row: GainRow) -> dict[str, Any]:
        """Return who gained more in the mean, by how much, and whether that is less than typically."""
        assert row.mean_gain is not None
        gained, other = row.second, row.first
        if row.mean_gain.estimate < 0:
            gained, other = other, gained
        less = row.means_oppose and row.mean_gain.estimate * row.gain.estimate > 0
        way = self._way(row, gained, other, mean=True)
        by = _abs(row.mean_gain, numbers.score)
        return {"gained": gained, "other": other, "gain": by, "unit": "", "less": less, "way": way}

    def _row_of(self, reason: GainReason) -> GainRow:
        """Return the typical case among all subjects, in the structure of a reason."""
        at = reason.structure
        return next(row for row in self.pair.rows if row.mean_gain is not None and row.structure == at)

    @cached_property
    def left(self) -> dict[str, Any] | None:
        """The overall typical case, where another row is told and a gap is shown with the second model."""
        row = self.typical
        return self._spoken(row) if row is not None and row.gap_after.shown else None

    @cached_property
    def favour(self) -> list[dict[str, Any]]:
        """What is shown for the model over all structures, where another row is against it."""
        if self.telling is None or not self.against:
            return []
        rows = [
            one
            for pair in sorted(self.model.pairs, key=lambda pair: self.telling not in pair.rows)
            for one in pair.rows
            if one.attribute == self.model.decisive and one.structure == self.overall
            if one.verdict in (Verdict.MOVED, Verdict.FAIRER)
            if not (one.inside or one.adjusted or one is self.telling)
        ]
        return [self._spoken(one) for one in rows if one.endpoint is not Endpoint.HARDEST][:2]

    @cached_property
    def rose(self) -> list[dict[str, Any]]:
        """The groups that are shown to have gained over all structures, where a row is against the model.

        Groups whose changes are told with the row are left out.
        """
        if self.telling is None or not self.against or self.favour:
            return []
        margin = self.options.margin
        told = {self.pair.first, self.pair.second} if self.telling.structure == self.overall else set()
        if self.model.verdict is Verdict.LESS_FAIR:  # the gain of the better served is what is against it
            told.add(self.telling.favoured)
        gains = []
        for one in self.model.changes:
            if (one.attribute, one.structure) != (self.model.decisive, self.overall):
                continue
            if one.group in told or not one.judged:
                continue
            for gain, least, mean in ((one.change, margin / 2, False), (one.mean_change, margin, True)):
                if gain.low > 0 and gain.estimate >= least:
                    gains.append({"group": one.group, "by": _abs(gain, numbers.score), "mean": mean})
                    break
        return gains

    def _other_pair(self, reason: GainReason) -> dict[str, Any]:
        """Return the row of another pair as sentences tell it, and whether its gap was and is the largest."""
        at = (self.model.decisive, reason.structure, reason.endpoint, False)
        rows = [
            row
            for pair in self.model.pairs
            for row in pair.rows
            if (pair.attribute, row.structure, row.endpoint, row.adjusted) == at
        ]
        row = next(row for row in rows if (row.first, row.second) == (reason.beside, reason.group))
        was, is_now = (
            abs(getattr(row, gap).interval.estimate)
            >= max(abs(getattr(one, gap).interval.estimate) for one in rows)
            for gap in ("gap_before", "gap_after")
        )
        return {**self._spoken(row), "was": was, "is_now": is_now}

    def _ahead(self, reason: GainReason) -> dict[str, Any]:
        """Return whom a group was ahead of or behind in the mean or a share, by how much, before and now."""
        at = (reason.structure, reason.endpoint, False)
        row = next(one for one in self.pair.rows if (one.structure, one.endpoint, one.adjusted) == at)
        second = reason.group == row.second
        before, after = row.mean_gaps or (row.gap_before.interval, row.gap_after.interval)
        ahead = before.negated() if second else before
        return {
            "other": row.first if second else row.second,
            "by": _abs(before, _writer(row)),
            "now_by": _abs(after, _writer(row)),
            "already": ahead.low > 0 and ahead.estimate > row.margin,
            "row": self._spoken(row),
        }

    @cached_property
    def changes(self) -> list[dict[str, Any]]:
        """The typical change of both groups: in the structure of a row against the model, or over all."""
        structure = self.telling.structure if self.telling is not None and self.against else self.overall
        margin = self.options.margin
        signed = partial(numbers.with_limits, write=partial(numbers.score, sign=True))
        changes = []
        for group in (self.pair.first, self.pair.second):
            one = self._change_of.get((group, structure))
            if one is not None and one.judged:
                gained_or_lost = int(one.change.low > 0) - int(one.change.high < 0)
                by = (
                    _abs(one.change, numbers.score, margin)
                    if gained_or_lost
                    else signed(*one.change, apart=(0.0, margin, -margin))
                )
                elsewhere = "" if structure == self.overall else structure
                changes.append({**_counts(one), "shown": gained_or_lost, "by": by, "structure": elsewhere})
        return changes


def _writer(row: GainRow) -> numbers.Writer:
    return numbers.score if row.endpoint is Endpoint.TYPICAL else numbers.points_of


def _abs(interval: Interval, write: numbers.Writer, margin: float = 0.0) -> str:
    """Write an interval, negated if its estimate is below 0."""
    one = interval.negated() if interval.estimate < 0 else interval
    return numbers.with_limits(*one, write, apart=(0.0, margin, -margin))


def _repeats(told_row: dict[str, Any], related: dict[str, dict[str, Any]]) -> bool:
    """Return whether the gain that a reason tells is told already, or supports what is told."""
    is_typical = bool(told_row["endpoint"] == "TYPICAL")
    if "typical" in related:
        return is_typical
    return "mean" in related and not is_typical and related["mean"]["gained"] == told_row["gained"]


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


def _counts(change: GroupChange) -> dict[str, Any]:
    """Return how many of a group changed how, what its median subject gained, and whether these contradict.

    They do where the median change and the typical change have different signs.
    """
    names = ("group", "structure", "n", "newly_failing", "rescued", "lost", "gained")
    mixed = (
        sign(change.median_change) != sign(change.change.estimate) and abs(change.change.estimate) >= _LEAST
    )
    median = {"mixed": mixed, "median_change": numbers.score(change.median_change, sign=True)}
    return {name: getattr(change, name) for name in names} | median
