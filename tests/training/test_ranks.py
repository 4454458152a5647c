"""Several processes train as one: real ones, joined by torchrun over gloo."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from fairseg.cli import main
from fairseg.training import Settings, train
from fairseg.training.checkpoint import load_checkpoint
from fairseg.training.methods import LOSSES, METHODS
from fairseg.training.network import make_network
from fairseg.training.ranks import ProcessGroup, joined_by_torchrun
from tests.ranks import run_ranks

pytestmark = pytest.mark.slow

TWO = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


class Double(nn.Module):
    """The reference network in float64: in float32, ten steps make 1e-4 of a rounding of 1e-8."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = make_network(1, 4, (32, 32), features=4, most_features=8).double()

    def forward(self, image: Tensor) -> Any:
        return self.network(image.double())


@pytest.fixture
def methods(tiny: Settings) -> dict[str, Settings]:
    """Ten steps of each method, with a validation in between."""
    short = tiny.with_(epochs=2, steps=5, batch_size=5, deep_supervision=True)  # 3 and 2 samples a rank
    others = {loss: {"loss": loss, "sampler": "oversampling"} for loss in LOSSES if loss != "group_dro"}
    return {name: short.with_(**choices) for name, choices in {**METHODS, **others}.items()}


def train_all(folder: Path, dataset: Path, prepared: Path, methods: dict[str, Settings]) -> None:
    """What each process does."""
    with joined_by_torchrun():
        for name, one in methods.items():
            train(dataset, folder / "two" / name, one, network=Double(), prepared=prepared)


def test_two_processes_train_as_one_with_the_joint_batch(
    dataset: Path, prepared: Path, methods: dict[str, Settings], tmp_path: Path
) -> None:
    run_ranks(train_all, tmp_path, dataset, prepared, methods)
    for name, one in methods.items():
        lines = train(dataset, tmp_path / "one" / name, one, network=Double(), prepared=prepared)
        alone, joint = (
            load_checkpoint(tmp_path / number / name / "checkpoint.pt") for number in ("one", "two")
        )
        for part in ("network", "loss"):
            for key, value in alone[part].items():
                torch.testing.assert_close(joint[part][key], value, atol=1e-9, rtol=0, msg=f"{name}: {key}")
        assert alone["sampler"] == joint["sampler"]
        assert len(joint["random"]) == 2
        logged = (tmp_path / "two" / name / "log.jsonl").read_text().splitlines()
        for line, text in zip(lines, logged, strict=True):
            assert json.loads(text)["loss"] == pytest.approx(line["loss"], abs=1e-9)
            assert json.loads(text)["dice"] == line["dice"]
            if one.sample_loss != "dice_ce":  # a pooled loss is that of each process's part of the batch
                assert json.loads(text)["group_loss"] == pytest.approx(line["group_loss"], abs=1e-5)
            assert json.loads(text)["group_weight"] == pytest.approx(line["group_weight"], abs=1e-5)


def test_the_command_runs_under_torchrun_and_goes_on_in_one_process(
    dataset: Path, prepared: Path, tmp_path: Path
) -> None:
    options = [str(dataset), "--by", "group", "--features", "4", "--batch-size", "4", "--steps", "2"]
    options += ["--device", "cpu", "--prepared", str(prepared), "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [*TWO, "-m", "fairseg", "train", *options, "--epochs", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("Median validation Dice by group") == 1  # said by one of them
    assert main(["train", *options, "--epochs", "1", "--resume"]) == 0


def test_the_old_name_of_the_command_is_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr("fairseg.cli.main", lambda: given.append(sys.argv[1:]))
    monkeypatch.setattr(sys, "argv", ["fairseg.training", "data", "--out", "run"])
    with pytest.raises(SystemExit):
        runpy.run_module("fairseg.training", run_name="__main__", alter_sys=True)
    assert given == [["train", "data", "--out", "run"]]


def test_a_batch_of_fewer_patches_than_processes_is_refused(
    dataset: Path, tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairseg.training.loop.find_processes", lambda: ProcessGroup(0, 2))
    with pytest.raises(ValueError, match="batch_size must be at least the 2 processes, got 1"):
        train(dataset, tmp_path, tiny.with_(batch_size=1))


@pytest.mark.parametrize(
    ("device", "gpus", "backend"),
    [("cpu", 2, "gloo"), ("auto", 2, "nccl"), ("cuda", 2, "nccl"), ("auto", 0, "gloo")],
)
def test_processes_talk_by_nccl_only_where_each_has_a_gpu(
    device: str, gpus: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[Any] = []
    for name, value in (("RANK", "1"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", joined.append)
    monkeypatch.setattr(dist, "init_process_group", joined.append)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    with joined_by_torchrun(device):
        pass
    assert joined == ([1, "nccl"] if backend == "nccl" else ["gloo"])


@pytest.mark.parametrize(
    ("device", "said"), [("cuda:0", "must be auto, cuda or cpu in 2"), ("auto", "finds 1:")]
)
def test_processes_that_would_share_a_gpu_are_refused(
    device: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("RANK", "1"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=said), joined_by_torchrun(device):
        pass


def test_parts_are_dealt_round_and_round() -> None:
    assert [ProcessGroup(rank, 3).part_of([0, 1, 2, 3, 4]) for rank in range(3)] == [[0, 3], [1, 4], [2]]
    assert ProcessGroup().gather("alone") == ["alone"]
