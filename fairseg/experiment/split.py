"""Who trains, who is held out and who is tested, the same in all arms of an experiment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.groups import Groups
from fairseg.cohort.table import rows_of, split_subjects
from fairseg.experiment.plan import Plan
from fairseg.io.images import find_masks
from fairseg.io.sentences import listed

TRAIN, VALIDATION, TEST, LEFT_OUT = "train", "validation", "test", "left out"


def split_cohort(
    cohort: pd.DataFrame, cases: Sequence[str], groups: Groups, train_groups: Sequence[str], plan: Plan
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return who is in which part, and the cases to test on by folder of images."""
    pool = rows_of(cohort, cases)
    ids = groups.encode(pool)
    names = np.array([groups.name(number) if number >= 0 else "" for number in ids], dtype=object)
    part = np.full(len(pool), TRAIN, dtype=object)
    may_train = np.isin(names, train_groups) if train_groups else np.ones(len(pool), dtype=bool)
    subjects = pool["subject"].astype(str).tolist()
    own_test = plan.dataset / "labelsTs"
    tested: dict[str, list[str]] = {}
    if has_files(own_test):
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
        others = rows_of(cohort, tested["Ts"])
        if both := sorted(set(others["subject"]) & set(pool["subject"])):
            raise ValueError(
                f"{plan.dataset}: subjects must train or be tested, {listed(both)} would do both"
            )
        known = [groups.name(number) if number >= 0 else "" for number in groups.encode(others)]
        rows.append(others.assign(group=known, part=TEST))
    table = pd.concat(rows)[["subject", "group", "part"]].drop_duplicates("subject")
    return table.sort_values("subject", ignore_index=True), tested


def fewer(split: pd.DataFrame, group: str, number: int, seed: int) -> pd.DataFrame:
    """Return the split with this many training subjects of a group; fewer are some of those of more."""
    members = split.index[(split["group"] == group) & (split["part"] == TRAIN)].to_numpy()
    order = np.random.default_rng((seed, 7)).permutation(len(members))
    fewer = split.copy()
    fewer.loc[members[order[number:]], "part"] = LEFT_OUT
    return fewer


def has_files(folder: Path) -> bool:
    """Say whether a folder is there and not empty."""
    return folder.is_dir() and any(folder.iterdir())


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
