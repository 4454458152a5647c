"""Apple's GPUs have no float64. None is at hand, so the CPU stands in: what makes a float64 tensor raises."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fairseg.integrations.torchmetrics import GroupDice
from fairseg.integrations.voxel_counts import count_voxels
from fairseg.losses import AttributeHead, BalancedGroupLoss, DeepSupervision, DiceCELoss, GroupLoss
from tests.losses.test_group_loss import GROUPS, LOSSES, batch


class NoFloat64(TorchDispatchMode):
    """Raises as MPS does where an operation gives float64."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) and leaf.dtype == torch.float64 for leaf in tree_leaves(result)):
            raise TypeError(f"{func} makes float64, which MPS does not have")
        return result


@pytest.fixture
def no_float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the code does where the device is MPS: float32 in the place of float64."""
    for name, module in list(sys.modules.items()):
        if name.startswith("fairseg.losses") and hasattr(module, "precise"):
            monkeypatch.setattr(module, "precise", lambda values: values.float())
    with NoFloat64():
        yield


def moved(loss: nn.Module) -> nn.Module:
    """Return a loss as `loss.to("mps")` leaves it: its state in float32."""
    for part in loss.modules():
        for name, buffer in part._buffers.items():
            if buffer is not None and buffer.dtype == torch.float64:
                part._buffers[name] = buffer.float()
    return loss


@pytest.mark.filterwarnings("ignore:absent=.ema. oscillates:DeprecationWarning")
@pytest.mark.parametrize("name", [*LOSSES, "cvar within groups"])
def test_losses(name: str, request: pytest.FixtureRequest) -> None:
    make = LOSSES.get(name) or (lambda number: BalancedGroupLoss(number, within_group="cvar", alpha=0.5))
    loss = moved(make(3))
    logits, target = batch()
    request.getfixturevalue("no_float64")
    for _ in range(2):
        loss(logits, target, GROUPS).backward()


def test_deep_supervision_and_a_pooled_base(request: pytest.FixtureRequest) -> None:
    inner = LOSSES["dro"](3, DiceCELoss(pool="group"))
    assert isinstance(inner, GroupLoss)
    loss = moved(DeepSupervision(inner, [1.0, 0.5]))
    logits, target = batch(shape=(8, 8))
    request.getfixturevalue("no_float64")
    loss([logits, logits[..., ::2, ::2]], target, GROUPS).backward()


def test_an_attribute_head(request: pytest.FixtureRequest) -> None:
    head = moved(AttributeHead(3, channels=4, reverse=True, warm_up=5, group_counts=[1, 2, 3]))
    features = torch.randn(8, 4, 5, 5, requires_grad=True)
    request.getfixturevalue("no_float64")
    head(features, GROUPS).backward()


def test_group_metrics_count_in_integers(request: pytest.FixtureRequest) -> None:
    metric = GroupDice(3, labels=[1, 2])
    masks = torch.randint(0, 3, (2, 8, 6, 5))
    request.getfixturevalue("no_float64")
    assert count_voxels(*masks, labels=[(1,), (2,)]).dtype == torch.int64
    metric.update(*masks, GROUPS)


def test_the_stand_in_sees_float64() -> None:
    with NoFloat64(), pytest.raises(TypeError, match="makes float64"):
        torch.zeros(2).double()
