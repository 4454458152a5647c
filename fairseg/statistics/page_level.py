"""One level over all rows of a page: from rows tested by themselves to findings that hold together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.batches import Integers, Side
from fairseg.statistics.findings import Finding, Grouping
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.permutation import Row, adjusted_p, local_level, smallest_p_values
from fairseg.statistics.row_tests import RowTest, observe, row_samples
from fairseg.statistics.verdicts import Endpoint, Verdict

Members = npt.NDArray[np.bool_]

_MOST_GROUPS_IN_PAIRS = 8
_MANY_ROWS, _MANY_SUBJECTS, _FEW_PERMUTATIONS = 1000, 50_000, 999


@dataclass(frozen=True)
class Line:
    """A finding without its numbers yet, and its row and test; None where it cannot be judged.

    Attributes:
        finding: names, sizes and the margin.
        row: what is compared.
        test: of the row by itself.
        positive_is_worse_for: the group that is worse served if the estimate is positive: 0 the first, 1 the
            second, None neither.
    """

    finding: Finding
    row: Row | None
    test: RowTest | None
    positive_is_worse_for: int | None

    def within(self, strata: tuple[Integers, ...] | None, ids: Integers) -> "Line":
        """Return the line of the same groups within strata; without any it is not judged."""
        finding = replace(self.finding, adjusted=True, value_first=np.nan, value_second=np.nan)
        row = None if strata is None or self.row is None else replace(self.row, strata=strata)
        return Line(finding, row, None if row is None else observe(row, ids), self.positive_is_worse_for)


def line_of(
    row: Row,
    grouping: Grouping,
    name: str,
    endpoint: Endpoint,
    margin: float,
    positive_is_worse_for: int | None,
    min_size: int,
) -> Line:
    """Test a row of all subjects by itself; it is not judged where a group has too few with a value."""
    first, second = row_samples(row, grouping.ids, row.strata[0])
    finding = Finding(
        grouping.name,
        name,
        endpoint,
        grouping.group_name(row.first),
        grouping.group_names[row.second],
        first.size,
        second.size,
        _centre(first, marks=row.marks),
        _centre(second, marks=row.marks),
        margin=margin,
    )
    if min(first.size, second.size) < min_size:
        return Line(finding, None, None, positive_is_worse_for)
    return Line(finding, row, observe(row, grouping.ids), positive_is_worse_for)


def _centre(values: Floats, *, marks: bool) -> float:
    """Return the median of scores, or the share of marked; NaN without values."""
    if not values.size:
        return float("nan")
    return float(values.mean() if marks else np.median(values))


@dataclass(frozen=True, eq=False)
class PageLevel:
    """What chance alone shows on a page.

    Attributes:
        smallest: the smallest p / weight of each permutation, and as observed; empty where the level is
            that of another page.
        alpha_star: the level of a row of full weight at which the page keeps alpha.
    """

    smallest: Floats
    alpha_star: float
    alpha: float

    def finding(self, line: Line) -> Finding:
        """Return a line's finding with its numbers: GAP if shown, else OPEN until the page is known."""
        if line.test is None or line.row is None:
            return line.finding
        test, weight, margin = line.test, line.row.weight, line.finding.margin
        level, source = self.alpha_star * weight, test.source()
        (estimate, low, high), equivalence = test.limits(source, level, 2 * self.alpha)
        shown = test.decisive_p <= level
        inside = max(-equivalence.low, equivalence.high) <= margin
        times = 1.0 if inside else source.times_to_settle(margin, self.alpha) if margin > 0 else np.nan
        worse = None
        if estimate and line.positive_is_worse_for is not None:
            names = line.finding.first, line.finding.second
            worse = names[line.positive_is_worse_for if estimate > 0 else 1 - line.positive_is_worse_for]
        return replace(
            line.finding,
            estimate=estimate,
            low=low,
            high=high,
            level=1.0 - level,
            p=test.p if line.row.marks else test.decisive_p,
            p_adjusted=adjusted_p(self.smallest, test.decisive_p, weight) if self.smallest.size else np.nan,
            shown=shown,
            equivalence_low=equivalence.low,
            equivalence_high=equivalence.high,
            inside=inside,
            effect=test.effect,
            worse=worse,
            times_subjects=times,
            verdict=Verdict.GAP if shown else Verdict.OPEN,
        )


def page_level(
    lines: Sequence[Line],
    groupings: Sequence[Grouping],
    options: JudgeOptions,
    blocks: Sequence[Integers] | None = None,
) -> PageLevel:
    """Find the level of the rows of a page.

    Rows within strata are dealt by themselves, as if independent of the others: since the smallest of two
    related p-values is seldom as small as that of two independent ones, the page keeps its level.

    Args:
        lines: all of the page.
        groupings: its attributes.
        options: alpha, permutations and seed. More than 1,000 rows, or 50,000 subjects, have 999
            permutations at most.
        blocks: the subjects (indices) of each stratum, if there are lines within strata.
    """
    tested = [line for line in lines if line.row is not None]
    many = len(tested) > _MANY_ROWS or len(groupings[0].ids) > _MANY_SUBJECTS
    deals = min(options.permutations, _FEW_PERMUTATIONS) if many else options.permutations
    smallest = np.full(deals, np.inf)
    for adjusted in (False, True):
        rows = [line.row for line in tested if line.row is not None and line.finding.adjusted == adjusted]
        if rows:
            of_rows = smallest_p_values(
                rows,
                [grouping.ids for grouping in groupings],
                permutations=deals,
                seed=(options.seed, int(adjusted)),
                blocks=blocks if adjusted else None,
            )
            np.minimum(smallest, of_rows, out=smallest)
    observed = [line.test.decisive_p / line.row.weight for line in tested if line.test and line.row]
    smallest = np.append(smallest, min(observed, default=np.inf))
    return PageLevel(smallest, local_level(smallest, options.alpha), options.alpha)


def pairs_to_compare(grouping: Grouping, judged: Sequence[bool]) -> list[tuple[Side, int]]:
    """Return the groups to compare, first None for all others.

    With the reference if there is one, else in pairs, and above 8 judged groups each with all others: 500
    groups would have 125,000 pairs. A group that is too small stands beside the reference or all others.

    Args:
        grouping: the attribute.
        judged: whether each group is large enough.
    """
    present = np.unique(grouping.ids[grouping.ids >= 0]).tolist()
    if (reference := grouping.reference) is not None:
        return [(reference, code) for code in present if code != reference]
    large = [code for code in present if judged[code]]
    if len(large) > _MOST_GROUPS_IN_PAIRS:
        return [(None, code) for code in present]
    return [*combinations(large, 2), *((None, code) for code in present if code not in large)]


def members(grouping: Grouping, first: Side, second: int) -> tuple[Members, Members]:
    """Return who is in the first and in the second group, boolean (N,) each."""
    others = (grouping.ids >= 0) & (grouping.ids != second)
    return others if first is None else grouping.ids == first, grouping.ids == second
