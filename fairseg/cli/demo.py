"""The commands that need no data of yours: `fairseg phantom` and `fairseg demo`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import options, types
from fairseg.cli.training import need_extra
from fairseg.io.files import write_files


@options.command(writes=True)
@click.argument("folder", type=options.OUT)
@click.option(
    "--subjects",
    type=types.GROUP_SIZE,
    multiple=True,
    metavar="GROUP=N",
    default=["White=240", "Black=8"],
    show_default=True,
    help="Training subjects of a group, repeated for each; the last looks most different from the first.",
)
@options.number("--test-subjects", click.IntRange(min=0), 30, "Test subjects of each group.")
@options.number(
    "--strength", types.Number(min=0.0), 1.0, "How different the last group looks; 0 for not at all."
)
@click.option(
    "--without",
    multiple=True,
    metavar="PART",
    help="Turn a part of the difference off: fat, vessels, chest, brightness, heart.",
)
@options.number("--size", click.IntRange(min=1), 80, "Pixels of a slice along each side.")
@options.number("--spacing", types.Number(0.0, min_open=True), 3.0, "Size of a pixel, mm.")
@options.number("--slices", click.IntRange(min=1), 4, "Slices of a stack.")
@options.number("--seed", types.SEED, 0, "The same seed gives the same files.")
def phantom(
    folder: Path,
    subjects: Sequence[tuple[str, int]],
    strength: float,
    without: Sequence[str],
    size: int,
    **arguments: Any,
) -> int:
    """Write a made-up cohort of cardiac MR to FOLDER, in nnU-Net's raw layout."""
    counts = dict(subjects)
    if len(counts) < len(subjects):
        raise ValueError(
            f"--subjects must name each group once, got {', '.join(name for name, _ in subjects)}"
        )
    shift = fairseg.datasets.SHIFT.scaled(strength).without(without)
    fairseg.datasets.write_phantom(folder, subjects=counts, shift=shift, shape=(size, size), **arguments)
    members = ", ".join(f"{name} {count}" for name, count in counts.items())
    click.echo(f"Training subjects: {members}; test subjects of each: {arguments['test_subjects']}. {folder}")
    return 0


@options.command(writes=True)
@options.number("--out", options.OUT, Path("fairseg-demo"), "Folder to write the demo into.")
@options.number("--seed", types.SEED, 0, "Seed of the cohort and of the trainings.")
def demo(out: Path, seed: int) -> int:
    """Train on a made-up cohort with and without mitigation, and compare: a few minutes, no data needed."""
    need_extra()
    from fairseg.report.compare.card import to_terminal  # noqa: PLC0415  (the charts, which --help does not need)

    demo = fairseg.experiment.demo
    scores = demo.run_demo(out, seed=seed, report=lambda line: click.echo(line, err=True))
    for name, table in scores.items():
        folder = out / "reports" / demo.folder(name)
        fairseg.audit(table, by="group", reference=demo.REFERENCE).save(folder)
        write_files(folder, fairseg.scoring.scores_to_files(table), "scores")
    comparison = fairseg.compare(scores, by="group", reference=demo.REFERENCE)
    page = comparison.save(out / "comparison")
    click.echo(to_terminal(comparison, comparison.notes))
    click.echo(f"Comparison: {page}; a report of each arm: {out / 'reports'}")
    return 0
