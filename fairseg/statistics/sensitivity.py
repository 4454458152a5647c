"""Does a verdict hang on a choice? The page judged again from other scores or fewer subjects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.batches import Integers
from fairseg.statistics.differences import differences
from fairseg.statistics.findings import ALL_OTHERS, Comparison, Finding, Grouping, PageJudgement, ReasonKind
from fairseg.statistics.judgement import judge_page
from fairseg.statistics.limits import Interval, Resampling
from fairseg.statistics.means import welch_limits
from fairseg.statistics.page_level import members
from fairseg.statistics.verdicts import Verdict

_TRIMMED = 0.2  # of each end, as Yuen (1974) did
_RESAMPLES = 20_000  # of medians


@dataclass(frozen=True, eq=False)
class Variant:
    """Another way to score, or to choose the subjects.

    Attributes:
        name: such as "median over structures", "a missed structure left out" or "without site 3".
        scores: as of `judge_page`, (N, S), with the overall score first.
        structures: names of the columns.
        rows: which subjects take part, boolean (N,); None: all.
    """

    name: str
    scores: Floats
    structures: tuple[str, ...]
    rows: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class VariantVerdict:
    """The verdict of one comparison under a variant.

    Attributes:
        variant: its name.
        attribute: name of the attribute.
        first: name of the reference group, or of the first of a pair.
        second: name of the other group.
        verdict: under the variant; NOT_JUDGED where the comparison is gone.
        flips: whether it differs from the page's.
        estimate: the overall typical case under the variant, first minus second; NaN where it is not judged.
    """

    variant: str
    attribute: str
    first: str
    second: str
    verdict: Verdict
    flips: bool
    estimate: float


def judge_variants(
    page: PageJudgement,
    variants: Sequence[Variant],
    groupings: Sequence[Grouping],
    *,
    strata: npt.ArrayLike | None = None,
) -> tuple[VariantVerdict, ...]:
    """Judge a page again under each variant, with its options and at its level.

    At the page's own level a verdict flips for the choice that is tried, not for the permutations.

    Args:
        page: as judged from its own scores.
        variants: what is tried.
        groupings: those whose comparisons are judged again.
        strata: as for the page.

    Returns:
        A verdict for each variant and comparison of these groupings.

    Raises:
        ValueError: a variant's scores are not as `judge_page` wants them.
    """
    names = {grouping.name for grouping in groupings}
    verdicts = []
    for variant in variants:
        scores = np.asarray(variant.scores, dtype=np.float64)
        rows = np.ones(len(scores), dtype=bool) if variant.rows is None else variant.rows
        judged = judge_page(
            scores[rows],
            [replace(grouping, ids=grouping.ids[rows]) for grouping in groupings],
            structures=variant.structures,
            strata=None if strata is None else np.asarray(strata)[rows],
            options=page.options,
            level=page.alpha_star,
        )
        there = {(one.attribute, one.first, one.second): one for one in judged.comparisons}
        for base in (one for one in page.comparisons if one.attribute in names):
            again = there.get((base.attribute, base.first, base.second))
            if again is None or not again.findings:
                verdicts.append(_verdict(variant.name, base, Verdict.NOT_JUDGED, np.nan))
            else:
                verdicts.append(_verdict(variant.name, base, again.verdict, again.findings[0].estimate))
    return tuple(verdicts)


def judge_centres(page: PageJudgement, overall: Floats, grouping: Grouping) -> tuple[VariantVerdict, ...]:
    """Judge a grouping again with other measures of the overall typical gap, all else as it was found.

    In place of the Hodges-Lehmann shift: the difference of means (Welch's test), of means trimmed by a fifth
    at each end (Yuen's), and of medians (binomial limits), at the level of the row that they replace.

    Args:
        page: as judged.
        overall: the overall score of each subject, (N,).
        grouping: whose comparisons are judged again.
    """
    values = np.asarray(overall, dtype=np.float64)
    numbers = {ALL_OTHERS: None, **{name: code for code, name in enumerate(grouping.group_names)}}
    verdicts = []
    for name, limits in _CENTRES.items():
        for base in (one for one in page.comparisons if one.attribute == grouping.name):
            if not base.findings:
                verdicts.append(_verdict(name, base, Verdict.NOT_JUDGED, np.nan))
                continue
            groups = members(grouping, numbers[base.first], grouping.group_names.index(base.second))
            parts = [np.sort(values[group & ~np.isnan(values)]) for group in groups]
            row = base.findings[0]
            at_level, inner = (limits(parts, level) for level in (row.level, 1 - 2 * page.options.alpha))
            verdict = _with_other_centre(base, row, at_level, inner)
            verdicts.append(_verdict(name, base, verdict, at_level.estimate))
    return tuple(verdicts)


def _with_other_centre(base: Comparison, row: Finding, at_level: Interval, inner: Interval) -> Verdict:
    """Return a comparison's verdict with other limits of one of its rows; none where these are not known."""
    if not np.isfinite([*at_level, *inner]).all():
        return Verdict.NOT_JUDGED
    if base.verdict is Verdict.FAILS:
        return base.verdict
    others = [
        one
        for one in base.reasons
        if one.kind is not ReasonKind.MARGIN
        or (one.structure, one.endpoint, one.adjusted) != (row.structure, row.endpoint, row.adjusted)
    ]
    if not others and max(-inner.low, inner.high) <= row.margin:
        return Verdict.NO_GAP
    shown = at_level.low > 0 or at_level.high < 0
    shown = shown or any(one.shown for one in base.findings if one is not row)
    return Verdict.GAP if shown else Verdict.OPEN


def _medians(parts: Sequence[Floats], level: float) -> Interval:
    joint = differences(parts, [(0, 1)], Resampling(level, _RESAMPLES, "binomial", seed=0))
    return Interval(*(float(values[0]) for values in (joint.estimate, joint.low, joint.high)))


_CENTRES: dict[str, Callable[[Sequence[Floats], float], Interval]] = {
    "difference of means": lambda parts, level: welch_limits(parts[0], parts[1], level),
    "difference of trimmed means": lambda parts, level: welch_limits(parts[0], parts[1], level, _TRIMMED),
    "difference of medians": _medians,
}


def _verdict(variant: str, base: Comparison, verdict: Verdict, estimate: float) -> VariantVerdict:
    flips = verdict is not base.verdict
    return VariantVerdict(variant, base.attribute, base.first, base.second, verdict, flips, float(estimate))


def influential_rows(overall: npt.ArrayLike, grouping: Grouping) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the subjects that a comparison may hang on: the worst of each group, and the best of each.

    No other subject moves a rank test or a share further when it is left out. Judge the page without each,
    and say so if any flips the verdict.

    Args:
        overall: scores, (N,).
        grouping: the attribute.

    >>> influential_rows([0.9, 0.1, 0.8, 0.7, 0.6], Grouping("sex", ("F", "M"), np.array([0, 0, 0, 1, 1])))
    ((1, 4), (0, 3))
    """
    values = np.asarray(overall, dtype=np.float64)
    scored = ~np.isnan(values)
    groups = (np.flatnonzero((grouping.ids == code) & scored) for code in range(len(grouping.group_names)))
    there = [group for group in groups if group.size]
    worst, best = (tuple(int(group[at(values[group])]) for group in there) for at in (np.argmin, np.argmax))
    return worst, best


def leave_out(base: Variant, rows: Sequence[int] | Integers, name: str) -> Variant:
    """Return a variant without these subjects (indices)."""
    kept = np.ones(len(base.scores), dtype=bool) if base.rows is None else base.rows.copy()
    kept[list(rows)] = False
    return replace(base, name=name, rows=kept)
