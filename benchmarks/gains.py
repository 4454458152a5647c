"""Does the comparison of two models keep its promises, and does a plan give the power that it states?

    make bench        (or: python benchmarks/gains.py [--cohorts 400] [--quick])

Cohorts are drawn anew with both models' scores of each subject (correlation .8 on a normal scale) and a known
truth: how often is each verdict given where it is false, how often where it is true, and how often do the
limits hold the truth? The standard error of 5% is 1.1% with 400 cohorts, that of 80% is 2%. Plans are checked
by cohorts of their own, drawn from the distribution itself where the plan knew only a pool.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from machine import describe
from scipy.special import betaincinv, ndtr
from tabulate import tabulate

from fairseg.statistics.findings import Grouping
from fairseg.statistics.gains import judge_gains
from fairseg.statistics.harm import harm_rows
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.planning import (
    detectable_failures,
    detectable_shifts,
    plan_failures,
    plan_shift,
)
from fairseg.statistics.pools import DIRECTIONS, Pools
from fairseg.statistics.two_samples import fisher_exact
from fairseg.statistics.verdicts import Verdict

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

CORRELATION = 0.8
PERMUTATIONS = 499
SIZES = ((30, 30), (54, 30), (400, 12), (100, 100), (200, 80, 40, 20, 12))


def scores(kind: str, normal: Floats) -> Floats:
    """Return Dice-like scores for standard normal numbers: one distribution a kind."""
    u = ndtr(normal)
    if kind == "beta":
        return np.asarray(betaincinv(42, 4.2, u))
    if kind == "tail":  # 8% fail
        return np.where(
            u < 0.08, 0.1 + 0.35 * u / 0.08, betaincinv(42, 4.2, np.clip((u - 0.08) / 0.92, 1e-9, 1))
        )
    if kind == "two peaks":  # 30% are hard
        return np.where(u < 0.3, 0.45 + 0.25 * u / 0.3, 0.8 + 0.15 * (u - 0.3) / 0.7)
    if kind == "ceiling":
        return np.minimum(np.asarray(betaincinv(30, 1.5, u)).round(2), 1.0)
    return scores("tail", normal).round(2)  # "two decimals"


@dataclass(frozen=True)
class Truth:
    """What is true of the second of two groups beside the first, or of the groups after the first.

    Attributes:
        gap: of the first model.
        gain: of the groups behind.
        loss: of the first group.
        failing: share of the second group that newly fails.
        spread: standard deviation of noise added to the gains of the groups behind.
        structures: columns beside the overall score; all follow the same truth.
        models: second models, all alike.
        scanner: what the second model loses in subjects of a second scanner, whichever their group: a
            quarter of the first group, three quarters of those behind; strata are then given.
    """

    gap: float = 0.05
    gain: float = 0.0
    loss: float = 0.0
    failing: float = 0.0
    spread: float = 0.0
    structures: int = 0
    models: int = 1
    scanner: float | None = None


def pair_of_models(
    kind: str, sizes: Sequence[int], truth: Truth, rng: np.random.Generator
) -> tuple[Floats, list[Floats], Integers, Integers]:
    """Return the scores of the first model, those of the others, (N, S) each, group ids and scanners."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    behind = groups[:, None] > 0
    place = np.concatenate([np.arange(size) / size for size in sizes])
    scanners = (place < np.where(groups > 0, 0.75, 0.25)).astype(np.int64)
    columns = truth.structures or 1
    subject = rng.normal(size=(groups.size, 1))
    structure = np.sqrt(0.5) * subject + np.sqrt(0.5) * rng.normal(size=(groups.size, columns))

    def model(lower: Floats) -> Floats:
        own = rng.normal(size=structure.shape)
        drawn = scores(kind, np.sqrt(CORRELATION) * structure + np.sqrt(1 - CORRELATION) * own)
        return np.asarray(np.clip(drawn - lower, 0, 1))

    first = model(truth.gap * behind)
    others = []
    for _ in range(truth.models):
        lost = (truth.scanner or 0.0) * scanners[:, None]
        second = model((truth.gap - truth.gain) * behind + truth.loss * ~behind + lost)
        second = np.clip(second + truth.spread * behind * rng.normal(size=second.shape), 0, 1)
        newly = (groups == 1) & (rng.random(groups.size) < truth.failing)
        others.append(np.where(newly[:, None], rng.uniform(0.1, 0.45, second.shape), second))
    if truth.structures:
        first, *others = (np.column_stack([one.mean(axis=1), one]) for one in (first, *others))
    return first, others, groups, scanners


