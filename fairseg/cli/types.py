"""How the command `fairseg` reads the values of its options: paths, labels, bins, settings."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from fairseg.cohort.columns import METRICS

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic in older releases


class _Path(_ParamType):
    """A file or folder; an empty name, as of an unset shell variable, is none."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        return Path(value) if str(value) else self.fail("must not be empty", param, ctx)

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete names of files, as it does everywhere."""
        return [CompletionItem(incomplete, type="file")]


PATH = _Path()


class LabelList(_ParamType):
    """`1,2,3` or `RVBP=1,LVM=2`."""

    name = "labels"

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, int] | list[int]:
        """Return the values, or name -> value."""
        parts = [part.strip() for part in str(value).split(",")]
        try:
            if "=" in value:
                pairs = [part.rsplit("=", 1) for part in parts]
                names, numbers = [name.strip() for name, _ in pairs], [int(number) for _, number in pairs]
                if twice := [name for name in names if names.count(name) > 1]:
                    self.fail(f"{value!r} repeats the name {twice[0]!r}", param, ctx)
                if all(names):
                    return dict(zip(names, numbers, strict=True))
            else:
                return [int(part) for part in parts]
        except ValueError:
            pass
        return self.fail(f"{value!r} is neither like 1,2,3 nor like RVBP=1,LVM=2", param, ctx)


class Bins(_ParamType):
    """`age=50,65`."""

    name = "bins"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, list[float]]:
        """Return the name and the edges."""
        name, _, edges = str(value).partition("=")
        try:
            return name.strip(), [float(edge) for edge in edges.split(",")]
        except ValueError:
            return self.fail(f"{value!r} is not like age=50,65", param, ctx)


class Setting(_ParamType):
    """`steps=100`."""

    name = "setting"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """Return the name and the text."""
        name, equals, text = str(value).partition("=")
        if not name.strip() or not equals or not text.strip():
            self.fail(f"{value!r} is not like steps=100", param, ctx)
        return name.strip().replace("-", "_"), text.strip()


class GroupSize(_ParamType):
    """`Black=15`."""

    name = "group size"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, int]:
        """Return the name and the number."""
        name, _, number = str(value).rpartition("=")
        if not name.strip() or not number.strip().isdecimal():
            self.fail(f"{value!r} is not like Black=15", param, ctx)
        return name.strip(), int(number)


class MetricList(_ParamType):
    """`dice,hd95`."""

    name = "metrics"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Return the names."""
        asked = tuple(part.strip() for part in str(value).split(","))
        if not set(asked) <= set(METRICS):
            self.fail(f"{value!r} must be some of {','.join(METRICS)}", param, ctx)
        return asked


class Pair(_ParamType):
    """`80,80`."""

    name = "pair"

    def __init__(self, kind: Callable[[str], Any]) -> None:
        self.kind = kind

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[Any, Any]:
        """Return both numbers."""
        try:
            first, second = (self.kind(part) for part in str(value).split(","))
        except ValueError:
            return self.fail(f"{value!r} is not like 80,80", param, ctx)
        return first, second
