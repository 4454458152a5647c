"""Calls that a person types: they are taken as they are meant, or an error says what to type."""

import inspect
import os
import re
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from fairseg.io.sentences import did_you_mean

P = ParamSpec("P")
R = TypeVar("R")
Call = tuple[tuple[Any, ...], dict[str, Any]]  # arguments by position and by name
PACKED = (".csv.gz", ".tsv.gz", ".txt.gz")
_TABLES = (*PACKED, ".csv", ".tsv", ".txt", ".xlsx", ".xls", ".parquet")


def says_what_to_type(
    line: str, as_meant: Callable[..., Call] | None = None, elsewhere: Mapping[str, str] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Add a line that works to the TypeError of a call that Python refuses.

    Args:
        line: the call that works.
        as_meant: maps the arguments of a person to those of the function.
        elsewhere: argument of another function -> a call of that one that works.

    >>> @says_what_to_type("cut(8)")
    ... def cut(number, *, parts=2):
    ...     return number / parts
    >>> cut(3, part=4)
    Traceback (most recent call last):
    ...
    TypeError: cut: got an unexpected keyword argument 'part'; did you mean 'parts'? Type for example cut(8)
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> R:
            positional, named = as_meant(*args, **options) if as_meant else (args, options)
            try:
                signature.bind(*positional, **named)
            except TypeError as error:
                match = re.search(r"unexpected keyword argument '(.+)'", str(error))
                unknown = match[1] if match else ""
                example = (elsewhere or {}).get(unknown)
                suggestion = "" if example or not match else did_you_mean(unknown, signature.parameters)
                raise TypeError(
                    f"{function.__name__}: {error}{suggestion or '.'} Type for example {example or line}"
                ) from None
            return function(*positional, **named)

        return call

    return decorate


def is_path(value: object) -> bool:
    """Whether a value is the path of a table, and no name of a column.

    >>> is_path("scores.csv"), is_path("sex"), is_path(["scores.csv"])
    (True, False, False)
    """
    if not isinstance(value, str | Path):
        return False
    # `Path.is_file` raises an error of a name that is too long for the file system.
    return str(value).lower().endswith(_TABLES) or os.path.isfile(value)  # noqa: PTH113
