"""Does a characteristic differ between groups, and by how much? One rule for counts and one for means.

Tests return the p-value and the name of the test that made it, or NaN and "" where there is nothing to test.
"""

from collections.abc import Sequence
from itertools import combinations, starmap
from math import inf, nan, sqrt

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.statistics.means import welch_anova_p, welch_p
from fairseg.statistics.two_samples import fisher_exact

WELCH_T = "Welch's t-test"
WELCH_ANOVA = "Welch's ANOVA"
CHI_SQUARED = "chi-squared test"
FISHER = "Fisher's exact test"
MONTE_CARLO = "Monte Carlo exact test"

_FEWEST_EXPECTED = 5  # below which the chi-squared distribution is no good approximation
_TABLES = 20_000
_CHUNK = 1_000  # tables in memory at once
_SEED = 0
_ROUNDING = 1e-12  # of a mean: what spreads by less is one value


def count_test(counts: npt.ArrayLike) -> tuple[float, str]:
    """Test whether the rows of a table of counts are spread alike over its columns.

    Pearson's chi-squared test, without a correction for continuity. Where any count expected under
    independence is below 5, Fisher's exact test of a 2 x 2 table; of a larger one the Fisher-Freeman-Halton
    test by Monte Carlo: of 20,000 tables drawn with the margins fixed, b are at most as probable as the one
    observed, and p = (b + 1) / 20,001. The seed is fixed, so that the same counts have the same p.

    Args:
        counts: whole numbers >= 0, (R, C); columns are groups. Rows and columns of zeros are left out.

    Returns:
        The two-sided p-value and the name of the test; NaN and "" with fewer than two rows or columns.

    Raises:
        ValueError: `counts` is no table of whole numbers >= 0.

    >>> p, test = count_test([[3, 1], [1, 3]])
    >>> round(p, 4), test  # (1 + 16 + 16 + 1) / 70
    (0.4857, "Fisher's exact test")
    """
    table = np.asarray(counts)
    if table.ndim != 2 or table.dtype.kind not in "iu" or (table < 0).any():
        raise ValueError(
            f"counts must be a table (R, C) of whole numbers >= 0, got {table.dtype} of shape {table.shape}"
        )
    table = table[table.any(axis=1)][:, table.any(axis=0)].astype(np.int64)
    if min(table.shape) < 2:
        return float("nan"), ""
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    if expected.min() >= _FEWEST_EXPECTED:
        freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
        statistic = ((table - expected) ** 2 / expected).sum()
        return float(scipy.special.chdtrc(freedom, statistic)), CHI_SQUARED
    if table.shape == (2, 2):
        (one, two), (total_one, total_two) = table[0].tolist(), table.sum(axis=0).tolist()
        return fisher_exact(one, total_one, two, total_two), FISHER
    return _monte_carlo(table), MONTE_CARLO


def _monte_carlo(table: npt.NDArray[np.int64]) -> float:
    # With its margins fixed, a table's probability is a constant over the product of its counts' factorials.
    rarity = scipy.special.gammaln(np.arange(table.sum() + 1) + 1.0)
    rng = np.random.default_rng(_SEED)
    observed = rarity[table].sum()
    limit = observed - 1e-9 * max(1.0, observed)  # equally probable tables differ by rounding
    extreme = 0
    for _ in range(_TABLES // _CHUNK):
        tables = random_tables(table.sum(axis=1), table.sum(axis=0), _CHUNK, rng)
        extreme += int((rarity[tables].sum(axis=(1, 2)) >= limit).sum())
    return (extreme + 1) / (_TABLES + 1)


def random_tables(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], number: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw tables with fixed margins, as if their columns were dealt out to the rows by chance.

    Each count is hypergeometric once those before it are known. `scipy.stats.random_table` does the same, and
    takes a quarter of a second to import.

    Args:
        rows: sum of each row, int64 (R,).
        columns: sum of each column, int64 (C,), with the same total.
        number: of tables.
        rng: of the draws.

    Returns:
        The tables, int64 (number, R, C).
    """
    tables = np.empty((number, len(rows), len(columns)), dtype=np.int64)
    in_column = np.tile(columns, (number, 1))  # what the rows below still have to share
    for i, total in enumerate(rows[:-1]):
        in_row, to_the_right = np.full(number, total), in_column.sum(axis=1)
        for j in range(len(columns) - 1):
            to_the_right = to_the_right - in_column[:, j]
            tables[:, i, j] = rng.hypergeometric(in_column[:, j], to_the_right, in_row)
            in_row = in_row - tables[:, i, j]
        tables[:, i, -1] = in_row
        in_column = in_column - tables[:, i]
    tables[:, -1] = in_column
    return tables


def mean_test(samples: Sequence[npt.NDArray[np.float64]], *, rounding: float = 0.0) -> tuple[float, str]:
    """Test whether groups have the same mean, without assuming that they have the same spread.

    Two groups: Welch's t-test. More: Welch's ANOVA.

    Args:
        samples: the values of each group, without NaN. Groups of fewer than 2 values take no part: they have
            no spread.
        rounding: values that are no further apart than this have no spread either.

    Returns:
        The two-sided p-value and the name of the test; NaN and "" with fewer than two groups to compare or
        without the spread that the test needs: of one of two groups, or of each of several.

    >>> p, test = mean_test([np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0])])
    >>> round(p, 4), test
    (0.0705, "Welch's t-test")
    """
    tested = [np.asarray(values, dtype=np.float64) for values in samples if len(values) > 1]
    spread = [bool(np.ptp(values) > rounding) for values in tested]
    if len(tested) == 2 and any(spread):
        return welch_p(*tested), WELCH_T
    if len(tested) > 2 and all(spread):
        return welch_anova_p(tested), WELCH_ANOVA
    return float("nan"), ""


def standardised_difference(figures: Sequence[npt.NDArray[np.float64]], *, means: bool) -> float:
    """Return the largest standardised difference of an attribute between any two groups (Yang, Dalton 2012).

    The difference of two means over the root of the mean of both variances; of levels the Mahalanobis
    distance of their shares. Above 0.1 groups are commonly called unlike.

    Args:
        figures: of each group: its mean and standard deviation, or its share of each level.
        means: which of the two.

    Returns:
        0 or more; infinite where two groups have no level in common, or means that differ without any
        spread; NaN where no two groups have values enough.
    """
    between = _between_means if means else _between_shares
    known = [one for one in figures if not np.isnan(one).any()]
    return max(starmap(between, combinations(known, 2)), default=nan)


def _between_means(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    (mean, one), (mean_second, other) = first, second
    away, spread = abs(mean - mean_second), sqrt((one**2 + other**2) / 2)
    if spread > (rounding := _ROUNDING * max(abs(mean), abs(mean_second))):
        return float(away / spread)
    return inf if away > rounding else 0.0


def _between_shares(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    if not ((first > 0) & (second > 0)).any():
        return inf
    covariance = sum(np.diag(part) - np.outer(part, part) for part in (first, second)) / 2
    away = first - second
    # Shares add up to 1, so that the covariance has no inverse; the difference lies where it has one.
    inverse = np.linalg.pinv(covariance, rcond=1e-9, hermitian=True)
    return sqrt(max(0.0, float(away @ inverse @ away)))
