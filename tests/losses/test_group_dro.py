"""GroupDROLoss against Sagawa's Algorithm 1 in plain Python, and on problems with a known answer."""

import math
import random

import pytest
import torch
from torch import Tensor, nn

from fairseg.losses import BalancedGroupLoss, GroupDROLoss, WorstGroupLoss


class Given(nn.Module):
    """A base whose losses are the logits themselves: they can then be chosen at will."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return logits


NOTHING = torch.zeros(0)
EMA = pytest.mark.filterwarnings("ignore:absent=.ema. oscillates:DeprecationWarning")


def algorithm_1(  # the reference, in plain Python floats
    steps: list[tuple[list[float], list[int]]],
    num_groups: int,
    step_size: float,
    adjustment: float = 0.0,
    counts: list[int] | None = None,
    normalize: bool = False,
) -> tuple[list[float], list[list[float]]]:
    q, values, weights = [1.0 / num_groups] * num_groups, [], []
    for losses, groups in steps:
        present = sorted({group for group in groups if group >= 0})
        mean = {}
        for g in present:
            mine = [loss for loss, group in zip(losses, groups, strict=True) if group == g]
            mean[g] = sum(mine) / len(mine)
        adjusted = {g: mean[g] + (adjustment / math.sqrt(counts[g]) if counts else 0.0) for g in present}
        if normalize:
            total = sum(adjusted.values())
            adjusted = {g: value / total for g, value in adjusted.items()}
        before = sum(q[g] for g in present)
        for g in present:
            q[g] *= math.exp(step_size * adjusted[g])
        after = sum(q[g] for g in present)
        for g in present:
            q[g] *= before / after
        values.append(sum(q[g] * mean[g] for g in present))
        weights.append(list(q))
    return values, weights


def recent(  # the default rule for absent groups, in plain Python floats
    steps: list[tuple[list[float], list[int]]],
    num_groups: int,
    step_size: float,
    adjustment: float = 0.0,
    counts: list[int] | None = None,
    normalize: bool = False,
) -> tuple[list[float], list[list[float]]]:
    q, values, weights = [1.0 / num_groups] * num_groups, [], []
    last, recency = [0.0] * num_groups, [0.0] * num_groups
    added = [adjustment / math.sqrt(n) for n in counts] if counts else [0.0] * num_groups
    for losses, groups in steps:
        present = sorted({group for group in groups if group >= 0})
        recency = [0.97 * r for r in recency]
        for g in present:
            mine = [loss for loss, group in zip(losses, groups, strict=True) if group == g]
            last[g], recency[g] = sum(mine) / len(mine), 1.0
        if present:
            trust = [q[g] * recency[g] for g in range(num_groups)]
            mean = sum(t * (last[g] + added[g]) for g, t in enumerate(trust)) / sum(trust)
            use = [last[g] + added[g] if g in present else mean for g in range(num_groups)]
            total = sum(use) if normalize else 1.0
            q = [q[g] * math.exp(step_size * use[g] / total) for g in range(num_groups)]
            q = [weight / sum(q) for weight in q]
        values.append(sum(q[g] * last[g] for g in present))
        weights.append(list(q))
    return values, weights


def made_up_steps(number: int, num_groups: int, seed: int) -> list[tuple[list[float], list[int]]]:
    """Batches of 7 with groups missing at random, and unknown samples."""
    rng = random.Random(seed)
    steps = []
    for _ in range(number):
        there = [g for g in range(num_groups) if rng.random() < 0.6] or [-1]
        groups = [rng.choice([*there, -1]) for _ in range(7)]
        steps.append(([rng.expovariate(0.5) for _ in range(7)], groups))
    return steps


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({"step_size": 0.01}, {}),
        ({"step_size": 1.0}, {}),
        (
            {"step_size": 0.1, "adjustment": 3.0, "group_counts": [400, 100, 25, 4]},
            {"adjustment": 3.0, "counts": [400, 100, 25, 4]},
        ),
        ({"step_size": 0.5, "normalize_loss": True}, {"normalize": True}),
        (
            {"step_size": 0.5, "normalize_loss": True, "adjustment": 1.0, "group_counts": [9, 4, 2, 1]},
            {"normalize": True, "adjustment": 1.0, "counts": [9, 4, 2, 1]},
        ),
    ],
    ids=["0.01", "1", "adjusted", "normalised", "both"],
)
@pytest.mark.parametrize("absent", ["recent", "freeze"])
def test_two_hundred_steps_of_algorithm_1(options: dict, reference: dict, seed: int, absent: str) -> None:  # type: ignore[type-arg]
    steps = made_up_steps(200, 4, seed)
    rule = recent if absent == "recent" else algorithm_1
    values, weights = rule(steps, 4, options["step_size"], **reference)
    loss = GroupDROLoss(4, Given(), absent=absent, **options)  # type: ignore[arg-type]
    for (losses, groups), value, weight in zip(steps, values, weights, strict=True):
        before = loss.group_weight.clone()
        logits = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
        result = loss(logits, NOTHING, torch.tensor(groups))
        assert result.item() == pytest.approx(value, rel=1e-11)
        assert loss.group_weight.tolist() == pytest.approx(weight, rel=1e-10)
        result.backward()
        assert logits.grad is not None
        for gradient, group in zip(logits.grad.tolist(), groups, strict=True):
            expected = weight[group] / groups.count(group) if group >= 0 else 0.0
            assert gradient == pytest.approx(expected, rel=1e-10)
        if absent == "freeze":
            missing = [g for g in range(4) if g not in groups]
            assert torch.equal(loss.group_weight[missing], before[missing])  # to the last bit
    assert loss.group_weight.sum().item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("absent", ["recent", "freeze"])
def test_absent_groups_do_not_fade(absent: str) -> None:
    """Group 1 is in one batch of ten. With its loss taken for 0 elsewhere it would lose its weight."""
    loss = GroupDROLoss(2, Given(), step_size=0.1, absent=absent)  # type: ignore[arg-type]
    naive = torch.tensor([0.5, 0.5], dtype=torch.float64)
    for step in range(500):
        both = step % 10 == 0
        losses, groups = ([1.0, 1.2], [0, 1]) if both else ([1.0, 1.0], [0, 0])
        loss(torch.tensor(losses, requires_grad=True), NOTHING, torch.tensor(groups))
        naive *= torch.exp(0.1 * torch.tensor([1.0, 1.2 if both else 0.0]))
        naive /= naive.sum()
    assert naive[1] < 1e-10
    assert loss.group_weight[1] > 0.7


@pytest.mark.parametrize("worse", [True, False])
def test_a_group_that_is_away_for_500_steps_keeps_about_its_weight_and_recovers(worse: bool) -> None:
    loss = GroupDROLoss(2, Given(), step_size=0.05)
    other = 1.3 if worse else 0.7
    loss(torch.tensor([other, 1.0], requires_grad=True), NOTHING, torch.tensor([0, 1]))
    for _ in range(500):
        loss(torch.tensor([other], requires_grad=True), NOTHING, torch.tensor([0]))
    assert 0.4 < loss.group_weight[1] < 0.75
    for _ in range(200):
        loss(torch.tensor([0.7, 1.3], requires_grad=True), NOTHING, torch.tensor([0, 1]))
    assert loss.group_weight[1] > 0.99


def test_with_every_group_present_the_rules_are_equal_to_the_last_bit() -> None:
    rng = random.Random(0)
    for options in ({}, {"adjustment": 2.0, "group_counts": [9, 4, 2]}, {"normalize_loss": True}):
        one, two = (
            GroupDROLoss(3, Given(), step_size=0.3, absent=rule, **options)  # type: ignore[arg-type]
            for rule in ("recent", "freeze")
        )
        for _ in range(200):
            losses = torch.tensor([rng.expovariate(1) for _ in range(5)], requires_grad=True)
            groups = torch.tensor([0, 1, 2, rng.randrange(3), -1])
            assert torch.equal(one(losses, NOTHING, groups), two(losses, NOTHING, groups))
            assert torch.equal(one.group_weight, two.group_weight)


def test_with_every_group_present_it_is_the_update_of_wilds_and_of_the_authors() -> None:
    """Their lines: `adv_probs * exp(step_size * group_losses)`, divided by the sum; then the weighted sum."""
    generator = torch.Generator().manual_seed(0)
    loss = GroupDROLoss(4, Given(), step_size=0.2)
    adv_probs = torch.ones(4, dtype=torch.float64) / 4
    for _ in range(200):
        losses = torch.rand(12, generator=generator, dtype=torch.float64)
        groups = torch.cat([torch.arange(4), torch.randint(0, 4, (8,), generator=generator)])
        group_losses = torch.stack([losses[groups == group].mean() for group in range(4)])
        adv_probs = adv_probs * torch.exp(0.2 * group_losses)
        adv_probs = adv_probs / adv_probs.sum()
        value = loss(losses.requires_grad_(), NOTHING, groups)
        torch.testing.assert_close(value.detach(), group_losses.detach() @ adv_probs, rtol=1e-12, atol=0)
        torch.testing.assert_close(loss.group_weight, adv_probs.detach(), rtol=1e-11, atol=0)


def test_states_of_older_versions_and_other_rules_load() -> None:
    old = {"group_weight": torch.tensor([0.25, 0.75], dtype=torch.float64)}
    for absent in ("recent", "freeze"):
        loss = GroupDROLoss(2, Given(), absent=absent)  # type: ignore[arg-type]
        assert not any(loss.load_state_dict(dict(old)))  # no key is missing or left over
        assert loss.group_weight.tolist() == [0.25, 0.75]
    frozen, loss = GroupDROLoss(2, Given(), absent="freeze"), GroupDROLoss(2, Given())
    loss(torch.tensor([1.0, 2.0], requires_grad=True), NOTHING, torch.tensor([0, 1]))
    frozen.load_state_dict(loss.state_dict())
    assert torch.equal(frozen.group_weight, loss.group_weight)
    seen = {"group_loss_ema": torch.tensor([1.0, 2.0]), "group_seen": torch.tensor([1.0, 0.0])}
    loss.load_state_dict({**old, **seen})
    assert loss.group_last_loss is not None
    assert loss.group_recency is not None
    assert (loss.group_last_loss.tolist(), loss.group_recency.tolist()) == ([1.0, 2.0], [1.0, 0.0])
    nested = nn.ModuleDict({"a": GroupDROLoss(2, Given())})
    nested.load_state_dict({f"a.{name}": value for name, value in old.items()})


def quadratic(step_size: float, rate: float, steps: int) -> tuple[float, Tensor]:
    """Minimise the worse of (x - 0)^2 + 1 and 2 (x - 3)^2 by gradient descent; average the iterates."""
    x = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    loss = GroupDROLoss(2, Given(), step_size=step_size)
    mean_x, mean_q = 0.0, torch.zeros(2, dtype=torch.float64)
    for step in range(steps):
        losses = torch.stack([x**2 + 1, 2 * (x - 3) ** 2])
        (gradient,) = torch.autograd.grad(loss(losses, NOTHING, torch.tensor([0, 1])), x)
        x = (x - rate * gradient).detach().requires_grad_()
        if step >= steps // 2:
            mean_x += x.item() / (steps - steps // 2)
            mean_q += loss.group_weight / (steps - steps // 2)
    return mean_x, mean_q


def test_it_converges_to_the_minimax_point_of_a_convex_problem() -> None:
    # Where x^2 + 1 = 2 (x - 3)^2: x = 6 - sqrt(19), between the minima 0 and 3. There the gradients cancel:
    # q0 * 2x + q1 * 4 (x - 3) = 0, so q0 / q1 = 2 (3 - x) / x.
    best = 6 - math.sqrt(19)
    ratio = 2 * (3 - best) / best
    x, q = quadratic(step_size=0.02, rate=0.02, steps=3000)
    assert x == pytest.approx(best, abs=1e-3)
    assert q.tolist() == pytest.approx([ratio / (1 + ratio), 1 / (1 + ratio)], abs=1e-3)


@EMA
def test_ema_updates_absent_groups_with_their_running_loss() -> None:
    counts = [1.0, 4.0, 16.0]
    loss = GroupDROLoss(
        3, Given(), step_size=0.5, absent="ema", ema_decay=0.8, adjustment=2.0, group_counts=counts
    )
    q, ema = [1 / 3] * 3, [None, None, None]
    for losses, groups in (
        ([1.0, 2.0], [0, 1]),  # group 2 was never seen: its weight stays
        ([3.0], [0]),
        ([0.5, 4.0], [2, 1]),
        ([1.0], [-1]),
    ):
        for value, g in zip(losses, groups, strict=True):
            if g >= 0:
                ema[g] = value if ema[g] is None else 0.8 * ema[g] + 0.2 * value  # type: ignore[assignment,operator]
        current = {g: value for value, g in zip(losses, groups, strict=True) if g >= 0}
        use = {g: current.get(g, ema[g]) for g in range(3) if ema[g] is not None}
        before = sum(q[g] for g in use)
        for g, value in use.items():
            q[g] *= math.exp(0.5 * (value + 2.0 / math.sqrt(counts[g])))  # type: ignore[operator]
        after = sum(q[g] for g in use)
        for g in use:
            q[g] *= before / after
        loss(torch.tensor(losses, dtype=torch.float64, requires_grad=True), NOTHING, torch.tensor(groups))
        assert loss.group_weight.tolist() == pytest.approx(q, rel=1e-12)
    assert {"group_loss_ema", "group_seen"} <= loss.state_dict().keys()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("absent", ["recent", "freeze", "ema"])
@EMA
def test_a_loss_that_is_not_finite_never_reaches_the_weights(bad: float, absent: str) -> None:
    for check in (None, False):  # with the error, and as on a GPU without it
        loss = GroupDROLoss(2, Given(), step_size=1.0, absent=absent, check=check)  # type: ignore[arg-type]
        loss(torch.tensor([1.0, 2.0], requires_grad=True), NOTHING, torch.tensor([0, 1]))
        before = {name: state.clone() for name, state in loss.state_dict().items()}
        logits = torch.tensor([1.0, bad], requires_grad=True)
        if check is None:
            with pytest.raises(ValueError, match=f"the loss of group 1 is {bad}"):
                loss(logits, NOTHING, torch.tensor([0, 1]))
        else:
            assert not loss(logits, NOTHING, torch.tensor([0, 1])).isfinite()
        for name, state in loss.state_dict().items():
            assert torch.equal(state, before[name])


def test_huge_losses_and_step_sizes_do_not_overflow_and_weights_come_back() -> None:
    loss = GroupDROLoss(2, Given(), step_size=10.0)
    for _ in range(50):
        loss(torch.tensor([1e4, 0.0], requires_grad=True), NOTHING, torch.tensor([0, 1]))
    assert loss.group_weight[0] == 1.0
    assert loss.group_weight[1] > 0
    for _ in range(50):
        loss(torch.tensor([0.0, 1e4], requires_grad=True), NOTHING, torch.tensor([0, 1]))
    assert loss.group_weight[1] > 0.999


def test_losses_of_nothing_can_be_normalised() -> None:
    loss = GroupDROLoss(2, Given(), normalize_loss=True)
    loss(torch.zeros(2, requires_grad=True), NOTHING, torch.tensor([0, 1]))
    assert loss.group_weight.tolist() == [0.5, 0.5]


def test_casting_the_module_keeps_the_weights_precise() -> None:
    loss = GroupDROLoss(3, Given(), step_size=1e-3).to(torch.bfloat16).half()
    assert loss.group_weight.dtype == torch.float64
    logits = torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16, requires_grad=True)
    value = loss(logits, NOTHING, torch.arange(3))
    assert value.dtype == torch.float32
    _, weights = algorithm_1([([1.0, 2.0, 3.0], [0, 1, 2])], 3, 1e-3)
    assert loss.group_weight.tolist() == pytest.approx(weights[0], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_size": 0.0}, "step_size must be above 0, got 0.0"),
        ({"step_size": -1.0}, "step_size"),
        ({"step_size": math.nan}, "step_size"),
        ({"adjustment": 1.0}, "adjustment needs group_counts"),
        ({"adjustment": -1.0, "group_counts": [1, 1]}, "adjustment must be 0 or more"),
        ({"group_counts": [1, 0]}, "group_counts must be positive, got 0 for group 1"),
        ({"group_counts": [1, 2, 3]}, "group_counts must have one entry a group, 2, got 3"),
        ({"absent": "zero"}, "absent must be"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"memory": 1.5}, "memory must lie between 0 and 1"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        GroupDROLoss(2, **options)


def test_ema_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match="oscillates"):
        GroupDROLoss(2, absent="ema")


def test_a_state_of_other_groups_or_of_another_order_is_refused() -> None:
    saved = GroupDROLoss(["F", "M"]).state_dict()
    assert not any(GroupDROLoss(["F", "M"]).load_state_dict(saved))
    with pytest.raises(ValueError, match="the state is of the groups F, M in this order, here they are M, F"):
        GroupDROLoss(["M", "F"]).load_state_dict(saved)
    with pytest.raises(ValueError, match="F, M in this order, here they are Female, Male"):
        torch.nn.ModuleDict({"loss": GroupDROLoss(["Female", "Male"])}).load_state_dict(
            {f"loss.{name}": value for name, value in saved.items()}
        )


def test_states_without_names_and_losses_without_names_load_by_number() -> None:
    named, numbered = GroupDROLoss(["F", "M"]), GroupDROLoss(2)
    numbered.group_weight.copy_(torch.tensor([0.25, 0.75]))
    assert not any(named.load_state_dict(numbered.state_dict()))
    assert named.group_weight.tolist() == [0.25, 0.75]
    assert not any(numbered.load_state_dict(named.state_dict()))
    assert "group_names" not in numbered.state_dict()
    as_floats = {
        name: value.double() for name, value in named.state_dict().items()
    }  # as nnU-Net's log has it
    assert not any(GroupDROLoss(["F", "M"]).load_state_dict(as_floats))


def test_a_state_of_another_cohort_is_refused() -> None:
    loss = GroupDROLoss(2, adjustment=1.0, group_counts=[10, 20])
    loss.load_state_dict(GroupDROLoss(2, adjustment=2.0, group_counts=[10, 20]).state_dict())
    with pytest.raises(ValueError, match=r"another cohort: its group_counts are.*11"):
        loss.load_state_dict(GroupDROLoss(2, adjustment=1.0, group_counts=[11, 20]).state_dict())
    with pytest.raises(RuntimeError, match="size mismatch"):
        loss.load_state_dict(GroupDROLoss(3).state_dict(), strict=False)


def test_what_the_papers_code_calls_group_dro_is_neither_group_dro_nor_the_worst_group() -> None:
    """Lee et al. give the maximum over groups (section 4.5), cite Sagawa et al., and release the mean.

    Their code averages the cross-entropy within each of two groups and then over the groups: no group
    weights, no maximum. On the same losses the three differ, in value and in where the gradient goes.
    """
    losses, groups = [0.2, 0.4, 1.5], torch.tensor([0, 0, 1])
    answers = {}
    for kind in (BalancedGroupLoss, WorstGroupLoss, GroupDROLoss):
        options = {"step_size": 1.0} if kind is GroupDROLoss else {}
        loss = kind(2, Given(), **options)  # type: ignore[arg-type]
        for _ in range(3):
            logits = torch.tensor(losses, requires_grad=True)
            value = loss(logits, NOTHING, groups)
        (gradient,) = torch.autograd.grad(value, logits)
        answers[kind] = value.item(), gradient.tolist()
    # released code: ((0.2 + 0.4) / 2 + 1.5) / 2
    assert answers[BalancedGroupLoss][0] == pytest.approx(0.9)
    assert answers[BalancedGroupLoss][1] == pytest.approx([0.25, 0.25, 0.5])
    # L_DRO as printed: max(0.3, 1.5)
    assert answers[WorstGroupLoss][0] == pytest.approx(1.5)
    assert answers[WorstGroupLoss][1] == [0.0, 0.0, 1.0]
    # Algorithm 1 after three steps: q1 / q0 = exp(3 * 1.2)
    q1 = 1 / (1 + math.exp(-3.6))
    assert answers[GroupDROLoss][0] == pytest.approx((1 - q1) * 0.3 + q1 * 1.5)
    assert answers[GroupDROLoss][1] == pytest.approx([(1 - q1) / 2, (1 - q1) / 2, q1])
