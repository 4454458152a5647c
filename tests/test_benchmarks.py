"""A benchmark that waits for a machine must run when it is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
def test_the_benchmark_for_gpus_runs_small() -> None:
    command = [sys.executable, "-W", "ignore", str(BENCHMARKS / "gpu.py"), "--small"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    for what in ("Dice, HD, HD95", "step of a U-Net, float32", "GroupDROLoss", "batch of GroupBatchSampler"):
        assert f"| {what}" in done.stdout
