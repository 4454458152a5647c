"""Cells of a column: as a list, and a function of each, worked out once for equal texts."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Result = TypeVar("Result")
Levels = tuple[npt.NDArray[np.int64], list[Any]]  # which of the levels each cell has, and these, or None


def cells_of(column: Iterable[Any]) -> list[Any]:
    """Return the cells of a column; those of pandas' types of text at once, else they come one by one."""
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
    """Return which of the values of a function each cell has, int64 (N,), and these values.

    Of texts there is one for each that differs; other cells have values that a dict can hold.

    >>> coded(len, ["ab", "c", "ab"])
    (array([0, 1, 0]), [2, 1])
    """
    listed: list[Any] = cells if isinstance(cells, list) else list(cells)
    plain = set(map(type, listed)) <= {str, type(None)}
    keys = listed if plain else each(function, listed)
    code = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    codes = np.fromiter(map(code.__getitem__, keys), dtype=np.int64, count=len(keys))
    return codes, list(map(function, code)) if plain else list(code)


def combined(levels: Sequence[Levels]) -> tuple[npt.NDArray[np.int64], list[tuple[Any, ...]]]:
    """Return which combination of the columns' levels each row has, and those that occur, in that order."""
    which, cells = levels[0][0], list(zip(levels[0][1], strict=True))
    for codes, own in levels[1:]:
        pairs, first, back = np.unique(which * len(own) + codes, return_index=True, return_inverse=True)
        order = np.argsort(first)
        cells = [(*cells[pair // len(own)], own[pair % len(own)]) for pair in pairs[order].tolist()]
        which = np.argsort(order)[back.ravel()]
    return which, cells


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
