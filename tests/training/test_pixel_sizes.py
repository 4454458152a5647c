"""Images whose files state no pixel size, with one from the table: as files that state it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from PIL import Image

from fairseg.cli.command import main
from fairseg.io.label_files import read_labels
from fairseg.training import Settings, predict, train
from fairseg.training.checkpoint import load_checkpoint
from fairseg.training.prepare import SlicePlan

SIZES = {"a": (0.5, 0.5), "b": (0.5, 1.0), "c": (0.5, 0.5), "d": (1.0, 0.5)}
BRIEF: Any = {"epochs": 1, "steps": 2, "batch_size": 2, "features": 4, "device": "cpu", "validation": 0.25}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return one dataset twice: as NIfTI that states the pixel sizes, as PNG with a column that has them."""
    root = tmp_path_factory.mktemp("sizes")
    labels = {"background": 0, "left lung": 1, "heart": 2}
    for ending in (".nii.gz", ".png"):
        folder = root / ending.strip(".").split(".")[0]
        random = np.random.default_rng(0)
        rows = ["case,sex,mm,row,column"]
        for name, (row, column) in SIZES.items():
            image = random.integers(0, 255, (24, 32)).astype(np.uint8)
            mask = np.zeros_like(image)
            mask[4:12, 5:15], mask[12:20, 16:24] = 1, 2
            for where, pixels in (("imagesTr", image), ("labelsTr", mask)):
                (folder / where).mkdir(parents=True, exist_ok=True)
                file = folder / where / f"{name}{'_0000' if where == 'imagesTr' else ''}{ending}"
                if ending == ".png":
                    Image.fromarray(pixels).save(file)
                else:
                    made = sitk.GetImageFromArray(pixels)
                    made.SetSpacing((column, row))
                    sitk.WriteImage(made, str(file))
            rows.append(f'{name},{"FM"[name in "bd"]},"{row}, {column}",{row},{column}')
        (folder / "groups.csv").write_text("\n".join(rows) + "\n")
        about = {"channel_names": {"0": "x-ray"}, "labels": labels, "numTraining": 4, "file_ending": ending}
        (folder / "dataset.json").write_text(json.dumps(about))
    return {"stated": root / "nii", "column": root / "png"}


def _described(run: Path) -> dict[str, Any]:
    about: dict[str, Any] = load_checkpoint(run / "checkpoint.pt")["run"]
    return about


@pytest.mark.parametrize("spacing", [("mm",), ("row", "column")])
def test_a_column_of_pixel_sizes_is_as_good_as_files_that_state_them(
    folders: dict[str, Path], tmp_path: Path, spacing: tuple[str, ...]
) -> None:
    recipe = Settings(by=("sex",), mirror="none", **BRIEF)
    stated = train(folders["stated"], tmp_path / "stated", recipe)
    column = train(folders["column"], tmp_path / "column", recipe.with_(spacing=spacing))
    for lines in (stated, column):
        lines[0].pop("seconds")
    assert stated == column
    one, other = _described(tmp_path / "stated"), _described(tmp_path / "column")
    assert one["plan"] == other["plan"]
    assert one["plan"]["unit"] == "mm"
    assert one["plan"]["spacing"] == (0.5, 0.5)
    assert one["data"] == other["data"]
    for name, table in (("stated", None), ("column", folders["column"] / "groups.csv")):
        predict(tmp_path / name, folders[name] / "imagesTr", tmp_path / f"{name} out", table=table)
    for name in SIZES:
        masks = [
            read_labels(tmp_path / "stated out" / f"{name}.nii.gz"),
            read_labels(tmp_path / "column out" / f"{name}.png"),
        ]
        assert masks[0].voxels.tolist() == masks[1].voxels.tolist()
        assert masks[1].unit == "px"  # as the image and the reference are


