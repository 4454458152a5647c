"""Case weights from a table of scores: who gets them, by hand, and what the sampler makes of them."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import torch

from fairseg.cli import main
from fairseg.training import Settings, train
from fairseg.training.case_weights import case_weights, worst_cases
from fairseg.training.checkpoint import load_checkpoint
from fairseg.training.methods import make_sampler
from tests.training.test_loop import equal

CASES = ("a", "b", "c", "d", "e")


def table(folder: Path, dice: dict[str, tuple[float | None, float | None]]) -> Path:
    rows = [
        {"case": case, "label": label, "dice": value}
        for case, values in dice.items()
        for label, value in zip(("LV", "RV"), values, strict=True)
    ]
    pd.DataFrame(rows).to_csv(folder / "scores.csv", index=False)
    return folder / "scores.csv"


def test_the_worst_cases_by_their_mean_dice_are_drawn_more_often(tmp_path: Path) -> None:
    # Means .9, .5, .6 (of the one structure), none, .8; a sixth case is none of those that train.
    dice = {"a": (0.9, 0.9), "b": (0.1, 0.9), "c": (0.6, None), "d": (None, None), "e": (0.7, 0.9)}
    scores = table(tmp_path, {**dice, "z": (0.0, 0.0)})
    for share, worst in ((0.01, "b"), (0.25, "b"), (0.26, "bc"), (0.5, "bc"), (1.0, "abce")):
        result = worst_cases(scores, CASES, share)
        assert result == list(worst)
        weights = case_weights(CASES, result, upweight=4.0)
        assert weights is not None
        assert weights.tolist() == [4.0 if case in worst else 1.0 for case in CASES]
    assert worst_cases(None, CASES, 0.5) is None
    assert case_weights(CASES, None, upweight=4.0) is None


def test_cases_that_do_equally_badly_are_treated_alike(tmp_path: Path) -> None:
    scores = table(tmp_path, dict.fromkeys("abcd", (0.4, 0.4)) | {"e": (0.9, 0.9)})
    assert worst_cases(scores, CASES, 0.2) == ["a", "b", "c", "d"]


def test_a_table_without_a_training_case_is_refused_by_name(tmp_path: Path) -> None:
    scores = table(tmp_path, dict.fromkeys("abcd", (0.4, 0.4)))
    with pytest.raises(ValueError, match=r"no row of the training cases e"):
        worst_cases(scores, CASES, 0.2)
    rows = [{"case": case, "label": "LV", "dice": 0.5, "skipped": None} for case in "abcd"]
    pd.DataFrame([*rows, {"case": "e", "skipped": "no file"}]).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(ValueError, match=r"could not score e"):
        worst_cases(tmp_path / "s.csv", CASES, 0.2)


def test_samples_are_drawn_by_their_weights_and_the_groups_keep_their_shares() -> None:
    settings = Settings(by=("g",), sampler="oversampling", batch_size=4, steps=600)
    groups, subjects = [0, 0, 0, 1, 1], list("abcde")
    weights = torch.tensor([3.0, 1.0, 1.0, 1.0, 1.0]).double().numpy()
    drawn = Counter(index for batch in make_sampler(settings, groups, subjects, weights) for index in batch)
    assert [drawn[index] for index in range(5)] == pytest.approx([720, 240, 240, 600, 600], abs=12)


def test_a_run_with_case_weights_says_whose_and_is_gone_on_with_by_no_others(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    names = sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "labelsTr").iterdir())
    (tmp_path / "one").mkdir()
    scores = table(tmp_path, {name: (number / 100, 0.5) for number, name in enumerate(names)})
    other = table(tmp_path / "one", {name: (1 - number / 100, 0.5) for number, name in enumerate(names)})
    train(dataset, tmp_path / "whole", tiny, prepared=prepared, weights=scores)
    plain = tmp_path / "plain"
    train(dataset, plain, tiny, prepared=prepared)
    whole, without = (load_checkpoint(path / "checkpoint.pt") for path in (tmp_path / "whole", plain))
    about = json.loads((tmp_path / "whole" / "run.json").read_text())
    worst = about["upweighted"]
    assert worst == [name for name in names if name in about["train"]][: len(worst)]
    assert without["run"]["upweighted"] is None
    assert not equal(whole["network"], without["network"])
    with pytest.raises(ValueError, match="drew other cases more often"):
        train(dataset, tmp_path / "whole", tiny, prepared=prepared, weights=other, resume=True)
    train(dataset, tmp_path / "whole", tiny.with_(epochs=3), prepared=prepared, resume=True)  # by the same
    assert json.loads((tmp_path / "whole" / "run.json").read_text())["upweighted"] == worst


def test_case_weights_need_no_groups_and_a_run_goes_on_with_its_own_settings(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "labelsTr").iterdir())
    scores = table(tmp_path, {name: (number / 100, 0.5) for number, name in enumerate(names)})
    bare = tmp_path / "bare"  # without groups.csv too
    shutil.copytree(dataset, bare, ignore=shutil.ignore_patterns("groups.csv"))
    out = str(tmp_path / "run")
    small = ["--features", "4", "--most-features", "8", "--steps", "3", "--batch-size", "4"]
    small += ["--patch-size", "32,32", "--device", "cpu"]
    line = ["train", str(bare), "--weights", str(scores), "--out", out, "--keep", "best", "--epochs", "1"]
    assert main([*line, *small]) == 0
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["group_slices"].keys() == {"all"}
    assert about["upweighted"]
    assert about["settings"]["keep"] == "best-mean"
    assert main(["train", str(bare), "--out", out, "--resume", "--epochs", "2"]) == 0
    again = json.loads((tmp_path / "run" / "run.json").read_text())
    assert again == {**about, "settings": {**about["settings"], "epochs": 2}}
    assert main(["train", str(bare), "--out", out, "--resume", "--features", "8"]) == 2
    assert "has features 4, not 8" in capsys.readouterr().err
    assert main(["train", str(bare), "--by", "group", "--out", str(tmp_path / "by")]) == 2
    assert "groups.csv cannot be read" in capsys.readouterr().err


def test_a_run_goes_on_with_its_split_and_its_start(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    cohort = pd.read_csv(dataset / "groups.csv")
    subjects = cohort[["subject"]].drop_duplicates().reset_index(drop=True)
    split = tmp_path / "split.csv"
    subjects.assign(
        part=["train", "validation"] * (len(subjects) // 2) + ["train"] * (len(subjects) % 2)
    ).to_csv(split, index=False)
    tiny = tiny.with_(epochs=1)
    train(dataset, tmp_path / "first", tiny, prepared=prepared, split=split)
    settings, out = tiny.with_(freeze="encoder"), tmp_path / "second"
    train(dataset, out, settings, prepared=prepared, split=split, init=tmp_path / "first")
    before = json.loads((out / "run.json").read_text())
    train(dataset, out, settings.with_(epochs=2), prepared=prepared, resume=True)
    after = json.loads((out / "run.json").read_text())
    for name in ("train", "validation", "init", "split"):
        assert after[name] == before[name]
