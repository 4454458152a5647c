"""Find and read label masks on disk with SimpleITK.

ITK prints the same warning for every file of many a data set. Messages are collected instead and handed
to the caller: none floods the terminal and none is lost.
"""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairseg.io.array_files import ARRAY_READERS, read_array
from fairseg.io.image_checks import READERS, check_image
from fairseg.io.limits import check_voxel_size
from fairseg.io.outputs import IMAGE_ENDINGS, extension_of
from fairseg.io.sentences import counted, listed
from fairseg.io.voxel_data import Voxels

logger = logging.getLogger(__name__)

EXTENSIONS = IMAGE_ENDINGS

# What ITK means, where it does not say it.
_MEANING = {
    "has unexpected scales in sform": "the affine (sform) has another scale than the voxel sizes "
    "(pixdim); the voxel sizes were used as spacing"
}
_SHEARED = (
    " (its affine is sheared; to read it with the voxel sizes of pixdim, set the environment variable "
    "ITK_NIFTI_SFORM_PERMISSIVE=1, or save it again with an affine without shear)"
)

_PROBABILITIES = (".npy", ".npz")  # what may hold them

# Grids may differ by rounding (NIfTI stores float32) without a word, and by as much as programs differ that
# write headers with a note: each voxel is still that voxel of the other grid.
_SPACING_RTOL = 1e-4
_ROUNDING = {"origin": 1e-3, "direction": 1e-4}
_NOTED = {"origin": 0.05, "direction": 0.002}  # of a voxel along its shortest side; of each number
_MOST_HEADERS = 64  # that are remembered
_SLACK = 1e-5  # in which a number that is stored as float32 may stand for the limit


@dataclass(frozen=True)
class Mask:
    """A mask as read from a file.

    Attributes:
        voxels: (*S), the axes as SimpleITK gives them to NumPy: z, y, x.
        spacing: voxel size in mm along the axes of `voxels`.
        grid: size, spacing, origin and direction in ITK's order (x, y, z).
        messages: what ITK had to say about the file.
        unit: of `spacing`: "mm", or "px" where the file states no size and a voxel counts as 1.
    """

    voxels: npt.NDArray[Any]
    spacing: tuple[float, ...]
    grid: dict[str, tuple[float, ...]]
    messages: tuple[str, ...]
    unit: str = "mm"


@cache
def _collector() -> Any:
    """Return the class that takes ITK's messages instead of the terminal."""
    import SimpleITK as sitk  # noqa: PLC0415  (slow, and a report on a table of scores reads no image)

    class Collector(sitk.LoggerBase):
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.messages: list[str] = []

        def DisplayText(self, t: str) -> None:  # noqa: N802
            self.messages.append(t)

        DisplayErrorText = DisplayWarningText = DisplayGenericOutputText = DisplayText

        def DisplayDebugText(self, t: str) -> None:  # noqa: N802
            """Leave ITK's debugging out."""

    return Collector


@contextmanager
def itk_messages() -> Iterator[list[str]]:
    """Collect what ITK says meanwhile, in place of printing it."""
    collector = _collector()()
    before = collector.SetAsGlobalITKLogger()
    try:
        yield collector.messages
    finally:
        before.SetAsGlobalITKLogger()


@contextmanager
def _native_messages(listen: bool) -> Iterator[list[str]]:
    """Collect what the C libraries below ITK (libpng, MetaIO) write to the terminal themselves."""
    lines: list[str] = []
    if not listen:
        yield lines
        return
    try:
        terminal = os.dup(2)
    except OSError:  # it was closed, as by 2>&-
        yield lines
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            file.seek(0)
            lines += file.read().decode(errors="replace").splitlines()


