"""The evidence in words and tables. What is said is chosen here; the words are in `understanding.txt.j2`."""

import shlex
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fairseg.report.tables import Cell, Table
from fairseg.report.templates import say_from
from fairseg.understanding.advice import Advice, clearest, goes_with_dice, pixels_differ, rough_outlines
from fairseg.understanding.commands import commands_of, held_out, images_of
from fairseg.understanding.confounded import ALL
from fairseg.understanding.errors import ERROR, MeasureDifference
from fairseg.understanding.evidence import Understood
from fairseg.understanding.kinds import ANATOMY, REFERENCES, Kind, best_of, kind_of, of_the_image, shown_in
from fairseg.understanding.location import (
    LEFT_IN_CROPS,
    MATTERS,
    beyond_size,
    choose_crop,
    place_is_known,
    tightest_shown,
    told_inside,
    told_outside,
)
from fairseg.understanding.readability import Reading
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
    OUTLINE,
    OUTSIDE,
    POSITION,
    SCALED,
    SHAPE,
    WHOLE,
    WITHIN,
)

if TYPE_CHECKING:
    from fairseg.understanding.inputs import Gathered

_SCANNED = ("site", "scanner", "centre", "center", "vendor", "manufacturer", "hospital", "institut")
_ALIKE = 1e-6
_NAMED_FIRST = (WHOLE, OUTSIDE)  # of which the sentence names the best


say = partial(say_from, "understanding.txt.j2")


def question_lines(result: Understood) -> list[tuple[Kind, str]]:
    """Return whether the image tells the group; then of references and model, where they are shown to."""
    by = result.cohort.attribute
    lines: list[tuple[Kind, str]] = [("image", image_line(result))]
    anatomy = shown_in(result.readings, *ANATOMY)
    if row := best_of(anatomy or shown_in(result.readings, OUTLINE)):
        outlines, frame = _by_outline(rough_outlines(result.measures)), result.cohort.frame
        facts = {"row": row, "anatomy": bool(anatomy), "outlines": outlines, "size": frame.size}
        pixels = pixels_differ(result.readings, frame.unit)
        lines.append(("references", say("references", by=by, pixels=pixels, **facts)))
    errors, features = (best_of(shown_in(result.readings, view)) for view in (ERRORS, BOTTLENECK))
    if errors or features:
        differing = next((one for one in result.atlas if one.shown), None)
        lines.append(("model", say("model", by=by, place=differing, errors=errors, features=features)))
    return lines


def _by_outline(outlines: Sequence[MeasureDifference]) -> list[tuple[str, str, str, list[str]]]:
    """Return "rougher" or "smoother", the two groups, and the structures whose outlines are so."""
    structures_of: dict[tuple[str, str, str], list[str]] = {}
    for one in outlines:
        word = "rougher" if one.difference[0] > 0 else "smoother"
        structures_of.setdefault((word, one.first, one.second), []).append(one.structure)
    return [(*alike, structures) for alike, structures in structures_of.items()]


def image_line(result: Understood) -> str:
    """Return whether, and where, the group can be read from the image."""
    readings = result.readings
    image = of_the_image(readings)
    inside, outside = told_inside(readings), best_of(told_outside(readings))
    of_organ = {row.group for row in shown_in(readings, ORGAN)}
    best = best_of([row for row in image if row.view in _NAMED_FIRST] or image)
    named = {row.view for row in image if best is not None and row.view != best.view}
    organ_only = best_of([row for row in inside if row.view == ORGAN])
    named -= set() if organ_only else {row.view for row in inside}  # which are named by themselves
    return say(
        "readable",
        by=result.cohort.attribute,
        counts=result.cohort.counts,
        pairs=pairs_told(result),
        best=best,
        inside=organ_only,
        within=best_of(inside),
        scaled=bool(shown_in(readings, *LEFT_IN_CROPS)),
        outside=outside,
        moved=outside is not None and not beyond_size(readings, outside),
        known=place_is_known(readings),
        organ=readings.best(ORGAN),
        references=bool(shown_in(readings, *REFERENCES)),
        others=[view for view in (HEADER, POSITION, INTENSITY, WITHIN, SCALED) if view in named],
        chance=max(row.chance for row in readings.rows),
        crop=choose_crop(readings, result.cohort.frame.removed),
        matters=MATTERS,
        unit=result.cohort.frame.unit,
        tightest=best_of(tightest_shown(readings)),
        leak=any(row.view == LEAK and row.group not in of_organ for row in image),
    )


