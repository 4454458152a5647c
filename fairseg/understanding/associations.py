"""Readable is not used: does what tells the groups go with how well a subject is segmented?

The question is asked within each group, so that a gap between groups by itself is no answer. It is asked in
two ways, since either misses what the other finds. Does the *score* that tells a group go with Dice? But a
discriminant shrinks just what varies within groups. So can each view that tells a group also *predict* Dice,
by ridge regression on its principal components, group means removed, on subjects it has not seen? A view that
predicts Dice need not do so by what tells the groups. Dice is dealt anew to the subjects of each group, folds
and model inside, and the largest of all standardised correlations in each deal keeps the error over both ways
and all views.

The same error in pixels costs a small or thin organ more Dice. So both questions are asked again with the
Dice held fixed that the reference has with itself moved by one pixel.

All of it is association: only the intervention (`intervention`), which changes the image and nothing else,
tells use from presence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.metrics.ranks import mid_ranks
from fairseg.statistics.confounders import adjusted_gap
from fairseg.understanding.readability import (
    FOLDS,
    SEPARATED,
    Floats,
    Integers,
    Reading,
    Readings,
    Tested,
    components_of,
    dealt,
    of_the_others,
    share_as_large,
    stratified_folds,
)
from fairseg.understanding.views import ERRORS

_FEWEST = FOLDS  # subjects with a Dice, of a group and of the others


@dataclass(frozen=True)
class AtSize(Tested):
    """The correlation with Dice where the reference's Dice with itself moved by one pixel is held fixed.

    Attributes:
        correlation: of ranks within the groups, pooled over them.
        p_adjusted: over both ways and all views.
    """

    correlation: float
    p_adjusted: float


@dataclass(frozen=True)
class _GoesWithDice(Tested):
    """The correlation of a view with Dice, within the groups.

    Attributes:
        view: name of it.
        n: subjects with a Dice.
        correlation: of ranks within the groups, pooled over them.
        p_adjusted: over both ways and all views, by dealing Dice anew to the subjects of each group.
        at_size: the same with the organ's size and shape held fixed.
    """

    view: str
    n: int
    correlation: float
    p_adjusted: float
    at_size: AtSize

    @property
    def of_size(self) -> bool:
        """Whether it goes with Dice, and is not shown to beyond the organ's size and shape."""
        return self.shown and not self.at_size.shown


@dataclass(frozen=True)
class Prediction(_GoesWithDice):
    """Whether Dice can be predicted from a view; `correlation` is that of the out-of-fold prediction."""


@dataclass(frozen=True)
class Association(_GoesWithDice):
    """Whether the score by which a view tells a group goes with Dice.

    Attributes:
        group: that the score tells.
        low: 95% limit of the correlation.
        high: the other.
        gap: mean Dice of the others minus that of the group, with limits.
        adjusted: the same with the score held fixed, with limits; NaN where that cannot be told.
        apart: whether hardly any two subjects of different groups have like scores, so that the adjusted gap
            is a guess beyond the data.
    """

    group: str
    low: float
    high: float
    gap: tuple[float, float, float]
    adjusted: tuple[float, float, float]
    apart: bool


def associations(
    readings: Readings,
    views: Mapping[str, npt.NDArray[np.floating]],
    dice: Floats,
    ids: Integers,
    names: Sequence[str],
    *,
    one_pixel: Floats | None = None,
    permutations: int = 1000,
    seed: int = 0,
) -> tuple[list[Association], list[Prediction]]:
    """Test, for the views in which a group is shown to be readable, whether they go with Dice.

    Args:
        readings: as from `read_groups`.
        views: name -> (N, ...), those that were read.
        dice: of each subject, (N,); NaN takes no part.
        ids: group of each subject, (N,), from 0 on.
        names: of the groups.
        one_pixel: Dice that the reference of each subject has with itself moved by one pixel, (N,); None: the
            organs are all of one size and shape.
        permutations: deals of Dice within groups.
        seed: of the deals and folds.

    Returns:
        A row for each view and group that is shown to be readable, and one for each such view; none of the
        map of errors, of which Dice is made, nor of a group that, or of whose others, fewer than 5 have Dice.

    >>> from fairseg.understanding import read_groups
    >>> rng = np.random.default_rng(0)
    >>> ids = np.repeat([0, 1], 30)
    >>> fat = rng.normal(2.0 * ids)
    >>> views = {"outside": fat[:, None] + rng.normal(0, 0.1, (60, 5))}
    >>> readings = read_groups(views, ids, ["A", "B"], permutations=199)
    >>> _, (found,) = associations(readings, views, 0.9 - 0.02 * fat, ids, ["A", "B"], permutations=199)
    >>> found.view, found.shown
    ('outside', True)
    """
    known = np.isfinite(dice)
    known_ids, value = ids[known], dice[known]
    rows = [
        row for row in readings.rows if row.shown and row.view != ERRORS and _enough(row, known_ids, names)
    ]
    if not rows:
        return [], []
    telling_views = list(dict.fromkeys(row.view for row in rows))
    scores = [readings.scores[row.view][known, names.index(row.group)] for row in rows]
    groups = (known_ids[:, None] == np.unique(known_ids)).astype(np.float64)
    sized = groups if one_pixel is None else np.column_stack([groups, _ranks(one_pixel[known], known_ids)])
    tested = scores, [views[view][known] for view in telling_views], value, known_ids
    correlations = _correlations(*tested, groups, permutations, seed)
    at_size = [AtSize(*one) for one in _correlations(*tested, sized, permutations, seed)]
    n = int(known.sum())
    of_scores = []
    for row, score, (correlation, p), sized_one in zip(rows, scores, correlations, at_size, strict=False):
        low, high = _limits(correlation, n - groups.shape[1])
        gap, adjusted = _gaps(value, known_ids, names, row.group, score)
        association = row.view, n, correlation, p, sized_one
        of_scores.append(Association(*association, row.group, low, high, gap, adjusted, row.auc > SEPARATED))
    rest = zip(telling_views, correlations[len(rows) :], at_size[len(rows) :], strict=True)
    return of_scores, [Prediction(view, n, *one, sized_one) for view, one, sized_one in rest]


