"""nnU-Net's augmentations, made by the library that nnU-Net takes them from, repeatable for each sample."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import pi

import numpy as np
import torch
from batchgeneratorsv2.helpers.scalar_type import RandomScalar
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform

MARGIN = 1.5  # size of the region that rotation and scaling need, over that of the patch


def make_augmentation(
    patch_size: Sequence[int], *, elastic: bool = False, mirrored_axes: Sequence[int] = (0, 1)
) -> BasicTransform:
    """Return nnU-Net v2's training transforms of 2D patches, with its ranges and probabilities.

    Rotation, scaling, noise, blur, brightness, contrast, low resolution, gamma and mirroring; called with
    `image=` (C, y, x) float32 and `segmentation=` (1, y, x) integer tensors, larger than the patch by the
    factor `MARGIN`. As in nnU-Net, patches that are nearly square are rotated by any angle, others by 15
    degrees at most.
    """
    most = pi / 12 if max(patch_size) > 1.5 * min(patch_size) else pi
    rotation: RandomScalar = (-most, most)
    spatial = SpatialTransform(
        tuple(patch_size),
        patch_center_dist_from_border=0,
        random_crop=False,
        p_elastic_deform=0.2 if elastic else 0.0,
        elastic_deform_scale=(0.05, 0.2),
        elastic_deform_magnitude=(0.0, 0.05 * min(patch_size)),
        p_rotation=0.2,
        rotation=rotation,
        p_scaling=0.2,
        scaling=(0.7, 1.4),
        p_synchronize_scaling_across_axes=1,
        bg_style_seg_sampling=False,
    )
    contrast = BGContrast((0.75, 1.25))
    sometimes = [
        (0.1, GaussianNoiseTransform(noise_variance=(0, 0.1), p_per_channel=1, synchronize_channels=True)),
        (
            0.2,
            GaussianBlurTransform(  # a benchmark would choose an algorithm by its speed, another on each run
                (0.5, 1.0),
                synchronize_channels=False,
                synchronize_axes=False,
                p_per_channel=0.5,
                benchmark=False,
            ),
        ),
        (0.15, MultiplicativeBrightnessTransform(contrast, False, p_per_channel=1)),
        (0.15, ContrastTransform(contrast, preserve_range=True, synchronize_channels=False, p_per_channel=1)),
        (
            0.25,
            SimulateLowResolutionTransform(
                (0.5, 1),
                synchronize_channels=False,
                synchronize_axes=True,
                ignore_axes=None,
                p_per_channel=0.5,
            ),
        ),
        (0.1, _gamma(inverted=True)),
        (0.3, _gamma(inverted=False)),
    ]
    return ComposeTransforms(
        [
            spatial,
            *(RandomTransform(transform, apply_probability=p) for p, transform in sometimes),
            *([MirrorTransform(allowed_axes=tuple(mirrored_axes))] if mirrored_axes else []),
        ]
    )


def _gamma(*, inverted: bool) -> GammaTransform:
    return GammaTransform(
        gamma=BGContrast((0.7, 1.5)),
        p_invert_image=int(inverted),
        synchronize_channels=False,
        p_per_channel=1,
        p_retain_stats=1,
    )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators that the transforms draw from, and put them back as they were."""
    before = np.random.get_state(), random.getstate()  # noqa: NPY002  (it is what the library uses)
    torch_before = torch.default_generator.get_state()
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before[0])  # noqa: NPY002
        random.setstate(before[1])
        torch.default_generator.set_state(torch_before)
