"""Findings on a table of cases: names that look alike, odd cells, groups, and parts of a split."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairseg.checking.findings import CheckFinding, Severity, finding, refusal
from fairseg.cohort.attributes import attribute_names, check_attributes, read_attribute, read_subjects
from fairseg.cohort.groups import Groups
from fairseg.cohort.levels import alike, na_options, perhaps_missing
from fairseg.cohort.reading import CleanTable

_MANY = 0.1  # of the subjects, of unknown group
LEAST = 10  # subjects that a group needs in an audit, by default
_PARTS = (
    frozenset(("train", "training", "tr")),
    frozenset(("val", "valid", "validation", "dev", "tuning")),
    frozenset(("test", "testing", "ts", "holdout", "hold-out", "held-out")),
)
_FOLDS = ("fold", "folds")
_Row = tuple[Any, ...]  # of a table of groups or of numbers


def cell_findings(read: CleanTable) -> list[CheckFinding]:
    """Return the findings on cells that the reader of a table changed."""
    findings: list[CheckFinding] = []
    for column, cells in read.odd.items():
        findings += finding("odd_cells", Severity.WARNING, column, cells)
    for change in read.changes:
        findings += finding("read_otherwise", Severity.NOTE, read.where, [change], reason=change)
    return findings


def parts_column(table: pd.DataFrame) -> str | None:
    """Return the column that splits subjects into training and test, or folds; None if there is none.

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
) -> tuple[list[CheckFinding], pd.DataFrame, pd.DataFrame]:
    """Return the findings on a table, the sizes of its groups, and its numbers.

    Args:
        table: as from `read_cohort`: case, subject, attributes.
        by: attributes that groups will be made of; with others the check is more lenient.
        bins: attribute -> edges.
        part_of: case -> part of a split; empty if there is none.
        parts: the column or file with these parts.
        files: cases that have files, where files are checked: groups are of those rows.

    Returns:
        Findings; groups, with the columns attribute, group, part, subjects, cases; numbers, with the columns
        attribute, known, least, median, most.
    """
    findings: list[CheckFinding] = []
    for names in alike(table["subject"].unique(), initials=False):
        findings += finding("alike", Severity.WARNING, "subject", names)
    of_part = [part_of.get(case, "") for case in table["case"]]
    findings += leaks(table["subject"], of_part, parts)
    table = with_files(table, files)
    of_part = [part_of.get(case, "") for case in table["case"]]
    sizes: list[_Row] = []
    numbers: list[_Row] = []
    chosen: tuple[str, ...] = ()
    for name in dict.fromkeys(by):
        try:
            check_attributes([name], table, "the table")
            chosen += (name,)
        except ValueError as error:
            findings += refusal(name, error)
    for name in attribute_names(table):
        more, counted, measured = _attribute(
            table, str(name), chosen=chosen == (name,), bins=bins, of_part=of_part
        )
        if str(name) != parts:
            findings, sizes, numbers = findings + more, sizes + counted, numbers + measured
    if len(chosen) > 1:
        more, counted = _groups(table, chosen, chosen=True, bins=bins, of_part=of_part)
        findings, sizes = findings + more, sizes + counted
    return (
        findings,
        pd.DataFrame(sizes, columns=["attribute", "group", "part", "subjects", "cases"]),
        pd.DataFrame(numbers, columns=["attribute", "known", "least", "median", "most"]),
    )


def with_files(table: pd.DataFrame, files: Collection[str] | None) -> pd.DataFrame:
    """Return the rows that have files; all rows if none has, or if no files are checked."""
    rows = table if files is None else table[table["case"].isin(list(files))]
    return table if rows.empty else rows