def find_masks(folder: Path, argument: str) -> dict[str, Path]:
    """Return case name -> file for the images of a folder; the name is the file's without extension.

    An array of NumPy beside another image of its case is left out, which is logged: nnU-Net writes
    probabilities so. Without any image, a folder is a case whose structures have a file each; see
    `fairseg.io.structure_files`.

    Raises:
        ValueError: it is no folder, holds no image, or has two files of one case.
    """
    try:
        with os.scandir(folder) as unsorted:
            entries = sorted(unsorted, key=lambda entry: entry.name)
    except OSError as error:
        raise ValueError(f"{argument} must be a folder of masks, got {folder}: {error.strerror}") from None
    files: dict[str, list[Path]] = {}
    for entry in entries:
        try:
            entry.name.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"{argument} has a file whose name is not UTF-8: {entry.path!a}") from None
        extension = extension_of(entry.name)
        if extension is None or entry.name.startswith(".") or not entry.is_file():
            continue
        files.setdefault(entry.name[: -len(extension)], []).append(folder / entry.name)
    masks: dict[str, Path] = {}
    left_out: list[str] = []
    for case, paths in files.items():
        used = paths
        if len(paths) > 1:
            used = [path for path in paths if path.suffix.lower() not in _PROBABILITIES] or paths
        if len(used) > 1:
            raise ValueError(f"case {case} has two files: {used[0]} and {used[1]}")
        left_out += [path.name for path in paths if path not in used]
        masks[case] = used[0]
    if left_out:
        logger.warning(
            "%s: %s beside an image of the same case left out, as probabilities: %s",
            *(folder, counted(len(left_out), "array"), listed(left_out)),
        )
    masks = masks or {entry.name: Path(entry) for entry in entries if is_structure_folder(Path(entry))}
    if not masks and any(entry.name.lower().endswith(".dcm") for entry in entries):
        raise ValueError(
            f"{argument} must be converted, got DICOM in {folder}: segimage2itkimage of dcmqi makes a file a "
            "segment, in a folder a case, which is read"
        )
    if not masks:
        raise ValueError(f"{argument} has no image ({', '.join(EXTENSIONS)}): {folder}")
    return masks


def is_structure_folder(path: Path) -> bool:
    """Whether a path is a folder of a case, with a file for each structure."""
    return not path.name.startswith(".") and path.is_dir() and bool(structure_files(path))


def structure_files(case: Path) -> dict[str, Path]:
    """Return structure -> file of a case's folder, or of `segmentations` in it (TotalSegmentator's way)."""
    inner = case / "segmentations"
    files: dict[str, Path] = {}
    for path in sorted((inner if inner.is_dir() else case).iterdir()):
        end = extension_of(path.name)
        if end is not None and path.is_file() and not path.name.startswith("."):
            files[path.name[: -len(end)]] = path
    return files


def read_mask(path: Path) -> Mask:
    """Read one mask.

    Raises:
        ValueError: the file is no image, is truncated or damaged, has more voxels than are read (see
            `fairseg.io.limits`), several channels, or is not 2D or 3D; it names the file.
    """
    return _read(path, channels=1)


def read_channels(path: Path, number: int) -> list[Mask]:
    """Read an image of several channels in one file, such as a colour PNG: as `read_mask`, one for each."""
    image = _read(path, channels=number)
    return [replace(image, voxels=np.ascontiguousarray(image.voxels[..., n])) for n in range(number)]


def read_picture(path: Path) -> Mask:
    """Read an image with as many channels as it has, (*S) or (*S, channels); else as `read_mask`."""
    return _read(path, channels=None)


