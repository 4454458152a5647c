"""What speaks against what the rows of a table of scores are taken for; the table is taken all the same."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.columns import IN_PIXELS, NOTE, SKIPPED
from fairseg.cohort.row_columns import (
    ColumnNote,
    between_rows,
    persons_note,
    repeats,
    rows_note,
    stacked_column,
)
from fairseg.io.sentences import NamingNote, counted, listed

_NOT_SKIPPED = {"", "0", "0.0", "false", "no"}  # in the column `skipped` of a case that was scored


def row_doubts(table: pd.DataFrame, rows: pd.DataFrame, *, named: bool) -> list[str]:
    """Return what speaks against what rows are taken for.

    Args:
        table: the columns that the table itself has.
        rows: the same rows, with case, subject and label.
        named: whether the table names cases or subjects.
    """
    if not named and (times := repeats(table)) > 1:
        return [
            ColumnNote(f"every row of the table stands there {times} times, and each is taken for a person")
        ]
    if not named and (name := stacked_column(table)) is not None:
        text = (
            f"each row is taken for a person, and the rows of each {name} are alike in all attributes: if "
            "these are the same persons, name them in a column subject"
        )
        return [ColumnNote(text, name)]
    found: list[str] = []
    unnamed = "subject" not in table or ("case" in table and bool((rows["subject"] == rows["case"]).all()))
    if unnamed:
        cases = rows.drop_duplicates("case").drop(columns=["case", "subject", "label"])
        found += persons_note(cases, "case" if named else "row")
    twice = rows["subject"][rows.duplicated(["subject", "label"])].unique()
    if not len(twice):
        return found
    keys = _keys(rows, "subject")
    several = f"{counted(len(twice), 'subject')} with several rows"
    told = rows_note(table, keys, several + (" of a label" if "label" in table else ""))
    if told is None and "case" not in table:
        return [*found, NamingNote(f"{several} of a label, taken as cases of theirs", twice)]
    return [*found, *(told or [])]


def in_pixels(table: pd.DataFrame) -> tuple[int, int]:
    """Count the cases whose distances are left out, as they are in pixels among others in mm, and all."""
    notes = table[NOTE] if NOTE in table else [None] * len(table)
    left_out = [isinstance(note, str) and IN_PIXELS in note for note in notes]
    return table["case"][left_out].nunique(), table["case"].nunique()


def _keys(rows: pd.DataFrame, name: str) -> npt.NDArray[np.int64]:
    """Return the number of each row's case or subject, and label, int64 (N,)."""
    return np.asarray(rows.groupby([name, "label"], sort=False).ngroup(), dtype=np.int64)


def hint_of_again(rows: pd.DataFrame) -> str:
    """Return what rows of the same case and label may be, for an error."""
    keys = _keys(rows, "case")
    if repeats(rows) > 1:
        return "; every row is there several times: table.drop_duplicates()"
    if not (found := between_rows(rows, keys)):
        return ""
    return (
        f"; rows of a case differ in {found[0]!r}: if it names structures, call it label; if models, give "
        "each a table"
    )


def scored_though_skipped(rows: pd.DataFrame) -> list[str]:
    """Return a note on the cases whose rows have a score though `skipped` says why they have none."""
    if SKIPPED not in rows:
        return []
    skipped = [isinstance(cell, str) and cell.strip().lower() not in _NOT_SKIPPED for cell in rows[SKIPPED]]
    cases = list(dict.fromkeys(rows.loc[skipped, "case"]))
    if not cases:
        return []
    have = f"{counted(len(cases), 'case')} {'has' if len(cases) == 1 else 'have'}"
    return [f"{have} a score, which counts, and yet a reason in the column {SKIPPED!r}: {listed(cases)}"]
