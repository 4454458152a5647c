"""What ITK keeps to itself about a NIfTI file: that it is cut short, damaged, or holds what is no number.

ITK fills the missing part of a truncated file with whatever lies in memory, takes voxel sizes of 0 or
NaN for 1 mm, turns NaN and infinity among the voxels into 0, and asks no checksum. All without a word.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_GZIP = b"\x1f\x8b"
_FLOATS = {16: "f4", 64: "f8"}  # NIfTI's codes of the types that can hold NaN
_START = 4096  # bytes of a file that are read to find its header


class _Header(NamedTuple):
    order: str
    kind: int
    voxels: int
    bits: int
    sizes: tuple[float, ...]
    start: int

    @property
    def needed(self) -> int:
        """Bytes that the file must have, unpacked."""
        return self.start + self.voxels * self.bits // 8


def check_nifti(path: Path, voxels: npt.NDArray[Any]) -> None:
    """Compare a NIfTI file with what its header and its checksum promise.

    Args:
        path: the file, gzipped or not.
        voxels: the array that ITK read from it.

    Raises:
        ValueError: the file is truncated or damaged, a voxel size is not positive, or a voxel is NaN or
            infinite; the message names the file.
    """
    with path.open("rb") as file:
        begin = file.read(_START)
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        trailer = file.read(8)
    packed = begin.startswith(_GZIP)
    try:
        unpacked = zlib.decompressobj(31).decompress(begin, _START) if packed else begin
        header = _parse(unpacked)
    except (zlib.error, struct.error):
        raise ValueError(f"{path} is truncated or damaged: it has no whole header") from None
    if not all(math.isfinite(size) and size > 0 for size in header.sizes):
        raise ValueError(f"{path} must have a spacing of positive numbers, got pixdim {header.sizes}")
    if packed and header.kind not in _FLOATS and _checksum_fits(header, unpacked, voxels, trailer):
        return
    if packed or header.kind in _FLOATS:
        content = _unpack(path)
        size = len(content)
    if size < header.needed:
        raise ValueError(f"{path} is truncated: it has {size} bytes unpacked and needs {header.needed}")
    if header.kind in _FLOATS:
        kind = header.order + _FLOATS[header.kind]
        if not np.isfinite(np.frombuffer(content, kind, header.voxels, header.start)).all():
            raise ValueError(f"{path} must be finite everywhere, got NaN or infinity")


def _parse(begin: bytes) -> _Header:
    """Read the fields that matter; NIfTI-1 has a header of 348 bytes, NIfTI-2 of 540, either order."""
    for order in "<>":
        (length,) = struct.unpack_from(order + "i", begin)
        if length == 348:
            dim = struct.unpack_from(order + "8h", begin, 40)
            kind, bits = struct.unpack_from(order + "2h", begin, 70)
            pixdim = struct.unpack_from(order + "8f", begin, 76)
            start = int(struct.unpack_from(order + "f", begin, 108)[0])
        elif length == 540:
            dim = struct.unpack_from(order + "8q", begin, 16)
            kind, bits = struct.unpack_from(order + "2h", begin, 12)
            pixdim = struct.unpack_from(order + "8d", begin, 104)
            (start,) = struct.unpack_from(order + "q", begin, 168)
        else:
            continue
        # ITK drops axes of length 1 at the end, and what is said about their size.
        axes = max(1, *(axis for axis in range(1, dim[0] + 1) if dim[axis] > 1 or axis <= 3), 1)
        voxels = math.prod(max(1, length) for length in dim[1 : dim[0] + 1])
        return _Header(order, kind, voxels, bits, pixdim[1 : min(axes, dim[0]) + 1], start)
    raise struct.error


def _checksum_fits(header: _Header, unpacked: bytes, voxels: npt.NDArray[Any], trailer: bytes) -> bool:
    """Say whether header and voxels are all that was packed, bit by bit; False may also mean "unsure".

    gzip ends with the checksum and the size of what it packed. The voxels need not be unpacked again to
    compare: ITK has done it. Only what it had to convert, or what follows the image, makes unsure.
    """
    if header.start > len(unpacked):
        return False
    checksum = zlib.crc32(np.ascontiguousarray(voxels).data, zlib.crc32(unpacked[: header.start]))
    return struct.unpack("<2I", trailer) == (checksum, header.needed % 2**32)


def _unpack(path: Path) -> bytes:
    """Return the whole content of a file."""
    content = path.read_bytes()
    try:
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from None
