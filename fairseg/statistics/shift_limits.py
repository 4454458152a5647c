"""A shift between two groups from the test of any shift: the estimate, its limits, and what would settle it.

`location_shift` has the shift of two samples, `within_strata` that which strata have in common.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache, cached_property, partial
from itertools import product

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.grouped import Floats
from fairseg.statistics.limits import Interval
from fairseg.statistics.roots import Integers, brent, first_positions, settled_positions
from fairseg.statistics.two_samples import DECIMALS, BrunnerMunzel, Moments, check_level

BESIDE = 0.25 * 10.0**-DECIMALS  # of a difference: no other lies between
_COARSE = 3e-6  # of the range that is searched, before differences are looked at one by one ...
_TOGETHER = 8  # ... or what holds so many if they lay evenly, where that is less
_INTERPOLATED = DECIMALS - 1  # decimals of limits that no difference gives
_STEP = 10.0**-_INTERPOLATED
FEW = 10  # values below which the test of a larger shift can accept what that of a smaller one rejects
# Differences, of subjects, up to which limits are sought by many shifts at once. Of more, limits end where
# the test begins to reject, though of few values it may accept a shift farther out.
MOST_LISTED = 5_000


class ShiftTest(ABC):
    """The shift between two groups, made once for limits of several levels.

    Attributes:
        test: of no shift.
        p: of no shift, two-sided; limits exclude 0 exactly where it is 1 - level at most.
        ends: the smallest and the largest shift that could be asked for: the groups do not overlap there.
        exact: whether estimate and limits are differences of subjects, not interpolated between them.
        smooth: whether no difference of subjects is one.
        pairs: of subjects, one of each group.
        few: whether a group, in a stratum, has fewer than 10 values.
        estimate: the shift first - second at which the effect is a half.
    """

    test: BrunnerMunzel
    p: float
    ends: tuple[float, float]
    exact: bool
    smooth: bool
    pairs: int
    few: bool
    estimate: float

    @abstractmethod
    def at(self, shift: npt.ArrayLike) -> Moments:
        """Return effect, standard error and degrees of freedom of first - shift against second."""

    @abstractmethod
    def differences(self, low: float, high: float) -> Floats:
        """Return the differences of two subjects in a range at which the test changes at once, rising."""

    def limits(self, level: float = 0.95) -> Interval:
        """Return the shift with its limits: between them the test of this two-sided level accepts."""
        return self.limits_at([level])[0]

    def limits_at(self, levels: Sequence[float]) -> list[Interval]:
        """Return the shift with its limits of each of several levels, sought together."""
        for level in levels:
            check_level(level)
        alphas = [1.0 - level for level in levels]
        # Limits that exclude 0 are sought no further than there.
        ends = [
            0.0 if self.p <= alpha and sign * self.estimate < 0 else end
            for alpha in alphas
            for sign, end in zip((-1, 1), self.ends, strict=True)
        ]
        limits = self._listed_limits(alphas, ends) if self._listed else self._sought_limits(alphas, ends)
        intervals = []
        for alpha, low, high in zip(alphas, limits[::2], limits[1::2], strict=True):
            zero = [self.estimate] if self.p <= alpha else [self.estimate, 0.0]
            intervals.append(Interval(self.estimate, min(low, *zero), max(high, *zero)))
        return intervals

    def times_to_settle(self, margin: float, alpha: float) -> float:
        """Return how many times as many subjects like these would settle whether it is within a margin.

        With so many times the subjects the standard error is smaller by the root, and everything else is the
        same: a margin is settled once the test rejects it. Where scores are lumpy, this differs from how far
        the margin lies from the estimate.

        Args:
            margin: above 0.
            alpha: one-sided.

        Returns:
            At least 1; infinite where the estimate is the margin.
        """
        inside = abs(self.estimate) <= margin
        most = 1.0
        for side in (1.0, -1.0) if inside else (1.0 if self.estimate > 0 else -1.0,):
            effect, se, df = map(float, self.at(side * (margin + BESIDE)))
            # The effect of a shift beyond the estimate is below a half.
            distance = (0.5 - effect) * (side if inside else -side)
            needed = (
                float("inf")
                if distance <= 0
                else float((scipy.special.stdtrit(df, alpha) * se / distance) ** 2)
            )
            most = max(most, needed)
        return most

    def _middle(self, effect: Callable[[npt.ArrayLike], Floats], within: float) -> float:
        """Return the shift at which an effect that falls is a half: the middle of such shifts, if several.

        Args:
            effect: of shifts.
            within: less than any change of the effect.
        """
        halves = np.array([[0.5 - within], [0.5 + within]])
        low, high = self.ends
        if self._listed:
            candidate, number, step = self._candidates([low, low], [high, high], np.array([1, 1]))
            below = first_positions(
                lambda position: effect(candidate(position) + step) <= halves, np.zeros(2), number - 1
            )
            shifts = candidate(below[:, None])
        else:
            of_one = cache(lambda shift: float(effect(shift)))  # both are asked for the ends
            shifts = np.array(
                [self._root(lambda shift: of_one(shift) - half, low, high) for half in halves[:, 0]]  # noqa: B023
            )
        return float(np.round(shifts.sum() / 2, DECIMALS + 2))

    @property
    def _listed(self) -> bool:
        return self.pairs <= MOST_LISTED and (self.exact or self.smooth)

    @cached_property
    def _jumps(self) -> Floats:
        """All shifts at which the test changes, of few subjects."""
        return self.differences(self.ends[0], self.ends[1])

    def _candidates(
        self, starts: npt.ArrayLike, ends: npt.ArrayLike, outward: Integers
    ) -> tuple[Callable[[Integers], Floats], Integers, float]:
        """Return shifts that may be limits, by position from a start outward, how many, and a step beyond.

        These are the differences or, where the test changes smoothly, numbers of so many decimals: of these
        the one that is nearest to where the test begins to reject.

        Args:
            starts: of each range, (R,).
            ends: of each range, (R,).
            outward: 1 where shifts rise from the start to the end, and -1 where they fall, (R,).
        """
        start, end = np.asarray(starts, dtype=np.float64), np.asarray(ends, dtype=np.float64)
        if not self.exact:
            inner = np.round(start, _INTERPOLATED)
            number = np.ceil(np.abs(end - inner) / _STEP).astype(np.int64) + 1
            return (
                lambda position: np.round(
                    inner[:, None] + (outward * _STEP)[:, None] * position, _INTERPOLATED
                ),
                number,
                _STEP / 2,
            )
        jumps = self._jumps
        below, above = jumps.searchsorted(start, "right") - 1, jumps.searchsorted(start)
        first = np.where(outward > 0, above, below)
        last = np.where(outward > 0, jumps.searchsorted(end + BESIDE) - 1, jumps.searchsorted(end - BESIDE))
        return (
            lambda position: jumps[np.clip(first[:, None] + outward[:, None] * position, 0, jumps.size - 1)],
            np.maximum(outward * (last - first) + 1, 0),
            BESIDE,
        )

    def _listed_limits(self, alphas: Sequence[float], ends: Sequence[float]) -> list[float]:
        """Return both limits of each level, found among all shifts that may be one.

        With few subjects the test can accept shifts beyond one that it rejects. The limits hold all of them.
        """
        outward, tails = np.tile([-1, 1], len(alphas))[:, None], np.repeat(alphas, 2)[:, None] / 2

        def accepted(shift: Floats) -> npt.NDArray[np.bool_]:
            effect, se, df = self.at(shift)
            return np.asarray(scipy.special.stdtr(df, outward * (effect - 0.5) / se) > tails)

        start = self.estimate - outward[:, 0] * BESIDE
        inside, outside = accepted(np.stack([start, ends], axis=1)).T
        candidate, number, step = self._candidates(start, ends, outward[:, 0])
        number = np.where(inside != outside, number, 0)

        def as_outside(position: Integers) -> npt.NDArray[np.bool_]:
            return np.asarray(accepted(candidate(position) + outward * step) == outside[:, None])

        if self.few and self.exact:
            beyond = settled_positions(as_outside, number)
        else:
            beyond = first_positions(as_outside, np.zeros(len(ends)), number)
        found = (inside != outside) & (beyond < number)
        limits = np.where(found, candidate(beyond[:, None])[:, 0], np.round(ends, DECIMALS)) + 0.0
        return list(limits.tolist())

    def _sought_limits(self, alphas: Sequence[float], ends: Sequence[float]) -> list[float]:
        """Return both limits of each level, sought from the estimate outward."""
        at = cache(lambda shift: tuple(map(float, self.at(shift))))  # all limits start from the estimate

        def excess(shift: float, sign: float, alpha: float) -> float:
            effect, se, df = at(shift)
            return float(sign * (effect - 0.5) / se - scipy.special.stdtrit(df, alpha / 2))

        return [
            self._root(partial(excess, sign=sign, alpha=alpha), self.estimate - sign * BESIDE, end)
            for (alpha, sign), end in zip(product(alphas, (-1.0, 1.0)), ends, strict=True)
        ]

    def _root(self, function: Callable[[float], float], start: float, end: float) -> float:
        """Return where a monotone function between start and end changes its sign; the end, if it does not.

        That is one of the differences where the function jumps, and that one exactly.
        """
        if function(start) * function(end) >= 0:
            return round(end, DECIMALS) + 0.0
        coarse = abs(end - start) * min(_COARSE, _TOGETHER / self.pairs)
        tolerance = max(coarse if self.exact else 10.0**-DECIMALS, BESIDE)
        root = brent(function, start, end, tolerance)
        jumps = self.differences(root - 2 * tolerance, root + 2 * tolerance)
        sign = 1.0 if end > start else -1.0
        jumps = jumps[:: int(sign)]
        positive = function(end) > 0
        first, last = 0, jumps.size
        while first < last:  # the first difference beyond which the sign is that of the end
            middle = (first + last) // 2
            beyond = (function(float(jumps[middle]) + sign * BESIDE) > 0) == positive
            first, last = (first, middle) if beyond else (middle + 1, last)
        if first == jumps.size:
            return round(root, DECIMALS if self.exact else _INTERPOLATED) or root
        if self.exact or (function(float(jumps[first]) - sign * BESIDE) > 0) != positive:
            return float(jumps[first]) + 0.0  # never minus zero
        return round(root, _INTERPOLATED) or root


def one_directional(moments: Moments, sign: int) -> float:
    """Return twice the tail beyond an effect on one side of a half, and 1 where it lies on the other."""
    effect, se, df = moments
    return min(1.0, float(2 * scipy.special.stdtr(df, -sign * (effect - 0.5) / se)))
