"""The options that several commands share, and those of the settings of a training."""

from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import types
from fairseg.cli.types import OUT as OUT  # noqa: PLC0414  (the commands say options.OUT)
from fairseg.cli.types import PATH as PATH  # noqa: PLC0414
from fairseg.cohort.columns import METRICS
from fairseg.io.limits import MAX_VOXELS, read_limits
from fairseg.io.outputs import reading
from fairseg.training.settings import Settings

Decorator = Callable[..., Any]


def group(*options: Decorator) -> Decorator:
    """Return options as one decorator."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_DEBUG = click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error.")
_OVERWRITE = click.Option(
    ["--overwrite"], is_flag=True, help="Replace files at the place of the output, whoever wrote them."
)
_LIMITS = (
    click.Option(
        ["--max-voxels"],
        type=click.IntRange(min=1),
        default=MAX_VOXELS,
        show_default=True,
        help="Voxels of the largest image that is read.",
    ),
    click.Option(
        ["--detached"], is_flag=True, help="Read .mhd and .nrrd with their voxels in a file beside."
    ),
)


class Command(click.Command):
    """A command that refuses an option of one value given twice, of which click silently takes the last.

    Its last options are the ones that commands share, which it obeys itself: --debug; --overwrite, without
    which a command that writes keeps off its inputs, every path but OUT; and limits of the images that it
    reads.
    """

    def __init__(
        self, *args: Any, debug: bool = True, writes: bool = False, reads_images: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.params += [*[_DEBUG] * debug, *[_OVERWRITE] * writes, *_LIMITS * reads_images]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; raise a UsageError for a value that would be lost."""
        if not ctx.resilient_parsing:
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
            for option, times in Counter(order).items():
                if isinstance(option, click.Option) and times > 1 and not (option.multiple or option.is_flag):
                    how = "once, with all its values" if "," in (option.metavar or "") else "once"
                    raise click.UsageError(f"{option.opts[0]} must be given {how}, got it {times} times", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with its inputs protected, and within the limits."""
        inputs: list[Path] = []
        for parameter in self.params if "overwrite" in ctx.params else ():
            value = ctx.params.get(parameter.name or "")
            if getattr(parameter.type, "reads", False) and value not in (None, True):
                inputs += value if isinstance(value, tuple) else [value]
        limits = {name: ctx.params.pop(name) for name in ("max_voxels", "detached") if name in ctx.params}
        with reading(*inputs, overwrite=ctx.params.pop("overwrite", False)), read_limits(**limits):
            return super().invoke(ctx)


command = partial(click.command, cls=Command)


def number(name: str, kind: Any, default: Any, text: str) -> Decorator:
    """Return an option that shows its default."""
    return click.option(name, type=kind, default=default, show_default=True, help=text)


def by(*, required: bool = True, default: str = "") -> Decorator:
    """Return the option that names the attributes whose cells are the groups."""
    text = f"Attribute whose levels are the groups; several: their intersection. {default}"
    return click.option("--by", multiple=True, required=required, metavar="ATTRIBUTE", help=text.strip())


def setting(name: str) -> Decorator:
    """Return the option of one setting, with its meaning and default from `fairseg.training.Settings`."""
    field = Settings.__dataclass_fields__[name]
    flag, default, text = name.replace("_", "-"), field.default, field.metadata["help"]
    if isinstance(default, bool):
        return click.option(f"--{flag}/--no-{flag}", default=default, show_default=True, help=text)
    return click.option(
        f"--{flag}",
        type=types.setting_type(name),
        default=default,
        show_default=default is not None,
        metavar=types.metavar_of(name),
        help=text,
    )


settings = group(*(setting(field.name) for field in fields(Settings) if field.metadata))

BINS = click.option(
    "--bins",
    type=types.BINS,
    multiple=True,
    metavar="NAME=EDGES",
    help="Cut a numeric attribute into bins: age=50,65.",
)


pseudonyms = click.option(
    "--pseudonyms",
    type=types.KEY,
    is_flag=False,
    flag_value=True,
    default=None,
    metavar="[FILE]",
    help="Show codes in the place of the names of cases and subjects. FILE: the key, made if not there; "
    "under one key a name has the same code in all results.",
)


def key_outside(value: Any, out: Path) -> Any:
    """Return the pseudonyms that --pseudonyms asks for, or None; their key must lie outside the results."""
    if isinstance(value, Path):
        fairseg.cohort.Pseudonyms(b"", value).check_outside(out)  # before the key is made
    return fairseg.cohort.Pseudonyms.of(value or False)


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Remember an option of `tables` for `table_options`, so that commands need not pass it on."""
    context.meta.setdefault(_TABLES, {})[option.name] = value


def _table_option(name: str, text: str, **more: Any) -> Decorator:
    return click.option(name, expose_value=False, callback=_keep, help=text, **more)


_TABLES = "fairseg.cli.tables"
tables = group(
    _table_option(
        "--na", "Text that means 'not known' in the tables, such as '?'.", multiple=True, metavar="TEXT"
    ),
    _table_option("--keep-na", "Column in which NA is a level.", multiple=True, metavar="COLUMN"),
    _table_option("--case-column", "Column that names the cases. Default: case.", metavar="COLUMN"),
    _table_option("--subject-column", "Column that names the subjects. Default: subject.", metavar="COLUMN"),
)
wide_scores = group(
    _table_option(
        "--wide", "Columns of scores, one a label: dice_LV,dice_RV.", multiple=True, metavar="COLUMN,..."
    ),
    _table_option("--percent", "Shares are written as percentages.", is_flag=True),
)


def table_options() -> Any:
    """Return the values of the options of `tables`, for the readers of tables."""
    values = click.get_current_context().meta.get(_TABLES, {})
    names = {name: value for name, value in values.items() if name not in ("wide", "percent")}
    return fairseg.cohort.TableOptions(**names)


def score_options() -> dict[str, Any]:
    """Return the values of the options of `tables` and `wide_scores`, for `Scores.of`."""
    values = click.get_current_context().meta.get(_TABLES, {})
    wide = [name.strip() for part in values.get("wide", ()) for name in part.split(",") if name.strip()]
    return {"options": table_options(), "wide": wide, "percent": bool(values.get("percent"))}


def metric_list(text: str, **more: Any) -> Decorator:
    """Return the option of a list of metrics."""
    return click.option(
        "--metrics",
        type=types.METRIC_LIST,
        multiple=True,
        callback=types.flat,
        metavar="METRIC,...",
        help=text,
        **more,
    )


labels = click.option(
    "--labels",
    type=types.LABELS,
    multiple=True,
    callback=types.structures,
    metavar="NAME=VALUES,...",
    help="1,2,3 or RVBP=1,LVM=2; a union: tumour=1+2+3; where predictions have other values: lung=150:1. "
    "Default: dataset.json in or above either folder, else every value in a reference.",
)
ignore = click.option(
    "--ignore",
    type=int,
    metavar="VALUE",
    help="Value of the references that counts for nothing. Default: 'ignore' of dataset.json.",
)
spacing = click.option(
    "--spacing",
    type=types.SPACING,
    metavar="Y,X|COLUMN",
    help="Pixel size in mm, rows first, of masks whose files state none, such as PNG; or the columns of the "
    "table that have it.",
)
scoring = group(
    click.argument("predictions", type=types.MASKS),
    click.argument("references", type=types.MASKS),
    click.option(
        "--groups",
        "table",
        type=PATH,
        required=True,
        help="Table of cases: columns case, subject, and the attributes.",
    ),
    tables,
    labels,
    ignore,
    metric_list(f"Some of {','.join(METRICS)}.", default=["dice,hd"], show_default=True),
    number(
        "--empty",
        click.Choice(["nan", "diagonal"]),
        "nan",
        "Distance of a structure that only one mask has: left out and counted, or the image's diagonal.",
    ),
    spacing,
    click.option(
        "--tolerance", type=types.Number(0.0), help="Tolerance of nsd and nsd_area: mm, or pixels of PNG."
    ),
    number(
        "--min-iou",
        types.Number(0.0, 1.0),
        0.5,
        "Intersection over union from which on a lesion counts as found.",
    ),
    number("--workers", click.IntRange(min=1), 1, "Processes that score cases."),
    number(
        "--on-error",
        click.Choice(["stop", "skip"]),
        "stop",
        "A case that cannot be scored: stop, or finish without it and exit with 1.",
    ),
    click.option(
        "--cross-check",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Compute N random case-label pairs again with medpy; fail on a difference.",
    ),
)
reference = click.option(
    "--reference",
    metavar="LEVEL",
    help="Reference group, such as White; of an intersection: 'sex=F, site=A'.",
)
grouping = group(  # that a file can state instead
    by(required=False),
    reference,
    BINS,
    click.option(
        "--preregister",
        type=PATH,
        metavar="FILE",
        help="File that states --by to --seed beforehand, as `fairseg plan --write` makes it.",
    ),
)
clinical = group(
    click.option(
        "--roles", type=types.ROLE_LIST, metavar="ROLE=LABEL,...", help="Labels of lv, myocardium, rv."
    ),
    click.option("--phase", type=types.PHASE, metavar="NAME=ED,ES", help="Attribute that tells ED from ES."),
)
