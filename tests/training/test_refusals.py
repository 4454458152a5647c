"""What is refused leaves nothing: no folder, no prepared arrays, no half of the masks; one line says why."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from fairseg.cli import main
from fairseg.io.outputs import undone_if_refused
from fairseg.training import Settings, train
from fairseg.training.checkpoint import CHECKPOINT, DamagedError, load_whole_run
from fairseg.training.data import load_data

RECIPE = ["--by", "group", "--features", "4", "--most-features", "8", "--epochs", "1", "--steps", "2"]
RECIPE += ["--batch-size", "4", "--device", "cpu"]


@pytest.fixture(scope="module")
def run(dataset: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    settings = Settings(by=("group",), features=4, most_features=8, epochs=1, steps=2, batch_size=4)
    train(dataset, folder, settings.with_(device="cpu"), prepared=prepared)
    return folder


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(arguments: list[str], out: Path, capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    assert main([*arguments, "--out", str(out)]) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if ": note: " not in line]
    (line,) = lines
    assert line.startswith("fairseg: error: ")
    return line


def copied(dataset: Path, to: Path) -> Path:
    shutil.copytree(dataset, to)
    return to


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def not_finite(file: Path) -> None:
    image = sitk.ReadImage(str(file), sitk.sitkFloat32)
    image[0, 0, 0] = np.nan
    sitk.WriteImage(image, str(file))


def test_a_run_that_is_not_there_is_not_resumed_by_starting_one(
    dataset: Path, run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    misspelt = tmp_path / "misspelt"
    line = refused(["train", str(dataset), "--resume"], misspelt, capfd)
    assert f"{misspelt} holds no run to resume" in line
    assert not misspelt.exists()
    killed = copied(run, tmp_path / "killed")  # before its first checkpoint
    (killed / CHECKPOINT).unlink()
    before = everything(killed)
    assert "no run to resume" in refused(["train", str(dataset), *RECIPE, "--resume"], killed, capfd)
    assert everything(killed) == before
    assert main(["train", str(dataset), *RECIPE, "--out", str(killed)]) == 0  # as the message says


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--features", "8", "--init"], "another network"),
        (["--features", "8", "--crop", "reference", "--init"], "another network"),
        (["--attribute-head", "multitask", "--head-layer", "nowhere"], "'nowhere'"),
        (["--standardize", "organ"], "organ needs crops"),
        (["--patch-size", "33,31"], "patch_size"),
        (["--target-spacing", "1e-6,1e-6"], "spacing 1e-06"),
    ],
)
def test_a_training_that_is_refused_leaves_nothing(
    dataset: Path,
    run: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    options: list[str],
    named: str,
) -> None:
    before = everything(dataset), everything(run)
    more = [*options, str(run)] if options[-1] == "--init" else options
    place = RECIPE.index("--features")
    recipe = [*RECIPE[:place], *RECIPE[place + 2 :]] if "--features" in options else RECIPE
    assert named in refused(["train", str(dataset), *recipe, *more], tmp_path / "in" / "out", capfd)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    refused(["train", str(dataset), *recipe, *more], tmp_path / "empty", capfd)
    assert [one.name for one in (tmp_path / "empty").iterdir()] in ([], [".lock"])
    assert before == (everything(dataset), everything(run))


def test_a_training_judges_its_start_before_it_prepares(
    dataset: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("fairseg.training.loop.prepare_cases", never)
    settings = Settings(by=("group",), features=8, most_features=8, device="cpu")
    with pytest.raises(ValueError, match="another network"):
        train(dataset, tmp_path / "out", settings, init=run)
    other = copied(dataset, tmp_path / "other")
    (other / "dataset.json").write_text((other / "dataset.json").read_text().replace("RVBP", "tumour"))
    with pytest.raises(ValueError, match=r"init: the run in .* has labels"):
        train(other, tmp_path / "out", settings.with_(features=4), init=run)
    scores = tmp_path / "scores.csv"
    scores.write_text("case,subject,label,dice\nnobody,s,1,0.5\n")
    with pytest.raises(ValueError, match="no row of the training cases"):
        train(dataset, tmp_path / "out", settings, weights=scores)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("folder", ["imagesTr", "labelsTr"])
def test_a_training_on_a_damaged_file_leaves_nothing_in_a_new_folder_and_keeps_what_is_elsewhere(
    dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], folder: str
) -> None:
    data = copied(dataset, tmp_path / "data")
    file = sorted((data / folder).glob("*.nii.gz"))[-1]
    cut(file)
    line = refused(["train", str(data), *RECIPE], tmp_path / "out", capfd)
    assert str(file) in line
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    refused(["train", str(data), *RECIPE, "--prepared", str(tmp_path / "kept")], tmp_path / "out", capfd)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    assert list((tmp_path / "kept").rglob("*.npy"))


def test_only_a_folder_that_was_empty_is_emptied(tmp_path: Path) -> None:
    for name in ("used", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "used" / "mine").write_text("mine")

    def begin(folder: Path, error: BaseException) -> None:
        with undone_if_refused(folder):
            (folder / "more").mkdir()
            (folder / "more" / "file").write_text("")
            raise error

    def fail(folder: Path, error: BaseException) -> None:
        with pytest.raises(type(error)):
            begin(folder, error)

    fail(tmp_path / "used", ValueError())
    assert (tmp_path / "used" / "mine").exists()
    fail(tmp_path / "new", ValueError())
    assert not list((tmp_path / "new").iterdir())
    fail(tmp_path / "new", KeyboardInterrupt())  # no refusal: what was done is kept
    assert (tmp_path / "new" / "more" / "file").exists()


@pytest.mark.parametrize("spoil", [cut, not_finite])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_mask_is_written_if_an_image_cannot_be_segmented(
    dataset: Path,
    run: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None],
    workers: str,
) -> None:
    images = tmp_path / "images"
    shutil.copytree(dataset / "imagesTs", images)
    spoil(sorted(images.iterdir())[-1])
    arguments = ["predict", str(run), str(images), "--device", "cpu", "--workers", workers]
    assert sorted(images.iterdir())[-1].name in refused(arguments, tmp_path / "out", capfd)
    assert not (tmp_path / "out").exists()


def test_no_mask_is_written_around_references_of_another_grid(
    dataset: Path, run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    odd_run(run, tmp_path / "cropped", crop_size=[16, 16])
    masks = tmp_path / "masks"
    shutil.copytree(dataset / "labelsTs", masks)
    file = sorted(masks.iterdir())[-1]
    mask = sitk.ReadImage(str(file))
    mask.SetSpacing((1.0, 1.0, 1.0))
    sitk.WriteImage(mask, str(file))
    arguments = ["predict", str(tmp_path / "cropped"), str(dataset / "imagesTs"), "--references", str(masks)]
    assert "spacing" in refused(arguments, tmp_path / "out", capfd)
    assert not (tmp_path / "out").exists()


def odd_run(run: Path, folder: Path, settings: Any = None, **changes: Any) -> None:
    """Write a checkpoint as that of a run, with changes in what it says of itself."""
    saved = torch.load(run / CHECKPOINT, weights_only=True)
    saved["run"] |= changes
    saved["run"]["settings"] |= settings or {}
    folder.mkdir()
    torch.save(saved, folder / CHECKPOINT)


ODD: dict[str, dict[str, Any]] = {
    "no channels": {"channels": []},
    "channels that are no texts": {"channels": [1]},
    "no labels": {"labels": {}},
    "a label of lists": {"labels": {"a": [[1]]}},
    "an axis that is none": {"plan": {"axis": 7, "spacing": [1.0, 1.0], "shape": [8, 8]}},
    "a spacing of texts": {"plan": {"axis": 0, "spacing": ["a", 1.0], "shape": [8, 8]}},
    "a spacing of infinity": {"plan": {"axis": 0, "spacing": [1.0, float("inf")], "shape": [8, 8]}},
    "a huge patch": {"patch_size": [10**9, 10**9]},
    "a patch of nothing": {"patch_size": [0, 0]},
    "a crop of texts": {"crop_size": ["a", "b"]},
    "an order that is a text": {"regions_class_order": "x"},
    "cases in a text": {"train": "everybody"},
    "a network of gigabytes": {"settings": {"features": 10**8, "most_features": 10**8}},
    "another network": {"settings": {"features": 5}},
    "a seed that no generator takes": {"settings": {"seed": 2**70}},
    "a rate that is no number": {"settings": {"learning_rate": float("nan")}},
    "a setting of another version": {"settings": {"magic": 1}},
    "settings of another type": {"settings": {"bins": [1]}},
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD.keys())
def test_a_checkpoint_with_an_odd_description_is_named(
    dataset: Path, run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    odd_run(run, tmp_path / "odd", **changes)
    line = refused(["predict", str(tmp_path / "odd"), str(dataset / "imagesTs")], tmp_path / "out", capfd)
    assert str(tmp_path / "odd") in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kept", [None, {}, {"network": None}, {"network": {1: 2}}, {"network": {"a": 1}}])
@pytest.mark.parametrize("key", ["kept", "network"])
def test_a_checkpoint_without_finite_weights_is_named(run: Path, tmp_path: Path, key: str, kept: Any) -> None:
    saved = torch.load(run / CHECKPOINT, weights_only=True)
    torch.save({**saved, key: kept if key == "kept" else (kept or {}).get("network")}, tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match=f"{CHECKPOINT} does not hold the finite weights of a network"):
        load_whole_run(tmp_path / CHECKPOINT)
    saved["network"]["input_block.conv1.conv.weight"][0] = torch.nan
    torch.save(saved, tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match="finite weights"):
        load_whole_run(tmp_path / CHECKPOINT)


def test_flipped_bits_of_a_checkpoint_are_refused_or_change_nothing(run: Path, tmp_path: Path) -> None:
    content, rng = (run / CHECKPOINT).read_bytes(), np.random.default_rng(0)
    saved, file, refusals = load_whole_run(run / CHECKPOINT), tmp_path / CHECKPOINT, 0
    for place, bit in zip(rng.integers(0, len(content), 100), rng.integers(0, 8, 100), strict=True):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(bit)
        file.write_bytes(damaged)
        try:
            result = load_whole_run(file)
        except DamagedError as error:
            assert str(file) in str(error)  # noqa: PT017  (most are refused, what only fills up is not)
            refusals += 1
        else:
            assert result["run"] == saved["run"]
            assert all(torch.equal(one, result["network"][name]) for name, one in saved["network"].items())
    assert refusals > 80


def prepared_files(dataset: Path, folder: Path) -> tuple[Path, Path]:
    """Prepare a dataset; return the image and the description of its first case."""
    load_data(dataset, Settings(by=("group",)), folder)
    return min(folder.rglob("*.image.npy")), min(folder.rglob("*.json"))


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def pickled(_: bytes) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Loud()], dtype=object), allow_pickle=True)
    return file.getvalue()


class Loud:
    """What would run if it were unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('code of a file ran')",))


