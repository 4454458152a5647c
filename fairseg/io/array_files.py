"""Read arrays whose files state no position in space: NumPy's .npy and .npz, and TIFF.

No pickle is ever loaded. A TIFF has no checksum: its damage is noticed if the chain of its pages or the bytes
of one do not fit the file, or if its packing cannot be unpacked. A .npz has a checksum, a .npy only its size.
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

from fairseg.io.voxel_data import MOST_PACKED, check_size, damaged

Voxels = npt.NDArray[Any]

_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, RuntimeError)
_NPY_HEADERS: dict[Any, Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_array(path: Path) -> tuple[Voxels, tuple[str, ...]]:
    """Return the array of a file, with its axes as they are there, and messages on it.

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
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # takes no memory for what it claims
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is truncated or damaged, or no array of numbers: {error}") from None
    if not isinstance(mapped, np.memmap):
        raise ValueError(f"{path} must be an array as numpy.save writes it: it is another archive")
    check_size(path, mapped.shape)
    size = path.stat().st_size - mapped.offset
    if size != mapped.nbytes:
        raise damaged(path, f"it has {size} bytes of voxels and must have {mapped.nbytes}")
    return np.array(mapped), ()


def _read_npz(path: Path) -> tuple[Voxels, tuple[str, ...]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) == 1:
                return _read_member(path, archive, members[0]), ()
    except (*_BROKEN_ZIP, OSError) as error:
        raise damaged(path, error) from None
    names = ", ".join(member.filename.removesuffix(".npy") for member in members) or "none"
    raise ValueError(f"{path} must hold one array, got {names}: save the mask alone")


def _read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Voxels:
    """Return the array of an archive; its header must fit the size of the file before memory is taken."""
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
        size = member.file_size - file.tell()
        if size != needed or needed > max(member.compress_size, 1) * MOST_PACKED:
            raise EOFError(f"it has {size} bytes of voxels and must have {needed}")
        content = file.read()  # to the end, where zip compares the checksum
    return np.frombuffer(content, kind).reshape(shape, order="F" if fortran else "C")


def _read_tiff(path: Path) -> tuple[Voxels, tuple[str, ...]]:
    import tifffile  # noqa: PLC0415  (only where a file is a TIFF)

    _check_pages(path)
    try:
        with _collecting_log(logging.getLogger("tifffile")) as logged, tifffile.TiffFile(path) as file:
            if len(file.series) != 1:
                raise ValueError(f"it holds {len(file.series)} images of different kinds")
            (series,) = file.series
            check_size(path, series.shape)
            _check_strips(series, path.stat().st_size)
            voxels, axes = series.asarray(), series.axes
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(path)) else f"{path} cannot be read: {text}") from None
    except Exception as error:  # its many decoders raise anything
        raise damaged(path, error) from None
    check_size(path, voxels.shape)  # it can differ from the claimed one
    messages = tuple(dict.fromkeys(logged))
    if not axes.endswith("S"):
        return voxels, messages
    colours = voxels[..., :3] if voxels.shape[-1] >= 3 else voxels[..., :1]  # without transparency
    if not (colours == colours[..., :1]).all():
        raise ValueError(f"{path} must hold grey values or indices of a palette as labels, got colours")
    return np.ascontiguousarray(colours[..., 0]), (*messages, "its equal channels were read as one")


@contextmanager
def _collecting_log(logger: logging.Logger) -> Iterator[list[str]]:
    """Collect what a library logs in the block, instead of showing it in the terminal."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(" ".join(record.getMessage().split()))

    handler, before = Keep(logging.WARNING), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield lines
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
            raise damaged(path, "it is no TIFF")
        offset, count = (struct.Struct(f"{order}{code}") for code in ("QQ" if big else "IH"))
        file.seek(8 if big else 4)
        visited: set[int] = set()
        while True:
            content = file.read(offset.size)
            page = offset.unpack(content)[0] if len(content) == offset.size else -1
            if page == 0 and visited:
                return
            if not 0 < page < length or page in visited:
                raise damaged(path, "it ends before its last page")
            visited.add(page)
            file.seek(page)
            content = file.read(count.size)
            entries = count.unpack(content)[0] if len(content) == count.size else length
            file.seek(page + len(content) + min(entries, length) * (20 if big else 12))


def _check_strips(series: Any, length: int) -> None:
    """Raise a ValueError unless the voxels of every page lie within the file."""
    if series.dataoffset is not None and series.dataoffset + series.nbytes > length:
        raise ValueError("it is truncated or damaged: its voxels reach beyond its end")
    for page in series.pages:
        strips = zip(page.dataoffsets, page.databytecounts, strict=False) if page is not None else ()
        if any(not start or not size or start + size > length for start, size in strips):
            raise ValueError("it is truncated or damaged: voxels of a page are not in it")


ARRAY_READERS: dict[str, Callable[[Path], tuple[Voxels, tuple[str, ...]]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
}
