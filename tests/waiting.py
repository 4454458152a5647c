"""How tests wait for processes: until something is so, however long that takes on a busy machine.

The limit is there only so that a process that hangs ends its test; the machine's speed decides nothing.
"""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PATIENCE = 900.0  # seconds


def wait_until(true: Callable[[], bool], pause: float = 0.05) -> None:
    """Return once something is so; fail if it is not for ever."""
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, f"not so after {PATIENCE:.0f} seconds"
        time.sleep(pause)


def cpu_seconds(processes: Iterable[int]) -> float:
    """Return the CPU time that processes have taken, of those that are still there (Linux)."""
    ticks = 0
    for pid in processes:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        ticks += int(fields[11]) + int(fields[12])  # in user code and in the kernel
    return ticks / os.sysconf("SC_CLK_TCK")
