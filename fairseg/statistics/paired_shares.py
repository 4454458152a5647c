"""Limits of a change of shares on the same subjects, and of the difference of two such changes.

Failures of two models are paired: what counts is how many subjects fail with one of them only. The change in
one group has Newcombe's limits (1998, paired method 10); those of the difference between two groups follow by
adding squares of the distances to the limits (Zou and Donner 2008).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats
from fairseg.statistics.limits import Interval
from fairseg.statistics.two_samples import wilson

Marks = npt.NDArray[np.bool_]


def pooled_share_limits(
    strata: Sequence[tuple[Marks, Marks]], weights: Floats, level: float = 0.95
) -> Interval:
    """Return how much larger the second share is than the first, as the mean over strata.

    Args:
        strata: marks with the first and with the second model of the subjects of each stratum.
        weights: of the strata.
        level: of the limits, two-sided.

    Returns:
        The weighted mean of the changes, with the limits of one sample as large as the strata together are
        worth; NaN without subjects.

    >>> fails, more = np.zeros(30, dtype=bool), np.arange(30) < 6
    >>> [round(value, 3) for value in pooled_share_limits([(fails, more)], np.ones(1))]
    [0.2, 0.045, 0.373]
    >>> fails = np.ones(10, dtype=bool)
    >>> change = pooled_share_limits([(fails, np.arange(10) < 8), (~fails, ~fails)], np.array([1.0, 3.0]))
    >>> round(change.estimate, 3)  # a quarter of -0.2
    -0.05
    """
    cells = [[one & two, one & ~two, ~one & two, ~one & ~two] for one, two in strata]
    tables = np.array([[int(cell.sum()) for cell in row] for row in cells], dtype=np.float64)
    sizes = tables.sum(axis=1)
    if not sizes.all():
        return Interval(np.nan, np.nan, np.nan)
    shares = weights / weights.sum()
    n = float(1 / (shares**2 / sizes).sum())
    both, only_first, only_second, neither = (shares / sizes @ tables * n).tolist()
    before, after = (wilson(min(both + only, n), n, level) for only in (only_first, only_second))
    product = both * neither - only_first * only_second
    if product > 0:  # Newcombe's correction for continuity
        product = max(product - n / 2, 0.0)
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    correlation = product / np.sqrt(margins) if margins else 0.0
    change = (only_second - only_first) / n
    below = _distance(after.estimate - after.low, before.high - before.estimate, correlation)
    above = _distance(after.high - after.estimate, before.estimate - before.low, correlation)
    return Interval(change, change - below, change + above)


def difference_of(first: Interval, second: Interval) -> Interval:
    """Return first minus second of two independent estimates, from their limits at one level.

    >>> [round(value, 3) for value in difference_of(Interval(0.2, 0.1, 0.3), Interval(0.0, -0.1, 0.1))]
    [0.2, 0.059, 0.341]
    """
    estimate = first.estimate - second.estimate
    below = np.hypot(first.estimate - first.low, second.high - second.estimate)
    above = np.hypot(first.high - first.estimate, second.estimate - second.low)
    return Interval(estimate, float(estimate - below), float(estimate + above))


def difference_level(
    first: Sequence[tuple[Marks, Marks]], second: Sequence[tuple[Marks, Marks]], weights: Floats
) -> float:
    """Return the two-sided level at which the limits of a difference between two groups' changes reach zero.

    Args:
        first: marks with the first and with the second model of the first group's subjects, of each stratum.
        second: of the second group's.
        weights: of the strata.

    >>> none, some = np.zeros(60, dtype=bool), np.arange(60) < 9
    >>> p = difference_level([(some, none)], [(none, none)], np.ones(1))
    >>> limits = [difference_of(*(pooled_share_limits([marks], np.ones(1), 1 - q)
    ...           for marks in ((some, none), (none, none)))) for q in (p * 0.99, p * 1.01)]
    >>> [bool(one.low <= 0 <= one.high) for one in limits]
    [True, False]
    """
    low, high = 0.0, 8.0  # the quantile at which a limit is zero
    for _ in range(30):
        middle = (low + high) / 2
        level = float(1 - 2 * scipy.special.ndtr(-middle))
        limits = difference_of(*(pooled_share_limits(strata, weights, level) for strata in (first, second)))
        low, high = (middle, high) if limits.low > 0 or limits.high < 0 else (low, middle)
    return float(2 * scipy.special.ndtr(-low))


def _distance(one: float, other: float, correlation: float) -> float:
    return float(np.sqrt(max(one**2 - 2 * correlation * one * other + other**2, 0.0)))
