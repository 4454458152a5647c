"""Masks in memory are scored exactly as files of them, and errors name them, not the files they became."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch

import fairseg
from fairseg import Groups
from fairseg.scoring import Scores

SPACING = (8.0, 1.5, 1.5)
COHORT = pd.DataFrame({"case": [f"c{place}" for place in range(6)], "sex": ["F", "M"] * 3})
OPTIONS: dict[str, Any] = {"labels": {"LV": 1, "MYO": 2}, "metrics": ["dice", "hd95", "assd"]}


def masks() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return predictions and references by case."""
    rng = np.random.default_rng(0)
    away = np.hypot(*np.mgrid[-10:10, -10:10])
    true, predicted = {}, {}
    for case in COHORT["case"]:
        mask = np.zeros((3, 20, 20), np.uint8)
        mask[:, away < 7], mask[:, away < 4] = 2, 1
        true[case], predicted[case] = mask, np.roll(mask, int(rng.integers(0, 3)), 2)
    return predicted, true


def test_arrays_have_the_scores_of_their_files(tmp_path: Path) -> None:
    predicted, true = masks()
    for name, side in (("predictions", predicted), ("references", true)):
        (tmp_path / name).mkdir()
        for case, mask in side.items():
            image = sitk.GetImageFromArray(mask)
            image.SetSpacing(SPACING[::-1])
            sitk.WriteImage(image, tmp_path / name / f"{case}.nii.gz")
    expected = fairseg.evaluate(tmp_path / "predictions", tmp_path / "references", COHORT, **OPTIONS)
    tensors = {case: torch.tensor(mask.astype(np.float32)) for case, mask in predicted.items()}
    for one, other in (
        (predicted, true),
        ([*predicted.values()], tuple(true.values())),
        (tensors, true),
        (predicted, tmp_path / "references"),
    ):
        scores = fairseg.evaluate(one, other, COHORT, spacing=SPACING, **OPTIONS)
        pd.testing.assert_frame_equal(scores, expected)
    with_workers = fairseg.evaluate(predicted, true, COHORT, spacing=SPACING, num_workers=2, **OPTIONS)
    pd.testing.assert_frame_equal(with_workers, expected)


def test_attributes_that_are_numbers_are_numbers_whatever_the_cohort_was(tmp_path: Path) -> None:
    predicted, true = masks()
    columns = {
        "age": [61, 72, None, 50, 41, 39],
        "bmi": [22.5, 31.0, 28.25, 20, 19, 30],
        "ward": list("124123"),
    }
    cohort = COHORT.assign(**columns, room=["01", "2", "3"] * 2, grade=["1.0", "2", "3"] * 2, code="x")
    cohort.to_csv(tmp_path / "cases.csv", index=False)
    scores = fairseg.evaluate(predicted, true, tmp_path / "cases.csv", **OPTIONS)
    first = scores.drop_duplicates("case")
    assert first["age"].mean() == np.mean([61, 72, 50, 41, 39])
    assert first["bmi"].mean() == cohort["bmi"].mean()
    assert first["ward"].tolist() == [1, 2, 4, 1, 2, 3]
    assert first["grade"].tolist() == [1, 2, 3] * 2
    for name in ("room", "code"):
        assert first[name].tolist() == cohort[name].tolist()
    in_memory = fairseg.evaluate(predicted, true, cohort, **OPTIONS)
    for name in ("age", "ward", "room", "grade"):
        names = Groups.from_table(fairseg.read_cohort(tmp_path / "cases.csv"), by=name).names
        assert Groups.from_table(scores, by=name).names == names
        assert Groups.from_table(in_memory, by=name).names == names


def test_arrays_are_audited() -> None:
    predicted, true = masks()
    by_name = fairseg.audit(predictions=predicted, references=true, cohort=COHORT, by="sex", min_size=2)
    in_order = fairseg.audit([*predicted.values()], [*true.values()], COHORT, "sex", min_size=2)
    assert by_name.groups.equals(in_order.groups)
    assert by_name.groups["n"].tolist() == [3, 3]


def test_what_cannot_be_scored_is_called_by_its_case() -> None:
    predicted, true = masks()
    short = {case: mask for case, mask in predicted.items() if case != "c3"}
    short["c1"] = short["c1"] + 0.5
    scores = fairseg.evaluate(short, true, COHORT, on_error="skip")
    reasons = scores.set_index("case")["skipped"].dropna()
    assert reasons["c3"] == "no prediction in predictions"
    assert reasons["c1"].startswith("prediction must hold integer labels")
    one_hot = {**predicted, "c1": np.eye(3, dtype=np.uint8)[predicted["c1"]]}
    with pytest.raises(
        ValueError, match=r"case c1: .*predictions\['c1'\] must hold labels|case c1: "
    ) as error:
        fairseg.evaluate(one_hot, true, COHORT)
    assert "/tmp" not in str(error.value)
    assert ".npy" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda masks: [*masks.values()][1:],
            "one array a case of the cohort, in its order, got 5 arrays for 6",
        ),
        (lambda masks: {"a/b": masks["c0"]}, "must be a name without '/', got 'a/b'"),
        (
            lambda masks: {**masks, "c0": masks["c0"].astype(object)},
            r"\['c0'\] must hold labels, got dtype object",
        ),
        (lambda masks: {"c0": "c0.nii.gz"}, "must be folders of masks, arrays by case such as"),
        (lambda masks: masks["c0"], r"\{'p01': mask\}, .*got one array: .*fairseg\.metrics\.score_case"),
    ],
)
def test_masks_of_no_form_that_is_taken_are_named(change: Any, message: str) -> None:
    predicted, true = masks()
    with pytest.raises(ValueError, match=message):
        fairseg.evaluate(change(predicted), true, COHORT)


def test_folders_in_the_place_of_scores_end_in_the_line_to_type(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"score each first, fairseg.compare\(\{'a': fairseg.evaluate\('"):
        fairseg.compare({"a": str(tmp_path), "b": str(tmp_path)}, by="sex", references="x")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="score each first"):
        fairseg.compare(str(tmp_path), str(tmp_path), "sex")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"fairseg.audit\('.*', 'references', 'groups.csv', by='sex'\)"):
        fairseg.audit(tmp_path, by="sex")


def test_persons_of_a_cohort_of_another_name_are_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    predicted, true = masks()
    names = [f"c{place}" for place in range(20)]
    cohort = pd.DataFrame({"case": names, "who": [place // 2 for place in range(20)]})
    cohort["sex"] = np.where(cohort["who"] % 2, "F", "M")
    predicted, true = ({case: next(iter(side.values())) for case in names} for side in (predicted, true))
    for table in (cohort, fairseg.read_cohort(cohort)):
        caplog.clear()
        scores = fairseg.evaluate(predicted, true, table, spacing=SPACING, **OPTIONS)
        assert caplog.text.count("if the column 'who'") == (1 if table is cohort else 0)
        assert "if the column 'who'" in Scores.of(scores).doubts[0]
