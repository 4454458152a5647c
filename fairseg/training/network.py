"""The reference network: nnU-Net's 2D U-Net, from MONAI's DynUNet."""

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.nets.dynunet import DynUNet
from torch import Tensor, nn

from fairseg.training.settings import Settings

_SMALLEST_EDGE = 4  # pixels of the lowest resolution
_LEAST_STAGES = 3


class UNet(DynUNet):  # type: ignore[misc, unused-ignore]
    """A U-Net with instance norm, leaky ReLU and deep supervision.

    MONAI's network enlarges the outputs of all stages to full resolution before the loss. In training mode,
    this one returns them as they are, from full resolution down, as nnU-Net does; in eval mode the first.
    """

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Return logits (B, K, *S); in training mode with deep supervision a list of them."""
        out: Tensor = self.output_block(self.skip_layers(image))
        heads = list(self.heads)
        self.heads[:] = [head.detach() for head in heads]  # with their graph, the network cannot be copied
        return [out, *heads] if self.training and self.deep_supervision else out

    def encoder(self) -> list[nn.Module]:
        """Return the modules on the way down."""
        return [self.input_block, self.downsamples, self.bottleneck]

    def last_layers(self) -> list[nn.Module]:
        """Return the last layer of each output."""
        return [self.output_block, *([self.deep_supervision_heads] if self.deep_supervision else [])]


def strides_for(patch_size: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the stride of each stage, as nnU-Net plans.

    Each axis is halved while at least 4 pixels remain; the last that can be, while at least 6 remain.

    >>> strides_for((80, 20))
    [(1, 1), (2, 2), (2, 2), (2, 1)]
    """
    size, strides = list(patch_size), [(1,) * len(patch_size)]
    while True:
        step = tuple(2 if length >= 2 * _SMALLEST_EDGE else 1 for length in size)
        lone = step.count(2) == 1 and len(step) > 1
        if 2 not in step or (lone and max(size) < 3 * _SMALLEST_EDGE):
            break
        size = [length // by for length, by in zip(size, step, strict=True)]
        strides.append(step)
    while len(strides) < _LEAST_STAGES:
        strides.append((1,) * len(size))
    return strides


def make_network(
    channels: int,
    classes: int,
    patch_size: Sequence[int],
    *,
    features: int = 32,
    most_features: int = 512,
    deep_supervision: bool = True,
) -> UNet:
    """Return the network for patches of a size, divisible by `divisor(patch_size)`, from torch's generator.

    It has `features` channels at full resolution, twice as many at each stage but no more than
    `most_features`; with deep supervision outputs at every resolution but the two lowest.
    """
    strides = strides_for(patch_size)
    heads = len(strides) - 3
    return UNet(
        spatial_dims=len(patch_size),
        in_channels=channels,
        out_channels=classes,
        kernel_size=[3] * len(strides),
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=[min(features * 2**stage, most_features) for stage in range(len(strides))],
        norm_name=("INSTANCE", {"affine": True}),
        deep_supervision=deep_supervision and heads > 0,
        deep_supr_num=max(heads, 1),
    )


def reference_network(run: dict[str, Any], settings: Settings) -> nn.Module:
    """Return a new reference U-Net for a run, as `describe` gives it."""
    return make_network(
        len(run["channels"]),
        len(run["labels"]) + (run.get("regions_class_order") is None),  # regions need no background
        run["patch_size"],
        features=settings.features,
        most_features=settings.most_features,
        deep_supervision=settings.deep_supervision,
    )


def load_weights(network: nn.Module, weights: dict[str, Tensor], owner: str, *, assign: bool = False) -> None:
    """Load weights, or raise a ValueError that says that they are of another network."""
    try:
        network.load_state_dict(weights, assign=assign)
    except RuntimeError as error:
        reason = " ".join(str(error).split("\n", 1)[-1].split())
        raise ValueError(
            f"{owner} was trained with another network, give it as network=: {reason:.200}"
        ) from None


def check_weights(run: dict[str, Any], settings: Settings, weights: dict[str, Tensor], owner: str) -> None:
    """Raise a ValueError unless weights are of the reference U-Net of a run; takes no memory for it."""
    with torch.device("meta"):
        network = reference_network(run, settings)
    load_weights(network, weights, owner, assign=True)


def divisor(patch_size: Sequence[int]) -> tuple[int, ...]:
    """Return the number of which the size of an image must be a multiple, along each axis.

    >>> divisor((80, 20))
    (8, 4)
    """
    total = [1] * len(patch_size)
    for step in strides_for(patch_size):
        total = [length * by for length, by in zip(total, step, strict=True)]
    return tuple(total)


def scale_weights(number: int) -> list[float]:
    """Return the weight of each output: 1, 1/2, 1/4, ... divided by their sum.

    >>> scale_weights(2)
    [0.6666666666666666, 0.3333333333333333]
    """
    weights = [0.5**scale for scale in range(number)]
    return [weight / sum(weights) for weight in weights]
