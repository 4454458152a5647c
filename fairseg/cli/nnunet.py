"""The commands `fairseg nnunet ...`: trainers, splits, scores and checkpoints for nnU-Net v2."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from fairseg.cli import options


@click.group()
def nnunet() -> None:
    """Train with nnU-Net v2: groups in its batches and losses, its results in fairseg's tables."""


@nnunet.command()
@click.argument("folder", type=options.PATH, default=Path(click.get_app_dir("fairseg")) / "nnunet_trainers")
@options.debug
def install(folder: Path, debug: bool) -> int:
    """Let nnU-Net find fairseg's trainers, and print the variable that it needs.

    Writes a small file to FOLDER (one of your own by default). For this shell and those to come:

      eval "$(fairseg nnunet install)"
    """
    from fairseg.integrations.nnunet.install import VARIABLE, write_trainers  # noqa: PLC0415  (keep --help quick)

    place = str(write_trainers(folder))
    others = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path and path != place]
    click.echo(f"export {VARIABLE}={shlex.quote(os.pathsep.join([*others, place]))}")
    return 0


_splitting = options.group(
    options.by(required=False, default="Default: FAIRSEG_BY, or the only one that the table has."),
    options.BINS,
    click.option("--groups", "table", type=options.PATH, help="Table of cases. Default: in the raw dataset."),
    options.number("--folds", click.IntRange(min=2), 5, "How many."),
    options.number("--seed", click.IntRange(min=0), 0, "Another one gives other folds."),
    click.option("--replace", is_flag=True, help="Replace a split that is there."),
)


@nnunet.command()
@click.argument("dataset")
@_splitting
@options.debug
def splits(
    dataset: str,
    by: Sequence[str],
    bins: Sequence[Any],
    table: Path | None,
    folds: int,
    seed: int,
    replace: bool,
    debug: bool,
) -> int:
    """Write DATASET's splits_final.json: every group in every fold, a subject in one.

    DATASET is a name or number, as for nnU-Net; preprocess it first.
    """
    from fairseg.cli.report import one_each  # noqa: PLC0415
    from fairseg.integrations.nnunet.settings import settings_of  # noqa: PLC0415
    from fairseg.integrations.nnunet.splits import write_splits  # noqa: PLC0415

    given = settings_of()
    written = write_splits(
        dataset,
        by=tuple(by) or given.by,
        bins=one_each(bins) or given.bins,
        table=table or given.table,
        folds=folds,
        seed=seed,
        replace_file=replace,
    )
    for note in written.notes:
        click.echo(f"fairseg: note: {note}", err=True)
    click.echo("Validation subjects of each group, by fold:")
    for name, row in written.counts.iterrows():
        click.echo(f"  {name}: {', '.join(str(count) for count in row)}")
        if name != "unknown" and not row.all():
            click.echo(f"fairseg: note: group {name} has no subject to validate on in some fold", err=True)
    return 0


@nnunet.command()
@click.argument("results", type=options.PATH, nargs=-1, required=True)
@click.option("--groups", "table", type=options.PATH, required=True, help="Table of cases: groups.csv.")
@click.option("--out", type=options.PATH, required=True, help="The scores table to write: scores.csv.")
@options.debug
def scores(results: Sequence[Path], table: Path, out: Path, debug: bool) -> int:
    """Make a scores table for `fairseg report` of the Dice that nnU-Net's validation found.

    RESULTS are folders of trained models (all their validated folds), of folds, or files summary.json.
    """
    from fairseg.integrations.nnunet.scores import read_summaries  # noqa: PLC0415
    from fairseg.io.files import check_writable, write_files  # noqa: PLC0415
    from fairseg.io.sentences import counted  # noqa: PLC0415
    from fairseg.scoring.table import Scores, scores_to_files  # noqa: PLC0415

    check_writable(out.parent)
    if os.path.realpath(out) == os.path.realpath(table):
        raise ValueError(f"--out must not be the table of --groups, got {out}")
    found = read_summaries(results, table)
    write_files(out.parent, scores_to_files(found, out.name))
    click.echo(f"{counted(found['case'].nunique(), 'case')} read: {out}")
    for note in Scores.of(found).notes[1:]:  # the first is on where the Dice comes from
        click.echo(f"fairseg: note: {note}", err=True)
    return 0


@nnunet.command()
@click.argument("model", type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="Folder to write, new or empty.")
@click.option(
    "--checkpoint", default="checkpoint_final.pth", show_default=True, help="Which one of each fold."
)
@options.debug
def export(model: Path, out: Path, checkpoint: str, debug: bool) -> int:
    """Write a trained MODEL so that nnU-Net predicts with it where fairseg is not installed.

    MODEL is the folder that nnU-Net trained into: nnUNetTrainerFair...__nnUNetPlans__2d. Checkpoints are
    loaded as nnU-Net loads them, which can run code in them: export only those that you trust.
    """
    from fairseg.integrations.nnunet.export import export_model  # noqa: PLC0415
    from fairseg.io.sentences import counted  # noqa: PLC0415

    written = export_model(model, out, checkpoint=checkpoint)
    folds = sorted((file.parent.name.removeprefix("fold_") for file in written), key=lambda f: (len(f), f))
    arguments = shlex.join(["-m", str(out), "-f", *folds, "-chk", checkpoint])
    click.echo(
        f"{counted(len(written), 'fold')}: nnUNetv2_predict_from_modelfolder {arguments} -i IMAGES -o MASKS"
    )
    return 0
