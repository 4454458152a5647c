"""A cohort of four groups, and an experiment on it that takes no time."""

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from fairseg.datasets.phantom import write_phantom
from fairseg.training.checkpoint import save_checkpoint
from fairseg.training.settings import Settings
from tests.training.conftest import dataset, other, prepared, tiny

__all__ = ["dataset", "other", "prepared", "tiny"]


@pytest.fixture(scope="session")
def recipe() -> Settings:
    """Few steps of a small network, else as the preset quick."""
    return Settings(
        by=("group",),
        features=4,
        most_features=8,
        epochs=3,
        steps=4,
        batch_size=4,
        validation=0.3,
        learning_rate=0.1,
        momentum=0.9,
        schedule="step",
        device="cpu",
    )


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four groups, of which one has three subjects; no test set of its own."""
    folder = tmp_path_factory.mktemp("four") / "data"
    counts = {"White": 6, "Asian": 4, "Mixed": 4, "Black": 3}
    write_phantom(folder, subjects=counts, test_subjects=0, shape=(32, 32), spacing=6.0, slices=2)
    for part in ("imagesTs", "labelsTs"):
        if (folder / part).is_dir():
            (folder / part).rmdir()
    return folder


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Trainings that do nothing, and predictions that are the masks with noise of their run and case.

    Call it with a text to let fail all trainings whose folder's name holds it.
    """
    fails: list[str] = []

    def train(dataset: str, out: Path, *_: Any, **__: Any) -> None:
        if any(text in out.name for text in fails):
            raise RuntimeError("it | broke")
        plan = {"axis": 0, "spacing": [6.0, 6.0], "shape": [32, 32]}
        save_checkpoint(out / "checkpoint.pt", {"run": {"plan": plan}})

    def predict(run: Path, images: str, out: Path, *, cases: list[str], **_: Any) -> None:
        out.mkdir(parents=True)
        boxes: dict[str, Any] = {}
        for number, case in enumerate(cases):
            mask = sitk.ReadImage(f"{images.replace('images', 'labels')}/{case}.nii.gz")
            voxels = sitk.GetArrayFromImage(mask)
            random = np.random.default_rng(zlib.crc32(f"{run.name} {case}".encode()))
            if voxels.any():
                voxels[random.random(voxels.shape) < 0.05 + 0.05 * random.random()] = 1
            noisy = sitk.GetImageFromArray(voxels)
            noisy.CopyInformation(mask)
            sitk.WriteImage(noisy, str(out / f"{case}.nii.gz"))
            found = None if number == 0 else [[1, 2], [11 + number, 14]]
            boxes[case] = {"crop": [[0, 0], [20, 20]], "found": found}
        (out / "boxes.json").write_text(json.dumps(boxes))

    monkeypatch.setattr("fairseg.experiment.tasks.train", train)
    monkeypatch.setattr("fairseg.experiment.tasks.predict", predict)
    return fails.append


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> Path:
    """Return a copy of the cohort that a test may spoil."""
    return Path(shutil.copytree(data, tmp_path / "data"))
