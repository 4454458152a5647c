"""Voxels of every structure in two masks, counted in one pass, and the shares computed from them."""

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.metrics.masks import FEW, MaskPair, Pair

_CHUNK = 1 << 16  # voxels counted at a time: small enough to stay in the processor's cache


@dataclass(frozen=True)
class Counts:
    """Voxels of each structure, int64 (L,) or (..., L): in the prediction, in the reference, and in both.

    The shares are float64 of the same shape, NaN where both masks lack the structure.
    """

    prediction: npt.NDArray[np.int64]
    reference: npt.NDArray[np.int64]
    both: npt.NDArray[np.int64]

    @property
    def dice(self) -> npt.NDArray[np.float64]:
        """2 |P and R| / (|P| + |R|)."""
        return self._share(2.0 * self.both, self.prediction + self.reference)

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """|P and R| / |P or R|."""
        return self._share(self.both, self.prediction + self.reference - self.both)

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """|P and R| / |P|; 0 where only the prediction lacks the structure."""
        return self._share(self.both, self.prediction)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """|P and R| / |R|; 0 where only the reference lacks the structure."""
        return self._share(self.both, self.reference)

    @property
    def volume_error(self) -> npt.NDArray[np.float64]:
        """(|P| - |R|) / |R|; NaN where the reference lacks the structure."""
        error = np.full(self.reference.shape, np.nan)
        np.divide(self.prediction - self.reference, self.reference, out=error, where=self.reference > 0)
        return error

    def _share(self, part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        share = np.where(self.prediction + self.reference > 0, 0.0, np.nan)
        np.divide(part, whole, out=share, where=whole > 0)
        return share


@singledispatch
def count(pair: Pair) -> Counts:
    """Count the voxels of every structure in one pass over the two masks, or a few if unions overlap."""
    assert isinstance(pair, MaskPair)  # `on_device` counts in tensors
    counts = np.zeros((3, len(pair.labels)), dtype=np.int64)
    for positions, simple in pair.rounds():
        counts[:, positions] = _count(simple)
    return Counts(*counts)


def _count(pair: MaskPair) -> npt.NDArray[np.int64]:
    labels, size = pair.labels, len(pair.reference)
    counts = np.zeros((3, len(labels)), dtype=np.int64)
    if not pair.reference.size:
        return counts
    rows = max(1, _CHUNK * size // pair.reference.size)
    for start in range(0, size, rows):
        predicted, true = pair.prediction[start : start + rows], pair.reference[start : start + rows]
        if len(labels) <= FEW:
            for position, value in enumerate(labels):
                masks = predicted == value, true == value
                counts[:, position] += [np.count_nonzero(mask) for mask in (*masks, masks[0] & masks[1])]
            continue
        for row, values in enumerate((predicted, true, predicted[predicted == true])):
            present, times = np.unique(values, return_counts=True)
            if present.size:
                nearest = np.minimum(np.searchsorted(present, labels), present.size - 1)
                counts[row] += np.where(present[nearest] == labels, times[nearest], 0)
    return counts
