"""Means of groups that may spread unequally: Welch's tests, and limits of a difference, trimmed or not."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.grouped import Floats
from fairseg.statistics.limits import Interval
from fairseg.statistics.two_samples import DECIMALS, check_level, ordered_values


class _Difference(NamedTuple):
    """A difference of two means, its standard error, and Satterthwaite's degrees of freedom."""

    estimate: float
    se: float
    df: float

    @classmethod
    def of(cls, means: Sequence[float], variances: Sequence[float], sizes: Sequence[int]) -> "_Difference":
        parts = [float(variance) / size for variance, size in zip(variances, sizes, strict=True)]
        weight = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
        df = sum(parts) ** 2 / weight if weight else 1.0
        return cls(float(means[0] - means[1]), sqrt(sum(parts)), df)


def welch_p(first: Floats, second: Floats) -> float:
    """Return the two-sided p-value of Welch's t-test, of at least 2 values each, some of them unequal."""
    parts = first, second
    difference = _Difference.of(
        [part.mean() for part in parts],
        [part.std(ddof=1) ** 2 for part in parts],
        [part.size for part in parts],
    )
    return float(2 * scipy.special.stdtr(difference.df, -abs(difference.estimate) / difference.se))


def welch_anova_p(samples: Sequence[Floats]) -> float:
    """Return the p-value of Welch's (1951) ANOVA, of at least 2 values each, of which some are unequal."""
    means, variances = (np.array([part.mean() for part in samples]), [part.var(ddof=1) for part in samples])
    sizes, number = np.array([part.size for part in samples]), len(samples)
    weights = sizes / np.array(variances)
    shares = weights / weights.sum()
    statistic = weights @ (means - shares @ means) ** 2 / (number - 1)
    loss = float(((1 - shares) ** 2 / (sizes - 1)).sum()) / (number**2 - 1)
    return float(scipy.special.fdtrc(number - 1, 1 / (3 * loss), statistic / (1 + 2 * (number - 2) * loss)))


def welch_limits(
    first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95, trimmed: float = 0.0
) -> Interval:
    """Return the difference of two means, first - second, with Welch's limits, or Yuen's of trimmed means.

    Args:
        first: one value a subject, (N,), at least 2; NaN is left out.
        second: the same for the other group.
        level: of the limits, two-sided.
        trimmed: share of the values that is left out at each end.

    Raises:
        ValueError: a group has fewer than 2 values, or level is not between 0 and 1.

    >>> [round(value, 3) for value in welch_limits([0.95, 0.93, 0.91, 0.90], [0.92, 0.89, 0.88, 0.87])]
    [0.033, -0.005, 0.07]
    """
    check_level(level)
    parts = ordered_values("first", first), ordered_values("second", second)
    cuts = [int(trimmed * part.size) for part in parts]
    trims = [part[cut : part.size - cut] for part, cut in zip(parts, cuts, strict=True)]
    # Of values with the trimmed ones moved to the outermost that is left (Yuen 1974).
    variances = [
        float(np.clip(part, trim[0], trim[-1]).var(ddof=1)) * (part.size - 1) / (trim.size - 1)
        for part, trim in zip(parts, trims, strict=True)
    ]
    estimate, se, df = _Difference.of(
        [trim.mean() for trim in trims], variances, [trim.size for trim in trims]
    )
    half = -float(scipy.special.stdtrit(df, (1 - level) / 2)) * se
    # Means of equal values differ in the last bits, which must show nothing.
    return Interval(
        *(round(value, DECIMALS + 2) + 0.0 for value in (estimate, estimate - half, estimate + half))
    )
