"""The next sample of a group: every sample is drawn once before any is drawn again.

A group's samples are drawn in cycles; each cycle is a new order. Cycle c of a group is a function of (seed,
the name of the shuffle, group, c) alone, so any position can be reached directly.
With subjects, a cycle draws every subject once, and a subject gives its samples in such cycles of its own.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.integer]
Shuffle = tuple[int, int]  # its kind and number: of an epoch, or of a period of epochs

_AT_ONCE = 1024  # draws that are shuffled at once, at least
_CHUNK = 1 << 20  # samples sorted at once, to save memory


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return a different random generator for each seed and key."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


@dataclass(frozen=True)
class Members:
    """The samples of each group, and of each subject in it.

    A subject whose samples are in several groups counts as a different subject in each.

    Attributes:
        ids: ids of the groups that have samples, increasing, int64 (G,).
        samples: sample indices by group, and by subject in it, int32 or int64 (N known,).
        start: where each group begins in `samples`, int64 (G + 1,).
        subject_start: where each subject begins in `samples`, int64 (number of subjects + 1,); `None`
            if samples are drawn without regard to subjects.
    """

    ids: npt.NDArray[np.int64]
    samples: Indices
    start: npt.NDArray[np.int64]
    subject_start: npt.NDArray[np.int64] | None

    @classmethod
    def of(cls, groups: npt.NDArray[np.integer], subjects: npt.NDArray[np.integer] | None) -> "Members":
        """Sort the samples by group; `subjects` are ids >= 0."""
        counts = _count(groups)
        ids = np.flatnonzero(counts)
        start = np.concatenate(([0], np.cumsum(counts[ids])))
        dtype = np.int32 if groups.size <= np.iinfo(np.int32).max else np.int64
        samples, edges = _sort(groups, ids, start, dtype), [np.zeros(1, dtype=np.int64)]
        if subjects is None:
            return cls(ids, samples, start, None)
        for begin, end in pairwise(start.tolist()):
            members = samples[begin:end]
            members[:] = members[np.argsort(subjects[members], kind="stable")]
            edges.append(begin + 1 + np.flatnonzero(np.diff(subjects[members])))
            edges.append(np.array([end]))
        return cls(ids, samples, start, np.concatenate(edges))

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Samples of each group, (G,)."""
        return np.diff(self.start)

    def of_group(self, group: int) -> slice:
        """Return where a group lies in `samples`; `group` counts the groups that have samples."""
        return slice(int(self.start[group]), int(self.start[group + 1]))

    def subject_edges(self, group: int) -> npt.NDArray[np.int64]:
        """Return where each subject of a group begins in `samples`, and the end of the last."""
        assert self.subject_start is not None
        first, last = np.searchsorted(self.subject_start, self.start[group : group + 2])
        return self.subject_start[first : last + 1]

    def units(self, group: int) -> int:
        """Return how many subjects of a group there are, or samples where there are no subjects."""
        return int(self.counts[group]) if self.subject_start is None else self.subject_edges(group).size - 1


