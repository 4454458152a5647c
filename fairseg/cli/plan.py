"""The command `fairseg plan`: `fairseg.plan` on a file, and the options of an audit stated beforehand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import options, types
from fairseg.cli.audit import judging, one_each

_INSIDE = types.Number(0.0, 1.0, min_open=True, max_open=True)
_SHARE = types.Number(0.0, 1.0)


@options.command()
@click.argument("scores", type=options.PATH, required=False)
@options.by(required=False)
@options.reference
@options.BINS
@judging
@click.option("--metric", default="dice", show_default=True, help="Column of the pilot: a share of 1.")
@options.number("--difference", _INSIDE, 0.03, "Difference to be shown.")
@click.option("--failures", is_flag=True, help="Plan for failure rates, not for the typical Dice.")
@click.option(
    "--sizes",
    type=types.Parsed(lambda text: types.pair(text, int), "400,12"),
    metavar="A,B",
    help="Subjects of the first (reference) group and of the second: what they can show.",
)
@options.number(
    "--ratio", types.Number(0.0, min_open=True), 1.0, "Subjects of the first to one of the second."
)
@options.number("--power", _INSIDE, 0.8, "Probability with which the difference is to be shown.")
@options.number("--alpha", _INSIDE, 0.05, "Two-sided level of one comparison.")
@click.option("--median", type=_SHARE, help="Median Dice, in place of SCORES; with --iqr.")
@click.option("--iqr", type=_SHARE, help="Distance of its quartiles.")
@click.option("--failure-rate", type=_SHARE, help="Failure rate, in place of SCORES.")
@click.option("--write", type=options.OUT, metavar="FILE", help="Write --by to --seed, for --preregister.")
def plan(scores: Path | None, by: Sequence[str], write: Path | None, failures: bool, **arguments: Any) -> int:
    """Say how many subjects show a gap, or what --sizes can show: from the SCORES of a pilot, or assumptions.

    With --write, state what will be judged, and by which margins, before the scores are there.
    """
    from fairseg.report.preregistration import DEFAULTS, write_preregistration  # noqa: PLC0415

    bins = one_each(arguments.pop("bins"))
    stated = {"by": by, "bins": bins} | {name: arguments[name] for name in DEFAULTS if name in arguments}
    for name in ("also", "adjust", "margin", "failure_margin", "tail_margin", "min_size"):
        del arguments[name]
    reference = arguments.pop("reference")
    if write is not None and not by:
        raise ValueError("--write needs --by, the attribute that will be judged")
    assumed = any(arguments[name] is not None for name in ("median", "iqr", "failure_rate"))
    if scores is None and not assumed and write is None:
        needed = "--failure-rate" if failures else "--median and --iqr"
        raise ValueError(f"plan needs the SCORES of a pilot, or {needed}")
    if scores is not None or assumed:
        groups = {} if scores is None else {"by": by or None, "reference": reference, "bins": bins}
        click.echo(
            repr(fairseg.plan(scores, endpoint="failures" if failures else "typical", **groups, **arguments))
        )
    if write is not None:
        click.echo(f"Stated: {write_preregistration(write, stated)}")
    return 0
