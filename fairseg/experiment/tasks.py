"""The work of an experiment, cut into tasks: train a network, or test one; each in a folder of its own.

A task's folder says all that there is to know of it: `task.json` what to do, `done.json` or `failed.json` how
it ended. So tasks can be done by any process on any machine that sees the folder, and an experiment that is
started again finds what was done.
"""

import json
import logging
import os
import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from fairseg.cohort.table import rows_of
from fairseg.crop import Box
from fairseg.experiment.plan import read_table
from fairseg.io import csv_files
from fairseg.io.files import write_files
from fairseg.io.images import find_masks
from fairseg.io.json_files import read_json, read_object
from fairseg.io.label_files import read_labels, with_spacing
from fairseg.io.lock import alone_in
from fairseg.scoring import evaluate
from fairseg.scoring.table import scores_to_files
from fairseg.scoring.voxel_sizes import Spacing, VoxelSizes
from fairseg.training.checkpoint import CHECKPOINT, DamagedError, load_checkpoint
from fairseg.training.logger import RUN
from fairseg.training.loop import train
from fairseg.training.prediction import BOXES, predict
from fairseg.training.prepare import SlicePlan, foreground_box, mask_in_plan
from fairseg.training.settings import Settings

logger = logging.getLogger(__name__)

TASK, DONE, FAILED, LOCK = "task.json", "done.json", "failed.json", ".task"
PREPARED, BOX_TABLE = "prepared", "boxes.csv"
TRAINING_SCORES = "training_scores.csv"
DAMAGED = "checkpoint.damaged.pt"


@dataclass(frozen=True)
class Task:
    """One piece of work."""

    name: str  # its folder in that of the experiment; tells it from others, down to the last setting
    spec: dict[str, Any]  # what to do, in plain values
    needs: tuple[str, ...] = ()  # names of the tasks that must be done before

    @property
    def is_test(self) -> bool:
        """Whether it tests a network that another task has trained."""
        return self.spec.get("kind") == "test"


@dataclass(frozen=True)
class State:
    """The state of a task: "open", "done" or "failed", its seconds, and why it failed."""

    status: Literal["open", "done", "failed"]
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Machine:
    """The device, threads and processes that a task may use."""

    device: str = "cpu"  # as in `Settings`
    threads: int = 1  # of torch, on the CPU; results can depend on it in the last bit
    workers: int | None = None  # processes that load and augment


def state_of(folder: Path) -> State:
    """Return the state of the task in a folder."""
    for status in ("done", "failed"):
        if result := read_object(folder / f"{status}.json"):
            return State(status, result["seconds"], result.get("error", ""))
    return State("open")


def open_task(root: Path, task: Task) -> State:
    """Write down a task, unless it is done; one that failed is open again."""
    folder = root / task.name
    state = state_of(folder)
    if state.status == "done":
        return state
    # Relative paths, so that the folders can be moved together.
    spec = _with_paths(task.spec, lambda path: os.path.relpath(path, root))
    write_files(folder, {TASK: json.dumps(spec, indent=1) + "\n"})
    (folder / FAILED).unlink(missing_ok=True)
    return State("open")


def run_task(root: Path, name: str, machine: Machine) -> None:
    """Do a task, unless it is done; wait for another process that does it.

    It raises nothing but interrupts: errors stand in `failed.json`.
    """
    folder = root / name
    with alone_in(folder, lock=LOCK, wait=True):  # the training in it has a lock of its own
        if state_of(folder).status != "open":
            return
        torch.set_num_threads(machine.threads)
        began = time.monotonic()
        try:
            spec = _with_paths(read_json(folder / TASK), lambda path: os.path.normpath(root / path))
            (_train if spec["kind"] == "train" else _test)(root, folder, spec, machine)
        except Exception as error:  # whatever it is, the other tasks go on
            fail(folder, _one_line(error), time.monotonic() - began, traceback.format_exc())
            return
        seconds = {"seconds": round(time.monotonic() - began, 1)}
        write_files(folder, {DONE: json.dumps(seconds) + "\n"})


