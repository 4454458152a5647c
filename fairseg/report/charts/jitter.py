"""Where to put dots so that a distribution is seen; without chance, so always the same."""

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
        moved = _stacked(along, 2.1 * radius)
        most = float(np.abs(moved).max())
        return moved * min(1.0, half / most) if most else moved
    order = np.argsort(along, kind="stable")
    moved = np.empty(len(along))
    # Golden-ratio steps along the sorted values fill the width evenly, wherever one looks.
    moved[order] = (np.arange(len(along)) * 0.6180339887498949 + 0.5) % 1 - 0.5
    return np.asarray(moved * room * np.maximum(density(along, along), 0.06))


def _stacked(along: Floats, apart: float) -> Floats:
    """Return moves so that no two dots are nearer than this: each in turn to the nearest free place."""
    moved = np.zeros(len(along))
    done: list[int] = []
    for dot in np.argsort(along, kind="stable"):
        near = [other for other in done if along[dot] - along[other] < apart]
        steps = [0.0] + [
            moved[other] + side * np.sqrt(max(0.0, apart**2 - (along[dot] - along[other]) ** 2))
            for other in near
            for side in (1, -1)
        ]
        moved[dot] = next(
            step
            for step in sorted(steps, key=lambda step: (abs(step), -step))
            if all(
                (step - moved[other]) ** 2 + (along[dot] - along[other]) ** 2 >= apart**2 - 1e-9
                for other in near
            )
        )
        done.append(int(dot))
    return moved
