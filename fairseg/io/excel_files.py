"""Excel workbooks: the first sheet with text as text, and a note on other sheets."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from fairseg.io.sentences import counted, listed

_NAMELESS = "Unnamed: "  # pandas names a column so that has no name


class NoNamesError(ValueError):
    """Row 1 holds a title, or nothing, in place of the names of the columns."""


class Sheet(NamedTuple):
    """The first sheet of a workbook.

    Attributes:
        table: its cells; the index is the row that a spreadsheet shows (2 below the header).
        where: its name in errors: the path, and the sheet if the workbook has others.
        note: that other sheets were not read; "" if there are none.
    """

    table: pd.DataFrame
    where: str
    note: str


def read_excel(path: Path) -> Sheet:
    """Read the first sheet of a workbook; rows without cells, columns without name and cells are left out.

    A cell that is text stays text, so that "001" is not 1; one that is a number is a number, a whole one an
    integer.

    Raises:
        ImportError: what reads the workbook is not installed.
        NoNamesError: row 1 holds a title, or nothing; the message names the file.
    """
    with pd.ExcelFile(path) as book:
        first, *others = book.sheet_names
        # Without `dtype` pandas makes numbers of text, and "NA" missing, which `keep_na` makes a level.
        table = pd.read_excel(book, sheet_name=first, keep_default_na=False, dtype=object)
    table = table.infer_objects()
    table.index += 2  # the header is row 1
    for name in [name for name in table if table[name].dtype == object]:
        table[name] = pd.Series(map(_none_if_blank, table[name]), index=table.index, dtype=object)
    table = table.dropna(how="all")
    nameless = [name for name in table if str(name).startswith(_NAMELESS)]
    table = table.drop(columns=[name for name in nameless if table[name].isna().all()])
    where, note = str(path), ""
    if others:
        where += f" (sheet {first!r}, the first of {1 + len(others)})"
        note = f"{counted(len(others), 'sheet')} of the workbook not read: {listed(others)}"
    check_names(table, where)
    return Sheet(table, where, note)


def _none_if_blank(cell: Any) -> Any:
    return None if isinstance(cell, str) and not cell.strip() else cell


def check_names(table: pd.DataFrame, where: str) -> None:
    """Raise a NoNamesError where row 1 holds a title, or nothing.

    >>> check_names(pd.DataFrame({"case": ["a"], "sex": ["F"]}), "t.xlsx")
    """
    names: list[Any] = list(table)
    named = [name for name in names if not str(name).startswith(_NAMELESS)]
    nameless = len(names) - len(named)
    # A single column without a name, before one of scores, is the index of a DataFrame.
    if len(named) <= 1 and (nameless > 1 or (nameless == 1 and names[0] in named)):
        first = f"only {named[0]!r}" if named else "none"
        raise NoNamesError(
            f"{where} must have the names of its columns in row 1, got {first}: delete the rows above them"
        )
