"""The command `fairseg`: the library from the shell.

Exit codes: 0 done; 2 bad input, with one line on stderr that says what and where; 1 anything else.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairseg import __version__

logger = logging.getLogger("fairseg")

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic in older releases

METRICS = ("dice", "hd", "hd95", "assd", "nsd")
_FOLDER = click.Path(path_type=Path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    notes = _Notes()
    logger.addHandler(notes)
    try:
        code = int(cli.main(args=arguments, prog_name="fairseg", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        return _fail(f"error: {error.format_message()}", 2)
    except ValueError as error:
        if "--debug" in (sys.argv if arguments is None else arguments):
            raise
        return _fail(f"error: {error}", 2)
    except (_InterruptedError, click.Abort):
        return _fail("interrupted, nothing was written", 1)
    except RuntimeError as error:
        return _fail(f"error: {error}", 1)
    finally:
        logger.removeHandler(notes)
    notes.show()
    return code


class _InterruptedError(Exception):
    """Ctrl-C, before click makes its own of it."""


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _InterruptedError from None


class _Notes(logging.Handler):
    """Keeps what the library has to say until the work is done, then shows it, one line each."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(_one_line(record.getMessage()))

    def show(self) -> None:
        for line in self.lines:
            click.echo(f"fairseg: note: {line}", err=True)


def _fail(message: str, code: int) -> int:
    click.echo(f"fairseg: {_one_line(message)}", err=True)
    return code


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


class _LabelList(_ParamType):
    """`1,2,3` or `RVBP=1,LVM=2`."""

    name = "labels"

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, int] | list[int]:
        parts = [part.strip() for part in str(value).split(",")]
        try:
            if "=" in value:
                pairs = [part.rsplit("=", 1) for part in parts]
                named = {name.strip(): int(number) for name, number in pairs}
                if len(named) == len(parts) and all(named):
                    return named
            else:
                return [int(part) for part in parts]
        except ValueError:
            pass
        return self.fail(f"{value!r} is neither like 1,2,3 nor like RVBP=1,LVM=2", param, ctx)


class _Bins(_ParamType):
    """`age=50,65`."""

    name = "bins"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, list[float]]:
        name, _, edges = str(value).partition("=")
        try:
            return name.strip(), [float(edge) for edge in edges.split(",")]
        except ValueError:
            return self.fail(f"{value!r} is not like age=50,65", param, ctx)


class _MetricList(_ParamType):
    name = "metrics"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        asked = tuple(part.strip() for part in str(value).split(","))
        if not set(asked) <= set(METRICS):
            self.fail(f"{value!r} must be some of {','.join(METRICS)}", param, ctx)
        return asked


