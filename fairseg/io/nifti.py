"""The voxels of a NIfTI file, and what ITK keeps to itself about it: that it is cut short, or damaged.

ITK fills the missing part of a truncated file with whatever lies in memory, takes voxel sizes of 0 or
NaN for 1 mm, turns NaN and infinity among the voxels into 0, and asks no checksum. All without a word.
So voxels that are plain numbers are taken from the file here, which is also quicker; where they lie is ITK's
to say, and what it converts (colours, scaled values) it reads.
"""

import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairseg.io.voxel_data import MOST_PACKED, Voxels, check_size, damaged, inflate

_GZIP = b"\x1f\x8b"
_FLOATS = {16: "f4", 64: "f8"}  # NIfTI's codes of the types that can hold NaN
_NUMBERS = {**{2: "u1", 4: "i2", 8: "i4", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}, **_FLOATS}
_BITS = {
    **dict.fromkeys((2, 256), 8),
    **dict.fromkeys((4, 512), 16),
    **dict.fromkeys((8, 16, 768), 32),
    **dict.fromkeys((64, 1024, 1280, 32), 64),
    **{128: 24, 2304: 32},  # colours
}
_LENGTH, _LENGTH_2 = 348, 540  # bytes of the header in NIfTI-1 and NIfTI-2
_MAGIC = b"n+1\0"  # of files that hold header and voxels
# Form and position of: dim, datatype and bitpix, pixdim, vox_offset, slope and intercept, the codes of qform
# and sform, and these themselves.
_FIELDS = (("8h", 40), ("2h", 70), ("8f", 76), ("f", 108), ("2f", 112), ("2h", 252), ("18f", 256))
_WORDS = (slice(4, 32), slice(148, 252), slice(328, 344))  # what stands there says nothing of the image
_START = 4096  # bytes of a file that are read to find its header
_TRAILING = 1 << 20  # bytes that some writers leave behind the voxels


class NiftiHeader(NamedTuple):
    """The fields that matter here.

    `scaled` voxels are read as other numbers than the file holds. `content` are the header's bytes without
    its words: where they are equal, images are of one kind and lie on one grid.
    """

    order: str
    kind: int
    size: tuple[int, ...]
    bits: int
    spacing: tuple[float, ...]
    start: int
    packed: bool
    scaled: bool
    content: bytes

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return math.prod(self.size)

    @property
    def needed(self) -> int:
        """Bytes that the file must have, unpacked."""
        return self.start + self.voxels * self.bits // 8


def read_nifti_header(path: Path) -> NiftiHeader:
    """Read the header of a NIfTI file, gzipped or not, and compare it with the file's size.

    Raises:
        ValueError: the header is no whole one, or says what cannot be; the message names the file.
    """
    with path.open("rb") as file:
        begin = file.read(_START)
        length = file.seek(0, 2)
    packed = begin.startswith(_GZIP)
    try:
        unpacked = zlib.decompressobj(31).decompress(begin, _START) if packed else begin
        header = _parse(path, unpacked, packed)
    except (zlib.error, struct.error):
        raise damaged(path, "it has no whole header") from None
    if not all(math.isfinite(size) and size > 0 for size in header.spacing):
        raise ValueError(f"{path} must have a spacing of positive numbers, got pixdim {header.spacing}")
    check_size(path, header.size)
    if packed and header.needed > length * MOST_PACKED:
        raise damaged(path, f"{length} bytes cannot hold {header.needed}")
    if not packed and length != header.needed:
        raise damaged(path, f"it has {length} bytes and its header claims {header.needed}")
    return header


def nifti_voxels(
    path: Path, header: NiftiHeader, shape: tuple[int, ...], read: Callable[[], Voxels]
) -> Voxels:
    """Return the voxels of a NIfTI file that is what its header and its checksum promise.

    Args:
        path: the file, gzipped or not.
        header: of it.
        shape: of the image, in the order of arrays.
        read: what ITK makes of the file, asked only where that is not what the file holds.

    Raises:
        ValueError: the file is truncated or damaged, or a voxel is NaN or infinite; the message names it.
    """
    content = _unpack(path, header) if header.packed else path.read_bytes()
    if len(content) < header.needed:
        raise ValueError(
            f"{path} is truncated: it has {len(content)} bytes unpacked and needs {header.needed}"
        )
    if header.kind not in _NUMBERS:
        return read()
    kind = np.dtype(header.order + _NUMBERS[header.kind])
    voxels = np.frombuffer(content, kind, header.voxels, header.start)
    if header.kind in _FLOATS and not np.isfinite(voxels).all():
        raise ValueError(f"{path} must be finite everywhere, got NaN or infinity")
    if header.scaled or math.prod(shape) != header.voxels:
        return read()
    return voxels.astype(kind.newbyteorder("=")).reshape(shape)


def _parse(path: Path, begin: bytes, packed: bool) -> NiftiHeader:
    """Read the fields that matter, in either order of bytes."""
    for order in "<>":
        (length,) = struct.unpack_from(order + "i", begin)
        if length == _LENGTH_2:
            raise ValueError(
                f"{path} is NIfTI-2, which is not read: save it as NIfTI-1 (nibabel's Nifti1Image.from_image)"
            )
        if length != _LENGTH:
            continue
        dim, (kind, bits), pixdim, (start,), scale, codes, transforms = (
            struct.unpack_from(order + form, begin, at) for form, at in _FIELDS
        )
        magic = begin[_LENGTH - 4 : _LENGTH]
        if magic[:3] == b"ni1":
            raise damaged(path, "its voxels lie in another file, .img, which is not read")
        if magic != _MAGIC:
            raise damaged(path, f"its magic is {magic!r} in place of {_MAGIC!r}")
        if not math.isfinite(start) or start != int(start) or start < length + 4:
            raise damaged(path, f"its voxels cannot begin at byte {start:g} (vox_offset)")
        if not 1 <= dim[0] <= 7:
            raise damaged(path, f"it has {dim[0]} axes")
        if _BITS.get(kind) != bits:
            raise damaged(path, f"a voxel of datatype {kind} has {_BITS.get(kind)} bits, not {bits}")
        # Of the two ways to say where voxels lie, those count that have a code.
        for code, form, numbers in zip(
            codes, ("qform", "sform"), (transforms[:6], transforms[6:]), strict=True
        ):
            if code > 0 and not all(map(math.isfinite, numbers)):
                raise damaged(path, f"its {form}, which says where it lies, holds what is no number")
        # ITK drops axes of length 1 at the end, and what is said about their size.
        axes = max(1, *(axis for axis in range(1, dim[0] + 1) if dim[axis] > 1 or axis <= 3), 1)
        spacing = tuple(map(float, pixdim[1 : min(axes, dim[0]) + 1]))
        size = tuple(int(length) or 1 for length in dim[1 : dim[0] + 1])
        scaled = scale not in ((0.0, 0.0), (1.0, 0.0))  # a slope of 0 is none
        content = bytearray(begin[:length])
        for words in _WORDS:
            content[words] = bytes(words.stop - words.start)
        return NiftiHeader(order, kind, size, bits, spacing, int(start), packed, scaled, bytes(content))
    raise struct.error


def _unpack(path: Path, header: NiftiHeader) -> bytes:
    """Return the whole content of a packed file."""
    try:
        return b"".join(inflate(path, 0, header.needed + _TRAILING))
    except (EOFError, zlib.error) as error:
        raise damaged(path, error) from None
