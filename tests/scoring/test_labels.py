"""Which values are which structure: codes of each side, unions, voxels that count for nothing.

The oracle of unions and of ignored voxels is nnU-Net's own evaluation.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import SimpleITK as sitk
import torch

import fairseg
from fairseg.cli.command import main
from fairseg.integrations.monai.metrics import GroupDiceMetric
from fairseg.integrations.nnunet import read_summaries
from fairseg.integrations.torchmetrics import FairnessGap, GroupDice
from fairseg.scoring import read_scores
from fairseg.scoring.labels import read_dataset_labels

Masks = Callable[..., Path]
Reader = Callable[..., pd.DataFrame]

NAMES = [f"p{number}" for number in range(8)]


def mask(left: int, right: int, moved: int = 0) -> npt.NDArray[np.uint8]:
    """Return two squares with these values, moved to the right."""
    voxels = np.zeros((3, 12, 16), np.uint8)
    voxels[:, 2:8, 1 + moved : 6 + moved] = left
    voxels[:, 2:8, 8 + moved : 13 + moved] = right
    return voxels


def save(folder: Path, masks: Mapping[str, npt.NDArray[Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for case, voxels in masks.items():
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(folder / f"{case}.nii.gz"))
    return folder


def cohort(folder: Path, true: tuple[int, int], predicted: tuple[int, int]) -> Path:
    """Write eight cases whose two structures have these values on each side."""
    save(folder / "references", {name: mask(*true) for name in NAMES})
    save(
        folder / "predictions",
        {name: mask(*predicted, moved=number % 2) for number, name in enumerate(NAMES)},
    )
    rows = "".join(f"{name},{'FM'[number % 2]}\n" for number, name in enumerate(NAMES))
    (folder / "groups.csv").write_text("case,sex\n" + rows)
    return folder


def say_labels(folder: Path, labels: Mapping[str, Any], **more: Any) -> None:
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **labels}, **more}))


def by_evaluate(folder: Path, **labels: Any) -> pd.DataFrame:
    return fairseg.evaluate(folder / "predictions", folder / "references", folder / "groups.csv", **labels)


def by_audit(folder: Path, **labels: Any) -> pd.DataFrame:
    folders = {"predictions": folder / "predictions", "references": folder / "references"}
    options: dict[str, Any] = {"cohort": folder / "groups.csv", "by": "sex", "min_size": 2}
    return fairseg.audit(**folders, **options, **labels).scores.table


def command(folder: Path, *words: str, **labels: Any) -> pd.DataFrame:
    """Run a command that writes scores with the labels as a person types them."""
    predicted = labels.get("prediction_labels") or {}
    typed = []
    for name, codes in (labels.get("labels") or {}).items():
        sides = [codes, predicted[name]] if name in predicted else [codes]
        texts = ["+".join(map(str, side if isinstance(side, tuple) else (side,))) for side in sides]
        typed += ["--labels", f"{name}={':'.join(texts)}"]
    if labels.get("ignore") is not None:
        typed += ["--ignore", str(labels["ignore"])]
    folders = [
        str(folder / "predictions"),
        str(folder / "references"),
        "--groups",
        str(folder / "groups.csv"),
    ]
    if main([words[0], *folders, *typed, *words[1:]]):
        raise ValueError("exit code 2")
    return read_scores(folder / "out" / "scores.csv")


def by_evaluate_command(folder: Path, **labels: Any) -> pd.DataFrame:
    (folder / "out").mkdir(exist_ok=True)
    return command(folder, "evaluate", "--out", str(folder / "out" / "scores.csv"), **labels)


def by_audit_command(folder: Path, **labels: Any) -> pd.DataFrame:
    return command(folder, "audit", "--by", "sex", "--min-size", "2", "--out", str(folder / "out"), **labels)


READERS: dict[str, Reader] = {
    "evaluate": by_evaluate,
    "audit": by_audit,
    "fairseg evaluate": by_evaluate_command,
    "fairseg audit": by_audit_command,
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


@every_reader
@pytest.mark.parametrize(
    "codes", [((255, 200), (1, 2)), ((1, 2), (1, 3)), ((2, 1), (5, 1)), ((7, 8), (0, 0))]
)
def test_codes_that_differ_are_an_error_with_both_sides_and_the_mapping_to_type(
    read: Reader,
    codes: tuple[tuple[int, int], tuple[int, int]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    true, predicted = codes
    folder = cohort(tmp_path, true, predicted)
    with pytest.raises(ValueError, match=r".") as error:
        read(folder)
    message = str(error.value) + capsys.readouterr().err
    assert "no prediction has" in message
    missing = sorted(set(true) - set(predicted))
    for value, there in ((value, "references have") for value in true):
        assert f"{value} (8)" in message
        assert there in message
    assert f'--labels "{missing[0]}={missing[0]}:' in message


@every_reader
def test_the_mapping_gives_the_scores_of_equal_codes(read: Reader, tmp_path: Path) -> None:
    alike = read(cohort(tmp_path / "alike", (1, 2), (1, 2)), labels={"left": 1, "right": 2})
    codes = {"labels": {"left": 150, "right": 200}, "prediction_labels": {"left": 2, "right": 1}}
    other = read(cohort(tmp_path / "other", (150, 200), (2, 1)), **codes)
    pd.testing.assert_frame_equal(other, alike)
    assert alike["dice"].min() < 1


@every_reader
def test_a_union_follows_the_values_of_what_it_is_made_of(
    read: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it would be scored on half of itself: the left is 1 on both sides, the right 2 and 5."""
    folder = cohort(tmp_path / "other", (1, 2), (1, 5))
    labels = {"both": (1, 2), "right": 2}
    for given in ({"right": 5}, None):
        with pytest.raises(ValueError, match=r".") as error:
            read(folder, labels=labels, prediction_labels=given)
        assert '--labels "both=1+2:1+5"' in str(error.value) + capsys.readouterr().err
    codes = {"labels": labels, "prediction_labels": {"both": (1, 5), "right": 5}}
    alike = read(cohort(tmp_path / "alike", (1, 2), (1, 2)), labels=labels)
    pd.testing.assert_frame_equal(read(folder, **codes), alike)
    swapped = {
        "labels": {"both": (1, 2), "left": 1, "right": 2},
        "prediction_labels": {"left": 2, "right": 1},
    }
    scores = read(cohort(tmp_path / "swapped", (1, 2), (2, 1)), **swapped)  # which the union does not see
    assert scores["dice"].max() == 1


