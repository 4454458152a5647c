"""The stream of indices behind the samplers: balanced global batches, divided among the ranks.

Batches are made in blocks. A block is a function of (seed, epoch, its number) and of two vectors with an
entry for each group: the remainder of its share, and how often it was drawn before. With these the stream can
start at any block.

Remainders at the end of an epoch are carried into the next: else a group with less than one sample an epoch
would never be drawn. Every so many epochs, a period, they start from 0 again, so that any epoch can be
reached without going through all before it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.io.sentences import brief
from fairseg.samplers.draws import Draws, Indices, Members, generator
from fairseg.samplers.quotas import Quotas, Remainders, share_weights
from fairseg.samplers.weighted import WeightedDraws

_BLOCK = 2048  # indices made at a time, at least
_PERIOD = 1 << 15  # batches of a period, at most; a period has one epoch at least


@dataclass(frozen=True)
class StreamState:
    """The start of a block: its number, the remainder of each group, how often each was drawn."""

    block: int
    remainder: Remainders
    drawn: npt.NDArray[np.int64]


class Stream:
    """Endless balanced batches, epoch after epoch, as seen by one rank."""

    def __init__(
        self,
        members: Members,
        batch_size: int,
        num_batches: int,
        *,
        balance: float,
        seed: int,
        num_replicas: int,
        rank: int,
        weights: npt.NDArray[np.float64] | None = None,
        replacement: bool = False,
    ) -> None:
        self.members, self.num_batches = members, num_batches
        self.batch_size, self.num_replicas, self.rank, self.seed = batch_size, num_replicas, rank, seed
        self.weights = share_weights([int(count) for count in members.counts], balance)
        self.batches_a_block = max(1, _BLOCK // (batch_size * num_replicas))
        self._quotas = Quotas(self.weights, batch_size * num_replicas)
        in_cycles = weights is None and not replacement
        self._draws = (
            Draws(members, seed)
            if in_cycles
            else WeightedDraws(members, seed, weights, replacement=replacement)
        )
        self._sample_weights, self._replacement = weights, replacement
        self._epochs_a_period = max(1, _PERIOD // num_batches)
        self._cached = (0, self._quotas.no_remainders())  # the remainders at the start of some epoch
        # An epoch that is long enough for a group draws all of it; else the next continues where it stopped.
        capacity = [weight * num_batches * self._quotas.batch_size for weight in self.weights]
        needed = [int(count) * self._quotas.total for count in members.counts]
        self._starts_afresh = [
            in_cycles and most >= least for most, least in zip(capacity, needed, strict=True)
        ]

    @cached_property
    def fingerprint(self) -> str:
        """The input of the stream, except for the seed and the ranks, as a short text."""
        digest = hashlib.blake2b(repr(self.weights).encode(), digest_size=8)
        members = self.members
        parts = (members.ids, members.start, members.subject_start, members.samples, self._sample_weights)
        for part in parts:
            if part is not None:
                little_endian: Any = part.astype(part.dtype.newbyteorder("<"), copy=False)
                digest.update(little_endian)
        if self._replacement:
            digest.update(b"replacement")
        return digest.hexdigest()

    def begin(self, epoch: int) -> StreamState:
        """Return the state in which an epoch begins."""
        in_period = epoch % self._epochs_a_period
        first, remainder = self._cached
        if not epoch - in_period <= first <= epoch:
            first, remainder = epoch - in_period, self._quotas.no_remainders()
        for earlier in range(first, epoch):
            for order in self._orders_of_epoch(earlier):
                _, remainder = self._quotas.divide(remainder, len(order), order)
        self._cached = epoch, remainder
        due = in_period * self.num_batches * self._quotas.batch_size
        drawn = [
            0 if afresh else (weight * due - int(rest)) // self._quotas.total
            for weight, rest, afresh in zip(self.weights, remainder, self._starts_afresh, strict=True)
        ]
        return StreamState(0, remainder, np.array(drawn, dtype=np.int64))

    def _orders_of_epoch(self, epoch: int) -> Iterator[npt.NDArray[np.intp]]:
        """Yield the orders of an epoch's batches, block by block, and none beyond its last batch."""
        for block, first in enumerate(range(0, self.num_batches, self.batches_a_block)):
            yield self._order(epoch, block)[: self.num_batches - first]

    def _order(self, epoch: int, block: int) -> npt.NDArray[np.intp]:
        """Return the order of groups with the same deadline in each batch of a block."""
        groups = np.tile(np.arange(len(self.weights)), (self.batches_a_block, 1))
        return np.asarray(generator(self.seed, 2, epoch, block).permuted(groups, axis=1))

    def restore(self, block: int, remainder: list[int], drawn: list[int]) -> StreamState:
        """Return a state that was saved as plain numbers, or raise a ValueError if it can be none."""
        number, total = len(self.weights), self._quotas.total
        for name, values in (("owed", remainder), ("drawn", drawn)):
            if not isinstance(values, list) or len(values) != number or {type(v) for v in values} != {int}:
                raise ValueError(
                    f"state must have {name} as a list of {number} integers, got {brief(values)}"
                )
        if sum(remainder) or max(map(abs, remainder)) >= total or min(drawn) < 0:
            raise ValueError("state must have owed and drawn as they were saved, these are none")
        return StreamState(block, self._quotas.as_remainders(remainder), np.array(drawn, dtype=np.int64))

    def block(self, epoch: int, state: StreamState) -> tuple[Indices, StreamState]:
        """Return this rank's batches of a block, (batches_a_block, batch_size), and the next state."""
        number, width = self.batches_a_block, self.batch_size * self.num_replicas
        period = epoch // self._epochs_a_period
        quotas, remainder = self._quotas.divide(state.remainder, number, self._order(epoch, state.block))
        num_drawn = quotas.sum(axis=0)
        draws = []
        for group in np.flatnonzero(num_drawn).tolist():
            shuffle = (0, epoch) if self._starts_afresh[group] else (1, period)
            draws.append(self._draws.take(shuffle, group, int(state.drawn[group]), int(num_drawn[group])))
        # Slots are in the order of batches, then groups; draws in the order of groups, then batches.
        group_of_slot = np.repeat(np.tile(np.arange(len(self.weights)), number), quotas.ravel())
        slots = np.empty(number * width, dtype=self.members.samples.dtype)
        slots[np.argsort(group_of_slot, kind="stable")] = np.concatenate(draws)
        # Ranks take slots in turn, so each gets its part of every group; which rank begins is random.
        of_ranks = slots.reshape(number, self.batch_size, self.num_replicas)
        begins = generator(self.seed, 3, epoch, state.block).integers(self.num_replicas, size=number)
        own = of_ranks[np.arange(number), :, (self.rank + begins) % self.num_replicas]
        shuffled = generator(self.seed, 4, epoch, state.block, self.rank).permuted(own, axis=1)
        return shuffled, StreamState(state.block + 1, remainder, state.drawn + num_drawn)