def _read(path: Path, *, channels: int | None) -> Mask:
    """Read an image of so many channels, (*S), or (*S, channels) if there are several."""
    if path.suffix.lower() in ARRAY_READERS:
        if channels in (1, None):
            return plain_mask(*read_array(path), path)
        raise ValueError(f"{path} must be a file for each of the {channels} channels, or one PNG in colour")
    checked = check_image(path)
    voxels, reason = None, ""
    messages: list[str] = []

    def execute() -> Voxels:
        from SimpleITK import GetArrayFromImage  # noqa: PLC0415

        with itk_messages() as raw:
            array = GetArrayFromImage(_reader(path).Execute())
        messages.extend(_tidy(message, path) for message in raw)
        return array

    with _native_messages(listen=READERS[path.suffix.lower()] != "NiftiImageIO") as native:
        try:
            header = _header(path, checked.header)
            _check_channels(path, header.channels, channels)
            _check_dimension(path, header.size)
            voxels = checked.voxels(header.size[::-1], execute)
        except RuntimeError as error:
            reason = _reason(error, path)
    if voxels is None:
        raise ValueError(f"{path} cannot be read as an image: {'; '.join([*native, reason])}")
    spacing = header.spacing[::-1]
    check_voxel_size(spacing, str(path))
    grid = {name: getattr(header, name) for name in ("size", "spacing", "origin", "direction")}
    notes = dict.fromkeys([*header.messages, *messages, *(_tidy(line, path) for line in native)])
    return Mask(voxels, spacing, grid, tuple(notes), _unit(path, spacing))


class _Header(NamedTuple):
    """What ITK says of an image without its voxels, axes in its order (x, y, z)."""

    channels: int
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    messages: tuple[str, ...]


_headers: dict[tuple[bytes, str | None], _Header] = {}


def _header(path: Path, content: bytes | None) -> _Header:
    """Return what ITK says of a header; asked once for equal ones, as a case's two masks mostly have.

    Raises:
        RuntimeError: ITK cannot read it.
    """
    # The variable makes ITK accept affines that it refuses otherwise.
    key = None if content is None else (content, os.environ.get("ITK_NIFTI_SFORM_PERMISSIVE"))
    if key is not None and key in _headers:
        return _headers[key]
    reader = _reader(path)
    with itk_messages() as messages:
        reader.ReadImageInformation()
    header = _Header(
        reader.GetNumberOfComponents(),
        reader.GetSize(),
        reader.GetSpacing(),
        reader.GetOrigin(),
        reader.GetDirection(),
        tuple(dict.fromkeys(_tidy(message, path) for message in messages)),
    )
    if key is not None:
        if len(_headers) >= _MOST_HEADERS:
            _headers.clear()
        _headers[key] = header
    return header


def _reader(path: Path) -> Any:
    """Return ITK's reader of an image file."""
    import SimpleITK as sitk  # noqa: PLC0415

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(READERS[path.suffix.lower()])
    return reader


def _check_channels(path: Path, number: int, expected: int | None) -> None:
    if expected == 1 and number != 1:
        raise ValueError(
            f"{path} must have one channel, got {number} (a colour image? save the labels as grey values)"
        )
    if expected not in (number, None):
        raise ValueError(f"{path} must have the {expected} channels of dataset.json, got {number}")


def _unit(path: Path, spacing: tuple[float, ...]) -> str:
    """Return the unit of a spacing as ITK reads it: a PNG has a size only where ITK itself wrote one."""
    return "px" if path.suffix.lower() == ".png" and set(spacing) == {1.0} else "mm"


def plain_mask(
    voxels: npt.NDArray[Any], messages: tuple[str, ...], path: Path, spacing: tuple[float, ...] | None = None
) -> Mask:
    """Return the mask of an array that lies nowhere in particular; without a spacing a voxel is 1 px."""
    _check_dimension(path, voxels.shape[::-1])
    size = spacing or (1.0,) * voxels.ndim
    check_voxel_size(size, str(path))
    grid = {
        "size": voxels.shape[::-1],
        "spacing": size[::-1],
        "origin": (0.0,) * voxels.ndim,
        "direction": tuple(np.eye(voxels.ndim).ravel().tolist()),
    }
    return Mask(voxels, size, grid, messages, "px" if set(size) == {1.0} else "mm")


def _check_dimension(path: Path, size: tuple[int, ...]) -> None:
    if len(size) not in (2, 3):
        raise ValueError(f"{path} must be 2D or 3D, got {len(size)}D of size {_short(size)} (a time series?)")


