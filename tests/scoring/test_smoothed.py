"""Masks that were resized with interpolation are refused; masks of many labels, thin ones too, are not."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import cKDTree

import fairseg
from fairseg.cli import main
from fairseg.metrics.masks import labels_in
from fairseg.scoring.smoothed import smoothed_values

Voxels = npt.NDArray[Any]


def organ(value: int, radius: float = 25.0, size: int = 96) -> Voxels:
    y, x = np.mgrid[:size, :size] - size / 2
    angle = np.arctan2(y, x)
    inside = np.hypot(y, x) < radius * (1 + 0.15 * np.sin(3 * angle) + 0.1 * np.sin(5 * angle))
    return np.where(inside, value, 0).astype(np.uint8)


def said(mask: Voxels, structures: dict[str, tuple[int, ...]] | None = None) -> str:
    mask = np.clip(mask, 0, None).astype(np.min_scalar_type(int(mask.max())))
    return smoothed_values(mask, labels_in(mask).tolist(), structures or {})


ORGANS = {
    "one": organ(255),
    "three": np.max([organ(80, 36), organ(160, 25), organ(240, 12)], axis=0),
    "parts": np.where(np.arange(96) < 48, organ(150), organ(250)),
}
RESIZED: dict[str, Callable[[Voxels], Voxels]] = {
    **{
        f"{way.name} {size}": lambda mask, way=way, size=size: np.asarray(
            Image.fromarray(mask).resize((size, size), way)
        )
        for way in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
        for size in (48, 67, 125, 192, 384)
    },
    "BOX 48": lambda mask: np.asarray(Image.fromarray(mask).resize((48, 48), Image.Resampling.BOX)),
    **{
        f"zoom {factor}": lambda mask, factor=factor: zoom(mask.astype(float), factor, order=1).round()
        for factor in (0.7, 1.7, 2, 3)
    },
    "slices": lambda mask: zoom(
        np.stack([mask] * 6 + [mask * 0] * 4).astype(float), (1, 2, 2), order=1
    ).round(),
    "between slices": lambda mask: zoom(
        np.stack([mask * 0] + [mask] * 8).astype(float), (2, 1, 1), order=1
    ).round(),
    "blurred": lambda mask: gaussian_filter(mask.astype(float), 1.0).round(),
}


@pytest.mark.parametrize("way", RESIZED)
@pytest.mark.parametrize("name", ORGANS)
def test_what_interpolation_makes_is_told(name: str, way: str) -> None:
    mask = RESIZED[way](ORGANS[name].astype(np.uint8)).astype(int)
    assert "was it resized with interpolation?" in said(mask)
    named = {"organ": tuple(int(value) for value in np.unique(ORGANS[name]) if value)}
    assert "was it resized with interpolation?" in said(mask, named)


def parcels(shape: tuple[int, ...], number: int, seed: int = 0) -> Voxels:
    points = np.random.default_rng(seed).uniform(0, 1, (number, len(shape))) * shape
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, len(shape))
    return (np.asarray(cKDTree(points).query(voxels)[1]) + 1).reshape(shape)


def layers(depths: list[int], values: list[int]) -> Voxels:
    column = np.repeat([0, *values, 0], [10, *depths, 10])
    return np.repeat(column[:, None], 60, axis=1)


CODES = np.sort(np.random.default_rng(1).choice(np.arange(1000, 2100), 117, replace=False))
LABELS = {
    "117 organs": parcels((30, 40, 40), 117),
    "117 coarse": parcels((15, 20, 20), 117),
    "codes with gaps": np.concatenate([[0], CODES])[parcels((30, 40, 40), 117)],
    "three far apart": np.max([organ(150, 36), organ(200, 25), organ(250, 12)], axis=0),
    "tiny": parcels((40, 40), 100),
    "layers of one pixel": layers([6, 1, 1, 1, 2, 1, 1, 8], list(range(1, 9))),
    "layers of two pixels": layers([6, 2, 2, 2, 2, 2, 2, 8], [k * 30 for k in range(1, 9)]),
    "stripes": np.repeat(np.arange(1, 61)[:, None], 60, axis=1),
    "noise": np.random.default_rng(0).integers(0, 51, (40, 40)),
    "noise with gaps": np.random.default_rng(0).integers(0, 20, (40, 40)) * 10,
    "one wall": np.max([organ(100, 30), organ(200, 29), organ(250, 27)], axis=0),
    "nearest": np.asarray(Image.fromarray(organ(255)).resize((67, 67), Image.Resampling.NEAREST)),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_are_no_greys(name: str) -> None:
    assert said(LABELS[name]) == ""


def test_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = RESIZED["slices"](ORGANS["three"].astype(np.uint8)).astype(int)
    whole = said(mask)
    monkeypatch.setattr("fairseg.scoring.smoothed._SLAB", 1)
    assert said(mask) == whole != ""


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("labels", [None, {"left": 80, "right": 160, "middle": 240}])
def test_every_command_refuses_them(
    both: bool, labels: dict[str, int] | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "predictions").mkdir()
    (tmp_path / "references").mkdir()
    for case in "abcdef":
        mask = np.zeros((40, 40), np.uint8)
        mask[8:30, 6:18], mask[8:30, 22:34], mask[14:20, 16:24] = 80, 160, 240
        for kind in ("predictions", "references"):
            soft = both or kind == "predictions"
            grey = zoom(mask.astype(np.float32), 1.7, order=1 if soft else 0).round().astype(np.uint8)
            Image.fromarray(grey).save(tmp_path / kind / f"{case}.png")
    table = pd.DataFrame({"case": list("abcdef"), "sex": ["F", "M"] * 3})
    table.to_csv(tmp_path / "groups.csv", index=False)
    folders = [str(tmp_path / kind) for kind in ("predictions", "references")]
    with pytest.raises(ValueError, match="was it resized with interpolation"):
        fairseg.evaluate(*folders, table, labels=labels)
    given = ["--groups", str(tmp_path / "groups.csv"), "--out"]
    typed = [f"--labels={name}={value}" for name, value in (labels or {}).items()]
    for command in (["evaluate", "scores.csv"], ["audit", "report", "--by", "sex"]):
        name, out, *more = command
        assert main([name, *folders, *given, str(tmp_path / out), *more, *typed]) == 2
        assert "was it resized with interpolation" in capsys.readouterr().err
    assert main(["check", *folders, *given, str(tmp_path / "check"), "--by", "sex", *typed]) == 2
    assert "was it resized with interpolation" in (tmp_path / "check" / "check.md").read_text()
    shutil.rmtree(tmp_path / "check")
