"""What is wrong with a table of cases: names that look alike, odd cells, groups, and who is in which part."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairseg.checking.findings import Finding, Severity, found, refused
from fairseg.cohort.attributes import attribute_names, check_attributes, read_attribute, read_subjects
from fairseg.cohort.groups import Groups
from fairseg.cohort.levels import alike, perhaps_missing, said_missing
from fairseg.cohort.reading import CleanTable
from fairseg.cohort.short_names import short_names

_MANY = 0.1  # of the subjects, of unknown group
LEAST = 10  # subjects that an audit judges a group by, unless it is told otherwise
_PARTS = (
    frozenset(("train", "training", "tr")),
    frozenset(("val", "valid", "validation", "dev", "tuning")),
    frozenset(("test", "testing", "ts", "holdout", "hold-out", "held-out")),
)
_FOLDS = ("fold", "folds")


def cell_findings(read: CleanTable) -> list[Finding]:
    """Return what the reader of a table took otherwise than it stands there."""
    findings: list[Finding] = []
    for column, cells in read.odd.items():
        findings += found("odd_cells", Severity.WARNING, column, cells)
    for change in read.changes:
        findings += found("read_otherwise", Severity.NOTE, read.where, [change], reason=change)
    return findings


def parts_column(table: pd.DataFrame) -> str | None:
    """Return the column that says who trains and who is tested, or in which fold; None if there is none.

    >>> parts_column(pd.DataFrame({"sex": ["F", "M"], "set": ["train", "Test"]}))
    'set'
    """
    words = frozenset().union(*_PARTS)
    for name in attribute_names(table):
        levels = {str(level).casefold() for level in table[name].dropna().unique()}
        if len(levels) > 1 and (levels <= words or str(name).casefold() in _FOLDS):
            return str(name)
    return None


def table_findings(
    table: pd.DataFrame,
    by: Sequence[str],
    bins: Mapping[str, Sequence[float]],
    part_of: Mapping[str, str],
    parts: str = "",
    files: Collection[str] | None = None,
) -> tuple[list[Finding], pd.DataFrame, pd.DataFrame]:
    """Return what is to be known of a table, the sizes of its groups, and its numbers.

    Args:
        table: as from `read_cohort`: case, subject, attributes.
        by: attributes that groups will be made of; others are looked at more leniently.
        bins: attribute -> edges.
        part_of: case -> part of a split; empty if there is none.
        parts: the column or file that says so.
        files: cases that there are files of, where files are looked at: groups are of those rows.

    Returns:
        Findings; groups, with the columns attribute, group, part, subjects, cases; numbers, with the columns
        attribute, known, least, median, most.
    """
    findings: list[Finding] = []
    for names in alike(table["subject"].unique(), initials=False):
        findings += found("alike", Severity.WARNING, "subject", names)
    of_part = [part_of.get(case, "") for case in table["case"]]
    findings += leaks(table["subject"], of_part, parts)
    table = with_files(table, files)
    of_part = [part_of.get(case, "") for case in table["case"]]
    sizes: list[dict[str, Any]] = []
    numbers: list[dict[str, Any]] = []
    asked: tuple[str, ...] = ()
    for name in dict.fromkeys(by):
        try:
            check_attributes([name], table, "the table")
            asked += (name,)
        except ValueError as error:
            findings += refused(name, error)
    for name in attribute_names(table):
        own, counted, measured = _attribute(
            table, str(name), asked=asked == (name,), bins=bins, of_part=of_part
        )
        if str(name) != parts:
            findings, sizes, numbers = findings + own, sizes + counted, numbers + measured
    if len(asked) > 1:
        own, counted = _groups(table, asked, asked=True, bins=bins, of_part=of_part)
        findings, sizes = findings + own, sizes + counted
    return (
        findings,
        pd.DataFrame(sizes, columns=["attribute", "group", "part", "subjects", "cases"]),
        pd.DataFrame(numbers, columns=["attribute", "known", "least", "median", "most"]),
    )


def with_files(table: pd.DataFrame, files: Collection[str] | None) -> pd.DataFrame:
    """Return the rows that there are files of; all where none is, or where no files are looked at."""
    rows = table if files is None else table[table["case"].isin(list(files))]
    return table if rows.empty else rows


def leaks(subjects: Iterable[str], of_part: Sequence[str], where: str) -> list[Finding]:
    """Return the subjects that are in more than one part of a split."""
    homes: dict[str, dict[str, None]] = {}
    for subject, part in zip(subjects, of_part, strict=True):
        if part:
            homes.setdefault(subject, {})[part] = None
    both = [f"{subject} ({', '.join(parts)})" for subject, parts in homes.items() if len(parts) > 1]
    return found("several_parts", Severity.ERROR, where, both)


def _attribute(
    table: pd.DataFrame,
    name: str,
    *,
    asked: bool,
    bins: Mapping[str, Sequence[float]],
    of_part: Sequence[str],
) -> tuple[list[Finding], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return findings on one attribute, the sizes of its groups, and its numbers."""
    one = table.drop_duplicates(["subject", name])[name]
    read = read_attribute(name, one)
    measured: list[dict[str, Any]] = []
    if read.numbers is not None:
        known = read.numbers[~np.isnan(read.numbers)]
        figures = (known.size, known.min(), np.median(known), known.max())
        measured = [
            dict(zip(("attribute", "known", "least", "median", "most"), (name, *figures), strict=True))
        ]
        if not asked and name not in bins:
            return [], [], measured
    findings: list[Finding] = []
    if read.numbers is None:
        unsaid = perhaps_missing(read.levels)
        findings += found("perhaps_missing", Severity.WARNING, name, unsaid, option=said_missing(unsaid))
        for names in alike(read.levels):
            findings += found("alike", Severity.WARNING, name, names)
    if read.kind == "identifier" and not asked:
        note = Finding("identifier", Severity.NOTE, name, facts={"levels": len(read.levels)})
        return [*findings, note], [], measured
    more, sizes = _groups(table, (name,), asked=asked, bins=bins, of_part=of_part)
    return findings + more, sizes, measured


