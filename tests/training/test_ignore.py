"""An ignore label in training: no say in any loss, in validation, in what is drawn or what is counted."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from fairseg.cli.command import main
from fairseg.training import Settings, train
from fairseg.training import slices as slices_module
from fairseg.training.checkpoint import load_checkpoint
from fairseg.training.data import load_data
from fairseg.training.finite_check import FiniteCheck
from fairseg.training.inference import validate
from fairseg.training.methods import BASES, LOSSES, make_loss
from fairseg.training.prepare import IGNORED
from fairseg.training.ranks import ProcessGroup
from fairseg.training.raw import plain_labels, read_raw
from fairseg.training.slices import Slices, View

CODE = 9  # of the ignored voxels in the files


@pytest.fixture(scope="session")
def partly(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom of which the upper half is not annotated, and of every case the first slice not at all."""
    folder = tmp_path_factory.mktemp("ignore") / "dataset"
    shutil.copytree(dataset, folder)
    file = folder / "dataset.json"
    about = json.loads(file.read_text(encoding="utf-8"))
    about["labels"]["ignore"] = CODE
    file.write_text(json.dumps(about), encoding="utf-8")
    for path in sorted((folder / "labelsTr").iterdir()):
        image = sitk.ReadImage(str(path))
        voxels = sitk.GetArrayFromImage(image)
        voxels[0] = voxels[:, :16] = CODE
        changed = sitk.GetImageFromArray(voxels)
        changed.CopyInformation(image)
        sitk.WriteImage(changed, str(path))
    return folder


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", ["erm", *LOSSES])
def test_ignored_pixels_have_no_say_in_any_loss(name: str, base: str) -> None:
    """What is predicted there changes neither value nor gradient; a sample of nothing else is not there."""
    settings = Settings(by=("group",), loss=name, base=base)
    torch.manual_seed(0)
    target = torch.randint(0, 3, (6, 8, 8))
    groups = torch.tensor([0, 1, 0, 1, 0, 1])
    hidden = torch.rand(6, 8, 8) < 0.4
    hidden[4] = True
    given = torch.where(hidden, IGNORED, target)
    first = torch.randn(6, 3, 8, 8, requires_grad=True)
    other = torch.where(hidden.unsqueeze(1), torch.randn(6, 3, 8, 8) * 9, first)

    def value(logits: Any, chosen: Any = slice(None)) -> Any:
        return make_loss(settings, [6, 2], IGNORED)(logits[chosen], given[chosen], groups[chosen])

    result = value(first)
    torch.testing.assert_close(value(other), result)
    torch.testing.assert_close(value(first, [0, 1, 2, 3, 5]), result)
    (gradient,) = torch.autograd.grad(result, first)
    assert not gradient[hidden.unsqueeze(1).expand_as(gradient)].any()
    assert gradient.any()


def test_cross_entropy_by_hand() -> None:
    """One pixel of three counts: -log(1/2) in group 0; group 1 has a pixel of probability 3/4."""
    logits = torch.zeros(2, 2, 1, 3)
    logits[1, 1] = np.log(3.0)
    target = torch.tensor([[[0, IGNORED, IGNORED]], [[IGNORED, 1, IGNORED]]])
    loss = make_loss(Settings(by=("g",), loss="balanced", base="ce"), [1, 1], IGNORED)
    expected = (np.log(2.0) - np.log(0.75)) / 2
    assert loss(logits, target, torch.tensor([0, 1])).item() == pytest.approx(expected)


def test_what_is_drawn_counted_and_cropped(partly: Path, dataset: Path, tmp_path: Path) -> None:
    settings = Settings(by=("group",), crop="reference")
    data = load_data(partly, settings, tmp_path)
    whole = load_data(dataset, settings, tmp_path)
    assert [2 * count for count in data.counts] == whole.counts
    for case, full in zip(data.train.cases, whole.train.cases, strict=True):
        assert case.annotated == [1]
        mask = case.mask()
        assert (mask[0] == IGNORED).all()
        assert (mask[1, :16] == IGNORED).all()
        np.testing.assert_array_equal(mask[1, 16:], full.mask()[1, 16:])
        assert case.box is None or case.box.start[0] >= 16


