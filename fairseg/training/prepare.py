"""From image files to arrays to train on, and from predictions back to the files' own grid.

nnU-Net's recipe for 2D: slices across the coarsest axis, z-score of each case and channel, one pixel size in
plane. Arrays lie in a folder as plain .npy files that training maps into memory piece by piece, so memory
does not grow with the number of cases.
"""

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
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
from fairseg.io.files import check_writable, write_files
from fairseg.io.images import Mask, check_same_grid, itk_messages, read_mask
from fairseg.io.parallel import run_all
from fairseg.io.sentences import counted
from fairseg.training.raw import RawDataset

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

_COARSER = 1.5  # times the first axis's spacing, from which on another axis is the one across slices
_SAME = 1e-3  # relative difference of spacings that needs no resampling


@dataclass(frozen=True)
class Plan:
    """How all cases of a dataset are brought to one form.

    Attributes:
        axis: of the arrays as read (z, y, x), across which slices lie.
        spacing: mm in plane after resampling.
        shape: median size of a slice after resampling, pixels.
    """

    axis: int
    spacing: tuple[float, float]
    shape: tuple[int, int]


@dataclass(frozen=True)
class Case:
    """A prepared case on disk.

    Attributes:
        name: of the case.
        folder: where its arrays lie.
        shape: slices, y, x.
        box: around all foreground, in plane; `None` if there is none.
        slices: label value -> numbers of the slices that show it.
        digest: of both arrays, to tell them from others of the same name.
    """

    name: str
    folder: Path
    shape: tuple[int, int, int]
    box: Box | None
    slices: dict[int, list[int]]
    digest: str

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
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{file} is gone or damaged, delete {self.folder} to make it again: {error}"
            ) from None


def make_plan(raw: RawDataset, spacing: tuple[float, float] | None = None) -> Plan:
    """Read the headers of all images and choose axis, pixel size (the median) and median shape."""
    grids = [_header(files[0]) for files in raw.images.values()]
    if len({len(size) for size, _ in grids}) > 1:
        raise ValueError(f"{raw.folder / 'imagesTr'} must hold images all in 2D or all in 3D, got both")
    middle = np.median([spacing for _, spacing in grids], axis=0)
    axis = 0 if len(middle) == 2 or middle.max() <= _COARSER * middle[0] else int(middle.argmax())
    across = [axis] if len(middle) == 3 else []
    chosen = np.delete(middle, across) if spacing is None else np.asarray(spacing)
    shapes = [_resampled(np.delete(size, across), np.delete(old, across), chosen) for size, old in grids]
    height, width = np.median(shapes, axis=0)
    return Plan(axis, (float(chosen[0]), float(chosen[1])), (int(height), int(width)))


def prepare(
    raw: RawDataset, plan: Plan, folder: Path, *, workers: int = 1, progress: bool = False
) -> dict[str, Case]:
    """Prepare all cases of a dataset, but for those that lie prepared in the folder already.

    Args:
        raw: the dataset.
        plan: as from `make_plan`.
        folder: for the arrays, in it one for each dataset and plan; several trainings can share it.
        workers: processes.
        progress: show a bar on stderr if it is a terminal.

    Returns:
        The cases by name.

    Raises:
        ValueError: a file cannot be read, an image is not finite, a mask lies on another grid than its
            image or holds a value that dataset.json does not name; the message names the case.
        RuntimeError: an array cannot be written, as on a full disk.
    """
    check_writable(folder)
    form = json.dumps([str(raw.folder.resolve()), plan.axis, plan.spacing])
    folder = folder / hashlib.blake2b(form.encode(), digest_size=6).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    values = list(raw.labels.values())
    records = {name: _fingerprint([*files, raw.masks[name]], values) for name, files in raw.images.items()}
    todo = [name for name, record in records.items() if not _is_prepared(folder, name, record)]
    jobs = [(name, raw.images[name], raw.masks[name], plan, raw.labels, folder) for name in todo]
    said: Counter[str] = Counter()
    bar = tqdm(total=len(jobs), desc="preparing", unit="case", disable=None if progress else True)
    with bar, closing(run_all(_prepare_files, jobs, workers)) as results:
        for name, (about, messages) in zip(todo, results, strict=True):
            about["source"] = records[name]
            write_files(folder, {f"{name}.json": json.dumps(about)})
            said.update(messages)
            bar.update()
    tell_messages(said)
    return {name: _case(folder, name, _record(folder, name)) for name in records}


