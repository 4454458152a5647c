"""Check the sampler of a loader that a framework has prepared: kept, replaced, or dealt out a second time.

Frameworks that train in several processes take a data loader apart and build another, with a sampler of their
own or one around that of the user. Batches then still come, but no longer in the shares of the sampler.
"""

from collections.abc import Iterator, Sized
from typing import Any

import torch.distributed as dist
from torch.utils.data import BatchSampler, Dataset, DistributedSampler

from fairseg.samplers import GroupBatchSampler
from fairseg.samplers.sampler import GroupSampler

__all__ = ["check_loader", "go_to"]

_MOVING = {"SmartCacheDataset", "GridPatchDataset"}
_SHARD = "BatchSamplerShard"
_INSIDE = ("batch_sampler", "sampler", "_batch_sampler", "_sampler")  # where wrappers keep what they wrap


def check_loader(loader: Any) -> GroupSampler[Any]:
    """Return the group sampler that a loader draws by, or raise if its groups would not come in its shares.

    Call it on the loader that you iterate, after the framework has prepared it, on every process. It draws
    nothing.

    Args:
        loader: a `torch.utils.data.DataLoader`, torchdata's `StatefulDataLoader`, or what Lightning or
            accelerate made of one.

    Returns:
        The `GroupBatchSampler` or `GroupWeightedSampler`, to save its state, say.

    Raises:
        ValueError: there is none, so it was replaced; the draws are dealt out to the processes twice; they
            are not dealt out at all, so that all processes draw the same; some processes get fewer batches
            than others; batches are put into batches, by `DataLoader(sampler=...)`; the data set has fewer
            samples than groups were given; or an index means another image in every epoch, as with MONAI's
            SmartCacheDataset, also within a `Subset` or another data set. The message says what to set.

    >>> import torch
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> from fairseg.samplers import GroupBatchSampler
    >>> dataset = TensorDataset(torch.arange(4.0))
    >>> check_loader(DataLoader(dataset, batch_sampler=GroupBatchSampler([0, 0, 0, 1], batch_size=2))).shares
    array([0.5, 0.5])
    >>> check_loader(DataLoader(dataset, batch_size=2))
    Traceback (most recent call last):
        ...
    ValueError: the loader draws by SequentialSampler, not by a sampler of fairseg: none was given, or a
    framework has put its own in its place
    """
    around: list[Any] = []
    dataset = getattr(loader, "dataset", None)
    _check_is_stable(dataset)
    sampler = _find(loader, around)
    if sampler is None:
        raise ValueError(
            f"the loader draws by {_names(loader)}, not by a sampler of fairseg: none was given, or a"
            " framework has put its own in its place"
        )
    _check_is_taken_whole(sampler, around, dataset)
    if any(isinstance(part, DistributedSampler) for part in around):
        raise ValueError(
            f"the draws of {type(sampler).__name__} are dealt out a second time, by"
            f" {_names(loader)}: with Lightning, set Trainer(use_distributed_sampler=False)"
        )
    _check_processes(sampler, [loader, *around])
    return sampler


def _check_is_stable(dataset: Any) -> None:
    """Refuse a data set, or one made of such, that gives an index another image in every epoch."""
    for one in _data_sets(dataset, set()):
        if moving := _MOVING & {kind.__name__ for kind in type(one).__mro__}:
            is_made_of = "is" if one is dataset else "is made of"
            raise ValueError(
                f"the dataset {is_made_of} a {moving.pop()} of MONAI, which gives an index another image as"
                " it goes on: groups by index would be those of others. Take a CacheDataset or a"
                " PersistentDataset"
            )


def _check_processes(sampler: GroupSampler[Any], parts: list[Any]) -> None:
    """Refuse draws that are dealt out to the processes twice, unevenly, or not at all."""
    world = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
    name = type(sampler).__name__
    deals = (_SHARD, "DataLoaderDispatcher")  # classes of accelerate that give each process its batches
    if world > 1 and any(_is_accelerates(part, kind) for part in parts for kind in deals):
        if sampler.num_replicas > 1 or sampler._follows_torch:
            raise ValueError(
                f"accelerate deals batches out to {world} processes itself, so {name} must not: give it"
                " num_replicas=1, rank=0"
            )
        if any(_deals_unevenly(part, sampler) for part in parts):
            raise ValueError(
                f"with even_batches=False, accelerate gives some of the {world} processes a batch more of"
                f" {name}, and a group loss would wait for those that have none: leave it True, or draw a"
                f" number of batches that {world} divides"
            )
    elif sampler.num_replicas != world:
        raise ValueError(
            f"there are {world} processes, and {name} deals its draws to {sampler.num_replicas}: make it"
            f" after torch.distributed is initialised, or give num_replicas={world} and rank"
        )


