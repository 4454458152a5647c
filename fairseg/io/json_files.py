"""JSON that others may have written: plain finite values, or a complaint that names the file."""

import json
import math
from pathlib import Path
from typing import Any


def read_json(path: str | Path, *, nan: bool = False) -> Any:
    """Return what a JSON file holds.

    Args:
        path: the file.
        nan: whether NaN is taken, as where nnU-Net writes a Dice of nothing.

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


def parse_json(content: bytes, where: str, *, nan: bool = False) -> Any:
    """Return what JSON text holds; errors are those of `read_json`, and call the text `where`.

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
        raise ValueError(
            f"{where} must be JSON: {str(error).partition(';')[0]}"
        ) from None  # not how to allow it


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _nan(text: str) -> float:
    return math.nan if text == "NaN" else _refuse(text)


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
