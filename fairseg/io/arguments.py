"""Checks of numbers that callers give, which fail on text and other values too."""

from collections.abc import Callable
from typing import Any


def fits(value: Any, holds: Callable[[Any], Any]) -> bool:
    """Whether an argument is a number that satisfies a condition.

    >>> fits(0.5, lambda share: 0 < share < 1), fits("0.5", lambda share: 0 < share < 1), fits(None, bool)
    (True, False, False)
    """
    try:
        return not isinstance(value, str) and bool(holds(value)) and value is not None
    except (TypeError, ValueError):
        return False
