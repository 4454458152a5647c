"""Is there enough evidence? The gap of every comparison with its interval, its power, and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairseg.cohort.vectors import Vector
from fairseg.metrics.earlier_forms import accepts_num_groups
from fairseg.metrics.fairness import fairness_gap, mann_whitney_u
from fairseg.metrics.grouped import Floats, GroupedValues, Reference
from fairseg.statistics.differences import (
    Differences,
    differences,
    gap_limits,
    pairs_of,
)
from fairseg.statistics.effects import cliffs_delta, hodges_lehmann
from fairseg.statistics.intervals import bootstrap_interval, check_options, group_intervals
from fairseg.statistics.limits import ROUNDING, Interval
from fairseg.statistics.order_statistics import size_to_judge
from fairseg.statistics.power import detectable_gaps
from fairseg.statistics.significance import kruskal_wallis, pairwise_mann_whitney

SHOWN = "gap shown"
IRRELEVANT = "no relevant gap shown"
OPEN = "not enough evidence"
NOT_JUDGED = "not judged"
MIN_SIZE = 10


@dataclass(frozen=True)
class Judgement:
    """One group compared with another.

    Attributes:
        first: id of the reference group, or of the first of the pair.
        second: id of the other.
        gap: median of the first minus that of the second; limits hold for all comparisons together.
        detectable: the smallest gap that these group sizes would show in 80 of 100 cohorts.
        verdict: "gap shown", "no relevant gap shown", "not enough evidence" or "not judged".
        p: two-sided Mann-Whitney U test.
        corrected: the same, corrected for all comparisons (Holm).
        delta: Cliff's delta: share of pairs of subjects in which the first is better, minus worse.
        shift: Hodges-Lehmann shift, first minus second.
    """

    first: int
    second: int
    gap: Interval
    detectable: float
    verdict: str
    p: float
    corrected: float
    delta: Interval
    shift: Interval


@dataclass(frozen=True)
class Evidence:
    """What one structure's scores say of the groups.

    Attributes:
        medians: of each group.
        judged: ids of the groups of `min_size` subjects or more; the figures below are over them.
        gap: `fairness_gap`; with several groups and a reference the limits are those of its size.
        ratio: `skewed_error_ratio`; NaN if values are no shares of 1.
        worst: `worst_group`.
        verdict: on the gap: "gap shown" if any comparison shows one, "no relevant gap shown" if none shows a
            relevant one.
        detectable: of the pair that makes the gap.
        p: Mann-Whitney U test of two groups, Kruskal-Wallis test of more.
        comparisons: each group against the reference, or all pairs.
        min_size: subjects that a group needs to be judged.
        margin: largest gap without relevance, if one was stated.
        level: of all intervals.
    """

    medians: list[Interval]
    judged: list[int]
    gap: Interval
    ratio: Interval
    worst: Interval
    verdict: str
    detectable: float
    p: float
    comparisons: list[Judgement]
    min_size: int
    margin: float | None
    level: float

    def of(self, group: int) -> Judgement | None:
        """Return how a group compares with the reference, if it was compared with one group only."""
        found = [one for one in self.comparisons if group in (one.first, one.second)]
        return found[0] if len(found) == 1 else None


@accepts_num_groups()
def judge(
    values: Vector,
    groups: Vector,
    *,
    reference: Reference = None,
    margin: float | None = None,
    level: float = 0.95,
    min_size: int = MIN_SIZE,
    resamples: int = 10_000,
    simulations: int = 1000,
    seed: int = 0,
) -> Evidence:
    """Say of every comparison whether a gap is shown, no relevant gap is shown, or evidence lacks.

    A gap is shown if its interval excludes 0; none that is relevant is shown if the whole interval lies
    within `margin` of 0 (which wins if both hold: a gap can be real and too small to matter); else there is
    not enough evidence, which is no proof of fairness. The intervals are binomial ones (see
    `bootstrap_interval`) and hold for all comparisons together, so that under no gap any is shown in at most
    5 of 100 cohorts.

    Args:
        values: one value a subject, (N,), higher is better; NaN is left out.
        groups: the group of each subject, (N,), ids or names as in `by_group`; groups come out as ids.
        reference: name or id of the group that the others are compared with; `None`: all pairs.
        margin: the largest gap, in the unit of the values, that does not matter to you.
        level: of the intervals.
        min_size: subjects that a group needs to be judged; smaller ones are reported only. It is raised where
            the level could not be held (see `size_to_judge`): 95% takes six subjects in one small group,
            seven in each of two or three, eight in each of six.
        resamples: draws of the medians.
        simulations: cohorts that the power is found from.
        seed: of the draws and simulations.

    Raises:
        ValueError: as `by_group`, or an option is out of range.

    >>> rng = np.random.default_rng(0)
    >>> dice = np.r_[rng.normal(0.90, 0.03, 200), rng.normal(0.86, 0.03, 20), 0.5]
    >>> evidence = judge(dice, np.repeat([0, 1, 2], [200, 20, 1]), reference=0, margin=0.01)
    >>> evidence.verdict, [one.verdict for one in evidence.comparisons]
    ('gap shown', ['gap shown', 'not judged'])
    >>> print(f"{evidence.gap.low:.3f} to {evidence.gap.high:.3f}, detectable {evidence.detectable:.3f}")
    0.022 to 0.061, detectable 0.025
    """
    if margin is not None and not 0 < margin < np.inf:
        raise ValueError(f"margin must be above 0, got {margin}")
    if min_size < 2:
        raise ValueError(f"min_size must be at least 2, got {min_size}")
    check_options(level, resamples, "binomial")
    grouped = GroupedValues.of(values, groups, reference=reference)
    parts, first = grouped.ordered, grouped.reference
    least = size_to_judge([part.size for part in parts], min_size, level)
    judged = [number for number, part in enumerate(parts) if part.size >= least]
    large = [part if part.size >= least else part[:0] for part in parts]
    options: dict[str, Any] = {"level": level, "resamples": resamples, "method": "binomial", "seed": seed}
    shares = not any(part.size and (part[0] < 0 or part[-1] > 1) for part in large)
    pairs = pairs_of(large, first)
    rng = np.random.default_rng(seed)
    found = differences(large, pairs, level=level, resamples=resamples, method="binomial", rng=rng)
    detectable = detectable_gaps(large, pairs, tail=found.tail, simulations=simulations, seed=seed)
    gap = _gap(fairness_gap(_medians(large), reference=first), found, first)
    farthest = int(np.argmax(np.abs(found.estimate))) if pairs else None
    compared = _comparisons(parts, large, first, found, detectable, margin, level)
    return Evidence(
        medians=list(group_intervals(values, groups, **options)),
        judged=judged,
        gap=gap,
        ratio=_interval(large, "skewed_error_ratio", options) if shares else Interval(*[np.nan] * 3),
        worst=_interval(large, "worst_group", options),
        verdict=_together(compared),
        detectable=float("nan") if farthest is None else float(detectable[farthest]),
        p=_overall_p(large, judged),
        comparisons=compared,
        min_size=least,
        margin=margin,
        level=level,
    )


def _comparisons(
    parts: Sequence[Floats],
    large: Sequence[Floats],
    reference: int | None,
    found: Differences,
    detectable: Floats,
    margin: float | None,
    level: float,
) -> list[Judgement]:
    place = {pair: number for number, pair in enumerate(found.pairs)}
    # Without a reference a group too small to judge stands in the table of groups, not in every pair.
    pairs = found.pairs if reference is None else pairs_of(parts, reference)
    # The same pairs in the same order as those that were found.
    _, p_values, corrected = pairwise_mann_whitney(*_flat(large), len(large), reference)
    nothing = float("nan")
    comparisons = []
    for first, second in pairs:
        number = place.get((first, second))
        if number is None:
            estimate = float(np.median(parts[first]) - np.median(parts[second]))
            gap, least, p, together = Interval(estimate, nothing, nothing), nothing, nothing, nothing
        else:
            gap = Interval(float(found.estimate[number]), float(found.low[number]), float(found.high[number]))
            least, p, together = (float(of[number]) for of in (detectable, p_values, corrected))
        comparisons.append(
            Judgement(
                first=first,
                second=second,
                gap=gap,
                detectable=least,
                verdict=_verdict(gap, margin),
                p=p,
                corrected=together,
                delta=cliffs_delta(parts[first], parts[second], level=level),
                shift=hodges_lehmann(parts[first], parts[second], level=level),
            )
        )
    return comparisons


def _together(comparisons: Sequence[Judgement]) -> str:
    """Return the verdict on all comparisons: a gap is shown if one is, and no relevant one if none may be."""
    verdicts = {one.verdict for one in comparisons} - {NOT_JUDGED}
    return next((one for one in (SHOWN, OPEN, IRRELEVANT) if one in verdicts), NOT_JUDGED)


def _verdict(gap: Interval, margin: float | None) -> str:
    if isnan(gap.low) or isnan(gap.high):
        return NOT_JUDGED
    if margin is not None and max(-gap.low, gap.high) <= margin:
        return IRRELEVANT
    return SHOWN if gap.low > ROUNDING or gap.high < -ROUNDING else OPEN


def _gap(estimate: float, found: Differences, reference: int | None) -> Interval:
    """Return the gap with its limits; of several groups limits of its size, with the sign of the estimate.

    Groups above and groups below the reference may both be the farthest: limits of either sign would then
    hold 0, though a gap is shown.
    """
    if len(found.pairs) == 1:
        return Interval(estimate, *gap_limits(found, signed=reference is not None))
    low, high = gap_limits(found, signed=False)
    return Interval(estimate, low, high) if not estimate < 0 else Interval(estimate, -high, -low)


def _medians(parts: Sequence[Floats]) -> Floats:
    return np.array([np.median(part) if part.size else np.nan for part in parts])


def _flat(parts: Sequence[Floats]) -> tuple[Floats, npt.NDArray[np.int64]]:
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [part.size for part in parts])


def _interval(
    parts: Sequence[Floats], measure: Literal["skewed_error_ratio", "worst_group"], options: dict[str, Any]
) -> Interval:
    return bootstrap_interval(*_flat(parts), len(parts), measure, **options)


def _overall_p(parts: Sequence[Floats], judged: Sequence[int]) -> float:
    if len(judged) == 2:
        return mann_whitney_u(parts[judged[0]], parts[judged[1]])
    return kruskal_wallis(*_flat(parts), len(parts))
