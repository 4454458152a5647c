"""From draws of a statistic to its confidence limits: percentiles, BCa, and the distribution of a median."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.io.arguments import fits
from fairseg.io.sentences import not_among
from fairseg.metrics.grouped import Floats
from fairseg.statistics.order_statistics import (
    Method,
    between,
    binomial_medians,
    drawn_ranks,
    enclosed,
    resampled_medians,
    resampled_quartiles,
)

METHODS = ("bca", "percentile", "binomial")
LeftOut = tuple[Floats, npt.NDArray[np.int64]]  # estimates with one value left out, and how many give each


class Interval(NamedTuple):
    """An estimate with the limits of its confidence interval; NaN where there is none."""

    estimate: float
    low: float
    high: float

    def negated(self) -> "Interval":
        """Return the interval of the negative; never minus zero."""
        return Interval(0.0 - self.estimate, 0.0 - self.high, 0.0 - self.low)

    def positive(self) -> "Interval":
        """Return the interval, or that of the negative, whichever has an estimate above 0.

        For an estimate of 0 it is the one that lies above 0 for the most part.

        >>> Interval(-0.03, -0.05, 0.01).positive(), Interval(0.0, -0.05, -0.01).positive()
        (Interval(estimate=0.03, low=-0.01, high=0.05), Interval(estimate=0.0, low=0.01, high=0.05))
        """
        below = self.estimate < 0 or (self.estimate == 0 and self.low + self.high < 0)
        return self.negated() if below else self


@dataclass(frozen=True)
class Resampling:
    """How medians are drawn, and limits taken from the draws.

    Attributes:
        level: confidence level of the limits.
        resamples: number of draws.
        method: as in `bootstrap_interval`.
        seed: of the draws; the same sizes of groups have the same draws.

    Raises:
        ValueError: a value is out of range.
    """

    level: float
    resamples: int
    method: Method
    seed: int

    def __post_init__(self) -> None:
        if not fits(self.level, lambda level: 0.0 < level < 1.0):
            raise ValueError(f"level must lie between 0 and 1, got {self.level!r}")
        number = self.resamples
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not whole or not 100 <= number <= 1_000_000:
            raise ValueError(f"resamples must be an integer from 100 to 1,000,000, got {number!r}")
        if self.method not in METHODS:
            raise ValueError(not_among("method", self.method, METHODS))

    @property
    def tail(self) -> float:
        """The probability beyond each of two limits."""
        return (1.0 - self.level) / 2

    def too_few(self, parts: Sequence[Floats]) -> bool:
        """Return whether groups are too small for any limits: one of a single value, or not `enclosed`."""
        sizes = [part.size for part in parts if part.size]
        return min(sizes, default=0) < 2 or (self.method == "binomial" and not enclosed(sizes, self.level))

    def medians(self, parts: Sequence[Floats]) -> list[Floats]:
        """Draw medians of each group, (R,) each; NaN for an absent group."""
        draw = binomial_medians if self.method == "binomial" else resampled_medians
        sizes = tuple(part.size for part in parts if part.size)
        ranks = iter(drawn_ranks(draw, sizes, self.resamples, self.seed))
        return [next(ranks).of(part) if part.size else np.full(self.resamples, np.nan) for part in parts]

    def iqrs(self, parts: Sequence[Floats]) -> list[Floats]:
        """Draw inter-quartile ranges of each group, (R,) each."""
        sizes = tuple(part.size for part in parts)
        quartiles = drawn_ranks(resampled_quartiles, sizes, self.resamples, self.seed)
        return [
            between(part, upper) - between(part, lower)
            for (lower, upper), part in zip(quartiles, parts, strict=True)
        ]

    def limits(
        self,
        drawn: Floats,
        estimate: float,
        loo: Sequence[LeftOut],
        tail: float | None = None,
        above: float | None = None,
    ) -> tuple[float, float]:
        """Return the two limits that draws give.

        Args:
            drawn: (R,).
            estimate: of the sample.
            loo: for "bca", which shifts the quantiles: of each group the estimates with one subject left out,
                and how many give each.
            tail: probability beyond each limit; that of the level if not given.
            above: probability beyond the upper limit, where it is another.
        """
        beyond = self.tail if tail is None else tail
        quantiles = np.array([beyond, 1.0 - (beyond if above is None else above)])
        if self.method == "bca":
            quantiles = _bca(drawn, estimate, quantiles, loo)
        low, high = np.quantile(np.sort(drawn), quantiles)  # whole sorts are faster than partitions
        return float(low), float(high)


def _bca(drawn: Floats, estimate: float, quantiles: Floats, loo: Sequence[LeftOut]) -> Floats:
    close = np.abs(drawn - estimate) <= 1e-12 * (1.0 + abs(estimate))  # equal but for rounding
    below = (drawn < estimate) & ~close
    share = np.clip(below.mean() + close.mean() / 2, 0.5 / drawn.size, 1 - 0.5 / drawn.size)
    third = second = 0.0
    for values, counts in loo:
        size = counts.sum()
        away = (size - 1) * (np.average(values, weights=counts) - values)
        third += float(counts @ away**3) / size**3
        second += float(counts @ away**2) / size**2
    acceleration = third / second**1.5 / 6.0 if second > 0 else 0.0
    bias = scipy.special.ndtri(share)
    shifted = bias + scipy.special.ndtri(quantiles)
    return np.asarray(scipy.special.ndtr(bias + shifted / (1.0 - acceleration * shifted)))


def left_out_iqrs(ordered: Floats) -> LeftOut:
    """Return the inter-quartile ranges of a sorted sample with one value left out, (N,)."""
    size = ordered.size - 1
    position = np.arange(ordered.size)

    def quantile(share: float) -> Floats:
        rank = share * (size - 1)
        below, above = (ordered[one + (position <= one)] for one in (int(rank), min(int(rank) + 1, size - 1)))
        return np.asarray(below + (above - below) * (rank % 1))

    return quantile(0.75) - quantile(0.25), np.ones(ordered.size, dtype=np.int64)
