"""Medians of resamples against resampling itself, and against all resamples counted out."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from fairseg.metrics.statistics.medians import resampled_medians


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_the_distribution_is_that_of_all_resamples(size: int) -> None:
    values = np.array([0.0, 1.0, 3.0, 7.0, 15.0])[:size]  # every mean of two differs
    every = np.array([np.median(resample) for resample in product(values, repeat=size)])
    levels, counts = np.unique(every, return_counts=True)
    drawn = resampled_medians(values[::-1], 200_000, np.random.default_rng(size))
    assert set(drawn) <= set(levels)
    found = np.array([(drawn == level).sum() for level in levels])
    if size > 1:
        assert stats.chisquare(found, counts / counts.sum() * drawn.size).pvalue > 1e-3


@pytest.mark.parametrize("size", [20, 37, 100])
def test_the_distribution_is_that_of_brute_force_resampling(size: int) -> None:
    values = np.random.default_rng(size).gamma(2.0, size=size)
    rng = np.random.default_rng(1)
    brute = np.median(values[rng.integers(0, size, (20_000, size))], axis=1)
    drawn = resampled_medians(values, 20_000, rng)
    assert stats.ks_2samp(brute, drawn).pvalue > 1e-3
    np.testing.assert_allclose(
        np.percentile(drawn, [2.5, 50, 97.5]), np.percentile(brute, [2.5, 50, 97.5]), atol=0.05 * values.std()
    )


def test_a_seed_gives_the_same_draws_and_the_order_of_values_does_not_matter() -> None:
    values = np.arange(12.0)
    first = resampled_medians(values, 50, np.random.default_rng(3))
    np.testing.assert_array_equal(first, resampled_medians(values[::-1], 50, np.random.default_rng(3)))
    with pytest.raises(ValueError, match="values must hold at least one number"):
        resampled_medians([], 5, np.random.default_rng(0))
