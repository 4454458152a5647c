"""Start a script of this folder in two processes, as torchrun and `accelerate launch` do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from tests.waiting import PATIENCE

HERE = Path(__file__).parent


def run_ranks(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return what each process saved as RANK.pt in `folder`."""
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    done = subprocess.run(
        [*launch, str(HERE / f"{name}.py"), str(folder)],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
            "PYTHONPATH": str(HERE.parent.parent),
        },
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]
