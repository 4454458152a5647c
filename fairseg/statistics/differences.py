"""Differences between groups with limits that hold for all pairs together, and what they allow for the gap.

A largest difference among several groups is no smooth quantity: the largest of several noisy differences is
too large on average, and resampling adds to that. So the differences of all pairs get joint limits, and the
interval of the gap is what those allow.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from fairseg.metrics.grouped import Floats
from fairseg.statistics.limits import Resampling
from fairseg.statistics.order_statistics import left_out_medians

_MOST_PAIRS = 1770  # of 60 groups; beyond, the limits of the groups are made to hold together, not of pairs


class Differences(NamedTuple):
    """Differences between the medians of pairs of groups, first minus second, with joint limits.

    Attributes:
        pairs: ids of the two groups.
        estimate: (P,).
        low: lower limits, (P,).
        high: upper limits, (P,).
        tail: the probability beyond each limit of a single pair, so that all hold together; of many pairs,
            beyond each limit of a single group.
    """

    pairs: list[tuple[int, int]]
    estimate: Floats
    low: Floats
    high: Floats
    tail: float


def pairs_of(parts: Sequence[Floats], reference: int | None) -> list[tuple[int, int]]:
    """Return the pairs of groups with values: the reference with each other group, or all pairs."""
    there = [number for number, part in enumerate(parts) if part.size]
    if reference is None:
        return list(combinations(there, 2))
    return [(reference, number) for number in there if number != reference] if reference in there else []


def differences(
    parts: Sequence[Floats],
    pairs: list[tuple[int, int]],
    draws: Resampling,
    scale: Callable[[Floats], Floats] = np.asarray,
) -> Differences:
    """Return the differences of medians of pairs of groups with limits that hold for all pairs together.

    Args:
        parts: values of each group, rising, without NaN.
        pairs: ids of the groups to compare, first minus second.
        draws: of the medians; its level is that all limits hold.
        scale: applied to medians before they are subtracted.

    For more than 1,770 pairs (60 groups) the limits follow from those of the groups' medians, which hold for
    all groups together (Sidak): they are wider, and their cost is linear in the groups.

    Limits are NaN for a pair with a group of one value; with "binomial" for all if the groups are so small
    that no limits can hold together (see `enclosed`).
    """
    medians_drawn = [scale(medians) for medians in draws.medians(parts)]
    point = [scale(np.median(part, keepdims=True))[0] if part.size else np.nan for part in parts]
    compared = sorted({group for pair in pairs for group in pair})
    too_small = draws.method == "binomial" and draws.too_few([parts[group] for group in compared])
    if len(pairs) > _MOST_PAIRS:
        tail = (1.0 - draws.level ** (1.0 / len(compared))) / 2
        lowest, highest = np.full((2, len(parts)), np.nan)
        for group in compared:
            if not too_small and parts[group].size > 1:
                medians, counts = left_out_medians(parts[group])
                loo = [(scale(medians), counts)]
                lowest[group], highest[group] = draws.limits(medians_drawn[group], point[group], loo, tail)
        (first, second), centre = np.array(pairs).T, np.array(point)
        return Differences(
            pairs,
            centre[first] - centre[second],
            lowest[first] - highest[second],
            highest[first] - lowest[second],
            tail,
        )
    tail = draws.tail if len(pairs) < 2 else _joint_tail(medians_drawn, pairs, draws.level)
    estimate, low, high = (np.full(len(pairs), np.nan) for _ in range(3))
    for position, (first, second) in enumerate(pairs):
        estimate[position] = point[first] - point[second]
        if too_small or min(parts[first].size, parts[second].size) < 2:
            continue
        loo = []
        if draws.method == "bca":
            for sign, group in ((1.0, first), (-1.0, second)):
                medians, counts = left_out_medians(parts[group])
                loo.append((sign * scale(medians), counts))
        away = medians_drawn[first] - medians_drawn[second]
        low[position], high[position] = draws.limits(away, estimate[position], loo, tail)
    return Differences(pairs, estimate, low, high, tail)


def gap_limits(joint: Differences, *, signed: bool) -> tuple[float, float]:
    """Return what joint limits of differences allow for the one that is largest in size.

    Args:
        joint: the differences.
        signed: keep the sign, as a gap to a reference has; else limits of the size.
    """
    low, high = joint.low, joint.high
    if not low.size or np.isnan(low).any():
        return float("nan"), float("nan")
    if signed and low.size == 1:
        return float(low[0]), float(high[0])
    least = float(np.maximum(0.0, np.maximum(low, -high)).max())  # of the largest size
    most = float(np.maximum(-low, high).max())
    if not signed:
        return least, most
    positive, negative = bool((high >= least).any()), bool((-low >= least).any())
    lower = float(low.min()) if negative else least
    return lower, float(high.max()) if positive else -least


def _joint_tail(drawn: Sequence[Floats], pairs: list[tuple[int, int]], level: float) -> float:
    """Return the tail of a single pair with which the draws of all pairs lie within their limits together.

    Mandel and Betensky (2008), Computational Statistics & Data Analysis 52: a draw is as extreme as its most
    extreme pair, by rank.
    """
    extreme = np.ones(drawn[0].size)
    for first, second in pairs:
        one = drawn[first] - drawn[second]
        order = np.argsort(one)
        ordered = one[order]  # among sorted numbers a sorted one is found at once
        ranks = (np.searchsorted(ordered, ordered, "left") + np.searchsorted(ordered, ordered, "right")) / 2
        share = ranks / one.size
        extreme[order] = np.minimum(extreme[order], np.minimum(share, 1.0 - share))
    joint = float(np.quantile(extreme, 1.0 - level))
    return float(np.clip(joint, (1.0 - level) / 2 / len(pairs), (1.0 - level) / 2))
