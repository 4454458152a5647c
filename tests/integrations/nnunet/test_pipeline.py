"""The commands of nnU-Net, really run: plan, preprocess, train, resume, validate, predict.

nnU-Net is the real one. Only timm is a stub, which no network here is made of; see the folder `stubs`.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

import torch
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from fairseg.cli import main
from fairseg.datasets import write_phantom
from fairseg.integrations.nnunet import TRAINERS
from fairseg.scoring.table import Scores, read_scores
from tests.waiting import PATIENCE, wait_until

from .conftest import STUBS

pytestmark = pytest.mark.slow

NAME = "Dataset901_Phantom"
DRO = "nnUNetTrainerFairGroupDRO_Oversampling"
# The shipped trainer in few steps, under its own name: found before those that are installed.
SHORT = f"""
import torch
from fairseg.integrations.nnunet import trainers


class {DRO}(trainers.{DRO}):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = 3, 1
        self.save_every = 1
"""


def run(folder: Path, *command: str, **environment: str) -> str:
    """Run a command beside this Python, and return what it says."""
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run(
        [program, *command[1:]],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **environment},
        cwd=folder,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def run_and_kill(folder: Path, *command: str, when: Path) -> None:
    """Start a command and kill it, with the processes that it started, once a file is there."""
    program = Path(sys.executable).parent / command[0]
    with (folder / "killed.txt").open("w") as message:
        process = subprocess.Popen(
            [program, *command[1:]], stdout=message, stderr=message, cwd=folder, start_new_session=True
        )
    try:

        def there() -> bool:
            assert process.poll() is None, (folder / "killed.txt").read_text()[-6000:]
            return when.exists()

        wait_until(there)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with nnU-Net's three, a dataset of 4 and 2 subjects, and trainers to find."""
    for name in ("raw", "preprocessed", "results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    for variable in ("FAIRSEG_BINS", "FAIRSEG_GROUPS", "FAIRSEG_EPOCHS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("FAIRSEG_BY", "group")
    monkeypatch.setenv("nnUNet_n_proc_DA", "1")
    monkeypatch.setenv("nnUNet_def_n_proc", "1")
    monkeypatch.setenv("PYTHONPATH", str(STUBS))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    short = tmp_path / "short"
    short.mkdir()
    (short / "short.py").write_text(SHORT)
    monkeypatch.setenv("nnUNet_extTrainer", str(short))
    write_phantom(
        tmp_path / "raw" / NAME,
        subjects={"A": 4, "B": 2},
        test_subjects=1,
        shape=(32, 32),
        spacing=5.0,
        slices=8,
    )
    return tmp_path


def checkpoint(model: Path, name: str = "checkpoint_final.pth") -> Any:
    return torch.load(model / "fold_0" / name, weights_only=False)


def test_from_the_raw_dataset_to_the_report(
    folder: Path,
    command: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # Install: nnU-Net itself finds each trainer in the folder that was written.
    assert main(["nnunet", "install", str(folder / "installed")]) == 0
    line = capfd.readouterr().out.strip()
    assert line == f"export nnUNet_extTrainer={folder / 'short'}:{folder / 'installed'}"
    monkeypatch.setenv("nnUNet_extTrainer", str(folder / "installed"))
    places = {recursive_find_trainer_class_by_name(name).__module__ for name in TRAINERS}
    assert places == {"fairseg.integrations.nnunet.trainers"}
    monkeypatch.setenv("nnUNet_extTrainer", line.partition("=")[2])

    # Plan, preprocess, split.
    command("nnUNetv2_plan_and_preprocess", "-d", "901", "-c", "2d", "-np", "1")
    capfd.readouterr()
    assert main(["nnunet", "splits", "901", "--folds", "2"]) == 0
    assert capfd.readouterr().out.splitlines()[1:] == ["  A: 2, 2", "  B: 1, 1"]

    # Train until something kills it, go on for another epoch, and validate.
    train = ("nnUNetv2_train", "901", "2d", "0", "-tr", DRO, "-device", "cpu")
    model = folder / "results" / NAME / f"{DRO}__nnUNetPlans__2d"
    run_and_kill(folder, *train, when=model / "fold_0" / "progress.png")
    first = checkpoint(model, "checkpoint_latest.pth")
    done, before = first["current_epoch"], first["logging"]["group_weights"]
    message = run(folder, *train, "--c", FAIRSEG_EPOCHS=str(done + 1))
    assert "training cases by group: A 4, B 2; unknown 0" in message
    weights = ", ".join(f"{name} {weight:.6f}" for name, weight in before[-1].items())
    assert f"fairseg: resumed with group weights {weights}" in message
    logging = checkpoint(model)["logging"]
    assert len(logging["train_losses"]) == len(logging["group_losses"]) == done + 1
    assert logging["group_weights"][:-1] == before
    assert set(before[0]) == {"A", "B"}
    assert 0.49 < before[0]["A"] < 0.51
    assert before[0]["A"] != 0.5
    assert "groups" not in (model / "dataset.json").read_text()

    # nnU-Net's own validation as a report by group.
    table = str(folder / "raw" / NAME / "groups.csv")
    scores = folder / "scores.csv"
    assert main(["nnunet", "scores", str(model), "--groups", table, "--out", str(scores)]) == 0
    result = read_scores(scores)
    assert len(result) == 6 * 3
    assert set(result["label"]) == {"RVBP", "LVM", "LVBP"}
    assert main(["report", str(scores), "--by", "group", "--out", str(folder / "report")]) == 0
    assert (folder / "report" / "report.html").is_file()
    # They are the Dice that fairseg finds on the same masks.
    again = folder / "again.csv"
    masks, labels = model / "fold_0" / "validation", folder / "raw" / NAME / "labelsTr"
    skip = ("--on-error", "skip")  # the table has cases that fold 0 does not validate on
    assert main(["evaluate", str(masks), str(labels), "--groups", table, *skip, "--out", str(again)]) == 1
    columns = ["dice", "prediction_voxels", "reference_voxels"]
    pairs = [
        Scores.of(table).table.sort_values(["case", "label"])[columns].to_numpy()
        for table in (result, again)  # without the rows of skipped cases
    ]
    np.testing.assert_allclose(*pairs, rtol=1e-12)

    # Export, and predict where fairseg cannot be imported.
    capfd.readouterr()
    plain = folder / "plain"
    assert main(["nnunet", "export", str(model), "--out", str(plain)]) == 0
    kept, exported = checkpoint(model), checkpoint(plain)
    assert all(
        torch.equal(kept["network_weights"][name], value)
        for name, value in exported["network_weights"].items()
    )
    absent = folder / "absent" / "fairseg"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('fairseg is not here')\n")
    images = str(folder / "raw" / NAME / "imagesTs")
    predict = (
        "nnUNetv2_predict_from_modelfolder",
        "-i",
        images,
        "-o",
        str(folder / "predicted"),
        "-m",
        str(plain),
    )
    without = {"PYTHONPATH": os.pathsep.join([str(absent.parent), str(STUBS)]), "nnUNet_extTrainer": ""}
    run(folder, *predict, "-f", "0", "-device", "cpu", "--disable_tta", "-npp", "1", "-nps", "1", **without)
    for file in (folder / "raw" / NAME / "labelsTs").iterdir():
        mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "predicted" / file.name)))
        assert mask.shape == (8, 32, 32)
        assert set(np.unique(mask)) <= {0, 1, 2, 3}
    truth = str(folder / "raw" / NAME / "labelsTs")
    audit = ("audit", str(folder / "predicted"), truth, "--groups", table, "--by", "group")
    assert main([*audit, "--out", str(folder / "audit")]) == 0
    assert Scores.of(folder / "audit" / "scores.csv").skipped.empty
