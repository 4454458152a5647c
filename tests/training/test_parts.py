"""The parts of training: draws, preparation, methods, inference, prediction; and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import Tensor, nn

from fairseg import Groups
from fairseg.cli import main
from fairseg.cohort.table import split_subjects
from fairseg.crop import crop, standardized
from fairseg.crop.cascade import relative
from fairseg.losses import DiceCELoss
from fairseg.training import Settings, predict, train
from fairseg.training.augment import make_augmentation
from fairseg.training.checkpoint import case_code, without_names
from fairseg.training.data import load_data
from fairseg.training.inference import Predictor, subject_dice
from fairseg.training.loop import _validation_dice
from fairseg.training.methods import BASES, LOSSES, METHODS, ERMLoss, make_loss
from fairseg.training.network import make_network
from fairseg.training.prepare import SlicePlan, make_plan, mask_in_plan, prepare, read_case, write_prediction
from fairseg.training.raw import read_raw
from fairseg.training.slices import NumberedBatches, Slices, View


def write(
    path: Path, voxels: np.ndarray, spacing: tuple[float, ...], direction: tuple[float, ...] = ()
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    if direction:
        image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


# --- who is held out


def test_a_split_keeps_subjects_together_and_every_group_in_training() -> None:
    subjects = [f"s{n // 2}" for n in range(40)]
    groups = [0] * 30 + [1] * 8 + [2] * 2
    aside = split_subjects(subjects, groups, 0.2, seed=3)
    by_subject = {
        name: {bool(one) for one, who in zip(aside, subjects, strict=True) if who == name}
        for name in subjects
    }
    assert all(len(sides) == 1 for sides in by_subject.values())
    per_group = [sum(aside[np.array(groups) == group]) / 2 for group in range(3)]
    assert per_group == [3, 1, 0]  # of 15, 4 and 1 subjects
    order = np.random.default_rng(0).permutation(40)
    moved = split_subjects([subjects[n] for n in order], [groups[n] for n in order], 0.2, seed=3)
    assert (moved == aside[order]).all()


# --- draws


def test_a_draw_depends_on_its_number_alone(dataset: Path, prepared: Path, tiny: Settings) -> None:
    data = load_data(dataset, tiny, prepared)
    slices = Slices(data.train.cases, data.train.groups, data.view, data.patch_size, seed=5, elastic=True)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = slices[3, 17, True]
    _ = slices[1, 4, False]
    again = slices[3, 17, True]
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], slices[3, 18, True][0])
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


def test_forced_draws_hold_foreground_whatever_the_slice(
    dataset: Path, prepared: Path, tiny: Settings
) -> None:
    data = load_data(dataset, tiny, prepared)
    slices = Slices(data.train.cases, data.train.groups, data.view, (16, 16), seed=0, augment=False)
    for case in slices.cases:
        case.slices.pop(1, None)
        for label in case.slices:
            case.slices[label][:] = case.slices[label][:1]  # as if the other slices were empty
    forced = [slices[index, number, True][1] for number, index in enumerate(range(len(slices)))]
    assert all((target > 0).any() for target in forced)


def test_a_forced_patch_lies_where_nnunet_would_lay_it(dataset: Path, prepared: Path, tiny: Settings) -> None:
    """Around a pixel of the structure, drawn from all of the case; beyond the upper edges if need be."""
    data = load_data(dataset, tiny, prepared)
    mask = np.zeros((2, 20, 20), dtype=np.uint8)
    mask[0, 3, 4] = mask[1, 19, 10:19] = 1  # one pixel in a slice, nine in the other

    class One(type(data.train.cases[0])):  # type: ignore[misc]
        def mask(self) -> Any:
            return mask

        def image(self) -> Any:
            return mask[None].astype(np.float32)

    about = {"name": "one", "folder": prepared, "shape": mask.shape, "box": None, "digest": ""}
    case = One(**about, slices={1: [0, 1]}, annotated=[0, 1])
    for patch, beyond in (((8, 8), 4), ((24, 24), 12)):  # smaller and larger than the slice
        slices = Slices([case], np.array([0]), View(), patch, seed=0, augment=False)
        drawn = [slices[0, number, True] for number in range(500)]
        second = [target for _, target, *_ in drawn if target[patch[0] // 2].any()]
        assert 0.86 < len(second) / 500 < 0.94
        assert all(target[patch[0] // 2, patch[1] // 2] == 1 for target in second)
        assert all((target[-beyond + 1 :] == 0).all() for target in second)  # below the slice's last row
        (first,) = {tuple(map(tuple, target.argwhere().tolist())) for _, target, *_ in drawn} - {
            tuple(map(tuple, target.argwhere().tolist())) for target in second
        }
        assert first == (((3, 4),) if patch == (8, 8) else ((5, 6),))  # kept inside at the lower edges


def test_a_third_of_each_batch_is_forced_and_draws_are_numbered_on(
    dataset: Path, prepared: Path, tiny: Settings
) -> None:
    from fairseg.training.methods import make_sampler  # noqa: PLC0415

    data = load_data(dataset, tiny, prepared)
    slices = Slices(data.train.cases, data.train.groups, data.view, data.patch_size, seed=0)
    settings = tiny.with_(sampler="oversampling", batch_size=6, steps=50)
    draws = NumberedBatches(make_sampler(settings, slices.group, slices.case), 1 / 3)
    batches = [*draws, *draws]
    assert [number for batch in batches for _, number, _ in batch] == list(range(600))
    assert all(sum(forced for _, _, forced in batch) == 2 for batch in batches)
    share = [slices.group[index] for batch in batches for index, _, forced in batch if forced]
    assert 0.4 < np.mean(share) < 0.6  # both groups alike


def test_a_colour_png_is_three_channels_and_a_crop_larger_than_the_image_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, random, rows = tmp_path / "data", np.random.default_rng(0), ["case,subject,sex"]
    for folder in ("imagesTr", "labelsTr"):
        (data / folder).mkdir(parents=True)
    for number in range(6):
        mask = np.zeros((20, 24), dtype=np.uint8)
        mask[4:12, 5 + number : 15] = 1
        colours = random.integers(0, 200, size=(20, 24, 3), dtype=np.uint8)
        image = data / "imagesTr" / f"c{number}_0000.png"
        sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), image)
        sitk.WriteImage(sitk.GetImageFromArray(mask), data / "labelsTr" / f"c{number}.png")
        rows.append(f"c{number},p{number},{'FM'[number % 2]}")
    (data / "groups.csv").write_text("\n".join(rows))
    about = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": {"background": 0, "x": 1}}
    (data / "dataset.json").write_text(json.dumps(about | {"numTraining": 6, "file_ending": ".png"}))
    raw = read_raw(data)
    case, _ = read_case(raw.images["c5"], make_plan(raw))
    spread = colours - colours.mean((0, 1))
    np.testing.assert_allclose(case[:, 0], (spread / colours.std((0, 1))).transpose(2, 0, 1), atol=1e-5)

    run, small = tmp_path / "run", ["--features", "2", "--epochs", "1", "--steps", "1", "--batch-size", "2"]
    crop = ["--crop", "reference", "--crop-margin", "9"]
    assert main(["train", str(data), "--by", "sex", "--out", str(run), *small, *crop]) == 0
    assert "crops of 26 x 28 pixels" in capsys.readouterr().err
    predict(run, data / "imagesTr", tmp_path / "out", references=data / "labelsTr")
    assert sorted(path.name for path in (tmp_path / "out").glob("c*")) == [f"c{n}.png" for n in range(6)]
    sitk.WriteImage(sitk.GetImageFromArray(colours[..., 0]), image)
    assert main(["train", str(data), "--by", "sex", "--out", str(tmp_path / "grey"), *small]) == 2
    assert "c5_0000.png must have the 3 channels of dataset.json, got 1" in capsys.readouterr().err


def test_a_crop_is_standardised_by_itself(dataset: Path, prepared: Path, tiny: Settings) -> None:
    data = load_data(dataset, tiny.with_(crop="reference", patch_size=None), prepared)
    assert data.view.size is not None
    largest = np.max([case.box.shape for case in data.train.cases if case.box], axis=0)
    assert data.view.size == tuple(largest + 10)
    case = data.train.cases[0]
    image = data.view.image(case)
    assert image.mean() == pytest.approx(0, abs=1e-5)
    assert image.std() == pytest.approx(1, abs=1e-4)
    assert (data.view.mask(case) > 0).sum() == (case.mask() > 0).sum()
    slices = Slices([case], np.array([0]), data.view, data.view.size, seed=0, augment=False)
    np.testing.assert_allclose(slices[1, 0, False][0], image[:, 1], atol=1e-4)
    assert View().image(case).shape[1:] == case.shape


def test_a_crop_can_be_standardised_by_the_organs_box_or_as_its_image_was(
    dataset: Path, prepared: Path, tiny: Settings
) -> None:
    by = tiny.with_(crop="reference", patch_size=None)
    views = {how: load_data(dataset, by.with_(standardize=how), prepared) for how in ("image", "organ")}
    case = views["organ"].train.cases[0]
    size = views["organ"].view.size
    assert case.box is not None
    assert size is not None
    image = views["image"].view.image(case)
    np.testing.assert_array_equal(image, crop(np.asarray(case.image()), case.box.resized(size)))
    own = np.asarray(case.image())[(..., *case.box.slices)]
    seen = views["organ"].view.image(case)
    np.testing.assert_allclose(seen, (image - own.mean()) / own.std(), atol=1e-4)
    slices = Slices([case], np.array([0]), views["organ"].view, size, seed=0, augment=False)
    np.testing.assert_allclose(slices[1, 0, False][0], seen[:, 1], atol=1e-4)
    # The same where a cascade or a reference says where the organ is.
    organs = relative([case.box], [case.box.resized(size)])
    crops = torch.from_numpy(image).transpose(0, 1)
    given = standardized(crops, together=True, organs=organs * len(crops))
    np.testing.assert_allclose(given, seen.swapaxes(0, 1), atol=1e-4)
    with pytest.raises(ValueError, match="needs crops"):
        load_data(dataset, tiny.with_(standardize="organ"), prepared)


# --- preparation


def test_images_are_standardised_and_resampled_across_the_coarsest_axis(tmp_path: Path) -> None:
    y, z, x = np.meshgrid(np.arange(20), np.arange(3), np.arange(16), indexing="ij")
    voxels = (2.0 * y + x + 10 * z).astype(np.float32)  # slices across the second axis
    write(tmp_path / "a_0000.nii.gz", voxels, (2.0, 9.0, 1.0))  # x, y, z as ITK counts
    plan = SlicePlan(axis=1, spacing=(2.0, 1.0), shape=(10, 32))
    image, _ = read_case([tmp_path / "a_0000.nii.gz"], plan)
    assert image.shape == (1, 3, 10, 32)
    assert image.mean() == pytest.approx(0, abs=0.01)
    step = np.diff(image[0, 1, 3:7, 16]) * voxels.std()
    np.testing.assert_allclose(step, 4.0, rtol=0.02)  # two pixels of slope 2


def test_predictions_lie_on_the_exact_grid_of_their_images(tmp_path: Path) -> None:
    voxels = np.zeros((20, 3, 16), dtype=np.float32)
    voxels[4:14, :, 4:12] = 1.0
    turned = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    file = tmp_path / "a_0000.nii.gz"
    write(file, voxels, (2.0, 9.0, 1.0), turned)
    plan = SlicePlan(axis=1, spacing=(2.0, 1.0), shape=(10, 32))
    _, like = read_case([file], plan)
    inside = torch.from_numpy(mask_in_plan(like, plan)).float()
    write_prediction(torch.stack([0.5 - inside, inside - 0.5]), like, plan, tmp_path / "a.nii.gz")
    image, mask = sitk.ReadImage(str(file)), sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    for ask in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(mask, ask)() == pytest.approx(getattr(image, ask)())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), voxels.astype(np.uint8))


def test_what_is_prepared_is_prepared_once(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(dataset, copy)
    raw = read_raw(copy)
    plan = make_plan(raw)
    prepare(raw, plan, tmp_path / "arrays")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "arrays").rglob("*.npy")}
    name, mask = next(iter(raw.masks.items()))
    sitk.WriteImage(sitk.ReadImage(str(mask)) * 0, str(mask))
    cases = prepare(raw, plan, tmp_path / "arrays")
    changed = {path.name.split(".")[0] for path, before in times.items() if path.stat().st_mtime_ns != before}
    assert changed == {name}
    assert cases[name].box is None


def test_prepared_arrays_that_were_changed_are_made_again_and_hold_no_path(
    dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = read_raw(dataset)
    plan = make_plan(raw)
    before = prepare(raw, plan, tmp_path / "arrays")
    name, case = next(iter(before.items()))
    array = case.folder / f"{name}.image.npy"
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    for damaged in (bytes(content), bytes(content[:200]), b""):
        array.write_bytes(damaged)
        assert prepare(raw, plan, tmp_path / "arrays")[name].digest == case.digest
        assert name in caplog.text
        caplog.clear()
    prepare(raw, plan, tmp_path / "arrays")
    assert not caplog.text
    assert str(dataset) not in (case.folder / f"{name}.json").read_text()


def test_a_checkpoint_names_no_case() -> None:
    run = {"train": ["p1", "p2"], "validation": ["p3"], "seed": 0}
    coded = without_names(run)
    assert not {"p1", "p2", "p3"} & {*coded["train"], *coded["validation"]}
    assert len({*coded["train"], *coded["validation"]}) == 3
    assert without_names(coded) == coded == without_names(run)
    assert coded["seed"] == 0
    assert coded["train"] == [case_code("p1"), case_code("p2")]


def _no_mask(data: Path) -> str:
    next((data / "labelsTr").iterdir()).unlink()
    return "has no mask for train_"


def _no_image(data: Path) -> str:
    next((data / "imagesTr").iterdir()).unlink()
    return "has no image for train_"


def _strange_label(data: Path) -> str:
    path = next((data / "labelsTr").iterdir())
    mask = sitk.ReadImage(str(path))
    mask[0, 0, 0] = 7
    sitk.WriteImage(mask, str(path))
    return r"case train_\S+: the mask may hold 0 and the labels of dataset.json, .*; got 7"


def _other_grid(data: Path) -> str:
    path = next((data / "labelsTr").iterdir())
    mask = sitk.ReadImage(str(path))
    mask.SetSpacing((1.0, 1.0, 1.0))
    sitk.WriteImage(mask, str(path))
    return r"case train_\S+: the mask lies on another grid than the image: spacing"


def _not_finite(data: Path) -> str:
    path = next((data / "imagesTr").iterdir())
    image = sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat32)
    image[0, 0, 0] = float("nan")
    sitk.WriteImage(image, str(path))
    return r"must be finite everywhere"


def _no_attribute(data: Path) -> str:
    (data / "groups.csv").write_text("case,subject,sex\ntrain_0_0000_ED,train_0_0000,F\n")
    return "has no attribute 'group', it has sex"


@pytest.mark.parametrize(
    "spoil", [_no_mask, _no_image, _strange_label, _other_grid, _not_finite, _no_attribute]
)
def test_bad_data_is_refused_by_name(
    spoil: Callable[[Path], str], dataset: Path, tiny: Settings, tmp_path: Path
) -> None:
    copy = tmp_path / "data"
    shutil.copytree(dataset, copy)
    message = spoil(copy)
    with pytest.raises(ValueError, match=message):
        train(copy, tmp_path / "run", tiny)


def test_unknown_single_and_empty_cases_are_trained_on(
    dataset: Path, tiny: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "data"
    shutil.copytree(dataset, copy)
    rows = (copy / "groups.csv").read_text().splitlines()
    kept = [row for row in rows if not row.startswith(("train_0_0000", "train_1_0001"))]
    (copy / "groups.csv").write_text("\n".join(kept) + "\n")
    mask = copy / "labelsTr" / "train_0_0001_ED.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(mask)) * 0, str(mask))
    lines = train(copy, tmp_path / "run", tiny.with_(epochs=1, loss="group_dro", crop="reference"))
    assert lines[0]["dice"]["Black"] is None  # the one subject trains
    message = caplog.text
    assert "4 cases not in" in message
    assert "group Black has no subject to validate on" in message


def test_a_split_says_who_trains_who_validates_and_who_is_left_out(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    split = tmp_path / "split.csv"
    rows = ["0_0000,train", "0_0001,train", "0_0002,validation", "1_0000,validation", "1_0001,test"]
    split.write_text("\n".join(["subject,part", *(f"train_{row}" for row in rows)]) + "\n")
    data = load_data(dataset, tiny, prepared, split=split)
    assert data.train.subjects == [f"train_0_{n:04d}" for n in (0, 0, 1, 1)]
    assert data.validation.subjects == ["train_0_0002"] * 2 + ["train_1_0000"] * 2
    assert data.groups.names == ("White",)  # nobody of the other group trains
    assert data.validation.groups.tolist() == [0, 0, -1, -1]
    assert data.counts == [8]
    line = train(dataset, tmp_path / "run", tiny.with_(epochs=1), split=split, prepared=prepared)[-1]
    assert set(line["dice"]) == {"White"}
    split.write_text("subject,part\ntrain_0_0000,train\n")
    with pytest.raises(ValueError, match="was of other data, its train was"):
        train(dataset, tmp_path / "run", tiny.with_(epochs=1), split=split, prepared=prepared, resume=True)
    split.write_text("subject,part\ntrain_0_0000,train\ntrain_0_0000,test\n")
    with pytest.raises(ValueError, match="train_0_0000 must have one part, got train and test"):
        load_data(dataset, tiny, prepared, split=split)
    split.write_text("subject,part\ntrain_0_0000,test\n")
    with pytest.raises(ValueError, match=r"no subject of .* has the part train"):
        load_data(dataset, tiny, prepared, split=split)


# --- methods


@pytest.mark.parametrize("name", [None, *BASES])
@pytest.mark.parametrize("loss", ["erm", *LOSSES])
def test_every_loss_goes_with_every_base_or_says_why_not(loss: str, name: str | None) -> None:
    settings = Settings(by=("group",), loss=loss, base=name)
    logits = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.randint(0, 3, (4, 8, 8), generator=torch.Generator().manual_seed(1))
    value = make_loss(settings, [6, 2])(logits, target, torch.tensor([0, 1, 0, 1]))
    value.backward()  # type: ignore[no-untyped-call]
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0


def test_the_methods_of_the_paper_are_there() -> None:
    for name, choices in METHODS.items():
        assert make_loss(Settings(by=("group",), **choices), [6, 2]) is not None, name


def test_the_plain_loss_is_that_of_the_batch_whatever_the_groups() -> None:
    logits, target = torch.randn(4, 3, 8, 8), torch.randint(0, 3, (4, 8, 8))
    base = DiceCELoss(pool="group")
    expected = base.from_statistics(base.statistics(logits, target).sum(dim=0))
    result = ERMLoss(base)(logits, target, torch.tensor([0, 1, -1, 0]))
    torch.testing.assert_close(result, expected.to(result.dtype).reshape(()))


# --- network and inference


def test_outputs_keep_their_own_resolutions() -> None:
    network = make_network(2, 4, (64, 32), features=4, most_features=8)
    image = torch.randn(2, 2, 64, 32)
    for _ in range(2):
        outputs = network(image)
        assert [tuple(output.shape) for output in outputs] == [(2, 4, 64, 32), (2, 4, 32, 16)]
        outputs[1].mean().backward()  # the network fills the outputs of low resolutions anew each time
    plain = make_network(2, 4, (64, 64), features=4, most_features=8)
    assert [tuple(output.shape[2:]) for output in plain(torch.zeros(1, 2, 64, 64))] == [
        (64, 64),
        (32, 32),
        (16, 16),
    ]
    assert network.eval()(torch.zeros(2, 2, 64, 32)).shape == (2, 4, 64, 32)


class Sideways(nn.Module):
    """A network that is not symmetric: mirroring changes what it says."""

    def forward(self, image: Tensor) -> Tensor:
        ramp = torch.arange(image.shape[-1], dtype=image.dtype)
        return torch.cat([image * ramp, image], dim=1)


def test_mirrored_prediction_is_the_mean_over_flips() -> None:
    image = torch.randn(3, 1, 8, 8)
    result = Predictor(Sideways(), (8, 8), mirrored_axes=(0, 1), device=torch.device("cpu"))(image)
    flips = [(), (2,), (3,), (2, 3)]
    expected = torch.stack([Sideways()(image.flip(turn)).flip(turn) for turn in flips]).mean(dim=0)
    torch.testing.assert_close(result, expected)


def test_tiles_of_a_pointwise_network_are_seamless() -> None:
    network = nn.Conv2d(1, 2, 1)
    image = torch.randn(2, 1, 21, 30)
    result = Predictor(network, (8, 16), device=torch.device("cpu"))(image)
    torch.testing.assert_close(result, network(image).detach())


def test_the_dice_of_a_subject_is_the_mean_over_cases_and_of_a_group_the_median_over_subjects() -> None:
    scores = np.array([[0.8, np.nan], [0.6, 0.4], [0.9, 0.7], [np.nan, np.nan], [0.5, 0.5], [0.4, 0.1]])
    subjects = ["a", "a", "b", "c", "d", "e"]
    dice = subject_dice(scores, subjects, np.array([0, 0, 1, 1, 1, 1]))
    np.testing.assert_allclose(dice[0], [(0.8 + 0.5) / 2, 0.8, np.nan, 0.5, 0.25])
    np.testing.assert_allclose(dice[1][:3], [[0.7, 0.4], [0.9, 0.7], [np.nan, np.nan]])
    data: Any = SimpleNamespace(
        groups=Groups(["F", "M", "X"]), raw=SimpleNamespace(structures={"LV": 1, "RV": 2})
    )
    assert _validation_dice(*dice, data) == {
        "dice": {"F": 0.65, "M": 0.5, "X": None},
        "dice_by_label": {"LV": {"F": 0.7, "M": 0.5, "X": None}, "RV": {"F": 0.4, "M": 0.5, "X": None}},
        "gap": 0.15,
    }


# --- prediction, by function and by command


def test_a_run_predicts_whole_cropped_and_cascaded(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, cropped = tmp_path / "whole", tmp_path / "cropped"
    common = ["--by", "group", "--epochs", "1", "--steps", "2", "--features", "4", "--batch-size", "2"]
    common += ["--device", "cpu", "--prepared", str(prepared)]
    assert main(["train", str(dataset), "--out", str(whole), *common]) == 0
    assert main(["train", str(dataset), "--out", str(cropped), "--crop", "reference", *common]) == 0
    images, out = str(dataset / "imagesTs"), str(tmp_path / "masks")
    assert main(["predict", str(whole), images, "--out", out, "--workers", "2"]) == 0
    assert main(["predict", str(whole), images, "--out", out + "1"]) == 0
    for path in Path(out).iterdir():
        assert path.read_bytes() == (Path(out + "1") / path.name).read_bytes()
    assert main(["predict", str(cropped), images, "--out", out + "2", "--cascade", str(whole)]) == 0
    labels = str(dataset / "labelsTs")
    assert main(["predict", str(cropped), images, "--out", out + "3", "--references", labels]) == 0
    assert len(list(Path(out + "3").glob("*.nii.gz"))) == 4
    assert (Path(out + "3") / "boxes.json").is_file()
    capfd.readouterr()
    assert main(["predict", str(cropped), images, "--out", out + "4"]) == 2
    assert "needs cascade or references" in capfd.readouterr().err
    assert main(["predict", str(whole), images, "--out", out + "4", "--cascade", str(whole)]) == 2
    assert "sees whole images" in capfd.readouterr().err
    assert not Path(out + "4").exists()


class Blind(nn.Module):
    """A network that finds nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, image: Tensor) -> Tensor:
        nothing = torch.zeros_like(image) * self.scale
        return torch.cat([nothing + 1, nothing, nothing, nothing], dim=1)


