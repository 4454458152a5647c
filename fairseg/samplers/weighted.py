"""Draws by weights and draws with replacement, without cycles of every sample once.

The samples of a group lie on a line of as many units as the group has samples (or subjects), each with a
length proportional to how often it is drawn. By weights, a cycle takes the samples at one point of every
unit. The points move from cycle to cycle in van der Corput's order: after 1, 2, 4, 8 ... cycles they are
evenly spaced, so each sample was drawn its share, rounded down or up. After any number of cycles it is off by
less than the number of ones among the binary digits of that number. With replacement, the points are random.
"""

import numpy as np
import numpy.typing as npt

from fairseg.samplers.draws import Indices, Members, Shuffle, generator

_AT_ONCE = 1024  # draws that are made at once, at least

Floats = npt.NDArray[np.float64]


class WeightedDraws:
    """An endless stream of samples for each group, by weights or with replacement, in the form of `Draws`.

    Args:
        members: the samples of each group.
        seed: 0 or more.
        weights: how much more often each sample is drawn, float (N,), by its index; `None`: all alike. With
            subjects, this multiplies the 1 / n with which one of a subject's n samples is drawn.
        replacement: draw independently each time.
    """

    def __init__(self, members: Members, seed: int, weights: Floats | None, *, replacement: bool) -> None:
        self.members, self._seed, self._replacement = members, seed, replacement
        self._weights = weights
        self._lines: dict[int, tuple[Indices, Floats]] = {}
        self._cached: dict[int, tuple[tuple[Shuffle, int], Indices]] = {}  # the last block of each group

    def take(self, shuffle: Shuffle, group: int, start: int, number: int) -> Indices:
        """Return `number` samples of a group from position `start` of one of its streams."""
        units = self.members.units(group)
        size = units * -(-_AT_ONCE // units)
        blocks = range(start // size, (start + number - 1) // size + 1)
        samples = np.concatenate([self._block(shuffle, group, block, size) for block in blocks])
        first = start - blocks[0] * size
        return np.asarray(samples[first : first + number])

    def _block(self, shuffle: Shuffle, group: int, block: int, size: int) -> Indices:
        cached = self._cached.get(group)
        if cached is None or cached[0] != (shuffle, block):
            self._cached[group] = cached = (shuffle, block), self._draw(shuffle, group, block, size)
        return cached[1]

    def _draw(self, shuffle: Shuffle, group: int, block: int, size: int) -> Indices:
        samples, ends = self._line(group)
        units = self.members.units(group)
        random = generator(self._seed, 0, *shuffle, group, block)
        if self._replacement:
            points = random.random(size) * units
        else:
            cycles = np.arange(block * (size // units), (block + 1) * (size // units))
            shift = generator(self._seed, 1, *shuffle, group).random()
            points = np.arange(units) + (van_der_corput(cycles) + shift)[:, None] % 1.0
            points = random.permuted(points, axis=1).ravel()
        # Points are rounded, so one may be at the very end of the line.
        sample = np.searchsorted(ends, np.minimum(points, np.nextafter(ends[-1], 0.0)), side="right")
        return np.asarray(samples[sample])

    def _line(self, group: int) -> tuple[Indices, Floats]:
        """Return a group's samples in the order of its line, and where each ends."""
        if group not in self._lines:
            samples, length = self._shuffled(group)
            units = self.members.units(group)
            ends = np.cumsum(length)
            self._lines[group] = samples, ends * (units / ends[-1])
        return self._lines[group]

    def _shuffled(self, group: int) -> tuple[Indices, Floats]:
        """Return a group's samples and their weights; those of a subject are adjacent."""
        members = self.members
        samples = members.samples[members.of_group(group)]
        length = np.ones(samples.size) if self._weights is None else self._weights[samples]
        random = generator(self._seed, 5, group)
        if members.subject_start is None:
            order = random.permutation(samples.size)
        else:
            per_subject = np.diff(members.subject_edges(group))
            subject = np.repeat(np.arange(per_subject.size), per_subject)
            length = length / per_subject[subject]
            order = np.lexsort((random.random(samples.size), random.permutation(per_subject.size)[subject]))
        return np.asarray(samples[order]), np.asarray(length[order])


def van_der_corput(numbers: npt.ArrayLike) -> Floats:
    """Return numbers of van der Corput's sequence, whose first 2^m are multiples of 1 / 2^m, in [0, 1).

    >>> van_der_corput([0, 1, 2, 3, 4])
    array([0.   , 0.5  , 0.25 , 0.75 , 0.125])
    """
    bits, value, half = np.array(numbers, dtype=np.int64), np.zeros(np.shape(numbers)), 0.5
    while bits.any():
        value += half * (bits & 1)
        bits, half = bits >> 1, half / 2
    return value
