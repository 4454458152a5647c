"""How many subjects a comparison of two groups needs, and what a given cohort can show, in either direction.

For the typical case a formula turns two pools of scores, from a pilot or from assumptions, into the power of
the Brunner-Munzel test at a given shift; simulated cohorts then correct what the formula gets wrong where
groups are small or unequal. For failures the power of Fisher's exact test is summed over all outcomes. The
two directions differ: a gap is seen sooner where it lies towards the longer tail, or in the larger group.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.io.arguments import fits
from fairseg.metrics.fairness import Floats
from fairseg.statistics.batches import fisher_many
from fairseg.statistics.pools import DIRECTIONS, Direction, Pools
from fairseg.statistics.roots import brent

LARGEST = 100_000  # subjects of a group that are tried
_OUTSIDE = 1e-7  # probability of counts that are left out of an exact power, on each side
_TOLERANCE = 2e-12  # of the shape of assumed scores
_SMALLEST_DIFFERENCE = 1e-4  # that is planned for; smaller ones need more subjects than there are
_MOST_UNEQUAL = 1000.0  # subjects of one group to one of the other
_OFF = 0.03  # of the power that is asked for


@dataclass(frozen=True)
class SampleSizes:
    """A comparison of two groups that finds a difference with a stated power, or what it comes to.

    Attributes:
        endpoint: "typical" (a shift of the scores) or "failures" (a difference of shares).
        direction: of the difference, for the second group.
        difference: its size, positive; NaN if none can be shown with this power.
        n_first: subjects of the first group.
        n_second: subjects of the second; both are 0 where no number of subjects is enough.
        power: simulated (typical case) or exact (failures) at this difference and these sizes.
        alpha: two-sided level of the test.
    """

    endpoint: Literal["typical", "failures"]
    direction: Direction
    difference: float
    n_first: int
    n_second: int
    power: float
    alpha: float


# ------------------------------------------------------------------------------------------ typical case
def plan_shift(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    difference: float,
    *,
    direction: Direction = "second worse",
    ratio: float = 1.0,
    power: float = 0.8,
    alpha: float = 0.05,
    bounds: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
) -> SampleSizes:
    """Return the subjects that the Brunner-Munzel test needs to show a shift of one group.

    Args:
        first: pool of scores that the first group is drawn from, (n,): a pilot's, or `assumed_scores`.
        second: the same for the second group. Both keep their shape, and a gap of their own does not count.
        difference: size of the shift that is to be shown, positive, in the scores' unit. Where it is less
            than the pools resolve (fewer than two subjects of the smaller lie between), the sizes are those
            of the smallest shift that they do resolve, times the square of the ratio of both.
        direction: which group has the lower scores. The other keeps its level, unless the lower would pass
            the upper bound.
        ratio: subjects of the first group to one of the second.
        power: probability with which the shift is to be shown.
        alpha: two-sided level of the test: that of one comparison of the page, not of the whole page.
        bounds: of the scores; a score that is shifted below stops there.
        seed: of the simulated cohorts.

    Returns:
        The plan, true of cohorts drawn from these pools. A pilot's pool is a sample itself: `pilot_limits`
        says how far the sizes may be off for that.

    Raises:
        ValueError: a pool has fewer than 5 scores, or a number is out of range; the typical score of the
            group that is worse served would lie below its bound.

    >>> plan = plan_shift(assumed_scores(0.92, 0.03), assumed_scores(0.92, 0.03), 0.02)
    >>> plan.n_first, plan.n_second
    (21, 21)
    """
    pools = Pools(first, second, bounds)
    _check(ratio, difference=difference, power=power, alpha=alpha)
    room = difference + float(np.median(pools.moved(difference, direction)[1])) - bounds[0]
    if difference > room:
        raise ValueError(
            f"difference must be at most {room:.3g}, got {difference:g}: the better served group scores as "
            f"the pools do, and the other so much lower would lie below {bounds[0]:g}"
        )
    shift = pools.resolved(difference, direction)
    farther = (shift / difference) ** 2

    def sizes(number: float) -> tuple[int, int]:
        return max(2, round(number * ratio)), max(2, round(number))

    def formula(number: float) -> float:
        return pools.formula_power(shift, number * ratio, number, direction, alpha)

    def simulated(number: float, batch: int = seed) -> float:
        return pools.power(shift, *sizes(number), direction, alpha, batch)

    fewest, most = max(3.0, 3.0 / ratio), LARGEST / max(1.0, ratio) / farther
    none = SampleSizes("typical", direction, difference, 0, 0, formula(max(most, 2.0)), alpha)
    if most < fewest or none.power < power:
        return none
    number = _smallest(formula, power, fewest, most, geometric=True)
    # Power on the probit scale is nearly straight in the square root of the size.
    root = _probit_step(lambda r: simulated(r * r), power, np.sqrt(number), spread=0.12, runs=4)
    number = max(fewest, root * root)
    reached = simulated(np.ceil(number - 1e-9), seed + 1)
    n_first, n_second = sizes(np.ceil(number * farther - 1e-9))
    if max(n_first, n_second) > LARGEST:
        return none
    return SampleSizes("typical", direction, difference, n_first, n_second, reached, alpha)


def detectable_shifts(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    n_first: int,
    n_second: int,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    bounds: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
) -> tuple[SampleSizes, SampleSizes]:
    """Return the smallest shift that a cohort of these sizes shows, with the second group worse and better.

    Args:
        first: pool of the first group, as in `plan_shift`, also of a shift that the pools do not resolve.
        second: pool of the second.
        n_first: subjects of the first group, at least 2.
        n_second: subjects of the second.
        power: as in `plan_shift`.
        alpha: as in `plan_shift`.
        bounds: as in `plan_shift`.
        seed: as in `plan_shift`.

    Returns:
        One plan a direction; the difference is NaN where even the largest shift is not shown.

    >>> pool = assumed_scores(0.92, 0.03)
    >>> [round(plan.difference, 3) for plan in detectable_shifts(pool, pool, 400, 12)]
    [0.018, 0.022]
    """
    pools = Pools(first, second, bounds)
    _check(power=power, alpha=alpha)
    if min(n_first, n_second) < 2:
        raise ValueError(f"n_first and n_second must be at least 2, got {n_first} and {n_second}")
    return tuple(  # type: ignore[return-value]
        _detectable(pools, n_first, n_second, direction, power, alpha, seed) for direction in DIRECTIONS
    )


def _detectable(
    pools: Pools, n_first: int, n_second: int, direction: Direction, power: float, alpha: float, seed: int
) -> SampleSizes:
    def formula(shift: float) -> float:
        return pools.formula_power(shift, n_first, n_second, direction, alpha)

    def simulated(shift: float, batch: int = seed) -> float:
        return pools.power(shift, n_first, n_second, direction, alpha, batch)

    least = pools.resolved(_SMALLEST_DIFFERENCE, direction)
    if formula(least) >= power:  # fewer subjects show it: the shift goes with the root of their number
        fewer = _smallest(
            lambda part: pools.formula_power(least, n_first * part, n_second * part, direction, alpha),
            power,
            3 / min(n_first, n_second),
            1.0,
            geometric=True,
        )
        sizes = max(2, round(n_first * fewer)), max(2, round(n_second * fewer))
        shift = max(least * np.sqrt(fewer), _SMALLEST_DIFFERENCE)
        reached = pools.power(least, *sizes, direction, alpha, seed + 1)
        return SampleSizes("typical", direction, shift, n_first, n_second, reached, alpha)
    if formula(pools.span) >= power:
        start = _smallest(formula, power, 0.0, pools.span)
    elif simulated(pools.span) >= power:  # the formula is too careful for a handful of subjects
        start = pools.span / 2
    else:
        return SampleSizes("typical", direction, np.nan, n_first, n_second, simulated(pools.span), alpha)
    shift = min(_probit_step(simulated, power, start, spread=0.15, runs=4), pools.span)
    if simulated(shift) < power - _OFF and simulated(pools.span) >= power:  # power rises by leaps
        shift = _smallest(simulated, power, shift, pools.span)
    return SampleSizes("typical", direction, shift, n_first, n_second, simulated(shift, seed + 1), alpha)


def assumed_scores(median: float, iqr: float, *, number: int = 999) -> Floats:
    """Return a pool of Dice-like scores of a given centre and spread: quantiles of a beta distribution.

    Args:
        median: of the scores, between 0 and 1.
        iqr: distance of the quartiles.
        number: of quantiles.

    Raises:
        ValueError: no beta distribution with one peak has this centre and spread.

    >>> pool = assumed_scores(0.9, 0.05)
    >>> round(float(np.median(pool)), 4), round(float(np.subtract(*np.quantile(pool, [0.75, 0.25]))), 3)
    (0.9, 0.05)
    """
    if not 0 < median < 1 or not iqr > 0:
        raise ValueError(f"median must lie between 0 and 1 and iqr above 0, got {median} and {iqr}")

    def shape(total: float) -> tuple[float, float]:
        """Return both parameters of the beta distribution of this sum whose median it is."""
        part = brent(
            lambda share: float(scipy.special.betaincinv(total * share, total * (1 - share), 0.5)) - median,
            1e-9,
            1 - 1e-9,
            _TOLERANCE,
        )
        return total * part, total * (1 - part)

    def excess(log_total: float) -> float:
        low, high = scipy.special.betaincinv(*shape(np.exp(log_total)), (0.25, 0.75))
        return float(high - low - iqr)

    least, most = np.log(2.0), np.log(1e7)
    if excess(least) < 0 or excess(most) > 0:
        raise ValueError(f"no scores between 0 and 1 have median {median} and interquartile range {iqr}")
    a, b = shape(float(np.exp(brent(excess, least, most, _TOLERANCE))))
    return np.asarray(scipy.special.betaincinv(a, b, (np.arange(number) + 0.5) / number))


# ------------------------------------------------------------------------------------------ failures
def failure_power(
    share_first: float, share_second: float, n_first: int, n_second: int, *, alpha: float = 0.05
) -> float:
    """Return the exact power of Fisher's test to show a difference of shares, in its own direction.

    Args:
        share_first: share of the first group's subjects for whom the model fails.
        share_second: the same for the second group.
        n_first: subjects of the first group.
        n_second: subjects of the second.
        alpha: two-sided level of `fisher_exact`.

    Raises:
        ValueError: a share is not between 0 and 1, or a group has no subjects.

    >>> round(failure_power(0.0, 0.2, 54, 30), 3)  # shown from 3 of 30 against none of 54
    0.956
    """
    for name, share in (("share_first", share_first), ("share_second", share_second)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must lie between 0 and 1, got {share}")
    if min(n_first, n_second) < 1:
        raise ValueError(f"n_first and n_second must be at least 1, got {n_first} and {n_second}")
    if share_first > share_second:
        return failure_power(share_second, share_first, n_second, n_first, alpha=alpha)
    k_first, k_second = (
        np.arange(
            int(scipy.stats.binom.ppf(_OUTSIDE, n, share)), int(scipy.stats.binom.isf(_OUTSIDE, n, share)) + 1
        )
        for n, share in ((n_first, share_first), (n_second, share_second))
    )
    one, two = np.meshgrid(k_first, k_second, indexing="ij")
    counts = two.ravel().astype(np.float64)
    ones = np.ones_like(counts)
    p = fisher_many(counts, n_second * ones, n_first * ones, counts + one.ravel()).reshape(two.shape)
    likely = np.outer(
        scipy.stats.binom.pmf(k_first, n_first, share_first),
        scipy.stats.binom.pmf(k_second, n_second, share_second),
    )
    return float(likely[(p <= alpha * (1 + 1e-9)) & (two * n_first > one * n_second)].sum())


def plan_failures(
    share: float,
    difference: float,
    *,
    direction: Direction = "second worse",
    ratio: float = 1.0,
    power: float = 0.8,
    alpha: float = 0.05,
) -> SampleSizes:
    """Return the subjects that Fisher's exact test needs to show a difference of failures.

    Args:
        share: share of failures in the group that is better served.
        difference: by which the other group's share is higher.
        direction: which group has the higher share.
        ratio: subjects of the first group to one of the second.
        power: probability with which the difference is to be shown.
        alpha: two-sided level of one comparison.

    Raises:
        ValueError: share + difference is above 1, or a number is out of range.

    >>> plan = plan_failures(0.02, 0.18)
    >>> plan.n_first, plan.n_second, round(plan.power, 2)
    (52, 52, 0.8)
    """
    _check(ratio, difference=difference, power=power, alpha=alpha)
    if not 0 <= share <= share + difference <= 1:
        raise ValueError(f"share and share + difference must lie within 0 to 1, got {share} and {difference}")
    shares = _shares(share, difference, direction)

    def reached(number: float) -> float:
        sizes = max(1, round(number * ratio)), max(1, round(number))
        return failure_power(*shares, *sizes, alpha=alpha)

    upper = 8.0
    while reached(upper) < power:
        upper *= 2
        if upper * max(ratio, 1) > LARGEST:
            return SampleSizes("failures", direction, difference, 0, 0, reached(upper / 2), alpha)
    number = int(np.ceil(_smallest(reached, power, 1.0, upper, geometric=True)))
    # Exact power moves up and down from size to size: the size must do, and the next two as well.
    while min(reached(number + more) for more in range(3)) < power:
        number += 1
    n_first, n_second = max(1, round(number * ratio)), number
    return SampleSizes("failures", direction, difference, n_first, n_second, reached(number), alpha)


def detectable_failures(
    share: float, n_first: int, n_second: int, *, power: float = 0.8, alpha: float = 0.05
) -> tuple[SampleSizes, SampleSizes]:
    """Return the smallest difference of failures that a cohort shows, with the second group worse and better.

    Args:
        share: share of failures in the group that is better served.
        n_first: subjects of the first group.
        n_second: subjects of the second.
        power: as in `plan_failures`.
        alpha: as in `plan_failures`.

    Returns:
        One plan a direction; the difference is NaN where even failures of everybody are not shown.

    >>> [round(plan.difference, 3) for plan in detectable_failures(0.02, 400, 12)]
    [0.23, 0.325]
    """
    _check(power=power, alpha=alpha)
    if not 0 <= share < 1:
        raise ValueError(f"share must be at least 0 and below 1, got {share}")
    plans = []
    for direction in DIRECTIONS:

        def reached(difference: float, direction: Direction = direction) -> float:
            return failure_power(*_shares(share, difference, direction), n_first, n_second, alpha=alpha)

        most = 1.0 - share
        enough = reached(most) >= power
        difference = _smallest(reached, power, 0.0, most) if enough else np.nan
        shown = reached(difference if enough else most)
        plans.append(SampleSizes("failures", direction, difference, n_first, n_second, shown, alpha))
    return plans[0], plans[1]


def _shares(share: float, difference: float, direction: Direction) -> tuple[float, float]:
    higher = min(share + difference, 1.0)
    return (share, higher) if direction == "second worse" else (higher, share)


# ------------------------------------------------------------------------------------------ search
def _smallest(
    power_at: Callable[[float], float], power: float, low: float, high: float, *, geometric: bool = False
) -> float:
    """Return the smallest argument with this power, by bisection; it is reached at `high`."""
    if power_at(low) >= power:
        return low
    for _ in range(40):
        middle = np.sqrt(low * high) if geometric else (low + high) / 2
        low, high = (middle, high) if power_at(middle) < power else (low, middle)
        if high - low < 1e-4 * high:
            break
    return float(high)


def _probit_step(
    power_at: Callable[[float], float], power: float, start: float, *, spread: float, runs: int
) -> float:
    """Correct an argument by simulated powers at it and a little beyond, straight on the probit scale."""
    aim, argument = float(scipy.special.ndtri(power)), start
    for _ in range(runs):
        near, far = (
            float(scipy.special.ndtri(np.clip(power_at(argument * by), 0.002, 0.998)))
            for by in (1.0, 1.0 + spread)
        )
        slope = max((far - near) / spread, 0.5)
        argument *= 1 + float(np.clip((aim - near) / slope, -0.35, 0.6))
        if abs(aim - near) < 0.05:
            break
    return argument


def _check(ratio: float = 1.0, **numbers: float) -> None:
    for name, value in numbers.items():
        if name == "difference" and not fits(value, lambda number: number >= _SMALLEST_DIFFERENCE):
            raise ValueError(f"difference must be at least {_SMALLEST_DIFFERENCE:g}, got {value!r}")
        if name != "difference" and not fits(value, lambda share: 0 < share < 1):
            raise ValueError(f"{name} must be between 0 and 1, got {value!r}")
    if not fits(ratio, lambda share: 1 / _MOST_UNEQUAL <= share <= _MOST_UNEQUAL):
        raise ValueError(f"ratio must be from {1 / _MOST_UNEQUAL:g} to {_MOST_UNEQUAL:g}, got {ratio}")
