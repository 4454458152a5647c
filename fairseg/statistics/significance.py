"""Tests of whether groups, or models, differ by more than chance, and corrections for many of them."""

from typing import Any

import numpy as np
import scipy  # its parts load when they are touched

from fairseg.cohort.vectors import Vector
from fairseg.metrics.earlier_forms import accepts_num_groups
from fairseg.metrics.fairness import fairness_gap, mann_whitney_u
from fairseg.metrics.grouped import Floats, GroupedValues, Reference, as_values
from fairseg.metrics.ranks import mid_ranks, tie_sum
from fairseg.statistics.differences import pairs_of

_LEAST = 2  # values a group, below which no evidence is to be had
_CHUNK = 2_000_000  # numbers permuted at once
_MOST_SIGNED = 13  # pairs whose signs are all tried, as SciPy does where values are tied, at length


@accepts_num_groups()
def kruskal_wallis(values: Vector, groups: Vector) -> float:
    """Kruskal-Wallis test of whether the groups' values come from one distribution; the p-value.

    Args:
        values: one value a subject, (N,); NaN is left out.
        groups: the group of each subject, (N,), ids or names as in `by_group`.

    Returns:
        The p-value over the groups of at least two values; NaN with fewer than two of them. 1 if all values
        are equal.

    Raises:
        ValueError: values and groups do not fit each other, as for `by_group`.

    >>> round(kruskal_wallis([1, 2, 3, 4, 5, 6, 7, 8, 9], list("AAABBBCCC")), 4)
    0.0273
    """
    parts = [part for part in GroupedValues.of(values, groups).parts if part.size >= _LEAST]
    if len(parts) < 2:
        return float("nan")
    pooled = np.concatenate(parts)
    if np.ptp(pooled) == 0:
        return 1.0
    total = pooled.size
    of_groups = np.split(mid_ranks(pooled), np.cumsum([part.size for part in parts])[:-1])
    squares = sum(float(ranks.sum()) ** 2 / ranks.size for ranks in of_groups)
    h = 12.0 / (total * (total + 1)) * squares - 3 * (total + 1)
    return float(scipy.special.chdtrc(len(parts) - 1, h / (1 - tie_sum(pooled) / (total**3 - total))))


@accepts_num_groups()
def pairwise_mann_whitney(
    values: Vector, groups: Vector, *, reference: Reference = None
) -> tuple[list[tuple[Any, Any]], Floats, Floats]:
    """Two-sided Mann-Whitney U tests of pairs of groups, with Holm's correction for their number.

    Args:
        values: one value a subject, (N,); NaN is left out.
        groups: the group of each subject, (N,), ids or names as in `by_group`.
        reference: name or id of the group that the others are compared with; `None`: all pairs.

    Returns:
        The pairs of groups, as ids, or names where names went in; the p-values, (P,), NaN where a group has
        fewer than two values; and the same corrected, which hold together.

    Raises:
        ValueError: values and groups do not fit each other, as for `by_group`, or the reference is no group.

    >>> pairs, p, corrected = pairwise_mann_whitney([1, 2, 3, 4, 5, 6, 7, 8, 9], list("AAABBBCCC"))
    >>> pairs, p.round(2), corrected.round(2)
    ([('A', 'B'), ('A', 'C'), ('B', 'C')], array([0.1, 0.1, 0.1]), array([0.3, 0.3, 0.3]))
    """
    grouped = GroupedValues.of(values, groups, reference=reference)
    parts, pairs = grouped.parts, pairs_of(grouped.parts, grouped.reference)
    p_values = np.array([mann_whitney_u(parts[one], parts[two]) for one, two in pairs], dtype=np.float64)
    return [(grouped.name(one), grouped.name(two)) for one, two in pairs], p_values, holm(p_values)


def wilcoxon_signed_rank(first: Vector, second: Vector) -> float:
    """Two-sided Wilcoxon signed-rank test of two models on the same subjects; the p-value.

    Args:
        first: one value a subject, (N,).
        second: the other model's, for the same subjects in the same order.

    Returns:
        The p-value over the subjects that both have a value for; pairs without a difference are left out. It
        is SciPy's of the others: exact for at most 50, or 13 where some are tied. 1 if no pair differs; NaN
        with fewer than two pairs.

    Raises:
        ValueError: lengths differ.

    >>> wilcoxon_signed_rank([0.90, 0.91, 0.92, 0.93, 0.94, 0.95], [0.89, 0.89, 0.89, 0.89, 0.89, 0.89])
    0.03125
    """
    one, two = as_values(first, "first"), as_values(second, "second")
    if one.shape != two.shape or one.ndim != 1:
        raise ValueError(f"first and second must be vectors of one length, got {one.shape} and {two.shape}")
    change = (one - two)[~np.isnan(one - two)]
    change = change.round(10)  # 0.92 - 0.90 is 0.95 - 0.93 but for rounding, which must not rank them
    if change.size < _LEAST:
        return float("nan")
    if not change.any():
        return 1.0
    differing = change[change != 0]
    if differing.size <= _MOST_SIGNED:
        return _signed_rank_p(differing)
    return float(scipy.stats.wilcoxon(differing).pvalue)


