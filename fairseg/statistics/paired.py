"""Is one model fairer than another? Both on the same subjects, so that resamples keep each subject's pair."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from fairseg.cohort.vectors import Vector
from fairseg.metrics.earlier_forms import accepts_num_groups
from fairseg.metrics.fairness import gap_pair
from fairseg.metrics.grouped import Floats, GroupedValues, Reference, as_values
from fairseg.statistics.differences import pairs_of
from fairseg.statistics.evidence import MIN_SIZE
from fairseg.statistics.intervals import bootstrap_interval, check_options
from fairseg.statistics.limits import ROUNDING, Interval
from fairseg.statistics.order_statistics import medians_of_ranks, size_to_judge
from fairseg.statistics.significance import wilcoxon_signed_rank

Pair = tuple[int, int]

_CHUNK = 2_000_000  # numbers resampled at once
_PLAUSIBLE = 0.025  # of the draws in which a pair of groups lies farthest apart


@dataclass(frozen=True)
class FairnessChange:
    """How the second of two models treats the groups, compared with the first.

    Attributes:
        judged: ids of the groups with subjects enough; gaps and narrowing are over them.
        gaps: `fairness_gap` of each model, over the same subjects.
        narrowing: size of the first model's gap minus that of the second's: above 0, the second is fairer.
        changes: of each group, its median with the second model minus that with the first; the limits hold
            for all judged groups together, the others have none.
        p: of each group, Wilcoxon signed-rank test of its subjects.
        p_all: the same over the subjects of all groups.
        best: the group that the first model serves best, of the pair that makes its gap; None without a gap.
        worst: the other of that pair.
        pair: the better- and the worse-served group that make the second model's gap; None without a gap.
        min_size: subjects that a group needs to be judged.
    """

    judged: list[int]
    gaps: tuple[Interval, Interval]
    narrowing: Interval
    changes: list[Interval]
    p: list[float]
    p_all: float
    best: int | None
    worst: int | None
    pair: Pair | None
    min_size: int

    @property
    def fairer(self) -> bool:
        """Whether the second model's gap is shown to be the smaller."""
        return self.narrowing.low > ROUNDING

    @property
    def less_fair(self) -> bool:
        """Whether the second model's gap is shown to be the larger."""
        return self.narrowing.high < -ROUNDING

    @property
    def lost(self) -> list[int]:
        """Judged groups that are shown to have lost."""
        return [group for group in self.judged if self.changes[group].high < -ROUNDING]

    @property
    def gained(self) -> list[int]:
        """Judged groups that are shown to have gained."""
        return [group for group in self.judged if self.changes[group].low > ROUNDING]

    @property
    def share_lost(self) -> float:
        """Share of the narrowing that is a loss of the better-served group; NaN if nothing narrowed."""
        if self.best is None or not self.narrowing.estimate > ROUNDING:
            return float("nan")
        return max(0.0, -self.changes[self.best].estimate) / self.narrowing.estimate

    @property
    def levels_down(self) -> bool:
        """Whether at least half of the narrowing is a loss of the better-served group."""
        return self.share_lost >= 0.5

    def turned(self) -> "FairnessChange":
        """Return the same comparison with the two models in the other order."""
        best, worst = self.pair or (None, None)
        return replace(
            self,
            gaps=self.gaps[::-1],
            narrowing=self.narrowing.negated(),
            changes=[change.negated() for change in self.changes],
            best=best,
            worst=worst,
            pair=None if self.best is None or self.worst is None else (self.best, self.worst),
        )


