"""Run functions in processes of their own, alone or as the ranks of one group that torchrun starts.

They come from Python's fork server, as those of an experiment do: it imports once what takes a new process
five seconds.
"""

import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from tests.waiting import PATIENCE

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["fairseg.experiment.tasks"])


def start(target: Callable[..., object], output: Path, *arguments: Any, **variables: str) -> Any:
    """Start a process that calls `target(*arguments)` and prints to a file.

    It has this process's environment and `variables`, and ends with code 1 if the call raises.
    """
    process = CONTEXT.Process(target=_call, args=({**os.environ, **variables}, output, target, *arguments))
    process.start()
    return process


def run_ranks(target: Callable[..., None], folder: Path, *arguments: Any, world: int = 2) -> list[Any]:
    """Call `target(folder, *arguments)` on every rank; return what each has saved as RANK.pt in the folder.

    What they print is in RANK.txt.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_RUN_ID": "none",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the one made here
        "GROUP_RANK": "0",
        "LOCAL_WORLD_SIZE": str(world),
        "WORLD_SIZE": str(world),
    }
    ranks = [
        start(
            target, folder / f"{rank}.txt", folder, *arguments, RANK=str(rank), LOCAL_RANK=str(rank), **shared
        )
        for rank in range(world)
    ]
    try:
        running = list(ranks)
        while running:  # one waits for ever for another that failed
            ended = wait([process.sentinel for process in running], PATIENCE)
            assert ended, f"ranks run for {PATIENCE:.0f} seconds"
            for process in [one for one in running if one.sentinel in ended]:
                running.remove(process)
                process.join()
                printed = folder / f"{ranks.index(process)}.txt"
                assert process.exitcode == 0, printed.read_text()[-3000:]
    finally:
        for process in ranks:
            process.kill()
            process.join()
    return [torch.load(file, weights_only=False) for file in sorted(folder.glob("?.pt"))]


def _call(variables: Mapping[str, str], output: Path, target: Callable[..., object], *arguments: Any) -> None:
    os.environ.clear()
    os.environ.update(variables)
    with output.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    code = 1
    try:
        target(*arguments)
        code = 0
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)  # gloo's and DDP's threads have been seen to wait for each other while a process ends
