"""The samples of a training: patches of slices, a third of them forced onto foreground, all onto annotation.

A sample is one slice of a case. Everything random about a sample follows from the seed and the number of its
draw alone, so neither the number of worker processes nor an interruption changes the draws.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fairseg.crop import Box, crop
from fairseg.crop.box import overlap
from fairseg.samplers import GroupBatchSampler
from fairseg.scoring.labels import Codes
from fairseg.training.amplitude import mix_amplitude
from fairseg.training.augment import MARGIN, make_augmentation, seeded
from fairseg.training.prepare import IGNORED, Case, Floats, Labels
from fairseg.training.ranks import ProcessGroup

Draw = tuple[int, int, bool]  # index of the slice, number of the draw, whether it is forced onto foreground


@dataclass(frozen=True)
class View:
    """The part of a case that a network sees: all of it, or a crop of one size around its reference mask.

    A crop is standardised by itself, so that nothing outside it changes its brightness; or by the box of the
    organ alone; or it stays as the whole image was standardised, to show what that lets in.
    """

    size: tuple[int, int] | None = None  # of the crop in plane, or `None` for whole slices
    standardize: Literal["image", "crop", "organ"] = "crop"

    def box(self, case: Case) -> Box:
        """Return the box of the part that is seen, in plane; without foreground, the middle of the image."""
        full = Box((0, 0), case.shape[1:])
        return full if self.size is None else (case.box or full).resized(self.size)

    def image(self, case: Case) -> Floats:
        """Return the image (C, Z, y, x) as it is seen."""
        if self.size is None:
            return case.image()
        cropped = crop(np.asarray(case.image()), self.box(case))
        mean, spread = self.scale(case)
        return (cropped - mean[:, None]) / spread[:, None]

    def scale(self, case: Case) -> tuple[Floats, Floats]:
        """Return the mean and the spread by which each channel of a crop is standardised, (C, 1, 1)."""
        box = self.box(case)
        if self.standardize == "organ" and case.box is not None:
            box = overlap(case.box, box)
        cropped = crop(np.asarray(case.image()), box).astype(np.float64)
        mean, spread = cropped.mean(axis=(1, 2, 3)), np.maximum(cropped.std(axis=(1, 2, 3)), 1e-8)
        if self.standardize == "image":
            mean, spread = np.zeros_like(mean), np.ones_like(spread)
        return mean.astype(np.float32)[:, None, None], spread.astype(np.float32)[:, None, None]

    def mask(self, case: Case) -> Labels:
        """Return the mask (Z, y, x) as it is seen."""
        return case.mask() if self.size is None else crop(np.asarray(case.mask()), self.box(case))


class Slices(Dataset[tuple[Tensor, Tensor, int, int]]):
    """Patches of the annotated slices of some cases; index it with what `NumberedBatches` yields.

    Args:
        cases: prepared cases.
        groups: group id of each case, -1 for unknown.
        view: whole slices or crops.
        patch_size: (y, x) pixels; where a slice is smaller, 0, its mean, lies around it.
        seed: with the number of a draw, it determines everything random.
        augment: whether patches are augmented.
        elastic: with elastic deformation.
        mirrored_axes: axes of (y, x) along which the augmentation mirrors.
        structures: values of each, to force patches onto; default: every label by itself.
        amplitude_mix: share of patches that get some of the appearance of a slice of any case, evenly drawn.

    Attributes:
        case: position of each sample's case, (N,).
        slice: number of each sample's slice, (N,).
        group: group id of each sample, (N,).
    """

    def __init__(
        self,
        cases: Sequence[Case],
        groups: npt.NDArray[np.int64],
        view: View,
        patch_size: tuple[int, int],
        *,
        seed: int,
        augment: bool = True,
        elastic: bool = False,
        mirrored_axes: Sequence[int] = (0, 1),
        structures: Collection[Codes] = (),
        amplitude_mix: float = 0.0,
    ) -> None:
        self.cases, self.view, self.patch_size, self.seed = list(cases), view, patch_size, seed
        self.structures = tuple(structures)
        depth = [len(case.annotated) for case in self.cases]
        self.case = np.repeat(np.arange(len(depth)), depth)
        self.slice = np.concatenate([np.array(case.annotated, dtype=np.int64) for case in self.cases])
        self.group = np.asarray(groups)[self.case]
        options: dict[str, Any] = {"elastic": elastic, "mirrored_axes": mirrored_axes}
        self.augmentation = make_augmentation(patch_size, **options) if augment else None
        self.amplitude_mix = amplitude_mix
        self.reach = tuple(int(length * MARGIN) if augment else length for length in patch_size)
        self.scale = None if view.size is None else [view.scale(case) for case in self.cases]
        self._pixels: dict[int, list[tuple[Codes, npt.NDArray[np.int64]]]] = {}

    def __len__(self) -> int:
        return len(self.case)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor, int, int]:
        """Return image (C, y, x), target (y, x), group id, and position of the case."""
        index, number, forced = draw
        random = np.random.default_rng((self.seed, number))
        position, z = int(self.case[index]), int(self.slice[index])
        codes: Codes = ()
        if forced and (structures := self._structures_of(position)):  # any slice of the case, as nnU-Net does
            codes, pixels = structures[int(random.integers(len(structures)))]
            z = int(random.choice(len(pixels), p=pixels / pixels.sum()))
        image, mask = self._slice(position, z)
        onto = np.isin(mask, codes) if codes else _annotated(mask)
        box = self._box(mask, onto, random)
        image_patch = crop(image, box)
        if self.amplitude_mix and random.random() < self.amplitude_mix:
            image_patch = mix_amplitude(image_patch, self._any_patch(random), random.random())
        patch, target = torch.from_numpy(image_patch), torch.from_numpy(crop(mask, box).astype(np.int16))
        if self.augmentation is not None:
            with seeded(int(random.integers(2**63))):
                augmented = self.augmentation(image=patch, segmentation=target[None])
            patch, target = augmented["image"], augmented["segmentation"][0]
        return patch.contiguous(), target.long(), int(self.group[index]), position

    def _any_patch(self, random: np.random.Generator) -> Floats:
        """Return the image of a patch of any case, drawn evenly."""
        position = int(random.integers(len(self.cases)))
        image, mask = self._slice(position, int(random.integers(self.cases[position].shape[0])))
        return crop(image, self._box(mask, None, random))

    def _structures_of(self, position: int) -> list[tuple[Codes, npt.NDArray[np.int64]]]:
        """Return the structures that a case shows, each with its number of pixels in every slice (Z,)."""
        if position not in self._pixels:
            case = self.cases[position]
            counts = np.array([np.bincount(mask.ravel(), minlength=256) for mask in self.view.mask(case)])
            structures = [
                (codes, counts[:, list(codes)].sum(axis=1))
                for codes in self.structures or ((value,) for value in case.slices)
            ]
            self._pixels[position] = [(codes, pixels) for codes, pixels in structures if pixels.any()]
        return self._pixels[position]

    def _slice(self, position: int, z: int) -> tuple[Floats, Labels]:
        """Return one slice as it is seen: image (C, y, x) and mask (y, x)."""
        case = self.cases[position]
        image, mask = np.array(case.image()[:, z]), np.array(case.mask()[z])
        if self.scale is None:
            return image, mask
        box, (mean, spread) = self.view.box(case), self.scale[position]
        return (crop(image, box) - mean) / spread, crop(mask, box)

    def _box(self, mask: Labels, onto: npt.NDArray[np.bool_] | None, random: np.random.Generator) -> Box:
        """Return the box to cut out: a patch around one of some pixels (y, x), or anywhere for None.

        Around a pixel, it may reach beyond the slice at the upper edge, not at the lower, as in nnU-Net.
        The box has the same middle as the patch, and the size that the augmentation reaches for.
        """
        pixel = None
        if onto is not None:
            pixel = np.unravel_index(int(random.choice(np.flatnonzero(onto))), mask.shape)
        start = []
        for axis, (size, length) in enumerate(zip(mask.shape, self.patch_size, strict=True)):
            room = size - length
            lowest = min(room // 2, 0)  # a slice that is smaller lies in the middle of the patch
            if pixel is None:
                low = int(random.integers(room + 1)) if room > 0 else lowest
            else:
                low = max(int(pixel[axis]) - length // 2, lowest)
            start.append(low + length // 2 - self.reach[axis] // 2)
        return Box(tuple(start), tuple(low + length for low, length in zip(start, self.reach, strict=True)))


def _annotated(mask: Labels) -> npt.NDArray[np.bool_] | None:
    """Return the annotated pixels of a slice, for patches around them, as in nnU-Net; None: all, or none."""
    annotated = mask != IGNORED
    return None if annotated.all() or not annotated.any() else annotated


class NumberedBatches:
    """A sampler's batches as draws: numbered, and the last share of each batch forced onto foreground.

    A sample's place in a batch says nothing about its group, so forcing does not either.

    Args:
        sampler: yields batches of indices, the joint ones of all processes.
        foreground: share of the batch, rounded.
        processes: of which this one takes its part of each batch.
    """

    def __init__(
        self, sampler: GroupBatchSampler, foreground: float, processes: ProcessGroup | None = None
    ) -> None:
        self.sampler, self.processes = sampler, processes or ProcessGroup()
        self.forced = round(sampler.batch_size * foreground)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield the batches of an epoch."""
        size = self.sampler.batch_size
        before = self.sampler.epoch * len(self.sampler) * size
        for step, batch in enumerate(self.sampler):
            first = before + step * size
            joint = [(index, first + n, n >= size - self.forced) for n, index in enumerate(batch)]
            yield self.processes.part_of(joint)
