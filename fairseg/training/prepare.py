"""From image files to arrays to train on, and from predictions back to the files' own grid.

nnU-Net's recipe for 2D: slices across the coarsest axis, z-score of each case and channel, one pixel size in
plane. Arrays lie in a folder as plain .npy files that training maps into memory piece by piece, so memory
does not grow with the number of cases.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch
import torch.nn.functional as F
from skimage.transform import resize
from tqdm.auto import tqdm

from fairseg.crop import Box
from fairseg.io.files import new_file, write_files
from fairseg.io.image_checks import check_image
from fairseg.io.image_writing import write_image
from fairseg.io.images import Mask, check_same_grid
from fairseg.io.json_files import read_object
from fairseg.io.label_files import (
    read_image_files,
    read_image_grid,
    read_labels,
    spacing_of_axes,
    with_spacing,
)
from fairseg.io.outputs import check_writable
from fairseg.io.parallel import run_all
from fairseg.io.sentences import counted, times
from fairseg.scoring.labels import Codes, values_of
from fairseg.training.raw import RawDataset, slice_axis
from fairseg.training.regions import label_map

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

MASKS = "masks"  # the name of predictions in manifests
IGNORED = 255  # in prepared masks, whatever value it has in the files

_LARGEST_SLICE = 100_000_000  # pixels
_SAME = 1e-3  # relative difference of spacings that needs no resampling


@dataclass(frozen=True)
class SlicePlan:
    """The common form of a dataset's cases: slices across one axis, of one pixel size."""

    axis: int  # of the arrays as read (z, y, x), across which slices lie
    spacing: tuple[float, float]  # mm in plane after resampling
    shape: tuple[int, int]  # median size of a slice after resampling, pixels
    unit: str = "mm"  # of the spacing; "px" where files state no size, and a pixel counts as 1

    def slices(self, voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array as read with the axis across slices first; of one in 2D, its only slice."""
        return voxels[None] if voxels.ndim == 2 else np.moveaxis(voxels, self.axis, 0)

    def size_of(self, mask: Mask) -> tuple[int, int]:
        """Return the size of a slice of an image or mask as read after resampling, pixels.

        Raises:
            ValueError: its spacing has another unit.
        """
        if mask.unit != self.unit:
            raise ValueError(
                "the image states no pixel size, and the network was trained on sizes in mm: say spacing"
                if mask.unit == "px"
                else "the image has a pixel size in mm, and the network was trained on pixels of unknown size"
            )
        spacing = np.array(mask.spacing)
        in_plane = spacing if spacing.size == 2 else np.delete(spacing, self.axis)
        return _resampled_size(self.slices(mask.voxels).shape[1:], in_plane, self.spacing)


@dataclass(frozen=True)
class Case:
    """A prepared case on disk."""

    name: str  # of the case
    folder: Path  # where its arrays lie
    shape: tuple[int, int, int]  # slices, y, x
    box: Box | None  # around all foreground, in plane; `None` if there is none
    slices: dict[int, list[int]]  # label value -> numbers of the slices that show it
    annotated: list[int]  # numbers of the slices of which not everything is ignored
    digest: str  # of both arrays, to tell them from others of the same name

    def image(self) -> Floats:
        """Return the image (C, Z, Y, X), float32, mapped into memory."""
        array: Floats = self._load("image")
        return array

    def mask(self) -> Labels:
        """Return the mask (Z, Y, X), uint8, mapped into memory."""
        array: Labels = self._load("mask")
        return array

    def _load(self, kind: str) -> Any:
        file = self.folder / f"{self.name}.{kind}.npy"
        try:
            return np.load(file, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(
                f"{file} is gone or damaged, delete {self.folder} to make it again: {error}"
            ) from None


def make_plan(raw: RawDataset, spacing: tuple[float, float] | None = None) -> SlicePlan:
    """Read the headers of all images and choose axis, pixel size (by default the median) and median shape.

    Raises:
        ValueError: an image cannot be read; some are in 2D, some in 3D; or some state a size and some none.
    """
    grids = []
    of_unit: dict[str, Path] = {}
    for name, (first, *_) in raw.images.items():
        check_image(first)
        size, stated, unit = read_image_grid(first)
        of_table = raw.sizes[name]
        if unit == "px" and of_table is not None:
            try:
                stated, unit = spacing_of_axes(of_table, len(size)), "mm"
            except ValueError as error:
                raise ValueError(f"case {name}: {error}") from None
        grids.append((np.array(size), np.array(stated)))
        of_unit.setdefault(unit, first)
    if len({len(size) for size, _ in grids}) > 1:
        raise ValueError(f"{raw.folder / 'imagesTr'} must hold images all in 2D or all in 3D, got both")
    if len(of_unit) > 1:
        raise ValueError(
            f"images must all state a pixel size or none, {of_unit['mm'].name} does and {of_unit['px'].name} "
            "does not: say spacing"
        )
    median = np.median([spacing for _, spacing in grids], axis=0)
    axis = 0 if len(median) == 2 else slice_axis(median)
    across = [axis] if len(median) == 3 else []
    y, x = np.delete(median, across) if spacing is None else spacing
    shapes = [
        _resampled_size(np.delete(size, across), np.delete(before, across), (y, x)) for size, before in grids
    ]
    height, width = np.median(shapes, axis=0)
    return SlicePlan(axis, (float(y), float(x)), (int(height), int(width)), *of_unit)


def prepare(
    raw: RawDataset, plan: SlicePlan, folder: Path, *, workers: int = 1, progress: bool = False
) -> dict[str, Case]:
    """Return the cases of a dataset by name; prepare those that are not prepared in the folder already.

    Args:
        raw: the dataset.
        plan: as from `make_plan`.
        folder: for the arrays, in it one for each dataset and plan; several trainings can share it.
        workers: processes.
        progress: show a bar on stderr if it is a terminal.

    Raises:
        ValueError: a file cannot be read, an image is not finite, a mask lies on another grid than its
            image or holds a value that dataset.json does not name; the message names the case.
        RuntimeError: an array cannot be written, as on a full disk.
    """
    check_writable(folder)
    sizes = {name: raw.sizes[name] for name in sorted(raw.images)}
    identity = json.dumps([str(raw.folder.resolve()), plan.axis, plan.spacing, sizes])
    folder = folder / hashlib.blake2b(identity.encode(), digest_size=6).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    values = [*raw.values, *([] if raw.ignore is None else [raw.ignore])]
    sources = {name: _fingerprint(raw, name, values) for name, files in raw.images.items()}
    todo = [name for name, source in sources.items() if not _is_prepared(folder, name, source, raw.values)]
    options = (plan, raw.structures, raw.ignore, folder)
    jobs = [(name, raw.images[name], raw.masks[name], sizes[name], *options) for name in todo]
    reader_messages: Counter[str] = Counter()
    bar = tqdm(total=len(jobs), desc="preparing", unit="case", disable=None if progress else True)
    with bar, closing(run_all(_prepare_case, jobs, workers)) as results:
        for name, (description, messages) in zip(todo, results, strict=True):
            description["source"] = sources[name]
            write_files(folder, {f"{name}.json": json.dumps(description)})
            reader_messages.update(messages)
            bar.update()
    log_messages(reader_messages)
    return {name: _case(folder, name) for name in sources}


def log_messages(messages: Counter[str]) -> None:
    """Log the messages of the image reader, each once."""
    for message, number in messages.items():
        logger.warning("image reader: %s (%s)", message, counted(number, "file"))


def read_case(
    files: Sequence[Path], plan: SlicePlan, spacing: Sequence[float] | None = None
) -> tuple[Floats, Mask]:
    """Read an image, one file a channel or one for all, and bring it to the form of the plan.

    Where the file states no pixel size it is `spacing`, as in `with_spacing`.

    Returns:
        The image (C, Z, y, x), float32, and its first channel as read, with the grid.
    """
    channels = read_image_files(files)
    stacks = [zscore(plan.slices(channel.voxels).astype(np.float32)) for channel in channels]
    size = plan.size_of(with_spacing(channels[0], spacing))
    return np.stack([_resize(stack, size, order=3) for stack in stacks]), channels[0]


def zscore(image: Floats) -> Floats:
    """Return the image with mean 0 and standard deviation 1; a constant image becomes 0."""
    mean, spread = float(image.mean(dtype=np.float64)), float(image.std(dtype=np.float64))
    return ((image - mean) / max(spread, 1e-8)).astype(np.float32)


def mask_in_plan(mask: Mask, plan: SlicePlan, ignore: int | None = None) -> Labels:
    """Return a mask (Z, y, x) in the form of the plan, with `IGNORED` where it has the value `ignore`."""
    voxels, size = plan.slices(mask.voxels), plan.size_of(mask)
    if ignore is not None:
        voxels = np.where(voxels == ignore, IGNORED, voxels)
    if size == voxels.shape[1:]:
        return voxels.astype(np.uint8)
    result = np.zeros((len(voxels), *size), dtype=np.uint8)
    for value in np.unique(voxels[voxels > 0]).tolist():  # as nnU-Net: each label by itself
        result[_resize((voxels == value).astype(np.float32), size, order=1) >= 0.5] = value
    return result


def foreground_box(mask: Labels) -> Box | None:
    """Return the box around all labels of a mask (Z, y, x), in plane; `None` if there are none."""
    labelled = (mask > 0) & (mask != IGNORED)
    return Box.around(labelled, ndim=2) if labelled.any() else None


def write_prediction(
    logits: torch.Tensor, like: Mask, plan: SlicePlan, path: Path, order: Sequence[int] | None = None
) -> None:
    """Write the mask of logits (see `label_map`) on the exact grid of the image as read, `like`.

    Logits (K, Z, y, x) are in the form of the plan. The file is written whole or not at all.
    """
    size = plan.slices(like.voxels).shape[1:]
    scores = logits.transpose(0, 1).float()
    if tuple(scores.shape[2:]) != size:
        scores = F.interpolate(scores, size=size, mode="bilinear", align_corners=False)
    mask = label_map(scores, order).to(torch.uint8).cpu().numpy()
    voxels = mask[0] if like.voxels.ndim == 2 else np.moveaxis(mask, 0, plan.axis)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    image.SetSpacing(like.grid["spacing"])
    image.SetOrigin(like.grid["origin"])
    image.SetDirection(like.grid["direction"])
    write_image(path, image, MASKS)


def _prepare_case(
    name: str,
    files: Sequence[Path],
    mask_file: Path,
    spacing: tuple[float, ...] | None,
    plan: SlicePlan,
    structures: dict[str, Codes],
    ignore: int | None,
    folder: Path,
) -> tuple[dict[str, Any], list[str]]:
    """Write the arrays of a case; return its description, and the messages of the image reader."""
    try:
        image, like = read_case(files, plan, spacing)
        mask = with_spacing(read_labels(mask_file), spacing)
        notes = check_same_grid(mask, with_spacing(like, spacing), names=("the mask", "the image"))
        _check_labels(mask.voxels, structures, ignore)
    except ValueError as error:
        raise ValueError(f"case {name}: {error}") from None
    target = mask_in_plan(mask, plan, ignore)
    for array, kind in ((image, "image"), (target, "mask")):
        with new_file(folder / f"{name}.{kind}.npy") as temporary:  # another training may prepare the same
            np.save(temporary, array)
    description = _describe(image, target, sorted(values_of(structures)))
    return description, [*like.messages, *mask.messages, *notes]


def _describe(image: npt.NDArray[Any], mask: npt.NDArray[Any], values: Sequence[int]) -> dict[str, Any]:
    """Return the description of a case's arrays, as JSON has it."""
    box = foreground_box(mask)
    slices = {value: np.flatnonzero((mask == value).any(axis=(1, 2))).tolist() for value in values}
    return {
        "digest": _digest(image, mask),
        "shape": list(mask.shape),
        "box": box and [list(box.start), list(box.stop)],
        "slices": {str(value): numbers for value, numbers in slices.items() if numbers},
        "annotated": np.flatnonzero((mask != IGNORED).any(axis=(1, 2))).tolist(),
    }


def _case(folder: Path, name: str) -> Case:
    saved = read_object(folder / f"{name}.json")
    box = saved["box"] and Box(*(tuple(edge) for edge in saved["box"]))
    slices = {int(value): list(numbers) for value, numbers in saved["slices"].items()}
    return Case(name, folder, tuple(saved["shape"]), box, slices, saved["annotated"], saved["digest"])


def _is_prepared(folder: Path, name: str, source: dict[str, Any], values: Sequence[int]) -> bool:
    """Say whether a case is prepared from the same files, and its arrays are as they were written."""
    saved = read_object(folder / f"{name}.json")
    if saved.get("source") != source:
        return False
    try:
        arrays = [np.load(folder / f"{name}.{kind}.npy", mmap_mode="r") for kind in ("image", "mask")]
    except FileNotFoundError:
        return False
    except (OSError, ValueError, EOFError):
        arrays = []
    typed = [one.dtype for one in arrays] == [np.float32, np.uint8]  # the digest is of bytes
    complete = typed and arrays[0].shape[1:] == arrays[1].shape and _digest(*arrays) == saved.get("digest")
    if complete and saved == {**_describe(arrays[0], arrays[1], values), "source": source}:
        return True
    logger.warning("what was prepared of case %s was damaged or changed, and is made again", name)
    return False


def _digest(image: npt.NDArray[Any], mask: npt.NDArray[Any]) -> str:
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8)
    digest.update(np.ascontiguousarray(mask).data)
    return digest.hexdigest()


