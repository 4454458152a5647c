"""Cascade: find the object on the whole image, then segment it again on a crop (Fig. 1 of the paper)."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from skimage.measure import label
from torch import Tensor, nn

from fairseg.crop.box import Box, crop, overlap, uncrop
from fairseg.io.arguments import fits
from fairseg.io.sentences import brief

Network = Callable[[Tensor], Any]
Fallback = Box | Literal["center", "error"]

# Log-odds of a label outside the crop: a probability of 0 in every floating point type.
_NEVER = -1e4


class Cascade(nn.Module):
    """Two networks as one: the first says where the object is, the second segments the crop around it.

    `segment full image -> box of the largest component -> crop -> segment -> put back`, section 4.7 and
    Fig. 1 of Lee et al. (2025). There most of the shift between groups lay outside the heart, and a network
    that does not see the outside can't be misled by it.

    Args:
        locate: network for whole images, (B, C, *S) -> logits (B, K, *S), or a list whose first they are.
        segment: network for crops, (B, C, *size) -> logits (B, K, *size).
        size: size of the crops, as the second network was trained; see `crop_size`.
        margin: if an object plus this many voxels on each side does not fit into the crop, it is counted
            in `num_cut`; the crop stays of its size.
        fallback: the crop if the first network finds nothing: a box (its center is used), "center" of the
            image, or "error". It is counted in `num_fallbacks`.
        shared: the images of a batch are slices of one case and share one crop, around what is found in
            any of them.
        standardize: "crop" gives the second network crops of mean 0 and standard deviation 1, of each
            channel (of all slices of a case, if they share their crop); it must be trained on such crops.
            If the whole image is standardised, the brightness of a crop still depends on the outside. "organ"
            uses the pixels in the box of the object (of the whole crop, if none was found).

    Attributes:
        boxes: the crops of the last batch, one an image.
        found: the tight box of the object that the first network found, one an image; `None` for no object.
        num_images, num_fallbacks, num_cut: counts since the start; see `reset`.

    >>> def bright(image):  # (B, 1, *S) -> logits of background and object
    ...     return torch.cat([0.5 - image, image - 0.5], dim=1)
    >>> image = torch.zeros(1, 1, 12, 12)
    >>> image[..., 6:9, 5:8] = 1.0  # the object
    >>> image[..., 0, 0] = 1.0  # something else
    >>> cascade = Cascade(bright, bright, size=(6, 6))
    >>> logits = cascade(image)
    >>> cascade.boxes, int(logits.argmax(1).sum())
    ([Box(start=(4, 3), stop=(10, 9))], 9)
    """

    def __init__(
        self,
        locate: Network,
        segment: Network,
        size: Sequence[int],
        margin: int = 0,
        fallback: Fallback = "center",
        *,
        shared: bool = False,
        standardize: Literal["crop", "organ"] | None = None,
    ) -> None:
        super().__init__()
        self.locate, self.segment = locate, segment
        if not np.iterable(size):
            raise ValueError(
                f"size must have one integer an axis, such as ({size}, {size}), got {brief(size)}"
            )
        self.size = Box((0,) * len(size), tuple(size)).shape  # a box checks it
        if not isinstance(fallback, Box) and fallback not in ("center", "error"):
            raise ValueError(f'fallback must be a Box, "center" or "error", got {brief(fallback)}')
        if isinstance(fallback, Box) and fallback.ndim != len(self.size):
            raise ValueError(f"fallback must have the crop's {len(self.size)} axes, got {fallback.ndim}")
        if not fits(margin, lambda voxels: voxels >= 0):
            raise ValueError(f"margin must be 0 or more, got {margin!r}")
        if standardize not in (None, "crop", "organ"):
            raise ValueError(f'standardize must be None, "crop" or "organ", got {brief(standardize)}')
        self.margin, self.fallback, self.shared = margin, fallback, shared
        self.standardize = standardize
        self.boxes: list[Box] = []
        self.found: list[Box | None] = []
        self.reset()

    def reset(self) -> None:
        """Set the counts to 0."""
        self.num_images = self.num_fallbacks = self.num_cut = 0

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, K, *S) of the whole image; outside the crop all is background."""
        shape = tuple(image.shape[2:])
        if len(shape) != len(self.size):
            raise ValueError(
                f"image must be (B, C, *S) with {len(self.size)} spatial axes, got shape {tuple(image.shape)}"
            )
        self.boxes = self.find(image)
        if not self.boxes:  # an empty batch: only the second network knows how many labels there are
            logits = first_output(self.segment(image.new_empty((0, image.shape[1], *self.size))))
            return logits.new_empty((0, logits.shape[1], *shape))
        return segment_crops(self._segment, image, self.boxes)

    def _segment(self, crops: Tensor) -> Any:
        if self.standardize:
            organs = relative(self.found, self.boxes) if self.standardize == "organ" else None
            crops = standardized(crops, together=self.shared, organs=organs)
        return self.segment(crops)

    @torch.no_grad()
    def find(self, image: Tensor) -> list[Box]:
        """Return the crop of each image of a batch (B, C, *S)."""
        logits = first_output(self.locate(image))
        masks: npt.NDArray[np.bool_] = logits.argmax(dim=1).cpu().numpy() > 0
        cases = [np.asarray(masks.any(axis=0))] if self.shared and len(masks) else list(masks)
        objects = [Box.around(largest_component(mask)) if mask.any() else None for mask in cases]
        boxes = [self._crop(box, image.shape[2:]) for box in objects]
        repeats = len(masks) if self.shared else 1
        self.found = objects * repeats
        return boxes * repeats

    def _crop(self, box: Box | None, shape: Sequence[int]) -> Box:
        self.num_images += 1
        if box is not None:
            self.num_cut += any(
                extent + 2 * self.margin > most for extent, most in zip(box.shape, self.size, strict=True)
            )
            return box.resized(self.size)
        if self.fallback == "error":
            raise ValueError(f"the first network found nothing on image {self.num_images - 1}")
        self.num_fallbacks += 1
        center = Box((0,) * len(shape), tuple(shape))
        return (self.fallback if isinstance(self.fallback, Box) else center).resized(self.size)