def judged(kind: str, sizes: Sequence[int], truth: Truth, cohorts: int) -> Iterator[Any]:
    """Yield the judgement of every cohort."""
    names = tuple("ABCDEFGH"[: len(sizes)])
    structures = ("Overall", *(f"structure {number}" for number in range(truth.structures)))
    for seed in range(cohorts):
        first, others, groups, scanners = pair_of_models(kind, sizes, truth, np.random.default_rng(seed))
        yield judge_gains(
            first,
            {f"model {number}": other for number, other in enumerate(others)},
            [Grouping("group", names, groups, reference=0)],
            structures=structures,
            strata=None if truth.scanner is None else scanners,
            options=JudgeOptions(permutations=PERMUTATIONS, seed=seed),
        )


def two_models(kind: str, sizes: Sequence[int], truth: Truth, cohorts: int) -> list[str]:
    """Return how often each verdict is given, and whether the limits of the gain hold the truth."""
    verdicts: Counter[Verdict] = Counter()
    shown, held, harm, widths = 0, 0, 0, []
    for found in judged(kind, sizes, truth, cohorts):
        verdicts.update({one.verdict for one in found.models})
        harm += any(one.shown_harm for one in found.models)
        rows = [pair.typical for one in found.models for pair in one.pairs if pair.typical is not None]
        if truth.scanner is not None:
            within = [pair.within_strata(pair.rows[0]) for one in found.models for pair in one.pairs]
            rows = [row for row in within if row is not None]
        shown += any(row.shown for row in rows)
        held += all(row.gain.low - 1e-9 <= truth.gain + truth.loss <= row.gain.high + 1e-9 for row in rows)
        widths += [row.gain.high - row.gain.low for row in rows]
    order = (
        Verdict.HARM,
        Verdict.FAIRER,
        Verdict.MOVED,
        Verdict.OVERCORRECTED,
        Verdict.LEVELS_DOWN,
        Verdict.LESS_FAIR,
        Verdict.SAME,
        Verdict.OPEN,
    )
    return [
        kind,
        ", ".join(map(str, sizes)),
        f"{shown / cohorts:.1%}",
        f"{harm / cohorts:.1%}",
        *(f"{verdicts[verdict] / cohorts:.1%}" for verdict in order[1:]),
        f"{held / cohorts:.1%}",
        f"{np.median(widths) if widths else np.nan:.3f}",
    ]


HEADERS = (
    "kind",
    "subjects",
    "gain shown",
    "harm",
    "fairer",
    "moved",
    "over-corrected",
    "levelling down",
    "less fair",
    "same",
    "open",
    "limits hold",
    "width",
)

TRUTHS: tuple[tuple[str, Truth, tuple[str, ...], tuple[tuple[int, ...], ...]], ...] = (
    ("equal models, gap .05", Truth(), ("tail", "two peaks"), SIZES),
    ("gain .03, gap .05", Truth(gain=0.03), ("tail", "beta", "two decimals"), SIZES[:2]),
    ("share of the loss .49, gap .06", Truth(gap=0.06, gain=0.0255, loss=0.0245), ("beta",), SIZES[1:4]),
    ("share of the loss .70, gap .06", Truth(gap=0.06, gain=0.015, loss=0.035), ("beta",), SIZES[1:4]),
    ("gain .02 and 25% newly failing", Truth(gain=0.02, failing=0.25), ("beta",), SIZES[:3]),
    ("over-correction: gain .08, gap .04", Truth(gap=0.04, gain=0.08), ("beta",), SIZES[1:3]),
    ("equal models, no gap", Truth(gap=0.0), ("tail",), SIZES[1:2]),
    ("equal models, three structures", Truth(structures=3), ("tail",), SIZES[:2]),
    ("gain .03, three structures", Truth(gain=0.03, structures=3), ("tail",), SIZES[:1]),
    ("three equal models", Truth(models=3), ("tail",), SIZES[1:2]),
    ("equal models, two scanners held fixed", Truth(scanner=0.0), ("tail",), SIZES[:2]),
    ("gain .03, two scanners held fixed", Truth(gain=0.03, scanner=0.0), ("beta",), SIZES[:2]),
    ("the second scanner loses .03, held fixed", Truth(scanner=0.03), ("beta", "tail"), SIZES[1:4:2]),
    ("equal models, gains of the group behind spread", Truth(spread=0.06), ("beta",), SIZES[2:3]),
)


