"""What each view lets in, and what it does not."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from fairseg.understanding import views
from fairseg.understanding.organ_location import SIZE
from fairseg.understanding.views import CasePaths, make_frame, views_of


def write(path: Path, array: np.ndarray, spacing: tuple[float, ...]) -> Path:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def case(
    folder: Path, name: str, image: np.ndarray, mask: np.ndarray, spacing: tuple[float, ...] = (2.0, 2.0, 8.0)
) -> CasePaths:
    files = (write(folder / f"{name}_0000.nii.gz", image, spacing),)
    return CasePaths(name, files, write(folder / f"{name}.nii.gz", mask, spacing))


def organ(shape: tuple[int, ...] = (5, 60, 60)) -> np.ndarray:
    mask = np.zeros(shape, dtype=np.uint8)
    mask[..., 20:34, 24:40] = 1
    return mask


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).normal(100.0, 10.0, (5, 60, 60))
    return image.astype(np.float32), organ()


def test_what_lies_outside_has_no_say_in_the_views_of_the_organ(tmp_path: Path, scene: tuple) -> None:
    image, mask = scene
    other = np.where(mask > 0, image, 7 * image + 50).astype(np.float32)
    cases = [case(tmp_path, name, pixels, mask) for name, pixels in (("a", image), ("b", other))]
    frame = make_frame(cases, {"organ": 1}, (0.0, 10.0))
    one, two = (views_of(each, frame) for each in cases)
    for name in (views.MASK, views.SHAPE, views.HEADER):
        np.testing.assert_array_equal(one[name], two[name])
    np.testing.assert_allclose(one[views.ORGAN], two[views.ORGAN], atol=1e-4)  # its rim too
    assert np.abs(one[views.LEAK] - two[views.LEAK]).mean() > 0.5


def test_what_is_blanked_is_a_box_of_one_size_and_no_silhouette(tmp_path: Path, scene: tuple) -> None:
    image, mask = scene
    small = np.zeros_like(mask)
    small[:, 25:29, 30:34] = 1
    cases = [case(tmp_path, "a", image, mask), case(tmp_path, "b", image, small)]
    frame = make_frame(cases, {"organ": 1}, (0.0,))
    assert frame.box == (28.0, 32.0)
    blank = [views_of(each, frame)[views.OUTSIDE][0, 0] == 0 for each in cases]
    middle = [one[8:32, 8:32] for one in blank]
    np.testing.assert_array_equal(middle[0], middle[1])
    assert middle[0].any()


def test_the_whole_image_is_all_of_it_though_the_organ_lies_aside(tmp_path: Path) -> None:
    cases = []
    for number, corner in enumerate(((0, 0), (0, 56), (56, 0), (56, 56))):
        image = np.zeros((60, 60), dtype=np.float32)
        image[corner[0] : corner[0] + 4, corner[1] : corner[1] + 4] = 100.0
        mask = np.zeros((60, 60), dtype=np.uint8)
        mask[44:52, 8 + number : 14 + number] = 1
        cases.append(case(tmp_path, str(number), image, mask, spacing=(1.0, 1.0)))
    frame = make_frame(cases, {"organ": 1}, (0.0,))
    assert frame.whole == (2 * 48.0, 2 * 49.0)
    for one in cases:
        result = views_of(one, frame)
        assert result[views.WHOLE].max() > 5.0
        assert result[views.OUTSIDE].max() > 5.0


def test_one_large_image_makes_no_view_of_the_whole_coarse(tmp_path: Path) -> None:
    sizes = (60, 60, 60, 600)
    arrays = [np.zeros((size, 60), dtype=np.float32) for size in sizes]
    masks = [organ((size, 60)) for size in sizes]
    pairs = zip("abcd", arrays, masks, strict=True)
    cases = [case(tmp_path, name, image, mask, spacing=(1.0, 1.0)) for name, image, mask in pairs]
    assert make_frame(cases, {"organ": 1}, (0.0,)).whole == (2 * 2 * 33.0, 2 * 32.0)


def test_where_the_field_lies_is_told_by_the_position_and_not_by_the_whole_image(tmp_path: Path) -> None:
    y, x = np.mgrid[:100, :100] - 50.0
    scene = (100.0 * (np.hypot(y, x) < 16)).astype(np.float32)
    mask = (np.hypot(y, x) < 6).astype(np.uint8)
    fields = {"a": (slice(15, 75), slice(20, 80)), "b": (slice(25, 85), slice(20, 80))}
    cases = [case(tmp_path, name, scene[at], mask[at], (1.0, 1.0)) for name, at in fields.items()]
    frame = make_frame(cases, {"organ": 1}, (0.0,))
    one, two = (views_of(each, frame) for each in cases)
    for name in (views.WHOLE, views.OUTSIDE, views.HEADER):  # a row of pixels more or less is standardised by
        np.testing.assert_allclose(one[name], two[name], atol=0.05)
    np.testing.assert_allclose(one[views.POSITION] - two[views.POSITION], [10.0, 0.0])


def test_a_brighter_scanner_changes_no_view_of_pixels(tmp_path: Path, scene: tuple) -> None:
    image, mask = scene
    cases = [case(tmp_path, "a", image, mask), case(tmp_path, "b", 3 * image + 20, mask)]
    frame = make_frame(cases, {"organ": 1}, (0.0,))
    one, two = (views_of(each, frame) for each in cases)
    for name in set(one) - {views.INTENSITY, views.WITHIN}:
        np.testing.assert_allclose(one[name], two[name], atol=1e-4)


def test_noise_in_the_organ_is_left_where_the_crop_is_standardised(tmp_path: Path) -> None:
    y, x = np.mgrid[:60, :60] - 30.0
    mask = (np.hypot(y, x) < 10).astype(np.uint8)
    image = (x + 50.0 * mask).astype(np.float32)
    noisy = (image + mask * np.random.default_rng(3).normal(0, 20, image.shape)).astype(np.float32)
    cases = [case(tmp_path, name, one, mask, (1.0, 1.0)) for name, one in (("a", image), ("b", noisy))]
    frame = make_frame(cases, {"organ": 1}, (0.0,))
    one, two = (views_of(each, frame)[views.SCALED] for each in cases)
    box = image[21:40, 21:40]
    np.testing.assert_allclose(one[1], image[mask > 0].std() / box.std(), rtol=0.05)
    assert two[1] > 2 * one[1]


def test_a_finer_grid_changes_the_header_and_hardly_the_picture(tmp_path: Path) -> None:
    def draw(size: int) -> tuple[np.ndarray, np.ndarray]:
        y, x = (np.mgrid[:size, :size] + 0.5) / size
        image = np.sin(9 * x) * np.cos(7 * y) + 2 * ((x - 0.5) ** 2 + (y - 0.45) ** 2 < 0.02)
        mask = (((x - 0.5) ** 2 + (y - 0.45) ** 2) < 0.02).astype(np.uint8)
        return np.stack([image] * 3).astype(np.float32), np.stack([mask] * 3)

    coarse = case(tmp_path, "a", *draw(60), spacing=(4.0, 4.0, 9.0))
    fine = case(tmp_path, "b", *draw(120), spacing=(2.0, 2.0, 9.0))
    frame = make_frame([coarse, fine], {"organ": 1}, (10.0,))
    one, two = (views_of(each, frame) for each in (coarse, fine))
    assert np.corrcoef(one[views.WHOLE].ravel(), two[views.WHOLE].ravel())[0, 1] > 0.99
    assert not np.allclose(one[views.HEADER], two[views.HEADER])


def test_images_in_2d_have_one_level_and_a_case_without_organ_no_view(tmp_path: Path) -> None:
    image = np.random.default_rng(1).normal(size=(60, 60)).astype(np.float32)
    cases = [
        case(tmp_path, "a", image, organ((60, 60)), spacing=(1.0, 1.0)),
        case(tmp_path, "b", image, np.zeros((60, 60), dtype=np.uint8), spacing=(1.0, 1.0)),
    ]
    frame = make_frame(cases, {"organ": 1}, (0.0,))
    assert views_of(cases[0], frame)[views.WHOLE].shape == (1, 1, SIZE, SIZE)
    assert views_of(cases[1], frame) == {}


def test_an_image_that_is_not_finite_is_named(tmp_path: Path, scene: tuple) -> None:
    image, mask = scene
    image[0, 0, 0] = np.nan
    bad = case(tmp_path, "p07", image, mask)
    frame = make_frame([bad], {"organ": 1}, (0.0,))
    with pytest.raises(ValueError, match=r"case p07: .* must be finite"):
        views_of(bad, frame)


def test_colours_in_one_file_are_read_as_a_file_for_each_channel(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3, 60, 60), dtype=np.uint8)
    Image.fromarray(organ((60, 60))).save(tmp_path / "a.png")
    Image.fromarray(colours.transpose(1, 2, 0)).save(tmp_path / "colours.png")
    apart = tuple(tmp_path / f"a_000{number}.png" for number in range(3))
    for file, channel in zip(apart, colours, strict=True):
        Image.fromarray(channel).save(file)
    cases = [CasePaths("a", files, tmp_path / "a.png") for files in ((tmp_path / "colours.png",) * 3, apart)]
    frame = make_frame(cases, {"organ": 1}, (0.0,))
    one, two = (views_of(case, frame) for case in cases)
    for name in two:
        np.testing.assert_array_equal(one[name], two[name])
    assert one[views.WHOLE].shape == (3, 1, SIZE, SIZE)
    means = one[views.INTENSITY].reshape(3, 7)[:, 0]
    np.testing.assert_allclose(means, colours.mean(axis=(1, 2)))


# An organ of 20 by 10 pixels whose center lies 40 and 20 pixels from the borders: 30 and 15 beyond the box.
@pytest.mark.parametrize(
    ("spacing", "asked", "tried", "useless"),
    [
        (None, None, (0, 2, 4, 8, 16), ()),  # in pixels
        (0.01, None, (0, 0.02, 0.04, 0.08, 0.16), ()),
        (20.0, None, (0, 5, 10, 20, 40), ()),
        (None, [40, 2, 30, 2, 29], (2, 29), (30, 40)),
        (None, [60], (), (60,)),
    ],
)
def test_margins_fit_the_images_and_those_that_remove_nothing_are_told(
    tmp_path: Path, spacing: float | None, asked: list[float] | None, tried: tuple, useless: tuple
) -> None:
    mask = np.zeros((80, 40), np.uint8)
    mask[30:50, 15:25] = 1
    file = tmp_path / "a.png"
    Image.fromarray(mask).save(file)
    case = CasePaths("a", (file,), file, spacing=None if spacing is None else (spacing,))
    frame = make_frame([case], {"organ": 1}, asked)
    assert (frame.margins, frame.useless) == (pytest.approx(tried), useless)


def test_a_single_slice_is_an_area_and_the_ring_is_as_wide_as_margins_grow(tmp_path: Path) -> None:
    mask = np.zeros((1, 80, 40), np.uint8)
    mask[:, 30:50, 15:25] = 1
    one = case(tmp_path, "a", mask.astype(np.float32), mask, spacing=(0.5, 0.5, 999.0))
    frame = make_frame([one], {"organ": 1}, None)
    assert (frame.size, frame.size_unit, frame.step) == ("area", "mm²", 1.0)
    assert frame.ring == (10.0 + 8.0, 5.0 + 8.0)
    result = views_of(one, frame)
    assert result[views.MEASURES][0] == 200 * 0.25
    assert result[views.WHOLE].shape == (1, 1, SIZE, SIZE)


def test_error_maps_say_what_is_too_much_and_what_is_missing(tmp_path: Path, scene: tuple) -> None:
    image, mask = scene
    guess = np.zeros_like(mask)
    guess[:, 20:34, 32:48] = 1  # moved to the right by half its width
    one = case(tmp_path, "a", image, mask)
    predicted = write(tmp_path / "guess.nii.gz", guess, (2.0, 2.0, 8.0))
    one = CasePaths(one.name, one.images, one.reference, predicted)
    frame = make_frame([one], {"organ": 1}, (0.0,))
    too_much, missing = views_of(one, frame)[views.ERRORS][:, 1]
    half = SIZE // 2
    assert too_much[:, :half].sum() < 0.1 * too_much[:, half:].sum()
    assert missing[:, half:].sum() < 0.1 * missing[:, :half].sum()


def test_an_outline_alone_changes_no_number_of_the_image_and_a_moved_pixel_costs_a_thin_organ_more(
    tmp_path: Path, scene: tuple
) -> None:
    image, mask = scene
    image[:, 20:34, 24:40] += 60.0
    rough = mask.copy()
    rough[:, 20:34:2, 40:42] = 1
    thin = mask.copy()
    thin[..., 27:40] = 0
    cases = [case(tmp_path, name, image, drawn) for name, drawn in (("a", mask), ("b", rough), ("c", thin))]
    frame = make_frame(cases, {"organ": 1}, (0.0,))
    smooth, drawn, narrow = (views_of(each, frame) for each in cases)
    np.testing.assert_array_equal(smooth[views.INTENSITY], drawn[views.INTENSITY])
    assert drawn[views.WITHIN][1] > smooth[views.WITHIN][1] + 1  # it holds some of what lies outside
    assert drawn[views.OUTLINE] > smooth[views.OUTLINE] + 5
    assert smooth[views.ONE_PIXEL] == pytest.approx((13 / 14 + 15 / 16) / 2)
    assert narrow[views.ONE_PIXEL] == pytest.approx((13 / 14 + 2 / 3) / 2)


def test_the_share_of_images_that_a_crop_removes_is_of_what_lies_in_the_image(
    tmp_path: Path, scene: tuple
) -> None:
    image, mask = scene
    frame = make_frame([case(tmp_path, "a", image, mask)], {"organ": 1}, (0.0, 20.0))
    assert frame.removed[0.0] == pytest.approx(1 - 14 * 16 / 3600)
    assert frame.removed[20.0] == pytest.approx(1 - 34 * 36 / 3600)
    corner = np.zeros_like(mask)
    corner[..., :10, :10] = 1
    frame = make_frame([case(tmp_path, "b", image, corner)], {"organ": 1}, (0.0, 20.0))
    assert frame.removed[20.0] == pytest.approx(1 - 20 * 20 / 3600)
