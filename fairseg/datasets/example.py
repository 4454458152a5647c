"""A made-up cohort of heart masks and a made-up model that serves one group worse.

The files are those of a user: NIfTI masks in two folders, nnU-Net's dataset.json and groups.csv. No image is
segmented here; predictions are the references with their boundaries moved. By construction, women are the
minority and their boundaries are moved farther; one subject has no sex on record; one man's right ventricle
was not found.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from fairseg.io.files import filled_folder
from fairseg.io.image_writing import write_image

LABELS = {"RVBP": 1, "LVM": 2, "LVBP": 3}
SPACING = (10.0, 1.8, 1.8)  # mm; z, y, x
_SHAPE = (9, 96, 96)
_SEXES = ["M"] * 18 + ["F"] * 9 + [""]
_ERROR = {"M": 5.0, "F": 9.0, "": 5.0}  # the most that a boundary moves, mm


def write_example(folder: str | Path, *, seed: int = 0) -> None:
    """Write 28 subjects, two frames each: `predictions/`, `references/`, dataset.json, groups.csv.

    The same seed gives the same masks. Files of an earlier example are replaced.

    Raises:
        ValueError: the folder cannot be written.
    """
    with filled_folder(Path(folder), "example") as scratch:
        _write_all(scratch, seed)


def _write_all(out: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for name in ("predictions", "references"):
        (out / name).mkdir()
    rows = ["case,subject,frame,sex,age"]
    sexes = [str(sex) for sex in rng.permutation(_SEXES)]
    for number, sex in enumerate(sexes):
        subject, age = f"subject{number + 1:02d}", int(rng.integers(45, 80))
        anatomy, size = _wobble(rng), rng.uniform(0.85, 1.1) * (0.92 if sex == "F" else 1.0)
        for frame, filling in (("ED", 1.0), ("ES", 0.72)):
            case = f"{subject}_{frame}"
            true = _heart(size, filling, 4.0 * anatomy)
            error = _ERROR[sex] * rng.uniform(0.6, 1.5)
            predicted = _heart(size, filling, 4.0 * anatomy + error * _wobble(rng))
            if number == sexes.index("M") and frame == "ES":
                predicted[predicted == LABELS["RVBP"]] = 0
            _write(true, out / "references" / f"{case}.nii.gz")
            _write(predicted, out / "predictions" / f"{case}.nii.gz")
            rows.append(f"{case},{subject},{frame},{sex},{age}")
    (out / "groups.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    dataset = {"labels": {"background": 0, **LABELS}, "file_ending": ".nii.gz"}
    (out / "dataset.json").write_text(json.dumps(dataset, indent=1) + "\n", encoding="utf-8")


def _wobble(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a smooth random field over the grid, of -1 to 1 at its extremes."""
    field = gaussian_filter(rng.normal(size=_SHAPE), (2.0, 12.0, 12.0))
    return np.asarray(field / np.abs(field).max())


def _heart(size: float, filling: float, wobble: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Draw a left ventricle as nested ellipsoids, with the right one as a crescent at its side."""
    z, y, x = (
        (np.arange(length) - (length - 1) / 2).reshape([-1 if axis == i else 1 for i in range(3)]) * step
        for axis, (length, step) in enumerate(zip(_SHAPE, SPACING, strict=True))
    )
    taper = np.sqrt(np.clip(1.0 - (z / (44.0 * size)) ** 2, 0.0, None)) * size
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.hypot(y, x - 12.0) / taper + wobble
        right = np.hypot(y / 1.25, x + 14.0) / taper + wobble
    inner = 24.0 * filling**0.5
    mask = np.zeros(_SHAPE, dtype=np.uint8)
    mask[(right < 30.0 * filling**0.3) & (np.abs(z) < 35.0 * size)] = LABELS["RVBP"]
    mask[left < inner + 10.0] = LABELS["LVM"]
    mask[left < inner] = LABELS["LVBP"]
    return mask


def _write(mask: npt.NDArray[np.uint8], path: Path) -> None:
    image = sitk.GetImageFromArray(mask)
    image.SetSpacing(SPACING[::-1])
    write_image(path, image)
