"""`fairseg experiment`: the paper's whole grid on one dataset, resumed where it was stopped."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from fairseg.cohort.table import read_cohort
from fairseg.experiment.arms import CHOICES, PRESETS
from fairseg.experiment.engines import Engine, Processes
from fairseg.experiment.page import write_experiment
from fairseg.experiment.plan import Plan
from fairseg.experiment.provenance import check_same_origin
from fairseg.experiment.results import Results, collect
from fairseg.experiment.schedule import run_tasks
from fairseg.experiment.split import TEST
from fairseg.experiment.study import SPLIT, Study, data_files, make_study
from fairseg.experiment.tasks import DONE, TASK, Task
from fairseg.io.files import check_writable, write_files
from fairseg.io.lock import alone_in
from fairseg.io.sentences import counted
from fairseg.training.settings import Settings

# Settings that an experiment gives to its arms itself, or has options of its own for.
_NOT_SHARED = (
    *("by", "bins", "sampler", "loss", "base", "reweight", "crop", "seed"),
    *("split_seed", "device", "workers"),
)


def make_recipe(by: tuple[str, ...], preset: str = "quick", **changes: Any) -> Settings:
    """Return the settings that the arms of an experiment share.

    Args:
        by: attributes whose cells are the groups.
        preset: "quick" or "paper".
        changes: of single settings.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be {' or '.join(PRESETS)}, got {preset!r}")
    return Settings(by=by, **{**PRESETS[preset], **changes})


def default_attribute(dataset: Path) -> tuple[str, ...]:
    """Return the attribute to group by when none is named: `group`, or the only one that there is."""
    names = list(read_cohort(dataset / "groups.csv").columns[2:])
    if "group" in names or len(names) == 1:
        return ("group",) if "group" in names else (names[0],)
    raise ValueError(
        f"by must name an attribute of {dataset / 'groups.csv'}: {', '.join(names) or 'it has none'}"
    )


def run_experiment(
    plan: Plan,
    out: str | Path,
    *,
    engine: Engine | None = None,
    mix: bool = False,
    progress: bool = False,
) -> Results:
    """Train and test all arms that are not done yet, and write the report.

    Every arm is a folder named by its whole configuration, so none is trained twice, a run that was stopped
    goes on where it was, and more seeds or arms can be asked for later. A failed arm stops no other; it is
    tried again at the next run.

    Args:
        plan: what is asked.
        out: folder of the experiment.
        engine: where the work is done; default: as many processes as fill this machine.
        mix: go on although code or data have changed since the experiment was begun; the report says so.
        progress: show the overview on stderr.

    Raises:
        ValueError: data or plan are not usable, or `out` was begun with other code or data.
    """
    root = Path(out)
    check_writable(root)
    study = make_study(plan)
    with alone_in(root):
        mixed = check_same_origin(root, data_files(plan), _asked(plan), mix=mix)
        _keep_split(root, study)
        others = _others(root, study)
        if progress and others:
            click.echo(f"fairseg: {others[0]}", err=True)
        run_tasks(
            root,
            study.tasks,
            engine or Processes.filling(plan.recipe.device),
            tell=_teller(root, study),
            arms=[test for _, test in study.arms.values()],
            progress=progress,
        )
        results = collect(root, study)
        write_experiment(root, results, [*_notes(study), *others, *(f"Mixed: {line}." for line in mixed)])
    return results


def _keep_split(root: Path, study: Study) -> None:
    """Write who trains and who is tested, or see that it is as it was."""
    if (root / SPLIT).exists() and (root / SPLIT).read_text(encoding="utf-8") != study.splits[SPLIT]:
        raise ValueError(
            f"{root / SPLIT} is another split than this dataset and these shares and groups make: "
            "choose another folder"
        )
    for name, text in study.splits.items():
        place = root / name
        write_files(place.parent, {place.name: text})


def _others(root: Path, study: Study) -> list[str]:
    """Return a note of finished trainings in the folder that have other settings, if there are any."""
    by_arm = {*_NOT_SHARED, "balance", "compile", *(name for one in CHOICES.values() for name in one)}
    recipe = study.plan.recipe.to_dict()
    epochs = {recipe["epochs"], recipe["epochs"] * study.plan.ce_factor}
    names = {task.name for task in study.tasks}
    number = 0
    for file in root.glob(f"trainings/*/{DONE}"):
        if file.parent.relative_to(root).as_posix() in names:
            continue
        saved = json.loads((file.parent / TASK).read_text(encoding="utf-8"))["settings"]
        shared = recipe.keys() - by_arm - {"epochs"}
        number += saved["epochs"] not in epochs or any(saved.get(name) != recipe[name] for name in shared)
    if not number:
        return []
    are = "is of other settings and does" if number == 1 else "are of other settings and do"
    return [f"{counted(number, 'finished training')} in this folder {are} not count here."]


