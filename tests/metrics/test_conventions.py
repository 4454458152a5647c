"""Every cell of the first table of docs/conventions.md is what the library of its column does.

The masks are those that the page describes; the cells are compared as printed, to three decimals.
surface-distance 0.1 needs two names that NumPy 2 has removed: they are put back, and a test says what happens
without.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import surface_distance
import torch
from medpy.metric import binary
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_surface_dice,
)

from fairseg.metrics import score_case

Mask = npt.NDArray[np.float64]
PAGE = Path(__file__).parent.parent.parent / "docs" / "conventions.md"
LIBRARIES = ("fairseg", "medpy", "MONAI", "surface-distance")
SPACING = (2.0, 1.0)  # mm
TOLERANCE = 1.0  # mm


def masks() -> dict[str, tuple[Mask, Mask, tuple[float, ...]]]:
    """Return situation -> prediction, reference, spacing."""
    empty, square, edge = np.zeros((9, 9)), np.zeros((9, 9)), np.zeros((9, 9))
    square[2:6, 2:6] = 1
    edge[0:4, 2:6] = 1
    lower = np.roll(square, 1, axis=0)
    stray, broken = square.copy(), square.copy()
    stray[8, 8] = 1
    broken[0, 0] = np.nan
    return {
        "both empty": (empty, empty, SPACING),
        "prediction empty": (empty, square, SPACING),
        "reference empty": (square, empty, SPACING),
        "equal": (square, square, SPACING),
        "a stray voxel": (stray, square, SPACING),
        "at the edge of the image": (edge, square, SPACING),
        "the whole image against a part": (np.ones((9, 9)), square, SPACING),
        "shapes that differ": (np.ones((1, 4)), np.ones((3, 4)), SPACING),
        "negative spacing": (lower, square, (-2.0, 1.0)),
        "spacing of 0": (lower, square, (0.0, 1.0)),
        "NaN in the prediction": (broken, square, SPACING),
        "2 where 1 is meant": (2 * square, square, SPACING),
    }


def fairseg(metric: str, prediction: Mask, reference: Mask, spacing: tuple[float, ...]) -> Any:
    name = metric.lower().replace(" ", "_")
    tolerance = TOLERANCE if name == "nsd" else None
    scores = score_case(
        prediction, reference, labels={"A": 1}, spacing=spacing, metrics=(name,), tolerance=tolerance
    )
    return scores[name][0]


def medpy(metric: str, prediction: Mask, reference: Mask, spacing: tuple[float, ...]) -> Any:
    if metric == "Dice":
        return binary.dc(prediction, reference)
    functions = {"HD": binary.hd, "HD95": binary.hd95, "HD95 pooled": binary.hd95, "ASSD": binary.assd}
    function = functions[metric]
    return function(prediction, reference, spacing)


def monai(metric: str, prediction: Mask, reference: Mask, spacing: tuple[float, ...]) -> Any:
    masks = [torch.from_numpy(mask)[None, None] for mask in (prediction, reference)]
    options: dict[str, Any] = {"include_background": True, "spacing": list(spacing)}
    functions: dict[str, Callable[[], Any]] = {
        "Dice": lambda: compute_dice(*masks),
        "HD": lambda: compute_hausdorff_distance(*masks, **options),
        "HD95": lambda: compute_hausdorff_distance(*masks, percentile=95, **options),
        "ASSD": lambda: compute_average_surface_distance(*masks, symmetric=True, **options),
        "NSD": lambda: compute_surface_dice(*masks, class_thresholds=[TOLERANCE], **options),
    }
    return functions[metric]().item()


def surface_distances(metric: str, prediction: Mask, reference: Mask, spacing: tuple[float, ...]) -> Any:
    true, predicted = reference.astype(bool), prediction.astype(bool)  # it takes nothing else
    if metric == "Dice":
        return surface_distance.compute_dice_coefficient(true, predicted)
    result = surface_distance.compute_surface_distances(true, predicted, spacing)
    functions: dict[str, Callable[[], Any]] = {
        "HD": lambda: surface_distance.compute_robust_hausdorff(result, 100),
        "HD95": lambda: surface_distance.compute_robust_hausdorff(result, 95),
        "ASSD": lambda: surface_distance.compute_average_surface_distance(result),
        "NSD": lambda: surface_distance.compute_surface_dice_at_tolerance(result, TOLERANCE),
    }
    return functions[metric]()


CALLS = dict(zip(LIBRARIES, (fairseg, medpy, monai, surface_distances), strict=True))
ERRORS = (ValueError, RuntimeError, AssertionError, AttributeError)


def rows() -> list[tuple[str, str, str, str]]:
    """Return situation, metric, library and cell of the table."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("| situation | metric |"))
    assert [part.strip() for part in lines[start].strip("|").split("|")][2:] == list(LIBRARIES)
    result = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        situation, metric, *cells = (part.strip() for part in line.strip("|").split("|"))
        result += [(situation, metric, name, cell) for name, cell in zip(LIBRARIES, cells, strict=True)]
    return result


def matches(cell: str, value: Any) -> bool:
    """Say whether one number, or each of several, is what the cell prints."""
    numbers = [float(number) for number in np.atleast_1d(np.asarray(value, dtype=float))]
    printed = [float(part) for part in cell.split(",")]
    return len(numbers) == len(printed) and bool(
        np.isclose(numbers, printed, rtol=0, atol=0.5e-3, equal_nan=True).all()
    )


@pytest.mark.parametrize(("situation", "metric", "library", "cell"), rows())
def test_a_cell(
    situation: str, metric: str, library: str, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cell == "none":
        assert (library == "medpy") == (metric == "NSD")  # and only medpy pools the directions
        assert library != "fairseg"
        return
    if (library, metric, cell) == ("medpy", "Dice", "NaN") and np.lib.NumpyVersion(np.__version__) < "2.0.0":
        cell = "1"  # there its sizes are numbers of Python, which cannot be divided by 0
    monkeypatch.setattr(np, "Inf", np.inf, raising=False)
    monkeypatch.setattr(np, "NaN", np.nan, raising=False)
    arguments = (metric, *masks()[situation])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each library warns of empty masks in its own words
        if cell == "error":
            with pytest.raises(ERRORS):
                CALLS[library](*arguments)
        else:
            assert matches(cell, CALLS[library](*arguments))


def test_every_situation_is_on_the_page() -> None:
    assert {situation for situation, *_ in rows()} == masks().keys()


# surface-distance imports from old places
@pytest.mark.filterwarnings("ignore:.*from the `scipy.ndimage` namespace:DeprecationWarning")
def test_surface_distance_does_not_know_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Inf", "NaN"):  # which other libraries may have put back
        monkeypatch.delattr(np, name, raising=False)
    empty, square, spacing = masks()["prediction empty"]
    with pytest.raises(AttributeError, match="Inf"):
        surface_distances("HD", empty, square, spacing)
    with pytest.raises(AttributeError, match="NaN"):
        surface_distances("Dice", empty, empty, spacing)
