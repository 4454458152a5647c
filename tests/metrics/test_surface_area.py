"""NSD by surface area against surface-distance, in 2D and 3D, and by hand."""

import warnings
from typing import Any

import numpy as np
import pytest
import surface_distance

from fairseg.metrics import nsd, score_case
from fairseg.metrics.surface_area import _areas
from tests.metrics.shapes import random_pairs

NAN = float("nan")

pytestmark = pytest.mark.filterwarnings("ignore:.*from the `scipy.ndimage` namespace:DeprecationWarning")


def test_it_equals_surface_distances() -> None:
    """Its 256 pieces of surface come of 13 here, turned and mirrored."""
    compared = apart = 0
    for prediction, reference, spacing in random_pairs(71, 150):
        for tolerance in (0.7, 2.0):
            actual = nsd(
                prediction, reference, [1, 2, 3], tolerance=tolerance, spacing=spacing, surface="area"
            )
            voxels = nsd(prediction, reference, [1, 2, 3], tolerance=tolerance, spacing=spacing)
            for index, label in enumerate((1, 2, 3)):
                p, r = prediction == label, reference == label
                if not p.any() or not r.any():
                    expected = 0.0 if p.any() or r.any() else NAN
                    assert actual[index] == pytest.approx(expected, nan_ok=True)
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    result = surface_distance.compute_surface_distances(r, p, spacing)
                theirs = surface_distance.compute_surface_dice_at_tolerance(result, tolerance)
                assert actual[index] == pytest.approx(theirs, abs=1e-12)
                compared += 1
                apart += abs(actual[index] - voxels[index]) > 0.01
    assert compared > 200
    assert apart > 50


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 3.0, 1.9)])
def test_pieces_of_surface_have_the_areas_of_surface_distance(spacing: tuple[float, ...]) -> None:
    table = surface_distance.lookup_tables.create_table_neighbour_code_to_surface_area(np.array(spacing))
    actual = _areas(np.array(spacing))
    backwards = [
        int(f"{code:08b}"[::-1], 2) for code in range(256)
    ]  # it numbers the corners from the other end
    np.testing.assert_allclose(actual, table[backwards], atol=1e-12)
    assert (actual[1:-1] > 0).all()


def test_by_hand() -> None:
    """A square of two pixels, moved by one: the left side of one and the right of the other stay alone.

    Its surface are four corners, cut, and a piece of 1 mm in the middle of each side. The moved square's left
    side covers the middles of top and bottom; its own top and bottom end in the first one's right corners.
    """
    reference, prediction = np.zeros((2, 6, 6), dtype=int)
    reference[2:4, 2:4] = 1
    prediction[2:4, 3:5] = 1
    corner = np.sqrt(2) / 2
    shared = (2 * 1 + 2 * corner) / (4 * 1 + 4 * corner)
    assert nsd(prediction, reference, tolerance=0.5, surface="area")[0] == pytest.approx(shared)
    assert nsd(prediction, reference, tolerance=1.0, surface="area")[0] == 1.0


def test_unions_ignored_voxels_and_memory_order() -> None:
    for prediction, reference, spacing in random_pairs(73, 20):
        labels = {"two": (1, 2), "all": (1, 2, 3)}
        options: dict[str, Any] = {"spacing": spacing, "tolerance": 1.0, "surface": "area"}
        actual = nsd(prediction, reference, labels, **options)
        for index, union in enumerate(labels.values()):
            one = nsd(np.isin(prediction, union), np.isin(reference, union), [1], **options)
            np.testing.assert_array_equal(actual[index], one[0])
        turned = nsd(np.asfortranarray(prediction), np.asfortranarray(reference), labels, **options)
        np.testing.assert_allclose(turned, actual, atol=1e-12)
        hidden = reference == 3
        given, rest = np.where(hidden, 255, reference), np.where(hidden, 0, reference)
        without = nsd(np.where(hidden, 0, prediction), rest, [1], **options)
        np.testing.assert_array_equal(nsd(prediction, given, [1], ignore=255, **options), without)


def test_what_has_no_area_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2 or 3 axes to have a surface area, got shape \(3,\)"):
        nsd([1, 1, 0], [1, 0, 0], tolerance=1.0, surface="area")
    with pytest.raises(ValueError, match='surface must be "voxels" or "area"'):
        nsd([[1]], [[1]], tolerance=1.0, surface="mm")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tolerance must be a number of mm >= 0, got None"):
        score_case([[1]], [[1]], metrics=["nsd_area"])
