"""What a header claims of the voxels behind it, compared with the bytes that are there.

Readers allocate what a header claims, fill what they can, and leave the rest as memory was; some ask no
checksum. So claims are compared with the file before a reader sees it, and what was packed is unpacked here
too, to the last byte and its checksum.
"""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairseg.io.limits import limits

codec: Any = zlib
try:
    from isal import isal_zlib

    codec = isal_zlib  # the same as zlib, five times as fast; it has no wheels for some processors
except ImportError:
    pass

Voxels = npt.NDArray[Any]
MOST_PACKED = 1032  # deflate packs no more bytes than that into one
MOST_HEADER = 1 << 20  # bytes of a header in text
_CHUNK = 1 << 20
_MOST_CLASSES = 128  # of an axis that may be one of classes


@dataclass(frozen=True)
class Claim:
    """What a header says.

    Attributes:
        path: of the header.
        size: voxels along each axis.
        channels: numbers of a voxel.
        number_bytes: bytes of each.
        packing: "deflate" (zlib's or gzip's), "none", or "text" (numbers as words).
        file: where the voxels lie: `path`, or a file beside it.
        start: the first byte of the voxels in `file`.
        exact: nothing follows the voxels.
        swapped: the bytes of a voxel lie the other way round than in memory.
    """

    path: Path
    size: tuple[int, ...]
    channels: int
    number_bytes: int
    packing: Literal["deflate", "none", "text"]
    file: Path
    start: int
    exact: bool = True
    swapped: bool = False

    @property
    def needed(self) -> int:
        """Bytes of all voxels."""
        return math.prod(self.size) * self.channels * self.number_bytes

    def check(self) -> None:
        """Raise a ValueError unless the file can hold what it claims, and may."""
        check_size(self.path, self.size)
        if self.file != self.path:
            self._check_detached()
        there = self.file.stat().st_size - self.start
        if self.packing == "deflate":
            if self.needed > max(there, 0) * MOST_PACKED:
                raise damaged(self.path, f"it has {there} bytes of voxels, which cannot hold {self.needed}")
        elif self.packing == "text":
            words = len(self.file.read_bytes()[self.start :].split())
            if words * self.number_bytes != self.needed:
                expected = self.needed // self.number_bytes
                raise damaged(self.path, f"it has {words} numbers and must have {expected}")
        elif there < self.needed or (self.exact and there > self.needed):
            raise damaged(self.path, f"it has {there} bytes of voxels and must have {self.needed}")

    def voxels(self, _: tuple[int, ...], read: Callable[[], Voxels]) -> Voxels:
        """Return what a reader finds, or raise a ValueError unless it is what is packed in the file."""
        voxels = read()
        if self.packing != "deflate":
            return voxels
        checksum, length = 0, 0
        try:
            for part in inflate(self.file, self.start, self.needed):
                checksum, length = zlib.crc32(part, checksum), length + len(part)
        except (zlib.error, EOFError) as error:
            raise damaged(self.path, error) from None
        if length != self.needed:
            raise damaged(self.path, f"it has {length} bytes of voxels and must have {self.needed}")
        native = voxels.byteswap() if self.swapped else voxels
        if zlib.crc32(np.ascontiguousarray(native).data) != checksum:
            raise damaged(self.path, "it was read as something else than it holds")
        return voxels

    def _check_detached(self) -> None:
        inside = self.file.parent.resolve() == self.path.parent.resolve() and not self.file.is_symlink()
        if not limits().detached or not inside:
            advice = "" if inside else ", and not in its own folder"
            raise ValueError(
                f"{self.path} must hold its voxels itself: they are in another file{advice}"
                + (" (--detached reads them)" if inside else "")
            )
        if not self.file.is_file():
            raise damaged(self.path, f"{self.file.name} is not there")


def damaged(path: Path, reason: object) -> ValueError:
    """Return the error of a file that is not what it claims."""
    return ValueError(f"{path} is truncated or damaged: {reason}")


def check_size(path: Path, size: tuple[int, ...]) -> None:
    """Raise a ValueError unless an image has axes of one voxel at least, and no more voxels than allowed."""
    if not size or min(size) < 1:
        raise damaged(path, f"its size is {size}")
    if (voxels := math.prod(size)) > limits().max_voxels:
        raise ValueError(
            f"{path} has {voxels} voxels, more than the {limits().max_voxels} that are read: --max-voxels"
        )


def inflate(path: Path, start: int, most: int) -> Iterator[bytes]:
    """Yield what is packed in a file with zlib or gzip, of one or several members, in parts.

    Args:
        path: of the file.
        start: its first packed byte.
        most: bytes that there may be; what is more stops it, however much it would be.

    Raises:
        zlib.error: the data are damaged, or there are more.
        EOFError: they end too early.
    """
    length = 0
    with path.open("rb") as file:
        file.seek(start)
        waiting = file.read(_CHUNK)
        while True:
            member = codec.decompressobj(47)  # either kind
            while not member.eof:
                try:
                    part = member.decompress(waiting, _CHUNK)
                except codec.error as error:
                    raise zlib.error(str(error)) from None
                length += len(part)
                if length > most:
                    raise zlib.error(f"it unpacks to more than the {most} bytes that its header claims")
                yield part
                waiting = member.unconsumed_tail or file.read(_CHUNK) if not member.eof else b""
                if not member.eof and not waiting and not part:
                    raise EOFError("its packed data end too early")
            waiting = member.unused_data or file.read(_CHUNK)
            if not waiting.strip(b"\0"):
                return


def header_lines(content: bytes) -> list[tuple[str, int]]:
    """Return the lines of a header in text, each with the place of the byte after it."""
    lines, start = [], 0
    while (end := content.find(b"\n", start)) >= 0:
        lines.append((content[start:end].decode("latin-1").rstrip("\r"), end + 1))
        start = end + 1
    return lines


def integers(path: Path, name: str, text: str) -> tuple[int, ...]:
    """Return the integers of a header's field, or raise a ValueError that names file and field."""
    try:
        return tuple(int(word) for word in text.split()[:16])
    except ValueError:
        raise damaged(path, f"{name} is {text[:60]!r}") from None


def is_one_hot(voxels: npt.NDArray[Any]) -> bool:
    """Whether an axis is one of classes: 1 in one of them everywhere, else 0.

    Looked at are the first axis, the second of four and more, and the last, where they are short as classes
    are; and only arrays of 64 pixels and more, in which no mask of labels is like that by chance.

    >>> labels = np.arange(64).reshape(8, 8) % 3
    >>> is_one_hot(np.eye(3)[labels]), is_one_hot(labels[None])
    (True, False)
    """
    for axis, line in lines_of_classes(voxels.shape):
        if voxels[line].sum() != 1:  # nearly every mask ends here, since corners are background
            continue
        if set(np.unique(voxels)) == {0, 1} and bool((voxels.sum(axis=axis, dtype=np.int64) == 1).all()):
            return True
    return False


def lines_of_classes(shape: Sequence[int]) -> list[tuple[int, tuple[int | slice, ...]]]:
    """Return the axes of an array that may be one of classes, and where its first corner lies along each."""
    ndim, size = len(shape), math.prod(shape)
    axes = () if ndim < 3 else sorted({0, 2} if ndim == 3 else {0, 1, ndim - 1})
    return [
        (axis, tuple(slice(None) if one == axis else 0 for one in range(ndim)))
        for axis in axes
        if 1 < shape[axis] <= _MOST_CLASSES and size >= 64 * shape[axis]
    ]
