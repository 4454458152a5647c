"""The shift between two groups: Hodges and Lehmann's estimate, with limits by Brunner and Munzel's test.

The limits are the shifts that the test does not reject. Test and effect change only where a difference of two
subjects is passed, so estimate and limits are such differences (or the middle of two), to the last digit:
what most subjects have in common is 0.0 exactly, and a loss of 0.02 in everybody is 0.02. Values that were
rounded are the exception: a grid that is fine beside their spread, on which no value is common. Between two
shifts that differ by a step of the grid the test is then interpolated, as medians of grouped data are.

A shift whose limits end at exactly 0 is not shown, however small the test's p-value: of gains that are 0 in
most subjects and large in some, the typical one has not moved. `LocationShift.p` says so.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.limits import Interval
from fairseg.statistics.shift_limits import BESIDE, FEW, MOST_LISTED, ShiftTest, one_directional
from fairseg.statistics.two_samples import (
    DECIMALS,
    Moments,
    Spread,
    moments_of,
    ordered_values,
    pooled_moments,
    shares_below,
    tested,
)

_LEAST_LEVELS = 6  # values, below which they are levels and not rounded scores
_WIDEST_STEP = 0.5  # of the inter-quartile range
_MOST_COMMON, _PEAKED = (
    0.5,
    3.0,
)  # share of one value; times that which a step has of the inter-quartile range
_BY_CHANCE = 3  # subjects with one value, as happens on the finest grid
_MOST_SORTED = 100_000  # differences of pairs, above which counting beats sorting
_LOPSIDED, _LARGE = 16, 1000  # times the smaller group, subjects: a larger group is counted, not looked up

Side = Literal["left", "right"]


class LocationShift(ShiftTest):
    """How far the values of one group lie above those of the other.

    The estimate is the Hodges-Lehmann shift first - second, which is the median of all differences; limits
    are the smallest and largest shift that `brunner_munzel` does not reject, in the values' unit, and exclude
    0 exactly where `p` is at most 1 - level. Many differences are counted: memory is O(N).

    Attributes:
        test: `brunner_munzel` of the two groups.

    >>> shift = LocationShift([0.95, 0.93, 0.91, 0.90], [0.92, 0.89, 0.88, 0.87])
    >>> [round(value, 3) for value in shift.limits()]
    [0.03, -0.01, 0.07]
    """

    def __init__(self, first: npt.ArrayLike, second: npt.ArrayLike) -> None:
        """Take one value a subject, (N,), at least 2, of both groups; NaN is left out.

        Raises:
            ValueError: a group has fewer than 2 values.
        """
        self._x, self._y = ordered_values("first", first), ordered_values("second", second)
        self.test = tested(self._x, self._y)
        self.pairs = self._x.size * self._y.size
        self._span = float(max(self._x[-1], self._y[-1]) - min(self._x[0], self._y[0]))
        self._half = rounding_step(self._x, self._y) / 2
        self.exact, self.smooth = not self._half, bool(self._half)
        self.few = min(self._x.size, self._y.size) < FEW
        beyond = 2 * self._half + BESIDE
        self.ends = float(self._x[0] - self._y[-1]) - beyond, float(self._x[-1] - self._y[0]) + beyond
        self._sums = tuple(np.concatenate([[0.0], np.cumsum(sample)]) for sample in (self._x, self._y))
        sizes = self._x.size, self._y.size
        self._large = int(sizes[1] > sizes[0])
        self._counted = None
        lopsided = max(sizes) >= max(_LARGE, _LOPSIDED * min(sizes))
        if self._span and lopsided and self.pairs > MOST_LISTED:
            self._counted = np.unique((self._x, self._y)[self._large], return_counts=True)

    @cached_property
    def estimate(self) -> float:  # type: ignore[override]
        """The Hodges-Lehmann shift first - second: the middle of the shifts at which the effect is a half."""
        if not self._span:
            return 0.0
        if self.exact and self.pairs <= _MOST_SORTED:
            return float(np.round(np.median(np.subtract.outer(self._x, self._y)), DECIMALS + 2))
        return self._middle(self._effect, 0.25 / self.pairs)

    @cached_property
    def _values(self) -> tuple[Floats, Floats]:
        return np.unique(self._x), np.unique(self._y)

    @cached_property
    def p(self) -> float:  # type: ignore[override]
        """The two-sided p-value of no shift; limits exclude 0 exactly where it is 1 - level at most.

        It is the larger of the test's and that of the shifts next to 0 in the direction of the effect.
        """
        sign = 1 if self.test.effect > 0.5 else -1
        return max(self.test.p, one_directional(self.beside_zero(sign), sign))

    def limits_at(self, levels: Sequence[float]) -> list[Interval]:
        """Return the shift with its limits of these two-sided levels."""
        return super().limits_at(levels) if self._span else [Interval(0.0, 0.0, 0.0)] * len(levels)

    def differences(self, low: float, high: float) -> Floats:
        """Return the differences of two subjects in a range at which the test changes at once, rising."""
        if self._half:
            return np.empty(0)
        few, many = sorted(self._values, key=len)
        swapped = few is self._values[1]  # then what is sought is y in the range of x - shift
        span = (few + low, few + high) if swapped else (few - high, few - low)
        start, stop = many.searchsorted(span[0]), many.searchsorted(span[1], "right")
        counts = stop - start
        positions = np.repeat(start - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        away = many[positions] - np.repeat(few, counts)
        return np.unique(np.round(away if swapped else -away, DECIMALS))

    def at(self, shift: npt.ArrayLike) -> Moments:
        """Return effect, standard error and degrees of freedom of first - shift against second."""
        shifts = np.asarray(shift)[..., None]
        if self._counted is None:
            return moments_of(self._share_below(1, self._x - shifts), self._share_below(0, self._y + shifts))
        if self._large:
            few, many = self._share_below(1, self._x - shifts), self._shares_of_large(float(shifts[0]))
            return pooled_moments(Spread.of(few), many)
        few, many = self._share_below(0, self._y + shifts), self._shares_of_large(-float(shifts[0]))
        return pooled_moments(many, Spread.of(few))

    def beside_zero(self, sign: int) -> Moments:
        """Return the same of a shift next to 0 on this side: equal values no longer count half."""
        if self._half:
            return self.test[:3]
        sides: tuple[Side, Side] = ("left", "right") if sign > 0 else ("right", "left")
        pairs = (self._x, self._y, sides[0]), (self._y, self._x, sides[1])
        return moments_of(
            *(np.asarray(other.searchsorted(own, side) / other.size) for own, other, side in pairs)
        )

    def _effect(self, shift: npt.ArrayLike) -> Floats:
        shifts = np.asarray(shift)[..., None]
        if self._counted is not None and not self._large:  # from the few of the second group
            return np.asarray(1.0 - self._share_below(0, self._y + shifts).mean(axis=-1))
        return np.asarray(self._share_below(1, self._x - shifts).mean(axis=-1))

    def _shares_of_large(self, shift: float) -> Spread:
        """Return how the shares of the smaller group below each value of the larger, plus shift, spread.

        Only values within half a step of one of the smaller group's need to be looked up: between these a
        share is a count. So a small group costs what it has, not what all the others have.
        """
        assert self._counted is not None
        values, counts = self._counted
        few = (self._x, self._y)[1 - self._large] - shift
        low, high = values.searchsorted(few - self._half), values.searchsorted(few + self._half, "right")
        numbers = high - low
        starts = np.repeat(low, numbers)
        inside = np.unique(starts + np.arange(starts.size) - np.repeat(np.cumsum(numbers) - numbers, numbers))
        weights = np.concatenate([[0], np.cumsum(counts)])
        # By the number of the smaller group that lies below: subjects, without those looked up.
        subjects = np.diff(weights[np.concatenate([[0], high, [values.size]])])
        subjects = subjects - np.bincount(
            high.searchsorted(inside, "right"), counts[inside], minlength=subjects.size
        )
        shares = np.concatenate(
            [np.arange(few.size + 1) / few.size, self._share_below(1 - self._large, values[inside] + shift)]
        )
        return Spread.of(shares, np.concatenate([subjects, counts[inside]]))

    def _share_below(self, which: int, points: Floats) -> Floats:
        """Return the share of a group below these points; rounded values spread over a step."""
        sample, sums = (self._x, self._y)[which], self._sums[which]
        if not self._half:
            return shares_below(points, sample)
        edges = np.stack([points - self._half, points + self._half])
        count = sample.searchsorted(edges, "right")
        area = count * edges - sums[count]
        return np.asarray((area[1] - area[0]) / (2 * self._half * sample.size))


def rounding_step(first: Floats, second: Floats) -> float:
    """Return the step of a grid to which both groups' values were rounded; 0 where they were not.

    Ties tell of rounding where all values lie on a grid that is fine beside their spread, and no value is
    more common than such a grid makes it: gains of which half are 0 were not rounded to it, nor were scores
    of three levels.
    """
    values = np.unique(np.concatenate([first, second]))
    if not _LEAST_LEVELS <= values.size < first.size + second.size:
        return 0.0
    gaps = np.diff(values)
    step = float(gaps.min())
    spread = max(float(np.subtract(*np.percentile(part, [75, 25]))) for part in (first, second))
    if step > _WIDEST_STEP * spread:
        return 0.0
    for part in (first, second):
        most = min(_MOST_COMMON * part.size, max(_BY_CHANCE, _PEAKED * step / spread * part.size))
        if np.unique(part, return_counts=True)[1].max() > most:
            return 0.0
    steps = gaps / step
    return step if np.abs(steps - np.round(steps)).max() < 1e-3 else 0.0
