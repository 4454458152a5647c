"""CSV as people write and open it: read with the row in every complaint, written safe for spreadsheets."""

import csv
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet run a cell


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a CSV file as text; the index is the row that a spreadsheet shows (2 below the header).

    Comma, semicolon or tab separate, whichever the header has most of. Rows without any text are left out.

    Raises:
        ValueError: the file cannot be read, is not UTF-8, has a row with more fields than the header, or
            two columns of one name; the message names the file and the row.
    """
    file = Path(path)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            text = stream.read()
    except UnicodeDecodeError:
        raise ValueError(f"{file} must be text in UTF-8") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    first = text.lstrip().split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        lines = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
        (_, header), *rows = [(number, row) for number, row in enumerate(lines, 1) if "".join(row).strip()]
    except (csv.Error, ValueError) as error:
        reason = "it is empty" if not text.strip() else str(error)
        raise ValueError(f"{file} cannot be read as a table: {reason}") from None
    names = [name.strip() for name in header]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{file} must name each column once, got {', '.join(map(repr, twice))} twice")
    kept = {}
    for number, row in rows:
        if len(row) > len(names) and any(field.strip() for field in row[len(names) :]):
            raise ValueError(
                f"{file} cannot be read as a table: "
                f"row {number} has {len(row)} fields, the header {len(names)}"
            )
        kept[number] = (row + [""] * len(names))[: len(names)]
    return pd.DataFrame.from_dict(kept, orient="index", columns=names)


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV in which no text is a spreadsheet formula: `=cmd()` becomes `'=cmd()`."""
    # Numbers are left alone: pandas 2 turns whole ones with gaps into floats when it maps them.
    safe = table.apply(lambda column: column if is_numeric_dtype(column) else column.map(_defused))
    safe = safe.rename(columns=_defused)
    # A lone carriage return ends a row unless it is quoted, which pandas does not see to.
    strings = safe.select_dtypes(include=["object", "string"])
    quote_all = any(column.astype(str).str.contains("\r").any() for _, column in strings.items())
    file = StringIO()
    safe.to_csv(file, index=False, quoting=csv.QUOTE_NONNUMERIC if quote_all else csv.QUOTE_MINIMAL)
    return file.getvalue()


def fused(value: str) -> str:
    """Take the apostrophe off again that `to_csv` put in front."""
    return value[1:] if value.startswith("'") and _is_hazard(value) else value


def _defused(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and _is_hazard(value) else value


def _is_hazard(value: str) -> bool:
    return value.lstrip("'").startswith(_FORMULA) and not _is_number(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
