"""Do the statistics keep their promises? Intervals, verdicts and power on made-up cohorts; and their speed.

    make bench        (or: python benchmarks/simulations.py [--cohorts 2000] [--workers 1] [--quick])

Cohorts are drawn anew from populations whose truth is known (`populations.py`): how often do intervals hold
it, how often is a gap shown where there is none, and how often where there is one? The standard error of 95%
is 0.5% with 2000 cohorts. A coverage is followed by the shares of intervals that lie above and below the
truth. Adding a constant to a group moves its limits by as much, so one interval serves every true gap. All
but the times is the same for any number of workers.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from machine import describe
from populations import MEDIANS, SCORES, Floats, delta, draw, spread_of_quartiles
from scipy import stats
from tabulate import tabulate

from fairseg.io.parallel import run_all
from fairseg.metrics import equity_scaled
from fairseg.statistics import (
    bootstrap_interval,
    cliffs_delta,
    equity_interval,
    group_intervals,
    hodges_lehmann,
)
from fairseg.statistics.stratified import stratified_gap

DRAWS = 1000  # of the medians, for two groups
JOINT = 2000  # the same where limits lie far out, for many pairs; twice as many for 12 groups
METHODS = ("bca", "percentile", "binomial")
SIZES = ((400, 12), (54, 30), (200, 200))
GAPS = (0.0, 0.02, 0.05)
SEVERAL = ((100, 40, 12), (200, 100, 50, 30, 20, 12), (400, 200, 100, 60, 40, 30, 20, 15, 12, 12, 10, 10))
STRATA = (((200, 6), (200, 12)), ((200, 8), (30, 8), (9, 1)), ((27, 15),) * 2, ((100, 100),) * 2)
Row = list[str]


def coverage(low: Floats, truth: Any, high: Floats) -> str:
    """Return the percentage of intervals that hold the truth, of those above it and of those below it."""
    none, above, below = np.isnan(low) | np.isnan(high), low > truth + 1e-9, high < truth - 1e-9
    held, *missed = (f"{100 * np.mean(one):.1f}" for one in (~(none | above | below), above, below))
    return f"{held} ({' + '.join(missed)})" + (f", {100 * none.mean():.1f} without" if none.any() else "")


def named(sizes: Sequence[int]) -> str:
    """Return the sizes of groups as text."""
    return ", ".join(map(str, sizes))


def two_groups(kind: str, sizes: Sequence[int], method: Any, cohorts: int) -> list[Row]:
    """Return the coverage of the gap, of its size and of the error ratio."""
    rng, groups = np.random.default_rng(sum(sizes)), np.repeat([0, 1], sizes)
    gap = np.empty((2, cohorts))
    # The other methods' error ratios are looked at with one gap only, to save time.
    ratio = {lower: np.empty((2, cohorts)) for lower in (GAPS if method == "binomial" else GAPS[1:2])}
    for seed in range(cohorts):
        parts = [draw(kind, rng, size) for size in sizes]
        options: dict[str, Any] = {"method": method, "resamples": DRAWS, "seed": seed}
        gap[:, seed] = bootstrap_interval(
            np.concatenate(parts), groups, 2, "fairness_gap", reference=0, **options
        )[1:]
        for lower, limits in ratio.items():
            values = np.minimum(np.concatenate([parts[0], parts[1] - lower]), 1.0)
            limits[:, seed] = bootstrap_interval(values, groups, 2, "skewed_error_ratio", **options)[1:]
    low, high = gap
    error = 1.0 - MEDIANS[kind]
    size = [
        (np.maximum.reduce([0 * low, low + true, -high - true]), np.maximum(-low - true, high + true))
        for true in GAPS
    ]
    return [
        [named(sizes), kind, method, coverage(low, 0.0, high), f"{np.mean(high - low):.4f}"]
        + [coverage(least, true, most) for (least, most), true in zip(size, GAPS, strict=True)]
        + [
            coverage(ratio[true][0], (error + true) / error, ratio[true][1]) if true in ratio else ""
            for true in GAPS
        ]
    ]


def peer(kind: str, sizes: Sequence[int], cohorts: int) -> list[Row]:
    """Return the coverage of SciPy's BCa beside ours on the same cohorts."""
    rng, groups = np.random.default_rng(sum(sizes)), np.repeat([0, 1], sizes)

    def gap(one: Floats, two: Floats, axis: int = -1) -> Floats:
        return np.asarray(np.median(one, axis=axis) - np.median(two, axis=axis))

    found = np.empty((2, 2, cohorts))
    for seed in range(cohorts):
        parts = [draw(kind, rng, size) for size in sizes]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of distributions of one value
            theirs = stats.bootstrap(
                parts, gap, n_resamples=DRAWS, method="BCa", rng=seed
            ).confidence_interval
        ours = bootstrap_interval(
            np.concatenate(parts), groups, 2, "fairness_gap", reference=0, resamples=DRAWS, seed=seed
        )
        found[:, :, seed] = theirs, ours[1:]
    return [[named(sizes), kind, *(coverage(low, 0.0, high) for low, high in found)]]


