"""What the findings suggest, as findings themselves: the words stand in the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseg.understanding.changes import Change
from fairseg.understanding.confounded import Confounded
from fairseg.understanding.errors import Atlas, MeasureDifference
from fairseg.understanding.kinds import (
    ANATOMY,
    OF_ORGAN,
    REFERENCES,
    best_of,
    beyond_outline,
    of_the_image,
    shown_in,
)
from fairseg.understanding.readable import Reading, Readings
from fairseg.understanding.used import Association, Prediction
from fairseg.understanding.views import AROUND, BOX, HEADER, LEAKING_BOX, ORGAN, OUTSIDE, POSITION, WHOLE

MATTERS = 0.7  # AUC that a crop's view must be shown to be below, for the crop to be called tight enough
_LEAST_REMOVED = 0.25  # share of an image that a crop must remove to be advised
_UNEQUAL = 1.25  # times as many subjects of the largest group as of the smallest


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


@dataclass(frozen=True)
class Crop:
    """A crop that may be used.

    Attributes:
        margin: mm around the largest organ, or pixels.
        excluded: whether every group's AUC in it is shown to be below `MATTERS`; if not, this is the tightest
            that was tried, and the group may be read in it all the same.
        row: of its view, where a group is told best.
        organ: the reading of the organ, or of its outline, that tells a group within it; None if none does.
    """

    margin: float
    excluded: bool
    row: Reading
    organ: Reading | None


def margin_curve(readings: Readings) -> list[tuple[float, Reading]]:
    """Return the margins, mm, with the reading of the group that is told best."""
    views = [view for view in readings.views if view.startswith(BOX)]
    return sorted((float(view.removeprefix(BOX).split()[0]), readings.best(view)) for view in views)


def choose_crop(readings: Readings, removed: Mapping[float, float]) -> Crop | None:
    """Return the widest crop in which every group's AUC is shown to be below `MATTERS`, else the tightest.

    None where the tightest tells a group that the organ itself does not, or removes little of the images.

    Args:
        readings: of the crops, and of the organ.
        removed: margin -> median share of an image that the crop removes, 0 to 1.
    """
    crop = None
    for margin, best in margin_curve(readings):
        rows = [row for row in readings.rows if row.view == best.view]
        organs = [_of_organ(readings, row) for row in rows if row.shown]
        if None in organs or removed.get(margin, 1.0) < _LEAST_REMOVED:
            break
        excluded = all(row.high < MATTERS for row in rows)
        if crop is None or excluded:
            crop = Crop(margin, excluded, best, organs[0] if organs else None)
    return crop


def crop_margin(readings: Readings, removed: Mapping[float, float]) -> float | None:
    """Return the margin of `choose_crop`; None if there is none, or a group is shown to be readable in it."""
    crop = choose_crop(readings, removed)
    return None if crop is None or crop.organ is not None else crop.margin


def _of_organ(readings: Readings, row: Reading) -> Reading | None:
    """Return the reading of the organ, or its outline, that may be all that a view shows of a group."""
    organs = shown_in(readings, ORGAN, *REFERENCES)
    return best_of([one for one in organs if one.group == row.group and one.auc >= row.low])


def tightest_shown(readings: Readings) -> list[Reading]:
    """Return the groups that are shown to be readable in the tightest crop that was tried."""
    curve = margin_curve(readings)
    return shown_in(readings, curve[0][1].view) if curve else []


def pixels_differ(readings: Readings, unit: str) -> bool:
    """Return whether organs may differ in pixels since images do, in pixels of unknown size."""
    return unit == "px" and bool(shown_in(readings, HEADER))


def told_outside(readings: Readings) -> list[Reading]:
    """Return what tells a group outside the organ, and better than the organ does, if that tells it too.

    A larger organ moves what lies around it. Views that hold the organ must be shown to tell it better.
    """
    holding = WHOLE, *(row.view for _, row in margin_curve(readings))
    beyond = [row for row in shown_in(readings, *holding) if _of_organ(readings, row) is None]
    organs = shown_in(readings, ORGAN, *REFERENCES)
    around = [
        row
        for row in shown_in(readings, OUTSIDE, AROUND)
        if all(row.auc > one.auc for one in organs if one.group == row.group)
    ]
    return [*beyond, *around]


def rough_outlines(measures: Sequence[MeasureDifference]) -> list[MeasureDifference]:
    """Return the outlines that are shown to be rougher in a group, clearest first, for no other size.

    A small structure is rougher in pixels by itself: that sizes differ need not be shown to be the reason.
    """
    sizes = {
        (one.structure, one.second)
        for one in measures
        if one.measure.startswith("reference") and not one.difference[1] <= 0 <= one.difference[2]
    }
    rough = [
        one
        for one in measures
        if one.shown and one.measure.startswith("roughness") and (one.structure, one.second) not in sizes
    ]
    return sorted(rough, key=lambda one: (one.p_adjusted, -abs(one.difference[0])))


def advise(
    readings: Readings,
    confounded: Confounded | None,
    associated: Sequence[Association],
    atlas: Sequence[Atlas],
    measures: Sequence[MeasureDifference],
    changes: Sequence[Change] = (),
    *,
    unit: str = "mm",
    predicted: Sequence[Prediction] = (),
    removed: Mapping[float, float] | None = None,
    trained: Mapping[str, int] | None = None,
) -> tuple[Advice, ...]:
    """Return what the findings suggest.

    Args:
        readings: as from `read_groups`.
        confounded: what confounders have to do with them, if any were named.
        associated: whether scores go with Dice.
        atlas: where errors differ, that with most evidence first.
        measures: of the masks.
        changes: of Dice with the image.
        unit: of lengths, "mm" or "px".
        predicted: whether Dice can be predicted from views.
        removed: margin -> share of an image that a crop removes; None: enough.
        trained: subjects of each group that a training has; None or empty: not known.
    """
    found: list[Advice] = []
    rare = rarest(trained or {})
    shown = [row for row in readings.rows if row.shown]
    explained = [row for row in shown if confounded is not None and confounded.explained(row)]
    if explained and confounded is not None:
        which = {"names": confounded.names, "views": list(dict.fromkeys(row.view for row in explained))}
        found.append(Advice("confounded", "alone: shown; beyond: not shown", which))
    crop, away, curve = choose_crop(readings, removed or {}), told_outside(readings), margin_curve(readings)
    outside = best_of(away)
    if outside and crop is not None:
        strength = "outside: shown; within: " + ("too, by the organ" if crop.organ else "not shown")
        found.append(Advice("crop", strength, {"crop": crop, "margin": crop.margin, "row": outside}))
    elif outside and curve:
        margin, row = curve[0]
        little = (removed or {}).get(margin, 1.0) < _LEAST_REMOVED
        tight = {"margin": margin, "row": row, "outside": outside, "rare": rare, "little": little}
        found.append(Advice("no crop", "shown", tight))
    found += [Advice("standardise", "shown", facts) for facts in _leaks(readings)[:1]]
    if inside := [row for row in shown_in(readings, ORGAN) if beyond_outline(readings, row)]:
        found.append(Advice("inside", "shown", {"row": inside[0], "rare": rare}))
    if anatomy := best_of(shown_in(readings, *ANATOMY)):
        kind = "pixels" if pixels_differ(readings, unit) else "anatomy"
        found.append(Advice(kind, "shown", {"row": anatomy}))
    if header := shown_in(readings, HEADER):
        found.append(Advice("header", "shown", {"row": header[0]}))
    if position := shown_in(readings, POSITION):
        found.append(Advice("position", "shown", {"row": position[0]}))
    found += _of_the_model(associated, predicted, changes, rare)
    if outlines := rough_outlines(measures):
        found.append(Advice("references", "shown", {"one": outlines[0]}))
    if places := [one for one in atlas if one.shown]:
        found.append(Advice("errors", "shown", {"one": places[0]}))
    if not of_the_image(readings) and not shown_in(readings, *REFERENCES):
        chance = max(row.chance for row in readings.rows)
        found.append(Advice("nothing", "not shown", {"chance": chance}))
    return tuple(found)


def rarest(trained: Mapping[str, int]) -> str:
    """Return the smallest group, if it is much smaller than the largest; else "".

    >>> rarest({"M": 45, "F": 45}), rarest({"M": 60, "F": 12})
    ('', 'F')
    """
    if not trained or max(trained.values()) <= _UNEQUAL * min(trained.values()):
        return ""
    return min(trained, key=lambda name: trained[name])


def _leaks(readings: Readings) -> list[dict[str, Any]]:
    """Return where the tightest crop tells a group less if it is standardised by itself."""
    curve = margin_curve(readings)
    if not curve:
        return []
    margin, best = curve[0]
    own = {row.group: row for row in readings.rows if row.view == best.view}
    return [
        {"row": row, "own": own[row.group], "margin": margin}
        for row in shown_in(readings, LEAKING_BOX)
        if own[row.group].high < row.low and beyond_outline(readings, row)
    ]


def _of_the_model(
    associated: Sequence[Association],
    predicted: Sequence[Prediction],
    changes: Sequence[Change],
    rare: str,
) -> list[Advice]:
    """Return what the model's Dice suggests, where it was asked."""
    found: list[Advice] = []
    lent = [one for one in changes if one.donors]
    if moved := clearest(lent):
        found.append(Advice("goes by", "shown", {"one": moved, "rare": rare}))
    elif lent:
        found.append(Advice("stays", "not shown", {"one": lent[0]}))
    if one := goes_with_dice(associated, predicted):
        facts = {"one": one, "asked": bool(lent), "organ": one.view in OF_ORGAN}
        found.append(Advice("used", "shown", facts))
    elif associated:
        found.append(Advice("not used", "not shown", {"one": associated[0]}))
    return found


def goes_with_dice(
    associated: Sequence[Association], predicted: Sequence[Prediction]
) -> Association | Prediction | None:
    """Return what is shown to go with Dice, and is of more than size if any is; the clearest of these."""
    asked: list[Association | Prediction] = [*associated, *predicted]
    shown = [one for one in asked if one.shown]
    return min(shown, key=lambda one: (one.of_size, one.p_adjusted, -abs(one.correlation)), default=None)


def clearest(changes: Sequence[Change]) -> Change | None:
    """Return the first change that is shown: exchange before brightness, the reference group last."""
    return next((one for one in changes if one.shown), None)
