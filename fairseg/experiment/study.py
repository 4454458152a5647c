"""The parts of an experiment: a plan on its data, its arms, and the tasks that they need."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from fairseg.cohort.case_names import cohort_as_files
from fairseg.cohort.groups import Groups
from fairseg.cohort.table import read_cohort, rows_of
from fairseg.experiment.arms import CHOICES, Arm, plan_arms
from fairseg.experiment.plan import Plan, read_table
from fairseg.experiment.split import TRAIN, fewer, has_files, members, only, split_cohort
from fairseg.experiment.tasks import Task
from fairseg.io import csv_files
from fairseg.io.images import find_masks
from fairseg.io.sentences import did_you_mean, no_attribute
from fairseg.scoring.voxel_sizes import VoxelSizes
from fairseg.training.data import fit_patch_size
from fairseg.training.prepare import make_plan
from fairseg.training.raw import plain_labels, read_raw
from fairseg.training.settings import MACHINE, Settings

SPLIT = "split.csv"
_MOST_GROUPS = 60  # that a table can show


@dataclass(frozen=True)
class ArmTasks:
    """The names of an arm's tasks; it is done when its tests are."""

    trainings: tuple[str, ...]
    tests: tuple[str, ...]  # of subjects that are in no other


@dataclass(frozen=True)
class Study:
    """A plan on its data."""

    plan: Plan  # which data, which arms, how often
    reference: str  # the reference group
    minority: str  # the smallest group that trains
    counts: dict[str, int]  # training subjects of each group
    split: pd.DataFrame  # columns subject, group, part; of the first fold, if there are several
    splits: dict[str, str]  # file -> text, to write into the folder
    # (test set, name of attributes) -> groups that have a case there, two at least.
    tested: dict[tuple[str, str], Groups] = field(default_factory=dict)
    arms: dict[Arm, ArmTasks] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)  # of all arms, each once, in the order to do them
    other_folds: list[pd.DataFrame] = field(default_factory=list)  # the splits of folds after the first

    @property
    def folds(self) -> list[pd.DataFrame]:
        """The split of each fold."""
        return [self.split, *self.other_folds]


