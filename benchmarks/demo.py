"""What the demo shows over several seeds: Dice of each group, the gap, and whether the promises hold.

    python benchmarks/demo.py --seeds 10

Each seed makes another cohort, other trainings and other test subjects. The promises, for each seed: the
majority's median Dice is above 0.9 in every arm; the baseline's gap is above 0.03 with p < 0.01; oversampling
at most halves it, and the majority loses no more than 0.01; with crops the gap is at most half. Measured on
absolute gaps, so that one the other way round counts as well.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tabulate import tabulate

from fairseg.cohort.groups import Groups
from fairseg.experiment.demo import ARMS, REFERENCE, run_demo
from fairseg.report import summarize
from fairseg.scoring.summary import GAP, P_VALUE


def measure(seed: int, folder: Path) -> dict[str, tuple[float, float, float, float]]:
    """Return the median Dice of both groups, the gap and its p-value, for each arm."""
    found = {}
    for arm, scores in run_demo(folder, seed=seed).items():
        table = summarize(scores, Groups.from_table(scores, by="group"), reference=REFERENCE)[0].table
        (other,) = (name for name in table.columns if name not in (REFERENCE, "All"))
        dice = table.loc["Median DSC"]
        found[arm] = (
            dice[REFERENCE],
            dice[other],
            table.loc[GAP, other],
            table.loc[P_VALUE, other],
        )
    return found


def promises(found: dict[str, tuple[float, float, float, float]]) -> list[str]:
    """Return the promises that a seed breaks."""
    baseline, balanced = found["Baseline"], found["Oversampling"]
    cropped = found["Cascaded crop + oversampling"]
    checks = {
        "majority above 0.9": min(arm[0] for arm in found.values()) > 0.9,
        "baseline gap": baseline[2] > 0.03 and baseline[3] < 0.01,
        "oversampling halves it": abs(balanced[2]) <= 0.5 * baseline[2],
        "majority keeps its Dice": balanced[0] >= baseline[0] - 0.01,
        "crops halve it": abs(cropped[2]) <= 0.5 * baseline[2],
    }
    return [name for name, holds in checks.items() if not holds]


def main() -> None:
    """Print a row for each seed and arm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    rows = []
    for seed in range(options.first, options.first + options.seeds):
        began = time.perf_counter()
        with TemporaryDirectory() as folder:
            found = measure(seed, Path(folder))
        seconds = time.perf_counter() - began
        broken = ", ".join(promises(found)) or "all hold"
        cells = [f"{arm[0]:.3f} / {arm[1]:.3f} / {arm[2]:+.3f}" for arm in found.values()]
        rows.append([seed, *cells, f"{found['Baseline'][3]:.1g}", f"{seconds:.0f}", broken])
        print(rows[-1], flush=True)
    heads = ["seed", *(f"{arm}: White / Black / gap" for arm in ARMS), "p of baseline", "s", "promises"]
    print(tabulate(rows, headers=heads, tablefmt="github"))


if __name__ == "__main__":
    main()
