"""Does a verdict hang on a choice? The page judged again from other scores or fewer subjects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.batches import Integers
from fairseg.statistics.findings import Comparison, Grouping, PageJudgement
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.page import judge_page
from fairseg.statistics.verdicts import Verdict


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
    """Judge a page again under each variant, with the options that it was judged with.

    Args:
        page: as judged from its own scores.
        variants: what is tried.
        groupings: as for the page.
        strata: as for the page.

    Returns:
        A verdict for each variant and comparison of the page.

    Raises:
        ValueError: a variant's scores are not as `judge_page` wants them.
    """
    found = []
    for variant in variants:
        judged = _judge(variant, groupings, strata, page.options)
        there = {(one.attribute, one.first, one.second): one for one in judged.comparisons}
        for base in page.comparisons:
            again = there.get((base.attribute, base.first, base.second))
            verdict = Verdict.NOT_JUDGED if again is None else again.verdict
            found.append(
                VariantVerdict(
                    variant.name,
                    base.attribute,
                    base.first,
                    base.second,
                    verdict,
                    verdict is not base.verdict,
                    float("nan") if again is None else _estimate(again),
                )
            )
    return tuple(found)


def influential_rows(overall: npt.ArrayLike, grouping: Grouping) -> tuple[int, ...]:
    """Return the subjects that a comparison may hang on: the best and the worst of each group.

    No other subject moves a rank test or a share further when it is left out. Judge the page without each,
    and say so if any flips the verdict.

    Args:
        overall: scores, (N,).
        grouping: the attribute.

    >>> influential_rows([0.9, 0.1, 0.8, 0.7, 0.6], Grouping("sex", ("F", "M"), np.array([0, 0, 0, 1, 1])))
    (0, 1, 3, 4)
    """
    values = np.asarray(overall, dtype=np.float64)
    found: set[int] = set()
    for code in range(len(grouping.group_names)):
        own = np.flatnonzero((grouping.ids == code) & ~np.isnan(values))
        if own.size:
            found |= {int(own[np.argmin(values[own])]), int(own[np.argmax(values[own])])}
    return tuple(sorted(found))


def leave_out(base: Variant, rows: Sequence[int] | Integers, name: str) -> Variant:
    """Return a variant without these subjects (indices)."""
    kept = np.ones(len(base.scores), dtype=bool) if base.rows is None else base.rows.copy()
    kept[list(rows)] = False
    return replace(base, name=name, rows=kept)


def _judge(
    variant: Variant,
    groupings: Sequence[Grouping],
    strata: npt.ArrayLike | None,
    options: JudgeOptions,
) -> PageJudgement:
    scores = np.asarray(variant.scores, dtype=np.float64)
    rows = np.ones(len(scores), dtype=bool) if variant.rows is None else variant.rows
    return judge_page(
        scores[rows],
        [replace(grouping, ids=grouping.ids[rows]) for grouping in groupings],
        structures=variant.structures,
        strata=None if strata is None else np.asarray(strata)[rows],
        options=options,
    )


def _estimate(comparison: Comparison) -> float:
    return comparison.findings[0].estimate if comparison.findings else float("nan")
