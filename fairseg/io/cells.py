"""Cells of a column: as a list, and a function of each, worked out once for equal texts."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Result = TypeVar("Result")


def cells_of(column: Iterable[Any]) -> list[Any]:
    """Return the cells of a column; those of pandas' types of text at once, else they come one by one."""
    is_text = getattr(getattr(column, "dtype", None), "kind", "") == "O"
    return list(column.tolist() if is_text else column)  # type: ignore[attr-defined]


def coded(
    function: Callable[[Any], Result], cells: Iterable[Any]
) -> tuple[npt.NDArray[np.int64], list[Result]]:
    """Return the values of a function, each once, and of each cell which one it has, int64 (N,).

    Equal values may come twice, but where cells are no texts; these must be such as a dict can hold.

    >>> coded(len, ["ab", "c", None, "ab"][:2])
    (array([0, 1]), [2, 1])
    """
    listed: list[Any] = cells if isinstance(cells, list) else list(cells)
    plain = set(map(type, listed)) <= {str, type(None)}
    keys = listed if plain else each(function, listed)
    code = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    codes = np.fromiter(map(code.__getitem__, keys), dtype=np.int64, count=len(keys))
    return codes, list(map(function, code)) if plain else list(code)


def each(function: Callable[[Any], Result], cells: Iterable[Any]) -> list[Result]:
    """Return a function of each cell; columns of many rows have few different texts.

    >>> each(len, ["ab", "c", "ab"])
    [2, 1, 2]
    """
    listed = cells if isinstance(cells, list) else list(cells)
    # 1, 1.0 and True are equal, and differ as texts.
    texts = listed if set(map(type, listed)) == {str} else [cell for cell in listed if type(cell) is str]
    found = {text: function(text) for text in dict.fromkeys(texts)}
    if len(texts) == len(listed):
        return [found[text] for text in listed]
    return [found[cell] if type(cell) is str else function(cell) for cell in listed]
