"""The loop: it learns, resumes bit for bit after any kill, and stops with names when something is wrong."""

import json
import multiprocessing
import random
import resource
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import Tensor, nn

from fairseg.training import Settings, predict, train
from fairseg.training.checkpoint import load_checkpoint, save_checkpoint
from tests.ranks import run_ranks
from tests.waiting import PATIENCE


class Plain(nn.Module):
    """A network of somebody else: one tensor, no deep supervision."""

    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 3, padding=1)
        self.fail_at, self.calls = fail_at, 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        out: Tensor = self.layer(image)
        return out * float("nan") if self.calls - 1 == self.fail_at else out


def equal(first: Any, second: Any) -> bool:
    """Say whether two states are equal to the last bit."""
    if isinstance(first, Tensor):
        return bool(torch.equal(first, second))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    return bool(first == second)


def test_a_run_leaves_its_log_curves_and_a_checkpoint_of_plain_values(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    lines = train(dataset, tmp_path / "run", tiny, prepared=prepared)
    logged = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert logged == lines
    assert [line["step"] for line in lines] == [3, 6]
    assert set(lines[0]["dice"]) == {"White", "Black"}
    assert set(lines[0]["dice_by_label"]) == {"RVBP", "LVM", "LVBP"}
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert {"network", "loss", "optimizer", "sampler", "random", "run", "epoch"} <= state.keys()
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert not set(about["train"]) & set(about["validation"])
    assert about["group_slices"] == {"Black": 4, "White": 20}  # of 1 and 5 subjects, 2 cases of 2 slices


def test_a_run_goes_on_for_more_epochs_and_says_how_far_it_is(
    dataset: Path,
    prepared: Path,
    tiny: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = tiny.with_(epochs=1)
    train(dataset, tmp_path / "run", one, prepared=prepared)
    monkeypatch.setattr("fairseg.training.logger._MINUTE", -1.0)
    lines = train(dataset, tmp_path / "run", tiny, prepared=prepared, resume=True, progress=True)
    assert [line["step"] for line in lines] == [3, 6]
    assert lines[1]["learning_rate"] == pytest.approx(tiny.learning_rate * (1 - 1 / 2) ** tiny.poly_power)
    message = capsys.readouterr().err
    assert "slices of Black 4, White 20; validation subjects: " in message
    assert "step 5 of 6" in message
    with pytest.raises(ValueError, match="has epochs 2, not 1"):
        train(dataset, tmp_path / "run", one, prepared=prepared, resume=True)
    averaged = one.with_(average=0.5)
    train(dataset, tmp_path / "averaged", averaged, prepared=prepared)
    with pytest.raises(ValueError, match="epochs must stay"):
        train(dataset, tmp_path / "averaged", averaged.with_(epochs=2), prepared=prepared, resume=True)


def test_a_run_from_before_there_was_a_schedule_goes_on_by_the_step(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    by_step = tiny.with_(schedule="step")
    train(dataset, tmp_path / "whole", by_step, prepared=prepared)
    old = tmp_path / "old"
    train(dataset, old, by_step.with_(epochs=1), prepared=prepared)
    state = torch.load(old / "checkpoint.pt", weights_only=True)
    for name in ("schedule", "averaging"):
        del state["run"]["settings"][name]
    torch.save(state, old / "checkpoint.pt")
    with pytest.raises(ValueError, match="has schedule step, not epoch"):
        train(dataset, old, tiny, prepared=prepared, resume=True)
    lines = train(dataset, old, by_step, prepared=prepared, resume=True)
    assert lines[1]["learning_rate"] == pytest.approx(tiny.learning_rate * (1 - 5 / 6) ** tiny.poly_power)
    assert load_checkpoint(old / "checkpoint.pt")["run"]["settings"]["schedule"] == "step"


def test_it_learns(dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path) -> None:
    settings = tiny.with_(features=8, most_features=16, epochs=1, steps=60, augment=False, batch_size=8)
    line = train(dataset, tmp_path / "run", settings, prepared=prepared)[-1]
    assert min(line["dice"].values()) > 0.4, line


def test_workers_change_nothing(dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path) -> None:
    states = []
    for workers in (0, 2):
        train(dataset, tmp_path / str(workers), tiny.with_(workers=workers, epochs=1), prepared=prepared)
        states.append(load_checkpoint(tmp_path / str(workers) / "checkpoint.pt")["network"])
    assert equal(*states)


def _epochs(run: Path) -> int:
    log = run / "log.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_run_killed_at_random_moments_ends_as_one_that_was_not(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    settings = tiny.with_(sampler="oversampling", loss="group_dro", reweight="mean", epochs=10, steps=6)
    # Children of a server that has imported torch once, with one thread each, as tests/conftest.py asks.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fairseg.experiment.tasks"])

    def start(out: Path) -> Any:
        more = {"prepared": prepared, "resume": True}
        process = context.Process(target=train, args=(dataset, out, settings), kwargs=more)
        process.start()
        return process

    def finish(out: Path) -> None:
        process = start(out)
        process.join(PATIENCE)
        assert process.exitcode == 0

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole)
    # Killed after so many epochs and a moment more, whatever the speed of the machine.
    moment, kills = random.Random(4), 0
    while kills < 3:
        process = start(killed)
        while process.is_alive() and _epochs(killed) < 2 * kills + 2:
            time.sleep(0.01)
        time.sleep(moment.uniform(0, 0.2))
        if not process.is_alive():
            break
        process.kill()
        process.join()
        kills += 1
    assert kills
    finish(killed)
    first, second = (load_checkpoint(folder / "checkpoint.pt") for folder in (whole, killed))
    for part in ("network", "loss", "optimizer", "sampler", "random", "epoch"):
        assert equal(first[part], second[part]), part
    logs = [
        [{**json.loads(line), "seconds": 0} for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (whole, killed)
    ]
    assert logs[0] == logs[1]
    assert not list(killed.glob(".*.part"))


def test_a_run_is_resumed_only_with_its_own_settings(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    train(dataset, tmp_path, tiny.with_(epochs=1), prepared=prepared)
    with pytest.raises(ValueError, match="holds a run already"):
        train(dataset, tmp_path, tiny.with_(epochs=1), prepared=prepared)
    with pytest.raises(ValueError, match=r"has batch_size 4, not 5"):
        train(dataset, tmp_path, tiny.with_(epochs=1, batch_size=5), prepared=prepared, resume=True)


def test_a_loss_that_is_not_finite_stops_with_step_cases_and_groups(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    message = r"step 2: the loss is nan; the batch held train_\d_\d+_E[DS] \((White|Black)\)"
    with pytest.raises(RuntimeError, match=message):
        train(dataset, tmp_path, tiny, network=Plain(fail_at=2), prepared=prepared)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_any_network_can_take_the_place_of_the_reference(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    network = Plain()
    before = network.layer.weight.detach().clone()
    train(dataset, tmp_path, tiny.with_(epochs=1), network=network, prepared=prepared)
    assert not torch.equal(before, network.layer.weight)


def _full(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        save_checkpoint(folder / "checkpoint.pt", {"epoch": 2, "weights": torch.zeros(100_000)})
    except RuntimeError as error:
        print(error)  # noqa: T201  (read by the test)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.pt", {"epoch": 1})
    run_ranks(_full, tmp_path, world=1)
    assert "could not be written, the one before is kept" in (tmp_path / "0.txt").read_text()
    assert load_checkpoint(tmp_path / "checkpoint.pt")["epoch"] == 1
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint.pt", "0.txt"}


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint\.pt is (no whole checkpoint|not there)"):
        load_checkpoint(path)


def test_a_start_that_fails_leaves_nothing(dataset: Path, tiny: Settings, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no attribute 'site'"):
        train(dataset, tmp_path / "run", tiny.with_(by=("site",)))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ending", [".mha", ".nrrd", ".nii"])
def test_masks_have_the_ending_of_the_images(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path, ending: str
) -> None:
    train(dataset, tmp_path / "run", tiny.with_(epochs=1, steps=1), prepared=prepared)
    image = min((dataset / "imagesTr").iterdir())
    case = image.name.removesuffix("_0000.nii.gz")
    (tmp_path / "images").mkdir()
    sitk.WriteImage(sitk.ReadImage(str(image)), str(tmp_path / "images" / f"{case}_0000{ending}"))
    masks = []
    for images, name in ((tmp_path / "images", f"{case}{ending}"), (dataset / "imagesTr", f"{case}.nii.gz")):
        predict(tmp_path / "run", images, tmp_path / f"out-{images.name}", cases=[case], device="cpu")
        masks.append(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"out-{images.name}" / name))))
    np.testing.assert_array_equal(*masks)
