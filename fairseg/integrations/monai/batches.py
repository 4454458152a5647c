"""What MONAI puts into a batch, as fairseg takes it: plain tensors, integer labels, ids of groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def plain(tensor: Tensor) -> Tensor:
    """Return a MetaTensor as the tensor that it holds, and any other tensor as it is."""
    held: Tensor = tensor.as_tensor() if hasattr(tensor, "as_tensor") else tensor
    return held


def integer_labels(labels: Tensor, name: str) -> Tensor:
    """Return label masks as integers: MONAI reads them as float32.

    That they are whole is checked on the CPU only, because it would make a GPU wait.

    Raises:
        ValueError: a value is not whole, as after an interpolation that is not "nearest".

    >>> integer_labels(torch.tensor([[0.0, 2.0]]), "label")
    tensor([[0, 2]])
    """
    labels = plain(labels)
    if not labels.is_floating_point():
        return labels
    whole = labels.long()
    if labels.device.type == "cpu" and not torch.equal(whole.to(labels.dtype), labels):
        wrong = labels[whole != labels][0].item()
        raise ValueError(
            f"{name} must hold whole numbers, got {wrong:g}: was it resampled with another mode than nearest?"
        )
    return whole


def ids_of(batch: Any, key: str, size: int, *, what: str) -> Tensor:
    """Return the ids under a key of a batch, int64 (B,): of the dictionary, or of its decollated list.

    Args:
        batch: a dictionary of what a loader collated, or a list of dictionaries, one a sample.
        key: where the ids are.
        size: B.
        what: what they are, for errors.

    Raises:
        ValueError: the key is missing, there are not as many ids as samples, or they are no integers.

    >>> ids_of([{"group": 1}, {"group": torch.tensor(0)}], "group", 2, what="groups")
    tensor([1, 0])
    """
    parts = batch if isinstance(batch, list) else [batch]
    for part in parts:
        if not isinstance(part, Mapping) or key not in part:
            there = sorted(map(str, part)) if isinstance(part, Mapping) else type(part).__name__
            raise ValueError(f"the batch has no {key!r} for the {what}: it has {there}")
    values: Any = [part[key] for part in parts] if isinstance(batch, list) else batch[key]
    try:
        ids = _as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"{what} under {key!r} must be integers, got {values!r}; pandas.factorize makes them of names"
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
