"""Columns of measurements: their odd cells, and why each number must not be a group of its own."""

import logging
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairseg.cohort.levels import in_years, is_missing, is_number, na_options, odd_cells, perhaps_missing
from fairseg.io.cells import cells_of, each, texts_of
from fairseg.io.sentences import NamingNote, counted, listed

logger = logging.getLogger(__name__)

Table = Any  # as in Groups
MOST_NUMBERS = 10  # more numeric levels than this must have enough subjects each
FEWEST_EACH = 3


def tidied(name: str, values: Sequence[Any], table: Table) -> list[Any]:
    """Return a column read like that of a file: ages of DICOM in years, odd cells among numbers missing.

    Changes are logged.

    >>> tidied("age", ["030Y", "?", *range(41, 49)], {"case": list("abcdefghij")})
    ['30', None, 41, 42, 43, 44, 45, 46, 47, 48]
    """
    if not texts_of(values):
        return list(values)
    cells, age = in_years(values)
    if age:
        logger.warning("%s: ages such as %s are read as years", name, age)
    return without_odd(name, cells, table)


def odd_note(name: str, shown: Sequence[str]) -> NamingNote:
    """Return the note on the cells of a column of numbers that are none."""
    note = f"{name}: numbers but for {counted(len(shown), 'cell')}, taken as not known"
    return NamingNote(note, shown, most=10)


def without_odd(name: str, cells: list[Any], table: Table) -> list[Any]:
    """Return a column of numbers without the few cells that are none, which become None and are logged."""
    odd_rows = odd_cells(cells)
    if not odd_rows:
        return cells
    column = next((column for column in ("case", "subject") if column in table), None)
    names = range(len(cells)) if column is None else list(table[column])
    shown = [f"{cells[row]!r} ({column or 'row'} {names[row]})" for row in odd_rows]
    logger.warning("%s", odd_note(name, shown))
    odd = set(odd_rows)
    return [None if row in odd else cell for row, cell in enumerate(cells)]


def check_is_no_measurement(name: str, levels: set[str], table: Table, text: Sequence[str | None]) -> None:
    """Refuse to make a group of every height or age; field strengths of 1.5 and 3 pass.

    Raises:
        ValueError: the levels are numbers, but for some that may mean "not known", and too many.
    """
    unknown = perhaps_missing(levels)
    if not all(map(is_number, levels - set(unknown))) or len(unknown) == len(levels):
        return
    numbers = sorted(float(level) for level in levels if level not in unknown)
    fractional = [number for number in numbers if number % 1]
    many = len(numbers) > MOST_NUMBERS
    members = _members(table, text) if many else 0
    scattered = many and members < FEWEST_EACH * len(numbers)
    if len(fractional) > 2 or scattered:
        middle, example = f"{float(np.median(numbers)):.4g}", (fractional or numbers)[0]
        few = f", of {members} subjects in all" if scattered else ""
        note, hint = "", ""
        if unknown:
            odd = listed(map(repr, unknown))
            note, hint = f", beside {odd}", f"; if {odd} means not known: {na_options(unknown)}"
        typed = shlex.quote(f"{name}={middle}")
        raise ValueError(
            f"attribute {name!r} has {len(numbers)} numeric levels (such as {example:g}){few}{note}: if it "
            f"is a measurement, give its bins, such as bins={{{name!r}: [{middle}]}} or --bins {typed}; "
            f"if it is a code, write it as text, such as {name}-{example:g}{hint}"
        )


def _members(table: Table, text: Sequence[str | None]) -> int:
    """Count the pairs of level and subject; without a column of subjects the case is one, or the row."""
    names = next(
        (cells_of(table[column]) for column in ("subject", "case") if column in table), range(len(text))
    )
    missing = each(is_missing, names)
    people = (row if gone else str(name) for row, (name, gone) in enumerate(zip(names, missing, strict=True)))
    return len({(level, subject) for level, subject in zip(text, people, strict=True) if level is not None})
