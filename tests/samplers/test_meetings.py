"""Which groups meet in a batch where not all fit: any two about equally often, none off its share."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chisquare

from fairseg.samplers import GroupBatchSampler


def presence(num_groups: int, batch_size: int, num_batches: int = 2000, **options: int) -> np.ndarray:
    """Return how many samples of each group each batch has, (num_batches, G)."""
    ids = np.repeat(np.arange(num_groups), 50)
    sampler = GroupBatchSampler(ids, batch_size, num_batches=num_batches, **options)
    return np.array([np.bincount(ids[batch], minlength=num_groups) for batch in sampler])


def meetings(in_batch: np.ndarray) -> list[int]:
    """Return how many batches have both groups, for every pair."""
    there = in_batch > 0
    return [int((there[:, a] & there[:, b]).sum()) for a, b in combinations(range(there.shape[1]), 2)]


@pytest.mark.parametrize(("num_groups", "batch_size"), [(6, 2), (8, 2), (8, 4), (12, 4), (12, 2), (5, 3)])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_pair_meets_as_often_by_chi_square_over_2000_batches(
    num_groups: int, batch_size: int, seed: int
) -> None:
    in_batch = presence(num_groups, batch_size, seed=seed)
    assert chisquare(meetings(in_batch)).pvalue > 1e-3
    due = np.arange(1, 2001)[:, None] * batch_size / num_groups
    assert abs(in_batch.cumsum(axis=0) - due).max() < 1


def test_every_pair_of_six_groups_meets_some_400_times_in_6000_batches_of_two() -> None:
    met = meetings(presence(6, 2, 6000))
    assert 340 < min(met) <= max(met) < 460  # they met 0 or 2,000 times when ties fell alike in each batch


def test_nearly_equal_shares_meet_too() -> None:
    counts = [100, 99, 98, 97, 96, 95]
    ids = np.repeat(np.arange(6), counts)
    sampler = GroupBatchSampler(ids, 2, balance=0.0, num_batches=2000)
    met = meetings(np.array([np.bincount(ids[batch], minlength=6) for batch in sampler]))
    assert 60 < min(met) <= max(met) < 240  # 133 if at random


def test_shares_of_two_one_and_one_forbid_the_small_ones_to_meet_in_batches_of_two() -> None:
    ids = np.repeat([0, 1, 2], [20, 10, 10])
    sampler = GroupBatchSampler(ids, 2, balance=0.0, num_batches=300)
    assert meetings(np.array([np.bincount(ids[batch], minlength=3) for batch in sampler])) == [150, 150, 0]


def test_a_sample_comes_twice_in_a_global_batch_only_where_a_cycle_through_its_group_ends() -> None:
    """What docs/samplers.md says of processes: they share no draw, and rarely a sample."""
    groups = [0] * 40 + [1] * 40
    ranks = [
        list(GroupBatchSampler(groups, 3, num_batches=40, num_replicas=4, rank=rank)) for rank in range(4)
    ]
    drawn = {0: 0, 1: 0}
    twice = 0
    for parts in zip(*ranks, strict=True):
        batch = [index for part in parts for index in part]
        for group in (0, 1):
            own = [index for index in batch if groups[index] == group]
            before, drawn[group] = drawn[group], drawn[group] + len(own)
            if len({*own}) < len(own):
                twice += 1
                assert before // 40 < (drawn[group] - 1) // 40
    assert 0 < twice < 12
