"""What LogGroupLoss logs of groups that diverge, that are absent, and of the control. Twelve seconds."""

import math

import pytest
import torch
from ignite.engine import Engine
from torch import Tensor

from fairseg.integrations.monai import GroupLossFunction, LogGroupLoss
from fairseg.losses import CrossEntropyLoss, GroupDROLoss, GroupLoss
from fairseg.losses.erm import ERMLoss

pytestmark = pytest.mark.filterwarnings("ignore:.*monai.*:FutureWarning")

NAMES = ("A", "B", "C")


def logged(loss: GroupLoss, batches: list[tuple[Tensor, list[int]]]) -> dict[str, float]:
    """Return the metrics of an engine that calls the loss with logits and groups of each batch."""
    loss_function = GroupLossFunction(loss)

    def step(_: Engine, batch: tuple[Tensor, list[int]]) -> None:
        logits, groups = batch
        loss_function.groups = torch.tensor(groups)
        loss_function(logits, torch.zeros(len(groups), 1, 4, 4))

    engine = Engine(step)
    LogGroupLoss(loss_function, NAMES).attach(engine)
    engine.run(batches)
    return dict(engine.state.metrics)


@pytest.mark.parametrize(("wrong", "loss"), [(math.nan, math.nan), (-math.inf, math.inf)])
def test_a_group_that_diverged_is_not_logged_as_perfect(wrong: float, loss: float) -> None:
    """One image of A, in the first of two batches; nobody is of C."""
    good, bad = torch.zeros(2, 2, 4, 4), torch.zeros(2, 2, 4, 4)
    bad[0, 0] = wrong
    got = logged(GroupDROLoss(3, check=False), [(bad, [0, 1]), (good, [0, 1])])
    assert got["loss_A"] == pytest.approx(loss, nan_ok=True)
    assert got["loss_B"] == pytest.approx(math.log(2))
    assert math.isnan(got["loss_C"])


def test_a_group_that_is_absent_from_a_batch_has_the_mean_of_the_others() -> None:
    zeros = torch.zeros(2, 2, 4, 4)
    got = logged(GroupDROLoss(3), [(zeros, [0, 0]), (zeros, [0, 1])])
    assert [got["loss_A"], got["loss_B"]] == pytest.approx([math.log(2)] * 2)


def test_the_control_has_one_group_and_no_losses_of_more() -> None:
    with pytest.raises(ValueError, match="names must be the names of 1 groups"):
        LogGroupLoss(GroupLossFunction(ERMLoss(CrossEntropyLoss())), NAMES)
