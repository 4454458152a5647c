"""The one reader of tables: a file or a DataFrame in, clean cells and notes on them out."""

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairseg.cohort.columns import PERHAPS_LABELS, is_attribute, metric_of, plain_name, roles_of
from fairseg.cohort.levels import WHOLE, as_float, cell_text, in_years, level_text, odd_cells, years
from fairseg.cohort.measurements import odd_note
from fairseg.cohort.row_columns import tells_apart
from fairseg.io.calls import PACKED
from fairseg.io.cells import cells_of, each, texts_of
from fairseg.io.csv_files import read_csv, unescape_formula
from fairseg.io.excel_files import NoNamesError, Sheet, read_excel
from fairseg.io.sentences import lacks_column, listed

logger = logging.getLogger(__name__)

_READERS = {".parquet": "pyarrow", ".xlsx": "openpyxl", ".xls": "xlrd"}  # what pandas needs to read them
_NOT_READ = (".json", ".gz", ".bz2", ".xz", ".zip", ".zst", ".feather", ".pkl", ".pickle", ".ods", ".h5")


@dataclass(frozen=True)
class TableOptions:
    """How a table differs from what fairseg reads by default.

    Attributes:
        na: further texts that mean "not known", such as "?".
        keep_na: columns in which "NA" and its like are a level, which is then called '"NA"'.
        case_column: the column that names the cases; else `case`.
        subject_column: the column that names the subjects; else `subject`.
    """

    na: Sequence[str] = ()
    keep_na: Sequence[str] = ()
    case_column: str | None = None
    subject_column: str | None = None

    @property
    def words(self) -> list[str]:
        """The same options as they are typed in a command.

        >>> TableOptions(na=["?"], case_column="Image Index").words
        ['--na', '?', '--case-column', 'Image Index']
        """
        named = (("--case-column", self.case_column), ("--subject-column", self.subject_column))
        pairs = [*(("--na", text) for text in self.na), *(("--keep-na", name) for name in self.keep_na)]
        pairs += [(option, name) for option, name in named if name is not None]
        return [word for pair in pairs for word in pair]


@dataclass(frozen=True, eq=False)
class CleanTable:
    """A table as `read_table` returns it.

    Attributes:
        frame: text without blanks around it, None or NaN where a cell is missing; the index is the row as a
            reader of the file sees it (2 is the first below the header), of a DataFrame its number from 0 on.
        where: the file, or the name of the table in errors.
        odd: column of numbers -> its cells that are none, with their rows; they were taken as not known.
        changes: what else was changed in reading, one line each.
        doubts: what the rows may be of, against what they were taken for, one line each.
    """

    frame: pd.DataFrame
    where: str
    odd: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """All that was changed in reading, one line each."""
        return (*self.changes, *(odd_note(name, cells) for name, cells in self.odd.items()))

    def log(self) -> pd.DataFrame:
        """Log the notes and doubts, and return the frame."""
        for note in (*self.notes, *self.doubts):
            logger.warning("%s: %s", self.where, note)
        return self.frame


