"""accelerate deals a loader's batches to two processes: the groups' shares stay exact."""

from typing import Any

import numpy as np
import pytest
import torch

from fairseg.losses import GroupDROLoss
from fairseg.samplers import GroupBatchSampler
from tests.integrations.accelerate_ranks import BATCH, GROUPS, main, make_data, make_model
from tests.ranks import run_ranks

pytestmark = pytest.mark.slow

WAY_OUT = "give it num_replicas=1, rank=0"


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run_ranks(main, tmp_path_factory.mktemp("ranks"))


def epochs(number: int) -> list[list[list[int]]]:
    """Return what one process alone would draw."""
    sampler = GroupBatchSampler(GROUPS, BATCH)
    return [list(sampler) for _ in range(number)]


@pytest.mark.parametrize("way", ["dealt", "dispatched"])
def test_processes_take_turns_at_one_stream_of_batches(way: str, ranks: Any) -> None:
    for epoch, whole in enumerate(epochs(2)):
        assert [ranks[0]["drawn"][way][epoch], ranks[1]["drawn"][way][epoch]] == [whole[0::2], whole[1::2]]
        for batch in ranks[0]["drawn"][way][epoch]:
            assert np.bincount(GROUPS[batch]).tolist() == [2, 2, 2]


@pytest.mark.parametrize("way", ["split", "dispatched and split"])
def test_processes_share_each_batch(way: str, ranks: Any) -> None:
    for epoch, whole in enumerate(epochs(2)):
        parts = zip(ranks[0]["drawn"][way][epoch], ranks[1]["drawn"][way][epoch], strict=True)
        assert [first + second for first, second in parts] == whole


def test_a_sampler_of_single_indices_is_dealt_out_too(ranks: Any) -> None:
    flat = [index for rank in ranks for batch in rank["drawn"]["weighted"][0] for index in batch]
    assert np.bincount(GROUPS[flat]).tolist() == [12, 12, 12]


def test_draws_that_would_be_dealt_out_twice_or_never_are_named(ranks: Any) -> None:
    for rank in ranks:
        errors = rank["errors"]
        assert "accelerate deals batches out to 2 processes itself" in errors["made with its ranks"]
        assert WAY_OUT in errors["made with its ranks"]
        assert WAY_OUT in errors["made too early"]
        assert "there are 2 processes, and GroupBatchSampler deals its draws to 1" in errors["not prepared"]
        assert errors["right without accelerate"] == "none"


def test_uneven_numbers_of_batches_are_refused(ranks: Any) -> None:
    for case in ranks[0]["uneven"]:
        (here, error), (there, same_error) = (rank["uneven"][case] for rank in ranks)
        assert error == same_error
        assert (here != there) == ("even_batches=False" in error), case
        assert here == there or "leave it True, or draw a number of batches that 2 divides" in error
    assert [ranks[0]["uneven"][case][1] == "none" for case in (4, 5)] == [True, False]


def test_a_training_is_that_of_one_process_with_both_batches(ranks: Any) -> None:
    model, loss = make_model(), GroupDROLoss(3, step_size=0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    (batches,) = epochs(1)
    for first, second in zip(batches[0::2], batches[1::2], strict=True):
        image, mask, group, _ = make_data()[first + second]
        optimizer.zero_grad()
        loss(model(image), mask, group).backward()
        optimizer.step()
    for rank in ranks:
        assert torch.allclose(rank["trained"]["weight"], loss.group_weight, atol=1e-6)
        assert torch.allclose(rank["trained"]["kernel"], next(model.parameters()), atol=1e-5)


@pytest.mark.parametrize("way", ["rest", "rest of stateful"])
def test_a_restart_in_the_middle_of_an_epoch(way: str, ranks: Any) -> None:
    second = epochs(2)[1]
    for rank, results in enumerate(ranks):
        assert results[way] == second[rank::2][1:]
        assert len(results[way]) == 2