@pytest.fixture(scope="session")
def hardly(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom of which 3 x 3 pixels of every case are annotated, in a corner: a label and background."""
    folder = tmp_path_factory.mktemp("hardly") / "dataset"
    shutil.copytree(dataset, folder)
    file = folder / "dataset.json"
    about = json.loads(file.read_text(encoding="utf-8"))
    about["labels"]["ignore"] = CODE
    file.write_text(json.dumps(about), encoding="utf-8")
    for path in sorted((folder / "labelsTr").iterdir()):
        image = sitk.ReadImage(str(path))
        voxels = np.full_like(sitk.GetArrayFromImage(image), CODE)
        voxels[0, 2:5, -5:-2] = 0
        voxels[0, 3, -4] = 1
        changed = sitk.GetImageFromArray(voxels)
        changed.CopyInformation(image)
        sitk.WriteImage(changed, str(path))
    return folder


def test_every_patch_holds_an_annotated_pixel(hardly: Path, tmp_path: Path) -> None:
    """As in nnU-Net; on random places nearly all patches would be wholly ignored."""
    data = load_data(hardly, Settings(by=("group",)), tmp_path)
    for augment in (False, True):
        slices = Slices(data.train.cases, data.train.groups, View(), (16, 16), seed=0, augment=augment)
        result = [int((slices[0, number, number % 3 == 0][1] != IGNORED).sum()) for number in range(60)]
        assert min(result) >= (9 if not augment else 1)


@pytest.mark.parametrize(("loss", "more"), [("erm", {}), ("erm", {"reweight": "sum"}), ("group_dro", {})])
def test_steps_with_nothing_to_learn_from_are_in_no_mean(
    hardly: Path,
    tiny: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loss: Any,
    more: dict[str, Any],
) -> None:
    """Half of the batches are wholly ignored: means are those of the others, and the network stays finite."""
    real, number = slices_module.Slices.__getitem__, iter(range(10_000))

    def every_other_batch(self: Any, draw: Any) -> Any:
        image, target, group, case = real(self, draw)
        if next(number) // tiny.batch_size % 2:
            target = torch.full_like(target, IGNORED)
        return image, target, group, case

    monkeypatch.setattr(slices_module.Slices, "__getitem__", every_other_batch)
    seen: list[float] = []
    step = FiniteCheck.step

    def keep(self: FiniteCheck, at: int, value: torch.Tensor, *rest: torch.Tensor) -> None:
        seen.append(float(value.detach()))
        step(self, at, value, *rest)

    monkeypatch.setattr(FiniteCheck, "step", keep)
    settings = tiny.with_(loss=loss, epochs=1, steps=6, **more)
    (line,) = train(hardly, tmp_path / "run", settings)
    assert seen[1::2] == [0.0, 0.0, 0.0]
    assert min(seen[::2]) > 0
    assert line["loss"] == pytest.approx(np.mean(seen[::2]))
    assert more or sum(line["group_weight"].values()) == pytest.approx(1.0, abs=1e-5)
    assert all(value > 0 for value in line["group_loss"].values())
    weights = load_checkpoint(tmp_path / "run" / "checkpoint.pt")["network"].values()
    assert all(bool(weight.isfinite().all()) for weight in weights)


def test_an_epoch_with_nothing_to_learn_from_says_so(
    hardly: Path, tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def nothing(array: Any, box: Any) -> Any:
        return np.full((*array.shape[:-2], *box.shape), IGNORED, array.dtype)

    monkeypatch.setattr(slices_module, "crop", nothing)
    with pytest.raises(RuntimeError, match="no patch of the epoch had an annotated pixel"):
        train(hardly, tmp_path / "run", tiny)


def test_validation_is_perfect_where_annotated(partly: Path, dataset: Path, tmp_path: Path) -> None:
    data, whole = (load_data(one, Settings(by=("group",)), tmp_path) for one in (partly, dataset))
    truth = iter([case.mask() for case in whole.validation.cases])

    def oracle(_: Any) -> torch.Tensor:
        labels = torch.from_numpy(np.array(next(truth))).long()
        return torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float()

    arguments: Any = (oracle, data.validation.cases, View(), [1, 2, 3], ProcessGroup())
    scores = validate(*arguments, IGNORED)
    assert np.nanmin(scores) == 1.0


def test_by_the_command(partly: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--features", "4", "--most-features", "8", "--epochs", "1", "--steps", "2", "--batch-size", "4"]
    more = ["--patch-size", "32,32", "--device", "cpu", "--loss", "group_dro", "--reweight", "sum"]
    run = tmp_path / "run"
    assert main(["train", str(partly), "--by", "group", "--out", str(run), *small, *more]) == 0
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert about["ignore"] == CODE
    line = json.loads((run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert np.isfinite(line["loss"])
    assert all(0 <= value <= 1 for value in line["dice"].values() if value is not None)
    with pytest.raises(ValueError, match="understand does not take an ignore label, got 9"):
        plain_labels(read_raw(partly), "understand")
    assert main(["understand", str(partly), "--by", "group", "--out", str(tmp_path / "no")]) == 2
    assert "ignore label" in capsys.readouterr().err


def test_a_group_of_which_nothing_is_annotated_is_named(partly: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(partly, folder)
    rows = [line.split(",") for line in (folder / "groups.csv").read_text(encoding="utf-8").splitlines()]
    place = rows[0].index("group")
    for row in rows[1:]:
        if row[place] != "Black" or not (folder / "labelsTr" / f"{row[0]}.nii.gz").exists():
            continue
        path = folder / "labelsTr" / f"{row[0]}.nii.gz"
        image = sitk.ReadImage(str(path))
        nothing = image * 0 + CODE
        sitk.WriteImage(nothing, str(path))
    with pytest.raises(ValueError, match=r"all voxels to train on are ignored in .*Black"):
        load_data(folder, Settings(by=("group",)), tmp_path / "prepared")


@pytest.mark.parametrize(("code", "message"), [(0, "other than 0"), (1, "none of the labels, got 1")])
def test_an_ignore_label_that_is_a_structure_is_refused(
    partly: Path, tmp_path: Path, code: int, message: str
) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(partly, folder)
    about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    about["labels"]["ignore"] = code
    (folder / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_raw(folder)
