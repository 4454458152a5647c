"""Engines that run tasks: in this process, in processes of this machine, or as jobs of a cluster.

Each engine starts tasks and says when they have ended; `fairseg.experiment.schedule` decides which.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol

import lazy_loader
import torch

from fairseg.experiment.tasks import Machine, run_task
from fairseg.io.parallel import cores
from fairseg.training.machine import pick_device

submitit = lazy_loader.load("submitit")  # an extra
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
OUTPUT = "output.txt"


@dataclass(frozen=True)
class Running:
    """A task that was started: whether it has ended, why it wrote no result, and how to end it now."""

    ended: Callable[[], bool]
    why: Callable[[], str]
    stop: Callable[[], object]


class Engine(Protocol):
    """Runs tasks, `slots` at a time."""

    slots: int

    def start(self, root: Path, name: str) -> Running:
        """Start a task; called when fewer than `slots` are running."""


@dataclass
class InProcess:
    """One task after the other, in this process: to watch them, or where no processes can be started."""

    machine: Machine = field(default_factory=Machine)
    slots: int = 1

    def start(self, root: Path, name: str) -> Running:
        """Do the task, whole."""
        threads = torch.get_num_threads()
        try:
            run_task(root, name, self.machine)
        finally:
            torch.set_num_threads(threads)
        return Running(lambda: True, lambda: "it wrote no result", lambda: None)


@dataclass
class Processes:
    """A process for each task, as many at a time as there are GPUs, or cores for their threads.

    A task that crashes takes no other with it, and all end with the process that started them.

    Args:
        machines: what the tasks may use that run at the same time, one each.
    """

    machines: Sequence[Machine]
    _in_use: dict[Any, Machine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.slots = len(self.machines)
        kind = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self._context: Any = multiprocessing.get_context(kind)
        if kind == "forkserver":  # it imports torch once, for all
            self._context.set_forkserver_preload(["fairseg.experiment.tasks"])

    @classmethod
    def filling(
        cls, device: str = "auto", *, jobs: int | None = None, threads: int = 1, workers: int | None = None
    ) -> "Processes":
        """Return an engine that fills this machine: a task a GPU, else a task for every `threads` cores.

        Args:
            device: "auto", "cpu", "cuda" for all GPUs that are visible, or "cuda:1" for one of them.
            jobs: tasks at a time; more than there are GPUs share them, round and round.
            threads: of each task on the CPU.
            workers: processes of each task that load; by default the cores are dealt among tasks on GPUs.

        Raises:
            ValueError: there is no such device.
        """
        if pick_device(device).type == "cpu":
            return cls([Machine("cpu", threads, workers)] * (jobs or max(1, cores() // threads)))
        gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        gpus = gpus if device in ("auto", "cuda") else [device]
        devices = [gpus[number % len(gpus)] for number in range(jobs or len(gpus))]
        if workers is None:
            workers = max(1, min(8, cores() // len(devices) - 1))
        return cls([Machine(one, threads, workers) for one in devices])

    def start(self, root: Path, name: str) -> Running:
        """Start a process for the task."""
        self._in_use = {process: one for process, one in self._in_use.items() if process.is_alive()}
        free = list(self.machines)
        for machine in self._in_use.values():
            free.remove(machine)
        machine = free[0]
        process = self._context.Process(target=_child, args=(root.resolve(), name, machine), daemon=False)
        with _environment(dict.fromkeys(_THREADS, str(machine.threads))):
            process.start()
        self._in_use[process] = machine

        def why() -> str:
            code = process.exitcode
            if code and code < 0:
                return f"its process was killed by signal {-code}"
            return f"its process ended with exit code {code} and wrote no result; see {Path(name) / OUTPUT}"

        return Running(lambda: not process.is_alive(), why, process.kill)


class Cluster:
    """A job of SLURM for each task, by submitit; the folder must be seen by all nodes.

    Args:
        folder: for submitit's own files.
        jobs: at a time.
        machine: what a task uses on its node.
        cluster: "slurm"; "local" runs the same jobs as processes of this machine.
        parameters: submitit's, such as timeout_min, gpus_per_node, cpus_per_task, slurm_partition.
    """

    def __init__(
        self,
        folder: Path,
        *,
        jobs: int = 100,
        machine: Machine = Machine("auto"),  # noqa: B008
        cluster: str = "slurm",
        parameters: dict[str, Any] | None = None,
    ) -> None:
        self.slots, self.machine = jobs, machine
        try:
            self._executor = submitit.AutoExecutor(folder=str(folder), cluster=cluster)
            defaults = {"timeout_min": 24 * 60, "name": "fairseg"}
            self._executor.update_parameters(**{**defaults, **(parameters or {})})
        except ImportError:
            raise ValueError("a cluster needs submitit: pip install 'fairseg[cluster]'") from None
        except (RuntimeError, ValueError, NameError) as error:
            raise ValueError(f"cluster {cluster}: {error}") from None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, root: Path, name: str) -> Running:
        """Submit the task."""
        job = self._executor.submit(run_task, root.resolve(), name, self.machine)

        def why() -> str:
            error: BaseException | None = None
            with suppress(Exception):
                error = job.exception()
            return f"job {job.job_id}: {error or 'it wrote no result'}".splitlines()[0]

        return Running(job.done, why, lambda: job.cancel(check=False))


def _child(root: Path, name: str, machine: Machine) -> None:
    """Do a task in a process of its own, whose output goes to a file."""
    parent = multiprocessing.parent_process()
    if parent is not None:  # end with it, if it is killed
        threading.Thread(target=_exit_with, args=(parent.sentinel,), daemon=True).start()
    file = (root / name / OUTPUT).open("ab", buffering=0)
    os.dup2(file.fileno(), sys.stdout.fileno())
    os.dup2(file.fileno(), sys.stderr.fileno())
    if machine.device.startswith("cuda:"):
        torch.cuda.set_device(machine.device)  # else pinned memory takes room on the first GPU
    with suppress(KeyboardInterrupt):  # the parent says so
        run_task(root, name, machine)


def _exit_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for processes started meanwhile, unless the user has set them."""
    unset = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(unset)
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)
