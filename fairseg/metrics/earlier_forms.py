"""The forms of fairseg 0.1, in which functions of values and groups also took the number of groups.

They keep working, with one decorator; `help` and the documentation show today's form.
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
    """Let a function of `groups` be called with the number of groups after them, or as `num_groups=`.

    The number still states groups that no id belongs to: `by_group(values, groups, 3)`. Arguments that
    followed it by position may still do so, and where a function also takes group values alone, their
    reference may come second: `fairness_gap(group_values, 0)`. A name can be no number, so that it is the
    reference: `fairness_gap(values, groups, "M")`.

    Args:
        renamed: earlier names of arguments -> today's.
    """

    def decorate(function: Callable[P, R]) -> Callable[..., R]:
        names = list(signature(function).parameters)
        position = names.index("groups")
        after_groups = names[position + 1 :]

        @wraps(function)
        def accepting(*args: Any, **kwargs: Any) -> R:
            options = {renamed.get(name, name): value for name, value in kwargs.items()}
            number = options.pop("num_groups", None)
            args, more = args[: position + 1], args[position + 1 :]
            if number is None and more and _is_integer(more[0]) and len(more) - 1 <= len(after_groups):
                number = more[0]
                options |= dict(zip(after_groups, more[1:], strict=False))
                more = ()
            if "reference" in names and len(args) > position and isinstance(args[position], str | Integral):
                options["reference"] = args[position]
                args = args[:position]
            if after_groups[:1] == ["reference"] and len(more) == 1 and isinstance(more[0], str):
                options["reference"], more = more[0], ()
            if number is not None and (len(args) > position or "groups" in options):
                groups = args[position] if len(args) > position else options["groups"]
                args = args[:position]
                options["groups"] = as_ids(groups, known=number)
            return function(*args, *more, **options)

        return accepting

    return decorate


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