def _check_is_taken_whole(sampler: GroupSampler[Any], around: list[Any], dataset: Any) -> None:
    """Refuse batches that are put into batches, and groups of other samples than those of the data set."""
    if isinstance(sampler, GroupBatchSampler) and around and type(around[-1]) is BatchSampler:
        raise ValueError(
            "GroupBatchSampler draws whole batches, and the loader puts those into batches of its own: give"
            " it as DataLoader(dataset, batch_sampler=sampler), without batch_size"
        )
    samples = int(sampler.counts.sum()) + sampler.num_unknown
    if isinstance(dataset, Sized) and (length := len(dataset)) != samples:
        raise ValueError(
            f"{type(sampler).__name__} has the groups of {samples} samples, and the data set has {length}:"
            " give it the group of each sample of this data set, in its order; -1 of those that are not to be"
            " drawn"
        )


def go_to(sampler: GroupSampler[Any], epoch: int, step: int = 0) -> None:
    """Let a sampler's next iteration begin at an item of an epoch, as if those before had been drawn.

    It draws the items before and throws them away, which takes some microseconds a batch. Where a saved state
    is at hand, `load_state_dict` needs no draws.

    Args:
        sampler: one of fairseg's.
        epoch: 0 or more.
        step: items (batches, or indices of a `GroupWeightedSampler`) of the epoch that are done.

    Raises:
        ValueError: the epoch has fewer items.

    >>> from fairseg.samplers import GroupBatchSampler
    >>> sampler, other = (GroupBatchSampler([0, 0, 0, 0, 1, 1], batch_size=2) for _ in range(2))
    >>> first, second = list(sampler), list(sampler)
    >>> go_to(other, epoch=1, step=2)
    >>> list(other) == second[2:]
    True
    """
    if not 0 <= step <= len(sampler):
        raise ValueError(f"step must lie between 0 and {len(sampler)}, the length of an epoch, got {step}")
    sampler.set_epoch(epoch + 1)
    sampler.set_epoch(epoch)  # a change of epoch: a position that was loaded in it is let go
    if step:
        items = iter(sampler)
        for _ in range(step):
            next(items)
        sampler.load_state_dict(sampler.state_dict())


def _data_sets(dataset: Any, visited: set[int]) -> Iterator[Any]:
    """Return a data set and those that it is made of, as Subset, ConcatDataset and MONAI's Dataset are."""
    if dataset is None or id(dataset) in visited:
        return
    visited.add(id(dataset))
    yield dataset
    for name in ("dataset", "datasets", "data"):
        inner = getattr(dataset, name, None)
        for one in inner if name == "datasets" and isinstance(inner, list | tuple) else (inner,):
            if isinstance(one, Dataset):
                yield from _data_sets(one, visited)


def _find(holder: Any, around: list[Any]) -> GroupSampler[Any] | None:
    """Return the group sampler somewhere inside `holder`, and note what lies around it, outermost first."""
    for part in _inside(holder):
        if isinstance(part, GroupSampler):
            return part
        around.append(part)
        if (sampler := _find(part, around)) is not None:
            return sampler
        around.pop()
    return None


def _inside(holder: Any) -> Iterator[Any]:
    names = (*_INSIDE, "dataset") if isinstance(holder, DistributedSampler) else _INSIDE
    for name in names:
        part = getattr(holder, name, None)
        if part is not None and part is not holder:
            yield part


def _names(loader: Any) -> str:
    """Say what a loader draws by, for an error: its batch sampler, unless that is torch's plain one."""
    batch_sampler, sampler = getattr(loader, "batch_sampler", None), getattr(loader, "sampler", None)
    if batch_sampler is not None and type(batch_sampler).__name__ != "BatchSampler":
        return type(batch_sampler).__name__
    return f"no sampler at all ({type(loader).__name__})" if sampler is None else type(sampler).__name__


def _is_accelerates(part: Any, name: str) -> bool:
    """Whether a part is of a class of accelerate; by name, so as not to import it."""
    # isinstance would be wrong: these loaders pretend to be torch's.
    return f"{type(part).__module__}.{type(part).__name__}" == f"accelerate.data_loader.{name}"


def _deals_unevenly(part: Any, sampler: GroupSampler[Any]) -> bool:
    """Whether a part of a loader is accelerate's, and gives some processes more batches than others."""
    if not _is_accelerates(part, _SHARD) or part.even_batches or part.drop_last:
        return False
    if not part.split_batches:
        return bool(len(part.batch_sampler) % part.num_processes)
    if isinstance(sampler, GroupBatchSampler):  # all of its batches are full
        return False
    last: int = len(sampler) % part.batch_size
    return 0 < last <= int(part.batch_size // part.num_processes * (part.num_processes - 1))
