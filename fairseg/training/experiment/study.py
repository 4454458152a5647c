"""What an experiment consists of: who trains and who is tested, which arms, and the tasks that they need."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort import read_cohort, split_subjects
from fairseg.groups import Groups
from fairseg.metrics import csv_files
from fairseg.metrics.images import find_masks
from fairseg.metrics.wording import listed
from fairseg.training.experiment.arms import CHOICES, Arm, plan_arms
from fairseg.training.experiment.tasks import Task
from fairseg.training.raw import read_raw
from fairseg.training.settings import Settings

TRAIN, VALIDATION, TEST, LEFT_OUT = "train", "validation", "test", "left out"
SPLIT = "split.csv"
_MACHINE = ("workers", "device", "compile")  # what a result does not depend on


@dataclass(frozen=True)
class Plan:
    """What is asked of an experiment.

    Attributes:
        dataset: folder in nnU-Net's raw layout. If it has labelsTs, those are the test set.
        recipe: settings that all arms share; its `by` and `bins` make the groups, its `validation` is the
            share of each group's training subjects that is held out.
        external: a second dataset, to test on only.
        reference: group against which gaps are taken; default: the one with most training subjects.
        also: more attributes to report at test.
        only: patterns of arms; none for all.
        seeds, sweep_seeds: how many.
        train_groups: groups that train; none for all. Subjects of the others are tested.
        test_share: of each group's subjects, where the dataset has no labelsTs.
        split_seed: of who is tested.
        ce_factor: arms on cross-entropy alone train for so many times the epochs.
        mirror: average predictions over mirrorings.
        keep_predictions: leave the masks in the folder.
    """

    dataset: Path
    recipe: Settings
    external: Path | None = None
    reference: str | None = None
    also: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    seeds: int = 3
    sweep_seeds: int = 1
    train_groups: tuple[str, ...] = ()
    test_share: float = 0.25
    split_seed: int = 0
    ce_factor: int = 1
    mirror: bool = True
    keep_predictions: bool = False


@dataclass(frozen=True)
class Study:
    """A plan on its data.

    Attributes:
        plan: what was asked.
        reference: the reference group.
        minority: the smallest group that trains.
        counts: training subjects of each group.
        split: columns subject, group, part.
        splits: file -> text, to write into the folder.
        arms: each with the names of its training and of its test.
        tasks: of all arms, each once, in the order to do them.
    """

    plan: Plan
    reference: str
    minority: str
    counts: dict[str, int]
    split: pd.DataFrame
    splits: dict[str, str]
    arms: dict[Arm, tuple[str, str]] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)


def make_study(plan: Plan) -> Study:
    """Split the subjects and lay out the arms.

    Raises:
        ValueError: a dataset or an argument is not usable; the message says what.
    """
    raw = read_raw(plan.dataset)
    table_file = raw.folder / "groups.csv"
    cohort = _with_rows(read_cohort(table_file), list(raw.images))
    _check_attributes(cohort, table_file, plan)
    groups = Groups.from_table(cohort, by=plan.recipe.by, bins=plan.recipe.bins)
    if strange := [name for name in plan.train_groups if name not in groups.names]:
        raise ValueError(f"train_groups: {strange[0]!r} is none of {', '.join(groups.names)}")
    split, tests = _split(cohort, list(raw.images), groups, plan)
    training = split[split["part"] == TRAIN]
    counts = {name: int((training["group"] == name).sum()) for name in groups.names}
    counts = {name: number for name, number in counts.items() if number}
    if len(counts) < 2:
        raise ValueError(f"at least two groups must train, got {', '.join(counts) or 'none'}")
    reference = plan.reference or max(counts, key=lambda name: counts[name])
    if reference not in counts:
        raise ValueError(f"reference: {reference!r} is none of those that train, {', '.join(counts)}")
    minority = min((name for name in counts if name != reference), key=lambda name: counts[name])
    splits = {SPLIT: csv_files.to_csv(split)}
    levels = sorted({max(1, counts[minority] // 2**step) for step in range(4)})
    for number in levels:
        splits[_minority_split(number)] = csv_files.to_csv(_fewer(split, minority, number, plan.split_seed))
    sets = {"internal": _test_set(raw.folder, table_file, raw.labels, tests)}
    if plan.external is not None:
        sets["external"] = _external(plan, raw.labels, len(raw.channels))
    study = Study(plan, reference, minority, counts, split, splits)
    arms = plan_arms(plan.only, seeds=plan.seeds, sweep_seeds=plan.sweep_seeds, minority=levels)
    tasks: dict[str, Task] = {}
    for arm in arms:
        file = _minority_split(int(arm.level)) if arm.sweep == "minority" else SPLIT
        settings = arm.settings(plan.recipe, plan.ce_factor)
        train = _training(study, settings, file)
        first = None
        if arm.images == "cascade":
            first = _training(study, settings.with_(crop="none"), file)
            tasks.setdefault(first.name, first)
        test = _testing(study, arm.images, train, first, sets)
        tasks.setdefault(train.name, train)
        tasks.setdefault(test.name, test)
        study.arms[arm] = (train.name, test.name)
    study.tasks.extend(tasks.values())
    return study


def data_files(plan: Plan) -> list[Path]:
    """Return all files that an experiment reads, in a steady order."""
    files = []
    for folder in filter(None, (plan.dataset, plan.external)):
        files += [folder / "dataset.json", folder / "groups.csv"]
        for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
            files += sorted(path for path in (folder / part).glob("*") if path.is_file())
    return files


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _check_attributes(cohort: pd.DataFrame, file: Path, plan: Plan) -> None:
    for name in (*plan.recipe.by, *plan.also):
        if name not in cohort:
            there = ", ".join(column for column in cohort.columns[2:])
            raise ValueError(f"{file} has no attribute {name!r}, it has {there}")


def _with_rows(cohort: pd.DataFrame, cases: Sequence[str]) -> pd.DataFrame:
    """Return the table with a row of unknown attributes for each case that it lacks."""
    without = sorted(set(cases) - set(cohort["case"]))
    extra = pd.DataFrame({"case": without, "subject": without})
    return pd.concat([cohort, extra], ignore_index=True) if without else cohort


def _split(
    cohort: pd.DataFrame, cases: Sequence[str], groups: Groups, plan: Plan
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return who is in which part, and the cases to test on by folder of images."""
    pool = cohort[cohort["case"].isin(cases)].reset_index(drop=True)
    ids = groups.encode(pool)
    names = np.array([groups.name(number) if number >= 0 else "" for number in ids], dtype=object)
    part = np.full(len(pool), TRAIN, dtype=object)
    may_train = np.isin(names, plan.train_groups) if plan.train_groups else np.ones(len(pool), dtype=bool)
    subjects = pool["subject"].astype(str).tolist()
    own_test = plan.dataset / "labelsTs"
    tested: dict[str, list[str]] = {}
    if _has_files(own_test):
        tested["Ts"] = sorted(find_masks(own_test, "labelsTs"))
        part[_whole(subjects, ~may_train)] = LEFT_OUT
    else:
        aside = split_subjects(subjects, ids, plan.test_share, seed=plan.split_seed)
        part[_whole(subjects, aside | ~may_train)] = TEST
        tested["Tr"] = sorted(pool["case"][part == TEST])
    if not any(tested.values()):
        raise ValueError(f"{plan.dataset}: nobody to test on; test_share is {plan.test_share:g}")
    _hold_out(part, subjects, ids, plan)
    rows = [pool.assign(group=names, part=part)]
    if "Ts" in tested:
        others = _with_rows(cohort, tested["Ts"])
        others = others[others["case"].isin(tested["Ts"])]
        if both := sorted(set(others["subject"]) & set(pool["subject"])):
            raise ValueError(
                f"{plan.dataset}: subjects must train or be tested, {listed(both)} would do both"
            )
        known = [groups.name(number) if number >= 0 else "" for number in groups.encode(others)]
        rows.append(others.assign(group=known, part=TEST))
    table = pd.concat(rows)[["subject", "group", "part"]].drop_duplicates("subject")
    return table.sort_values("subject", ignore_index=True), tested


