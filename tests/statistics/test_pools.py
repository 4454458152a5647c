"""Pools that planned cohorts are drawn from keep their shape where they are moved, at a ceiling too."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fairseg.statistics.planning import detectable_shifts, plan_shift
from fairseg.statistics.pools import DIRECTIONS, Direction, Pools


def groups(kind: str) -> tuple[Any, Any]:
    """Return scores of two groups that differ in shape and centre."""
    rng = np.random.default_rng(11)

    def normal(mean: float, spread: float) -> Any:
        return rng.normal(mean, spread, 200).clip(0, 1)

    if kind == "one at its ceiling":
        return (1 - rng.gamma(1, 0.015, 200)).clip(0, 1), normal(0.93, 0.04)
    if kind == "the second at its ceiling":
        return normal(0.90, 0.05), (1 - rng.gamma(0.5, 0.03, 200)).clip(0, 1)
    if kind == "a mild ceiling":
        return normal(0.95, 0.03), normal(0.90, 0.05)
    if kind == "unequal spread":
        return normal(0.90, 0.02), normal(0.87, 0.06)
    failing = np.where(rng.random(200) < 0.15, 0.3, normal(0.9, 0.03))
    return normal(0.9, 0.03), failing  # "one fails"


KINDS = (
    "one at its ceiling",
    "the second at its ceiling",
    "a mild ceiling",
    "unequal spread",
    "one fails",
)


def share_shown(first: Any, second: Any, shift: float, sizes: tuple[int, int], direction: Direction) -> float:
    """Return the share of 300 cohorts in which SciPy's test shows the shift: ranks know no bounds."""
    second = second + np.median(first[:, None] - second[None])
    second = second - shift if direction == "second worse" else second + shift
    rng, shown = np.random.default_rng(23), 0
    for _ in range(300):
        x, y = rng.choice(first, sizes[0]), rng.choice(second, sizes[1])
        found = stats.brunnermunzel(x, y)  # negative where the first is better
        shown += found.pvalue <= 0.05 and (found.statistic < 0) == (direction == "second worse")
    return shown / 300


@pytest.mark.parametrize(("kind", "direction"), [*product(KINDS, DIRECTIONS)])
def test_groups_of_unlike_shape_have_the_power_that_is_promised(kind: str, direction: Direction) -> None:
    first, second = groups(kind)
    plan = plan_shift(first, second, 0.02, direction=direction)
    sizes = plan.n_first, plan.n_second
    assert 0.75 <= plan.power <= 0.85
    assert 0.73 <= share_shown(first, second, 0.02, sizes, direction) <= 0.87  # SE 2.3 points
    given = detectable_shifts(first, second, 60, 30)[DIRECTIONS.index(direction)]
    assert 0.75 <= given.power <= 0.85
    assert 0.73 <= share_shown(first, second, given.difference, (60, 30), direction) <= 0.87


@pytest.mark.parametrize(("kind", "direction"), [*product(KINDS[:3], DIRECTIONS)])
def test_groups_at_a_ceiling_keep_their_shape_below_it(kind: str, direction: Direction) -> None:
    first, second = groups(kind)
    better, worse = Pools(first, second, (0.0, 1.0)).shifted(0.02, direction)
    assert max(better.max(), worse.max()) <= 1
    kept = (first, second) if direction == "second worse" else (second, first)
    for pool, pilot in zip((better, worse), kept, strict=True):
        np.testing.assert_allclose(np.diff(pool), np.diff(np.sort(pilot)), atol=1e-12)
    assert np.median(better[:, None] - worse[None]) == pytest.approx(0.02)


def test_the_better_group_keeps_its_level_where_there_is_room() -> None:
    first, second = np.linspace(0.8, 0.9, 11), np.linspace(0.6, 0.8, 11)
    better, worse = Pools(first, second, (0.0, 1.0)).shifted(0.02, "second worse")
    np.testing.assert_allclose(better, first)
    np.testing.assert_allclose(worse, second + 0.15 - 0.02)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_miss_stays_a_miss(direction: Direction) -> None:
    """A structure that is missed scores 0 in either group, whatever the others score."""
    rng = np.random.default_rng(4)
    first, second = rng.normal(0.9, 0.03, 100).clip(0, 1), rng.normal(0.8, 0.03, 100)
    first[:10] = second[:20] = 0
    better, worse = Pools(first, second, (0.0, 1.0)).shifted(0.05, direction)
    misses = (10, 20) if direction == "second worse" else (20, 10)
    assert ((better == 0).sum(), (worse == 0).sum()) == misses
    assert Pools(first, first, (0.0, 1.0)).apart == pytest.approx(0, abs=1e-9)


def test_scores_of_which_many_are_at_the_most_are_refused() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(0.9, 0.02, (2, 100))
    first[:50] = second[:30] = 1
    with pytest.raises(ValueError, match=r"got 50% of the first group and 30% of the second"):
        Pools(first, second, (0.0, 1.0))
    assert Pools(first.round(2), second.round(2), (0.0, 1.0)).step == pytest.approx(0.01)
