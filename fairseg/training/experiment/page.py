"""The report of an experiment: one page with tables in the paper's form beside the paper's own, and CSV."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from fairseg.metrics import csv_files
from fairseg.report import render
from fairseg.report.files import write_files
from fairseg.report.page import render_template
from fairseg.report.summary import ALL, GAP
from fairseg.training.experiment import figures
from fairseg.training.experiment.arms import GRID, IMAGES, PAIRS, SINGLE, SWEEPS, TITLES
from fairseg.training.experiment.paper import BOX_ERRORS, MEASURES, PRINTED
from fairseg.training.experiment.paper import GROUPS as PAPER_GROUPS
from fairseg.training.experiment.results import (
    Results,
    Spread,
    box_errors,
    findings,
    significant,
)
from fairseg.training.experiment.study import TEST, TRAIN, VALIDATION

REPORT = "report"
PAGE = "experiment.html"

# Title, test set, arms: what the paper has a table of, and the controls.
TABLES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Table 4. Single methods, full images, internal test", "internal", tuple(f"full/{m}" for m in SINGLE)),
    (
        "Table 5. Pairs of methods, full images, internal test",
        "internal",
        ("full/baseline", *(f"full/{m}" for m in PAIRS)),
    ),
    ("Table 6. Crops by the reference, internal test", "internal", tuple(f"crop/{m}" for m in SINGLE)),
    ("Table 7. Cascaded crops, internal test", "internal", tuple(f"cascade/{m}" for m in SINGLE)),
    ("Table 8. Single methods, full images, external test", "external", tuple(f"full/{m}" for m in SINGLE)),
    (
        "Table 9. Crops, external test",
        "external",
        tuple(f"{images}/{m}" for images in ("crop", "cascade") for m in ("baseline", "oversampling")),
    ),
    (
        "Controls. Group DRO beside the same method with its loss, cross-entropy; internal test",
        "internal",
        (
            "full/baseline_ce",
            "full/group_dro",
            "full/oversampling_ce",
            "full/oversampling+group_dro",
            "full/reweighting_ce",
            "full/reweighting+group_dro",
        ),
    ),
    (
        "Controls on crops; internal test",
        "internal",
        tuple(f"{images}/{m}" for images in ("crop", "cascade") for m in ("baseline_ce", "group_dro")),
    ),
)


@dataclass(frozen=True)
class Cell:
    """A figure: its mean over the seeds, and from the lowest to the highest if there are several."""

    text: str
    range: str = ""
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table in the paper's form: rows are measures, columns are groups, side by side for each method.

    Attributes:
        title: what it shows.
        heads: of the methods.
        groups: under each of them.
        rows: measure -> cells of each method; one for each group, or one over all.
    """

    title: str
    heads: list[str]
    groups: tuple[str, ...]
    rows: dict[str, list[list[Cell]]]


def write_experiment(root: Path, results: Results, notes: Sequence[str]) -> Path:
    """Write the report of an experiment into its folder, and return the page.

    Args:
        root: folder of the experiment.
        results: as from `collect`.
        notes: what a reader must know, one line each.
    """
    drawn = figures.draw(results)
    tables = [(table, printed_table(*about)) for about in TABLES if (table := make_table(results, *about))]
    page = render_template(
        "experiment.html.j2",
        study=results.study,
        by=" and ".join(sorted(results.study.plan.recipe.by)),
        numbers=_numbers(results),
        steps=results.study.plan.recipe.epochs * results.study.plan.recipe.steps,
        ce_factor=results.study.plan.ce_factor,
        headline=headline(results),
        findings=findings(results),
        tables=tables,
        others=[_other(results, name) for name in results.study.plan.also if results.tests],
        boxes=_box_rows(results),
        figures=[
            (name, figures.caption(name), base64.b64encode(svg).decode()) for name, svg in drawn.items()
        ],
        failed=[(arm.key, arm.seed, state.error) for arm, state in results.failed.items()],
        missing=sum(state.status == "open" for state in results.states.values()),
        number=len(results.states),
        sweeps=SWEEPS,
        notes=notes,
        paper_groups=PAPER_GROUPS,
    )
    files: dict[str, str | bytes] = {
        PAGE: page,
        "tables.md": to_markdown(results),
        "arms.csv": csv_files.to_csv(_arms(results)),
        "figures.csv": csv_files.to_csv(results.figures),
        "scores.csv": csv_files.to_csv(results.scores),
        **{f"{name}.svg": svg for name, svg in drawn.items()},
    }
    if not results.boxes.empty:
        files["boxes.csv"] = csv_files.to_csv(results.boxes)
    write_files(root / REPORT, files)
    return root / REPORT / PAGE


