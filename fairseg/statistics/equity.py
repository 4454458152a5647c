"""The interval of the equity-scaled score, made of the median over all subjects and those of the groups."""

import numpy as np

from fairseg.cohort.vectors import Vector
from fairseg.metrics.earlier_forms import accepts_num_groups
from fairseg.metrics.fairness import equity_scaled
from fairseg.metrics.grouped import GroupedValues
from fairseg.statistics.limits import Interval
from fairseg.statistics.order_statistics import binomial_ranks, enclosed


@accepts_num_groups()
def equity_interval(values: Vector, groups: Vector, *, level: float = 0.95) -> Interval:
    """Interval of `equity_scaled`, "sum", of the median over all known subjects and those of the groups.

    A bootstrap fails here: differences between the groups are larger in a resample than in the cohort, so
    where groups are nearly equal it lies too low and hardly ever holds the truth. Instead the medians get
    binomial limits that hold together (Bonferroni), and the interval spans the scores that medians within
    them can give. Its coverage is the level or more.

    Args:
        values: one value a subject, (N,), at least 0; NaN is left out.
        groups: the group of each subject, (N,), ids or names as in `by_group`.
        level: of the interval.

    Returns:
        The estimate and its limits; limits are NaN where there are none of the medians (see `enclosed`).

    Raises:
        ValueError: values and groups do not fit each other, as for `by_group`.

    >>> rng = np.random.default_rng(0)
    >>> dice = np.r_[rng.normal(0.90, 0.03, 200), rng.normal(0.86, 0.03, 20)]
    >>> [round(number, 3) for number in equity_interval(dice, np.repeat([0, 1], [200, 20]))]
    [0.86, 0.835, 0.883]
    """
    parts = [part for part in GroupedValues.of(values, groups).ordered if part.size]
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
