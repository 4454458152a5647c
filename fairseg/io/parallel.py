"""Call a function on many jobs, in this process or in several."""

import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import lazy_loader

from fairseg.io.limits import ReadLimits, limits, read_limits
from fairseg.io.outputs import Boundaries, boundaries, reading

joblib = lazy_loader.load("joblib")  # it costs start-up time that most runs save
T = TypeVar("T")

_WATCH = 0.5  # seconds between two looks of a worker at whether its parent is there


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(function: Callable[..., T], jobs: Sequence[tuple[Any, ...]], workers: int) -> Generator[T]:
    """Yield the results of a function in the order of the jobs; the error of a job is raised in its turn.

    Close the generator (`contextlib.closing`) to stop the workers when not all results are wanted.

    Args:
        function: can be pickled, like the jobs, if there are several workers.
        jobs: the arguments of each call.
        workers: processes; with one, or one job, all runs in this process.
    """
    if workers <= 1 or len(jobs) < 2:
        for job in jobs:
            yield function(*job)
        return
    # joblib replaces a worker that has grown, as by loading torch, while the others go on. That is no fault,
    # but where warnings are errors it ends the thread that hands out the jobs, and not the wait for them.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
    parallel = joblib.Parallel(
        n_jobs=min(workers, len(jobs)), return_as="generator", initializer=_end_with, initargs=(os.getpid(),)
    )
    state = (Path.cwd(), boundaries(), limits())
    # Workers start here and leave Ctrl-C to this process; loky's tracker does not warn of deleted files.
    with _ignoring_interrupts(), _warnings_of_children("ignore:resource_tracker"), _naming_workers():
        results = parallel(joblib.delayed(_call)(state, function, job) for job in jobs)
    try:
        with _naming_workers():
            for result, error in results:
                if error is not None:
                    raise error
                yield result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib warns of results that nobody waits for
            results.close()


@contextmanager
def _naming_workers() -> Iterator[None]:
    """Tell the broken pipe of a worker from that of the reader of the output."""
    try:
        yield
    except BrokenPipeError:
        raise RuntimeError("workers could not be started, or were ended: workers=1 does without") from None


def _call(
    state: tuple[Path, Boundaries, ReadLimits], function: Callable[..., T], job: tuple[Any, ...]
) -> tuple[T, None] | tuple[None, Exception]:
    """Return the result of a job, or its error: joblib would let an error overtake earlier results."""
    folder, bounds, read = state
    os.chdir(folder)  # workers are used again, and may have started elsewhere
    try:
        with reading(*bounds.inputs, overwrite=bounds.overwrite), read_limits(**vars(read)):
            return function(*job), None
    except Exception as error:
        error.add_note(traceback.format_exc())  # the worker's own traceback does not travel
        return None, error


def _end_with(parent: int) -> None:
    """End this worker soon after the process that it works for, however that ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _warnings_of_children(choice: str) -> Iterator[None]:
    """Add to what processes that start in the block do with warnings."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (before, choice)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can handle signals
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
