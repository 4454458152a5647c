"""The tests of two groups for many permutations at once: arrays of (deals,), no loop over deals.

`two_samples` has the same tests for one pair of samples, and is the oracle of these.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats
from fairseg.metrics.ranks import run_ends
from fairseg.statistics.location_shift import rounding_step
from fairseg.statistics.two_samples import EQUAL, log_ways

Integers = npt.NDArray[np.int64]
Side = int | None  # a group, or all others of known group but this pair's second

_MANY_SUBJECTS, _LARGE_GROUP = 1000, 50  # from where Welch's test of the ranks stands for Brunner-Munzel
_MANY_GROUPS = 8  # from where groups are sorted rather than sought one by one
_COMMON = 0.05  # of all scores, from where equal ones are counted in each deal
_BESIDE = ("below", "below squared", "at most", "at most squared")


class SortedScores:
    """The scores of some subjects in sorted order: what does not change from deal to deal.

    Attributes:
        order: subjects with a score, by rising score, (V,).
        place: of each subject in `order`, (N,); V for those without.
        first: of each place, the first place with an equal score, (V + 1,).
        last: of each place, the place after the last with an equal score, (V + 1,).
        tied: whether any scores are equal.
        lumpy: whether some are without having been rounded, so that shifts next to 0 are tested as well.
        common: first place and the place after the last of scores that many subjects have.
        equal_by_chance: how often two subjects have the same of all other scores.
        many: whether placements take long.
    """

    def __init__(self, values: Floats, subjects: Integers) -> None:
        scored = subjects[~np.isnan(values[subjects])]
        self.order = scored[np.argsort(values[scored], kind="stable")]
        ordered = values[self.order]
        self.size = ordered.size
        self.place = np.full(values.size, self.size, dtype=np.int32)
        self.place[self.order] = np.arange(self.size)
        ends = (np.searchsorted(ordered, ordered, side) for side in ("left", "right"))
        self.first, self.last = (np.append(end, self.size).astype(np.int32) for end in ends)
        self.tied = bool((self.last[:-1] - self.first[:-1] > 1).any())
        self.lumpy = self.tied and not rounding_step(ordered, ordered)
        starts = np.unique(self.first[:-1])
        counts = self.last[starts] - starts
        frequent = counts >= _COMMON * self.size
        self.common = [(int(start), int(self.last[start])) for start in starts[frequent]]
        others = counts[~frequent].astype(np.float64)
        self.equal_by_chance = float((others * (others - 1)).sum() / max(self.size * (self.size - 1), 1))
        self.many = self.size >= _MANY_SUBJECTS

    def scored(self) -> Floats:
        """Return 1 for the subjects with a score, (N,)."""
        return np.asarray(self.place < self.size, dtype=np.float64)

    def ranks(self) -> Floats:
        """Return mid-ranks from -0.5 to 0.5, (N,); 0 for subjects without a score."""
        return self._ranks(self.first + self.last, 2.0)

    def _ranks(self, ends: npt.NDArray[np.int32], times: float = 1.0) -> Floats:
        return np.where(self.place < self.size, ends[self.place] / (times * max(self.size, 1)) - 0.5, 0.0)

    def kinds(self) -> list[str | int]:
        """Return the columns that `rank_placements` needs the sums of."""
        return ["scored", "ranks", "squares", *([*_BESIDE, *range(len(self.common))] if self.lumpy else [])]

    def column(self, kind: str | int) -> Floats:
        """Return a column of these, (N,)."""
        if isinstance(kind, int):
            start, stop = self.common[kind]
            return np.asarray((self.place >= start) & (self.place < stop), dtype=np.float64)
        if kind == "scored":
            return self.scored()
        if kind in ("ranks", "squares"):
            return self.ranks() ** (2 if kind == "squares" else 1)
        ranks = self._ranks(self.first if kind.startswith("below") else self.last)
        return ranks**2 if kind.endswith("squared") else ranks


class Dealt:
    """The groups of an attribute as dealt to the rows of the scores.

    Attributes:
        label: group ids, (deals, N); each deal has the same ones.
    """

    def __init__(
        self, label: npt.NDArray[np.int16], matrix: npt.NDArray[np.float32], total: Floats | None = None
    ) -> None:
        """Hold the labels, and the columns to sum, (N, columns); `total` are their sums over all subjects."""
        self.label = label
        self._matrix = matrix
        self._total = matrix.sum(axis=0, dtype=np.float64) if total is None else total
        known = label[0][label[0] >= 0]
        self._counts = np.bincount(known)
        self._unknown = label.shape[1] - known.size
        self._members: dict[tuple[Side, int], npt.NDArray[np.int32]] = {}
        self._sums: dict[tuple[Side, int], Floats] = {}
        self._before: dict[tuple[SortedScores, Side, int], npt.NDArray[np.int32]] = {}

    def belongs(self, label: npt.NDArray[np.int16], side: Side, second: int) -> npt.NDArray[np.bool_]:
        """Return where these labels are of a group or, for None, of any other known group than `second`."""
        return np.asarray((label >= 0) & (label != second) if side is None else label == side)

    def size(self, side: Side, second: int) -> int:
        """Return the number of subjects, which all deals share."""
        return int(self._counts.sum() - self._counts[second] if side is None else self._counts[side])

    def large(self, first: Side, second: int) -> bool:
        """Return whether both groups are large enough for ranks among all to stand for placements."""
        return min(self.size(side, second) for side in (first, second)) >= _LARGE_GROUP

    def complementary(self, first: Side, second: int) -> bool:
        """Return whether every subject is in one of the two groups."""
        return bool(self.size(first, second) + self.size(second, second) == self.label.shape[1])

    def members(self, side: Side, second: int) -> npt.NDArray[np.int32]:
        """Return the subjects of a group in each deal, (deals, n)."""
        if side is not None and self._counts.size > _MANY_GROUPS:
            start = self._unknown + int(self._counts[:side].sum())
            return self._sorted[:, start : start + self._counts[side]]
        if (key := self._key(side, second)) not in self._members:
            chosen = np.flatnonzero(self.belongs(self.label, side, second)) % self.label.shape[1]
            self._members[key] = chosen.reshape(len(self.label), -1).astype(np.int32)
        return self._members[key]

    def _key(self, side: Side, second: int) -> tuple[Side, int]:
        return side, second if side is None else -1

    @cached_property
    def _sorted(self) -> npt.NDArray[np.int32]:
        return np.argsort(self.label, axis=1, kind="stable").astype(np.int32)

    def sums(self, side: Side, second: int) -> Floats:
        """Return the sums of all columns over the subjects of a group, (deals, columns)."""
        if (key := self._key(side, second)) not in self._sums:
            self._sums[key] = self._summed(side, second)
        return self._sums[key]

    def _summed(self, side: Side, second: int) -> Floats:
        if side is None:
            return self._of_known - self.sums(second, second)
        if self._counts.size > _MANY_GROUPS:
            return np.asarray(self._matrix[self.members(side, second)].sum(1), dtype=np.float64)
        if not self._unknown and self._counts.size > 1 and side == self._counts.argmax():
            # What all the others leave of the sums that every deal has.
            others = [self.sums(group, group) for group in range(self._counts.size) if group != side]
            return np.asarray(self._of_known - np.sum(others, axis=0))
        return np.asarray((self.label == side).astype(np.float32) @ self._matrix, dtype=np.float64)

    @cached_property
    def _of_known(self) -> Floats:
        """The sums over all subjects of known group, (deals, columns), or (columns,) of all alike."""
        if not self._unknown:
            return self._total
        return np.asarray((self.label >= 0).astype(np.float32) @ self._matrix, dtype=np.float64)

    def before(self, cell: SortedScores, side: Side, second: int) -> npt.NDArray[np.int32]:
        """Return how many of a group have a lower place than 0, 1, ... in a cell, (deals, V + 1)."""
        key = cell, *self._key(side, second)
        if key not in self._before:
            if len(self._before) > _MANY_GROUPS:
                self._before.clear()
            count = np.zeros((len(self.label), cell.size + 1), dtype=np.int32)
            np.cumsum(self.belongs(self.label[:, cell.order], side, second), axis=1, out=count[:, 1:])
            self._before[key] = count
        return self._before[key]


class Placements(NamedTuple):
    """Brunner and Munzel's quantities in each deal: the effect, and both groups' variances and sizes."""

    effect: Floats
    first: Floats
    second: Floats
    n_first: Floats
    n_second: Floats


def placements(dealt: Dealt, cell: SortedScores, first: Side, second: int) -> list[Placements]:
    """Return the effect of the first group over the second, exactly, from the smaller group's places.

    Where equal scores do not come from rounding, two more effects follow: with equal scores counted for the
    second group, and for the first, as shifts next to 0 count them.
    """
    swapped = dealt.size(first, second) >= dealt.size(second, second)  # a reference is counted once
    small, large = (second, first) if swapped else (first, second)
    positions = np.sort(cell.place[dealt.members(small, second)], axis=1)
    n = np.asarray((positions < cell.size).sum(1), dtype=np.float64)
    index = np.arange(positions.shape[1])
    if cell.tied:
        start, stop = cell.first[positions], cell.last[positions]
        low, high = run_ends(start)
    else:
        start, stop = positions, np.minimum(positions + 1, cell.size)
        low, high = np.broadcast_to(index, positions.shape), np.broadcast_to(index + 1, positions.shape)
    if dealt.complementary(first, second):
        below, at_most = start - low, stop - high
        m = cell.size - n
    else:
        count = dealt.before(cell, large, second)
        below, at_most = (np.take_along_axis(count, edge, axis=1) for edge in (start, stop))
        m = count[:, -1].astype(np.float64)
    inside = positions < cell.size if n.min(initial=0) < positions.shape[1] else None

    def counted(rank: Floats, equal: Floats | None) -> Placements:
        if inside is not None:
            rank, equal = rank * inside, None if equal is None else equal * inside
        total, squares = rank.sum(1), np.einsum("bn,bn->b", rank, rank)
        large_squares = n * n * m - rank @ (2.0 * index + 1.0) - (0.0 if equal is None else equal.sum(-1))
        with np.errstate(divide="ignore", invalid="ignore"):
            effect: Floats = total / (n * m)
            variance = _variance(squares, total, n) / m**2
            other_variance = _variance(large_squares, n * m - total, m) / n**2
        return (
            Placements(1 - effect, other_variance, variance, m, n)
            if swapped
            else Placements(effect, variance, other_variance, n, m)
        )

    equal = (at_most - below) * (high - low) * 0.25 if cell.tied else None
    effects = [counted((below + at_most) * 0.5, equal)]
    if cell.lumpy:
        sides = (at_most, below) if swapped else (below, at_most)
        effects += [counted(side.astype(np.float64), None) for side in sides]
    return effects


def rank_placements(cell: SortedScores, first: Floats, second: Floats) -> list[Placements]:
    """Return the same from sums over both groups of the cell's `kinds`, (deals, kinds): nearly.

    Welch's test of the ranks among all is asymptotically that of Brunner and Munzel under a permutation.
    """
    n, m = first[:, 0], second[:, 0]

    def of(one: int, two: int, effect: Floats) -> Placements:
        variance, other_variance = (
            _variance(sums[:, column + 1], sums[:, column], size)
            for sums, column, size in ((first, one, n), (second, two, m))
        )
        return Placements(effect, variance, other_variance, n, m)

    with np.errstate(divide="ignore", invalid="ignore"):
        effect = first[:, 1] / n - second[:, 1] / m + 0.5
        effects = [of(1, 1, effect)]
        if cell.lumpy:
            common = 3 + len(_BESIDE)
            equal = (first[:, common:] * second[:, common:]).sum(1) / (n * m) + cell.equal_by_chance
            effects += [of(3, 5, effect - equal / 2), of(5, 3, effect + equal / 2)]
    return effects


def decisive_p(strata: Sequence[Sequence[Placements]]) -> Floats:
    """Return the two-sided p-value that decides what is shown, (deals,), as `LocationShift.p` of one stratum.

    It is the larger of the p-value of the effect and that of the shifts next to 0 in the direction of the
    effect. So rows in which most scores are equal cost the page no more than they could ever show. Of one
    stratum with the effect alone this is the test of Brunner and Munzel; p is 1 where nothing is comparable.
    """
    t, df = _pooled_test([one[0] for one in strata])
    p = 2 * scipy.special.stdtr(df, -np.abs(t))
    if all(len(one) == 1 for one in strata):
        return np.asarray(p)
    for side, sign in ((1, 1.0), (-1, -1.0)):
        here = (t > 0) == (sign > 0)
        t_beside, freedom = _pooled_test([one[side if len(one) > 1 else 0] for one in strata])
        p = np.where(
            here, np.maximum(p, np.minimum(2 * scipy.special.stdtr(freedom, -sign * t_beside), 1.0)), p
        )
    return np.asarray(p)


def _pooled_test(strata: Sequence[Placements]) -> tuple[Floats, Floats]:
    """Return t, above 0 where the first group tends to larger values, and degrees of freedom, (deals,).

    A stratum weighs n m / (n + m).
    """
    effect, first, second, n, m = np.array(strata).swapaxes(0, 1)  # (strata, deals) each
    known = (n >= 2) & (m >= 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(known, n * m / (n + m), 0.0)
        one, two = first / n, second / m
        spread = one + two
        df = np.where(spread > 0, spread**2 / (one**2 / (n - 1) + two**2 / (m - 1)), n + m - 2.0)
        variance = np.where(known, weight**2 * np.maximum(spread, (0.5 / (n * m)) ** 2), 0.0)
        freedom = np.where(known, variance**2 / np.maximum(df, 1.0), 0.0).sum(0)
        shift = np.where(known, weight * (effect - 0.5), 0.0).sum(0)
        deviation = effect - 0.5 - shift / weight.sum(0)
        chance = np.where(known, weight * allocation_factor(n, m) * deviation**2, 0.0)
        total = (variance + chance).sum(0)
        comparable = known.any(0)
        t = np.where(comparable, shift / np.sqrt(total), 0.0)
        df = np.where(comparable, total**2 / freedom, 1.0)
    return t, np.maximum(df, 1.0)


def allocation_factor(n: Floats, m: Floats) -> Floats:
    """Return how much a stratum's weight n m / (n + m) varies where subjects fall into strata by chance.

    This is the variance over the weight itself, with n and m Poisson counts, by the delta method:
    (n**3 + m**3) / (n + m)**3.
    """
    return np.asarray(1.0 - 3.0 * n * m / (n + m) ** 2)


def fisher_many(
    count: npt.ArrayLike, n_first: npt.ArrayLike, n_second: npt.ArrayLike, marked: npt.ArrayLike
) -> Floats:
    """Return `fisher_exact` of many tables at once: marked subjects of the first group, sizes, all marked."""
    table = np.stack(np.broadcast_arrays(count, n_first, n_second, marked)).round().astype(np.int64)
    low = table.min(axis=1, keepdims=True)
    # Of margins that hardly differ between deals, so that this does not overflow in cohorts of any size.
    shape = tuple((table - low).max(axis=1) + 1)
    key = np.ravel_multi_index(tuple(table - low), shape)
    there = np.unique(key)
    tables = np.stack(np.unravel_index(there, shape)) + low
    return np.asarray(_fisher_tables(*tables)[there.searchsorted(key)])


def _fisher_tables(count: Integers, n: Integers, m: Integers, marked: Integers) -> Floats:
    """Add up the tail of each table outward, and on the other side all tables that are no likelier."""
    margins = n, m, marked
    observed = _log_chance(count, *margins)
    least, most = np.maximum(0, marked - m), np.minimum(n, marked)
    mode = np.clip((n + 1) * (marked + 1) // (n + m + 2), least, most)
    up = count * (n + m) > n * marked
    # The likeliest table of the other side that is no likelier: beyond the mode chances fall outward.
    inner = np.where(up, np.minimum(count - 1, mode), np.maximum(count + 1, mode))
    step, reach = np.where(up, 1, -1), np.where(up, inner - least, most - inner)
    low, high = np.zeros_like(reach), np.maximum(reach + 1, 0)  # places outward from the inner one
    while (low < high).any():
        middle = (low + high) // 2
        position = np.clip(inner - step * middle, least, most)
        holds = (middle > reach) | (_log_chance(position, *margins) <= observed + EQUAL)
        searching = low < high
        high, low = np.where(searching & holds, middle, high), np.where(searching & ~holds, middle + 1, low)
    opposite = np.clip(inner - step * low, least, most)
    there = low <= reach
    tail = _outward(count, observed, step, *margins)
    beyond = _outward(opposite, _log_chance(opposite, *margins), -step, *margins)
    return np.asarray(np.minimum(1.0, tail + np.where(there, beyond, 0.0)))


def _log_chance(count: Integers, n: Integers, m: Integers, marked: Integers) -> Floats:
    return log_ways(n, count) + log_ways(m, marked - count) - log_ways(n + m, marked)


def _outward(
    count: Integers, log_chance: Floats, step: Integers, n: Integers, m: Integers, marked: Integers
) -> Floats:
    """Return the chance of a table and of all that follow it in steps up or down."""
    tail = np.exp(log_chance)
    term, at = tail.copy(), count.copy()
    going = np.flatnonzero(term > 0)
    while going.size:
        k, rows, columns, total = at[going], n[going], m[going], marked[going]
        ratio = np.where(
            step[going] > 0,
            (rows - k) * (total - k) / ((k + 1.0) * (columns - total + k + 1.0)),
            k * (columns - total + k) / ((rows - k + 1.0) * (total - k + 1.0)),
        )
        term[going] *= ratio
        tail[going] += term[going]
        at[going] += step[going]
        going = going[term[going] > 1e-12 * tail[going]]
    return tail


def _variance(squares: Floats, total: Floats, size: Floats) -> Floats:
    """Return variances from sums of squares and sums of `size` values; at least 0 in spite of rounding."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.maximum(squares - total**2 / size, 0.0) / (size - 1))
