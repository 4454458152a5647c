"""The tests of two groups among subjects of the same stratum, such as of one scanner, pooled over strata.

`location_shift` and `two_samples` are the case of one stratum. A stratum of n and m subjects has the weight
n m / (n + m): that of Mantel and Haenszel for shares, and nearly van Elteren's for ranks.

Ranks: where effects of strata differ, the pooled effect also depends on how many subjects happen to fall into
each. Without the variance of that, two strata whose gaps are opposite and separate well, which leaves each
without a variance of its own, would show a gap in the direction of the stratum that has more subjects.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats
from fairseg.statistics.batches import allocation_factor
from fairseg.statistics.limits import Interval
from fairseg.statistics.location_shift import LocationShift
from fairseg.statistics.permutation import stratified_fisher
from fairseg.statistics.shift_limits import ShiftTest, one_directional
from fairseg.statistics.two_samples import (
    BrunnerMunzel,
    Moments,
    newcombe_at,
    newcombe_level,
    times_to_settle_shares,
)

_ROUNDING = 1e-9  # of an effect; strata of different sizes can bring it as near to a half as one likes


class StratifiedShift(ShiftTest):
    """The shift between two groups that strata have in common.

    Attributes:
        test: of Brunner and Munzel, pooled over strata.
        p: of no shift, as `LocationShift.p`.
    """

    def __init__(self, strata: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> None:
        """Compare both groups' values, at least 2 each, in every stratum."""
        self._shifts = [LocationShift(first, second) for first, second in strata]
        sizes = [tuple(np.isfinite(np.asarray(part, dtype=float)).sum() for part in pair) for pair in strata]
        n, m = np.array(sizes, dtype=np.float64).T
        weights = n * m / (n + m)
        self._weights = weights / weights.sum()
        self._chance = self._weights * allocation_factor(n, m) / weights.sum()
        self.pairs = sum(shift.pairs for shift in self._shifts)
        self.exact = all(shift.exact for shift in self._shifts)
        self.few = any(shift.few for shift in self._shifts)
        self.smooth = all(shift.smooth for shift in self._shifts)
        ends = np.array([shift.ends for shift in self._shifts])
        self.ends = float(ends[:, 0].min()), float(ends[:, 1].max())
        effect, se, df = map(float, self._pooled([shift.test[:3] for shift in self._shifts]))
        self.test = BrunnerMunzel(effect, se, df, float(2 * scipy.special.stdtr(df, -abs(effect - 0.5) / se)))
        sign = 1 if effect > 0.5 else -1
        beside = self._pooled([shift.beside_zero(sign) for shift in self._shifts])
        self.p = max(self.test.p, one_directional(beside, sign))

    @cached_property
    def estimate(self) -> float:  # type: ignore[override]
        """The shift first - second at which the pooled effect is a half: Hodges-Lehmann's within strata."""
        return self._middle(lambda shift: np.asarray(self.at(shift)[0]), _ROUNDING)

    def at(self, shift: npt.ArrayLike) -> Moments:
        """Return pooled effect, standard error and degrees of freedom of first - shift against second."""
        return self._pooled([one.at(shift) for one in self._shifts])

    def differences(self, low: float, high: float) -> Floats:
        """Return the differences of two subjects of a stratum at which the test changes at once, rising."""
        return np.unique(np.concatenate([one.differences(low, high) for one in self._shifts]))

    def _pooled(self, tests: Sequence[Moments]) -> Moments:
        effects, errors, freedom = np.moveaxis(np.array(tests), 1, 0)  # (strata, ...) each
        effect = np.tensordot(self._weights, effects, 1)
        variances = (errors.T * self._weights).T ** 2
        total = variances.sum(axis=0) + np.tensordot(self._chance, (effects - effect) ** 2, 1)
        return effect, np.sqrt(total), total**2 / (variances**2 / freedom).sum(axis=0)


class StratifiedShares:
    """The difference of two groups' shares that strata have in common.

    Attributes:
        p: exact, given how many are marked in each stratum.
        decisive_p: the level at which the limits reach zero, or p if that is larger.
        estimate: the Mantel-Haenszel difference, first minus second.
    """

    def __init__(self, strata: Sequence[tuple[int, int, int, int]]) -> None:
        """Compare in each stratum: marked and all subjects of the first group, and of the second."""
        k, n, other, m = np.array(strata, dtype=np.float64).T
        weights = n * m / (n + m)
        weights /= weights.sum()
        totals = [float(1 / (weights**2 / size).sum()) for size in (n, m)]  # as large as if unstratified
        counts = [
            np.array([float(weights @ (count / size)) * total])
            for count, size, total in zip((k, other), (n, m), totals, strict=True)
        ]
        self._table = counts[0], counts[1], totals[0], totals[1]
        self.estimate = float(weights @ (k / n - other / m))
        margins = [(one, two, a + b) for a, one, b, two in strata]
        self.p = stratified_fisher(sum(row[0] for row in strata), margins)
        self.decisive_p = max(self.p, float(newcombe_level(*self._table)[0]))

    def limits(self, level: float = 0.95) -> Interval:
        """Return the difference with Newcombe's limits for samples of the strata's effective size."""
        limits = newcombe_at(*self._table, float(scipy.special.ndtri(0.5 + level / 2)))
        return Interval(self.estimate, float(limits[1][0]), float(limits[2][0]))

    def limits_at(self, levels: Sequence[float]) -> list[Interval]:
        """Return the same of each of several levels."""
        return [self.limits(level) for level in levels]

    def times_to_settle(self, margin: float, alpha: float) -> float:
        """Return how many times as many subjects like these would settle whether it is within a margin."""
        first, second, *totals = (float(np.squeeze(part)) for part in self._table)
        return times_to_settle_shares(first, totals[0], second, totals[1], margin, alpha)
