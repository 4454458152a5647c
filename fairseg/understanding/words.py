"""The evidence in words and tables. What is said is chosen here; the words are in `understanding.txt.j2`."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairseg.report.tables import Cell, Table
from fairseg.report.templates import say_from
from fairseg.scoring.voxel_sizes import sizes_given
from fairseg.understanding.advice import (
    Advice,
    beyond_outline,
    clearest,
    crop_margin,
    pixels_differ,
    shown_in,
    tightest_shown,
)
from fairseg.understanding.errors import ERROR
from fairseg.understanding.readable import Reading
from fairseg.understanding.understood import Understood
from fairseg.understanding.views import (
    BOTTLENECK,
    BOX,
    ERRORS,
    HEADER,
    INTENSITY,
    LEAK,
    LEAKING_BOX,
    MASK,
    ORGAN,
    OUTSIDE,
    POSITION,
    SHAPE,
    WHOLE,
)

if TYPE_CHECKING:
    from fairseg.understanding.gather import Gathered

_SCANNED = ("site", "scanner", "centre", "center", "vendor", "manufacturer", "hospital", "institut")
_SEEN = (WHOLE, OUTSIDE)  # of which the sentence names the best


say = partial(say_from, "understanding.txt.j2")


def answer_lines(result: Understood) -> list[str]:
    """Return the answer, its sentences by themselves: where the group is readable, and whether it is used."""
    readings = result.readings
    shown = [row for row in readings.rows if row.shown]
    images = [row for row in shown if row.view in _SEEN]
    inside = [row for row in shown if row.view == ORGAN and beyond_outline(readings, row)]
    leaks = [row for row in shown if row.view == LEAK and beyond_outline(readings, row)]
    of_organ = {row.group for row in shown_in(readings, ORGAN)}
    anatomy = [row for row in shown if row.view in (MASK, SHAPE)]
    others = [view for view in (HEADER, POSITION, INTENSITY, ERRORS, BOTTLENECK) if shown_in(readings, view)]
    lines = [
        say(
            "readable",
            by=result.cohort.attribute,
            counts=result.cohort.counts,
            pairs=pairs_told(result),
            best=max(images or shown, key=lambda row: row.auc, default=None),
            inside=max(inside, key=lambda row: row.auc, default=None),
            organ=readings.best(ORGAN),
            anatomy=max(anatomy, key=lambda row: row.auc, default=None),
            others=others,
            chance=max(row.chance for row in readings.rows),
            margin=crop_margin(readings),
            unit=result.cohort.frame.unit,
            pixels=pixels_differ(readings, result.cohort.frame.unit),
            tightest=max(tightest_shown(readings), key=lambda row: row.auc, default=None),
            leak=any(row.group not in of_organ for row in leaks),
        )
    ]
    if result.confounded is not None:
        one = result.confounded
        explained = [row for row in shown if one.explained(row)]
        left = [row for row in one.within if row.shown]
        alone = max(one.alone, key=lambda row: row.auc)
        lines.append(say("confounded", one=one, alone=alone, explained=explained, left=left))
    lines.append(used_line(result))
    if result.cohort.unseen and result.cohort.dice is not None:
        lines.append(say("of_training", part="imagesTr", cases=result.cohort.unseen))
    if result.intervention is not None:
        lent = [one for one in result.intervention.changes if one.donors]
        lines.append(say("changed", one=clearest(lent) or lent[0], reference=result.cohort.names[0]))
    if sizes := [one for one in result.measures if one.shown and one.measure.endswith(ERROR)]:
        lines.append(say("sizes", told=sizes, size=result.cohort.frame.size))
    if told := [one for one in result.slices if one.shown]:
        lines.append(say("slices", told=told))
    return lines


def margin_note(result: Understood) -> str:
    """Say which margins a crop removes nothing with; "" if none."""
    return say("margins", frame=result.cohort.frame)


def about_images(result: Understood) -> str:
    """Say what the pictures of the groups show, and what of the images they do not."""
    return say(
        "about_images",
        pair=result.pictured,
        several=len(result.cohort.names) > 2,
        channels=result.cohort.raw.channels,
        flat=result.cohort.frame.flat,
    )


def used_line(result: Understood) -> str:
    """Say whether Dice goes with looking like a group; "" where no group is readable."""
    dice = result.cohort.dice
    return say(
        "used",
        associated=result.associations,
        told=[one for one in result.associations if one.shown],
        given=dice is not None,
        known=0 if dice is None else int(np.isfinite(dice).sum()),
        n=len(result.cohort.subjects),
        readable=any(row.shown for row in result.readings.rows),
    )


def answer(result: Understood) -> str:
    """Return the answer as plain text on one line."""
    return " ".join(answer_lines(result))


def readings_table(result: Understood) -> Table:
    """Return how well each view tells the groups apart, a row a view, of the group that is told best."""
    best = tuple(map(result.readings.best, result.readings.views))
    return _reading_table("Can the group be read?", best, result)


def _reading_table(caption: str, rows: "tuple[Reading, ...]", result: Understood) -> Table:
    """Return readings as a table, with the group that is told if there are several."""
    several = len(result.cohort.names) > 2
    lines = [
        (
            f"{row.view}: {row.group}" if several else row.view,
            *_told_cells(row),
        )
        for row in rows
    ]
    note = say("about_readings", model=result.model)
    return Table.of(caption, _TOLD_HEADS, lines, corner="View", note=note)


_TOLD_HEADS = ("AUC", "Could be shown from", "p (all views)", "Readable")


def _told_cells(row: Reading) -> tuple[Cell, Cell, Cell, str]:
    """Return the cells of a reading, under `_TOLD_HEADS`."""
    return (
        Cell(row.auc, row.low, row.high, kind="hundredth"),
        Cell(row.chance, kind="hundredth"),
        Cell(row.p_adjusted, kind="p"),
        "shown" if row.shown else "not shown",
    )


def pairs_told(result: Understood) -> dict[str, list[str]]:
    """Return which groups some view is shown to tell from "each" of the others, and which pairs besides.

    Of three groups or more: names of groups in "each"; in "told" and "untold" pairs such as "A from B", those
    with a group of "each" not among the told.
    """
    names = result.cohort.names
    pairs = {(row.group, row.against): False for row in result.readings.pairs}
    for row in result.readings.pairs:
        pairs[row.group, row.against] |= row.shown
    each = [name for name in names if pairs and all(shown for pair, shown in pairs.items() if name in pair)]
    said = {pair: f"{pair[0]} from {pair[1]}" for pair in pairs}
    told = [said[pair] for pair, shown in pairs.items() if shown and not set(pair) & set(each)]
    return {"each": each, "told": told, "untold": [said[pair] for pair, shown in pairs.items() if not shown]}


def pair_table(result: Understood) -> Table | None:
    """Return by which view two groups are told apart best, a row a pair; None where there are but two."""
    best: dict[tuple[str, str], Reading] = {}
    for row in sorted(result.readings.pairs, key=lambda row: (row.p_adjusted, -row.auc)):
        best.setdefault((row.group, row.against), row)
    if not best:
        return None
    lines = [
        (f"{row.group} from {row.against}", row.view, *_told_cells(row))
        for row in (best[row.group, row.against] for row in result.readings.pairs[: len(best)])
    ]
    heads = ("Best view", *_TOLD_HEADS[:2], "p (all views and pairs)", _TOLD_HEADS[3])
    caption = "Which groups are told from each other?"
    return Table.of(caption, heads, lines, corner="Groups", note=say("about_pairs"))


def confounder_tables(result: Understood) -> list[Table]:
    """Return what confounders tell alone, and what views tell beyond them."""
    one = result.confounded
    if one is None:
        return []
    tables = [_reading_table("Confounders alone", one.alone, result)]
    if one.within:
        caption = f"Among subjects alike in {' and '.join(one.names)}"
        tables.append(_reading_table(caption, one.within, result))
    return tables


def association_table(result: Understood) -> Table | None:
    """Return whether looking like a group goes with Dice, and the gap before and after."""
    if not result.associations:
        return None
    rows = [
        (
            f"{one.view}: {one.group}",
            Cell(one.correlation, one.low, one.high, kind="hundredth"),
            Cell(one.p_adjusted, kind="p"),
            Cell(*one.gap),
            "cannot be told" if one.apart else Cell(*one.adjusted),
        )
        for one in result.associations
    ]
    heads = ("Correlation with Dice", "p (all rows)", "Gap", "Gap, score held fixed")
    return Table.of("Does it go with Dice?", heads, rows, corner="View", note=say("about_associations"))


def change_table(result: Understood) -> Table | None:
    """Return what becomes of Dice if the outside changes."""
    if result.intervention is None:
        return None
    rows = [
        (
            f"{one.intervention}: {one.group}{', by ' if one.donors else ''}{one.donors}",
            Cell(one.now),
            Cell(one.gap) if one.donors else "",
            Cell(*one.change),
            Cell(one.p_adjusted, kind="p") if one.donors else "",
        )
        for one in result.intervention.changes
    ]
    heads = ("Dice as it is", "Gap to them", "Change of Dice", "p (Holm)")
    return Table.of("If the outside changes", heads, rows, corner="Change", note=say("about_changes"))


def slice_table(result: Understood) -> Table | None:
    """Return the subgroups that nobody named, as the half that did not search saw them."""
    if not result.slices:
        return None
    rows = [
        (
            " and ".join(one.conditions),
            Cell(one.n, kind="count"),
            Cell(one.dice),
            Cell(one.rest),
            Cell(*one.difference),
            Cell(one.p_adjusted, kind="p"),
        )
        for one in result.slices
    ]
    heads = ("n", "Dice", "Dice of the others", "Difference", "p (Holm)")
    return Table.of("Slices that nobody named", heads, rows, corner="Subjects with", note=say("about_slices"))


def measure_table(result: Understood) -> Table | None:
    """Return how volumes, volume errors and outlines differ."""
    if not result.measures:
        return None
    rows = [
        (
            f"{one.structure}: {one.measure}",
            f"{one.second} - {one.first}",
            *(Cell(value, kind="tenth") for value in reversed(one.values)),
            Cell(*one.difference, kind="tenth"),
            Cell(one.p_adjusted, kind="p"),
        )
        for one in result.measures
    ]
    heads = ("Groups", "Median of the first", "Median of the second", "Difference", "p (all rows)")
    return Table.of("What the masks measure", heads, rows, corner="Measure", note=say("about_measures"))


def advice_table(result: Understood) -> Table:
    """Return what the findings suggest, with the command to run."""
    rows = [(*advice_words(one, result), one.strength) for one in result.advice]
    heads = ("What it suggests", "Command", "Evidence")
    return Table.of("What to do", heads, rows, corner="Found", note=say("about_advice"))


def advice_words(one: Advice, result: Understood) -> tuple[str, str, str]:
    """Return what was found, what it suggests, and the command, if there is one."""
    cohort = result.cohort
    options = [part for name in cohort.attributes for part in ("--by", name)]
    for name, edges in cohort.bins.items():
        options += ["--bins", f"{name}={','.join(f'{edge:g}' for edge in edges)}"]
    if cohort.spacing is not None:
        options += ["--spacing", ",".join(map(str, sizes_given(cohort.spacing)))]
    read = cohort.options.words
    groups = ["--groups", cohort.groups_file or "GROUPS.csv", *read]
    named_otherwise = bool(read) or cohort.groups_file != str(Path(cohort.data) / "groups.csv")
    pixels = int(one.facts.get("margin", 0.0) // max(cohort.frame.pixel))
    asked = {
        "data": shlex.join([cohort.data, *options, *(groups if named_otherwise else [])]),
        "masks": shlex.join(
            [cohort.predictions or "PREDICTIONS", str(cohort.raw.mask_folder), *groups, *options]
        ),
        "images": shlex.quote(str(next(iter(cohort.cases)).images[0].parent)),
        "unit": cohort.frame.unit,
        "pixels": pixels,
        "scanned": shlex.quote(",".join(_scanned(cohort))),
        "adjust": shlex.join([part for name in one.facts.get("names", ()) for part in ("--adjust", name)]),
        "crop": any(other.kind == "crop" for other in result.advice),
    }
    text = say("advice", kind=one.kind, **asked, **{"facts": one.facts})
    found, suggests, command = (part.strip() for part in text.split("|", 2))
    return found, suggests, command


def _scanned(cohort: "Gathered") -> list[str]:
    """Return the columns of the table that say where, or by what, people were scanned."""
    return [
        str(name)
        for name in cohort.table
        if str(name) not in cohort.attributes and any(word in str(name).casefold() for word in _SCANNED)
    ]


def view_rank(view: str) -> int:
    """Return where a view stands on the page: images first, then crops, masks, numbers, the model."""
    kinds = (
        *(WHOLE, OUTSIDE, "ring", BOX, ORGAN, LEAKING_BOX, LEAK),
        *(MASK, SHAPE, INTENSITY, HEADER, POSITION, ERRORS, BOTTLENECK),
    )
    return next((place for place, kind in enumerate(kinds) if view.startswith(kind)), len(kinds))
