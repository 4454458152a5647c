"""Several processes that train one network: the number of this one, and how they exchange values.

Every process makes the same joint batches and takes its part of each, so that the draws, and with them the
result, do not depend on the number of processes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from fairseg.losses.grouping import is_distributed

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a training: the number of this one, and how many there are."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def part_of(self, items: list[T]) -> list[T]:
        """Return this process's part, dealt round and round."""
        return items[self.rank :: self.world]

    def gather(self, value: T) -> list[T]:
        """Return the values that all processes have, the same list on each."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process go through a block before the others begin it."""
        if not self.is_first:
            dist.barrier()
        yield
        if self.is_first and self.world > 1:
            dist.barrier()


def find_processes() -> ProcessGroup:
    """Return this process's rank in torch.distributed, or that of a single process."""
    return ProcessGroup(dist.get_rank(), dist.get_world_size()) if is_distributed() else ProcessGroup()


def local_gpu() -> torch.device:
    """Return the GPU of this process: the one of its number on this machine, as torchrun counts."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) if is_distributed() else 0)


@contextmanager
def joined_by_torchrun(device: str = "auto") -> Iterator[ProcessGroup]:
    """Join the processes that torchrun has started, and leave at the end; a process alone stays alone.

    Args:
        device: where they train: "cpu" (gloo), or "auto" and "cuda" for a GPU each (NCCL), if there are any.

    Raises:
        ValueError: the device is one for all, or there are fewer GPUs than processes.
    """
    if "RANK" not in os.environ:  # started without torchrun
        yield ProcessGroup()
        return
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        number = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        if number > 1 and device not in ("auto", "cuda"):
            raise ValueError(f"device must be auto, cuda or cpu in {number} processes, got {device}")
        if number > torch.cuda.device_count():
            raise ValueError(
                f"{number} processes must have a GPU each, torch finds {torch.cuda.device_count()}: "
                "start fewer, or train on device cpu"
            )
        if number > 1 or device in ("auto", "cuda"):
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield find_processes()
    finally:
        dist.destroy_process_group()
