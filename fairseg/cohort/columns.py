"""The columns of a scores table: which are metrics, which are sizes of masks, and which are attributes."""

import re
from collections.abc import Iterable
from typing import NamedTuple

OVERALL = "Overall"  # what tables call the mean over the labels of a subject
LARGEST = 1e12  # of a distance, volume or count; a larger one is damaged data, and its square overflows


class Metric(NamedTuple):
    """How a metric is written and read.

    Attributes:
        title: its name in tables and charts, without its unit.
        unit: "mm" for distances, which become pixels for images without a voxel size; "" for shares of 1.
        higher_is_better: whether larger values are better; `None` for a signed error, where 0 is best.
        limits: the least and the greatest value that there can be.
    """

    title: str
    unit: str = ""
    higher_is_better: bool | None = True
    limits: tuple[float, float] = (0.0, 1.0)


def _distance(name: str) -> Metric:
    return Metric(name, "mm", higher_is_better=False, limits=(0.0, LARGEST))


METRICS = {
    "dice": Metric("DSC"),
    "hd": _distance("HD"),
    "hd95": _distance("HD95"),
    "assd": _distance("ASSD"),
    "nsd": Metric("NSD"),
    "hd95_pooled": _distance("HD95 pooled"),
    "masd": _distance("MASD"),
    "iou": Metric("IoU"),
    "precision": Metric("Precision"),
    "recall": Metric("Recall"),
    "volume_error": Metric("Volume error", higher_is_better=None, limits=(-1.0, LARGEST)),
    "nsd_area": Metric("NSD by area"),
    "lesion_dice": Metric("Lesion DSC"),
    "lesion_precision": Metric("Lesion precision"),
    "lesion_recall": Metric("Lesion recall"),
}
HD95 = ("hd95", "hd95_pooled")  # the larger of the two directed percentiles; medpy's, of both together
DISTANCES = tuple(name for name, metric in METRICS.items() if metric.unit)
TOLERANT = ("nsd", "nsd_area")  # of surface voxels, and of surface area, within a tolerance
SHARES = tuple(name for name, metric in METRICS.items() if metric.limits == (0.0, 1.0))  # higher is better
MEASURED = (*DISTANCES, *TOLERANT)  # depend on the unit of length

VOXELS = ("prediction_voxels", "reference_voxels")
VOLUMES = ("prediction_ml", "reference_ml")
LESIONS = ("prediction_lesions", "reference_lesions")
SIZES = (*VOXELS, *VOLUMES, *LESIONS)
UNIT = "distance_unit"  # "mm" or "px", of every row
SKIPPED = "skipped"  # why a case has no scores
NOTE = "note"  # what a reader must know of a case
IN_PIXELS = "distances in pixels, not in mm as of the other cases, left out"  # a note
NO_ATTRIBUTES = ("case", "subject", "label", *METRICS, *SIZES, UNIT, SKIPPED, NOTE)
_SPACING = re.compile(r"(pixel|voxel)?spacing(mm)?[xyz]?(mm)?")  # of files, which `--spacing` names
# What people also call a metric; case, blanks and marks between words do not count.
_OTHER_NAMES = {
    "dice": ("dsc", "dicescore", "dicecoefficient", "dicecoef", "dicesimilaritycoefficient"),
    "hd": ("hausdorff", "hausdorffdistance"),
    "hd95": ("hausdorff95", "hausdorffdistance95"),
    "nsd": ("surfacedice", "normalizedsurfacedice"),
    "iou": ("jaccard", "jaccardindex", "intersectionoverunion"),
    "recall": ("sensitivity",),
    "volume_error": ("relativevolumeerror",),
    "nsd_area": ("nsdbyarea",),
    "lesion_dice": ("lesiondsc", "lesionwisedice"),
    "lesion_recall": ("lesionsensitivity",),
}
_METRIC_OF_NAME = {
    name: metric for metric in METRICS for name in (metric.replace("_", ""), *_OTHER_NAMES.get(metric, ()))
}
# What people call the columns that identify a row.
_ROLES = {
    "case": ("caseid",),
    "subject": ("subjectid", "patient", "patientid", "participant", "participantid"),
    "label": ("structure", "structurename", "organ", "organname", "labelname"),
}
# Shorter names of a person, where no column has one of those above; eid is UK Biobank's.
_SHORT_NAMES = (
    *("eid", "pid", "ptid", "patid", "mrn", "subj", "subjid", "usubjid", "sub", "subid"),
    *("person", "personid"),
)
# Names of structures that may also be of attributes: the rows decide.
PERHAPS_LABELS = (
    *("class", "classname", "region", "regionname", "roi", "roiname", "tissue", "tissuename", "segment"),
    *("segmentname", "anatomy", "chamber", "compartment"),
)