def further_lines(result: Understood) -> list[str]:
    """Return the lines of the answer on confounders and on a model."""
    readings = result.readings
    shown = [row for row in readings.rows if row.shown]
    lines = []
    if result.confounded is not None:
        one = result.confounded
        explained = [row for row in shown if one.explained(row)]
        beyond = [row for row in one.within if row.shown]
        alone = max(one.alone, key=lambda row: row.auc)
        telling = one.names if alone.view == ALL or not alone.shown else (alone.view,)
        facts = {"telling": telling, "explained": explained, "left": beyond}
        lines.append(say("confounded", one=one, alone=alone, **facts))
    lines += [say("dice_gaps", gaps=result.gaps), used_line(result)]
    if result.cohort.unseen and result.cohort.dice is not None:
        lines.append(say("of_training", part="imagesTr", cases=result.cohort.unseen))
    if result.intervention is not None:
        lent = [one for one in result.intervention.changes if one.donors]
        lines.append(say("changed", one=clearest(lent) or lent[0], reference=result.cohort.names[0]))
    shown_errors = [one for one in result.measures if one.shown and one.measure.endswith(ERROR)]
    if sizes := sorted(shown_errors, key=lambda one: (one.p_adjusted, -abs(one.difference[0]))):
        lines.append(say("sizes", told=sizes, size=result.cohort.frame.size))
    if slices := [one for one in result.slices if one.shown]:
        lines.append(say("slices", told=slices))
    return [line for line in lines if line]


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
    dice, ids = result.cohort.dice, result.cohort.ids
    known = np.zeros(ids.size, dtype=bool) if dice is None else np.isfinite(dice)
    return say(
        "used",
        associated=result.associations,
        one=goes_with_dice(result.associations, result.predictions),
        given=dice is not None,
        known=[(int(known[ids == group].sum()), n, name)
               for group, (name, n) in enumerate(result.cohort.counts)],
        readable=any(row.shown for row in result.readings.rows if row.view != ERRORS),
    )  # fmt: skip


def answer(result: Understood) -> str:
    """Return the answer as plain text on one line."""
    return " ".join([*(line for _, line in question_lines(result)), *further_lines(result)])


def readings_table(result: Understood) -> Table:
    """Return the AUC of each view, a row a view, for the group that it tells best."""
    best = tuple(map(result.readings.best, result.readings.views))
    return _reading_table("Can the group be read?", best, result)


def _reading_table(
    caption: str, rows: "tuple[Reading, ...]", result: Understood, *, compared: bool = False
) -> Table:
    """Return readings as a table, with the group that is told if there are several.

    With `compared`, it says how many subjects are: those of the group, and the others.
    """
    several = len(result.cohort.names) > 2
    lines = [
        (
            f"{row.view}: {row.group}" if several else row.view,
            *([f"{row.n} {row.group}, {row.n_others} others"] if compared else []),
            *_reading_cells(row),
        )
        for row in rows
    ]
    heads = (*(["Subjects"] if compared else []), *_READING_HEADS)
    return Table.of(caption, heads, lines, corner="View", note=say("about_readings", model=result.model))


_READING_HEADS = ("AUC", "Could be shown from", "p (all views)", "Tells the group")


def _reading_cells(row: Reading) -> tuple[Cell, Cell, Cell, str]:
    """Return the cells of a reading, under `_READING_HEADS`."""
    # A view that is the same for everybody has no chance to tell from its AUC.
    compared = (row.chance, row.auc) if abs(row.chance - row.auc) > _ALIKE else ()
    return (
        Cell(row.auc, row.low, row.high, kind="hundredth", apart=(*compared[:1], MATTERS)),
        Cell(row.chance, kind="hundredth", apart=compared[1:]),
        Cell(row.p_adjusted, kind="p"),
        "shown" if row.shown else "not shown",
    )


def pairs_told(result: Understood) -> dict[str, list[str]]:
    """Return the groups that views of the image are shown to tell from "each" of the others, and the pairs.

    Of three groups or more: names of groups in "each"; in "told" and "untold" pairs such as "A from B", those
    with a group of "each" not among the told.
    """
    names = result.cohort.names
    pairs = {(row.group, row.against): False for row in result.readings.pairs}
    for row in result.readings.pairs:
        pairs[row.group, row.against] |= row.shown and kind_of(row.view) == "image"
    each = [name for name in names if pairs and all(shown for pair, shown in pairs.items() if name in pair)]
    texts = {pair: f"{pair[0]} from {pair[1]}" for pair in pairs}
    told = [texts[pair] for pair, shown in pairs.items() if shown and not set(pair) & set(each)]
    return {"each": each, "told": told, "untold": [texts[pair] for pair, shown in pairs.items() if not shown]}