def read_grid(path: Path) -> tuple[tuple[int, ...], tuple[float, ...], str]:
    """Return size, spacing and its unit (see `Mask`) of an image, from its header; `check_image` it first.

    Both are in the order of arrays.

    Raises:
        ValueError: ITK cannot read it; it is named.
    """
    if path.suffix.lower() in ARRAY_READERS:
        mask = read_mask(path)
        return mask.voxels.shape, mask.spacing, mask.unit
    try:
        header = _header(path, None)
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read as an image: {_reason(error, path)}") from None
    spacing = header.spacing[::-1]
    check_voxel_size(spacing, str(path))
    return header.size[::-1], spacing, _unit(path, spacing)


def check_same_grid(
    prediction: Mask, reference: Mask, names: tuple[str, str] = ("the prediction", "the reference")
) -> tuple[str, ...]:
    """Raise a ValueError that says what differs unless both lie on one grid.

    Origins may lie 0.05 of a voxel apart, along its shortest side, and each number of the directions 0.002.

    Returns:
        A note if origin or direction differ by more than rounding.
    """
    noted = []
    for name, expected in reference.grid.items():
        actual = prediction.grid[name]
        if actual == expected:
            continue
        same_length = len(actual) == len(expected)
        if same_length and name in _NOTED:
            difference = float(np.abs(np.subtract(actual, expected)).max())
            difference /= min(reference.spacing) if name == "origin" else 1.0
            if difference <= _NOTED[name] + _SLACK:
                noted += [name] if difference > _ROUNDING[name] else []
                continue
        if same_length and name == "spacing" and np.allclose(actual, expected, _SPACING_RTOL, 0.0):
            continue
        if name == "spacing" and prediction.unit != reference.unit:
            sizeless = names[0] if prediction.unit == "px" else names[1]
            advice = f" (the file of {sizeless} states no pixel size: --spacing, or spacing=, gives it)"
        else:
            advice = _advice(prediction, reference)
        raise ValueError(
            f"{names[0]} lies on another grid than {names[1]}: {name} "
            f"{_short(actual)} instead of {_short(expected)}{advice}"
        )
    if not noted:
        return ()
    differ = f"the {' and the '.join(noted)} of {names[0]} and of {names[1]} differ a little"
    return (f"{differ} (origins by up to 0.05 of a voxel, directions by up to 0.002): taken as one grid",)


def _advice(mask: Mask, reference: Mask) -> str:
    """Return what brings a mask onto the grid of another."""
    same_size = mask.grid["size"] == reference.grid["size"]
    plain = plain_mask(mask.voxels, (), Path()).grid
    if same_size and mask.grid == plain:
        return " (it states no place: was it saved without its header? CopyInformation takes the other's)"
    if mask.unit == reference.unit == "mm" and len(mask.grid["size"]) == len(reference.grid["size"]):
        return " (sitk.Resample of one onto the other, with sitk.sitkNearestNeighbor, brings both onto one)"
    return ""


def _short(numbers: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{number:g}" for number in numbers) + ")"


def _tidy(message: str, path: Path) -> str:
    """Return what an ITK message says, without the source line, the address and the file's name."""
    text = _without_addresses(message.replace(str(path), ""))
    return _MEANING.get(text, text)


@lru_cache(maxsize=256)
def _without_addresses(message: str) -> str:
    text = " ".join(line for line in message.splitlines() if not line.startswith("WARNING: In "))
    return re.sub(r"\w+ \(0x[0-9a-f]+\):\s*", "", text).strip()


def _reason(error: RuntimeError, path: Path) -> str:
    text = str(error).strip().splitlines()[-1]
    text = re.sub(r"^(sitk::|ITK )?ERROR: |\w+\(0x[0-9a-f]+\): ", "", text)
    text = re.sub(r"\w+\(0x[0-9a-f]+\): ", "", text).replace(f'"{path}"', "it").replace(str(path), "it")
    if "PixelType" in text:
        advice = "fairseg.io.label_files.read_labels takes grey with transparency"
        return f"its pixels are not one number each; {advice}"
    return text + (_SHEARED if "orthonormal" in text else "")
