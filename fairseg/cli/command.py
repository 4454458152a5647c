"""The command `fairseg`: the library from the shell.

Exit codes: 0 done; 2 bad input, with one line on stderr that says what and where; 1 anything else.
"""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from fairseg import __version__
from fairseg.cli import compare as cli_compare
from fairseg.cli import demo, doctor, experiment, nnunet, options, training
from fairseg.cli import report as cli_report

logger = logging.getLogger("fairseg")


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
    except (_InterruptedError, click.Abort) as error:
        return _fail(f"interrupted, {_LEFT.get(str(error), 'no result was written')}", 1)
    except RuntimeError as error:
        return _fail(f"error: {error}", 1)
    finally:
        logger.removeHandler(notes)
    notes.show()
    return code


# What an interrupted command leaves.
_LEFT = {
    "train": "the epochs that were done are kept: --resume goes on",
    "predict": "the masks that were done are kept",
    "demo": "what was done is kept: the same command goes on",
    "experiment": "what was done is kept: the same command goes on",
}


class _InterruptedError(Exception):
    """Ctrl-C, before click makes its own of it; its text is the name of the command."""


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _InterruptedError(ctx.invoked_subcommand) from None


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


_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}  # click keeps that of a command's first run


@click.group(cls=_Commands, context_settings=_HELP)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Audit a segmentation model for group fairness, and train a fairer one."""


@cli.command()
@options.scoring
@click.option("--out", type=options.PATH, required=True, help="The scores table to write: scores.csv.")
@options.debug
def evaluate(table: Path, out: Path, on_error: str, debug: bool, **scoring: Any) -> int:
    """Score PREDICTIONS against REFERENCES: one row per case and label."""
    from fairseg.cohort.table import read_cohort  # noqa: PLC0415  (keep --help quick)
    from fairseg.io.files import check_writable, write_files  # noqa: PLC0415
    from fairseg.io.sentences import counted  # noqa: PLC0415
    from fairseg.scoring.table import scores_to_files  # noqa: PLC0415

    if os.path.isdir(out):  # noqa: PTH112  (unlike Path.is_dir, it takes any name)
        raise ValueError(f"--out must be a file, got the folder {out}")
    if os.path.realpath(out) == os.path.realpath(table):
        raise ValueError(f"--out must not be the table of --groups, got {out}")
    check_writable(out.parent)
    scores = _scores(read_cohort(table), on_error=on_error, **scoring)
    write_files(out.parent, scores_to_files(scores, out.name))
    click.echo(f"{counted(scores.table['case'].nunique(), 'case')} scored: {out}")
    return _skipped(scores)


@cli.command()
@click.argument("scores", type=options.PATH)
@options.grouping
@cli_report.judging
@cli_report.masks
@click.option("--out", type=options.PATH, required=True, help="Folder to write the report into.")
@options.debug
def report(scores: Path, out: Path, debug: bool, **reporting: Any) -> int:
    """Summarise a table of SCORES by group: tables, plots, and a page."""
    from fairseg.io.files import check_writable  # noqa: PLC0415
    from fairseg.scoring.table import read_scores  # noqa: PLC0415

    check_writable(out)
    table = read_scores(scores)
    groups = _all_groups(table, scores, reporting)
    _write(table, groups, out, {}, {**reporting, "labels": None})
    return 0


@cli.command()
@options.scoring
@options.grouping
@cli_report.judging
@click.option("--out", type=options.PATH, required=True, help="Folder to write the report into.")
@options.debug
def audit(table: Path, out: Path, on_error: str, debug: bool, **given: Any) -> int:
    """Score PREDICTIONS against REFERENCES and report by group, in one go."""
    from fairseg.cohort.table import read_cohort  # noqa: PLC0415
    from fairseg.io.files import NotWritableError, check_writable, write_files  # noqa: PLC0415
    from fairseg.scoring.table import scores_to_files  # noqa: PLC0415

    check_writable(out)
    reporting = {name: given.pop(name) for name in cli_report.NAMES}
    scoring, reference = given, reporting["reference"]
    reporting |= {name: scoring[name] for name in ("predictions", "references", "labels")}
    # What the table and the names of files can tell to be wrong must not come out after an hour of scoring.
    cohort = read_cohort(table)
    there = _with_files(cohort, scoring["predictions"], scoring["references"])
    groups = _all_groups(there, table, reporting)
    if reference is not None:
        try:
            groups[0].index(reference)
        except ValueError as error:
            raise ValueError(f"--reference: {error}") from None
    scores = _scores(cohort, on_error=on_error, **scoring)
    files = scores_to_files(scores)
    try:
        _write(scores, groups, out, files, reporting)
    except NotWritableError:
        raise
    except ValueError as error:
        # What was skipped can leave nothing to compare, or an option can be wrong: the scores are kept.
        write_files(out, files)
        raise ValueError(f"{error} (the scores are in {out / 'scores.csv'})") from None
    return _skipped(scores)


for command in (
    *(cli_compare.compare, demo.phantom, training.train, training.predict, experiment.experiment),
    *(demo.demo, nnunet.nnunet, doctor.doctor, doctor.completion),
):
    cli.add_command(command)


def _scores(cohort: Any, *, on_error: Any, workers: int, **options: Any) -> Any:
    from fairseg.scoring.evaluate import score_folders  # noqa: PLC0415

    folders = options.pop("predictions"), options.pop("references")
    return score_folders(
        *folders,
        cohort,
        num_workers=workers,
        on_error=on_error,
        progress=True,
        **options,
    )


def _with_files(cohort: Any, predictions: Path, references: Path) -> Any:
    """Return the rows of the cases that have a file, if there are any: the others form no groups."""
    from fairseg.io.images import find_masks  # noqa: PLC0415

    there = find_masks(predictions, "predictions").keys() | find_masks(references, "references").keys()
    found = cohort[cohort["case"].isin(there)]
    return cohort if found.empty else found


def _all_groups(table: Any, file: Path, reporting: dict[str, Any]) -> list[Any]:
    """Make the groups of --by and of each --also of a table that was read from a file."""
    bins = reporting["bins"] = cli_report.one_each(reporting["bins"])
    _extras([], reporting)  # whatever is wrong with these options is told before the work

    def make(by: Sequence[str], edges: dict[str, list[float]]) -> Any:
        return cli_report.groups_of_file(table, file, by, edges)

    also, adjust = reporting["also"], reporting["adjust"]
    return cli_report.make_groups(table, reporting["by"], also, adjust, bins, make)


def _extras(others: Sequence[Any], reporting: dict[str, Any]) -> Any:
    folders = {name: reporting.get(name) for name in ("predictions", "references", "images", "labels")}
    return cli_report.extras(
        others,
        adjust=reporting["adjust"],
        bins=reporting["bins"],
        roles=reporting["roles"],
        phase=reporting["phase"],
        files=folders,
    )


def _write(
    scores: Any, groups: Sequence[Any], out: Path, also: dict[str, str], reporting: dict[str, Any]
) -> None:
    from fairseg.report import write_report  # noqa: PLC0415
    from fairseg.report.certainty import Judging  # noqa: PLC0415
    from fairseg.report.page import PAGE  # noqa: PLC0415
    from fairseg.report.summary_table import summary_table  # noqa: PLC0415
    from fairseg.report.tables import to_terminal  # noqa: PLC0415
    from fairseg.report.words import lines  # noqa: PLC0415

    judging = Judging(**{name: reporting[name] for name in ("margin", "min_size", "resamples", "seed")})
    summaries = write_report(
        scores,
        groups[0],
        out,
        reference=reporting["reference"],
        judging=judging,
        extras=_extras(groups[1:], reporting),
        also=also,
    )
    click.echo(to_terminal(map(summary_table, summaries[:1])))
    click.echo("\n".join(lines(summaries)))
    click.echo(f"Report: {out / PAGE}")


def _skipped(scores: Any) -> int:
    from fairseg.io.sentences import counted, listed  # noqa: PLC0415

    if skipped := scores.reasons:
        were = "was" if len(skipped) == 1 else "were"
        click.echo(f"fairseg: {counted(len(skipped), 'case')} {were} skipped: {listed(skipped)}", err=True)
    return 1 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
