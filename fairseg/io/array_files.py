"""Read arrays whose files say nothing of where they lie: NumPy's .npy and .npz, and TIFF.

No pickle is ever loaded. A TIFF has no checksum: what is told of its damage is that the chain of its pages
or the bytes of one do not fit the file, and what its packing cannot unpack. A .npz has a checksum, and a .npy
only its size.
"""

import logging
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.io.voxel_data import MOST_PACKED, check_size

Voxels = npt.NDArray[Any]

_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, RuntimeError)
_NPY_HEADERS: dict[Any, Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_array(path: Path) -> tuple[Voxels, tuple[str, ...]]:
    """Return the array of a file, its axes as they lie there, and what is to be said of it.

    A TIFF's colours must be equal, and become one channel; its palette is left out, its indices are kept.

    Raises:
        ValueError: the file is damaged, holds several arrays or Python objects, has more voxels than are
            read, or its colours differ; it is named.
    """
    try:
        return ARRAY_READERS[path.suffix.lower()](path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None


def _read_npy(path: Path) -> tuple[Voxels, tuple[str, ...]]:
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # which takes no memory for what it claims
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is truncated or damaged, or no array of numbers: {error}") from None
    if not isinstance(mapped, np.memmap):
        raise ValueError(f"{path} must be an array as numpy.save writes it: it is another archive")
    check_size(path, mapped.shape)
    there = path.stat().st_size - mapped.offset
    if there != mapped.nbytes:
        raise ValueError(
            f"{path} is truncated or damaged: it has {there} bytes of voxels and must have {mapped.nbytes}"
        )
    return np.array(mapped), ()


def _read_npz(path: Path) -> tuple[Voxels, tuple[str, ...]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) == 1:
                return _read_member(path, archive, members[0]), ()
    except (*_BROKEN_ZIP, OSError) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from None
    names = ", ".join(member.filename.removesuffix(".npy") for member in members) or "none"
    raise ValueError(f"{path} must hold one array, got {names}: save the mask alone")


def _read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Voxels:
    """Return the array of an archive; its header is compared with what is there before memory is taken."""
    with archive.open(member) as file:
        try:
            read = _NPY_HEADERS[np.lib.format.read_magic(file)]
            shape, fortran, kind = read(file)
        except ValueError as error:
            raise EOFError(str(error)) from None
        if kind.hasobject:
            raise ValueError(f"{path} must hold numbers, got Python objects")
        check_size(path, shape)
        needed = math.prod(shape) * kind.itemsize
        there = member.file_size - file.tell()
        if there != needed or needed > max(member.compress_size, 1) * MOST_PACKED:
            raise EOFError(f"it has {there} bytes of voxels and must have {needed}")
        content = file.read()  # to the end, where zip compares the checksum
    return np.frombuffer(content, kind).reshape(shape, order="F" if fortran else "C")


def _read_tiff(path: Path) -> tuple[Voxels, tuple[str, ...]]:
    import tifffile  # noqa: PLC0415  (only where a file is a TIFF)

    _check_pages(path)
    try:
        with _heard(logging.getLogger("tifffile")) as heard, tifffile.TiffFile(path) as file:
            if len(file.series) != 1:
                raise ValueError(f"it holds {len(file.series)} images of different kinds")
            (series,) = file.series
            check_size(path, series.shape)
            _check_strips(series, path.stat().st_size)
            voxels, axes = series.asarray(), series.axes
    except ValueError as error:
        said = str(error)
        raise ValueError(said if said.startswith(str(path)) else f"{path} cannot be read: {said}") from None
    except Exception as error:  # whatever its many decoders raise
        raise ValueError(f"{path} is truncated or damaged: {error}") from None
    check_size(path, voxels.shape)  # which can be another than was claimed
    messages = tuple(dict.fromkeys(heard))
    if not axes.endswith("S"):
        return voxels, messages
    colours = voxels[..., :3] if voxels.shape[-1] >= 3 else voxels[..., :1]  # without transparency
    if not (colours == colours[..., :1]).all():
        raise ValueError(f"{path} must hold grey values or indices of a palette as labels, got colours")
    return np.ascontiguousarray(colours[..., 0]), (*messages, "its equal channels were read as one")


@contextmanager
def _heard(logger: logging.Logger) -> Iterator[list[str]]:
    """Collect what a library logs meanwhile, in place of letting it onto the terminal."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(" ".join(record.getMessage().split()))

    handler, before = Keep(logging.WARNING), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.propagate = before
        logger.removeHandler(handler)


def _check_pages(path: Path) -> None:
    """Raise a ValueError unless the chain of a TIFF's pages ends, within the file."""
    length = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(start[:2], "")
        big = {42: False, 43: True}.get(struct.unpack(f"{order or '<'}H", start[2:4].ljust(2, b"\0"))[0])
        if not order or big is None:
            raise ValueError(f"{path} is truncated or damaged: it is no TIFF")
        place, many, entry = (f"{order}Q", f"{order}Q", 20) if big else (f"{order}I", f"{order}H", 12)
        file.seek(8 if big else 4)
        seen: set[int] = set()
        while True:
            content = file.read(struct.calcsize(place))
            page = struct.unpack(place, content)[0] if len(content) == struct.calcsize(place) else -1
            if page == 0 and seen:
                return
            if not 0 < page < length or page in seen:
                raise ValueError(f"{path} is truncated or damaged: it ends before its last page")
            seen.add(page)
            file.seek(page)
            number = file.read(struct.calcsize(many))
            entries = struct.unpack(many, number)[0] if len(number) == struct.calcsize(many) else length
            file.seek(page + len(number) + min(entries, length) * entry)


def _check_strips(series: Any, length: int) -> None:
    """Raise a ValueError unless the voxels of every page lie within the file."""
    if series.dataoffset is not None and series.dataoffset + series.nbytes > length:
        raise ValueError("it is truncated or damaged: its voxels reach beyond its end")
    for page in series.pages:
        places = list(zip(page.dataoffsets, page.databytecounts, strict=False)) if page is not None else []
        if any(not start or not size or start + size > length for start, size in places):
            raise ValueError("it is truncated or damaged: voxels of a page are not in it")


ARRAY_READERS: dict[str, Callable[[Path], tuple[Voxels, tuple[str, ...]]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
}
