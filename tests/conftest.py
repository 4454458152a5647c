"""A small cohort of real files, which the tests of folders and of the command line share."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, settings

# Of torch, here and in processes that tests start: for networks as small as these, more threads only wait for
# each other, ten times as long on cores that are busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No example fails for taking long: how long it takes is a matter of the machine, and of what else runs on it.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples each time, so that no change is refused for what it did not touch; "search" draws others.
settings.register_profile("fixed", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("fixed")

SPACING = (8.0, 1.5, 1.25)  # mm; z, y, x
SHAPE = (4, 16, 18)
# case, subject, sex, site, age: eight subjects, two of them with two frames.
ROWS = (
    "s1_ED,s1,F,A,31",
    "s1_ES,s1,F,A,31",
    "s2_ED,s2,M,A,45",
    "s2_ES,s2,M,A,45",
    "s3_ED,s3,F,B,52",
    "s4_ED,s4,M,B,58",
    "s5_ED,s5,F,A,60",
    "s6_ED,s6,M,B,67",
    "s7_ED,s7,M,A,71",
    "s8_ED,s8,F,B,75",
)


@pytest.fixture(scope="session")
def save_mask() -> Callable[..., Path]:
    """Return a function that writes an array (z, y, x) as an image of the type its name says."""

    def save(
        path: Path,
        voxels: npt.ArrayLike,
        spacing: tuple[float, ...] = SPACING,
        origin: tuple[float, ...] | None = None,
        direction: tuple[float, ...] | None = None,
        compress: bool = False,
    ) -> Path:
        image = sitk.GetImageFromArray(np.asarray(voxels))
        image.SetSpacing(spacing[::-1][: image.GetDimension()])
        if origin is not None:
            image.SetOrigin(origin)
        if direction is not None:
            image.SetDirection(direction)
        sitk.WriteImage(image, str(path), useCompression=compress)
        return path

    return save


@pytest.fixture(scope="session")
def _cohort(tmp_path_factory: pytest.TempPathFactory, save_mask: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    for name in ("predictions", "references"):
        (folder / name).mkdir()
    rng = np.random.default_rng(7)
    for row in ROWS:
        case, _, sex, *_ = row.split(",")
        true = _nested(int(rng.integers(-1, 2)), 1.0)
        predicted = _nested(int(rng.integers(-1, 2)), 1.1 if sex == "F" else 1.02)
        predicted[rng.random(SHAPE) < 0.01] = 2
        save_mask(folder / "references" / f"{case}.nii.gz", true)
        save_mask(folder / "predictions" / f"{case}.nii.gz", predicted)
    (folder / "groups.csv").write_text("case,subject,sex,site,age\n" + "\n".join(ROWS) + "\n")
    labels = {"background": 0, "RVBP": 1, "LVM": 2, "LVBP": 3}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


@pytest.fixture
def cohort(_cohort: Path, tmp_path: Path) -> Path:
    """Return a folder of its own with predictions/, references/, groups.csv and dataset.json.

    Ten cases of eight subjects: sex F or M (four each), site A or B, age; NIfTI masks with the labels
    RVBP 1, LVM 2, LVBP 3.
    """
    return Path(shutil.copytree(_cohort, tmp_path / "cohort"))


def _nested(shift: int, size: float) -> npt.NDArray[np.uint8]:
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    left = np.hypot(y - 8 - shift, x - 11) + 0.3 * np.abs(z - 1.5)
    right = np.hypot(y - 8, x - 4 - shift) + 0.3 * np.abs(z - 1.5)
    mask = np.zeros(SHAPE, np.uint8)
    mask[right < 3.5 * size] = 1
    mask[left < 5 * size] = 2
    mask[left < 3 * size] = 3
    return mask
