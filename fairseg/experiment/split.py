"""The subjects who train, are held out and are tested, the same in all arms of an experiment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.groups import Groups
from fairseg.cohort.table import fold_subjects, rows_of, split_subjects
from fairseg.experiment.plan import Plan
from fairseg.io.images import find_masks
from fairseg.io.sentences import listed

TRAIN, VALIDATION, TEST, LEFT_OUT = "train", "validation", "test", "left out"


def split_cohort(
    cohort: pd.DataFrame,
    cases: Sequence[str],
    groups: Groups,
    train_groups: Sequence[str],
    plan: Plan,
    fold: int = 0,
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return the part of each subject, and the cases to test on by folder of images.

    With folds, the subjects of one are tested; those of groups that do not train are left out of the others.
    """
    pool = members(cohort, cases, groups)
    subjects, ids = pool["subject"].to_numpy(), pool["id"].to_numpy()
    part = np.full(len(pool), TRAIN, dtype=object)
    untrained = ~pool["group"].isin(train_groups or pool["group"]).to_numpy()
    rows, tested = [pool], {}
    if plan.folds:
        fold_of = fold_subjects(subjects.tolist(), ids, plan.folds, seed=plan.split_seed)
        part[_all_cases(subjects, untrained)] = LEFT_OUT
        part[fold_of == fold] = TEST
        tested["Tr"] = sorted(pool["case"][part == TEST])
    elif has_files(plan.dataset / "labelsTs"):
        tested["Ts"] = sorted(find_masks(plan.dataset / "labelsTs", "labelsTs"))
        part[_all_cases(subjects, untrained)] = LEFT_OUT
        rows.append(members(cohort, tested["Ts"], groups).assign(part=TEST))
        if both := sorted(set(rows[1]["subject"]) & set(pool["subject"])):
            raise ValueError(
                f"{plan.dataset}: subjects must train or be tested, {listed(both)} would do both"
            )
    else:
        held_out = split_subjects(subjects.tolist(), ids, plan.test_share, seed=plan.split_seed)
        part[_all_cases(subjects, held_out | untrained)] = TEST
        tested["Tr"] = sorted(pool["case"][part == TEST])
    if not any(tested.values()):
        raise ValueError(f"{plan.dataset}: nobody to test on; test_share is {plan.test_share:g}")
    training = np.flatnonzero(part == TRAIN)
    held_out = split_subjects(
        subjects[training].tolist(), ids[training], plan.recipe.validation, seed=plan.split_seed + 1
    )
    part[training[held_out]] = VALIDATION
    rows[0] = pool.assign(part=part)
    table = pd.concat(rows)[["subject", "group", "part"]].drop_duplicates("subject")
    return table.sort_values("subject", ignore_index=True), tested


def fewer(split: pd.DataFrame, group: str, number: int, seed: int) -> pd.DataFrame:
    """Return the split with this many training subjects of a group, nested: fewer are a part of more."""
    members = split.index[(split["group"] == group) & (split["part"] == TRAIN)].to_numpy()
    order = np.random.default_rng((seed, 7)).permutation(len(members))
    fewer = split.copy()
    fewer.loc[members[order[number:]], "part"] = LEFT_OUT
    return fewer


def only(split: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return the split with the training and validation subjects of one group, those of others left out."""
    of_others = (split["group"] != group) & split["part"].isin((TRAIN, VALIDATION))
    return split.assign(part=split["part"].mask(of_others, LEFT_OUT))


def has_files(folder: Path) -> bool:
    """Say whether a folder is there and not empty."""
    return folder.is_dir() and any(folder.iterdir())


def members(cohort: pd.DataFrame, cases: Sequence[str], groups: Groups) -> pd.DataFrame:
    """Return case, subject, id and name of the group of each case; name "" where it is unknown."""
    rows = rows_of(cohort, cases)
    ids = groups.encode(rows)
    names = [groups.name(number) if number >= 0 else "" for number in ids]
    return pd.DataFrame({"case": rows["case"], "subject": rows["subject"], "id": ids, "group": names})


def _all_cases(subjects: npt.NDArray[Any], chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Choose all cases of subjects with a chosen case, so that no subject is in two parts."""
    return np.isin(subjects, subjects[chosen])
