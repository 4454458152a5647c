"""The cases that each group is served worst in, as pictures."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fairseg.io.images import find_masks, read_mask
from fairseg.metrics.masks import Labels, label_values
from fairseg.report.overlays import Overlay, find_image, overlay
from fairseg.report.summary import Summary
from fairseg.scoring.labels import read_dataset_labels

logger = logging.getLogger(__name__)

_MOST = 12  # pictures, which make a page large
_EACH = 3  # of a group


@dataclass(frozen=True)
class Files:
    """Where the masks of the scored cases are.

    Attributes:
        predictions: folder of the model's masks.
        references: folder of the reference masks.
        images: folder of the images; None to draw masks alone.
        labels: as in `evaluate`.
    """

    predictions: Path
    references: Path
    images: Path | None = None
    labels: Labels | None = None


def worst_cases(scores: pd.DataFrame, overall: Summary, files: Files) -> list[tuple[str, list[Overlay]]]:
    """Draw the cases of lowest Dice of each group, the worst first.

    Args:
        scores: the scores table, with Dice.
        overall: its summary, for the groups.
        files: where the masks are. A case without its files, or whose files cannot be drawn, is left out with
            a warning.

    Returns:
        Group and pictures, of the groups that have cases; at most 12 pictures in all.
    """
    of_case = scores.groupby("case", sort=False)["dice"].mean()
    groups = dict(zip(scores["case"], overall.groups.encode(scores), strict=True))
    there = [group for group in range(len(overall.groups)) if group in set(groups.values())]
    each = max(1, min(_EACH, _MOST // max(1, len(there))))
    predicted, true = find_masks(files.predictions, "predictions"), find_masks(files.references, "references")
    labels = files.labels or read_dataset_labels(files.references)
    values = None if labels is None else list(label_values(labels).values())
    found = []
    for group in there[:_MOST]:
        cases = of_case[[groups[case] == group for case in of_case.index]].dropna().sort_values()
        drawn = [
            picture
            for case in cases.index[:each]
            for picture in _drawn(str(case), predicted, true, values, files.images)
        ]
        if drawn:
            found.append((overall.groups.name(group), drawn))
    return found


def _drawn(
    case: str,
    predicted: Mapping[str, Path],
    true: Mapping[str, Path],
    labels: Sequence[int] | None,
    images: Path | None,
) -> Iterator[Overlay]:
    if case not in predicted or case not in true:
        logger.warning("case %s has no files to draw it from", case)
        return
    try:
        if labels is None:
            found = np.union1d(*(np.unique(read_mask(files[case]).voxels) for files in (predicted, true)))
            labels = [int(value) for value in found if value > 0]
        image = None if images is None else find_image(images, case)
        yield overlay(case, true[case], predicted[case], labels, image=image)
    except (ValueError, OSError) as error:
        logger.warning("case %s cannot be drawn: %s", case, error)
