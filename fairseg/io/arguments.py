"""Numbers that callers give: text and whatever else is none end in the error that says what was expected."""

from collections.abc import Callable
from typing import Any


def fits(value: Any, holds: Callable[[Any], Any]) -> bool:
    """Say whether an argument is a number that is as it must be.

    >>> fits(0.5, lambda share: 0 < share < 1), fits("0.5", lambda share: 0 < share < 1), fits(None, bool)
    (True, False, False)
    """
    try:
        return not isinstance(value, str) and bool(holds(value)) and value is not None
    except (TypeError, ValueError):
        return False