def read_table(
    source: Any,
    argument: str = "table",
    options: TableOptions | None = None,
    *,
    roles: Sequence[str] = ("case", "subject", "label"),
    scores: Sequence[str] = (),
    also: str = "",
) -> CleanTable:
    """Read a table, from a file or in memory, and clean its cells; all tables of fairseg come through here.

    Blanks around text are removed; cases or subjects that are all numbers such as `1.0`, as pandas writes `1`
    beside a missing cell, become `1`; texts for "not known" become missing (see
    `fairseg.cohort.levels.MISSING`); a column of ages as DICOM writes them (`061Y`, `018M`) becomes years; in
    a column of numbers the few cells that are none become missing, and a note names them.

    Args:
        source: path of a CSV, Excel or Parquet file; a DataFrame, or a mapping of columns.
        argument: name of a table in memory, for errors.
        options: names and texts of this table that differ from the default.
        roles: columns that are also found by other names, such as `patient_id`.
        scores: columns of scores other than the named metrics: a cell that is no number stays there, for the
            caller to refuse.
        also: what else the caller takes, for errors.

    Raises:
        ValueError: it is no table, or has two columns of one name, or lacks one that `options` name.

    >>> table = read_table({"case": ["a ", "b"], "sex": ["F", "N/A"], "PatientAge": ["061Y", "018M"]})
    >>> table.frame.fillna("not known").to_dict("list")
    {'case': ['a', 'b'], 'sex': ['F', 'not known'], 'PatientAge': ['61', '1.5']}
    >>> table.notes
    ('PatientAge: ages such as 061Y are read as years',)
    """
    options = options or TableOptions()
    is_file = isinstance(source, str | Path)
    where = str(source) if is_file else argument
    changes: list[str] = []
    if is_file:
        table, where = _from_file(Path(source), changes)
    else:
        table = _from_memory(source, argument, also)
    table = with_roles(_with_named_columns(table, where, options), where, roles)
    odd: dict[str, tuple[str, ...]] = {}
    if absent := [name for name in options.keep_na if name not in table]:
        raise ValueError(f"{where} must have the columns of keep_na, has no {listed(absent)}")
    if options.case_column is not None and "subject" in roles and "subject" not in table:
        changes.append("no column names the subjects: each case is taken for a person; else --subject-column")
    columns = {}
    for name in map(str, table):
        cells = _without(table[name], options.na)
        cells = _with_na_levels(cells) if name in options.keep_na else clean_cells(cells)
        if name in ("case", "subject"):
            cells = _whole_names(cells, changes)
        if is_attribute(name) and name not in scores and metric_of(name) is None:
            cells = _without_odd_cells(_in_years(cells, changes), odd)
        columns[name] = cells
    return CleanTable(pd.DataFrame(columns, index=table.index), where, odd, tuple(changes))


def as_pandas(source: Any) -> Any:
    """Return a table of another library (polars, pyarrow ...) as a DataFrame; any other value as it is."""
    if isinstance(source, pd.DataFrame) or not hasattr(source, "to_pandas"):
        return source
    has_columns = hasattr(source, "columns") or hasattr(source, "column_names")
    return source.to_pandas() if has_columns else source


def as_table(source: Any, argument: str = "table", *, also: str = "") -> pd.DataFrame:
    """Return a table as a DataFrame: a mapping of columns, rows as mappings, or an array of named fields.

    Tables of other libraries come by their `to_pandas`.

    Args:
        source: the table.
        argument: its name, for errors.
        also: what else the caller takes, for errors.

    Raises:
        ValueError: it is no table, or has two columns of one name.

    >>> as_table({"case": ["a"], "sex": ["F"]})
      case sex
    0    a   F
    """
    source = as_pandas(source)
    rows = isinstance(source, list) and bool(source) and all(isinstance(one, Mapping) for one in source)
    fields = getattr(getattr(source, "dtype", None), "names", None)
    if not (rows or fields or isinstance(source, pd.DataFrame | Mapping)):
        came = type(source).__name__
        raise ValueError(f"{argument} must be a table, a DataFrame or a mapping of columns{also}, got {came}")
    try:
        table = pd.DataFrame(source)
    except ValueError as error:
        raise ValueError(f"{argument} must be a table: {error}") from None
    if table.columns.nlevels > 1:
        raise ValueError(f"{argument} must have one name a column, got {table.columns[0]!r}{_joined(table)}")
    if (twice := table.columns[table.columns.duplicated()]).size:
        raise ValueError(f"{argument} must name each column once, got {twice[0]!r} twice")
    return table


def _joined(table: pd.DataFrame) -> str:
    """Return what to type for a table that `pivot` made, whose columns have several names each."""
    names = {"_".join(filter(None, map(str, name))): name for name in table.columns}
    wide = [text for text, name in names.items() if any(metric_of(str(part)) for part in name)]
    then = f"; then wide={wide}" if wide else ""
    return f": table.columns = ['_'.join(filter(None, map(str, name))) for name in table.columns]{then}"


def row_names(source: Any) -> list[str] | None:
    """Return the names of the rows of a table in memory, as its index has them; None for a file.

    If two rows share a name, or one has none, the rows are numbered from 0.

    >>> row_names(pd.DataFrame({"dice": [0.9, 0.8]}, index=["p01", "p02"])), row_names({"dice": [0.9, 0.8]})
    (['p01', 'p02'], ['0', '1'])
    """
    if isinstance(source, str | Path):
        return None
    index = as_table(source).index
    names = [", ".join(map(level_text, row if isinstance(row, tuple) else (row,))) for row in index]
    has_nan = index.hasnans if index.nlevels == 1 else False
    if has_nan or not all(names) or len({*names}) < len(names):
        return [str(row) for row in range(len(names))]
    return names