def make_table(results: Results, title: str, test: str, keys: Sequence[str]) -> Table | None:
    """Return a table of the arms that were scored, `None` if there is none."""
    if test not in results.tests:
        return None
    groups = results.groups(test)
    there = [key for key in keys if any(results.values(key, "Subjects", ALL, test=test))]
    if not there:
        return None
    rows: dict[str, list[list[Cell]]] = {}
    for measure in _measures(results):
        spreads = [[results.spread(key, measure, group, test=test) for group in groups] for key in there]
        best = _best(spreads) if measure == "Median DSC" else set()
        rows[measure] = [
            [_cell(measure, spread, best=(row, column) in best) for column, spread in enumerate(part)]
            for row, part in enumerate(spreads)
        ]
    for measure in ("SER", GAP):
        rows[measure] = [[_cell(measure, results.spread(key, measure, ALL, test=test))] for key in there]
    rows["p < 0.05, seeds"] = [[Cell(significant(results, key, test))] for key in there]
    return Table(title, [_title(key) for key in there], groups, rows)


def printed_table(title: str, test: str, keys: Sequence[str]) -> Table | None:
    """Return what the paper prints of the same arms, `None` where it prints nothing."""
    printed = {key: PRINTED[test][key] for key in keys if key in PRINTED[test]}
    if not printed or title.startswith("Controls"):
        return None
    rows = {
        measure: [[Cell(text) for text in one.medians[measure]] for one in printed.values()]
        for measure in MEASURES
    }
    rows["SER"] = [[Cell(one.ser)] for one in printed.values()]
    rows[GAP] = [[Cell(one.gap)] for one in printed.values()]
    rows["p (Mann-Whitney U)"] = [[Cell("< 0.05" if one.p == "*" else one.p)] for one in printed.values()]
    return Table(title, [_title(key) for key in printed], PAPER_GROUPS, rows)


def headline(results: Results) -> str:
    """Return the experiment in a sentence or two, never a gap without the Dice beside it."""
    study = results.study

    def tell(key: str) -> str:
        dice = ", ".join(
            f"{group} {results.spread(key, 'Median DSC', group).mean:.3f}"
            for group in (study.reference, study.minority)
        )
        return f"{dice} (gap {_gap(results, key):+.3f})"

    if np.isnan(_gap(results, "full/baseline")):
        return "The baseline has no result yet."
    said = f"Median Dice of the baseline on full images: {tell('full/baseline')}."
    floor = results.spread("full/baseline", "Median DSC", study.reference).mean - 0.01
    keys = [f"{images}/{method}" for images in ("full", "cascade") for method in GRID[images]]
    fair = [
        key
        for key in keys
        if results.spread(key, "Median DSC", study.reference).mean >= floor and key != "full/baseline"
    ]
    if fair:
        best = min(fair, key=lambda key: abs(_gap(results, key)))
        said += (
            f" The smallest gap at no more than 0.01 lost by {study.reference}, of what can be used where "
            f"there is no reference mask: {_title(best)} on {IMAGES[best.split('/')[0]]}, {tell(best)}."
        )
    return said


def to_markdown(results: Results) -> str:
    """Return all tables with a row an arm: mean over seeds (lowest to highest), and the paper's medians."""
    parts = []
    for title, test, keys in TABLES:
        if make_table(results, title, test, keys) is None:
            continue
        groups = results.groups(test)
        rows = []
        for key in keys:
            printed = PRINTED[test].get(key)
            rows.append(
                [
                    _title(key),
                    *(_span(results.spread(key, "Median DSC", group, test=test)) for group in groups),
                    _span(results.spread(key, GAP, ALL, test=test), sign=True),
                    _span(results.spread(key, "SER", ALL, test=test)),
                    significant(results, key, test),
                    "" if printed is None else f"{' / '.join(printed.medians['Median DSC'])} / {printed.gap}",
                ]
            )
        heads = [
            "",
            *map(render.markdown, groups),
            "gap",
            "SER",
            "p < 0.05",
            "the paper: White / Black / gap",
        ]
        parts.append(f"## {title}\n\n{tabulate(rows, heads, tablefmt='github', disable_numparse=True)}\n")
    shown = findings(results)
    if shown:
        parts.append(
            "## The paper's findings here\n\n"
            + tabulate(shown, ["finding", "shows", "figures (means)"], tablefmt="github")
            + "\n"
        )
    return "\n".join(parts)