def _groups(
    table: pd.DataFrame,
    names: tuple[str, ...],
    *,
    asked: bool,
    bins: Mapping[str, Sequence[float]],
    of_part: Sequence[str],
) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Return findings on the groups that attributes make, and the sizes of the groups in each part."""
    called = " x ".join(names)
    try:
        groups = Groups.from_table(table, by=names, bins={name: bins[name] for name in names if name in bins})
    except ValueError as error:
        return refused(called, error, Severity.ERROR if asked else Severity.NOTE), []
    ids = groups.encode(table)
    subjects = read_subjects(table, ids, len(groups))
    findings: list[Finding] = []
    several = table.groupby("subject")["case"].nunique().gt(1).sum()
    if subjects.shared and (
        asked or 2 * len(subjects.shared) <= several
    ):  # else it is of images, as a phase is
        findings += found("several_groups", Severity.WARNING, called, subjects.shared)
    unknown = [subjects.names[place] for place, group in subjects.members if group < 0]
    if unknown:
        many = asked and len(unknown) > _MANY * len(subjects.names)
        severity = Severity.WARNING if many else Severity.NOTE
        findings += found("unknown_group", severity, called, unknown, subjects=len(subjects.names))
    rows = pd.DataFrame({"group": ids, "part": of_part, "subject": table["subject"], "case": table["case"]})
    parts = [part for part in dict.fromkeys(of_part) if part]
    names_of = short_names(groups)
    sizes, small, absent = [], [], []
    for group, name in enumerate(names_of):
        mine = rows[rows["group"] == group]
        for part in ("", *parts):
            own = mine[mine["part"] == part] if part else mine
            number = own["subject"].nunique()
            about = (called, name, part, number, own["case"].nunique())
            sizes.append(dict(zip(("attribute", "group", "part", "subjects", "cases"), about, strict=True)))
            if part and not number:
                absent.append(f"{name} in {part}")
        if mine["subject"].nunique() < LEAST:
            small.append(f"{name} ({mine['subject'].nunique()})")
    findings += found("small_groups", Severity.WARNING if asked else Severity.NOTE, called, small)
    if len(parts) > 1:
        findings += found("absent_in_part", Severity.WARNING if asked else Severity.NOTE, called, absent)
    return findings, sizes