def with_roles(
    table: pd.DataFrame, where: str, roles: Sequence[str] = ("case", "subject", "label")
) -> pd.DataFrame:
    """Return a table whose `case`, `subject` and `label` have these names, without a column of row numbers.

    Raises:
        ValueError: two columns would be the same; the message begins with `where`.

    >>> list(with_roles(pd.DataFrame({"Unnamed: 0": [1, 2], "PatientID": ["a", "b"], "sex": ["F", "M"]}), ""))
    ['subject', 'sex']
    """
    numbers = [name for name in table if str(name) in ("", "Unnamed: 0") and _counts_rows(table[name])]
    table = table.drop(columns=numbers) if numbers else table
    try:
        names = roles_of(map(str, table.columns), roles)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    table = table.rename(columns=names) if names else table
    if "label" in roles and "label" not in table and (label := _perhaps_label(table)) is not None:
        table = table.rename(columns={label: "label"})
    return table


def _perhaps_label(table: pd.DataFrame) -> str | None:
    """Return the column that tells the structures of a subject or case apart by a name such as `region`."""
    of_rows = next((name for name in ("subject", "case") if name in table), None)
    named = [name for name in map(str, table) if plain_name(name) in PERHAPS_LABELS]
    if of_rows is None or not named:
        return None
    keys = pd.factorize(table[of_rows], use_na_sentinel=False)[0].astype(np.int64)
    found = [name for name in named if tells_apart(table, name, keys)]
    return found[0] if len(found) == 1 else None


def _counts_rows(column: "pd.Series[Any]") -> bool:
    rows = [str(value) for value in column]
    return any(rows == [str(start + row) for row in range(len(rows))] for start in (0, 1))


