"""The objectives by hand, against brute force, and as the solutions of the problems that they stand for."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize
from torch import Tensor, nn

from fairseg.losses import (
    BalancedGroupLoss,
    ChiSquareGroupLoss,
    CVaRGroupLoss,
    GroupLoss,
    ParetoMinimaxLoss,
    ReweightedLoss,
    VRExLoss,
    WorstGroupLoss,
)


class Given(nn.Module):
    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return logits


def value_of(loss: GroupLoss, group_losses: list[float], absent: tuple[int, ...] = ()) -> float:
    """Return the loss of a batch with one sample of each group, but for those absent."""
    there = [group for group in range(len(group_losses)) if group not in absent]
    values = torch.tensor([group_losses[group] for group in there], dtype=torch.float64)
    return loss(values, torch.zeros(0), torch.tensor(there)).item()


def test_by_hand() -> None:
    losses, groups = torch.tensor([1.0, 3.0, 10.0, 99.0]), torch.tensor([0, 0, 1, -1])

    def of(loss: GroupLoss) -> float:
        return loss(losses, torch.zeros(0), groups).item()

    assert of(BalancedGroupLoss(3, Given())) == pytest.approx(6.0)
    assert of(WorstGroupLoss(3, Given())) == pytest.approx(10.0)
    # w = (1/4, 3/4): (1/4 * 1 + 1/4 * 3 + 3/4 * 10) / 3 samples
    assert of(ReweightedLoss([300, 100], Given())) == pytest.approx(8.5 / 3)
    assert of(ReweightedLoss([300, 100], Given(), normalize="mean")) == pytest.approx(17 / 3)
    # w = (2/3, 2), as 300 * 2/3 + 100 * 2 = 400: (2/3 * 1 + 2/3 * 3 + 2 * 10) / 3 samples
    assert of(ReweightedLoss([300, 100], Given(), normalize="samples")) == pytest.approx(68 / 9)
    # mean 6, variance 16
    assert of(VRExLoss(3, Given(), penalty=0.5)) == pytest.approx(14.0)


def test_reweighting_uses_the_cohorts_counts_never_the_batchs() -> None:
    loss = ReweightedLoss([300, 100], Given(), normalize="mean")
    minority_only = loss(torch.tensor([2.0, 2.0]), torch.zeros(0), torch.tensor([1, 1]))
    assert minority_only.item() == pytest.approx(3.0)


def cvar_by_linear_programme(losses: np.ndarray, share: np.ndarray, alpha: float) -> float:  # type: ignore[type-arg]
    answer = linprog(
        -losses, A_eq=np.ones((1, losses.size)), b_eq=[1.0], bounds=[(0, p / alpha) for p in share]
    )
    assert answer.success
    return float(-answer.fun)


@pytest.mark.parametrize("seed", range(40))
def test_cvar_is_the_optimum_of_its_linear_programme(seed: int) -> None:
    rng = np.random.default_rng(seed)
    number = int(rng.integers(1, 8))
    losses = rng.choice([rng.exponential(size=number), rng.integers(0, 3, size=number).astype(float)])
    counts, alpha = rng.integers(1, 50, size=number), float(rng.uniform(0.02, 1.0))
    for given, share in ((None, np.full(number, 1 / number)), (counts.tolist(), counts / counts.sum())):
        loss = CVaRGroupLoss(number, Given(), alpha=alpha, group_counts=given)
        expected = cvar_by_linear_programme(losses, share, alpha)
        assert value_of(loss, losses.tolist()) == pytest.approx(expected, abs=1e-9)
        assert loss.group_weight.sum().item() == pytest.approx(1.0)
        assert (loss.group_weight <= torch.tensor(share) / alpha + 1e-12).all()


def test_cvar_between_mean_and_maximum() -> None:
    losses = [1.0, 2.0, 6.0]
    assert value_of(CVaRGroupLoss(3, Given(), alpha=1.0), losses) == pytest.approx(3.0)
    assert value_of(CVaRGroupLoss(3, Given(), alpha=1 / 3), losses) == pytest.approx(6.0)
    assert value_of(CVaRGroupLoss(3, Given(), alpha=0.5), losses) == pytest.approx((6 + 6 + 2) / 3)
    assert value_of(CVaRGroupLoss(3, Given(), alpha=1.0), losses, absent=(1,)) == pytest.approx(3.5)


def chi_square_by_solver(losses: np.ndarray, share: np.ndarray, radius: float) -> float:  # type: ignore[type-arg]
    """Maximise by SLSQP from several starts: the mean, and near each vertex."""
    best = -math.inf
    for start in (share, *(0.9 * share + 0.1 * np.eye(losses.size))):
        answer = minimize(
            lambda q: -q @ losses,
            start,
            jac=lambda q: -losses,
            bounds=[(0, 1)] * losses.size,
            constraints=[
                {"type": "eq", "fun": lambda q: q.sum() - 1},
                {"type": "ineq", "fun": lambda q: radius - ((q - share) ** 2 / share).sum()},
            ],
            options={"maxiter": 500, "ftol": 1e-12},
        )
        q = answer.x
        if abs(q.sum() - 1) < 1e-6 and ((q - share) ** 2 / share).sum() < radius + 1e-6 and q.min() > -1e-9:
            best = max(best, float(q @ losses))
    return best


@pytest.mark.parametrize("seed", range(40))
def test_chi_square_is_the_optimum_of_its_problem(seed: int) -> None:
    rng = np.random.default_rng(seed)
    number = int(rng.integers(2, 7))
    losses = rng.choice([rng.exponential(size=number), rng.integers(0, 3, size=number).astype(float)])
    radius = float(rng.choice([0.01, 0.1, 0.5, 1.0, 3.0, 20.0]))
    counts = rng.integers(1, 20, size=number)
    for given, share in ((None, np.full(number, 1 / number)), (counts.tolist(), counts / counts.sum())):
        loss = ChiSquareGroupLoss(number, Given(), radius=radius, group_counts=given)
        result = value_of(loss, losses.tolist())
        assert result == pytest.approx(chi_square_by_solver(losses, share, radius), abs=2e-5)
        weight = loss.group_weight.numpy()
        assert weight.sum() == pytest.approx(1.0)
        assert weight.min() >= 0
        assert ((weight - share) ** 2 / share).sum() <= radius + 1e-6


def test_chi_square_between_mean_and_maximum() -> None:
    losses = [1.0, 2.0, 6.0]
    assert value_of(ChiSquareGroupLoss(3, Given(), radius=0.0), losses) == pytest.approx(3.0)
    assert value_of(ChiSquareGroupLoss(3, Given(), radius=2.0), losses) == pytest.approx(6.0)
    # While all weights are positive: mean + sqrt(radius * variance), and the variance is 14/3.
    small = value_of(ChiSquareGroupLoss(3, Given(), radius=0.1), losses)
    assert small == pytest.approx(3 + math.sqrt(0.1 * 14 / 3))
    for even in ([2.0, 2.0, 2.0], [0.0, 0.0, 0.0]):
        assert value_of(ChiSquareGroupLoss(3, Given(), radius=0.7), even) == pytest.approx(even[0])
    tiny = [1e-9, 2e-9, 6e-9]
    assert value_of(ChiSquareGroupLoss(3, Given(), radius=2.0), tiny) == pytest.approx(6e-9)


@pytest.mark.parametrize("kind", ["cvar", "chi-square", "worst"])
def test_descent_finds_the_optimum_of_a_convex_problem(kind: str) -> None:
    """Three quadratics of one parameter; the robust optimum is found by SciPy from the objective itself."""
    centre, scale = np.array([0.0, 1.0, 4.0]), np.array([1.0, 2.0, 0.5])
    third = np.full(3, 1 / 3)

    def objective(x: float) -> float:
        losses = scale * (x - centre) ** 2
        if kind == "cvar":
            return cvar_by_linear_programme(losses, third, 0.6)
        return chi_square_by_solver(losses, third, 0.8) if kind == "chi-square" else float(losses.max())

    grid = np.linspace(0.0, 4.0, 401)
    best = grid[int(np.argmin([objective(x) for x in grid]))]
    loss = {
        "cvar": CVaRGroupLoss(3, Given(), alpha=0.6),
        "chi-square": ChiSquareGroupLoss(3, Given(), radius=0.8),
        "worst": WorstGroupLoss(3, Given()),
    }[kind]
    x = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    for step in range(4000):
        losses = torch.tensor(scale) * (x - torch.tensor(centre)) ** 2
        (gradient,) = torch.autograd.grad(loss(losses, torch.zeros(0), torch.arange(3)), x)
        x = (x - 0.5 / (10 + step) * gradient).detach().requires_grad_()
    assert x.item() == pytest.approx(best, abs=0.012)  # the grid's step


def apstar(risks: list[list[float]], alpha: float, k_min: int) -> list[list[float]]:
    """Martinez et al. 2020, Algorithm 1, in plain Python."""
    mu, best, k, out = [1 / len(risks[0])] * len(risks[0]), math.inf, 1, []
    for risk in risks:
        if max(risk) < best:
            best, k = max(risk), min(k, k_min)
        else:
            k += 1
        behind = [float(r >= best) for r in risk]
        mu = [(1 - alpha) * m + alpha / k * b / sum(behind) for m, b in zip(mu, behind, strict=True)]
        mu = [m / sum(mu) for m in mu]
        out.append(mu)
    return out


def test_pareto_is_algorithm_1_of_martinez() -> None:
    rng = np.random.default_rng(0)
    risks = rng.exponential(size=(60, 4)) * np.linspace(2.0, 1.0, 60)[:, None]
    loss = ParetoMinimaxLoss(4, Given(), alpha=0.5, k_min=3)
    best = math.inf
    for risk, weight in zip(risks.tolist(), apstar(risks.tolist(), 0.5, 3), strict=True):
        assert loss.update(risk) == (max(risk) < best)
        best = min(best, max(risk))
        assert loss.group_weight.tolist() == pytest.approx(weight, rel=1e-12)
    copy = ParetoMinimaxLoss(4, Given(), alpha=0.5, k_min=3)
    copy.load_state_dict(loss.state_dict())
    assert copy.update([9.0] * 4) == loss.update([9.0] * 4)
    assert torch.equal(copy.group_weight, loss.group_weight)


def test_pareto_rounds_approach_the_minimax_point() -> None:
    """Train to the optimum of the weighted sum, measure, update: (x - 0)^2 + 1 against 2 (x - 3)^2."""
    loss = ParetoMinimaxLoss(2, Given())
    best = 6 - math.sqrt(19)
    kept = math.inf
    for _ in range(300):
        a, b = loss.group_weight.tolist()
        x = 6 * b / (a + 2 * b)  # where a * 2x + b * 4 (x - 3) = 0
        if loss.update([x**2 + 1, 2 * (x - 3) ** 2]):
            kept = x
    assert kept == pytest.approx(best, abs=0.02)


def test_pareto_weighs_losses_and_forward_passes_leave_the_weights() -> None:
    loss = ParetoMinimaxLoss(3, Given())
    loss.update([1.0, 2.0, 4.0])
    weight = loss.group_weight.clone()
    losses = [5.0, 6.0, 7.0]
    assert value_of(loss, losses) == pytest.approx((weight * torch.tensor(losses)).sum().item())
    assert value_of(loss, losses, absent=(1,)) == pytest.approx((weight[0] * 5 + weight[2] * 7).item())
    assert torch.equal(loss.group_weight, weight)


@pytest.mark.parametrize(
    ("risks", "message"),
    [
        ([1.0, math.nan], "the risk of group 1 is nan"),
        ([math.inf, 1.0], "group 0"),
        ([1.0], "one entry a group, 2"),
    ],
)
def test_bad_risks_are_named_and_change_nothing(risks: list[float], message: str) -> None:
    loss = ParetoMinimaxLoss(2)
    loss.update([1.0, 2.0])
    before = {name: state.clone() for name, state in loss.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        loss.update(risks)
    with pytest.raises(ValueError, match="the risk of group M is inf"):
        ParetoMinimaxLoss(["F", "M"]).update([1.0, math.inf])
    assert all(torch.equal(state, before[name]) for name, state in loss.state_dict().items())