def _fingerprint(raw: RawDataset, name: str, labels: list[int]) -> dict[str, Any]:
    """Return size and time of the files of a case, with names relative to the dataset."""
    files = [*raw.images[name], raw.masks[name]]
    stats = [
        [file.relative_to(raw.folder).as_posix(), file.stat().st_size, file.stat().st_mtime_ns]
        for file in files
    ]
    return {"files": stats, "labels": labels}


def _check_labels(voxels: npt.NDArray[Any], structures: dict[str, Codes], ignore: int | None) -> None:
    values = values_of(structures)
    if len(values) >= IGNORED:
        raise ValueError(f"a mask may have fewer than {IGNORED} labels, dataset.json names {len(values)}")
    if unknown := sorted(set(np.unique(voxels).tolist()) - {0, ignore, *values}):
        named = ", ".join(f"{'+'.join(map(str, codes))} ({name})" for name, codes in structures.items())
        unexpected = ", ".join(f"{value:g}" for value in unknown[:5])
        raise ValueError(
            f"the mask may hold 0 and the labels of dataset.json, {named}; got {unexpected}: name it there, "
            "or number the values of the masks anew (docs/training.md shows how)"
        )


def _resampled_size(size: npt.ArrayLike, spacing: npt.ArrayLike, target: npt.ArrayLike) -> tuple[int, int]:
    """Return the size of a slice at another spacing; the same if the spacings hardly differ."""
    ratio = np.asarray(spacing) / np.asarray(target)
    ratio = np.where(np.abs(ratio - 1.0) < _SAME, 1.0, ratio)
    height, width = np.maximum(np.round(np.asarray(size) * ratio), 1).tolist()
    if not height * width <= _LARGEST_SLICE:
        raise ValueError(
            f"spacing {times(np.ravel(target))} mm where voxels have {times(np.ravel(spacing))} mm makes "
            f"slices of {height:g} x {width:g} pixels"
        )
    return int(height), int(width)


def _resize(stack: Floats, size: tuple[int, int], order: int) -> Floats:
    if stack.shape[1:] == size:
        return stack
    slices = [
        resize(one, size, order=order, mode="edge", clip=False, anti_aliasing=False)  # type: ignore[no-untyped-call]
        for one in stack
    ]
    return np.stack(slices).astype(np.float32)
