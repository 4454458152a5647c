"""Tests of two groups, and limits that agree with them: a shift, a difference of shares, a median.

The typical case: Brunner and Munzel (2000) test the relative effect P(X > Y) + P(X = Y) / 2 against a half.
Unlike Mann-Whitney's, the test keeps its level where the groups spread unequally. The estimate beside it is
the Hodges-Lehmann shift, with the shifts that the same test does not reject as its limits, so that limits
without zero and a small p-value are one and the same statement. Shares: Fisher's exact test and Newcombe's
(1998, method 10) limits. `fairseg.statistics.page` corrects these tests over a whole page.

Values that are given to few decimals tie. The shift is then interpolated over the step of the values, as
medians of grouped data are: between two shifts that differ by a step the test changes linearly.
"""

import warnings
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.limits import Interval

_DECIMALS = 10  # scores that agree so far are equal: sums in another order differ in the last bits
_SMALLEST_STEP, _LARGEST_STEP = 1e-6, 0.25  # of range, of IQR, over which ties are interpolated
_MOST_LISTED = 100_000  # differences of pairs, above which counting beats sorting
_LOPSIDED, _LARGE = 16, 1000  # times the smaller group, subjects: a larger group is counted, not looked up
_EXACT_UP_TO = 100  # values, above which signed ranks are normal to the third decimal


class BrunnerMunzel(NamedTuple):
    """The test of two groups: effect P(first > second) + P(equal) / 2, its standard error, df, and p."""

    effect: float
    se: float
    df: float
    p: float


def brunner_munzel(first: npt.ArrayLike, second: npt.ArrayLike) -> BrunnerMunzel:
    """Test whether values of one group tend to be larger than those of the other.

    Args:
        first: one value a subject, (N,), at least 2; NaN is left out.
        second: the same for the other group.

    Returns:
        The relative effect, 0.5 if neither group tends to larger values, its standard error, Satterthwaite's
        degrees of freedom, and the two-sided p-value. Where the groups do not overlap, the standard error is
        half a pair of subjects, so that p is small but above 0.

    Raises:
        ValueError: a group has fewer than 2 values.

    >>> test = brunner_munzel([0.95, 0.93, 0.91, 0.90], [0.92, 0.89, 0.88, 0.87])
    >>> [round(value, 3) for value in test]
    [0.875, 0.144, 4.8, 0.05]
    """
    x, y = _ordered("first", first), _ordered("second", second)
    return _test(shares_below(x, y), shares_below(y, x))