def harm(cohorts: int) -> list[list[str]]:
    """Return how often harm is shown to any group, and by which test, where some newly fail or none do."""
    cells = [*product(("beta", "tail"), (0.0, 0.15, 0.25), SIZES), *product(("two peaks",), (0.0,), SIZES)]
    rows = []
    for kind, failing, sizes in cells:
        truth = Truth(gain=0.02 if failing else 0.0, failing=failing)
        found = np.array([_harmed(kind, sizes, truth, seed) for seed in range(cohorts)])
        shares = found.any(axis=1).mean(), *found.mean(axis=0)
        rows.append([kind, ", ".join(map(str, sizes)), f"{failing:.0%}", *(f"{one:.1%}" for one in shares)])
    return rows


def _harmed(kind: str, sizes: Sequence[int], truth: Truth, seed: int) -> tuple[bool, bool]:
    first, (second,), groups, _ = pair_of_models(kind, sizes, truth, np.random.default_rng(seed))
    grouping = Grouping("group", tuple("ABCDEFGH"[: len(sizes)]), groups)
    options = JudgeOptions(permutations=PERMUTATIONS, seed=seed)
    shown = {row.test for row in harm_rows(first, second, [grouping], options=options) if row.shown}
    return "within" in shown, "between" in shown


def shift_plans(draws: int) -> list[list[str]]:
    """Return the true power of plans for a shift: of the detectable ones, and of the sizes needed."""
    rows = []
    for kind in ("beta", "tail", "two peaks", "ceiling"):
        pool = scores(kind, np.random.default_rng(1).normal(size=4000))
        pools = Pools(pool, pool, (0.0, 1.0))
        for sizes in ((54, 30), (400, 12), (30, 10), (200, 200)):
            for alpha in (0.05, 0.004):
                cells = []
                for plan in detectable_shifts(pool, pool, *sizes, alpha=alpha):
                    powers = [
                        pools.power(plan.difference, *sizes, plan.direction, alpha, seed)
                        for seed in range(100, 100 + draws)
                    ]
                    cells += [f"{plan.difference:.3f}", f"{np.mean(powers):.1%}"]
                rows.append([kind, ", ".join(map(str, sizes)), f"{alpha}", *cells])
    return rows


def size_plans(draws: int) -> list[list[str]]:
    """Return the sizes needed for a shift and their true power."""
    rows = []
    for kind in ("beta", "tail", "two peaks", "ceiling"):
        pool = scores(kind, np.random.default_rng(1).normal(size=4000))
        for difference, ratio in ((0.03, 1.0), (0.03, 5.0), (0.015, 1.0)):
            cells = []
            for direction in DIRECTIONS:
                plan = plan_shift(pool, pool, difference, direction=direction, ratio=ratio)
                sizes = plan.n_first, plan.n_second
                powers = [
                    Pools(pool, pool, (0.0, 1.0)).power(difference, *sizes, direction, 0.05, seed)
                    for seed in range(100, 100 + draws)
                ]
                cells += [f"{sizes[0]} and {sizes[1]}", f"{np.mean(powers):.1%}"]
            rows.append([kind, f"{difference}", f"{ratio:.0f}", *cells])
    return rows


