"""nnU-Net's raw layout: which cases there are, which files each has, what the labels are called."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fairseg.io.images import find_masks
from fairseg.io.json_files import read_json
from fairseg.io.sentences import counted, listed
from fairseg.metrics.masks import check_ignore
from fairseg.scoring.labels import read_dataset_labels


@dataclass(frozen=True)
class RawDataset:
    """One part of a dataset on disk, that to train on or that to test on."""

    folder: Path  # with dataset.json, and imagesTr and labelsTr or imagesTs and labelsTs
    channels: tuple[str, ...]  # names of the channels, such as ("cine MRI",)
    labels: dict[str, int]  # name -> value, 1 to L, without background
    images: dict[str, tuple[Path, ...]]  # case -> one file a channel
    masks: dict[str, Path]  # case -> file
    ignore: int | None = None  # value of the masks that counts for nothing

    @property
    def mask_folder(self) -> Path:
        """Where the masks lie."""
        return next(iter(self.masks.values())).parent

    def only(self, cases: Collection[str]) -> "RawDataset":
        """Return the dataset with these cases alone."""
        kept = [name for name in self.images if name in set(cases)]
        return replace(
            self,
            images={name: self.images[name] for name in kept},
            masks={name: self.masks[name] for name in kept},
        )


def read_raw(folder: str | Path, part: Literal["Tr", "Ts"] = "Tr") -> RawDataset:
    """Find the files of a dataset in nnU-Net v2's raw layout: those to train on, or those to test on.

    Raises:
        ValueError: a file or folder is not there, labels are not 1 to L, an image has no mask or a mask
            no image; the message names them.
    """
    root = Path(folder)
    file = root / "dataset.json"
    try:
        channels = tuple(map(str, read_json(file)["channel_names"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f'{file} must hold "channel_names" as nnU-Net writes them: {error!r}') from None
    about = read_dataset_labels(root)
    ignore = None if about is None else about.ignore
    if about is not None and ignore is not None:
        try:
            check_ignore(ignore, list(about.structures.values()))
        except ValueError as error:
            raise ValueError(f"{about.file}: {error}") from None
    labels = {} if about is None else about.plain
    if sorted(labels.values()) != list(range(1, len(labels) + 1)) or not labels:
        raise ValueError(f"{file}: labels must be 1, 2, 3, ..., got {labels}")
    image_folder, mask_folder = root / f"images{part}", root / f"labels{part}"
    images = find_images(image_folder, len(channels))
    masks = find_masks(mask_folder, mask_folder.name)
    if without := sorted(images.keys() - masks.keys()):
        raise ValueError(f"{mask_folder} has no mask for {listed(without)}")
    if without := sorted(masks.keys() - images.keys()):
        raise ValueError(f"{image_folder} has no image for {listed(without)}")
    labels = dict(sorted(labels.items(), key=lambda item: item[1]))
    return RawDataset(root, channels, labels, images, masks, ignore)


def refuse_ignore(raw: RawDataset, what: str) -> None:
    """Raise a ValueError where a dataset has an ignore label, for what would take it for a structure."""
    if raw.ignore is not None:
        raise ValueError(
            f"{raw.folder / 'dataset.json'}: {what} does not take an ignore label, got {raw.ignore}"
        )


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

    Raises:
        ValueError: the folder is none, or a case has another number of channels.
    """
    found = images_of_cases(find_masks(folder, "images"))
    if found.misnamed:
        raise ValueError(
            f"{folder}: images must be named CASE_0000 and so on by channel, got {listed(found.misnamed)}"
        )
    for case, files in found.by_case.items():
        if sorted(files) != list(range(num_channels)):
            expected = f"{counted(num_channels, 'channel')}, 0000 to {num_channels - 1:04d}"
            got = ", ".join(f"{channel:04d}" for channel in sorted(files))
            raise ValueError(f"{folder}: case {case} must have {expected}, got {got}")
    return {case: tuple(files[n] for n in range(num_channels)) for case, files in found.by_case.items()}
