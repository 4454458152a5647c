"""The command `fairseg compare`: `fairseg.compare` on files."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

import fairseg
from fairseg.cli import options
from fairseg.cli.audit import judging, stated_file, typed_command
from fairseg.io.outputs import check_writable


@options.command(writes=True)
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
def compare(scores: Sequence[Path], names: str | None, out: Path, **arguments: Any) -> int:
    """Compare models that were scored on the same cases: one table of SCORES each.

    Says of each model whether it is fairer than the baseline, which groups gained or lost, and whether a
    group is worse off.
    """
    from fairseg.report.compare.card import to_terminal  # noqa: PLC0415  (the charts, which --help does not need)
    from fairseg.report.compare.page import FILES, KIND  # noqa: PLC0415

    check_writable(out, FILES, KIND)
    hidden = options.key_outside(arguments.pop("pseudonyms"), out) or False
    sections = fairseg.report.ReportSections(preregistered=stated_file(arguments), command=typed_command())
    reading = {"metric": arguments["metric"], **options.score_options()}
    tables = [fairseg.scoring.Scores.of(file, **reading) for file in scores]
    models = dict(zip(_names(scores, names), tables, strict=True))
    result = fairseg.compare(models, sections=sections, pseudonyms=hidden, **arguments)
    page = result.save(out)
    click.echo(to_terminal(result, result.notes))
    click.echo(f"Comparison: {page}")
    return 0


def _names(files: Sequence[Path], typed: str | None) -> list[str]:
    """Return the names of the models, as given or from their files.

    Raises:
        ValueError: fewer than two files, one twice, or names that are not one each.
    """
    if len(files) < 2:
        raise ValueError(f"SCORES must be two tables or more, got only {files[0]}")
    same = Counter(file.resolve() for file in files)
    if twice := [str(file) for file in files if same[file.resolve()] > 1]:
        raise ValueError(f"SCORES must be different tables, got {twice[0]} twice")
    if typed is None:
        return default_names(files)
    names = [name.strip() for name in typed.split(",")]
    if len(names) != len(files):
        raise ValueError(f"--names must be {len(files)}, one for each table, got {len(names)}: {typed}")
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(f"--names must be different and not empty, got {typed}")
    return names


def default_names(files: Sequence[Path]) -> list[str]:
    """Return a different name for each file.

    It is the name without its ending; where files share that, the folder; else with a number.

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
    unnamed = list(range(len(files)))
    for name_of in ways:
        for index in unnamed:
            names[index] = name_of(files[index])
        counts = Counter(names)
        unnamed = [index for index in unnamed if counts[names[index]] > 1 or not names[index]]
    for number, index in enumerate(unnamed, 1):
        names[index] = f"{names[index]} ({number})"
    return names
