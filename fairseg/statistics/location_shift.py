"""The shift between two groups: Hodges and Lehmann's estimate, with limits by Brunner and Munzel's test.

The limits are the shifts that the test does not reject. Test and effect change only where a difference of two
subjects is passed, so estimate and limits are such differences (or the middle of two), to the last digit:
what most subjects have in common is 0.0 exactly, and a loss of 0.02 in everybody is 0.02. Values that were
rounded are the exception: a grid that is fine beside their spread, on which no value is common. Between two
shifts that differ by a step of the grid the test is then interpolated, as medians of grouped data are.

A shift whose limits end at exactly 0 is not shown, however small the test's p-value: of gains that are 0 in
most subjects and large in some, the typical one has not moved. `LocationShift.p` says so.
"""

from collections.abc import Callable
from functools import cache, cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.limits import Interval
from fairseg.statistics.two_samples import (
    DECIMALS,
    Spread,
    check_level,
    moments_of,
    ordered_values,
    pooled_moments,
    shares_below,
    tested,
)

_BESIDE = 0.25 * 10.0**-DECIMALS  # of a difference: no other lies between
_COARSE = 3e-6  # of the range that is searched, before differences are looked at one by one
_INTERPOLATED = DECIMALS - 1  # decimals of limits that no difference gives
_LEAST_LEVELS = 6  # values, below which they are levels and not rounded scores
_WIDEST_STEP = 0.5  # of the inter-quartile range
_MOST_COMMON, _PEAKED = (
    0.5,
    3.0,
)  # share of one value; times that which a step has of the inter-quartile range
_BY_CHANCE = 3  # subjects with one value, as happens on the finest grid
_MOST_LISTED = 100_000  # differences of pairs, above which counting beats sorting
_LOPSIDED, _LARGE = 16, 1000  # times the smaller group, subjects: a larger group is counted, not looked up

Side = Literal["left", "right"]
Moments = tuple[float, float, float]  # effect, standard error, degrees of freedom


