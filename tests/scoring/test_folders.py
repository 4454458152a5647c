"""The scores table: the right rows in the right order, and nothing left out without a word."""

import json
import logging
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import SimpleITK as sitk
from medpy.metric import binary
from PIL import Image

from fairseg.cohort.columns import VOLUMES, VOXELS
from fairseg.cohort.table import read_cohort
from fairseg.io.images import find_masks
from fairseg.metrics import volumes
from fairseg.scoring import case as work
from fairseg.scoring import evaluate
from fairseg.scoring.cross_check import cross_check_scores
from fairseg.scoring.folders import score_folders
from fairseg.scoring.labels import LabelMap
from fairseg.scoring.table import Scores

Save = Callable[..., Path]

SPACING = (8.0, 1.5, 1.25)  # of the shared cohort: z, y, x
SHAPE = (4, 16, 18)
LABELS = {"RVBP": 1, "LVM": 2, "LVBP": 3}
CODES = LabelMap(*({name: (value,) for name, value in LABELS.items()},) * 2)
ALL_METRICS = ("dice", "hd", "hd95_pooled", "assd", "nsd")


def score(cohort: Path, table: Any = None, **options: Any) -> pd.DataFrame:
    table = read_cohort(cohort / "groups.csv") if table is None else table
    return evaluate(cohort / "predictions", cohort / "references", table, **options)


def scored(cohort: Path, table: Any = None, **options: Any) -> Scores:
    table = read_cohort(cohort / "groups.csv") if table is None else table
    return score_folders(cohort / "predictions", cohort / "references", table, **options)


def mask_of(cohort: Path, kind: str, case: str) -> npt.NDArray[np.uint8]:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(cohort / kind / f"{case}.nii.gz")))


def only_note(scores: pd.DataFrame | Scores) -> str:
    (note,) = Scores.of(scores).notes
    return note


def skipped(cohort: Path) -> dict[str, str]:
    return Scores.of(score(cohort, on_error="skip")).reasons


def cut(path: Path, keep: float = 0.5) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])


@pytest.fixture
def flat(tmp_path: Path, save_mask: Save) -> Path:
    """Return folders of two cases as PNG, a voxel in each mask; PNG states no size."""
    for folder in ("predictions", "references"):
        (tmp_path / folder).mkdir()
        for case in ("a", "b"):
            voxels = np.zeros((6, 6), np.uint8)
            voxels[1, 1 if folder == "references" else 4] = 1
            save_mask(tmp_path / folder / f"{case}.png", voxels, spacing=(1.0, 1.0))
    return tmp_path


PNG_TABLE = {"case": ["a", "b"], "sex": ["F", "M"]}


# --- the unit


def test_distances_between_png_masks_are_in_pixels_and_a_note_says_so(flat: Path) -> None:
    scores = score(flat, PNG_TABLE)
    assert list(scores["hd"]) == [3.0, 3.0]
    assert list(scores["distance_unit"]) == ["px", "px"]
    assert Scores.of(scores).unit == "px"
    assert only_note(scores).startswith("distances are in pixels")


def test_the_tolerance_is_in_pixels_too(flat: Path) -> None:
    scores = score(flat, PNG_TABLE, metrics=("dice", "nsd"), tolerance=3.0)
    assert list(scores["nsd"]) == [1.0, 1.0]
    assert Scores.of(scores).unit == "px"
    assert only_note(scores).startswith("the tolerance of nsd is in pixels")


def test_dice_has_no_unit(flat: Path) -> None:
    scores = score(flat, PNG_TABLE, metrics=("dice",))
    assert "distance_unit" not in scores
    assert Scores.of(scores).unit is None
    assert Scores.of(scores).notes == ()


def test_a_png_with_a_voxel_size_of_its_own_is_in_mm(flat: Path, save_mask: Save) -> None:
    for path in flat.glob("*/*.png"):
        voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        save_mask(path, voxels, spacing=(2.0, 2.0))
    scores = score(flat, PNG_TABLE)
    assert list(scores["hd"]) == [6.0, 6.0]
    assert list(scores["distance_unit"]) == ["mm", "mm"]
    assert Scores.of(scores).notes == ()


def test_a_png_among_other_files_is_named(flat: Path, save_mask: Save) -> None:
    for folder in ("predictions", "references"):
        path = flat / folder / "b.png"
        save_mask(
            path.with_name("b.nii"), sitk.GetArrayFromImage(sitk.ReadImage(str(path))), spacing=(2.0, 2.0)
        )
        path.unlink()
    scores = score(flat, PNG_TABLE)
    assert list(scores["hd"]) == [3.0, 6.0]
    assert list(scores["distance_unit"]) == ["px", "mm"]
    one = Scores.of(scores)
    assert one.unit == "mm"
    np.testing.assert_equal(
        one.table["hd"].to_numpy(), [np.nan, 6.0]
    )  # pixels are no mm: left out, and noted
    assert one.table["dice"].notna().all()
    assert only_note(one).endswith("(1 case: a)")
    assert Scores.of(one.to_frame()).notes == one.notes


