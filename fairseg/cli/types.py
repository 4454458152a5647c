"""How the command `fairseg` reads the values of its options: paths, labels, bins, settings."""

import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click
from click.shell_completion import CompletionItem

from fairseg.cohort.columns import METRICS
from fairseg.io.calls import is_path
from fairseg.training.settings import type_of

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic in older releases


ROLES = ("lv", "myocardium", "rv")  # those of `fairseg.clinical`; a test compares them


class _Path(_ParamType):
    """A file or folder; an empty name, as of an unset shell variable, is none."""

    name = "path"
    reads = True  # no output may replace it

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        return Path(value) if str(value) else self.fail("must not be empty", param, ctx)

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete names of files."""
        return [CompletionItem(incomplete, type="file")]


class _Written(_Path):
    """A file or folder that a command writes."""

    reads = False


class _MaskFolder(_Path):
    """A folder of masks; for a table in its place, the error names the command that takes tables."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path."""
        path = super().convert(value, param, ctx)
        if is_path(path):
            hint = (
                f"fairseg report {shlex.quote(str(path))} --by ATTRIBUTE --out DIR judges a table of scores"
            )
            self.fail(f"must be a folder of masks, got the file {path}; {hint}", param, ctx)
        return path


class _Key(_Path):
    """A file for the key of pseudonyms, or True: none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value if value is True else super().convert(value, param, ctx)


class Parsed(_ParamType):
    """A value that a function reads from the text of an option; the error shows an example."""

    def __init__(self, parse: Callable[[str], Any], example: str) -> None:
        self.name, self.parse, self.example = "text", parse, example

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value; a value that is no text, such as a default, stays as it is."""
        try:
            return self.parse(value) if isinstance(value, str) else value
        except ValueError:
            return self.fail(f"{value!r} is not like {self.example}", param, ctx)


class Number(click.FloatRange):
    """A number in a range, never infinity nor NaN, which click accepts in every range."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        return number if math.isfinite(number) else self.fail(f"{value} is no finite number.", param, ctx)

    def _describe_range(self) -> str:
        return "" if self.min is self.max is None else super()._describe_range()  # else "x<=None" in the help


def setting_type(name: str) -> Any:
    """Return how the text of a setting of `fairseg.training.Settings` is read."""
    kind, _ = type_of(name)
    if name == "spacing":
        return SPACING
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if get_origin(kind) is tuple:
        number = get_args(kind)[0]
        return Parsed(lambda text: pair(text, number), "80,80")
    if name in ("seed", "split_seed"):
        return SEED
    return Number() if kind is float else click.types.convert_type(kind)


def metavar_of(name: str) -> str | None:
    """Return what the help shows for a setting's value; None for the name of its type."""
    if name == "spacing":
        return "Y,X|COLUMN"
    return "Y,X" if get_origin(type_of(name)[0]) is tuple else None


def _labels(text: str) -> list[tuple[str, tuple[int, ...], tuple[int, ...] | None]]:
    """Return name, values in the references and in the predictions of `LVM=2,tumour=1+2+3,lung=150:1`."""
    _check_all_named(text)
    structures = []
    for part in text.split(","):
        name, equals, codes = (piece.strip() for piece in part.rpartition("="))
        reference, colon, prediction = codes.partition(":")
        if equals and not name:
            raise ValueError
        prediction_codes = _codes(prediction) if colon else None
        structures.append((name or reference.strip(), _codes(reference), prediction_codes))
    return structures


def _check_all_named(text: str) -> None:
    """Refuse `lungs=1,2`: is 2 a value of the lungs, or a structure of its own?"""
    parts = [part.strip() for part in text.split(",")]
    bare = [part for part in parts if "=" not in part]
    if not all(bare) or not 0 < len(bare) < len(parts):
        return
    name, _, codes = next(part for part in parts if "=" in part).rpartition("=")
    union = f"{name.strip()}={'+'.join([codes.strip(), *bare])}"
    separate = ",".join(part if "=" in part else f"NAME{part}={part}" for part in parts)
    raise click.BadParameter(
        f"{text!r} has values with a name and without: type {union} for one structure of several values, or "
        f"{separate} with a name for each"
    )


