"""Cells of a column: as a list, and a function of each, computed once for equal texts."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Result = TypeVar("Result")
Levels = tuple[npt.NDArray[np.int64], list[Any]]  # the code of each cell, and the levels, or None


def cells_of(column: Iterable[Any]) -> list[Any]:
    """Return the cells of a column as a list; fast for the text types of pandas."""
    is_text = getattr(getattr(column, "dtype", None), "kind", "") == "O"
    return list(column.tolist() if is_text else column)  # type: ignore[attr-defined]


def texts_of(column: Iterable[Any]) -> list[str]:
    """Return the texts among the cells of a column, each once."""
    cells = cells_of(column)
    if set(map(type, cells)) <= {str, type(None)}:
        return [text for text in dict.fromkeys(cells) if text is not None]
    return list(dict.fromkeys(cell for cell in cells if isinstance(cell, str)))


def coded(
    function: Callable[[Any], Result], cells: Iterable[Any]
) -> tuple[npt.NDArray[np.int64], list[Result]]:
    """Return the distinct values of a function of the cells, and the index of each cell's value, int64 (N,).

    Different texts have an entry each; the values of other cells must be hashable.

    >>> coded(len, ["ab", "c", "ab"])
    (array([0, 1, 0]), [2, 1])
    """
    listed: list[Any] = cells if isinstance(cells, list) else list(cells)
    plain = set(map(type, listed)) <= {str, type(None)}
    keys = listed if plain else each(function, listed)
    code = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    codes = np.fromiter(map(code.__getitem__, keys), dtype=np.int64, count=len(keys))
    return codes, list(map(function, code)) if plain else list(code)


def combined(levels: Sequence[Levels]) -> tuple[npt.NDArray[np.int64], list[tuple[Any, ...]]]:
    """Return the combinations of levels in the order they occur, and the index of each row's combination."""
    rows, cells = levels[0][0], list(zip(levels[0][1], strict=True))
    for codes, values in levels[1:]:
        pairs, first, inverse = np.unique(rows * len(values) + codes, return_index=True, return_inverse=True)
        order = np.argsort(first)
        cells = [(*cells[pair // len(values)], values[pair % len(values)]) for pair in pairs[order].tolist()]
        rows = np.argsort(order)[inverse.ravel()]
    return rows, cells


def each(function: Callable[[Any], Result], cells: Iterable[Any]) -> list[Result]:
    """Return a function of each cell; of texts or whole numbers, different ones are computed once.

    >>> each(len, ["ab", "c", "ab"])
    [2, 1, 2]
    """
    listed = cells if isinstance(cells, list) else list(cells)
    kinds = set(map(type, listed))
    # 1, 1.0 and True are equal, and differ as texts.
    same = int if kinds == {int} else str
    values = listed if kinds == {same} else [cell for cell in listed if type(cell) is same]
    results = {value: function(value) for value in dict.fromkeys(values)}
    if len(values) == len(listed):
        return [results[value] for value in listed]
    return [results[cell] if type(cell) is same else function(cell) for cell in listed]
