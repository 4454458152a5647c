"""GroupBatchSampler: batches with a set share of every group."""

from fairseg.cohort.vectors import Vector
from fairseg.samplers.draws import Indices
from fairseg.samplers.sampler import GroupSampler, check_count


class GroupBatchSampler(GroupSampler[list[int]]):
    """Batches in which every group has its share: the paper's oversampling, for any number of groups.

    For `torch.utils.data.DataLoader(dataset, batch_sampler=...)`. The share of group g is `balance / G +
    (1 - balance) * n_g / N`, with G the number of groups that have samples and N the number of samples
    with a known group. Shares are kept by exact quotas that carry over from batch to batch and from epoch
    to epoch: after any number of batches no group is one whole sample off its share, whatever the number
    of groups and the batch size (this starts again every 32,768 batches, at the end of an epoch). Where not
    all groups fit into a batch, which of them meet is random. In each group all samples are drawn before any
    is drawn again, in a new order each time: in each epoch if it is long enough for that, else over several.
    A sample's position in the batch says nothing about its group.

    Each epoch is a function of (seed, epoch): the same on every machine and with any number of workers.
    With several processes, their batches together are one balanced batch, no two draw the same sample before
    all samples of its group are drawn, and each has its part of every group to within one sample.

    Source: section 4.3 of Lee et al. (2025), and Fig. S2 for `balance`; Tijdeman (1980) for the quotas;
    Liu et al. (2021), "Just train twice", is a use of `weights`.

    Args:
        groups: group ids or names, (N,), in any vector that `fairseg.cohort.as_ids` reads, such as
            `df["sex"]`; -1, `None` and NaN are unknown: never drawn, counted in `num_unknown`.
        batch_size: samples of a batch, on each rank.
        balance: 1 for equal shares of all groups, 0 for the shares that they have in the cohort
            (stratified batches), or anything between.
        subjects: ids or names of subjects, (N,). If given, subjects of a group are drawn evenly, and then
            a sample of the subject, so that one with more slices does not weigh more.
        weights: how much more often each sample is drawn within its group, (N,), 0 or more; the groups'
            shares stay. A cycle is as many draws as the group has samples (or subjects). After 1, 2, 4, 8 ...
            cycles each sample was drawn its share, rounded down or up; after c cycles it is off by less than
            log2(c) + 1 draws (this starts again as above).
        replacement: draw independently each time, as the paper does, in place of cycles of all samples.
        num_batches: batches of an epoch; by default enough to draw as many samples as are known.
        seed: 0 or more.
        num_replicas: number of processes; by default that of torch.distributed, or 1.
        rank: which of them this is.

    Raises:
        ValueError: an argument is not as described; the message names it.

    >>> groups = [0, 0, 0, 0, 0, 0, 1, 1, -1]
    >>> sampler = GroupBatchSampler(groups, batch_size=4)
    >>> len(sampler), sampler.num_unknown, sampler.shares
    (2, 1, array([0.5, 0.5]))
    >>> for batch in sampler:
    ...     print(sorted(groups[index] for index in batch))
    [0, 0, 1, 1]
    [0, 0, 1, 1]
    >>> GroupBatchSampler(["F", "M", "M", None], batch_size=2).names
    ('F', 'M')
    """

    def __init__(
        self,
        groups: Vector,
        batch_size: int,
        *,
        balance: float = 1.0,
        subjects: Vector | None = None,
        weights: Vector | None = None,
        num_batches: int | None = None,
        replacement: bool = False,
        seed: int = 0,
        num_replicas: int | None = None,
        rank: int | None = None,
    ) -> None:
        self.batch_size = check_count(batch_size, "batch_size", least=1)
        super().__init__(
            groups,
            self.batch_size,
            None if num_batches is None else check_count(num_batches, "num_batches", least=1),
            balance=balance,
            subjects=subjects,
            weights=weights,
            replacement=replacement,
            seed=seed,
            num_replicas=num_replicas,
            rank=rank,
        )
        self.num_batches = self._stream.num_batches

    def __len__(self) -> int:
        return self.num_batches

    def _as_items(self, block: Indices) -> list[list[int]]:
        rows: list[list[int]] = block.tolist()
        return rows