@every_reader
def test_a_value_of_the_references_alone_may_be_ignored_and_that_is_told(
    read: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cohort(tmp_path, (1, 255), (1, 0))
    with pytest.raises(ValueError, match=r".") as error:
        read(folder)
    assert "or --ignore 255, that what has this value counts" in str(error.value) + capsys.readouterr().err
    assert read(folder, ignore=255)["label"].astype(str).unique().tolist() == ["1"]


def test_the_mapping_that_an_error_shows_works_as_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cohort(tmp_path, (150, 200), (1, 2))
    folders = [
        str(folder / "predictions"),
        str(folder / "references"),
        "--groups",
        str(folder / "groups.csv"),
    ]
    assert main(["evaluate", *folders, "--out", str(folder / "scores.csv")]) == 2
    shown = capsys.readouterr().err.split("such as ")[1].replace('"', "").split()
    assert main(["evaluate", *folders, "--out", str(folder / "scores.csv"), *shown]) == 0
    scores = read_scores(folder / "scores.csv")
    assert scores["label"].unique().tolist() == ["150", "200"]
    assert scores["dice"].max() == 1


@every_reader
def test_the_dataset_json_of_either_side_is_used(read: Reader, tmp_path: Path) -> None:
    expected = read(cohort(tmp_path / "alike", (1, 2), (1, 2)), labels={"left": 1, "right": 2})
    both = cohort(tmp_path / "both", (150, 200), (2, 1))
    say_labels(both / "references", {"left": 150, "right": 200})
    say_labels(both / "predictions", {"right": 1, "left": 2, "heart": 3})
    one = cohort(tmp_path / "one", (1, 2), (1, 2))
    say_labels(one / "predictions", {"left": 1, "right": 2})
    for folder in (both, one):
        pd.testing.assert_frame_equal(read(folder), expected)


@every_reader
def test_files_that_call_structures_differently_are_an_error(
    read: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cohort(tmp_path, (1, 2), (1, 2))
    say_labels(folder / "references", {"left": 1, "right": 2})
    say_labels(folder / "predictions", {"left": 1, "lung_right": 2})
    with pytest.raises(ValueError, match=r".") as error:
        read(folder)
    message = str(error.value) + capsys.readouterr().err
    assert "none called right" in message
    assert '--labels "right=2:2"' in message


@every_reader
def test_a_model_that_never_finds_a_structure_is_scored_if_somebody_says_so(
    read: Reader, tmp_path: Path
) -> None:
    codes: dict[str, Any] = {"labels": {"left": 1, "right": 2}, "prediction_labels": {"right": 2}}
    scores = read(cohort(tmp_path, (1, 2), (1, 0)), **codes)
    assert set(scores.loc[scores["label"] == "right", "dice"]) == {0.0}
    assert scores.loc[scores["label"] == "left", "dice"].max() == 1.0


@every_reader
def test_a_structure_without_a_reference_is_an_error(
    read: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cohort(tmp_path, (1, 7), (1, 2))
    with pytest.raises(ValueError, match=r".") as error:
        read(folder, labels={"left": 1, "right": 2})
    message = str(error.value) + capsys.readouterr().err
    assert "no reference has right (2)" in message
    assert '--labels "right=7:2"' in message


REGIONS: dict[str, tuple[int, ...]] = {"whole": (1, 2, 3), "core": (2, 3), "edema": (1,)}
IGNORED = 4


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write eight cases of three labels inside each other, with voxels that nobody annotated."""
    folder = tmp_path_factory.mktemp("nested")
    rng = np.random.default_rng(1)
    for kind in ("references", "predictions"):
        masks = {}
        for name in NAMES:
            y, x = np.ogrid[:20, :20]
            distance = np.hypot(y - 10, x - 10) + rng.uniform(-1, 1) + 0.8 * rng.random((3, 20, 20))
            voxels = np.select([distance < 2, distance < 4, distance < 7], [3, 2, 1], 0).astype(np.uint8)
            if kind == "references":
                voxels[:, :, 12:] = IGNORED
            masks[name] = voxels
        save(folder / kind, masks)
    rows = "".join(f"{name},{'FM'[number % 2]}\n" for number, name in enumerate(NAMES))
    (folder / "groups.csv").write_text("case,sex\n" + rows)
    return folder


def nnunet_dice(folder: Path) -> dict[tuple[str, str], float]:
    """Return (case, structure) -> Dice as nnU-Net's evaluation has it."""
    pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics  # noqa: PLC0415
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO  # noqa: PLC0415

    result = {}
    for name in NAMES:
        files = (str(folder / kind / f"{name}.nii.gz") for kind in ("references", "predictions"))
        regions = list(REGIONS.values())
        metrics = compute_metrics(*files, SimpleITKIO(), regions, ignore_label=IGNORED)["metrics"]
        result |= {(name, structure): metrics[region]["Dice"] for structure, region in REGIONS.items()}
    return result


@every_reader
@pytest.mark.parametrize("how", ["arguments", "dataset.json"])
def test_unions_and_ignored_voxels_are_scored_as_nnunet_does(
    read: Reader, how: str, nested: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(nested, tmp_path / "place"))
    options: dict[str, Any] = {"labels": REGIONS, "ignore": IGNORED}
    if how == "dataset.json":
        named = {name: list(codes) if len(codes) > 1 else codes[0] for name, codes in REGIONS.items()}
        say_labels(folder / "references", {**named, "ignore": IGNORED}, regions_class_order=[1, 2, 3])
        options = {}
    scores = read(folder, **options).set_index(["case", "label"])["dice"]
    expected = pd.Series(nnunet_dice(folder)).reindex(scores.index)
    assert 0.3 < expected.min() < expected.max() < 1
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


@every_reader
def test_distances_are_of_what_is_left(read: Reader, nested: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(nested, tmp_path / "place"))
    scores = read(folder, labels=REGIONS, ignore=IGNORED)
    for kind in ("references", "predictions"):
        save(
            folder / kind,
            {
                name: np.where(load(nested, "references", name) == IGNORED, 0, load(nested, kind, name))
                for name in NAMES
            },
        )
    left = read(folder, labels=REGIONS)
    pd.testing.assert_frame_equal(scores, left)


def load(folder: Path, kind: str, name: str) -> npt.NDArray[Any]:
    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(folder / kind / f"{name}.nii.gz"))))