def failure_plans(cohorts: int) -> list[list[str]]:
    """Return plans for failures, and the share of drawn cohorts in which Fisher's test shows them."""
    rows = []
    for share in (0.0, 0.02, 0.08):
        for sizes in ((54, 30), (400, 12), (200, 200)):
            cells = []
            for plan in detectable_failures(share, *sizes):
                shown = _fisher_power(share, plan.difference, sizes, plan.direction, cohorts)
                cells += [f"{plan.difference:.1%}", f"{plan.power:.1%}", f"{shown:.1%}"]
            rows.append([f"{share:.0%}", ", ".join(map(str, sizes)), *cells])
    for difference in (0.1, 0.2):
        cells = []
        for direction in DIRECTIONS:
            plan = plan_failures(0.02, difference, direction=direction, ratio=2.0)
            sizes = plan.n_first, plan.n_second
            shown = _fisher_power(0.02, difference, sizes, direction, cohorts)
            cells += [f"{difference:.0%}: {sizes[0]} and {sizes[1]}", f"{plan.power:.1%}", f"{shown:.1%}"]
        rows.append(["2%", "needed, 2 to 1", *cells])
    return rows


def _fisher_power(
    share: float, difference: float, sizes: Sequence[int], direction: str, cohorts: int
) -> float:
    if np.isnan(difference):
        return float("nan")
    rng = np.random.default_rng(5)
    shares = (share, share + difference) if direction == "second worse" else (share + difference, share)
    counts = [rng.binomial(size, min(one, 1.0), cohorts) for size, one in zip(sizes, shares, strict=True)]
    worse = 1 if direction == "second worse" else 0
    shown = [
        fisher_exact(int(a), sizes[0], int(b), sizes[1]) <= 0.05
        and (a / sizes[0], b / sizes[1])[worse] > (a / sizes[0], b / sizes[1])[1 - worse]
        for a, b in zip(*counts, strict=True)
    ]
    return float(np.mean(shown))


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=400)
    parser.add_argument("--only", default="", help="only verdicts on truths with these words in the title")
    parser.add_argument(
        "--quick", action="store_true", help="one kind and two sizes of each truth, 40 cohorts"
    )
    options = parser.parse_args()
    cohorts = min(options.cohorts, 40) if options.quick else options.cohorts
    print(describe("numpy", "scipy"))
    for title, truth, kinds, every in (one for one in TRUTHS if options.only in one[0]):
        start = time.process_time()
        rows = [
            two_models(kind, sizes, truth, cohorts)
            for kind in (kinds[:1] if options.quick else kinds)
            for sizes in (every[:2] if options.quick else every)
        ]
        print(f"\n{title} ({cohorts} cohorts, {time.process_time() - start:.0f} s)\n")
        print(tabulate(rows, HEADERS, tablefmt="github", disable_numparse=True), flush=True)
    if options.only:
        return
    print("\nHarm, by the tests of harm alone\n")
    names = ["kind", "subjects", "newly failing", "harm shown", "within the group", "between groups"]
    print(tabulate(harm(2 * cohorts), names, tablefmt="github", disable_numparse=True), flush=True)
    draws = 1 if options.quick else 5
    headers = ["shift, second worse", "true power", "shift, second better", "true power"]
    print("\nPlans: the smallest shift that is shown with power 80%\n")
    print(
        tabulate(
            shift_plans(draws),
            ["kind", "subjects", "alpha", *headers],
            tablefmt="github",
            disable_numparse=True,
        )
    )
    headers = ["second worse", "true power", "second better", "true power"]
    print("\nPlans: the subjects needed for a shift\n")
    print(
        tabulate(
            size_plans(draws), ["kind", "shift", "ratio", *headers], tablefmt="github", disable_numparse=True
        )
    )
    headers = [f"{one}{more}" for one in DIRECTIONS for more in ("", ": exact", ": drawn")]
    print("\nPlans: failures\n")
    rows = failure_plans(400 if options.quick else 4000)
    print(tabulate(rows, ["share", "subjects", *headers], tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
