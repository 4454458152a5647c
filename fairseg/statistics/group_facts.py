"""How the model serves a group in a structure: its scores, who fails, and who is among the hardest tenth."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats
from fairseg.statistics.findings import GroupFacts
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.two_samples import known_values, limits_of_median, wilson
from fairseg.statistics.verdicts import Endpoint

HARDEST_SHARE = 0.1  # of all subjects
OVERALL_WEIGHT = 4  # of a group overall, against 1 of each of its structures
_HARDER_SHARES = (0.05, 0.025)  # that are looked at before a verdict is green


def hardest(values: Floats, share: float = HARDEST_SHARE) -> Floats:
    """Mark the worst tenth of the subjects with 1, the others with 0, (N,); NaN without a score.

    Equal scores are marked alike, so that more or fewer than a tenth may be marked: fewer where a tenth would
    be more than 15%, unless nothing near a tenth were left. Where all scores are equal none is marked.

    >>> hardest(np.array([0.9, 0.8, np.nan, 0.9, 0.8, 0.7]), 0.2).tolist()
    [0.0, 0.0, nan, 0.0, 0.0, 1.0]
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return values.copy()
    rank = max(math.ceil(known.size * share - 1), 0)
    cut = float(np.partition(known, rank)[rank])  # the smallest value that has such a share at or below it
    below, at_most = float((known < cut).mean()), float((known <= cut).mean())
    with_ties = at_most <= 1.5 * share or (below < share / 2 and at_most < 1)
    marked = (values <= cut if with_ties else values < cut).astype(np.float64)
    marked[np.isnan(values)] = np.nan
    return np.asarray(marked)


def _failing_p(scores: Floats, options: JudgeOptions) -> float:
    """Return the one-sided p of a model whose median is not too low, and of whom no more than half fail.

    It is exact: each subject is then below the larger of both thresholds with a chance of a half at most.
    """
    low = int((scores < max(options.failing_median, options.failure_threshold)).sum())
    return float(scipy.special.bdtrc(low - 1, scores.size, 0.5)) if low else 1.0


def hold_together(p: Sequence[float], weights: Sequence[float], alpha: float) -> list[bool]:
    """Return which of several p-values are shown with an error of alpha over all of them: weighted Holm.

    >>> hold_together([0.02, 0.001, 0.03], [1, 1, 1], 0.05)
    [True, True, True]
    >>> hold_together([0.02, 0.3, 0.4], [1, 1, 1], 0.05)
    [False, False, False]
    """
    shown, weight_left = [False] * len(p), float(sum(weights))
    for index in sorted(range(len(p)), key=lambda index: p[index] / weights[index]):
        if not p[index] / weights[index] <= alpha / weight_left * (1 + 1e-9):
            break
        shown[index] = True
        weight_left -= weights[index]
    return shown


def with_failing(facts: Sequence[GroupFacts], overall: str, options: JudgeOptions) -> list[GroupFacts]:
    """Return the same facts, and for which of them the model is shown to fail.

    Limits of 95% by themselves say that it does for one in 50 groups of a dozen of whom half fail, so that of
    many groups and structures one often would. These all together have an error of alpha.
    """
    judged = [fact for fact in facts if fact.judged]
    weights = [OVERALL_WEIGHT if fact.structure == overall else 1 for fact in judged]
    together = hold_together([fact.p_fails for fact in judged], weights, options.alpha)
    shown = {
        id(fact)
        for fact, holds in zip(judged, together, strict=True)
        if holds and (fact.median_high < options.failing_median or fact.failure_low > 0.5)
    }
    return [replace(fact, fails=True) if id(fact) in shown else fact for fact in facts]


class StructureScores:
    """The scores of a structure, and who fails or is among the hardest in it."""

    def __init__(self, name: str, scores: Floats, options: JudgeOptions) -> None:
        self.name, self.options = name, options
        self.scores = np.ascontiguousarray(scores)
        self.fails = np.where(np.isnan(scores), np.nan, scores < options.failure_threshold)
        self.hardest = hardest(self.scores)

    @cached_property
    def hardest_cut(self) -> float:
        """The best score among the hardest tenth; minus infinity where nobody is."""
        return float(self.scores[self.hardest == 1].max(initial=-np.inf))

    @cached_property
    def harder(self) -> list[Floats]:
        """The marks of still smaller shares of the subjects."""
        return [hardest(self.scores, share) for share in _HARDER_SHARES]

    def endpoints(self) -> dict[Endpoint, tuple[Floats, bool, float, float]]:
        """Return values, whether they are marks, margin, and the weight of the overall score."""
        options = self.options
        return {
            Endpoint.TYPICAL: (self.scores, False, options.margin, 1.0),
            Endpoint.FAILURES: (self.fails, True, options.failure_margin, 1.0),
            Endpoint.HARDEST: (self.hardest, True, options.tail_margin, 0.5),
        }

    def facts(self, attribute: str, group: str, in_group: npt.NDArray[np.bool_]) -> GroupFacts:
        """Return how the model serves these subjects, boolean (N,), in this structure.

        Whether it fails for them is for `with_failing` to say, which knows of all others.
        """
        options, scores = self.options, self.scores[in_group]
        known = scores[~np.isnan(scores)]
        ordered, n = known_values(known), known.size
        about, judged = (attribute, self.name, group, n, scores.size - n), n >= options.min_size
        if not n:
            return GroupFacts(*about, judged=judged)
        fails = int((known < options.failure_threshold).sum())
        median, rate = limits_of_median(ordered), wilson(fails, n)
        hard = wilson(int(np.nansum(self.hardest[in_group])), n)
        one_sided = 1 - 2 * options.alpha
        at_least, at_most = limits_of_median(ordered, one_sided).low, wilson(fails, n, one_sided).high
        return GroupFacts(
            *about,
            judged=judged,
            median=float(np.median(known)),
            median_low=median.low,
            median_high=median.high,
            failures=fails,
            failure_rate=rate.estimate,
            failure_low=rate.low,
            failure_high=rate.high,
            hardest=hard.estimate,
            hardest_low=hard.low,
            hardest_high=hard.high,
            median_at_least=at_least,
            failure_at_most=at_most,
            p_fails=_failing_p(known, options),
            passes_floor=at_least >= options.median_floor and at_most <= options.failure_floor,
        )
