"""The cohort: read the table of cases and check it; every error names the row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.case_names import cohort_as_files
from fairseg.cohort.columns import METRICS, NOTE, SKIPPED
from fairseg.cohort.levels import cell_text, is_missing
from fairseg.cohort.reading import CleanTable, TableOptions, read_table
from fairseg.cohort.row_columns import persons_note
from fairseg.io.calls import says_what_to_type
from fairseg.io.cells import cells_of, each
from fairseg.io.sentences import lacks_column, listed

ALONE = "no subject, so the case is one of its own"
NOT_IN_COHORT = "not in the cohort, so of unknown group"
BETWEEN_NOTES = " | "  # of one case
_PERCENT_HINT = " (percentages? say so: percent=True, in a command --percent)"
Cohort = pd.DataFrame | Mapping[str, Sequence[Any]] | str | Path  # what `read_cohort` takes


@says_what_to_type("read_cohort('groups.csv', case_column='file', subject_column='patient')")
def read_cohort(
    source: Any,
    options: TableOptions | None = None,
    *,
    case_column: str | None = None,
    subject_column: str | None = None,
) -> pd.DataFrame:
    r"""Read `groups.csv`: one row a case, with the columns `case`, `subject` and the attributes.

    Every value stays text, so that "01" stays "01"; blanks around it are removed. A value that says "not
    known" (empty, NA, N/A, nan, NULL, None and the like) becomes missing. Without a column `subject` the case
    is the subject; so it is where only the cell is empty, and a column `note` then says so. A CSV file
    has comma, semicolon or tab between its columns; Excel and Parquet files are read too, and the
    participants.tsv of BIDS. Without `case` the subject is the case. Both are also found by other names
    (`Case ID`, `patient_id` ...). A column of row numbers without a name, as R writes it, is left out. All
    that was changed in reading is logged.

    Args:
        source: path of the file, or a table in memory.
        options: further texts for "not known", and other names of the columns: see `TableOptions`.
        case_column: the column that names the cases, as `options` may say too.
        subject_column: the column that names the subjects, likewise.

    Raises:
        ValueError: it cannot be read as a table, has no column `case` or two columns of one name, a row has
            no case or the case of an earlier row, or, in a table without cases, rows of a subject differ; row
            2 of a file is the first below the header, as spreadsheets count.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "groups.csv")
    ...     _ = path.write_text("case,subject,sex\np01_ED,p01,F\np01_ES,p01,F\np02_ED,p02,NA\n")
    ...     read_cohort(path)
         case subject  sex
    0  p01_ED     p01    F
    1  p01_ES     p01    F
    2  p02_ED     p02  NaN
    """
    return clean_cohort(source, with_columns(options, case_column, subject_column)).log()


def with_columns(
    options: TableOptions | None, case_column: str | None, subject_column: str | None
) -> TableOptions:
    """Return the options with these names of the columns of cases and subjects, where they are given."""
    options = options or TableOptions()
    return replace(
        options,
        case_column=options.case_column if case_column is None else case_column,
        subject_column=options.subject_column if subject_column is None else subject_column,
    )


def named_otherwise(cohort: Any, names: TableOptions) -> Any:
    """Read a cohort by the names of its columns; return it as it is if no names are given."""
    return cohort if names == TableOptions() else read_cohort(cohort, names)


def clean_cohort(source: Any, options: TableOptions | None = None) -> CleanTable:
    """Return what `read_cohort` returns, with its notes in place of logging them."""
    read = read_table(source, "cohort", options, roles=("case", "subject"), also=" or a path to one")
    table, where = read.frame, read.where
    if "case" not in table and "subject" not in table:
        raise ValueError(
            f"{where} must have a column 'case' or 'subject', got {listed(table.columns, 20)}; if another "
            "one names the cases, say case_column=NAME (in a command --case-column NAME)"
        )
    if table.empty:
        raise ValueError(f"{where} must have at least one row, got none")
    no_cases = "case" not in table
    if no_cases:
        table = table.assign(case=table["subject"])
    for name in ("case", "subject"):
        if name in table:
            cells = each(cell_text, cells_of(table[name]))
            table[name] = pd.Series(cells, index=table.index, dtype=object)
    if no_cases:
        table = _one_row_each(table, where)
    if (nameless := table.index[table["case"].isna()]).size:
        raise ValueError(f"{where}: row {nameless[0]} has no case")
    if (repeated := table.index[table["case"].duplicated()]).size:
        case = table.loc[repeated[0], "case"]
        rows = ", ".join(str(row) for row in table.index[table["case"] == case])
        raise ValueError(f"{where}: case {case} must have one row, got rows {rows}")
    attributes = [name for name in table.columns if name not in ("case", "subject")]
    doubts = () if "subject" in table else tuple(persons_note(table[attributes], "case"))
    frame = with_subjects(table)
    attributes += [NOTE] if NOTE in frame and NOTE not in attributes else []
    return replace(read, frame=frame[["case", "subject", *attributes]].reset_index(drop=True), doubts=doubts)


def _one_row_each(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return a table without cases with one row a subject; its rows fill each other's empty cells.

    Raises:
        ValueError: rows of a subject differ, as of several cases; it names subject, column, values and rows.
    """
    for name in table.columns.drop(["case", "subject"]):
        cells = table[["subject", name]].dropna().drop_duplicates()
        if (again := cells.index[cells["subject"].duplicated()]).size:
            subject, value = cells.loc[again[0]]
            row = cells.index[cells["subject"] == subject][0]
            raise ValueError(
                f"{where}: subject {subject} must have one {name}, got {cells.loc[row, name]!r} in row {row} "
                f"and {value!r} in row {again[0]}; where rows are cases, name them by --case-column NAME"
            )
    first = ~table["subject"].duplicated() | table["subject"].isna()
    filled = table.groupby("subject", sort=False).bfill()
    return table.assign(**{str(name): filled[name] for name in filled if name != "case"})[first]


