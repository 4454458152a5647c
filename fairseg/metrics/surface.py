"""Surface voxels of two masks and the exact distances between them: the costly step, done once.

A voxel of a label is on its surface if one of its 2 * S face neighbours is not of that label or lies
outside the image (medpy's definition, connectivity 1). Each surface voxel of one mask has a distance
to the nearest surface voxel of the same label in the other mask; `distance` sums these up.

How it is fast, and still exact:

1. Both masks are cropped to their common foreground and all labels are handled at once: a surface
   voxel is one that differs from a neighbour, whatever its label.
2. A surface voxel that both masks share has distance 0 and is only counted.
3. Most others have a partner a few voxels away: the offsets around a voxel are looked up in the order
   of their length in mm, and the first hit is the nearest neighbour.
4. The few that are farther away are measured against all of the other surface: by one matrix product
   where they are few, by a k-d tree where they are many. If only the largest distance is needed, most
   of them are ruled out first, because the distance of a voxel's neighbour bounds its own.

All distances are integer offsets times the spacing, as in SciPy's distance transform, so they equal
medpy's to rounding. Replacing `_Search.nearest` replaces the kernel.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache, singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.masks import FEW, MaskPair, Pair, renumber

Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

_REACH = 10  # offsets are looked up to this many voxels along the finest axis ...
_OFFSETS = {1: 20, 2: 250}  # ... but not more of them than this (2D: nearly a full disc) ...
_OFFSETS_3D = 400  # ... or this
_BLOCK = 8  # offsets looked up at a time, where it only matters whether one of them hits
_FIRST = 24  # offsets tried before it pays to rule voxels out
_MANY = 100  # voxels left after that from which on it pays
_CHUNK = 1 << 14  # voxels looked up at a time, to stay in the processor's cache
_CELL = 4  # side of the cells that share a bound, in voxels of the finest axis
_SLOTS = 4  # of the table of cells, for each voxel that looks its own up
_PRODUCT = 1 << 22  # distances that take less time all together than a tree and its import, ...
_FEW_POINTS = 200  # ... as do all those of so many voxels
_ROWS = 1 << 19  # distances computed at a time


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances in mm between the surfaces of two masks, in both directions, by label.

    Attributes:
        distance: of every surface voxel that only one of the masks has, float64 (K,), > 0. Labels
            that one mask lacks have none.
        label: position of that voxel's label in the list of labels, int (K,).
        side: the mask whose surface it is on: 0 the prediction's, 1 the reference's, int8 (K,).
        count: surface voxels of each label in the prediction and in the reference, int64 (2, L).
            Those of a label in both masks that are not in `distance` are shared: their distance is 0.
    """

    distance: Floats
    label: Ints
    side: npt.NDArray[np.int8]
    count: npt.NDArray[np.int64]

    def of(self, position: int, side: int | None = None) -> Floats:
        """Return the non-zero distances of one label, in mm: of one side, or of both pooled."""
        chosen = self.label == position
        return np.asarray(self.distance[chosen if side is None else chosen & (self.side == side)])


@singledispatch
def surface_distances(pair: Pair, *, only_largest: bool = False) -> SurfaceDistances:
    """Measure the distance of every surface voxel of each mask to the other mask's surface.

    Args:
        pair: checked masks.
        only_largest: the caller needs only the largest distance of each label. Distances that can
            not be the largest are then reported as 0, which saves most of the time.
    """
    assert isinstance(pair, MaskPair)  # `on_device` measures tensors
    if pair.unions is None:
        return _surface_distances(pair, only_largest)
    count = np.zeros((2, len(pair.labels)), dtype=np.int64)
    parts = []
    for positions, simple in pair.rounds():
        part = _surface_distances(simple, only_largest)
        parts.append((part.distance, np.array(positions, dtype=np.intp)[part.label], part.side))
        count[:, positions] = part.count
    distance, label, side = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return SurfaceDistances(distance, label, side, count)


