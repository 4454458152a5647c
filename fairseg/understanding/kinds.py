"""The question that a view answers: can the group be read from the image, from references, or from errors?

A network sees the image alone. The references are drawn by hand and hold the organ's size and shape; the map
of errors and the features of a run belong to a model. A view that is cut out by the reference's outline shows
both: it counts as one of the image where it tells a group better than the outline does.
"""

from typing import Literal

from fairseg.understanding.readability import Reading, Readings
from fairseg.understanding.views import BOTTLENECK, ERRORS, LEAK, MASK, ORGAN, OUTLINE, SCALED, SHAPE, WITHIN

Kind = Literal["image", "references", "model"]
ANATOMY = (MASK, SHAPE)  # size and shape of the organs, with the outline
REFERENCES = (*ANATOMY, OUTLINE)
CUT_OUT = (ORGAN, LEAK, WITHIN, SCALED)  # pixels of the image within the reference's outline
MODEL = (ERRORS, BOTTLENECK)
OF_ORGAN = (*CUT_OUT, *REFERENCES)  # of what lies outside they show at most the scale


def kind_of(view: str) -> Kind:
    """Return the source of a view.

    >>> kind_of("whole image"), kind_of("reference mask"), kind_of("map of errors")
    ('image', 'references', 'model')
    """
    return "references" if view in REFERENCES else "model" if view in MODEL else "image"


def shown_in(readings: Readings, *views: str) -> list[Reading]:
    """Return the groups that are shown to be readable in some views."""
    return [row for row in readings.rows if row.view in views and row.shown]


def of_the_image(readings: Readings) -> list[Reading]:
    """Return the readings that are shown from the image, without those that an outline alone explains."""
    return [row for row in readings.rows if row.shown and question_of(readings, row) == "image"]


def question_of(readings: Readings, row: Reading) -> Kind:
    """Return the source of a reading: the references if their outline may be all that a view shows."""
    explained = row.shown and row.view in CUT_OUT and not beyond_outline(readings, row)
    return "references" if explained else kind_of(row.view)


def beyond_outline(readings: Readings, row: Reading) -> bool:
    """Return whether a view tells a group better than the organ's outline, which it may show, does.

    Where the outline is not shown to tell it, any view does.
    """
    outlines = [one for one in shown_in(readings, *REFERENCES) if one.group == row.group]
    return all(row.low > one.auc for one in outlines)


def best_of(rows: list[Reading]) -> Reading | None:
    """Return the row in which a group is told best, or None."""
    return max(rows, key=lambda row: row.auc, default=None)
