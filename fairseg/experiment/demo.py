"""The demo: a made-up cohort on which bias arises by training, and what helps, in a few minutes of CPU.

Nothing here says how large a gap should be. People of one group are rare in the training cohort, networks
are trained with and without mitigation, and all are scored on the same test subjects.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from fairseg.cohort.table import read_cohort
from fairseg.datasets.anatomy import LABELS
from fairseg.datasets.phantom import write_phantom
from fairseg.io.files import write_files
from fairseg.io.json_files import read_json
from fairseg.io.outputs import check_writable
from fairseg.io.parallel import cores, run_all
from fairseg.scoring import evaluate
from fairseg.training.data import load_data
from fairseg.training.loop import train
from fairseg.training.prediction import predict
from fairseg.training.settings import Settings

REFERENCE = "White"

# 200 steps: the gap shrinks as training goes on, so the number of steps belongs to every result.
SETTINGS = Settings(
    by=("group",),
    features=16,
    most_features=128,
    epochs=4,
    steps=50,
    learning_rate=0.1,
    momentum=0.9,
    schedule="step",
    validation=0.1,
    device="cpu",
)

# Group DRO on balanced batches, for which it is meant, and with the same loss of a sample as the others: else
# one would compare losses, not methods.
ARMS: dict[str, dict[str, Any]] = {
    "Baseline": {},
    "Oversampling": {"sampler": "oversampling"},
    "Oversampling + Group DRO": {"sampler": "oversampling", "loss": "group_dro", "base": "dice_ce"},
    "Cascaded crop + oversampling": {"sampler": "oversampling", "crop": "reference"},
}
DEMO = "demo.json"
FIRST = "Oversampling"  # the arm that says where to crop


def run_demo(
    out: Path,
    *,
    seed: int = 0,
    settings: Settings = SETTINGS,
    subjects: Mapping[str, int] | None = None,
    test_subjects: int = 30,
    arms: Sequence[str] = tuple(ARMS),
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, pd.DataFrame]:
    """Make the cohort, train and predict with every arm, and score them on the test subjects.

    One that was stopped goes on where it was.

    Args:
        out: folder; `phantom` in it is the cohort, `runs` and `predictions` hold the arms.
        seed: of the cohort and of the trainings.
        settings: what all arms share.
        subjects: training subjects of each group; default: those of `write_phantom`.
        test_subjects: test subjects of each group.
        arms: those to train, keys of `ARMS`; the cascaded one crops by what oversampling finds.
        report: called with a line before each stage.

    Returns:
        The scores of each arm.

    Raises:
        ValueError: `out` holds another demo.
    """
    cohort = out / "phantom"
    check_writable(out)
    report("1/4 Making a cohort of cardiac MR, with few people of one group to train on")
    identity = {"seed": seed, "subjects": subjects, "test": test_subjects, "settings": settings.to_dict()}
    if not _is_begun(out, identity):
        # One that was stopped while it was written is written again.
        write_phantom(cohort, subjects=subjects, test_subjects=test_subjects, seed=seed, replace_files=True)
        write_files(out, {DEMO: json.dumps(identity, indent=1) + "\n"}, "demo")
    workers = min(cores(), len(arms))
    report(f"2/4 Training {len(arms)} networks for {settings.epochs * settings.steps} steps each: minutes")
    load_data(cohort, settings.with_(workers=workers), out / "prepared")  # which all of them share
    jobs = [(cohort, out, name, settings.with_(seed=seed, **ARMS[name])) for name in arms]
    for name in run_all(_train, jobs, workers):
        report(f"    trained: {name}")
    report("3/4 Segmenting the test subjects")
    list(run_all(_predict, [(cohort, out, name) for name in arms], workers))
    report("4/4 Scoring and comparing")
    table = read_cohort(cohort / "groups.csv")
    tested = table[table["split"] == "test"]
    # Networks of few steps may predict nothing; their labels are those that they were trained on.
    options: dict[str, Any] = {"labels": LABELS, "prediction_labels": LABELS, "num_workers": min(workers, 2)}
    masks = {name: out / "predictions" / folder(name) for name in arms}
    return {name: evaluate(masks[name], cohort / "labelsTs", tested, **options) for name in arms}


def folder(arm: str) -> str:
    """Return the name of an arm's folder.

    >>> folder("Cascaded crop + oversampling")
    'cascaded-crop-oversampling'
    """
    return "-".join(arm.lower().replace("+", " ").split())


def _is_begun(out: Path, identity: dict[str, Any]) -> bool:
    """Say whether the folder holds the same demo, to go on with; refuse one that holds something else."""
    if (out / DEMO).exists():
        if read_json(out / DEMO) == json.loads(json.dumps(identity)):
            return True
        raise ValueError(f"{out} holds a demo of another seed: choose another folder, or delete it")
    if (out / "runs").exists():
        raise ValueError(f"{out} holds runs that no demo of this version has made: choose another folder")
    return False


def _train(cohort: Path, out: Path, arm: str, settings: Settings) -> str:
    torch.set_num_threads(1)
    train(cohort, out / "runs" / folder(arm), settings, prepared=out / "prepared", resume=True)
    return arm


def _predict(cohort: Path, out: Path, arm: str) -> None:
    torch.set_num_threads(1)
    cropped = ARMS[arm].get("crop") == "reference"
    predict(
        out / "runs" / folder(arm),
        cohort / "imagesTs",
        out / "predictions" / folder(arm),
        cascade=out / "runs" / folder(FIRST) if cropped else None,
        device="cpu",
    )
