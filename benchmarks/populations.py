"""Made-up scores whose medians are known, for `simulations.py`: normal, skewed, tied, often perfect."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

Floats = np.ndarray[Any, np.dtype[np.float64]]
Draw = Callable[[np.random.Generator, int], Floats]

_POOR = stats.gamma(2.0, scale=0.04)  # errors with a long tail
_PERFECT = 0.3


def _normal(rng: np.random.Generator, size: int) -> Floats:
    return rng.normal(0.9, 0.03, size)


def _skewed(rng: np.random.Generator, size: int) -> Floats:
    return 1.0 - rng.gamma(2.0, 0.04, size)


def _often_perfect(rng: np.random.Generator, size: int) -> Floats:
    return np.where(rng.random(size) < _PERFECT, 1.0, _skewed(rng, size))


def _rounded(step: float) -> Draw:
    return lambda rng, size: np.round(_normal(rng, size) / step) * step


SCORES: dict[str, Draw] = {
    "normal": _normal,
    "skewed": _skewed,
    "tied 0.01": _rounded(0.01),
    "tied 0.02": _rounded(0.02),
    "30% at 1": _often_perfect,
}
MEDIANS = {
    "normal": 0.9,
    "skewed": 1.0 - float(_POOR.median()),
    "tied 0.01": 0.9,
    "tied 0.02": 0.9,
    "30% at 1": 1.0 - float(_POOR.ppf(1.0 - 0.5 / (1.0 - _PERFECT))),
}


def draw(
    kind: str, rng: np.random.Generator, size: int, *, lower: float = 0.0, spread: float = 1.0
) -> Floats:
    """Draw scores whose median lies lower by a number and whose spread is a multiple.

    Tied scores stay as tied as they are. Perfect ones stay perfect: there, only the others are moved.
    """
    scores = SCORES[kind](rng, size)
    moved = (MEDIANS[kind] + spread * (scores - MEDIANS[kind]) - lower).round(9)
    return np.where(scores == 1.0, 1.0, moved) if kind == "30% at 1" else moved


@cache
def spread_of_quartiles(kind: str) -> float:
    """Return the inter-quartile range of a population."""
    return float(stats.iqr(SCORES[kind](np.random.default_rng(0), 500_000)))


@cache
def delta(kind: str, gap: float) -> float:
    """Return Cliff's delta of a population and the same moved down by a gap."""
    rng = np.random.default_rng(0)
    one, two = draw(kind, rng, 300_000), np.sort(draw(kind, rng, 300_000, lower=gap))
    below, up_to = np.searchsorted(two, one, "left").mean(), np.searchsorted(two, one, "right").mean()
    return float(below + up_to) / two.size - 1.0
