"""One row of a comparison of models: two groups, one structure, one endpoint, with all limits."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.batches import Integers
from fairseg.statistics.gain_findings import GainRow, Gap, sign
from fairseg.statistics.gain_tests import ENDPOINTS, Cohort, Corrected, GainTests, Members
from fairseg.statistics.limits import Interval
from fairseg.statistics.location_shift import LocationShift
from fairseg.statistics.means import welch_limits
from fairseg.statistics.paired_shares import difference_of, pooled_share_limits
from fairseg.statistics.shift_limits import ShiftTest
from fairseg.statistics.two_samples import newcombe, signed_rank_limits
from fairseg.statistics.verdicts import Endpoint
from fairseg.statistics.within_strata import StratifiedShares, StratifiedShift

_MEAN_LEVEL = 0.99  # of limits that stand against praise alone
_CHANCE = 1.645  # standard errors by which means must contradict what the ranks show


def gain_row(
    cohort: Cohort,
    model: int,
    tests: GainTests,
    pair_index: int,
    structure: int,
    endpoint: int,
    strata: Sequence[Integers],
    *,
    adjusted: bool,
) -> GainRow:
    """Return the row of a pair, given by its index, with limits of the levels at which all rows hold.

    Args:
        cohort: subjects and groups.
        model: which of the models.
        tests: of this model.
        pair_index: of the pair, in `cohort.pairs`.
        structure: which of the structures.
        endpoint: which of the endpoints.
        strata: the subjects (indices) of each stratum.
        adjusted: whether these hold something fixed.
    """
    pair, options = cohort.pairs[pair_index], cohort.options
    at = pair_index, structure, endpoint, int(adjusted)
    grouping = cohort.groupings[pair.attribute]
    before, after = cohort.before[model, :, structure], cohort.after[model, :, structure]
    both: _Scores | _ShareChange
    if endpoint == 0:
        both = _Scores(before, after, cohort.members(pair), strata)
    else:
        marks = tests.marks[2 * endpoint - 2 : 2 * endpoint, :, structure]
        both = _ShareChange(before, after, marks, cohort.members(pair), strata)

    def limits(table: Corrected, of: Callable[[float], Interval]) -> tuple[Interval, bool]:
        shown = bool(table.adjusted[at] <= options.alpha)
        interval = of(1 - float(table.local[at]))
        if not shown:  # limits say no more than the corrected test
            return Interval(interval.estimate, min(interval.low, 0.0), max(interval.high, 0.0)), False
        return interval, interval.low > 0 or interval.high < 0

    def gap(table: Corrected, of: Callable[[float], Interval]) -> Gap:
        interval, shown = limits(table, of)
        return Gap(interval, 1 - float(table.local[at]), float(table.p[at]), float(table.adjusted[at]), shown)

    gap_before, gap_after = gap(tests.before, both.gap_before), gap(tests.after, both.gap_after)
    gain, shown = limits(tests.gain, both.gain)
    local = float(tests.gain.local[at])
    # The sum of both gaps, too, is judged by the corrected test, which is made for the typical case.
    sum_local = (
        float(tests.mean.local[pair_index, structure, 0, int(adjusted)])
        if endpoint == 0
        else 1 - max(gap_before.level, gap_after.level)
    )
    narrowing = _narrowing(gain, both.mean_gap(1 - sum_local), gap_before.interval)
    direction = gap_before.sign
    one_sided = both.gap_after(1 - min(2 * float(tests.after.local[at]), 2 * options.alpha))
    margin = (options.margin, options.failure_margin, options.tail_margin)[endpoint]
    equivalence = both.gain(1 - 2 * options.alpha)
    hidden = ENDPOINTS[endpoint] is Endpoint.HARDEST and bool(tests.hidden[structure])
    levelling, levels_down = None, False
    if isinstance(both, _Scores) and direction:
        levelling = both.sum_of_gains(direction, 1 - min(2 * local, 2 * options.alpha))
        smaller = abs(gap_after.interval.estimate) < abs(gap_before.interval.estimate)
        towards = shown and sign(gain.estimate) == direction
        outweighs = levelling.high <= 0 and both.loss_outweighs(direction, 1 - options.alpha)
        levels_down = gap_before.shown and towards and smaller and outweighs
    single = both if isinstance(both, _Scores) and not adjusted else None  # stratum, whose means are told
    return GainRow(
        attribute=grouping.name,
        first=grouping.group_name(pair.first),
        second=grouping.group_name(pair.second),
        structure=cohort.structures[structure],
        endpoint=ENDPOINTS[endpoint],
        n_first=both.sizes[0],
        n_second=both.sizes[1],
        gap_before=gap_before,
        gap_after=gap_after,
        gain=gain,
        level=1 - local,
        p=float(tests.gain.p[at]),
        p_adjusted=float(tests.gain.adjusted[at]),
        shown=shown,
        narrowing=narrowing,
        reverse_bound={1: -one_sided.low, -1: one_sided.high}.get(direction, float("nan")),
        equivalence=equivalence,
        margin=margin,
        inside=-margin <= equivalence.low and equivalence.high <= margin and not hidden,
        levelling=levelling,
        levels_down=levels_down,
        mean_gain=None if single is None else single.mean_gain(_MEAN_LEVEL),
        mean_gaps=None if single is None else single.mean_gaps(1 - 2 * options.alpha),
        adjusted=adjusted,
        contrary=isinstance(both, _Scores) and both.contrary(gain.estimate, margin),
        still_behind=isinstance(both, _Scores) and both.still_behind(gain.estimate, margin),
        passed=endpoint == ENDPOINTS.index(Endpoint.HARDEST)
        and isinstance(both, _ShareChange)
        and both.sunk(gain.estimate, options.margin) <= margin / 2,
        own_loss=both.loses(gain.estimate, 1 - options.alpha),
        hidden=hidden,
    )


def _narrowing(gain: Interval, mean: Interval, before: Interval) -> Interval:
    """Return |gap before| - |gap after| = +-min(|difference|, |sum|) of both gaps, with limits.

    The difference of the gaps is the gain, their sum twice the gap of the mean score (exactly so for shifts).
    The gap narrows where both have one sign. By the limits of both, and never by more than there was.
    """

    def narrowed(difference: float, total: float) -> float:
        return float(np.sign(difference) * np.sign(total) * min(abs(difference), abs(total)))

    corners = [narrowed(difference, 2 * total) for difference in gain[1:] for total in mean[1:]]
    if gain.low <= 0 <= gain.high or mean.low <= 0 <= mean.high:
        corners.append(0.0)
    most = max(abs(before.low), abs(before.high))
    estimate = min(narrowed(gain.estimate, 2 * mean.estimate), abs(before.estimate))
    low, high = min([*corners, most]), min(max(corners), most)
    return Interval(estimate, min(low, estimate), max(high, estimate))


class _Scores:
    """The typical case: gaps and gains as shifts, in each stratum of the first group and of the second."""

    def __init__(self, before: Floats, after: Floats, members: Members, strata: Sequence[Integers]) -> None:
        self._groups = _in_strata(~np.isnan(before), members, strata)
        self.sizes = _sizes(self._groups)
        self._gains = gains = (after - before).round(10)
        self._before, self._after = before, after
        self.gain = _shift([(gains[two], gains[one]) for one, two in self._groups]).limits
        self.gap_before, self.gap_after, self.mean_gap = (
            _shift([(values[one], values[two]) for one, two in self._groups]).limits
            for values in (before, after, (before + after) / 2)
        )

    def mean_gain(self, level: float) -> Interval:
        """Return the mean gain of the second group minus that of the first, of a single stratum (Welch)."""
        ((first, second),) = self._groups
        one, two = self._gains[first], self._gains[second]
        return welch_limits(two, one, level)

    def mean_gaps(self, level: float) -> tuple[Interval, Interval]:
        """Return by how much the mean of the second group was lower, and is, of a single stratum (Welch)."""
        ((first, second),) = self._groups
        before, after = (
            welch_limits(scores[first], scores[second], level) for scores in (self._before, self._after)
        )
        return before, after

    def sum_of_gains(self, direction: int, level: float) -> Interval:
        """Return the gain of the group behind plus that of the group ahead."""
        pairs = [pair[::-direction] for pair in self._groups]
        return _shift([(self._gains[behind], -self._gains[ahead]) for behind, ahead in pairs]).limits(level)

    def loss_outweighs(self, direction: int, level: float) -> bool:
        """Return whether the group ahead is shown to have lost, and no less than the group behind gained.

        Means count too: a minority that gained much, of either group, is in no median.
        """
        ahead, behind = (self._gains_of(step) for step in (direction, -direction))
        loss = signed_rank_limits(ahead, level)
        rose = ahead.mean() > _CHANCE * ahead.std(ddof=1) / ahead.size**0.5
        return bool(loss.high < 0 and behind.mean() <= -loss.estimate and not rose)

    def _gains_of(self, step: int) -> Floats:
        """Return the gains of the first group, or for -1 of the second."""
        return np.asarray(self._gains[np.concatenate([pair[::step][0] for pair in self._groups])])

    def contrary(self, gain: float, margin: float) -> bool:
        """Return whether the mean gains differ the other way, by more than chance and half of the margin."""
        mean, chance = self._second_less_first(self._gains)
        return mean * gain < 0 and abs(mean) > max(margin / 2, chance)

    def still_behind(self, gain: float, margin: float) -> bool:
        """Return whether who gained more was behind in the mean, by more than the margin, and is, by less."""
        lead, chance = self._second_less_first(self._before)
        lead_now = self._second_less_first(self._after)[0]
        turn = -1 if gain > 0 else 1
        return max(margin, chance) < turn * lead and 0 < turn * lead_now < turn * lead

    def _second_less_first(self, values: Floats) -> tuple[float, float]:
        """Return the difference of the groups' means, pooled over strata, and how far chance moves it."""
        pairs = [(values[one], values[two]) for one, two in self._groups]
        weights = np.array([one.size * two.size / (one.size + two.size) for one, two in pairs])
        weights /= weights.sum()
        mean = float(weights @ [two.mean() - one.mean() for one, two in pairs])
        variances = [one.var(ddof=1) / one.size + two.var(ddof=1) / two.size for one, two in pairs]
        return mean, _CHANCE * float(weights**2 @ variances) ** 0.5

    def loses(self, gain: float, level: float) -> bool:
        """Return whether the group that gained less is shown to have lost."""
        return signed_rank_limits(self._gains_of(-1 if _gained_less(gain) else 1), level).high < 0