def _signed_rank_p(change: Floats) -> float:
    """Return the exact p-value over all signs that the changes could have had, ties or not."""
    ranks = mid_ranks(np.abs(change))
    signs = np.arange(2**change.size)[:, None] >> np.arange(change.size) & 1
    sums = signs @ ranks  # whole or half numbers, so exact
    observed = ranks[change > 0].sum()
    return float(min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean())))


@accepts_num_groups()
def permutation_test(
    values: Vector, groups: Vector, *, reference: Reference = None, permutations: int = 10_000, seed: int = 0
) -> float:
    """Permutation test of the fairness gap: how often groups drawn at random lie as far apart; the p-value.

    Exact, whatever the distribution, if under no gap the groups' values come from one distribution.

    Args:
        values: one value a subject, (N,); NaN is left out.
        groups: the group of each subject, (N,), ids or names as in `by_group`.
        reference: name or id of the reference group of `fairness_gap`; the test is on the size of the gap.
        permutations: how often subjects are dealt to the groups anew, without a change in the groups' sizes.
        seed: of the permutations.

    Returns:
        (1 + permutations with a gap at least as large) / (1 + permutations), so never 0; NaN where the gap
        is.

    Raises:
        ValueError: values and groups do not fit each other, as for `by_group`, or the reference is no group.

    >>> rng = np.random.default_rng(0)
    >>> round(permutation_test(rng.normal(size=40) + np.repeat([0, 0.8], 20), np.repeat([0, 1], 20)), 3)
    0.001
    """
    grouped = GroupedValues.of(values, groups, reference=reference)
    parts = grouped.parts
    there = [number for number, part in enumerate(parts) if part.size]
    observed = abs(fairness_gap(grouped.medians, reference=grouped.reference))
    if np.isnan(observed):
        return float("nan")
    pooled = np.sort(np.concatenate(parts))  # what is drawn must not hang on the order of the subjects
    cuts = np.cumsum([parts[number].size for number in there])[:-1]
    home = None if grouped.reference is None else there.index(grouped.reference)
    rng = np.random.default_rng(seed)
    reached = done = 0
    while done < permutations:
        number = min(permutations - done, max(1, _CHUNK // pooled.size))
        dealt = rng.permuted(np.broadcast_to(pooled, (number, pooled.size)), axis=1)
        medians = np.stack([np.median(part, axis=1) for part in np.split(dealt, cuts, axis=1)])
        gaps = np.ptp(medians, axis=0) if home is None else np.abs(medians - medians[home]).max(axis=0)
        reached += int((gaps >= observed - 1e-12).sum())
        done += number
    return (1 + reached) / (1 + permutations)


def holm(p_values: Vector) -> Floats:
    """Correct p-values for their number so that all hold together (Holm 1979); NaN stays and does not count.

    >>> holm([0.01, 0.04, float("nan"), 0.03])
    array([0.03, 0.06,  nan, 0.06])
    """
    p = as_values(p_values, "p_values")
    known = np.flatnonzero(~np.isnan(p))
    ordered = known[np.argsort(p[known], kind="stable")]
    corrected = np.full(p.shape, np.nan)
    # The smallest counts for all, the next for all but one, and so on; none falls below the one before.
    raised = p[ordered] * np.arange(ordered.size, 0, -1)
    corrected[ordered] = np.minimum(1.0, np.maximum.accumulate(raised))
    return corrected


def benjamini_hochberg(p_values: Vector) -> Floats:
    """Correct p-values so that of those below 0.05 at most 5% are expected to be chance; NaN stays.

    Benjamini and Hochberg (1995): for the many labels and attributes of a report, where a few false alarms
    among many findings can be borne.

    Raises:
        ValueError: a p-value is not from 0 to 1.

    >>> benjamini_hochberg([0.01, 0.04, float("nan"), 0.03])
    array([0.03, 0.04,  nan, 0.04])
    """
    given = as_values(p_values, "p_values")
    known = ~np.isnan(given)
    corrected = np.full(given.shape, np.nan)
    p = given[known]
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p_values must be from 0 to 1, got {p.min():g} to {p.max():g}")
    corrected[known] = scipy.stats.false_discovery_control(p)
    return corrected
