"""What the demo shows over several seeds: Dice of each group, the gap, and whether the promises hold.

    python benchmarks/demo.py --seeds 10 [--arm Baseline --arm Oversampling]

Each seed makes another cohort, other trainings and other test subjects. The promises, for each seed: the
majority's median Dice is above 0.9 in every arm; the baseline's gap is above 0.03 with p < 0.01; oversampling
at most halves it, and the majority loses no more than 0.01; with crops the gap is at most half. Measured on
absolute gaps, so that one the other way round counts as well. A second table has what the comparison with the
baseline answers: the verdict, what the minority gained more than the majority, and the gap that is left.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from tabulate import tabulate

import fairseg
from fairseg.cohort.groups import Groups
from fairseg.experiment.demo import ARMS, REFERENCE, run_demo
from fairseg.report import summarize
from fairseg.scoring.summary import GAP, P_VALUE

Figures = tuple[float, float, float, float]


def measure(scores: Mapping[str, pd.DataFrame]) -> dict[str, Figures]:
    """Return the median Dice of both groups, the gap and its p-value, for each arm."""
    found = {}
    for arm, rows in scores.items():
        table = summarize(rows, Groups.from_table(rows, by="group"), reference=REFERENCE)[0].table
        (other,) = (name for name in table.columns if name not in (REFERENCE, "All"))
        dice = table.loc["Median DSC"]
        found[arm] = (
            dice[REFERENCE],
            dice[other],
            table.loc[GAP, other],
            table.loc[P_VALUE, other],
        )
    return found


def promises(found: Mapping[str, Figures]) -> list[str]:
    """Return the promises that a seed breaks, of the arms that were trained."""
    baseline, balanced = found["Baseline"], found["Oversampling"]
    cropped = found.get("Cascaded crop + oversampling")
    checks = {
        "majority above 0.9": min(arm[0] for arm in found.values()) > 0.9,
        "baseline gap": baseline[2] > 0.03 and baseline[3] < 0.01,
        "oversampling halves it": abs(balanced[2]) <= 0.5 * baseline[2],
        "majority keeps its Dice": balanced[0] >= baseline[0] - 0.01,
        "crops halve it": cropped is None or abs(cropped[2]) <= 0.5 * baseline[2],
    }
    return [name for name, holds in checks.items() if not holds]


def answers(scores: Mapping[str, pd.DataFrame]) -> list[list[str]]:
    """Return what the comparison with the baseline answers, a row an arm."""
    result = fairseg.compare(dict(scores), by="group", reference=REFERENCE)
    rows = []
    for model in result.judgement.models:
        (pair,) = model.pairs
        typical = pair.typical
        assert typical is not None
        figures = (typical.gap_before.interval, typical.gain, typical.gap_after.interval)
        limits = [f"{one.estimate:.3f} ({one.low:.3f} to {one.high:.3f})" for one in figures]
        rows.append([model.model, model.verdict.value, *limits])
    return rows


def main() -> None:
    """Print a row for each seed and arm."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--arm", action="append", choices=list(ARMS), help="default: all")
    options = parser.parse_args()
    arms = tuple(options.arm or ARMS)
    rows, said = [], []
    for seed in range(options.first, options.first + options.seeds):
        began = time.process_time()
        with TemporaryDirectory() as folder:
            scores = run_demo(Path(folder), seed=seed, arms=arms)
        found = measure(scores)
        broken = ", ".join(promises(found)) or "all hold"
        cells = [f"{arm[0]:.3f} / {arm[1]:.3f} / {arm[2]:+.3f}" for arm in found.values()]
        rows.append([seed, *cells, f"{found['Baseline'][3]:.1g}", broken])
        said += [[seed, *row] for row in answers(scores)]
        print(rows[-1], *said[1 - len(arms) :], f"{time.process_time() - began:.0f} s", sep="\n", flush=True)
    heads = ["seed", *(f"{arm}: White / Black / gap" for arm in arms), "p of baseline", "promises"]
    print(tabulate(rows, headers=heads, tablefmt="github"))
    heads = ["seed", "arm", "verdict", "gap of the baseline", "Black gained more by", "gap that is left"]
    print(tabulate(said, headers=heads, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