@accepts_num_groups()
def compare_fairness(
    first: Vector,
    second: Vector,
    groups: Vector,
    *,
    reference: Reference = None,
    level: float = 0.95,
    min_size: int = MIN_SIZE,
    resamples: int = 10_000,
    seed: int = 0,
) -> FairnessChange:
    """Compare two models on the same subjects: whose gap is smaller, and who gained or lost.

    Subjects are resampled inside their group, each with both of its scores. The size of a gap is no smooth
    quantity where groups lie close together, so the interval of the narrowing is taken over every pair of
    groups, in either order, that could be the farthest apart (it is in 2.5% of the resamples or more); its
    coverage is then the level or more.

    Args:
        first: one value a subject, (N,), higher is better.
        second: the other model's, for the same subjects in the same order. Subjects without a value of
            either model are left out of everything.
        groups: the group of each subject, (N,), ids or names as in `by_group`; groups come out as ids.
        reference: name or id of the reference group, as in `fairness_gap`.
        level: of the intervals, percentiles of the resamples; those of the gaps are binomial.
        min_size: subjects that a group needs for gaps and narrowing; raised as in `judge`.
        resamples: of the subjects.
        seed: of the resamples.

    Raises:
        ValueError: lengths differ, or as `by_group`.

    >>> rng = np.random.default_rng(0)
    >>> groups = np.repeat([0, 1], [60, 20])
    >>> first = rng.normal(np.where(groups == 0, 0.92, 0.86), 0.02)
    >>> second = first - np.where(groups == 0, 0.05, 0.0) + rng.normal(0, 0.005, 80)
    >>> change = compare_fairness(first, second, groups)
    >>> change.fairer, change.levels_down, round(change.share_lost, 1)
    (True, True, 1.0)
    """
    one, two = as_values(first, "first"), as_values(second, "second")
    if one.shape != two.shape or one.ndim != 1:
        raise ValueError(f"first and second must be vectors of one length, got {one.shape} and {two.shape}")
    check_options(level, resamples, "percentile")
    missing = np.isnan(one) | np.isnan(two)
    one, two = np.where(missing, np.nan, one), np.where(missing, np.nan, two)
    models = [GroupedValues.of(scores, groups, reference=reference) for scores in (one, two)]
    ids, num_groups, home = models[0].ids, models[0].num_groups, models[0].reference
    parts = [np.stack(pair) for pair in zip(*(model.parts for model in models), strict=True)]  # (2, n) each
    least = size_to_judge([part.shape[1] for part in parts], min_size, level)
    judged = [number for number, part in enumerate(parts) if part.shape[1] >= least]
    kept = np.where(np.isin(ids, judged), ids, -1)
    medians = np.array([np.median(part, axis=1) if part.size else [np.nan] * 2 for part in parts])
    rng = np.random.default_rng(seed)
    drawn = [_resampled_medians(part, resamples, rng) for part in parts]  # (2, R) each
    tail = (1.0 - level) / 2
    pairs = pairs_of(
        [part[0] if number in judged else part[0, :0] for number, part in enumerate(parts)], home
    )
    gaps = [
        bootstrap_interval(
            scores,
            kept,
            num_groups,
            "fairness_gap",
            level=level,
            resamples=resamples,
            method="binomial",
            reference=home,
            seed=seed,
        )
        for scores in (one, two)
    ]
    best, worst = judged_pair(medians[:, 0], judged, home) or (None, None)
    return FairnessChange(
        judged=judged,
        gaps=(gaps[0], gaps[1]),
        narrowing=_narrowing(drawn, medians, pairs, tail),
        changes=[
            Interval(float(now - before), *_percentiles(draws[1] - draws[0], tail / len(judged)))
            if number in judged
            else Interval(float(now - before), np.nan, np.nan)
            for number, ((before, now), draws) in enumerate(zip(medians, drawn, strict=True))
        ],
        p=[wilcoxon_signed_rank(part[1], part[0]) for part in parts],
        p_all=wilcoxon_signed_rank(*(np.concatenate([part[row] for part in parts]) for row in (1, 0))),
        best=best,
        worst=worst,
        pair=judged_pair(medians[:, 1], judged, home),
        min_size=least,
    )


def judged_pair(medians: Floats, judged: Sequence[int], reference: int | None) -> Pair | None:
    """Return the better- and the worse-served group of the pair that makes the gap of the judged groups.

    Args:
        medians: of the groups, (G,).
        judged: ids of those that take part.
        reference: id of the group that takes part in every pair.

    >>> judged_pair(np.array([0.90, 0.85, 0.93]), [0, 1], None)
    (0, 1)
    """
    return gap_pair(np.where(np.isin(np.arange(len(medians)), judged), medians, np.nan), reference)


def _resampled_medians(part: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Return the medians of both models over the same resamples of the subjects, (2, R)."""
    size = part.shape[1]
    drawn = np.full((2, resamples), np.nan)
    if size < 2:
        return drawn
    step = max(1, _CHUNK // size)
    ordered = np.sort(part, axis=1)
    ranks = np.argsort(np.argsort(part, axis=1, kind="stable"), axis=1, kind="stable").astype(np.int32)
    for start in range(0, resamples, step):
        places = rng.integers(0, size, (min(step, resamples - start), size), dtype=np.int32)
        for model in (0, 1):
            drawn[model, start : start + step] = medians_of_ranks(ranks[model][places], ordered[model])
    return drawn


def _narrowing(
    drawn: Sequence[Floats], medians: Floats, pairs: Sequence[tuple[int, int]], tail: float
) -> Interval:
    if not pairs:
        return Interval(np.nan, np.nan, np.nan)
    signed = [(one, two) for pair in pairs for one, two in (pair, pair[::-1])]
    differences = [
        np.stack([drawn[one][model] - drawn[two][model] for one, two in signed]) for model in (0, 1)
    ]
    sizes = [max(abs(medians[one, model] - medians[two, model]) for one, two in pairs) for model in (0, 1)]
    candidates = []
    for of_model in differences:
        share = np.bincount(of_model.argmax(axis=0), minlength=len(signed)) / of_model.shape[1]
        candidates.append(np.flatnonzero(share >= min(_PLAUSIBLE, share.max())))
    limits = [
        _percentiles(differences[0][before] - differences[1][after], tail)
        for before, after in product(*candidates)
    ]
    low, high = np.array(limits).T
    return Interval(float(sizes[0] - sizes[1]), float(low.min()), float(high.max()))


def _percentiles(drawn: Floats, tail: float) -> tuple[float, float]:
    if np.isnan(drawn).any():
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, (tail, 1.0 - tail))
    return float(low), float(high)
