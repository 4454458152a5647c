"""What both samplers are: epochs, a position in them, and how the position is saved and restored."""

import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from numbers import Integral
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from fairseg.samplers.draws import Indices, Members
from fairseg.samplers.stream import Mark, Stream

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
_MOST_GROUPS = 1 << 20


class GroupSampler(ABC, Generic[Item]):
    """Epochs of items from a stream of balanced batches; see the two samplers that are made of it.

    Attributes:
        epoch: the epoch that is being iterated, or that comes next if none is.
        counts: samples of each group id in the cohort, int64 (largest id + 1,).
        shares: the share of draws that each group id has, float64 (largest id + 1,); 0 without samples.
        num_unknown: samples with group -1, which are never drawn.
        num_replicas, rank: the number of processes that share the draws, and which of them this is.
    """

    def __init__(
        self,
        groups: npt.ArrayLike,
        batch_size: int,
        num_batches: int | None,
        *,
        balance: float,
        subjects: npt.ArrayLike | None,
        seed: int,
        num_replicas: int | None,
        rank: int | None,
    ) -> None:
        ids = _group_ids(groups)
        persons = None if subjects is None else _subject_ids(subjects, ids)
        self.balance = _check_balance(balance)
        self.seed = check_count(seed, "seed", least=0)
        self.num_replicas, self.rank = _world(num_replicas, rank)
        self._asked = num_replicas is None  # for torch.distributed
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
        )
        self.shares = np.zeros(self.counts.size)
        self.shares[members.ids] = np.array(self._stream.weights, dtype=float) / sum(self._stream.weights)
        self._position = _Position(0, 0, None)
        self._items: _Items[Item] | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items of an epoch, on this rank."""

    @abstractmethod
    def _rows(self, block: Indices) -> list[Item]:
        """Return the items of a block (batches, batch size)."""

    @property
    def _items_a_block(self) -> int:
        return self._stream.batches_a_block

    @property
    def epoch(self) -> int:
        """The epoch that is being iterated, or that comes next if none is."""
        return self._now().epoch

    def __iter__(self) -> Iterator[Item]:
        """Begin the next epoch, or go on where a loaded state stood, when the first item is asked for.

        An epoch that was begun and left is not begun again: its draws, and those that a loader fetched
        ahead, count as made.
        """
        return _Items(self)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be of this epoch; from its start, or from a loaded position in it."""
        epoch = check_count(epoch, "epoch", least=0)
        if self._items is None and epoch == self._position.epoch:
            return
        self._items = None
        self._position = _Position(epoch, 0, None)

    def state_dict(self) -> dict[str, Any]:
        """Return the position in plain numbers: the same on every rank, and safe to save anywhere.

        It counts what was handed out. A `torch.utils.data.DataLoader` with workers asks ahead, so save
        through `torchdata`'s StatefulDataLoader there, which knows what has arrived, or at the end of
        an epoch.
        """
        now = self._now()
        mark = now.mark or self._stream.begin(now.epoch)
        return {
            "epoch": now.epoch,
            "step": now.step,
            "owed": [int(debt) for debt in mark.owed],
            "drawn": mark.drawn.tolist(),
            **self._identity(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on, at the next iteration, where `state` was saved; takes no longer for later positions.

        Ranks may have changed in number if their batches together are of the size that they had.

        Raises:
            ValueError: the state is of another cohort, seed, balance or batch size, or is no state; the
                sampler stays as it was.
        """
        identity = self._identity()
        needed = ("epoch", "step", "owed", "drawn", *identity)
        if not isinstance(state, dict) or (missing := [name for name in needed if name not in state]):
            lacks = f"has no {', '.join(missing)}" if isinstance(state, dict) else f"is {state!r}"
            raise ValueError(f"state must be one of state_dict(), this one {lacks}")
        for name, here in identity.items():
            if state[name] != here:
                raise ValueError(
                    f"state is of another sampler: its {name} is {state[name]}, here it is {here}"
                )
        step = check_count(state["step"], "step of the state", least=0)
        epoch = check_count(state["epoch"], "epoch of the state", least=0)
        if step > len(self):
            raise ValueError(f"state is at step {step} of an epoch that has {len(self)}")
        mark = self._stream.mark(step // self._items_a_block, state["owed"], state["drawn"])
        self._items = None
        self._position = _Position(epoch, step, mark)

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a state to fit."""
        return {
            "sampler": type(self).__name__,
            "global_batch_size": self._stream.batch_size * self.num_replicas,
            "balance": self.balance,
            "seed": self.seed,
            "cohort": self._stream.fingerprint,
        }

    def _now(self) -> "_Position":
        if self._items is None or self._items.position is None:
            return self._position
        return self._items.position

    def _start(self, items: "_Items[Item]") -> "_Position":
        """Give the position at which an iteration starts, now that it does."""
        if self._asked and _world(None, None) != (self.num_replicas, self.rank):
            raise ValueError(
                "the sampler was made before torch.distributed was initialised, so every rank would draw the"
                " same; make it afterwards, or give num_replicas and rank"
            )
        start = self._position
        self._items, self._position = items, _Position(start.epoch + 1, 0, None)
        return _Position(start.epoch, start.step, start.mark or self._stream.begin(start.epoch))


class _Position:
    """A position: the epoch, the items handed out in it, the mark of its block; none for an epoch's start."""

    def __init__(self, epoch: int, step: int, mark: Mark | None) -> None:
        self.epoch, self.step, self.mark = epoch, step, mark


class _Items(Iterator[Item]):
    """One epoch's items, from the sampler's position on.

    It takes that position when its first item is asked for: loaders call `iter` more often than they use
    what they get.
    """

    def __init__(self, sampler: GroupSampler[Item]) -> None:
        self._sampler, self._rows = sampler, list[Item]()
        self._length, self._size = len(sampler), sampler._items_a_block
        self._started = False
        self._next: Mark | None = None
        self.position: _Position | None = None  # none before the first item and after the last

    def __next__(self) -> Item:
        if not self._started:
            self._started, self.position = True, self._sampler._start(self)
        now = self.position
        if now is None or now.step >= self._length:
            self._rows, self.position = [], None
            raise StopIteration
        if not self._rows and now.mark is not None:
            block, self._next = self._sampler._stream.block(now.epoch, now.mark)
            self._rows = self._sampler._rows(block)
        item = self._rows[now.step % self._size]
        now.step += 1
        if now.step % self._size == 0 and self._next is not None:
            now.mark, self._rows = self._next, []
        return item


def check_count(value: object, name: str, *, least: int) -> int:
    """Return an int of at least `least`, or raise a ValueError that names the argument."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return int(value)


def _check_balance(balance: object) -> float:
    if isinstance(balance, bool) or not isinstance(balance, int | float | np.floating | np.integer):
        share = -1.0
    else:
        share = float(balance)
    if not 0 <= share <= 1:
        raise ValueError(f"balance must lie between 0 (natural) and 1 (equal shares), got {balance!r}")
    return share


def _on_cpu(values: Any) -> Any:
    """Return a torch tensor as an array, wherever it lies, and anything else as it is."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def _group_ids(groups: npt.ArrayLike) -> npt.NDArray[np.integer]:
    ids = np.asarray(_on_cpu(groups))
    if ids.ndim != 1 or not ids.size:
        raise ValueError(f"groups must be a vector of group ids, one a sample, got shape {ids.shape}")
    if ids.dtype.kind not in "iu":
        raise ValueError(f"groups must be integer ids (see fairseg.Groups.encode), got dtype {ids.dtype}")
    low, high = int(ids.min()), int(ids.max())
    if low < -1 or high >= _MOST_GROUPS:
        wrong = low if low < -1 else high
        raise ValueError(f"groups must be ids from -1 (unknown) to {_MOST_GROUPS - 1}, got {wrong}")
    if high < 0:
        raise ValueError(f"groups must be known for at least one sample, all {ids.size} are -1")
    return ids if ids.dtype.kind == "i" else ids.astype(np.int64)


def _subject_ids(subjects: npt.ArrayLike, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    subjects = _on_cpu(subjects)
    # As objects, if it is no array: NumPy would make the text "nan" of a NaN among names.
    persons = np.asarray(subjects, dtype=None if hasattr(subjects, "dtype") else object)
    if persons.shape != ids.shape:
        raise ValueError(
            f"subjects must be a vector of the length of groups, {ids.shape}, got shape {persons.shape}"
        )
    if persons.dtype.kind in "iu" and persons.size and persons.min() >= 0 and persons.max() < 2**31:
        return persons  # numbers as they are: nothing to sort
    known = ids >= 0
    persons = persons[known]
    if persons.dtype.kind in "OUT":
        missing = any(str(who).strip() in ("", "nan", "None", "<NA>", "NaT") for who in persons.tolist())
    else:
        missing = persons.dtype.kind in "fM" and bool(np.isnan(persons).any())
    if missing:
        raise ValueError("subjects must be known for every sample of a known group, got a missing value")
    numbers = np.zeros(ids.shape, dtype=np.int64)
    try:
        numbers[known] = np.unique(persons, return_inverse=True)[1]
    except TypeError:
        raise ValueError("subjects must be ids or names of one kind, got several kinds") from None
    return numbers


def _world(num_replicas: int | None, rank: int | None) -> tuple[int, int]:
    if (num_replicas is None) != (rank is None):
        raise ValueError("num_replicas and rank must be given together, or neither")
    if num_replicas is None:
        distributed = sys.modules.get("torch.distributed")  # who uses it has imported it
        if distributed is not None and distributed.is_available() and distributed.is_initialized():
            return distributed.get_world_size(), distributed.get_rank()
        return 1, 0
    number, which = check_count(num_replicas, "num_replicas", least=1), check_count(rank, "rank", least=0)
    if which >= number:
        raise ValueError(f"rank must be below num_replicas, {number}, got {which}")
    return number, which
