"""The stream of indices behind the samplers: balanced global batches, dealt to the ranks.

Batches are made some at a time. A block is a function of (seed, epoch, its number) and of two vectors
of the size of the groups: what each is owed and how often each was drawn before it. Whoever keeps these
can enter the stream at the block, however far it is.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.samplers.draws import Draws, Indices, Members, generator
from fairseg.samplers.quotas import Debts, Quotas, share_weights

_BLOCK = 2048  # indices made at a time, at least


@dataclass(frozen=True)
class Mark:
    """Where a block begins: its number, what each group is owed, how often each was drawn."""

    block: int
    owed: Debts
    drawn: npt.NDArray[np.int64]


class Stream:
    """Balanced batches without end, of one epoch after the other, as seen by one rank."""

    def __init__(
        self, members: Members, batch_size: int, balance: float, seed: int, num_replicas: int, rank: int
    ) -> None:
        self.members = members
        self.batch_size, self.num_replicas, self.rank, self.seed = batch_size, num_replicas, rank, seed
        self.weights = share_weights([int(count) for count in members.counts], balance)
        self.batches_a_block = max(1, _BLOCK // (batch_size * num_replicas))
        self._quotas = Quotas(self.weights, batch_size * num_replicas)
        self._draws = Draws(members, seed)

    @cached_property
    def fingerprint(self) -> str:
        """What the stream is made from, but for the seed and the ranks, as a short text."""
        digest = hashlib.blake2b(repr(self.weights).encode(), digest_size=8)
        members = self.members
        for part in (members.ids, members.start, members.subject_start, members.samples):
            if part is not None:
                little_endian: Any = part.astype(part.dtype.newbyteorder("<"), copy=False)
                digest.update(little_endian)
        return digest.hexdigest()

    def begin(self) -> Mark:
        """Return the mark at which every epoch begins."""
        return Mark(0, self._quotas.no_debts(), np.zeros(len(self.weights), dtype=np.int64))

    def mark(self, block: int, owed: list[int], drawn: list[int]) -> Mark:
        """Return a mark that was saved as plain numbers."""
        return Mark(block, self._quotas.as_debts(owed), np.array(drawn, dtype=np.int64))

    def block(self, epoch: int, mark: Mark) -> tuple[Indices, Mark]:
        """Return this rank's batches of a block, (batches_a_block, batch_size), and the next mark."""
        number, width = self.batches_a_block, self.batch_size * self.num_replicas
        order = generator(self.seed, epoch, 2).permutation(len(self.weights))
        quotas, owed = self._quotas.deal(mark.owed, number, order)
        taken = quotas.sum(axis=0)
        draws = [
            self._draws.take(epoch, group, int(mark.drawn[group]), int(taken[group]))
            for group in np.flatnonzero(taken).tolist()
        ]
        # Slots lie batch by batch, in each by group; draws lie group by group, in each by batch.
        group_of_slot = np.repeat(np.tile(np.arange(len(self.weights)), number), quotas.ravel())
        slots = np.empty(number * width, dtype=self.members.samples.dtype)
        slots[np.argsort(group_of_slot, kind="stable")] = np.concatenate(draws)
        # Dealt round and round, each rank gets its part of every group; who begins is drawn by lot.
        hands = slots.reshape(number, self.batch_size, self.num_replicas)
        begins = generator(self.seed, epoch, 3, mark.block).integers(self.num_replicas, size=number)
        mine = hands[np.arange(number), :, (self.rank + begins) % self.num_replicas]
        shuffled = generator(self.seed, epoch, 4, mark.block, self.rank).permuted(mine, axis=1)
        return shuffled, Mark(mark.block + 1, owed, mark.drawn + taken)
