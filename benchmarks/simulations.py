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
from fairseg.report.compare.evidence import SHOWN as LEVELLED
from fairseg.report.compare.evidence import compare_with_baseline
from fairseg.statistics import (
    bootstrap_interval,
    cliffs_delta,
    compare_fairness,
    detectable_gaps,
    equity_interval,
    group_intervals,
    hodges_lehmann,
    judge,
)
from fairseg.statistics.differences import differences, gap_limits, pairs_of
from fairseg.statistics.evidence import SHOWN
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


def verdicts(kind: str, sizes: Sequence[int], reference: int | None, wide: str, cohorts: int) -> list[Row]:
    """Return how often a gap is shown where there is none, and what the joint limits of all pairs hold.

    Args:
        kind: of the scores.
        sizes: of the groups.
        reference: the group that the others are compared with.
        wide: which groups have twice the spread: "", "small" or "large".
        cohorts: how many; of 12 groups half as many, and a quarter for all their 66 pairs.
    """
    many = len(sizes) > 7
    cohorts, draws = (cohorts // 2, 2 * JOINT) if many else (cohorts, JOINT if len(sizes) > 2 else DRAWS)
    cohorts = cohorts // 2 if many and reference is None else cohorts
    order = np.argsort(np.argsort(sizes, kind="stable"))
    half = order < len(sizes) // 2
    spread = np.where({"": 0 * half, "small": half, "large": ~half}[wide], 2.0, 1.0)
    true = np.linspace(0.0, 0.05, len(sizes))  # medians of the second truth, the largest group's the best
    rng = np.random.default_rng(sum(sizes))
    shown = joint = size = 0
    for seed in range(cohorts):
        parts = [
            np.sort(draw(kind, rng, number, spread=times))
            for number, times in zip(sizes, spread, strict=True)
        ]
        found = differences(
            parts,
            pairs_of(parts, reference),
            level=0.95,
            resamples=draws,
            method="binomial",
            rng=np.random.default_rng(seed),
        )
        is_shown = gap_limits(found, signed=False)[0] > 1e-12
        if seed < 3:  # the verdict itself is slower, and the same
            flat = np.concatenate(parts), np.repeat(np.arange(len(sizes)), sizes), len(sizes)
            told = judge(*flat, reference=reference, min_size=6, resamples=draws, simulations=100, seed=seed)
            assert (told.verdict == SHOWN) == is_shown, (
                f"verdict {told.verdict} on {named(sizes)}, seed {seed}"
            )
        shown += is_shown
        joint += bool((found.low <= 1e-9).all() and (found.high >= -1e-9).all())
        apart = np.array([true[two] - true[one] for one, two in found.pairs])
        low, high = gap_limits(found._replace(low=found.low + apart, high=found.high + apart), signed=False)
        size += low - 1e-9 <= np.abs(apart).max() <= high + 1e-9
    what = kind + (f", {wide} groups twice the spread" if wide else "")
    compared = "all pairs" if reference is None else "reference"
    shares = [f"{100 * one / cohorts:.1f}" for one in (shown, joint, size)]
    return [[f"{len(sizes)}: {named(sizes)}", what, compared, *shares]]


def narrowing(step: float, sizes: Sequence[int], cohorts: int) -> list[Row]:
    """Return the coverage of the narrowing of the gap by a second model, and of the groups' changes together.

    Also how often levelling down is spoken of, in either order of the models: for certain, and at all.
    """
    groups = np.repeat([0, 1], sizes)
    rows = []
    for before, after in ((0.0, 0.0), (0.04, 0.04), (0.04, 0.0), (0.04, -0.02)):
        rng = np.random.default_rng(sum(sizes))
        found, levelled = np.empty((3, 2, cohorts)), np.empty((2, cohorts), bool)
        for seed in range(cohorts):
            shared = rng.normal(0.9, 0.02, groups.size)  # what both models find hard
            one, two = (shared + rng.normal(0, 0.02, groups.size) for _ in range(2))
            if step:
                one, two = (np.round(one / step) * step, np.round(two / step) * step)
            models = ((scores - gap * groups).round(9) for scores, gap in ((one, before), (two, after)))
            kept = dict(zip("AB", models, strict=True))
            change = compare_with_baseline(kept, groups, 2, baseline="A")["B"]
            found[:, :, seed] = [part[1:] for part in (change.found.narrowing, *change.found.changes)]
            said = {change.levels_down, change.turned().levels_down}
            levelled[:, seed] = LEVELLED in said, said != {""}
        low, high = found.transpose(1, 0, 2)
        truths = np.array([before - abs(after), 0.0, before - after])[:, None]
        both = ((low <= truths + 1e-9) & (high >= truths - 1e-9))[1:].all(axis=0)
        held = [coverage(low[0], truths[0], high[0]), f"{100 * both.mean():.1f}"]
        held.append(", ".join(f"{100 * one:.1f}" for one in levelled.mean(axis=1)))
        fairer = f"{100 * np.mean(found[0, 0] > 1e-12):.1f}"
        kind = f"tied {step:g}" if step else "normal"
        rows.append([named(sizes), kind, f"{before:g} to {after:g}", fairer, *held])
    return rows


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


def power(kind: str, sizes: Sequence[int], cohorts: int) -> list[Row]:
    """Return the detectable gap of cohorts, how often it is shown, and what brute force finds."""
    rng = np.random.default_rng(sum(sizes))
    groups = np.repeat([0, 1], sizes)
    options: dict[str, Any] = {"method": "binomial", "resamples": DRAWS, "reference": 0}

    def parts() -> list[Floats]:
        return [np.sort(draw(kind, rng, size)) for size in sizes]

    estimates = [
        detectable_gaps(parts(), [(0, 1)], tail=0.025, simulations=300, seed=seed)[0] for seed in range(60)
    ]
    pool = parts()
    [gap] = detectable_gaps(pool, [(0, 1)], tail=0.025, simulations=4000)
    scores = np.concatenate([part - np.median(part) for part in pool])
    shown = {gap: 0, 0.0: 0}
    limits = np.empty((2, cohorts))
    for seed in range(cohorts):
        sign = (-1) ** seed  # either group is the worse
        values = rng.choice(scores, groups.size) + sign * gap * groups
        found = bootstrap_interval(values, groups, 2, "fairness_gap", seed=seed, **options)
        shown[gap] += found.low > 0 or found.high < 0
        limits[:, seed] = bootstrap_interval(
            np.concatenate(parts()), groups, 2, "fairness_gap", seed=seed, **options
        )[1:]
    brute = np.quantile(np.r_[-limits[0], limits[1]], 0.8)
    spread = np.quantile(estimates, (0.05, 0.5, 0.95))
    typical = "{1:.4f} ({0:.4f} to {2:.4f})".format(*spread)
    return [[named(sizes), kind, f"{100 * shown[gap] / cohorts:.1f}", f"{brute:.4f}", typical]]


def speed() -> list[Row]:
    """Return CPU times on 6000 subjects in 6 groups, with 10,000 resamples."""
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(6), 1000)
    values = np.minimum(rng.normal(0.9, 0.03, groups.size), 1.0)
    better = np.minimum(values + rng.normal(0, 0.005, groups.size), 1.0)
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

    judge(values[:50], groups[:50], 6, resamples=100)  # imports
    few, more = seconds(lambda: scipys(200, "percentile")), seconds(lambda: scipys(1200, "percentile"))
    ours = {
        method: seconds(
            lambda method=method: bootstrap_interval(values, groups, 6, "fairness_gap", method=method)
        )  # type: ignore[misc]
        for method in METHODS
    }
    found = [
        *((f"bootstrap_interval, gap, {method}", taken) for method, taken in ours.items()),
        (
            "bootstrap_interval, error ratio",
            seconds(lambda: bootstrap_interval(values, groups, 6, "skewed_error_ratio")),
        ),
        ("bootstrap_interval, a function", seconds(lambda: bootstrap_interval(values, groups, 6, np.ptp))),
        ("judge, all pairs", seconds(lambda: judge(values, groups, 6))),
        ("judge, reference", seconds(lambda: judge(values, groups, 6, reference=0))),
        ("compare_fairness", seconds(lambda: compare_fairness(values, better, groups, 6), 1)),
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
    "Verdicts, in percent": [
        *("groups: sizes", "scores", "compared", "gap shown where none is"),
        *("joint limits hold all", "size of a gap of 0.05 held"),
    ],
    "Narrowing of the gap by a second model, on half of the cohorts": [
        *(
            "n",
            "scores",
            "gap",
            "claimed fairer, %",
            "narrowing",
            "changes of both groups",
            "levelling down: said, or perhaps",
        ),
    ],
    "Equity-scaled score": ["n", "scores", "last group lower by", MISSES, "width"],
    "Gap pooled over strata": ["n of each stratum", "scores", MISSES],
    "Power of 80%": [
        *(
            "n",
            "scores",
            "shown at the detectable gap, %",
            "brute force: above",
            "detectable_gaps (90% of cohorts)",
        ),
    ],
}


