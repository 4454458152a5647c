"""An order of subjects by what is known of them, so that no result hangs on the order of a table's rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_DECIMALS = 10  # sums in another order differ in the last bits


def content_order(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Return the rows in rising order of their values: of the first column, then of the second, and so on.

    Rows that agree in all columns stay as they are, and whatever is drawn for one could as well be for the
    other. So random draws over rows in this order are the same however the rows came; names are not needed.

    Args:
        columns: of numbers, (N,) each; NaN comes last.

    >>> content_order([np.array([0.9, np.nan, 0.8, 0.9]), np.array([1, 0, 0, 0])]).tolist()
    [2, 3, 0, 1]
    """
    return np.lexsort([np.round(column, _DECIMALS) for column in reversed(columns)])
