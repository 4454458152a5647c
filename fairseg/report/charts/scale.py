"""Axes: from values to pixels, and the ticks between."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairseg.report.numbers import number


@dataclass(frozen=True)
class Scale:
    """An axis.

    Attributes:
        low: value at `start`.
        high: value at `stop`.
        start: pixel.
        stop: pixel; less than `start` where the axis points up.
        ticks: values that get a mark.
        log: whether equal steps are equal ratios.
    """

    low: float
    high: float
    start: float
    stop: float
    ticks: tuple[float, ...]
    log: bool = False

    def __call__(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the pixels of values."""
        positions, low, high = np.asarray(values, float), self.low, self.high
        if self.log:
            positions, low, high = np.log(positions), np.log(low), np.log(high)
        share = (positions - low) / (high - low)
        return np.asarray(self.start + share * (self.stop - self.start))

    def at(self, value: float) -> float:
        """Return the pixel of one value."""
        return float(self(value))

    def labels(self) -> list[str]:
        """Return the ticks as text, all with as many decimals as one of them needs."""
        if self.log:
            return [number(tick, 0) if tick == round(tick) else f"{tick:g}" for tick in self.ticks]
        ticks = np.array(self.ticks)
        digits = next((one for one in range(7) if np.all(np.abs(ticks.round(one) - ticks) < 1e-9)), 7)
        return [number(tick, digits) for tick in self.ticks]


def make_scale(
    values: Iterable[npt.ArrayLike],
    start: float,
    stop: float,
    *,
    most: int = 6,
    log: bool = False,
    include: Iterable[float] = (),
) -> Scale:
    """Return an axis that holds all values, with a little room at its ends.

    Args:
        values: arrays; values that are not finite (on a logarithmic axis: not positive) are ignored.
        start: pixel of the lowest value.
        stop: pixel of the highest.
        most: steps between ticks.
        log: make it logarithmic.
        include: more values to have room for.

    >>> make_scale([[0.71, 0.94]], 0, 100).ticks
    (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    >>> make_scale([[300, 70_000]], 0, 100, log=True).labels()
    ['500', '1,000', '2,000', '5,000', '10,000', '20,000', '50,000']
    """
    flat = np.concatenate([np.ravel(np.asarray(part, float)) for part in [*values, list(include)]])
    flat = flat[np.isfinite(flat) & ((flat > 0) | (not log))]
    low, high = (float(flat.min()), float(flat.max())) if flat.size else (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        low, high = low / 1.15, high * 1.15
        return Scale(low, high, start, stop, _log_ticks(low, high), log=True)
    if high - low <= 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.05 * max(1.0, abs(low)), high + 0.05 * max(1.0, abs(high))
    ticks = _even_ticks(low, high, most)
    # Extend to the next ticks, unless they are far: empty ends only make the rest small.
    room = 0.05 * (high - low)
    low, high = max(low - room, ticks[0]), min(high + room, ticks[-1])
    ticks_within = tuple(float(f"{tick:.10g}") + 0.0 for tick in ticks if low <= tick <= high)
    return Scale(low, high, start, stop, ticks_within)


def _even_ticks(low: float, high: float, most: int) -> list[float]:
    """Return multiples of 1, 2 or 5 of a decade, from one at or below `low` to one at or above `high`.

    They are those of matplotlib's MaxNLocator, without its import: the smallest step that makes no more than
    `most` intervals, or a smaller one where less than two multiples lie between the ends.
    """
    decade = 10.0 ** math.floor(math.log10((high - low) / most))
    rising = [step * decade for step in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)]
    fitting = next(index for index, step in enumerate(rising) if step >= (high - low) / most)
    for step in reversed(rising[: fitting + 1]):
        first, last = math.floor(low / step + 1e-10), math.ceil(high / step - 1e-10)
        ticks = [multiple * step for multiple in range(first, last + 1)]
        if sum(low <= tick <= high for tick in ticks) >= 2:
            break
    return ticks


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return 1, 2 and 5 of each decade, or the decades alone where there are many."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks_within = tuple(tick for tick in ticks if low <= tick <= high)
        if len(ticks_within) <= 8:
            break
    if len(ticks_within) < 2:  # less than a decade
        even = [float(f"{tick:.10g}") for tick in _even_ticks(low, high, 5)]
        ticks_within = tuple(tick for tick in even if low <= tick <= high)
    return ticks_within
