"""Cells of a column: as a list, and a function of each, worked out once for equal texts."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


def cells_of(column: Iterable[Any]) -> list[Any]:
    """Return the cells of a column; those of pandas' types of text at once, else they come one by one."""
    is_text = getattr(getattr(column, "dtype", None), "kind", "") == "O"
    return list(column.tolist() if is_text else column)  # type: ignore[attr-defined]


def each(function: Callable[[Any], Result], cells: Iterable[Any]) -> list[Result]:
    """Return a function of each cell; columns of many rows have few different texts.

    >>> each(len, ["ab", "c", "ab"])
    [2, 1, 2]
    """
    found: dict[str, Result] = {}
    results = []
    for cell in cells:
        if type(cell) is not str:  # 1, 1.0 and True are equal, and differ as texts
            results.append(function(cell))
            continue
        if cell not in found:
            found[cell] = function(cell)
        results.append(found[cell])
    return results
