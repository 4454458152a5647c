"""Do verdicts keep their promises? Made-up pages whose truth is known, judged as a report judges them.

    make bench        (or: python benchmarks/verdicts.py [--cohorts 2000] [--workers 1] [--quick])

How often does a page say "gap shown" where there is none, how often does it where there is one, and how often
is a verdict green, rightly and wrongly? A page has three attributes and four rows of scores (three structures
and their mean), 36 comparisons in all, unless a table says otherwise. The standard error of 5% is 0.5% with
2,000 pages, that of 75% is 1%.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from machine import describe
from scipy.special import ndtr
from scipy.stats import beta
from tabulate import tabulate

from fairseg.io.parallel import run_all
from fairseg.statistics.findings import Grouping, PageJudgement
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.judgement import judge_page
from fairseg.statistics.verdicts import Endpoint, Verdict

Floats = np.ndarray[Any, np.dtype[np.float64]]
NAMES = ("Overall", "LV", "MYO", "RV")
SIZES = ((54, 30), (400, 12), (200, 200))
_TYPICAL = beta(44, 5.6)  # median 0.89, standard deviation 0.044
_SHARED = 0.8  # correlation of the structures of a subject, before they are scaled


def quantile(shape: str, u: Floats) -> Floats:
    """Return the scores of a population at these probabilities."""
    if shape == "beta with a failing tail":  # 8% between 0.15 and 0.55
        return np.where(u < 0.08, 0.15 + 0.4 * u / 0.08, _TYPICAL.ppf((u - 0.08).clip(0) / 0.92))
    if shape == "bimodal":  # a quarter of the subjects around 0.7
        hard = 0.6 + 0.2 * u / 0.25
        return np.where(u < 0.25, hard, _TYPICAL.ppf((u - 0.25).clip(0) / 0.75))
    if shape == "two decimals":
        return _TYPICAL.ppf(u).round(2)
    if shape == "often 1":
        return np.minimum(_TYPICAL.ppf(u) * 1.06, 1.0)
    return _TYPICAL.ppf(u)


SHAPES = ("beta with a failing tail", "bimodal", "two decimals", "often 1")


def draw(rng: np.random.Generator, shape: str, size: int, structures: int = 3) -> Floats:
    """Draw the scores of subjects in each structure, (N, structures)."""
    latent = _SHARED**0.5 * rng.standard_normal((size, 1))
    latent = latent + (1 - _SHARED) ** 0.5 * rng.standard_normal((size, structures))
    return quantile(shape, ndtr(latent).clip(1e-9, 1 - 1e-9))


def page(
    rng: np.random.Generator, scores: Floats, sizes: Sequence[int], attributes: int, **options: Any
) -> PageJudgement:
    """Judge scores whose subjects are in the order of the groups of the first attribute."""
    ids = np.repeat(np.arange(len(sizes)), sizes)
    names = tuple("ABCDEFGH"[: len(sizes)])
    groupings = [Grouping("first", names, ids, 0)]
    groupings += [Grouping(f"other {n}", names, rng.permutation(ids), 0) for n in range(1, attributes)]
    whole = scores if scores.shape[1] == 1 else np.column_stack([scores.mean(1), scores])
    return judge_page(
        whole,
        groupings,
        structures=NAMES[: whole.shape[1]],
        options=JudgeOptions(permutations=999, **options),
    )


# What is changed in the second group of the first attribute, from scores of a group that is like the first.


def same(rng: np.random.Generator, scores: Floats) -> Floats:
    """Change nothing."""
    return scores


def shifted(rng: np.random.Generator, scores: Floats, by: float) -> Floats:
    """Move all structures down."""
    return (scores - by).clip(0, 1)


def one_worse(rng: np.random.Generator, scores: Floats, by: float) -> Floats:
    """Move the last structure down."""
    return np.column_stack([scores[:, :-1], (scores[:, -1] - by).clip(0, 1)])


def failing(rng: np.random.Generator, scores: Floats, share: float, *, keep_median: bool = False) -> Floats:
    """Let a share of the subjects fail in all structures; the others may gain what the median loses."""
    fails = rng.random(len(scores)) < share
    if keep_median:
        base = np.array([0.5])
        gain = quantile("beta", base) - quantile("beta", base - 0.5 * share / (1 - share))
        scores = np.minimum(scores + gain, 0.999)
    return np.where(fails[:, None], rng.uniform(0.15, 0.45, scores.shape), scores)


def spread(rng: np.random.Generator, scores: Floats, times: float) -> Floats:
    """Spread symmetric scores around the same centre."""
    return 0.85 + (scores - 0.85) * times


def second_group(
    shape: str, sizes: Sequence[int], change: Callable[..., Floats], seed: int, structures: int = 3
) -> tuple[np.random.Generator, Floats]:
    """Draw a cohort in which the second group is changed; no two cells of a table share cohorts."""
    rng = np.random.default_rng((seed, *sizes, *shape.encode()))
    parts = [draw(rng, shape, size, structures) for size in sizes]
    parts[1] = change(rng, parts[1])
    return rng, np.concatenate(parts)


def percent(count: float, total: int) -> str:
    """Return a percentage with its standard error."""
    share = count / total
    return f"{100 * share:.1f} ± {100 * (share * (1 - share) / total) ** 0.5:.1f}"


def false_alarms(shape: str, sizes: Sequence[int], cohorts: int) -> list[str]:
    """How often does a page without gaps show one, in any row of any attribute?"""
    pages = attributes = 0
    for seed in range(cohorts):
        judged = page(*second_group(shape, sizes, same, seed), sizes, 3)
        shown = {row.attribute for row in judged.findings if row.shown}
        pages, attributes = pages + bool(shown), attributes + ("first" in shown)
    return [shape, named(sizes), percent(pages, cohorts), percent(attributes, cohorts)]


def unequal_spread(sizes: Sequence[int], times: float, cohorts: int) -> list[str]:
    """How often is a gap in the typical case shown between groups of equal medians and unequal spread?"""
    pages = 0
    for seed in range(cohorts):
        rng = np.random.default_rng(seed)
        scores = [rng.normal(0.85, 0.03, (size, 3)) for size in sizes]
        scores[1] = spread(rng, scores[1], times)
        judged = page(rng, np.concatenate(scores).clip(0, 1), sizes, 3)
        pages += any(row.shown and row.endpoint is Endpoint.TYPICAL for row in judged.findings)
    return [f"spread x {times:g}", named(sizes), percent(pages, cohorts)]


CHANGES: dict[str, tuple[str, Callable[..., Floats]]] = {
    "0.02 lower": ("beta", partial(shifted, by=0.02)),
    "0.03 lower": ("beta", partial(shifted, by=0.03)),
    "20% fail": ("beta", partial(failing, share=0.2)),
    "20% fail, equal medians": ("beta", partial(failing, share=0.2, keep_median=True)),
    "one structure of three 0.05 lower": ("beta", partial(one_worse, by=0.05)),
}


def power(name: str, sizes: Sequence[int], cohorts: int) -> list[str]:
    """How often is a true gap shown, and how often a gap in another attribute of the page?"""
    shape, change = CHANGES[name]
    found = wrong = green = 0
    for seed in range(cohorts):
        judged = page(*second_group(shape, sizes, change, seed), sizes, 3)
        shown = {row.attribute for row in judged.findings if row.shown}
        found, wrong = found + ("first" in shown), wrong + bool(shown - {"first"})
        green += judged.verdict is Verdict.NO_GAP
    return [name, named(sizes), percent(found, cohorts), percent(wrong, cohorts), percent(green, cohorts)]


def green(share: float, sizes: Sequence[int], structures: int, cohorts: int) -> list[str]:
    """How often is the verdict on equal groups green?"""
    verdicts: Counter[Verdict] = Counter()
    for seed in range(cohorts):
        rng, scores = second_group("beta", sizes, same, seed, structures)
        scores = failing(rng, scores, share)
        verdicts[page(rng, scores, sizes, 1).verdict] += 1
    rows = 3 * (structures + (structures > 1))
    return [
        f"{share:.0%} fail",
        named(sizes),
        str(rows),
        *(percent(verdicts[verdict], cohorts) for verdict in (Verdict.NO_GAP, Verdict.OPEN, Verdict.GAP)),
    ]


MARGINS: dict[str, Callable[..., Floats]] = {
    "typical case 0.02 lower": partial(shifted, by=0.02),
    "5% fail against none": partial(failing, share=0.05),
    "20% fail, equal medians": partial(failing, share=0.2, keep_median=True),
}


def wrongly_green(name: str, size: int, cohorts: int) -> list[str]:
    """How often is the verdict green though a difference is as large as its margin, or larger?"""
    wrong = 0
    for seed in range(cohorts):
        rng, scores = second_group("beta", (size, size), MARGINS[name], seed, 1)
        wrong += page(rng, scores, (size, size), 1).verdict is Verdict.NO_GAP
    return [name, named((size, size)), percent(wrong, cohorts)]


def named(sizes: Sequence[int]) -> str:
    """Return the sizes of groups as text."""
    return "/".join(map(str, sizes))


HEADS = {
    "Gaps shown where there are none (%)": ["scores", "sizes", "any row of the page", "first attribute"],
    "Typical cases shown to differ, equal medians and unequal spread (%)": ["second group", "sizes", "page"],
    "Gaps shown where there is one (%)": ["second group", "sizes", "found", "other attributes", "green"],
    "Verdicts on equal groups (%)": ["both groups", "sizes", "rows", "green", "open", "gap shown"],
    "Green at a margin (%)": ["second group", "sizes", "green"],
}


def jobs(cohorts: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return the calls of each table."""
    fewer = max(cohorts // 4, min(cohorts, 20))
    tables: list[list[tuple[Any, ...]]] = [
        [(false_alarms, shape, sizes, cohorts) for shape in SHAPES for sizes in SIZES],
        [(unequal_spread, sizes, times, cohorts) for sizes in SIZES for times in (3.0, 1 / 3)],
        [(power, name, sizes, fewer) for name in CHANGES for sizes in SIZES],
        [
            (green, share, sizes, structures, fewer)
            for share in (0.0, 0.02, 0.05)
            for sizes in ((54, 30), (100, 100), (200, 200), (400, 400))
            for structures in (1, 3)
        ],
        [(wrongly_green, name, size, cohorts) for name in MARGINS for size in (200, 400)],
    ]
    return dict(zip(HEADS, tables, strict=True))


def call(function: Callable[..., list[str]], *arguments: Any) -> list[str]:
    """Return a row of a table."""
    return function(*arguments)


def speed() -> list[str]:
    """Return the CPU time of 6,000 subjects, 12 comparisons of 3 endpoints, 10,000 permutations."""
    rng = np.random.default_rng(0)
    scores = draw(rng, "beta", 6000)
    whole = np.column_stack([scores.mean(1), scores])
    ids = np.repeat([0, 1], 3000)
    groupings = [Grouping(str(n), ("A", "B"), rng.permutation(ids), 0) for n in range(3)]
    start = time.process_time()
    judge_page(whole, groupings, structures=NAMES, options=JudgeOptions(permutations=10_000))
    return ["6,000 subjects, 36 rows, 10,000 permutations", f"{time.process_time() - start:.1f} s"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=400)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="8 pages a cell: does it run?")
    parser.add_argument("--table", type=int, help="only the table of this number, from 0")
    options = parser.parse_args()
    cohorts = 8 if options.quick else options.cohorts
    print(describe("numpy", "scipy"))
    fewer = max(cohorts // 4, min(cohorts, 20))
    print(f"{cohorts} pages a cell, {fewer} for power and green; 999 permutations\n")
    for number, (title, table) in enumerate(jobs(cohorts).items()):
        if options.table in (None, number):
            rows = list(run_all(call, table, options.workers))
            print(f"## {title}\n")
            print(tabulate(rows, HEADS[title], "github", disable_numparse=True), "\n", flush=True)
    print("CPU time: ", *speed())


if __name__ == "__main__":
    main()
