"""Advice that follows from the findings, as findings themselves: the words stand in the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseg.understanding.associations import Association, Prediction
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
from fairseg.understanding.location import (
    Crop,
    beyond_size,
    choose_crop,
    explained_by_organ,
    margin_curve,
    place_is_known,
    removes_little,
    tightest_shown,
    told_by_both,
    told_inside,
    told_outside,
)
from fairseg.understanding.readability import Readings
from fairseg.understanding.views import HEADER, INTENSITY, LEAKING_BOX, ORGAN, POSITION, SCALED, WITHIN

_UNEQUAL = 1.25  # times as many subjects of the largest group as of the smallest


@dataclass(frozen=True)
class Advice:
    """A finding that something can be done about.

    Attributes:
        kind: "crop", "no crop", "standardise", "inside", "intensity", "anatomy", "pixels", "header",
            "position", "confounded", "goes by", "stays", "used", "not used", "references", "errors", "no
            step" or "nothing".
        strength: "shown", "not shown" where only a lack of evidence stands behind it, or which part is which.
        facts: for its sentences.
    """

    kind: str
    strength: str
    facts: dict[str, Any] = field(default_factory=dict)


def pixels_differ(readings: Readings, unit: str) -> bool:
    """Return whether organs may differ in pixels since images do, in pixels of unknown size."""
    return unit == "px" and bool(shown_in(readings, HEADER))


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
    """Return the advice that follows from the findings.

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
    advice: list[Advice] = []
    rare = rarest(trained or {})
    shown = [row for row in readings.rows if row.shown]
    explained = [row for row in shown if confounded is not None and confounded.explained(row)]
    if explained and confounded is not None:
        facts = {"names": confounded.names, "views": list(dict.fromkeys(row.view for row in explained))}
        advice.append(Advice("confounded", "alone: shown; beyond: not shown", facts))
    crop = choose_crop(readings, removed or {})
    advice += _of_crops(readings, crop, removed or {}, rare)
    advice += [Advice("standardise", "shown", facts) for facts in _leaks(readings)[:1]]
    advice += _of_pixels(readings, rare)
    if anatomy := best_of(shown_in(readings, *ANATOMY)):
        kind = "pixels" if pixels_differ(readings, unit) else "anatomy"
        advice.append(Advice(kind, "shown", {"row": anatomy}))
    if header := shown_in(readings, HEADER):
        advice.append(Advice("header", "shown", {"row": header[0]}))
    if position := shown_in(readings, POSITION):
        advice.append(Advice("position", "shown", {"row": position[0]}))
    image = of_the_image(readings)
    if image and not advice:
        advice.append(Advice("no step", "shown", {"row": best_of(image)}))
    advice += _of_the_model(associated, predicted, changes, rare, crop)
    if outlines := rough_outlines(measures):
        advice.append(Advice("references", "shown", {"one": outlines[0]}))
    if differing := [one for one in atlas if one.shown]:
        advice.append(Advice("errors", "shown", {"one": differing[0]}))
    if not image and not shown_in(readings, *REFERENCES):
        chance = max(row.chance for row in readings.rows)
        advice.append(Advice("nothing", "not shown", {"chance": chance}))
    return tuple(advice) or (Advice("no step", "shown", {"row": best_of(shown)}),)


def _of_crops(
    readings: Readings, crop: Crop | None, removed: Mapping[float, float], rare: str
) -> list[Advice]:
    """Return whether a crop leaves out what tells a group, or a part of it, and what remains to be done."""
    advice: list[Advice] = []
    outside = best_of([row for row in told_outside(readings) if beyond_size(readings, row)])
    telling = outside or best_of(told_by_both(readings))
    if telling and crop is not None and (outside or crop.inside is None):
        within = "not shown" if crop.inside is None else "too, by the organ" if crop.by_organ else "too"
        facts = {"crop": crop, "margin": crop.margin, "row": telling}
        facts |= {"outside": bool(outside), "known": place_is_known(readings)}
        advice.append(Advice("crop", f"{'outside' if outside else 'whole'}: shown; within: {within}", facts))
    tight = [row for row in tightest_shown(readings) if not explained_by_organ(readings, row)]
    little = removes_little(readings, removed)
    if tight or (telling and little):
        margin, row = margin_curve(readings)[0]
        facts = {"margin": margin, "row": row, "told": telling, "outside": bool(outside)}
        advice.append(Advice("no crop", "shown", {**facts, "rare": rare, "little": little}))
    return advice


