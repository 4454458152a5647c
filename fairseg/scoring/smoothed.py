"""Tell masks of labels from masks whose labels were mixed, as resizing with interpolation does.

Interpolation makes greys: values that lie, along the borders of labels, between those of both sides. Each of
them stands in few voxels, and nearly all of these touch a lower and a higher value, which hardly a voxel of a
label does that is more than one voxel thick.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.io.sentences import listed
from fairseg.metrics.masks import renumber

_MOST_STRAYS = 16  # values of a mask that are no labels, beside as many as there are labels
_MOST_LABELS = 128  # that are found in a mask where nobody names them
_FEWEST_GREYS = 2
_SHARE = 0.75  # of the voxels of a grey, which touch a lower and a higher value
_RARE = 0.25  # of the voxels of the most frequent other value: what half of the greys have at most
_SLAB = 1 << 22  # voxels looked at at a time


def smoothed_values(
    mask: npt.NDArray[Any], found: Sequence[int], structures: Mapping[Any, tuple[int, ...]]
) -> str:
    """Return what is wrong with a mask of grey values, such as resizing with interpolation makes; else "".

    It has too many values: more than 128, or of those that are no named labels more than 16 (or than there
    are labels). Or two of them and more, which are half of these values at least, are greys: three quarters
    of their voxels touch a lower and a higher value by a face, and half of them are at most a quarter as
    frequent as some other value. Values that run 1, 2, 3 ... up to 16 are codes.

    Args:
        mask: unsigned integers, whose surroundings are background.
        found: the values of the mask, without background.
        structures: name -> values; empty if every value is to be one.

    >>> wide = np.repeat([0, 255], 8)[None].repeat(8, axis=0)
    >>> smoothed_values(wide, [255], {})
    ''
    >>> wide[:, 7:9] = [64, 191]
    >>> smoothed_values(wide, [64, 191, 255], {}).partition(":")[0]
    'holds 3 different values (64, 191, 255), of which 2 lie between others along their borders'
    """
    known = {value for codes in structures.values() for value in codes}
    strays = [value for value in found if value not in known]
    most = max(_MOST_STRAYS, len(known)) if structures else _MOST_LABELS
    are_codes = list(found) == list(range(1, len(found) + 1)) and len(found) <= _MOST_STRAYS
    if len(strays) > most:
        about = f", of which {len(found) - len(strays)} are labels" if structures else ""
    elif len(strays) >= _FEWEST_GREYS and not are_codes and (greys := _greys(mask, found, strays)):
        about = f", of which {greys} lie between others along their borders"
    else:
        return ""
    return (
        f"holds {len(found)} different values ({listed(found)}){about}: was it resized with interpolation? "
        "Resize masks by nearest neighbours; name labels that are meant with --labels, or in dataset.json"
    )


def _greys(mask: npt.NDArray[Any], found: Sequence[int], strays: Sequence[int]) -> int:
    """Return how many of the strays among the values of a mask are greys, if half of them are; else 0."""
    values = np.array(found, dtype=np.int64)
    plain = renumber(mask, values, np.arange(1, len(values) + 1))  # in the order of the values
    counts, mixed = np.zeros((2, len(values) + 1), dtype=np.int64)
    rows = max(1, _SLAB * len(plain) // plain.size)
    for start in range(0, len(plain), rows):
        first = max(start - 1, 0)
        inner = slice(start - first, start - first + rows)
        slab = plain[first : start + rows + 1]
        here = slab[inner]
        counts += np.bincount(here.ravel(), minlength=counts.size)
        mixed += np.bincount(here[_lies_between(slab)[inner]], minlength=counts.size)
    is_stray = np.isin(values, strays)
    is_grey = is_stray & (mixed[1:] >= _SHARE * counts[1:])
    greys, others = counts[1:][is_grey], counts[1:][~is_grey]
    if len(greys) < max(_FEWEST_GREYS, len(strays) / 2) or not len(others):
        return 0
    return len(greys) if np.median(greys) <= _RARE * others.max() else 0


def _lies_between(mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which voxels have a face to a lower value and one to a higher; around the mask is background."""
    lower, higher = np.zeros((2, *mask.shape), dtype=bool)
    for axis in range(mask.ndim):
        one, two = (np.moveaxis(side, axis, 0) for side in (lower, higher))
        values = np.moveaxis(mask, axis, 0)
        rises, falls = values[:-1] < values[1:], values[:-1] > values[1:]
        two[:-1] |= rises
        one[1:] |= rises
        one[:-1] |= falls
        two[1:] |= falls
        one[[0, -1]] |= values[[0, -1]] > 0
    found: npt.NDArray[np.bool_] = lower & higher
    return found