def _count(groups: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    counts = np.zeros(int(groups.max()) + 1, dtype=np.int64)
    for begin in range(0, groups.size, _CHUNK):
        chunk = groups[begin : begin + _CHUNK]
        counts += np.bincount(chunk[chunk >= 0], minlength=counts.size)
    return counts


def _sort(
    groups: npt.NDArray[np.integer], ids: npt.NDArray[np.int64], start: npt.NDArray[np.int64], small: type
) -> Indices:
    """Return the samples in the order of their groups; besides, no more than a chunk is in memory."""
    samples: Indices = np.empty(int(start[-1]), dtype=small)
    position = np.zeros(int(ids[-1]) + 2, dtype=np.uint16 if ids.size < 2**16 else np.int64)
    position[ids + 1] = np.arange(1, ids.size + 1)  # position 0, for id -1, is that of unknown samples
    free = start[:-1].copy()
    for begin in range(0, groups.size, _CHUNK):
        chunk = position[groups[begin : begin + _CHUNK] + 1]
        order = np.argsort(chunk, kind="stable")
        count = np.bincount(chunk, minlength=ids.size + 1)
        first = np.cumsum(count)[:-1]
        order = order[first[0] :]
        samples[np.arange(first[0], chunk.size) + np.repeat(free - first, count[1:])] = order + begin
        free += count[1:]
    return samples


class Draws:
    """An endless stream of samples for each group, with access to any position."""

    def __init__(self, members: Members, seed: int) -> None:
        self.members, self._seed = members, seed
        self._cached: dict[int, tuple[tuple[Shuffle, int], Indices]] = {}  # the last cycles of each group

    def take(self, shuffle: Shuffle, group: int, start: int, number: int) -> Indices:
        """Return `number` samples of a group from position `start` of one of its shuffled streams."""
        parts = []
        while number > 0:
            units, cycles = self._cycles(group)
            size = units * cycles
            cycle = self._draw(shuffle, group, start // size)
            part = cycle[start % size : start % size + number]
            parts.append(part.copy() if number > part.size else part)
            start, number = start + part.size, number - part.size
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _cycles(self, group: int) -> tuple[int, int]:
        """Return the samples or subjects in a cycle of a group, and how many cycles are made at once."""
        units, samples = self.members.units(group), int(self.members.counts[group])
        return units, max(-(-_AT_ONCE // units), -(-samples // (2 * units)))

    def _draw(self, shuffle: Shuffle, group: int, number: int) -> Indices:
        cached = self._cached.get(group)
        if cached is not None and cached[0] == (shuffle, number):
            return cached[1]
        del cached
        self._cached.pop(group, None)  # before the next is made: two of them would cost twice the memory
        members = self.members
        _, cycles = self._cycles(group)
        random = generator(self._seed, 0, *shuffle, group, number)
        if members.subject_start is None:
            cycles_drawn = np.tile(members.samples[members.of_group(group)], (cycles, 1))
        else:
            cycles_drawn = self._of_subjects(shuffle, group, number * cycles, cycles)
        if cycles == 1:
            random.shuffle(cycles_drawn[0])
        else:
            random.permuted(cycles_drawn, axis=1, out=cycles_drawn)
        self._cached[group] = (shuffle, number), cycles_drawn.ravel()
        return self._cached[group][1]

    def _of_subjects(self, shuffle: Shuffle, group: int, cycle: int, cycles: int) -> Indices:
        """Return the sample that each subject gives in each of some cycles, (cycles, subjects).

        In its p-th round a subject with m samples gives them in the order of their random keys, which
        depend on the sample and on p; cycle c falls into round c // m.
        """
        members = self.members
        edges = members.subject_edges(group)
        start, size = edges[:-1], np.diff(edges)
        first = cycle // size
        rounds = (cycle + cycles - 1) // size - first + 1
        offset = np.concatenate(([0], np.cumsum(rounds * size)))
        # One entry for each sample in each round; sorted by their keys within each round of a subject.
        subject = np.repeat(np.arange(size.size, dtype=np.int32), rounds * size)
        position = (np.arange(offset[-1]) - offset[subject]).astype(np.int32)
        turn = position // size.astype(np.int32)[subject]
        sample = members.samples[start[subject] + position - turn * size[subject]]
        key = int(generator(self._seed, 1, *shuffle, group).integers(2**63))
        random = _hash(sample, first[subject] + turn, key)
        block = np.concatenate(([0], np.cumsum(rounds)))[subject] + turn
        low_bits = np.uint64(64 - int(rounds.sum()).bit_length())
        order = np.argsort((block.astype(np.uint64) << low_bits) | (random >> (np.uint64(64) - low_bits)))
        shuffled = sample[order]
        column = np.arange(cycle, cycle + cycles)[:, None] - first * size
        return np.asarray(shuffled[offset[:-1] + column])


def _hash(sample: Indices, turn: npt.NDArray[np.int64], key: int) -> npt.NDArray[np.uint64]:
    """Return random 64-bit numbers, one for each sample and turn (splitmix64, Steele et al. 2014)."""
    mixed = np.full(sample.shape, key, dtype=np.uint64)
    for value in (sample, turn):
        mixed += value.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed
