"""How large a difference between two groups is, beside whether it is chance."""

from collections.abc import Callable

import numpy as np
import scipy  # its parts load when they are touched

from fairseg.cohort.vectors import Vector
from fairseg.metrics.grouped import Floats, as_values
from fairseg.statistics.limits import Interval

_MOST_LISTED = 200_000  # pairs of subjects, above which counting beats sorting


def cliffs_delta(first: Vector, second: Vector, *, level: float = 0.95) -> Interval:
    """Cliff's delta, which is the rank-biserial correlation: how often a value of `first` is the larger.

    The share of pairs in which the value of `first` is the larger minus the share in which it is the
    smaller: 1 if all are larger, 0 if neither group is better off, -1 if all are smaller.

    Args:
        first: one value a subject, (N,); NaN is left out.
        second: the same for the other group.
        level: of the interval, which solves for the values of delta that the data do not contradict, with
            the variance of Hanley and McNeil (Newcombe 2006, method 5): it holds for small groups and does
            not shrink to nothing where the groups do not overlap.

    Returns:
        Delta and its limits, all from -1 to 1; NaN if a group has no values.

    >>> delta = cliffs_delta([0.95, 0.93, 0.91, 0.90], [0.92, 0.89, 0.88, 0.87])  # 14 larger, 2 smaller
    >>> [round(number, 2) for number in delta]
    [0.75, -0.09, 0.96]
    """
    one, two = _known(first, "first"), _known(second, "second")
    if not one.size or not two.size:
        return Interval(np.nan, np.nan, np.nan)
    ordered = np.sort(two)
    smaller = np.searchsorted(ordered, one, "left").sum()
    larger = one.size * two.size - np.searchsorted(ordered, one, "right").sum()
    theta = 0.5 + float(smaller - larger) / (2.0 * one.size * two.size)
    return Interval(2 * theta - 1, *(2 * limit - 1 for limit in auc_limits(theta, one.size, two.size, level)))


def auc_limits(auc: float, n: int, others: int, level: float = 0.95) -> tuple[float, float]:
    """Return limits of an AUC over subjects, by Newcombe's (2006) method 5.

    Inverted from the variance of Hanley and McNeil (1982), so that an AUC of 1 has limits too. They hold for
    the scores as they are: that another cohort would train another model is not in them.

    >>> [round(limit, 3) for limit in auc_limits(1.0, 20, 20)]
    [0.899, 1.0]
    """
    width = float(scipy.special.ndtri(0.5 + level / 2))
    half = (n + others) / 2.0 - 1.0

    def beyond(true: float) -> float:
        """Return by how much the AUC lies beyond what chance allows."""
        spread = 1.0 + half * (1.0 - true) / (2.0 - true) + half * true / (1.0 + true)
        variance = true * (1.0 - true) * spread / (n * others)
        return abs(auc - true) - width * float(np.sqrt(variance))

    # Below the AUC the excess falls towards it, above it grows.
    low = _root(beyond, 0.0, auc) if auc > 0 else 0.0
    high = _root(lambda true: -beyond(true), auc, 1.0) if auc < 1 else 1.0
    return low, high


def hodges_lehmann(first: Vector, second: Vector, *, level: float = 0.95) -> Interval:
    """Hodges-Lehmann shift: the median of all differences between a value of `first` and one of `second`.

    Args:
        first: one value a subject, (N,); NaN is left out.
        second: the same for the other group.
        level: of the interval, which inverts the Mann-Whitney U test (Moses; large-sample ranks, with the
            correction for continuity).

    Returns:
        The shift and its limits in the unit of the values; NaN if a group has no values. The limits are the
        largest and smallest difference where the groups are too small for the level.

    >>> shift = hodges_lehmann([0.95, 0.93, 0.91, 0.90], [0.92, 0.89, 0.88, 0.87])
    >>> [round(float(number), 3) for number in shift]
    [0.03, -0.02, 0.08]
    """
    one, two = np.sort(_known(first, "first")), np.sort(_known(second, "second"))
    pairs = one.size * two.size
    if not pairs:
        return Interval(np.nan, np.nan, np.nan)
    spread = np.sqrt(pairs * (one.size + two.size + 1) / 12.0)
    rank = int(np.floor(pairs / 2.0 - float(scipy.special.ndtri(0.5 + level / 2)) * spread - 0.5))  # 0-based
    rank = max(rank, 0)
    ranks = [(pairs - 1) // 2, pairs // 2, rank, pairs - 1 - rank]
    below, above, low, high = (
        np.sort(np.subtract.outer(one, two), axis=None)[ranks].tolist()
        if pairs <= _MOST_LISTED
        else [_difference(one, two, number) for number in ranks]
    )
    return Interval((below + above) / 2, low, high)


def _difference(one: Floats, two: Floats, rank: int) -> float:
    """Return the difference of this rank (from 0) among all, counted, not listed: memory stays small."""
    low, high = float(one[0] - two[-1]), float(one[-1] - two[0])
    for _ in range(80):  # halves the span to a rounding error
        middle = (low + high) / 2
        at_most = np.searchsorted(two, one - middle, "left")  # values of two too small to count
        if one.size * two.size - int(at_most.sum()) > rank:
            high = middle
        else:
            low = middle
    return high


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function that falls through zero does so."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return (low + high) / 2


def _known(values: Vector, argument: str) -> Floats:
    numbers = as_values(values, argument)
    return numbers[~np.isnan(numbers)]
