"""The command `fairseg experiment`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from fairseg import cli_options as options
from fairseg.cli_training import need_extra


@click.command()
@click.argument("dataset", type=options.PATH)
@options.experiment
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
    from fairseg.training.experiment import Plan, run_experiment  # noqa: PLC0415  (keep --help quick)
    from fairseg.training.experiment.arms import CE_FACTOR, MIRROR, SEEDS, SWEEP_SEEDS  # noqa: PLC0415
    from fairseg.training.experiment.page import PAGE, REPORT, to_markdown  # noqa: PLC0415
    from fairseg.training.experiment.run import (  # noqa: PLC0415
        default_attribute,
        make_recipe,
        parse_changes,
    )

    changes = parse_changes(dict(settings))
    machine = {name: more.pop(name) for name in ("jobs", "threads", "workers", "cluster", "parameters")}
    recipe = make_recipe(
        tuple(by) or default_attribute(dataset),
        preset,
        bins={name: tuple(edges) for name, edges in bins},
        device=more.pop("device"),
        **changes,
    )
    number = seeds or SEEDS[preset]
    plan = Plan(
        dataset,
        recipe,
        also=tuple(also),
        only=tuple(arms),
        seeds=number,
        sweep_seeds=min(number, SWEEP_SEEDS[preset]),
        train_groups=tuple(train_groups),
        ce_factor=CE_FACTOR[preset],
        mirror=MIRROR[preset] if mirror is None else mirror,
        **more,
    )
    results = run_experiment(plan, out, engine=_engine(out, recipe.device, **machine), mix=mix, progress=True)
    click.echo(to_markdown(results))
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
    from fairseg.training.experiment import Cluster, Processes  # noqa: PLC0415
    from fairseg.training.experiment.tasks import Machine  # noqa: PLC0415

    if cluster is None:
        if parameters:
            raise ValueError("--cluster-option needs --cluster")
        return Processes.filling(device, jobs=jobs, threads=threads, workers=workers)
    return Cluster(
        out / "cluster",
        jobs=jobs or 100,
        machine=Machine(device, threads, workers),
        cluster=cluster,
        parameters={name: int(text) if text.isdecimal() else text for name, text in parameters},
    )
