"""The test of one row of a page as it was observed: p-value, estimate, and limits of any level."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.batches import Integers
from fairseg.statistics.limits import Interval
from fairseg.statistics.location_shift import LocationShift
from fairseg.statistics.permutation import Row
from fairseg.statistics.two_samples import (
    fisher_exact,
    newcombe,
    share_p_values,
    times_to_settle_shares,
)
from fairseg.statistics.within_strata import StratifiedShares, StratifiedShift

LEAST_LEVEL = 1e-15  # of limits: no level of theirs is 1
_LEAST_IN_STRATUM = 5  # subjects of each group
_LEAST_IN_STRATA = 0.8  # of the smaller group, in strata with enough of both


class Limits(Protocol):
    """What has an estimate with limits of any level."""

    def limits_at(self, levels: Sequence[float]) -> list[Interval]:
        """Return the estimate with its limits of each level."""

    def times_to_settle(self, margin: float, alpha: float) -> float:
        """Return how many times as many subjects like these would settle whether it is within a margin."""


@dataclass(frozen=True)
class RowTest:
    """A row's test.

    Attributes:
        p: of the test by itself.
        decisive_p: the level at which the limits reach zero, or p if that is larger: what is shown is decided
            by this one, so that no limits contradict it. Of a shift it is larger where many scores are equal.
        effect: of Brunner and Munzel; NaN for shares.
        source: makes what has the limits.
    """

    p: float
    decisive_p: float
    effect: float
    source: Callable[[], Limits]  # made when it is asked for: a page has thousands of rows

    def limits(self, source: Limits, *alphas: float) -> list[Interval]:
        """Return the estimate with limits of level 1 - alpha, without 0 exactly where decisive_p <= alpha."""
        intervals = source.limits_at([1.0 - max(alpha, LEAST_LEVEL) for alpha in alphas])
        return [
            Interval(one.estimate, min(one.low, 0.0), max(one.high, 0.0)) if self.decisive_p > alpha else one
            for alpha, one in zip(alphas, intervals, strict=True)
        ]


def observe(row: Row, ids: Integers) -> RowTest:
    """Test a row; both groups must have at least 2 subjects in every stratum.

    Args:
        row: of the page.
        ids: group ids of its attribute, (N,).
    """
    parts = [row_samples(row, ids, stratum) for stratum in row.strata]
    single = len(parts) == 1
    if not row.marks and single:
        plain = LocationShift(*parts[0])
        return RowTest(
            plain.test.p,
            plain.p,
            plain.test.effect,
            lambda: LocationShift(*row_samples(row, ids, row.strata[0])),
        )
    if not row.marks:
        shift = StratifiedShift(parts)
        return RowTest(shift.test.p, shift.p, shift.test.effect, lambda: shift)
    tables = [(int(one.sum()), one.size, int(two.sum()), two.size) for one, two in parts]
    shares = _Shares(*tables[0]) if single else StratifiedShares(tables)
    return RowTest(shares.p, shares.decisive_p, np.nan, lambda: shares)


def usable_strata(
    groups: Sequence[npt.NDArray[np.bool_]], blocks: Sequence[Integers], min_size: int
) -> tuple[Integers, ...] | None:
    """Return the strata that have enough of both groups; None if too few subjects are left in them.

    Args:
        groups: which subjects of the first and of the second group have a score, (N,) each.
        blocks: the subjects (indices) of each stratum.
        min_size: subjects of each group that all strata together must have.
    """
    counts = np.array([[int(group[block].sum()) for group in groups] for block in blocks]).reshape(-1, 2)
    used = np.flatnonzero(counts.min(axis=1) >= _LEAST_IN_STRATUM).tolist()
    remaining, sizes = counts[used].sum(axis=0), [int(group.sum()) for group in groups]
    smaller = int(np.argmin(sizes))
    if remaining.min() < min_size or remaining[smaller] < _LEAST_IN_STRATA * sizes[smaller]:
        return None
    return tuple(blocks[number] for number in used)


def stratum_members(strata: npt.ArrayLike, size: int) -> list[Integers]:
    """Return the subjects (indices) of each stratum, from ids, integer (N,), -1 unknown.

    Raises:
        ValueError: ids are not integers, one a subject.
    """
    ids = np.asarray(strata)
    if ids.shape != (size,) or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"strata must be integers, one a subject ({size},), got {ids.dtype} of {ids.shape}")
    return [np.flatnonzero(ids == code) for code in np.unique(ids[ids >= 0])]


def row_samples(row: Row, ids: Integers, stratum: Integers) -> tuple[Floats, Floats]:
    """Return the values of both groups in a stratum, NaN left out."""
    values, label = row.values[stratum], ids[stratum]
    known = ~np.isnan(values)
    second = label == row.second
    first = (label >= 0) & ~second if row.first is None else label == row.first
    return values[known & first], values[known & second]


class _Shares:
    """Fisher's exact test of two shares, with Newcombe's limits."""

    def __init__(self, count_first: int, total_first: int, count_second: int, total_second: int) -> None:
        self._table = count_first, total_first, count_second, total_second
        self.p = fisher_exact(*self._table)
        possible = share_p_values(total_first, total_second, count_first + count_second)
        self.decisive_p = float(possible[count_first])

    def limits_at(self, levels: Sequence[float]) -> list[Interval]:
        return [newcombe(*self._table, level=level) for level in levels]

    def times_to_settle(self, margin: float, alpha: float) -> float:
        return times_to_settle_shares(*self._table, margin, alpha)