def _whole(subjects: Sequence[str], chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Choose all cases of the subjects of whom some are chosen: nobody is in two parts."""
    names = np.asarray(subjects, dtype=object)
    return np.isin(names, names[chosen])


def _hold_out(
    part: npt.NDArray[Any], subjects: Sequence[str], ids: npt.NDArray[np.int64], plan: Plan
) -> None:
    """Make a share of each group's training subjects those to validate on."""
    rest = np.flatnonzero(part == TRAIN)
    aside = split_subjects(
        [subjects[place] for place in rest.tolist()],
        ids[rest],
        plan.recipe.validation,
        seed=plan.split_seed + 1,
    )
    part[rest[aside]] = VALIDATION


def _fewer(split: pd.DataFrame, group: str, number: int, seed: int) -> pd.DataFrame:
    """Return the split with this many training subjects of a group; fewer are some of those of more."""
    members = split.index[(split["group"] == group) & (split["part"] == TRAIN)].to_numpy()
    order = np.random.default_rng((seed, 7)).permutation(len(members))
    fewer = split.copy()
    fewer.loc[members[order[number:]], "part"] = LEFT_OUT
    return fewer


def _minority_split(number: int) -> str:
    return f"splits/minority-{number}.csv"


def _test_set(
    folder: Path, table: Path, labels: Mapping[str, int], cases: Mapping[str, Sequence[str]]
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
    return {"table": str(table.resolve()), "labels": dict(labels), "parts": parts}


def _external(plan: Plan, labels: Mapping[str, int], num_channels: int) -> dict[str, Any]:
    """Return the external test set: all labelled cases of the second dataset."""
    assert plan.external is not None
    raw = read_raw(plan.external)
    if dict(raw.labels) != dict(labels):
        raise ValueError(f"{plan.external} must have the labels {dict(labels)}, has {dict(raw.labels)}")
    if len(raw.channels) != num_channels:
        raise ValueError(f"{plan.external} must have {num_channels} channels, has {len(raw.channels)}")
    cases = {"Tr": sorted(raw.masks)}
    if _has_files(plan.external / "labelsTs"):
        cases["Ts"] = sorted(find_masks(plan.external / "labelsTs", "labelsTs"))
    table = raw.folder / "groups.csv"
    _check_attributes(read_cohort(table), table, plan)
    return _test_set(raw.folder, table, labels, cases)


def _training(study: Study, settings: Settings, split: str) -> Task:
    asked = settings.with_(device="auto", workers=None, compile=False)
    spec = {
        "kind": "train",
        "dataset": str(study.plan.dataset.resolve()),
        "table": str((study.plan.dataset / "groups.csv").resolve()),
        "split": split,
        "settings": asked.to_dict(),
    }
    identity = {name: value for name, value in asked.to_dict().items() if name not in _MACHINE}
    digest = _digest([identity, study.splits[split]])
    where = "full" if settings.crop == "none" else "crop"
    return Task(f"trainings/{where}-{_method(settings)}-seed{settings.seed}-{digest}", spec)


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


def _method(settings: Settings) -> str:
    """Return what a training's method is called in the name of its folder."""
    fields = ("sampler", "loss", "base", "reweight")
    asked = {name: getattr(settings, name) for name in fields}
    plain = Settings(by=settings.by)
    for name, choices in CHOICES.items():
        if asked == {one: choices.get(one, getattr(plain, one)) for one in fields}:
            level = f"-balance{settings.balance:g}" if settings.balance != 1.0 else ""
            return name.replace("+", "-") + level
    return settings.loss


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()
