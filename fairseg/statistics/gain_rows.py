"""One row of a comparison of models: two groups, one structure, one endpoint, with all limits."""

from collections.abc import Callable

import numpy as np

from fairseg.metrics.fairness import Floats
from fairseg.statistics.gain_findings import GainRow, Gap, sign
from fairseg.statistics.gain_tests import ENDPOINTS, Cohort, Corrected, GainTests, Members
from fairseg.statistics.limits import Interval
from fairseg.statistics.paired_shares import difference_of, paired_share_limits
from fairseg.statistics.two_samples import LocationShift, newcombe, signed_rank_limits


def gain_row(
    cohort: Cohort, model: int, tests: GainTests, place: int, structure: int, endpoint: int
) -> GainRow:
    """Return the row of a pair, given by its place, with limits of the levels at which all rows hold."""
    pair, options, at = cohort.pairs[place], cohort.options, (place, structure, endpoint)
    before, after = cohort.before[model, :, structure], cohort.after[model, :, structure]
    both: _Scores | _Shares
    if endpoint == 0:
        both = _Scores(before, after, cohort.members(pair))
    else:
        both = _Shares(
            before, after, tests.marks[2 * endpoint - 2 : 2 * endpoint, :, structure], cohort.members(pair)
        )

    def limits(table: Corrected, of: Callable[[float], Interval]) -> tuple[Interval, bool]:
        shown = bool(table.adjusted[at] <= options.alpha)
        found = of(1 - float(table.local[at]))
        if not shown:  # limits say no more than the corrected test
            return Interval(found.estimate, min(found.low, 0.0), max(found.high, 0.0)), False
        return found, found.low > 0 or found.high < 0

    def gap(table: Corrected, of: Callable[[float], Interval]) -> Gap:
        found, shown = limits(table, of)
        return Gap(found, 1 - float(table.local[at]), float(table.p[at]), float(table.adjusted[at]), shown)

    gap_before, gap_after = gap(tests.before, both.gap_before), gap(tests.after, both.gap_after)
    gain, shown = limits(tests.gain, both.gain)
    local = float(tests.gain.local[at])
    # The sum of both gaps, too, is judged by the corrected test, which is made for the typical case.
    sum_local = (
        float(tests.mean.local[place, structure, 0])
        if endpoint == 0
        else 1 - max(gap_before.level, gap_after.level)
    )
    narrowing = _narrowing(gain, both.mean_gap(1 - sum_local), gap_before.interval)
    direction = gap_before.sign
    one_sided = both.gap_after(1 - min(2 * float(tests.after.local[at]), 2 * options.alpha))
    margin = (options.margin, options.failure_margin, options.tail_margin)[endpoint]
    equivalence = both.gain(1 - 2 * options.alpha)
    levelling, levels_down = None, False
    if isinstance(both, _Scores) and direction:
        levelling = both.sum_of_gains(direction, 1 - min(2 * local, 2 * options.alpha))
        loses = both.gain_ahead(direction, 1 - options.alpha).high < 0
        levels_down = shown and sign(gain.estimate) == direction and levelling.high <= 0 and loses
    return GainRow(
        attribute=cohort.groupings[pair.attribute].name,
        first=cohort.name(pair.attribute, pair.first),
        second=cohort.name(pair.attribute, pair.second),
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
        inside=-margin <= equivalence.low and equivalence.high <= margin,
        levelling=levelling,
        levels_down=levels_down,
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
    """The typical case: gaps and gains as shifts."""

    def __init__(self, before: Floats, after: Floats, members: Members) -> None:
        known = ~np.isnan(before)
        one, two = (member & known for member in members)
        self.sizes = int(one.sum()), int(two.sum())
        gains, mean = (after - before).round(10), (before + after) / 2
        self._gains = gains[one], gains[two]
        self._gain = LocationShift(gains[two], gains[one])
        self._before, self._after = (
            LocationShift(before[one], before[two]),
            LocationShift(after[one], after[two]),
        )
        self._mean = LocationShift(mean[one], mean[two])

    def gap_before(self, level: float) -> Interval:
        return self._before.limits(level)

    def gap_after(self, level: float) -> Interval:
        return self._after.limits(level)

    def gain(self, level: float) -> Interval:
        return self._gain.limits(level)

    def mean_gap(self, level: float) -> Interval:
        return self._mean.limits(level)

    def sum_of_gains(self, direction: int, level: float) -> Interval:
        """Return the gain of the group behind plus that of the group ahead."""
        ahead, behind = self._gains[::direction]
        return LocationShift(behind, -ahead).limits(level)

    def gain_ahead(self, direction: int, level: float) -> Interval:
        return signed_rank_limits(self._gains[::direction][0], level)


class _Shares:
    """Failures or the hardest tenth: gaps and gains as differences of shares."""

    def __init__(self, before: Floats, after: Floats, marks: Floats, members: Members) -> None:
        groups = [member & ~np.isnan(before) for member in members]
        self._marks = [[model[group] > 0 for group in groups] for model in marks]
        self.sizes = int(groups[0].sum()), int(groups[1].sum())
        # Scores that are all the same leave nothing to be uncertain about.
        self._unchanged = not any((after - before)[group].round(9).any() for group in groups)

    def gap_before(self, level: float) -> Interval:
        return self._gap(0, level)

    def gap_after(self, level: float) -> Interval:
        return self._gap(1, level)

    def gain(self, level: float) -> Interval:
        if self._unchanged:
            return Interval(0.0, 0.0, 0.0)
        # Of a share that fails a rise is a loss: the second group gained more where the first's rose more.
        first, second = (
            paired_share_limits(before, after, level) for before, after in zip(*self._marks, strict=True)
        )
        return difference_of(first, second)

    def mean_gap(self, level: float) -> Interval:
        """Return the mean of both gaps, with limits that are at least wide enough."""
        pairs = zip(self._gap(0, level), self._gap(1, level), strict=True)
        return Interval(*((one + two) / 2 for one, two in pairs))

    def _gap(self, model: int, level: float) -> Interval:
        first, second = self._marks[model]
        return newcombe(int(second.sum()), second.size, int(first.sum()), first.size, level)
