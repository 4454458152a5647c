"""The report of an experiment: one page with tables in the paper's form beside the paper's own, and CSV."""

import base64
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fairseg.cohort.pseudonyms import Pseudonyms
from fairseg.experiment import figures
from fairseg.experiment.arms import BEYOND, CHOICES, GRID, IMAGES, SINGLE, key_of
from fairseg.experiment.findings import findings
from fairseg.experiment.paper import BOX_ERRORS, PRINTED
from fairseg.experiment.paper import GROUPS as PAPER_GROUPS
from fairseg.experiment.results import LEARNED, Results, SeedSpread, box_errors, fallbacks, significant
from fairseg.experiment.split import TEST, TRAIN, VALIDATION
from fairseg.experiment.tables import (
    Judged,
    cell_of,
    gap_rows,
    head_of,
    judged_tables,
    make_table,
    printed_table,
    title_of,
)
from fairseg.experiment.verdicts import grave, in_words
from fairseg.io import csv_files
from fairseg.io.files import write_files
from fairseg.io.sentences import counted, listed
from fairseg.report.escape import markdown
from fairseg.report.tables import Cell, Table
from fairseg.report.tables import to_markdown as tables_to_markdown
from fairseg.report.templates import render_page as render_template
from fairseg.scoring.summary import ALL, GAP
from fairseg.statistics.verdicts import Verdict

REPORT = "report"
PAGE, TABLES_FILE = "experiment.html", "tables.md"
_DRAWN = ("fig2-*.svg", "s[123].svg", "s2-*.svg", "boxes.csv")  # what not every report has


def write_experiment(
    root: Path, results: Results, notes: Sequence[str], pseudonyms: Pseudonyms | None = None
) -> Path:
    """Write the report of an experiment into its folder, and return the page.

    Args:
        root: folder of the experiment.
        results: as from `collect`.
        notes: what a reader must know, one line each.
        pseudonyms: codes in the place of names, or None.
    """
    if pseudonyms is not None:
        results = results.hidden(pseudonyms)
    svgs = figures.draw(results)
    judged = judged_tables(results)
    of_paper = beside_paper(results)
    tables = [(make_table(results, one), printed_table(*one) if of_paper else None) for one in judged]
    page = render_template(
        "experiment.html.j2",
        study=results.study,
        by=results.study.plan.by,
        subjects=_subjects(results),
        steps=results.study.plan.recipe.epochs * results.study.plan.recipe.steps,
        ce_factor=results.study.plan.ce_factor,
        headline=headline(results, judged),
        findings=_findings(results),
        tables=tables,
        others=[
            _other(results, name, test)
            for name in results.study.plan.attributes
            for test in results.tests
            if name != results.study.plan.by and (test, name) in results.study.tested
        ],
        boxes=_boxes(results),
        figures=[(name, figures.caption(name), base64.b64encode(svg).decode()) for name, svg in svgs.items()],
        failed=[(arm.key, arm.seed, state.error) for arm, state in results.failed.items()],
        missing=sum(state.status == "open" for state in results.states.values()),
        number=len(results.states),
        notes=[*notes, *_collapsed(results)],
        paper_groups=PAPER_GROUPS,
    )
    files: dict[str, str | bytes] = {
        PAGE: page,
        TABLES_FILE: to_markdown(results, judged),
        "arms.csv": csv_files.to_csv(_arms(results)),
        "figures.csv": csv_files.to_csv(results.figures),
        "scores.csv": csv_files.to_csv(results.scores),
        **{f"{name}.svg": svg for name, svg in svgs.items()},
    }
    if not results.boxes.empty:
        files["boxes.csv"] = csv_files.to_csv(results.boxes)
    # An earlier call for more arms may have left more figures.
    drawn_before = sorted(file.name for pattern in _DRAWN for file in (root / REPORT).glob(pattern))
    write_files(root / REPORT, files, "experiment", stale=drawn_before)
    return root / REPORT / PAGE


def beside_paper(results: Results) -> bool:
    """Say whether the groups are those of the paper, whose figures then stand beside the experiment's."""
    return {results.study.reference, results.study.minority} == set(PAPER_GROUPS)