def title(metric: str, unit: str = "mm") -> str:
    """Return the title of a metric, with the unit of its distances.

    >>> title("dice"), title("hd"), title("hd", "px")
    ('DSC', 'HD (mm)', 'HD (px)')
    """
    name = METRICS[metric].title
    return f"{name} ({unit})" if METRICS[metric].unit else name


def metric_of(column: str) -> str | None:
    """Return the metric that a column is named after; None if there is none.

    >>> [metric_of(name) for name in ("Dice", "DSC", "HD (mm)", "hd95_px", "Volume error", "age")]
    ['dice', 'dice', 'hd', 'hd95', 'volume_error', None]
    """
    return _metric_and_unit(column)[0]


def unit_of(column: str) -> str | None:
    """Return the unit that the name of a column of distances states; None if it states none.

    >>> unit_of("HD (mm)"), unit_of("hd95_px"), unit_of("hd")
    ('mm', 'px', None)
    """
    return _metric_and_unit(column)[1]


def roles_of(columns: Iterable[str], roles: Iterable[str] = tuple(_ROLES)) -> dict[str, str]:
    """Return column -> "case", "subject" or "label", for columns that have another name for it.

    A column of the very name takes precedence. Short names such as `eid` or `mrn` are the subject if none of
    the longer ones is there, and `ID` if nothing else names a person or case.

    Raises:
        ValueError: two columns could be one of them.

    >>> roles_of(["patient_id", "Structure", "sex"]), roles_of(["ID", "sex"]), roles_of(["ID", "case"])
    ({'patient_id': 'subject', 'Structure': 'label'}, {'ID': 'subject'}, {})
    """
    plain = {column: plain_name(column) for column in columns}
    role_of: dict[str, str] = {}
    for role in roles:
        called: list[str] = []
        for words in ((role, *_ROLES[role]), _SHORT_NAMES if role == "subject" else ()):
            called = called or [name for name, word in plain.items() if role not in plain and word in words]
        if len(called) > 1:
            raise ValueError(f"one column must be the {role}, got {' and '.join(called)}: name one {role!r}")
        role_of |= dict.fromkeys(called, role)
    if not {"case", "subject"} & {*plain, *role_of.values()}:
        role_of |= dict.fromkeys([name for name, word in plain.items() if word == "id"][:1], "subject")
    return role_of


def is_attribute(column: object) -> bool:
    """Whether a column of a cohort or of scores is an attribute: no name, score or note, nor a pixel spacing.

    >>> [is_attribute(name) for name in ("sex", "dice", "spacing", "PixelSpacing", "spacing_x_mm")]
    [True, False, False, False, False]
    """
    return column not in NO_ATTRIBUTES and not _SPACING.fullmatch(plain_name(str(column)))


def plain_name(column: str) -> str:
    """Return the name of a column in small letters, without blanks and marks.

    >>> plain_name("Patient ID"), plain_name("HD95 (mm)")
    ('patientid', 'hd95mm')
    """
    return "".join(letter for letter in column.lower() if letter.isalnum())


def _metric_and_unit(column: str) -> tuple[str | None, str | None]:
    plain = plain_name(column)
    for unit in ("", "mm", "px"):
        name = _METRIC_OF_NAME.get(plain.removesuffix(unit))
        if plain.endswith(unit) and name is not None and (not unit or METRICS[name].unit):
            return name, unit or None
    return None, None
