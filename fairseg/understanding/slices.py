"""Subgroups that nobody named: one or two columns of the table within which a model does worse.

The groups were named. So subjects are compared within them: a clinic with mostly subjects of the group behind
is no finding of its own. A search of all subgroups finds one by chance. So half of the subjects are searched,
and what is found is tested on the other half alone; then the halves change places. Few columns need no clever
search: every pair of conditions is tried, as in Slice Finder (Chung et al. 2019); SliceLine prunes that for
wide tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.attributes import read_attribute
from fairseg.statistics.significance import holm
from fairseg.understanding.readability import LEVEL, Floats, Integers, Tested, critical, dealt, share_as_large

Members = npt.NDArray[np.bool_]

FOUND = 3  # slices of each half that the other tests
_ALIKE = 0.5  # share of members in common from which on two slices are one
_FEWEST_SEARCHED, _FEWEST_TESTED = 10, 5  # subjects who meet the conditions, and who do not
_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Slice(Tested):
    """A subgroup that one half of the subjects found, and how it does in the other.

    Attributes:
        conditions: one or two, such as ("age >= 66", "sex = F").
        n: subjects of the other half who meet them, in the groups in which some do and some do not.
        n_rest: those of these groups who do not, or of whom it is not known.
        dice: mean of those who do.
        rest: mean of the others; in both the groups have the same weights.
        difference: `dice` minus `rest`, within the groups, with limits that hold for all slices together:
            they lie below 0 where it is shown.
        p_adjusted: that there is none, by dealing Dice anew within the groups, after Holm over all slices
            that were tested; 1 where Dice is not lower.
    """

    conditions: tuple[str, ...]
    n: int
    n_rest: int
    dice: float
    rest: float
    difference: tuple[float, float, float]
    p_adjusted: float


def find_slices(
    dice: Floats,
    columns: Mapping[str, object],
    ids: Integers,
    *,
    permutations: int = 1000,
    seed: int = 0,
) -> list[Slice]:
    """Search for subgroups with low Dice, and test what is found on subjects who did not take part.

    Args:
        dice: of each subject, (N,); NaN takes no part.
        columns: name -> one value a subject, (N,): numbers or levels as `read_attribute` decides. Names of
            persons and the like are left out.
        ids: group of each subject, within which they are compared, (N,).
        permutations: deals of Dice among the subjects of a group who test.
        seed: of halves and deals.

    Returns:
        The slices that were tested, those with most evidence first, one that both halves find once; none
        where halves are too small.
    """
    rng = np.random.default_rng(seed)
    with_dice = np.flatnonzero(np.isfinite(dice))
    half = np.zeros(dice.size, dtype=bool)
    half[rng.permutation(with_dice)[: with_dice.size // 2]] = True
    taking_part = np.isfinite(dice)
    tested = []
    for search in (half, taking_part & ~half):
        confirm = taking_part & ~search
        for conditions, member in _worst(dice, columns, ids, search):
            within = _Within(ids[confirm], member[confirm])
            if min(within.counts) >= _FEWEST_TESTED:
                tested.append((conditions, member, within, within.test(dice[confirm], permutations, rng)))
    if not tested:
        return []
    adjusted = holm([test.p for *_, test in tested])
    slices: list[tuple[Slice, Members]] = []
    for (conditions, member, within, test), p in zip(tested, adjusted, strict=True):
        # Holm's step of this slice, so that limits leave out 0 exactly where it is shown.
        limits = test.limits(LEVEL * test.p / p)
        slices.append(
            (Slice(conditions, *within.counts, *test.means, limits, float(p)), member & taking_part)
        )
    slices.sort(key=lambda one: (one[0].p_adjusted, one[0].difference[0]))
    return _distinct(slices)


def _distinct(slices: Sequence[tuple[Slice, Members]]) -> list[Slice]:
    """Return the slices without those that are hardly another than one before."""
    distinct: list[tuple[Slice, Members]] = []
    for one, member in slices:
        if not any(_alike(member, before) for _, before in distinct):
            distinct.append((one, member))
    return [one for one, _ in distinct]


def _alike(one: Members, two: Members) -> bool:
    return bool((one & two).sum() >= _ALIKE * (one | two).sum())


@dataclass(frozen=True, eq=False)
class _SliceTest:
    """A difference of means, and what dealing Dice anew makes of it.

    Attributes:
        means: of those who meet the conditions, and of the others.
        error: standard error of their difference.
        chance: size of the difference by its error in each deal.
        p: two-sided; 1 where the first mean is not lower.
    """

    means: tuple[float, float]
    error: float
    chance: Floats
    p: float

    def limits(self, level: float) -> tuple[float, float, float]:
        """Return the difference with limits, which leave out 0 exactly where p is below a level."""
        away = self.means[0] - self.means[1]
        observed = abs(away) / self.error
        reach = min(critical(self.chance, level), max(float(self.chance.max()), observed))
        reach = self.error * (max(reach, observed) if self.p >= level else reach)
        return away, away - reach, away + reach


class _Within:
    """The subjects who meet conditions and those who do not, within the groups that have both.

    Args:
        ids: group of each subject, (N,).
        member: whether they meet the conditions, (N,).
    """

    def __init__(self, ids: Integers, member: Members) -> None:
        self._groups = [ids == group for group in np.unique(ids)]
        mixed = [group for group in self._groups if 0 < (group & member).sum() < group.sum()]
        self._parts = [(group & member, group & ~member) for group in mixed]
        sizes = np.array([[part.sum() for part in pair] for pair in self._parts]).reshape(-1, 2)
        self.counts = int(sizes[:, 0].sum()), int(sizes[:, 1].sum())
        weights = sizes.prod(axis=1) / np.maximum(sizes.sum(axis=1), 1)
        self._sizes, self._weights = sizes, weights / max(weights.sum(), _NO_SPREAD)

    def compare(self, dice: Floats) -> tuple[Floats, Floats]:
        """Return the means of both, (..., 2), and the standard error of their difference, (...,).

        Groups weigh as much as they say of a difference. The variance of each side is pooled over groups.

        Args:
            dice: (..., N).
        """
        means = np.zeros((*dice.shape[:-1], 2))
        variance = np.zeros(dice.shape[:-1])
        for side in (0, 1):
            squares = np.zeros(dice.shape[:-1])
            for pair, weight in zip(self._parts, self._weights, strict=True):
                values = dice[..., pair[side]]
                means[..., side] += weight * values.mean(axis=-1)
                squares += values.var(axis=-1) * values.shape[-1]
            free = max(self.counts[side] - len(self._parts), 1)
            variance += squares / free * (self._weights**2 / self._sizes[:, side]).sum()
        return means, np.maximum(np.sqrt(variance), _NO_SPREAD)

    def test(self, dice: Floats, permutations: int, rng: np.random.Generator) -> _SliceTest:
        """Return the difference of Dice, tested by dealing it anew within the groups."""
        means, errors = self.compare(dealt(dice, permutations, rng, self._groups))
        size = np.abs(means[:, 0] - means[:, 1]) / errors
        lower = means[0, 0] < means[0, 1]
        p = share_as_large(size[1:], size[0]) if lower else 1.0
        return _SliceTest((float(means[0, 0]), float(means[0, 1])), float(errors[0]), size[1:], p)


def _worst(
    dice: Floats, columns: Mapping[str, object], ids: Integers, search: Members
) -> list[tuple[tuple[str, ...], Members]]:
    """Return the conditions within which the searching half does worst, in errors of the difference."""
    single = [
        (name, text, member)
        for name, column in columns.items()
        for text, member in _conditions(name, column, search)
    ]
    candidates: list[tuple[tuple[str, ...], Members]] = [((text,), member) for _, text, member in single]
    candidates += [
        ((one[1], two[1]), one[2] & two[2]) for one, two in combinations(single, 2) if one[0] != two[0]
    ]
    scored = []
    for conditions, member in candidates:
        within = _Within(ids[search], member[search])
        if min(within.counts) < _FEWEST_SEARCHED:
            continue
        (inside, outside), error = within.compare(dice[search])
        scored.append((float((outside - inside) / error), conditions, member))
    chosen: list[tuple[tuple[str, ...], Members]] = []
    for value, conditions, member in sorted(scored, key=lambda one: (-one[0], len(one[1]), one[1])):
        if value <= 0 or len(chosen) == FOUND:
            break
        if not any(_alike(member & search, before & search) for _, before in chosen):
            chosen.append((conditions, member))
    return chosen


def _conditions(name: str, column: object, search: Members) -> Iterator[tuple[str, Members]]:
    """Return conditions on a column: its levels, or below and above thirds and half of the searching half."""
    attribute = read_attribute(name, pd.Series(column))
    if attribute.kind == "identifier":
        return
    if attribute.numbers is None:
        for code, level in enumerate(attribute.levels):
            yield f"{name} = {level}", attribute.codes == code
        return
    numbers = attribute.numbers[search & attribute.known]
    if not numbers.size:
        return
    for edge in np.unique([float(f"{value:.3g}") for value in np.quantile(numbers, (1 / 3, 1 / 2, 2 / 3))]):
        yield f"{name} < {edge:g}", attribute.known & (attribute.numbers < edge)
        yield f"{name} >= {edge:g}", attribute.known & (attribute.numbers >= edge)
