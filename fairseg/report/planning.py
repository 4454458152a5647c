"""Planning: how many subjects show a gap, and what a cohort of given sizes can show, in both directions.

A plan rests on the scores of a pilot, from which cohorts are drawn, or on assumptions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, Literal

import numpy as np
import pandas as pd

from fairseg.cohort.groups import Groups
from fairseg.io.arguments import fits
from fairseg.io.calls import says_what_to_type
from fairseg.io.sentences import listed
from fairseg.metrics.fairness import Floats
from fairseg.report.analyses import analyses_of, attributes_of, overall_scores, with_groups
from fairseg.report.tables import Cell, Table, grid
from fairseg.report.templates import as_sentence, say
from fairseg.scoring.subjects import subject_names
from fairseg.scoring.table import Scores
from fairseg.statistics.findings import Grouping
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.pilot_range import PilotLimits, pilot_limits
from fairseg.statistics.planning import (
    LARGEST,
    SampleSizes,
    assumed_scores,
    detectable_failures,
    detectable_shifts,
    plan_failures,
    plan_shift,
)
from fairseg.statistics.pools import DIRECTIONS

_LEAST = 5  # scores of a pilot's group
_UNNAMED = "the first group", "the second"
_NONE = np.empty(0)
_AT_BOUND = 0.05  # share of scores at or past 1 above which the answer says so


@dataclass(frozen=True)
class PlannedPair:
    """Two groups to be compared: their names, and a plan for each direction of their difference.

    Attributes:
        first: the reference group, or the first of two.
        second: the other.
        worse: the plan for a second group that is worse served.
        better: the plan for a second group that is better served.
        failure_rate: share of failures in the group that is better served; NaN for the typical case.
        limits: of a pilot's plans, worse and better: what the pilot leaves open; None where it has none.
    """

    first: str
    second: str
    worse: SampleSizes
    better: SampleSizes
    failure_rate: float = np.nan
    limits: tuple[PilotLimits | None, PilotLimits | None] = (None, None)

    def spans(self, sized: bool) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return 80% limits of each plan's difference, or of the second group's size; NaN without any."""
        return _span(self.worse, self.limits[0], sized), _span(self.better, self.limits[1], sized)

    @property
    def resolved(self) -> float:
        """The smallest difference that the pilot resolves, if that is more than a planned one; else NaN."""
        finer = [
            one.resolved
            for plan, one in zip((self.worse, self.better), self.limits, strict=True)
            if one is not None and one.resolved > plan.difference
        ]
        return max(finer, default=np.nan)

    @property
    def at_bound(self) -> bool:
        """Whether more than a few scores are 1, or would exceed it if the better group kept its level."""
        return any(one is not None and one.at_bound > _AT_BOUND for one in self.limits)


def _span(plan: SampleSizes, limits: PilotLimits | None, sized: bool) -> tuple[float, float]:
    if limits is None:
        return np.nan, np.nan
    if sized:
        return plan.difference * limits.low, plan.difference * limits.high
    low, high = (plan.n_second * factor**2 for factor in (limits.low, limits.high))
    return max(2.0, round(low)), np.ceil(high) if high <= LARGEST else np.inf


