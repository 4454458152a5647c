"""Lines with as few points as a drawing needs."""

import numpy as np

from fairseg.metrics.grouped import Floats


def simplified(line: Floats, tolerance: float) -> Floats:
    """Return the points of a line without those that lie near a chord between others (Douglas, Peucker 1973).

    Point by point as scikit-image's `approximate_polygon`, the import of which loads `scipy.signal`.

    Args:
        line: points, (N, 2).
        tolerance: how far from a chord points may lie that are left out.

    >>> simplified(np.array([[0.0, 0.0], [0.1, 1.0], [0.0, 2.0], [3.0, 2.0]]), 0.2).tolist()
    [[0.0, 0.0], [0.0, 2.0], [3.0, 2.0]]
    """
    needed = np.zeros(len(line), dtype=bool)
    needed[[0, -1]] = True
    chords = [(0, len(line) - 1)]
    while chords:
        start, end = chords.pop()
        distances = _distances(line[start + 1 : end], line[start], line[end])
        if (distances > tolerance).any():
            farthest = start + 1 + int(distances.argmax())
            needed[farthest] = True
            chords += [(farthest, end), (start, farthest)]
    return line[needed]


def _distances(points: Floats, first: Floats, last: Floats) -> Floats:
    """Return how far points, (N, 2), lie from a chord; from its nearer end, if they do not lie beside it."""
    from_first, from_last, chord = points - first, points - last, last - first
    angle = -np.arctan2(*chord)
    turn = np.array([np.cos(angle), np.sin(angle)])
    line = first[1] * turn[1] + first[0] * turn[0]
    beside = ((from_first * chord).sum(axis=1) > 0) & ((-from_last * chord).sum(axis=1) > 0)
    to_line = np.abs(points[:, 0] * turn[0] + points[:, 1] * turn[1] - line)
    to_ends = [np.sqrt((away**2).sum(axis=1)) for away in (from_first, from_last)]
    return np.asarray(np.where(beside, to_line, np.minimum(*to_ends)))
