"""The commands that train and predict: `fairseg train` and `fairseg predict`."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import options, types
from fairseg.io.json_files import read_json
from fairseg.io.sentences import counted


@options.command(writes=True, reads_images=True)
@click.argument("dataset", type=options.PATH)
@options.by(required=False, default="Without, all subjects are one group.")
@options.BINS
@click.option("--groups", "table", type=options.PATH, help="Table of cases. Default: groups.csv in DATASET.")
@click.option(
    "--split",
    type=options.PATH,
    help="Table with columns subject, part: train or validation, others are left out.",
)
@click.option("--out", type=options.OUT, required=True, help="Folder of the run.")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run that --out holds, with its settings but for those that are typed: --epochs may "
    "be more.",
)
@click.option("--prepared", type=options.OUT, help="Folder for prepared images, to share among runs.")
@click.option("--init", type=options.PATH, metavar="RUN", help="Start from the network of this run.")
@click.option(
    "--weights",
    type=options.PATH,
    metavar="SCORES",
    help="Scores of the training cases, the worst of which are drawn more often.",
)
@options.settings
@options.tables
def train(dataset: Path, bins: Sequence[Any], table: Path | None, out: Path, **settings: Any) -> int:
    """Train a 2D U-Net on DATASET, in nnU-Net's raw layout with groups.csv, and validate it by group."""
    need_extra()
    arguments = {name: settings.pop(name) for name in ("split", "prepared", "init", "weights", "resume")}
    settings["bins"] = {name: tuple(edges) for name, edges in bins}
    run_settings = (
        _settings_of_run(out, settings) if arguments["resume"] else fairseg.training.Settings(**settings)
    )
    file = table or dataset / "groups.csv"
    cohort = None
    if table is not None or run_settings.by or file.exists():
        cohort = fairseg.read_cohort(file, options.table_options())
    with fairseg.training.joined_by_torchrun(run_settings.device) as processes:
        lines = fairseg.training.train(dataset, out, run_settings, table=cohort, **arguments, progress=True)
    if not processes.is_first:
        return 0
    last = lines[-1]
    used = lines[last["kept"] - 1]
    epoch = "" if used is last else f"; epoch {last['kept']} of {last['epoch']} is used"
    click.echo(
        f"{last['step']} steps, training loss {last['loss']:.3f}{epoch}. Median validation Dice by group:"
    )
    subjects = read_json(out / "run.json")["validation_subjects"]
    for name, value in used["dice"].items():
        click.echo(
            f"  {name}: {'nobody to validate on' if value is None else f'{value:.3f} (n={subjects[name]})'}"
            + "".join(
                f", {label} {of_groups[name]:.3f}"
                for label, of_groups in used["dice_by_label"].items()
                if len(used["dice_by_label"]) > 1 and of_groups[name] is not None
            )
        )
    click.echo(f"Run: {out}")
    return 0


@options.command(writes=True, reads_images=True)
@click.argument("run", type=options.PATH)
@click.argument("images", type=options.PATH)
@click.option("--out", type=options.OUT, required=True, help="Folder for the masks, CASE.nii.gz and so on.")
@click.option("--cascade", type=options.PATH, metavar="RUN", help="Crop around what this run finds.")
@click.option("--references", type=options.PATH, help="Crop around these masks, to compare with --cascade.")
@click.option(
    "--spacing",
    type=types.SPACING,
    metavar="Y,X|COLUMN",
    help="Pixel size in mm, rows first, of images whose files state none, or the columns of --groups that "
    "have it. Default: as in training.",
)
@click.option(
    "--groups", "table", type=options.PATH, help="Table of cases, where a column has their pixel size."
)
@options.tables
@click.option(
    "--mirror/--no-mirror", default=True, show_default=True, help="Average over training's mirrorings."
)
@options.number("--workers", click.IntRange(min=1), 1, "Processes that segment.")
@options.setting("device")
def predict(run: Path, images: Path, out: Path, table: Path | None, **arguments: Any) -> int:
    """Segment IMAGES (CASE_0000.nii.gz and so on) with a trained RUN."""
    need_extra()
    cohort = None if table is None else fairseg.read_cohort(table, options.table_options())
    result = fairseg.training.predict(run, images, out, table=cohort, progress=True, **arguments)
    click.echo(f"{counted(result['cases'], 'case')} segmented: {out}")
    return 0


def _settings_of_run(out: Path, settings: dict[str, Any]) -> Any:
    """Return the settings of the run in a folder, with those that were typed in their place.

    Raises:
        ValueError: there is no run. A new one would train by the default settings if --out is misspelt, or if
            the run was killed before its first checkpoint and its options are not typed again.
    """
    from fairseg.training.checkpoint import CHECKPOINT, load_checkpoint  # noqa: PLC0415  (brings torch)

    if not (out / CHECKPOINT).exists():
        raise ValueError(
            f"{out} holds no run to resume, as there is no {CHECKPOINT} in it: look at --out, or start the"
            " run with all of its options and without --resume"
        )
    before = fairseg.training.Settings.from_dict(load_checkpoint(out / CHECKPOINT)["run"]["settings"])
    source = click.get_current_context().get_parameter_source
    typed = {name for name in settings if source(name) is not click.core.ParameterSource.DEFAULT}
    return before.with_(**{name: settings[name] for name in typed})


def need_extra() -> None:
    """Raise a ValueError that says what to install unless the libraries for training are there."""
    if absent := [name for name in ("monai", "batchgeneratorsv2") if find_spec(name) is None]:
        raise ValueError(f"training needs {' and '.join(absent)}: pip install 'fairseg[train]'")
