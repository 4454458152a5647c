"""Per-sample losses against torch, MONAI, and nnU-Net's Dice written out from its definition."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from monai.losses import DiceCELoss as MonaiDiceCE
from monai.losses import DiceLoss as MonaiDice
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fairseg.losses import (
    BalancedGroupLoss,
    CrossEntropyLoss,
    DiceCELoss,
    FairErrorBoundLoss,
    SoftDiceLoss,
)
from fairseg.losses.per_sample import class_sums

SHAPES = [(7, 9), (4, 5, 6), (3,), (64, 64)]


def batch(shape: tuple[int, ...], classes: int = 4, size: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(size, classes, *shape, generator=generator)
    return logits, torch.randint(0, classes, (size, *shape), generator=generator)


def nnunet_dice(logits: Tensor, target: Tensor, *, batch_dice: bool, ignore: int | None = None) -> Tensor:
    """nnU-Net v2's MemoryEfficientSoftDiceLoss (do_bg=False, smooth=1e-5), from its definition."""
    axes = tuple(range(2, logits.ndim))
    valid = torch.ones_like(target) if ignore is None else (target != ignore).long()
    onehot = F.one_hot(target * valid, logits.shape[1]).movedim(-1, 1).float()
    valid = valid.unsqueeze(1)
    probability = logits.softmax(1)[:, 1:]
    onehot = onehot[:, 1:]
    intersect = (probability * onehot * valid).sum(axes)
    predicted, reference = (probability * valid).sum(axes), (onehot * valid).sum(axes)
    if batch_dice:
        intersect, predicted, reference = (part.sum(0) for part in (intersect, predicted, reference))
    dice = (2 * intersect + 1e-5) / torch.clip(predicted + reference + 1e-5, 1e-8)
    return -dice.mean() if batch_dice else -dice.mean(1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ignore_index": 2},
        {"ignore_index": -100},
        {"class_weight": [0.1, 1.0, 2.0, 0.0]},
        {"label_smoothing": 0.1},
        {"ignore_index": 1, "class_weight": [0.1, 1.0, 2.0, 0.3], "label_smoothing": 0.2},
    ],
    ids=str,
)
def test_cross_entropy_is_torchs_of_each_sample_alone(
    shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    logits, target = batch(shape)
    if options.get("ignore_index") == -100:
        target = torch.where(target == 3, -100, target)
    theirs = dict(options)
    weight = theirs.pop("class_weight", None)
    theirs["weight"] = None if weight is None else torch.tensor(weight)
    expected = [F.cross_entropy(logits[[i]], target[[i]], **theirs) for i in range(5)]
    loss = CrossEntropyLoss(**options)
    torch.testing.assert_close(loss(logits, target), torch.stack(expected))
    torch.testing.assert_close(loss(logits, target.unsqueeze(1)), torch.stack(expected))


def test_classification_without_any_pixels_axis() -> None:
    logits, target = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    torch.testing.assert_close(
        CrossEntropyLoss()(logits, target), F.cross_entropy(logits, target, reduction="none")
    )


def test_a_sample_of_ignored_pixels_only_has_no_loss_and_no_gradient() -> None:
    logits, target = batch((3, 3))
    target[1] = 9
    logits.requires_grad_()
    for loss in (CrossEntropyLoss(ignore_index=9), DiceCELoss(ignore_index=9)):
        value = loss(logits, target)
        assert value.isfinite().all()
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        assert gradient.isfinite().all()
        assert (gradient[1] == 0).all()
    assert CrossEntropyLoss(ignore_index=9)(logits, target)[1] == 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("background", [False, True])
def test_dice_is_monais(shape: tuple[int, ...], background: bool) -> None:
    logits, target = batch(shape)
    theirs = MonaiDice(softmax=True, to_onehot_y=True, include_background=background, reduction="none")
    expected = theirs(logits, target.unsqueeze(1)).flatten(1).mean(1)
    actual = SoftDiceLoss(include_background=background)(logits, target)
    torch.testing.assert_close(actual, expected, rtol=2e-6, atol=1e-6)
    both = MonaiDiceCE(softmax=True, to_onehot_y=True, include_background=background)
    torch.testing.assert_close(
        DiceCELoss(include_background=background)(logits, target).mean(),
        both(logits, target.unsqueeze(1)),
        rtol=2e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("ignore", [None, 2])
def test_dice_is_nnunets_plus_one_of_samples_and_of_the_batch(
    shape: tuple[int, ...], ignore: int | None
) -> None:
    logits, target = batch(shape)
    each = SoftDiceLoss(ignore_index=ignore)(logits, target)
    torch.testing.assert_close(
        each, 1 + nnunet_dice(logits, target, batch_dice=False, ignore=ignore), rtol=2e-6, atol=1e-6
    )
    cross_entropy = F.cross_entropy(logits, target, ignore_index=-100 if ignore is None else ignore)
    expected = 1 + nnunet_dice(logits, target, batch_dice=True, ignore=ignore) + cross_entropy
    pooled = DiceCELoss(ignore_index=ignore, pool="group")
    torch.testing.assert_close(pooled(logits, target), expected, rtol=2e-6, atol=1e-6)
    one_group = BalancedGroupLoss(1, pooled)
    torch.testing.assert_close(
        one_group(logits, target, torch.zeros(5, dtype=torch.long)), expected, rtol=2e-6, atol=1e-6
    )


@pytest.mark.parametrize("background", [False, True])
def test_ignored_pixels_have_no_part_in_dice(background: bool) -> None:
    """The same as if they were not there."""
    logits, target = batch((60,), size=2)
    ignored = target.clone()
    ignored[:, 40:] = 9
    loss = SoftDiceLoss(include_background=background, ignore_index=9)
    torch.testing.assert_close(
        loss(logits, ignored), SoftDiceLoss(include_background=background)(logits[..., :40], target[:, :40])
    )


def test_gradients_equal_those_of_the_plain_formula() -> None:
    logits, target = batch((6, 7), seed=3)
    logits = logits.double().requires_grad_()
    actual = torch.autograd.grad(DiceCELoss(pool="group")(logits, target), logits)[0]
    plain = nnunet_dice(logits, target, batch_dice=True) + F.cross_entropy(logits, target)
    torch.testing.assert_close(actual, torch.autograd.grad(plain, logits)[0], rtol=1e-6, atol=1e-9)
    assert torch.autograd.gradcheck(lambda x: DiceCELoss(ignore_index=2)(x, target), logits, fast_mode=True)


def test_options_of_dice_ce_reach_both_terms() -> None:
    logits, target = batch((6, 7))
    weight = [0.5, 1.0, 2.0, 3.0]
    loss = DiceCELoss(
        True, 0.1, class_weight=weight, label_smoothing=0.1, dice_weight=0.3, ce_weight=2.0, ignore_index=3
    )
    dice = SoftDiceLoss(True, 0.1, ignore_index=3)(logits, target)
    ce = CrossEntropyLoss(3, weight, 0.1)(logits, target)
    torch.testing.assert_close(loss(logits, target), 0.3 * dice + 2.0 * ce)


def test_millions_of_small_probabilities_are_not_lost() -> None:
    """Summed one by one in float32, they would be off in the third digit."""
    size = 2**24 + 256
    values = torch.full((1, size // 256, 256), 0.1)
    sums = class_sums(values, torch.zeros(values.shape, dtype=torch.long), 2)
    torch.testing.assert_close(sums, torch.tensor([[0.1 * size, 0.0]]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("classes", [4, 118])
def test_class_sums_are_those_of_a_loop_on_every_device(classes: int) -> None:
    values, target = torch.rand(3, 5, 6), torch.randint(0, classes, (3, 5, 6))
    expected = torch.stack([(values * (target == label)).sum(dim=(1, 2)) for label in range(classes)], dim=1)
    torch.testing.assert_close(class_sums(values, target, classes), expected)

    class Elsewhere(torch.Tensor):
        device = torch.device("meta")  # type: ignore[assignment]

    sums = class_sums(values.as_subclass(Elsewhere), target, classes).as_subclass(Tensor)
    torch.testing.assert_close(sums, expected)


def test_many_classes_take_as_few_kernels_as_two() -> None:
    """What a GPU would be told to do, counted where there is none."""

    class Counting(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            del types
            self.count += 1
            return func(*args, **(kwargs or {}))

    kernels = []
    for classes in (2, 118):
        values = torch.empty(1, 8, 8, device="meta")
        target = torch.empty(1, 8, 8, dtype=torch.long, device="meta")
        with Counting() as counting:
            class_sums(values, target, classes)
        kernels.append(counting.count)
    assert kernels[1] <= kernels[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_reduced_in_float32(dtype: torch.dtype) -> None:
    logits, target = batch((32, 32))
    low = logits.to(dtype)
    for loss in (CrossEntropyLoss(), SoftDiceLoss(), DiceCELoss()):
        value = loss(low, target)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, loss(low.float(), target))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(
                loss(logits.bfloat16(), target), loss(logits.bfloat16().float(), target)
            )
            assert loss(logits.bfloat16(), target).dtype == torch.float32


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        ((2, 3, 4, 4), torch.zeros(2, 4, 5, dtype=torch.long), r"got \(2, 3, 4, 4\) and \(2, 4, 5\)"),
        ((2, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long), "shapes"),
        (
            (2, 3, 4, 4),
            torch.zeros(2, 3, 4, 4),
            r"one-hot, .*: target\.argmax\(1, keepdim=True\), or leave out .*to_onehot\. Only if .*sigmoids",
        ),
        ((2,), torch.zeros(2, dtype=torch.long), "shapes"),
        ((2, 3, 4, 4), torch.full((2, 4, 4), 0.5), "whole numbers, got 0.5"),
        ((2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.bool), "integer type"),
    ],
)
def test_shapes_and_types_that_do_not_fit_are_named(
    logits: tuple[int, ...], target: Tensor, message: str
) -> None:
    for loss in (CrossEntropyLoss(), SoftDiceLoss(), DiceCELoss(pool="group")):
        with pytest.raises(ValueError, match=message):
            loss(torch.zeros(logits), target)


@pytest.mark.parametrize("shape", [(), (4,), (4, 4)], ids=str)
@pytest.mark.parametrize("label", [3, -1, -100])
def test_labels_that_are_no_class_are_one_error_from_every_base(label: int, shape: tuple[int, ...]) -> None:
    logits, target = torch.zeros(2, 3, *shape), torch.full((2, *shape), label)
    losses = [CrossEntropyLoss(), CrossEntropyLoss(9, [1.0, 2.0, 3.0]), CrossEntropyLoss(label_smoothing=0.1)]
    losses += [DiceCELoss(), SoftDiceLoss(pool="group"), DiceCELoss(ignore_index=9)]  # type: ignore[list-item]
    message = f"target must hold labels from 0 to 2, got {label}"
    for loss in losses:
        with pytest.raises(ValueError, match=message):
            loss(logits, target)
    groups = torch.tensor([0, 1])
    torchs = torch.nn.CrossEntropyLoss(reduction="none", ignore_index=9)
    for loss in (BalancedGroupLoss(2, torchs), BalancedGroupLoss(2), FairErrorBoundLoss(2)):
        with pytest.raises(ValueError, match=message):
            loss(logits, target, groups)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CrossEntropyLoss(label_smoothing=1.5), "label_smoothing"),
        (lambda: CrossEntropyLoss(class_weight=[1.0, -1.0]), "class_weight"),
        (lambda: SoftDiceLoss(smooth=-1), "smooth"),
        (lambda: DiceCELoss(pool="batch"), 'pool must be "sample" or "group", got \'batch\''),
        (lambda: SoftDiceLoss()(torch.zeros(1, 1, 2), torch.zeros(1, 2).long()), "at least 2 classes"),
    ],
)
def test_bad_options_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
