"""The claims of the header of a MetaImage (.mha, .mhd). MetaIO checks no checksum and no data file."""

import sys
from pathlib import Path

from fairseg.io.voxel_data import MOST_HEADER, Claim, damaged, header_lines, integers

_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_LONG", "MET_ULONG", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}
_FIELDS = ("NDims", "DimSize", "ElementType", "ElementDataFile")


def claim_of_metaimage(path: Path) -> Claim:
    """Return the claims of the header.

    Raises:
        ValueError: there is no whole header, or the voxels lie in a list or a series of files.
    """
    with path.open("rb") as file:
        head = file.read(MOST_HEADER)
    fields: dict[str, str] = {}
    start = 0
    for line, end in header_lines(head if b"ElementDataFile" in head else b""):
        start = end
        name, _, value = line.partition("=")
        fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            break
    if absent := [name for name in _FIELDS if name not in fields]:
        raise damaged(path, f"it has no whole header, without {absent[0]}")
    if fields["ElementType"] not in _BYTES:
        raise damaged(path, f"its ElementType is {fields['ElementType'][:60]!r}")
    size = integers(path, "DimSize", fields["DimSize"])
    channels = integers(path, "ElementNumberOfChannels", fields.get("ElementNumberOfChannels", "1"))
    if integers(path, "NDims", fields["NDims"]) != (len(size),):
        raise damaged(path, f"NDims is {fields['NDims'][:60]}, DimSize {size}")
    data_file = fields["ElementDataFile"]
    if data_file.upper().startswith("LIST") or "%" in data_file or not data_file:
        raise ValueError(f"{path} must hold its voxels itself, got ElementDataFile = {data_file[:60]!r}")
    is_local = data_file.upper() == "LOCAL"
    skipped = 0 if is_local else integers(path, "HeaderSize", fields.get("HeaderSize", "0"))[0]
    packed = fields.get("CompressedData", "False").lower().startswith("t")
    if packed and is_local and "CompressedDataSize" in fields:
        actual = path.stat().st_size - start
        if integers(path, "CompressedDataSize", fields["CompressedDataSize"]) != (actual,):
            claimed = fields["CompressedDataSize"][:60]
            raise damaged(path, f"it has {actual} packed bytes and claims {claimed}")
    order = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))
    binary = fields.get("BinaryData", "True").lower().startswith("t")
    return Claim(
        path,
        size,
        channels[0],
        _BYTES[fields["ElementType"]],
        "deflate" if packed else "none" if binary else "text",
        path if is_local else path.parent / data_file,
        start if is_local else max(0, skipped),
        exact=skipped >= 0,
        swapped=order.lower().startswith("t") == (sys.byteorder == "little"),
    )
