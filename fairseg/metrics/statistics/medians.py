"""Medians of bootstrap resamples without resampling: drawn as order statistics."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def resampled_medians(
    values: Sequence[float] | npt.NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the medians of resamples with replacement, float64 (resamples,).

    A resample picks the values of ranks ceil(n U), for n independent uniform U. Its k-th smallest value is
    that of rank ceil(n U_(k)), because the ceiling keeps the order, and the k-th smallest of n uniforms is
    U_(k) ~ Beta(k, n - k + 1). So the median of an odd n = 2m + 1 needs one draw, k = m + 1. An even n = 2m
    needs the two in the middle together: U_(m+1) ~ Beta(m + 1, m), and given it U_(m) is the largest of m
    uniforms below it, U_(m+1) V^(1/m) with a uniform V. One or two draws a resample instead of n, with the
    same distribution.

    Args:
        values: finite, (n,), at least one.
        resamples: how many.
        rng: generator of the draws.

    >>> drawn = resampled_medians([0.9, 0.8, 0.7], 27_000, np.random.default_rng(0))
    >>> (drawn == 0.7).mean().round(2)  # two or three of the three: (3 * 2 + 1) / 27
    np.float64(0.26)
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    size, half = ordered.size, ordered.size // 2
    if size == 0:
        raise ValueError("values must hold at least one number, got none")
    upper = rng.beta(half + 1, size - half, resamples)
    if size % 2:
        return ordered[_place(upper, size)]
    lower = upper * (1.0 - rng.random(resamples)) ** (1.0 / half)  # 1 - [0, 1): never 0
    return (ordered[_place(lower, size)] + ordered[_place(upper, size)]) / 2.0


def _place(uniform: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.int64]:
    """Return the index of rank ceil(n U)."""
    return np.maximum(np.ceil(uniform * size).astype(np.int64) - 1, 0)
