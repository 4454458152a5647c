"""The options of the command `fairseg`."""

from collections.abc import Callable
from typing import Any

import click

from fairseg.cli.clinical import Phase, Roles
from fairseg.cli.types import PATH as PATH  # noqa: PLC0414  (the commands say options.PATH)
from fairseg.cli.types import Bins, GroupSize, LabelList, MetricList, Pair
from fairseg.cohort.columns import METRICS


def group(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Return options as one decorator."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def number(name: str, kind: Any, default: Any, text: str) -> Any:
    """Return an option that shows its default."""
    return click.option(name, type=kind, default=default, show_default=True, help=text)


def by(*, required: bool = True, default: str = "") -> Any:
    """Return the option that names the attributes whose cells are the groups."""
    text = f"Attribute whose levels are the groups; several: their intersection. {default}"
    return click.option("--by", multiple=True, required=required, metavar="ATTRIBUTE", help=text.strip())


# Options of several commands.
BINS = click.option(
    "--bins",
    type=Bins(),
    multiple=True,
    metavar="NAME=EDGES",
    help="Cut a numeric attribute into bins: age=50,65.",
)
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
LOADERS = click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes that prepare, load and augment. Default: none on the CPU, up to 8 on a GPU.",
)
debug = click.option("--debug", is_flag=True, help="Show the traceback of an error.")


