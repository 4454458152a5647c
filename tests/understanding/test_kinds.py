"""Image, references and a model's errors answer different questions."""

import pytest

from fairseg.understanding.kinds import of_the_image, question_of
from tests.understanding.made_up import readings


@pytest.mark.parametrize(
    ("aucs", "image"),
    [
        ({"map_of_errors": 1.0, "whole_image": 0.5}, []),
        ({"reference_mask": 0.9, "roughness_of_the_outline": 1.0}, []),
        ({"intensity_within_the_reference": 1.0, "roughness_of_the_outline": 1.0}, []),  # smoother outlines
        ({"intensity_within_the_reference": 1.0, "reference_mask": 0.6}, ["intensity within the reference"]),
        ({"organ_only": 0.8, "reference_mask": 0.85}, []),
        ({"organ_only": 0.95, "reference_mask": 0.85}, ["organ only"]),
        ({"whole_image": 0.8, "reference_mask": 0.85, "header": 0.9}, ["whole image", "header"]),
    ],
)
def test_what_the_image_tells_is_not_what_outlines_and_errors_tell(
    aucs: dict[str, float], image: list[str]
) -> None:
    assert [row.view for row in of_the_image(readings(apart=0.05, **aucs))] == image


def test_what_is_not_shown_in_the_organ_was_asked_of_the_image() -> None:
    result = readings(apart=0.05, organ_only=0.5, reference_mask=0.9, map_of_errors=0.5)
    assert [question_of(result, row) for row in result.rows] == ["image", "references", "model"]
