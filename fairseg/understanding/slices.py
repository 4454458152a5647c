"""Subgroups that nobody named: one or two columns of the table within which a model does worse.

Whoever looks at all of them finds one by chance. So half of the subjects search, and what they find is
tested on the other half alone; then the halves change places. Few columns need no clever search: every pair
of conditions is looked at, as in Slice Finder (Chung et al. 2019); SliceLine prunes that for wide tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.attributes import read_attribute
from fairseg.statistics.significance import holm
from fairseg.statistics.two_samples import welch_limits
from fairseg.understanding.readable import Floats, Tested, share_as_large

Members = npt.NDArray[np.bool_]

FOUND = 3  # slices of each half that the other tests
_ALIKE = 0.5  # share of members in common from which on two slices are one
_FEWEST_TESTED = 5


@dataclass(frozen=True)
class Slice(Tested):
    """A subgroup that one half of the subjects found, and how it does in the other.

    Attributes:
        conditions: one or two, such as ("age >= 66", "sex = F").
        n: subjects of the other half who meet them.
        n_rest: those who do not, or of whom it is not known.
        dice: mean of those who do.
        rest: mean of the others.
        difference: `dice` minus `rest`, with 95% limits (Welch).
        p_adjusted: that it is not below 0, by dealing Dice anew, after Holm over all slices that were tested.
    """

    conditions: tuple[str, ...]
    n: int
    n_rest: int
    dice: float
    rest: float
    difference: tuple[float, float, float]
    p_adjusted: float


def find_slices(
    dice: Floats, columns: Mapping[str, object], *, least: int = 10, permutations: int = 1000, seed: int = 0
) -> list[Slice]:
    """Search for subgroups with low Dice, and test what is found on subjects who did not take part.

    Args:
        dice: of each subject, (N,); NaN takes no part.
        columns: name -> one value a subject, (N,): numbers or levels as `read_attribute` decides. Names of
            persons and the like are left out.
        least: subjects of the searching half who must meet the conditions.
        permutations: deals of Dice among the subjects who test.
        seed: of halves and deals.

    Returns:
        The slices that were tested, those with most evidence first; none where halves are too small.
    """
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(np.isfinite(dice))
    half = np.zeros(dice.size, dtype=bool)
    half[rng.permutation(known)[: known.size // 2]] = True
    taking_part = np.isfinite(dice)
    tested = []
    for search in (half, taking_part & ~half):
        other = taking_part & ~search
        for conditions, member in _worst(dice, columns, search, least):
            inside, outside = dice[other & member], dice[other & ~member]
            if min(inside.size, outside.size) >= _FEWEST_TESTED:
                tested.append((conditions, inside, outside, _lower(inside, outside, permutations, rng)))
    if not tested:
        return []
    adjusted = holm([p for *_, p in tested])
    found = [
        Slice(
            conditions,
            inside.size,
            outside.size,
            float(inside.mean()),
            float(outside.mean()),
            welch_limits(inside, outside),
            float(p),
        )
        for (conditions, inside, outside, _), p in zip(tested, adjusted, strict=True)
    ]
    return sorted(found, key=lambda one: (one.p_adjusted, one.difference[0]))


def _worst(
    dice: Floats, columns: Mapping[str, object], search: Members, least: int
) -> list[tuple[tuple[str, ...], Members]]:
    """Return the conditions within which the searching half does worst by the error of the difference."""
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
        inside, outside = dice[search & member], dice[search & ~member]
        if inside.size < least or outside.size < least:
            continue
        error = np.sqrt(inside.var(ddof=1) / inside.size + outside.var(ddof=1) / outside.size)
        scored.append((float((outside.mean() - inside.mean()) / max(error, 1e-12)), conditions, member))
    chosen: list[tuple[tuple[str, ...], Members]] = []
    for value, conditions, member in sorted(scored, key=lambda one: (-one[0], len(one[1]), one[1])):
        if value <= 0 or len(chosen) == FOUND:
            break
        own = member & search
        alike = ((own & other).sum() / (own | other & search).sum() for _, other in chosen)
        if all(share < _ALIKE for share in alike):
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
    own = attribute.numbers[search & attribute.known]
    if not own.size:
        return
    for edge in np.unique([float(f"{value:.3g}") for value in np.quantile(own, (1 / 3, 1 / 2, 2 / 3))]):
        yield f"{name} < {edge:g}", attribute.known & (attribute.numbers < edge)
        yield f"{name} >= {edge:g}", attribute.known & (attribute.numbers >= edge)


def _lower(inside: Floats, outside: Floats, permutations: int, rng: np.random.Generator) -> float:
    """Return the share of deals in which as many subjects have as low a mean, these among them."""
    everybody = np.concatenate([inside, outside])
    deals = rng.permuted(np.tile(everybody, (permutations, 1)), axis=1)[:, : inside.size].mean(axis=1)
    return share_as_large(-deals, -inside.mean())