def jobs(cohorts: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return the calls whose rows make each table."""
    three = ("normal", "skewed", "tied 0.02")
    spreads = list(product(("normal", "skewed", "tied 0.02"), ("small", "large")))
    alike = [(kind, sizes, None, "", cohorts) for sizes, kind in product(SIZES, SCORES)]
    apart = [(kind, sizes, None, wide, cohorts) for sizes, (kind, wide) in product(SIZES[:2], spreads)]
    several = [
        (kind, sizes, reference, wide, cohorts)
        for sizes, reference in product(SEVERAL, (0, None))
        for kind, wide in (*((kind, "") for kind in three), ("normal", "small"), ("skewed", "large"))
    ]
    tiny = [(kind, (400, *small), 0, "", cohorts) for small in ([10] * 11, [8] * 6) for kind in three[:2]]
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
        [(verdicts, *one) for one in (*alike, *apart, *several, *tiny)],
        [(narrowing, step, sizes, cohorts // 2) for sizes, step in product(SIZES[:2], (0.0, 0.02))],
        [
            (equity, kind, sizes, lower, cohorts)
            for sizes, lower, kind in product((*SIZES, SEVERAL[1]), (0.0, 0.05), three)
        ],
        [(strata, kind, cells, cohorts) for cells, kind in product(STRATA, three)],
        [(power, kind, sizes, cohorts) for sizes, kind in product(SIZES, three)],
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
