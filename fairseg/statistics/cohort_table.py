"""Who the subjects are: the cohort by group, as Tables 1 to 3 of Lee et al. 2025.

Groups that differ in age or body size may differ in Dice for that reason; this table shows where to look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.attributes import Attribute, Subjects, attribute_names, read_subjects
from fairseg.cohort.columns import is_attribute
from fairseg.cohort.groups import Groups
from fairseg.cohort.reading import as_table
from fairseg.cohort.table import is_skipped
from fairseg.io.sentences import counted, listed
from fairseg.statistics.association import count_test, mean_test, standardised_difference

ALL = "All"
UNKNOWN = "unknown"
_COLUMNS = [
    *("attribute", "kind", "level", "group", "name"),
    *("n", "count", "share", "mean", "sd", "smd", "p", "test"),
]


@dataclass(frozen=True, eq=False)
class CohortTable:
    """The subjects by group.

    Attributes:
        table: one row per line and group, for `fairseg.report.cohort_table` to lay out: first the groups,
            then "All" of them together, and if there are any, the subjects of unknown group. Columns:

            - attribute ("" for the number of subjects); kind: "subjects", "mean", "level" or "missing" (only
                where a value is missing); level
            - group: its id, Int64, -1 unknown, NA for all; name
            - n: subjects, of "mean" and "level" those with a known value
            - count: of n, Int64; share: count / n, NaN if n is 0 (both of "level" and "missing")
            - mean, sd (n - 1 in the denominator; NaN for fewer than 2 subjects)
            - smd: of the attribute, from `standardised_difference`; NaN where there is none, and of "missing"
            - p and test: of the attribute; NaN and "" where none was made
        notes: what was left out or not tested, and why.
    """

    table: pd.DataFrame
    notes: list[str]


def cohort_table(
    table: pd.DataFrame | Mapping[str, Sequence[Any]], groups: Groups, columns: Sequence[str] | None = None
) -> CohortTable:
    """Describe the subjects of each group: their number, and the mean or the counts of each attribute.

    The unit is the subject, not the case: a subject's value is that of its cases. An attribute on which the
    cases of a subject disagree (the frame ED or ES) belongs to cases and is left out, and so is one that
    names subjects (more than 6 levels of fewer than 2 subjects each). Numbers of more than 6 distinct values,
    or of more than 2 fractional ones, have a mean and a standard deviation, everything else counts of its
    levels; see `read_attribute`.

    Means are tested with Welch's t-test or, of more than two groups, Welch's ANOVA; counts with the
    chi-squared test or an exact one (`count_test`). The p-values are not corrected for several attributes.
    Attributes that define the groups are neither tested nor have an SMD; nothing is tested if a subject is in
    several groups.
    Subjects of unknown group have numbers of their own but are in no test, and not in "All".

    Args:
        table: a cohort (`read_cohort`) or a scores table: one or more rows a case, with the columns `subject`
            or `case` and the attributes. Cases that were skipped when they were scored take no part.
        groups: made with `Groups.from_table` from its attributes.
        columns: the attributes to show, in this order; `None`: all of them, as the table has them.

    Raises:
        ValueError: it is no table, or names no subjects; an attribute is not in it, or is none.

    >>> cohort = {
    ...     "subject": ["a", "a", "b", "c", "d"],
    ...     "frame": ["ED", "ES", "ED", "ED", "ED"],
    ...     "sex": ["F", "F", "M", "M", "F"],
    ...     "kg": ["61.5", "61.5", "80.2", "70.4", "66.1"],
    ... }
    >>> shown = cohort_table(cohort, Groups.from_table(cohort, by="sex"), columns=["frame", "kg"])
    >>> shown.table[["attribute", "kind", "name", "n", "mean", "sd"]].round(2)
      attribute      kind name  n   mean    sd
    0            subjects    F  2    NaN   NaN
    1            subjects    M  2    NaN   NaN
    2            subjects  All  4    NaN   NaN
    3        kg      mean    F  2  63.80  3.25
    4        kg      mean    M  2  75.30  6.93
    5        kg      mean  All  4  69.55  7.98
    >>> shown.notes
    ['frame: left out, it differs between the cases of 1 of 4 subjects (a)']
    """
    frame = as_table(table)
    if not isinstance(groups, Groups):
        raise ValueError(f"groups must be Groups, as from Groups.from_table, got {type(groups).__name__}")
    frame = frame[~is_skipped(frame)]
    subjects = read_subjects(frame, groups.encode(frame), len(groups))
    chosen = attribute_names(frame) if columns is None else _checked(frame, columns)
    parts = _parts(subjects, groups)
    notes = []
    if shared := subjects.shared:
        are = "is" if len(shared) == 1 else "are"
        notes.append(
            f"no tests: {counted(len(shared), 'subject')} {are} in more than one group: {listed(shared)}"
        )
    rows = [{"kind": "subjects", **part.head, "n": part.index.size} for part in parts]
    for name in chosen:
        attribute, disagree = subjects.attribute(frame, name)
        if why := _why_not(attribute, disagree, len(subjects.names)):
            notes.append(f"{name}: left out, {why}")
            continue
        known = [part.index[attribute.known[part.index]] for part in parts]
        figures = [_figures(attribute, index) for index in known]
        about: dict[str, Any] = {"attribute": name}
        if name not in groups.attributes:
            of_groups = [figures[column] for column, part in enumerate(parts) if part.is_group]
            about["smd"] = standardised_difference(of_groups, means=attribute.numbers is not None)
            if not shared:
                about["p"], about["test"] = _test(attribute, parts, known, notes)
        rows += _lines(attribute, parts, known, figures, about)
    return CohortTable(
        pd.DataFrame(rows, columns=_COLUMNS).astype({"group": "Int64", "count": "Int64"}), notes
    )


@dataclass(frozen=True)
class _Part:
    """A column of the table: the id (NA for all) and name of its group, and the indices of its subjects."""

    group: Any
    name: str
    index: npt.NDArray[np.int64]

    @property
    def head(self) -> dict[str, Any]:
        return {"attribute": "", "level": "", "group": self.group, "name": self.name, "test": ""}

    @property
    def is_group(self) -> bool:
        return self.group is not pd.NA and self.group >= 0


def _checked(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    if isinstance(columns, str):
        raise ValueError(f"columns must be a sequence of attributes, such as [{columns!r}], got {columns!r}")
    for name in columns:
        if name not in table:
            has = ", ".join(map(str, attribute_names(table)))
            raise ValueError(f"columns must be attributes of the table, which has {has}, got {name!r}")
        if not is_attribute(name):
            raise ValueError(f"columns must be attributes of subjects, got {name!r}, which is none")
    return list(columns)


def _parts(subjects: Subjects, groups: Groups) -> list[_Part]:
    members, group = subjects.members.T
    parts = [_Part(number, name, members[group == number]) for number, name in enumerate(groups.names)]
    parts.append(_Part(pd.NA, ALL, np.unique(members[group >= 0])))
    if (group < 0).any():
        parts.append(_Part(-1, UNKNOWN, members[group < 0]))
    return parts


def _why_not(attribute: Attribute, disagree: Sequence[str], number: int) -> str:
    if disagree:
        differs = "it differs between the cases of"
        return f"{differs} {len(disagree)} of {counted(number, 'subject')} ({listed(disagree)})"
    if not attribute.known.any():
        return "no subject has a value"
    if attribute.kind == "identifier" and attribute.strays:
        return f"most of its values are numbers, but not {listed(attribute.strays)}"
    if attribute.kind == "identifier":
        return f"{len(attribute.levels)} levels of {counted(int(attribute.known.sum()), 'subject')} are names"
    return ""


def _figures(attribute: Attribute, index: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the mean and standard deviation of subjects, or their share of each level."""
    if attribute.numbers is not None:
        values = attribute.numbers[index]
        mean, sd = values.mean() if values.size else np.nan, values.std(ddof=1) if values.size > 1 else np.nan
        return np.array([mean, sd])
    counts = _counts(attribute, index)
    return counts / index.size if index.size else np.full(counts.size, np.nan)