def segment_crops(segment: Network, image: Tensor, boxes: Sequence[Box]) -> Tensor:
    """Segment one crop of each image, and put the logits back in their places.

    Args:
        segment: network for crops, (B, C, *size) -> logits (B, K, *size).
        image: (B, C, *S).
        boxes: one an image, all of one size.

    Returns:
        Logits (B, K, *S); outside the crop all is background.
    """
    shape = tuple(image.shape[2:])
    logits = first_output(segment(torch.cat([crop(image[[n]], box) for n, box in enumerate(boxes)])))
    background = [uncrop(logits[n, :1], box, shape, fill=0.0) for n, box in enumerate(boxes)]
    objects = [uncrop(logits[n, 1:], box, shape, fill=_NEVER) for n, box in enumerate(boxes)]
    return torch.cat([torch.stack(background), torch.stack(objects)], dim=1)


def relative(objects: Sequence[Box | None], boxes: Sequence[Box]) -> list[Box | None]:
    """Return the box of each object in its crop, cut where it does not fit; None where nothing was found.

    >>> relative([Box((4, 5), (9, 8))], [Box((3, 4), (8, 10))])
    [Box(start=(1, 1), stop=(5, 4))]
    """
    return [
        None if organ is None else overlap(organ, box).shifted([-low for low in box.start])
        for organ, box in zip(objects, boxes, strict=True)
    ]


def standardized(
    crops: Tensor, *, together: bool = False, organs: Sequence[Box | None] | None = None
) -> Tensor:
    """Return crops of mean 0 and standard deviation 1 of each channel; a constant one becomes 0.

    Args:
        crops: (B, C, *S).
        together: whether they are slices of one case, which keep their relative brightness.
        organs: the box in each crop (the same in all, if they are `together`) whose pixels are used; None for
            the whole crop.

    >>> standardized(torch.tensor([[[1.0, 3.0]], [[5.0, 5.0]]])).tolist()
    [[[-1.0, 1.0]], [[0.0, 0.0]]]
    """
    if organs is not None and not together:
        parts = [standardized(crops[[n]], together=True, organs=[organ]) for n, organ in enumerate(organs)]
        return torch.cat(parts)
    organ = organs[0] if organs else None
    index: tuple[Any, ...] = (...,) if organ is None else (..., *organ.slices)
    pixels = crops[index]
    axes = [axis for axis in range(crops.ndim) if axis != 1 and (together or axis)]
    spread = pixels.std(dim=axes, keepdim=True, correction=0).clamp(min=1e-8)
    return (crops - pixels.mean(dim=axes, keepdim=True)) / spread


def first_output(logits: Tensor | Sequence[Tensor]) -> Tensor:
    """Return the logits at full resolution; with deep supervision, in training mode, they are the first."""
    return logits if isinstance(logits, Tensor) else logits[0]


def largest_component(mask: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return the largest connected component of the foreground; of equal ones, the first.

    Voxels that touch at a face, an edge or a corner are connected. Empty masks stay empty.

    >>> largest_component([[1, 0, 0], [0, 0, 1], [0, 0, 1]]).astype(int)
    array([[0, 0, 0],
           [0, 0, 1],
           [0, 0, 1]])
    """
    foreground = np.asarray(mask) != 0
    parts = label(foreground, connectivity=foreground.ndim)  # type: ignore[no-untyped-call]
    if parts.max() <= 1:
        return np.asarray(foreground)
    return np.asarray(parts == np.bincount(parts.ravel())[1:].argmax() + 1)
