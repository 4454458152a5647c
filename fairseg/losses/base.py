"""The base of a group loss: its checks, its loss of each sample, and the pixels that count."""

import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from fairseg.io.sentences import brief
from fairseg.losses.grouping import NonAdditiveLossError
from fairseg.losses.per_sample import check_labels, each_mean

logger = logging.getLogger(__name__)

Base = Callable[[Tensor, Tensor], Tensor]

_REMEDY = (
    'Use reduction="none" and no batch Dice, or Dice pooled inside each group:'
    ' fairseg.losses.DiceCELoss(pool="group").'
)
# Losses of torch that divide by the weights of a batch's pixels.
_CLASS_WEIGHTED = ("CrossEntropyLoss", "NLLLoss")
_TORCHS_DEFAULT = -100  # the default ignore_index of torch's losses


def _monai_remedy(base: Base) -> str:
    """Name the replacement of a loss of MONAI that has no reduction="none"."""
    name = type(base).__name__
    if not type(base).__module__.startswith("monai.") or name != "DiceCELoss":
        return ""
    whole = getattr(getattr(base, "dice", None), "include_background", False)
    options = "include_background=True" if whole else ""
    return f" In the place of MONAI's DiceCELoss, as it is here: fairseg.losses.DiceCELoss({options})."


def is_pooled(base: Base) -> bool:
    """Whether a base sums statistics over the samples of a group first."""
    return getattr(base, "pool", "sample") == "group"


def ignored_label(base: Base) -> int | None:
    """Return the label of pixels that a base (ours, torch's or MONAI's) leaves out; `None` if all count."""
    parts = [base, *(base.modules() if isinstance(base, nn.Module) else ())]
    labels = [getattr(part, "ignore_index", None) for part in parts]
    chosen = [int(label) for label in labels if isinstance(label, int)]
    return next((label for label in chosen if label != _TORCHS_DEFAULT), chosen[0] if chosen else None)


def valid_pixels(target: Tensor, logits: Tensor, ignored: int) -> Tensor:
    """Return which pixels count, bool (B, *S).

    Args:
        target: labels (B, *S) or (B, 1, *S), or, for MONAI, one-hot (B, C, *S).
        logits: (B, C, *S).
        ignored: the label that does not count. In a one-hot target that has no such class, it is a pixel
            without any class, as for MONAI.
    """
    if target.ndim != logits.ndim or logits.ndim < 2:
        return target != ignored
    if target.shape[1] == 1:
        return (target != ignored).squeeze(1)
    if 0 <= ignored < target.shape[1]:
        return target[:, ignored] == 0
    return (target != 0).any(dim=1)


def sample_losses(base: Base, logits: Tensor, target: Tensor, ignored: int | None) -> Tensor:
    """Return the base's loss of each sample, (B,), in float32 at least.

    Losses of pixels are averaged over the pixels that count.

    Raises:
        NonAdditiveLossError: the base returns no value for each sample.
        ValueError: the target holds a label that is no class.
    """
    try:
        value = base(logits, target)
    except (IndexError, RuntimeError):
        check_labels(target, logits.shape[1] if logits.ndim > 1 else 1, ignored)
        raise
    batch_size = logits.shape[0]
    if value.ndim == 0 or value.shape[0] != batch_size:
        raise NonAdditiveLossError(
            f"the base loss must return one value a sample, shape ({batch_size}, ...), got"
            f" {tuple(value.shape)} of {_name(base)}: a loss that reduces over the batch can not be split by"
            f" group. {_REMEDY}{_monai_remedy(base)}"
        )
    if value.dtype in (torch.float16, torch.bfloat16):
        value = value.float()
    if ignored is not None and value.ndim > 1:
        valid = valid_pixels(target, logits, ignored)
        if valid.ndim > 1 and value.shape[value.ndim - valid.ndim + 1 :] == valid.shape[1:]:
            channels = value.ndim - valid.ndim
            valid = valid.reshape(batch_size, *[1] * channels, *valid.shape[1:]).expand_as(value)
            total = torch.where(valid, value, 0.0).flatten(1).sum(dim=1)
            return total / valid.flatten(1).sum(dim=1).clamp(min=1)
    return each_mean(value)


def _name(base: Base) -> str:
    return getattr(base, "__name__", type(base).__name__)


def check_base(base: Base) -> None:
    """Raise a ValueError if a base is no loss of samples."""
    if not callable(base) or isinstance(base, type):
        raise ValueError(f"base must be a loss, called with logits and target, got {brief(base)}")
    if hasattr(base, "group_losses"):
        raise ValueError("base must be a loss of samples, got a group loss")


def check_declared(base: Base) -> None:
    """Refuse a base whose attributes say that it reduces over the batch; others show it in their values."""
    name, reduction = type(base).__name__, getattr(base, "reduction", "none")
    # Only for torch's losses: MONAI's DiceFocalLoss says "mean" whatever it does.
    is_torchs = type(base).__module__.startswith("torch.nn.")
    weighted = is_torchs and name in _CLASS_WEIGHTED and getattr(base, "weight", None) is not None
    if is_torchs and reduction != "none":
        remedy = "Take fairseg.losses.CrossEntropyLoss(class_weight=...)." if weighted else _REMEDY
        raise NonAdditiveLossError(
            f'{name} has reduction="{reduction}" and can not be split by group. {remedy}'
        )
    if weighted:
        _warn_of_class_weights(name)
    parts = [base, *(base.modules() if isinstance(base, nn.Module) else ())]
    if any(getattr(part, flag, False) is True for part in parts for flag in ("batch", "batch_dice")):
        raise NonAdditiveLossError(
            f"{name} computes Dice over the batch and can not be split by group. {_REMEDY}"
        )


@cache
def _warn_of_class_weights(name: str) -> None:
    """Warn once that a sample's loss is not weighted as in the mean over a batch."""
    logger.warning(
        'with class weights and reduction="none" the %s of a sample is its sum over the number of its pixels,'
        " not over their weights: a group with more of a weighted class has the larger loss;"
        " fairseg.losses.CrossEntropyLoss(class_weight=...) divides by the weights",
        name,
    )


@torch.no_grad()
def check_additive(base: Base, logits: Tensor, target: Tensor) -> None:
    """Compare a sample's loss in a batch with the loss that it has alone.

    Raises:
        NonAdditiveLossError: they differ.
    """
    generator = torch.Generator(logits.device).manual_seed(0)
    noise = torch.randn(logits.shape, generator=generator, device=logits.device)
    logits = logits + 2.0 * noise.to(logits.dtype)  # equal samples would hide a difference
    batch, repeated = (each_mean(base(logits, target).float()) for _ in range(2))
    alone = base(logits[:1], target[:1]).float().mean()
    is_random = not torch.equal(batch, repeated)  # then a difference says nothing
    if not is_random and not torch.isclose(alone, batch[0], rtol=1e-2, atol=1e-4, equal_nan=True):
        raise NonAdditiveLossError(
            f"the base loss gives a sample {float(batch[0]):g} in a batch and {float(alone):g}"
            f" alone: it mixes samples, and can not be split by group. {_REMEDY}"
        )
