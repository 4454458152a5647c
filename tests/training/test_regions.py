"""Training with regions: unions of labels as sigmoids, with every method, painted back into label maps."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fairseg
from fairseg.cli.command import main
from fairseg.io.images import find_masks
from fairseg.io.label_files import read_labels
from fairseg.losses import DiceBCELoss, FairErrorBoundLoss
from fairseg.training import Settings
from fairseg.training.data import load_data
from fairseg.training.inference import validate
from fairseg.training.methods import BASES, LOSSES, METHODS, make_loss
from fairseg.training.prepare import IGNORED
from fairseg.training.ranks import ProcessGroup
from fairseg.training.raw import plain_labels, read_raw
from fairseg.training.regions import RegionLoss, label_map, with_background
from fairseg.training.slices import Slices, View

NESTED = {"background": 0, "heart": [1, 2, 3], "left": [2, 3], "cavity": 3}
REGIONS = ((1, 2, 3), (2, 3), (3,))
ORDER = [1, 2, 3]
SMALL = ["--features", "8", "--most-features", "16", "--patch-size", "32,32", "--device", "cpu"]


def with_labels(dataset: Path, folder: Path, labels: dict[str, Any], order: Any = None) -> Path:
    """Copy a dataset, with other labels in its dataset.json."""
    shutil.copytree(dataset, folder)
    about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    about["labels"] = labels
    if order is not None:
        about["regions_class_order"] = order
    (folder / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def nested(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_labels(dataset, tmp_path_factory.mktemp("regions") / "dataset", NESTED, ORDER)


def channels(labels: torch.Tensor, structures: Any = REGIONS) -> torch.Tensor:
    """Return a mask of each structure (B, L, *S), computed label by label."""
    return torch.stack([sum(labels == value for value in codes) > 0 for codes in structures], dim=1)


@pytest.mark.parametrize(("ignored", "bce"), [(False, np.log(2.0)), (True, 2.0 * np.log(2.0))])
def test_loss_by_hand(ignored: bool, bce: float) -> None:
    """Three pixels with probabilities of 1/2: a whole of two, its core of one; the fourth is ignored, if any.

    Dice of the whole is 2 * 1 / (1.5 + 2), of the core 2 * 0.5 / (1.5 + 1). As in nnU-Net, with an ignore
    label the cross-entropy is summed over structures.
    """
    target = torch.tensor([[1, 2, 0, *([IGNORED] if ignored else [])]])
    logits = torch.zeros(1, 2, target.shape[1])
    logits[..., 3:] = 7.0
    loss = make_loss(Settings(by=("g",)), [1], IGNORED if ignored else None, [(1, 2), (2,)])
    expected = 1.0 - (4.0 / 7.0 + 2.0 / 5.0) / 2.0 + bce
    assert loss(logits, target, torch.tensor([0])).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("ignored", [None, IGNORED])
def test_loss_and_painting_are_nnunets(ignored: int | None) -> None:
    compound = pytest.importorskip("nnunetv2.training.loss.compound_losses")
    dice = pytest.importorskip("nnunetv2.training.loss.dice")
    handling = pytest.importorskip("nnunetv2.utilities.label_handling.label_handling")
    regions = pytest.importorskip("batchgeneratorsv2.transforms.utils.seg_to_regions")
    torch.manual_seed(0)
    last = 3 if ignored is None else 4
    target = torch.randint(0, last + 1, (4, 9, 7))
    logits = torch.randn(4, 3, 9, 7, requires_grad=True)
    to_regions = regions.ConvertSegmentationToRegionsTransform(
        [*REGIONS, *([] if ignored is None else [(last,)])], 0
    )
    masks = torch.stack([to_regions(segmentation=one[None])["segmentation"] for one in target])
    options = {"batch_dice": True, "do_bg": True, "smooth": 1e-5, "ddp": False}
    stock = compound.DC_and_BCE_loss(
        {}, options, use_ignore_label=ignored is not None, dice_class=dice.MemoryEfficientSoftDiceLoss
    )
    wanted = stock(logits, masks.bool())
    ours = make_loss(Settings(by=("g",)), [4], ignored, REGIONS)
    ids = torch.zeros(4, dtype=torch.long)
    value = ours(logits, target if ignored is None else torch.where(target == last, ignored, target), ids)
    torch.testing.assert_close(value, wanted + 1)
    result, expected = (torch.autograd.grad(one, logits)[0] for one in (value, wanted))
    torch.testing.assert_close(result, expected)

    manager = handling.LabelManager(NESTED, ORDER)
    theirs = np.stack([manager.convert_logits_to_segmentation(one) for one in logits.detach()])
    np.testing.assert_array_equal(label_map(with_background(logits.detach()), ORDER).numpy(), theirs)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", ["erm", *(name for name in LOSSES if name != "fair_error_bound")])
def test_ignored_pixels_have_no_say_in_any_loss_of_regions(name: str, base: str) -> None:
    settings = Settings(by=("group",), loss=name, base=base)
    torch.manual_seed(0)
    hidden = torch.rand(6, 8, 8) < 0.4
    hidden[4] = True
    target = torch.where(hidden, IGNORED, torch.randint(0, 4, (6, 8, 8)))
    groups = torch.tensor([0, 1, 0, 1, 0, 1])
    first = torch.randn(6, 3, 8, 8, requires_grad=True)
    other = torch.where(hidden.unsqueeze(1), torch.randn(6, 3, 8, 8) * 9, first)

    def value(logits: Any, chosen: Any = slice(None)) -> Any:
        loss = make_loss(settings, [6, 2], IGNORED, REGIONS)
        return loss(logits[chosen], target[chosen], groups[chosen])

    result = value(first)
    torch.testing.assert_close(value(other), result)
    torch.testing.assert_close(value(first, [0, 1, 2, 3, 5]), result)
    (gradient,) = torch.autograd.grad(result, first)
    assert not gradient[hidden.unsqueeze(1).expand_as(gradient)].any()
    assert (gradient != 0).any(dim=(0, 2, 3)).all()


@pytest.mark.parametrize("method", METHODS)
def test_of_one_structure_a_region_is_a_label(method: str) -> None:
    """Of a sigmoid of the difference of two logits, cross-entropy is that of two labels, in every method."""
    settings = Settings(by=("group",), base="ce", **METHODS[method])
    torch.manual_seed(1)
    target, two = torch.randint(0, 2, (4, 6, 6)), torch.randn(4, 2, 6, 6)
    groups = torch.tensor([0, 1, 0, 0])
    labels = make_loss(settings, [6, 2])(two, target, groups)
    regions = make_loss(settings, [6, 2], None, [(1,)])(two[:, 1:] - two[:, :1], target, groups)
    torch.testing.assert_close(regions, labels)


def test_a_network_with_other_outputs_is_refused() -> None:
    loss = make_loss(Settings(by=("g",)), [1], None, REGIONS)
    with pytest.raises(ValueError, match=r"got \(1, 4, 8, 8\) and \(1, 3, 8, 8\)"):
        loss(torch.zeros(1, 4, 8, 8), torch.zeros(1, 8, 8, dtype=torch.long), torch.tensor([0]))


def test_the_channels_are_no_part_of_a_checkpoint() -> None:
    assert not any(
        "channels" in name for name in make_loss(Settings(by=("g",)), [1], None, REGIONS).state_dict()
    )
    assert isinstance(make_loss(Settings(by=("g",)), [1], None, REGIONS).base, RegionLoss)


@pytest.mark.parametrize("ignored", [None, IGNORED])
def test_validation_of_perfect_outputs_is_perfect(nested: Path, tmp_path: Path, ignored: int | None) -> None:
    data = load_data(nested, Settings(by=("group",)), tmp_path)
    truth = iter([torch.from_numpy(np.array(case.mask())).long() for case in data.validation.cases])

    def oracle(_: Any) -> torch.Tensor:
        return with_background(channels(next(truth)) * 6.0 - 3.0)

    arguments: Any = (oracle, data.validation.cases, View(), data.raw.structures, ProcessGroup(), ignored)
    scores = validate(*arguments, data.raw.order)
    assert scores.shape == (len(data.validation.cases), 3)
    assert np.nanmin(scores) == 1.0


def test_patches_are_forced_onto_structures_evenly(nested: Path, tmp_path: Path) -> None:
    """As in nnU-Net: a structure that the case has is drawn first, and then one of its voxels."""
    data = load_data(nested, Settings(by=("group",)), tmp_path)
    options: Any = {"seed": 0, "augment": False, "structures": data.raw.structures.values()}
    slices = Slices(data.train.cases, data.train.groups, data.view, (8, 8), **options)
    masks = data.train.cases[0].mask()
    expected = [(codes, [int(np.isin(mask, codes).sum()) for mask in masks]) for codes in REGIONS]
    result = [(codes, pixels.tolist()) for codes, pixels in slices._structures_of(0)]
    assert result == [(codes, pixels) for codes, pixels in expected if any(pixels)]
    middles = [int(slices[0, number, True][1][4, 4]) for number in range(300)]
    # A third of the draws is for the cavity, 3; another for 2 or 3; the rest for any.
    assert 0 not in middles
    assert middles.count(3) > middles.count(2) > 0
    assert middles.count(1) > 0


def test_by_the_commands(nested: Path, tmp_path: Path) -> None:
    """Trained on whole images and on crops, which the first finds: label maps of which every union scores."""
    steps = [
        "--epochs",
        "2",
        "--steps",
        "30",
        "--batch-size",
        "8",
        "--learning-rate",
        "0.1",
        "--momentum",
        "0.9",
    ]
    loss = ["--loss", "group_dro", "--base", "dice_ce", "--sampler", "oversampling"]
    method = ["--by", "group", *loss, *SMALL, *steps]
    whole, crops, out, again = (tmp_path / name for name in ("whole", "crops", "out", "again"))
    assert main(["train", str(nested), "--out", str(whole), *method]) == 0
    about = json.loads((whole / "run.json").read_text(encoding="utf-8"))
    assert (about["labels"], about["regions_class_order"]) == (
        {"heart": [1, 2, 3], "left": [2, 3], "cavity": 3},
        ORDER,
    )
    line = json.loads((whole / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert list(line["dice_by_label"]) == ["heart", "left", "cavity"]
    images = [str(nested / "imagesTs"), "--device", "cpu"]
    assert main(["predict", str(whole), *images, "--out", str(out)]) == 0
    scores = fairseg.evaluate(out, nested / "labelsTs", nested / "groups.csv", metrics=("dice",))
    assert list(dict.fromkeys(scores["label"])) == ["heart", "left", "cavity"]
    for case, file in find_masks(out, "out").items():
        mask, truth = (read_labels(one).voxels for one in (file, nested / "labelsTs" / file.name))
        assert set(np.unique(mask)) <= {0, 1, 2, 3}
        own = scores[scores["case"] == case].set_index("label")["dice"]
        for name, codes in zip(("heart", "left", "cavity"), REGIONS, strict=True):
            ours, true = np.isin(mask, codes), np.isin(truth, codes)
            assert own[name] == pytest.approx(2.0 * (ours & true).sum() / (ours.sum() + true.sum()))
        assert own.min() > 0.2, own

    assert main(["train", str(nested), "--out", str(crops), *method, "--crop", "reference"]) == 0
    assert main(["predict", str(crops), *images, "--cascade", str(whole), "--out", str(again)]) == 0
    boxes = json.loads((again / "boxes.json").read_text(encoding="utf-8"))
    assert all(one["found"] for one in boxes.values())
    cropped = fairseg.evaluate(again, nested / "labelsTs", nested / "groups.csv", metrics=("dice",))
    assert cropped["dice"].min() > 0.2
    for case, file in find_masks(again, "again").items():  # background for sure outside the crop
        mask = read_labels(file).voxels
        (top, left), (bottom, right) = boxes[case]["crop"]
        mask[:, max(top, 0) : bottom, max(left, 0) : right] = 0
        assert not mask.any()


def test_runs_of_labels_and_of_regions_do_not_go_on_in_each_other(
    nested: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ["--by", "group", *SMALL, "--epochs", "1", "--steps", "1", "--batch-size", "2"]
    assert main(["train", str(nested), "--out", str(tmp_path / "run"), *tiny]) == 0
    for more in (
        ["--resume", "--out", str(tmp_path / "run")],
        ["--init", str(tmp_path / "run"), "--out", str(tmp_path / "x")],
    ):
        assert main(["train", str(dataset), *tiny, *more]) == 2
        assert "[1, 2, 3]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "order", "message"),
    [
        (NESTED, None, r"that each of heart, left, cavity is painted with, 3 integers, got None"),
        (NESTED, [1, 2], "3 integers, got"),
        (NESTED, [1, 2, "3"], "3 integers, got"),
        (NESTED, [1, 2, True], "3 integers, got"),
        (NESTED, [3, 2, 1], r"paint 'cavity' with one of its labels, \(3,\), got 1"),
        (NESTED, [1, 2, 4], r"paint 'cavity' with one of its labels, \(3,\), got 4"),
        (NESTED, [2, 2, 3], "1 is of heart, and painted in this order it becomes 2, which is of heart, left"),
        (
            {"cavity": 3, "left": [2, 3], "heart": [1, 2, 3]},
            [3, 2, 1],
            "2 is of left, heart, and painted in this order it becomes 1, which is of heart",
        ),
        ({"a": [1, 3], "b": [2, 3]}, [1, 2], "3 is of a, b, and .* becomes 2, which is of b"),
        ({"heart": [1, 3], "cavity": 3}, [1, 3], "labels must be 1, 2, 3"),
    ],
)
def test_a_dataset_json_that_says_no_order_that_fits_is_refused(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    labels: dict[str, Any],
    order: Any,
    message: str,
) -> None:
    folder = with_labels(dataset, tmp_path / "dataset", labels, order)
    with pytest.raises(ValueError, match=message):
        read_raw(folder)
    assert main(["train", str(folder), "--by", "group", "--out", str(tmp_path / "run")]) == 2
    assert "dataset.json" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_overlap_with_a_structure_of_its_own_is_taken(dataset: Path, tmp_path: Path) -> None:
    labels = {"a": [1, 3], "b": [2, 3], "both": 3}
    raw = read_raw(with_labels(dataset, tmp_path / "dataset", labels, [1, 2, 3]))
    assert raw.order == (1, 2, 3)
    every = torch.tensor([[0, 1, 2, 3]])
    result = label_map(with_background(channels(every, raw.structures.values()) * 2.0 - 1.0), raw.order)
    assert result.tolist() == every.tolist()


def test_a_label_in_no_region_is_refused(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_labels(dataset, tmp_path / "dataset", {"outer": [1, 2], "inner": 2}, [1, 2])
    assert main(["train", str(folder), "--by", "group", "--out", str(tmp_path / "run")]) == 2
    assert "the labels of dataset.json, 1+2 (outer), 2 (inner); got 3" in capsys.readouterr().err


def test_the_loss_that_is_a_softmax_is_refused(
    nested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", str(nested), "--by", "group", "--loss", "fair_error_bound", "--out", str(run)]) == 2
    assert "fair_error_bound is defined by a softmax over labels" in capsys.readouterr().err
    assert not run.exists()
    with pytest.raises(ValueError, match="fair_error_bound is defined by a softmax over labels"):
        make_loss(Settings(by=("group",), loss="fair_error_bound"), [6, 2], None, REGIONS)
    with pytest.raises(ValueError, match="takes no DiceBCELoss"):
        FairErrorBoundLoss(2, DiceBCELoss())


def test_what_takes_no_regions_says_so(
    nested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="this does not take regions, got"):
        plain_labels(read_raw(nested), "this")
    for command in (
        ["understand", str(nested), "--by", "group"],
        ["experiment", str(nested), "--by", "group"],
    ):
        assert main([*command, "--out", str(tmp_path / "no")]) == 2
        assert "does not take regions" in capsys.readouterr().err
