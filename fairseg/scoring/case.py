"""Score the files of one case."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fairseg.cohort.columns import VOXELS
from fairseg.io.images import check_same_grid, read_mask
from fairseg.metrics.distance import Empty
from fairseg.metrics.masks import MaskPair, check_pair, labels_in
from fairseg.metrics.overlap import Counts
from fairseg.metrics.score import score_pair


@dataclass(frozen=True)
class Job:
    """What a worker needs to score one case."""

    case: str
    prediction: Path
    reference: Path
    labels: tuple[int, ...] | None
    metrics: tuple[str, ...]
    empty: Empty
    tolerance: float | None


@dataclass(frozen=True)
class Result:
    """What comes back: scores by label value, or the error; and what there is to tell.

    `voxel` is the volume of a voxel in mm^3: NaN where the mask has not three axes, or no size in mm.
    """

    case: str
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    strays: dict[str, list[int]] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    error: str | None = None
    unit: str = "mm"
    voxel: float = float("nan")


def score_files(job: Job) -> Result:
    """Read and score one case; what is wrong with its files becomes part of the result."""
    try:
        prediction, reference = read_mask(job.prediction), read_mask(job.reference)
        check_same_grid(prediction, reference)
        pair = check_pair(prediction.voxels, reference.voxels, job.labels, reference.spacing)
    except (ValueError, OSError) as error:
        return Result(job.case, error=str(error))
    scores, counts = score_pair(pair, job.metrics, job.empty, job.tolerance)
    columns = {**scores, VOXELS[0]: counts.prediction, VOXELS[1]: counts.reference}
    by_label = {
        int(value): {name: column[position].item() for name, column in columns.items()}
        for position, value in enumerate(pair.labels)
    }
    messages = prediction.messages + reference.messages
    has_volume = len(reference.spacing) == 3 and reference.unit == "mm"
    voxel = float(np.prod(reference.spacing)) if has_volume else float("nan")
    return Result(job.case, by_label, _strays(pair, counts), messages, unit=reference.unit, voxel=voxel)


def _strays(pair: MaskPair, counts: Counts) -> dict[str, list[int]]:
    """Return the values in each mask that are no labels; found by counting, so nearly free."""
    strays = {}
    for name, mask, counted in (
        ("prediction", pair.prediction, counts.prediction),
        ("reference", pair.reference, counts.reference),
    ):
        if np.count_nonzero(mask) != counted.sum():
            strays[name] = np.setdiff1d(labels_in(mask), pair.labels).tolist()
    return strays
