"""The stream of indices behind the samplers: balanced global batches, dealt to the ranks.

Batches are made some at a time. A block is a function of (seed, epoch, its number) and of two vectors
of the size of the groups: what each is owed and how often each was drawn before it. Whoever keeps these
can enter the stream at the block, however far it is.

What is owed at the end of an epoch is carried into the next: else a group with less than one sample an epoch
would never be drawn. So that any epoch can be reached without going through all before it, the books are
closed every so many epochs, an era.
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
_ERA = 1 << 15  # batches of an era, at most, but one epoch at least


@dataclass(frozen=True)
class Mark:
    """Where a block begins: its number, what each group is owed, how often each was drawn."""

    block: int
    owed: Debts
    drawn: npt.NDArray[np.int64]


class Stream:
    """Balanced batches without end, of one epoch after the other, as seen by one rank."""

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
    ) -> None:
        self.members, self.num_batches = members, num_batches
        self.batch_size, self.num_replicas, self.rank, self.seed = batch_size, num_replicas, rank, seed
        self.weights = share_weights([int(count) for count in members.counts], balance)
        self.batches_a_block = max(1, _BLOCK // (batch_size * num_replicas))
        self._quotas = Quotas(self.weights, batch_size * num_replicas)
        self._draws = Draws(members, seed)
        self._epochs_an_era = max(1, _ERA // num_batches)
        self._known = (0, self._quotas.no_debts())  # what is owed at the start of some epoch
        # An epoch that is long enough for a group draws all of it; else the next goes on where it stopped.
        drawn = [weight * num_batches * self._quotas.batch_size for weight in self.weights]
        wanted = [int(count) * self._quotas.total for count in members.counts]
        self._starts_afresh = [had >= all_ for had, all_ in zip(drawn, wanted, strict=True)]

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

    def begin(self, epoch: int) -> Mark:
        """Return the mark at which an epoch begins."""
        era, later = divmod(epoch, self._epochs_an_era)
        known, owed = self._known
        if not epoch - later <= known <= epoch:
            known, owed = epoch - later, self._quotas.no_debts()
        for _ in range(known, epoch):
            _, owed = self._quotas.deal(owed, self.num_batches, self._order(era))
        self._known = epoch, owed
        due = later * self.num_batches * self._quotas.batch_size
        drawn = [
            0 if afresh else (weight * due - int(debt)) // self._quotas.total
            for weight, debt, afresh in zip(self.weights, owed, self._starts_afresh, strict=True)
        ]
        return Mark(0, owed, np.array(drawn, dtype=np.int64))

    def _order(self, era: int) -> npt.NDArray[np.intp]:
        """Return which group goes first where the quotas do not care."""
        return np.asarray(generator(self.seed, 2, era).permutation(len(self.weights)))

    def mark(self, block: int, owed: list[int], drawn: list[int]) -> Mark:
        """Return a mark that was saved as plain numbers, or raise a ValueError if it can be none."""
        number, total = len(self.weights), self._quotas.total
        for name, values in (("owed", owed), ("drawn", drawn)):
            if not isinstance(values, list) or len(values) != number or {type(v) for v in values} != {int}:
                raise ValueError(f"state must have {name} as a list of {number} integers, got {values!r}")
        if sum(owed) or max(map(abs, owed)) >= total or min(drawn) < 0:
            raise ValueError("state must have owed and drawn as they were saved, these are none")
        return Mark(block, self._quotas.as_debts(owed), np.array(drawn, dtype=np.int64))

    def block(self, epoch: int, mark: Mark) -> tuple[Indices, Mark]:
        """Return this rank's batches of a block, (batches_a_block, batch_size), and the next mark."""
        number, width = self.batches_a_block, self.batch_size * self.num_replicas
        era = epoch // self._epochs_an_era
        quotas, owed = self._quotas.deal(mark.owed, number, self._order(era))
        taken = quotas.sum(axis=0)
        draws = []
        for group in np.flatnonzero(taken).tolist():
            shuffle = (0, epoch) if self._starts_afresh[group] else (1, era)
            draws.append(self._draws.take(shuffle, group, int(mark.drawn[group]), int(taken[group])))
        # Slots lie batch by batch, in each by group; draws lie group by group, in each by batch.
        group_of_slot = np.repeat(np.tile(np.arange(len(self.weights)), number), quotas.ravel())
        slots = np.empty(number * width, dtype=self.members.samples.dtype)
        slots[np.argsort(group_of_slot, kind="stable")] = np.concatenate(draws)
        # Dealt round and round, each rank gets its part of every group; who begins is drawn by lot.
        hands = slots.reshape(number, self.batch_size, self.num_replicas)
        begins = generator(self.seed, 3, epoch, mark.block).integers(self.num_replicas, size=number)
        mine = hands[np.arange(number), :, (self.rank + begins) % self.num_replicas]
        shuffled = generator(self.seed, 4, epoch, mark.block, self.rank).permuted(mine, axis=1)
        return shuffled, Mark(mark.block + 1, owed, mark.drawn + taken)
