"""Attributes of subjects, read from a table of cases: one value a subject, a number or a level."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.columns import is_attribute
from fairseg.cohort.groups import levels_of
from fairseg.cohort.levels import FEW_LEVELS, as_float, cell_text, is_missing, is_number, level_text
from fairseg.cohort.reading import as_table
from fairseg.io.cells import cells_of, each
from fairseg.io.sentences import listed, no_attribute

_MOST_FRACTIONS = 2  # as in Groups: field strengths of 1.5 and 3 are levels


@dataclass(frozen=True)
class Attribute:
    """One attribute, one value a subject.

    Attributes:
        name: of the column.
        numbers: the value of each subject, float64 (N,), NaN where missing; `None` if it is categorical.
        codes: index of each subject's level (of each distinct number if it is numeric), int64 (N,); -1
            where missing.
        levels: the levels in the order of `Groups`; empty if it is numeric.
    """

    name: str
    numbers: npt.NDArray[np.float64] | None
    codes: npt.NDArray[np.int64]
    levels: tuple[str, ...]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Whether each subject's value is known, bool (N,)."""
        return self.codes >= 0

    @property
    def kind(self) -> Literal["numeric", "categorical", "identifier"]:
        """Numeric, categorical, or a text so varied that it names subjects rather than kinds of them.

        An identifier has more than 6 levels, of fewer than 2 subjects each on average.
        """
        if self.numbers is not None:
            return "numeric"
        members = int(self.known.sum())
        many = len(self.levels) > FEW_LEVELS and members < 2 * len(self.levels)
        return "identifier" if many else "categorical"

    @property
    def strays(self) -> list[str]:
        """Levels that are no numbers, where most are: perhaps a slip in a numeric column."""
        not_numbers = [level for level in self.levels if not is_number(level)]
        return not_numbers if 2 * len(not_numbers) < len(self.levels) else []


def read_attribute(name: str, values: "Sequence[Any] | pd.Series[Any]") -> Attribute:
    """Read one column, and decide whether it is numeric.

    Tables read from files hold numbers as text, so the values decide and not the type of the column: it is
    numeric if every known value is a finite number (True and False are none) and there are more than 6
    distinct ones, or more than 2 fractional ones. So ages and weights are numeric; a sex coded as 0 and 1, a
    stage from 1 to 4 and field strengths of 1.5 and 3 are levels. Codes of more than 6 numbers must be
    written as text, such as site-7.

    Args:
        name: of the attribute.
        values: one a subject, (N,); `None`, NaN and blanks are missing, as in `Groups`.

    >>> read_attribute("age", ["41", "57", "63", "", "70", "71", "75", "80"]).numbers
    array([41., 57., 63., nan, 70., 71., 75., 80.])
    >>> read_attribute("sex", ["M", None, "F"])
    Attribute(name='sex', numbers=None, codes=array([ 1, -1,  0]), levels=('F', 'M'))
    """
    cells = cells_of(values)
    missing = np.array(each(is_missing, cells), dtype=bool)
    if missing.all():
        return Attribute(name, None, np.full(len(values), -1, dtype=np.int64), ())
    numbers = np.array(each(as_float, cells), dtype=np.float64)
    numbers[np.isinf(numbers)] = np.nan
    distinct = np.unique(numbers[~missing])  # all NaN are one
    fractions = int((distinct % 1 != 0).sum())
    if not np.isnan(distinct).any() and (distinct.size > FEW_LEVELS or fractions > _MOST_FRACTIONS):
        codes = np.where(missing, -1, np.searchsorted(distinct, np.where(missing, distinct[0], numbers)))
        return Attribute(name, numbers, codes.astype(np.int64), ())
    text, levels = levels_of(values)
    code_of = {level: code for code, level in enumerate(levels)} | {None: -1}
    return Attribute(name, None, np.array([code_of[level] for level in text], dtype=np.int64), levels)


@dataclass(frozen=True)
class Subjects:
    """The subjects of a table of cases, in the order in which they occur.

    Attributes:
        names: of the subjects, (S,).
        rows: index of each row's subject, int64 (N,).
        members: who belongs to which group, int64 (P, 2): index of the subject, id of the group. One row a
            subject, or several if its cases are of several groups; -1 only for subjects without any
            known group.
    """

    names: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    members: npt.NDArray[np.int64]

    @property
    def shared(self) -> list[str]:
        """Subjects in more than one group, which break the independence that tests ask for."""
        num_groups = np.bincount(self.members[:, 0], minlength=len(self.names))
        return [self.names[index] for index in np.flatnonzero(num_groups > 1)]

    def attribute(self, table: pd.DataFrame, name: str) -> tuple[Attribute, list[str]]:
        """Read an attribute of the subjects from that of their cases.

        A subject's value is that of its cases which have one.

        Args:
            table: the table that these subjects are from.
            name: of a column.

        Returns:
            The attribute, one value a subject; and the subjects whose cases disagree, of which each has
            one of its values here.
        """
        column = read_attribute(name, table[name])
        subject, codes_of_known = self.rows[column.known], column.codes[column.known]
        codes = np.full(len(self.names), -1, dtype=np.int64)
        codes[subject] = codes_of_known
        disagree = np.unique(subject[codes[subject] != codes_of_known])
        numbers = None
        if column.numbers is not None:
            numbers = np.full(len(self.names), np.nan)
            numbers[subject] = column.numbers[column.known]
        attribute = Attribute(name, numbers, codes, column.levels)
        return attribute, [self.names[subject] for subject in disagree]


