"""CSV as people write and open it: errors name the row, and spreadsheets run no cell."""

import codecs
import csv
import gzip
import logging
import re
import zlib
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
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a CSV file as text; the index is the row that a spreadsheet shows (2 below the header).

    The separator is a comma, semicolon, tab or bar, whichever is most frequent in the header, or what Excel's
    first line `sep=;` states. Rows without any text are left out, and columns without name and text. The text
    is UTF-8, UTF-16 as Excel's "Unicode text", or else Windows-1252, which is logged; of a name that ends in
    .gz it is unpacked first. Where no comma
    separates, commas in a column of numbers are decimal points. Only commas that may mark thousands, because
    three digits follow each and other numbers have points, are left as they are.

    Raises:
        ValueError: the file cannot be read, is no text, has a row with more fields than the header, or
            two columns of one name; the message names the file and the row.
    """
    file = Path(path)
    try:
        text = _decoded(file)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
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
    # Spreadsheets also write columns without a name and without any cell.
    columns = [
        column
        for column, name in enumerate(header)
        if name or any("".join(row[column : column + 1]).strip() for _, row in rows)
    ]
    names = [header[column] for column in columns]
    if twice := sorted(name for name, number in Counter(names).items() if number > 1):
        raise ValueError(f"{file} must name each column once, got {', '.join(map(repr, twice))} twice")
    cells = {}
    for number, row in rows:
        if len(row) > len(header) and any(field.strip() for field in row[len(header) :]):
            raise ValueError(
                f"{file} cannot be read as a table: "
                f"row {number} has {len(row)} fields, the header {len(header)}"
            )
        cells[number] = ["".join(row[column : column + 1]) for column in columns]
    table = pd.DataFrame.from_dict(cells, orient="index", columns=names)
    if separator == ",":
        return table
    with_point = rf'(?:^|["\n{separator}])[-+]?[0-9]*\.[0-9]+(?:["\r\n{separator}]|$)'
    has_points = re.search(with_point, text) is not None
    return table.apply(lambda column: _with_decimal_points(column, beside_points=has_points))


def _decoded(file: Path) -> str:
    content = file.read_bytes()
    if file.suffix.lower() == ".gz":
        content = gzip.decompress(content)
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
    """Replace decimal commas by points in a column of numbers; return any other as it is.

    Where other numbers of the file have points, commas before every three digits mark thousands.
    """
    has_comma = column.str.strip().str.fullmatch(r"[-+]?[0-9]*,[0-9]+(e[-+]?[0-9]+)?", case=False)
    if not has_comma.any() or not all(has_comma | column.map(_is_number) | ~column.str.contains(",")):
        return column
    if beside_points and column[has_comma].str.strip().str.fullmatch(_THOUSANDS).all():
        return column
    return column.where(~has_comma, column.str.replace(",", "."))


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV in which no text is a spreadsheet formula: `=cmd()` becomes `'=cmd()`."""
    columns = []
    texts: set[str] = set()
    for _, column in table.items():
        # Numbers are left alone: pandas 2 turns whole ones with gaps into floats when it maps them.
        columns.append(column if is_numeric_dtype(column) else _escaped_column(column))
        if column.dtype.kind == "O":
            texts.update(map(str, columns[-1]))
    safe = pd.DataFrame(dict(enumerate(columns)), index=table.index)
    # A lone carriage return ends a row unless it is quoted, and pandas does not quote it.
    quote_all = any("\r" in text for text in texts)
    file = StringIO()
    safe.to_csv(
        file,
        header=list(map(_escaped, table.columns)),
        index=False,
        quoting=csv.QUOTE_NONNUMERIC if quote_all else csv.QUOTE_MINIMAL,
    )
    return file.getvalue()


def unescape_formula(value: str) -> str:
    """Remove the apostrophe that `to_csv` put before a formula."""
    return value[1:] if value.startswith("'") and _is_formula(value) else value


def _escaped_column(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if column.dtype.kind != "O":
        return column.map(_escaped)
    return pd.Series(each(_escaped, cells_of(column)), index=column.index, dtype=object)


def _escaped(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and _is_formula(value) else value


def _is_formula(value: str) -> bool:
    return value.lstrip("'").startswith(_FORMULA) and not _is_number(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
