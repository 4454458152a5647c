"""`fairseg experiment`: the paper's whole grid on one dataset, resumed where it was stopped."""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from fairseg.cohort.pseudonyms import Pseudonyms
from fairseg.cohort.reading import TableOptions
from fairseg.cohort.table import read_cohort
from fairseg.experiment.arms import CHOICES, NOT_SHARED, PRESETS
from fairseg.experiment.engines import Engine, Processes
from fairseg.experiment.page import write_experiment
from fairseg.experiment.plan import Plan
from fairseg.experiment.provenance import DATA, EXPERIMENT, check_same_origin
from fairseg.experiment.results import Results, collect
from fairseg.experiment.schedule import run_tasks
from fairseg.experiment.split import TEST, VALIDATION
from fairseg.experiment.study import SPLIT, Study, data_files, make_study
from fairseg.experiment.tasks import DONE, TASK, Task
from fairseg.io.files import write_files
from fairseg.io.json_files import read_json
from fairseg.io.lock import alone_in
from fairseg.io.outputs import check_not_read, check_writable, claim, reading, undone_if_refused
from fairseg.io.sentences import counted, listed
from fairseg.training.selection import FEWEST
from fairseg.training.settings import Settings


def make_recipe(by: tuple[str, ...], preset: str = "quick", **changes: Any) -> Settings:
    """Return the settings that the arms of an experiment share.

    Args:
        by: attributes whose cells are the groups.
        preset: "quick" or "paper".
        changes: of single settings.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be {' or '.join(PRESETS)}, got {preset!r}")
    return Settings(by=by, **{**PRESETS[preset].settings, **changes})


def default_attribute(table: Path, options: TableOptions | None = None) -> tuple[str, ...]:
    """Return the attribute to group by when none is named: `group`, or the only one that the table has."""
    names = list(read_cohort(table, options).columns[2:])
    if "group" in names or len(names) == 1:
        return ("group",) if "group" in names else (names[0],)
    raise ValueError(f"by must name an attribute of {table}: {', '.join(names) or 'it has none'}")


def run_experiment(
    plan: Plan,
    out: str | Path,
    *,
    engine: Engine | None = None,
    mix: bool = False,
    pseudonyms: bool | str | Path | Pseudonyms = False,
    progress: bool = False,
) -> Results:
    """Train and test all arms that are not done yet, and write the report.

    Every arm is a folder named by its whole configuration, so none is trained twice, a run that was stopped
    goes on where it was, and a later call can add seeds or arms. A failed arm stops no other; the next
    call tries it again.

    Args:
        plan: the data and the arms.
        out: folder of the experiment.
        engine: where the work is done; default: as many processes as fill this machine.
        mix: go on although code or data have changed since the experiment was begun; the report says so.
        pseudonyms: show codes in the place of names in the folder `report`, as `fairseg.audit` does; all else
            in `out` is the experiment's own state and names cases.
        progress: show the overview on stderr.

    Raises:
        ValueError: data or plan are not usable, or `out` was begun with other code or data.
    """
    root = Path(out)
    with reading(plan.dataset, plan.external):
        check_not_read(root)
    check_writable(root)
    codes = Pseudonyms.of(pseudonyms)
    if codes is not None:
        codes.check_outside(root)
    study = make_study(plan)
    with alone_in(root):
        with undone_if_refused(root):
            claim(root, (EXPERIMENT, DATA, SPLIT), "experiment")
            mixed = check_same_origin(root, data_files(plan), plan, mix=mix)
            _keep_split(root, study)
        unused_notes = _notes_on_unused(root, study)
        for note in unused_notes if progress else ():
            tqdm.write(f"fairseg: {note}", file=sys.stderr)
        run_tasks(
            root,
            study.tasks,
            engine or Processes.filling(plan.recipe.device),
            describe=_result_line(root, study),
            arms=[tasks.tests for tasks in study.arms.values()],
            progress=progress,
        )
        results = collect(root, study)
        notes = [*_notes(study), *unused_notes, *(f"Mixed: {line}." for line in mixed)]
        write_experiment(root, results, notes, codes)
    return results


def _keep_split(root: Path, study: Study) -> None:
    """Write the subjects of each part, or check that they are as they were."""
    for name, text in study.splits.items():
        file = root / name
        if file.name == SPLIT and file.exists() and file.read_text(encoding="utf-8") != text:
            raise ValueError(
                f"{file} is another split than this dataset and these shares, groups and folds make: "
                "choose another folder"
            )
        write_files(file.parent, {file.name: text})


def _notes_on_unused(root: Path, study: Study) -> list[str]:
    """Return a note on finished trainings in the folder that the report leaves out, one for each reason."""
    chosen = {name for one in CHOICES.values() for name in one.settings}
    of_an_arm = {*NOT_SHARED, "balance", "compile", *chosen}
    recipe = study.plan.recipe.to_dict()
    shared = recipe.keys() - of_an_arm - {"epochs"}
    epochs = {recipe["epochs"], recipe["epochs"] * study.plan.ce_factor}
    planned = {task.name for task in study.tasks}
    of_other_settings, of_other_arms = 0, 0
    for file in root.glob(f"trainings/*/{DONE}"):
        if file.parent.relative_to(root).as_posix() not in planned:
            saved = read_json(file.parent / TASK)["settings"]
            if saved["epochs"] not in epochs or any(saved.get(name) != recipe[name] for name in shared):
                of_other_settings += 1
            else:
                of_other_arms += 1
    notes = []
    if of_other_settings:
        verb = "is of other settings and does" if of_other_settings == 1 else "are of other settings and do"
        notes.append(
            f"{counted(of_other_settings, 'finished training')} in this folder {verb} not count here."
        )
    if of_other_arms:
        verb = "is of an arm or seed that was" if of_other_arms == 1 else "are of arms or seeds that were"
        notes.append(
            f"{counted(of_other_arms, 'finished training')} in this folder {verb} not asked for this time, "
            "so not in this report: ask for all of them at once (--arms, --seeds) to have them in it."
        )
    return notes


def _result_line(root: Path, study: Study) -> Callable[[Task], str]:
    """Return a function that sums up the result of a test in a line."""
    arms = {name: arm for arm, tasks in reversed(study.arms.items()) for name in tasks.tests}

    def describe(task: Task) -> str:
        if task.name not in arms:
            return ""
        arm = arms[task.name]
        results = collect(root, replace(study, arms={arm: study.arms[arm]}))
        if results.states[arm].status != "done":  # other folds are left
            return ""
        dice = ", ".join(
            f"{group} {results.spread(arm.key, 'Median DSC', group).mean:.3f}"
            for group in results.groups("internal")
        )
        size = results.gap(arm.key).mean
        gap = "no gap" if math.isnan(size) else f"gap {size:+.3f}"
        return (
            f"{arm.key}, seed {arm.seed}: Dice {dice}; {gap if results.learned(arm.key) else 'not learned'}"
        )

    return describe


def _notes(study: Study) -> list[str]:
    """Return notes on the groups that a reader must know, a line each."""
    by, folds = study.plan.by, pd.concat(study.folds)
    tested = {test: groups.names for (test, name), groups in study.tested.items() if name == by}
    notes = []
    if study.plan.folds:
        notes.append(
            f"Cross-validation in {study.plan.folds} folds: every subject is tested once, by networks that "
            "have not seen it. Numbers of training and validation are those of the first fold."
        )
    if any(CHOICES[arm.method].per_group for arm in study.arms):
        notes.append(
            "One network for each group: to predict, the group of a subject must be known. Subjects of "
            "unknown group, or of one that did not train, are segmented by the network of everybody."
        )
    if untrained := sorted(set(folds["group"][folds["part"] == TEST]) - set(study.counts) - {""}):
        notes.append(f"Not trained on, only tested: {', '.join(untrained)}.")
    if untested := [name for name in study.counts if name not in tested["internal"]]:
        notes.append(f"Trained on, but nobody to test: {', '.join(untested)}.")
    if study.plan.recipe.keep != "last":
        held_out = study.split["group"][study.split["part"] == VALIDATION]
        numbers = {name: int((held_out == name).sum()) for name in study.counts}
        if few := [f"{name} ({number})" for name, number in numbers.items() if number < FEWEST]:
            notes.append(f"Too few (under {FEWEST}) held out to say which epoch is used: {listed(few)}.")
    if unknown := int((study.split["group"] == "").sum()):
        notes.append(f"{counted(unknown, 'subject')} of unknown group: in no group's figures.")
    for test in ("internal", *(["external"] if study.plan.external else [])):
        notes += [
            f"Fewer than two groups by {name} in the {test} test, so no table compares them."
            for name in study.plan.attributes
            if (test, name) not in study.tested
        ]
        if study.reference not in tested.get(test, (study.reference,)):
            gap = "fairness gaps there are of the best group minus the worst"
            notes.append(f"Nobody of {study.reference} in the {test} test: {gap}.")
        if study.minority not in tested.get(test, (study.minority,)):
            both = f"{study.reference} and {study.minority}"
            notes.append(f"Nobody of {study.minority} in the {test} test: no gap and no p of {both} there.")
    return notes
