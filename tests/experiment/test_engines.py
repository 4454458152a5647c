"""Tasks are dealt to the GPUs and cores that are there, and to no more."""

from pathlib import Path
from typing import Any

import pytest
import torch

from fairseg.cli.experiment import _engine
from fairseg.experiment import Processes, engines


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs and eight cores, as torch and the system would tell of them."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(engines, "cores", lambda: 8)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_task_a_gpu_and_the_cores_dealt_among_them(device: str, two_gpus: None) -> None:
    machines = Processes.filling(device).machines
    assert [(one.device, one.workers) for one in machines] == [("cuda:0", 3), ("cuda:1", 3)]
    several = Processes.filling(device, jobs=5)
    assert [one.device for one in several.machines] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert {one.workers for one in several.machines} == {1}
    assert {one.workers for one in Processes.filling(device, workers=0).machines} == {0}


def test_one_gpu_that_is_named_takes_one_task_unless_more_are_asked_for(two_gpus: None) -> None:
    assert [one.device for one in Processes.filling("cuda:1").machines] == ["cuda:1"]
    assert [one.device for one in Processes.filling("cuda:1", jobs=2).machines] == ["cuda:1", "cuda:1"]
    with pytest.raises(ValueError, match="device cuda:2 is not there: torch finds 2 GPUs"):
        Processes.filling("cuda:2")


def test_without_a_gpu_the_cores_are_filled_and_none_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(engines, "cores", lambda: 8)
    for device in ("auto", "cpu"):
        machines = Processes.filling(device, threads=3).machines
        assert [(one.device, one.threads, one.workers) for one in machines] == [("cpu", 3, None)] * 2
    with pytest.raises(ValueError, match="device cuda is not there: torch finds no GPU"):
        Processes.filling("cuda")
    with pytest.raises(ValueError, match="device must be auto, cpu, cuda"):
        Processes.filling("gpu")


class Fake:
    """A process that lives until it is told otherwise."""

    def __init__(self, args: tuple[Any, ...], **_: Any) -> None:
        self.machine, self.alive, self.exitcode = args[2], True, 1

    def start(self) -> None:
        pass

    def kill(self) -> None:
        self.alive = False

    def is_alive(self) -> bool:
        return self.alive


def test_tasks_that_run_at_the_same_time_have_a_machine_each(two_gpus: None, tmp_path: Path) -> None:
    engine = Processes.filling("cuda", jobs=3)
    started: list[Fake] = []

    class Context:
        @staticmethod
        def Process(target: Any, **more: Any) -> Fake:  # noqa: N802  (as in multiprocessing)
            started.append(Fake(**more))
            return started[-1]

    engine._context = Context
    running = [engine.start(tmp_path, f"tests/{number}") for number in range(3)]
    assert [one.machine.device for one in started] == ["cuda:0", "cuda:1", "cuda:0"]
    running[1].stop()
    assert running[1].ended()
    assert "exit code 1 and wrote no result; see tests/1/output.txt" in running[1].why()
    engine.start(tmp_path, "tests/3")
    assert started[-1].machine.device == "cuda:1"


def test_jobs_of_a_local_cluster_are_no_more_than_the_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("fairseg.cli.experiment.cores", lambda: 6)
    asked: dict[str, Any] = {"jobs": None, "threads": 2, "workers": None, "parameters": ()}
    assert _engine(tmp_path, "cpu", cluster="local", **asked).slots == 3
    assert _engine(tmp_path, "cpu", cluster="local", **{**asked, "jobs": 7}).slots == 7
    with pytest.raises(ValueError, match="--cluster-option needs --cluster"):
        _engine(tmp_path, "cpu", cluster=None, **{**asked, "parameters": [("timeout_min", "5")]})
