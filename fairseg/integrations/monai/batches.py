"""MONAI's batches in the form of fairseg: plain tensors, integer labels, ids of groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fairseg.integrations.voxel_counts import numbered
from fairseg.io.sentences import brief
from fairseg.losses.grouping import plain


def ids_of(batch: Any, key: str, size: int, *, what: str) -> Tensor:
    """Return the ids under a key of a batch, int64 (B,): of the dictionary, or of its decollated list.

    Args:
        batch: a dictionary of what a loader collated, or a list of dictionaries, one a sample.
        key: where the ids are.
        size: B.
        what: the name of the ids, for errors.

    Raises:
        ValueError: the key is missing, there are not as many ids as samples, or they are no integers.

    >>> ids_of([{"group": 1}, {"group": torch.tensor(0)}], "group", 2, what="groups")
    tensor([1, 0])
    """
    parts = batch if isinstance(batch, list) else [batch]
    for part in parts:
        if not isinstance(part, Mapping) or key not in part:
            keys = sorted(map(str, part)) if isinstance(part, Mapping) else type(part).__name__
            raise ValueError(f"the batch has no {key!r} for the {what}: it has {keys}")
    values: Any = [part[key] for part in parts] if isinstance(batch, list) else batch[key]
    try:
        ids = _as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"{what} under {key!r} must be integers, got {brief(values)}; of names make them by"
            f" {numbered(what)}"
        ) from None
    if ids.is_floating_point() or ids.dtype == torch.bool or ids.shape != (size,):
        raise ValueError(
            f"{what} under {key!r} must be one integer id for each of the {size} samples of the batch, got"
            f" {ids.dtype} of shape {tuple(ids.shape)}; where an image gives several patches, collate with"
            " monai.data.list_data_collate, which repeats them"
        )
    return ids.long()


def _as_tensor(values: Any) -> Tensor:
    if isinstance(values, Tensor):
        return plain(values)
    if isinstance(values, Sequence) and not isinstance(values, str):
        return torch.stack([plain(torch.as_tensor(value)) for value in values])
    return torch.as_tensor(values)
