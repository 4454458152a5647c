"""GroupWeightedSampler: single indices with a set share of every group."""

from fairseg.cohort.vectors import Vector
from fairseg.samplers.draws import Indices
from fairseg.samplers.sampler import GroupSampler, check_count

_WINDOW = 1024


class GroupWeightedSampler(GroupSampler[int]):
    """Indices one at a time, every group in its share: for frameworks that only take a sampler.

    The counterpart of `GroupBatchSampler` where batches are made elsewhere: shares hold in expectation
    in every batch, and to within one sample in every window of 1024 draws (of `num_samples` if there
    are fewer), which is shuffled as a whole. Unlike torch's WeightedRandomSampler it draws all samples of
    a group before any again. Prefer `GroupBatchSampler` where it fits.

    Args:
        groups: group ids or names, (N,), as in `GroupBatchSampler`; unknown samples are never drawn.
        num_samples: draws of an epoch, on each rank.
        balance: 1 for equal shares, 0 for those of the cohort, or anything between.
        subjects: ids or names of subjects, (N,), to be drawn evenly within a group.
        weights: how much more often each sample is drawn within its group, (N,).
        replacement: draw independently each time.
        seed: 0 or more.
        num_replicas: number of processes; by default that of torch.distributed, or 1.
        rank: which of them this is.

    Raises:
        ValueError: an argument is not as described; the message names it.

    >>> groups = [0, 0, 0, 0, 0, 0, 1, 1]
    >>> sampler = GroupWeightedSampler(groups, num_samples=6)
    >>> sorted(groups[index] for index in sampler)
    [0, 0, 0, 1, 1, 1]
    """

    def __init__(
        self,
        groups: Vector,
        num_samples: int,
        *,
        balance: float = 1.0,
        subjects: Vector | None = None,
        weights: Vector | None = None,
        replacement: bool = False,
        seed: int = 0,
        num_replicas: int | None = None,
        rank: int | None = None,
    ) -> None:
        self.num_samples = check_count(num_samples, "num_samples", least=1)
        super().__init__(
            groups,
            min(self.num_samples, _WINDOW),
            -(-self.num_samples // _WINDOW),
            balance=balance,
            subjects=subjects,
            weights=weights,
            replacement=replacement,
            seed=seed,
            num_replicas=num_replicas,
            rank=rank,
        )

    def __len__(self) -> int:
        return self.num_samples

    @property
    def _items_a_block(self) -> int:
        return self._stream.batches_a_block * self._stream.batch_size

    def _as_items(self, block: Indices) -> list[int]:
        rows: list[int] = block.ravel().tolist()
        return rows
