"""What holds for every group loss, and for any base."""

import math
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch._dynamo
from monai.losses import DiceCELoss as MonaiDiceCE
from monai.losses import DiceFocalLoss, DiceLoss
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from fairseg.losses import (
    BalancedGroupLoss,
    ChiSquareGroupLoss,
    CrossEntropyLoss,
    CVaRGroupLoss,
    DiceCELoss,
    FairErrorBoundLoss,
    GroupDROLoss,
    GroupLoss,
    NonAdditiveLossError,
    ParetoMinimaxLoss,
    ReweightedLoss,
    SoftDiceLoss,
    VRExLoss,
    WorstGroupLoss,
    group_weights,
)
from fairseg.losses.testing import check_group_loss

pytestmark = pytest.mark.filterwarnings("ignore:absent=.ema. oscillates:DeprecationWarning")
LOSSES: dict[str, Callable[..., GroupLoss]] = {
    "reweighted": lambda n, base=None, **o: ReweightedLoss(range(1, n + 1), base or CrossEntropyLoss(), **o),
    "dro": lambda n, base=None, **o: GroupDROLoss(n, base, step_size=0.3, **o),
    "dro freeze": lambda n, base=None, **o: GroupDROLoss(n, base, step_size=0.3, absent="freeze", **o),
    "dro ema": lambda n, base=None, **o: GroupDROLoss(n, base, step_size=0.3, absent="ema", **o),
    "dro adjusted": lambda n, base=None, **o: GroupDROLoss(
        n, base, step_size=0.3, adjustment=2.0, group_counts=range(1, n + 1), normalize_loss=True, **o
    ),
    "reweighted dro": lambda n, base=None, **o: GroupDROLoss(
        n, base, group_weights=group_weights(range(1, n + 1)), **o
    ),
    "worst": WorstGroupLoss,
    "balanced": BalancedGroupLoss,
    "cvar": lambda n, base=None, **o: CVaRGroupLoss(n, base, alpha=0.4, **o),
    "cvar counts": lambda n, base=None, **o: CVaRGroupLoss(n, base, group_counts=range(1, n + 1), **o),
    "chi-square": lambda n, base=None, **o: ChiSquareGroupLoss(n, base, radius=0.3, **o),
    "v-rex": VRExLoss,
    "fair error bound": FairErrorBoundLoss,
    "pareto": ParetoMinimaxLoss,
}
POOLABLE = {name: make for name, make in LOSSES.items() if name != "fair error bound"}


