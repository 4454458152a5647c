"""The test that every group loss must pass, ours and yours."""

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from fairseg.losses.group_loss import GroupLoss


def check_group_loss(make: Callable[[int], GroupLoss]) -> None:
    """Raise an AssertionError unless a group loss keeps the promises that `GroupLoss` gives.

    Checked on made-up batches: value and gradient are finite whichever groups are present, absent groups
    have no weight (unless weights are kept in the state), unknown samples have no part in either, a batch of
    unknown samples gives 0 with a gradient of 0, the order of samples does not matter, eval mode and
    `no_grad` change no state, no loss of NaN reaches it, a saved state goes on as the original, and
    torch.compile makes a single graph of it, whatever groups are there.

    Args:
        make: returns a fresh loss for a number of groups; cross-entropy as its base is assumed to take
            logits (B, C, *S) and integer targets (B, *S).

    >>> from fairseg.losses import WorstGroupLoss
    >>> check_group_loss(WorstGroupLoss)
    """
    for groups in ([0, 1, 2, 1, 0, 2], [0, 0, 2, 2, 0, 2], [1, 1, 1, 1, 1, 1], [0, -1, 2, -1, 0, 0]):
        _check_batch(make, torch.tensor(groups))
    value, gradient = _run(make(3), *_batch(6), torch.full((6,), -1))
    assert value == 0, f"a batch of unknown samples gives {value}, not 0"
    assert bool((gradient == 0).all()), "a batch of unknown samples gives a gradient that is not 0"
    _check_state(make)
    _check_graph(make)


def _check_batch(make: Callable[[int], GroupLoss], groups: Tensor) -> None:
    logits, target = _batch(len(groups))
    case = f"with groups {groups.tolist()}"
    loss = make(3)
    value, gradient = _run(loss, logits, target, groups)
    assert bool(value.isfinite()), f"the value is {value} {case}"
    assert value.ndim == 0, f"the value has shape {tuple(value.shape)}, it must be a scalar"
    assert bool(gradient.isfinite().all()), f"the gradient is not finite {case}"
    assert bool((gradient != 0).any()), f"the gradient is 0 {case}"
    assert bool((gradient[groups == -1] == 0).all()), f"unknown samples have a gradient {case}"
    weight, absent = loss.group_weight, loss.group_count == 0
    # Weights that are kept for later batches, or that an objective does not record, are not checked.
    if "group_weight" not in loss.state_dict() and type(loss).objective is GroupLoss.objective:
        assert bool((weight[absent] == 0).all()), f"{case} absent groups have weight: {weight}"
    has_group = groups >= 0
    alone, _ = _run(make(3), logits[has_group], target[has_group], groups[has_group])
    assert torch.isclose(alone, value), f"unknown samples change the value from {alone} to {value} {case}"
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(1))
    shuffled, _ = _run(make(3), logits[order], target[order], groups[order])
    assert torch.isclose(shuffled, value), f"the order of samples changes {value} to {shuffled} {case}"


def _check_state(make: Callable[[int], GroupLoss]) -> None:
    logits, target = _batch(6)
    groups = torch.tensor([0, 1, 2, 1, 0, 2])
    loss = make(3)
    for _ in range(3):
        _run(loss, logits, target, groups)
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    with torch.no_grad():
        loss(logits, target, groups)
    loss.eval()
    _run(loss, logits, target, groups)
    loss.train()
    for name, state in loss.state_dict().items():
        assert torch.equal(state, before[name]), f"eval mode or no_grad changes {name}"
    loss.check = False
    loss(torch.full_like(logits, torch.nan).requires_grad_(), target, groups)
    for name, state in loss.state_dict().items():
        assert torch.equal(state, before[name]), f"a loss of NaN changes {name}"
    copy = make(3)
    copy.load_state_dict(before)
    original, loaded = _run(loss, logits, target, groups)[0], _run(copy, logits, target, groups)[0]
    assert torch.equal(original, loaded), f"a loaded state gives {loaded}, the original {original}"


def _check_graph(make: Callable[[int], GroupLoss]) -> None:
    kind = type(make(3))
    if kind.__module__ == "__main__" and not hasattr(sys.modules["__main__"], kind.__name__):
        return  # from a doctest: torch.compile looks its globals up in a module that has none of them
    logits, target = _batch(6)
    torch.compiler.reset()
    compiled = torch.compile(make(3), fullgraph=True, backend="eager")
    for groups in ([0, 1, 2, 1, 0, 2], [0, 0, -1, 2, 2, 0]):
        try:
            value = compiled(logits, target, torch.tensor(groups))
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise AssertionError(f"torch.compile makes no single graph of it: {reason}") from error
        expected = make(3)(logits, target, torch.tensor(groups)) if groups[1] else value
        assert torch.allclose(value, expected), f"compiled it gives {value}, else {expected}"


def _batch(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 3, (size, 4, 5), generator=generator)
    return torch.randn(size, 3, 4, 5, generator=generator), target


def _run(loss: GroupLoss, logits: Tensor, target: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    inputs = logits.clone().requires_grad_()
    value = loss(inputs, target, groups)
    (gradient,) = torch.autograd.grad(value, inputs)
    return value.detach(), gradient