def _surface_distances(pair: MaskPair, only_largest: bool) -> SurfaceDistances:
    number = len(pair.labels)
    if not pair.reference.size or not number:
        none = np.zeros((2, number), dtype=np.int64)
        return SurfaceDistances(np.zeros(0), np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int8), none)
    search = _Search(pair)
    distance = search.largest() if only_largest else search.nearest(np.arange(search.query.size))
    # A query into the first half, where the prediction is, is a voxel of the reference.
    side = (search.query < search.size).astype(np.int8)
    return SurfaceDistances(distance, search.label.astype(np.intp) - 1, side, search.count)


class _Search:
    """The surfaces of both masks in one flat array, and the voxels whose distances are measured.

    One mask follows the other, each padded at the end of every axis by as much as an offset can reach. A flat
    index plus a flat offset that leaves the image then always lands in padding.
    """

    def __init__(self, pair: MaskPair) -> None:
        ids, number = _compact(pair), len(pair.labels)
        # Along an axis of one voxel, both neighbours of every voxel lie outside: all voxels are surface.
        long = [axis for axis, n in enumerate(pair.reference.shape) if n > 1] or [0]
        flat = len(long) < pair.reference.ndim
        extent = tuple(pair.reference.shape[axis] for axis in long)
        self.spacing = pair.spacing[long]
        offsets, self.length = ball(tuple(self.spacing))
        inside_reach = (np.abs(offsets) < extent).all(axis=1)
        offsets, self.length = offsets[inside_reach], self.length[inside_reach]
        reach = np.abs(offsets).max(axis=0, initial=1)
        self.shape = tuple(int(n) for n in np.array(extent) + reach)
        self.size = int(np.prod(self.shape))
        steps = np.array([int(np.prod(self.shape[axis + 1 :])) for axis in range(len(self.shape))])
        self.offset: Ints = offsets @ steps

        self.surface = np.zeros(2 * self.size, dtype=ids[0].dtype)
        inside = tuple(slice(0, n) for n in extent)
        spare = np.empty((2, self.size), dtype=bool)
        for mask, half in zip(ids, self._halves(), strict=True):
            half.reshape(self.shape)[inside] = mask.reshape(extent)
            if not flat:
                _keep_surface(half, steps, spare)
        del ids

        halves = self._halves()
        self._voxels = [np.flatnonzero(half != 0) for half in halves]  # quicker than without "!= 0"
        labels = [half.take(voxels) for half, voxels in zip(halves, self._voxels, strict=True)]
        self.count = np.array([_tally(label, number) for label in labels])
        in_both = np.concatenate(([False], (self.count > 0).all(axis=0)))
        # A voxel of the first mask looks for its partner in the second half, and the reverse.
        asks = [
            np.flatnonzero((other.take(voxels) != label) & in_both.take(label))
            for other, voxels, label in zip(halves[::-1], self._voxels, labels, strict=True)
        ]
        first, second = (voxels.take(ask) for voxels, ask in zip(self._voxels, asks, strict=True))
        self.query = np.concatenate((first + self.size, second))
        self.label = np.concatenate([label.take(ask) for label, ask in zip(labels, asks, strict=True)])
        self._targets: dict[int, _Target] = {}

    def _halves(self) -> tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.unsignedinteger]]:
        return self.surface[: self.size], self.surface[self.size :]

    def nearest(self, queries: Ints, start: int = 0) -> Floats:
        """Return the distance in mm of these queries, float64, same shape.

        The first `start` offsets around them are known to hit nothing.
        """
        distance = self._look_around(queries, start)
        unreached = np.flatnonzero(np.isinf(distance))
        if unreached.size:
            distance[unreached] = self._look_far(queries[unreached])
        return distance

    def largest(self) -> Floats:
        """Return the distances of `nearest`, but 0 for voxels that cannot have the largest of their label."""
        distance = np.zeros(self.query.size)
        pending, start = np.arange(self.query.size), 0
        while pending.size and start + _BLOCK <= min(_FIRST, len(self.offset)):
            farther = pending[~self._hits(pending, start)]
            # A label of which no voxel is left has its largest distance among those that were hit just now.
            goes_on = np.zeros(self.count.shape[1] + 1, dtype=bool)
            goes_on[self.label[farther]] = True
            last = pending[~goes_on[self.label[pending]]]
            distance[last] = self._look_around(last, start)
            pending, start = farther, start + _BLOCK
        if pending.size > _MANY:
            pending = self._rule_out(pending, start, distance)
        distance[pending] = self.nearest(pending, start)
        return distance

    def _rule_out(self, queries: Ints, start: int, distance: Floats) -> Ints:
        """Measure some of the queries; return the others that can have a distance larger than those.

        One voxel in each small cell is measured. A distance changes by no more than the length of a step, so
        the others of the cell have at most its distance plus their distance from it.
        """
        label, size = self.label[queries], self.count.shape[1] + 1
        edge = np.maximum(1, _CELL * self.spacing.min() / self.spacing).astype(np.int64)
        voxel = self._position(self.query[queries])
        # Whose surface it is makes no difference: a voxel of the other mask is itself a partner.
        cell = label.astype(np.int64)
        for axis, (length, side) in enumerate(zip(self.shape, edge.tolist(), strict=True)):
            cell = cell * (length // side + 1) + voxel[axis] // side
        # The table is small: where two cells share a slot, all voxels of the one are measured.
        order, table = np.arange(queries.size), np.empty(_SLOTS * queries.size, dtype=np.intp)
        slot = cell % table.size
        table[slot] = order
        member = table[slot]
        is_measured = (member == order) | (cell[member] != cell)
        measured = np.zeros(queries.size)
        measured[is_measured] = self.nearest(queries[is_measured], start)
        distance[queries] = measured
        floor = np.zeros(size)
        np.maximum.at(floor, label, measured)
        bound = measured[member] + _length(voxel - voxel[:, member], self.spacing)
        # The slack keeps a tie, which rounding could hide, among the open ones.
        return np.asarray(queries[~is_measured & (bound > floor[label] * (1 - 1e-9))])

    def _hits(self, queries: Ints, start: int) -> npt.NDArray[np.bool_]:
        """Say of which queries one of the offsets in the block from `start` on hits, bool, same shape."""
        block = self.offset[start : start + _BLOCK, None]
        hits = [
            (self.surface.take(self.query[part] + block) == self.label[part]).any(axis=0)
            for part in np.split(queries, range(_CHUNK, queries.size, _CHUNK))
        ]
        return np.concatenate(hits)

    def _look_around(self, queries: Ints, start: int) -> Floats:
        """Try the offsets from `start` on in the order of their length; inf where none hits."""
        distance = np.full(queries.size, np.inf)
        for begin in range(0, queries.size, _CHUNK):
            pending = np.arange(begin, min(begin + _CHUNK, queries.size))
            first, width = start, max(4, start)
            while first < len(self.offset) and pending.size:
                query = queries[pending]
                hit = self.surface.take(self.query[query] + self.offset[first : first + width, None])
                hit = hit == self.label[query]
                has_hit = hit.any(axis=0)
                distance[pending[has_hit]] = self.length[first + hit[:, has_hit].argmax(axis=0)]
                pending = pending[~has_hit]
                first, width = first + width, min(2 * width, 128)
        return distance

    def _look_far(self, queries: Ints) -> Floats:
        """Return the distances of these queries from all that their label has in the other mask."""
        distance = np.empty(queries.size)
        half = (self.query[queries] >= self.size).astype(np.intp)
        group = 2 * self.label[queries].astype(np.intp) + half
        voxel = self._position(self.query[queries])
        for key in np.flatnonzero(np.bincount(group)).tolist():
            if key not in self._targets:
                self._targets[key] = self._target(*divmod(key, 2))
            target = self._targets[key]
            members = np.flatnonzero(group == key)
            asking = voxel[:, members]
            partner = target.nearest(asking * self.spacing[:, None])
            distance[members] = _length(asking - target.voxel[:, partner], self.spacing)
        return distance

    def _target(self, label: int, half: int) -> "_Target":
        voxels, mask = self._voxels[half], self._halves()[half]
        voxel = self._position(voxels[mask.take(voxels) == label])
        return _Target(voxel, voxel * self.spacing[:, None])

    def _position(self, index: Ints) -> npt.NDArray[np.int64]:
        """Return the voxel coordinates (S, K) of flat indices into either half."""
        return np.array(np.unravel_index(index % self.size, self.shape))


@dataclass
class _Target:
    """The surface of one label in one mask."""

    voxel: npt.NDArray[np.int64]  # coordinates (S, K)
    point: Floats  # the same in mm

    def nearest(self, point: Floats) -> Ints:
        """Return the position of the surface voxel that is nearest to each point (S, N), in mm."""
        number, size = point.shape[1], self.point.shape[1]
        if number > _FEW_POINTS and number * size > _PRODUCT:
            return np.asarray(self._tree.query(point.T)[1])
        # |p - t|^2 = |p|^2 - 2 p.t + |t|^2, of which the first is the same for all surface voxels t.
        rows = np.vstack((point, np.ones(number))).T
        step = max(1, _ROWS // size)
        parts = [
            (rows[first : first + step] @ self._terms).argmin(axis=1) for first in range(0, number, step)
        ]
        return np.concatenate(parts)

    @cached_property
    def _terms(self) -> Floats:
        return np.vstack((-2 * self.point, (self.point**2).sum(axis=0)))

    @cached_property
    def _tree(self) -> Any:
        # Built on a grid, the tree needs no balancing, which would cost more than it saves.
        return scipy.spatial.cKDTree(self.point.T, leafsize=32, balanced_tree=False, compact_nodes=False)


def _tally(label: npt.NDArray[np.unsignedinteger], number: int) -> npt.NDArray[np.int64]:
    """Count how often each of the labels 1..number occurs, int64 (number,)."""
    if number > FEW:
        return np.bincount(label, minlength=number + 1)[1:]
    return np.array([np.count_nonzero(label == value) for value in range(1, number + 1)], dtype=np.int64)


def _compact(pair: MaskPair) -> list[npt.NDArray[np.unsignedinteger]]:
    """Return both masks with the labels renumbered 1..L in their order, and 0 for all else."""
    number = len(pair.labels)
    masks = [pair.prediction, pair.reference]
    if (pair.labels == np.arange(1, number + 1)).all() and all(
        mask.dtype == np.uint8 and mask.max() <= number for mask in masks
    ):
        return masks
    return [renumber(mask, pair.labels, np.arange(1, number + 1)) for mask in masks]


def _keep_surface(mask: npt.NDArray[np.unsignedinteger], steps: Ints, spare: npt.NDArray[np.bool_]) -> None:
    """Set to 0, in place, every voxel of a flat padded label mask that is not on a surface."""
    inner, same = spare
    inner.fill(True)
    for step in steps:
        np.equal(mask[step:], mask[:-step], out=same[step:])
        inner[step:] &= same[step:]
        inner[:-step] &= same[step:]
        inner[:step] = False
        inner[-step:] = False
    np.logical_not(inner, out=inner)
    np.multiply(mask, inner, out=mask)


@lru_cache(maxsize=64)
def ball(spacing: tuple[float, ...]) -> tuple[Ints, Floats]:
    """Return voxel offsets (K, S) sorted by their length, and that length in mm (K,).

    Every offset that is shorter than the last one is in the list.
    """
    size = np.array(spacing)
    limit = (_REACH + 1) * size.min()  # the shortest offset that the grid below could lack
    reach = np.minimum(_REACH, limit // size).astype(np.int64)
    axes = np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij")
    offsets = np.stack(axes, axis=-1).reshape(-1, len(size)).astype(np.intp)
    length = _length(offsets.T, size)
    order = np.argsort(length, kind="stable")
    order = order[(length[order] > 0) & (length[order] < limit)]
    order = order[: _OFFSETS.get(len(size), _OFFSETS_3D)]
    return offsets[order], length[order]


def _length(offset: npt.NDArray[np.int64], spacing: Floats) -> Floats:
    """Return the length in mm of voxel offsets (S, K), summed as SciPy's distance transform does."""
    return np.asarray(np.sqrt(((offset * spacing[:, None]) ** 2).sum(axis=0)))
