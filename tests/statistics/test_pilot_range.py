"""What a pilot leaves open: limits that hold the truth about as often as they say."""

from typing import Any

import numpy as np
import pytest

from fairseg.statistics.pilot_range import pilot_limits
from fairseg.statistics.planning import SampleSizes, assumed_scores, plan_shift
from fairseg.statistics.pools import Direction, Pools

SPREADS = {"alike": (0.03, 0.03), "unequal": (0.02, 0.06)}


def pilot(kind: str, sizes: tuple[int, int], seed: int) -> tuple[Any, Any]:
    rng, (one, two) = np.random.default_rng(seed), SPREADS[kind]
    return rng.normal(0.7, one, sizes[0]), rng.normal(0.65, two, sizes[1])


def expected(pools: Pools, shift: float, sizes: tuple[int, int], direction: Direction) -> float:
    effect, terms = pools.effect(shift, *sizes, direction)
    return effect / float(np.sqrt(sum(terms)))


@pytest.mark.parametrize("kind", SPREADS)
def test_limits_hold_the_truth_in_about_as_many_pilots_as_stated(kind: str) -> None:
    """The truth is the factor from a pilot's test statistic to that of the groups themselves."""
    truth = Pools(*pilot(kind, (3000, 3000), 1), (0.0, 1.0))
    plan, held = SampleSizes("typical", "second worse", 0.02, 60, 60, 0.8, 0.05), []
    for seed in range(60):
        first, second = pilot(kind, (54, 30), 100 + seed)
        limits = pilot_limits(first, second, plan, seed=seed)
        own = Pools(first, second, (0.0, 1.0))
        factor = np.divide(*(expected(one, 0.02, (60, 60), "second worse") for one in (own, truth)))
        held.append(limits.low <= factor <= limits.high)
    assert 0.7 <= np.mean(held) <= 0.99  # 80%, SE 5 points; wider than needed where groups are alike


def test_a_larger_pilot_leaves_less_open() -> None:
    widths = []
    for number in (20, 80, 320, 2000):
        pool = assumed_scores(0.9, 0.05, number=number)
        limits = pilot_limits(pool, pool, plan_shift(pool, pool, 0.02))
        assert limits.low < 1 < limits.high
        widths.append(np.log(limits.high / limits.low))
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


@pytest.mark.parametrize(("first", "second", "share"), [(0.9, 0.7, 0.0), (0.97, 0.9, 0.2)])
def test_scores_that_would_pass_the_bound_are_counted(first: float, second: float, share: float) -> None:
    """The second group's scores spread over 0.2: at the level of the first a fifth passes 1, or none."""
    one, two = np.linspace(first - 0.01, first + 0.01, 100), np.linspace(second - 0.05, second + 0.05, 100)
    plan = SampleSizes("typical", "second worse", 0.0001, 50, 50, 0.8, 0.05)
    assert pilot_limits(one, two, plan).at_bound == pytest.approx(share, abs=0.02)
