"""Speed and memory of the samplers on a cohort of 10 million samples in 50 groups.

    make bench        (or: python benchmarks/samplers.py)

Group sizes are drawn from a Dirichlet distribution, as uneven as real cohorts. torch's
WeightedRandomSampler, which only balances in expectation and draws samples again before others were
drawn at all, is timed beside. Wall times, one thread; memory is what Python and NumPy allocate beyond
the ids.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import time
import tracemalloc
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch
from machine import describe
from tabulate import tabulate
from torch.utils.data import BatchSampler, WeightedRandomSampler

from fairseg.samplers import GroupBatchSampler, GroupWeightedSampler

SAMPLES, GROUPS = 10_000_000, 50


def cohort() -> np.ndarray[Any, Any]:
    """Return the group ids of the cohort."""
    rng = np.random.default_rng(0)
    return rng.choice(GROUPS, size=SAMPLES, p=rng.dirichlet(np.ones(GROUPS)))


def seconds(fn: Callable[[], object]) -> float:
    """Return the seconds that a call takes, the best of three."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        fn()
        best = min(best, time.perf_counter() - start)
    return best


def rate(stream: Any, number: int) -> float:
    """Return items a second of an iterator, after its first."""
    next(stream)
    start = time.perf_counter()
    taken = sum(1 for _ in islice(stream, number))
    return taken / (time.perf_counter() - start)


def resumed(groups: np.ndarray[Any, Any], state: dict[str, Any]) -> float:
    """Return the seconds from a fresh sampler with a loaded state to its next batch."""
    sampler = GroupBatchSampler(groups, 12, num_batches=20_000_000)
    start = time.perf_counter()
    sampler.load_state_dict(state)
    next(iter(sampler))
    return time.perf_counter() - start


def main() -> None:  # noqa: PLR0915  (a row is a statement or two)
    """Print the table."""
    torch.set_num_threads(1)
    groups = cohort()
    print(describe("numpy", "torch"))
    print(f"{SAMPLES:,} samples, {GROUPS} groups\n")
    rows: list[list[str]] = []

    def row(what: str, value: str, target: str = "") -> None:
        rows.append([what, value, target])

    row("construct", f"{seconds(lambda: GroupBatchSampler(groups, 12)):.2f} s", "under 2 s")
    tracemalloc.start()
    sampler = GroupBatchSampler(groups, 12, num_batches=20_000_000)
    start = time.perf_counter()
    stream = iter(sampler)
    next(stream)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    row("memory at its peak, a sample", f"{peak / SAMPLES:.1f} bytes", "under 10 bytes")
    fresh = GroupBatchSampler(groups, 12)
    start = time.perf_counter()
    next(iter(fresh))
    row("first batch (shuffles every group)", f"{time.perf_counter() - start:.2f} s", "at once")
    row("batches of 12 a second", f"{rate(stream, 100_000):,.0f}", "10,000")
    wide = rate(iter(GroupBatchSampler(groups, 1024)), 8000) * 1024
    row("indices a second in batches of 1024", f"{wide / 1e6:.1f} million", "2 million")
    between = rate(iter(GroupBatchSampler(groups, 12, balance=0.3)), 50_000)
    row("batches of 12 a second, balance 0.3", f"{between:,.0f}")
    single = rate(iter(GroupWeightedSampler(groups, 2_000_000)), 1_900_000)
    row("GroupWeightedSampler, indices a second", f"{single / 1e6:.1f} million")
    people = np.random.default_rng(1).integers(SAMPLES // 20, size=SAMPLES)
    tracemalloc.start()
    by_person = GroupBatchSampler(groups, 12, subjects=people)
    next(iter(by_person))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    took = seconds(lambda: GroupBatchSampler(groups, 12, subjects=people))
    row("with 500,000 subjects: construct", f"{took:.2f} s")
    row("with subjects: memory at its peak, a sample", f"{peak / SAMPLES:.1f} bytes")
    by_person = GroupBatchSampler(groups, 12, subjects=people)
    start = time.perf_counter()
    next(iter(by_person))
    row("with subjects: first batch", f"{time.perf_counter() - start:.2f} s")
    row("with subjects: batches of 12 a second", f"{rate(iter(by_person), 50_000):,.0f}")
    state = sampler.state_dict()
    early = {**state, "step": 0, "owed": [0] * GROUPS, "drawn": [0] * GROUPS}
    size = sampler._items_a_block
    late = {**state, "step": 10_000_000 // size * size, "drawn": [2_400_000] * GROUPS, "owed": [0] * GROUPS}
    row("resume at the first step", f"{resumed(groups, early):.2f} s")
    row("resume at step 10 million", f"{resumed(groups, late):.2f} s", "as at the first")

    weight = torch.from_numpy(1.0 / sampler.counts)[torch.from_numpy(groups)]
    start = time.perf_counter()
    peer = iter(BatchSampler(WeightedRandomSampler(weight, 1_200_000), 12, drop_last=True))
    next(peer)
    row("torch WeightedRandomSampler, first of 100,000 batches", f"{time.perf_counter() - start:.2f} s")
    row("torch WeightedRandomSampler, batches of 12 a second", f"{rate(peer, 90_000):,.0f}")
    print(tabulate(rows, ["", "measured", "target"], colalign=("left", "right", "right")))


if __name__ == "__main__":
    main()
