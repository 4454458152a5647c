"""The cases that each group is served worst in, as pictures."""

import logging
from collections.abc import Sequence
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

logger = logging.getLogger(__name__)

_MOST = 12  # pictures, which make a page large
_EACH = 3  # of a group


def worst_cases(
    scores: Scores, overall: Summary, masks: MaskFolders, pseudonyms: Pseudonyms | None = None
) -> list[tuple[str, list[Overlay]]]:
    """Draw the cases of lowest Dice of each group, the worst first, and name the structure that fails most.

    Args:
        scores: the scores, with Dice.
        overall: their summary, for the groups.
        masks: where the masks are. A case without its files, or whose files cannot be drawn, is left out with
            a warning.
        pseudonyms: whose codes the scores have in the place of names.

    Returns:
        Group and pictures, of the groups that have cases; at most 12 pictures in all.
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
    file_names = {case if pseudonyms is None else pseudonyms.code(case): case for case in predicted}
    found = []
    for group in present[:_MOST]:
        cases = of_case[[groups[case] == group for case in of_case.index]].dropna().sort_values()
        drawn: list[Overlay] = []
        for case in cases.index[:each]:
            worst = say("worst_structure", label=lowest.loc[case, "label"], dice=lowest.loc[case, "dice"])
            file_name = file_names.get(str(case))
            if file_name is None or file_name not in true:
                logger.warning("case %s has no files to draw it from", case)
                continue
            files = predicted[file_name], true[file_name]
            try:
                image = None if masks.images is None else find_image(masks.images, file_name)
                drawn.append(_drawn(str(case), *files, codes, image, worst, scores.labels))
            except (ValueError, OSError) as error:
                logger.warning("case %s cannot be drawn: %s", case, error)
        if drawn:
            found.append((overall.names[group], drawn))
    return found


def _drawn(
    case: str,
    predicted: Path,
    true: Path,
    codes: LabelMap,
    image: Path | None,
    worst: str,
    names: Sequence[str],
) -> Overlay:
    if not codes.reference:
        found = np.union1d(*(np.unique(read_labels(file).voxels) for file in (predicted, true)))
        codes = codes.of_values(int(value) for value in found if value > 0 and value != codes.ignore)
    return overlay(case, true, predicted, codes.only(names), image=image, note=worst)