def leaks(subjects: Iterable[str], of_part: Sequence[str], where: str) -> list[CheckFinding]:
    """Return the subjects that are in more than one part of a split."""
    homes: dict[str, dict[str, None]] = {}
    for subject, part in zip(subjects, of_part, strict=True):
        if part:
            homes.setdefault(subject, {})[part] = None
    both = [f"{subject} ({', '.join(parts)})" for subject, parts in homes.items() if len(parts) > 1]
    return finding("several_parts", Severity.ERROR, where, both)


def _attribute(
    table: pd.DataFrame,
    name: str,
    *,
    chosen: bool,
    bins: Mapping[str, Sequence[float]],
    of_part: Sequence[str],
) -> tuple[list[CheckFinding], list[_Row], list[_Row]]:
    column = table.drop_duplicates(["subject", name])[name]
    read = read_attribute(name, column)
    measured: list[_Row] = []
    if read.numbers is not None:
        present = read.numbers[~np.isnan(read.numbers)]
        figures = (present.size, present.min(), np.median(present), present.max())
        measured = [(name, *figures)]
        if not chosen and name not in bins:
            return [], [], measured
    findings: list[CheckFinding] = []
    if read.numbers is None:
        unsaid = perhaps_missing(read.levels)
        findings += finding("perhaps_missing", Severity.WARNING, name, unsaid, option=na_options(unsaid))
        for names in alike(read.levels):
            findings += finding("alike", Severity.WARNING, name, names)
    if read.kind == "identifier" and not chosen:
        note = CheckFinding("identifier", Severity.NOTE, name, facts={"levels": len(read.levels)})
        return [*findings, note], [], measured
    more, sizes = _groups(table, (name,), chosen=chosen, bins=bins, of_part=of_part)
    return findings + more, sizes, measured


def _groups(
    table: pd.DataFrame,
    names: tuple[str, ...],
    *,
    chosen: bool,
    bins: Mapping[str, Sequence[float]],
    of_part: Sequence[str],
) -> tuple[list[CheckFinding], list[_Row]]:
    """Return findings on the groups that attributes make, and the sizes of the groups in each part."""
    title = " x ".join(names)
    try:
        groups = Groups.from_table(table, by=names, bins={name: bins[name] for name in names if name in bins})
    except ValueError as error:
        return refusal(title, error, Severity.ERROR if chosen else Severity.NOTE), []
    ids = groups.encode(table)
    subjects = read_subjects(table, ids, len(groups))
    findings: list[CheckFinding] = []
    several = table.groupby("subject")["case"].nunique().gt(1).sum()
    # An attribute that differs within most subjects is of images, as a phase is.
    if subjects.shared and (chosen or 2 * len(subjects.shared) <= several):
        findings += finding("several_groups", Severity.WARNING, title, subjects.shared)
    unknown = [subjects.names[subject] for subject, group in subjects.members if group < 0]
    if unknown:
        many = chosen and len(unknown) > _MANY * len(subjects.names)
        severity = Severity.WARNING if many else Severity.NOTE
        findings += finding("unknown_group", severity, title, unknown, subjects=len(subjects.names))
    rows = pd.DataFrame({"group": ids, "part": of_part, "subject": table["subject"], "case": table["case"]})
    parts = [part for part in dict.fromkeys(of_part) if part]
    names_of = groups.short_names
    sizes, small, absent = [], [], []
    for group, name in enumerate(names_of):
        in_group = rows[rows["group"] == group]
        for part in ("", *parts):
            in_part = in_group[in_group["part"] == part] if part else in_group
            number = in_part["subject"].nunique()
            sizes.append((title, name, part, number, in_part["case"].nunique()))
            if part and not number:
                absent.append(f"{name} in {part}")
        if in_group["subject"].nunique() < LEAST:
            small.append(f"{name} ({in_group['subject'].nunique()})")
    findings += finding("small_groups", Severity.WARNING if chosen else Severity.NOTE, title, small)
    if len(parts) > 1:
        findings += finding("absent_in_part", Severity.WARNING if chosen else Severity.NOTE, title, absent)
    return findings, sizes
