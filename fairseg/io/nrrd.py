"""The claims of the header of an NRRD file. NrrdIO follows it to any data file on the machine."""

import re
import sys
from pathlib import Path

from fairseg.io.voxel_data import MOST_HEADER, Claim, damaged, header_lines, integers

_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), 4),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"), 8),
    **dict.fromkeys(("signed long long int", "ulonglong", "unsigned long long", "uint64", "uint64_t"), 8),
    **dict.fromkeys(("unsigned long long int", "double"), 8),
}
_PACKING = {"raw": "none", "gzip": "deflate", "gz": "deflate", "ascii": "text", "text": "text", "txt": "text"}

_ENDLESS = re.compile(r"[^\s,()]{60}")  # NrrdIO writes such a cell beyond its memory, and the process ends


def claim_of_nrrd(path: Path) -> Claim:
    """Return the claims of the header.

    Raises:
        ValueError: there is no whole header, or voxels lie in a list or a series of files, or are packed in
            a way that cannot be checked.
    """
    with path.open("rb") as file:
        head = file.read(MOST_HEADER)
    fields, start = _fields(path, head if head.startswith(b"NRRD000") else b"")
    if absent := [name for name in ("type", "dimension", "sizes", "encoding") if name not in fields]:
        raise damaged(path, f"its header has no {absent[0]}")
    kind, encoding = fields["type"].lower(), fields["encoding"].lower()
    if kind not in _BYTES:
        raise damaged(path, f"its type is {kind[:60]!r}")
    if encoding not in _PACKING:
        raise ValueError(f"{path} must have the encoding raw or gzip, got {encoding[:60]!r}")
    size = integers(path, "sizes", fields["sizes"])
    if integers(path, "dimension", fields["dimension"]) != (len(size),):
        raise damaged(path, f"dimension and sizes, {size}, do not fit")
    data_file = fields.get("datafile")
    if data_file is not None and (data_file.upper().startswith("LIST") or "%" in data_file or not data_file):
        raise ValueError(f"{path} must hold its voxels itself, got data file: {data_file[:60]!r}")
    skips = [
        integers(path, name, fields.get(f"{name}skip", "0"))[0]  # names are without their blanks
        for name in ("line", "byte")
    ]
    if any(skips) and data_file is None:
        raise ValueError(f"{path} must hold its voxels right behind the header, got skips of {skips}")
    endian = fields.get("endian", sys.byteorder).lower()
    return Claim(
        path,
        size,
        1,  # what ITK takes for channels is an axis here
        _BYTES[kind],
        _PACKING[encoding],  # type: ignore[arg-type]
        path if data_file is None else path.parent / data_file,
        start if data_file is None else 0,
        exact=not any(skips),
        swapped=endian != sys.byteorder,
    )


def _fields(path: Path, head: bytes) -> tuple[dict[str, str], int]:
    """Return the fields of a header, and the byte after it.

    NrrdIO also reads fields without a blank after the colon, so every line is checked.
    """
    fields: dict[str, str] = {}
    start = 0
    for line, end in header_lines(head):
        start = end
        if not line:
            return fields, start
        if line.startswith("#"):
            continue
        name, _, value = line.partition(":")
        name = name.strip().lower().replace(" ", "")
        is_free = value.startswith("=") or name in ("datafile", "content")
        if not is_free and _ENDLESS.search(value or line):
            raise damaged(path, f"a cell of its {name[:60]!r} has no end")
        if value.startswith(" "):
            fields[name] = value.strip()
    if "datafile" not in fields:  # with one, the header may end with the file
        raise damaged(path, "it has no whole header")
    return fields, start