# --- volumes


def test_volumes_are_voxels_times_the_size_of_a_voxel(cohort: Path) -> None:
    for row in score(cohort).itertuples():
        for kind in ("prediction", "reference"):
            mask = mask_of(cohort, f"{kind}s", row.case)
            expected = volumes(mask, [LABELS[row.label]], spacing=SPACING).item()
            assert expected > 0
            assert getattr(row, f"{kind}_ml") == expected  # to the last bit


def test_a_label_that_a_mask_lacks_has_a_volume_of_nothing_not_a_missing_one(with_a_miss: Path) -> None:
    scores = score(with_a_miss)
    for voxels, volume in zip(VOXELS, VOLUMES, strict=True):
        empty = scores[voxels] == 0
        assert empty.any()
        assert (scores.loc[empty, volume] == 0).all()
        assert (scores.loc[~empty, volume] > 0).all()


def test_without_named_labels_an_absent_one_has_a_volume_of_nothing_too(with_a_miss: Path) -> None:
    (with_a_miss / "dataset.json").unlink()
    pd.testing.assert_frame_equal(
        score(with_a_miss)[list(VOLUMES)], score(with_a_miss, labels=LABELS)[list(VOLUMES)]
    )


@pytest.mark.parametrize("kind", ["png", "nii.gz"])
def test_flat_masks_have_no_volume_and_the_table_no_such_columns(
    flat: Path, save_mask: Save, kind: str
) -> None:
    for path in list(flat.glob("*/*.png")):
        if kind != "png":
            voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
            save_mask(path.with_name(f"{path.stem}.{kind}"), voxels, spacing=(2.0, 2.0))
            path.unlink()
    scores = score(flat, PNG_TABLE)
    assert list(scores.columns[-2:]) == list(VOXELS)


