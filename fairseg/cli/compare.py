"""The command `fairseg compare`: `fairseg.compare` on files."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import options
from fairseg.cli.audit import judging, stated_file, typed_command
from fairseg.cli.once import OnceCommand
from fairseg.io.outputs import check_writable


@click.command(cls=OnceCommand)
@click.argument("scores", type=options.PATH, nargs=-1, required=True)
@options.grouping
@judging
@options.tables
@options.wide_scores
@click.option("--metric", default="dice", show_default=True, help="Column to judge by: a share of 1.")
@click.option(
    "--names",
    metavar="A,B,...",
    help="Names of the models, in the order of SCORES. Default: from the files' names.",
)
@click.option("--baseline", metavar="NAME", help="Model to compare the others with. Default: the first.")
@click.option("--out", type=options.OUT, required=True, help="Folder to write the comparison into.")
@options.pseudonyms
@options.debug
@options.writes
def compare(scores: Sequence[Path], names: str | None, out: Path, **given: Any) -> int:
    """Compare models that were scored on the same cases: one table of SCORES each.

    Says of each model whether it is fairer than the baseline, which groups gained or lost, and whether a
    group is worse off.
    """
    from fairseg.report.compare.card import to_terminal  # noqa: PLC0415  (the charts, which --help does not need)
    from fairseg.report.compare.page import FILES, KIND  # noqa: PLC0415
    from fairseg.report.sections import ReportSections  # noqa: PLC0415
    from fairseg.scoring.table import Scores  # noqa: PLC0415

    check_writable(out, FILES, KIND)
    hidden = options.key_outside(given.pop("pseudonyms"), out) or False
    sections = ReportSections(preregistered=stated_file(given), command=typed_command())
    read = [Scores.of(file, metric=given["metric"], **options.score_options()) for file in scores]
    models = dict(zip(_names(scores, names), read, strict=True))
    result = fairseg.compare(models, sections=sections, pseudonyms=hidden, **given)
    page = result.save(out)
    click.echo(to_terminal(result, result.notes))
    click.echo(f"Comparison: {page}")
    return 0


def _names(files: Sequence[Path], given: str | None) -> list[str]:
    """Return the names of the models, as given or from their files.

    Raises:
        ValueError: fewer than two files, one twice, or names that are not one each.
    """
    if len(files) < 2:
        raise ValueError(f"SCORES must be two tables or more, got only {files[0]}")
    same = Counter(file.resolve() for file in files)
    if twice := [str(file) for file in files if same[file.resolve()] > 1]:
        raise ValueError(f"SCORES must be different tables, got {twice[0]} twice")
    if given is None:
        return default_names(files)
    names = [name.strip() for name in given.split(",")]
    if len(names) != len(files):
        raise ValueError(f"--names must be {len(files)}, one for each table, got {len(names)}: {given}")
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(f"--names must be different and not empty, got {given}")
    return names


def default_names(files: Sequence[Path]) -> list[str]:
    """Return a name for each file that no other has.

    The name without its ending; where files share that, the folder; else the number besides.

    >>> default_names([Path("base.csv"), Path("fair.csv")])
    ['base', 'fair']
    >>> default_names([Path("runs/a/scores.csv"), Path("runs/b/scores.csv"), Path("c.csv")])
    ['a', 'b', 'c']
    >>> default_names([Path("one/a/scores.csv"), Path("two/a/scores.csv")])
    ['one/a', 'two/a']
    """

    def folder(file: Path, depth: int) -> str:
        return "/".join(part.name for part in reversed(file.resolve().parents[:depth]))

    ways: tuple[Callable[[Path], str], ...] = (
        lambda file: file.stem,
        lambda file: folder(file, 1),
        lambda file: folder(file, 2),
        lambda file: str(file.with_suffix("")),
    )
    names = [""] * len(files)
    open_ = list(range(len(files)))
    for way in ways:
        for place in open_:
            names[place] = way(files[place])
        counts = Counter(names)
        open_ = [place for place in open_ if counts[names[place]] > 1 or not names[place]]
    for number, place in enumerate(open_, 1):
        names[place] = f"{names[place]} ({number})"
    return names
