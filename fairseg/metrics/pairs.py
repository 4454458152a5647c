"""Two masks, checked where they are: as arrays, or as tensors that stay on a GPU."""

from collections.abc import Sequence
from typing import Any

from fairseg.metrics.masks import Pair, Structures, check_pair


def pair_of(
    prediction: object,
    reference: object,
    labels: Structures | None,
    spacing: float | Sequence[float] | None = None,
    ignore: int | None = None,
) -> Pair:
    """Check two masks as `check_pair` does; tensors on a GPU stay there."""
    if _on_accelerator(prediction, reference):
        from fairseg.metrics.on_device import device_pair  # noqa: PLC0415  (it imports torch)

        predicted: Any = prediction
        true: Any = reference
        return device_pair(predicted, true, labels, spacing, ignore)
    return check_pair(prediction, reference, labels, spacing, ignore)


def _on_accelerator(*masks: Any) -> bool:
    """Whether all masks are tensors on one accelerator that has float64, which Apple's GPUs have not."""
    devices = {getattr(mask, "device", None) if hasattr(mask, "detach") else None for mask in masks}
    device = devices.pop()
    return not devices and device is not None and device.type not in ("cpu", "mps")