def headline(results: Results, tables: Sequence[Judged]) -> str:
    """Return the experiment in a sentence or two, never a gap without the Dice beside it.

    Args:
        results: of the experiment.
        tables: from `judged_tables`; those whose control is the baseline on full images tell what is fairer.
    """
    study = results.study

    def tell(key: str) -> str:
        dice = ", ".join(
            f"{group} {results.spread(key, 'Median DSC', group).mean:.3f}"
            for group in (study.reference, study.minority)
        )
        seeds = len(results.not_learned(key))
        low = f", with a structure not learned in {counted(seeds, 'seed')}" if seeds else ""
        return f"{dice} (gap {results.gap(key).mean:+.3f}{low})"

    if not results.gap("full/baseline").number:
        return f"There is no Dice of {study.reference} and {study.minority} by the baseline on full images."
    text = f"Median Dice of the baseline on full images: {tell('full/baseline')}."
    if not results.learned("full/baseline"):
        return f"{text} It has not learned in this time, so no gap is compared with its."
    arms = {arm.key: arm for arm in results.states if not arm.sweep and arm.images != "crop"}
    compared = [one for one in tables if (one.control, one.test) == ("full/baseline", "internal")]
    verdicts = {
        key: of_seeds
        for one in compared
        for key, of_seeds in one.verdicts.items()
        if of_seeds and key in arms
    }

    def named(key: str) -> str:
        return f"{CHOICES[arms[key].method].title} on {IMAGES[arms[key].images]}"

    # Crops by the reference cannot be had where a network is used. A seed that failed is not fairer.
    seeds_of = {key: sum(arm.key == key for arm in results.states) for key in verdicts}
    fairer = [
        key
        for key, of_seeds in verdicts.items()
        if set(of_seeds.values()) == {Verdict.FAIRER} and len(of_seeds) == seeds_of[key]
    ]
    if fairer:
        text += f" Fairer in every seed: {'; '.join(f'{named(key)}, {tell(key)}' for key in fairer)}."
    elif verdicts:
        text += " None of the others is fairer in every seed."
        if any(arm.images == "crop" for arm in results.states):
            text += " Crops by the reference masks are not among them: a network in use has no reference."
    if worse := [key for key, of_seeds in verdicts.items() if grave(of_seeds)]:
        meaning = "the model fails, a group is worse off, less fair, over-corrected or levelling down"
        text += f" Worse in some seed ({meaning}): {listed(map(named, worse), 20)}."
    return text


