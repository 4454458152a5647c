"""The interval of the equity-scaled score, made of the median over all subjects and those of the groups."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats, equity_scaled
from fairseg.statistics.differences import sorted_parts
from fairseg.statistics.limits import Interval
from fairseg.statistics.order_statistics import binomial_ranks, enclosed


def equity_interval(
    values: Sequence[float] | Floats, groups: npt.ArrayLike, num_groups: int, *, level: float = 0.95
) -> Interval:
    """Interval of `equity_scaled`, "sum", of the median over all known subjects and those of the groups.

    A bootstrap fails here: differences between the groups are larger in a resample than in the cohort, so
    where groups are nearly equal it lies too low and hardly ever holds the truth. Instead the medians get
    binomial limits that hold together (Bonferroni), and the interval spans the scores that medians within
    them can give. Its coverage is the level or more.

    Args:
        values: one value a subject, (N,), at least 0; NaN is left out.
        groups: group ids, integer (N,); -1 is left out.
        num_groups: number of groups in the cohort, G.
        level: of the interval.

    Returns:
        The estimate and its limits; limits are NaN where there are none of the medians (see `enclosed`).

    >>> rng = np.random.default_rng(0)
    >>> dice = np.r_[rng.normal(0.90, 0.03, 200), rng.normal(0.86, 0.03, 20)]
    >>> [round(number, 3) for number in equity_interval(dice, np.repeat([0, 1], [200, 20]), 2)]
    [0.86, 0.835, 0.883]
    """
    parts = [part for part in sorted_parts(values, groups, num_groups) if part.size]
    if not parts:
        return Interval(np.nan, np.nan, np.nan)
    everyone = np.sort(np.concatenate(parts))
    estimate = equity_scaled(float(np.median(everyone)), [float(np.median(part)) for part in parts], "sum")
    together = 1.0 - (1.0 - level) / (len(parts) + 1)
    if np.isnan(estimate) or not enclosed([min(part.size for part in parts)], together):
        return Interval(estimate, np.nan, np.nan)
    tails = np.array([(1.0 - together) / 2, (1.0 + together) / 2])
    least, most = binomial_ranks(everyone.size, tails).of(everyone)
    low, high = np.array([binomial_ranks(part.size, tails).of(part) for part in parts]).T[..., None]
    # Between these places the score rises or falls with the median over all, so one of them is extreme.
    turns = np.concatenate([[least, most], low[:, 0], high[:, 0], (low + high)[:, 0] / 2])
    overall = turns[(turns >= least) & (turns <= most)]
    farthest = np.maximum(np.abs(overall - low), np.abs(overall - high)).sum(axis=0)
    nearest = np.maximum(0.0, np.maximum(low - overall, overall - high)).sum(axis=0)
    return Interval(
        estimate, float((overall / (1.0 + farthest)).min()), float((overall / (1.0 + nearest)).max())
    )
