"""The commands `fairseg audit` and `fairseg report`: `fairseg.audit` on files."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import fairseg
from fairseg.cli import options, types
from fairseg.cli.evaluate import report_skipped, score
from fairseg.cohort.columns import SHARES
from fairseg.io.files import NotWrittenError, write_files
from fairseg.io.outputs import check_writable
from fairseg.statistics.judge_options import JudgeOptions

_SHARE = types.Number(0.0, 1.0, min_open=True)
margins = options.group(
    options.number("--margin", _SHARE, 0.02, "Difference in the typical Dice that does not matter."),
    options.number(
        "--failure-threshold",
        types.Number(0.0, 1.0, min_open=True, max_open=True),
        0.5,
        "A subject whose Dice is below has failed.",
    ),
    options.number("--failure-margin", _SHARE, 0.05, "Difference in failure rates that does not matter."),
    options.number("--tail-margin", _SHARE, 0.10, "Difference in shares of the hardest tenth, likewise."),
    options.number("--min-size", click.IntRange(min=2), 10, "Subjects that a group needs to be judged."),
    options.number("--seed", types.SEED, 0, "Seed of the permutations."),
)
judging = options.group(
    click.option("--also", multiple=True, metavar="ATTRIBUTE", help="Another attribute to judge."),
    click.option(
        "--adjust",
        multiple=True,
        metavar="ATTRIBUTE",
        help="Attribute to hold fixed, such as age; 'structure size' is that of the references.",
    ),
    margins,
)
sections = options.group(
    options.clinical,
    click.option("--images", type=options.PATH, help="Folder of images, to show the worst cases on."),
    click.option("--model", metavar="NAME", default="", help="What the model is called, for the title."),
    click.option(
        "--model-card",
        type=options.OUT,
        metavar="FILE",
        help="Write a model card too, in Hugging Face's form, such as README.md.",
    ),
    click.option(
        "--figures", is_flag=True, help="Draw overall.svg, labels.svg, gaps.png and report.pdf too."
    ),
    options.pseudonyms,
    options.number(
        "--resamples", click.IntRange(100, 1_000_000), 10_000, "Draws of each interval in tables."
    ),
)


@options.command(writes=True, reads_images=True)
@click.argument("scores", type=options.PATH)
@options.tables
@options.wide_scores
@options.grouping
@judging
@click.option("--metric", default="dice", show_default=True, help="Column to judge by: a share of 1.")
@click.option("--predictions", type=options.PATH, help="Folder of predicted masks, to show the worst cases.")
@click.option("--references", type=options.PATH, help="Folder of reference masks, for the same.")
@options.spacing
@sections
@click.option("--out", type=options.OUT, required=True, help="Folder to write the report into.")
def report(scores: Path, out: Path, **arguments: Any) -> int:
    """Judge a table of SCORES by group: the answer, tables, plots, and a page."""
    extras = _sections(arguments, out)
    table = fairseg.scoring.Scores.of(scores, metric=arguments.pop("metric"), **options.score_options())
    _judge(table, out, extras, arguments)
    return 0


@options.command(writes=True, reads_images=True)
@options.scoring
@options.grouping
@judging
@click.option("--metric", type=click.Choice(SHARES), default="dice", show_default=True, help="To judge by.")
@sections
@click.option("--out", type=options.OUT, required=True, help="Folder to write the report into.")
def audit(table: Path, out: Path, **arguments: Any) -> int:
    """Score PREDICTIONS against REFERENCES and judge the scores by group, in one go."""
    check_writable(out, ["scores.csv"], "scores")
    extras = _sections(arguments, out)
    scoring = {name: arguments.pop(name) for name in _SCORING}
    metric = arguments.pop("metric")
    cohort = fairseg.read_cohort(table, options.table_options())
    _check_before_scoring(cohort, table, scoring["predictions"], scoring["references"], arguments)
    scoring["metrics"] = tuple(dict.fromkeys((*scoring["metrics"], metric)))
    scores = score(cohort, **scoring)
    public = scores if extras.pseudonyms is None else scores.hidden(extras.pseudonyms)
    write_files(out, fairseg.scoring.scores_to_files(public), "scores")
    if metric != "dice":
        judged = fairseg.scoring.Scores.of(scores.to_frame(), metric=metric)
        notes, doubts = (
            tuple(dict.fromkeys((*before, *after)))
            for before, after in ((scores.table_notes, judged.table_notes), (scores.doubts, judged.doubts))
        )
        scores = replace(judged, table_notes=notes, doubts=doubts)
    try:
        _judge(scores, out, extras, arguments)
    except (ValueError, NotWrittenError) as error:
        # Skipped cases can leave nothing to compare, or the disk may be full: the scores are kept.
        raise type(error)(f"{error} (the scores are in {out / 'scores.csv'})") from None
    return report_skipped(scores)


_SCORING = (
    *("predictions", "references", "labels", "prediction_labels", "ignore", "metrics", "empty", "tolerance"),
    *("min_iou", "spacing", "workers", "on_error", "cross_check"),
)


def _judge(scores: Any, out: Path, extras: Any, arguments: dict[str, Any]) -> None:
    from fairseg.report.audit import judge_scores  # noqa: PLC0415  (keep --help quick)
    from fairseg.report.card import MODEL_CARD, to_terminal  # noqa: PLC0415
    from fairseg.report.preregistration import NUMBERS  # noqa: PLC0415

    result = judge_scores(
        scores,
        **_grouping(arguments),
        options=JudgeOptions(**{name: arguments[name] for name in NUMBERS}),
        sections=extras,
    )
    page = result.save(out, figures=arguments["figures"])
    card: Path | None = arguments["model_card"]
    if card is not None:
        write_files(card.parent, {card.name: result.model_card()}, MODEL_CARD)
    click.echo(to_terminal(result, result.notes))
    hint = "" if arguments["figures"] else " (--figures draws figures for a paper too)"
    click.echo(f"Report: {page}{hint}")
    if card is not None:
        click.echo(f"Model card: {card}")


def _grouping(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: arguments[name] for name in ("by", "reference", "also", "adjust", "bins")}


def _check_before_scoring(
    cohort: Any, table: Path, predictions: Path, references: Path, arguments: dict[str, Any]
) -> None:
    """Raise errors of the table and of the names of files before an hour of scoring, not after it."""
    from fairseg.io.images import find_masks  # noqa: PLC0415
    from fairseg.report.analyses import check_cohort  # noqa: PLC0415

    files = find_masks(predictions, "predictions").keys() | find_masks(references, "references").keys()
    with_files = cohort[cohort["case"].isin(files)]
    rows = cohort if with_files.empty else with_files  # the others form no groups
    check_cohort(rows, str(table), **_grouping(arguments))


def stated_file(arguments: dict[str, Any]) -> Any:
    """Add the options of the file `--preregister` to the arguments; return the file, or None."""
    from fairseg.report.preregistration import read_preregistration  # noqa: PLC0415

    path, context = arguments.pop("preregister"), click.get_current_context()
    arguments["bins"] = one_each(arguments["bins"])
    if path is None:
        if not arguments["by"]:
            raise click.MissingParameter(param_hint="'--by'", param_type="option")
        return None
    typed = {name for name in arguments if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    file = read_preregistration(path)
    arguments |= file.settle(arguments, typed, flags=True)
    return file


def _sections(arguments: dict[str, Any], out: Path) -> Any:
    """Take the options of `sections` out of the arguments; return what the report shows beside the gaps.

    Raises:
        ValueError: options do not fit each other, or the report or the model card cannot be written.
    """
    from fairseg.report import HeartRoles, MaskFolders, ReportSections, page  # noqa: PLC0415
    from fairseg.report.card import MODEL_CARD  # noqa: PLC0415

    check_writable(out, page.FILES, page.KIND)
    if (card := arguments["model_card"]) is not None:
        check_writable(card.parent, [card.name], MODEL_CARD)
    stated = stated_file(arguments)
    images, roles, phase = arguments.pop("images"), arguments.pop("roles"), arguments.pop("phase")
    predictions, references = arguments["predictions"], arguments["references"]
    if (predictions is None) != (references is None):
        raise ValueError("--predictions and --references must be given together")
    if images is not None and predictions is None:
        raise ValueError("--images needs --predictions and --references, to know what to show")
    if arguments.get("spacing") is not None and predictions is None:
        raise ValueError("--spacing needs --predictions and --references, which are drawn")
    if images is not None and not images.is_dir():
        raise ValueError(f"--images must be a folder, got {images}")
    if roles is None and phase is not None:
        raise ValueError("--phase needs --roles, such as --roles lv=LVBP,myocardium=LVM,rv=RVBP")
    heart = None if roles is None else HeartRoles(roles, *(phase or ()))
    masks = None
    if predictions is not None:
        codes = {name: arguments.get(name) for name in ("labels", "prediction_labels", "ignore", "spacing")}
        masks = MaskFolders(predictions, references, images, **codes)
    return ReportSections(
        masks=masks,
        heart=heart,
        model=arguments.pop("model"),
        resamples=arguments.pop("resamples"),
        preregistered=stated,
        pseudonyms=options.key_outside(arguments.pop("pseudonyms"), out),
        command=typed_command(),
    )


def typed_command() -> str:
    """Return the command line as it was typed; with --pseudonyms files are FILE, as they may name people."""
    context = click.get_current_context()
    if not context.params.get("pseudonyms"):
        return " ".join(["fairseg", *map(str, sys.argv[1:])])
    values: list[Any] = []
    for parameter in context.command.params:
        if isinstance(parameter.type, type(options.PATH)):
            value = context.params.get(parameter.name or "")
            values += value if isinstance(value, tuple) else [value]
    words = ["fairseg"]
    for word in map(str, sys.argv[1:]):
        option, equals, text = word.partition("=") if word.startswith("--") else ("", "", word)
        words.append(f"{option}{equals}FILE" if text and Path(text) in values else word)
    return " ".join(words)


def one_each(bins: Sequence[tuple[str, list[float]]]) -> dict[str, list[float]]:
    """Return attribute -> edges; an attribute given twice is an error."""
    names = [name for name, _ in bins]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"--bins: {', '.join(sorted(twice))} must have all its edges in one option")
    return dict(bins)