def hodges_lehmann_limits(first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Estimate how far the values of one group lie above those of the other.

    Args:
        first: one value a subject, (N,), at least 2; NaN is left out.
        second: the same for the other group.
        level: of the limits, two-sided.

    Returns:
        The Hodges-Lehmann shift first - second, which is the median of all differences, and the smallest and
        largest shift that `brunner_munzel` does not reject; in the values' unit. The limits exclude 0 exactly
        where its p-value is at most 1 - level. Many differences are counted, not listed: memory is O(N).

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
        estimate: the Hodges-Lehmann shift first - second.
    """

    def __init__(self, first: npt.ArrayLike, second: npt.ArrayLike) -> None:
        self._x, self._y = _ordered("first", first), _ordered("second", second)
        self.test = _test(shares_below(self._x, self._y), shares_below(self._y, self._x))
        values = np.unique(np.concatenate([self._x, self._y]))
        span = float(values[-1] - values[0])
        self._span = span
        self._tied = 1 < values.size < self._x.size + self._y.size
        step = float(np.diff(values).min()) if self._tied else 0.0
        middle = float(np.subtract(*np.percentile(np.concatenate([self._x, self._y]), [75, 25])))
        self._half = max(min(step / 2, _LARGEST_STEP * middle), _SMALLEST_STEP * span)
        self._sums = tuple(np.concatenate([[0.0], np.cumsum(sample)]) for sample in (self._x, self._y))
        sizes = self._x.size, self._y.size
        self._large = int(sizes[1] > sizes[0])
        self._counted = None
        if span and max(sizes) >= max(_LARGE, _LOPSIDED * min(sizes)):
            self._counted = np.unique((self._x, self._y)[self._large], return_counts=True)
        self.estimate = self._centre() if span else 0.0

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest shift that could be asked for: the groups do not overlap there."""
        return (
            float(self._x[0] - self._y[-1]) - 2 * self._half,
            float(self._x[-1] - self._y[0]) + 2 * self._half,
        )

    def limits(self, level: float = 0.95) -> Interval:
        """Return the shift with its limits of this two-sided level."""
        _check_level(level)
        if not self._span:
            return Interval(0.0, 0.0, 0.0)
        return invert(self.at, self.estimate, self.ends, 1.0 - level, apart=self.test.p <= 1.0 - level)

    def _centre(self) -> float:
        """Return the shift at which the effect is a half: the middle of such shifts, if several."""
        if not self._tied and self._x.size * self._y.size <= _MOST_LISTED:
            return float(np.median(np.subtract.outer(self._x, self._y)))
        low, high = self.ends
        within = 0.25 / (self._x.size * self._y.size)

        effect = cache(self._effect)  # both are asked for the ends

        def above(shift: float) -> float:
            return effect(shift) - 0.5 + within

        def below(shift: float) -> float:
            return effect(shift) - 0.5 - within

        return sum(_root(side, low, high, self._span * 1e-9) for side in (above, below)) / 2

    def _effect(self, shift: float) -> float:
        if self._counted is not None and not self._large:  # from the few of the second group
            return 1.0 - float(self._share_below(0, self._y + shift).mean())
        return float(self._share_below(1, self._x - shift).mean())

    def at(self, shift: float) -> tuple[float, float, float]:
        """Return effect, standard error and degrees of freedom of first - shift against second."""
        if self._counted is None:
            return _moments(self._share_below(1, self._x - shift), self._share_below(0, self._y + shift))
        if self._large:
            few, many = self._share_below(1, self._x - shift), self._shares_of_large(shift)
            return _pooled(_Spread.of(few), many)
        few, many = self._share_below(0, self._y + shift), self._shares_of_large(-shift)
        return _pooled(many, _Spread.of(few))

    def _shares_of_large(self, shift: float) -> "_Spread":
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
        return _Spread.of(shares, np.concatenate([subjects, counts[inside]]))

    def _share_below(self, which: int, points: Floats) -> Floats:
        """Return the share of a group below these points, each value spread over a step of the values."""
        sample, sums = (self._x, self._y)[which], self._sums[which]
        if not self._span:  # both groups have one value, as in a stratum where all is perfect
            sides = [sample.searchsorted(points, side) for side in ("left", "right")]
            return np.asarray(sum(sides) / (2 * sample.size))
        edges = np.concatenate([points - self._half, points + self._half])
        count = sample.searchsorted(edges, "right")
        area = count * edges - sums[count]
        share = (area[points.size :] - area[: points.size]) / (2 * self._half * sample.size)
        return np.asarray(share)


def invert(
    at: Callable[[float], tuple[float, float, float]],
    estimate: float,
    ends: tuple[float, float],
    alpha: float,
    *,
    apart: bool,
) -> Interval:
    """Return the limits of a shift: where a test of it, which has effect, se and df, stops to accept.

    Args:
        at: the test of a shift.
        estimate: the shift of effect 0.5.
        ends: shifts that are rejected, one on each side.
        alpha: two-sided level of the test.
        apart: whether the test rejects a shift of 0, so that the limits must exclude it.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  (slow to import)

    at = cache(at)  # both limits are sought from the estimate, and `brentq` asks for the ends again

    def limit(sign: float) -> float:
        end = 0.0 if apart and sign * estimate < 0 else ends[int(sign > 0)]

        def excess(shift: float) -> float:
            effect, se, df = at(shift)
            return float(sign * (effect - 0.5) / se - stdtrit(df, alpha / 2))

        return _root(excess, estimate, end, abs(end - estimate) * 3e-6)

    low, high = limit(-1.0), limit(1.0)
    return Interval(estimate, *((low, high) if apart else (min(low, 0.0), max(high, 0.0))))


def welch_limits(
    first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95, trimmed: float = 0.0
) -> Interval:
    """Return the difference of two means, first - second, with Welch's limits, or Yuen's of trimmed means.

    Args:
        first: one value a subject, (N,), at least 2; NaN is left out.
        second: the same for the other group.
        level: of the limits, two-sided.
        trimmed: share of the values that is left out at each end.

    Raises:
        ValueError: a group has fewer than 2 values, or level is not between 0 and 1.

    >>> [round(value, 3) for value in welch_limits([0.95, 0.93, 0.91, 0.90], [0.92, 0.89, 0.88, 0.87])]
    [0.033, -0.005, 0.07]
    """
    from scipy.stats import trim_mean, ttest_ind  # noqa: PLC0415  (slow to import)

    _check_level(level)
    parts = _ordered("first", first), _ordered("second", second)
    estimate = float(np.subtract(*(trim_mean(part, trimmed) for part in parts)))
    if not any(np.ptp(part) for part in parts):
        return Interval(estimate, estimate, estimate)
    with warnings.catch_warnings():  # of a group whose scores are equal but for rounding
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        low, high = ttest_ind(*parts, equal_var=False, trim=trimmed).confidence_interval(level)
    return Interval(estimate, float(low), float(high))


def signed_rank_limits(values: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Estimate the centre of one sample, such as of the gains of a group's subjects.

    Args:
        values: (N,); NaN is left out.
        level: of the limits, two-sided.

    Returns:
        The Hodges-Lehmann centre, which is the median of the means of all pairs of values, and the limits
        that invert Wilcoxon's signed-rank test: exact to 100 values, by its normal approximation above. NaN
        without values; limits are NaN where there are too few values for the level (below 6 for 95%).

    >>> [round(value, 4) for value in signed_rank_limits([0.01, 0.02, 0.03, 0.05, 0.06, 0.08])]
    [0.04, 0.01, 0.08]
    """
    from scipy.special import ndtri  # noqa: PLC0415

    _check_level(level)
    x = _known(values)
    n, means = x.size, x.size * (x.size + 1) // 2
    if not n:
        return Interval(np.nan, np.nan, np.nan)
    tail = (1.0 - level) / 2
    if n <= _EXACT_UP_TO:
        rank = int(np.searchsorted(_signed_rank_cdf(n), tail * (1 + 1e-12), "right")) - 1
    else:
        spread = np.sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
        rank = int(np.floor(means / 2 + float(ndtri(tail)) * spread - 0.5))
    middle = (_mean_of_rank(x, (means - 1) // 2) + _mean_of_rank(x, means // 2)) / 2
    if rank < 0:
        return Interval(middle, np.nan, np.nan)
    return Interval(middle, _mean_of_rank(x, rank), _mean_of_rank(x, means - 1 - rank))


def median_limits(values: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Return a sample's median with distribution-free limits: order statistics, by binomial probabilities.

    Args:
        values: (N,); NaN is left out.
        level: of the limits, two-sided; their coverage is at least this for any distribution.

    Returns:
        The median and its limits; NaN without values, and NaN limits below 6 values for 95%.

    >>> median_limits(range(1, 11))
    Interval(estimate=5.5, low=2.0, high=9.0)
    """
    from scipy.special import bdtr  # noqa: PLC0415

    _check_level(level)
    x = _known(values)
    if not x.size:
        return Interval(np.nan, np.nan, np.nan)
    below = bdtr(np.arange(x.size // 2 + 1), x.size, 0.5)
    rank = int(np.searchsorted(below, (1.0 - level) / 2 * (1 + 1e-12), "right")) - 1
    if rank < 0:
        return Interval(float(np.median(x)), np.nan, np.nan)
    return Interval(float(np.median(x)), float(x[rank]), float(x[x.size - 1 - rank]))


def wilson(count: float, total: float, level: float = 0.95) -> Interval:
    """Return a share with Wilson's (1927) limits; counts of weighted strata need not be whole.

    >>> [round(value, 3) for value in wilson(0, 30)]
    [0.0, 0.0, 0.114]
    """
    from scipy.special import ndtri  # noqa: PLC0415

    _check_level(level)
    _check_counts(count, total)
    share, low, high = _wilson(np.array([count]), total, float(ndtri(0.5 + level / 2)))
    return Interval(float(share[0]), float(low[0]), float(high[0]))


def newcombe(
    count_first: int, total_first: int, count_second: int, total_second: int, level: float = 0.95
) -> Interval:
    """Return the difference of two shares, first minus second, with Newcombe's (1998, method 10) limits.

    >>> [round(value, 3) for value in newcombe(6, 10, 0, 30)]
    [0.6, 0.291, 0.832]
    """
    from scipy.special import ndtri  # noqa: PLC0415

    _check_level(level)
    _check_counts(count_first, total_first)
    _check_counts(count_second, total_second)
    counts = np.array([count_first]), np.array([count_second])
    found = newcombe_at(*counts, total_first, total_second, float(ndtri(0.5 + level / 2)))
    return Interval(*(float(value[0]) for value in found))


def fisher_exact(count_first: int, total_first: int, count_second: int, total_second: int) -> float:
    """Return the two-sided p-value of two shares: twice the smaller tail of the hypergeometric distribution.

    >>> round(fisher_exact(6, 10, 0, 30), 5)
    0.00011
    """
    _check_counts(count_first, total_first)
    _check_counts(count_second, total_second)
    marked = count_first + count_second
    return float(_fisher(total_first, total_second, marked)[count_first])


@lru_cache(maxsize=4096)
def share_p_values(total_first: int, total_second: int, marked: int) -> Floats:
    """Return the p-value of every split of `marked` subjects over two groups, (marked + 1,).

    The larger of Fisher's exact p and the level at which Newcombe's limits reach zero, so that no limits
    contradict the p-value. Place k is for k marked subjects in the first group; NaN where that cannot be.

    >>> float(share_p_values(10, 30, 6)[6].round(5))  # 6 of 10 against 0 of 30
    0.00011
    """
    exact = _fisher(total_first, total_second, marked)
    first = np.arange(marked + 1)
    possible = np.flatnonzero(~np.isnan(exact))
    found = exact.copy()
    newcombe_p = newcombe_level(first[possible], marked - first[possible], total_first, total_second)
    found[possible] = np.maximum(exact[possible], newcombe_p)
    found.setflags(write=False)
    return found


def newcombe_level(
    first: npt.NDArray[Any], second: npt.NDArray[Any], total_first: float, total_second: float
) -> Floats:
    """Return the two-sided level at which Newcombe's limits reach zero, of many counts, (K,)."""
    from scipy.special import ndtr  # noqa: PLC0415

    low, high = np.zeros(len(first)), np.full(len(first), 40.0)
    for _ in range(50):  # the quantile at which a limit is zero
        middle = (low + high) / 2
        _, below, above = newcombe_at(first, second, total_first, total_second, middle)
        outside = (below > 0) | (above < 0)
        low, high = np.where(outside, middle, low), np.where(outside, high, middle)
    return np.asarray(2 * ndtr(-low))


def log_ways(total: npt.ArrayLike, chosen: npt.ArrayLike) -> Floats:
    """Return the logarithm of the number of ways to choose some of a total."""
    from scipy.special import gammaln  # noqa: PLC0415

    n, k = np.asarray(total), np.asarray(chosen)
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def hypergeometric(total_first: int, total_second: int, marked: int) -> tuple[int, Floats]:
    """Return the smallest possible number of marked subjects in the first group, and each number's chance.

    >>> hypergeometric(2, 1, 2)  # one or two of the first group's two
    (1, array([0.66666667, 0.33333333]))
    """
    least, most = max(0, marked - total_second), min(marked, total_first)
    first = np.arange(least, most + 1)
    logs = log_ways(total_first, first) + log_ways(total_second, marked - first)
    chances = np.exp(logs - logs.max())
    return least, chances / chances.sum()


@lru_cache(maxsize=4096)
def _fisher(total_first: int, total_second: int, marked: int) -> Floats:
    least, chances = hypergeometric(total_first, total_second, marked)
    tails = np.minimum(np.cumsum(chances), np.cumsum(chances[::-1])[::-1])
    found = np.full(marked + 1, np.nan)
    found[least : least + chances.size] = np.minimum(2 * tails, 1.0)
    found.setflags(write=False)
    return found


def newcombe_at(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    total_first: float,
    total_second: float,
    z: float | Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return differences of shares and their limits at a normal quantile, (K,) each."""
    share, low, high = _wilson(first, total_first, z)
    other, other_low, other_high = _wilson(second, total_second, z)
    difference = share - other
    below = np.sqrt((share - low) ** 2 + (other_high - other) ** 2)
    above = np.sqrt((high - share) ** 2 + (other - other_low) ** 2)
    return difference, difference - below, difference + above


def _wilson(count: npt.NDArray[Any], total: float, z: float | Floats) -> tuple[Floats, Floats, Floats]:
    share = count / total
    middle = share + z * z / (2 * total)
    half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low, high = ((middle + sign * half) / (1 + z * z / total) for sign in (-1, 1))
    low, high = np.where(count == 0, 0.0, low), np.where(count == total, 1.0, high)  # free of rounding
    return share, low, high


@lru_cache(maxsize=128)
def _signed_rank_cdf(size: int) -> Floats:
    """Return the probability of a sum of signed ranks of at most 0, 1, 2, ... among `size` values."""
    chances = np.zeros(size * (size + 1) // 2 + 1)
    chances[0] = 1.0
    for rank in range(1, size + 1):
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    return np.cumsum(chances)


def _mean_of_rank(ordered: Floats, rank: int) -> float:
    """Return the mean of two values that has this rank (from 0) among all pairs, each with itself too."""
    low, high = float(ordered[0]), float(ordered[-1])
    for _ in range(60):
        middle = (low + high) / 2
        pairs = int(np.searchsorted(ordered, 2 * middle - ordered, "right").sum())
        itself = int(np.searchsorted(ordered, middle, "right"))
        low, high = (low, middle) if (pairs + itself) // 2 > rank else (middle, high)
    return float(np.round(high, _DECIMALS + 2))


def shares_below(points: Floats, ordered: Floats) -> Floats:
    """Return the share of a group below each point; values equal to it count half."""
    sides = (np.searchsorted(ordered, points, side) for side in ("left", "right"))
    return np.asarray(sum(sides) / (2.0 * ordered.size))


class _Spread(NamedTuple):
    """Placements within the other group: their mean, the sum of squares around it, and how many."""

    mean: float
    squares: float
    size: int

    @classmethod
    def of(cls, placements: Floats, subjects: Floats | None = None) -> "_Spread":
        """Sum up placements, each of one subject or of so many."""
        if subjects is None:
            mean = float(placements.sum()) / placements.size
            apart = placements - mean
            return cls(mean, float(apart @ apart), placements.size)
        size = int(subjects.sum())
        mean = float(subjects @ placements) / size
        return cls(mean, float(subjects @ (placements - mean) ** 2), size)


def _moments(first: Floats, second: Floats) -> tuple[float, float, float]:
    """Return effect, standard error and df from each subject's placement within the other group."""
    return _pooled(_Spread.of(first), _Spread.of(second))


def _pooled(first: _Spread, second: _Spread) -> tuple[float, float, float]:
    effect, n, m = first.mean, first.size, second.size
    one, two = first.squares / (n * (n - 1)), second.squares / (m * (m - 1))
    total = one + two
    df = total**2 / max(one**2 / (n - 1) + two**2 / (m - 1), 1e-300) if total > 0 else n + m - 2.0
    return effect, max(total**0.5, 0.5 / (n * m)), max(df, 1.0)


def _test(first: Floats, second: Floats) -> BrunnerMunzel:
    from scipy.special import stdtr  # noqa: PLC0415

    effect, se, df = _moments(first, second)
    return BrunnerMunzel(effect, se, df, float(2 * stdtr(df, -abs(effect - 0.5) / se)))


def _root(function: Callable[[float], float], start: float, end: float, tolerance: float) -> float:
    """Return where a monotone function between start and end is zero; the end, where it is not."""
    from scipy.optimize import brentq  # noqa: PLC0415

    if function(start) * function(end) >= 0:
        return end
    return float(brentq(function, start, end, xtol=tolerance))


def _ordered(name: str, values: npt.ArrayLike) -> Floats:
    known = _known(values)
    if known.size < 2:
        raise ValueError(f"{name} must have at least 2 values, got {known.size}")
    return known


def _known(values: npt.ArrayLike) -> Floats:
    numbers = np.asarray(values, dtype=np.float64).ravel()
    if np.isinf(numbers).any():
        raise ValueError("values must be finite or NaN, got infinity")
    return np.sort(np.round(numbers[~np.isnan(numbers)], _DECIMALS))


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, got {level}")


def _check_counts(count: float, total: float) -> None:
    if total < 1 or not 0 <= count <= total:
        raise ValueError(f"count must be from 0 to total, and total at least 1, got {count} of {total}")
