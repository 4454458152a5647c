"""Readable is not used: does how much a subject looks like a group go with how well it is segmented?

Within each group, so that a gap between groups by itself is no answer. It is an association still: only the
intervention (`intervention`), which changes the image and nothing else, tells use from presence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from fairseg.statistics.confounders import adjusted_gap
from fairseg.understanding.readable import Floats, Integers, Readings, Tested
from fairseg.understanding.views import ERRORS

_APART = 0.95  # AUC above which hardly any two subjects of different groups have like scores


@dataclass(frozen=True)
class Association(Tested):
    """Whether the score of a view goes with Dice, within the groups.

    Attributes:
        view: name of it.
        group: that the score tells.
        n: subjects with a Dice.
        correlation: of ranks within the groups, pooled over them.
        low: 95% limit.
        high: the other.
        p_adjusted: over all rows, by dealing Dice anew to the subjects of each group.
        gap: mean Dice of the reference group minus that of the group, with limits.
        adjusted: the same with the score held fixed, with limits; NaN where that cannot be told.
        apart: whether hardly any two subjects of different groups have like scores, so that the adjusted gap
            is a guess beyond the data.
    """

    view: str
    group: str
    n: int
    correlation: float
    low: float
    high: float
    p_adjusted: float
    gap: tuple[float, float, float]
    adjusted: tuple[float, float, float]
    apart: bool


def associations(
    readings: Readings,
    dice: Floats,
    ids: Integers,
    names: Sequence[str],
    *,
    permutations: int = 1000,
    seed: int = 0,
) -> list[Association]:
    """Test, for the views in which a group is shown to be readable, whether their score goes with Dice.

    Args:
        readings: as from `read_groups`.
        dice: of each subject, (N,); NaN takes no part.
        ids: group of each subject, (N,), from 0 on.
        names: of the groups; the first is the reference group.
        permutations: deals of Dice within groups.
        seed: of the deals.

    Returns:
        A row for each view and group that is shown to be readable, but the map of errors.
    """
    rows = [row for row in readings.rows if row.shown and row.view != ERRORS]  # of which Dice is made
    known = np.isfinite(dice)
    own = ids[known]
    if not rows or known.sum() < 4:
        return []
    rng = np.random.default_rng(seed)
    target = _ranks(dice[known], own)
    deals = np.tile(target, (permutations, 1))
    for group in np.unique(own):
        deals[:, own == group] = rng.permuted(deals[:, own == group], axis=1)
    scores = [readings.scores[row.view][known, names.index(row.group)] for row in rows]
    ranked = np.stack([_ranks(score, own) for score in scores])
    scale = np.sqrt((ranked**2).sum(axis=1) * (target**2).sum()).clip(1e-12)
    found = ranked @ target / scale
    largest = np.abs(deals @ ranked.T / scale).max(axis=1)
    free = max(int(known.sum()) - len(np.unique(own)) - 2, 1)
    result = []
    for row, score, value in zip(rows, scores, found, strict=True):
        around = np.arctanh(np.clip(value, -0.999999, 0.999999)) + 1.96 / np.sqrt(free) * np.array(
            [-1.06, 1.06]
        )
        low, high = np.tanh(around)
        gap, adjusted = _gaps(dice[known], own, names, row.group, score)
        result.append(
            Association(
                row.view,
                row.group,
                int(known.sum()),
                float(value),
                float(low),
                float(high),
                float((1 + np.count_nonzero(largest >= abs(value) - 1e-12)) / (1 + permutations)),
                gap,
                adjusted,
                row.auc > _APART,
            )
        )
    return result


def _ranks(values: Floats, ids: Integers) -> Floats:
    """Return ranks within each group, centred and of unit variance, so that groups of all sizes agree."""
    ranks = np.zeros(values.size)
    for group in np.unique(ids):
        own = rankdata(values[ids == group])
        spread = own.std()
        ranks[ids == group] = (own - own.mean()) / spread if spread > 0 else 0.0
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