def make_study(plan: Plan) -> Study:
    """Split the subjects and lay out the arms.

    Raises:
        ValueError: a dataset or an argument is not usable; the message says what.
    """
    raw = read_raw(plan.dataset)
    labels = plain_labels(raw, "an experiment")
    cohort = read_table(plan.table_of_cases)
    _check_attributes(cohort, plan.table_file, plan)
    sizes = VoxelSizes.of(plan.recipe.spacing, cohort_as_files(cohort, raw.images).set_index("case"))
    shape = make_plan(replace(raw, sizes=sizes), plan.recipe.target_spacing).shape
    fit_patch_size(plan.recipe, shape)  # before all arms fail at it
    groups = Groups.from_table(cohort, by=plan.recipe.by, bins=plan.recipe.bins)
    groups.warn_of_levels()
    try:
        train_groups = [groups.name(groups.index(name)) for name in plan.train_groups]
    except ValueError as error:
        raise ValueError(f"train_groups: {error}") from None
    _check_folds(plan)
    parts = [
        split_cohort(cohort, sorted(raw.images), groups, train_groups, plan, fold)
        for fold in range(max(plan.folds, 1))
    ]
    folds = [split for split, _ in parts]
    training = [split["group"][split["part"] == TRAIN] for split in folds]
    counts = {name: max(int((one == name).sum()) for one in training) for name in groups.names}
    counts = {name: number for name, number in counts.items() if number}
    if len(counts) < 2:
        raise ValueError(f"at least two groups must train, got {', '.join(counts) or 'none'}")
    reference = _reference(plan, groups, counts)
    minority = min((name for name in counts if name != reference), key=lambda name: counts[name])
    levels = sorted({max(1, counts[minority] // 2**step) for step in range(4)})
    splits = {}
    for fold, split in enumerate(folds):
        splits[_in_fold(plan, fold, SPLIT)] = csv_files.to_csv(split)
        for number in levels:
            less = csv_files.to_csv(fewer(split, minority, number, plan.split_seed))
            splits[_in_fold(plan, fold, _minority_split(number))] = less
    sets = [{"internal": _test_set(raw.folder, plan.table_of_cases, labels, cases)} for _, cases in parts]
    if plan.external is not None:
        sets[0]["external"] = _external(plan, labels, len(raw.channels))
    tested = {
        (test, name): those
        for test in sets[0]
        for name, those in _groups_tested([one[test] for one in sets], plan).items()
    }
    if ("internal", plan.by) not in tested:
        raise ValueError(f"{plan.dataset}: at least two groups by {plan.by} must be tested, to compare them")
    study = Study(plan, reference, minority, counts, folds[0], splits, tested, other_folds=folds[1:])
    arms = plan_arms(plan.only, seeds=plan.seeds, sweep_seeds=plan.sweep_seeds, minority=levels)
    _add_tasks(study, arms, sets)
    return study


def _reference(plan: Plan, groups: Groups, counts: Mapping[str, int]) -> str:
    """Return the name of the reference group: the plan's, or the one with most training subjects."""
    reference = plan.reference or max(counts, key=lambda name: counts[name])
    with suppress(ValueError):
        reference = groups.name(groups.index(reference))  # attributes in any order
    if reference not in counts:
        hint = did_you_mean(reference, counts)
        raise ValueError(f"reference: {reference!r} is none of those that train, {', '.join(counts)}{hint}")
    return reference


def _add_tasks(study: Study, arms: Sequence[Arm], sets: Sequence[dict[str, Any]]) -> None:
    """Add the arms to a study, with their tasks on the test sets of each fold, each task once."""
    tasks: dict[str, Task] = {}
    for arm in arms:
        of_arm = [task for fold, one in enumerate(sets) for task in _tasks_of(study, arm, one, fold)]
        tasks |= {task.name: task for task in of_arm if task.name not in tasks}
        tests = tuple(task.name for task in of_arm if task.is_test)
        study.arms[arm] = ArmTasks(tuple(task.name for task in of_arm if not task.is_test), tests)
    study.tasks.extend(tasks.values())


def _tasks_of(study: Study, arm: Arm, sets: dict[str, Any], fold: int) -> list[Task]:
    """Return the trainings of an arm in a fold, each before what needs it, and its test or tests."""
    file = _minority_split(int(arm.level)) if arm.sweep == "minority" else SPLIT
    file = _in_fold(study.plan, fold, file)
    settings = arm.settings(study.plan.recipe, study.plan.ce_factor)
    before: list[Task] = []
    use = {}
    if (first := arm.first(study.plan.recipe, study.plan.ce_factor)) is not None:
        before.append(_training(study, *first, file))
        use = {"init" if CHOICES[arm.method].start else "scored_by": before[0].name}
    if CHOICES[arm.method].per_group:
        return [*before, *_tasks_by_group(study, arm, sets, fold, use)]
    train = _training(study, arm.method, settings, file, use)
    locate = None
    if arm.images == "cascade":
        locate = _training(study, arm.method, settings.with_(crop="none"), file)
        before.append(locate)
    return [*before, train, _testing(study, arm.images, train, locate, sets)]


def _tasks_by_group(
    study: Study, arm: Arm, sets: dict[str, Any], fold: int, use: Mapping[str, str]
) -> list[Task]:
    """Return a training and a test for each group; subjects of none are left to the shared network."""
    recipe, factor = study.plan.recipe, study.plan.ce_factor
    tasks: list[Task] = []

    def add(method: str, file: str, use: Mapping[str, str], those: dict[str, Any]) -> None:
        settings = replace(arm, method=method).settings(recipe, factor)
        train = _training(study, method, settings, file, use)
        tasks.extend((train, _testing(study, arm.images, train, None, those)))

    split = study.folds[fold]
    training = set(split["group"][split["part"] == TRAIN])  # in a fold, a rare group may have nobody
    groups = [group for group in study.counts if group in training]
    for number, group in enumerate(groups):
        if those := _cases_of(sets, study.plan, [group]):
            file = _in_fold(study.plan, fold, f"splits/group-{number}.csv")
            study.splits[file] = csv_files.to_csv(only(split, group))
            add(arm.method, file, use, those)
    if those := _cases_of(sets, study.plan, groups, inverted=True):
        add(CHOICES[arm.method].control, _in_fold(study.plan, fold, SPLIT), {}, those)
    return tasks


def _cases_of(
    sets: dict[str, Any], plan: Plan, names: Collection[str], *, inverted: bool = False
) -> dict[str, Any]:
    """Return the test sets with the cases of the named groups alone; inverted, with all other cases."""
    chosen = {}
    for test, test_set in sets.items():
        cohort = read_table(test_set)
        groups = Groups.from_table(cohort, by=plan.recipe.by, bins=plan.recipe.bins)
        parts = []
        for part in test_set["parts"]:
            pool = members(cohort, part["cases"], groups)
            if cases := pool["case"][pool["group"].isin(list(names)) != inverted].tolist():
                parts.append({**part, "cases": cases})
        if parts:
            chosen[test] = {**test_set, "parts": parts}
    return chosen


def data_files(plan: Plan) -> dict[str, dict[str, Path]]:
    """Return the files that an experiment reads: kind of dataset -> name in its folder -> file."""
    by_kind: dict[str, dict[str, Path]] = {}
    for kind, folder in (("data", plan.dataset), ("external data", plan.external)):
        if folder is not None:
            files = [folder / "dataset.json"]
            for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
                files += sorted(path for path in (folder / part).glob("[!.]*") if path.is_file())
            table = plan.table_file if kind == "data" else folder / "groups.csv"
            by_name = {file.relative_to(folder).as_posix(): file for file in files}
            by_kind[kind] = {"groups.csv": table, **by_name}
    return by_kind


def _check_attributes(cohort: pd.DataFrame, file: Path, plan: Plan) -> None:
    for name in (*plan.recipe.by, *plan.also):
        if name not in cohort:
            raise ValueError(no_attribute(file, name, cohort.columns[2:]))


def _check_folds(plan: Plan) -> None:
    if not plan.folds:
        return
    if plan.folds < 2:
        raise ValueError(f"folds must be 2 or more, or 0 for one test set, got {plan.folds}")
    if plan.external is not None:
        raise ValueError("folds: each has a network of its own, so there is none to test on external data")
    if has_files(plan.dataset / "labelsTs"):
        raise ValueError(f"folds: {plan.dataset} has a test set of its own, labelsTs")


def _groups_tested(folds: Sequence[Mapping[str, Any]], plan: Plan) -> dict[str, Groups]:
    """Return name of attributes -> the groups of a test set, where there are two at least to compare.

    The test set may be in several folds.

    Raises:
        ValueError: an attribute makes no groups, such as an age without bins.
    """
    cohort = read_table(folds[0])
    rows = rows_of(cohort, [case for one in folds for part in one["parts"] for case in part["cases"]])
    tested = {}
    for name, (by, bins) in plan.attributes.items():
        if not cohort[list(by)].notna().all(axis="columns").any():
            continue
        groups = Groups.from_table(cohort, by=by, bins=bins)
        counts = groups.counts(groups.encode(rows))
        cells = tuple(cell for cell, count in zip(groups.cells, counts, strict=True) if count)
        if len(cells) > _MOST_GROUPS:
            raise ValueError(f"{name}: {len(cells)} groups are more than the {_MOST_GROUPS} of a table")
        if len(cells) > 1:
            tested[name] = Groups(groups.attributes, cells, groups.bins)
    return tested


def _minority_split(number: int) -> str:
    return f"splits/minority-{number}.csv"


def _in_fold(plan: Plan, fold: int, file: str) -> str:
    return f"folds/{fold}/{file}" if plan.folds else file


def _test_set(
    folder: Path, table: Mapping[str, Any], labels: Mapping[str, int], cases: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    parts = [
        {
            "images": str((folder / f"images{kind}").resolve()),
            "labels": str((folder / f"labels{kind}").resolve()),
            "cases": list(names),
        }
        for kind, names in cases.items()
        if names
    ]
    return {**table, "labels": dict(labels), "parts": parts}


def _external(plan: Plan, labels: Mapping[str, int], num_channels: int) -> dict[str, Any]:
    """Return the external test set: all labelled cases of the second dataset."""
    assert plan.external is not None
    raw = read_raw(plan.external)
    external_labels = plain_labels(raw, "an experiment")
    if external_labels != dict(labels):
        raise ValueError(f"{plan.external} must have the labels {dict(labels)}, has {external_labels}")
    if len(raw.channels) != num_channels:
        raise ValueError(f"{plan.external} must have {num_channels} channels, has {len(raw.channels)}")
    cases = {"Tr": sorted(raw.masks)}
    if has_files(plan.external / "labelsTs"):
        cases["Ts"] = sorted(find_masks(plan.external / "labelsTs", "labelsTs"))
    table = raw.folder / "groups.csv"
    _check_attributes(read_cohort(table), table, plan)
    return _test_set(raw.folder, {"table": str(table.resolve())}, labels, cases)


def _training(
    study: Study, method: str, settings: Settings, split: str, use: Mapping[str, str] | None = None
) -> Task:
    """Return the task of a training; `use` has the trainings that it needs, by what it needs them for."""
    plain = settings.with_(device="auto", workers=None).to_dict()
    spec = {
        "kind": "train",
        "dataset": str(study.plan.dataset.resolve()),
        **study.plan.table_of_cases,
        "split": split,
        "settings": plain,
        **(use or {}),
    }
    identity = {name: value for name, value in plain.items() if name not in MACHINE}
    digest = _digest([identity, study.splits[split], *(use or {}).items()])
    images = "full" if settings.crop == "none" else "crop"
    level = f"-balance{settings.balance:g}" if settings.balance != 1.0 else ""
    name = f"{images}-{method.replace('+', '-')}{level}-seed{settings.seed}-{digest}"
    return Task(f"trainings/{name}", spec, tuple((use or {}).values()))


def _testing(study: Study, images: str, train: Task, first: Task | None, sets: dict[str, Any]) -> Task:
    spec = {
        "kind": "test",
        "images": images,
        "training": train.name,
        "first": None if first is None else first.name,
        "mirror": study.plan.mirror,
        "keep_predictions": study.plan.keep_predictions,
        "tests": sets,
    }
    names = {name: [part["cases"] for part in one["parts"]] for name, one in sets.items()}
    digest = _digest([train.name, first and first.name, images, study.plan.mirror, names])
    stem = train.name.removeprefix("trainings/").split("-", 1)[1].rsplit("-", 1)[0]
    needs = tuple(task.name for task in (train, first) if task is not None)
    return Task(f"tests/{images}-{stem}-{digest}", spec, needs)


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()