def hodges_lehmann_limits(first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Estimate how far the values of one group lie above those of the other.

    Args:
        first: one value a subject, (N,), at least 2; NaN is left out.
        second: the same for the other group.
        level: of the limits, two-sided.

    Returns:
        The Hodges-Lehmann shift first - second, which is the median of all differences, and the smallest and
        largest shift that `brunner_munzel` does not reject; in the values' unit. Limits exclude 0 exactly
        where `LocationShift.p` is at most 1 - level. Many differences are counted: memory is O(N).

    Raises:
        ValueError: a group has fewer than 2 values, or level is not between 0 and 1.

    >>> shift = hodges_lehmann_limits([0.95, 0.93, 0.91, 0.90], [0.92, 0.89, 0.88, 0.87])
    >>> [round(value, 3) for value in shift]
    [0.03, -0.01, 0.07]
    """
    return LocationShift(first, second).limits(level)


class LocationShift:
    """The shift between two groups, made once for limits of several levels.

    Attributes:
        test: `brunner_munzel` of the two groups.
    """

    def __init__(self, first: npt.ArrayLike, second: npt.ArrayLike) -> None:
        self._x, self._y = ordered_values("first", first), ordered_values("second", second)
        self.test = tested(self._x, self._y)
        self._values = np.unique(self._x), np.unique(self._y)
        self._span = float(max(self._x[-1], self._y[-1]) - min(self._x[0], self._y[0]))
        self._half = rounding_step(self._x, self._y) / 2
        self._sums = tuple(np.concatenate([[0.0], np.cumsum(sample)]) for sample in (self._x, self._y))
        sizes = self._x.size, self._y.size
        self._large = int(sizes[1] > sizes[0])
        self._counted = None
        if self._span and max(sizes) >= max(_LARGE, _LOPSIDED * min(sizes)):
            self._counted = np.unique((self._x, self._y)[self._large], return_counts=True)

    @cached_property
    def estimate(self) -> float:
        """The Hodges-Lehmann shift first - second: the middle of the shifts at which the effect is a half."""
        if not self._span:
            return 0.0
        pairs = self._x.size * self._y.size
        if not self._half and pairs <= _MOST_LISTED:
            return float(np.round(np.median(np.subtract.outer(self._x, self._y)), DECIMALS + 2))
        return middle_shift(self._effect, self.ends, 0.25 / pairs, self.differences, exact=self.exact)

    @cached_property
    def p(self) -> float:
        """The two-sided p-value of no shift; limits exclude 0 exactly where it is 1 - level at most.

        That of the test, or, if that is larger, of the shifts next to 0 in the direction of the effect.
        """
        sign = 1 if self.test.effect > 0.5 else -1
        return max(self.test.p, one_directional(self.beside_zero(sign), sign))

    @property
    def exact(self) -> bool:
        """Whether estimate and limits are differences of subjects, not interpolated between them."""
        return not self._half

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest shift that could be asked for: the groups do not overlap there."""
        beyond = 2 * self._half + _BESIDE
        return float(self._x[0] - self._y[-1]) - beyond, float(self._x[-1] - self._y[0]) + beyond

    def limits(self, level: float = 0.95) -> Interval:
        """Return the shift with its limits of this two-sided level."""
        check_level(level)
        if not self._span:
            return Interval(0.0, 0.0, 0.0)
        apart = self.p <= 1.0 - level
        return invert(
            self.at, self.estimate, self.ends, 1.0 - level, self.differences, apart=apart, exact=self.exact
        )

    def times_to_settle(self, margin: float, alpha: float) -> float:
        """Return how many times as many subjects like these would settle whether it is within a margin."""
        return times_to_settle(self.at, self.estimate, margin, alpha)

    def differences(self, low: float, high: float) -> Floats:
        """Return the differences of two subjects in a range at which the test changes at once, rising."""
        if self._half:
            return np.empty(0)
        few, many = sorted(self._values, key=len)
        turned = few is self._values[1]  # then what is sought is y in the range of x - shift
        span = (few + low, few + high) if turned else (few - high, few - low)
        start, stop = many.searchsorted(span[0]), many.searchsorted(span[1], "right")
        near = stop - start
        place = np.repeat(start - np.cumsum(near) + near, near) + np.arange(near.sum())
        found = many[place] - np.repeat(few, near)
        return np.unique(np.round(found if turned else -found, DECIMALS))

    def at(self, shift: float) -> Moments:
        """Return effect, standard error and degrees of freedom of first - shift against second."""
        if self._counted is None:
            return moments_of(self._share_below(1, self._x - shift), self._share_below(0, self._y + shift))
        if self._large:
            few, many = self._share_below(1, self._x - shift), self._shares_of_large(shift)
            return pooled_moments(Spread.of(few), many)
        few, many = self._share_below(0, self._y + shift), self._shares_of_large(-shift)
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

    def _effect(self, shift: float) -> float:
        if self._counted is not None and not self._large:  # from the few of the second group
            return 1.0 - float(self._share_below(0, self._y + shift).mean())
        return float(self._share_below(1, self._x - shift).mean())

    def _shares_of_large(self, shift: float) -> Spread:
        """Return how the shares of the smaller group below each value of the larger, plus shift, spread.

        Only values within half a step of one of the smaller group's need to be looked up: between these a
        share is a count. So a small group costs what it has, not what all the others have.
        """
        assert self._counted is not None
        values, counts = self._counted
        few = (self._x, self._y)[1 - self._large] - shift
        low, high = values.searchsorted(few - self._half), values.searchsorted(few + self._half, "right")
        near = high - low
        starts = np.repeat(low, near)
        inside = np.unique(starts + np.arange(starts.size) - np.repeat(np.cumsum(near) - near, near))
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
        edges = np.concatenate([points - self._half, points + self._half])
        count = sample.searchsorted(edges, "right")
        area = count * edges - sums[count]
        share = (area[points.size :] - area[: points.size]) / (2 * self._half * sample.size)
        return np.asarray(share)


def times_to_settle(at: Callable[[float], Moments], estimate: float, margin: float, alpha: float) -> float:
    """Return how many times as many subjects like these would settle whether a shift is within a margin.

    Of so many times the subjects the standard error is smaller by the root, and everything else as it is: a
    margin is then settled where the test rejects it, which differs from how far it lies from the estimate
    where scores are lumpy.

    Args:
        at: the test of a shift.
        estimate: the shift of effect 0.5.
        margin: above 0.
        alpha: one-sided.

    Returns:
        At least 1; infinite where the estimate is the margin.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  (slow to import)

    sides = (1.0, -1.0) if abs(estimate) <= margin else (1.0 if estimate > 0 else -1.0,)
    most = 1.0
    for side in sides:
        effect, se, df = at(side * (margin + _BESIDE))
        # The effect of a shift beyond the estimate is below a half.
        apart = (0.5 - effect) * (side if abs(estimate) <= margin else -side)
        needed = float("inf") if apart <= 0 else float((stdtrit(df, alpha) * se / apart) ** 2)
        most = max(most, needed)
    return most


def invert(
    at: Callable[[float], Moments],
    estimate: float,
    ends: tuple[float, float],
    alpha: float,
    differences: Callable[[float, float], Floats],
    *,
    apart: bool,
    exact: bool,
) -> Interval:
    """Return the limits of a shift: where a test of it, which has effect, se and df, stops to accept.

    Args:
        at: the test of a shift.
        estimate: the shift of effect 0.5.
        ends: shifts that are rejected, one on each side.
        alpha: two-sided level of the test.
        differences: the shifts in a range at which the test changes at once.
        apart: whether the test rejects a shift of 0, so that the limits must exclude it.
        exact: whether the test changes at such shifts only.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  (slow to import)

    at = cache(at)  # both limits are sought from the estimate, and `brentq` asks for the ends again

    def limit(sign: float) -> float:
        end = 0.0 if apart and sign * estimate < 0 else ends[int(sign > 0)]

        def excess(shift: float) -> float:
            effect, se, df = at(shift)
            return float(sign * (effect - 0.5) / se - stdtrit(df, alpha / 2))

        return _root(excess, estimate - sign * _BESIDE, end, differences, exact=exact)

    low, high = limit(-1.0), limit(1.0)
    if not apart:
        low, high = min(low, 0.0), max(high, 0.0)
    return Interval(estimate, min(low, estimate), max(high, estimate))


def middle_shift(
    effect: Callable[[float], float],
    ends: tuple[float, float],
    within: float,
    differences: Callable[[float, float], Floats],
    *,
    exact: bool,
) -> float:
    """Return the shift of effect 0.5: the middle of such shifts, if several.

    Args:
        effect: of a shift, falling.
        ends: shifts of effect 1 and 0.
        within: less than any change of the effect.
        differences: the shifts in a range at which the effect changes at once.
        exact: whether it changes at such shifts only.
    """
    effect = cache(effect)  # both are asked for the ends

    def above(shift: float) -> float:
        return effect(shift) - 0.5 + within

    def below(shift: float) -> float:
        return effect(shift) - 0.5 - within

    found = [_root(side, *ends, differences, exact=exact) for side in (above, below)]
    return float(np.round(sum(found) / 2, DECIMALS + 2))


def one_directional(moments: Moments, sign: int) -> float:
    """Return twice the tail beyond an effect on one side of a half, and 1 where it lies on the other."""
    from scipy.special import stdtr  # noqa: PLC0415  (slow to import)

    effect, se, df = moments
    return min(1.0, float(2 * stdtr(df, -sign * (effect - 0.5) / se)))


def rounding_step(first: Floats, second: Floats) -> float:
    """Return the step of a grid to which both groups' values were rounded; 0 where they were not.

    Ties tell of rounding where all values lie on a grid that is fine beside their spread, and no value is
    more common than such a grid makes it: gains of which half are 0 were not rounded to it, nor were scores
    of three levels.
    """
    values = np.unique(np.concatenate([first, second]))
    if not _LEAST_LEVELS <= values.size < first.size + second.size:
        return 0.0
    apart = np.diff(values)
    step = float(apart.min())
    spread = max(float(np.subtract(*np.percentile(part, [75, 25]))) for part in (first, second))
    if step > _WIDEST_STEP * spread:
        return 0.0
    for part in (first, second):
        most = min(_MOST_COMMON * part.size, max(_BY_CHANCE, _PEAKED * step / spread * part.size))
        if np.unique(part, return_counts=True)[1].max() > most:
            return 0.0
    steps = apart / step
    return step if np.abs(steps - np.round(steps)).max() < 1e-3 else 0.0


def _root(
    function: Callable[[float], float],
    start: float,
    end: float,
    differences: Callable[[float, float], Floats],
    *,
    exact: bool,
) -> float:
    """Return where a monotone function between start and end changes its sign; the end, where it does not.

    That is one of the differences where the function jumps, and that one exactly.
    """
    from scipy.optimize import brentq  # noqa: PLC0415  (slow to import)

    if function(start) * function(end) >= 0:
        return round(end, DECIMALS) + 0.0
    tolerance = max(abs(end - start) * _COARSE if exact else 10.0**-DECIMALS, _BESIDE)
    root = float(brentq(function, start, end, xtol=tolerance))
    jumps = differences(root - 2 * tolerance, root + 2 * tolerance)
    way = 1.0 if end > start else -1.0
    jumps = jumps[::-1] if way < 0 else jumps
    positive = function(end) > 0
    first, last = 0, jumps.size
    while first < last:  # the first difference beyond which the sign is that of the end
        middle = (first + last) // 2
        beyond = (function(float(jumps[middle]) + way * _BESIDE) > 0) == positive
        first, last = (first, middle) if beyond else (middle + 1, last)
    if first == jumps.size:
        return round(root, DECIMALS if exact else _INTERPOLATED) or root
    if exact or (function(float(jumps[first]) - way * _BESIDE) > 0) != positive:
        return float(jumps[first]) + 0.0  # never minus zero
    return round(root, _INTERPOLATED) or root
