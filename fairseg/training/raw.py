"""nnU-Net's raw layout: the cases of a dataset, their files, and the names of the labels."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairseg.io.images import find_masks
from fairseg.io.json_files import read_json
from fairseg.io.sentences import brief, counted, listed
from fairseg.metrics.masks import check_ignore
from fairseg.scoring.labels import Codes, read_dataset_labels, values_of
from fairseg.scoring.voxel_sizes import VoxelSizes

_COARSER = 1.5  # times the first axis's spacing, from which on another axis is the one across slices


@dataclass(frozen=True)
class RawDataset:
    """One part of a dataset on disk, that to train on or that to test on."""

    folder: Path  # with dataset.json, and imagesTr and labelsTr or imagesTs and labelsTs
    channels: tuple[str, ...]  # names of the channels, such as ("cine MRI",)
    structures: dict[str, Codes]  # name -> values of the masks that it is made of, without background
    images: dict[str, tuple[Path, ...]]  # case -> one file a channel
    masks: dict[str, Path]  # case -> file
    ignore: int | None = None  # value of the masks that counts for nothing
    # For regions, which are unions of labels: the label of each, painted one over the other.
    order: tuple[int, ...] | None = None
    sizes: VoxelSizes = field(default_factory=VoxelSizes)  # of images and masks whose files state none

    @property
    def labels(self) -> dict[str, int | list[int]]:
        """The structures as dataset.json has them."""
        return {name: codes[0] if len(codes) == 1 else list(codes) for name, codes in self.structures.items()}

    @property
    def values(self) -> list[int]:
        """The values of the masks, 1 to L."""
        return sorted(values_of(self.structures))

    @property
    def mask_folder(self) -> Path:
        """The folder of the masks."""
        return next(iter(self.masks.values())).parent

    def only(self, cases: Collection[str]) -> "RawDataset":
        """Return the dataset with these cases alone."""
        names = [name for name in self.images if name in set(cases)]
        return replace(
            self,
            images={name: self.images[name] for name in names},
            masks={name: self.masks[name] for name in names},
        )


def read_raw(folder: str | Path, part: Literal["Tr", "Ts"] = "Tr") -> RawDataset:
    """Find the files of a dataset in nnU-Net v2's raw layout: those to train on, or those to test on.

    Raises:
        ValueError: a file or folder is not there, labels are not 1 to L, regions can't be painted, an image
            has no mask or a mask no image; the message names them.
    """
    root = Path(folder)
    file = root / "dataset.json"
    channels = read_channel_names(root)
    declared = read_dataset_labels(root)
    ignore = None if declared is None else declared.ignore
    if declared is not None and ignore is not None:
        try:
            check_ignore(ignore, list(declared.structures.values()))
        except ValueError as error:
            raise ValueError(f"{declared.file}: {error}") from None
    named = {} if declared is None else declared.structures
    structures = {str(name): codes for name, codes in named.items()}
    values = values_of(structures)
    if values != set(range(1, len(values) + 1)) or not values:
        raise ValueError(
            f"{file}: labels must be 1, 2, 3, ..., as nnU-Net asks too, got {structures}: number the values"
            " anew, in the masks as well (docs/training.md shows how)"
        )
    order = None
    if any(len(codes) > 1 for codes in structures.values()):
        order = _check_order(read_json(file).get("regions_class_order"), structures, file)
    else:
        structures = dict(sorted(structures.items(), key=lambda item: item[1]))
    image_folder, mask_folder = root / f"images{part}", root / f"labels{part}"
    images = find_images(image_folder, len(channels))
    masks = find_masks(mask_folder, mask_folder.name)
    if without := sorted(images.keys() - masks.keys()):
        raise ValueError(f"{mask_folder} has no mask for {listed(without)}")
    if without := sorted(masks.keys() - images.keys()):
        raise ValueError(f"{image_folder} has no image for {listed(without)}")
    return RawDataset(root, channels, structures, images, masks, ignore, order)


def slice_axis(spacing: npt.ArrayLike) -> int:
    """Return the axis across slices, of arrays as read (z, y, x): the first, unless another is far coarser.

    >>> slice_axis([8.0, 1.5, 1.5]), slice_axis([1.0, 6.0, 1.0]), slice_axis([5.0, 6.0, 3.0])
    (0, 1, 0)
    """
    sizes = np.asarray(spacing, dtype=np.float64)
    return 0 if sizes.max() <= _COARSER * sizes[0] else int(sizes.argmax())


def read_channel_names(root: Path) -> tuple[str, ...]:
    """Return the names of the channels of a dataset in nnU-Net's raw layout.

    Raises:
        ValueError: there is no dataset.json that says them.
    """
    file = root / "dataset.json"
    if not file.exists():
        raise ValueError(
            f"{root} must be a dataset in nnU-Net's raw layout, with dataset.json, imagesTr and labelsTr:"
            f" {file.name} is not there"
        )
    content = read_json(file)
    names = content.get("channel_names") if isinstance(content, dict) else None
    if not isinstance(names, dict):
        received = "none" if names is None else brief(names)
        if isinstance(content, dict) and "modality" in content:
            received += (
                ' but "modality", as of the Decathlon and nnU-Net v1, which nnUNetv2_convert_MSD_dataset or'
                " nnUNetv2_convert_old_nnUNet_dataset converts"
            )
        expected = '"channel_names" as nnU-Net writes them, number and name of each'
        raise ValueError(f"{file} must hold {expected}, got {received}")
    return tuple(map(str, names.values()))


def _check_order(order: Any, structures: Mapping[str, Codes], file: Path) -> tuple[int, ...]:
    """Return the label that each structure is painted with; nnU-Net paints them in their order in the file.

    Raises:
        ValueError: there is not one for each, or a perfect mask would not come back as it is.
    """
    key = f'{file}: "regions_class_order"'
    if not isinstance(order, list) or [type(value) for value in order] != [int] * len(structures):
        raise ValueError(
            f"{key} must have, for regions, the label that each of {listed(structures)} is painted with, "
            f"{counted(len(structures), 'integer')}, got {order}"
        )
    of_value: dict[int, list[str]] = defaultdict(list)
    for (name, codes), painted in zip(structures.items(), order, strict=True):
        if painted not in codes:
            raise ValueError(f"{key} must paint {name!r} with one of its labels, {codes}, got {painted}")
        for value in codes:
            of_value[value].append(name)
    painted_with = dict(zip(structures, order, strict=True))
    for value, names in sorted(of_value.items()):
        visible = painted_with[names[-1]]  # the last is painted over the others
        if of_value[visible] != names:
            raise ValueError(
                f"{key} must keep every label in its regions: {value} is of {listed(names)}, and painted in "
                f"this order it becomes {visible}, which is of {listed(of_value[visible])}; name what lies "
                "within another after it, and an overlap of two as a structure of its own, after both"
            )
    return tuple(order)


def plain_labels(raw: RawDataset, user: str) -> dict[str, int]:
    """Return the labels as name -> value, for a user that takes no ignored voxels and no regions.

    Raises:
        ValueError: the dataset has an ignore label, or regions.
    """
    file = raw.folder / "dataset.json"
    if raw.ignore is not None:
        raise ValueError(f"{file}: {user} does not take an ignore label, got {raw.ignore}")
    if raw.order is not None:
        raise ValueError(f"{file}: {user} does not take regions, got {raw.labels}")
    return {name: codes[0] for name, codes in raw.structures.items()}


@dataclass(frozen=True)
class CaseImages:
    """Images by case and channel, and the names of files that are not CASE_0000 or the like."""

    by_case: dict[str, dict[int, Path]]
    misnamed: list[str]


def images_of_cases(files: Mapping[str, Path]) -> CaseImages:
    """Sort files of images, as from `find_masks`, by their case and channel."""
    by_case: dict[str, dict[int, Path]] = defaultdict(dict)
    misnamed = []
    for name, path in files.items():
        case, _, channel = name.rpartition("_")
        if case and len(channel) == 4 and channel.isdecimal():
            by_case[case][int(channel)] = path
        else:
            misnamed.append(path.name)
    return CaseImages(dict(sorted(by_case.items())), misnamed)


def find_images(folder: Path, num_channels: int) -> dict[str, tuple[Path, ...]]:
    """Return case -> its files, one a channel, of a folder with CASE_0000, CASE_0001, ...

    With three channels and CASE_0000 alone, as nnU-Net has colour images, that file is each of them.

    Raises:
        ValueError: the folder is none, or a case has another number of channels.
    """
    images = images_of_cases(find_masks(folder, "images"))
    if images.misnamed:
        raise ValueError(
            f"{folder}: images must be named CASE_0000 and so on by channel, got {listed(images.misnamed)}"
        )
    for case, files in images.by_case.items():
        if num_channels == 3 and list(files) == [0]:
            files |= {1: files[0], 2: files[0]}
        if sorted(files) != list(range(num_channels)):
            expected = f"{counted(num_channels, 'channel')}, 0000 to {num_channels - 1:04d}"
            received = ", ".join(f"{channel:04d}" for channel in sorted(files))
            raise ValueError(f"{folder}: case {case} must have {expected}, got {received}")
    return {case: tuple(files[n] for n in range(num_channels)) for case, files in images.by_case.items()}