@pytest.mark.parametrize("make", [GroupDice, GroupDiceMetric])
def test_group_metrics_of_unions_and_ignored_voxels_are_nnunets(make: Any, nested: Path) -> None:
    dice = pd.Series(nnunet_dice(nested)).groupby(level=0).mean()
    predicted, true = (
        torch.from_numpy(np.stack([load(nested, kind, name) for name in NAMES]).astype(np.int64))[:, None]
        for kind in ("predictions", "references")
    )
    groups = torch.tensor([number % 2 for number in range(8)])
    metric = make(2, REGIONS, ignore=IGNORED)
    if make is GroupDice:
        metric.update(predicted, true, groups)
        result = metric.compute()
    else:
        metric(predicted, true, groups=groups)
        result = metric.aggregate()
    np.testing.assert_allclose(result, dice.groupby(np.arange(8) % 2).median(), atol=1e-12)


def test_metrics_of_other_structures_do_not_share_their_counts() -> None:
    from torchmetrics import MetricCollection  # noqa: PLC0415

    one, both = {"a": (1,)}, {"a": (1, 2)}
    metrics = [GroupDice(2, one), GroupDice(2, both), GroupDice(2, one, ignore=2), FairnessGap(2, one)]
    together = MetricCollection({str(number): metric for number, metric in enumerate(metrics)})
    reference = torch.tensor([[1, 1, 2, 0], [1, 2, 2, 2]])
    prediction = torch.tensor([[1, 2, 1, 0], [2, 2, 1, 1]])
    groups = torch.tensor([0, 1])
    for _ in range(2):
        together.update(prediction, reference, groups)
    result = together.compute()
    assert result["0"].tolist() == pytest.approx([0.5, 0.0])
    assert result["1"].tolist() == [1.0, 1.0]
    assert result["2"].tolist() == pytest.approx([2 / 3, 0.0])


