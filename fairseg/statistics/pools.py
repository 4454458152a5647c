"""Two pools of scores that planned cohorts are drawn from, and the power to show that one lies lower.

`planning` searches these powers for sizes and differences, `pilot_range` asks them of a pilot drawn again.
"""

from copy import copy
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats
from fairseg.metrics.ranks import mid_ranks
from fairseg.statistics.batches import Placements, decisive_p
from fairseg.statistics.two_samples import shares_below

Direction = Literal["second worse", "second better"]
DIRECTIONS: tuple[Direction, Direction] = ("second worse", "second better")

_SIMULATIONS = 2000  # cohorts of each simulated power
_MOST = 4_000_000  # scores drawn for one simulated power
_FORMULA = 500  # subjects of both groups from which the formula is as good as a simulation
_MOST_TIED = 0.05  # probability that two subjects, one of each group, both score exactly the most
_RESOLVED = 2.0  # subjects of the smaller pool that must lie between both places of a shift


class Pools:
    """Two pools, and the power of a test of samples from them, one lower than the other by a shift.

    Each keeps its shape and is moved as a whole: that both can be moved together changes no ranks. Scores at
    the lower bound, of structures that were missed, stay there. At shift 0 each group has the better score
    equally often.
    """

    def __init__(self, first: npt.ArrayLike, second: npt.ArrayLike, bounds: tuple[float, float]) -> None:
        self.bounds = bounds
        pools = [_pool(name, pool, bounds) for name, pool in (("first", first), ("second", second))]
        # Scores of few decimals stand for scores around them: those move by any shift, and are rounded then.
        self.step = _step(np.concatenate(pools))
        highest = [float((pool == bounds[1]).mean()) for pool in pools]
        if not self.step and highest[0] * highest[1] > _MOST_TIED:
            raise ValueError(
                f"fewer scores must be {bounds[1]:g} exactly, got {highest[0]:.0%} of the first group and "
                f"{highest[1]:.0%} of the second, which no shift parts: plan failures instead"
            )
        self.pools: tuple[Floats, Floats] = _spread(pools[0], self.step), _spread(pools[1], self.step)
        self.missed = bounds[0] + self.step / 2
        self.apart = _centre_difference(*self.pools, self.missed)
        both = np.concatenate([self.pools[0], self.pools[1] + self.apart])
        # The largest shift that is looked at: to the lower bound, or past each other where there is none.
        self.span = float(min(both.max() - bounds[0], 4 * np.ptp(both) + 1e-9))

    def of_others(self, first: Floats, second: Floats) -> "Pools":
        """Return the same of other pools, sorted, that were drawn from these."""
        others = copy(self)
        others.pools, others.apart = (first, second), _centre_difference(first, second, self.missed)
        return others

    def level(self, shift: float, direction: Direction) -> tuple[Floats, Floats]:
        """Return the pool of the better served group at its level, and the other's, lower by the shift."""
        if direction == "second worse":
            return self.pools[0], self._lower(self.pools[1], shift - self.apart)
        return self.pools[1], self._lower(self.pools[0], shift + self.apart)

    def moved(self, shift: float, direction: Direction) -> tuple[Floats, Floats]:
        """Return the same, both lower by as much as one of them would pass the upper bound."""
        better, worse = self.level(shift, direction)
        excess = max(0.0, max(better[-1], worse[-1]) - self.step / 2 - self.bounds[1])
        return self._lower(better, excess), self._lower(worse, excess)

    def _lower(self, pool: Floats, by: float) -> Floats:
        return np.where(pool > self.missed, pool - by, pool)

    def shifted(self, shift: float, direction: Direction) -> tuple[Floats, Floats]:
        """Return the same within the bounds, and of as many decimals as the scores have."""
        better, worse = (
            np.clip((pool / self.step).round() * self.step if self.step else pool, *self.bounds)
            for pool in self.moved(shift, direction)
        )
        return better, worse

    def effect(
        self, shift: float, n_first: float, n_second: float, direction: Direction
    ) -> tuple[float, tuple[float, float]]:
        """Return by how much a better score in the better group is likelier than 1/2, and its variances."""
        better, worse = self.shifted(shift, direction)
        above, below = shares_below(better, worse), shares_below(worse, better)
        n_better, n_worse = (n_first, n_second) if direction == "second worse" else (n_second, n_first)
        return float(above.mean()) - 0.5, (float(above.var()) / n_better, float(below.var()) / n_worse)

    def resolved(self, difference: float, direction: Direction) -> float:
        """Return the difference, or the smallest larger shift past two subjects of the smaller pool."""
        needed = min(_RESOLVED / min(pool.size for pool in self.pools), 0.15)
        shift = difference
        while self.effect(shift, 1, 1, direction)[0] < needed and shift < self.span:
            shift *= 1.1
        return shift

    def formula_power(
        self, shift: float, n_first: float, n_second: float, direction: Direction, alpha: float
    ) -> float:
        """Return the power by the noncentral t distribution with the pools' effect and variances."""
        excess, terms = self.effect(shift, n_first, n_second, direction)
        n_better, n_worse = (n_first, n_second) if direction == "second worse" else (n_second, n_first)
        weight = terms[0] ** 2 / max(n_better - 1, 1) + terms[1] ** 2 / max(n_worse - 1, 1)
        df = max(1.0, sum(terms) ** 2 / weight) if weight > 0 else n_better + n_worse - 2.0
        se = np.sqrt(max(sum(terms), (0.5 / (n_better * n_worse)) ** 2))
        effect, critical = excess / se, float(scipy.special.stdtrit(df, 1 - alpha / 2))
        if df > 200 or effect > 30:  # there the normal distribution is as good, and nct may not converge
            return float(scipy.special.ndtr(effect - critical))
        return float(scipy.stats.nct.sf(critical, df, effect))

    def power(
        self, shift: float, n_first: int, n_second: int, direction: Direction, alpha: float, seed: int
    ) -> float:
        """Return the share of cohorts in which the test shows the shift in its direction.

        If both groups are large, the formula gives it.
        """
        if min(n_first, n_second) >= _FORMULA:
            return self.formula_power(shift, n_first, n_second, direction, alpha)

        better, worse = self.shifted(shift, direction)
        n_better, n_worse = (n_first, n_second) if direction == "second worse" else (n_second, n_first)
        cohorts = int(np.clip(_MOST // (n_better + n_worse), 200, _SIMULATIONS))
        rng, shown, remaining = np.random.default_rng(seed), 0, cohorts
        while remaining:
            batch = min(remaining, max(1, 1_000_000 // (n_better + n_worse)))
            x = better[rng.integers(0, better.size, (batch, n_better))]
            y = worse[rng.integers(0, worse.size, (batch, n_worse))]
            ranks = mid_ranks(np.concatenate([x, y], axis=1))
            above = (ranks[:, :n_better] - mid_ranks(x)) / n_worse
            below = (ranks[:, n_better:] - mid_ranks(y)) / n_better
            effect, *variances = above.mean(axis=1), above.var(axis=1, ddof=1), below.var(axis=1, ddof=1)
            sizes = (np.full(batch, float(size)) for size in (n_better, n_worse))
            p = decisive_p([[Placements(effect, *variances, *sizes)]])
            shown += int(((effect > 0.5) & (p <= alpha)).sum())
            remaining -= batch
        return shown / cohorts


def _pool(name: str, values: npt.ArrayLike, bounds: tuple[float, float]) -> Floats:
    pool = np.asarray(values, dtype=np.float64).ravel()
    pool = np.sort(pool[~np.isnan(pool)])
    if pool.size < 5:
        raise ValueError(f"{name} must have at least 5 scores to plan from, got {pool.size}")
    if pool[0] < bounds[0] or pool[-1] > bounds[1]:
        raise ValueError(f"{name} must lie within {bounds}, got {pool[0]:.4g} to {pool[-1]:.4g}")
    return pool


def _step(scores: Floats) -> float:
    """Return the step of scores that are multiples of one and much tied, 0 for others."""
    values = np.unique(scores.round(9))
    if values.size < 2 or values.size > scores.size / 2:
        return 0.0
    step = float(np.diff(values).min())
    multiples = values / step
    return step if np.allclose(multiples, multiples.round(), atol=1e-4) else 0.0


def _spread(pool: Floats, step: float) -> Floats:
    """Return a sorted pool whose equal scores are spread evenly over a step around them."""
    _, starts, counts = np.unique(pool.round(9), return_index=True, return_counts=True)
    among = np.arange(pool.size) - np.repeat(starts, counts)
    return np.asarray(pool + step * ((among + 0.5) / np.repeat(counts, counts) - 0.5))


def _centre_difference(first: Floats, second: Floats, missed: float) -> float:
    """Return the median of the differences first - second (Hodges and Lehmann), of 1,000 quantiles at most.

    Pairs that are both missed are left out: no shift parts them.
    """
    thinned = [
        pool if pool.size <= 1000 else np.quantile(pool, (np.arange(1000) + 0.5) / 1000)
        for pool in (first, second)
    ]
    scored = [pool > missed for pool in thinned]
    differences = thinned[0][:, None] - thinned[1][None]
    return float(np.median(differences[scored[0][:, None] | scored[1][None]]))