def _enough(row: Reading, ids: Integers, names: Sequence[str]) -> bool:
    """Return whether a group and the others have enough subjects."""
    member = ids == names.index(row.group)
    return min(int(member.sum()), int((~member).sum())) >= _FEWEST


def _correlations(
    scores: Sequence[Floats],
    views: Sequence[npt.NDArray[np.floating]],
    dice: Floats,
    ids: Integers,
    fixed: Floats,
    permutations: int,
    seed: int,
) -> list[tuple[float, float]]:
    """Return the correlations of ranks of Dice with scores, then with what views predict, and p over all.

    Args:
        scores: of subjects, (N,) each; two-sided.
        views: (N, ...) each; one-sided, since a prediction is right or it is not.
        dice: (N,).
        ids: group of each subject, within which Dice is dealt, (N,).
        fixed: the groups' indicators, and what else is held fixed, (N, K); straight lines in it are taken out
            of everything.
        permutations: number of deals.
        seed: of deals and folds.
    """
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(fixed)

    def free(values: Floats) -> Floats:
        """Take what is held fixed out of the last axis."""
        return np.asarray(values - values @ basis @ basis.T, dtype=np.float64)

    target = free(_ranks(dice, ids))
    deals = dealt(target, permutations, rng, [ids == group for group in np.unique(ids)])
    deals[1:] = free(deals[1:])
    folds = stratified_folds(ids, rng)
    looks = [np.broadcast_to(free(_ranks(score, ids)), deals.shape) for score in scores]
    for view in views:
        flat = view.reshape(len(view), -1).astype(np.float64)
        parts = components_of(free(flat.T).T.reshape(view.shape))[:, 1:]  # without the constant
        looks.append(free(deals @ _refitted(parts, folds).T))
    size = np.sqrt((deals**2).sum(axis=1))
    correlations = np.column_stack(
        [
            (look * deals).sum(axis=1) / np.maximum(np.sqrt((look**2).sum(axis=1)) * size, 1e-12)
            for look in looks
        ]
    )
    centers, spreads = of_the_others(correlations, 0.0)
    z = (correlations - centers) / spreads
    z[:, : len(scores)] = np.abs(z[:, : len(scores)])
    largest = z[1:].max(axis=1)
    return [
        (float(one), share_as_large(largest, observed))
        for one, observed in zip(correlations[0], z[0], strict=True)
    ]


def _refitted(parts: Floats, folds: npt.NDArray[np.int8]) -> Floats:
    """Return the matrix, (N, N), that turns targets into the mean of their out-of-fold predictions."""
    matrix = np.zeros((len(parts), len(parts)))
    for repeat in folds:
        for fold in range(FOLDS):
            held_out = repeat == fold
            fold_parts = parts[held_out]
            system = np.eye(parts.shape[1]) - fold_parts.T @ fold_parts
            matrix[np.ix_(held_out, ~held_out)] += fold_parts @ np.linalg.solve(system, parts[~held_out].T)
    return matrix / len(folds)


def _limits(correlation: float, free: int) -> tuple[float, float]:
    """Return 95% limits of a correlation of ranks (Fisher; Fieller et al. 1957)."""
    around = 1.96 * 1.06 / np.sqrt(max(free - 2, 1))
    middle = np.arctanh(np.clip(correlation, -0.999999, 0.999999))
    return float(np.tanh(middle - around)), float(np.tanh(middle + around))


def _ranks(values: Floats, ids: Integers) -> Floats:
    """Return ranks within each group, centred and of unit variance, so that groups of all sizes agree."""
    ranks = np.zeros(values.size)
    for group in np.unique(ids):
        group_ranks = mid_ranks(values[ids == group])
        spread = group_ranks.std()
        ranks[ids == group] = (group_ranks - group_ranks.mean()) / spread if spread > 0 else 0.0
    return ranks


def _gaps(
    dice: Floats, ids: Integers, names: Sequence[str], group: str, score: Floats
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the gap of means before and after the score is held fixed, each with limits."""
    nothing = (np.nan,) * 3
    # Among several groups, one is told from all others, so it is compared with all others.
    member = np.where(ids == names.index(group), group, "others")
    table = adjusted_gap(dice, member, pd.DataFrame({"score": score}), reference="others").table
    if table.empty:
        return nothing, nothing
    row = table.iloc[0]
    return (
        (float(row["unadjusted"]), float(row["unadjusted_low"]), float(row["unadjusted_high"])),
        (float(row["adjusted"]), float(row["adjusted_low"]), float(row["adjusted_high"])),
    )