def test_pixels_of_another_unit_than_in_training_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    recipe = Settings(by=("sex",), **BRIEF)
    train(folders["column"], tmp_path / "pixels", recipe)
    assert _described(tmp_path / "pixels")["plan"]["unit"] == "px"
    with pytest.raises(ValueError, match=r"case a: the image has a pixel size in mm, .* of unknown size"):
        predict(tmp_path / "pixels", folders["stated"] / "imagesTr", tmp_path / "out")
    train(folders["column"], tmp_path / "run", recipe.with_(spacing=("mm",)))
    images = folders["column"] / "imagesTr"
    with pytest.raises(ValueError, match=r"column mm, as in training, .*--groups TABLE"):
        predict(tmp_path / "run", images, tmp_path / "out")
    table = pd.DataFrame({"case": ["a", "b"], "mm": [0.5, 0.5]})
    with pytest.raises(ValueError, match="case c: spacing must have 2 numbers for this image, got none"):
        predict(tmp_path / "run", images, tmp_path / "out", table=table)
    assert predict(tmp_path / "run", images, tmp_path / "out", spacing=(0.5,))["cases"] == 4
    train(folders["stated"], tmp_path / "stated", recipe)
    with pytest.raises(ValueError, match="case a: the image states no pixel size"):
        predict(tmp_path / "stated", images, tmp_path / "out")


def test_images_that_state_a_size_and_images_that_state_none_do_not_mix(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for folder in ("imagesTr", "labelsTr"):
        (data / folder).mkdir(parents=True)
        for name in SIZES:
            source = folders["column" if name == "a" and folder == "imagesTr" else "stated"]
            for file in (source / folder).glob(f"{name}*"):
                (data / folder / file.name).write_bytes(file.read_bytes())
    for name in ("groups.csv", "dataset.json"):
        (data / name).write_bytes((folders["column"] / name).read_bytes())
    recipe = Settings(by=("sex",), **BRIEF)
    with pytest.raises(ValueError, match=r"all state a pixel size or none, b_0000\.nii\.gz does and a_0000"):
        train(data, tmp_path / "run", recipe)
    train(data, tmp_path / "run", recipe.with_(spacing=("mm",)))


def test_runs_from_before_called_the_target_spacing(folders: dict[str, Path]) -> None:
    saved = Settings(by=("sex",), target_spacing=(1.5, 1.0)).to_dict()
    saved["spacing"] = saved.pop("target_spacing")
    settings = Settings.from_dict(saved)
    assert (settings.spacing, settings.target_spacing) == (None, (1.5, 1.0))
    assert SlicePlan(0, (1.0, 1.0), (8, 8)).unit == "mm"


def test_by_the_command_on_a_table_as_a_hospital_has_it(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(folders["column"] / "groups.csv").assign(person=["1.0", "2.0", "3.0", "4.0"])
    table["case"] = [f"{name}_0000.png" for name in table["case"]]
    table.loc[0, "sex"] = "?"
    file = tmp_path / "people.csv"
    table.rename(columns={"case": "Image Index", "person": "Patient ID"}).to_csv(file, sep=";", index=False)
    small = [f"--{name.replace('_', '-')}={value}" for name, value in BRIEF.items()]
    run, data = str(tmp_path / "run"), folders["column"]
    train_it = ["train", str(data), "--groups", str(file), "--by", "sex", "--out", run, *small]
    assert main([*train_it, "--spacing", "mm"]) == 2
    assert "the column 'Image Index' names files: --case-column 'Image Index'" in capsys.readouterr().err
    options = ["--case-column", "Image Index", "--na", "?"]
    assert main([*train_it, "--spacing", "mm", *options]) == 0
    assert "4 cases found by another spelling: a_0000.png (a)" in capsys.readouterr().err
    about = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert sum(about["group_slices"].values()) + sum(about["validation_subjects"].values()) == 3
    images, out = str(data / "imagesTr"), str(tmp_path / "out")
    assert main(["predict", run, images, "--out", out]) == 2
    assert main(["predict", run, images, "--out", out, "--groups", str(file), *options]) == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [f"{n}.png" for n in "abcd"]
