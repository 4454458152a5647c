"""Pictures of the worst cases of each group."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from fairseg.cohort.pseudonyms import Pseudonyms
from fairseg.io.images import find_masks
from fairseg.io.label_files import read_labels
from fairseg.io.slices import find_image
from fairseg.report.overlays import Overlay, overlay
from fairseg.report.sections import MaskFolders
from fairseg.report.templates import say
from fairseg.scoring.labels import LabelMap, label_map
from fairseg.scoring.summary import Summary
from fairseg.scoring.table import Scores
from fairseg.scoring.voxel_sizes import VoxelSizes

logger = logging.getLogger(__name__)

_MOST = 12  # pictures; more would make the page large
_EACH = 3  # of a group


def worst_cases(
    scores: Scores, overall: Summary, masks: MaskFolders, pseudonyms: Pseudonyms | None = None
) -> tuple[list[tuple[str, list[Overlay]]], dict[str, list[str]]]:
    """Draw the cases of lowest Dice of each group, the worst first, and name the structure that fails most.

    The scores may have the codes of pseudonyms in the place of names.

    Returns:
        Each group with its pictures, of the groups that have cases; at most 12 pictures in all. Then each
        reason why cases could not be drawn, with their names; a reason can name a file, so with pseudonyms it
        stands in the log alone.

    Raises:
        ValueError: the spacing is not usable.
    """
    table = scores.table
    of_case = table.groupby("case", sort=False)["dice"].mean()
    lowest = table.sort_values("dice", kind="stable").drop_duplicates("case").set_index("case")
    groups = dict(zip(table["case"], overall.groups.encode(table), strict=True))
    present = [group for group in range(len(overall.groups)) if group in set(groups.values())]
    each = max(1, min(_EACH, _MOST // max(1, len(present))))
    predicted, true = find_masks(masks.predictions, "predictions"), find_masks(masks.references, "references")
    codes = label_map(
        masks.predictions, masks.references, masks.labels, masks.prediction_labels, masks.ignore
    )
    sizes = VoxelSizes.of(masks.spacing, lowest)
    file_names = {case if pseudonyms is None else pseudonyms.code(case): case for case in predicted}
    pictures = []
    failed: dict[str, list[str]] = {}
    for group in present[:_MOST]:
        cases = of_case[[groups[case] == group for case in of_case.index]].dropna().sort_values()
        overlays: list[Overlay] = []
        for case in cases.index[:each]:
            worst = say("worst_structure", label=lowest.loc[case, "label"], dice=lowest.loc[case, "dice"])
            file_name = file_names.get(str(case))
            try:
                if file_name is None or file_name not in true:
                    raise ValueError("there is no prediction and reference of that name")
                files = true[file_name], predicted[file_name]
                image = None if masks.images is None else find_image(masks.images, file_name)
                draw = partial(overlay, str(case), *files, image=image, note=worst, spacing=sizes[str(case)])
                overlays.append(draw(_shown(codes, files, scores.labels)))
            except (ValueError, OSError) as error:
                logger.warning("case %s cannot be drawn: %s", case, error)
                reason = str(error) if pseudonyms is None else "the log of the run says why"
                failed.setdefault(reason, []).append(str(case))
        if overlays:
            pictures.append((overall.names[group], overlays))
    return pictures, failed


def _shown(codes: LabelMap, files: Sequence[Path], names: Sequence[str]) -> LabelMap:
    """Return the structures of these names; if no structure has a name, the values in the masks."""
    if not codes.reference:
        values = np.union1d(*(np.unique(read_labels(file).voxels) for file in files))
        codes = codes.of_values(int(value) for value in values if value > 0 and value != codes.ignore)
    return codes.only(names)
