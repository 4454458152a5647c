"""Score the files of one case."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.cohort.columns import VOXELS
from fairseg.io.images import check_same_grid, read_mask
from fairseg.metrics.distance import Empty
from fairseg.metrics.masks import Pair, check_pair
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
        pair = check_pair(prediction.voxels, reference.voxels, job.labels or (1,), reference.spacing)
    except (ValueError, OSError) as error:
        return Result(job.case, error=str(error))
    if job.labels is None:
        found = np.union1d(_values(pair.prediction), _values(pair.reference))
        pair = replace(pair, labels=found.astype(np.int64))
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


def _values(mask: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the labels of a mask, without background."""
    if mask.dtype.itemsize <= 2:  # a histogram beats the sort of np.unique many times
        return np.flatnonzero(np.bincount(mask.ravel())[1:]) + 1 if mask.size else np.zeros(0, np.int64)
    found = np.unique(mask)
    return found[found > 0]


def _strays(pair: Pair, counts: Counts) -> dict[str, list[int]]:
    """Return the values in each mask that are no labels; found by counting, so nearly free."""
    strays = {}
    for name, mask, counted in (
        ("prediction", pair.prediction, counts.prediction),
        ("reference", pair.reference, counts.reference),
    ):
        if np.count_nonzero(mask) != counted.sum():
            strays[name] = np.setdiff1d(_values(mask), pair.labels).tolist()
    return strays