@dataclass(frozen=True)
class PlanResult:
    """What a comparison needs, or can show. Printed, it is the answer and a table.

    Attributes:
        pairs: of groups, the reference group with each other one.
        endpoint: "typical" or "failures".
        sized: whether the sizes were given, and the differences found.
        pilot: whether the numbers rest on the scores of a pilot cohort, which is a sample itself.
        title: of the score.
        power: that was asked for.
        alpha: two-sided level of one comparison.
        notes: what the rows of the pilot may be of, against what they were taken for, one line each.
    """

    pairs: tuple[PlannedPair, ...]
    endpoint: Literal["typical", "failures"]
    sized: bool
    pilot: bool
    title: str
    power: float
    alpha: float
    notes: tuple[str, ...] = ()

    @cached_property
    def sentence(self) -> str:
        """The answer: a sentence for each pair of groups."""
        sizes, least = self.table[["n_first", "n_second"]], JudgeOptions().min_size
        too_small = bool(((sizes > 0) & (sizes < least)).to_numpy().any())
        about = "about " if self.pilot else ""
        return say("plan", result=self, about=about, too_small=too_small, least=least, largest=LARGEST)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a pair and direction.

        Columns: first, second, endpoint, direction ("second worse", "second better"), difference (NaN: none
        can be shown), n_first, n_second (0: no number is enough), power (at these sizes), alpha; low, high:
        what the pilot leaves open of the difference where sizes were given, else of n_second (80% limits;
        NaN: of failures, of assumptions, or where there is no plan).
        """
        rows = [
            {"first": pair.first, "second": pair.second, **vars(plan), "low": low, "high": high}
            for pair in self.pairs
            for plan, (low, high) in zip((pair.worse, pair.better), pair.spans(self.sized), strict=True)
        ]
        names = ("first", "second", "endpoint", "direction", "difference", "n_first", "n_second")
        return pd.DataFrame(rows, columns=[*names, "power", "alpha", "low", "high"])

    def __str__(self) -> str:
        return "\n".join([self.sentence, *self.notes])

    def __repr__(self) -> str:
        return "\n\n".join([self.sentence, grid(self._shown()), *self.notes])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<p>{escape(self.sentence)}</p>{self._shown().to_frame().to_html()}{notes}"

    def _shown(self) -> Table:
        """Return the table as people read it."""
        kind = "shift" if self.endpoint == "typical" else "percent"
        rows = [
            (
                f"{pair.second} {word} than {pair.first}",
                Cell(plan.difference, kind=kind),
                *(Cell(n or np.nan, kind="count") for n in (plan.n_first, plan.n_second)),
                Cell(plan.power, kind="percent"),
            )
            for pair in self.pairs
            for word, plan in (("worse", pair.worse), ("better", pair.better))
        ]
        heads = ("Difference", f"Subjects of {self.pairs[0].first}", "Of the other", "Power")
        return Table.of("Plan", heads, rows, corner="Gap")


@says_what_to_type("fairseg.plan(scores, by='sex', difference=0.02)")
def plan(
    scores: Any = None,
    by: str | Sequence[str] | Groups | None = None,
    reference: str | None = None,
    *,
    groups: Any = None,
    difference: float = 0.03,
    endpoint: Literal["typical", "failures"] = "typical",
    sizes: tuple[int, int] | None = None,
    ratio: float = 1.0,
    power: float = 0.8,
    alpha: float = 0.05,
    median: float | None = None,
    iqr: float | None = None,
    failure_rate: float | None = None,
    bins: Mapping[str, Sequence[float]] | None = None,
    metric: str = "dice",
    failure_threshold: float = 0.5,
    seed: int = 0,
) -> PlanResult:
    """Say how many subjects of each group show a difference, or what a cohort of given sizes can show.

    Both directions are answered: a gap is seen sooner where it lies towards the longer tail of the scores, or
    in the larger group.

    Args:
        scores: of a pilot, any table that `fairseg.audit` takes; None to plan from assumptions.
        by: the attribute of the pilot whose levels are the groups. None: both groups are drawn from all of
            the pilot's subjects.
        reference: the first group, with which each other one is compared; of two groups it need not be said.
        groups: one value a subject or row of the pilot, (N,), in place of `by`.
        difference: that is to be shown: in the scores of the typical case, or in the shares of failures.
        endpoint: "typical" (Brunner-Munzel test) or "failures" (Fisher's exact test).
        sizes: subjects of the first group and of the second. Given, the smallest difference that they show is
            found, and `difference` and `ratio` do not count.
        ratio: subjects of the first group to one of the second.
        power: probability with which the difference is to be shown.
        alpha: two-sided level of one comparison. A page with more comparisons controls its error over all of
            them: for those give `result.judgement.alpha_star` of an audit like the one that is planned.
        median: of the scores, where there is no pilot, with `iqr`.
        iqr: distance of their quartiles.
        failure_rate: share of failures in the group that is better served, where there is no pilot; of a
            pilot the lower of the two groups' rates is taken.
        bins: attribute -> edges that cut a numeric attribute.
        metric: the column of the pilot to judge by.
        failure_threshold: a subject whose score is below has failed.
        seed: of the simulated cohorts.

    Returns:
        The plan. Its power is that of cohorts drawn from the pilot's groups, each moved as a whole so that
        one lies the difference below the other. The pilot is a sample itself: 80% limits, by bootstrap, say
        how far its numbers may be off in the typical case.

    Raises:
        ValueError: neither scores nor assumptions, or both; a group of the pilot has fewer than 5 scores;
            more than two groups without a reference; a number is out of range.

    >>> plan(median=0.92, iqr=0.03, difference=0.02).table[["n_first", "n_second"]].values.tolist()
    [[21, 21], [21, 21]]
    >>> plan(failure_rate=0.02, endpoint="failures", sizes=(400, 12)).table["difference"].round(3).tolist()
    [0.23, 0.325]
    """
    if endpoint not in ("typical", "failures"):
        raise ValueError(f"endpoint must be 'typical' or 'failures', got {endpoint!r}")
    for name, value in (("difference", difference), ("failure_threshold", failure_threshold)):
        if not fits(value, lambda share: 0 < share < 1):
            raise ValueError(f"{name} must be above 0 and below 1, got {value!r}")
    if sizes is not None and (len(sizes) != 2 or not all(fits(one, _is_size) for one in sizes)):
        raise ValueError(f"sizes must be two whole numbers of at least 2, got {', '.join(map(str, sizes))}")
    _check_assumptions(scores, endpoint, median=median, iqr=iqr, failure_rate=failure_rate)
    level: dict[str, Any] = {"power": power, "alpha": alpha}

    def planned(first: str, of_first: Floats, second: str, of_second: Floats, rate: float) -> PlannedPair:
        """Plan for two groups from their scores, or from the rate of failures in the better served one."""
        if endpoint == "failures":
            if sizes is not None:
                return PlannedPair(first, second, *detectable_failures(rate, *sizes, **level), rate)
            worse, better = (
                plan_failures(rate, difference, direction=direction, ratio=ratio, **level)
                for direction in DIRECTIONS
            )
            return PlannedPair(first, second, worse, better, rate)

        pools = (of_first, of_second)
        for name, pool in zip((first, second), pools, strict=True):
            if np.ptp(pool) == 0:
                raise ValueError(
                    f"{name} must have scores that differ to plan from, got {pool[0]:.4g} in all"
                )
        if sizes is not None:
            worse, better = detectable_shifts(*pools, *sizes, seed=seed, **level)
        else:
            worse, better = (
                plan_shift(*pools, difference, direction=direction, ratio=ratio, seed=seed, **level)
                for direction in DIRECTIONS
            )
        limits = [
            pilot_limits(*pools, plan, seed=seed)
            if scores is not None and plan.n_second and plan.difference > 0
            else None
            for plan in (worse, better)
        ]
        return PlannedPair(first, second, worse, better, limits=(limits[0], limits[1]))

    if scores is None:
        if by is not None or groups is not None:
            raise ValueError("by and groups need scores: assumptions hold for both groups alike")
        pool = assumed_scores(float(median), float(iqr)) if median is not None and iqr is not None else _NONE
        pair = planned(_UNNAMED[0], pool, _UNNAMED[1], pool, failure_rate or 0.0)
        return PlanResult((pair,), endpoint, sizes is not None, False, "Dice", power, alpha)
    if groups is not None:
        scores, by = with_groups(scores, by, groups, metric)
    checked = Scores.of(scores, metric=metric)
    (first, of_first), *others = _pools(checked, by, reference, bins or {})
    pairs = []
    for second, of_second in others:
        rate = min(float((pool < failure_threshold).mean()) for pool in (of_first, of_second))
        pairs.append(planned(first, of_first, second, of_second, rate))
    used = set() if by is None else attributes_of({"by": by, "also": (), "adjust": ()})
    notes = tuple(as_sentence(one) for one in checked.doubts if getattr(one, "column", "") not in used)
    return PlanResult(tuple(pairs), endpoint, sizes is not None, True, checked.title, power, alpha, notes)


def _check_assumptions(scores: Any, endpoint: str, **assumptions: float | None) -> None:
    """Raise unless there are scores, or the assumptions that this endpoint needs and no others."""
    stated = [name for name, value in assumptions.items() if value is not None]
    if scores is not None:
        if stated:
            raise ValueError(f"{listed(stated)}: assumptions stand in place of scores, give one of the two")
        return
    needed = ["failure_rate"] if endpoint == "failures" else ["median", "iqr"]
    if stated != needed:
        hint = "; for failures say endpoint='failures'" if stated == ["failure_rate"] else ""
        raise ValueError(
            f"without scores, plan needs {' and '.join(needed)} for endpoint {endpoint!r}, "
            f"got {listed(stated) or 'none'}{hint}"
        )
    rate = assumptions["failure_rate"]
    if rate is not None and not fits(rate, lambda share: 0 <= share < 1):
        raise ValueError(f"failure_rate must be at least 0 and below 1, got {rate}")


def _pools(
    scores: Scores, by: Any, reference: str | None, bins: Mapping[str, Sequence[float]]
) -> list[tuple[str, Floats]]:
    """Return the name and the overall scores of each group, the reference group first."""
    if by is None:
        if reference is not None or bins:
            raise ValueError("reference and bins need by, the attribute whose levels are the groups")
        everyone = Grouping(
            "", ("everyone", "no one"), np.zeros(len(subject_names(scores)), dtype=np.int64), None
        )
        pool = overall_scores(scores, everyone)[1].overall
        pool = pool[~np.isnan(pool)]
        _check_pool("scores", pool)
        return [(name, pool) for name in _UNNAMED]
    grouping = analyses_of(scores, by, reference, (), (), bins)[0].grouping
    if len(grouping.group_names) > 2 and grouping.reference is None:
        raise ValueError(
            f"by {grouping.name}: of {len(grouping.group_names)} groups, reference must name the first of "
            f"each pair, one of {listed(grouping.group_names)}"
        )
    overall = overall_scores(scores, grouping)[1].overall
    first, names = grouping.reference or 0, grouping.group_names
    pools = []
    for code in sorted(range(len(names)), key=lambda code: code != first):
        pool = overall[(grouping.ids == code) & ~np.isnan(overall)]
        _check_pool(f"group {names[code]}", pool)
        pools.append((names[code], pool))
    return pools


def _is_size(number: float) -> bool:
    return number == int(number) and number >= 2


def _check_pool(name: str, pool: Floats) -> None:
    if pool.size < _LEAST:
        raise ValueError(
            f"{name} must have at least {_LEAST} scored subjects to plan from, got {pool.size}: "
            "plan from median and iqr, or failure_rate, instead"
        )
