"""Mid-ranks, and the Mann-Whitney U test of `fairness.mann_whitney_u`.

SciPy has both in `scipy.stats`, whose import takes longer than an audit's statistics: here they need
`scipy.special` alone, with the same numbers.
"""

from math import comb, sqrt

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.grouped import Floats

Integers = npt.NDArray[np.int64]

_EXACT_UP_TO = 8  # values of the smaller sample, as in SciPy
_MOST_INTEGER = 2**62


def run_ends(ordered: npt.NDArray[np.generic]) -> tuple[Integers, Integers]:
    """Return for each value of sorted rows, (..., N), how many are smaller, and how many are not larger.

    >>> run_ends(np.array([1, 1, 3]))
    (array([0, 0, 2]), array([2, 2, 3]))
    """
    size = ordered.shape[-1]
    index = np.arange(size)
    starts = np.ones(ordered.shape, dtype=bool)
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    low = np.maximum.accumulate(np.where(starts, index, 0), axis=-1)
    ends = np.ones(ordered.shape, dtype=bool)
    ends[..., :-1] = starts[..., 1:]
    high = np.where(ends, index + 1, size)
    return low, np.minimum.accumulate(high[..., ::-1], axis=-1)[..., ::-1]


def mid_ranks(values: npt.ArrayLike) -> Floats:
    """Return ranks from 1 on along the last axis, (..., N); equal values share the mean of theirs.

    >>> mid_ranks([0.9, 0.7, 0.9])
    array([2.5, 1. , 2.5])
    """
    numbers = np.asarray(values)
    order = np.argsort(numbers, axis=-1)
    low, high = run_ends(np.take_along_axis(numbers, order, axis=-1))
    ranks = np.empty(numbers.shape)
    np.put_along_axis(ranks, order, (low + high + 1) / 2, axis=-1)
    return ranks


def tie_sum(values: npt.ArrayLike) -> float:
    """Return the sum of t**3 - t over the counts t of equal values, which ties take from a rank variance."""
    counts = np.unique(np.asarray(values), return_counts=True)[1].astype(np.float64)
    return float((counts**3 - counts).sum())


def rank_sum_p(first: Floats, second: Floats) -> float:
    """Return the two-sided p-value of the Mann-Whitney U test of two samples without NaN.

    Exact where no values are equal and the smaller sample has at most 8; else by the normal approximation
    with corrections for ties and continuity, as SciPy's.
    """
    n, m = first.size, second.size
    both = np.concatenate([first, second])
    u = float(mid_ranks(both)[:n].sum()) - n * (n + 1) / 2
    u = max(u, n * m - u)
    ties = tie_sum(both)
    if not ties and min(n, m) <= _EXACT_UP_TO:
        return min(1.0, 2 * _chance_of_at_most(round(n * m - u), min(n, m), max(n, m)))
    spread = sqrt(n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1))))
    if not spread:
        return 1.0
    return min(1.0, 2 * float(scipy.special.ndtr((n * m / 2 - u + 0.5) / spread)))


def _chance_of_at_most(most: int, n: int, m: int) -> float:
    """Return the chance of a U of at most this, from the coefficients of the Gaussian binomial."""
    total = comb(n + m, n)
    ways = np.zeros(most + 1, dtype=np.int64 if total < _MOST_INTEGER else object)
    ways[0] = 1
    for i in range(1, n + 1):  # times (1 - q**(m + i)), divided by (1 - q**i)
        if m + i <= most:
            ways[m + i :] -= ways[: -(m + i)].copy()
        for start in range(min(i, ways.size)):
            ways[start::i] = np.cumsum(ways[start::i])
    return int(ways.sum()) / total