def tell_messages(said: Counter[str]) -> None:
    """Log what the image reader had to say, each message once."""
    for message, number in said.items():
        logger.warning("image reader: %s (%s)", message, counted(number, "file"))


def read_case(files: Sequence[Path], plan: Plan) -> tuple[Floats, Mask]:
    """Read an image and bring it to the form of the plan.

    Args:
        files: one a channel.
        plan: as from `make_plan`.

    Returns:
        The image (C, Z, y, x), float32, and its first channel as read, with the grid.
    """
    channels = [read_mask(file) for file in files]
    for file, channel in zip(files, channels, strict=True):
        check_same_grid(channel, channels[0], names=(f"channel {file.name}", f"channel {files[0].name}"))
        if not np.isfinite(channel.voxels).all():
            raise ValueError(f"{file} must be finite everywhere, got NaN or infinity")
    spacing = _in_plane(channels[0], plan)
    stacks = [zscore(_slices_first(channel.voxels, plan).astype(np.float32)) for channel in channels]
    size = _resampled(np.array(stacks[0].shape[1:]), spacing, np.array(plan.spacing))
    return np.stack([_resize(stack, size, order=3) for stack in stacks]), channels[0]


def zscore(image: Floats) -> Floats:
    """Return the image with mean 0 and standard deviation 1; a constant image becomes 0."""
    mean, spread = float(image.mean(dtype=np.float64)), float(image.std(dtype=np.float64))
    return ((image - mean) / max(spread, 1e-8)).astype(np.float32)


def write_prediction(logits: torch.Tensor, like: Mask, plan: Plan, path: Path) -> None:
    """Write the mask of the most probable labels, on the exact grid of the image that was read.

    Args:
        logits: (K, Z, y, x), in the form of the plan.
        like: the image as read.
        plan: as from `make_plan`.
        path: of the mask; it is written whole or not at all.
    """
    target = _slices_first(like.voxels, plan).shape[1:]
    scores = logits.transpose(0, 1).float()
    if tuple(scores.shape[2:]) != target:
        scores = F.interpolate(scores, size=target, mode="bilinear", align_corners=False)
    mask = scores.argmax(dim=1).to(torch.uint8).cpu().numpy()
    voxels = mask[0] if like.voxels.ndim == 2 else np.moveaxis(mask, 0, plan.axis)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    image.SetSpacing(like.grid["spacing"])
    image.SetOrigin(like.grid["origin"])
    image.SetDirection(like.grid["direction"])
    temporary = path.with_name(f".part-{path.name}")
    try:
        with itk_messages():
            sitk.WriteImage(image, str(temporary), useCompression=True)
        temporary.replace(path)
    except (RuntimeError, OSError) as error:
        why = getattr(error, "strerror", None) or str(error).strip().splitlines()[-1]
        raise RuntimeError(f"{path} could not be written: {why}") from None
    finally:
        temporary.unlink(missing_ok=True)


def mask_in_plan(mask: Mask, plan: Plan) -> Labels:
    """Return a mask (Z, y, x) in the form of the plan."""
    voxels = _slices_first(mask.voxels, plan)
    size = _resampled(np.array(voxels.shape[1:]), _in_plane(mask, plan), np.array(plan.spacing))
    if tuple(size) == voxels.shape[1:]:
        return voxels.astype(np.uint8)
    result = np.zeros((len(voxels), *size), dtype=np.uint8)
    for value in np.unique(voxels[voxels > 0]).tolist():  # as nnU-Net: each label by itself
        result[_resize((voxels == value).astype(np.float32), size, order=1) >= 0.5] = value
    return result