@pytest.mark.parametrize(
    "spoil",
    [
        flipped,
        pickled,
        lambda content: content.replace(b"'<f4'", b"'<i4'"),  # the same bytes, as other numbers
        lambda content: content[:-40],
        lambda _: b"",
    ],
    ids=["bit", "pickle", "type", "cut", "empty"],
)
def test_a_prepared_array_that_was_changed_is_made_again(
    dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[bytes], bytes]
) -> None:
    image, _ = prepared_files(dataset, tmp_path)
    before = image.read_bytes()
    image.write_bytes(spoil(before))
    assert image.read_bytes() != before
    prepared_files(dataset, tmp_path)
    assert image.read_bytes() == before
    case = image.name.removesuffix(".image.npy")
    assert f"what was prepared of case {case} was damaged or changed" in caplog.text


CHANGES: dict[str, Any] = {
    "another shape": {"shape": [1, 2, 3]},
    "another box": {"box": [[0, 0], [4, 4]]},
    "a box that is none": {"box": [[0], [1, 2, 3]]},
    "other slices": {"slices": {"1": [0]}},
    "slices of no label": {"slices": {"a": "b"}},
    "slices that are not there": {"annotated": [999]},
    "a digest of others": {"digest": "0" * 16},
}


@pytest.mark.parametrize("change", [*CHANGES.values(), None], ids=[*CHANGES, "no JSON"])
def test_a_description_that_was_changed_is_made_again(dataset: Path, tmp_path: Path, change: Any) -> None:
    _, file = prepared_files(dataset, tmp_path)
    before = file.read_text()
    file.write_text("[" * 100_000 if change is None else json.dumps(json.loads(before) | change))
    prepared_files(dataset, tmp_path)
    assert file.read_text() == before
