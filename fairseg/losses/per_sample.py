"""Per-sample losses: `(logits, target) -> (B,)`, the layer below every group loss.

Each sample's loss depends on that sample alone, so a group's loss is the mean over its samples. Dice can
instead be pooled: with `pool="group"` the counts of all samples of a group are summed first, which is the
batch Dice of nnU-Net inside each group. Plain batch Dice mixes the groups; see `NonAdditiveLossError`.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseg.io.arguments import fits
from fairseg.io.sentences import brief
from fairseg.losses.grouping import is_transformed, plain

Pool = Literal["sample", "group"]

_FEW_CLASSES = 8  # on a GPU, up to so many classes one pass over the pixels for each is quicker
_LEAST = 1e-8  # denominator of Dice, as in nnU-Net
_FOR_SIGMOIDS = "; for sigmoids, one channel a structure, take fairseg.losses.DiceBCELoss"
_ONE_HOT = (
    ": the target looks one-hot, and a softmax takes class numbers: target.argmax(1, keepdim=True), or leave"
    " out MONAI's to_onehot. Only if the network ends in sigmoids, one channel a structure, and none of them"
    " for the background, take fairseg.losses.DiceBCELoss"
)
_NEVER = -(2**62)  # an ignore_index that no mask has, so that -100 is an error unless asked for


class CrossEntropyLoss(nn.Module):
    """Cross-entropy of each sample, averaged over its pixels.

    The value of a sample is what `torch.nn.functional.cross_entropy(..., reduction="mean")` gives for a
    batch of this sample alone. A sample without any valid pixel has loss 0, where torch gives NaN; a group
    loss leaves it out.

    Args:
        ignore_index: label of pixels that do not count.
        class_weight: weight of each class, (C,); the mean is then weighted, as in torch.
        label_smoothing: 0 to 1, as in torch.

    Shapes:
        logits float (B, C, *S); target integer, or whole floats, (B, *S) or (B, 1, *S); result (B,), in
        float32 at least.

    Raises:
        ValueError: shapes do not fit, or the target holds no whole numbers.

    >>> logits = torch.tensor([[[2.0, 0.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])
    >>> CrossEntropyLoss()(logits, torch.tensor([[0, 1], [0, 1]]))
    tensor([0.1269, 0.6931])
    """

    class_weight: Tensor | None

    def __init__(
        self,
        ignore_index: int | None = None,
        class_weight: Sequence[float] | Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if not fits(label_smoothing, lambda share: 0.0 <= share <= 1.0):
            raise ValueError(f"label_smoothing must lie between 0 and 1, got {label_smoothing}")
        self.ignore_index, self.label_smoothing = ignore_index, float(label_smoothing)
        self.register_buffer("class_weight", _class_weight(class_weight))

    @property
    def is_plain(self) -> bool:
        """Whether every pixel counts the same and has one right answer."""
        return self.class_weight is None and self.ignore_index is None and not self.label_smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each sample, (B,)."""
        logits, target = fit(logits, target)
        if self.class_weight is None and self.ignore_index is None:
            return each_mean(self._pixels(logits, target, None))
        return ratio(*self.sums(logits, target).unbind(1))

    def sums(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the weighted sum of the pixels' losses and the sum of their weights, (B, 2)."""
        weight = None if self.class_weight is None else self.class_weight.to(logits.dtype)
        pixels = self._pixels(logits, target, weight)
        return torch.stack([_total(pixels), pixel_weights(target, weight, self.ignore_index, pixels)], dim=1)

    def _pixels(self, logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        ignored = _NEVER if self.ignore_index is None else self.ignore_index
        if torch.compiler.is_compiling():
            return self._cross_entropy(logits, target, weight, ignored)
        try:
            return self._cross_entropy(logits, target, weight, ignored)
        except (IndexError, RuntimeError):
            check_labels(target, logits.shape[1], self.ignore_index)
            raise

    def _cross_entropy(self, logits: Tensor, target: Tensor, weight: Tensor | None, ignored: int) -> Tensor:
        return F.cross_entropy(
            logits,
            target,
            weight=weight,
            ignore_index=ignored,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )


class PooledLoss(nn.Module):
    """A loss that is made of sums over samples: of each sample, or of a group (`pool`)."""

    pool: Pool

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each sample, (B,), or with `pool="group"` that of the batch as one group."""
        statistics = self.statistics(logits, target)
        return self.from_statistics(statistics if self.pool == "sample" else statistics.sum(dim=0))

    def statistics(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the terms to sum over the samples of a group, (B, K)."""
        raise NotImplementedError

    def from_statistics(self, statistics: Tensor) -> Tensor:
        """Return the loss from (summed) statistics, (..., K) -> (...)."""
        raise NotImplementedError


class SoftDiceLoss(PooledLoss):
    """One minus the soft Dice of the softmax, averaged over classes: of each sample, or of each group.

    `1 - mean over classes of (2 I + smooth) / (P + R + smooth)`, with I, P and R the sums over pixels of
    the product of probability and mask, of the probability, and of the mask. This is MONAI's
    `DiceLoss(softmax=True, to_onehot_y=True, reduction="none")` averaged over classes, and nnU-Net's
    `MemoryEfficientSoftDiceLoss` plus 1: nnU-Net minimises minus the Dice.

    Args:
        include_background: count class 0 among the classes.
        smooth: added to numerator and denominator, so that a class that neither has gives Dice 1; with 0 it
            gives Dice 0, as in nnU-Net.
        ignore_index: label of pixels that do not count.
        pool: "sample" gives the loss of each sample. With "group", a group loss sums I, P and R over the
            samples of a group first; called on its own, the loss takes the batch as one group.

    Shapes:
        logits float (B, C, *S); target integer, or whole floats, (B, *S) or (B, 1, *S); result float32, (B,),
        or a scalar with `pool="group"`.

    Raises:
        ValueError: shapes do not fit, there is one class only, or the target holds no whole numbers.
    """

    def __init__(
        self,
        include_background: bool = False,
        smooth: float = 1e-5,
        ignore_index: int | None = None,
        pool: Pool = "sample",
    ) -> None:
        super().__init__()
        if not fits(smooth, lambda number: number >= 0):
            raise ValueError(f"smooth must be 0 or more, got {smooth}")
        self.include_background, self.smooth = include_background, float(smooth)
        self.ignore_index, self.pool = ignore_index, check_pool(pool)

    def statistics(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the terms to sum over the samples of a group: I, P and R of each class, (B, 3 * L)."""
        logits, target = fit(logits, target)
        log_probability = F.log_softmax(logits, dim=1)
        chosen = of_target(log_probability, target, self.ignore_index)
        return self.dice_statistics(log_probability, chosen, target)

    def dice_statistics(self, log_probability: Tensor, chosen: Tensor, target: Tensor) -> Tensor:
        """Return these terms from log-probabilities (B, C, *S) and those of the target's labels (B, *S)."""
        classes = log_probability.shape[1]
        probability, hit = log_probability.exp(), chosen.exp()
        inside = _inside(target, self.ignore_index)
        if self.ignore_index is not None:
            valid = target != self.ignore_index
            probability = probability * valid.unsqueeze(1)
            hit = hit * valid
            mask = class_sums(valid.to(hit.dtype), inside, classes)
        else:
            mask = class_sums(torch.ones_like(hit), inside, classes)
        product = class_sums(hit, inside, classes)
        predicted = probability.flatten(2).sum(dim=2) if probability.ndim > 2 else probability
        first = 0 if self.include_background else 1
        return torch.cat([product[:, first:], predicted[:, first:], mask[:, first:]], dim=1)

    def from_statistics(self, statistics: Tensor) -> Tensor:
        """Return the loss from (summed) statistics, (..., 3 * L) -> (...)."""
        product, predicted, mask = statistics.chunk(3, dim=-1)
        dice = (2.0 * product + self.smooth) / (predicted + mask + self.smooth).clamp(min=_LEAST)
        loss: Tensor = 1.0 - dice.mean(dim=-1)
        return loss


class DiceCELoss(PooledLoss):
    """Soft Dice plus cross-entropy: `dice_weight * SoftDiceLoss + ce_weight * CrossEntropyLoss`.

    With `pool="group"` and one group this is nnU-Net's batch Dice + CE (plus 1, see `SoftDiceLoss`).

    Args:
        include_background, smooth, pool: as in `SoftDiceLoss`.
        ignore_index: as in both.
        class_weight, label_smoothing: of the cross-entropy.
        dice_weight, ce_weight: weights of the two terms.

    Shapes:
        logits float (B, C, *S); target integer, or whole floats, (B, *S) or (B, 1, *S); result float32, (B,),
        or a scalar with `pool="group"`.

    >>> logits = torch.zeros(2, 2, 4, 4)
    >>> DiceCELoss()(logits, torch.zeros(2, 4, 4, dtype=torch.long))
    tensor([1.6931, 1.6931])
    """

    def __init__(
        self,
        include_background: bool = False,
        smooth: float = 1e-5,
        ignore_index: int | None = None,
        class_weight: Sequence[float] | Tensor | None = None,
        label_smoothing: float = 0.0,
        dice_weight: float = 1.0,
        ce_weight: float = 1.0,
        pool: Pool = "sample",
    ) -> None:
        super().__init__()
        self.dice = SoftDiceLoss(include_background, smooth, ignore_index, pool)
        self.ce = CrossEntropyLoss(ignore_index, class_weight, label_smoothing)
        self.dice_weight, self.ce_weight, self.pool = float(dice_weight), float(ce_weight), pool

    def statistics(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the terms to sum over the samples of a group: Dice's and cross-entropy's, (B, 3 * L + 2)."""
        logits, target = fit(logits, target)
        log_probability = F.log_softmax(logits, dim=1)
        chosen = of_target(log_probability, target, self.ce.ignore_index)
        dice = self.dice.dice_statistics(log_probability, chosen, target)
        if self.ce.class_weight is not None or self.ce.label_smoothing:
            ce = self.ce.sums(logits, target)
        else:
            pixels = -chosen
            if self.ce.ignore_index is not None:
                pixels = pixels * (target != self.ce.ignore_index)
            ce = torch.stack(
                [_total(pixels), pixel_weights(target, None, self.ce.ignore_index, pixels)], dim=1
            )
        return torch.cat([dice, ce], dim=1)

    def from_statistics(self, statistics: Tensor) -> Tensor:
        """Return the loss from (summed) statistics, (..., 3 * L + 2) -> (...)."""
        ce = ratio(statistics[..., -2], statistics[..., -1])
        return self.dice_weight * self.dice.from_statistics(statistics[..., :-2]) + self.ce_weight * ce


def integer_labels(labels: Tensor, name: str) -> Tensor:
    """Return labels as integers: MONAI reads them as float32.

    Whole numbers are checked on the CPU only, because the check would make a GPU wait.

    Raises:
        ValueError: a value is not whole, as after an interpolation that is not "nearest".

    >>> integer_labels(torch.tensor([[0.0, 2.0]]), "label")
    tensor([[0, 2]])
    """
    labels = plain(labels)
    if not labels.is_floating_point():
        return labels
    whole = labels.long()
    is_traced = torch.compiler.is_compiling() or is_transformed(labels)
    if not is_traced and labels.device.type == "cpu" and not torch.equal(whole.to(labels.dtype), labels):
        wrong = labels[whole != labels][0].item()
        raise ValueError(
            f"{name} must hold whole numbers, got {wrong:g}: was it resampled with another mode than nearest?"
        )
    return whole


def fit(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits in float32 at least and the target as int64 (B, *S), or raise a ValueError."""
    target = integer_labels(target, "target")
    if target.is_complex() or target.dtype == torch.bool:
        raise ValueError(f"target must be of an integer type (call .long()), got {target.dtype}")
    if target.ndim == logits.ndim and target.shape[1:2] == (1,):
        target = target.squeeze(1)
    if logits.ndim < 2 or (logits.shape[:1] + logits.shape[2:]) != target.shape:
        raise ValueError(
            "logits and target must have shapes (B, C, *S) and (B, *S) or (B, 1, *S),"
            f" got {tuple(logits.shape)} and {tuple(target.shape)}"
            f"{_ONE_HOT if logits.shape == target.shape else ''}"
        )
    if logits.shape[1] < 2:
        raise ValueError(
            f"logits must have at least 2 classes, background among them, got {logits.shape[1]}"
            f"{_FOR_SIGMOIDS}"
        )
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    return logits, target.long()


def of_target(values: Tensor, target: Tensor, ignore_index: int | None = None) -> Tensor:
    """Return the values (B, C, *S) of the target's labels (B, *S); ignored pixels have those of class 0.

    Raises:
        ValueError: a label is no class. (On a GPU, CUDA says so in its own way.)
    """
    inside = _inside(target, ignore_index)
    if torch.compiler.is_compiling():
        return values.gather(1, inside.unsqueeze(1)).squeeze(1)
    try:
        return values.gather(1, inside.unsqueeze(1)).squeeze(1)
    except (IndexError, RuntimeError):
        check_labels(inside, values.shape[1])
        raise


def check_labels(target: Tensor, classes: int, ignore_index: int | None = None) -> None:
    """Raise a ValueError if the target holds a label that is no class; called after a computation failed.

    On a GPU the failure is CUDA's, and no value can be read after it.
    """
    if target.device.type != "cpu" or not target.numel() or classes < 2:
        return
    low, high = (int(end) for end in _inside(target, ignore_index).aminmax())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise ValueError(f"target must hold labels from 0 to {classes - 1}, got {wrong}") from None


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide; 0 where the denominator is 0."""
    return numerator / torch.where(denominator > 0, denominator, torch.ones_like(denominator))


def class_sums(values: Tensor, target: Tensor, classes: int) -> Tensor:
    """Sum values (B, *S) over the pixels of each class, (B, C).

    Rows of pixels are summed first: a float32 that adds millions of small numbers one by one would lose them.
    """
    if values.ndim < 2:
        values, target = values.unsqueeze(1), target.unsqueeze(1)
    values, target = (
        part.flatten(1, -2) if part.ndim > 2 else part.unsqueeze(1) for part in (values, target)
    )
    if values.device.type != "cpu" and (
        classes <= _FEW_CLASSES or torch.are_deterministic_algorithms_enabled()
    ):
        # With `scatter_add` thousands of threads would wait to add to the same few numbers, in any order.
        sums = [(values * (target == label)).sum(dim=(1, 2)) for label in range(classes)]
        return torch.stack(sums, dim=1)
    rows = values.new_zeros(*values.shape[:2], classes).scatter_add(2, target, values)
    return rows.sum(dim=1)


def pixel_weights(
    target: Tensor, class_weight: Tensor | None, ignore_index: int | None, like: Tensor
) -> Tensor:
    """Return the sum of the weights of the valid pixels, (B,), in the type of `like`."""
    if class_weight is None and ignore_index is None:
        return like.new_full((target.shape[0],), float(target.shape[1:].numel()))
    if class_weight is None:
        assert ignore_index is not None
        return _total(target.ne(ignore_index).to(like.dtype))
    weights = class_weight[_inside(target, ignore_index)]
    return _total(weights if ignore_index is None else weights * (target != ignore_index))


def check_pool(pool: str) -> Pool:
    """Return `pool` if it is "sample" or "group"."""
    if pool not in ("sample", "group"):
        raise ValueError(f'pool must be "sample" or "group", got {pool!r}')
    return pool  # type: ignore[return-value]


def _inside(target: Tensor, ignore_index: int | None) -> Tensor:
    """Return the target with ignored pixels set to class 0, so that it can be used as an index."""
    return target if ignore_index is None else torch.where(target == ignore_index, 0, target)


def each_mean(values: Tensor) -> Tensor:
    """Average everything but the first axis, (B, ...) -> (B,)."""
    return values.flatten(1).mean(dim=1) if values.ndim > 1 else values


def _total(pixels: Tensor) -> Tensor:
    return pixels.flatten(1).sum(dim=1) if pixels.ndim > 1 else pixels


def _class_weight(class_weight: Sequence[float] | Tensor | None) -> Tensor | None:
    if class_weight is None:
        return None
    weight = torch.as_tensor(class_weight, dtype=torch.get_default_dtype()).detach().clone()
    if weight.ndim != 1 or not bool((weight >= 0).all()) or not bool(weight.isfinite().all()):
        raise ValueError(f"class_weight must be finite numbers >= 0, one a class, got {brief(class_weight)}")
    return weight
