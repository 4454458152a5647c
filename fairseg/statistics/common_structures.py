"""The overall score of a subject, from structures that every compared group has.

A mean over whichever structures a subject happens to have compares the structures, not the groups: where one
group has no easy structure, it looks worse served.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairseg.metrics.fairness import Floats
from fairseg.statistics.findings import Grouping

_LEAST_SHARE = 0.5  # of a group's subjects that must have a structure


@dataclass(frozen=True)
class CommonStructures:
    """Overall scores and the structures that they are made of.

    Attributes:
        overall: (N,), NaN for a subject without any of the structures used.
        used: the structures that all compared groups have.
        dropped: (structure, attribute, group) where a group lacks a structure.
        moved: number of subjects that lack some of the structures used.
    """

    overall: Floats
    used: tuple[str, ...]
    dropped: tuple[tuple[str, str, str], ...]
    moved: int


def common_structures(
    scores: Floats, groupings: Sequence[Grouping], *, structures: Sequence[str], min_size: int = 10
) -> CommonStructures:
    """Return the mean score of each subject over the structures that every compared group has.

    A structure is used if in each group of `min_size` scored subjects or more at least half of them, and
    `min_size`, have it. A subject that lacks a structure used gets the mean of the others, moved by how much
    the structures it has are easier than all, as measured on subjects that have all.

    Args:
        scores: of each subject and structure, (N, S); NaN where the subject lacks it.
        groupings: the attributes whose groups are compared.
        structures: their names, (S,).
        min_size: smaller groups are not compared and have no say.

    Raises:
        ValueError: scores are not one row a subject and one column a structure.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(structures):
        raise ValueError(f"scores must be (N, {len(structures)}), a column a structure, got {values.shape}")
    present = ~np.isnan(values)
    dropped = []
    for grouping in groupings:
        for code, group in enumerate(grouping.group_names):
            members = present[(grouping.ids == code) & present.any(1)]
            if len(members) < min_size:
                continue
            enough = np.maximum(min_size, _LEAST_SHARE * len(members))
            dropped += [
                (name, grouping.name, group)
                for name, count in zip(structures, members.sum(0), strict=True)
                if count < enough
            ]
    lacked = {name for name, _, _ in dropped}
    scored = np.asarray(present.any(0))  # nobody has a distance of a structure that is found in nobody
    columns = [index for index, name in enumerate(structures) if name not in lacked and scored[index]]
    used = tuple(structures[index] for index in columns)
    if not columns:
        return CommonStructures(np.full(len(values), np.nan), (), tuple(dropped), 0)
    values, present = values[:, columns], present[:, columns]
    complete = values[present.all(1)]
    if len(complete) >= min_size:
        level = complete.mean(0)
    else:
        level = np.array([column[here].mean() for column, here in zip(values.T, present.T, strict=True)])
    count = present.sum(1)
    total = np.where(present, values - level, 0.0).sum(1)
    overall = np.full(len(values), np.nan)
    overall[count > 0] = total[count > 0] / count[count > 0] + level.mean()
    whole = present.all(1)
    overall[whole] = values[whole].mean(1)
    partial = (count > 0) & ~whole
    if partial.any():
        overall[partial] = np.clip(overall[partial], np.nanmin(values), np.nanmax(values))
    return CommonStructures(overall, used, tuple(dropped), int(partial.sum()))
