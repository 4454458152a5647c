"""Tests and limits of means against SciPy and statsmodels, on thousands of random samples."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from fairseg.metrics.grouped import Floats
from fairseg.statistics.means import welch_anova_p, welch_limits, welch_p

pytestmark = pytest.mark.filterwarnings("ignore:Precision loss")  # SciPy's, of a group of equal values


def samples(rng: np.random.Generator, number: int, decimals: int) -> list[Floats]:
    """Make up groups of 2 subjects and more that spread unequally; of few decimals, with ties."""
    spreads, sizes = 10 ** rng.uniform(-1, 1, number), rng.integers(2, 40, number)
    return [
        rng.normal(rng.normal(), spread, size).round(decimals)
        for spread, size in zip(spreads, sizes, strict=True)
    ]


@pytest.mark.parametrize("decimals", [0, 2, 9])
def test_welchs_p_is_scipys(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    for _ in range(500):
        first, second = samples(rng, 2, decimals)
        if np.ptp(first) or np.ptp(second):
            p = stats.ttest_ind(first, second, equal_var=False).pvalue
            assert welch_p(first, second) == pytest.approx(p, rel=1e-12)


@pytest.mark.parametrize("trimmed", [0.0, 0.2])
@pytest.mark.parametrize("decimals", [0, 2, 9])
def test_limits_are_those_of_welch_and_yuen_in_scipy(decimals: int, trimmed: float) -> None:
    rng = np.random.default_rng(decimals)
    for _ in range(300):
        first, second = samples(rng, 2, decimals)
        level = rng.uniform(0.5, 0.999)
        found = welch_limits(first, second, level, trimmed)
        assert found.estimate == pytest.approx(
            stats.trim_mean(first, trimmed) - stats.trim_mean(second, trimmed), abs=1e-12
        )
        if np.ptp(first) or np.ptp(second):
            known = stats.ttest_ind(first, second, equal_var=False, trim=trimmed).confidence_interval(level)
            assert found[1:] == pytest.approx((known.low, known.high), rel=1e-12, abs=1e-12)
        else:
            assert found.low == found.estimate == found.high


def test_means_of_equal_values_do_not_differ() -> None:
    assert np.full(60, 0.9).mean() != np.full(20, 0.9).mean()  # in the last bits
    for trimmed in (0.0, 0.2):
        assert welch_limits(np.full(60, 0.9), np.full(20, 0.9), trimmed=trimmed) == (0.0, 0.0, 0.0)


def test_welchs_anova_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        groups = samples(rng, int(rng.integers(2, 6)), 9)
        p = anova_oneway(groups, use_var="unequal").pvalue
        assert welch_anova_p(groups) == pytest.approx(p, rel=1e-12)