def clean_cells(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of a table in which text has no blanks around it and "NA" and its like are missing.

    Cells that are no text stay as they are, and so does the order of a Categorical.

    >>> clean_cells(pd.Series(["F ", "N/A", 3], dtype=object)).tolist()
    ['F', None, 3]
    """
    return _mapped(column, cell_text)


def _mapped(column: "pd.Series[Any]", clean: Callable[[str], str | None]) -> "pd.Series[Any]":
    """Return a column with every text cleaned; other cells, and the order of levels, as they are."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        names = [clean(level) if isinstance(level, str) else level for level in column.cat.categories]
        levels = [level for level in dict.fromkeys(names) if level is not None]
        code_of = {level: code for code, level in enumerate(levels)} | {None: -1}
        codes = [code_of[name] for name in names]
        row_codes = np.array([*codes, -1], dtype=np.int64)[column.cat.codes]
        values = pd.Categorical.from_codes(row_codes, pd.Index(levels), ordered=column.cat.ordered)
        return pd.Series(values, index=column.index, name=column.name)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column
    before = cells_of(column)
    cells = each(lambda value: clean(value) if isinstance(value, str) else value, before)
    if cells == before:
        return column
    return pd.Series(cells, index=column.index, name=column.name, dtype=column.dtype)


def _without(column: "pd.Series[Any]", na: Sequence[str]) -> "pd.Series[Any]":
    if not na:
        return column
    nothing = {text.strip() for text in na}
    if pd.api.types.is_numeric_dtype(column.dtype):  # such as -9 or 999
        return column.mask(column.isin([as_float(text) for text in nothing if isfinite(as_float(text))]))
    return _mapped(column, lambda text: None if text.strip() in nothing else text)


def _with_na_levels(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column in which "NA" and its like are levels, in quotes, and only a blank is missing."""

    def keep(text: str) -> str | None:
        bare = text.strip()
        return cell_text(bare) or (f'"{bare}"' if bare else None)

    return _mapped(column, keep)


def _whole_names(column: "pd.Series[Any]", changes: list[str]) -> "pd.Series[Any]":
    """Return a column of names that are all numbers such as 1.0 with 1 in its place; any other as it is."""
    texts = texts_of(column)
    if not texts or not all(WHOLE.fullmatch(text) for text in texts):
        return column
    changes.append(f"{column.name}: names such as {min(texts)} are read as {level_text(min(texts))}")
    return _mapped(column, level_text)


def _in_years(column: "pd.Series[Any]", changes: list[str]) -> "pd.Series[Any]":
    """Return a column of DICOM's ages in years, any other as it is."""
    if column.dtype.kind != "O" or not (first := in_years(cells_of(column))[1]):
        return column
    changes.append(f"{column.name}: ages such as {first} are read as years")
    return _mapped(column, years)


def _without_odd_cells(column: "pd.Series[Any]", odd: dict[str, tuple[str, ...]]) -> "pd.Series[Any]":
    """Return a column of numbers without the few cells that are none, which are added to `odd`."""
    odd_rows = odd_cells(cells_of(column)) if column.dtype.kind == "O" else []
    if not odd_rows:
        return column
    odd[str(column.name)] = tuple(f"{column.iloc[row]!r} (row {column.index[row]})" for row in odd_rows)
    cells = column.copy()
    cells.iloc[odd_rows] = None
    return cells


def _from_file(file: Path, changes: list[str]) -> tuple[pd.DataFrame, str]:
    """Return the table of a file, indexed by the rows that a reader sees, and its name in errors."""
    kind = file.suffix.lower()
    if kind in _NOT_READ and not file.name.lower().endswith(PACKED):
        raise ValueError(f"{file} {_not_read(file)}")
    if kind not in _READERS:
        table = read_csv(file)
        # Undo what `to_csv` did to make cells safe for spreadsheets.
        cells = {name: each(unescape_formula, cells_of(column)) for name, column in table.items()}
        table = pd.DataFrame(cells, index=table.index, columns=table.columns)
        return table.rename(columns=unescape_formula), str(file)
    try:
        sheet = Sheet(pd.read_parquet(file), str(file), "") if kind == ".parquet" else read_excel(file)
    except ImportError:
        reader = _READERS[kind]
        extra = "" if kind == ".xls" else ", or 'fairseg[tables]'"
        raise ValueError(f"{file} cannot be read without {reader}: pip install {reader}{extra}") from None
    except NoNamesError:
        raise
    except Exception as error:
        raise ValueError(f"{file} cannot be read as a table: {error}") from None
    if sheet.note:
        changes.append(sheet.note)
    table = _from_memory(sheet.table, str(file), "")
    return (table if kind == ".parquet" else table.set_axis(sheet.table.index)), sheet.where


def _not_read(file: Path) -> str:
    """Return the error about a file in a format that is not read."""
    if file.suffix.lower() == ".json" and file.is_file() and b'"metric_per_case"' in file.read_bytes():
        return (
            f"is a summary of nnU-Net's validation: fairseg nnunet scores {shlex.quote(str(file))} --groups "
            "groups.csv --out scores.csv makes a table of scores of it"
        )
    return (
        "must be a table in a format that is read: CSV (.csv, .tsv, .txt, .csv.gz), Excel (.xlsx, .xls) or "
        f"Parquet (.parquet), got {file.suffix}; a DataFrame is taken as it is"
    )


def _from_memory(source: Any, argument: str, also: str) -> pd.DataFrame:
    """Return a table with its named index as columns, and the numbers of its rows as index."""
    table = as_table(source, argument, also=also)
    # After `join`, `groupby` or `set_index` cases or subjects are the index.
    for name in reversed(table.index.names):
        if name is not None and name not in table:
            table = table.reset_index(level=name)
    table = table.rename(columns=lambda name: str(name).strip()).reset_index(drop=True)
    return as_table(table, argument)  # which blanks may have made differ


def _with_named_columns(table: pd.DataFrame, where: str, options: TableOptions) -> pd.DataFrame:
    """Return the table with the named columns of cases and subjects as `case` and `subject`."""
    names: dict[str, str] = {}
    for role, column in (("case", options.case_column), ("subject", options.subject_column)):
        if column is not None:
            if column not in table:
                raise ValueError(lacks_column(where, column, table.columns))
            names[column] = role
    if not names:
        return table
    replaced = [name for name in names.values() if name in table and name not in names]
    return table.drop(columns=replaced).rename(columns=names)
