"""The base of both samplers: epochs, a position in them, and how it is saved and restored."""

import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from fairseg.cohort.ids import as_ids, check_ids, check_no_measurement
from fairseg.cohort.levels import is_missing, perhaps_missing
from fairseg.cohort.vectors import Vector, on_cpu, read_vector
from fairseg.io.sentences import brief, listed
from fairseg.samplers.draws import Indices, Members
from fairseg.samplers.stream import Stream, StreamState

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
_MOST_GROUPS = 1 << 20
_VERSION = 2  # of the order in which groups meet; a state continues in the order in which it began


class GroupSampler(ABC, Generic[Item]):
    """Epochs of items from a stream of balanced batches: the base of the two samplers.

    Attributes:
        epoch: the epoch that is being iterated, or that comes next if none is.
        names: the names of the groups, if `groups` were names; else `None`.
        counts: samples of each group id in the cohort, int64 (largest id + 1,).
        shares: the share of draws that each group id has, float64 (largest id + 1,); 0 without samples.
        num_unknown: samples with group -1, which are never drawn.
        num_replicas, rank: the number of processes that share the draws, and which of them this is.
    """

    def __init__(
        self,
        groups: Vector,
        batch_size: int,
        num_batches: int | None,
        *,
        balance: float,
        subjects: Vector | None,
        weights: Vector | None,
        replacement: bool,
        seed: int,
        num_replicas: int | None,
        rank: int | None,
    ) -> None:
        ids, self.names = _group_ids(groups)
        persons = None if subjects is None else _subject_ids(subjects, ids)
        sample_weights = None if weights is None else _sample_weights(weights, ids, self.names)
        self.balance = _check_balance(balance)
        self.seed = check_count(seed, "seed", least=0)
        self.num_replicas, self.rank = _world(num_replicas, rank)
        self._follows_torch = num_replicas is None  # takes the processes of torch.distributed
        members = Members.of(ids, persons)
        self.counts = np.zeros(int(members.ids[-1]) + 1, dtype=np.int64)
        self.counts[members.ids] = members.counts
        self.num_unknown = ids.size - members.samples.size
        if self.num_unknown:
            logger.warning(
                "%d of %d samples have no known group and are never drawn", self.num_unknown, ids.size
            )
        if num_batches is None:
            num_batches = -(-int(self.counts.sum()) // (batch_size * self.num_replicas))
        self._stream = Stream(
            members,
            batch_size,
            num_batches,
            balance=self.balance,
            seed=self.seed,
            num_replicas=self.num_replicas,
            rank=self.rank,
            weights=sample_weights,
            replacement=bool(replacement),
        )
        self.shares = np.zeros(self.counts.size)
        self.shares[members.ids] = np.array(self._stream.weights, dtype=float) / sum(self._stream.weights)
        self._position = _Position(0, 0, None)
        self._items: _Items[Item] | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items of an epoch, on this rank."""

    def __repr__(self) -> str:
        """Show the samples of each group, and how they are drawn."""
        names = map(str, range(self.counts.size)) if self.names is None else self.names
        groups = [f"{name} {count}" for name, count in zip(names, self.counts, strict=True)]
        return (
            f"{type(self).__name__}(samples: {listed(groups, 12)}; balance={self.balance:g}, "
            f"seed={self.seed}, length={len(self)})"
        )

    @abstractmethod
    def _as_items(self, block: Indices) -> list[Item]:
        """Return the items of a block (batches, batch size)."""

    @property
    def _items_a_block(self) -> int:
        return self._stream.batches_a_block

    @property
    def epoch(self) -> int:
        """The epoch that is being iterated, or that comes next if none is."""
        return self._now().epoch

    def __iter__(self) -> Iterator[Item]:
        """Begin the next epoch, or continue from a loaded state, when the first item is requested.

        An epoch that was begun and abandoned does not begin again: its draws, and those that a loader
        fetched ahead, count as made.
        """
        return _Items(self)

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration one of this epoch: from its start, or from a loaded position in it."""
        epoch = check_count(epoch, "epoch", least=0)
        if self._items is None and epoch == self._position.epoch:
            return
        self._items = None
        self._position = _Position(epoch, 0, None)

    def state_dict(self) -> dict[str, Any]:
        """Return the position in plain numbers: the same on every rank, and safe to save anywhere.

        It counts the items that were requested. A `torch.utils.data.DataLoader` with workers requests items
        in advance, so save through `torchdata`'s StatefulDataLoader there, which knows which items have
        arrived, or at the end of an epoch.
        """
        now = self._now()
        block = now.block or self._stream.begin(now.epoch)
        return {
            "epoch": now.epoch,
            "step": now.step,
            "owed": [int(remainder) for remainder in block.remainder],
            "drawn": block.drawn.tolist(),
            **self._identity(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue, at the next iteration, where `state` was saved; a later position takes no longer.

        The number of ranks may have changed if their batches together have the same size.

        Raises:
            ValueError: the state is of another cohort, seed, balance or batch size, of a version whose
                batches came in another order, or is no state; the sampler stays as it was.
        """
        identity = self._identity()
        if isinstance(state, dict) and "cohort" in state and state.get("version") != _VERSION:
            raise ValueError(
                "state is of another version of fairseg, which put other groups together, so its epoch can't"
                " be resumed: begin an epoch with set_epoch instead"
            )
        needed = ("epoch", "step", "owed", "drawn", *identity)
        if not isinstance(state, dict) or (missing := [name for name in needed if name not in state]):
            lacks = f"has no {', '.join(missing)}" if isinstance(state, dict) else f"is {state!r}"
            raise ValueError(f"state must be one of state_dict(), this one {lacks}")
        for name, expected in identity.items():
            if state[name] != expected:
                raise ValueError(
                    f"state is of another sampler: its {name} is {state[name]}, here it is {expected}"
                )
        step = check_count(state["step"], "step of the state", least=0)
        epoch = check_count(state["epoch"], "epoch of the state", least=0)
        if step > len(self):
            raise ValueError(f"state is at step {step} of an epoch that has {len(self)}")
        block = self._stream.restore(step // self._items_a_block, state["owed"], state["drawn"])
        self._items = None
        self._position = _Position(epoch, step, block)

    def _identity(self) -> dict[str, Any]:
        """Return the values that must be equal for a state to fit."""
        return {
            "sampler": type(self).__name__,
            "global_batch_size": self._stream.batch_size * self.num_replicas,
            "balance": self.balance,
            "seed": self.seed,
            "cohort": self._stream.fingerprint,
            "version": _VERSION,
        }

    def _now(self) -> "_Position":
        if self._items is None or self._items.position is None:
            return self._position
        return self._items.position

    def _start(self, items: "_Items[Item]") -> "_Position":
        """Return the position at which an iteration starts, and move on to the next epoch."""
        if self._follows_torch and _world(None, None) != (self.num_replicas, self.rank):
            raise ValueError(
                "the sampler was made before torch.distributed was initialised, so every rank would draw the"
                " same; make it afterwards, or give num_replicas and rank"
            )
        start = self._position
        self._items, self._position = items, _Position(start.epoch + 1, 0, None)
        return _Position(start.epoch, start.step, start.block or self._stream.begin(start.epoch))


class _Position:
    """The epoch, the items handed out in it, and where its block begins; `None` at the start of an epoch."""

    def __init__(self, epoch: int, step: int, block: StreamState | None) -> None:
        self.epoch, self.step, self.block = epoch, step, block


class _Items(Iterator[Item]):
    """One epoch's items, from the sampler's position on.

    It takes that position when its first item is requested: loaders call `iter` more often than they use the
    iterator.
    """

    def __init__(self, sampler: GroupSampler[Item]) -> None:
        self._sampler, self._in_block = sampler, list[Item]()
        self._length, self._size = len(sampler), sampler._items_a_block
        self._started = False
        self._next: StreamState | None = None
        self.position: _Position | None = None  # none before the first item and after the last

    def __next__(self) -> Item:
        if not self._started:
            self._started, self.position = True, self._sampler._start(self)
        now = self.position
        if now is None or now.step >= self._length:
            self._in_block, self.position = [], None
            raise StopIteration
        if not self._in_block and now.block is not None:
            batches, self._next = self._sampler._stream.block(now.epoch, now.block)
            self._in_block = self._sampler._as_items(batches)
        item = self._in_block[now.step % self._size]
        now.step += 1
        if now.step % self._size == 0 and self._next is not None:
            now.block, self._in_block = self._next, []
        return item


def check_count(value: object, name: str, *, least: int) -> int:
    """Return an int of at least `least`, or raise a ValueError that names the argument."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {brief(value)}")
    return int(value)


def _check_balance(balance: object) -> float:
    if isinstance(balance, bool) or not isinstance(balance, Real) or not 0 <= float(balance) <= 1:
        raise ValueError(f"balance must lie between 0 (natural) and 1 (equal shares), got {brief(balance)}")
    return float(balance)


def _group_ids(groups: Vector) -> tuple[npt.NDArray[np.integer], tuple[str, ...] | None]:
    values, names = read_vector(groups, "groups"), None
    if not isinstance(values, np.ndarray) and len(values):
        group_ids = as_ids(groups)
        values, names = group_ids.ids, group_ids.names
    if odd := perhaps_missing(names or ()):
        logger.warning("%s may mean not known and is a group all the same: give None for it", listed(odd))
    ids = np.asarray(values)
    if not ids.size:
        raise ValueError("groups must be a vector of ids or names, one a sample, got none")
    check_ids(ids, _MOST_GROUPS)
    if names is None:
        check_no_measurement(ids)
    if int(ids.max()) < 0:
        raise ValueError(f"groups must be known for at least one sample, all {ids.size} are -1")
    return ids if ids.dtype.kind == "i" else ids.astype(np.int64), names


def _subject_ids(subjects: Vector, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    subjects = on_cpu(subjects)
    # As objects, if it is no array: NumPy would make the text "nan" of a NaN among names.
    persons = np.asarray(subjects, dtype=None if hasattr(subjects, "dtype") else object)
    if persons.shape != ids.shape:
        raise ValueError(
            f"subjects must be a vector of the length of groups, {ids.shape}, got shape {persons.shape}"
        )
    if persons.dtype.kind in "iu" and persons.size and persons.min() >= 0 and persons.max() < 2**31:
        return persons  # numbers as they are: nothing to sort
    has_group = ids >= 0
    persons = persons[has_group]
    if persons.dtype.kind in "OUT":
        # An array of text holds "nan" or "None" where names were missing.
        missing = any(is_missing(name) or str(name).strip() in ("nan", "None") for name in persons.tolist())
    else:
        missing = persons.dtype.kind in "fM" and bool(np.isnan(persons).any())
    if missing:
        raise ValueError("subjects must be known for every sample of a known group, got a missing value")
    numbers = np.zeros(ids.shape, dtype=np.int64)
    try:
        numbers[has_group] = np.unique(persons, return_inverse=True)[1]
    except TypeError:
        raise ValueError("subjects must be ids or names of one kind, got several kinds") from None
    return numbers


def _sample_weights(
    weights: Vector, ids: npt.NDArray[np.integer], names: tuple[str, ...] | None
) -> npt.NDArray[np.float64] | None:
    """Return the weights, float64 (N,); `None` if they are the same for all samples of each group."""
    values = on_cpu(weights)
    if hasattr(values, "to_numpy"):
        values = values.to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"weights must be numbers, one a sample, got {brief(weights)}") from None
    if numbers.shape != ids.shape:
        raise ValueError(
            f"weights must have one number a sample, shape {ids.shape}, got shape {numbers.shape}"
        )
    numbers[ids < 0] = 0.0
    if not (np.isfinite(numbers) & (numbers >= 0)).all():
        wrong = int(np.argmin(np.isfinite(numbers) & (numbers >= 0)))
        raise ValueError(
            f"weights must be finite numbers of 0 or more, got {numbers[wrong]} for sample {wrong}"
        )
    most = np.zeros(int(ids.max()) + 1)
    np.maximum.at(most, ids[ids >= 0], numbers[ids >= 0])
    for group in np.unique(ids[ids >= 0]).tolist():
        if not most[group]:
            name = group if names is None else names[group]
            raise ValueError(
                f"weights must be above 0 for a sample of every group, all of group {name} are 0"
            )
    return None if (numbers[ids >= 0] == most[ids[ids >= 0]]).all() else numbers


def _world(num_replicas: int | None, rank: int | None) -> tuple[int, int]:
    if (num_replicas is None) != (rank is None):
        raise ValueError("num_replicas and rank must be given together, or neither")
    if num_replicas is None:
        distributed = sys.modules.get("torch.distributed")  # imported wherever it is used
        if distributed is not None and distributed.is_available() and distributed.is_initialized():
            return distributed.get_world_size(), distributed.get_rank()
        return 1, 0
    number, own_rank = check_count(num_replicas, "num_replicas", least=1), check_count(rank, "rank", least=0)
    if own_rank >= number:
        raise ValueError(f"rank must be below num_replicas, {number}, got {own_rank}")
    return number, own_rank
