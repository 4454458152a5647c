"""Compute some scores again with medpy, from the files on: a check that users can run on their data.

Nothing is shared with the code that made the scores: medpy reads the files, finds the spacing and the
axes' order, and measures. Files that medpy does not read as labels, or whose pixel size it does not know, are
read by fairseg: PNG, arrays, a file a structure, and all masks where `spacing` is given.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.io.image_checks import READERS
from fairseg.io.images import itk_messages
from fairseg.io.label_files import read_labels, with_spacing
from fairseg.scoring.labels import LabelMap
from fairseg.scoring.voxel_sizes import VoxelSizes

TOLERANCE = 1e-9


def cross_check_scores(
    scores: pd.DataFrame,
    predictions: Mapping[str, Path],
    references: Mapping[str, Path],
    labels: LabelMap,
    number: int,
    seed: int = 0,
    sizes: VoxelSizes | None = None,
) -> tuple[int, float]:
    """Compare `number` rows of the scores, drawn at random, with medpy's `dc`, `hd`, `hd95`, `assd`.

    Its `hd95` is `hd95_pooled` here. Where a mask lacks the label, medpy raises an error: those rows are
    compared with the documented values.

    Returns:
        How many scores were compared, and the largest difference; without voxel counts and volumes, which
        are equal.

    Raises:
        ValueError: `number` is negative.
        RuntimeError: a value differs by more than 1e-9; it names the case, label and both values.
    """
    if number < 0:
        raise ValueError(f"cross_check must be at least 0, got {number}")
    io, binary = import_medpy()
    measures: dict[str, Callable[..., float]] = {
        "dice": lambda p, r, _: binary.dc(p, r),
        "hd": binary.hd,
        "hd95_pooled": binary.hd95,
        "assd": binary.assd,
    }
    compared, largest = 0, 0.0
    draw = np.random.default_rng(seed).choice(len(scores), size=min(number, len(scores)), replace=False)
    for _, row in scores.iloc[np.sort(draw)].iterrows():
        size = None if sizes is None else sizes[row["case"]]
        files = predictions[row["case"]], references[row["case"]]
        if size is None and all(map(read_by_medpy, files)):  # both alike: medpy's axes are x, y, z
            (prediction, _), (reference, spacing) = (_by_medpy(io, file) for file in files)
            has_size = True
        else:
            sides = zip(files, (labels.prediction, labels.reference), strict=True)
            both = [with_spacing(read_labels(file, codes), size) for file, codes in sides]
            prediction, reference = (mask.voxels for mask in both)
            spacing, has_size = both[1].spacing, both[1].unit == "mm"
        counts = np.ones(reference.shape, dtype=bool) if labels.ignore is None else reference != labels.ignore
        predicted = np.isin(prediction, labels.prediction[row["label"]]) & counts
        true = np.isin(reference, labels.reference[row["label"]]) & counts
        expected = _expected(row, predicted, true, spacing, measures)
        if true.ndim == 3 and has_size:
            expected["prediction_ml"] = predicted.sum() * np.prod(spacing) / 1000.0
            expected["reference_ml"] = true.sum() * np.prod(spacing) / 1000.0
        for name, value in expected.items():
            if name in scores and not np.isclose(row[name], value, rtol=0, atol=TOLERANCE, equal_nan=True):
                raise RuntimeError(
                    f"cross-check failed: case {row['case']}, label {row['label']}: {name} is "
                    f"{row[name]!r} here and {float(value)!r} by medpy"
                )
            if name in scores and name in measures:
                compared += 1
                largest = max(largest, float(np.nan_to_num(abs(row[name] - value))))
    return compared, largest


def _expected(
    row: "pd.Series[Any]",
    predicted: npt.NDArray[np.bool_],
    true: npt.NDArray[np.bool_],
    spacing: tuple[float, ...],
    measures: Mapping[str, Callable[..., float]],
) -> dict[str, Any]:
    """Return the voxel counts and scores that a row must have."""
    counts = {"prediction_voxels": predicted.sum(), "reference_voxels": true.sum()}
    names = [name for name in measures if name in row]
    if predicted.any() and true.any():
        return counts | {name: measures[name](predicted, true, spacing) for name in names}
    # medpy has no value here: Dice is 0 with one empty mask, all else is missing or the diagonal.
    scores = dict.fromkeys(names, np.nan)
    if predicted.any() or true.any():
        scores["dice"] = 0.0
        diagonal = float(np.linalg.norm(np.array(true.shape) * spacing))
        scores |= {name: diagonal for name in names if name != "dice" and not np.isnan(row[name])}
    return counts | scores


def import_medpy() -> tuple[Any, Any]:
    """Return medpy's `io` and `metric.binary`, which nothing else in fairseg imports.

    Raises:
        ValueError: medpy is not installed; the message says how to install it, and its licence.
    """
    try:
        from medpy import io  # noqa: PLC0415  (costs start-up time, and may be missing)
        from medpy.metric import binary  # noqa: PLC0415
    except ImportError as error:
        raise ValueError(
            f"cross_check needs medpy (GPL 3), which cannot be imported: {error}; pip install medpy"
        ) from None
    return io, binary


def read_by_medpy(path: Path) -> bool:
    """Whether medpy reads a file itself: it takes the colours of PNG for labels, and knows no arrays."""
    return path.suffix.lower() in READERS and path.suffix.lower() != ".png"


def _by_medpy(io: Any, path: Path) -> tuple[np.ndarray[Any, Any], tuple[float, ...]]:
    with itk_messages():  # reported before, when the file was scored
        voxels, header = io.load(str(path))
    # Resampled labels are nearly whole.
    return np.rint(voxels) if voxels.dtype.kind == "f" else voxels, header.get_voxel_spacing()