def with_subjects(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of cases in which the case replaces an empty subject, and the column `note` says so.

    >>> with_subjects(pd.DataFrame({"case": ["a", "b"], "subject": ["A", None]}))[["subject", "note"]]
      subject                                       note
    0       A                                       None
    1       b  no subject, so the case is one of its own
    """
    if "subject" not in table:
        return table.assign(subject=table["case"])
    blank = table["subject"].isna()
    if not blank.any():
        return table
    table = table.assign(subject=table["subject"].where(~blank, table["case"]))
    return noted(table, dict.fromkeys(table.loc[blank, "case"], (ALONE,)))


def noted(table: pd.DataFrame, notes: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return a table of cases with these lines added to its column `note`.

    Args:
        table: with the column `case`.
        notes: case -> lines; a line that is already there is not repeated.

    >>> noted(pd.DataFrame({"case": ["a", "b"]}), {"b": ["seen", "heard"]})["note"].tolist()
    [None, 'seen | heard']
    """
    if not any(notes.values()):
        return table
    before = table[NOTE] if NOTE in table else [None] * len(table)
    texts: dict[tuple[str, Any], str | None] = {}  # the rows of a case are alike
    rows = list(zip(table["case"], before, strict=True))
    for case, text in dict.fromkeys(rows):
        lines = [] if is_missing(text) else str(text).split(BETWEEN_NOTES)
        lines += [line.replace(BETWEEN_NOTES, " / ") for line in notes.get(case, ())]
        texts[case, text] = BETWEEN_NOTES.join(dict.fromkeys(lines)) or None
    column = pd.Series([texts[row] for row in rows], index=table.index, dtype=object)
    return table.assign(**{NOTE: column})


def read_numbers(column: "pd.Series[Any]", where: str = "table") -> "pd.Series[float]":
    """Return a column as float64, NaN where a cell is missing.

    Raises:
        ValueError: a cell is no finite number; the message names `where`, the row (as the index has it) and
            the column.

    >>> read_numbers(pd.Series(["0.5", None, "NA"], name="dice")).tolist()
    [0.5, nan, nan]
    """
    is_numeric = isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiu"
    if is_numeric and not np.isinf(column.to_numpy()).any():
        return column.astype(np.float64)
    values = each(_number, cells_of(column))
    is_wrong = [value is None or value in (np.inf, -np.inf) for value in values]
    if any(is_wrong):
        row = column.index[is_wrong.index(True)]
        hint = _hint_of_no_number(str(column[row]), infinite=values[is_wrong.index(True)] is not None)
        raise ValueError(
            f"{where}: row {row}, column {column.name}: must be a number, got {cell_repr(column[row])}{hint}"
        )
    return pd.Series(np.array(values, dtype=np.float64), index=column.index, name=column.name)


def _hint_of_no_number(text: str, *, infinite: bool) -> str:
    """Return a hint at the meaning of a cell that is no finite number; "" if there is none."""
    if text.count(",") == 1:
        return " (a decimal comma? write a point, or separate columns by semicolons)"
    if text.endswith("%"):
        return _PERCENT_HINT
    if infinite:
        return (
            " (of a structure that one mask lacks? leave the cell empty, which counts as missing, or "
            "write a distance such as the image's diagonal)"
        )
    return ""


def check_limits(
    numbers: "pd.Series[float]",
    column: "pd.Series[Any]",
    limits: tuple[float, float],
    where: str,
    called: str,
) -> None:
    """Raise a ValueError where a number is beyond the limits of its metric.

    Args:
        numbers: as from `read_numbers`.
        column: the cells that they are of.
        limits: the least and the greatest value.
        where: name of the table in the error.
        called: name of the column in the error.
    """
    low, high = limits
    values = numbers.to_numpy()
    outside = numbers.index[(values < low) | (values > high)]
    if not outside.size:
        return
    bound = f"{low:g} or more" if numbers[outside[0]] < low else f"{high:g} or less"
    span = f"from {low:g} to {high:g}" if high == 1.0 else bound
    percent = high == 1.0 and numbers.max() > 2.0 and numbers.max() <= 100.0
    raise ValueError(
        f"{where}: row {outside[0]}, column {called}: must be {span}, "
        f"got {cell_repr(column[outside[0]])}{_PERCENT_HINT if percent else ''}"
    )


def cell_repr(value: object) -> str:
    """Return a cell as errors show it, without NumPy's type around it."""
    return "nothing" if value is None else repr(value.item() if isinstance(value, np.generic) else value)


def is_skipped(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether each row of a scores table is a case that could not be scored, bool (N,).

    Such a row has a reason in the column `skipped`, and neither a label nor a score.

    >>> is_skipped(pd.DataFrame({"label": ["LV", None], "dice": [0.9, None], "skipped": [None, "no file"]}))
    array([False,  True])
    """
    if SKIPPED not in table:
        return np.zeros(len(table), dtype=bool)
    has_reason = ~np.array(each(is_missing, cells_of(table[SKIPPED])), dtype=bool)
    values = [name for name in ("label", *METRICS) if name in table]
    return has_reason & table[values].isna().to_numpy().all(axis=1)


def rows_of(cohort: pd.DataFrame, cases: Iterable[str]) -> pd.DataFrame:
    """Return the rows of these cases, in their order; of one that the cohort lacks, a row of unknown group.

    Args:
        cohort: as from `read_cohort`; its cases may be spelled otherwise (see `cases_as_files`).
        cases: names of files; each once.

    >>> cohort = pd.DataFrame({"case": ["a", "b"], "subject": ["A", "B"], "sex": ["F", "M"]})
    >>> rows_of(cohort, ["b", "c"])
      case subject  sex
    0    b       B    M
    1    c       c  NaN
    """
    names = list(cases)
    cohort = cohort_as_files(cohort, names)
    rows = cohort.set_index("case").reindex(names).rename_axis("case").reset_index()
    absent = ~rows["case"].isin(cohort["case"])
    rows.loc[absent, "subject"] = rows.loc[absent, "case"]
    return rows[list(cohort.columns)]


def read_split(path: str | Path) -> dict[str, str]:
    """Read which part each subject is in, from a table with the columns `subject` and `part`.

    Returns:
        Subject -> part, such as "train", "validation" or "test".

    Raises:
        ValueError: the file cannot be read as a table, lacks a column, or gives a subject two parts.
    """
    read = read_table(path, roles=("subject",))
    table = read.log()
    if absent := [name for name in ("subject", "part") if name not in table]:
        raise ValueError(lacks_column(read.where, absent[0], table.columns))
    parts: dict[str, str] = {}
    for subject, part in zip(map(cell_text, table["subject"]), map(cell_text, table["part"]), strict=True):
        if parts.setdefault(str(subject), str(part)) != str(part):
            raise ValueError(
                f"{read.where}: subject {subject} must have one part, got {parts[str(subject)]} and {part}"
            )
    return parts


def fold_subjects(
    subjects: Sequence[Any], groups: npt.ArrayLike, folds: int, *, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Deal each group's subjects out to folds of cross-validation, all cases of a subject together.

    Folds differ by one subject at most, of each group and in all. Subjects of unknown group are dealt out
    among themselves. A subject in several groups counts in that of its first case.

    Args:
        subjects: the subject of each case, (N,).
        groups: group id of each case, (N,); -1 is unknown.
        folds: how many, 2 or more.
        seed: the same seed gives the same folds, whatever the order of the rows.

    Returns:
        The fold of each case, from 0 on, int64 (N,).

    Raises:
        ValueError: groups are not one a case, or there are fewer subjects than folds.

    >>> fold_subjects(["a", "a", "b", "c", "d"], [0, 0, 0, 1, 1], folds=2).tolist()
    [0, 0, 1, 0, 1]
    """
    group_of = _groups_of_subjects(subjects, groups)
    if not 2 <= folds <= len(group_of):
        raise ValueError(f"folds must be from 2 to the number of subjects, {len(group_of)}, got {folds}")
    # Each group continues where the one before it stopped, so that the folds have similar sizes.
    everybody = (name for members in _shuffled(group_of, seed) for name in members)
    fold = {name: position % folds for position, name in enumerate(everybody)}
    return np.array([fold[str(subject)] for subject in subjects], dtype=np.int64)


def split_subjects(
    subjects: Sequence[Any], groups: npt.ArrayLike, share: float, *, seed: int = 0
) -> npt.NDArray[np.bool_]:
    """Set a share of each group's subjects aside, all cases of a subject together.

    The number is rounded, but every group keeps at least one subject, and gives at least one if it has two
    and the share is above 0. Subjects of unknown group are split among themselves. A subject in several
    groups counts in that of its first case.

    Args:
        subjects: the subject of each case, (N,).
        groups: group id of each case, (N,); -1 is unknown.
        share: of the subjects, 0 to below 1.
        seed: the same seed gives the same split, whatever the order of the rows.

    Returns:
        Whether each case is set aside, bool (N,).

    >>> aside = split_subjects(["a", "b", "c", "d", "e", "f"], [0, 0, 0, 1, 1, 1], share=0.3)
    >>> aside.reshape(2, 3).sum(axis=1)
    array([1, 1])
    """
    if not 0 <= share < 1:
        raise ValueError(f"share must be 0 or more and below 1, got {share}")
    group_of = _groups_of_subjects(subjects, groups)
    aside: set[str] = set()
    for members in _shuffled(group_of, seed):
        num_aside = min(max(round(share * len(members)), int(share > 0)), len(members) - 1)
        aside.update(members[:num_aside])
    return np.array([str(subject) in aside for subject in subjects], dtype=bool)


def _number(value: Any) -> float | None:
    """Return a number, NaN if the cell is missing, None if it is no number."""
    if is_missing(value):
        return float("nan")
    try:
        # Python reads a float to the last bit; pandas does so only in its newer releases.
        return float(value)
    except (TypeError, ValueError):
        return None


def _groups_of_subjects(subjects: Sequence[Any], groups: npt.ArrayLike) -> dict[str, int]:
    """Return the group of each subject: that of its first case."""
    names, ids = [str(subject) for subject in subjects], np.asarray(groups)
    if ids.shape != (len(names),):
        raise ValueError(f"groups must have one id a case, {len(names)}, got shape {ids.shape}")
    group_of: dict[str, int] = {}
    for name, group in zip(names, ids.tolist(), strict=True):
        group_of.setdefault(name, group)
    return group_of


def _shuffled(group_of: Mapping[str, int], seed: int) -> Iterator[list[str]]:
    """Yield the subjects of each group in random order, as from `_groups_of_subjects`."""
    for group in sorted(set(group_of.values())):
        members = sorted(name for name, home in group_of.items() if home == group)
        # One generator a group: a group that grows does not move the order of the others.
        order = np.random.default_rng((seed, group + 1)).permutation(len(members))
        yield [members[index] for index in order]
