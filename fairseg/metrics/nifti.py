"""What ITK keeps to itself about a NIfTI file: that it is cut short, or holds what is no number.

ITK fills the missing part of a truncated file with whatever lies in memory, takes voxel sizes of 0 or
NaN for 1 mm, and turns NaN and infinity among the voxels into 0. All without a word.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

_FLOATS = {"16": "f4", "64": "f8"}  # NIfTI's codes of the types that can hold NaN


def check_nifti(path: Path, image: sitk.Image) -> None:
    """Compare a NIfTI file with what its header promises.

    Args:
        path: the file, gzipped or not.
        image: the same file as ITK read it; its metadata is the header.

    Raises:
        ValueError: the file is truncated, a voxel size is not positive, or a voxel is NaN or infinite.
    """
    sizes = [float(image.GetMetaData(f"pixdim[{axis}]")) for axis in range(1, image.GetDimension() + 1)]
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        raise ValueError(f"{path} must have positive voxel sizes, got pixdim {tuple(sizes)}")
    axes = range(1, int(image.GetMetaData("dim[0]")) + 1)
    voxels = math.prod(max(1, int(image.GetMetaData(f"dim[{axis}]"))) for axis in axes)
    start = int(float(image.GetMetaData("vox_offset")))
    needed = start + voxels * int(image.GetMetaData("bitpix")) // 8
    found = _size_unpacked(path, needed)
    if found < needed:
        raise ValueError(f"{path} is truncated: it has {found} bytes unpacked and needs {needed}")
    kind = _FLOATS.get(image.GetMetaData("datatype"))
    if kind is not None and not _all_finite(path, kind, voxels, start):
        raise ValueError(f"{path} must hold integer labels, got NaN or infinity")


def _size_unpacked(path: Path, needed: int) -> int:
    """Return how many bytes a file has unpacked (0 if it can not be unpacked to its end)."""
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return path.stat().st_size
        # gzip ends with its unpacked size. A cut file ends with other bytes; only then, or where
        # something follows the image, does it have to be unpacked to know.
        file.seek(-4, 2)
        if struct.unpack("<I", file.read(4))[0] == needed % 2**32:
            return needed
    size = 0
    try:
        with gzip.open(path) as unpacked:
            while part := unpacked.read(1 << 20):
                size += len(part)
    except (EOFError, OSError, zlib.error):
        return 0
    return size


def _all_finite(path: Path, kind: str, voxels: int, start: int) -> bool:
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    order = "<" if struct.unpack("<i", content[:4])[0] in (348, 540) else ">"  # the header's own size
    return bool(np.isfinite(np.frombuffer(content, order + kind, voxels, start)).all())