def pair_table(result: Understood) -> Table | None:
    """Return the view that tells two groups apart best, a row a pair; None of only two groups."""
    best: dict[tuple[str, str], Reading] = {}
    for row in sorted(result.readings.pairs, key=lambda row: (row.p_adjusted, -row.auc)):
        best.setdefault((row.group, row.against), row)
    if not best:
        return None
    lines = [
        (f"{row.group} from {row.against}", row.view, *_reading_cells(row))
        for row in (best[row.group, row.against] for row in result.readings.pairs[: len(best)])
    ]
    heads = ("Best view", *_READING_HEADS[:2], "p (all views and pairs)", _READING_HEADS[3])
    caption = "Which groups are told from each other?"
    return Table.of(caption, heads, lines, corner="Groups", note=say("about_pairs"))


def confounder_tables(result: Understood) -> list[Table]:
    """Return the AUC of confounders alone, and of views beyond them."""
    one = result.confounded
    if one is None:
        return []
    tables = [_reading_table("Confounders alone", one.alone, result, compared=True)]
    if one.within:
        caption = f"Among subjects alike in {' and '.join(one.names)}"
        tables.append(_reading_table(caption, one.within, result, compared=True))
    return tables


def association_tables(result: Understood) -> list[Table]:
    """Return whether looking like a group goes with Dice, with the gap, and what predicts Dice."""
    if not result.associations:
        return []
    scores = [
        (
            f"{one.view}: {one.group}",
            Cell(one.correlation, one.low, one.high, kind="hundredth"),
            Cell(one.p_adjusted, kind="p"),
            Cell(one.at_size.p_adjusted, kind="p"),
            Cell(*one.gap),
            "cannot be told" if one.apart else Cell(*one.adjusted),
        )
        for one in result.associations
    ]
    predictions = [
        (
            one.view,
            Cell(one.correlation, kind="hundredth"),
            Cell(one.p_adjusted, kind="p"),
            Cell(one.at_size.p_adjusted, kind="p"),
        )
        for one in result.predictions
    ]
    tested = "Correlation with Dice", "p (both tables)", "p, size held fixed"
    gaps = "Gap", "Gap, score held fixed"
    associated, predicts = say("about_associations"), say("about_predictions")
    captions = "Does looking like the group go with Dice?", "Does the view predict Dice?"
    return [
        Table.of(captions[0], (*tested, *gaps), scores, corner="View", note=associated),
        Table.of(captions[1], tested, predictions, corner="View", note=predicts),
    ]


def change_table(result: Understood) -> Table | None:
    """Return the changes of Dice if the outside changes."""
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
    """Return the differences of volumes, volume errors and outlines."""
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
    """Return the advice, with the command to run."""
    rows = [(*advice_words(one, result), one.strength) for one in result.advice]
    heads = ("What it suggests", "Command", "Evidence")
    return Table.of("What to do", heads, rows, corner="Found", note=say("about_advice"))


def advice_words(one: Advice, result: Understood) -> tuple[str, str, str]:
    """Return the finding, the suggestion, and the command, if there is one."""
    cohort = result.cohort
    confounders = cohort.call.confounders
    scanned = [name for name in _scanned(cohort) if name not in confounders]
    crop = one.facts.get("crop")
    margin = one.facts.get("margin", 0.0) if crop is None else crop.margin
    pixels = int(margin // max(cohort.frame.pixel))
    facts = {
        **commands_of(cohort),
        "images": images_of(cohort),
        "unit": cohort.frame.unit,
        "pixels": pixels,
        "scanned": shlex.quote(",".join([*confounders, *scanned])) if scanned else "",
        "of_scan": bool(_scanned(cohort)),
        "held": shlex.quote(",".join(confounders)) if confounders else "",
        "adjust": shlex.join([part for name in one.facts.get("names", ()) for part in ("--adjust", name)]),
        "matters": MATTERS,
        "held_out": held_out(cohort),
        "least": cohort.call.min_size,
        "model": result.model,
        "counts": cohort.counts,
    }
    text = say("advice", kind=one.kind, **facts, **{"facts": one.facts})
    finding, suggests, command = (part.strip() for part in text.split("|", 2))
    if "fairseg predict" in command and not cohort.call.test:
        suggests = f"{suggests}; {say('masks_of_training')}"
    return finding, suggests, command


def _scanned(cohort: "Gathered") -> list[str]:
    """Return the columns of the table that say where, or by what, people were scanned."""
    return [
        str(name)
        for name in cohort.table
        if str(name) not in cohort.attributes and any(word in str(name).casefold() for word in _SCANNED)
    ]


def view_rank(view: str) -> int:
    """Return the rank of a view on the page: images first, then crops, masks, numbers, the model."""
    kinds = (
        *(WHOLE, OUTSIDE, "ring", BOX, ORGAN, LEAKING_BOX, LEAK),
        *(MASK, SHAPE, OUTLINE, SCALED, WITHIN, INTENSITY, HEADER, POSITION, ERRORS, BOTTLENECK),
    )
    return next((rank for rank, kind in enumerate(kinds) if view.startswith(kind)), len(kinds))