# --- nnU-Net's own summaries


def summary(place: Path, per_case: Mapping[str, Mapping[str, tuple[float, int, int]]], kind: str) -> Path:
    """Write a summary.json of nnU-Net 2, 2 on Windows, or 1: case -> structure -> Dice, n_pred, n_ref."""
    old = {"Total Positives Test": 1, "Total Positives Reference": 2}
    new = {"n_pred": 1, "n_ref": 2}
    entries = []
    for case, metrics in per_case.items():
        names = old if kind == "v1" else new
        values = {
            key: {"Dice": row[0], **{name: row[at] for name, at in names.items()}}
            for key, row in metrics.items()
        }
        folder = "D:\\raw\\labelsTr\\" if kind == "windows" else "/raw/labelsTr/"
        file = f"{folder}{case}.nii.gz"
        entries.append(
            {**values, "reference": file, "test": file}
            if kind == "v1"
            else {"reference_file": file, "prediction_file": file, "metrics": values}
        )
    content = {"results": {"all": entries}} if kind == "v1" else {"metric_per_case": entries}
    (place / "summary.json").write_text(json.dumps(content))
    (place / "groups.csv").write_text("case,sex\na,F\nb,M\n")
    return place / "summary.json"


@pytest.mark.parametrize("kind", ["v2", "windows", "v1"])
def test_summaries_of_every_version_and_system_are_read(kind: str, tmp_path: Path) -> None:
    rows = {"a": {"1": (0.9, 10, 12)}, "b": {"1": (0.8, 7, 5)}}
    scores = read_summaries([summary(tmp_path, rows, kind)], tmp_path / "groups.csv")
    assert scores[
        ["case", "sex", "label", "dice", "prediction_voxels", "reference_voxels"]
    ].to_numpy().tolist() == [
        ["a", "F", "1", 0.9, 10, 12],
        ["b", "M", "1", 0.8, 7, 5],
    ]


def test_regions_of_a_summary_have_their_names(tmp_path: Path) -> None:
    rows = {"a": {"(1, 2)": (0.9, 10, 12), "(2,)": (0.7, 3, 4)}}
    file = summary(tmp_path, rows, "v2")
    say_labels(tmp_path, {"whole": [1, 2], "core": [2]}, file_ending=".nii.gz")
    scores = read_summaries([file], tmp_path / "groups.csv")
    assert scores["label"].tolist() == ["whole", "core"]
    chosen = read_summaries([file], tmp_path / "groups.csv", labels={"tumour": (1, 2)})
    assert chosen[["label", "dice"]].to_numpy().tolist() == [["tumour", 0.9]]


def test_a_summary_whose_codes_differ_is_an_error(tmp_path: Path) -> None:
    rows = {case: {"1": (0.9, 10, 12), "2": (0.0, 0, 4)} for case in "ab"}
    file, table = summary(tmp_path, rows, "v2"), tmp_path / "groups.csv"
    with pytest.raises(ValueError, match=r'has 2, but 2 references: .* --labels "2=REFERENCE:PREDICTION"'):
        read_summaries([file], table)
    out = ["--groups", str(table), "--out", str(tmp_path / "scores.csv")]
    assert main(["nnunet", "scores", str(file), *out]) == 2
    assert main(["nnunet", "scores", str(file), *out, "--labels", "1", "--labels", "2=2:2"]) == 0
    assert read_scores(tmp_path / "scores.csv")["dice"].tolist() == [0.9, 0.0] * 2
    assert main(["nnunet", "scores", str(file), *out, "--labels", "2=2:3"]) == 2
    with pytest.raises(ValueError, match="no reference"):
        read_summaries([summary(tmp_path, {"a": {"1": (0.0, 4, 0)}}, "v2")], table)


@pytest.mark.parametrize("ignore", [2**63, 2**70, -(2**63) - 1])
@pytest.mark.parametrize("way", READERS)
def test_ignored_is_what_a_mask_can_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str, ignore: int
) -> None:
    folder = cohort(tmp_path, (1, 2), (1, 2))
    with pytest.raises(ValueError) as error:
        READERS[way](folder, ignore=ignore)
    assert "ignore must be what a mask can hold" in str(error.value) + capsys.readouterr().err
    say_labels(folder / "references", {"wall": 1, "ignore": ignore})
    with pytest.raises(ValueError, match=r"dataset\.json: ignore must be what a mask can hold"):
        read_dataset_labels(folder / "references")
