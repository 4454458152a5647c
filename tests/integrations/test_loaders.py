"""What loaders are checked for, and a training that torchdata's loader resumes in the middle of an epoch."""

import copy
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader

from fairseg.integrations.loaders import check_loader, go_to
from fairseg.losses import GroupDROLoss
from fairseg.samplers import GroupBatchSampler, GroupWeightedSampler

# torchdata 0.11 calls what torch 2.13 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")

GROUPS = np.repeat([0, 1, 2], [40, 15, 5])


def make_data() -> TensorDataset:
    images = torch.randn(60, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return TensorDataset(images, (images[:, 0] > 0).long(), torch.from_numpy(GROUPS))


class Training:
    """Network, group loss, optimizer and loader, saved and restored together."""

    def __init__(self, num_workers: int) -> None:
        torch.manual_seed(0)
        self.network = torch.nn.Conv2d(1, 2, 3, padding=1)
        self.loss = GroupDROLoss(3, step_size=0.1)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.1)
        sampler = GroupBatchSampler(GROUPS, 6)
        self.loader: Any = StatefulDataLoader(make_data(), batch_sampler=sampler, num_workers=num_workers)
        assert check_loader(self.loader) is sampler

    def parts(self) -> dict[str, Any]:
        return dict(vars(self))

    def train(self, batches: Any) -> None:
        for image, mask, group in batches:
            self.optimizer.zero_grad()
            self.loss(self.network(image), mask, group).backward()
            self.optimizer.step()


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_training_resumed_in_an_epoch_is_the_same_to_the_last_bit(num_workers: int) -> None:
    whole = Training(num_workers)
    whole.train(whole.loader)
    stream = iter(whole.loader)
    whole.train(islice(stream, 4))
    state = {name: copy.deepcopy(part.state_dict()) for name, part in whole.parts().items()}
    whole.train(stream)
    whole.train(whole.loader)
    resumed = Training(num_workers)
    for name, part in resumed.parts().items():
        part.load_state_dict(state[name])
    resumed.train(resumed.loader)
    resumed.train(resumed.loader)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value)
    assert torch.equal(resumed.loss.group_weight, whole.loss.group_weight)


def test_what_was_dealt_out_twice_or_replaced_is_named() -> None:
    data = make_data()
    weighted = GroupWeightedSampler(GROUPS, 30)
    assert check_loader(DataLoader(data, batch_size=5, sampler=weighted)) is weighted
    dealt = DistributedSampler(weighted, num_replicas=2, rank=0)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match="draws of GroupWeightedSampler are dealt out a second time, by Dist"
    ):
        check_loader(DataLoader(data, batch_size=5, sampler=dealt))
    with pytest.raises(ValueError, match="draws by RandomSampler, not by a sampler of fairseg"):
        check_loader(DataLoader(data, batch_size=5, shuffle=True))
    with pytest.raises(ValueError, match=r"draws by no sampler at all \(list\)"):
        check_loader([1, 2])
    for_two = GroupBatchSampler(GROUPS, 5, num_replicas=2, rank=0)
    with pytest.raises(ValueError, match="there are 1 processes, and GroupBatchSampler deals its draws to 2"):
        check_loader(DataLoader(data, batch_sampler=for_two))


@pytest.mark.parametrize("step", [0, 1, 7, 10])
@pytest.mark.parametrize("kind", [GroupBatchSampler, GroupWeightedSampler])
def test_any_place_can_be_gone_to(kind: Any, step: int) -> None:
    size = 6 if kind is GroupBatchSampler else 10
    sampler, other = kind(GROUPS, size, seed=3), kind(GROUPS, size, seed=3)
    epochs = [list(sampler) for _ in range(4)]
    go_to(other, 2, step)
    assert list(other) == epochs[2][step:]
    assert list(other) == epochs[3]
    for _ in range(2):  # from wherever it stands, there too
        go_to(other, 2, step)
    assert list(other) == epochs[2][step:]
    with pytest.raises(ValueError, match="step must lie between 0 and 10, the length of an epoch, got 11"):
        go_to(other, 0, 11)


def test_batches_within_batches_are_refused() -> None:
    sampler = GroupBatchSampler(GROUPS, batch_size=6)
    data = make_data()
    with pytest.raises(ValueError, match=r"DataLoader\(dataset, batch_sampler=sampler\), without batch_size"):
        check_loader(DataLoader(data, sampler=sampler, batch_size=8))
    assert check_loader(DataLoader(data, batch_sampler=sampler)) is sampler
    assert check_loader(DataLoader(data, sampler=sampler, batch_size=None)) is sampler  # a batch is an index
    one_by_one = GroupWeightedSampler(GROUPS, 30)
    assert check_loader(DataLoader(data, sampler=one_by_one, batch_size=8)) is one_by_one


@pytest.mark.parametrize("other", [np.append(GROUPS, [-1, 0]), GROUPS[:8]])  # of patients, say, not of slices
def test_a_sampler_of_other_samples_than_those_of_the_data_set_is_refused(other: np.ndarray) -> None:
    for sampler in (
        {"batch_sampler": GroupBatchSampler(other, batch_size=2)},
        {"sampler": GroupWeightedSampler(other, 30), "batch_size": 8},
    ):
        message = f"has the groups of {len(other)} samples, and the data set has 60"
        with pytest.raises(ValueError, match=message):
            check_loader(DataLoader(make_data(), **sampler))
