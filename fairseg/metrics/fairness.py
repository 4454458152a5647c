"""Group statistics and fairness measures: from one value a subject to how groups differ.

Every function takes group ids and the number of groups of the cohort. An id of -1 (unknown) falls
into no group; a group without values is NaN with a count of 0, never 0.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Statistic = Literal["median", "mean", "iqr"]


def iqr(values: Sequence[float] | Floats) -> float:
    """Inter-quartile range: 75th minus 25th percentile, linearly interpolated.

    >>> iqr([1.0, 2.0, 3.0, 4.0, 5.0])
    2.0
    """
    low, high = np.percentile(values, (25.0, 75.0))
    return float(high - low)


_STATISTICS: dict[str, Callable[[Floats], float]] = {
    "median": np.median,
    "mean": np.mean,
    "iqr": iqr,
}


def by_group(
    values: Sequence[float] | Floats,
    groups: npt.ArrayLike,
    num_groups: int,
    statistic: Statistic = "median",
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Summarise values within each group.

    Args:
        values: one value a subject, (N,); NaN is left out.
        groups: group ids, integer (N,); -1 is left out.
        num_groups: number of groups in the cohort.
        statistic: "median", "mean" or "iqr".

    Returns:
        The statistic, float64 (G,), NaN for a group without values; and how many values each group
        has, int64 (G,).

    Raises:
        ValueError: lengths differ, ids are not integers of -1 to `num_groups` - 1, a value is
            infinite, or the statistic is unknown.

    >>> by_group([0.9, 0.8, 0.7, 0.6], [0, 0, 1, -1], num_groups=3)
    (array([0.85, 0.7 ,  nan]), array([2, 1, 0]))
    """
    if statistic not in _STATISTICS:
        raise ValueError(f"statistic must be one of {', '.join(_STATISTICS)}, got {statistic!r}")
    parts = split_by_group(values, groups, num_groups)
    summary = [_STATISTICS[statistic](part) if part.size else np.nan for part in parts]
    return np.array(summary, dtype=np.float64), np.array([part.size for part in parts], dtype=np.int64)


def split_by_group(values: Sequence[float] | Floats, groups: npt.ArrayLike, num_groups: int) -> list[Floats]:
    """Return the values of each group, without NaN and without unknown ids; as `by_group`.

    >>> split_by_group([0.9, 0.8, 0.7, 0.6], [0, 0, 1, -1], num_groups=2)
    [array([0.9, 0.8]), array([0.7])]
    """
    value, group = np.asarray(values, dtype=np.float64), np.asarray(groups)
    if value.ndim != 1 or value.shape != group.shape:
        raise ValueError(
            f"values and groups must be vectors of one length, got {value.shape} and {group.shape}"
        )
    if group.size and group.dtype.kind not in "iu":
        raise ValueError(f"groups must be integer ids, got dtype {group.dtype}")
    if np.isinf(value).any():
        raise ValueError("values must be finite or NaN, got infinity")
    if group.size and not -1 <= int(group.min()) <= int(group.max()) < num_groups:
        wrong = int(group.min()) if group.min() < -1 else int(group.max())
        raise ValueError(f"groups must lie between -1 and {num_groups - 1}, got {wrong}")
    known = ~np.isnan(value)
    return [value[known & (group == number)] for number in range(num_groups)]


def fairness_gap(group_values: Sequence[float] | Floats, reference: int | None = None) -> float:
    """Fairness gap: how far the groups' values lie apart (section 4.8 of Lee et al. 2025).

    Args:
        group_values: one value a group, such as the median Dice, (G,); NaN for an absent group.
        reference: index of the reference group r. The gap is then D_r - D_g for the group g that is
            farthest from r, signed: positive if r is better off (the positive one if two are equally
            far). `None`: the largest value minus the smallest.

    Returns:
        The gap; NaN with fewer than two groups present or an absent reference group.

    Raises:
        ValueError: `group_values` is no vector, or `reference` is no index into it.

    >>> round(fairness_gap([0.896, 0.846], reference=0), 3)  # Table 4, baseline
    0.05
    >>> round(fairness_gap([0.906, 0.914], reference=0), 3)  # Table 6, oversampling
    -0.008
    """
    values = _group_values(group_values)
    present = values[~np.isnan(values)]
    if reference is None:
        return float(present.max() - present.min()) if present.size > 1 else float("nan")
    if isinstance(reference, str | float | bool) or not 0 <= reference < values.size:
        raise ValueError(f"reference must be a group index below {values.size}, got {reference!r}")
    gaps = values[reference] - np.delete(values, reference)
    gaps = gaps[~np.isnan(gaps)]
    if not gaps.size:
        return float("nan")
    tie = 1e-12  # which rounding must not decide
    return float(gaps.max() if gaps.max() >= -gaps.min() - tie else gaps.min())


