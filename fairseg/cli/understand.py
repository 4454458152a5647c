"""The command `fairseg understand`: `fairseg.understand` on files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import options, types
from fairseg.cli.audit import one_each
from fairseg.cli.training import need_extra
from fairseg.io.outputs import check_writable


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise ValueError
    return names


@options.command(writes=True)
@click.argument("data", type=options.PATH)
@options.by()
@options.reference
@options.BINS
@click.option("--groups", "cohort", type=options.PATH, help="Table of cases. Default: groups.csv in DATA.")
@click.option("--predictions", type=options.PATH, help="Folder of a model's masks of the same cases.")
@click.option("--scores", type=options.PATH, help="A model's scores. Default: those of --predictions.")
@click.option(
    "--run",
    type=options.PATH,
    help="A training: does its Dice change if the outside does? Takes minutes without a GPU.",
)
@click.option("--test", is_flag=True, help="Look at imagesTs and labelsTs in place of imagesTr and labelsTr.")
@click.option(
    "--confounders",
    type=types.Parsed(_names, "age,site"),
    multiple=True,
    callback=types.flat,
    metavar="A,B",
    help="Attributes that groups may differ in besides.",
)
@click.option(
    "--margins",
    type=types.Parsed(lambda text: tuple(map(float, text.split(","))), "0,5,10,20,40"),
    metavar="MM,MM",
    help="Crops to try: mm (or pixels, where files state no size) around the largest organ. Default: "
    "0,5,10,20,40, or smaller steps in small images.",
)
@options.number("--min-size", click.IntRange(min=5), 10, "Subjects that a group needs to be judged.")
@options.spacing
@options.tables
@options.number(
    "--model",
    click.Choice(("linear", "cnn")),
    "linear",
    "What reads images. cnn: the reference network's encoder; takes half an hour without a GPU.",
)
@click.option(
    "--permutations",
    type=int,
    help="Permutations of the groups, at least 120, of a cnn 20. Default: 1000, of a cnn 39.",
)
@options.number("--seed", types.SEED, 0, "Seed of the permutations.")
@click.option("--out", type=options.OUT, required=True, help="Folder to write the page into.")
def understand(data: Path, bins: Sequence[Any], out: Path, **arguments: Any) -> int:
    """Say whether groups can be read from the images of DATA, where, and whether errors go with it.

    DATA is in nnU-Net's raw layout with groups.csv. No model that tells people's groups is kept.
    """
    from fairseg.understanding.page import FILES, KIND  # noqa: PLC0415  (the charts, which --help does not need)

    if arguments["run"] is not None or arguments["model"] == "cnn":
        need_extra()
    check_writable(out, FILES, KIND)
    arguments["options"] = options.table_options()
    result = fairseg.understand(data, bins=one_each(bins), **arguments, progress=True)
    page = result.save(out)
    click.echo(repr(result))
    click.echo(f"Page: {page}")
    return 0