def levels(kind: str, sizes: Sequence[int], cohorts: int) -> list[Row]:
    """Return the coverage of the binomial gap at other levels."""
    groups = np.repeat([0, 1], sizes)
    cells = []
    for level in (0.8, 0.9, 0.99):
        rng = np.random.default_rng(sum(sizes))
        options: dict[str, Any] = {"method": "binomial", "resamples": DRAWS, "level": level, "reference": 0}
        values = [np.concatenate([draw(kind, rng, size) for size in sizes]) for _ in range(cohorts)]
        found = [
            bootstrap_interval(one, groups, 2, "fairness_gap", seed=seed, **options)
            for seed, one in enumerate(values)
        ]
        cells.append(coverage(*np.array(found).T[1:][[0]], 0.0, *np.array(found).T[2:]))
    return [[named(sizes), kind, *cells]]


def single_groups(kind: str, size: int, cohorts: int) -> list[Row]:
    """Return the coverage of a group's median and inter-quartile range."""
    values = draw(kind, np.random.default_rng(size), size * cohorts)
    groups = np.repeat(np.arange(cohorts), size)
    cells = []
    for statistic, truth in (("median", MEDIANS[kind]), ("iqr", spread_of_quartiles(kind))):
        for method in METHODS if statistic == "median" else METHODS[:2]:
            options: dict[str, Any] = {"method": method, "resamples": DRAWS}
            found = np.array(group_intervals(values, groups, cohorts, statistic, **options))  # type: ignore[arg-type]
            cells.append(coverage(found[:, 1], truth, found[:, 2]))
    return [[str(size), kind, *cells]]


def effects(kind: str, sizes: Sequence[int], cohorts: int) -> list[Row]:
    """Return the coverage of Cliff's delta, and of the Hodges-Lehmann shift."""
    rng = np.random.default_rng(sum(sizes))
    found = np.empty((len(GAPS) + 1, 2, cohorts))
    for seed in range(cohorts):
        one, two = (draw(kind, rng, size) for size in sizes)
        found[-1, :, seed] = hodges_lehmann(one, two)[1:]
        for place, gap in enumerate(GAPS):
            lower = np.where(two == 1.0, 1.0, two - gap) if kind == "30% at 1" else two - gap
            found[place, :, seed] = cliffs_delta(one.round(9), lower.round(9))[1:]
    truths = [*(delta(kind, gap) for gap in GAPS), 0.0]
    return [
        [
            named(sizes),
            kind,
            *(coverage(low, true, high) for true, (low, high) in zip(truths, found, strict=True)),
        ]
    ]


