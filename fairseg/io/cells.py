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
    listed = cells if isinstance(cells, list) else list(cells)
    # 1, 1.0 and True are equal, and differ as texts.
    texts = listed if set(map(type, listed)) == {str} else [cell for cell in listed if type(cell) is str]
    found = {text: function(text) for text in dict.fromkeys(texts)}
    if len(texts) == len(listed):
        return [found[text] for text in listed]
    return [found[cell] if type(cell) is str else function(cell) for cell in listed]
