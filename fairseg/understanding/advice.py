"""What the findings suggest, as findings themselves: the words stand in the template."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseg.understanding.changes import Change
from fairseg.understanding.confounded import Confounded
from fairseg.understanding.errors import Atlas, MeasureDifference
from fairseg.understanding.readable import Reading, Readings
from fairseg.understanding.used import Association
from fairseg.understanding.views import (
    AROUND,
    BOX,
    HEADER,
    LEAK,
    LEAKING_BOX,
    MASK,
    ORGAN,
    OUTSIDE,
    POSITION,
    SHAPE,
    WHOLE,
)

OF_ORGAN = (ORGAN, MASK, SHAPE)  # views that no change outside the organ changes


@dataclass(frozen=True)
class Advice:
    """A finding that something can be done about.

    Attributes:
        kind: "crop", "no crop", "standardise", "inside", "anatomy", "pixels", "header", "position",
            "confounded", "goes by", "stays", "used", "not used", "references", "errors" or "nothing".
        strength: "shown", "not shown" where only a lack of evidence stands behind it, or which part is which.
        facts: for its sentences.
    """

    kind: str
    strength: str
    facts: dict[str, Any] = field(default_factory=dict)


def margin_curve(readings: Readings) -> list[tuple[float, Reading]]:
    """Return the margins, mm, with the reading of the group that is told best."""
    views = [view for view in readings.views if view.startswith(BOX)]
    return sorted((float(view.removeprefix(BOX).split()[0]), readings.best(view)) for view in views)


def crop_margin(readings: Readings) -> float | None:
    """Return the widest margin up to which no group is shown to be readable, mm; None if there is none."""
    widest = None
    for margin, row in margin_curve(readings):
        if shown_in(readings, row.view):
            return widest
        widest = margin
    return widest


def shown_in(readings: Readings, view: str) -> list[Reading]:
    """Return the groups that are shown to be readable in a view."""
    return [row for row in readings.rows if row.view == view and row.shown]


def beyond_outline(readings: Readings, row: Reading) -> bool:
    """Return whether a view tells a group better than the organ's outline, which it may show, does.

    Where the outline is not shown to tell it, any view does.
    """
    outlines = [one for view in (MASK, SHAPE) for one in shown_in(readings, view) if one.group == row.group]
    return all(row.low > one.auc for one in outlines)


def tightest_shown(readings: Readings) -> list[Reading]:
    """Return the groups that are shown to be readable in the tightest crop that was tried."""
    curve = margin_curve(readings)
    return shown_in(readings, curve[0][1].view) if curve else []


def pixels_differ(readings: Readings, unit: str) -> bool:
    """Return whether organs may differ in pixels since images do, in pixels of unknown size."""
    return unit == "px" and bool(shown_in(readings, HEADER))


def advise(
    readings: Readings,
    confounded: Confounded | None,
    associated: Sequence[Association],
    atlas: Sequence[Atlas],
    measures: Sequence[MeasureDifference],
    changes: Sequence[Change] = (),
    *,
    unit: str = "mm",
) -> tuple[Advice, ...]:
    """Return what the findings suggest; `unit` is that of lengths, "mm" or "px"."""
    found: list[Advice] = []
    shown = [row for row in readings.rows if row.shown]
    explained = [row for row in shown if confounded is not None and confounded.explained(row)]
    if explained and confounded is not None:
        facts = {"names": confounded.names, "views": list(dict.fromkeys(row.view for row in explained))}
        found.append(Advice("confounded", "alone: shown; beyond: not shown", facts))
    margin = crop_margin(readings)
    wider = [row.view for at, row in margin_curve(readings) if margin is None or at > margin]
    away = [row for view in (WHOLE, OUTSIDE, AROUND, *wider) for row in shown_in(readings, view)]
    anatomy = [row for view in (MASK, SHAPE) for row in shown_in(readings, view)]
    if away and anatomy:
        pass  # the organ itself differs, which no crop hides, nor should
    elif away and margin is not None and not shown_in(readings, ORGAN):
        best = max(away, key=lambda row: row.auc)
        told = "outside: shown; within: not shown"
        found.append(Advice("crop", told, {"margin": margin, "row": best}))
    elif away and tightest_shown(readings):
        closest = margin_curve(readings)[0]
        found.append(Advice("no crop", "shown", {"margin": closest[0], "row": closest[1]}))
    leaks = [
        row
        for own, whole in ((ORGAN, LEAK), (_closest(readings), LEAKING_BOX))
        for row in shown_in(readings, whole)
        if not shown_in(readings, own) and beyond_outline(readings, row)
    ]
    if leaks:
        found.append(Advice("standardise", "shown", {"row": leaks[0]}))
    if inside := [row for row in shown_in(readings, ORGAN) if beyond_outline(readings, row)]:
        found.append(Advice("inside", "shown", {"row": inside[0]}))
    if anatomy:
        kind = "pixels" if pixels_differ(readings, unit) else "anatomy"
        found.append(Advice(kind, "shown", {"row": max(anatomy, key=lambda row: row.auc)}))
    if header := shown_in(readings, HEADER):
        found.append(Advice("header", "shown", {"row": header[0]}))
    if position := shown_in(readings, POSITION):
        found.append(Advice("position", "shown", {"row": position[0]}))
    found += _of_the_model(associated, changes)
    # A small structure is rougher in pixels by itself: that sizes differ need not be shown to be the reason.
    sizes = {
        (one.structure, one.second)
        for one in measures
        if one.measure.startswith("reference") and not one.difference[1] <= 0 <= one.difference[2]
    }
    outlines = [
        one
        for one in measures
        if one.shown and one.measure.startswith("roughness") and (one.structure, one.second) not in sizes
    ]
    if outlines:
        found.append(Advice("references", "shown", {"one": outlines[0]}))
    if places := [one for one in atlas if one.shown]:
        found.append(Advice("errors", "shown", {"one": places[0]}))
    if not shown:
        found.append(Advice("nothing", "not shown", {"chance": max(row.chance for row in readings.rows)}))
    return tuple(found)


def _of_the_model(associated: Sequence[Association], changes: Sequence[Change]) -> list[Advice]:
    """Return what the model's Dice suggests, where it was asked."""
    found: list[Advice] = []
    lent = [one for one in changes if one.donors]
    if moved := clearest(lent):
        found.append(Advice("goes by", "shown", {"one": moved}))
    elif lent:
        found.append(Advice("stays", "not shown", {"one": lent[0]}))
    if used := [one for one in associated if one.shown]:
        one = max(used, key=lambda one: abs(one.correlation))
        found.append(
            Advice("used", "shown", {"one": one, "asked": bool(lent), "organ": one.view in OF_ORGAN})
        )
    elif associated:
        found.append(Advice("not used", "not shown", {"one": associated[0]}))
    return found


def clearest(changes: Sequence[Change]) -> Change | None:
    """Return the first change that is shown: exchange before brightness, the reference group last."""
    return next((one for one in changes if one.shown), None)


def _closest(readings: Readings) -> str:
    curve = margin_curve(readings)
    return curve[0][1].view if curve else ""
