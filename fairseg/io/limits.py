"""How much may be read, and from where: limits for files from unknown sources."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

MAX_VOXELS = 1_000_000_000
_SIZES = (1e-6, 1e4)  # mm; electron microscopes have larger voxels, and no scanner is as wide


@dataclass(frozen=True)
class ReadLimits:
    """Limits for reading images.

    Attributes:
        max_voxels: of one image; a larger one is an error before any memory is taken.
        detached: read voxels that lie in another file than the header: .mhd with .raw, NRRD with `data file`.
            That file must be in the header's own folder all the same.
    """

    max_voxels: int = MAX_VOXELS
    detached: bool = False


_LIMITS: ContextVar[ReadLimits] = ContextVar("limits", default=ReadLimits())  # noqa: B039  (frozen)


def limits() -> ReadLimits:
    """Return the current limits."""
    return _LIMITS.get()


@contextmanager
def read_limits(**changed: Any) -> Iterator[None]:
    """Read images within other limits in the block.

    Args:
        changed: attributes of `ReadLimits`; the others stay.

    Raises:
        ValueError: `max_voxels` is not positive.

    >>> with read_limits(max_voxels=512**3, detached=True):
    ...     limits()
    ReadLimits(max_voxels=134217728, detached=True)
    """
    new = replace(limits(), **changed)
    if new.max_voxels < 1:
        raise ValueError(f"max_voxels must be at least 1, got {new.max_voxels}")
    token = _LIMITS.set(new)
    try:
        yield
    finally:
        _LIMITS.reset(token)


def check_voxel_size(size: Sequence[float], where: str) -> None:
    """Raise a ValueError that begins with `where` unless these can be the sizes of a voxel, in mm.

    With a damaged header, volumes and distances would be nonsense.

    >>> check_voxel_size((1.5, 1e38), "a.nii.gz")
    Traceback (most recent call last):
    ValueError: a.nii.gz must have voxels above 1e-06 and up to 10000 mm, got 1.5 x 1e+38
    """
    low, high = _SIZES
    if not all(low < length <= high for length in size):
        shown = " x ".join(f"{length:g}" for length in size)
        raise ValueError(f"{where} must have voxels above {low:g} and up to {high:g} mm, got {shown}")
