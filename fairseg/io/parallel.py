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
from fairseg.io.outputs import Boundaries, boundaries, within

joblib = lazy_loader.load("joblib")  # it costs start-up time that most runs save
T = TypeVar("T")

_WATCH = 0.5  # seconds between two looks of a worker at whether its parent is there


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(function: Callable[..., T], jobs: Sequence[tuple[Any, ...]], workers: int) -> Generator[T]:
    """Yield the results of a function in the order of the jobs; the error of a job comes in its turn too.

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
    # A worker that has grown, as by loading torch, is replaced while the others go on. It is no fault, and
    # where warnings are errors it would end the thread that hands out the jobs, but not the wait for them.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
    parallel = joblib.Parallel(
        n_jobs=min(workers, len(jobs)), return_as="generator", initializer=_end_with, initargs=(os.getpid(),)
    )
    here = (Path.cwd(), boundaries(), limits())
    # Workers, born now, leave Ctrl-C to this process; loky's tracker of files says nothing of those gone.
    with _ignoring_interrupts(), _warnings_of_children("ignore:resource_tracker"), _naming_workers():
        results = parallel(joblib.delayed(_call)(here, function, job) for job in jobs)
    try:
        with _naming_workers():
            for result, error in results:
                if error is not None:
                    raise error
                yield result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib on results that nobody waits for any more
            results.close()


@contextmanager
def _naming_workers() -> Iterator[None]:
    """Say of a pipe that broke that it was a worker's, and not that of who reads the output."""
    try:
        yield
    except BrokenPipeError:
        raise RuntimeError("workers could not be started, or were ended: workers=1 does without") from None


def _call(
    here: tuple[Path, Boundaries, ReadLimits], function: Callable[..., T], job: tuple[Any, ...]
) -> tuple[T, None] | tuple[None, Exception]:
    """Return the result of a job, or its error: joblib would let an error overtake earlier results."""
    os.chdir(here[0])  # workers are used again, and may have been born elsewhere
    try:
        with within(here[1]), read_limits(here[2]):
            return function(*job), None
    except Exception as error:
        error.add_note(traceback.format_exc())  # the worker's own traceback does not travel
        return None, error


def _end_with(parent: int) -> None:
    """Let this worker end soon after the process that it works for, however that ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _warnings_of_children(choice: str) -> Iterator[None]:
    """Set what processes born meanwhile do with warnings, on top of what is set."""
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
        yield  # only the main thread has a say in signals
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