def test_voxels_without_a_size_have_no_volume(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # No format that is read today has three axes and no size; one that comes must not be taken for mm.
    monkeypatch.setattr(work, "with_spacing", lambda mask, _: replace(mask, unit="px"))
    scores = score(cohort)
    assert list(scores.columns[-2:]) == list(VOXELS)
    assert Scores.of(scores).unit == "px"


def test_among_volumes_a_flat_mask_has_none(cohort: Path, save_mask: Save) -> None:
    for folder in ("predictions", "references"):
        middle = mask_of(cohort, folder, "s3_ED")[1]
        (cohort / folder / "s3_ED.nii.gz").unlink()
        save_mask(cohort / folder / "s3_ED.png", middle, spacing=(1.0, 1.0))
    scores = score(cohort, cross_check=100)
    flat_one = scores["case"] == "s3_ED"
    assert (scores.loc[flat_one, "reference_voxels"] > 0).any()
    assert scores.loc[flat_one, list(VOLUMES)].isna().all(axis=None)
    assert scores.loc[~flat_one, list(VOLUMES)].notna().all(axis=None)


# --- the table


def test_columns_and_rows_stand_in_the_order_of_cohort_labels_and_metrics(cohort: Path) -> None:
    table = read_cohort(cohort / "groups.csv").iloc[::-1]
    scores = score(cohort, table, metrics=("hd", "dice"), labels={"LVBP": 3, "RVBP": 1})
    assert list(scores.columns) == [
        *("case", "subject", "sex", "site", "age"),
        *("label", "hd", "dice", "distance_unit"),
        *("prediction_voxels", "reference_voxels", "prediction_ml", "reference_ml"),
        "note",  # of LVM, which is in the masks and not scored
    ]
    assert list(scores["case"]) == [case for case in table["case"] for _ in range(2)]
    assert list(scores["label"]) == ["LVBP", "RVBP"] * len(table)
    assert scores.index.equals(pd.RangeIndex(20))


def test_every_value_is_that_of_medpy_computed_here(cohort: Path) -> None:
    scores = score(cohort, metrics=ALL_METRICS, tolerance=2.0)
    assert len(scores) == 30
    for row in scores.itertuples():
        predicted = mask_of(cohort, "predictions", row.case) == LABELS[row.label]
        true = mask_of(cohort, "references", row.case) == LABELS[row.label]
        assert row.dice == pytest.approx(binary.dc(predicted, true), abs=1e-9)
        assert row.hd == pytest.approx(binary.hd(predicted, true, SPACING), abs=1e-9)
        assert row.hd95_pooled == pytest.approx(binary.hd95(predicted, true, SPACING), abs=1e-9)
        assert row.assd == pytest.approx(binary.assd(predicted, true, SPACING), abs=1e-9)
        assert 0.0 <= row.nsd <= 1.0
        assert row.prediction_voxels == predicted.sum()
        assert row.reference_voxels == true.sum()
    assert scores["dice"].nunique() > 20  # else little is shown here


def test_attributes_are_those_of_the_case(cohort: Path) -> None:
    table = read_cohort(cohort / "groups.csv").set_index("case")
    for row in score(cohort).itertuples():
        assert (row.subject, row.sex, row.site, str(row.age)) == tuple(table.loc[row.case])


def test_a_mapping_gives_the_same_as_a_data_frame(cohort: Path) -> None:
    table = read_cohort(cohort / "groups.csv")
    mapping = {name: list(table[name]) for name in table}
    pd.testing.assert_frame_equal(score(cohort, mapping), score(cohort, table), check_dtype=False)


def test_without_a_column_subject_the_case_is_the_subject(cohort: Path) -> None:
    scores = score(cohort, {"case": ["s1_ED", "s1_ES"], "sex": ["F", "F"]})
    known = scores[scores["sex"].notna()]
    assert list(known["subject"]) == list(known["case"])


def test_a_case_without_a_subject_among_others_is_noted(cohort: Path) -> None:
    table = {"case": ["s1_ED", "s1_ES", "gone"], "subject": ["s1", None, None], "sex": ["F", "F", "M"]}
    scores = score(cohort, table)
    assert scores.loc[scores["note"].str.contains("no subject", na=False), "case"].unique() == ["s1_ES"]
    assert scores.loc[scores["case"] == "s1_ES", "subject"].unique() == ["s1_ES"]


def test_numbers_as_case_names_match_the_files(tmp_path: Path, save_mask: Save) -> None:
    for folder in ("predictions", "references"):
        (tmp_path / folder).mkdir()
        for case in (7, 12):
            save_mask(tmp_path / folder / f"{case}.nii", np.ones((2, 3, 3), np.uint8))
    scores = score(tmp_path, {"case": [12, 7], "sex": ["F", "M"]})
    assert list(scores["case"]) == ["12", "7"]
    assert list(scores["dice"]) == [1.0, 1.0]


@pytest.mark.parametrize("metrics", [("dice", "hd"), ALL_METRICS])
def test_two_worker_processes_give_the_same_as_one(cohort: Path, metrics: tuple[str, ...]) -> None:
    cut(cohort / "predictions" / "s3_ED.nii.gz")
    options: dict[str, Any] = {"metrics": metrics, "tolerance": 2.0, "on_error": "skip"}
    one, two = score(cohort, **options), score(cohort, num_workers=2, **options)
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert one["skipped"].dropna().size == 1


def test_two_worker_processes_stop_at_the_same_case_as_one(cohort: Path) -> None:
    cut(cohort / "predictions" / "s5_ED.nii.gz")
    cut(cohort / "predictions" / "s3_ED.nii.gz")
    for workers in (1, 2):
        with pytest.raises(ValueError, match=r"case s3_ED: .*s3_ED\.nii\.gz"):
            score(cohort, num_workers=workers)


# --- labels


def test_labels_given_win_over_dataset_json(cohort: Path) -> None:
    scores = score(cohort, labels=[2])
    assert set(scores["label"]) == {2}


def test_labels_of_dataset_json_keep_their_names_and_order(cohort: Path) -> None:
    assert list(score(cohort)["label"][:3]) == ["RVBP", "LVM", "LVBP"]


def test_without_dataset_json_every_value_in_a_reference_is_a_label(cohort: Path) -> None:
    (cohort / "dataset.json").unlink()
    named = score(cohort, labels=LABELS)
    result = score(cohort)
    assert list(result["label"][:3]) == [1, 2, 3]
    assert list(result["dice"]) == list(named["dice"])


def test_a_found_label_that_one_case_lacks_has_a_row_there_all_the_same(
    cohort: Path, save_mask: Save
) -> None:
    (cohort / "dataset.json").unlink()
    for kind in ("predictions", "references"):
        voxels = mask_of(cohort, kind, "s4_ED")
        voxels[voxels == 3] = 0
        save_mask(cohort / kind / "s4_ED.nii.gz", voxels)
    scores = score(cohort)
    assert len(scores) == 30
    row = scores[(scores["case"] == "s4_ED") & (scores["label"] == 3)].iloc[0]
    assert np.isnan(row["dice"])
    assert np.isnan(row["hd"])
    assert (row["prediction_voxels"], row["reference_voxels"]) == (0, 0)


def test_a_value_that_only_a_prediction_has_is_no_label_and_is_noted(cohort: Path, save_mask: Save) -> None:
    (cohort / "dataset.json").unlink()
    voxels = mask_of(cohort, "predictions", "s4_ED")
    voxels[0, 0, 0] = 9
    save_mask(cohort / "predictions" / "s4_ED.nii.gz", voxels)
    scores = score(cohort)
    assert set(scores["label"]) == {1, 2, 3}
    assert re.search(r"prediction.*\b9\b.*\(1 case: s4_ED\)", only_note(scores))


def test_values_that_are_no_label_are_noted_with_value_and_case(cohort: Path, save_mask: Save) -> None:
    voxels = mask_of(cohort, "references", "s4_ED")
    voxels[0, 0, 0] = 9
    save_mask(cohort / "references" / "s4_ED.nii.gz", voxels)
    scores = score(cohort)
    assert set(scores["label"]) == set(LABELS)
    assert re.search(r"reference.*\b9\b.*s4_ED", only_note(scores))


def test_labels_that_no_mask_has_are_an_error_that_names_them(cohort: Path) -> None:
    with pytest.raises(ValueError, match=r"labels.*\b7\b"):
        score(cohort, labels=[1, 7])
    with pytest.raises(ValueError, match=r"labels.*atrium"):
        score(cohort, labels={"RVBP": 1, "atrium": 7})


@pytest.mark.parametrize("labels", [[], [0], [-1], [1, 1], [1.5], "1", {"a": 1, "b": 1}, {"background": 0}])
def test_labels_that_are_not_usable_are_an_error_that_names_the_argument(cohort: Path, labels: Any) -> None:
    with pytest.raises(ValueError, match="labels"):
        score(cohort, labels=labels)


@pytest.mark.parametrize(
    "labels",
    [{"background": 0}, {"background": 0, "RVBP": -1}, {"background": 0, "RVBP": 1, "LVM": 1}],
    ids=["background only", "negative", "value twice"],
)
def test_labels_of_dataset_json_that_are_not_usable_are_an_error_that_names_the_file(
    cohort: Path, labels: dict[str, int]
) -> None:
    # Nobody gave labels, so an error about an argument `labels` alone leaves the reader searching.
    (cohort / "dataset.json").write_text(json.dumps({"labels": labels}))
    with pytest.raises(ValueError, match=r"dataset\.json"):
        score(cohort)


def test_references_of_background_only_are_an_error(tmp_path: Path, save_mask: Save) -> None:
    for folder in ("predictions", "references"):
        (tmp_path / folder).mkdir()
        save_mask(tmp_path / folder / "a.nii", np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(ValueError, match="references"):
        score(tmp_path, {"case": ["a"], "sex": ["F"]})


# --- empty masks


@pytest.fixture
def with_a_miss(cohort: Path, save_mask: Save) -> Path:
    """The cohort, with the LVBP of s4_ED not predicted and the RVBP of s5_ED in no mask."""
    for kind, case, value in (
        ("predictions", "s4_ED", 3),
        ("predictions", "s5_ED", 1),
        ("references", "s5_ED", 1),
    ):
        voxels = mask_of(cohort, kind, case)
        voxels[voxels == value] = 0
        save_mask(cohort / kind / f"{case}.nii.gz", voxels)
    return cohort


@pytest.mark.parametrize("empty", ["nan", "diagonal"])
def test_a_missed_structure_is_never_rewarded(with_a_miss: Path, empty: str) -> None:
    scores = score(with_a_miss, metrics=ALL_METRICS, tolerance=1.0, empty=empty).set_index(["case", "label"])
    missed, neither = scores.loc[("s4_ED", "LVBP")], scores.loc[("s5_ED", "RVBP")]
    assert missed["dice"] == 0.0
    assert missed["nsd"] == 0.0
    assert missed["prediction_voxels"] == 0
    assert missed["reference_voxels"] > 0
    diagonal = np.linalg.norm(np.array(SHAPE) * SPACING)
    for metric in ("hd", "hd95_pooled", "assd"):
        assert missed[metric] == pytest.approx(diagonal if empty == "diagonal" else np.nan, nan_ok=True)
    assert neither[list(ALL_METRICS)].isna().all()
    assert scores[["hd", "dice"]].drop([("s4_ED", "LVBP"), ("s5_ED", "RVBP")]).notna().all(axis=None)


# --- cases


def test_a_case_in_the_folders_but_not_in_the_cohort_is_scored_and_named(cohort: Path) -> None:
    table = read_cohort(cohort / "groups.csv")
    scores = score(cohort, table[table["case"] != "s4_ED"])
    assert list(scores["case"][-3:]) == ["s4_ED"] * 3
    extra = scores[scores["case"] == "s4_ED"]
    assert extra[["sex", "site", "age"]].isna().all(axis=None)
    assert list(extra["subject"]) == ["s4_ED"] * 3
    assert extra["dice"].notna().all()
    assert "(1 case: s4_ED)" in only_note(scores)


def test_a_case_of_the_cohort_without_files_is_left_out_and_named(cohort: Path) -> None:
    for kind in ("predictions", "references"):
        (cohort / kind / "s4_ED.nii.gz").unlink()
    scores = scored(cohort)
    assert "s4_ED" not in set(scores.table["case"])
    assert len(scores.table) == 27
    assert "s4_ED" in only_note(scores)


@pytest.mark.parametrize("kind", ["predictions", "references"])
def test_a_file_of_one_folder_only_that_the_cohort_lacks_is_left_out_and_named(
    cohort: Path, kind: str
) -> None:
    (cohort / kind / "other.nii.gz").write_bytes((cohort / kind / "s1_ED.nii.gz").read_bytes())
    scores = scored(cohort)
    assert "other" not in set(scores.table["case"])
    assert "other" in only_note(scores)
    assert kind.removesuffix("s") in only_note(scores)


@pytest.mark.parametrize("kind", ["predictions", "references"])
def test_a_case_with_one_of_its_two_files_is_an_error_that_names_it(cohort: Path, kind: str) -> None:
    (cohort / kind / "s4_ED.nii.gz").unlink()
    with pytest.raises(ValueError, match=rf"{kind.removesuffix('s')}.*s4_ED"):
        score(cohort)


def test_no_shared_case_is_an_error_that_shows_both_sides(cohort: Path) -> None:
    with pytest.raises(ValueError, match=r"patient1.*s1_ED"):
        score(cohort, {"case": ["patient1"], "sex": ["F"]})


@pytest.mark.parametrize("kind", ["predictions", "references"])
def test_two_files_of_one_case_are_an_error_that_names_them(cohort: Path, save_mask: Save, kind: str) -> None:
    save_mask(cohort / kind / "s4_ED.mha", np.ones(SHAPE, np.uint8))
    with pytest.raises(ValueError, match=r"s4_ED\.mha.*s4_ED\.nii\.gz"):
        score(cohort, on_error="skip")


def test_notes_are_logged_each_once(cohort: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = read_cohort(cohort / "groups.csv")
    with caplog.at_level(logging.WARNING, logger="fairseg"):
        scores = scored(cohort, table[table["case"] != "s4_ED"], cross_check=1)
    assert len(scores.notes) == 2
    assert tuple(record.getMessage() for record in caplog.records) == scores.notes


def test_nothing_is_noted_where_all_is_well(cohort: Path) -> None:
    scores = score(cohort)
    assert not {"note", "skipped"} & set(scores)
    assert Scores.of(scores).notes == scored(cohort).notes == ()
    assert Scores.of(scores).skipped.empty


def test_a_message_of_the_image_reader_is_noted_once_for_all_cases(tmp_path: Path, save_mask: Save) -> None:
    for folder in ("predictions", "references"):
        (tmp_path / folder).mkdir()
        for case in ("a", "b"):
            path = save_mask(tmp_path / folder / f"{case}.nii", np.ones((2, 3, 3), np.uint8))
            content = bytearray(path.read_bytes())
            content[252:256] = (0).to_bytes(2, "little") + (1).to_bytes(2, "little")  # qform, sform code
            content[280:328] = np.eye(3, 4, dtype="<f4").tobytes()  # sform of unit scale, as in ACDC
            path.write_bytes(content)
    scores = score(tmp_path, {"case": ["a", "b"], "sex": ["F", "M"]})
    assert "sform" in only_note(scores)
    assert "(2 cases: a, b)" in only_note(scores)


# --- errors and skipping


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_in_place_of_the_cohort_is_read(cohort: Path, kind: type) -> None:
    pd.testing.assert_frame_equal(score(cohort, kind(cohort / "groups.csv")), score(cohort))
    with pytest.raises(ValueError, match=r"nowhere\.csv cannot be read"):
        score(cohort, kind("nowhere.csv"))


def test_of_many_reasons_why_nothing_could_be_scored_five_are_told(cohort: Path) -> None:
    for path in (cohort / "predictions").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"and 5 more errors$") as raised:
        score(cohort, on_error="skip")
    assert str(raised.value).count("cannot be read") + str(raised.value).count("truncated") == 5


def test_skipping_leaves_out_the_case_keeps_the_others_and_says_why(cohort: Path) -> None:
    whole = score(cohort)
    cut(cohort / "predictions" / "s3_ED.nii.gz")
    (cohort / "references" / "s4_ED.nii.gz").unlink()
    frame = score(cohort, on_error="skip")
    scores = Scores.of(frame)
    assert set(scores.reasons) == {"s3_ED", "s4_ED"}
    assert "s3_ED.nii.gz" in scores.reasons["s3_ED"]
    assert "reference" in scores.reasons["s4_ED"]
    assert scores.skipped[["subject", "sex", "site", "age"]].to_numpy().tolist() == [
        ["s4", "M", "B", "58"],
        ["s3", "F", "B", "52"],
    ]
    assert frame.loc[frame["skipped"].notna(), ["label", "dice", "hd"]].isna().all(axis=None)
    others = whole[~whole["case"].isin(["s3_ED", "s4_ED"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(scores.table, Scores.of(others).table, check_exact=True)


def test_skipping_every_case_is_an_error(cohort: Path) -> None:
    for path in (cohort / "predictions").iterdir():
        cut(path)
    with pytest.raises(ValueError, match="no case"):
        score(cohort, on_error="skip")


def bad_voxels(change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Callable[[Path, Save], None]:
    def spoil(path: Path, save_mask: Save) -> None:
        voxels = change(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
        save_mask(path, voxels)

    return spoil


def put(value: float, dtype: type) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    def change(voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        changed = voxels.astype(dtype)
        changed[1, 2, 3] = value
        return changed

    return change


@pytest.mark.parametrize("kind", ["predictions", "references"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put(0.5, np.float32), r"integer.*0\.5"),
        (put(np.nan, np.float32), "NaN"),
        (put(np.inf, np.float64), "infinity"),
        (put(-1, np.int16), ">= 0.*-1"),
        (lambda voxels: voxels[:1], "grid.*size"),
        (lambda voxels: voxels[:, :-1], "grid.*size"),
        (lambda voxels: np.stack([voxels] * 3, axis=-1), "channel|grid|spacing"),
    ],
    ids=["fraction", "nan", "infinity", "negative", "would broadcast", "smaller", "colour"],
)
def test_a_mask_that_is_not_usable_is_an_error_that_names_the_case(
    cohort: Path, save_mask: Save, kind: str, change: Any, said: str
) -> None:
    bad_voxels(change)(cohort / kind / "s3_ED.nii.gz", save_mask)
    with pytest.raises(ValueError, match=f"s3_ED.*({said})"):
        score(cohort)
    assert list(skipped(cohort)) == ["s3_ED"]


def test_an_image_of_another_format_under_this_name_costs_only_its_case(
    cohort: Path, save_mask: Save
) -> None:
    png = save_mask(cohort / "a.png", np.ones((4, 4), np.uint8), spacing=(1.0, 1.0))
    (cohort / "predictions" / "s3_ED.nii.gz").write_bytes(png.read_bytes())
    with pytest.raises(ValueError, match="s3_ED"):
        score(cohort)
    assert list(skipped(cohort)) == ["s3_ED"]


def test_a_png_prediction_of_a_3d_reference_is_a_grid_error(cohort: Path, save_mask: Save) -> None:
    (cohort / "predictions" / "s3_ED.nii.gz").unlink()
    save_mask(cohort / "predictions" / "s3_ED.png", np.ones((16, 18), np.uint8), spacing=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"s3_ED.*grid"):
        score(cohort)


def test_formats_may_be_mixed_on_one_grid(tmp_path: Path, save_mask: Save) -> None:
    flat = np.zeros((8, 9), np.uint8)
    flat[2:6, 2:7] = 1
    for folder, extension in (("predictions", ".png"), ("references", ".nii.gz")):
        (tmp_path / folder).mkdir()
        save_mask(tmp_path / folder / f"a{extension}", flat, spacing=(1.0, 1.0))
    scores = score(tmp_path, {"case": ["a"], "sex": ["F"]}, cross_check=1)
    assert list(scores["dice"]) == [1.0]


# --- the cohort and the other arguments


def test_two_rows_of_one_case_are_an_error_that_names_it(cohort: Path) -> None:
    with pytest.raises(ValueError, match=r"cohort.*s1_ED"):
        score(cohort, {"case": ["s1_ED", "s2_ED", "s1_ED"], "sex": ["F", "M", "F"]})


def test_a_number_and_its_text_are_the_same_case_twice(cohort: Path) -> None:
    with pytest.raises(ValueError, match=r"cohort.*7"):
        score(cohort, {"case": [7, "7"], "sex": ["F", "M"]})


@pytest.mark.parametrize("name", ["label", "dice", "hd95", *VOXELS, *VOLUMES, "distance_unit", "skipped"])
def test_an_attribute_with_the_name_of_a_score_is_an_error_that_names_it(cohort: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"cohort.*{name}"):
        score(cohort, {"case": ["s1_ED"], name: ["x"]})


@pytest.mark.parametrize(
    "table",
    [
        {"sex": ["F"]},
        {},
        {"case": ["s1_ED", "s2_ED"], "sex": ["F"]},
        {"case": ["s1_ED", None], "sex": ["F", "M"]},
        {"case": [], "sex": []},
    ],
    ids=["no case", "nothing", "lengths differ", "a case missing", "no row"],
)
def test_a_cohort_that_is_not_usable_is_an_error_that_names_the_argument(
    cohort: Path, table: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="cohort"):
        score(cohort, table)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"metrics": ("nsd",)}, "tolerance"),
        ({"metrics": ("nsd",), "tolerance": -1.0}, "tolerance"),
        ({"metrics": ("nsd",), "tolerance": float("nan")}, "tolerance"),
        ({"metrics": ("jaccard",)}, "metrics.*jaccard"),
        ({"metrics": ()}, "metrics"),
        ({"metrics": "jaccard"}, "metrics.*jaccard"),
        ({"empty": "zero"}, "empty.*zero"),
        ({"on_error": "ignore"}, "on_error.*ignore"),
        ({"num_workers": 0}, "num_workers.*0"),
        ({"cross_check": -1}, "cross_check.*-1"),
    ],
)
def test_an_argument_that_is_not_usable_is_an_error_that_names_it(
    cohort: Path, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        score(cohort, **options)


def test_the_callers_table_stays_as_it_was(cohort: Path) -> None:
    table = read_cohort(cohort / "groups.csv")
    before = table.copy(deep=True)
    score(cohort, table)
    pd.testing.assert_frame_equal(table, before)


# --- cross-check with medpy


def check(cohort: Path, scores: pd.DataFrame, number: int = 10_000) -> None:
    predictions = find_masks(cohort / "predictions", "predictions")
    references = find_masks(cohort / "references", "references")
    cross_check_scores(scores, predictions, references, CODES, number)


def test_right_scores_pass_the_cross_check(with_a_miss: Path) -> None:
    score(with_a_miss, metrics=ALL_METRICS, tolerance=1.0, cross_check=10_000)
    score(with_a_miss, metrics=("hd95_pooled",), empty="diagonal", cross_check=5)


@pytest.mark.parametrize("wrong", [1e-6, -1e-6, np.nan], ids=["more", "less", "nan"])
@pytest.mark.parametrize("metric", ["dice", "hd", "hd95_pooled", "assd"])
def test_the_cross_check_finds_one_wrong_value_and_says_where(
    cohort: Path, metric: str, wrong: float
) -> None:
    scores = score(cohort, metrics=ALL_METRICS, tolerance=1.0)
    check(cohort, scores)
    scores.loc[16, metric] += wrong
    with pytest.raises(RuntimeError, match=rf"{scores['case'][16]}.*{scores['label'][16]}.*{metric}"):
        check(cohort, scores)


@pytest.mark.parametrize("column", ["prediction_voxels", "reference_voxels", "prediction_ml", "reference_ml"])
def test_the_cross_check_finds_one_wrong_size(cohort: Path, column: str) -> None:
    scores = score(cohort)
    scores.loc[16, column] += 1e-3 if column.endswith("ml") else 1
    with pytest.raises(RuntimeError, match=column):
        check(cohort, scores)


def test_the_cross_check_finds_a_missed_structure_that_was_given_a_score(with_a_miss: Path) -> None:
    # medpy's dc is defined there: 0. A rewarded miss is the worst error an audit can make.
    scores = score(with_a_miss)
    row = scores.index[(scores["case"] == "s4_ED") & (scores["label"] == "LVBP")][0]
    scores.loc[row, "dice"] = 0.9
    with pytest.raises(RuntimeError, match=r"s4_ED.*LVBP"):
        check(with_a_miss, scores)


def test_the_cross_check_says_what_it_compared(with_a_miss: Path) -> None:
    scores = scored(with_a_miss, metrics=ALL_METRICS, tolerance=2.0, cross_check=1000)
    note = only_note(scores)
    message = re.fullmatch(
        r"cross-check: 120 scores recomputed with medpy, largest difference (\d\S*)",  # 30 rows; nsd has none
        note,
    )
    assert message
    assert float(message[1]) <= 1e-9
    scores.table.loc[0, "hd"] += 5e-10
    predictions, references = (find_masks(with_a_miss / kind, kind) for kind in ("predictions", "references"))
    compared, largest = cross_check_scores(scores.table, predictions, references, CODES, 1000)
    assert compared == 120
    assert largest == pytest.approx(5e-10, rel=0.01)


def as_palette(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels, mode="P")
    image.putpalette([0, 0, 0, 200, 30, 30, 30, 200, 30])
    return image


PNGS: dict[str, Callable[[np.ndarray], Image.Image]] = {
    "palette": as_palette,
    "1 bit": lambda pixels: Image.fromarray(pixels > 0),
    "equal channels": lambda pixels: Image.fromarray(np.stack([pixels] * 3, axis=-1)),
    "grey and alpha": lambda pixels: Image.fromarray(
        np.stack([pixels, np.full_like(pixels, 255)], axis=-1), mode="LA"
    ),
    "grey": Image.fromarray,
}


@pytest.mark.parametrize("kind", PNGS)
@pytest.mark.parametrize("spacing", [None, (0.5, 2.0)])
@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_the_cross_check_reads_what_is_scored(
    tmp_path: Path, kind: str, spacing: tuple[float, float] | None
) -> None:
    for name in ("predictions", "references"):
        (tmp_path / name).mkdir()
        pixels = np.zeros((12, 20), np.uint8)
        pixels[3:8, 4:9] = 1
        PNGS[kind](np.roll(pixels, name == "predictions", 0)).save(tmp_path / name / "a.png")
    scores = scored(tmp_path, {"case": ["a"], "sex": ["F"]}, cross_check=1, spacing=spacing)
    assert scores.table["hd"].tolist() == [1.0 if spacing is None else 0.5]
    (note,) = [note for note in scores.notes if note.startswith("cross-check")]
    assert note.startswith("cross-check: 2 scores recomputed with medpy, of masks as fairseg reads them")


def test_the_cross_check_takes_arrays_and_formats_of_other_axes(tmp_path: Path, save_mask: Save) -> None:
    mask = np.zeros((4, 8, 9), np.uint8)
    mask[1:3, 2:6, 2:7] = 1
    for name in ("predictions", "references"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "predictions" / "a.npy", np.roll(mask, 1, 2))
    save_mask(tmp_path / "references" / "a.nii.gz", mask, spacing=(1.0, 1.0, 1.0))
    scores = score(tmp_path, {"case": ["a"], "sex": ["F"]}, cross_check=1, spacing=1)
    assert scores["hd"].tolist() == [1.0]


def test_the_cross_check_draws_as_many_rows_as_asked(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = score(cohort)
    measured = []
    monkeypatch.setattr(binary, "hd", lambda p, r, spacing: measured.append(1) or _medpy_hd(p, r, spacing))
    check(cohort, scores, number=7)
    assert len(measured) == 7


_medpy_hd = binary.hd


def test_the_cross_check_alone_needs_medpy(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "medpy", None)  # as if it were not installed
    assert len(score(cohort)) == 30
    monkeypatch.setitem(evaluate.__globals__, "run_all", None)  # the message comes before any scoring
    with pytest.raises(ValueError, match="cross_check needs medpy"):
        score(cohort, cross_check=1)


def test_an_ignored_value_that_no_reference_has_is_told(cohort: Path) -> None:
    note = "no reference has the value 99, which was to count for nothing (ignore)"
    assert note in scored(cohort, ignore=99).notes
    mask = np.full(SHAPE, 99, np.uint8)
    mask[1:3, 2:6, 2:7] = 1
    image = sitk.ReadImage(str(cohort / "references" / "s1_ED.nii.gz"))
    changed = sitk.GetImageFromArray(mask)
    changed.CopyInformation(image)
    sitk.WriteImage(changed, str(cohort / "references" / "s1_ED.nii.gz"))
    assert not any("count for nothing" in note for note in scored(cohort, ignore=99).notes)


def test_a_folder_that_is_predictions_and_references_is_noted(cohort: Path) -> None:
    (cohort / "again").symlink_to(cohort / "references")
    for predictions in ("references", "again"):
        both = score_folders(cohort / predictions, cohort / "references", read_cohort(cohort / "groups.csv"))
        assert "prediction and reference are one and the same file" in only_note(both)
    assert not scored(cohort).table_notes
