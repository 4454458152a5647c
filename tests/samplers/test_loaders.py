"""The samplers inside the data loaders that people use, with and without worker processes."""

from itertools import chain, islice
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader as MonaiLoader
from monai.data import Dataset as MonaiDataset
from torch.utils.data import DataLoader, TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader

from fairseg.samplers import GroupBatchSampler, GroupWeightedSampler

# torchdata 0.11 calls what torch 2.13 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")

GROUPS = np.repeat([0, 1, 2], [40, 15, 5])
DATASET = TensorDataset(torch.arange(60), torch.from_numpy(GROUPS))


def seen(loader: Any) -> list[list[int]]:
    return [batch[0].tolist() for batch in loader]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("loader", [DataLoader, StatefulDataLoader])
def test_loaders_give_the_samplers_batches(loader: Any, num_workers: int) -> None:
    loader = loader(DATASET, batch_sampler=GroupBatchSampler(GROUPS, 6), num_workers=num_workers)
    expected = GroupBatchSampler(GROUPS, 6)
    assert len(loader) == len(expected) == 10
    for _ in range(2):
        assert seen(loader) == list(expected)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_monai(num_workers: int) -> None:
    dataset = MonaiDataset([{"index": index} for index in range(60)])
    loader = MonaiLoader(dataset, batch_sampler=GroupBatchSampler(GROUPS, 6), num_workers=num_workers)
    assert [batch["index"].tolist() for batch in loader] == list(GroupBatchSampler(GROUPS, 6))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_weighted_sampler_in_a_loader(num_workers: int) -> None:
    sampler = GroupWeightedSampler(GROUPS, 30)
    loader = DataLoader(DATASET, batch_size=10, sampler=sampler, num_workers=num_workers)
    assert list(chain.from_iterable(seen(loader))) == list(GroupWeightedSampler(GROUPS, 30))


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("step", [1, 5, 9, 10])
def test_a_stateful_loader_resumes_mid_epoch_again_and_again(num_workers: int, step: int) -> None:
    def make() -> Any:
        return StatefulDataLoader(
            DATASET, batch_sampler=GroupBatchSampler(GROUPS, 6), num_workers=num_workers
        )

    reference = GroupBatchSampler(GROUPS, 6)
    epochs = [list(reference) for _ in range(3)]
    loader = make()
    stream = iter(loader)
    assert [next(stream)[0].tolist() for _ in range(step)] == epochs[0][:step]
    state = loader.state_dict()
    for _ in range(2):
        resumed = make()
        resumed.load_state_dict(state)
        assert seen(resumed) == epochs[0][step:]
        assert seen(resumed) == epochs[1]
        middle = list(islice(iter(resumed), 3))
        assert [batch[0].tolist() for batch in middle] == epochs[2][:3]
