"""JSON that others may have written: plain finite values, or an error that names the file."""

import json
import math
from pathlib import Path
from typing import Any


def read_json(path: str | Path, *, nan: bool = False) -> Any:
    """Return what a JSON file holds.

    Args:
        path: the file.
        nan: whether NaN is allowed, as nnU-Net writes the Dice of an empty structure.

    Raises:
        ValueError: the file cannot be read, is no JSON in UTF-8 (with or without a BOM), is
            nested too deep, or has a number that is not finite (NaN, Infinity, 1e999), which JSON does not
            know.
    """
    file = Path(path)
    try:
        return parse_json(file.read_bytes(), str(file), nan=nan)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None


def read_object(path: str | Path) -> dict[str, Any]:
    """Return the object that a file of fairseg's own holds; {} if it is not there, or damaged."""
    try:
        content = read_json(path)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def parse_json(content: bytes, where: str, *, nan: bool = False) -> Any:
    """Return what JSON text holds; errors are those of `read_json`, with the name `where` for the text.

    >>> parse_json(b'{"labels": {"heart": NaN}}', "dataset.json")
    Traceback (most recent call last):
    ValueError: dataset.json must be JSON: NaN is no number of JSON
    """
    try:
        return json.loads(
            content.decode("utf-8-sig"), parse_constant=_nan if nan else _refuse, parse_float=_finite
        )
    except RecursionError:
        raise ValueError(f"{where} must be JSON: it is nested too deep") from None
    except ValueError as error:
        reason = str(error).partition(";")[0]  # without the hint how to allow it
        raise ValueError(f"{where} must be JSON: {reason}") from None


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _nan(text: str) -> float:
    return math.nan if text == "NaN" else _refuse(text)


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
