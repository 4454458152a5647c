"""Brent's method against SciPy's, step by step, and the search among positions against trying them all."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq

from fairseg.statistics.roots import brent, first_positions

KINDS: dict[str, Callable[[float], float]] = {
    "smooth": lambda x: x,
    "steep": lambda x: float(np.tanh(20 * x)),
    "steps": lambda x: float(np.floor(8 * x) + 0.5),
    "steps with zeros": lambda x: round(x, 1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_brents_method_takes_scipys_steps(kind: str) -> None:
    rng = np.random.default_rng(0)
    searched = 0
    for number in range(1500):
        cubic = rng.normal(size=4)
        ends = float(rng.uniform(-3, 0)), float(rng.uniform(0, 3))
        start, end = ends[::-1] if number % 2 else ends
        tolerance = 10.0 ** -rng.integers(3, 12)
        steps: tuple[list[float], list[float]] = [], []

        def function(x: float, tried: list[float], cubic: np.ndarray = cubic) -> float:
            tried.append(x)
            return KINDS[kind](float(np.polyval(cubic, x)))

        if function(start, []) * function(end, []) >= 0:
            continue
        searched += 1
        known = brentq(function, start, end, args=(steps[0],), xtol=tolerance)
        assert brent(lambda x, tried=steps[1]: function(x, tried), start, end, tolerance) == known
        assert steps[0] == steps[1]
    assert searched > 300


def test_without_a_change_of_sign_there_is_no_root() -> None:
    with pytest.raises(ValueError, match="function must change its sign, got 1 at 0 and 2 at 1"):
        brent(lambda x: x + 1, 0.0, 1.0, 1e-9)
    assert brent(lambda x: x, 0.0, 1.0, 1e-9) == 0.0


def test_first_positions_are_those_of_trying_all() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        low = rng.integers(0, 50, 3)
        high = low + rng.integers(0, 1000, 3)
        change = rng.integers(0, 1100, (3, 1))
        found = first_positions(lambda position, change=change: position >= change, low, high)
        expected = [
            next((n for n in range(start, stop) if n >= limit), stop)
            for start, stop, limit in zip(low, high, change[:, 0], strict=True)
        ]
        assert found.tolist() == expected
