"""Group weights and group means by hand, and what they refuse."""

from typing import Any

import pandas as pd
import pytest
import torch

from fairseg import Groups
from fairseg.losses import (
    DeepSupervision,
    FairErrorBoundLoss,
    GroupDROLoss,
    WorstGroupLoss,
    group_mean,
    group_weights,
)


def test_weights_by_hand() -> None:
    # Eq. 1-2 for n = (4221, 1043): w = (5264/4221, 5264/1043), normalised to sum 1.
    expected = torch.tensor([1 / 4221, 1 / 1043]) / (1 / 4221 + 1 / 1043)
    torch.testing.assert_close(group_weights([4221, 1043]), expected)
    torch.testing.assert_close(group_weights([4221, 1043], normalize="mean"), expected * 2)
    # 2 groups and 5264 samples: n_g w_g = 2632 each, so that the samples' weights have mean 1
    even = torch.tensor([2632 / 4221, 2632 / 1043])
    torch.testing.assert_close(group_weights([4221, 1043], normalize="samples"), even)
    torch.testing.assert_close(group_weights(torch.tensor([2, 2, 2])), torch.full((3,), 1 / 3))
    torch.testing.assert_close(group_weights([1, 1], eps=1.0), torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(group_weights([1, 3], eps=1.0), torch.tensor([2 / 3, 1 / 3]))


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([3, 0], {}, "counts must be positive, got 0 for group 1"),
        ([-1, 2], {}, "group 0"),
        ([1, float("nan")], {}, "nan for group 1"),
        ({"M": 3, "F": 0}, {}, "counts must be positive, got 0 for group F"),
        (pd.Series({"M": 0, "F": 2}), {}, "counts must be positive, got 0 for group M"),
        (
            pd.DataFrame({0: [1, 0], 1: [2, 0]}, index=["M", "F"]),
            {"method": "kamiran_calders"},
            "group F has",
        ),
        ([], {}, "counts must be a vector"),
        ([1, 2], {"normalize": "max"}, 'normalize must be "sum", "mean" or "samples"'),
    ],
)
def test_bad_counts_are_named(counts: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group_weights(counts, **options)


def test_means_leave_unknown_out_and_absent_groups_at_0() -> None:
    values = torch.tensor([1.0, 2.0, 6.0, 100.0], requires_grad=True)
    means, counts = group_mean(values, torch.tensor([2, 0, 2, -1]), 4)
    assert means.tolist() == [2.0, 0.0, 3.5, 0.0]
    assert counts.tolist() == [1.0, 0.0, 2.0, 0.0]
    means.sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0.5, 1.0, 0.5, 0.0]


def test_means_by_name_are_those_by_id() -> None:
    values, names = torch.tensor([1.0, 3.0, 5.0, 9.0]), ["F", "F", "X", None]
    for known in (["F", "M", "X"], Groups(["F", "M", "X"])):
        means, counts = group_mean(values, names, known)
        assert (means.tolist(), counts.tolist()) == ([2.0, 0.0, 5.0], [2.0, 0.0, 1.0])
    assert group_mean(values, [0, 0, 2, -1], 3)[0].tolist() == [2.0, 0.0, 5.0]


def test_a_nan_stays_in_its_group() -> None:
    means, _ = group_mean(torch.tensor([1.0, float("nan"), 3.0]), torch.tensor([0, 1, 2]), 3)
    assert means[[0, 2]].tolist() == [1.0, 3.0]
    assert means[1].isnan()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_means_of_halves_are_float32(dtype: torch.dtype) -> None:
    means, counts = group_mean(torch.full((5000,), 0.1, dtype=dtype), torch.zeros(5000).long(), 1)
    assert means.dtype == counts.dtype == torch.float32
    torch.testing.assert_close(means, torch.tensor([0.1], dtype=dtype).float())


@pytest.mark.parametrize(
    ("values", "groups", "message"),
    [
        (torch.zeros(2), torch.tensor([0, 3]), "between -1 and 2, got 3"),
        (torch.zeros(2), torch.tensor([0, -2]), "got -2"),
        (torch.zeros(2), torch.tensor([0.0, 1.0]), "integer ids, got torch.float32"),
        (torch.zeros(2), torch.tensor([True, False]), "integer ids"),
        (torch.zeros(2), torch.tensor([0]), r"shape \(2,\), got \(1,\)"),
        (torch.zeros(2), torch.tensor([[0], [1]]), r"got \(2, 1\)"),
        (torch.zeros(2), [0, 3], "between -1 and 2, got 3"),
        (torch.zeros(2), ["F", "M"], "groups are names, which are not known here"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.long, device="meta"), "on the device.*cpu, got meta"),
        (torch.zeros(2, 2), torch.tensor([0, 1]), "values must be a vector"),
    ],
)
def test_bad_groups_are_named(values: Any, groups: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group_mean(values, groups, 3)


@pytest.mark.parametrize("loss", [GroupDROLoss(2), WorstGroupLoss(2), FairErrorBoundLoss(2)])
def test_a_loss_without_groups_says_how_an_engine_gives_them(loss: torch.nn.Module) -> None:
    logits, target = torch.zeros(2, 2, 4), torch.zeros(2, 4, dtype=torch.long)
    with pytest.raises(ValueError, match=r"groups must be given.*GroupLossFunction.*GroupTrainerMixin"):
        loss(logits, target)
    with pytest.raises(ValueError, match=r"groups must be given"):
        DeepSupervision(loss, [1.0])([logits], target)