def _of_pixels(readings: Readings, rare: str) -> list[Advice]:
    """Return the advice on the organ's pixels, or on brightness and noise that nothing else explains."""
    advice, inside = [], told_inside(readings)
    if organ := best_of([row for row in inside if row.view == ORGAN]):
        advice.append(Advice("inside", "shown", {"row": organ, "rare": rare}))
    elsewhere = [*inside, *told_outside(readings), *told_by_both(readings)]
    of_image = [] if elsewhere else shown_in(readings, INTENSITY)
    if row := best_of([row for row in inside if row.view in (WITHIN, SCALED)] or of_image):
        scaled = bool(shown_in(readings, SCALED))
        facts = {"row": row, "rare": rare, "organ": row.view != INTENSITY, "scaled": scaled}
        advice.append(Advice("intensity", "shown", facts))
    return advice


def rarest(trained: Mapping[str, int]) -> str:
    """Return the smallest group, if it is much smaller than the largest; else "".

    >>> rarest({"M": 45, "F": 45}), rarest({"M": 60, "F": 12})
    ('', 'F')
    """
    if not trained or max(trained.values()) <= _UNEQUAL * min(trained.values()):
        return ""
    return min(trained, key=lambda name: trained[name])


def _leaks(readings: Readings) -> list[dict[str, Any]]:
    """Return the groups that the tightest crop tells less well if it is standardised by itself."""
    curve = margin_curve(readings)
    if not curve:
        return []
    margin, best = curve[0]
    by_group = {row.group: row for row in readings.rows if row.view == best.view}
    return [
        {"row": row, "own": by_group[row.group], "margin": margin}
        for row in shown_in(readings, LEAKING_BOX)
        if by_group[row.group].high < row.low and beyond_outline(readings, row)
    ]


def _of_the_model(
    associated: Sequence[Association],
    predicted: Sequence[Prediction],
    changes: Sequence[Change],
    rare: str,
    crop: Crop | None,
) -> list[Advice]:
    """Return the advice on the model's Dice, where there is one."""
    advice: list[Advice] = []
    exchanges = [one for one in changes if one.donors]
    if moved := clearest(exchanges):
        advice.append(Advice("goes by", "shown", {"one": moved, "rare": rare, "crop": crop}))
    elif exchanges:
        advice.append(Advice("stays", "not shown", {"one": exchanges[0]}))
    if one := goes_with_dice(associated, predicted):
        facts = {"one": one, "asked": bool(exchanges), "organ": one.view in OF_ORGAN}
        advice.append(Advice("used", "shown", facts))
    elif associated:
        advice.append(Advice("not used", "not shown", {"one": associated[0]}))
    return advice


def goes_with_dice(
    associated: Sequence[Association], predicted: Sequence[Prediction]
) -> Association | Prediction | None:
    """Return the clearest of what is shown to go with Dice, preferably beyond the organ's size."""
    candidates: list[Association | Prediction] = [*associated, *predicted]
    shown = [one for one in candidates if one.shown]
    return min(shown, key=lambda one: (one.of_size, one.p_adjusted, -abs(one.correlation)), default=None)


def clearest(changes: Sequence[Change]) -> Change | None:
    """Return the first change that is shown: exchange before brightness, the reference group last."""
    return next((one for one in changes if one.shown), None)
