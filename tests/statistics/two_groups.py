"""Scores of two groups in the shapes that tests and limits of shifts are tried on."""

from collections.abc import Sequence

import numpy as np

from fairseg.metrics.fairness import Floats

SHAPES = ["plain", "two decimals", "ceiling", "spread"]


def samples(rng: np.random.Generator, shape: str, sizes: Sequence[int]) -> tuple[Floats, Floats]:
    first, second = (rng.beta(20, 2, size) for size in sizes)
    if shape == "two decimals":
        return first.round(2), (second - 0.01).round(2)
    if shape == "ceiling":
        return np.minimum(first * 1.08, 1.0), np.minimum(second * 1.06, 1.0)
    if shape == "spread":
        return 0.8 + (first - 0.8) * 3, second
    return first, second * 0.98
