"""The command `fairseg experiment`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from fairseg.cli import options
from fairseg.cli.training import need_extra
from fairseg.cli.types import Setting
from fairseg.io.parallel import cores

_experiment = options.group(
    click.option(
        "--out", type=options.PATH, required=True, help="Folder of the experiment; it goes on where it was."
    ),
    options.by(required=False, default="Default: group, or the only one."),
    options.BINS,
    click.option("--reference", metavar="LEVEL", help="Reference group. Default: the largest that trains."),
    click.option("--also", multiple=True, metavar="ATTRIBUTE", help="One more attribute to report at test."),
    click.option(
        "--external", type=options.PATH, metavar="DATASET", help="A second dataset, to test on only."
    ),
    click.option(
        "--arms",
        multiple=True,
        metavar="PATTERN",
        help="Arms to run, such as 'full/*' or cascade/oversampling; sweeps are minority/*, balance/*, "
        "balance_cascade/*. Default: all.",
    ),
    click.option(
        "--seeds", type=click.IntRange(min=1), help="Trainings of each arm. Default: the preset's, 3."
    ),
    click.option(
        "--preset",
        type=click.Choice(["quick", "paper"]),
        default="quick",
        show_default=True,
        help="quick: 400 steps of a small network, 800 on cross-entropy alone; paper: nnU-Net's 1000 epochs.",
    ),
    click.option(
        "--set",
        "settings",
        type=Setting(),
        multiple=True,
        metavar="NAME=VALUE",
        help="Change a setting of all arms, such as features=32, or steps=100 of an epoch.",
    ),
    click.option(
        "--train-group",
        "train_groups",
        multiple=True,
        metavar="GROUP",
        help="A group to train on; the others are only tested. Default: all.",
    ),
    options.number(
        "--test-share", click.FloatRange(0.0, 0.9), 0.25, "Of each group's subjects, without labelsTs."
    ),
    options.number("--split-seed", click.IntRange(min=0), 0, "Of who is tested."),
    click.option(
        "--mirror/--no-mirror", default=None, help="Average over mirrorings. Default: with the preset paper."
    ),
    click.option("--keep-predictions", is_flag=True, help="Leave the masks of all arms in the folder."),
    click.option("--mix", is_flag=True, help="Go on although code or data have changed; the report says so."),
    click.option("--jobs", type=click.IntRange(min=1), help="At a time. Default: the GPUs, or the cores."),
    options.number("--threads", click.IntRange(min=1), 1, "Of each job on the CPU."),
    options.LOADERS,
    options.DEVICE,
    click.option("--cluster", type=click.Choice(["slurm", "local"]), help="Submit jobs, by submitit."),
    click.option(
        "--cluster-option",
        "parameters",
        type=Setting(),
        multiple=True,
        metavar="NAME=VALUE",
        help="For submitit: slurm_partition=gpu, gpus_per_node=1, timeout_min=600, ...",
    ),
)


@click.command()
@click.argument("dataset", type=options.PATH)
@_experiment
@options.debug
def experiment(
    dataset: Path,
    out: Path,
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
    debug: bool,
    **more: Any,
) -> int:
    """Train and test every method of the paper on DATASET, and report it as the paper does."""
    need_extra()
    from fairseg.experiment import Plan, run_experiment  # noqa: PLC0415  (keep --help quick)
    from fairseg.experiment.arms import CE_FACTOR, MIRROR, SEEDS, SWEEP_SEEDS  # noqa: PLC0415
    from fairseg.experiment.page import PAGE, REPORT, TABLES_FILE  # noqa: PLC0415
    from fairseg.experiment.run import (  # noqa: PLC0415
        default_attribute,
        make_recipe,
        parse_changes,
    )

    changes = parse_changes(dict(settings))
    machine = {name: more.pop(name) for name in ("jobs", "threads", "workers", "cluster", "parameters")}
    attributes = tuple(by) or default_attribute(dataset)
    edges = {name: tuple(values) for name, values in bins}
    if strange := [name for name in edges if name not in (*attributes, *also)]:
        raise ValueError(f"--bins {strange[0]}: it is neither in --by nor in --also")
    recipe = make_recipe(
        attributes,
        preset,
        bins={name: values for name, values in edges.items() if name in attributes},
        device=more.pop("device"),
        **changes,
    )
    number = seeds or SEEDS[preset]
    plan = Plan(
        dataset,
        recipe,
        also=tuple(also),
        also_bins={name: values for name, values in edges.items() if name not in attributes},
        only=tuple(arms),
        seeds=number,
        sweep_seeds=min(number, SWEEP_SEEDS[preset]),
        train_groups=tuple(train_groups),
        ce_factor=CE_FACTOR[preset],
        mirror=MIRROR[preset] if mirror is None else mirror,
        **more,
    )
    results = run_experiment(plan, out, engine=_engine(out, recipe.device, **machine), mix=mix, progress=True)
    click.echo((out / REPORT / TABLES_FILE).read_text(encoding="utf-8"))
    failed = results.failed
    for arm, state in failed.items():
        click.echo(f"fairseg: {arm.key}, seed {arm.seed} failed: {state.error}", err=True)
    click.echo(f"Report: {out / REPORT / PAGE}")
    return 1 if failed else 0


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
    from fairseg.experiment import Cluster, Processes  # noqa: PLC0415
    from fairseg.experiment.tasks import Machine  # noqa: PLC0415

    if cluster is None:
        if parameters:
            raise ValueError("--cluster-option needs --cluster")
        return Processes.filling(device, jobs=jobs, threads=threads, workers=workers)
    return Cluster(
        out / "cluster",
        jobs=jobs or (100 if cluster == "slurm" else max(1, cores() // threads)),
        machine=Machine(device, threads, workers),
        cluster=cluster,
        parameters={name: int(text) if text.isdecimal() else text for name, text in parameters},
    )