def worst(kind: str, sizes: Sequence[int], method: Any, cohorts: int) -> list[Row]:
    """Return the coverage of the worst group's median: all alike, and the smallest group lower by 0.03."""
    rng, groups = np.random.default_rng(sum(sizes)), np.repeat(np.arange(len(sizes)), sizes)
    found = np.empty((2, 2, cohorts))
    for seed in range(cohorts):
        values = draw(kind, rng, groups.size)
        for place, lower in enumerate((0.0, 0.03)):
            moved = np.where(groups == len(sizes) - 1, values - lower, values)
            options: dict[str, Any] = {"method": method, "resamples": DRAWS, "seed": seed}
            found[place, :, seed] = bootstrap_interval(moved, groups, len(sizes), "worst_group", **options)[
                1:
            ]
    truth = MEDIANS[kind]
    return [
        [f"{len(sizes)} groups", kind, method]
        + [coverage(low, truth - lower, high) for (low, high), lower in zip(found, (0.0, 0.03), strict=True)]
    ]


def equity(kind: str, sizes: Sequence[int], lower: float, cohorts: int) -> list[Row]:
    """Return the coverage of the equity-scaled score, the last group's median being lower."""
    groups, last = np.repeat(np.arange(len(sizes)), sizes), len(sizes) - 1

    def cohort(rng: np.random.Generator, size: Sequence[int]) -> Floats:
        low = np.where(np.arange(len(size)) == last, lower, 0.0)
        return np.concatenate([draw(kind, rng, n, lower=down) for n, down in zip(size, low, strict=True)])

    rng = np.random.default_rng(sum(sizes))
    everyone = np.median(cohort(rng, np.multiply(sizes, 2_000_000 // sum(sizes))))
    truth = equity_scaled(everyone, MEDIANS[kind] - np.where(np.arange(len(sizes)) == last, lower, 0), "sum")
    found = np.array([equity_interval(cohort(rng, sizes), groups, len(sizes)) for _ in range(cohorts)])
    width = f"{(found[:, 2] - found[:, 1]).mean():.3f}"
    return [[named(sizes), kind, f"{lower:g}", coverage(found[:, 1], truth, found[:, 2]), width]]


def strata(kind: str, cells: Sequence[tuple[int, int]], cohorts: int) -> list[Row]:
    """Return the coverage of the gap pooled over strata that differ by 0.05, without a gap within them."""
    group = np.concatenate([np.repeat([0, 1], cell) for cell in cells])
    site = np.repeat([f"site {number}" for number in range(len(cells))], [sum(cell) for cell in cells])
    lower, rng = 0.05 * np.unique(site, return_inverse=True)[1], np.random.default_rng(group.size)
    limits = np.empty((2, cohorts))
    for seed in range(cohorts):
        values = draw(kind, rng, group.size) - lower
        found = stratified_gap(values, group, 2, site, reference=0, resamples=DRAWS, seed=seed).pooled
        limits[:, seed] = found[["low", "high"]].to_numpy()[0]
    return [["; ".join(map(named, cells)), kind, coverage(limits[0], 0.0, limits[1])]]


def speed() -> list[Row]:
    """Return CPU times on 6000 subjects in 6 groups, with 10,000 resamples."""
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(6), 1000)
    values = np.minimum(rng.normal(0.9, 0.03, groups.size), 1.0)
    parts = tuple(values[groups == group] for group in range(6))

    def gap(*samples: Floats, axis: int = -1) -> Floats:
        return np.asarray(np.ptp(np.stack([np.median(one, axis=axis) for one in samples]), axis=0))

    def scipys(resamples: int, method: str) -> None:
        stats.bootstrap(parts, gap, n_resamples=resamples, method=method, batch=100, rng=0)

    def seconds(run: Callable[[], object], repeats: int = 3) -> float:
        taken = []
        for _ in range(repeats):
            start = time.process_time()
            run()
            taken.append(time.process_time() - start)
        return min(taken)

    bootstrap_interval(values[:50], groups[:50], "worst_group")  # imports
    few, more = seconds(lambda: scipys(200, "percentile")), seconds(lambda: scipys(1200, "percentile"))
    ours = {
        method: seconds(
            lambda method=method: bootstrap_interval(values, groups, "fairness_gap", method=method)
        )  # type: ignore[misc]
        for method in METHODS
    }
    found = [
        *((f"bootstrap_interval, gap, {method}", taken) for method, taken in ours.items()),
        (
            "bootstrap_interval, error ratio",
            seconds(lambda: bootstrap_interval(values, groups, "skewed_error_ratio")),
        ),
        ("bootstrap_interval, a function", seconds(lambda: bootstrap_interval(values, groups, np.ptp))),
        ("scipy.stats.bootstrap, percentile, 1,000 resamples x 10", 10 * (more - few)),
    ]
    return [[what, f"{taken:.2f} s", f"{taken / ours['bca']:.1f}"] for what, taken in found]


MISSES = "coverage % (above + below the truth)"
TABLES: dict[str, list[str]] = {
    "Two groups, by method": [
        *("n", "scores", "method", f"gap: {MISSES}", "width"),
        *(f"{what} {gap:g}" for what in ("size of the gap", "SER of a gap") for gap in GAPS),
    ],
    "The gap's BCa interval beside SciPy's, on a quarter of the cohorts": ["n", "scores", "SciPy", "fairseg"],
    "The binomial gap at other levels": ["n", "scores", "80%", "90%", "99%"],
    "One group": [
        *("n", "scores"),
        *(f"median, {method}" for method in METHODS),
        *(f"IQR, {method}" for method in METHODS[:2]),
    ],
    "Effect sizes": ["n", "scores", *(f"Cliff's delta, gap {gap:g}" for gap in GAPS), "Hodges-Lehmann"],
    "Worst group": ["groups", "scores", "method", "all alike", "the smallest 0.03 lower"],
    "Equity-scaled score": ["n", "scores", "last group lower by", MISSES, "width"],
    "Gap pooled over strata": ["n of each stratum", "scores", MISSES],
}


def jobs(cohorts: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return the calls whose rows make each table."""
    three = ("normal", "skewed", "tied 0.02")
    calls: list[list[tuple[Any, ...]]] = [
        [
            (two_groups, kind, sizes, method, cohorts)
            for sizes, kind, method in product(SIZES, SCORES, METHODS)
        ],
        [(peer, kind, sizes, cohorts // 4) for sizes, kind in product(SIZES, three)],
        [(levels, kind, sizes, cohorts) for sizes, kind in product(SIZES[:2], three)],
        [
            (single_groups, kind, size, cohorts)
            for size, kind in product((6, 8, 12, 30, 200), (*three, "30% at 1"))
        ],
        [
            (effects, kind, sizes, cohorts)
            for sizes, kind in product(((400, 4), (8, 8), *SIZES), (*three, "30% at 1"))
        ],
        [
            (worst, kind, sizes, method, cohorts)
            for sizes, kind, method in product((SIZES[0], SEVERAL[1]), three[:2], ("bca", "binomial"))
        ],
        [
            (equity, kind, sizes, lower, cohorts)
            for sizes, lower, kind in product((*SIZES, SEVERAL[1]), (0.0, 0.05), three)
        ],
        [(strata, kind, cells, cohorts) for cells, kind in product(STRATA, three)],
    ]
    return dict(zip(TABLES, calls, strict=True))


def call(function: Callable[..., list[Row]], *arguments: Any) -> tuple[list[Row], float]:
    """Return the rows of a job and the CPU seconds that it took."""
    start = time.process_time()
    return function(*arguments), time.process_time() - start


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="40 cohorts: does it run?")
    options = parser.parse_args()
    cohorts = 40 if options.quick else options.cohorts
    print(describe("numpy", "scipy"))
    print(f"{cohorts} cohorts; {DRAWS} draws, {JOINT} of several groups\n")
    total = 0.0
    for title, table in jobs(cohorts).items():
        done = list(run_all(call, table, options.workers))
        total += sum(taken for _, taken in done)
        print(f"## {title}\n")
        print(
            tabulate(
                [row for rows, _ in done for row in rows], TABLES[title], "github", disable_numparse=True
            ),
            "\n",
        )
    print(f"CPU time: {total / 60:.1f} minutes\n\n## Speed: 6,000 subjects, 6 groups, 10,000 resamples\n")
    print(tabulate(speed(), ["", "CPU time", "over the first"], "github", disable_numparse=True))


if __name__ == "__main__":
    main()
