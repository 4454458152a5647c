"""Structures of many parts: each connected component is a lesion, found or missed, with its size.

A lesion is a connected component of a structure; voxels that share a face, an edge or a corner belong to one.
A predicted lesion finds a reference lesion if their intersection over union is at least `min_iou`. Each has
one partner at most: the pairs are those with the greatest sum of Dice and, if sums are equal, the most pairs.
From 0.5 on no lesion has two candidates, so there is nothing to choose.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.io.arguments import fits
from fairseg.metrics.masks import Mask, MaskPair, Structures, structure_values
from fairseg.metrics.pairs import pair_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PAIR = 1e-6  # added to the Dice of a pair, so that more pairs win where sums are equal


@dataclass(frozen=True)
class Lesions:
    """The lesions of one structure in both masks, and which of them belong together.

    Attributes:
        prediction_voxels: size of each predicted lesion, int64 (P,).
        reference_voxels: size of each reference lesion, int64 (R,).
        partner: index of the predicted lesion that finds each reference lesion, -1 if it is missed, int64
            (R,).
        pair_dice: Dice of each reference lesion with its partner, 0 if it is missed, float64 (R,).
    """

    prediction_voxels: Ints
    reference_voxels: Ints
    partner: Ints
    pair_dice: Floats

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """Whether each reference lesion is found, bool (R,)."""
        return np.asarray(self.partner >= 0)

    @property
    def true(self) -> npt.NDArray[np.bool_]:
        """Whether each predicted lesion finds one, bool (P,)."""
        return np.isin(np.arange(len(self.prediction_voxels)), self.partner)

    @property
    def dice(self) -> float:
        """Mean Dice over all lesions: that of each pair, 0 of a missed or a false one; NaN without any."""
        lesions = len(self.reference_voxels) + len(self.prediction_voxels) - int(self.found.sum())
        return float(self.pair_dice.sum() / lesions) if lesions else np.nan

    @property
    def precision(self) -> float:
        """Share of the predicted lesions that are true; 0 if only the reference has any, NaN if neither."""
        if not len(self.prediction_voxels):
            return 0.0 if len(self.reference_voxels) else np.nan
        return float(self.true.mean())

    @property
    def recall(self) -> float:
        """Share of the reference lesions that are found; NaN if there are none to find."""
        return float(self.found.mean()) if len(self.reference_voxels) else np.nan


def lesions(
    prediction: object,
    reference: object,
    labels: Structures | None = None,
    *,
    min_iou: float = 0.5,
    ignore: int | None = None,
) -> dict[str | int, Lesions]:
    """Pair the lesions (connected components) of each structure: which are found, and how large they are.

    Voxels that share a face, an edge or a corner are one lesion, as panoptica has it in 3D.

    Args:
        prediction: label mask (*S), as for `dice`.
        reference: the ground-truth mask (*S), the same shape.
        labels: as for `dice`; `None`: the labels that occur in either mask, in increasing order.
        min_iou: intersection over union from which on a predicted lesion finds a reference lesion, 0 to 1;
            with 0 one voxel in common is enough. A lesion has one partner at most: the pairs are those
            with the greatest sum of Dice. Small lesions overlap little: 0.5 asks much of them.
        ignore: voxels where the reference has this value become background in both masks before lesions are
            taken, which may cut one in two.

    Returns:
        Name or value of the structure -> its `Lesions`, which are none where neither mask has it.

    Raises:
        ValueError: an input is not usable; the message names it.

    >>> found = lesions([[1, 1, 0, 0, 0, 1]], [[1, 1, 1, 0, 1, 0]], {"lesion": 1})["lesion"]
    >>> found.reference_voxels, found.found, found.true
    (array([3, 1]), array([ True, False]), array([ True, False]))
    >>> round(found.dice, 3), found.precision, found.recall  # a pair of Dice 0.8, one missed, one false
    (0.267, 0.5, 0.5)
    """
    check_min_iou(min_iou)
    pair = pair_of(prediction, reference, labels, ignore=ignore)
    names = pair.labels.tolist() if labels is None else list(structure_values(labels))
    return dict(zip(names, match_lesions(pair.on_host(), min_iou), strict=True))


def lesion_dice(
    prediction: object,
    reference: object,
    labels: Structures | None = None,
    *,
    min_iou: float = 0.5,
    ignore: int | None = None,
) -> Floats:
    """Lesion-wise Dice of each structure: the mean over all its lesions, in which each counts the same.

    A pair has its Dice, a missed and a false lesion 0: the sum over pairs / (TP + FN + FP), as in the BraTS
    challenge of 2023 but for the dilation there. Arguments and errors are those of `lesions`.

    Returns:
        float64 (L,), between 0 and 1; 0 where only one mask has the structure, NaN where neither has.

    >>> lesion_dice([[1, 1, 0, 0, 0, 0]], [[1, 1, 0, 1, 0, 1]], [1]).round(3)
    array([0.333])
    """
    matched = lesions(prediction, reference, labels, min_iou=min_iou, ignore=ignore)
    return of_each(matched.values(), "dice")


def lesion_precision(
    prediction: object,
    reference: object,
    labels: Structures | None = None,
    *,
    min_iou: float = 0.5,
    ignore: int | None = None,
) -> Floats:
    """Share of the predicted lesions of each structure that are true: TP / (TP + FP).

    Arguments and errors are those of `lesions`.

    Returns:
        float64 (L,); 0 where only one mask has the structure, NaN where neither has.

    >>> lesion_precision([[1, 1, 0, 0, 0, 1]], [[1, 1, 0, 1, 0, 0]], [1])
    array([0.5])
    """
    matched = lesions(prediction, reference, labels, min_iou=min_iou, ignore=ignore)
    return of_each(matched.values(), "precision")


def lesion_recall(
    prediction: object,
    reference: object,
    labels: Structures | None = None,
    *,
    min_iou: float = 0.5,
    ignore: int | None = None,
) -> Floats:
    """Share of the reference lesions of each structure that are found: TP / (TP + FN).

    By group it shows whose lesions are missed. Arguments and errors are those of `lesions`.

    Returns:
        float64 (L,); NaN where the reference has no lesion, of which none can be missed.

    >>> lesion_recall([[1, 1, 0, 0, 0, 0]], [[1, 1, 0, 1, 0, 1]], [1]).round(3)
    array([0.333])
    """
    matched = lesions(prediction, reference, labels, min_iou=min_iou, ignore=ignore)
    return of_each(matched.values(), "recall")


def match_lesions(pair: MaskPair, min_iou: float) -> list[Lesions]:
    """Return the lesions of each structure of checked masks, in their order."""
    matched: dict[int, Lesions] = {}
    for positions, simple in pair.rounds():
        for position, value in zip(positions, simple.labels, strict=True):
            matched[position] = _match(simple.prediction == value, simple.reference == value, min_iou)
    return [matched[position] for position in range(len(pair.labels))]


def check_min_iou(min_iou: float) -> None:
    """Raise a ValueError unless `min_iou` is a number from 0 to 1."""
    if not fits(min_iou, lambda share: 0.0 <= share <= 1.0):
        raise ValueError(f"min_iou must be a number from 0 to 1, got {min_iou}")


def of_each(matched: Iterable[Lesions], name: str) -> Floats:
    """Return "dice", "precision" or "recall" of each structure, float64 (L,)."""
    return np.array([getattr(of_structure, name) for of_structure in matched], dtype=np.float64)


def _match(prediction: Mask, reference: Mask, min_iou: float) -> Lesions:
    (predicted, predicted_voxels), (true, true_voxels) = _components(prediction), _components(reference)
    partner = np.full(len(true_voxels), -1)
    pair_dice = np.zeros(len(true_voxels))
    both = (predicted > 0) & (true > 0)
    # One number for each pair of lesions, of all voxels that both masks have.
    codes, common = np.unique(
        (true[both] - 1) * len(predicted_voxels) + predicted[both] - 1, return_counts=True
    )
    rows, columns = np.divmod(codes, max(1, len(predicted_voxels)))
    total = true_voxels[rows] + predicted_voxels[columns]
    candidate = common / (total - common) >= min_iou
    rows, columns, values = rows[candidate], columns[candidate], (2 * common / total)[candidate]
    chosen = _assign(rows, columns, values)
    partner[rows[chosen]], pair_dice[rows[chosen]] = columns[chosen], values[chosen]
    return Lesions(predicted_voxels, true_voxels, partner, pair_dice)


def _components(mask: Mask) -> tuple[Ints, Ints]:
    """Return the mask with its lesions numbered from 1 on, and their voxels."""
    numbered, _ = scipy.ndimage.label(mask, np.ones((3,) * mask.ndim), output=np.int64)
    return numbered, np.bincount(numbered.ravel())[1:]


def _assign(rows: Ints, columns: Ints, values: Floats) -> Ints:
    """Return the indices of the candidates with the greatest sum, each row and column once."""
    each_row, row = np.unique(rows, return_inverse=True)
    each_column, column = np.unique(columns, return_inverse=True)
    candidate = np.full((len(each_row), len(each_column)), -1)
    candidate[row, column] = np.arange(len(rows))
    weight = np.zeros(candidate.shape)
    weight[row, column] = values + _PAIR
    chosen: Ints = candidate[scipy.optimize.linear_sum_assignment(weight, maximize=True)]
    return chosen[chosen >= 0]