scoring = group(
    click.argument("predictions", type=PATH),
    click.argument("references", type=PATH),
    click.option(
        "--groups",
        "table",
        type=PATH,
        required=True,
        help="Table of cases: columns case, subject, and the attributes.",
    ),
    click.option(
        "--labels",
        type=LabelList(),
        help="1,2,3 or RVBP=1,LVM=2. Default: dataset.json in or above REFERENCES, "
        "else every value in a reference.",
    ),
    click.option(
        "--metrics",
        type=MetricList(),
        default="dice,hd",
        show_default=True,
        help=f"Some of {','.join(METRICS)}.",
    ),
    click.option(
        "--empty",
        type=click.Choice(["nan", "diagonal"]),
        default="nan",
        show_default=True,
        help="Distance of a structure that only one mask has: left out and counted, or the image's diagonal.",
    ),
    click.option("--tolerance", type=float, help="Tolerance of nsd: mm, or pixels where masks are PNG."),
    number("--workers", click.IntRange(min=1), 1, "Processes that score cases."),
    click.option(
        "--on-error",
        type=click.Choice(["stop", "skip"]),
        default="stop",
        show_default=True,
        help="A case that cannot be scored: stop, or finish without it and exit with 1.",
    ),
    click.option(
        "--cross-check",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Compute N random case-label pairs again with medpy; fail on a difference.",
    ),
)
grouping = group(
    by(),
    click.option(
        "--reference",
        metavar="LEVEL",
        help="Reference group, such as White; of an intersection: 'sex=F, site=A'.",
    ),
    BINS,
)
clinical = group(
    click.option("--roles", type=Roles(), metavar="ROLE=LABEL,...", help="Labels of lv, myocardium, rv."),
    click.option("--phase", type=Phase(), metavar="NAME=ED,ES", help="Attribute that tells ED from ES."),
)
phantom = group(
    click.argument("folder", type=PATH),
    click.option(
        "--subjects",
        type=GroupSize(),
        multiple=True,
        metavar="GROUP=N",
        default=["White=240", "Black=8"],
        show_default=True,
        help="Training subjects of a group, repeated for each; the last looks most different from the first.",
    ),
    click.option(
        "--test-subjects", type=click.IntRange(min=0), default=30, show_default=True, help="Of each group."
    ),
    click.option(
        "--strength",
        type=click.FloatRange(min=0.0),
        default=1.0,
        show_default=True,
        help="How different the last group looks; 0 for not at all.",
    ),
    click.option(
        "--without",
        multiple=True,
        metavar="PART",
        help="Turn a part of the difference off: fat, vessels, chest, brightness, heart.",
    ),
    click.option("--size", type=click.IntRange(min=1), default=80, show_default=True, help="Pixels a side."),
    click.option("--spacing", type=float, default=3.0, show_default=True, help="Size of a pixel, mm."),
    click.option("--slices", type=click.IntRange(min=1), default=4, show_default=True, help="Of a stack."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
)


LOSSES = (
    "erm",
    "balanced",
    "group_dro",
    "worst_group",
    "cvar",
    "chi_square",
    "vrex",
    "fair_error_bound",
    "pareto",
)
BASES = ("dice_ce", "ce", "dice", "dice_ce_sample")
_RUN = click.option("--out", type=PATH, required=True, help="Folder of the run.")


training = group(
    by(),
    BINS,
    click.option("--groups", "table", type=PATH, help="Table of cases. Default: groups.csv in DATASET."),
    click.option(
        "--split",
        type=PATH,
        help="Table with columns subject, part: train or validation, others are left out.",
    ),
    _RUN,
    click.option("--resume", is_flag=True, help="Go on with the run in --out, if there is one."),
    click.option("--prepared", type=PATH, help="Folder for prepared images, to share among runs."),
    click.option(
        "--sampler",
        type=click.Choice(["natural", "oversampling"]),
        default="natural",
        show_default=True,
        help="How batches are drawn.",
    ),
    number("--balance", click.FloatRange(0.0, 1.0), 1.0, "Of oversampling: 1 equal shares, 0 natural."),
    click.option(
        "--loss", type=click.Choice(LOSSES), default="erm", show_default=True, help="Objective of the groups."
    ),
    click.option(
        "--base", type=click.Choice(BASES), help="Loss of a sample. Default: dice_ce for erm, else ce."
    ),
    click.option(
        "--reweight",
        type=click.Choice(["none", "sum", "mean"]),
        default="none",
        show_default=True,
        help="Inverse-frequency weights that sum to 1 (Eq. 2), or have mean 1.",
    ),
    click.option(
        "--crop",
        type=click.Choice(["none", "reference"]),
        default="none",
        show_default=True,
        help="Train on crops around the reference masks, all of one size.",
    ),
    number("--epochs", click.IntRange(min=1), 1000, "Epochs; validation and a checkpoint after each."),
    number("--steps", click.IntRange(min=1), 250, "Steps of an epoch."),
    number("--batch-size", click.IntRange(min=1), 12, "Patches of a batch."),
    click.option("--patch-size", type=Pair(int), metavar="Y,X", help="Pixels. Default: the median slice's."),
    click.option("--spacing", type=Pair(float), metavar="Y,X", help="mm in plane. Default: the median."),
    number("--features", click.IntRange(min=1), 32, "Channels of the network at full resolution."),
    number("--most-features", click.IntRange(min=1), 512, "Channels of the network at most."),
    number("--learning-rate", float, 0.01, "At the start."),
    number("--momentum", float, 0.99, "Nesterov's; 0.9 with a higher learning rate suits short runs."),
    click.option("--augment/--no-augment", default=True, show_default=True, help="nnU-Net's augmentations."),
    click.option("--elastic", is_flag=True, help="Elastic deformation too."),
    number("--validation", click.FloatRange(0.0, 0.9), 0.2, "Share of each group's subjects held out."),
    number("--split-seed", click.IntRange(min=0), 0, "Of who is held out."),
    number("--seed", click.IntRange(min=0), 0, "Of all else that is random."),
    LOADERS,
    DEVICE,
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "float16", "bfloat16"]),
        default="auto",
        show_default=True,
        help="Of the network; auto: float32 on the CPU, half on a GPU.",
    ),
    click.option("--compile", is_flag=True, help="Compile the network with torch.compile."),
)
predicting = group(
    click.option("--out", type=PATH, required=True, help="Folder to write masks into: CASE.nii.gz."),
    click.option("--cascade", type=PATH, metavar="RUN", help="Crop around what this run finds."),
    click.option("--references", type=PATH, help="Crop around these masks, to compare with --cascade."),
    click.option("--mirror/--no-mirror", default=True, show_default=True, help="Average over mirrorings."),
    number("--workers", click.IntRange(min=1), 1, "Processes that segment."),
    DEVICE,
)
