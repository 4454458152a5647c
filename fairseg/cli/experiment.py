"""The command `fairseg experiment`."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import options, types
from fairseg.cli.training import need_extra
from fairseg.io.parallel import cores
from fairseg.training.settings import Settings


@options.command(writes=True, reads_images=True)
@click.argument("dataset", type=options.PATH)
@click.option(
    "--out", type=options.OUT, required=True, help="Folder of the experiment; it goes on where it was."
)
@click.option("--groups", "table", type=options.PATH, help="Table of cases. Default: groups.csv in DATASET.")
@options.tables
@options.by(required=False, default="Default: group, or the only one.")
@options.BINS
@click.option("--reference", metavar="LEVEL", help="Reference group. Default: the largest that trains.")
@click.option("--also", multiple=True, metavar="ATTRIBUTE", help="One more attribute to report at test.")
@click.option("--external", type=options.PATH, metavar="DATASET", help="A second dataset, to test on only.")
@click.option(
    "--arms",
    multiple=True,
    metavar="PATTERN",
    help="Arms to run, such as 'full/*' or cascade/oversampling; sweeps are minority/*, balance/*, "
    "balance_cascade/*; methods that the paper has not are more/*. Default: all of the paper's.",
)
@click.option("--seeds", type=click.IntRange(min=1), help="Trainings of each arm. Default: the preset's, 3.")
@options.number(
    "--preset",
    click.Choice(["quick", "paper"]),
    "quick",
    "quick: 400 steps of a small network, 800 on cross-entropy alone; paper: nnU-Net's 1000 epochs.",
)
@click.option(
    "--set",
    "settings",
    type=types.ASSIGNMENT,
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting of all arms, such as features=32, or steps=100 of an epoch.",
)
@click.option(
    "--train-group",
    "train_groups",
    multiple=True,
    metavar="GROUP",
    help="A group to train on; the others are only tested. Default: all.",
)
@options.number(
    "--test-share", types.Number(0.0, 0.9), 0.25, "Share of each group's subjects, without labelsTs."
)
@options.number(
    "--folds", click.IntRange(min=0), 0, "Test every subject once, in so many parts; 0: one test set."
)
@options.number("--split-seed", types.SEED, 0, "Seed of the choice of tested subjects.")
@click.option(
    "--mirror/--no-mirror", default=None, help="Average over mirrorings. Default: with the preset paper."
)
@click.option("--keep-predictions", is_flag=True, help="Leave the masks of all arms in the folder.")
@click.option("--mix", is_flag=True, help="Go on although code or data have changed; the report says so.")
@click.option("--jobs", type=click.IntRange(min=1), help="Jobs at a time. Default: the GPUs, or the cores.")
@options.number("--threads", click.IntRange(min=1), 1, "Threads of each job on the CPU.")
@options.setting("spacing")
@options.setting("workers")
@options.setting("device")
@click.option("--cluster", type=click.Choice(["slurm", "local"]), help="Submit jobs, by submitit.")
@click.option(
    "--cluster-option",
    "parameters",
    type=types.ASSIGNMENT,
    multiple=True,
    metavar="NAME=VALUE",
    help="For submitit: slurm_partition=gpu, gpus_per_node=1, timeout_min=600, ...",
)
@options.pseudonyms
def experiment(
    dataset: Path,
    out: Path,
    table: Path | None,
    by: Sequence[str],
    bins: Sequence[Any],
    preset: str,
    settings: Sequence[tuple[str, str]],
    seeds: int | None,
    also: Sequence[str],
    arms: Sequence[str],
    train_groups: Sequence[str],
    mirror: bool | None,
    mix: bool,
    spacing: Any,
    device: str,
    pseudonyms: Any,
    **arguments: Any,
) -> int:
    """Train and test every method of the paper on DATASET, and report it as the paper does."""
    need_extra()
    hidden = options.key_outside(pseudonyms, out) or False
    changes = parse_changes(dict(settings))
    if spacing is not None:
        if "spacing" in changes:
            raise ValueError("--spacing and --set spacing= are two ways to say the same: give one of them")
        changes["spacing"] = spacing
    machine = {name: arguments.pop(name) for name in ("jobs", "threads", "workers", "cluster", "parameters")}
    table_options = options.table_options()
    attributes = tuple(by) or fairseg.experiment.default_attribute(
        table or dataset / "groups.csv", table_options
    )
    edges = {name: tuple(values) for name, values in bins}
    if unused := [name for name in edges if name not in (*attributes, *also)]:
        raise ValueError(f"--bins {unused[0]}: it is neither in --by nor in --also")
    group_bins = {name: values for name, values in edges.items() if name in attributes}
    defaults = fairseg.experiment.PRESETS[preset]
    plan = fairseg.experiment.Plan(
        dataset,
        fairseg.experiment.make_recipe(attributes, preset, bins=group_bins, device=device, **changes),
        also=tuple(also),
        also_bins={name: values for name, values in edges.items() if name not in attributes},
        only=tuple(arms),
        seeds=seeds or defaults.seeds,
        sweep_seeds=min(seeds or defaults.seeds, defaults.sweep_seeds),
        train_groups=tuple(train_groups),
        ce_factor=defaults.ce_factor,
        mirror=defaults.mirror if mirror is None else mirror,
        table=table,
        options=table_options,
        **arguments,
    )
    engine = _engine(out, device, **machine)
    results = fairseg.experiment.run_experiment(
        plan, out, engine=engine, mix=mix, pseudonyms=hidden, progress=True
    )
    folder = out / fairseg.experiment.page.REPORT
    click.echo((folder / fairseg.experiment.page.TABLES_FILE).read_text(encoding="utf-8"))
    for arm, state in results.failed.items():
        click.echo(f"fairseg: {arm.key}, seed {arm.seed} failed: {state.error}", err=True)
    click.echo(f"Report: {folder / fairseg.experiment.page.PAGE}")
    return 1 if results.failed else 0


def parse_changes(texts: dict[str, str]) -> dict[str, Any]:
    """Return settings from text, each of the type that it has in `Settings`.

    >>> parse_changes({"steps": "20", "augment": "no", "patch_size": "80,64", "learning_rate": "0.05"})
    {'steps': 20, 'augment': False, 'patch_size': (80, 64), 'learning_rate': 0.05}
    """
    shared = [field.name for field in fields(Settings) if field.name not in fairseg.experiment.NOT_SHARED]
    changes = {}
    for name, text in texts.items():
        if name not in shared:
            raise ValueError(f"set must name a setting that arms share, {', '.join(shared)}; got {name!r}")
        try:
            changes[name] = types.setting_type(name).convert(text, None, None)
        except click.BadParameter:
            raise ValueError(f"set: {name} cannot be {text!r}") from None
    return changes


def _engine(
    out: Path,
    device: str,
    *,
    jobs: int | None,
    threads: int,
    workers: int | None,
    cluster: str | None,
    parameters: Sequence[tuple[str, str]],
) -> Any:
    if cluster is None:
        if parameters:
            raise ValueError("--cluster-option needs --cluster")
        return fairseg.experiment.Processes.filling(device, jobs=jobs, threads=threads, workers=workers)
    return fairseg.experiment.Cluster(
        out / "cluster",
        jobs=jobs or (100 if cluster == "slurm" else max(1, cores() // threads)),
        machine=fairseg.experiment.Machine(device, threads, workers),
        cluster=cluster,
        parameters={name: int(text) if text.isdecimal() else text for name, text in parameters},
    )
