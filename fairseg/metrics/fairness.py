"""Group statistics and fairness measures: from one value a subject to how groups differ.

Every function takes values and groups, one a subject, and makes `GroupedValues` of them; measures of groups
also take one value a group. A subject of unknown group (id -1, or a missing name) falls into none; a group
without values is NaN with a count of 0, never 0.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairseg.cohort.vectors import Vector
from fairseg.io.sentences import not_among
from fairseg.metrics.earlier_forms import accepts_num_groups
from fairseg.metrics.grouped import Floats as Floats  # noqa: PLC0414  (the rooms above take it from here)
from fairseg.metrics.grouped import GroupedValues, GroupValues, Reference, as_values
from fairseg.metrics.ranks import rank_sum_p

Statistic = Literal["median", "mean", "iqr"]


def iqr(values: Vector) -> float:
    """Inter-quartile range: 75th minus 25th percentile, linearly interpolated.

    >>> iqr([1.0, 2.0, 3.0, 4.0, 5.0])
    2.0
    """
    low, high = np.percentile(as_values(values), (25.0, 75.0))
    return float(high - low)


_STATISTICS: dict[str, Callable[[Floats], float]] = {"median": np.median, "mean": np.mean, "iqr": iqr}


@accepts_num_groups()
def by_group(
    values: Vector, groups: Vector, statistic: Statistic = "median"
) -> tuple[Floats | Any, npt.NDArray[np.int64] | Any]:
    """Summarise values within each group.

    Args:
        values: one value a subject, (N,): list, NumPy array, pandas Series or torch tensor; NaN is left out.
        groups: the group of each subject, (N,): integers are ids, from -1 (unknown, left out) on, all else
            are names, of which missing ones are left out. A `GroupIds` (`as_ids(ids, known=groups)`) also has
            groups without subjects.
        statistic: "median", "mean" or "iqr".

    Returns:
        The statistic, float64 (G,), NaN for a group without values; and how many values each group
        has, int64 (G,). Where names went in, each is a pandas Series indexed by the groups' names.

    Raises:
        ValueError: values and groups do not fit each other (see `GroupedValues.of`), or the statistic is
            unknown.

    >>> by_group([0.9, 0.8, 0.7, 0.6], [0, 0, 1, -1])
    (array([0.85, 0.7 ]), array([2, 1]))
    >>> by_group([0.9, 0.8, 0.7, 0.6], ["M", "M", "F", None])[0].round(2).to_dict()
    {'F': 0.7, 'M': 0.85}
    """
    if statistic not in _STATISTICS:
        raise ValueError(not_among("statistic", statistic, _STATISTICS))
    grouped = GroupedValues.of(values, groups)
    counts = np.array([part.size for part in grouped.parts], dtype=np.int64)
    return grouped.per_group(grouped.summary(_STATISTICS[statistic])), grouped.per_group(counts)


@accepts_num_groups()
def split_by_group(values: Vector, groups: Vector) -> list[Floats] | Any:
    """Return the values of each group, without NaN and without subjects of unknown group.

    Args:
        values: one value a subject, (N,), as in `by_group`.
        groups: the group of each subject, (N,), as in `by_group`.

    Returns:
        A list of float64 arrays, one a group, empty for a group without values; where names went in, a pandas
        Series of them.

    Raises:
        ValueError: values and groups do not fit each other (see `GroupedValues.of`).

    >>> split_by_group([0.9, 0.8, 0.7, 0.6], [0, 0, 1, -1])
    [array([0.9, 0.8]), array([0.7])]
    """
    grouped = GroupedValues.of(values, groups)
    return grouped.per_group(grouped.parts)


@accepts_num_groups(group_values="values")
def fairness_gap(values: Vector, groups: Vector | None = None, *, reference: Reference = None) -> float:
    """Fairness gap: the difference between the groups' values (section 4.8 of Lee et al. 2025).

    Args:
        values: one value a subject, such as the Dice, (N,), of whose groups the medians are compared; without
            `groups`, one value a group, such as the median Dice, (G,), NaN for an absent group.
        groups: the group of each subject, (N,), ids or names as in `by_group`.
        reference: name or id of the reference group r. The gap is then D_r - D_g for the group g that is
            farthest from r, signed: positive if r is better off (the positive one if two are equally
            far). `None`: the largest value minus the smallest.

    Returns:
        The gap; NaN with fewer than two groups present or an absent reference group.

    Raises:
        ValueError: `values` is no vector, does not fit `groups`, or `reference` is no group.

    >>> round(fairness_gap([0.896, 0.846], reference=0), 3)  # Table 4, baseline
    0.05
    >>> round(fairness_gap([0.906, 0.914], reference=0), 3)  # Table 6, oversampling
    -0.008
    >>> round(fairness_gap([0.91, 0.93, 0.88, 0.84], ["M", "M", "F", "F"], reference="M"), 3)
    0.06
    """
    return _gap(GroupValues.of(values, groups, reference))


@accepts_num_groups(group_values="values")
def gap_pair(
    values: Vector, groups: Vector | None = None, *, reference: Reference = None
) -> tuple[Any, Any] | None:
    """Return the two groups that make the `fairness_gap`: the better- and the worse-served.

    Args:
        values: one value a subject, or one a group, as in `fairness_gap`; higher is better.
        groups: the group of each subject, (N,), ids or names as in `by_group`.
        reference: name or id of the reference group, which is then one of the two.

    Returns:
        (better, worse), ids, or names where names went in; equal values are in the order of the groups;
        `None` without a gap.

    Raises:
        ValueError: as `fairness_gap`.

    >>> gap_pair([0.90, 0.85, 0.93]), gap_pair([0.90, 0.85, 0.93], reference=0), gap_pair([0.9])
    ((2, 1), (0, 1), None)
    >>> gap_pair([0.91, 0.93, 0.88, 0.84], ["M", "M", "F", "F"])
    ('M', 'F')
    """
    of_groups = GroupValues.of(values, groups, reference)
    value = of_groups.values
    present = np.flatnonzero(~np.isnan(value)).tolist()
    if (first := of_groups.reference) is not None:
        gap = _gap(of_groups)
        if np.isnan(gap):
            return None
        compared = [group for group in present if group != first]
        farthest = min(compared, key=lambda group: abs(value[first] - value[group] - gap))
        present = sorted((first, farthest))
    ordered = sorted(present, key=lambda group: -value[group])
    if len(ordered) < 2:
        return None
    names = of_groups.names or range(value.size)
    return names[ordered[0]], names[ordered[-1]]


@accepts_num_groups(group_values="values")
def skewed_error_ratio(values: Vector, groups: Vector | None = None) -> float:
    """Skewed error ratio (SER): the largest group error over the smallest, max(1-D) / min(1-D).

    Section 4.8 of Lee et al. 2025, after Puyol-Anton et al. 2021, for any number of groups.

    Args:
        values: one score between 0 and 1 a subject, such as the Dice, (N,), of whose groups the medians D are
            compared; without `groups`, one a group, (G,), NaN for an absent group.
        groups: the group of each subject, (N,), ids or names as in `by_group`.

    Returns:
        A ratio >= 1, where 1 is fair; inf if only some groups are perfect. NaN with fewer than two
        groups present, or if all are perfect (0 / 0).

    Raises:
        ValueError: `values` is no vector, does not fit `groups`, or lies outside 0 to 1.

    >>> round(skewed_error_ratio([0.917, 0.888]), 2)  # Table 6, baseline
    1.35
    """
    present = GroupValues.of(values, groups).present
    if (present < 0).any() or (present > 1).any():
        hint = " (percentages? divide by 100)" if (present >= 0).all() and 1.5 < present.max() <= 100 else ""
        raise ValueError(f"values must lie between 0 and 1, got {present.tolist()} of the groups{hint}")
    errors = 1.0 - present
    if errors.size < 2 or errors.max() == 0:
        return float("nan")
    return float(errors.max() / errors.min()) if errors.min() > 0 else float("inf")


@accepts_num_groups(group_values="values")
def worst_group(values: Vector, groups: Vector | None = None) -> float:
    """Value of the worst-served group: the smallest; NaN for absent groups is left out.

    For scores where higher is better.

    Args:
        values: one value a subject, of whose groups the medians are compared, or one a group, as in
            `fairness_gap`.
        groups: the group of each subject, (N,), ids or names as in `by_group`.

    Returns:
        The smallest value of a group; NaN if no group is present.

    Raises:
        ValueError: `values` is no vector, or does not fit `groups`.

    >>> worst_group([0.896, 0.846, float("nan")])
    0.846
    """
    present = GroupValues.of(values, groups).present
    return float(present.min()) if present.size else float("nan")


@accepts_num_groups(overall="values", group_values="groups")
def equity_scaled(
    values: Vector | float,
    groups: Vector,
    variant: Literal["sum", "std"] | None = None,
    ddof: int | None = None,
) -> float:
    """Equity-scaled score: the overall score divided by 1 + how unequal the groups are.

    Three definitions are published under this name, and their values differ, so state which one you mean:
    `variant="sum"` scales by the sum over groups of |overall - D_g| (Tian et al. 2023, FairSeg);
    `variant="std"` by the standard deviation of the group values, where published code has used both
    `ddof=1` (what `torch.std` gives) and `ddof=0` (what `numpy.std` gives).

    Args:
        values: one value a subject, (N,), whose median over all subjects of known group is the overall score;
            or the overall score itself, a number.
        groups: the group of each subject, (N,), ids or names as in `by_group`; beside an overall score, one
            score a group, (G,), NaN for an absent group, which is left out.
        variant: "sum" or "std"; there is no default.
        ddof: 0 or 1, required for "std" and only allowed there.

    Returns:
        The scaled score, at most the overall one; NaN with fewer than two groups present.

    Raises:
        ValueError: values and groups do not fit each other, an unknown variant, or a `ddof` that is missing
            or out of place.

    >>> round(equity_scaled(0.89, [0.896, 0.846], "sum"), 4)
    0.8476
    >>> round(equity_scaled(0.89, [0.896, 0.846], "std", ddof=1), 4)
    0.8596
    >>> round(equity_scaled([0.9, 0.8, 0.7], ["M", "M", "F"], "sum"), 4)  # 0.8 / (1 + 0.05 + 0.1)
    0.6957
    """
    if variant not in ("sum", "std"):
        raise ValueError(
            f'variant must be "sum" (Tian et al. 2023) or "std", with ddof 0 or 1, got {variant!r}: '
            "they give other values, and there is no default"
        )
    if (variant == "std") != (ddof in (0, 1)) or (variant == "sum" and ddof is not None):
        raise ValueError(f'ddof must be 0 or 1 with variant "std", and only there, got {ddof!r}')
    if np.ndim(values):
        grouped = GroupedValues.of(values, groups)
        present = grouped.medians[~np.isnan(grouped.medians)]
        overall = float(np.median(np.concatenate(grouped.parts))) if present.size else float("nan")
    else:
        present, overall = GroupValues.of(groups, None).present, float(values)
    if present.size < 2:
        return float("nan")
    if variant == "sum":
        return float(overall / (1.0 + np.abs(overall - present).sum()))
    return float(overall / (1.0 + present.std(ddof=ddof or 0)))


def fairness_score(
    dice: Vector, hd95: Vector, attributes: Vector | Mapping[str, Vector], *, hd95_scale: float = 150.0
) -> float:
    """Fairness score of the MAMA-MIA challenge: 1 where groups are alike, less the more their means differ.

    For one attribute it is 1 - (range of the groups' mean Dice + range of their mean HD95 / 150 mm) / 2, for
    several the mean over them (arXiv 2603.01250). It uses means alone, whatever their uncertainty and
    whichever group is behind, and a model that fails for everybody alike scores 1.

    Args:
        dice: one value a subject, (N,).
        hd95: one value a subject, (N,), mm; NaN, of a missed structure, is left out of its group's mean. The
            challenge charges 150 for a miss: put it in its place. Its script measures in voxels.
        attributes: name of an attribute -> the group of each subject, (N,), ids or names as in `by_group`; or
            the groups of one attribute.
        hd95_scale: HD95 that counts as much as a Dice of 1, mm.

    Returns:
        At most 1, and below 0 where ranges of HD95 go far beyond the scale; NaN if an attribute has fewer
        than two groups with values.

    Raises:
        ValueError: values and groups do not fit each other, no attribute, or a scale that is not positive.

    >>> fairness_score([0.9, 0.7, 0.8], [5.0, 20.0, 5.0], ["M", "F", "M"])  # 1 - (0.15 + 15 / 150) / 2
    0.875
    """
    if not hd95_scale > 0:
        raise ValueError(f"hd95_scale must be positive, got {hd95_scale}")
    columns = attributes.values() if isinstance(attributes, Mapping) else [attributes]
    if not columns:
        raise ValueError("attributes must name at least one attribute, got none")
    scores = []
    for groups in columns:
        ranges = [_range(np.asarray(by_group(values, groups, "mean")[0])) for values in (dice, hd95)]
        scores.append(1.0 - (ranges[0] + ranges[1] / hd95_scale) / 2.0)
    return float(np.mean(scores))


def _range(of_groups: Floats) -> float:
    present = of_groups[~np.isnan(of_groups)]
    return float(present.max() - present.min()) if present.size > 1 else float("nan")


def mann_whitney_u(first: Vector, second: Vector) -> float:
    """Two-sided Mann-Whitney U test of two groups' values; the p-value (the paper's tables).

    SciPy's: exact for small samples without ties, else the normal approximation with corrections for
    ties and continuity.

    Args:
        first: one value a subject of one group, (N,); NaN is left out.
        second: the same for the other group; the groups share no subject. Or the names of two groups, one for
            each value of `first`; of group ids `mann_whitney_u(*split_by_group(values, ids))`.

    Returns:
        The p-value; NaN if a group has fewer than two values, which are no evidence.

    Raises:
        ValueError: an argument is no vector of numbers, or the names are not of two groups.

    >>> round(mann_whitney_u([0.9, 0.91, 0.92, 0.93], [0.8, 0.81, 0.82, 0.83]), 4)
    0.0286
    >>> round(mann_whitney_u([0.9, 0.91, 0.8, 0.81], ["M", "M", "F", "F"]), 4)
    0.3333
    """
    if _are_names(second):
        grouped = GroupedValues.of(first, second)
        if grouped.num_groups != 2:
            raise ValueError(
                f"second must name two groups, got {grouped.num_groups}; of more, see `kruskal_wallis`"
            )
        samples = grouped.parts
    else:
        samples = [as_values(first, "first"), as_values(second, "second")]
    present = [values[~np.isnan(values)] for values in samples]
    if min(values.size for values in present) < 2:
        return float("nan")
    return rank_sum_p(*present)


def _gap(of_groups: GroupValues) -> float:
    reference, present = of_groups.reference, of_groups.present
    if reference is None:
        return float(present.max() - present.min()) if present.size > 1 else float("nan")
    gaps = of_groups.values[reference] - np.delete(of_groups.values, reference)
    gaps = gaps[~np.isnan(gaps)]
    if not gaps.size:
        return float("nan")
    tie = 1e-12  # rounding must not decide
    return float(gaps.max() if gaps.max() >= -gaps.min() - tie else gaps.min())


def _are_names(values: Vector) -> bool:
    """Whether a vector holds text or a Categorical: names, not numbers."""
    dtype = getattr(values, "dtype", None)
    if hasattr(dtype, "categories"):
        return True
    return (
        not hasattr(values, "detach")
        and getattr(dtype, "kind", "O") not in "biuf"
        and any(isinstance(value, str) for value in values)
    )
