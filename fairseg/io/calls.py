"""What a person types: calls are taken as they are meant, or end in an error that says what to type."""

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
Call = tuple[tuple[Any, ...], dict[str, Any]]  # what is given by position and by name
_TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".parquet")


def says_what_to_type(
    line: str, as_meant: Callable[..., Call] | None = None, elsewhere: Mapping[str, str] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a call that Python refuses end in a TypeError with a line that works, not in Python's words alone.

    Args:
        line: the call that works.
        as_meant: takes what a person gave, and returns what the function takes.
        elsewhere: what another function takes -> the call of it that works.

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
        def call(*given: P.args, **options: P.kwargs) -> R:
            args, named = as_meant(*given, **options) if as_meant else (given, options)
            try:
                signature.bind(*args, **named)
            except TypeError as error:
                unknown = re.search(r"unexpected keyword argument '(.+)'", str(error))
                near = did_you_mean(unknown[1], signature.parameters) if unknown else ""
                works = (elsewhere or {}).get(unknown[1]) if unknown else None
                told = f". Type for example {works}" if works else f"{near or '.'} Type for example {line}"
                said = f"{function.__name__}: {error}{told}"
                raise TypeError(said) from None
            return function(*args, **named)

        return call

    return decorate


def is_path(thing: object) -> bool:
    """Whether it is the path of a table, and no name of a column.

    >>> is_path("scores.csv"), is_path("sex"), is_path(["scores.csv"])
    (True, False, False)
    """
    if not isinstance(thing, str | Path):
        return False
    # `Path.is_file` raises an error of a name that is too long for the file system.
    return Path(thing).suffix.lower() in _TABLES or os.path.isfile(thing)  # noqa: PTH113