def _with_paths(spec: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return a task with the paths to its data changed: of a dataset, of tables, images and masks."""
    changed = dict(spec)
    for name in ("dataset", "table"):
        if name in changed:
            changed[name] = change(changed[name])
    if "tests" in changed:
        changed["tests"] = {
            name: {
                **_with_paths(test_set, change),
                "parts": [
                    {**part, "images": change(part["images"]), "labels": change(part["labels"])}
                    for part in test_set["parts"]
                ],
            }
            for name, test_set in changed["tests"].items()
        }
    return changed


def fail(folder: Path, error: str, seconds: float = 0.0, details: str = "") -> None:
    """Write down that a task has failed, and why."""
    result = {"error": error, "seconds": round(seconds, 1), "traceback": details}
    write_files(folder, {FAILED: json.dumps(result, indent=1) + "\n"})


def _train(root: Path, folder: Path, spec: dict[str, Any], machine: Machine) -> None:
    if (folder / CHECKPOINT).exists():
        _check_whole(folder)
    settings = Settings.from_dict(spec["settings"])
    train(
        spec["dataset"],
        folder,
        settings.with_(device=machine.device, workers=machine.workers),
        table=read_table(spec),
        split=root / spec["split"],
        prepared=root / PREPARED,
        init=root / spec["init"] if "init" in spec else None,
        weights=_scores_of_training_cases(root, folder, spec, machine) if "scored_by" in spec else None,
        resume=True,
    )


def _scores_of_training_cases(root: Path, folder: Path, spec: dict[str, Any], machine: Machine) -> Path:
    """Write how well another training's network segments the cases that it has trained on, once."""
    file, run = folder / TRAINING_SCORES, root / spec["scored_by"]
    if not file.exists():
        run_info = read_json(run / RUN)  # with the names of cases, which no checkpoint has
        dataset, out = Path(spec["dataset"]), folder / "predictions"
        shutil.rmtree(out, ignore_errors=True)  # of a try that was stopped
        cases = rows_of(read_table(spec), run_info["train"])
        options = {"cases": run_info["train"], "table": cases, "mirror": False, "device": machine.device}
        predict(run, dataset / "imagesTr", out, **options)
        scores = _evaluate(
            out, dataset / "labelsTr", cases, run_info["labels"], metrics=("dice",), spacing=_spacing(run)
        )
        write_files(folder, scores_to_files(scores, TRAINING_SCORES))
        shutil.rmtree(out)
    return file


def _check_whole(training: Path) -> None:
    """Check that a training's checkpoint is whole; else set it aside, so that the next run trains again.

    Raises:
        ValueError: it is not.
    """
    try:
        load_checkpoint(training / CHECKPOINT)
    except DamagedError as error:
        if (training / CHECKPOINT).exists():
            (training / CHECKPOINT).replace(training / DAMAGED)
        (training / DONE).unlink(missing_ok=True)
        raise ValueError(f"{error}; the next run trains this network again") from None


def _test(root: Path, folder: Path, spec: dict[str, Any], machine: Machine) -> None:
    """Segment and score the test sets; write a table of scores of each, and one of the boxes of crops."""
    for name in (spec["training"], spec["first"]):
        if name is not None:
            _check_whole(root / name)
    files: dict[str, str] = {}
    boxes: list[dict[str, Any]] = []
    spacing = _spacing(root / spec["training"])
    for test, test_set in spec["tests"].items():
        table = read_table(test_set)
        scores = []
        for part in test_set["parts"]:
            out = folder / "predictions" / test / Path(part["images"]).name
            tested = rows_of(table, part["cases"])  # without a row: of unknown group, and scored all the same
            shutil.rmtree(out, ignore_errors=True)  # of a try that was stopped
            predict(
                root / spec["training"],
                part["images"],
                out,
                cases=part["cases"],
                cascade=None if spec["first"] is None else root / spec["first"],
                references=part["labels"] if spec["images"] == "crop" else None,
                table=tested,
                mirror=spec["mirror"],
                device=machine.device,
            )
            scores.append(_evaluate(out, part["labels"], tested, test_set["labels"], spacing=spacing))
            if spec["images"] == "cascade":
                boxes += _boxes(root / spec["training"], out, part["labels"], test, tested)
        files |= scores_to_files(pd.concat(scores, ignore_index=True), f"{test}.csv")
    if boxes:
        files[BOX_TABLE] = csv_files.to_csv(pd.DataFrame(boxes))
    write_files(folder, files)
    if not spec["keep_predictions"]:
        shutil.rmtree(folder / "predictions", ignore_errors=True)


def _spacing(run: Path) -> Spacing | None:
    """Return the pixel size of images whose files state none, as a training has it."""
    return Settings.from_dict(read_json(run / TASK)["settings"]).spacing


def _boxes(run: Path, out: Path, labels: str, test: str, cases: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the sizes, in pixels, of what a cascade's first network found and of the reference."""
    plan = SlicePlan(**load_checkpoint(run / CHECKPOINT)["run"]["plan"])
    masks = find_masks(Path(labels), "labels")
    sizes = VoxelSizes.of(_spacing(run), cases.set_index("case"))
    rows = []
    for case, box in read_json(out / BOXES).items():
        located = box["found"] and Box(*map(tuple, box["found"]))
        row: dict[str, Any] = {"test": test, "case": case}
        reference = foreground_box(mask_in_plan(with_spacing(read_labels(masks[case]), sizes[case]), plan))
        for name, one in (("found", located), ("reference", reference)):
            row[f"{name}_y"], row[f"{name}_x"] = (np.nan, np.nan) if one is None else one.shape
        rows.append(row)
    return rows


def _evaluate(
    masks: Path, references: str | Path, cases: pd.DataFrame, labels: dict[str, int], **options: Any
) -> pd.DataFrame:
    """Score the masks of a network, which may lack a label."""
    return evaluate(masks, references, cases, labels=labels, prediction_labels=labels, **options)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    expected = isinstance(error, ValueError | RuntimeError)
    return text if expected else f"{type(error).__name__}: {text}"