class _ShareChange:
    """Failures or the hardest tenth: gaps and gains as differences of shares, likewise."""

    def __init__(
        self, before: Floats, after: Floats, marks: Floats, members: Members, strata: Sequence[Integers]
    ) -> None:
        groups = _in_strata(~np.isnan(before), members, strata)
        self._marks = [[tuple(model[group] > 0 for group in pair) for pair in groups] for model in marks]
        self._gains = [np.concatenate([(after - before)[pair[side]] for pair in groups]) for side in (0, 1)]
        self.sizes = _sizes(groups)
        self._weights = np.array([one.size * two.size / (one.size + two.size) for one, two in groups])
        self.gap_before, self.gap_after = (partial(self._gap, model) for model in (0, 1))
        # Scores that are all the same leave nothing to be uncertain about.
        self._unchanged = not any((after - before)[group].round(9).any() for pair in groups for group in pair)

    def gain(self, level: float) -> Interval:
        if self._unchanged:
            return Interval(0.0, 0.0, 0.0)
        # Of a share that fails a rise is a loss: the second group gained more where the first's rose more.
        first, second = (
            pooled_share_limits(
                [(one[group], two[group]) for one, two in zip(*self._marks, strict=True)],
                self._weights,
                level,
            )
            for group in (0, 1)
        )
        return difference_of(first, second)

    def mean_gap(self, level: float) -> Interval:
        """Return the mean of both gaps, with limits that are at least wide enough."""
        pairs = zip(self.gap_before(level), self.gap_after(level), strict=True)
        return Interval(*((one + two) / 2 for one, two in pairs))

    def sunk(self, gain: float, margin: float) -> float:
        """Return the share of the group that gained less who are newly marked and lost more than a margin."""
        old, new = self._marked_of_less(gain)
        return float((new & ~old & (self._gains[_gained_less(gain)] < -margin)).mean())

    def loses(self, gain: float, _level: float) -> bool:
        """Return whether more of the group that gained less are marked than before."""
        old, new = self._marked_of_less(gain)
        return bool(new.sum() > old.sum())

    def _marked_of_less(self, gain: float) -> list[npt.NDArray[np.bool_]]:
        """Return who of the group that gained less is marked, with the baseline and with the model."""
        side = _gained_less(gain)
        return [np.concatenate([pair[side] for pair in model]) for model in self._marks]

    def _gap(self, model: int, level: float) -> Interval:
        tables = [
            (int(second.sum()), second.size, int(first.sum()), first.size)
            for first, second in self._marks[model]
        ]
        if len(tables) == 1:
            return newcombe(*tables[0], level)
        return StratifiedShares(tables).limits(level)


def _gained_less(gain: float) -> int:
    """Return the place of the group that gained less: 0 for the first of a pair, 1 for the second."""
    return 0 if gain > 0 else 1


def _in_strata(
    known: npt.NDArray[np.bool_], members: Members, strata: Sequence[Integers]
) -> list[tuple[Integers, Integers]]:
    """Return the subjects (indices) of the first and of the second group with scores, of each stratum."""
    one, two = (member & known for member in members)
    return [(stratum[one[stratum]], stratum[two[stratum]]) for stratum in strata]


def _sizes(groups: Sequence[tuple[Integers, Integers]]) -> tuple[int, int]:
    return sum(one.size for one, _ in groups), sum(two.size for _, two in groups)


def _shift(strata: Sequence[tuple[Floats, Floats]]) -> ShiftTest:
    return LocationShift(*strata[0]) if len(strata) == 1 else StratifiedShift(strata)