def _counts(attribute: Attribute, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.bincount(attribute.codes[index], minlength=len(attribute.levels))


def _test(
    attribute: Attribute, parts: Sequence[_Part], known: Sequence[npt.NDArray[np.int64]], notes: list[str]
) -> tuple[float, str]:
    groups = {part.name: index for part, index in zip(parts, known, strict=True) if part.is_group}
    if attribute.numbers is None:
        return count_test(np.stack([_counts(attribute, index) for index in groups.values()], axis=1))
    p, test = mean_test([attribute.numbers[index] for index in groups.values()])
    single = [name for name, index in groups.items() if index.size == 1]
    if test and single:
        notes.append(f"{attribute.name}: not in the test, with one value only: {listed(single)}")
    return p, test


def _lines(
    attribute: Attribute,
    parts: Sequence[_Part],
    known: Sequence[npt.NDArray[np.int64]],
    figures: Sequence[npt.NDArray[np.float64]],
    about: Mapping[str, Any],
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if attribute.numbers is not None:
        for part, index, (mean, sd) in zip(parts, known, figures, strict=True):
            rows.append({**part.head, **about, "kind": "mean", "n": index.size, "mean": mean, "sd": sd})
    for code, level in enumerate(attribute.levels):
        for part, index in zip(parts, known, strict=True):
            count = int((attribute.codes[index] == code).sum())
            rows.append({**part.head, **about, "kind": "level", "level": level, **_share(count, index.size)})
    if not attribute.known[np.concatenate([part.index for part in parts])].all():
        for part, index in zip(parts, known, strict=True):
            missing = _share(part.index.size - index.size, part.index.size)
            rows.append({**part.head, "attribute": attribute.name, "kind": "missing", **missing})
    return rows


def _share(count: int, n: int) -> dict[str, Any]:
    return {"n": n, "count": count, "share": count / n if n else np.nan}