def to_markdown(results: Results, tables: Sequence[Judged]) -> str:
    """Return all tables with a row an arm: mean over seeds (lowest to highest), and the paper's medians.

    Args:
        results: of the experiment.
        tables: from `judged_tables`.
    """
    markdown_tables = [_rows_of_arms(results, one) for one in tables]
    markdown_tables += [] if (paper_findings := _findings(results)) is None else [paper_findings]
    parts = [tables_to_markdown(markdown_tables)] if markdown_tables else []
    if failed := results.failed:
        lines = [f"- {arm.key}, seed {arm.seed}: {markdown(state.error)}" for arm, state in failed.items()]
        parts.append("## Failed, and in no table\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _rows_of_arms(results: Results, judged: Judged) -> Table:
    title, test, verdicts = judged
    of_paper, groups, gaps = beside_paper(results), results.groups(test), gap_rows(results, test)
    rows = []
    for key in verdicts:
        rows.append(
            [
                head_of(results, key, test),
                *(_span(results.spread(key, "Median DSC", group, test=test)) for group in groups),
                *(_span(spread_of(key), sign=name.startswith(GAP)) for name, spread_of in gaps.items()),
                _span(results.spread(key, "SER", ALL, test=test)),
                significant(results, key, test),
                in_words(verdicts[key]),
            ]
        )
        if of_paper:
            printed = PRINTED[test].get(key)
            medians = () if printed is None else (*printed.medians["Median DSC"], printed.gap)
            rows[-1].append(" / ".join(medians))
    pair = f" ({results.study.reference}, {results.study.minority})" if len(gaps) > 1 else ""
    heads = [
        *groups,
        *(name.replace(GAP, "gap") for name in gaps),
        *("SER", f"p < 0.05{pair}", f"verdict beside {title_of(next(iter(verdicts)))}"),
        *([f"the paper: {' / '.join(PAPER_GROUPS)} / gap"] if of_paper else []),
    ]
    return Table.of(title, heads, rows)


def _span(spread: SeedSpread, *, sign: bool = False) -> str:
    form = "{:+.3f}" if sign else "{:.3f}"
    if not spread.number:
        return ""
    ends = f" ({form.format(spread.low)} to {form.format(spread.high)})" if spread.number > 1 else ""
    return form.format(spread.mean) + ends


def _findings(results: Results) -> Table | None:
    """Return the paper's findings, each with whether it shows; None where there is nothing to tell by."""
    rows = findings(results)
    heads = ("Shows", "Means over seeds")
    return Table.of("The paper's findings here", heads, rows, corner="Finding") if rows else None


def _other(results: Results, attribute: str, test: str) -> Table:
    """Return the median Dice by another attribute: its groups, and a row an arm of the grid."""
    groups = results.study.tested[test, attribute].names
    measures = [*(("Median DSC", group) for group in groups), (GAP, ALL)]
    rows = []
    grid = [f"{images}/{method}" for images, methods in GRID.items() for method in methods]
    for key in (*grid, *map(key_of, BEYOND)):
        spreads = [
            results.spread(key, measure, group, test=test, attribute=attribute) for measure, group in measures
        ]
        if any(one.number for one in spreads):
            cells = [cell_of(measure, one) for (measure, _), one in zip(measures, spreads, strict=True)]
            rows.append((title_of(key), *cells))
    caption = f"The same arms by {attribute}: median Dice, {test} test"
    return Table.of(caption, (*groups, "Best minus worst"), rows, corner="Arm", tall=True)


def _boxes(results: Results) -> Table | None:
    """Return a row a method: the errors along x and y, the cases without a find, and the paper's errors."""
    rows: list[tuple[object, ...]] = []
    of_paper = beside_paper(results)
    for method in SINGLE:
        if (errors := box_errors(results, method)) is not None:
            cells = [
                Cell(f"{one.mean:.2f}", below=f"{one.low:.2f} to {one.high:.2f}" if one.number > 1 else "")
                for one in errors
            ]
            empty, number = fallbacks(results, method)
            printed = BOX_ERRORS[method] if of_paper else ()
            rows.append((CHOICES[method].title, *cells, f"{empty} of {number}", *printed))
    heads = ["Error x (%)", "Error y (%)", "Nothing found, cases of all seeds"]
    heads += ["The paper, x", "The paper, y"] if of_paper else []
    caption = "Table S4. Size of the cascaded crops against those by the reference"
    return Table.of(caption, heads, rows, corner="First network") if rows else None


def _collapsed(results: Results) -> list[str]:
    """Return a note that names the arms that have not learned, whose gaps mean nothing."""
    keys = dict.fromkeys(arm.key for arm in results.states)
    reference = results.study.reference
    low = [key for key in keys if not results.learned(key)]
    meaning = f"median Dice of {reference} below {LEARNED:g}"
    notes = [f"Not learned in this time ({meaning}), so they say nothing of fairness: {', '.join(low)}."]
    parts = [
        f"{key}, seed {seed}: {listed(structures)}"
        for key in keys
        if key not in low
        for seed, structures in results.not_learned(key).items()
    ]
    structures_note = (
        f"Structures not learned ({meaning}), which leave a gap that means nothing: {'; '.join(parts)}."
    )
    return [*(notes if low else []), *([structures_note] if parts else [])]


def _subjects(results: Results) -> Table:
    """Return each group's subjects in training, validation, test, and the external test if there is one."""
    split = results.study.split
    external = next((one for (_, test), one in results.summaries.items() if test == "external"), None)
    counts = {} if external is None else dict(zip(external.groups.names, external.counts, strict=True))
    heads = [TRAIN, VALIDATION, TEST, *([] if external is None else ["external test"])]
    rows = []
    for group in sorted({*split["group"], *counts} - {""}):
        parts = [fold["part"][fold["group"] == group] for fold in results.study.folds]
        numbers = [int((parts[0] == part).sum()) for part in (TRAIN, VALIDATION)]
        numbers.append(sum(int((part == TEST).sum()) for part in parts))
        rows.append((group, *numbers, *([] if external is None else [int(counts.get(group, 0))])))
    return Table.of("Subjects", heads, rows, corner="Subjects")


def _arms(results: Results) -> pd.DataFrame:
    rows = [
        {
            "key": arm.key,
            "method": CHOICES[arm.method].title,
            "images": arm.images,
            "seed": arm.seed,
            "status": state.status,
            "error": state.error,
            "training": " ".join(results.study.arms[arm].trainings),
            "test": " ".join(results.study.arms[arm].tests),
        }
        for arm, state in results.states.items()
    ]
    return pd.DataFrame(rows)
