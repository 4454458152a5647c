"""Medians and quartiles of resamples that need no resampling, and what a sample says of the true median.

The k-th smallest of n draws with replacement has the rank ceil(n U), where U, the k-th smallest of n uniform
numbers, follows Beta(k, n + 1 - k). So the bootstrap's own distribution of a median takes one or two random
numbers a resample, however large the group.

The binomial method answers without a bootstrap: k - 1 or fewer of n values lie below the true median with
the probability of as many heads in n throws. Draws from that distribution, interpolated between values as
Hettmansperger and Sheather (1986) do, give intervals that hold for a dozen subjects of any distribution.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.grouped import Floats

Method = Literal["bca", "percentile", "binomial"]
Ranks = TypeVar("Ranks")

_MOST_KEPT = 200_000  # places that are kept of one kind of draws


class DrawnRanks(NamedTuple):
    """Places of drawn medians in a sorted sample, (R,): two positions, and how far to the upper one."""

    lower: npt.NDArray[np.int64]
    upper: npt.NDArray[np.int64]
    share: Floats

    def of(self, ordered: Floats) -> Floats:
        """Return the medians, (..., R), of samples sorted along the last axis, (..., N)."""
        lower = ordered.take(self.lower, axis=-1)
        return (
            lower + (ordered.take(self.upper, axis=-1) - lower) * self.share
        )  # between equal values exactly these


def resampled_medians(size: int, resamples: int, rng: np.random.Generator) -> DrawnRanks:
    """Draw the places of the medians of resamples of `size` values, as the bootstrap would.

    >>> ranks = resampled_medians(3, 10_000, np.random.default_rng(0))
    >>> np.bincount(ranks.lower).round(-2)  # 7, 13 and 7 of 27, as counted by hand
    array([2600, 4800, 2600])
    """
    half = size // 2
    if size % 2:
        ranks = _position(rng.beta(half + 1, half + 1, resamples), size)
        return DrawnRanks(ranks, ranks, np.zeros(resamples))
    upper = rng.beta(half + 1, half, resamples)
    lower = upper * rng.random(resamples) ** (1.0 / half)
    return DrawnRanks(_position(lower, size), _position(upper, size), np.full(resamples, 0.5))


def binomial_medians(size: int, resamples: int, rng: np.random.Generator) -> DrawnRanks:
    """Draw places of the population's median, as likely as a sample of `size` values says.

    The draws are spread evenly over the distribution and shuffled, so that few are enough. They end at the
    smallest and the largest value, so whether that is far enough must be asked before: `enclosed`.
    """
    even = (np.arange(resamples) + rng.random(resamples)) / resamples
    return binomial_ranks(size, rng.permutation(even))


def binomial_ranks(size: int, probability: Floats) -> DrawnRanks:
    """Return where the median of the population lies with this probability at most, (R,).

    >>> ten = np.arange(1.0, 11.0)  # the second smallest bounds the median with 1 - 11/1024
    >>> binomial_ranks(10, np.array([11 / 1024, 0.5, 1 - 11 / 1024])).of(ten)
    array([2. , 5.5, 9. ])
    """
    half = size // 2
    tail = np.minimum(probability, 1.0 - probability)
    known = scipy.special.bdtr(np.arange(half + 1), size, 0.5)  # of at most 0, 1, ... values below the median
    known[half] = 0.5 if size % 2 == 0 else known[half]
    position = np.clip(np.searchsorted(known, tail, side="right"), 1, max(half, 1))
    if size == 1:
        zero = np.zeros(len(tail), dtype=np.int64)
        return DrawnRanks(zero, zero, np.zeros(len(tail)))
    within = np.clip((tail - known[position - 1]) / (known[position] - known[position - 1]), 0.0, 1.0)
    share = (size - position) * within / (position + (size - 2 * position) * within)
    if size % 2 == 0:  # the middle of the two middle values is the median; the tail ends there
        share = np.where(position == half, within / 2, share)
    below = probability <= 0.5
    lower = np.where(below, position - 1, size - 1 - position)
    return DrawnRanks(lower, lower + 1, np.where(below, share, 1.0 - share))


def enclosed(sizes: Iterable[int], level: float) -> bool:
    """Return whether samples of these sizes can say so surely where the medians of all populations lie.

    All n values lie on one side of the median in 2 of 2^n samples, and then no limit within the sample holds.

    >>> [enclosed([size], 0.95) for size in (5, 6)], enclosed([400, 6, 6], 0.95), enclosed([400, 7, 7], 0.95)
    ([False, True], False, True)
    """
    return sum(2.0 ** (1 - size) for size in sizes) <= 1.0 - level + 1e-12


def size_to_judge(sizes: Sequence[int], min_size: int, level: float) -> int:
    """Return the smallest size, `min_size` or more, for which all groups that have it are `enclosed`.

    >>> size_to_judge([400, 12, 10], 10, 0.95), size_to_judge([400, 6, 6], 5, 0.95)
    (10, 7)
    """
    while not enclosed((size for size in sizes if size >= min_size), level):
        min_size += 1
    return min_size


def resampled_quartiles(size: int, resamples: int, rng: np.random.Generator) -> tuple[DrawnRanks, ...]:
    """Draw the places of both quartiles of resamples of `size` values, jointly; their share is one number."""
    wanted = [quartile * (size - 1) for quartile in (0.25, 0.75)]
    ranks = sorted({rank for want in wanted for rank in (int(want), min(int(want) + 1, size - 1))})
    positions: dict[int, npt.NDArray[np.int64]] = {}
    above = size
    position = np.ones(resamples)
    for rank in reversed(ranks):  # from the largest down: each is a share of the one above it
        position = position * rng.beta(rank + 1, above - rank, resamples)
        positions[rank], above = _position(position, size), rank
    return tuple(
        DrawnRanks(positions[int(want)], positions[min(int(want) + 1, size - 1)], np.asarray(want % 1))
        for want in wanted
    )


def between(ordered: Floats, ranks: DrawnRanks) -> Floats:
    """Return the quantiles, (R,), of a sorted sample that lie at these places."""
    return np.asarray(ordered.take(ranks.lower) * (1 - ranks.share) + ordered.take(ranks.upper) * ranks.share)


def drawn_ranks(
    draw: Callable[[int, int, np.random.Generator], Ranks], sizes: tuple[int, ...], resamples: int, seed: int
) -> tuple[Ranks, ...]:
    """Draw places for groups of these sizes in turn; they are drawn once for all scores of the groups.

    Args:
        draw: of a size, the number of draws and a generator.
        sizes: of the groups.
        resamples: number of draws.
        seed: of the generator.
    """
    if resamples * len(sizes) > _MOST_KEPT:
        return _drawn_ranks.__wrapped__(draw, sizes, resamples, seed)
    return _drawn_ranks(draw, sizes, resamples, seed)


@lru_cache(maxsize=16)
def _drawn_ranks(
    draw: Callable[[int, int, np.random.Generator], Ranks], sizes: tuple[int, ...], resamples: int, seed: int
) -> tuple[Ranks, ...]:
    rng = np.random.default_rng(seed)
    return tuple(draw(size, resamples, rng) for size in sizes)


def left_out_medians(ordered: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the medians of a sorted sample (N,) with one value left out, and how many values give each.

    >>> left_out_medians(np.array([1.0, 2.0, 4.0]))
    (array([3. , 2.5, 1.5]), array([1, 1, 1]))
    """
    half = ordered.size // 2
    if ordered.size % 2 == 0:
        return ordered[[half, half - 1]], np.array([half, half])
    low, middle, high = ordered[half - 1 : half + 2]
    return np.array([middle + high, low + high, low + middle]) / 2, np.array([half, 1, half])


def _position(uniform: Floats, size: int) -> npt.NDArray[np.int64]:
    return np.minimum((uniform * size).astype(np.int64), size - 1)
