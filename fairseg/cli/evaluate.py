"""The command `fairseg evaluate`."""

import os
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import options
from fairseg.io.files import write_files
from fairseg.io.outputs import check_writable
from fairseg.io.sentences import counted, listed


@options.command(writes=True, reads_images=True)
@options.scoring
@click.option("--out", type=options.OUT, required=True, help="The scores table to write: scores.csv.")
def evaluate(table: Path, out: Path, **scoring: Any) -> int:
    """Score PREDICTIONS against REFERENCES: one row per case and label."""
    if os.path.isdir(out):  # noqa: PTH112  (unlike Path.is_dir, it takes any name)
        raise ValueError(f"--out must be a file, got the folder {out}")
    check_writable(out.parent, [out.name], "scores")
    scores = score(fairseg.read_cohort(table, options.table_options()), **scoring)
    write_files(out.parent, fairseg.scoring.scores_to_files(scores, out.name), "scores")
    click.echo(f"{counted(scores.table['case'].nunique(), 'case')} scored: {out}")
    return report_skipped(scores)


def score(cohort: Any, *, workers: int, predictions: Path, references: Path, **scoring: Any) -> Any:
    """Score folders by the options of `options.scoring`; return `Scores`."""
    from fairseg.scoring.folders import score_folders  # noqa: PLC0415  (keep --help quick)

    return score_folders(predictions, references, cohort, num_workers=workers, progress=True, **scoring)


def report_skipped(scores: Any) -> int:
    """Name the cases that were skipped on stderr; return the exit code."""
    if skipped := list(scores.reasons):
        were = "was" if len(skipped) == 1 else "were"
        click.echo(f"fairseg: {counted(len(skipped), 'case')} {were} skipped: {listed(skipped)}", err=True)
    return 1 if skipped else 0
