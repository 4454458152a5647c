"""Voxel counts and exact surface distances where the masks are, in torch alone: they never leave a GPU.

The steps and the values are those of `surface`: surfaces are found by comparing neighbours; voxels that both
surfaces share have distance 0; most others find their partner among the offsets around them, tried in the
order of their length; the few that are farther away are measured against all voxels of the other surface, or,
where these are too many, by an exact distance transform, axis by axis (Felzenszwalb & Huttenlocher 2012, by
trying all positions of a line). Only the box around the foreground, and the distances of the voxels that only
one surface has, go to the CPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from fairseg.io.voxel_data import lines_of_classes
from fairseg.metrics.counts import Counts, count
from fairseg.metrics.masks import (
    MaskPair,
    Pair,
    Structures,
    Unions,
    check_ignore,
    check_is_no_batch,
    check_no_channels,
    check_shapes,
    check_spacing,
    rounds_of,
    structure_values,
)
from fairseg.metrics.surface import SurfaceDistances, ball, surface_distances

Floats = npt.NDArray[np.float64]

_FIRST, _MOST = 32, 128  # offsets looked up at a time: at first, and at most
_PAIRS = 1 << 25  # pairs of voxels measured at a time, which bounds the memory


@dataclass(frozen=True)
class DevicePair(Pair):
    """Two checked label masks on a device, cropped to their common foreground: `MaskPair` in torch.

    Attributes:
        prediction: label values, integer tensor.
        reference: the same for the ground truth, same shape and device.
        labels: label values to score, int64 (L,); of a union its smallest in the reference.
        spacing: voxel size along each axis, float64 (S,), mm.
        shape: shape of the uncropped image.
        unions: of each structure all its label values, in the prediction and in the reference.
    """

    prediction: Tensor
    reference: Tensor
    labels: npt.NDArray[np.int64]
    spacing: Floats
    shape: tuple[int, ...]
    unions: tuple[Unions, Unions]

    def on_host(self) -> MaskPair:
        """Return the masks as arrays, for metrics that are not written in torch."""
        masks = [mask.cpu().numpy() for mask in (self.prediction, self.reference)]
        masks = [mask.astype(np.min_scalar_type(int(mask.max(initial=0)))) for mask in masks]
        plain = self.unions[0] == self.unions[1] and all(len(union) == 1 for union in self.unions[1])
        return MaskPair(
            masks[0], masks[1], self.labels, self.spacing, self.shape, None if plain else self.unions
        )

    @cached_property
    def numbered(self) -> list[tuple[list[int], Tensor, Tensor]]:
        """The structures in rounds that share no label: their positions, and both masks as ids from 1 on."""
        if not self.prediction.numel():
            return []
        predicted, true = self.unions
        return [
            (
                members,
                _ids(self.prediction, [predicted[member] for member in members]),
                _ids(self.reference, [true[member] for member in members]),
            )
            for members in rounds_of(self.unions)
        ]


def device_pair(
    prediction: Tensor,
    reference: Tensor,
    labels: Structures | None,
    spacing: float | Sequence[float] | None = None,
    ignore: int | None = None,
    prediction_labels: Structures | None = None,
) -> DevicePair:
    """Check two masks on a device and crop them; arguments and errors are those of `check_pair`."""
    check_shapes(tuple(prediction.shape), tuple(reference.shape))
    check_is_no_batch(tuple(prediction.shape), spacing)
    true = None if labels is None else tuple(structure_values(labels).values())
    predicted = true if prediction_labels is None else tuple(structure_values(prediction_labels).values())
    if ignore is not None:
        check_ignore(ignore, true)
        prediction, reference = (mask.masked_fill(reference == ignore, 0) for mask in (prediction, reference))
    size = check_spacing(spacing, prediction.ndim)
    first, second = _whole(prediction, "prediction"), _whole(reference, "reference")
    for mask, name in ((second, "reference"), (first, "prediction")):
        corners = [mask[line].sum() for _, line in lines_of_classes(mask.shape)]
        if corners and 1 in torch.stack(corners).tolist():  # true of hardly any mask of labels
            check_no_channels(mask.cpu().numpy(), name)
    box = _foreground((first > 0) | (second > 0))
    first, second = first[box], second[box]
    if true is None or predicted is None:
        present = torch.unique(torch.cat([torch.unique(first), torch.unique(second)])).cpu().numpy()
        true = predicted = tuple((int(value),) for value in present if value > 0 and value != ignore)
    values = np.array([min(union) for union in true], dtype=np.int64)
    return DevicePair(first, second, values, size, tuple(prediction.shape), (predicted, true))


@count.register
def _count(pair: DevicePair) -> Counts:
    counts = np.zeros((3, len(pair.labels)), dtype=np.int64)
    for members, predicted, true in pair.numbered:
        number = len(members) + 1
        joint = torch.bincount((predicted * number + true).flatten(), minlength=number**2)
        table = joint.reshape(number, number).cpu().numpy()
        counts[:, members] = np.stack([table.sum(axis=1), table.sum(axis=0), np.diag(table)])[:, 1:]
    return Counts(*counts)


@surface_distances.register
def _surface_distances(pair: DevicePair, *, only_largest: bool = False) -> SurfaceDistances:
    counts = np.zeros((2, len(pair.labels)), dtype=np.int64)
    parts = [(np.zeros(0), np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int8))]
    for members, predicted, true in pair.numbered:
        search = _DeviceSearch(predicted, true, len(members), pair.spacing)
        positions = np.array(members, dtype=np.intp)
        distance, label, second = (part.cpu().numpy() for part in search.measure())
        parts.append((distance, positions[label - 1], second.astype(np.int8)))
        counts[:, members] = search.count.cpu().numpy()
    distances, labels, sides = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return SurfaceDistances(distances, labels, sides, counts)


class _DeviceSearch:
    """The surfaces of both masks in one flat tensor, one after the other, and the voxels to be measured.

    It is `surface._Search` with padding in front too, so that no index is negative.
    """

    def __init__(self, first: Tensor, second: Tensor, number: int, spacing: Floats) -> None:
        self.device, self.extent = first.device, first.shape
        offsets, length = ball(tuple(spacing))
        inside = (np.abs(offsets) < np.array(self.extent)).all(axis=1)
        offsets, length = offsets[inside], length[inside]
        reach = np.abs(offsets).max(axis=0, initial=1)
        self.shape = tuple(int(n) for n in np.array(self.extent) + reach)
        steps = np.array([prod(self.shape[axis + 1 :]) for axis in range(len(self.shape))])
        flat = offsets @ steps
        self.front, self.size = int(np.abs(flat).max(initial=0)), prod(self.shape)
        self.offset = torch.from_numpy(flat).to(self.device)
        self.length = torch.from_numpy(length).to(self.device)
        self.spacing = torch.from_numpy(spacing).to(self.device)
        ends = [length for n in reach[::-1].tolist() for length in (0, n)]
        surfaces = [F.pad(_surface(mask), ends).flatten() for mask in (first, second)]
        self.surface = F.pad(torch.cat(surfaces), (self.front, self.front))
        self.count = torch.stack([torch.bincount(ids, minlength=number + 1)[1:] for ids in surfaces])
        measured = F.pad((self.count > 0).all(dim=0), (1, 0))  # labels that both masks have; 0 is none
        differs = surfaces[0] != surfaces[1]
        asks = [(differs & measured[ids]).nonzero().squeeze(1) for ids in surfaces]
        self.label = torch.cat([ids[index] for ids, index in zip(surfaces, asks, strict=True)])
        # A voxel of the first mask looks for its partner in the second half, and the reverse.
        self.query = torch.cat([asks[0] + self.size, asks[1]]) + self.front

    def measure(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the distance of each voxel in mm, its label, and whether it is the reference's."""
        distance = torch.full((len(self.query),), torch.inf, dtype=torch.float64, device=self.device)
        unmeasured = torch.arange(len(self.query), device=self.device)
        start, width = 0, _FIRST
        while start < len(self.offset) and len(unmeasured):
            block = self.offset[start : start + width]
            for part in torch.split(unmeasured, max(1, _PAIRS // len(block))):
                hit = self.surface[self.query[part, None] + block] == self.label[part, None]
                nearest = hit.byte().argmax(dim=1)
                has_hit = hit.any(dim=1)
                distance[part[has_hit]] = self.length[start + nearest[has_hit]]
            unmeasured = unmeasured[distance[unmeasured].isinf()]
            start, width = start + width, min(2 * width, _MOST)
        if len(unmeasured):
            distance[unmeasured] = self._far(unmeasured)
        return distance, self.label, self.query < self.front + self.size

    def _far(self, queries: Tensor) -> Tensor:
        """Measure voxels that no offset reaches, those of one mask and label at a time."""
        distance = torch.empty(len(queries), dtype=torch.float64, device=self.device)
        second, label = self.query[queries] >= self.front + self.size, self.label[queries]
        for key in torch.unique(2 * label + second).tolist():
            members = (2 * label + second == key).nonzero().squeeze(1)
            half = self.surface[self.front + self.size * (key % 2) :][: self.size] == key // 2
            voxels = self._position(self.query[queries[members]] - self.front)
            targets = self._position(half.nonzero().squeeze(1))
            if _far_by_pairs(len(voxels) * len(targets), self.size * sum(self.extent)):
                distance[members] = self._by_pairs(voxels, targets)
            else:
                inside = tuple(slice(0, n) for n in self.extent)
                distance[members] = self._transform(half.reshape(self.shape)[inside])[
                    voxels.long().unbind(dim=1)
                ]
        return distance

    def _by_pairs(self, voxels: Tensor, targets: Tensor) -> Tensor:
        """Return the distance of each voxel (K, S) to the nearest target (T, S)."""
        nearest = []
        for part in torch.split(voxels, max(1, _PAIRS // len(targets))):
            squared = torch.zeros(len(part), len(targets), dtype=torch.float64, device=self.device)
            for axis, size in enumerate(self.spacing):
                squared += ((part[:, axis, None] - targets[None, :, axis]) * size).square_()
            nearest.append(squared.min(dim=1).values.sqrt())
        return torch.cat(nearest)

    def _transform(self, targets: Tensor) -> Tensor:
        """Return the distance of every voxel of the box to the nearest target."""
        squared = torch.where(targets, 0.0, torch.inf).double()
        for axis, length in enumerate(self.extent):
            line = torch.arange(length, device=self.device)
            squares = ((line[:, None] - line[None]) * self.spacing[axis]).square()
            lines = squared.movedim(axis, -1)
            nearest = torch.full_like(lines, torch.inf)
            for start in range(length):
                nearest = torch.minimum(nearest, lines[..., start, None] + squares[start])
            squared = nearest.movedim(-1, axis)
        return squared.sqrt()

    def _position(self, index: Tensor) -> Tensor:
        """Return the voxel coordinates (K, S), float64, of flat indices into either half."""
        return torch.stack(torch.unravel_index(index % self.size, self.shape), dim=1).double()


def _far_by_pairs(pairs: int, steps_of_transform: int) -> bool:
    """Whether it is cheaper to measure all pairs."""
    return pairs <= steps_of_transform


def _surface(ids: Tensor) -> Tensor:
    """Return label ids where a face neighbour has another label or lies outside, 0 elsewhere."""
    around = F.pad(ids, [1] * (2 * ids.ndim))
    inner = torch.ones_like(ids, dtype=torch.bool)
    for axis, length in enumerate(ids.shape):
        middle = [slice(1, 1 + n) for n in ids.shape]
        for start in (0, 2):
            middle[axis] = slice(start, start + length)
            inner &= around[tuple(middle)] == ids
    return ids.masked_fill(inner, 0)


def _ids(mask: Tensor, unions: Sequence[tuple[int, ...]]) -> Tensor:
    """Return a mask in which each union is one label, from 1 on, int64, and all else is 0."""
    pairs = sorted((value, number) for number, union in enumerate(unions, start=1) for value in union)
    values, numbers = torch.tensor(list(zip(*pairs, strict=True)), device=mask.device)
    nearest = torch.searchsorted(values, mask.contiguous()).clamp(max=len(pairs) - 1)
    return torch.where(values[nearest] == mask, numbers[nearest], 0)


def _whole(mask: Tensor, name: str) -> Tensor:
    """Return a mask as int64, or raise a ValueError as `as_mask` does; waits once for the device."""
    if mask.ndim == 0 or mask.numel() == 0:
        raise ValueError(f"{name} must have at least one voxel, got shape {tuple(mask.shape)}")
    if mask.is_complex():
        raise ValueError(f"{name} must hold integer labels, got dtype {mask.dtype}")
    if mask.dtype == torch.bool:
        return mask.long()
    whole = mask.long()
    low, high, wrong = torch.stack(
        [mask.amin().double(), mask.amax().double(), (whole.to(mask.dtype) != mask).any().double()]
    ).tolist()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} must hold integer labels, got NaN or infinity")
    if low < 0:
        raise ValueError(f"{name} must hold labels >= 0, got {low:g}")
    if high >= 2.0**63:
        raise ValueError(f"{name} must hold labels below 2**63, got {high:g}")
    if wrong:
        odd = float(mask[whole.to(mask.dtype) != mask][0])
        raise ValueError(f"{name} must hold integer labels, got {odd} (a probability map? take its argmax)")
    return whole


def _foreground(used: Tensor) -> tuple[slice, ...]:
    """Return the smallest box that holds all used voxels (empty if there are none)."""
    ends = []
    for axis in range(used.ndim):
        across = [number for number in range(used.ndim) if number != axis]
        along = used.any(dim=across) if across else used
        positions = torch.arange(len(along), device=used.device)
        ends += [torch.where(along, positions, len(along)).min(), torch.where(along, positions, -1).max()]
    edges = torch.stack(ends).tolist()
    if edges[1] < 0:
        return (slice(0, 0),) * used.ndim
    return tuple(slice(low, high + 1) for low, high in zip(edges[::2], edges[1::2], strict=True))