def _teller(root: Path, study: Study) -> Callable[[Task], str]:
    """Return a function that says in a line what a test has shown."""
    arms = {test: arm for arm, (_, test) in reversed(study.arms.items())}

    def tell(task: Task) -> str:
        if task.name not in arms:
            return ""
        arm = arms[task.name]
        results = collect(root, replace(study, arms={arm: study.arms[arm]}))
        said = [
            f"{group} {results.spread(arm.key, 'Median DSC', group).mean:.3f}"
            for group in results.groups("internal")
        ]
        size = results.gap(arm.key).mean
        if not results.learned(arm.key):
            gap = "not learned"
        else:
            gap = "no gap" if math.isnan(size) else f"gap {size:+.3f}"
        return f"{arm.key}, seed {arm.seed}: Dice {', '.join(said)}; {gap}"

    return tell


def _notes(study: Study) -> list[str]:
    """Return what a reader must know of the groups, a line each."""
    by, split = study.plan.by, study.split
    tested = {test: groups.names for (test, name), groups in study.tested.items() if name == by}
    notes = []
    if untrained := sorted(set(split["group"][split["part"] == TEST]) - set(study.counts) - {""}):
        notes.append(f"Not trained on, only tested: {', '.join(untrained)}.")
    if untested := [name for name in study.counts if name not in tested["internal"]]:
        notes.append(f"Trained on, but nobody to test: {', '.join(untested)}.")
    if unknown := int((split["group"] == "").sum()):
        notes.append(f"{counted(unknown, 'subject')} of unknown group: in no group's figures.")
    for test in ("internal", *(["external"] if study.plan.external else [])):
        for name in study.plan.attributes:
            if (test, name) not in study.tested:
                notes.append(
                    f"Fewer than two groups by {name} in the {test} test, so no table compares them."
                )
        if study.reference not in tested.get(test, (study.reference,)):
            gap = "fairness gaps there are of the best group minus the worst"
            notes.append(f"Nobody of {study.reference} in the {test} test: {gap}.")
        if study.minority not in tested.get(test, (study.minority,)):
            notes.append(
                f"Nobody of {study.minority} in the {test} test: no gap and no p of {study.reference} and "
                f"{study.minority} there."
            )
    return notes


def _asked(plan: Plan) -> dict[str, Any]:
    asked = {one.name: getattr(plan, one.name) for one in fields(plan)}
    return {
        name: value.to_dict()
        if isinstance(value, Settings)
        else str(value)
        if isinstance(value, Path)
        else list(value)
        if isinstance(value, tuple)
        else dict(value)
        if isinstance(value, Mapping)
        else value
        for name, value in asked.items()
    }


def parse_changes(pairs: Mapping[str, str]) -> dict[str, Any]:
    """Return settings from text, each of the type that it has in `Settings`.

    >>> parse_changes({"steps": "20", "augment": "no", "patch_size": "80,64", "learning_rate": "0.05"})
    {'steps': 20, 'augment': False, 'patch_size': (80, 64), 'learning_rate': 0.05}
    """
    kinds = {one.name: one for one in fields(Settings)}
    changes: dict[str, Any] = {}
    for name, text in pairs.items():
        if name not in kinds or name in _NOT_SHARED:
            shared = ", ".join(one for one in kinds if one not in _NOT_SHARED)
            raise ValueError(f"set must name a setting that arms share, {shared}; got {name!r}")
        changes[name] = _parsed(name, str(kinds[name].type), kinds[name].default, text)
    return changes


def _parsed(name: str, kind: str, default: Any, text: str) -> Any:
    try:
        if isinstance(default, bool):
            return {"yes": True, "true": True, "no": False, "false": False}[text.lower()]
        if "tuple" in kind:
            number = float if "float" in kind else int
            first, second = (number(part) for part in text.split(","))
            return first, second
        return type(default)(text)
    except (ValueError, KeyError):
        raise ValueError(f"set: {name} cannot be {text!r}") from None
