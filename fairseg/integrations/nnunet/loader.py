"""GroupDataLoader: nnU-Net's data loader that draws cases in equal shares of all groups, or by a weight."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as trainer_module

from fairseg.samplers import GroupBatchSampler

_BATCHES = 1000  # of an epoch of the sampler, which nobody sees: a loader goes on without end


@dataclass(frozen=True)
class CaseDraws:
    """The draws of training cases into batches."""

    groups: Mapping[str, int]  # group id of each case, all in equal shares; -1 is unknown, and never drawn
    subjects: Mapping[str, str] | None = None  # subject of each case, to be drawn evenly within a group
    weights: Mapping[str, float] | None = None  # how much more often a case is drawn within its group


class GroupDataLoader(nnUNetDataLoader):  # type: ignore[misc]
    """Draws the cases of each batch by `GroupBatchSampler`: equal shares of all groups, subjects evenly.

    With weights, cases are drawn in proportion to their weight instead, within their group.

    nnU-Net forces foreground into the last third of a batch. A case's place in the batch says nothing about
    its group, so every group has its part of that third.

    nnU-Net copies the loader into its workers and reseeds only NumPy's global generator there. So a worker
    makes its own sampler when it draws its first batch, with a seed from that generator: workers draw
    differently, and each keeps the shares by itself. Cases of unknown group are never drawn.

    Args:
        *args, **options: as nnU-Net's loader takes them.
        draws: how to draw the training cases.
    """

    def __init__(self, *args: Any, draws: CaseDraws, **options: Any) -> None:
        super().__init__(*args, **options)
        cases = [str(case) for case in self.indices if draws.groups[case] >= 0]
        self._cases = np.array(cases)
        self._groups, self._subjects, self._weights = (
            None if column is None else [column[case] for case in cases]
            for column in (draws.groups, draws.subjects, draws.weights)
        )
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
            weights=self._weights,
            num_batches=_BATCHES,
            seed=int(np.random.randint(2**31)),  # noqa: NPY002  (the generator that nnU-Net reseeds)
            num_replicas=1,
            rank=0,
        )
        while True:
            yield from sampler


@contextmanager
def drawn_training(draws: CaseDraws, training: list[Any]) -> Iterator[list[Any]]:
    """Let nnU-Net's trainer make a `GroupDataLoader` where it makes the loader of its training data.

    Its `get_dataloaders` names the class of both loaders and starts their workers, so there is no place
    between the two: meanwhile the name stands for this.

    Args:
        draws: how to draw the training cases.
        training: a list that holds the training dataset by the time that its loader is made.

    Yields:
        A list that holds the training dataset once its loader was made by that name.
    """
    loaded: list[Any] = []

    def make(data: Any, *args: Any, **options: Any) -> Any:
        if not any(data is one for one in training):
            return nnUNetDataLoader(data, *args, **options)
        loaded.append(data)
        return GroupDataLoader(data, *args, draws=draws, **options)

    trainer_module.nnUNetDataLoader = make
    try:
        yield loaded
    finally:
        trainer_module.nnUNetDataLoader = nnUNetDataLoader
