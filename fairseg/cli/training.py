"""The commands that train: `fairseg train`, `predict` and `demo`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from fairseg.cli import options


@click.command()
@click.argument("dataset", type=options.PATH)
@options.training
@options.debug
def train(dataset: Path, out: Path, bins: Sequence[Any], resume: bool, debug: bool, **more: Any) -> int:
    """Train a 2D U-Net on DATASET, in nnU-Net's raw layout with groups.csv, and validate it by group."""
    need_extra()
    from fairseg.training import Settings  # noqa: PLC0415  (keep --help quick)
    from fairseg.training import train as run  # noqa: PLC0415
    from fairseg.training.ranks import joined_by_torchrun  # noqa: PLC0415

    paths = {name: more.pop(name) for name in ("prepared", "table", "split")}
    settings = Settings(bins={name: tuple(edges) for name, edges in bins}, **more)
    with joined_by_torchrun(settings.device) as ranks:
        lines = run(dataset, out, settings, resume=resume, progress=True, **paths)
    if not ranks.is_first:
        return 0  # one of several processes tells
    last = lines[-1]
    click.echo(f"{last['step']} steps, training loss {last['loss']:.3f}. Median validation Dice by group:")
    number = json.loads((out / "run.json").read_text(encoding="utf-8"))["validation_subjects"]
    for name, value in last["dice"].items():
        said = "nobody to validate on" if value is None else f"{value:.3f} (n={number[name]})"
        click.echo(f"  {name}: {said}")
    click.echo(f"Run: {out}")
    return 0


@click.command()
@click.argument("run", type=options.PATH)
@click.argument("images", type=options.PATH)
@options.predicting
@options.debug
def predict(run: Path, images: Path, out: Path, debug: bool, **more: Any) -> int:
    """Segment IMAGES (CASE_0000.nii.gz and so on) with a trained RUN."""
    need_extra()
    from fairseg.io.sentences import counted  # noqa: PLC0415
    from fairseg.training import predict as segment  # noqa: PLC0415

    done = segment(run, images, out, progress=True, **more)
    click.echo(f"{counted(done['cases'], 'case')} segmented: {out}")
    return 0


@click.command()
@click.option(
    "--out",
    type=options.PATH,
    default=Path("fairseg-demo"),
    show_default=True,
    help="Folder to write the demo into.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@options.debug
def demo(out: Path, seed: int, debug: bool) -> int:
    """Train on a made-up cohort with and without mitigation, and compare: a few minutes, no data needed."""
    need_extra()
    from fairseg.cohort.groups import Groups  # noqa: PLC0415
    from fairseg.experiment.demo import REFERENCE, folder, run_demo  # noqa: PLC0415
    from fairseg.io.files import check_writable  # noqa: PLC0415
    from fairseg.report import comparison_to_terminal, write_comparison, write_report  # noqa: PLC0415
    from fairseg.scoring.table import scores_to_files  # noqa: PLC0415

    check_writable(out)
    scores = run_demo(out, seed=seed, tell=lambda line: click.echo(line, err=True))
    groups = Groups.from_table(next(iter(scores.values())), by="group")
    for name, table in scores.items():
        place = out / "reports" / folder(name)
        write_report(table, groups, place, reference=REFERENCE, also=scores_to_files(table))
    comparison = write_comparison(scores, groups, out / "comparison", reference=REFERENCE)
    click.echo(comparison_to_terminal(comparison))
    click.echo(
        f"Comparison: {out / 'comparison' / 'comparison.html'}; a report of each arm: {out / 'reports'}"
    )
    return 0


def need_extra() -> None:
    """Raise a ValueError that says what to install unless the libraries for training are there."""
    from importlib.util import find_spec  # noqa: PLC0415

    if absent := [name for name in ("monai", "batchgeneratorsv2") if find_spec(name) is None]:
        raise ValueError(f"training needs {' and '.join(absent)}: pip install 'fairseg[train]'")