def _options(*options: Callable[..., Any]) -> Callable[..., Any]:
    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_scoring = _options(
    click.argument("predictions", type=_FOLDER),
    click.argument("references", type=_FOLDER),
    click.option(
        "--groups",
        "table",
        type=_FOLDER,
        required=True,
        help="Table of cases: columns case, subject, and the attributes.",
    ),
    click.option(
        "--labels",
        type=_LabelList(),
        help="1,2,3 or RVBP=1,LVM=2. Default: dataset.json in or above REFERENCES, "
        "else every value in a reference.",
    ),
    click.option(
        "--metrics",
        type=_MetricList(),
        default="dice,hd",
        show_default=True,
        help=f"Some of {','.join(METRICS)}.",
    ),
    click.option(
        "--empty",
        type=click.Choice(["nan", "diagonal"]),
        default="nan",
        show_default=True,
        help="Distance of a structure that only one mask has: left out and counted, or the image's diagonal.",
    ),
    click.option("--tolerance", type=float, help="Tolerance of nsd, mm."),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Processes that score cases.",
    ),
    click.option(
        "--on-error",
        type=click.Choice(["stop", "skip"]),
        default="stop",
        show_default=True,
        help="A case that cannot be scored: stop, or finish without it and exit with 1.",
    ),
    click.option(
        "--cross-check",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Compute N random case-label pairs again with medpy; fail on a difference.",
    ),
)
_grouping = _options(
    click.option(
        "--by",
        multiple=True,
        required=True,
        metavar="ATTRIBUTE",
        help="Attribute to group by; several: their intersection.",
    ),
    click.option(
        "--reference",
        metavar="LEVEL",
        help="Reference group, such as White; of an intersection: 'sex=F, site=A'.",
    ),
    click.option(
        "--bins",
        type=_Bins(),
        multiple=True,
        metavar="NAME=EDGES",
        help="Cut a numeric attribute into bins: age=50,65.",
    ),
)
_debug = click.option("--debug", is_flag=True, help="Show the traceback of an error.")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Audit a segmentation model for group fairness."""


@cli.command()
@_scoring
@click.option("--out", type=_FOLDER, required=True, help="The scores table to write, such as scores.csv.")
@_debug
def evaluate(table: Path, out: Path, on_error: str, debug: bool, **scoring: Any) -> int:
    """Score PREDICTIONS against REFERENCES: one row per case and label."""
    from fairseg.metrics.scores import scores_to_files  # noqa: PLC0415  (keep --help quick)
    from fairseg.report.files import check_writable, write_files  # noqa: PLC0415

    if out.is_dir():
        raise ValueError(f"--out must be a file, got the folder {out}")
    check_writable(out.parent)
    scores = _scores(table, on_error=on_error, **scoring)
    write_files(out.parent, scores_to_files(scores, out.name))
    click.echo(f"{scores['case'].nunique()} cases scored: {out}")
    return _skipped(scores)


@cli.command()
@click.argument("scores", type=_FOLDER)
@_grouping
@click.option("--out", type=_FOLDER, required=True, help="Folder to write the report into.")
@_debug
def report(
    scores: Path,
    by: Sequence[str],
    reference: str | None,
    bins: Sequence[Any],
    out: Path,
    debug: bool,
) -> int:
    """Summarise a table of SCORES by group: tables, plots, and a page."""
    from fairseg.groups import Groups  # noqa: PLC0415
    from fairseg.metrics.scores import read_scores  # noqa: PLC0415
    from fairseg.report.files import check_writable  # noqa: PLC0415

    check_writable(out)
    table = read_scores(scores)
    groups = Groups.from_table(table, by=by, bins=dict(bins))
    _check_group_number(groups)
    _write(table, groups, out, reference, {})
    return 0


@cli.command()
@_scoring
@_grouping
@click.option("--out", type=_FOLDER, required=True, help="Folder to write the report into.")
@_debug
def audit(
    table: Path,
    by: Sequence[str],
    reference: str | None,
    bins: Sequence[Any],
    out: Path,
    on_error: str,
    debug: bool,
    **scoring: Any,
) -> int:
    """Score PREDICTIONS against REFERENCES and report by group, in one go."""
    from fairseg.cohort import read_cohort  # noqa: PLC0415
    from fairseg.groups import Groups  # noqa: PLC0415
    from fairseg.metrics.scores import scores_to_files  # noqa: PLC0415
    from fairseg.report.files import check_writable  # noqa: PLC0415

    check_writable(out)
    # What the table alone can tell to be wrong must not come out only after an hour of scoring.
    cohort = read_cohort(table)
    everyone = Groups.from_table(cohort, by=by, bins=dict(bins))
    _check_group_number(everyone)
    if reference is not None:
        try:
            everyone.index(reference)
        except ValueError as error:
            raise ValueError(f"--reference: {error}") from None
    scores = _scores(table, on_error=on_error, **scoring)
    attempted = cohort[cohort["case"].isin([*scores["case"], *scores.attrs["skipped"]])]
    groups = Groups.from_table(attempted, by=by, bins=dict(bins))
    _write(scores, groups, out, reference, scores_to_files(scores))
    return _skipped(scores)


@cli.command()
@click.option(
    "--out",
    type=_FOLDER,
    default=Path("fairseg-demo"),
    show_default=True,
    help="Folder to write the demo into.",
)
def demo(out: Path) -> int:
    """Make a small cohort with a biased model and audit it."""
    from fairseg.datasets.demo import write_demo  # noqa: PLC0415

    write_demo(out)
    click.echo(f"Masks of a made-up cohort and a model that serves women worse: {out}\n")
    masks = [str(out / "predictions"), str(out / "references"), "--groups", str(out / "groups.csv")]
    return main(["audit", *masks, "--by", "sex", "--reference", "M", "--out", str(out / "report")])


def _scores(table: Path, *, on_error: Any, workers: int, **options: Any) -> Any:
    from fairseg.cohort import read_cohort  # noqa: PLC0415
    from fairseg.metrics import evaluate as score  # noqa: PLC0415

    folders = options.pop("predictions"), options.pop("references")
    return score(
        *folders,
        read_cohort(table),
        num_workers=workers,
        on_error=on_error,
        progress=True,
        **options,
    )


def _check_group_number(groups: Any) -> None:
    most = 60
    if len(groups) < 2:
        raise ValueError(
            f"--by {' --by '.join(groups.attributes)}: at least two groups are needed to compare, "
            f"got only {', '.join(groups.names)}"
        )
    if len(groups) > most:
        raise ValueError(
            f"--by {' --by '.join(groups.attributes)}: {len(groups)} groups are more than the {most} that a "
            f"table can show, such as {', '.join(groups.names[:3])}; cut a numeric attribute with --bins"
        )


def _write(scores: Any, groups: Any, out: Path, reference: str | None, also: dict[str, str]) -> None:
    from fairseg.report import write_report  # noqa: PLC0415
    from fairseg.report.page import PAGE  # noqa: PLC0415
    from fairseg.report.render import to_terminal  # noqa: PLC0415

    summaries = write_report(scores, groups, out, reference=reference, also=also)
    click.echo(to_terminal(summaries[:1]))
    click.echo(f"Report: {out / PAGE}")


def _skipped(scores: Any) -> int:
    skipped = scores.attrs["skipped"]
    if skipped:
        click.echo(f"fairseg: {len(skipped)} cases were skipped: {', '.join(skipped)}", err=True)
    return 1 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
