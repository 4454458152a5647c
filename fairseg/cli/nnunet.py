"""The commands `fairseg nnunet ...`: trainers, splits, scores and checkpoints for nnU-Net v2."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import options, types
from fairseg.cli.audit import one_each
from fairseg.integrations import nnunet as integration
from fairseg.io.files import write_files
from fairseg.io.outputs import check_writable
from fairseg.io.sentences import counted


@click.group()
def nnunet() -> None:
    """Train with nnU-Net v2: groups in its batches and losses, its results in fairseg's tables."""


@nnunet.command(cls=options.Command, writes=True)
@click.argument("folder", type=options.OUT, default=Path(click.get_app_dir("fairseg")) / "nnunet_trainers")
def install(folder: Path) -> int:
    """Let nnU-Net find fairseg's trainers, and print the variable that it needs.

    Writes a small file to FOLDER (one of your own by default). For this shell and those to come:

      eval "$(fairseg nnunet install)"
    """
    if folder.parts[0] == "~":
        raise ValueError("FOLDER must be given, as this user has no home folder")
    from fairseg.integrations.nnunet.install import missing  # noqa: PLC0415  (importlib.metadata slows help)

    notes = missing()
    variable, written = integration.VARIABLE, str(integration.write_trainers(folder))
    paths = [path for path in os.environ.get(variable, "").split(os.pathsep) if path and path != written]
    click.echo(f"export {variable}={shlex.quote(os.pathsep.join([*paths, written]))}")
    for line in notes:
        click.echo(f"fairseg: note: {line}", err=True)
    return 0


@nnunet.command(cls=options.Command)
@click.argument("dataset")
@options.by(required=False, default="Default: FAIRSEG_BY, or the only one that the table has.")
@options.BINS
@click.option("--groups", "table", type=options.PATH, help="Table of cases. Default: in the raw dataset.")
@click.option("--by-subject-only", is_flag=True, help="Look at no attribute: folds of subjects alone.")
@options.number("--folds", click.IntRange(min=2), 5, "Number of folds.")
@options.number("--seed", types.SEED, 0, "Another seed gives other folds.")
@click.option("--replace", is_flag=True, help="Replace a split that is there.")
def splits(
    dataset: str, by: Sequence[str], bins: Sequence[Any], table: Path | None, replace: bool, **arguments: Any
) -> int:
    """Write DATASET's splits_final.json: a subject in one fold, every group in every fold.

    DATASET is a name or number, as for nnU-Net; preprocess it first. If the table has no attribute, or with
    --by-subject-only, folds are made by subject alone.
    """
    if arguments["by_subject_only"] and by:
        raise ValueError("--by-subject-only looks at no attribute, so it goes without --by")
    environment = integration.read_environment()
    counts = integration.write_splits(
        dataset,
        by=tuple(by) or environment.by,
        bins=one_each(bins) or environment.bins,
        table=table or environment.table,
        weight=environment.weight,
        replace_file=replace,
        **arguments,
    )
    click.echo("Validation subjects of each group, by fold:")
    for name, row in counts.iterrows():
        click.echo(f"  {name}: {', '.join(str(count) for count in row)}")
        if name != "unknown" and not row.all():
            folds = row.index[row > 0]
            untrained = f", and none to train on in fold {folds[0]}" if len(folds) == 1 else ""
            click.echo(
                f"fairseg: note: group {name} has no subject to validate on in some fold{untrained}", err=True
            )
    return 0


@nnunet.command(cls=options.Command, writes=True, reads_images=True)
@click.argument("results", type=options.PATH, nargs=-1, required=True)
@click.option("--groups", "table", type=options.PATH, required=True, help="Table of cases: groups.csv.")
@options.tables
@options.labels
@options.metric_list("To compute from the masks beside each summary, such as dice,hd95.")
@click.option(
    "--references", type=options.PATH, help="Reference masks for that. Default: as the summary says."
)
@click.option("--tolerance", type=types.Number(0.0), help="Tolerance of nsd and nsd_area, mm.")
@options.number("--workers", click.IntRange(min=1), 1, "Processes that score cases.")
@click.option("--out", type=options.OUT, required=True, help="The scores table to write: scores.csv.")
def scores(
    results: Sequence[Path],
    table: Path,
    out: Path,
    metrics: Sequence[str] | None,
    tolerance: float | None,
    workers: int,
    **arguments: Any,
) -> int:
    """Make a scores table for `fairseg report` of the Dice that nnU-Net's validation found.

    RESULTS are folders of trained models (all their validated folds), of folds, or files summary.json.
    """
    check_writable(out.parent, [out.name], "scores")
    if not metrics and (arguments["references"] or tolerance is not None):
        raise ValueError("--references and --tolerance are for what --metrics asks for")
    if metrics:
        arguments |= {"metrics": metrics, "tolerance": tolerance, "num_workers": workers}
    read = integration.read_summaries(results, table, options=options.table_options(), **arguments)
    write_files(out.parent, fairseg.scoring.scores_to_files(read, out.name), "scores")
    click.echo(f"{counted(read['case'].nunique(), 'case')} read: {out}")
    if not metrics:
        scores = fairseg.scoring.Scores.of(read)
        others = [note for note in scores.notes if note not in scores.doubts]
        for note in (*scores.doubts, *others[1:]):  # the first says whose Dice it is
            click.echo(f"fairseg: note: {note}", err=True)
    return 0


@nnunet.command(cls=options.Command)
@click.argument("model", type=options.PATH)
@click.option("--out", type=options.OUT, required=True, help="Folder to write, new or empty.")
@click.option(
    "--checkpoint", default="checkpoint_final.pth", show_default=True, help="Which one of each fold."
)
def export(model: Path, out: Path, checkpoint: str) -> int:
    """Write a trained MODEL so that nnU-Net predicts with it where fairseg is not installed.

    MODEL is the folder that nnU-Net trained into: nnUNetTrainerFair...__nnUNetPlans__2d. Checkpoints are
    loaded as nnU-Net loads them, which can run code in them: export only those that you trust.
    """
    written = integration.export_model(model, out, checkpoint=checkpoint)
    folds = sorted((file.parent.name.removeprefix("fold_") for file in written), key=lambda f: (len(f), f))
    arguments = shlex.join(["-m", str(out), "-f", *folds, "-chk", checkpoint])
    click.echo(
        f"{counted(len(written), 'fold')}: nnUNetv2_predict_from_modelfolder {arguments} -i IMAGES -o MASKS"
    )
    return 0