def test_a_network_of_ones_own_predicts(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    settings = tiny.with_(epochs=1)
    train(dataset, tmp_path / "run", settings, network=Blind(), prepared=prepared)
    done = predict(tmp_path / "run", dataset / "imagesTs", tmp_path / "out", network=Blind(), device="cpu")
    assert done == {"cases": 4}
    with pytest.raises(ValueError, match="trained with another network"):
        predict(tmp_path / "run", dataset / "imagesTs", tmp_path / "out", device="cpu")


@pytest.mark.parametrize("mirror", ["none", "x", "y", "xy"])
def test_training_and_prediction_mirror_along_the_axes_asked_for(mirror: str) -> None:
    settings = Settings(by=("group",), mirror=mirror)  # type: ignore[arg-type]
    axes = settings.mirrored_axes
    assert axes == {"none": (), "y": (0,), "x": (1,), "xy": (0, 1)}[mirror]
    assert settings.with_(augment=False).mirrored_axes == ()
    last = make_augmentation((8, 8), mirrored_axes=axes).transforms[-1]  # type: ignore[attr-defined]
    assert getattr(last, "allowed_axes", ()) == axes
    ramp = torch.arange(8.0).expand(1, 1, 8, 8) + 10 * torch.arange(8.0)[:, None]
    result = Predictor(Sideways(), (8, 8), mirrored_axes=axes, device=torch.device("cpu"))(ramp)
    flips = [turn for turn in ((), (2,), (3,), (2, 3)) if {axis - 2 for axis in turn} <= set(axes)]
    expected = torch.stack([Sideways()(ramp.flip(turn)).flip(turn) for turn in flips]).mean(dim=0)
    torch.testing.assert_close(result, expected)


def test_masks_without_a_label_are_nothing_to_learn_from(
    dataset: Path, tiny: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(dataset, folder)

    def keep(values: list[int]) -> None:
        for path in (folder / "labelsTr").iterdir():
            image = sitk.ReadImage(str(path))
            voxels = sitk.GetArrayFromImage(image)
            voxels[~np.isin(voxels, values)] = 0
            changed = sitk.GetImageFromArray(voxels)
            changed.CopyInformation(image)
            sitk.WriteImage(changed, str(path))

    keep([1, 3])
    load_data(folder, tiny, tmp_path / "prepared")
    assert "no mask to train on has LVM, which the network can't learn" in caplog.text
    keep([])
    with pytest.raises(ValueError, match="labelsTr: no mask to train on has a label, all are background"):
        load_data(folder, tiny, tmp_path / "prepared")


def test_a_dataset_of_nnunets_first_version_is_told_how_to_convert(dataset: Path, tmp_path: Path) -> None:
    about = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    about["modality"] = about.pop("channel_names")
    (tmp_path / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ValueError, match=r'got none but "modality", .*nnUNetv2_convert_MSD_dataset'):
        read_raw(tmp_path)
