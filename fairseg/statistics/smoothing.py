"""Smooth curves of data: a density, and the trend of one value along another."""

import numpy as np

from fairseg.metrics.fairness import Floats

_BINS = 256


def density(values: Floats, places: Floats) -> Floats:
    """Return a smoothed density of values at places, its peak 1 (a Gaussian, Silverman's bandwidth).

    >>> density(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0])).round(1).tolist()
    [1.0, 0.5]
    """
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.ones(len(places))
    spread = float(np.std(values))
    quartiles = float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / 1.349
    width = 0.9 * (min(spread, quartiles) or spread) * len(values) ** -0.2
    width = max(width, (high - low) / 120)
    counts, edges = np.histogram(values, _BINS, (low - 3 * width, high + 3 * width))
    middle = (edges[1:] + edges[:-1]) / 2
    reach = np.arange(-_BINS // 2, _BINS // 2 + 1) * (middle[1] - middle[0])
    smooth = np.convolve(np.pad(counts, _BINS // 2), np.exp(-0.5 * (reach / width) ** 2), mode="valid")
    return np.asarray(np.interp(places, middle, smooth / smooth.max()))


def smooth_trend(x: Floats, y: Floats, points: int = 40, share: float = 0.6) -> tuple[Floats, Floats]:
    """Return a smooth line through points: local regression, robust to outliers (LOWESS, Cleveland 1979).

    Args:
        x: (N,).
        y: (N,).
        points: of the line.
        share: of the points that each place of the line rests on.

    >>> at, trend = smooth_trend(np.arange(50.0), 2 * np.arange(50.0) + np.eye(50)[7] * 1000)
    >>> bool(np.allclose(trend, 2 * at, atol=0.1))
    True
    """
    at = np.linspace(x.min(), x.max(), points)
    distance = np.abs(at[:, None] - x)
    reach = np.partition(distance, max(1, int(share * len(x)) - 1), axis=1)[
        :, [max(1, int(share * len(x)) - 1)]
    ]
    closeness = np.clip(1 - (distance / np.maximum(reach, 1e-12)) ** 3, 0, None) ** 3
    trust, trend = np.ones(len(x)), np.zeros(points)
    for _ in range(4):
        weights = closeness * trust + 1e-12
        total = weights.sum(axis=1)
        mean_x, mean_y = weights @ x / total, weights @ y / total
        away = x - mean_x[:, None]
        slope = (weights * away * (y - mean_y[:, None])).sum(axis=1) / np.maximum(
            (weights * away**2).sum(axis=1), 1e-12
        )
        trend = mean_y + slope * (at - mean_x)
        rest = np.abs(y - np.interp(x, at, trend))
        trust = np.clip(1 - (rest / max(6 * float(np.median(rest)), 1e-9)) ** 2, 0, None) ** 2
    return at, trend