def _prepare_files(
    name: str, files: Sequence[Path], mask_file: Path, plan: Plan, labels: dict[str, int], folder: Path
) -> tuple[dict[str, Any], list[str]]:
    try:
        image, like = read_case(files, plan)
        mask = read_mask(mask_file)
        check_same_grid(mask, like, names=("the mask", "the image"))
        _check_labels(mask.voxels, labels)
    except ValueError as error:
        raise ValueError(f"case {name}: {error}") from None
    target = mask_in_plan(mask, plan)
    for array, kind in ((image, "image"), (target, "mask")):
        temporary = folder / f".{name}.{kind}.{os.getpid()}.npy"  # another training may prepare the same
        try:
            np.save(temporary, array)
            temporary.replace(folder / f"{name}.{kind}.npy")
        except OSError as error:
            raise RuntimeError(f"{folder / name} could not be prepared: {error.strerror or error}") from None
        finally:
            temporary.unlink(missing_ok=True)
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8)
    digest.update(np.ascontiguousarray(target).data)
    box = Box.around(target, ndim=2) if target.any() else None
    slices = {value: np.flatnonzero((target == value).any(axis=(1, 2))).tolist() for value in labels.values()}
    about = {
        "digest": digest.hexdigest(),
        "shape": list(target.shape),
        "box": None if box is None else [list(box.start), list(box.stop)],
        "slices": {str(value): numbers for value, numbers in slices.items() if numbers},
    }
    return about, [*like.messages, *mask.messages]


def _case(folder: Path, name: str, about: dict[str, Any]) -> Case:
    depth, height, width = about["shape"]
    box = None if about["box"] is None else Box(*(tuple(edge) for edge in about["box"]))
    slices = {int(value): list(numbers) for value, numbers in about["slices"].items()}
    return Case(name, folder, (depth, height, width), box, slices, about["digest"])


def _is_prepared(folder: Path, name: str, source: dict[str, Any]) -> bool:
    there = all((folder / f"{name}.{kind}.npy").exists() for kind in ("image", "mask"))
    return there and _record(folder, name).get("source") == source


def _record(folder: Path, name: str) -> dict[str, Any]:
    try:
        saved: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return saved if isinstance(saved, dict) else {}


def _fingerprint(files: Sequence[Path], labels: list[int]) -> dict[str, Any]:
    stats = [[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return {"files": stats, "labels": labels}


def _check_labels(voxels: npt.NDArray[Any], labels: dict[str, int]) -> None:
    values = np.unique(voxels)
    if strange := sorted(set(values.tolist()) - {0, *labels.values()}):
        known = ", ".join(f"{value} ({name})" for name, value in labels.items())
        got = ", ".join(f"{value:g}" for value in strange[:5])
        raise ValueError(f"the mask may hold 0 and the labels of dataset.json, {known}; got {got}")


def _header(file: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return size and spacing in the order of arrays."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    with itk_messages():
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            raise ValueError(f"{file} cannot be read as an image") from None
    size, spacing = reader.GetSize()[::-1], reader.GetSpacing()[::-1]
    return np.array(size), np.array(spacing)


def _slices_first(voxels: npt.NDArray[Any], plan: Plan) -> npt.NDArray[Any]:
    return voxels[None] if voxels.ndim == 2 else np.moveaxis(voxels, plan.axis, 0)


def _in_plane(mask: Mask, plan: Plan) -> npt.NDArray[np.float64]:
    spacing = np.array(mask.spacing)
    return spacing if spacing.size == 2 else np.delete(spacing, plan.axis)


def _resampled(
    size: npt.NDArray[Any], spacing: npt.NDArray[np.float64], target: npt.NDArray[np.float64]
) -> tuple[int, int]:
    """Return the size of a slice at another spacing; the same if the spacings hardly differ."""
    ratio = np.where(np.abs(spacing / target - 1.0) < _SAME, 1.0, spacing / target)
    height, width = np.maximum(np.round(size * ratio), 1).astype(int).tolist()
    return height, width


def _resize(stack: Floats, size: tuple[int, int], order: int) -> Floats:
    if stack.shape[1:] == size:
        return stack
    slices = [
        resize(one, size, order=order, mode="edge", clip=False, anti_aliasing=False)  # type: ignore[no-untyped-call]
        for one in stack
    ]
    return np.stack(slices).astype(np.float32)


def plan_to_dict(plan: Plan) -> dict[str, Any]:
    """Return plain lists and numbers."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(plan).items()}


def plan_from_dict(saved: dict[str, Any]) -> Plan:
    """Rebuild a plan from `plan_to_dict`."""
    return Plan(saved["axis"], tuple(saved["spacing"]), tuple(saved["shape"]))