def read_subjects(table: pd.DataFrame, ids: npt.ArrayLike, num_groups: int) -> Subjects:
    """Return the subjects of a table of cases and their groups.

    Args:
        table: with a column subject; where that is missing or empty, the case is the subject. Several rows
            a subject.
        ids: group id of each row, integer (N,); -1 is unknown.
        num_groups: number of groups in the cohort.

    Raises:
        ValueError: the table names neither subjects nor cases, or a column twice; ids do not fit.
    """
    groups = np.asarray(ids)
    if groups.shape != (len(table),) or (groups.size and groups.dtype.kind not in "iu"):
        raise ValueError(
            f"ids must be one integer a row of the table, ({len(table)},), "
            f"got {groups.dtype} of shape {groups.shape}"
        )
    if groups.size and not -1 <= int(groups.min()) <= int(groups.max()) < num_groups:
        raise ValueError(
            f"ids must lie between -1 and {num_groups - 1}, got {groups.min()} to {groups.max()}"
        )
    table = as_table(table)
    named = [name for name in ("subject", "case") if name in table]
    if not named:
        has = ", ".join(map(str, table.columns))
        raise ValueError(f"table must have a column 'subject' or 'case', got {has}")
    names: list[str | None] = each(cell_text, cells_of(table[named[0]]))
    if not all(names) and len(named) > 1:
        cases = each(cell_text, cells_of(table[named[1]]))
        names = [subject or case for subject, case in zip(names, cases, strict=True)]
    if None in names:
        raise ValueError(f"table must name the {named[-1]} of every row, got none in row {names.index(None)}")
    rows, unique = pd.factorize(np.array(names, dtype=object))
    members = np.unique(np.stack([rows, groups.astype(np.int64)], axis=1), axis=0)
    has_group = np.zeros(len(unique), dtype=bool)
    has_group[members[members[:, 1] >= 0, 0]] = True
    members = members[(members[:, 1] >= 0) | ~has_group[members[:, 0]]]
    return Subjects(tuple(unique), rows.astype(np.int64), members)


def check_attributes(names: Iterable[str], table: pd.DataFrame, where: str) -> None:
    """Raise a ValueError if one of these is no attribute of a cohort or scores table.

    >>> check_attributes(["subject"], pd.DataFrame({"subject": ["p1"], "sex": ["F"]}), "groups.csv")
    Traceback (most recent call last):
    ValueError: groups.csv: 'subject' is no attribute (whose levels are groups of subjects); it has sex
    """
    for name in names:
        if name not in table:
            raise ValueError(no_attribute(where, name, attribute_names(table)))
        if not is_attribute(name):
            has = listed(attribute_names(table), 20) or "none"
            raise ValueError(
                f"{where}: {name!r} is no attribute (whose levels are groups of subjects); it has {has}"
            )


def with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which attributes whose known cells are all numbers have them, not their texts.

    A column keeps its texts where one would be another level as a number, such as 01 or 0.50, so that groups
    have the same names as before.

    >>> with_numbers(pd.DataFrame({"age": ["61", "57.5", "70"], "ward": ["01", "2", "3"]})).to_dict("list")
    {'age': [61.0, 57.5, 70.0], 'ward': ['01', '2', '3']}
    """
    numbers = {name: _as_numbers(table[name]) for name in attribute_names(table)}
    return table.assign(**{name: column for name, column in numbers.items() if column is not None})


def _as_numbers(column: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """Return int64, Int64 where some are missing, or float64; None for a column with any other text."""
    cells = cells_of(column)
    texts = {cell for cell in cells if not is_missing(cell)}
    if not texts or not all(isinstance(cell, str) and _is_written_so(cell) for cell in texts):
        return None
    numbers = [None if is_missing(cell) else as_float(cell) for cell in cells]
    whole = all(as_float(text).is_integer() for text in texts)
    dtype = ("Int64" if None in numbers else "int64") if whole else "float64"
    return pd.Series(numbers, index=column.index, name=column.name, dtype=dtype)


def _is_written_so(text: str) -> bool:
    """Return whether a text is a number, and the same level as the number is."""
    return is_number(text) and level_text(as_float(text)) == level_text(text)


def attribute_names(table: pd.DataFrame) -> list[str]:
    """Return the columns of a cohort or scores table that are attributes."""
    return [name for name in table.columns if is_attribute(name)]
