"""Read the files of every case: can they be used, what do they hold, are they on one grid?"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fairseg.io.images import Mask, check_same_grid
from fairseg.io.label_files import read_image_files, read_labels, with_spacing
from fairseg.metrics.masks import as_mask, labels_in
from fairseg.scoring.labels import LabelMap
from fairseg.scoring.smoothed import smoothed_values

IMAGE = "image"  # role of a file that is no mask; its channels are "image 0000" and so on


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case: role ("reference", "prediction", "image 0000" ...) -> file; masks come first.

    `channels` is the number of channels in an image file, of which the first is read.
    """

    case: str
    files: Mapping[str, Path]
    part: str = ""
    channels: int = 1


@dataclass(frozen=True)
class FileFacts:
    """The contents of one file.

    Attributes:
        case: its case.
        part: of the dataset that it is in, such as "training"; "" where folders do not state it.
        role: "reference", "prediction" or "image" with its channel.
        file: its path.
        size: voxels along the axes of the array (z, y, x).
        spacing: voxel size along these axes.
        unit: "mm", or "px" where the file states no size.
        labels: of a mask, the values that occur.
        digest: of the voxels; "" where there is nothing to compare: an empty mask, a constant image.
        messages: those of the readers.
        error: why it cannot be used; "" if it can.
        other_grid: how its grid differs from that of the case's first file; "" if it does not.
    """

    case: str
    part: str
    role: str
    file: Path
    size: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    unit: str = "mm"
    labels: tuple[int, ...] = ()
    digest: str = ""
    messages: tuple[str, ...] = ()
    error: str = ""
    other_grid: str = ""

    @property
    def is_mask(self) -> bool:
        """Whether it holds labels."""
        return not self.role.startswith(IMAGE)


def look_into(case: CaseFiles, names: LabelMap, spacing: Sequence[float] | None = None) -> list[FileFacts]:
    """Read all files of a case; those that cannot be used have an `error`."""
    files: list[FileFacts] = []
    first: tuple[Mask, str] | None = None
    for role, file in case.files.items():
        facts = FileFacts(case.case, case.part, role, file)
        try:
            codes = names.prediction if role == "prediction" else names.reference
            mask = read_labels(file, codes) if facts.is_mask else read_image_files([file] * case.channels)[0]
            image = with_spacing(mask, spacing)
            contents = _contents(image, facts.is_mask, codes)
        except (ValueError, OSError) as error:
            files.append(replace(facts, error=str(error)))
            continue
        other_grid = ""
        messages: tuple[str, ...] = ()
        if first is None:
            first = image, role
        else:
            try:
                messages = check_same_grid(image, first[0], names=(f"the {role}", f"the {first[1]}"))
            except ValueError as error:
                other_grid = str(error)
        facts = replace(facts, size=image.voxels.shape, spacing=image.spacing, unit=image.unit, **contents)
        files.append(replace(facts, messages=(*image.messages, *messages), other_grid=other_grid))
    return files


def _contents(image: Mask, is_mask: bool, codes: Mapping[Any, tuple[int, ...]]) -> dict[str, Any]:
    """Return the label values and digest of voxels; a mask that was smoothed raises a ValueError."""
    voxels, values = image.voxels, ()
    if is_mask:
        mask = as_mask(voxels, "mask")
        values = tuple(labels_in(mask).tolist())
        if smoothed := smoothed_values(mask, values, codes):
            raise ValueError(smoothed)
        voxels = mask.astype(np.min_scalar_type(int(mask.max())))
    if voxels.min() == voxels.max():
        return {"labels": values}
    digest = hashlib.blake2b(f"{voxels.shape} {voxels.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(voxels).data)
    return {"labels": values, "digest": digest.hexdigest()}
