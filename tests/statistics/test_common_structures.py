"""Overall scores from structures that groups, or everybody, lack."""

import numpy as np

from fairseg.statistics.common_structures import common_structures
from fairseg.statistics.findings import Grouping


def test_a_structure_that_nobody_has_is_no_part_of_the_mean() -> None:
    scores = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    grouping = Grouping("sex", ("F", "M"), np.array([0, 1, 1]), 0)
    found = common_structures(scores, [grouping], structures=("LV", "RV"))
    np.testing.assert_array_equal(found.overall, [1.0, 3.0, np.nan])
    assert found.used == ("LV",)