def batch(size: int = 8, classes: int = 3, shape: tuple[int, ...] = (6, 5)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(size, classes, *shape, generator=generator, requires_grad=True)
    return logits, torch.randint(0, classes, (size, *shape), generator=generator)


GROUPS = torch.tensor([0, 2, 0, -1, 2, 1, 2, 0])


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_the_promises_that_every_group_loss_makes(make: Any) -> None:
    check_group_loss(make)


@pytest.mark.parametrize("make", POOLABLE.values(), ids=POOLABLE)
@pytest.mark.parametrize(
    "base", [SoftDiceLoss(pool="group"), DiceCELoss(pool="group"), DiceCELoss()], ids=repr
)
def test_the_promises_hold_for_dice(make: Any, base: nn.Module) -> None:
    check_group_loss(lambda number: make(number, base))


@pytest.mark.parametrize("name", [name for name in LOSSES if "dro" not in name and name != "pareto"])
def test_absent_groups_have_no_part_however_many_there_are(name: str) -> None:
    """Losses without memory give the same for 3 groups as for 30 of which 27 are absent.

    (GroupDRO and Pareto weigh all groups of the cohort: their weights of the groups present sum to less.)
    """
    logits, target = batch()
    few, many = LOSSES[name](3), LOSSES[name](30)
    if name == "reweighted":  # its weights are normalised over the cohort
        few, many = (ReweightedLoss([5] * n, CrossEntropyLoss(), normalize="mean") for n in (3, 30))
    if name == "cvar counts":
        few, many = CVaRGroupLoss(3, group_counts=[1, 2, 3]), CVaRGroupLoss(30, group_counts=range(1, 31))
    values = [loss(logits, target, GROUPS) for loss in (few, many)]
    torch.testing.assert_close(*values)
    gradients = [torch.autograd.grad(value, logits)[0] for value in values]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_the_noted_weights_are_the_derivative_by_the_groups_losses(make: Any) -> None:
    if make is FairErrorBoundLoss:
        pytest.skip("its weights scale predictions")
    logits, target = batch()
    loss = make(3)
    noted: list[Tensor] = []
    original = loss.objective

    def spy(group_loss: Tensor, count: Tensor) -> Tensor:
        group_loss.retain_grad()
        noted.append(group_loss)
        return original(group_loss, count)

    loss.objective = spy
    loss(logits, target, GROUPS).backward()
    torch.testing.assert_close(noted[0].grad, loss.group_weight.float())


def test_group_losses_and_counts_are_noted_for_logging() -> None:
    logits, target = batch()
    loss = BalancedGroupLoss(4)
    loss(logits, target, GROUPS)
    each = CrossEntropyLoss()(logits, target).detach()
    expected = torch.stack([each[group == GROUPS].mean() for group in range(4)])
    torch.testing.assert_close(loss.group_loss, expected, equal_nan=True)
    assert loss.group_loss[3].isnan()
    assert loss.group_count.tolist() == [3, 1, 3, 0]
    torch.testing.assert_close(loss.group_weight, torch.tensor([1, 1, 1, 0]).double() / 3)
    assert not any(t.requires_grad for t in (loss.group_loss, loss.group_count, loss.group_weight))


@pytest.mark.parametrize("shape", [(7,), (6, 5), (3, 4, 5)], ids=str)
@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_any_number_of_spatial_axes(make: Any, shape: tuple[int, ...]) -> None:
    logits, target = batch(shape=shape)
    first, second = make(3)(logits, target, GROUPS), make(3)(logits, target.unsqueeze(1), GROUPS)
    torch.testing.assert_close(first, second)
    flat = make(3)(logits.flatten(2), target.flatten(1), GROUPS)
    torch.testing.assert_close(flat, first)


@pytest.mark.parametrize("make", POOLABLE.values(), ids=POOLABLE)
def test_third_party_bases(make: Any) -> None:
    logits, target = batch()
    actual, expected = make(3, CrossEntropyLoss()), make(3, nn.CrossEntropyLoss(reduction="none"))
    torch.testing.assert_close(actual(logits, target, GROUPS), expected(logits, target, GROUPS))
    options = {"softmax": True, "to_onehot_y": True, "include_background": False, "reduction": "none"}
    actual, expected = make(3, SoftDiceLoss()), make(3, DiceLoss(**options))
    torch.testing.assert_close(
        actual(logits, target, GROUPS), expected(logits, target.unsqueeze(1), GROUPS), rtol=1e-5, atol=1e-6
    )
    focal = make(3, DiceFocalLoss(**options))
    assert torch.autograd.grad(focal(logits, target.unsqueeze(1), GROUPS), logits)[0].isfinite().all()


def test_a_random_base_is_no_base_that_mixes_samples() -> None:
    logits, target = batch()
    noisy = nn.Sequential(nn.Dropout(0.5))
    loss = BalancedGroupLoss(3, lambda x, y: CrossEntropyLoss()(noisy(x), y))
    assert loss(logits, target, GROUPS).isfinite()


def test_factors_weigh_the_groups_losses_and_the_log_has_them_without() -> None:
    logits, target = batch()
    plain, weighted = BalancedGroupLoss(3), BalancedGroupLoss(3, group_weights=[1.0, 2.0, 4.0])
    plain(logits, target, GROUPS)
    value = weighted(logits, target, GROUPS)
    torch.testing.assert_close(weighted.group_loss, plain.group_loss)
    torch.testing.assert_close(value, (plain.group_loss * torch.tensor([1.0, 2.0, 4.0])).mean())
    with pytest.raises(ValueError, match="another cohort: its group_factor"):
        weighted.load_state_dict(BalancedGroupLoss(3, group_weights=[1.0, 2.0, 3.0]).state_dict())
    with pytest.raises(ValueError, match="not finite"):
        GroupDROLoss(2).load_state_dict({"group_weight": torch.tensor([math.nan, 1.0])})


def test_a_function_is_a_base() -> None:
    logits, target = batch()
    loss = WorstGroupLoss(3, lambda x, y: (x.argmax(1) != y).float() + 0 * x.sum(1))
    assert 0 < loss(logits, target, GROUPS) < 1


def test_a_base_that_mixes_samples_is_found_though_the_first_batch_hides_it() -> None:
    logits, target = torch.zeros(8, 3, 6, 5, requires_grad=True), batch()[1][:1].expand(8, 6, 5)

    def spread(x: Tensor, y: Tensor) -> Tensor:
        return SoftDiceLoss(pool="group")(x, y).expand(len(x))

    with pytest.raises(NonAdditiveLossError, match="it mixes samples"):
        GroupDROLoss(3, spread)(logits, target, GROUPS)


class BatchDice(nn.Module):
    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return SoftDiceLoss(pool="group")(logits, target)


class InDisguise(nn.Module):
    """Mixes the samples, yet returns one value for each."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        each = CrossEntropyLoss()(logits, target)
        return each / each.sum()


@pytest.mark.parametrize(
    "make",
    [
        nn.CrossEntropyLoss,
        lambda: nn.CrossEntropyLoss(reduction="sum"),
        lambda: DiceLoss(softmax=True, to_onehot_y=True),
        lambda: MonaiDiceCE(softmax=True, to_onehot_y=True),
        lambda: DiceLoss(softmax=True, to_onehot_y=True, batch=True, reduction="none"),
        BatchDice,
        InDisguise,
        lambda: lambda logits, target: logits.mean(),
        lambda: lambda logits, target: logits.mean(0),
    ],
)
def test_bases_that_mix_samples_are_refused_with_a_way_out(make: Callable[[], Any]) -> None:
    logits, target = batch()
    way_out = r'split by group.*DiceCELoss\(pool="group"\)'
    for kind in (WorstGroupLoss, GroupDROLoss):
        with pytest.raises(NonAdditiveLossError, match=way_out):  # noqa: PT012  (now, or when called)
            base = make()
            monai = type(base).__module__.startswith("monai")
            kind(3, base)(logits, target.unsqueeze(1) if monai else target, GROUPS)


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (torch.tensor([0, 1, 3, 0, 0, 0, 0, 0]), "groups must lie between -1 and 2, got 3"),
        (torch.tensor([0, 1, -2, 0, 0, 0, 0, 0]), "got -2"),
        (torch.zeros(8), "groups must be integer ids, got torch.float32"),
        (torch.zeros(7).long(), r"shape \(8,\), got \(7,\)"),
        (torch.zeros(8, 1).long(), r"got \(8, 1\)"),
        (torch.zeros(8, dtype=torch.long, device="meta"), "groups must be on the device of the logits, cpu"),
        ([0] * 7, r"shape \(8,\), got \(7,\)"),
        ([0, 1, 3, 0, 0, 0, 0, 0], "groups must lie between -1 and 2, got 3"),
        (["F"] * 8, "groups are names, which are not known here"),
        ("F", "groups must be a vector"),
    ],
    ids=str,
)
def test_bad_groups_are_named(make: Any, groups: Any, message: str) -> None:
    loss = make(3)
    before = {name: state.clone() for name, state in loss.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        loss(*batch(), groups)
    assert all(torch.equal(state, before[name]) for name, state in loss.state_dict().items())


@pytest.mark.parametrize("make", [GroupDROLoss, WorstGroupLoss, FairErrorBoundLoss])
def test_a_nan_is_an_error_with_the_groups_name_where_it_is_known(make: Any) -> None:
    logits, target = batch()
    broken = logits.detach().clone()
    broken[1] = math.nan  # of group 2
    with pytest.raises(ValueError, match="the loss of group young is nan"):
        make(["adult", "old", "young"])(broken, target, GROUPS)


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_a_nan_is_an_error_that_names_the_group(make: Any) -> None:
    logits, target = batch()
    broken = logits.detach().clone()
    broken[1] = math.nan  # of group 2
    with pytest.raises(ValueError, match="the loss of group 2 is nan"):
        make(3)(broken.requires_grad_(), target, GROUPS)
    assert make(3, check=False)(broken, target, GROUPS).isnan()
    broken = logits.detach().clone()
    broken[3] = math.nan  # unknown: left out of the value, and of the gradient
    broken.requires_grad_()
    value = make(3)(broken, target, GROUPS)
    assert value.isfinite()
    (gradient,) = torch.autograd.grad(value, broken)
    assert (gradient[3] == 0).all()
    healthy = make(3)(logits, target, GROUPS)
    torch.testing.assert_close(gradient, torch.autograd.grad(healthy, logits)[0])


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_an_empty_batch_is_one_of_no_group(make: Any) -> None:
    logits, target = (part.detach()[:0] for part in batch())
    logits.requires_grad_()
    value = make(3)(logits, target, GROUPS[:0])
    assert value == 0
    assert torch.autograd.grad(value, logits)[0].shape == logits.shape
    if make is not FairErrorBoundLoss:
        for base in (DiceCELoss(), DiceCELoss(pool="group")):
            assert make(3, base)(logits, target, GROUPS[:0]) == 0


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_autocast_reduces_in_float32(make: Any) -> None:
    logits, target = batch()
    layer = nn.Conv2d(3, 3, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = layer(logits)
        assert low.dtype == torch.bfloat16
        value = make(3)(low, target, GROUPS)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, make(3)(low.detach().float().requires_grad_(), target, GROUPS))
    assert make(3)(logits.double(), target, GROUPS).dtype == torch.float64


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("base", [None, "dice"])
def test_one_graph_under_compile_whatever_groups_are_there(make: Any, base: str | None) -> None:
    if base and make is FairErrorBoundLoss:
        pytest.skip("brings its own Dice")
    options = {"base": DiceCELoss(pool="group")} if base else {}
    logits, target = batch()
    torch._dynamo.reset()
    counter = CompileCounter()
    plain, loss = make(3, **options), make(3, **options)
    compiled = torch.compile(loss, fullgraph=True, backend=counter)
    for groups in (GROUPS, GROUPS.flip(0), torch.zeros(8).long(), torch.full((8,), -1), GROUPS.clamp(min=0)):
        value, expected = compiled(logits, target, groups), plain(logits, target, groups)
        torch.testing.assert_close(value, expected)
        for actual, theirs in zip(
            torch.autograd.grad(value, logits), torch.autograd.grad(expected, logits), strict=True
        ):
            torch.testing.assert_close(actual, theirs)
    assert counter.frame_count == 1
    torch.testing.assert_close(loss.group_weight, plain.group_weight)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
@pytest.mark.parametrize("base", [None, DiceCELoss(pool="group"), SoftDiceLoss(pool="group")], ids=type)
@pytest.mark.parametrize(
    "options", [{}, {"absent": "freeze"}, {"absent": "ema"}, {"group_weights": [1.0, 2.0, 4.0]}], ids=repr
)
def test_compiled_gradients_use_the_weights_of_their_own_step(base: Any, options: dict[str, Any]) -> None:
    """Inductor would compute the weights again in backward, from a buffer that has moved on."""
    torch._dynamo.reset()
    plain, loss = (GroupDROLoss(3, base, step_size=1.0, **options) for _ in range(2))
    compiled = torch.compile(loss, fullgraph=True)
    logits, target = batch()
    for _ in range(3):
        expected, value = plain(logits, target, GROUPS) ** 2, compiled(logits, target, GROUPS) ** 2
        torch.testing.assert_close(*(torch.autograd.grad(v, logits)[0] for v in (value, expected)))
        torch.testing.assert_close(loss.group_weight, plain.group_weight)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_nothing_waits_for_the_gpu_and_a_cuda_graph_can_be_captured(make: Any) -> None:
    logits, target = batch()
    logits, target, groups = logits.detach().cuda().requires_grad_(), target.cuda(), GROUPS.cuda()
    loss, plain = make(3).cuda(), make(3)
    loss(logits, target, groups).backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss(logits, target, groups).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        loss(logits, target, groups).backward()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        value = loss(logits, target, groups)
        value.backward()
    graph.replay()
    torch.cuda.synchronize()
    for _ in range(4):
        expected = plain(logits.detach().cpu().requires_grad_(), target.cpu(), groups.cpu())
    torch.testing.assert_close(value.cpu(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BalancedGroupLoss(0), "num_groups must be an integer of at least 1, got 0"),
        (lambda: BalancedGroupLoss(2.0), "num_groups"),  # type: ignore[arg-type]
        (lambda: BalancedGroupLoss(2, CrossEntropyLoss), "base must be a loss"),  # type: ignore[arg-type]
        (lambda: FairErrorBoundLoss(2, floor=0), "floor"),
        (lambda: ReweightedLoss([3, 1], eps=-1), "eps must be 0 or more"),
        (lambda: BalancedGroupLoss(2, 3), "base must be a loss"),  # type: ignore[arg-type]
        (lambda: BalancedGroupLoss(2, BalancedGroupLoss(2)), "got a group loss"),
        (lambda: BalancedGroupLoss(2, group_weights=[1.0]), "group_weights must have one entry a group, 2"),
        (lambda: ReweightedLoss([3, 0]), "group_counts must be positive, got 0 for group 1"),
        (lambda: ReweightedLoss([3, 1], normalize="max"), "normalize"),
        (lambda: CVaRGroupLoss(2, alpha=0), "alpha must lie above 0"),
        (lambda: CVaRGroupLoss(2, alpha=1.1), "alpha"),
        (lambda: CVaRGroupLoss(2, group_counts=[1]), "group_counts must have one entry a group"),
        (lambda: ChiSquareGroupLoss(2, radius=-0.1), "radius must be 0 or more"),
        (lambda: VRExLoss(2, penalty=-1), "penalty must be 0 or more"),
        (lambda: FairErrorBoundLoss(2, gamma=-1), "gamma"),
        (lambda: FairErrorBoundLoss(2, dice_weight=2), "dice_weight"),
        (lambda: ParetoMinimaxLoss(2, alpha=1.0), "alpha"),
        (lambda: ParetoMinimaxLoss(2, k_min=0), "k_min"),
    ],
)
def test_bad_options_are_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_of_another_shape_are_refused() -> None:
    class Short(GroupLoss):
        def weights(self, loss: Tensor, count: Tensor) -> Tensor:
            return loss[:1]

    with pytest.raises(ValueError, match=r"weights must return one weight a group, \(3,\), got \(1,\)"):
        Short(3)(*batch(), GROUPS)


class Squares(GroupLoss):
    def objective(self, loss: Tensor, count: Tensor) -> Tensor:
        return (loss**2).sum()


class Waits(GroupLoss):
    def weights(self, loss: Tensor, count: Tensor) -> Tensor:
        return (count > 0) / (count > 0).sum() if float(loss.sum()) > 0 else torch.zeros_like(loss)


class Poisoned(GroupLoss):
    def __init__(self, num_groups: int) -> None:
        super().__init__(num_groups)
        self.register_buffer("running", torch.zeros(num_groups))

    def objective(self, loss: Tensor, count: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():
            self.running.add_(loss.detach())  # type: ignore[operator]
        return loss.sum()


def test_the_check_finds_what_the_rules_forbid() -> None:
    check_group_loss(Squares)
    with pytest.raises(AssertionError, match="no single graph"):
        check_group_loss(Waits)
    with pytest.raises(AssertionError, match="a loss of NaN changes running"):
        check_group_loss(Poisoned)


def test_it_shows_its_options() -> None:
    shown = repr(GroupDROLoss(3, step_size=0.3))
    assert "num_groups=3" in shown
    assert "step_size=0.3" in shown


def test_without_weights_or_objective_there_is_no_loss() -> None:
    with pytest.raises(NotImplementedError, match="GroupLoss must define weights or objective"):
        GroupLoss(3)(*batch(), GROUPS)


def test_elsewhere_than_on_a_cpu_the_first_batch_is_looked_at() -> None:
    elsewhere = torch.empty(2, device="meta")
    loss = GroupDROLoss(3)
    assert loss._checks(elsewhere)
    loss(*batch(), GROUPS)
    assert not loss._checks(elsewhere)
    assert loss._checks(torch.empty(2))
    assert GroupDROLoss(3, check=True)._checks(elsewhere)
    assert not GroupDROLoss(3, check=False)._checks(elsewhere)


def test_class_weights_of_torch_are_told_and_ours_named(caplog: pytest.LogCaptureFixture) -> None:
    """Two samples whose weighted mean is the same, of which one has more of the class that weighs ten."""
    weight = torch.tensor([1.0, 10.0])
    logits = torch.zeros(2, 2, 4, 4)
    target = torch.zeros(2, 4, 4, dtype=torch.long)
    target[0, 0, 0], target[1] = 1, 1
    ids = torch.tensor([0, 1])
    with pytest.raises(
        NonAdditiveLossError, match=r"fairseg\.losses\.CrossEntropyLoss\(class_weight=\.\.\.\)"
    ):
        GroupDROLoss(2, nn.CrossEntropyLoss(weight))(logits, target, ids)
    torchs = nn.CrossEntropyLoss(weight, reduction="none")
    for _ in range(2):
        GroupDROLoss(2, torchs)(logits, target, ids)
    assert sum("divides by the weights" in record.message for record in caplog.records) <= 1
    loss = GroupDROLoss(2, CrossEntropyLoss(class_weight=weight))
    loss(logits, target, ids)
    assert loss.group_loss.tolist() == pytest.approx([math.log(2)] * 2)