def _measures(results: Results) -> list[str]:
    summary = next(iter(results.summaries.values()))
    return [str(name) for name in summary.table.index if str(name).startswith(("Median", "IQR"))]


def _title(key: str) -> str:
    images, method = key.split("/")
    return TITLES[method] if images == "full" else f"{TITLES[method]} ({images})"


def _gap(results: Results, key: str) -> float:
    first, second = (
        results.spread(key, "Median DSC", group).mean
        for group in (results.study.reference, results.study.minority)
    )
    return first - second


def _cell(measure: str, spread: Spread, *, best: bool = False) -> Cell:
    ends = [render.cell(measure, value) for value in (spread.mean, spread.low, spread.high)]
    return Cell(ends[0], f"{ends[1]} to {ends[2]}" if spread.number > 1 else "", best)


def _span(spread: Spread, *, sign: bool = False) -> str:
    form = "{:+.3f}" if sign else "{:.3f}"
    if not spread.number:
        return ""
    ends = f" ({form.format(spread.low)} to {form.format(spread.high)})" if spread.number > 1 else ""
    return form.format(spread.mean) + ends


def _best(spreads: Sequence[Sequence[Spread]]) -> set[tuple[int, int]]:
    """Return where the highest mean of each column stands."""
    means = np.array([[spread.mean for spread in part] for part in spreads])
    return {
        (int(np.nanargmax(means[:, column])), column)
        for column in range(means.shape[1])
        if not np.isnan(means[:, column]).all()
    }


def _other(results: Results, attribute: str) -> tuple[str, tuple[str, ...], list[tuple[str, list[Cell]]]]:
    """Return the median Dice by another attribute: its groups, and a row an arm of the grid."""
    rows = results.figures
    rows = rows[(rows["attribute"] == attribute) & (rows["test"] == "internal") & (rows["sweep"] == "")]
    groups = tuple(dict.fromkeys(rows["group"][rows["group"] != ALL]))
    keys = [f"{images}/{method}" for images, methods in GRID.items() for method in methods]
    return (
        attribute,
        groups,
        [
            (
                _title(key),
                [
                    _cell(measure, results.spread(key, measure, group, attribute=attribute))
                    for measure, group in [*(("Median DSC", group) for group in groups), (GAP, ALL)]
                ],
            )
            for key in keys
            if key in set(rows["key"])
        ],
    )


def _box_rows(results: Results) -> list[tuple[str, list[Cell], tuple[str, str]]]:
    rows = []
    for method in SINGLE:
        if (errors := box_errors(results, method)) is not None:
            cells = [
                Cell(f"{one.mean:.2f}", f"{one.low:.2f} to {one.high:.2f}" if one.number > 1 else "")
                for one in errors
            ]
            rows.append((TITLES[method], cells, BOX_ERRORS[method]))
    return rows


def _numbers(results: Results) -> list[tuple[str, int, int, int]]:
    """Return group, and its subjects in training, validation and test."""
    split = results.study.split
    groups = sorted(set(split["group"]) - {""})
    return [
        (
            group,
            *(
                int(((split["group"] == group) & (split["part"] == part)).sum())
                for part in (TRAIN, VALIDATION, TEST)
            ),
        )
        for group in groups
    ]


def _arms(results: Results) -> pd.DataFrame:
    rows = []
    for arm, state in results.states.items():
        training, test = results.study.arms[arm]
        rows.append(
            {
                "key": arm.key,
                "method": arm.title,
                "images": arm.images,
                "seed": arm.seed,
                "status": state.status,
                "error": state.error,
                "training": training,
                "test": test,
            }
        )
    return pd.DataFrame(rows)
