"""Columns of numbers, of which each would be a group of its own, and what stands among their numbers."""

import logging
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairseg.cohort.levels import in_years, is_missing, is_number, odd_cells, perhaps_missing, said_missing
from fairseg.io.cells import cells_of, each, texts_of
from fairseg.io.sentences import NamingNote, counted, listed

logger = logging.getLogger(__name__)

Table = Any  # as in Groups
MOST_NUMBERS = 10  # numeric levels, above which each must have enough subjects
FEWEST_EACH = 3


def tidied(name: str, values: Sequence[Any], table: Table) -> list[Any]:
    """Return a column as tables are read from files: ages of DICOM in years, odd cells among numbers missing.

    What was changed is logged.

    >>> tidied("age", ["030Y", "?", *range(41, 49)], {"case": list("abcdefghij")})
    ['30', None, 41, 42, 43, 44, 45, 46, 47, 48]
    """
    if not texts_of(values):
        return list(values)
    cells, age = in_years(values)
    if age:
        logger.warning("%s: ages such as %s are read as years", name, age)
    return without_odd(name, cells, table)


def without_odd(name: str, cells: list[Any], table: Table) -> list[Any]:
    """Return a column of numbers in which the few cells that are none are missing, which is logged."""
    places = odd_cells(cells)
    if not places:
        return cells
    column = next((column for column in ("case", "subject") if column in table), None)
    who = range(len(cells)) if column is None else list(table[column])
    named = [f"{cells[place]!r} ({column or 'row'} {who[place]})" for place in places]
    bare = f"{name}: numbers but for {counted(len(places), 'cell')}, taken as not known"
    logger.warning("%s", NamingNote(bare, named, most=10))
    gone = set(places)
    return [None if place in gone else cell for place, cell in enumerate(cells)]


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
        told, hint = "", ""
        if unknown:
            beside = listed(map(repr, unknown))
            told, hint = f", beside {beside}", f"; if {beside} means not known: {said_missing(unknown)}"
        typed = shlex.quote(f"{name}={middle}")
        raise ValueError(
            f"attribute {name!r} has {len(numbers)} numeric levels (such as {example:g}){few}{told}: if it "
            f"is a measurement, give its bins, such as bins={{{name!r}: [{middle}]}} or --bins {typed}; "
            f"if it is a code, write it as text, such as {name}-{example:g}{hint}"
        )


def _members(table: Table, text: Sequence[str | None]) -> int:
    """Count the pairs of level and subject; without a column of subjects the case is one, or the row."""
    names = next(
        (cells_of(table[column]) for column in ("subject", "case") if column in table), range(len(text))
    )
    missing = each(is_missing, names)
    who = (row if gone else str(name) for row, (name, gone) in enumerate(zip(names, missing, strict=True)))
    return len({(level, one) for level, one in zip(text, who, strict=True) if level is not None})
