"""Where a group is told, and which crop leaves it out, on readings made by hand."""

import pytest

from fairseg.understanding.advice import advise
from fairseg.understanding.location import choose_crop, crop_margin, told_by_both
from fairseg.understanding.readability import Reading, Readings
from tests.understanding.made_up import readings


def test_the_crop_to_use_is_the_widest_before_any_that_tells() -> None:
    def reading(margin: int, p: float) -> Reading:
        return Reading(f"box + {margin} mm", "B", 40, 40, 0.6, 0.5, 0.69, 0.65, p, p)

    def margin(*ps: float) -> float | None:
        rows = [reading(mm, p) for mm, p in zip((20, 0, 5), ps, strict=True)]
        return crop_margin(Readings(tuple(rows), {}), {})

    assert margin(0.01, 0.5, 0.5) == 5.0
    assert margin(0.5, 0.5, 0.5) == 20.0
    assert margin(0.5, 0.01, 0.5) is None


def crops(*highs: float) -> Readings:
    """Return readings of crops with 0, 5, 10 ... mm, none of which is shown, with these upper limits."""
    rows = [
        Reading(f"box + {5 * place} mm", "B", 12, 50, 0.5, 0.4, high, 0.75, 0.5, 0.5)
        for place, high in enumerate(highs)
    ]
    return Readings(tuple(rows), {})


def test_a_crop_wider_than_the_tightest_must_exclude_what_would_matter_and_remove_something() -> None:
    assert crop_margin(crops(0.65, 0.68, 0.66), {}) == 10.0
    assert crop_margin(crops(0.65, 0.72, 0.75), {}) == 0.0
    weak = choose_crop(crops(0.72, 0.75, 0.8), {})
    assert weak is not None
    assert (weak.margin, weak.excluded) == (0.0, False)
    assert crop_margin(crops(0.65, 0.68, 0.66), {0.0: 0.5, 5.0: 0.3, 10.0: 0.01}) == 5.0
    assert crop_margin(crops(0.65, 0.68), {0.0: 0.2, 5.0: 0.1}) is None


WIDE = {"box_+_0_mm": 0.5, "box_+_5_mm": 0.5, "box_+_10_mm": 0.5}


@pytest.mark.parametrize(
    ("aucs", "margin"),
    [
        ({}, 10.0),
        ({"box_+_0_mm": 0.8}, None),  # a wide crop dilutes it
        ({"box_+_0_mm": 0.8, "organ_only": 0.8}, None),
        ({"organ_only": 0.8}, None),
        ({"intensity_within_the_reference": 1.0}, 10.0),  # by scale and offset, which a crop has none of
        ({"intensity_within_the_reference,_crop_standardised": 1.0}, None),
        ({"reference_mask": 0.8}, None),
        ({"roughness_of_the_outline": 0.9}, 10.0),  # no crop shows what the hands did
        ({"box_+_5_mm": 0.8}, 0.0),
        ({"box_+_5_mm": 0.65}, 0.0),  # nor is it excluded beyond that
        ({"outside_the_box": 0.9}, 10.0),
    ],
)
def test_no_margin_hides_what_a_tighter_crop_or_the_organ_tells(
    aucs: dict[str, float], margin: float | None
) -> None:
    assert crop_margin(readings(**WIDE | aucs), {}) == margin


def test_the_tightest_crop_is_a_part_of_the_remedy_and_says_what_stays() -> None:
    marker = {"outside_the_box": 0.98, **WIDE, "box_+_0_mm": 0.8}
    for aucs, by_organ in ((marker, False), (marker | {"organ_only": 1.0}, True)):
        result = readings(**aucs)
        crop = next(one for one in advise(result, None, [], [], []) if one.kind == "crop")
        assert crop.facts["margin"] == 0.0
        assert crop.facts["crop"].by_organ == by_organ
        assert "within: too" in crop.strength


def test_a_view_that_holds_the_organ_does_not_say_that_the_outside_tells() -> None:
    result = readings(whole_image=0.9, organ_only=0.5, **WIDE)
    (advice,) = advise(result, None, [], [], [])
    assert (advice.kind, advice.facts["outside"], advice.facts["known"]) == ("crop", False, False)
    assert [row.view for row in told_by_both(result)] == ["whole image"]
    aside, _ = advise(readings(whole_image=0.9, position_of_the_organ=0.9, **WIDE), None, [], [], [])
    assert (aside.kind, aside.facts["outside"], aside.facts["known"]) == ("crop", False, True)
    dark = readings(whole_image=0.9, organ_only=0.5, intensity_within_the_reference=0.95, **WIDE)
    assert told_by_both(dark) == []
