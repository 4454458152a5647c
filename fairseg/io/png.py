"""The size that a PNG claims, and its checksums, one a chunk."""

import struct
import zlib
from pathlib import Path

from fairseg.io.voxel_data import MOST_PACKED, check_size, damaged

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def check_png(path: Path) -> None:
    """Raise a ValueError unless all chunks of a PNG are whole, down to its end."""
    content = memoryview(path.read_bytes())
    position, packed, kind, width, height = len(_SIGNATURE), 0, b"", 0, 0
    if bytes(content[:position]) != _SIGNATURE:
        raise damaged(path, "it is no PNG")
    while kind != b"IEND":
        if position + 12 > len(content):
            raise damaged(path, "it ends before its end")
        (length,) = struct.unpack_from(">I", content, position)
        kind = bytes(content[position + 4 : position + 8])
        end = position + 8 + length
        if end + 4 > len(content):
            raise damaged(path, "it ends before its end")
        if zlib.crc32(content[position + 4 : end]) != struct.unpack_from(">I", content, end)[0]:
            raise damaged(path, f"the checksum of its part {kind!r} does not fit")
        if kind == b"IHDR" and length >= 8:
            width, height = struct.unpack_from(">2I", content, position + 8)
            check_size(path, (width, height))
        packed += length if kind == b"IDAT" else 0
        position = end + 4
    if position != len(content):
        raise damaged(path, f"it has {len(content) - position} bytes behind its end")
    if width * height // 8 > packed * MOST_PACKED:
        raise damaged(path, f"{packed} bytes cannot hold {width} x {height}")
