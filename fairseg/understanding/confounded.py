"""Is it the group that can be read, or something else in which the groups differ: age, size, scanner?

There are three answers: how well the confounders alone tell a group apart; how well each view does without
its linear dependence on them, among subjects who are alike in them; and how unlike the groups are (the cohort
table). None of them knows of a confounder that was not recorded. Where the confounders tell a group nearly
for certain, or where the two sides still differ within fifths of their score, no subjects are alike, and no
answer is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.attributes import read_attribute
from fairseg.io.sentences import counted
from fairseg.understanding.readability import SEPARATED, Floats, Integers, Reading, read_groups

ALL = "all confounders"
STRATA = 5  # of equal size along the score of the confounders, as is usual for propensity scores
_UNLIKE = 0.25  # difference within strata, in standard deviations of all, above which sides are not alike


@dataclass(frozen=True)
class Confounded:
    """The readings of confounders alone, and of views beyond them.

    Attributes:
        names: of the confounders.
        alone: how well groups are told by each confounder, and by all of them.
        within: how well they are told by the views among subjects who are alike in all of them.
        n: subjects whose confounders are all known.
        notes: groups of which too few subjects are alike in them, so that nothing is said within strata.
        known: name of each group, of how many of its subjects all are known, and how many there are.
    """

    names: tuple[str, ...]
    alone: tuple[Reading, ...]
    within: tuple[Reading, ...]
    n: int
    notes: tuple[str, ...] = ()
    known: tuple[tuple[str, int, int], ...] = ()

    def explained(self, row: Reading) -> bool:
        """Whether confounders tell a group, and a view that tells it too is not shown to beyond them."""
        pair = (row.view, row.group)
        confounders_tell = any(one.group == row.group and one.shown for one in self.alone)
        not_beyond = any((one.view, one.group) == pair and not one.shown for one in self.within)
        return row.shown and confounders_tell and not_beyond


def confounders_of(
    views: Mapping[str, npt.NDArray[np.floating]],
    ids: Integers,
    names: Sequence[str],
    columns: pd.DataFrame,
    *,
    least: int = 10,
    **options: Any,
) -> Confounded:
    """Test what confounders alone tell of the groups, and what views tell beyond them.

    Args:
        views: name -> (N, ...).
        ids: group of each subject, (N,), from 0 on.
        names: of the groups.
        columns: the confounders, one row a subject; numbers or levels as `read_attribute` decides.
        least: subjects of a group who must have others alike.
        options: model, permutations and the like, as `read_groups` takes them.

    Raises:
        ValueError: a confounder has no value, or a value of its own for nearly every subject, or too few
            subjects have all of them.
    """
    coded = {str(name): _coded(str(name), columns[name]) for name in columns}
    all_columns = np.column_stack(list(coded.values()))
    known = ~np.isnan(all_columns).any(axis=1)
    counts = np.bincount(ids[known], minlength=len(names))
    if counts.min() < least:
        short = names[int(counts.argmin())]
        raise ValueError(
            f"confounders: {counts.min()} subjects of {short} have a value of all of them, {least} are needed"
        )
    alone_views = {name: column[known] for name, column in coded.items()}
    if len(coded) > 1:
        alone_views[ALL] = all_columns[known]
    alone = read_groups(alone_views, ids[known], names, **options)
    last = list(alone_views)[-1]
    residuals = {name: _without(view[known], all_columns[known]) for name, view in views.items()}
    within: list[Reading] = []
    notes = []
    for group in range(len(names)) if len(names) > 2 else (1,):
        row = next(row for row in alone.rows if (row.view, row.group) == (last, names[group]))
        member = (ids[known] == group).astype(np.int64)
        strata = _alike(alone.scores[last][:, group], member, row, least)
        if strata is None:
            notes.append(f"too few subjects of {names[group]} are like the others in {' and '.join(coded)}")
            continue
        used = strata >= 0
        used_views = {name: view[used] for name, view in residuals.items()}
        sides = "", names[group]
        within += read_groups(used_views, member[used], sides, strata=strata[used], **options).rows
    totals = np.bincount(ids, minlength=len(names)).tolist()
    of_groups = tuple(zip(names, counts.tolist(), totals, strict=True))
    return Confounded(tuple(coded), alone.rows, tuple(within), int(known.sum()), tuple(notes), of_groups)


def _alike(score: Floats, member: Integers, row: Reading, least: int) -> Integers | None:
    """Return the stratum of each subject by the confounders' score, -1 where it has one side only.

    None where too few subjects have others alike, or those of a stratum still differ in the score.
    """
    strata = _strata(score)
    mixed = [stratum for stratum in np.unique(strata) if np.ptp(member[strata == stratum]) > 0]
    used = np.isin(strata, mixed)
    few = min(member[used].sum(), (1 - member[used]).sum()) < least
    # Where confounders are not shown to tell a group, their score is noise, and all subjects are alike.
    differ = row.auc > SEPARATED or (row.shown and unlike(score, member, strata) > _UNLIKE)
    return None if few or differ else np.where(used, strata, -1)


def _coded(name: str, column: "pd.Series[Any]") -> Floats:
    """Return a confounder as numbers, (N, K): itself and its square, or a dummy a level but one."""
    attribute = read_attribute(name, column)
    if not attribute.known.any():
        raise ValueError(f"confounder {name!r} must have a value in some subject, got none")
    if attribute.kind == "identifier":
        raise ValueError(
            f"confounder {name!r} must have subjects who share a value, it names them: "
            f"{len(attribute.levels)} values of {counted(int(attribute.known.sum()), 'subject')}"
        )
    if attribute.numbers is not None:
        spread = np.nanstd(attribute.numbers)
        z = (attribute.numbers - np.nanmean(attribute.numbers)) / (spread if spread > 0 else 1.0)
        return np.column_stack([z, z**2])
    codes = attribute.codes[:, None] == np.arange(1, max(len(attribute.levels), 2))
    return np.where(attribute.known[:, None], codes.astype(np.float64), np.nan)


def _without(view: npt.NDArray[np.floating], columns: Floats) -> Floats:
    """Return a view without its linear dependence on the confounders."""
    design = np.column_stack([np.ones(len(columns)), columns])
    flat = view.reshape(len(view), -1).astype(np.float64)
    fitted = design @ (np.linalg.pinv(design) @ flat)
    return (flat - fitted).reshape(view.shape)


def unlike(score: Floats, member: Integers, strata: Integers) -> float:
    """Return the difference of a score between two sides within strata, in standard deviations of all.

    Strata weigh as their pairs of subjects do; 0 where none has both sides, or all scores are the same.

    >>> score, member = np.array([0.0, 1.0, 5.0, 7.0]), np.array([0, 1, 0, 1])
    >>> round(unlike(score, member, np.array([0, 0, 1, 1])), 2)  # 1.5, by 2.86
    0.52
    """
    away = total = 0.0
    for stratum in np.unique(strata):
        one, two = (score[(strata == stratum) & (member == side)] for side in (1, 0))
        if one.size and two.size:
            weight = one.size * two.size / (one.size + two.size)
            away += weight * float(one.mean() - two.mean())
            total += weight
    spread = float(score.std())
    return abs(away) / (total * spread) if total and spread > 0 else 0.0


def _strata(score: Floats) -> Integers:
    """Return the fifth of each subject by a score; equal scores are in one."""
    edges = np.quantile(score, np.arange(1, STRATA) / STRATA)
    return np.searchsorted(edges, score, side="right").astype(np.int64)
