"""ResEnc plans, the best configuration, ensembles and the cascade by nnU-Net's own commands.

Every training has a step; networks have four channels.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

from fairseg.cli import main
from fairseg.datasets import write_phantom
from fairseg.scoring.table import Scores

from .conftest import make_small
from .test_modes import DRO, ERM, folder  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow

NAME = "Dataset903_Tiny"
CODES = "RVBP=1:1,LVM=2:2,LVBP=3:3"


@pytest.fixture
def planned(folder: Path, command: Callable[..., str]) -> Callable[..., Path]:  # noqa: F811
    """Return a function that plans a dataset of 2 and 2 subjects, changes the plans, and preprocesses it."""
    write_phantom(
        folder / "raw" / NAME,
        subjects={"A": 2, "B": 2},
        test_subjects=1,
        shape=(16, 16),
        spacing=10.0,
        slices=4,
    )

    def plan(
        planner: str, plans: str, change: Callable[[dict[str, Any]], None], *configurations: str
    ) -> Path:
        command("nnUNetv2_extract_fingerprint", "-d", "903", "-np", "1")
        command("nnUNetv2_plan_experiment", "-d", "903", "-pl", planner)
        file = folder / "preprocessed" / NAME / f"{plans}.json"
        about = make_small(file)
        change(about["configurations"])
        file.write_text(json.dumps(about))
        preprocess = ("nnUNetv2_preprocess", "-d", "903", "-plans_name", plans, "-np", "1")
        command(*preprocess, "-c", *configurations)
        assert main(["nnunet", "splits", "903", "--folds", "2"]) == 0
        return folder

    return plan


def test_residual_encoders_the_best_configuration_and_an_ensemble(
    planned: Callable[..., Path], command: Callable[..., str]
) -> None:
    plans = "nnUNetResEncUNetMPlans"

    def shallow(configurations: dict[str, Any]) -> None:
        network = configurations["2d"]["architecture"]
        assert "ResidualEncoderUNet" in network["network_class_name"]
        network["arch_kwargs"]["n_blocks_per_stage"] = [1] * network["arch_kwargs"]["n_stages"]

    place = planned("nnUNetPlannerResEncM", plans, shallow, "2d")
    test, table = place / "raw" / NAME, str(place / "raw" / NAME / "groups.csv")
    for name in (ERM, DRO):
        train = ("nnUNetv2_train", "903", "2d", "0", "-p", plans, "-tr", name, "-device", "cpu", "--npz")
        message = command(*train)
    assert "training cases by group: A 2, B 2; unknown 0" in message
    best = ("nnUNetv2_find_best_configuration", "903", "-p", plans, "-c", "2d", "-f", "0", "-np", "1")
    assert "ensemble___nnUNetTrainerFairERM__" in command(*best, "-tr", ERM, DRO)
    result = place / "results" / NAME
    (ensemble,) = (result / "ensembles").iterdir()
    for results in (ensemble, result / f"{DRO}__{plans}__2d"):
        out = place / "scores.csv"
        scores = ("nnunet", "scores", str(results), "--groups", table, "--out", str(out), "--overwrite")
        assert main([*scores, "--metrics", "dice", "--labels", CODES]) == 0
        assert Scores.of(out).table.groupby("group")["case"].nunique().to_dict() == {"A": 2, "B": 2}
    for name in (ERM, DRO):
        predict = ("nnUNetv2_predict", "-d", "903", "-i", str(test / "imagesTs"), "-o", str(place / name))
        more = ("-f", "0", "-tr", name, "-c", "2d", "-p", plans, "-device", "cpu", "-npp", "0", "-nps", "0")
        command(*predict, *more, "--save_probabilities", "--disable_tta")
    both = (str(place / ERM), str(place / DRO))
    command("nnUNetv2_ensemble", "-i", *both, "-o", str(place / "both"), "-np", "1")
    for name in ("both", ERM):  # beside whose masks lie probabilities
        evaluate = ("evaluate", str(place / name), str(test / "labelsTs"), "--groups", table)
        assert main([*evaluate, "--labels", CODES, "--out", str(place / f"{name}.csv")]) == 0


def test_the_cascade_by_the_command(planned: Callable[..., Path], command: Callable[..., str]) -> None:
    def add_stages(configurations: dict[str, Any]) -> None:
        """Add what nnU-Net plans of images that are too large for one patch."""
        full = configurations["3d_fullres"]
        low = {"inherits_from": "3d_fullres", "data_identifier": "nnUNetPlans_3d_lowres"}
        low["spacing"] = [2.0 * size for size in full["spacing"]]
        configurations["3d_lowres"] = low | {"next_stage": "3d_cascade_fullres"}
        configurations["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}

    stages = ("3d_fullres", "3d_lowres")
    place = planned("ExperimentPlanner", "nnUNetPlans", add_stages, *stages)
    train = ("nnUNetv2_train", "903")
    for fold in ("0", "1"):
        command(*train, "3d_lowres", fold, "-tr", DRO, "-device", "cpu")
    message = command(*train, "3d_cascade_fullres", "0", "-tr", DRO, "-device", "cpu")
    assert "training cases by group: A 2, B 2; unknown 0" in message
    model = place / "results" / NAME / f"{DRO}__nnUNetPlans__3d_cascade_fullres"
    assert (model / "fold_0" / "validation" / "summary.json").is_file()
