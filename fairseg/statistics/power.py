"""What a cohort of this size could show: power by simulation from the pooled scores.

Cohorts without a gap are drawn from the scores of all groups, each group's moved to one median; a group that
is spread differently from the others is drawn from its own scores, moved likewise. An interval moves with its
data, so a gap d would have been shown in the cohorts whose limits d carries past zero, and one set of
simulations gives the power of every d.
"""

from collections.abc import Sequence

import numpy as np
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats
from fairseg.statistics.limits import ROUNDING
from fairseg.statistics.order_statistics import DrawnRanks, binomial_medians

_DRAWS = 1000  # of the medians in each simulated cohort
_MOST = 30_000_000  # numbers held at once
_DIFFERENT = 0.01  # p below which a group's spread differs from that of the others


def detectable_gaps(
    parts: Sequence[Floats],
    pairs: Sequence[tuple[int, int]],
    *,
    tail: float,
    power: float = 0.8,
    simulations: int = 1000,
    seed: int = 0,
) -> Floats:
    """Return the smallest gap between each pair of groups that the verdict would show with this power.

    Args:
        parts: the values of each group, sorted; an empty group takes no part.
        pairs: ids of the groups that are compared.
        tail: probability beyond each limit of a pair's interval, as from `differences`.
        power: share of cohorts in which the gap is to be shown.
        simulations: cohorts.
        seed: of the cohorts.

    Returns:
        (P,) in the unit of the values; the power is the mean over both directions of the gap. Where scores
        are tied, as if rounded, a gap is a multiple of their step.

    >>> rng = np.random.default_rng(0)
    >>> parts = [np.sort(rng.normal(0.9, 0.03, size)) for size in (200, 200, 12)]
    >>> detectable_gaps(parts, [(0, 1), (0, 2)], tail=0.025).round(3)
    array([0.012, 0.033])
    """
    found = np.empty(len(pairs))
    if not pairs:
        return found
    there = [number for number, part in enumerate(parts) if part.size]
    pools = dict(
        zip(there, _pools([parts[number] - np.median(parts[number]) for number in there]), strict=True)
    )
    rng = np.random.default_rng(seed)
    number = max(100, min(simulations, _MOST // (_DRAWS * len(there))))
    drawn = {group: _simulated(pools[group], parts[group].size, number, rng) for group in there}
    for place, (first, second) in enumerate(pairs):
        low, high = np.quantile(drawn[first] - drawn[second], (tail, 1.0 - tail), axis=1)
        # A gap d is shown where low + d > 0 (or, for d below zero, where high + d < 0): take both sides.
        needed = np.concatenate([-low, high])
        found[place] = np.quantile(needed, power)
        if (needed < found[place] - 1e-12).mean() < power - 1 / needed.size:  # tied: more than these need
            step = _step(np.concatenate([parts[first], parts[second]]))
            found[place] = step * np.floor(found[place] / step + 1 + 1e-9) if step else found[place]
    return found


def _pools(centred: Sequence[Floats]) -> list[Floats]:
    """Return what each group is drawn from, sorted: those of all, or its own if these spread differently.

    Whether they do says the test of Fligner and Killeen, which no outlier moves.
    """
    alike = []
    for place, part in enumerate(centred):
        others = np.concatenate([*centred[:place], *centred[place + 1 :]])
        varied = np.ptp(part) > ROUNDING or np.ptp(others) > ROUNDING
        alike.append(
            not varied or not scipy.stats.fligner(part.round(9), others.round(9)).pvalue < _DIFFERENT
        )
    same = [part for part, one in zip(centred, alike, strict=True) if one]
    pooled = np.sort(np.concatenate(same)) if same else np.empty(0)
    return [pooled if one else np.sort(part) for part, one in zip(centred, alike, strict=True)]


def _step(values: Floats) -> float:
    """Return the smallest difference between values, 0 if all are equal: of tied scores the resolution."""
    return float(np.diff(np.unique(values.round(9))).min()) if np.ptp(values) > 1e-9 else 0.0


def _simulated(pooled: Floats, size: int, simulations: int, rng: np.random.Generator) -> Floats:
    """Return what samples of `size` from the pool say of its median, (simulations, draws)."""
    ranks = binomial_medians(size, _DRAWS, rng)
    first, last = int(ranks.lower.min()), int(ranks.upper.max())
    # Only the values in the middle of a sample matter: its order statistics from the first to the last used.
    upper = rng.beta(last + 1, size - last, simulations)
    lower = upper * rng.beta(first + 1, last - first, simulations) if last > first else upper
    between = np.sort(rng.random((simulations, max(last - first - 1, 0))), axis=1)
    uniform = lower[:, None] + (upper - lower)[:, None] * between
    uniform = np.column_stack([lower, uniform, upper]) if last > first else lower[:, None]
    sample = pooled[np.minimum((uniform * pooled.size).astype(np.int64), pooled.size - 1)]
    return DrawnRanks(ranks.lower - first, ranks.upper - first, ranks.share).of(sample)
