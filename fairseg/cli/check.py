"""The command `fairseg check`: `fairseg.check` on files. Exit code 0, 1 with warnings, 2 with errors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import options
from fairseg.cli.audit import one_each
from fairseg.io.outputs import check_writable


@options.command(writes=True, reads_images=True)
@click.argument("data", type=options.PATH)
@click.argument("references", type=options.PATH, required=False)
@click.option("--groups", "cohort", type=options.PATH, help="Table of cases. Of a dataset: groups.csv in it.")
@options.by(required=False)
@options.BINS
@options.tables
@options.wide_scores
@options.labels
@options.ignore
@options.spacing
@click.option("--split", type=options.PATH, help="Table with columns subject, part.")
@click.option("--metric", default="dice", show_default=True, help="Column of a table of scores to judge by.")
@options.number("--workers", click.IntRange(min=1), 1, "Processes that read files.")
@click.option("--out", type=options.OUT, help="Folder to write the page into.")
def check(
    data: Path,
    references: Path | None,
    by: Sequence[str],
    bins: Sequence[tuple[str, list[float]]],
    out: Path | None,
    workers: int,
    **arguments: Any,
) -> int:
    """Say what is there, and what is wrong with it, before anything is computed.

    DATA is a dataset in nnU-Net's raw layout with groups.csv, or a table of scores or cases; or DATA and
    REFERENCES are folders of predicted and of reference masks. Exit code 0, 1 with warnings, 2 with errors.
    """
    from fairseg.checking.page import FILES, KIND  # noqa: PLC0415  (keep --help quick)

    if out is not None:
        check_writable(out, FILES, KIND)
    source: dict[str, Any] = {"data": data}
    if references is not None:
        source = {"predictions": data, "references": references}
    arguments |= {"by": by, "bins": one_each(bins), "num_workers": workers, "progress": True}
    result = fairseg.check(**source, **arguments, **options.score_options())
    click.echo(repr(result))
    if out is not None:
        click.echo(f"\nPage: {result.save(out)}")
    return result.exit_code
