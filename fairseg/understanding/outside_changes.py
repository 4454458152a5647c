"""Change what lies outside the organ's box, and nothing else: exchanged, matched in intensity, or blanked.

An exchanged image has a seam, and a network may stumble over any seam. So the outside of a subject of another
group is compared with that of another subject of the same group: both have a seam. Intensities of scanners
have no unit; those of a donor are brought to the scale on which the organs of both agree. The changed image
is then standardised over the whole again, as for training, so that the outside's influence on the organ's
brightness changes too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fairseg.crop import Box
from fairseg.training.prepare import Floats, Labels, zscore
from fairseg.understanding.organ_location import LEVELS
from fairseg.understanding.views import LEAST


@dataclass(frozen=True, eq=False)
class CaseArrays:
    """A case as a network gets it.

    Attributes:
        image: standardised over the whole, (C, Z, y, x).
        mask: the reference, (Z, y, x), with some label.
        organ_box: around the organ, in plane.
        size: of the box that is the same for everybody, pixels; it may leave the image.
    """

    image: Floats
    mask: Labels
    organ_box: Box
    size: tuple[int, int]

    @property
    def box(self) -> Box:
        """The box of one size, around the organ's center in plane."""
        return self.organ_box.resized(self.size)

    def only(self, slices: Sequence[int]) -> "CaseArrays":
        """Return some of the slices, with the box where it is."""
        return replace(self, image=self.image[:, slices], mask=self.mask[slices])

    @cached_property
    def inside(self) -> npt.NDArray[np.bool_]:
        """The pixels of a slice that lie in the box, (y, x)."""
        rows, columns = (
            (np.arange(length) >= low) & (np.arange(length) < high)
            for length, low, high in zip(self.mask.shape[1:], self.box.start, self.box.stop, strict=True)
        )
        return np.asarray(rows[:, None] & columns)

    @cached_property
    def slices(self) -> list[int]:
        """The slices with the organ."""
        numbers: list[int] = np.flatnonzero(self.mask.any(axis=(1, 2))).tolist()
        return numbers

    @property
    def levels(self) -> list[int]:
        """Three slices with the organ, at the levels of the views."""
        return sorted({self.slices[int(level * len(self.slices))] for level in LEVELS})

    @cached_property
    def organ_scale(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the organ's pixels, (C, 1, 1, 1)."""
        return _scale(self.image[:, self.mask > 0])

    @cached_property
    def outside_scale(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of all pixels outside the box; without any, of all pixels."""
        outside = ~self.inside
        return _scale(
            (self.image[..., outside] if outside.any() else self.image).reshape(len(self.image), -1)
        )


def exchanged(scan: CaseArrays, donor: CaseArrays) -> Floats:
    """Return the image with the outside of the donor's box around its own, (C, Z, y, x).

    The organs' centers lie on each other, and slices are matched from the organ's first to its last; where
    the donor's image ends, its rim goes on.
    """
    organ, donor_organ = ((one.slices[0], one.slices[-1] + 1 - one.slices[0]) for one in (scan, donor))
    along = (np.arange(len(scan.mask)) - organ[0] + 0.5) / organ[1]
    starts = zip(scan.mask.shape[1:], scan.box.start, donor.box.start, strict=True)
    coordinates = [
        np.floor(along * donor_organ[1]) + donor_organ[0],
        *(np.arange(n) - low + donor_low for n, low, donor_low in starts),
    ]
    z, y, x = (
        np.clip(coordinate, 0, length - 1).astype(np.int64)
        for coordinate, length in zip(coordinates, donor.mask.shape, strict=True)
    )
    picture = donor.image[:, z[:, None, None], y[:, None], x]
    (mean, spread), (their_mean, their_spread) = scan.organ_scale, donor.organ_scale
    return _joined(scan, (picture - their_mean) / their_spread * spread + mean)


def matched(scan: CaseArrays, donor: CaseArrays) -> Floats:
    """Return the image with its own outside, which gets the donor's mean and spread relative to the organ."""
    (mean, spread), (their_mean, their_spread) = scan.organ_scale, donor.organ_scale
    outside, donor_outside = scan.outside_scale, donor.outside_scale
    target_mean = (donor_outside[0] - their_mean) / their_spread * spread + mean
    target_spread = donor_outside[1] / their_spread * spread
    return _joined(scan, (scan.image - outside[0]) / outside[1] * target_spread + target_mean)


def blanked(scan: CaseArrays) -> Floats:
    """Return the image with 0, its mean, outside the box; the organ stays as bright as it was."""
    return np.where(scan.inside, scan.image, np.float32(0))


INTERVENTIONS: dict[str, Callable[[CaseArrays, CaseArrays], Floats]] = {
    "outside exchanged": exchanged,
    "outside matched in intensity": matched,
}
BLANKED = "outside blanked"


def _joined(scan: CaseArrays, outside: Floats) -> Floats:
    return np.stack([zscore(channel) for channel in np.where(scan.inside, scan.image, outside)])


def _scale(pixels: Floats) -> tuple[Floats, Floats]:
    mean, spread = pixels.mean(axis=1, dtype=np.float64), pixels.std(axis=1, dtype=np.float64)
    low, wide = (value.astype(np.float32)[:, None, None, None] for value in (mean, np.maximum(spread, LEAST)))
    return low, wide
