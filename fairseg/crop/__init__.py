"""Boxes, crops and the cascade. Boxes and crops need no torch; `Cascade` loads it."""

from typing import TYPE_CHECKING

from fairseg.crop.box import Box, box_error, crop, crop_size, uncrop

if TYPE_CHECKING:
    from fairseg.crop.cascade import Cascade, largest_component, segment_crops, standardized

__all__ = [
    "Box",
    "Cascade",
    "box_error",
    "crop",
    "crop_size",
    "largest_component",
    "segment_crops",
    "standardized",
    "uncrop",
]


def __getattr__(name: str) -> object:
    if name in ("Cascade", "largest_component", "segment_crops", "standardized"):
        from fairseg.crop import cascade  # noqa: PLC0415

        return getattr(cascade, name)
    raise AttributeError(f"module 'fairseg.crop' has no attribute {name!r}")
