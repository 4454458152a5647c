"""The cohort: read the table of cases and check it, with the row in every complaint."""

from pathlib import Path

import pandas as pd

# What people's tools write for "not known". R writes NA, pandas nothing, spreadsheets N/A or #N/A.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null")


def read_cohort(path: str | Path) -> pd.DataFrame:
    r"""Read `groups.csv`: one row a case, with the columns `case`, `subject` and the attributes.

    Every value stays text, so that "01" stays "01"; spaces around it go. A value that says "not known"
    (empty, NA, N/A, n/a, #N/A, <NA>, NaN, nan, NULL, null) becomes missing; `None` is kept as a level.
    Without a column `subject` the case is the subject. Comma, semicolon and tab separate columns.

    Raises:
        ValueError: the file cannot be read as a table, has no column `case` or two columns of one
            name, or a row has no case or the case of an earlier row; row 2 is the first below the
            header, as spreadsheets count.

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
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file} must be text in UTF-8") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    header = text.split("\n", 1)[0]
    separator = max(",;\t", key=header.count)
    names = [name.strip().strip('"') for name in header.strip("\r").split(separator)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{file} must name each column once, got {', '.join(map(repr, twice))} twice")
    try:
        table = pd.read_csv(
            file,
            sep=separator,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            skip_blank_lines=False,
            index_col=False,
        )
    except (
        ValueError,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        pd.errors.ParserWarning,
    ) as error:
        raise ValueError(f"{file} cannot be read as a table: {str(error).strip()}") from None
    table.columns = pd.Index([str(name).strip() for name in table.columns])
    table = table.apply(lambda column: column.str.strip())
    table = table[table.ne("").any(axis=1)]  # blank lines, wherever they stand
    table = table.mask(table.isin(MISSING))
    return _checked(table, file)


def _checked(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    if "case" not in table:
        raise ValueError(f"{file} must have a column 'case', got {', '.join(table.columns)}")
    if table.empty:
        raise ValueError(f"{file} must have at least one row below the header")
    without = table.index[table["case"].isna()]
    if len(without):
        raise ValueError(f"{file}: row {without[0] + 2} has no case")
    again = table.index[table["case"].duplicated()]
    if len(again):
        case = table.loc[again[0], "case"]
        rows = ", ".join(str(row + 2) for row in table.index[table["case"] == case])
        raise ValueError(f"{file}: case {case} must have one row, got rows {rows}")
    subject = table["subject"].fillna(table["case"]) if "subject" in table else table["case"]
    table = table.assign(subject=subject).reset_index(drop=True)
    return table[["case", "subject", *(name for name in table if name not in ("case", "subject"))]]
