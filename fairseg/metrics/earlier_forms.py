"""The forms of fairseg 0.1, in which functions of values and groups also took the number of groups.

They keep working, with one decorator; what `help` and the documentation show is the form of today.
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from numbers import Integral
from typing import Any, ParamSpec, TypeVar

from fairseg.cohort.ids import as_ids

P = ParamSpec("P")
R = TypeVar("R")


def accepts_num_groups(**renamed: str) -> Callable[[Callable[P, R]], Callable[..., R]]:
    """Let a function of `groups` be called with the number of groups behind them, or as `num_groups=`.

    The number still tells of groups that none of the ids names: `by_group(values, groups, 3)`. Arguments that
    stood behind it by position may still do so, and where a function also takes group values alone, their
    reference may stand second: `fairness_gap(group_values, 0)`.

    Args:
        renamed: earlier names of arguments -> those of today.
    """

    def decorate(function: Callable[P, R]) -> Callable[..., R]:
        names = list(signature(function).parameters)
        position = names.index("groups")
        behind = names[position + 1 :]

        @wraps(function)
        def accepting(*args: Any, **kwargs: Any) -> R:
            given = {renamed.get(name, name): value for name, value in kwargs.items()}
            number = given.pop("num_groups", None)
            args, rest = args[: position + 1], args[position + 1 :]
            if number is None and rest and _is_integer(rest[0]) and len(rest) - 1 <= len(behind):
                number = rest[0]
                given |= dict(zip(behind, rest[1:], strict=False))
                rest = ()
            if "reference" in names and len(args) > position and isinstance(args[position], str | Integral):
                given["reference"] = args[position]
                args = args[:position]
            if number is not None and (len(args) > position or "groups" in given):
                groups = args[position] if len(args) > position else given["groups"]
                args = args[:position]
                given["groups"] = as_ids(groups, known=number)
            return function(*args, *rest, **given)

        return accepting

    return decorate


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
