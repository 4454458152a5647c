"""Estimates for small groups that borrow strength from the others: the normal-normal hierarchical model.

The means of groups are taken to vary around a common centre as much as the data say (Gelman et al., Bayesian
Data Analysis, 3rd edition, section 5.4: flat priors of the centre and of the spread). A group of few subjects
is drawn to the centre, so that the extreme of many small groups is less often mere chance. The integral over
the spread is taken on a grid; given the spread all is exact.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats

_STEPS = 2000  # of the spread


class Shrunken(NamedTuple):
    """Estimates of the groups' means, drawn together.

    Attributes:
        estimate: posterior means, (G,); NaN for a group without a mean.
        low: limits, (G,).
        high: the same.
        centre: posterior mean of the common centre.
        spread: posterior mean of the groups' standard deviation around it.
    """

    estimate: Floats
    low: Floats
    high: Floats
    centre: float
    spread: float


def shrink(means: npt.ArrayLike, standard_errors: npt.ArrayLike, level: float = 0.95) -> Shrunken:
    """Shrink the means of groups towards their common centre.

    Args:
        means: of the groups, (G,); NaN for a group without subjects. At least 3 must be known, since fewer
            say nothing of how groups vary.
        standard_errors: of the means, above 0, (G,).
        level: of the limits, which are those of the posterior distribution.

    Raises:
        ValueError: fewer than 3 means are known, or a standard error is not above 0.

    >>> shrunken = shrink([0.90, 0.88, 0.60], [0.01, 0.01, 0.20])  # the third of a handful of subjects
    >>> shrunken.estimate.round(2).tolist()
    [0.9, 0.88, 0.78]
    """
    y, error = np.asarray(means, dtype=np.float64), np.asarray(standard_errors, dtype=np.float64)
    known = np.isfinite(y)
    if y.ndim != 1 or y.shape != error.shape or known.sum() < 3:
        raise ValueError(f"means must be of at least 3 groups, with a standard error each, got {y.tolist()}")
    if not (error[known] > 0).all() or not np.isfinite(error[known]).all():
        raise ValueError(f"standard_errors must be above 0, got {error[known].tolist()}")
    mean, variance = y[known], error[known] ** 2
    spread, chance = _spreads(mean, variance)
    weight = 1 / (variance + spread[:, None] ** 2)
    centre, centre_variance = (weight @ mean) / weight.sum(1), 1 / weight.sum(1)
    pull = variance * weight  # towards the centre, of each spread and group
    estimate = pull * centre[:, None] + (1 - pull) * mean
    own_variance = (1 - pull) * variance + pull**2 * centre_variance[:, None]
    low, high = (
        _quantiles(estimate, own_variance, chance, tail) for tail in ((1 - level) / 2, (1 + level) / 2)
    )
    full = np.full((3, y.size), np.nan)
    full[:, known] = chance @ estimate, low, high
    return Shrunken(full[0], full[1], full[2], float(chance @ centre), float(chance @ spread))


def _spreads(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Return spreads on a grid and their posterior probabilities (BDA3, equation 5.21)."""
    widest = 5 * float(np.ptp(mean)) + 5 * float(np.sqrt(variance.max()))
    spread = np.linspace(0.0, widest, _STEPS)
    weight = 1 / (variance + spread[:, None] ** 2)
    centre = (weight @ mean) / weight.sum(1)
    misfit = (weight * (mean - centre[:, None]) ** 2).sum(1)
    log = 0.5 * np.log(weight).sum(1) - 0.5 * np.log(weight.sum(1)) - 0.5 * misfit
    chance = np.exp(log - log.max())
    return spread, chance / chance.sum()


def _quantiles(centres: Floats, variances: Floats, chance: Floats, share: float) -> Floats:
    """Return the quantile of a mixture of normals for each group, by halving, (G,)."""
    reach = 10 * np.sqrt(variances.max(0))
    low, high = centres.min(0) - reach, centres.max(0) + reach
    for _ in range(60):
        middle = (low + high) / 2
        below = chance @ scipy.special.ndtr((middle - centres) / np.sqrt(np.maximum(variances, 1e-300)))
        low, high = np.where(below < share, middle, low), np.where(below < share, high, middle)
    return np.asarray((low + high) / 2)
