"""Score the files of one case."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fairseg.io.images import check_same_grid
from fairseg.io.label_files import read_labels, with_spacing
from fairseg.metrics.masks import check_pair, labels_in
from fairseg.metrics.score import Measures, score_pair
from fairseg.scoring.labels import LabelMap
from fairseg.scoring.smoothed import smoothed_values


@dataclass(frozen=True)
class Job:
    """What a worker needs to score one case."""

    case: str
    prediction: Path
    reference: Path
    labels: LabelMap
    measures: Measures
    spacing: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Result:
    """The scores of a case by structure, or the error; and messages of the reader.

    `predicted` and `true` are the label values that occur in each mask. `voxel` is the volume of a voxel in
    mm^3: NaN where the mask has not three axes, or no size in mm. `ignored` says whether some voxel of the
    reference counts for nothing.
    """

    case: str
    scores: dict[str | int, dict[str, float]] = field(default_factory=dict)
    predicted: tuple[int, ...] = ()
    true: tuple[int, ...] = ()
    messages: tuple[str, ...] = ()
    error: str | None = None
    unit: str = "mm"
    voxel: float = float("nan")
    ignored: bool = False


def score_files(job: Job) -> Result:
    """Read and score one case; an error of its files becomes part of the result."""
    names = job.labels
    try:
        prediction, reference = (
            with_spacing(read_labels(file, codes), job.spacing)
            for file, codes in ((job.prediction, names.prediction), (job.reference, names.reference))
        )
        differences = check_same_grid(prediction, reference)
        ignored = names.ignore is not None and bool((reference.voxels == names.ignore).any())
        pair = check_pair(
            prediction.voxels,
            reference.voxels,
            names.reference or None,
            reference.spacing,
            names.ignore,
            names.prediction or None,
        )
    except (ValueError, OSError) as error:
        return Result(job.case, error=str(error))
    predicted, true = (tuple(labels_in(mask).tolist()) for mask in (pair.prediction, pair.reference))
    for kind, mask, values, codes in (
        ("prediction", pair.prediction, predicted, names.prediction),
        ("reference", pair.reference, true, names.reference),
    ):
        if smoothed := smoothed_values(mask, values, codes):
            return Result(job.case, error=f"the {kind} {smoothed}")
    scores, sizes = score_pair(pair, job.measures)
    columns = {**scores, **sizes}
    structures = list(names.reference) or pair.labels.tolist()
    by_structure = {
        structure: {name: column[position].item() for name, column in columns.items()}
        for position, structure in enumerate(structures)
    }
    messages = prediction.messages + reference.messages + differences
    has_volume = len(reference.spacing) == 3 and reference.unit == "mm"
    voxel = float(np.prod(reference.spacing)) if has_volume else float("nan")
    return Result(
        job.case, by_structure, predicted, true, messages, unit=reference.unit, voxel=voxel, ignored=ignored
    )
