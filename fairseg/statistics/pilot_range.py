"""How far planned numbers may be off because a pilot is a sample: the pilot is drawn again from itself."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.planning import SampleSizes
from fairseg.statistics.pools import Pools

LEVEL = 0.8  # of the limits
_RESAMPLES = 200
_MOST_SCORES = 300  # of a pool that is drawn again: quantiles stand for more
_MOST_FACTOR = 100.0


@dataclass(frozen=True)
class PilotLimits:
    """What a pilot leaves open of a plan.

    Attributes:
        low: lower 80% limit of the factor by which the difference of the plan may be off.
        high: the upper; infinite above 100. Sizes are off by the square.
        resolved: the difference, or the smallest that the pilot resolves if that is larger.
        at_bound: share of a group's scores at their upper bound, or beyond it at the level of the group that
            is better served.
    """

    low: float
    high: float
    resolved: float
    at_bound: float


def pilot_limits(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    plan: SampleSizes,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
) -> PilotLimits:
    """Return how far a plan for the typical case may be off because the pilot is a sample.

    A difference that is shown with a given power is as many times larger as the test statistic expected of
    these sizes is smaller, and sizes for a given difference go with the square. The limits are percentiles of
    200 bootstrap samples of both groups.

    Args:
        first: scores of the pilot, as in `plan_shift`.
        second: of its second group.
        plan: made from them, with a difference and sizes.
        bounds: as in `plan_shift`.
        seed: of the samples.

    >>> from fairseg.statistics.planning import assumed_scores, plan_shift
    >>> pilot = assumed_scores(0.9, 0.05, number=40)
    >>> limits = pilot_limits(pilot, pilot, plan_shift(pilot, pilot, 0.03))
    >>> 0.6 < limits.low < 1 < limits.high < 1.6, limits.at_bound
    (True, 0.0)
    """
    pools, rng = Pools(first, second, bounds), np.random.default_rng(seed)
    shift = pools.resolved(plan.difference, plan.direction)

    def statistic(of: Pools) -> float:
        effect, terms = of.effect(shift, plan.n_first, plan.n_second, plan.direction)
        floor = (0.5 / (plan.n_first * plan.n_second)) ** 2
        return effect / float(np.sqrt(max(sum(terms), floor)))

    statistics = [
        statistic(pools.of_others(*(_again(pool, rng) for pool in pools.pools))) for _ in range(_RESAMPLES)
    ]
    factors = statistic(pools) / np.maximum(statistics, 1e-9)
    low, high = np.quantile(factors, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    at_bound = max(
        float((pool >= bounds[1]).mean())
        for pool in (*pools.pools, *pools.level(plan.difference, plan.direction))
    )
    return PilotLimits(float(low), float(high) if high < _MOST_FACTOR else np.inf, shift, at_bound)


def _again(pool: Floats, rng: np.random.Generator) -> Floats:
    resample = np.sort(rng.choice(pool, pool.size))
    if pool.size <= _MOST_SCORES:
        return resample
    return np.asarray(np.quantile(resample, (np.arange(_MOST_SCORES) + 0.5) / _MOST_SCORES))
