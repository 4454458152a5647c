"""Pairs of label masks for the tests: random, smooth, and the awkward ones by name."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Mask = npt.NDArray[np.uint8]


def noise(rng: np.random.Generator, shape: tuple[int, ...], labels: int) -> Mask:
    """Every voxel on its own: the most surface that a mask can have."""
    mask: Mask = rng.integers(0, labels + 1, size=shape, dtype=np.uint8)
    mask[rng.random(shape) >= rng.uniform(0.1, 0.9)] = 0
    return mask


def blobs(rng: np.random.Generator, shape: tuple[int, ...], labels: int) -> Mask:
    """Smooth structures that touch each other and the edges."""
    fields = [gaussian_filter(rng.normal(size=shape), rng.uniform(0.5, 3.0)) for _ in range(labels + 1)]
    mask: Mask = np.argmax(fields, axis=0).astype(np.uint8)
    return mask


def boxes(rng: np.random.Generator, shape: tuple[int, ...], labels: int) -> Mask:
    """One box a label, anywhere, of any size, perhaps empty or covered by another."""
    mask = np.zeros(shape, dtype=np.uint8)
    for label in range(1, labels + 1):
        low = [int(rng.integers(0, length)) for length in shape]
        size = [int(rng.integers(0, length + 1)) for length in shape]
        mask[tuple(slice(a, a + b) for a, b in zip(low, size, strict=True))] = label
    return mask


def voxels(rng: np.random.Generator, shape: tuple[int, ...], labels: int) -> Mask:
    """Single voxels, far apart."""
    mask = np.zeros(shape, dtype=np.uint8)
    for label in range(1, labels + 1):
        for _ in range(int(rng.integers(1, 3))):
            mask[tuple(int(rng.integers(0, length)) for length in shape)] = label
    return mask


def moved(rng: np.random.Generator, mask: Mask) -> Mask:
    """The same mask a little away, as a good prediction is."""
    shift = [int(rng.integers(-2, 3)) for _ in mask.shape]
    return np.roll(mask, shift, axis=tuple(range(mask.ndim)))


def random_pairs(seed: int, number: int) -> Iterator[tuple[Mask, Mask, tuple[float, ...]]]:
    """Draw pairs of masks with labels 1 to 3, 2D and 3D, and a spacing for each."""
    rng = np.random.default_rng(seed)
    makers = (noise, blobs, boxes, voxels)
    for _ in range(number):
        ndim = int(rng.integers(2, 4))
        longest = 26 if ndim == 2 else 13
        shape = tuple(int(rng.integers(1, longest)) for _ in range(ndim))
        spacing = tuple(float(rng.choice([1.0, rng.uniform(0.2, 3.0), 10.0])) for _ in range(ndim))
        reference = makers[rng.integers(len(makers))](rng, shape, 3)
        if rng.random() < 0.4:
            prediction = moved(rng, reference)
        else:
            prediction = makers[rng.integers(len(makers))](rng, shape, 3)
        yield prediction, reference, spacing
