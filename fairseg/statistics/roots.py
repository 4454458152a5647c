"""Where a function of one number changes its sign: by Brent's method, or among numbers that are listed."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

_MOST_STEPS = 100
_RELATIVE = 4 * float(np.finfo(float).eps)
_PROBES = 16  # positions that are tried at once
_CHUNK = 256  # positions in memory at once, of all that are tried


def brent(function: Callable[[float], float], start: float, end: float, tolerance: float) -> float:
    """Return where a function changes its sign, by the method of Brent (1973).

    Step by step as SciPy's `brentq`, which takes a fifth of a second to import.

    Args:
        function: has one sign at the start and the other at the end.
        start: of the range.
        end: of the range.
        tolerance: how far from the change the answer may be.

    Raises:
        ValueError: the function has the same sign at both ends.

    >>> round(brent(lambda x: x**2 - 2, 0.0, 2.0, 1e-9), 6)
    1.414214
    """
    last, x = start, end
    y_last, y = function(last), function(x)
    if y_last == 0:
        return last
    if y != 0 and (y > 0) == (y_last > 0):
        raise ValueError(f"function must change its sign, got {y_last:g} at {start:g} and {y:g} at {end:g}")
    other, y_other, step, last_step = last, y_last, 0.0, 0.0  # the other is on the other side of the change
    for _ in range(_MOST_STEPS):
        if y_last != 0 and y != 0 and (y_last > 0) != (y > 0):
            other, y_other = last, y_last
            step = last_step = x - last
        if abs(y_other) < abs(y):
            last, x, other = x, other, x
            y_last, y, y_other = y, y_other, y
        least, half = (tolerance + _RELATIVE * abs(x)) / 2, (other - x) / 2
        if y == 0 or abs(half) < least:
            break
        tried = float("inf")
        if abs(last_step) > least and abs(y) < abs(y_last):
            tried = _interpolated((last, y_last), (x, y), (other, y_other))
        short = 2 * abs(tried) < min(abs(last_step), 3 * abs(half) - least)
        last_step, step = (step, tried) if short else (half, half)
        last, y_last = x, y
        x += step if abs(step) > least else float(np.copysign(least, half))
        y = function(x)
    return x


def _interpolated(
    last: tuple[float, float], current: tuple[float, float], other: tuple[float, float]
) -> float:
    """Return the step to the root of a line through two points, or of a hyperbola through three."""
    (a, y_a), (x, y), (b, y_b) = last, current, other
    if a == b:
        return -y * (x - a) / (y - y_a)
    slope_a, slope_b = (y_a - y) / (a - x), (y_b - y) / (b - x)
    bent = slope_b * slope_a * (y_b - y_a)
    return -y * (y_b * slope_b - y_a * slope_a) / bent if bent else float("inf")


def first_positions(
    holds: Callable[[Integers], npt.NDArray[np.bool_]], low: npt.ArrayLike, high: npt.ArrayLike
) -> Integers:
    """Return for each of several ranges the first position where something holds, or the range's end.

    Args:
        holds: of positions, (R, P), a row a range, whether it holds: from some position on.
        low: first position of each range, (R,).
        high: the position after the last, (R,).

    >>> first_positions(lambda position: position >= [[700], [90]], [0, 0], [1000, 50]).tolist()
    [700, 50]
    """
    start, stop = np.array(low, dtype=np.int64), np.array(high, dtype=np.int64)
    rows = np.arange(start.size)
    while (searching := start < stop).any():
        probes = start[:, None] + (stop - start)[:, None] * np.arange(_PROBES) // _PROBES
        held = holds(probes) & searching[:, None]
        first = np.where(held.any(axis=1), held.argmax(axis=1), _PROBES)
        ends = np.append(probes, stop[:, None], axis=1)[rows, first]
        start = np.where(searching & (first > 0), probes[rows, first - 1] + 1, start)
        stop = np.where(searching, ends, stop)
    return stop


def settled_positions(holds: Callable[[Integers], npt.NDArray[np.bool_]], high: npt.ArrayLike) -> Integers:
    """Return for each of several ranges the position from which on something holds up to the range's end.

    All positions are tried: unlike for `first_positions`, it may hold and fail by turns.

    Args:
        holds: of positions, (R, P), a row a range, whether it holds.
        high: the position after the last, (R,); the first is 0.

    >>> settled_positions(lambda position: position % 7 > 2, [20, 13]).tolist()
    [17, 10]
    """
    stop = np.array(high, dtype=np.int64)
    settled = np.zeros_like(stop)
    for begin in range(0, int(stop.max()), _CHUNK):
        probes = np.tile(np.arange(begin, min(begin + _CHUNK, int(stop.max()))), (stop.size, 1))
        fails = ~holds(probes) & (probes < stop[:, None])
        last = probes[:, -1] + 1 - fails[:, ::-1].argmax(axis=1)
        settled = np.where(fails.any(axis=1), last, settled)
    return settled
