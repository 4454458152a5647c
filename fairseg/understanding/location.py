"""The place that tells a group: outside the organ, in it, or both; and the crop that leaves it out.

Only a view without the organ shows that something lies outside. Only pixels of the organ show that something
lies in it, and what is there no crop hides: a wide one may dilute it, so that it is not shown any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fairseg.understanding.kinds import ANATOMY, REFERENCES, best_of, beyond_outline, shown_in
from fairseg.understanding.readability import Reading, Readings
from fairseg.understanding.views import AROUND, BOX, HEADER, ORGAN, OUTSIDE, POSITION, SCALED, WHOLE, WITHIN

MATTERS = 0.7  # AUC that a crop's view must be shown to be below, for the crop to be called tight enough
LEAST_REMOVED = 0.25  # share of an image that a crop must remove to be advised
PIXELS_OF_ORGAN = (ORGAN, WITHIN, SCALED)
LEFT_IN_CROPS = (ORGAN, SCALED)  # a crop standardised by itself has no scale and offset of its own
WITHOUT_ORGAN = (OUTSIDE, AROUND)


@dataclass(frozen=True)
class Crop:
    """A crop that may be used.

    Attributes:
        margin: mm around the largest organ, or pixels.
        excluded: whether every group's AUC in it, and in all that are tighter, is shown to be below
            `MATTERS`; if not, this is the tightest that was tried, and the group may be read in it all the
            same.
        row: of its view, where a group is told best.
        inside: what is shown to tell a group in every crop: the organ, its size or shape, or the tightest
            crop itself; None if nothing is.
    """

    margin: float
    excluded: bool
    row: Reading
    inside: Reading | None

    @property
    def by_organ(self) -> bool:
        """Whether it is the organ that tells a group within it."""
        return self.inside is not None and not self.inside.view.startswith(BOX)


def margin_curve(readings: Readings) -> list[tuple[float, Reading]]:
    """Return the margins, mm, with the reading of the group that is told best."""
    views = [view for view in readings.views if view.startswith(BOX)]
    return sorted((float(view.removeprefix(BOX).split()[0]), readings.best(view)) for view in views)


def removes_little(readings: Readings, removed: Mapping[float, float]) -> bool:
    """Return whether crops were tried of which even the tightest removes little of the images."""
    return any(removed.get(margin, 1.0) < LEAST_REMOVED for margin, _ in margin_curve(readings)[:1])


def choose_crop(readings: Readings, removed: Mapping[float, float]) -> Crop | None:
    """Return the widest crop up to which every group's AUC is shown to be below `MATTERS`, else the tightest.

    It is the tightest too where something is shown to tell a group in every crop. None where no crop was
    tried, or the tightest removes little of the images.

    Args:
        readings: of the crops, of the organ, and of the references.
        removed: margin -> median share of an image that the crop removes, 0 to 1.
    """
    curve = margin_curve(readings)
    if not curve or removes_little(readings, removed):
        return None
    inside = best_of(shown_in(readings, *LEFT_IN_CROPS, *ANATOMY)) or best_of(tightest_shown(readings))
    crop = Crop(curve[0][0], False, curve[0][1], inside)
    for margin, best in [] if inside else curve:
        rows = [row for row in readings.rows if row.view == best.view]
        out = all(row.high < MATTERS and not row.shown for row in rows)
        if not out or removed.get(margin, 1.0) < LEAST_REMOVED:
            break
        crop = Crop(margin, True, best, None)
    return crop


def crop_margin(readings: Readings, removed: Mapping[float, float]) -> float | None:
    """Return the margin of `choose_crop`; None if there is none, or a group is shown to be readable in it."""
    crop = choose_crop(readings, removed)
    return None if crop is None or crop.inside is not None else crop.margin


def tightest_shown(readings: Readings) -> list[Reading]:
    """Return the groups that are shown to be readable in the tightest crop that was tried."""
    curve = margin_curve(readings)
    return shown_in(readings, curve[0][1].view) if curve else []


def told_inside(readings: Readings) -> list[Reading]:
    """Return the readings of the organ's pixels that tell a group better than its outline does."""
    return [row for row in shown_in(readings, *PIXELS_OF_ORGAN) if beyond_outline(readings, row)]


def told_outside(readings: Readings) -> list[Reading]:
    """Return the readings of views without the organ that tell a group."""
    return shown_in(readings, *WITHOUT_ORGAN)


def beyond_size(readings: Readings, row: Reading) -> bool:
    """Return whether what lies outside tells a group better than the organ's size, which moves it, does.

    Where no size or shape is shown to tell the group, anything does.
    """
    return all(row.auc > one.auc for one in shown_in(readings, *ANATOMY) if one.group == row.group)


def told_by_both(readings: Readings) -> list[Reading]:
    """Return the readings of the organ and its surroundings that tell a group better than the organ."""
    holding = WHOLE, *(row.view for _, row in margin_curve(readings))
    return [row for row in shown_in(readings, *holding) if not explained_by_organ(readings, row)]


def place_is_known(readings: Readings) -> bool:
    """Return whether a view of one place is shown to tell a group: the organ, or without it."""
    views = *WITHOUT_ORGAN, *PIXELS_OF_ORGAN, *REFERENCES, HEADER, POSITION
    return bool(shown_in(readings, *views))


def explained_by_organ(readings: Readings, row: Reading) -> bool:
    """Return whether the organ, or its outline, may be all that a view shows of a group."""
    organs = shown_in(readings, *PIXELS_OF_ORGAN, *REFERENCES)
    return any(one.group == row.group and one.auc >= row.low for one in organs)