def gap_pair(group_values: Sequence[float] | Floats, reference: int | None = None) -> tuple[int, int] | None:
    """Return the two groups that make the `fairness_gap`: the better- and the worse-served, as indices.

    Args:
        group_values: as in `fairness_gap`, (G,), higher is better; NaN for a group that takes no part.
        reference: as in `fairness_gap`; then it is one of the two.

    Returns:
        (better, worse), of equal values in the order of the groups; None without a gap.

    >>> gap_pair([0.90, 0.85, 0.93]), gap_pair([0.90, 0.85, 0.93], reference=0), gap_pair([0.9])
    ((2, 1), (0, 1), None)
    """
    values = _group_values(group_values)
    present = [group for group in range(values.size) if not np.isnan(values[group])]
    if reference is not None:
        gap = fairness_gap(values, reference)
        if np.isnan(gap):
            return None
        others = [group for group in present if group != reference]
        other = min(others, key=lambda group: abs(values[reference] - values[group] - gap))
        present = sorted((reference, other))
    ordered = sorted(present, key=lambda group: -values[group])
    return (ordered[0], ordered[-1]) if len(ordered) > 1 else None


def skewed_error_ratio(group_values: Sequence[float] | Floats) -> float:
    """Skewed error ratio (SER): the largest group error over the smallest, max(1-D) / min(1-D).

    Section 4.8 of Lee et al. 2025, after Puyol-Anton et al. 2021, for any number of groups.

    Args:
        group_values: one score between 0 and 1 a group, such as the median Dice, (G,); NaN for an
            absent group.

    Returns:
        A ratio >= 1, where 1 is fair; inf if only some groups are perfect. NaN with fewer than two
        groups present, or if all are perfect (0 / 0).

    Raises:
        ValueError: `group_values` is no vector, or a value lies outside 0 to 1.

    >>> round(skewed_error_ratio([0.917, 0.888]), 2)  # Table 6, baseline
    1.35
    """
    values = _group_values(group_values)
    if (values < 0).any() or (values > 1).any():
        raise ValueError(f"group_values must lie between 0 and 1, got {values.tolist()}")
    errors = 1.0 - values[~np.isnan(values)]
    if errors.size < 2 or errors.max() == 0:
        return float("nan")
    return float(errors.max() / errors.min()) if errors.min() > 0 else float("inf")


def worst_group(group_values: Sequence[float] | Floats) -> float:
    """Value of the worst-served group: the smallest; NaN for absent groups is left out.

    For scores where higher is better. NaN if no group is present.

    >>> worst_group([0.896, 0.846, float("nan")])
    0.846
    """
    values = _group_values(group_values)
    present = values[~np.isnan(values)]
    return float(present.min()) if present.size else float("nan")


def equity_scaled(
    overall: float,
    group_values: Sequence[float] | Floats,
    variant: Literal["sum", "std"],
    ddof: int | None = None,
) -> float:
    """Equity-scaled score: the overall score divided by 1 + how unequal the groups are.

    Three definitions are in print under one name, and their values differ; so say which you mean:
    `variant="sum"` scales by the sum over groups of |overall - D_g| (Tian et al. 2023, FairSeg);
    `variant="std"` by the standard deviation of the group values, where published code has used both
    `ddof=1` (what `torch.std` gives) and `ddof=0` (what `numpy.std` gives).

    Args:
        overall: the score over all subjects.
        group_values: one score a group, (G,); NaN for an absent group is left out.
        variant: "sum" or "std".
        ddof: 0 or 1, required for "std" and only allowed there.

    Returns:
        The scaled score, at most `overall`; NaN with fewer than two groups present.

    Raises:
        ValueError: an unknown variant, or a `ddof` that is missing or out of place.

    >>> round(equity_scaled(0.89, [0.896, 0.846], "sum"), 4)
    0.8476
    >>> round(equity_scaled(0.89, [0.896, 0.846], "std", ddof=1), 4)
    0.8596
    """
    values = _group_values(group_values)
    present = values[~np.isnan(values)]
    if variant not in ("sum", "std"):
        raise ValueError(f'variant must be "sum" or "std", got {variant!r}')
    if (variant == "std") != (ddof in (0, 1)) or (variant == "sum" and ddof is not None):
        raise ValueError(f'ddof must be 0 or 1 with variant "std", and only there, got {ddof!r}')
    if present.size < 2:
        return float("nan")
    if variant == "sum":
        return float(overall / (1.0 + np.abs(overall - present).sum()))
    return float(overall / (1.0 + present.std(ddof=ddof or 0)))


def mann_whitney_u(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> float:
    """Two-sided Mann-Whitney U test of two groups' values; the p-value (the paper's tables).

    SciPy's: exact for small samples without ties, else the normal approximation with corrections for
    ties and continuity.

    Args:
        first: one value a subject, (N,); NaN is left out.
        second: the same for the other group; the groups share no subject.

    Returns:
        The p-value; NaN if a group has fewer than two values, where no evidence is to be had.

    >>> round(mann_whitney_u([0.9, 0.91, 0.92, 0.93], [0.8, 0.81, 0.82, 0.83]), 4)
    0.0286
    """
    from scipy import stats  # noqa: PLC0415  (slow to import, and only this needs it)

    samples = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    known = [values[~np.isnan(values)] for values in samples]
    if min(values.size for values in known) < 2:
        return float("nan")
    return float(stats.mannwhitneyu(*known, alternative="two-sided").pvalue)


def _group_values(group_values: Sequence[float] | Floats) -> Floats:
    values = np.asarray(group_values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"group_values must be a vector (G,), got shape {values.shape}")
    return values
