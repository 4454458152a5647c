"""Where dots lie so that they show a distribution; nothing is random, so they always lie the same."""

import math

import numpy as np

from fairseg.metrics.fairness import Floats
from fairseg.statistics.smoothing import density

_FEW = 80  # dots that are placed one by one


def swarm(along: Floats, radius: float, room: float) -> Floats:
    """Return how far each dot is moved across its axis: few are stacked, many follow their density.

    Args:
        along: (N,), pixels along the axis.
        radius: of a dot, pixels.
        room: pixels across; no dot is moved by more than half of it.

    Returns:
        (N,), pixels, between `-room / 2` and `room / 2`.

    >>> swarm(np.array([0.0, 0.0, 50.0]), 2, 20).tolist()
    [0.0, 4.2, 0.0]
    """
    if len(along) == 0:
        return np.zeros(0)
    half = room / 2
    if len(along) <= _FEW:
        moves = _stacked(along, 2.1 * radius)
        most = float(np.abs(moves).max())
        return moves * min(1.0, half / most) if most else moves
    order = np.argsort(along, kind="stable")
    moves = np.empty(len(along))
    # Golden-ratio steps along the sorted values fill the width evenly, wherever one looks.
    moves[order] = (np.arange(len(along)) * 0.6180339887498949 + 0.5) % 1 - 0.5
    return np.asarray(moves * room * np.maximum(density(along, along), 0.06))


def _stacked(along: Floats, distance: float) -> Floats:
    """Return moves so that no two dots are nearer than a distance: each dot takes the nearest free place."""
    x = along.tolist()
    moves = [0.0] * len(x)
    placed: list[int] = []
    for dot in np.argsort(along, kind="stable").tolist():
        neighbours = [
            (moves[other], (x[dot] - x[other]) ** 2) for other in placed if x[dot] - x[other] < distance
        ]
        candidates = [0.0] + [
            move + side * math.sqrt(max(0.0, distance**2 - gap))
            for move, gap in neighbours
            for side in (1, -1)
        ]
        moves[dot] = next(
            candidate
            for candidate in sorted(candidates, key=lambda move: (abs(move), -move))
            if all((candidate - move) ** 2 + gap >= distance**2 - 1e-9 for move, gap in neighbours)
        )
        placed.append(dot)
    return np.array(moves)
