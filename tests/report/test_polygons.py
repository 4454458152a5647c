"""Simplified lines against scikit-image's."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.measure import approximate_polygon, find_contours

from fairseg.report.polygons import simplified


@pytest.mark.parametrize("tolerance", [0.2, 1.0])
def test_contours_of_masks_keep_the_points_that_scikit_image_keeps(tolerance: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        mask = gaussian_filter(rng.normal(size=(40, 50)), rng.uniform(0.5, 4)) > 0
        for contour in find_contours(np.pad(mask, 1).astype(float), 0.5):
            found = simplified(contour, tolerance)
            np.testing.assert_array_equal(found, approximate_polygon(contour, tolerance))


@pytest.mark.parametrize("size", [2, 3, 40])
def test_open_lines_are_those_of_scikit_image(size: int) -> None:
    line = np.random.default_rng(size).normal(size=(size, 2)).cumsum(axis=0)
    np.testing.assert_array_equal(simplified(line, 0.5), approximate_polygon(line, 0.5))
