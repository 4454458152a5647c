"""CSV as people write and open it: read with the row in every complaint, written safe for spreadsheets."""

import codecs
import csv
import logging
import re
from collections import Counter
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from fairseg.io.cells import cells_of, each

logger = logging.getLogger(__name__)

_STATED = re.compile(r"\s*sep=(.)[^\S\n]*\r?\n")  # Excel's own first line
_THOUSANDS = re.compile(r"[-+]?[1-9][0-9]{0,2},[0-9]{3}")
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1f]")
_ZIP = b"PK\x03\x04"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet run a cell


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a CSV file as text; the index is the row that a spreadsheet shows (2 below the header).

    Comma, semicolon, tab or a bar separate, whichever the header has most of, or what Excel's first line
    `sep=;` says. Rows without any text are left out, and columns without name and text. The text is UTF-8,
    UTF-16 as Excel's "Unicode text", or else Windows-1252, which is logged. Where no comma separates, it is
    the decimal point of a column of numbers (but before three digits each, beside other numbers with points:
    those are left as they are).

    Raises:
        ValueError: the file cannot be read, is no text, has a row with more fields than the header, or
            two columns of one name; the message names the file and the row.
    """
    file = Path(path)
    try:
        text = _decoded(file)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    stated = _STATED.match(text)
    first = text[stated.end() if stated else 0 :].lstrip().split("\n", 1)[0]
    separator = stated[1] if stated else max(",;\t|", key=first.count)
    try:
        lines = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
        filled = [(number, row) for number, row in enumerate(lines, 1) if "".join(row).strip()]
        (_, header), *rows = filled[1:] if stated else filled
    except (csv.Error, ValueError) as error:
        reason = "it is empty" if not text.strip() else str(error)
        raise ValueError(f"{file} cannot be read as a table: {reason}") from None
    header = [name.strip() for name in header]
    # Spreadsheets write columns without a name, and without any cell, beside the others.
    places = [
        place
        for place, name in enumerate(header)
        if name or any("".join(row[place : place + 1]).strip() for _, row in rows)
    ]
    names = [header[place] for place in places]
    if twice := sorted(name for name, number in Counter(names).items() if number > 1):
        raise ValueError(f"{file} must name each column once, got {', '.join(map(repr, twice))} twice")
    kept = {}
    for number, row in rows:
        if len(row) > len(header) and any(field.strip() for field in row[len(header) :]):
            raise ValueError(
                f"{file} cannot be read as a table: "
                f"row {number} has {len(row)} fields, the header {len(header)}"
            )
        kept[number] = ["".join(row[place : place + 1]) for place in places]
    table = pd.DataFrame.from_dict(kept, orient="index", columns=names)
    if separator == ",":
        return table
    points = (
        re.search(rf'(?:^|["\n{separator}])[-+]?[0-9]*\.[0-9]+(?:["\r\n{separator}]|$)', text) is not None
    )
    return table.apply(lambda column: _with_decimal_points(column, beside_points=points))


def _decoded(file: Path) -> str:
    content = file.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if content.startswith(_ZIP):
        raise ValueError(f"{file} must be text, got an Excel workbook or another archive: name it .xlsx")
    if b"\0" not in content:
        with suppress(UnicodeDecodeError):
            return content.decode("utf-8-sig")
    if _BINARY.search(content):
        raise ValueError(f"{file} must be text in UTF-8, got binary content")
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        raise ValueError(f"{file} must be text in UTF-8") from None
    logger.warning("%s is no text in UTF-8: it was read as Windows-1252", file)
    return text


def _with_decimal_points(column: "pd.Series[str]", *, beside_points: bool) -> "pd.Series[str]":
    """Return a column of numbers with decimal commas as one with points; any other as it is.

    Where other numbers of the file have points, commas before every three digits mark thousands.
    """
    number = column.str.strip().str.fullmatch(r"[-+]?[0-9]*,[0-9]+(e[-+]?[0-9]+)?", case=False)
    if not number.any() or not all(number | column.map(_is_number) | ~column.str.contains(",")):
        return column
    if beside_points and column[number].str.strip().str.fullmatch(_THOUSANDS).all():
        return column
    return column.where(~number, column.str.replace(",", "."))


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV in which no text is a spreadsheet formula: `=cmd()` becomes `'=cmd()`."""
    # Numbers are left alone: pandas 2 turns whole ones with gaps into floats when it maps them.
    safe = table.apply(lambda column: column if is_numeric_dtype(column) else _safe(column))
    safe = safe.rename(columns=_defused)
    # A lone carriage return ends a row unless it is quoted, which pandas does not see to.
    strings = safe.select_dtypes(include=["object", "string"])
    quote_all = any("\r" in str(cell) for _, column in strings.items() for cell in set(cells_of(column)))
    file = StringIO()
    safe.to_csv(file, index=False, quoting=csv.QUOTE_NONNUMERIC if quote_all else csv.QUOTE_MINIMAL)
    return file.getvalue()


def fused(value: str) -> str:
    """Take the apostrophe off again that `to_csv` put in front."""
    return value[1:] if value.startswith("'") and _is_hazard(value) else value


def _safe(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if column.dtype.kind != "O":
        return column.map(_defused)
    return pd.Series(each(_defused, cells_of(column)), index=column.index, dtype=object)


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