def _codes(text: str) -> tuple[int, ...]:
    return tuple(int(value) for value in text.split("+"))


def flat(_context: click.Context, _option: Any, value: tuple[tuple[Any, ...], ...]) -> tuple[Any, ...]:
    """Return the values of an option of comma lists that may be repeated, each value once."""
    return tuple(dict.fromkeys(item for part in value for item in part))


def structures(context: click.Context, option: Any, value: Any) -> dict[str | int, tuple[int, ...]] | None:
    """Return the structures of all `--labels` as name -> values in the references.

    Those of the predictions become a parameter of their own. A structure without a name is named by its
    value.
    """
    entries = [entry for part in value for entry in part]
    names = [name for name, _, _ in entries]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise click.BadParameter(f"repeats the name {repeated[0]!r}", context, option)
    keys = {name: int(name) if name.isdecimal() else name for name in names}
    predicted = {keys[name]: codes for name, _, codes in entries if codes is not None}
    context.params["prediction_labels"] = predicted or None
    return {keys[name]: codes for name, codes, _ in entries} or None


def _bins(text: str) -> tuple[str, list[float]]:
    name, _, edges = text.partition("=")
    cuts = [float(edge) for edge in edges.split(",")]
    if not all(map(math.isfinite, cuts)):
        raise ValueError
    return name.strip(), cuts


def _assignment(text: str) -> tuple[str, str]:
    name, _, value = (part.strip() for part in text.partition("="))
    if not name or not value:
        raise ValueError
    return name.replace("-", "_"), value


def _spacing(text: str) -> tuple[float, ...] | tuple[str, ...]:
    """Return numbers, else names of columns."""
    parts = tuple(part.strip() for part in text.split(","))
    try:
        return tuple(map(float, parts))
    except ValueError:
        return parts


def _group_size(text: str) -> tuple[str, int]:
    name, _, number = (part.strip() for part in text.rpartition("="))
    if not name or not number.isdecimal():
        raise ValueError
    return name, int(number)


def _roles(text: str) -> dict[str, str]:
    roles: dict[str, str] = {}
    for part in text.split(","):
        role, _, label = (piece.strip() for piece in part.partition("="))
        if not role or not label:
            raise ValueError
        if role not in ROLES:
            raise click.BadParameter(f"{text!r}: {role!r} must be one of {', '.join(ROLES)}")
        if role in roles:
            raise click.BadParameter(f"{text!r} repeats the role {role!r}")
        if label in roles.values():
            raise click.BadParameter(f"{text!r} gives the label {label!r} to two roles")
        roles[role] = label
    return roles


def _phase(text: str) -> tuple[str, tuple[str, str]]:
    """Return the attribute and its levels of end-diastole and end-systole."""
    name, _, levels = (piece.strip() for piece in text.partition("="))
    diastole, systole = (level.strip() for level in levels.split(","))
    if not (name and diastole and systole):
        raise ValueError
    if diastole == systole:
        raise click.BadParameter(f"{text!r} must name two different phases")
    return name, (diastole, systole)


def _metrics(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not set(names) <= set(METRICS):
        raise click.BadParameter(f"{text!r} must be some of {','.join(METRICS)}")
    return names


def pair(text: str, number: Callable[[str], Any]) -> tuple[Any, Any]:
    """Return two numbers."""
    first, second = (number(part) for part in text.split(","))
    return first, second


PATH = _Path()  # an input
MASKS = _MaskFolder()
KEY = _Key()
OUT = _Written()
SEED = click.IntRange(0, 2**32 - 1)  # all generators take these
LABELS = Parsed(_labels, "1,2,3 or RVBP=1,LVM=2 or tumour=1+2+3 or lung=150:1")
BINS = Parsed(_bins, "age=50,65")
ASSIGNMENT = Parsed(_assignment, "steps=100")
GROUP_SIZE = Parsed(_group_size, "Black=15")
SPACING = Parsed(_spacing, "0.5,0.5 or the name of a column")
ROLE_LIST = Parsed(_roles, "lv=LVBP,myocardium=LVM,rv=RVBP")
PHASE = Parsed(_phase, "frame=ED,ES")
METRIC_LIST = Parsed(_metrics, "dice,hd95")
