"""Tests of two groups, and limits of differences of shares, of medians and of centres.

The typical case: Brunner and Munzel (2000) test the relative effect P(X > Y) + P(X = Y) / 2 against a half.
Unlike Mann-Whitney's, the test keeps its level where the groups spread unequally; `location_shift` has the
estimate and the limits that belong to it. Shares: Fisher's exact test and Newcombe's (1998, method 10)
limits. `fairseg.statistics.judgement` corrects these tests over a whole page.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats
from fairseg.statistics.limits import Interval
from fairseg.statistics.roots import Integers, first_positions

DECIMALS = 10  # scores that agree so far are equal: sums in another order differ in the last bits
EQUAL = 1e-7  # relative difference of chances up to which tables are equally likely, as elsewhere
_MOST_DOUBLINGS = 60.0  # of subjects, that could still settle something
_STEPS = 2**26  # of as many doublings, which are a millionth
_NO_SPREAD = 1e-22  # of an effect: a variance of rounding, whose degrees of freedom are chance
_EXACT_UP_TO = 100  # values, above which signed ranks are normal to the third decimal


Moments = tuple[Any, Any, Any]  # effect, standard error, degrees of freedom: numbers, or arrays of one shape


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
        half a pair of subjects, so that p is small but above 0. Where one group has a single value, which the
        other has too, its spread is that of both together: a dozen of whom none differs says little.

    Raises:
        ValueError: a group has fewer than 2 values.

    >>> test = brunner_munzel([0.95, 0.93, 0.91, 0.90], [0.92, 0.89, 0.88, 0.87])
    >>> [round(value, 3) for value in test]
    [0.875, 0.144, 4.8, 0.05]
    """
    return tested(ordered_values("first", first), ordered_values("second", second))


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
    check_level(level)
    x = known_values(values)
    n, means = x.size, x.size * (x.size + 1) // 2
    if not n:
        return Interval(np.nan, np.nan, np.nan)
    tail = (1.0 - level) / 2
    if n <= _EXACT_UP_TO:
        rank = int(np.searchsorted(signed_rank_cdf(n), tail * (1 + 1e-12), "right")) - 1
    else:
        spread = np.sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
        rank = int(np.floor(means / 2 + float(scipy.special.ndtri(tail)) * spread - 0.5))
    middle = (_mean_of_rank(x, (means - 1) // 2) + _mean_of_rank(x, means // 2)) / 2
    if rank < 0:
        return Interval(middle, np.nan, np.nan)
    return Interval(middle, _mean_of_rank(x, rank), _mean_of_rank(x, means - 1 - rank))


def limits_of_median(x: Floats, level: float = 0.95) -> Interval:
    """Return a sample's median with distribution-free limits: order statistics, by binomial probabilities.

    Args:
        x: values in rising order, (N,), without NaN.
        level: of the limits, two-sided; their coverage is at least this for any distribution.

    Returns:
        The median and its limits; NaN without values, and NaN limits below 6 values for 95%.

    >>> limits_of_median(np.arange(1.0, 11.0))
    Interval(estimate=5.5, low=2.0, high=9.0)
    """
    if not x.size:
        return Interval(np.nan, np.nan, np.nan)
    median = float(x[(x.size - 1) // 2] + x[x.size // 2]) / 2
    rank = _limit_rank(x.size, level)
    if rank < 0:
        return Interval(median, np.nan, np.nan)
    return Interval(median, float(x[rank]), float(x[x.size - 1 - rank]))


@lru_cache(maxsize=4096)
def _limit_rank(size: int, level: float) -> int:
    """Return the rank (from 0) of a median's lower limit among so many values; -1 where there is none."""
    below = scipy.special.bdtr(np.arange(size // 2 + 1), size, 0.5)
    return int(np.searchsorted(below, (1.0 - level) / 2 * (1 + 1e-12), "right")) - 1


@lru_cache(maxsize=4096)  # the same counts stand in many rows of a page
def wilson(count: float, total: float, level: float = 0.95) -> Interval:
    """Return a share with Wilson's (1927) limits; counts of weighted strata need not be whole.

    >>> [round(value, 3) for value in wilson(0, 30)]
    [0.0, 0.0, 0.114]
    """
    check_level(level)
    _check_counts(count, total)
    share, low, high = _wilson(np.array([count]), total, float(scipy.special.ndtri(0.5 + level / 2)))
    return Interval(float(share[0]), float(low[0]), float(high[0]))


@lru_cache(maxsize=4096)
def newcombe(
    count_first: int, total_first: int, count_second: int, total_second: int, level: float = 0.95
) -> Interval:
    """Return the difference of two shares, first minus second, with Newcombe's (1998, method 10) limits.

    >>> [round(value, 3) for value in newcombe(6, 10, 0, 30)]
    [0.6, 0.291, 0.832]
    """
    check_level(level)
    _check_counts(count_first, total_first)
    _check_counts(count_second, total_second)
    counts = np.array([count_first]), np.array([count_second])
    limits = newcombe_at(*counts, total_first, total_second, float(scipy.special.ndtri(0.5 + level / 2)))
    return Interval(*(float(value[0]) for value in limits))


def fisher_exact(count_first: int, total_first: int, count_second: int, total_second: int) -> float:
    """Return the two-sided p-value of two shares: of all tables with these margins that are no likelier.

    >>> round(fisher_exact(6, 10, 0, 30), 6)
    5.5e-05
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

    >>> float(share_p_values(10, 30, 6)[6].round(6))  # 6 of 10 against 0 of 30
    5.5e-05
    """
    exact = _fisher(total_first, total_second, marked)
    first = np.arange(marked + 1)
    possible = np.flatnonzero(~np.isnan(exact))
    larger = exact.copy()
    newcombe_p = newcombe_level(first[possible], marked - first[possible], total_first, total_second)
    larger[possible] = np.maximum(exact[possible], newcombe_p)
    larger.setflags(write=False)
    return larger


def newcombe_level(
    first: npt.NDArray[Any], second: npt.NDArray[Any], total_first: float, total_second: float
) -> Floats:
    """Return the two-sided level at which Newcombe's limits reach zero, of many counts, (K,)."""
    low, high = np.zeros(len(first)), np.full(len(first), 40.0)
    for _ in range(50):  # the quantile at which a limit is zero
        middle = (low + high) / 2
        _, below, above = newcombe_at(first, second, total_first, total_second, middle)
        outside = (below > 0) | (above < 0)
        low, high = np.where(outside, middle, low), np.where(outside, high, middle)
    return np.asarray(2 * scipy.special.ndtr(-low))


@lru_cache(maxsize=4096)
def times_to_settle_shares(
    first: float, total_first: float, second: float, total_second: float, margin: float, alpha: float
) -> float:
    """Return how many times as many subjects would settle whether a difference of shares is within a margin.

    If the shares stay as they are, Newcombe's limits of so many times the counts, each one-sided at alpha,
    come to lie within the margin, or beyond it if the difference is larger. They approach the difference with
    the root of the number of subjects, and with the number itself for a share of 0 or 1.

    Returns:
        At least 1; infinite where the difference is the margin.
    """
    counts = np.array([first, second, total_first, total_second], dtype=np.float64)
    z = float(scipy.special.ndtri(1 - alpha))
    excess = abs(first / total_first - second / total_second) - margin

    def settled(step: Integers) -> npt.NDArray[np.bool_]:
        one, two, n, m = counts.reshape(4, 1, 1) * 2.0 ** (step * (_MOST_DOUBLINGS / _STEPS))
        _, low, high = newcombe_at(one, two, n, m, z)
        if excess < 0:
            return np.asarray((-margin <= low) & (high <= margin))
        return np.asarray((low > margin) | (high < -margin))

    at_once, at_last = settled(np.array([[0, _STEPS]]))[0]
    if at_once:
        return 1.0
    if abs(excess) < EQUAL or not at_last:
        return float("inf")
    step = first_positions(settled, [1], [_STEPS])[0]
    return float(2.0 ** (step * (_MOST_DOUBLINGS / _STEPS)))


def log_ways(total: npt.ArrayLike, chosen: npt.ArrayLike) -> Floats:
    """Return the logarithm of the number of ways to choose some of a total."""
    n, k = np.asarray(total), np.asarray(chosen)
    return np.asarray(
        scipy.special.gammaln(n + 1) - scipy.special.gammaln(k + 1) - scipy.special.gammaln(n - k + 1)
    )


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


def no_likelier(chances: Floats) -> Floats:
    """Return of each outcome the chance of all that are no likelier, which is the two-sided p of exact tests.

    >>> no_likelier(np.array([0.1, 0.6, 0.3])).round(6).tolist()
    [0.1, 1.0, 0.4]
    """
    ordered = np.sort(chances)
    upto = np.searchsorted(ordered, chances * (1 + EQUAL), side="right")
    return np.minimum(np.cumsum(ordered)[upto - 1], 1.0)


@lru_cache(maxsize=4096)
def _fisher(total_first: int, total_second: int, marked: int) -> Floats:
    least, chances = hypergeometric(total_first, total_second, marked)
    p_values = np.full(marked + 1, np.nan)
    p_values[least : least + chances.size] = no_likelier(chances)
    p_values.setflags(write=False)
    return p_values


def newcombe_at(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    total_first: float | Floats,
    total_second: float | Floats,
    z: float | Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return differences of shares and their limits at a normal quantile, (K,) each."""
    share, low, high = _wilson(first, total_first, z)
    other, other_low, other_high = _wilson(second, total_second, z)
    difference = share - other
    below = np.sqrt((share - low) ** 2 + (other_high - other) ** 2)
    above = np.sqrt((high - share) ** 2 + (other - other_low) ** 2)
    return difference, difference - below, difference + above


def _wilson(
    count: npt.NDArray[Any], total: float | Floats, z: float | Floats
) -> tuple[Floats, Floats, Floats]:
    share = count / total
    middle = share + z * z / (2 * total)
    half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low, high = ((middle + sign * half) / (1 + z * z / total) for sign in (-1, 1))
    low, high = np.where(count == 0, 0.0, low), np.where(count == total, 1.0, high)  # free of rounding
    return share, low, high


@lru_cache(maxsize=128)
def signed_rank_cdf(size: int) -> Floats:
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
    return float(np.round(high, DECIMALS + 2)) + 0.0  # never minus zero


def shares_below(points: Floats, ordered: Floats) -> Floats:
    """Return the share of a group below each point; values equal to it count half."""
    sides = (np.searchsorted(ordered, points, side) for side in ("left", "right"))
    return np.asarray(sum(sides) / (2.0 * ordered.size))


class Spread(NamedTuple):
    """Placements within the other group: their mean, the sum of squares around it, and how many."""

    mean: Any
    squares: Any
    size: int

    @classmethod
    def of(cls, placements: Floats, subjects: Floats | None = None) -> "Spread":
        """Sum up placements, (..., N), each of one subject or, (N,), of so many."""
        if subjects is None:
            size = placements.shape[-1]
            mean = placements.sum(axis=-1) / size
            away = placements - mean[..., None]
            squares = away @ away if away.ndim == 1 else (away[..., None, :] @ away[..., None])[..., 0, 0]
            return cls(mean, squares, size)
        size = int(subjects.sum())
        mean = float(subjects @ placements) / size
        return cls(mean, float(subjects @ (placements - mean) ** 2), size)


def moments_of(first: Floats, second: Floats) -> Moments:
    """Return effect, standard error and df from each subject's placement within the other group."""
    return pooled_moments(Spread.of(first), Spread.of(second))


def pooled_moments(first: Spread, second: Spread) -> Moments:
    """Return effect, standard error and df from how both groups' placements spread."""
    effect, n, m = first.mean, first.size, second.size
    one, two = first.squares / (n * (n - 1)), second.squares / (m * (m - 1))
    total = one + two
    df = total**2 / np.maximum(one**2 / (n - 1) + two**2 / (m - 1), 1e-300)
    df = np.where(total > _NO_SPREAD, np.maximum(df, 1.0), n + m - 2.0)
    return effect, np.maximum(np.sqrt(total), 0.5 / (n * m)), df


def tested(x: Floats, y: Floats) -> BrunnerMunzel:
    """Return `brunner_munzel` of values in rising order."""
    first, second = Spread.of(shares_below(x, y)), Spread.of(shares_below(y, x))
    if x[0] == x[-1] and y[0] < y[-1] and x[0] in y:
        first = first._replace(squares=_squares_of_both(x, y))
    if y[0] == y[-1] and x[0] < x[-1] and y[0] in x:
        second = second._replace(squares=_squares_of_both(y, x))
    effect, se, df = map(float, pooled_moments(first, second))
    return BrunnerMunzel(effect, se, df, float(2 * scipy.special.stdtr(df, -abs(effect - 0.5) / se)))


def _squares_of_both(own: Floats, other: Floats) -> float:
    """Return the sum of squares that a group's placements would have if it spread as both do together."""
    both = np.sort(np.concatenate([own, other]))
    return float(shares_below(both, both).var(ddof=1)) * (own.size - 1)


def ordered_values(name: str, values: npt.ArrayLike) -> Floats:
    """Return the values that are not NaN in rising order; an error names them if they are fewer than 2."""
    known = known_values(values)
    if known.size < 2:
        raise ValueError(f"{name} must have at least 2 values, got {known.size}")
    return known


def known_values(values: npt.ArrayLike) -> Floats:
    """Return the values that are not NaN in rising order; an infinite one is an error."""
    numbers = np.asarray(values, dtype=np.float64).ravel()
    if np.isinf(numbers).any():
        raise ValueError("values must be finite or NaN, got infinity")
    return np.sort(np.round(numbers[~np.isnan(numbers)], DECIMALS))


def check_level(level: float) -> None:
    """Raise a ValueError unless this is a level of limits."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, got {level}")


def _check_counts(count: float, total: float) -> None:
    if total < 1 or not 0 <= count <= total:
        raise ValueError(f"count must be from 0 to total, and total at least 1, got {count} of {total}")
