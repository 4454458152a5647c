import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import joblib
import pytest

from fairseg.io.limits import limits, read_limits
from fairseg.io.outputs import boundaries, reading
from fairseg.io.parallel import run_all
from tests.waiting import PATIENCE, wait_until


def where(number: int, offset: int) -> tuple[int, Path, int]:
    return number + offset, Path.cwd(), os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    results = list(run_all(where, [(number, 10) for number in range(20)], workers))
    assert [number for number, _, _ in results] == list(range(10, 30))
    assert (os.getpid() in {pid for _, _, pid in results}) == (workers == 1)


def test_workers_that_are_used_again_follow_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert {folder.name for _, folder, _ in run_all(where, [(1, 1), (2, 2)], 2)} == {name}


def late(seconds: float, divisor: int) -> float:
    time.sleep(seconds)
    return 1 / divisor


def test_the_error_of_a_worker_arrives_as_it_is_and_in_its_turn() -> None:
    with closing(run_all(late, [(0.5, 1), (0.0, 0), (0.0, 2)], 2)) as results:
        assert next(results) == 1.0
        with pytest.raises(ZeroDivisionError) as caught:
            next(results)
    assert "return 1 / divisor" in "".join(caught.value.__notes__)


def test_no_jobs() -> None:
    assert list(run_all(where, [], 2)) == []


def grow(number: int) -> int:
    kept.append(
        bytearray(200_000_000)
    )  # loky replaces a worker that grows by 300 MB, which it looks at each second
    time.sleep(1.1)
    return number


kept: list[bytearray] = []


def test_a_worker_that_has_grown_is_replaced_without_a_word() -> None:
    assert list(run_all(grow, [(number,) for number in range(8)], 2)) == list(range(8))


def bounds(_: int) -> tuple[int, bool]:
    return limits().max_voxels, boundaries().overwrite


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_keep_to_the_limits_and_leave_alone_what_this_process_does(workers: int) -> None:
    with read_limits(max_voxels=7), reading(overwrite=True):
        assert set(run_all(bounds, [(1,), (2,)], workers)) == {(7, True)}
    assert (7, True) not in set(run_all(bounds, [(1,), (2,)], workers))


SLEEPERS = """
import os, sys, time
from pathlib import Path
from fairseg.io.parallel import run_all

def sleep(name):
    Path(name).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    list(run_all(sleep, [(name,) for name in sys.argv[1:]], 2))
"""


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them_even_if_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    names = [tmp_path / "1", tmp_path / "2"]
    with subprocess.Popen([sys.executable, tmp_path / "sleepers.py", *names]) as running:
        wait_until(lambda: all(name.exists() and name.read_text() for name in names))
        workers = [int(name.read_text()) for name in names]
        running.send_signal(signal.SIGKILL)
        running.wait(PATIENCE)
    wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers))


def test_workers_that_cannot_be_started_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(joblib.Parallel, "__call__", broken)
    with pytest.raises(RuntimeError, match="workers could not be started"):
        list(run_all(abs, [(-1,), (-2,)], 2))
