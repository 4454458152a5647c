import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from fairseg.io.parallel import run_all


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
        assert {place.name for _, place, _ in run_all(where, [(1, 1), (2, 2)], 2)} == {name}


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
