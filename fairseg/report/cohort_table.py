"""The cohort by group as a table: Tables 1 to 3 of Lee et al. 2025, with standardised differences."""

from collections.abc import Iterable
from itertools import groupby
from math import floor, isinf, isnan, log10, nan
from operator import itemgetter
from typing import Any

from fairseg.cohort.groups import Groups
from fairseg.report import numbers
from fairseg.report.tables import Cell, Heading, Table
from fairseg.report.templates import say
from fairseg.statistics.cohort_table import CohortTable

CAPTION = "Subjects by group"
_MOST_DECIMALS = 6
_Row = dict[Any, Any]  # of the table of a `CohortTable`


def cohort_page_table(cohort: CohortTable) -> Table:
    """Lay a `cohort_table` out: one row a line, one column a group, and last SMD and p.

    A mean has its standard deviation beside it, both with one decimal or as many as show two digits of the
    latter. Counts of levels and of missing values have a percentage: of the subjects, or for levels of those
    with a known value. SMD and p of an attribute stand in its first row.

    Args:
        cohort: from `cohort_table`.

    Returns:
        Rows: "n subjects", then such as "age", "sex=F", "age: missing"; columns: the groups, "All",
        "unknown" if there are such subjects, "SMD" (`smd` of `CohortTable`; an infinite one as its sign) and
        "p".

    >>> from fairseg import Groups
    >>> from fairseg.statistics.cohort_table import cohort_table
    >>> cohort = {"case": ["a", "b", "c", "d"], "sex": ["F", "M", "M", "F"], "kg": [61.5, 80.2, 70.4, 66.1]}
    >>> shown = cohort_table(cohort, Groups.from_table(cohort, by="sex"), columns=["kg"])
    >>> cohort_page_table(shown).to_frame().loc[["kg"]]
                 F           M         All   SMD     p
    kg  63.8 (3.3)  75.3 (6.9)  69.5 (8.0)  2.12  0.22
    """
    records = cohort.table.to_dict("records")
    rows = []
    last = None
    # One row of the page has one of the table for each group.
    about = itemgetter("attribute", "kind", "level")
    for (attribute, kind, level), of_groups in groupby(records, about):
        line = list(of_groups)
        is_first = attribute != last
        smd, p = (line[0]["smd"], line[0]["p"]) if is_first else (nan, nan)
        css = " ".join(name for name, has in (("count", kind == "missing"), ("rule", is_first)) if has)
        detail = {"mean": "", "level": f"={level}", "missing": ": missing"}
        name = "n subjects" if kind == "subjects" else attribute + detail[kind]
        comparison = Cell(smd, kind="hundredth"), Cell(p, kind="p")
        rows.append((Heading(name, css), *_values(kind, line), *comparison))
        last = attribute
    columns = [*(row["name"] for row in records if row["kind"] == "subjects"), "SMD", "p"]
    note = say(
        "about_cohort",
        kinds={row["kind"] for row in records},
        apart=any(isinf(row["smd"]) for row in records),
        tests=sorted({row["test"] for row in records} - {""}),
        notes=cohort.notes,
    )
    return Table.of(CAPTION, columns, rows, corner="Attribute", note=note, tall=len(columns) > 7)


def _values(kind: str, line: list[_Row]) -> list[str]:
    if kind == "subjects":
        return [str(row["n"]) for row in line]
    if kind == "mean":
        decimals = _decimals(line)
        return [_mean(row["mean"], row["sd"], decimals) for row in line]
    return [
        numbers.NONE if isnan(row["share"]) else f"{row['count']} ({numbers.percent(row['share'])})"
        for row in line
    ]


def _decimals(line: list[_Row]) -> int:
    """Return how many decimals show two digits of the largest standard deviation, at least one."""
    scale = _largest(row["sd"] for row in line) or _largest(abs(row["mean"]) for row in line)
    return min(max(1, 1 - floor(log10(scale))), _MOST_DECIMALS) if scale else 1


def _largest(values: Iterable[float]) -> float:
    return max((value for value in values if not isnan(value)), default=0.0)


def _mean(mean: float, spread: float, decimals: int) -> str:
    if isnan(mean):
        return numbers.NONE
    return f"{numbers.number(mean, decimals)} ({numbers.number(spread, decimals)})"


def parts_table(groups: Groups, counts: list[int]) -> Table:
    """Return a table that explains the short names of intersections, with numbers of subjects."""
    rows = [
        (name, *cell, Cell(count, kind="count"))
        for name, cell, count in zip(groups.short_names, groups.cells, counts, strict=True)
    ]
    return Table.of("Groups and their parts", [*groups.attributes, "Subjects"], rows, corner="Group")
