"""The interval of equity-scaled scores, which take the score over all subjects beside those of the groups."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats, equity_scaled
from fairseg.metrics.statistics.differences import sorted_parts
from fairseg.metrics.statistics.limits import Interval
from fairseg.metrics.statistics.order_statistics import medians_of_ranks

_CHUNK = 4_000_000  # numbers resampled at once


def equity_interval(
    values: Sequence[float] | Floats,
    groups: npt.ArrayLike,
    num_groups: int,
    variant: Literal["sum", "std"],
    ddof: int | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Interval of `equity_scaled` of the median over all known subjects and the medians of the groups.

    Percentiles of a bootstrap over subjects inside their groups. Differences between the groups are larger
    in a resample than in the cohort, so where groups are nearly equal the interval lies low: the estimate
    itself is biased that way.

    Args:
        values: one value a subject, (N,); NaN is left out.
        groups: group ids, integer (N,); -1 is left out.
        num_groups: number of groups in the cohort, G.
        variant: as in `equity_scaled`.
        ddof: as in `equity_scaled`.
        level: of the interval.
        resamples: of the subjects.
        seed: of the resamples.

    Returns:
        The estimate and its limits; limits are NaN where a group has a single subject.

    >>> rng = np.random.default_rng(0)
    >>> dice = np.r_[rng.normal(0.90, 0.03, 200), rng.normal(0.86, 0.03, 20)]
    >>> [round(number, 3) for number in equity_interval(dice, np.repeat([0, 1], [200, 20]), 2, "sum")]
    [0.86, 0.848, 0.878]
    """
    parts = [part for part in sorted_parts(values, groups, num_groups) if part.size]
    if not parts:
        return Interval(np.nan, np.nan, np.nan)
    pooled = np.concatenate(parts)

    point = np.array([np.median(part) for part in parts])
    estimate = equity_scaled(float(np.median(pooled)), point, variant, ddof)
    if np.isnan(estimate) or min(part.size for part in parts) < 2:
        return Interval(estimate, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    drawn = np.empty(resamples)
    ordered = np.sort(pooled)
    place = np.argsort(np.argsort(pooled, kind="stable"), kind="stable").astype(np.int32)
    places = np.split(place, np.cumsum([part.size for part in parts])[:-1])  # of each group among all
    step = max(1, _CHUNK // pooled.size)
    for start in range(0, resamples, step):
        number = min(step, resamples - start)
        taken = [rng.integers(0, part.size, (number, part.size), dtype=np.int32) for part in parts]
        all_taken = [among[one] for among, one in zip(places, taken, strict=True)]
        everyone = medians_of_ranks(np.concatenate(all_taken, axis=1), ordered)
        medians = np.stack([medians_of_ranks(*pair) for pair in zip(taken, parts, strict=True)], axis=1)
        drawn[start : start + number] = everyone / (1.0 + _inequality(everyone, medians, ddof))
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2))
    return Interval(estimate, float(low), float(high))


def _inequality(overall: Floats, medians: Floats, ddof: int | None) -> Floats:
    """Return what `equity_scaled` divides by, less 1, of many resamples: (R,) from (R,) and (R, G)."""
    if ddof is None:
        return np.asarray(np.abs(overall[:, None] - medians).sum(axis=1))
    return np.asarray(medians.std(axis=1, ddof=ddof))
