"""The cohort: read the table of cases and check it, with the row in every complaint."""

from pathlib import Path

import pandas as pd

from fairseg.metrics.csv_files import read_csv

# What people's tools write for "not known". R writes NA, pandas nothing, spreadsheets N/A or #N/A.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null")


def read_cohort(path: str | Path) -> pd.DataFrame:
    r"""Read `groups.csv`: one row a case, with the columns `case`, `subject` and the attributes.

    Every value stays text, so that "01" stays "01"; spaces around it go. A value that says "not known"
    (empty, NA, N/A, n/a, #N/A, <NA>, NaN, nan, NULL, null) becomes missing; `None` is kept as a level.
    Without a column `subject` the case is the subject, and so it is where that cell is empty:
    `table.attrs["without_subject"]` lists those cases. Comma, semicolon and tab separate columns.

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
    table = read_csv(file)
    if "case" not in table:
        raise ValueError(f"{file} must have a column 'case', got {', '.join(table.columns)}")
    if table.empty:
        raise ValueError(f"{file} must have at least one row below the header")
    table = table.apply(lambda column: column.str.strip())
    table = table.mask(table.isin(MISSING))
    if (without := table.index[table["case"].isna()]).size:
        raise ValueError(f"{file}: row {without[0]} has no case")
    if (again := table.index[table["case"].duplicated()]).size:
        case = table.loc[again[0], "case"]
        rows = ", ".join(str(row) for row in table.index[table["case"] == case])
        raise ValueError(f"{file}: case {case} must have one row, got rows {rows}")
    without = table["case"][table["subject"].isna()].tolist() if "subject" in table else []
    subject = table["subject"].fillna(table["case"]) if "subject" in table else table["case"]
    table = table.assign(subject=subject).reset_index(drop=True)
    attributes = [name for name in table.columns if name not in ("case", "subject")]
    table = pd.DataFrame(table[["case", "subject", *attributes]])
    table.attrs = {"without_subject": without}
    return table
