"""What changes if the outside does: on arrays by hand, and with networks whose way of looking is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch
from scipy.stats import ttest_1samp

import fairseg
from fairseg.crop import Box
from fairseg.datasets import Shift, write_phantom
from fairseg.training import Settings, predict, train
from fairseg.training.inference import Predictor
from fairseg.training.prediction import TrainedRun
from fairseg.training.prepare import SlicePlan, zscore
from fairseg.understanding.changes import Intervention, change_with_limits, occlusions, with_holm
from fairseg.understanding.intervention import _donors, intervene
from fairseg.understanding.outside_changes import CaseArrays, blanked, exchanged, matched
from fairseg.understanding.views import CasePaths, make_frame

IDS = np.repeat([0, 1], 12)


def scan(seed: int, depth: int = 4, shift: int = 0) -> CaseArrays:
    rng = np.random.default_rng(seed)
    mask = np.zeros((depth, 30, 32), dtype=np.uint8)
    mask[1:, 10 + shift : 18 + shift, 12:20] = 1
    image = rng.normal(size=(1, depth, 30, 32)).astype(np.float32)
    image[0, mask > 0] += 3
    return CaseArrays(zscore(image), mask, Box.around(mask, ndim=2), (12, 12))


def test_an_exchanged_image_has_the_organ_of_one_and_the_outside_of_the_other() -> None:
    one, other = scan(0), scan(1)
    made = exchanged(one, other)
    for part, whose in ((one.inside, one), (~one.inside, other)):
        theirs = whose.image[..., part].ravel()
        assert np.corrcoef(made[..., part].ravel(), theirs)[0, 1] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose([made.mean(), made.std()], [0, 1], atol=1e-5)
    organ = CaseArrays(made, one.mask, one.organ_box, one.size)
    for ours, theirs in ((organ.outside_scale, other.outside_scale),):  # both against the organ
        own = [(ours[0] - organ.organ_scale[0]) / organ.organ_scale[1], ours[1] / organ.organ_scale[1]]
        wanted = [(theirs[0] - other.organ_scale[0]) / other.organ_scale[1], theirs[1] / other.organ_scale[1]]
        np.testing.assert_allclose(np.ravel(own), np.ravel(wanted), atol=1e-4)


def test_ones_own_outside_changes_nothing_and_a_scanners_unit_does_not_matter() -> None:
    one, other = scan(0), scan(1)
    for change in (exchanged, matched):
        np.testing.assert_allclose(change(one, one), one.image, atol=1e-5)
        dimmer = CaseArrays(0.2 * other.image - 5, other.mask, other.organ_box, other.size)
        np.testing.assert_allclose(change(one, dimmer), change(one, other), atol=1e-4)


def test_organs_lie_on_each_other_in_plane_and_along_the_stack() -> None:
    one, other = scan(0), scan(1, depth=7, shift=3)  # an organ of 3 slices, and one of 6
    made = exchanged(one, other)
    numbers = np.arange(7)[None, :, None, None] * np.ones((1, 7, 30, 32), dtype=np.float32)
    deep = CaseArrays(other.image, other.mask, other.organ_box, other.size)
    object.__setattr__(deep, "image", numbers)
    object.__setattr__(deep, "organ_scale", one.organ_scale)
    lent = exchanged(one, deep)[0, :, 0, 0]
    np.testing.assert_allclose(np.diff(lent) / np.diff(lent)[0], [1, 1, 1], atol=1e-4)  # slices 0, 2, 4, 6
    corner = np.corrcoef(made[0, 1, :5, :5].ravel(), other.image[0, 2, 3:8, :5].ravel())[0, 1]
    assert corner == pytest.approx(1, abs=1e-5)


def test_a_matched_image_keeps_its_own_structure_and_a_blanked_one_its_organ() -> None:
    one, other = scan(0), scan(1)
    made = matched(one, other)
    outside = ~one.inside
    assert np.corrcoef(made[..., outside].ravel(), one.image[..., outside].ravel())[0, 1] > 0.9999
    np.testing.assert_array_equal(blanked(one)[..., one.inside], one.image[..., one.inside])
    assert not blanked(one)[..., outside].any()


def test_limits_of_a_change_are_students_and_wider_where_donors_are_shared() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0.02, 0.05, 20)
    result = change_with_limits(values, np.arange(20))
    expected = ttest_1samp(values, 0.0)
    assert result[0] == pytest.approx(values.mean())
    assert result[3] == pytest.approx(expected.pvalue)
    assert result[1:3] == pytest.approx(tuple(expected.confidence_interval()))
    lent = np.repeat(rng.normal(0, 0.05, 4), 5)  # four donors, each to five subjects
    shared = change_with_limits(values + lent, np.arange(20), np.repeat(np.arange(4), 5))
    alone = change_with_limits(values + lent, np.arange(20))
    assert shared[2] - shared[1] > 1.5 * (alone[2] - alone[1])
    assert change_with_limits(np.zeros(5), np.arange(5)) == (0.0, 0.0, 0.0, 1.0)


def test_limits_hold_where_a_few_donors_lend_to_many() -> None:
    rng = np.random.default_rng(0)
    held = 0
    people, donors = np.repeat(np.arange(30), 2), np.tile(np.arange(10), 6)
    for _ in range(400):
        change = rng.normal(0, 1, 30)[people] + rng.normal(0, 1, 10)[donors] + rng.normal(0, 1, 60)
        _, low, high, _ = change_with_limits(change, people, donors)
        held += low <= 0 <= high
    assert 0.93 <= held / 400 <= 1.0


@pytest.mark.parametrize("sizes", [(24, 24), (10, 30)])
def test_alike_groups_are_seldom_said_to_be_gone_by_their_outside(sizes: tuple[int, int]) -> None:
    """Some outsides cost everybody Dice, some subjects mind more than others, some pairs fail altogether."""
    rng = np.random.default_rng(0)
    ids = np.repeat([0, 1], sizes)
    shown = 0
    for _ in range(100):
        donors = _donors(ids, {0: [1], 1: [0]}, rng)
        lent, minds = rng.normal(0, 0.05, ids.size), np.exp(rng.normal(0, 0.8, ids.size))
        fails = (rng.random((ids.size, ids.size)) < 0.02) * rng.uniform(0.2, 0.8, (ids.size, ids.size))
        dice = np.minimum(0.9 + minds[:, None] * lent - fails, 1.0)  # of each subject with each outside
        rows = []
        for group in (0, 1):
            made = [
                (subject, own, other)
                for subject in np.flatnonzero(ids == group).tolist()
                for own, other in zip(donors[subject, group], donors[subject, 1 - group], strict=True)
            ]
            subjects, own, other = np.transpose(made)
            result = change_with_limits(dice[subjects, other] - dice[subjects, own], subjects, own, other)
            rows.append(("exchanged", "AB"[group], "BA"[group], sizes[group], 0.9, 0.0, result))
        shown += any(row.shown for row in with_holm(rows))
    assert shown <= 8  # of 100 at 5%; benchmarks/understand.py has more


def test_the_patch_that_matters_to_one_group_alone_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(1)
    change = rng.normal(0, 0.01, (24, 4, 5))
    change[:, 1, 2] = np.nan  # within the box
    (result,) = occlusions(change, IDS, ["A", "B"], permutations=199)
    assert not result.shown
    change[IDS == 1, 3, 4] -= 0.05
    (result,) = occlusions(change, IDS, ["A", "B"], permutations=199)
    assert result.shown
    assert result.place == (3, 4)
    assert result.change[1, 3, 4] - result.change[0, 3, 4] == pytest.approx(-0.05, abs=0.01)
    assert np.isnan(result.change[:, 1, 2]).all()


class Network(torch.nn.Module):
    """Finds a disc by its brightness, and only its core where it goes by a bright corner of the image."""

    def __init__(self, *, by_corner: bool) -> None:
        super().__init__()
        self.by_corner = by_corner
        self.bottleneck = torch.nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        image = self.bottleneck(image)
        middle = image[:, 0, 13:27, 13:27]
        low, high = (part.reshape(-1, 1, 1) for part in (middle.amin((1, 2)), middle.amax((1, 2))))
        level = (image[:, 0] - low) / (high - low)
        corner = image[:, 0, :3, :6].mean((1, 2)) - image[:, 0, 3:6, :6].mean((1, 2))
        bright = (corner > 0.3) & self.by_corner
        return torch.stack(
            [torch.where(bright, 0.8, 0.45)[:, None, None] - level, torch.zeros_like(level)], dim=1
        )


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> list[CasePaths]:
    """Discs with a brighter core; of group B with a bright corner of the image."""
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :40] - 19.5
    cases = []
    for subject, group in enumerate(IDS.tolist()):
        radius = np.hypot(y, x) / rng.uniform(0.9, 1.1)
        image = 60.0 * (radius < 7) + 40 * (radius < 4) + rng.normal(0, 2, (40, 40))
        image[:3, :6] += 30 * group
        for name, array in (("image", image.astype(np.float32)), ("mask", (radius < 7).astype(np.uint8))):
            sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / f"{subject}_{name}.nii.gz"))
        cases.append(
            CasePaths(str(subject), (folder / f"{subject}_image.nii.gz",), folder / f"{subject}_mask.nii.gz")
        )
    return cases


def asked(cases: list[CasePaths], network: Network, crop: tuple[int, int] | None = None) -> Intervention:
    about = {"labels": {"disc": 1}, "settings": {"head_layer": "bottleneck"}}
    size = crop or (40, 40)
    predictor = Predictor(network, size, mirrored_axes=(), device=torch.device("cpu"))
    run = TrainedRun(about, SlicePlan(0, (1.0, 1.0), (40, 40)), predictor, crop)
    frame = make_frame(cases, {"disc": 1}, (0.0,))
    return intervene(run, cases, np.arange(24), IDS, ["A", "B"], frame, permutations=199)


def test_a_network_that_goes_by_the_outside_is_told_from_one_that_does_not(cohort: list[CasePaths]) -> None:
    result = asked(cohort, Network(by_corner=True))
    gap = result.dice[:12].mean() - result.dice[12:].mean()
    assert gap > 0.3
    rows = {(row.intervention, row.group): row for row in result.changes}
    lent = rows["outside exchanged", "B"]
    assert lent.shown
    assert lent.change[0] == pytest.approx(gap, abs=0.02)  # all of the gap comes from the corner
    assert lent.gap == pytest.approx(gap)
    assert rows["outside exchanged", "A"].change[0] == pytest.approx(-gap, abs=0.02)
    assert not rows["outside matched in intensity", "B"].shown  # the corner is brighter still
    assert rows["outside blanked", "B"].change[0] == pytest.approx(gap, abs=0.02)
    assert result.bottleneck.shape == (24, 1)
    (patch,) = result.occlusion
    assert patch.shown
    assert patch.place == (0, 0)

    blind = asked(cohort, Network(by_corner=False))
    assert not any(row.shown for row in blind.changes)
    assert {round(row.change[0], 6) for row in blind.changes} == {0.0}
    assert not blind.occlusion[0].shown


def test_a_network_for_crops_sees_no_more_than_its_crop(cohort: list[CasePaths]) -> None:
    class Cropped(Network):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            assert image.shape[-2:] == (24, 24)
            wide = torch.nn.functional.pad(image, (8, 8, 8, 8), value=float(image.min()))
            return super().forward(wide)[..., 8:32, 8:32]

    result = asked(cohort, Cropped(by_corner=True), crop=(24, 24))
    lent = [row for row in result.changes if row.intervention == "outside exchanged"]
    assert [row.shown for row in lent] == [False, False]


def test_subjects_that_a_run_was_trained_on_are_left_out(tmp_path: Path) -> None:
    shape = {"shape": (32, 32), "spacing": 6.0, "slices": 2}
    write_phantom(tmp_path / "data", subjects={"White": 9, "Black": 7}, test_subjects=0, **shape)
    split = pd.DataFrame({"subject": ["train_0_0000", "train_1_0000"], "part": "train"})
    split.to_csv(tmp_path / "split.csv", index=False)
    settings = Settings(
        by=("group",), features=4, most_features=8, epochs=1, steps=1, batch_size=2, device="cpu"
    )
    train(tmp_path / "data", tmp_path / "run", settings, split=tmp_path / "split.csv")
    options = {"run": tmp_path / "run", "permutations": 199, "min_size": 6}
    result = fairseg.understand(tmp_path / "data", "group", **options)
    assert dict(result.cohort.counts) == {"Black": 6, "White": 8}
    assert set(result.left_out["why"]) == {"the run was trained on them"}
    assert result.left_out["subjects"].sum() == 2
    page = result.save(tmp_path / "page").read_text(encoding="utf-8")
    assert page.count("which any network may stumble over") == 1
    assert not {"train_0_0000", "train_1_0000"} & set(result.cohort.subjects)
    assert {part.structure for part in result.atlas} == set(result.cohort.raw.structures)
    np.testing.assert_allclose(result.cohort.dice, result.intervention.dice, atol=0.02)
    about = tmp_path / "data" / "dataset.json"
    text = about.read_text(encoding="utf-8")
    about.write_text(text.replace("cine MRI", "CT"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"run: it was trained with channels \['cine MRI'\]"):
        fairseg.understand(tmp_path / "data", "group", **options)
    about.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="without 2 subjects on whom the run was trained"):
        fairseg.understand(tmp_path / "data", "group", **options | {"min_size": 8})


@pytest.mark.slow
def test_the_gap_falls_by_what_it_says_if_the_fat_is_switched_off(tmp_path: Path) -> None:
    """The same people drawn again without the fat: what no exchange of pixels can know."""
    for name, shift in (("fat", Shift(fat=30.0)), ("lean", Shift())):
        sizes = {"White": 30, "Black": 2}
        write_phantom(tmp_path / name, subjects=sizes, test_subjects=12, shift=shift, shape=(48, 48),
                      spacing=5.4, slices=3, seed=3)  # fmt: skip
    recipe = {"features": 8, "most_features": 32, "batch_size": 4, "learning_rate": 0.1, "momentum": 0.9}
    settings = Settings(by=("group",), **recipe, epochs=1, steps=120, validation=0.1, device="cpu")
    train(tmp_path / "fat", tmp_path / "run", settings)
    options = {"run": tmp_path / "run", "test": True, "permutations": 199}
    lent = fairseg.understand(tmp_path / "fat", "group", "White", **options).intervention.changes[0]
    gaps = {}
    for name in ("fat", "lean"):
        predict(tmp_path / "run", tmp_path / name / "imagesTs", tmp_path / "masks" / name, mirror=False)
        masks = tmp_path / "masks" / name, tmp_path / name / "labelsTs", tmp_path / name / "groups.csv"
        dice = fairseg.evaluate(*masks, on_error="skip").groupby("group")["dice"].mean()
        gaps[name] = dice["White"] - dice["Black"]
    assert (lent.intervention, lent.group, lent.donors) == ("outside exchanged", "Black", "White")
    assert lent.shown
    assert gaps["fat"] > 0.1
    assert lent.change[1] - 0.02 <= gaps["fat"] - gaps["lean"] <= lent.change[2] + 0.02
