"""The options of reports beyond one grouping, and how they become what `write_report` takes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from fairseg.cli import options
from fairseg.cohort.columns import METRICS, SIZES

judging = options.group(
    click.option(
        "--also",
        multiple=True,
        metavar="ATTRIBUTE",
        help="Another attribute to report by, each for itself.",
    ),
    click.option(
        "--margin",
        type=click.FloatRange(0.0, 1.0, min_open=True),
        help="Largest gap in median Dice that does not matter: the report says if larger ones are ruled out.",
    ),
    click.option(
        "--min-size",
        type=click.IntRange(min=2),
        default=10,
        show_default=True,
        help="Subjects that a group needs for its gap to be judged.",
    ),
    click.option(
        "--adjust",
        multiple=True,
        metavar="ATTRIBUTE",
        help="Attribute to hold fixed, such as age; 'structure size' is that of the references.",
    ),
    options.clinical,
    click.option("--images", type=options.PATH, help="Folder of images, to show the worst cases on."),
    click.option(
        "--resamples",
        type=click.IntRange(min=100),
        default=10_000,
        show_default=True,
        help="Draws for each interval.",
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of these draws."),
)
masks = options.group(
    click.option(
        "--predictions", type=options.PATH, help="Folder of predicted masks, to show the worst cases."
    ),
    click.option("--references", type=options.PATH, help="Folder of reference masks, likewise."),
)

# Of `options.grouping` and `judging`, where a command takes other options too.
NAMES = (
    *("by", "reference", "bins", "also", "margin", "min_size", "adjust"),
    *("roles", "phase", "images", "resamples", "seed"),
)


def make_groups(
    table: Any,
    by: Sequence[str],
    also: Sequence[str],
    adjust: Sequence[str],
    bins: dict[str, list[float]],
    make: Callable[[Sequence[str], dict[str, list[float]]], Any],
) -> list[Any]:
    """Return the groups of --by, then those of each --also.

    Args:
        table: with the attributes.
        by: the attributes of the main grouping.
        also: others, each a grouping.
        adjust: attributes to hold fixed.
        bins: edges of numeric attributes, for all of them.
        make: makes groups by some attributes with the bins of these.
    """
    from fairseg.report.adjusted import SIZE  # noqa: PLC0415  (keep --help quick)

    if stray := [name for name in bins if name not in (*by, *also, *adjust)]:
        raise ValueError(f"--bins {stray[0]}: the attribute is not in --by, --also or --adjust")
    for name in also:
        if tuple(by) == (name,) or also.count(name) > 1:
            raise ValueError(f"--also {name}: the report is by {name} already")
    if absent := [name for name in adjust if name not in table and name != SIZE]:
        there = ", ".join(str(name) for name in table)
        raise ValueError(f"--adjust {absent[0]}: no such attribute in the table, which has {there}")
    return [
        make(names, {name: bins[name] for name in names if name in bins})
        for names in (tuple(by), *((name,) for name in also))
    ]


def extras(
    others: Sequence[Any],
    *,
    adjust: Sequence[str],
    bins: dict[str, list[float]],
    roles: dict[str, str] | None,
    phase: tuple[str, tuple[str, str]] | None,
    files: dict[str, Any],
) -> Any:
    """Return what the report holds beyond one grouping.

    Args:
        others: further groups.
        adjust: attributes to hold fixed.
        bins: edges of numeric ones.
        roles: role -> label.
        phase: attribute and its two levels.
        files: folders "predictions", "references", "images" and the "labels"; without the first two there are
            no pictures.
    """
    from fairseg.report.clinical import Roles  # noqa: PLC0415  (keep --help quick)
    from fairseg.report.page import Extras  # noqa: PLC0415
    from fairseg.report.worst import Files  # noqa: PLC0415

    if (files["predictions"] is None) != (files["references"] is None):
        raise ValueError("--predictions and --references must be given together")
    if files["images"] is not None:
        if files["predictions"] is None:
            raise ValueError("--images needs --predictions and --references, to know what to show")
        if not Path(files["images"]).is_dir():
            raise ValueError(f"--images must be a folder, got {files['images']}")
    if roles is None and phase is not None:
        raise ValueError("--phase needs --roles, such as --roles lv=LVBP,myocardium=LVM,rv=RVBP")
    heart = None
    if roles is not None:
        heart = Roles(roles) if phase is None else Roles(roles, *phase)
    there = files["predictions"] is not None
    return Extras(
        others=others,
        adjust=adjust,
        bins={name: edges for name, edges in bins.items() if name in adjust},
        roles=heart,
        files=Files(**files) if there else None,
    )


def groups_of_file(table: Any, file: Path, by: Sequence[str], bins: dict[str, list[float]]) -> Any:
    """Make the groups of a table that was read from a file, which errors can then name."""
    from fairseg.cohort.groups import Groups  # noqa: PLC0415

    if absent := [name for name in by if name not in table]:
        others = {"case", "subject", "label", *METRICS, *SIZES}
        there = ", ".join(name for name in table if name not in others) or "none"
        raise ValueError(f"--by {absent[0]}: no such attribute in {file}, which has {there}")
    groups = Groups.from_table(table, by=by, bins=bins)
    _check_group_number(groups)
    return groups


def one_each(bins: Sequence[tuple[str, list[float]]]) -> dict[str, list[float]]:
    """Return attribute -> edges; an attribute given twice is an error."""
    names = [name for name, _ in bins]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"--bins: {', '.join(sorted(twice))} must have all its edges in one option")
    return dict(bins)


def _check_group_number(groups: Any) -> None:
    most = 60
    if len(groups) < 2:
        raise ValueError(
            f"--by {' --by '.join(groups.attributes)}: at least two groups are needed to compare, "
            f"got only {', '.join(groups.names)}"
        )
    if len(groups) > most:
        raise ValueError(
            f"--by {' --by '.join(groups.attributes)}: {len(groups)} groups are more than the {most} that a "
            f"table can show, such as {', '.join(groups.names[:3])}; cut a numeric attribute with --bins"
        )
