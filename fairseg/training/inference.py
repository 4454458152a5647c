"""A trained network on whole cases: tiles, mirrored test-time inference, Dice by group."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn

from fairseg.metrics import dice
from fairseg.metrics.masks import Structures, structure_values
from fairseg.training.prepare import Case
from fairseg.training.ranks import ProcessGroup
from fairseg.training.regions import label_map, with_background
from fairseg.training.slices import View


class Predictor:
    """Logits of slices of any size from a network for patches.

    Slices larger than a patch are taken in tiles that overlap by half, weighted towards their middles, as
    in nnU-Net; smaller ones are padded with 0, their mean.

    Args:
        network: (B, C, *patch_size) -> logits (B, K, *patch_size), or a list whose first they are.
        patch_size: (y, x).
        mirrored_axes: of (y, x): average over all mirrorings along them, as nnU-Net does.
        device: where the network is.
        autocast: type of the forward pass; `None` for float32.
        batch_size: tiles at a time.
        order: of regions, see `label_map`: their logits (B, L, *S) get background as a first channel.
    """

    def __init__(
        self,
        network: nn.Module,
        patch_size: Sequence[int],
        *,
        mirrored_axes: Sequence[int] = (),
        device: torch.device,
        autocast: torch.dtype | None = None,
        batch_size: int = 16,
        order: Sequence[int] | None = None,
    ) -> None:
        self.network, self.patch_size, self.device = network, tuple(patch_size), device
        self.autocast, self.batch_size, self.order = autocast, batch_size, order
        axes = [2 + axis for axis in mirrored_axes]
        self.mirrored = [flips for n in range(len(axes) + 1) for flips in combinations(axes, n)]

    @torch.no_grad()
    def __call__(self, slices: Tensor) -> Tensor:
        """Return logits (Z, K, y, x) of slices (Z, C, y, x), float32, on the device."""
        was_training = self.network.training
        self.network.eval()
        slices = slices.to(self.device)
        logits: Tensor = sliding_window_inference(  # type: ignore[assignment, unused-ignore]
            slices, self.patch_size, self.batch_size, self._tiles, overlap=0.5, mode="gaussian"
        )
        self.network.train(was_training)
        return logits

    def _tiles(self, tiles: Tensor) -> Tensor:
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
            parts = [torch.flip(self._logits(torch.flip(tiles, axes)), axes) for axes in self.mirrored]
        return torch.stack(parts).mean(dim=0)

    def _logits(self, tiles: Tensor) -> Tensor:
        logits = self.network(tiles)
        first: Tensor = logits if isinstance(logits, Tensor) else logits[0]
        return first.float() if self.order is None else with_background(first.float())


def validate(
    predictor: Predictor,
    cases: Sequence[Case],
    view: View,
    structures: Structures,
    processes: ProcessGroup,
    ignored: int | None = None,
    order: Sequence[int] | None = None,
) -> npt.NDArray[np.float64]:
    """Return the Dice of each case and structure, float64 (N, L), in the form that training sees.

    It is NaN where neither mask has the structure; pixels that the reference ignores do not count. With
    regions, `order` is how they are painted (see `label_map`). Each process scores its part of the cases, and
    all get all scores.
    """
    own_scores = {}
    for position in processes.part_of(list(range(len(cases)))):
        image = torch.from_numpy(np.array(view.image(cases[position]).swapaxes(0, 1)))
        mask = label_map(predictor(image), order).cpu().numpy()
        own_scores[position] = dice(mask, np.asarray(view.mask(cases[position])), structures, ignore=ignored)
    scores = np.full((len(cases), len(structure_values(structures))), np.nan)
    for part in processes.gather(own_scores):
        for position, values in part.items():
            scores[position] = values
    return scores


def subject_dice(
    scores: npt.NDArray[np.float64], subjects: Sequence[str], groups: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the mean Dice of each subject over its cases, overall (P,) and by label (P, L), and its group.

    Args:
        scores: of each case and label, (N, L), NaN where there is none.
        subjects: of each case.
        groups: id of each case; a subject with cases in several groups is one of each, as in an audit.
    """
    cases_of: dict[tuple[str, int], list[int]] = defaultdict(list)
    for position, pair in enumerate(zip(subjects, np.asarray(groups).tolist(), strict=True)):
        cases_of[pair].append(position)
    parts = [scores[cases] for cases in cases_of.values()]
    overall = np.array(
        [mean_of_known(mean_of_known(part, axis=1), axis=0) for part in parts], dtype=np.float64
    )
    by_label = np.array([mean_of_known(part, axis=0) for part in parts], dtype=np.float64)
    return overall, by_label, np.array([group for _, group in cases_of], dtype=np.int64)


def mean_of_known(values: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Return the mean of the values that are not NaN; NaN if none is."""
    known = ~np.isnan(values)
    number = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan))
