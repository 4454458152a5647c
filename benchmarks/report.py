"""What a report costs after scoring: up to 6,000 subjects with all sections, large cohorts of Dice alone.

    python benchmarks/report.py

Targets: 6,000 subjects under 60 s of one core and a page under 5 MB; 100,000 subjects under 20 s and 600 MB.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import resource
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


def made_up_cohort(subjects: int, labels: int, groups: int) -> pd.DataFrame:
    """Return the Dice of a large cohort, a case a subject, with three attributes; no group is worse."""
    rng = np.random.default_rng(0)
    names = np.array([f"s{number:06d}" for number in range(subjects)])
    about = pd.DataFrame({"case": names, "subject": names})
    about["site"] = [f"site {group:03d}" for group in rng.integers(0, groups, subjects)]
    about["sex"] = rng.choice(["F", "M"], subjects)
    about["age"] = rng.integers(20, 90, subjects).astype(str)
    table = about.loc[about.index.repeat(labels)].reset_index(drop=True)
    table["label"] = np.tile([f"label{number:04d}" for number in range(labels)], subjects)
    level = np.repeat(rng.normal(0, 0.03, subjects), labels)
    table["dice"] = (0.9 + level + rng.normal(0, 0.02, subjects * labels)).clip(0, 1)
    return table


def large() -> None:
    """Print what reports on large cohorts cost; memory is the most that this process has had so far."""
    rows = []
    for subjects, labels, groups in ((60, 1000, 2), (10_000, 3, 500), (100_000, 1, 3), (100_000, 3, 3)):
        scores = made_up_cohort(subjects, labels, groups)
        with TemporaryDirectory() as folder:
            begun = time.process_time()
            result = fairseg.audit(scores, by="site", also=["sex", "age"], bins={"age": [50, 65]})
            judged = time.process_time() - begun
            page = result.save(folder)
            seconds, size = time.process_time() - begun, page.stat().st_size / 1e6
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        about = f"{judged:.1f} s", f"{seconds:.1f} s", f"{size:.2f} MB", f"{most:.0f} MB"
        rows.append((subjects, labels, groups, *about))
    print(tabulate(rows, headers=("subjects", "labels", "sites", "judged", "CPU time", "page", "memory")))


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
    print()
    large()


if __name__ == "__main__":
    main()
