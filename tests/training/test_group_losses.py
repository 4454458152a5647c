"""The loss and the weight of each group in the log: by hand, and of two processes as of one."""

from typing import Any

import pytest
import torch
from torch.nn.functional import softplus

from fairseg.losses import CrossEntropyLoss, GroupDROLoss
from fairseg.losses.erm import ERMLoss
from fairseg.training.group_losses import GroupLosses
from fairseg.training.methods import loss_of
from fairseg.training.ranks import ProcessGroup

NAMES = ("F", "M", "X")
STEPS = [([0.0, 1.0, 3.0, 2.0], [0, 0, 1, 0]), ([1.0, 2.0, 0.5, 0.0], [0, 0, 0, 0])]  # margins, groups


def batch(margins: list[float], groups: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two classes, of which the first is right by a margin: the loss is softplus(-margin)."""
    logits = torch.stack([torch.tensor(margins), torch.zeros(len(margins))], dim=1)
    return logits, torch.zeros(len(margins), dtype=torch.long), torch.tensor(groups)


def logged(loss: Any, processes: Any, parts: slice = slice(None)) -> dict[str, Any]:
    losses = GroupLosses(loss, NAMES, processes)
    for margins, groups in STEPS:
        one = batch(margins[parts], groups[parts])
        loss_of(loss, *one)
        losses.step(*one)
    return losses.end_epoch()


def test_the_plain_loss_is_told_for_each_group_with_its_share() -> None:
    result = logged(ERMLoss(CrossEntropyLoss()), ProcessGroup())
    first = softplus(-torch.tensor([0.0, 1.0, 2.0])).mean()
    second = softplus(-torch.tensor([1.0, 2.0, 0.5, 0.0])).mean()
    assert result["group_loss"]["F"] == pytest.approx(float(first + second) / 2, abs=1e-5)
    assert result["group_loss"]["M"] == pytest.approx(
        float(softplus(torch.tensor(-3.0))), abs=1e-5
    )  # one step
    assert result["group_loss"]["X"] is None
    assert result["group_weight"] == pytest.approx({"F": (3 / 4 + 1) / 2, "M": 1 / 8, "X": 0.0})


def test_an_objective_of_groups_tells_its_own() -> None:
    loss = GroupDROLoss(3, CrossEntropyLoss(), step_size=0.5)
    weights = []
    losses = GroupLosses(loss, NAMES, ProcessGroup())
    for step in STEPS:
        one = batch(*step)
        loss(*one)
        losses.step(*one)
        weights.append(loss.group_weight.clone())
    expected = torch.stack(weights).mean(dim=0).tolist()
    assert list(losses.end_epoch()["group_weight"].values()) == pytest.approx(expected, abs=1e-6)


def test_parts_of_a_batch_make_the_figures_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = logged(ERMLoss(CrossEntropyLoss()), ProcessGroup())
    parts: list[torch.Tensor] = []

    def gather(_: ProcessGroup, value: torch.Tensor) -> list[torch.Tensor]:
        parts.append(value)
        return list(parts)

    monkeypatch.setattr(ProcessGroup, "gather", gather)
    logged(ERMLoss(CrossEntropyLoss()), ProcessGroup(0, 2), slice(0, 3))
    joint = logged(ERMLoss(CrossEntropyLoss()), ProcessGroup(1, 2), slice(3, 4))
    assert joint["group_weight"] == pytest.approx(whole["group_weight"], abs=1e-6)
    for name in ("F", "M"):
        assert joint["group_loss"][name] == pytest.approx(whole["group_loss"][name], abs=1e-5)
