"""GroupDataLoader: nnU-Net's data loader with a set share of every group in each batch."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as trainer_module

from fairseg.samplers import GroupBatchSampler

_BATCHES = 1000  # of an epoch of the sampler, which nobody sees: a loader goes on without end


class GroupDataLoader(nnUNetDataLoader):  # type: ignore[misc]
    """Draws the cases of each batch by `GroupBatchSampler`: equal shares of all groups, subjects evenly.

    nnU-Net forces foreground into the last third of a batch. A case's place in the batch says nothing about
    its group, so every group has its part of that third.

    nnU-Net copies the loader into its workers and reseeds only NumPy's global generator there. So a worker
    makes its own sampler when it draws its first batch, with a seed from that generator: workers draw
    differently, and each keeps the shares by itself. Cases of unknown group are never drawn.

    Args:
        *args, **options: as nnU-Net's loader takes them.
        groups: group id of each case; -1 is unknown.
        subjects: subject of each case.
    """

    def __init__(
        self, *args: Any, groups: Mapping[str, int], subjects: Mapping[str, str], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        known = [str(case) for case in self.indices if groups[case] >= 0]
        self._cases = np.array(known)
        self._groups = [groups[case] for case in known]
        self._subjects = [subjects[case] for case in known]
        self._drawing: tuple[int, Iterator[list[int]]] | None = None

    def get_indices(self) -> npt.NDArray[np.str_]:
        """Return the cases of the next batch, (batch_size,)."""
        if self._drawing is None or self._drawing[0] != os.getpid():
            self._drawing = os.getpid(), self._batches()
        return self._cases[next(self._drawing[1])]

    def _batches(self) -> Iterator[list[int]]:
        sampler = GroupBatchSampler(
            self._groups,
            self.batch_size,
            subjects=self._subjects,
            num_batches=_BATCHES,
            seed=int(np.random.randint(2**31)),  # noqa: NPY002  (the generator that nnU-Net reseeds)
            num_replicas=1,
            rank=0,
        )
        while True:
            yield from sampler


@contextmanager
def balanced_training(
    groups: Mapping[str, int], subjects: Mapping[str, str], training: list[Any]
) -> Iterator[None]:
    """Let nnU-Net's trainer make a `GroupDataLoader` where it makes the loader of its training data.

    Its `get_dataloaders` names the class of both loaders and starts their workers, so there is no place
    between the two: meanwhile the name stands for this.

    Args:
        groups: group id of each training case.
        subjects: subject of each training case.
        training: a list that holds the training dataset by the time that its loader is made.

    Raises:
        RuntimeError: no loader of the training data was made by that name.
    """
    made = []

    def make(data: Any, *args: Any, **options: Any) -> Any:
        if not any(data is one for one in training):
            return nnUNetDataLoader(data, *args, **options)
        made.append(data)
        return GroupDataLoader(data, *args, groups=groups, subjects=subjects, **options)

    trainer_module.nnUNetDataLoader = make
    try:
        yield
    finally:
        trainer_module.nnUNetDataLoader = nnUNetDataLoader
    if not made:
        raise RuntimeError(
            "this version of nnU-Net makes its data loaders in another way, so batches would not be balanced"
        )
