"""What a report costs after scoring: 6,000 subjects, 3 labels, 3 attributes, 10,000 resamples.

    python benchmarks/report.py

Targets: under 60 s of one core, a page under 5 MB.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from machine import describe
from tabulate import tabulate

import fairseg
from fairseg.report import HeartRoles, ReportSections

LABELS = {"LVBP": (0.93, 1.0), "LVM": (0.86, 0.9), "RVBP": (0.88, 1.1)}  # median Dice, size


def made_up_scores(subjects: int, levels: int) -> pd.DataFrame:
    """Return the scores of a cohort with an ED and an ES case of each subject; the last level is worse off.

    Args:
        subjects: how many.
        levels: of the attribute site; the first is the most frequent.
    """
    rng = np.random.default_rng(0)
    share = 1 / (1 + np.arange(levels))
    site = rng.choice(levels, subjects, p=share / share.sum())
    about = pd.DataFrame(
        {
            "subject": [f"s{number:05d}" for number in range(subjects)],
            "site": [f"site {number}" for number in site],
            "sex": rng.choice(["F", "M"], subjects),
            "age": rng.normal(60, 9, subjects).round().astype(int).astype(str),
            "level": rng.normal(0, 0.025, subjects) - 0.05 * (site == levels - 1),
            "size": rng.lognormal(4.5, 0.3, subjects),
        }
    )
    parts = []
    for frame, filled in (("ED", 1.0), ("ES", 0.45)):
        for label, (dice, size) in LABELS.items():
            part = about.assign(frame=frame, label=label, case=about["subject"] + f"_{frame}")
            part["dice"] = (dice + part["level"] + rng.normal(0, 0.015, subjects)).clip(0, 1)
            part["hd"] = 60 * (1 - part["dice"]) * rng.uniform(0.7, 1.3, subjects)
            part["reference_ml"] = part["size"] * size * filled
            part["prediction_ml"] = part["reference_ml"] * rng.normal(0.98, 0.04, subjects)
            for mask in ("prediction", "reference"):
                part[f"{mask}_voxels"] = (part[f"{mask}_ml"] * 80).astype(int)
            parts.append(part.drop(columns=["level", "size"]))
    return pd.concat(parts).sort_values("case", kind="stable").reset_index(drop=True)


def main() -> None:
    """Print the time and the size of reports."""
    rows = []
    for subjects, levels in ((120, 3), (6000, 3), (6000, 12)):
        scores = made_up_scores(subjects, levels)
        options = {"also": ["sex", "age"], "adjust": ["structure size"], "bins": {"age": [50.0, 65.0]}}
        heart = HeartRoles({"lv": "LVBP", "myocardium": "LVM", "rv": "RVBP"}, "frame")
        with TemporaryDirectory() as folder:
            begun = time.process_time()
            result = fairseg.audit(
                scores, by="site", reference="site 0", sections=ReportSections(heart=heart), **options
            )
            judged = time.process_time() - begun
            result.save(folder)
            seconds = time.process_time() - begun
            size = Path(folder, "report.html").stat().st_size
        rows.append((subjects, levels, f"{judged:.1f} s", f"{seconds:.1f} s", f"{size / 1e6:.2f} MB"))
    print(describe("numpy", "scipy", "pandas"))
    print(tabulate(rows, headers=("subjects", "groups of the first attribute", "judged", "CPU time", "page")))


if __name__ == "__main__":
    main()
