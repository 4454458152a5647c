"""Tell masks of labels from masks whose labels were mixed, as resizing with interpolation does.

Interpolation makes greys: along the borders of labels, values between those of both sides. A grey has few
voxels, and nearly all of them touch a lower and a higher value. Hardly a voxel of a label does, if the label
is more than one voxel thick.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.io.sentences import listed
from fairseg.metrics.masks import renumber

_MOST_STRAYS = 16  # values of a mask that are no labels, or as many as there are labels
_MOST_LABELS = 128  # values of a mask where nobody names the labels
_FEWEST_GREYS = 2
_SHARE = 0.75  # of the voxels of a grey, which touch a lower and a higher value
_RARE = 0.25  # half of the greys have at most this share of the voxels of the most frequent other value
_SLAB = 1 << 22  # voxels to look at in one step


def smoothed_values(
    mask: npt.NDArray[Any], values: Sequence[int], structures: Mapping[Any, tuple[int, ...]]
) -> str:
    """Return what is wrong with a mask of grey values, such as resizing with interpolation makes; else "".

    Such a mask has too many values: more than 128 or, beside named labels, more than 16 (or than there are
    labels). Or at least two of them, and at least half of those that are no named labels, are greys: three
    quarters of their voxels touch a lower and a higher value by a face, and half of them are at most a
    quarter as frequent as some other value. Values that run 1, 2, 3 ... up to 16 are codes.

    Args:
        mask: unsigned integers, whose surroundings are background.
        values: those of the mask, without background.
        structures: name -> values; empty if every value is to be one.

    >>> wide = np.repeat([0, 255], 8)[None].repeat(8, axis=0)
    >>> smoothed_values(wide, [255], {})
    ''
    >>> wide[:, 7:9] = [64, 191]
    >>> smoothed_values(wide, [64, 191, 255], {}).partition(":")[0]
    'holds 3 different values (64, 191, 255), of which 2 lie between others along their borders'
    """
    label_values = {value for codes in structures.values() for value in codes}
    strays = [value for value in values if value not in label_values]
    limit = max(_MOST_STRAYS, len(label_values)) if structures else _MOST_LABELS
    are_codes = list(values) == list(range(1, len(values) + 1)) and len(values) <= _MOST_STRAYS
    if len(strays) > limit:
        detail = f", of which {len(values) - len(strays)} are labels" if structures else ""
    elif len(strays) >= _FEWEST_GREYS and not are_codes and (greys := _greys(mask, values, strays)):
        detail = f", of which {greys} lie between others along their borders"
    else:
        return ""
    return (
        f"holds {len(values)} different values ({listed(values)}){detail}: was it resized with interpolation?"
        " Resize masks by nearest neighbours; name labels that are meant with --labels, or in dataset.json"
    )


def _greys(mask: npt.NDArray[Any], values: Sequence[int], strays: Sequence[int]) -> int:
    """Return how many of the strays among the values of a mask are greys, if half of them are; else 0."""
    codes = np.array(values, dtype=np.int64)
    ranks = renumber(mask, codes, np.arange(1, len(codes) + 1))  # in the order of the values
    counts, mixed = np.zeros((2, len(codes) + 1), dtype=np.int64)
    rows = max(1, _SLAB * len(ranks) // ranks.size)
    for start in range(0, len(ranks), rows):
        begin = max(start - 1, 0)
        inner = slice(start - begin, start - begin + rows)
        slab = ranks[begin : start + rows + 1]
        middle = slab[inner]
        counts += np.bincount(middle.ravel(), minlength=counts.size)
        mixed += np.bincount(middle[_lies_between(slab)[inner]], minlength=counts.size)
    is_stray = np.isin(codes, strays)
    is_grey = is_stray & (mixed[1:] >= _SHARE * counts[1:])
    greys, rest = counts[1:][is_grey], counts[1:][~is_grey]
    if len(greys) < max(_FEWEST_GREYS, len(strays) / 2) or not len(rest):
        return 0
    return len(greys) if np.median(greys) <= _RARE * rest.max() else 0


def _lies_between(mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which voxels have a face to a lower and one to a higher value; background surrounds the mask."""
    lower, higher = np.zeros((2, *mask.shape), dtype=bool)
    for axis in range(mask.ndim):
        below, above = (np.moveaxis(side, axis, 0) for side in (lower, higher))
        values = np.moveaxis(mask, axis, 0)
        rises, falls = values[:-1] < values[1:], values[:-1] > values[1:]
        above[:-1] |= rises
        below[1:] |= rises
        below[:-1] |= falls
        above[1:] |= falls
        below[[0, -1]] |= values[[0, -1]] > 0
    return np.asarray(lower & higher)
