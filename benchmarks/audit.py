"""CPU time of a whole audit beside that of only reading its files with SimpleITK.

    make bench        (or: python benchmarks/audit.py)

On the 80 real cases in the folder named by FAIRSEG_ACDC; without it, on the demo cohort. Reading and
auditing take turns in one process, so that both see the same machine; the ratio is the median of the
pairwise ones. Imports are outside the clock in both, and the last line gives a whole process, imports
and all, that finds its bytecode. ITK's warnings are off while only reading: printing them is no part of
reading.
"""

import logging
import os

os.environ["OMP_NUM_THREADS"] = "1"

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import SimpleITK as sitk
from tabulate import tabulate

import fairseg
from fairseg.cohort.table import read_cohort
from fairseg.datasets.example import write_example
from fairseg.scoring import evaluate

ACDC = Path(os.environ.get("FAIRSEG_ACDC", "../shared/data/Dataset027_ACDC"))
REPEATS = 9


def clock(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU time of a call, and what it returned."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def main() -> None:
    """Print the table."""
    logging.disable(logging.WARNING)
    with TemporaryDirectory() as folder:
        data, by, reference = ACDC, "bmi_group", "non-obese"
        true = "labelsTr"
        if not data.is_dir():
            data, by, reference, true = Path(folder, "demo"), "sex", "M", "references"
            write_example(data)
        folders = data / "predictions", data / true
        files = [str(path) for place in folders for path in sorted(place.glob("*.nii.gz"))]
        out = Path(folder, "report")

        def read() -> None:
            sitk.ProcessObject.SetGlobalWarningDisplay(False)
            for file in files:
                sitk.GetArrayFromImage(sitk.ReadImage(file))
            sitk.ProcessObject.SetGlobalWarningDisplay(True)

        rows = []
        for _ in range(REPEATS + 1):
            reading, _ = clock(read)
            scoring, scores = clock(lambda: evaluate(*folders, read_cohort(data / "groups.csv")))
            reporting, _ = clock(lambda: fairseg.audit(scores, by=by, reference=reference).save(out))  # noqa: B023
            rows.append((reading, scoring, reporting, scoring + reporting))
        rows = rows[1:]  # the first warms up
        parts = ("reading the files with SimpleITK", "evaluate (reads them too)", "report", "audit, in all")
        table = [
            (name, f"{1e3 * statistics.median(times):.0f} ms", f"{statistics.median(ratios):.2f}")
            for name, times, ratios in (
                (name, [row[place] for row in rows], [row[place] / row[0] for row in rows])
                for place, name in enumerate(parts)
            )
        ]
        arguments = ["--groups", str(data / "groups.csv"), "--by", by, "--reference", reference]
        command = [
            sys.executable,
            "-m",
            "fairseg",
            "audit",
            *map(str, folders),
            *arguments,
            "--out",
            str(out),
        ]
        # As installed: the first run writes the bytecode that pip would have written.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        used = []
        for _ in range(2):
            subprocess.run(command, check=True, capture_output=True, env=environment)
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            used.append(children.ru_utime + children.ru_stime)
        whole = used[1] - used[0]
        ratio = whole / statistics.median(row[0] for row in rows)
        table.append(("the command, imports and all", f"{1e3 * whole:.0f} ms", f"{ratio:.2f}"))
        print(f"{len(files)} files, CPU time, median of {REPEATS}\n")
        print(tabulate(table, headers=["", "CPU time", "over reading"], tablefmt="github"))


if __name__ == "__main__":
    main()
