"""The data of a training: the cases of a dataset, their groups, and the subjects held out for validation."""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.case_names import cohort_as_files, hint_of_no_match
from fairseg.cohort.groups import Groups
from fairseg.cohort.table import read_cohort, read_split, rows_of, split_subjects
from fairseg.io.sentences import counted, listed, no_attribute
from fairseg.scoring.voxel_sizes import VoxelSizes
from fairseg.training.checkpoint import case_code
from fairseg.training.network import divisor
from fairseg.training.prepare import Case, SlicePlan, make_plan, prepare
from fairseg.training.raw import RawDataset, read_raw
from fairseg.training.regions import NO_REGIONS
from fairseg.training.settings import Settings
from fairseg.training.slices import View

logger = logging.getLogger(__name__)

_LARGEST_PATCH = 256  # pixels, where the settings name no size


@dataclass(frozen=True)
class CaseSet:
    """Cases to train on, or to validate on: prepared, with subject and group id of each (-1 is unknown)."""

    cases: list[Case]
    subjects: list[str]
    groups: npt.NDArray[np.int64]


@dataclass(frozen=True)
class ChosenCases:
    """The cases that train and that are held out, by tables and headers: nothing is prepared yet."""

    raw: RawDataset  # the dataset on disk, with these cases alone
    plan: SlicePlan  # how to prepare them
    groups: Groups  # those with a training subject
    train: pd.DataFrame  # a row a case: case, subject, group (its id; -1 is unknown)
    validation: pd.DataFrame  # likewise of those that are held out

    def patch_size(self, settings: Settings) -> tuple[int, int] | None:
        """Return the patch size (y, x), or None where it depends on what crops will hold."""
        if settings.crop != "none" and settings.patch_size is None:
            return None
        return fit_patch_size(settings, self.plan.shape)


@dataclass(frozen=True)
class TrainingData:
    """The prepared dataset of a training."""

    raw: RawDataset  # the dataset on disk
    plan: SlicePlan  # how its cases were prepared
    groups: Groups  # those with a training subject
    train: CaseSet
    validation: CaseSet  # no subject is in both
    view: View  # whole slices, or crops
    patch_size: tuple[int, int]  # (y, x)

    @property
    def digest(self) -> str:
        """A digest of the prepared cases."""
        cases = [*self.train.cases, *self.validation.cases]
        text = " ".join(f"{case.name}:{case.digest}" for case in cases)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def validation_subjects(self) -> dict[str, int]:
        """Subjects to validate on, by group."""
        pairs = set(zip(self.validation.subjects, self.validation.groups.tolist(), strict=True))
        counts = self.groups.counts([group for _, group in pairs])
        return dict(zip(self.groups.names, counts.tolist(), strict=True))

    @property
    def counts(self) -> list[int]:
        """Annotated training slices of each group, (G,)."""
        depth = np.array([len(case.annotated) for case in self.train.cases])
        return [int(depth[self.train.groups == group].sum()) for group in range(len(self.groups))]


def sided(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that differ by left and right alone.

    >>> sided(["left lung", "lung_right", "heart", "kidney-L", "kidney-R", "left atrium"])
    [('left lung', 'lung_right'), ('kidney-L', 'kidney-R')]
    >>> sided(["LeftLung", "RightLung", "left", "right", "LVM", "RVM"])
    [('LeftLung', 'RightLung'), ('left', 'right')]
    """
    sides: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
        for side in ("left", "right"):
            stem = tuple(word for word in words if word not in (side, side[0]))
            if len(stem) < len(words):
                sides.setdefault(stem, {})[side] = name
    return [(pair["left"], pair["right"]) for pair in sides.values() if len(pair) == 2]


def load_data(
    dataset: str | Path,
    settings: Settings,
    prepared: Path,
    *,
    table: str | Path | pd.DataFrame | None = None,
    split: str | Path | None = None,
) -> TrainingData:
    """Split a dataset and prepare it: `choose_cases` and `prepare_cases`.

    Arguments are those of `train`; `prepared` is the folder for the prepared arrays.
    """
    chosen = choose_cases(dataset, settings, table=table, split=split)
    return prepare_cases(chosen, settings, prepared)


def choose_cases(
    dataset: str | Path,
    settings: Settings,
    *,
    table: str | Path | pd.DataFrame | None = None,
    split: str | Path | Mapping[str, str] | None = None,
) -> ChosenCases:
    """Read the subjects of a dataset and split them; nothing is written.

    Cases without a row in the table are of unknown group. Groups are those that have a subject
    to train on; rows of other cases, such as those to test on, are left out.

    Arguments are those of `train`; `split` may also be the part of each case, by `case_code`.

    Raises:
        ValueError: as `read_raw`, `read_cohort` and `make_plan`; an attribute is not in the table; settings
            do not fit each other or the labels; or no training case has a known group, or no subject is to
            train.
    """
    if settings.crop == "none" and settings.standardize == "organ":
        raise ValueError("standardize organ needs crops: of a whole image nobody says where the organ is")
    raw = read_raw(dataset)
    if raw.order is not None and settings.loss == "fair_error_bound":
        raise ValueError(f"{raw.folder / 'dataset.json'}: {NO_REGIONS}")
    if 1 in settings.mirrored_axes and (pairs := sided(raw.structures)):
        logger.warning(
            "%s: mirrored from left to right, patches do not tell which is which, unless the anatomy around"
            " does; mirror=y leaves them as they lie",
            listed(f"{left} and {right}" for left, right in pairs),
        )
    table = _table_of(raw, settings) if table is None else table
    file = "the table of cases" if isinstance(table, pd.DataFrame) else table
    cohort = read_cohort(table)
    if absent := [name for name in settings.by if name not in cohort]:
        raise ValueError(no_attribute(file, absent[0], cohort.columns[2:]))
    cohort = cohort_as_files(cohort, raw.images)
    raw = replace(raw, sizes=VoxelSizes.of(settings.spacing, cohort.set_index("case")))
    rows = rows_of(cohort, sorted(raw.images))
    without = sorted(set(rows["case"]) - set(cohort["case"]))
    if len(without) == len(rows):
        raise ValueError(f"{file} and {raw.folder} must share cases: {hint_of_no_match(cohort, raw.images)}")
    if without:
        logger.warning(
            "%s not in %s, so of unknown group: %s", counted(len(without), "case"), file, listed(without)
        )
    if split is None:
        groups, ids = _grouped(rows, rows, settings)
        subjects = rows["subject"].tolist()
        held_out = split_subjects(subjects, ids, settings.validation, seed=settings.split_seed)
    else:
        codes = rows["case"].map(case_code)
        parts = codes.map(split) if isinstance(split, Mapping) else rows["subject"].map(read_split(split))
        rows = rows.assign(part=parts)
        rows = rows[rows["part"].isin(("train", "validation"))]
        held_out = (rows["part"] == "validation").to_numpy()
        if held_out.all():
            raise ValueError(f"{split}: no subject of {raw.folder} has the part train")
        raw = raw.only(rows["case"].tolist())
        groups, ids = _grouped(rows[~held_out], rows, settings)
    groups.warn_of_levels()
    if lost := [name for group, name in enumerate(groups.names) if not (ids[~held_out] == group).any()]:
        # Subjects in several groups are held out with the group of their first case.
        logger.warning("%s: all subjects are held out, so the network knows no such group", ", ".join(lost))
        groups, ids = _grouped(rows[~held_out], rows, settings)
    for group, name in enumerate(groups.names):
        if not (ids[held_out] == group).any() and held_out.any():
            logger.warning("group %s has no subject to validate on", name)
    plan = make_plan(raw, settings.target_spacing)
    rows = pd.DataFrame({"case": rows["case"], "subject": rows["subject"].astype(str), "group": ids})
    chosen = ChosenCases(raw, plan, groups, rows[~held_out], rows[held_out])
    chosen.patch_size(settings)  # raises where it fits no network
    return chosen


def _table_of(raw: RawDataset, settings: Settings) -> Path | pd.DataFrame:
    """Return the table of a dataset's cases; without groups to train by, a dataset needs none."""
    file = raw.folder / "groups.csv"
    if settings.by or file.exists():
        return file
    logger.warning("%s has no groups.csv: each case is taken for a person", raw.folder)
    return pd.DataFrame({"case": sorted(raw.images)})


def parts_of(run: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the part of each case, by its code, of a run that was split by a table; None of any other."""
    if not run.get("split"):
        return None
    return {case_code(case): part for part in ("train", "validation") for case in run[part]}


def _grouped(
    grouped: pd.DataFrame, rows: pd.DataFrame, settings: Settings
) -> tuple[Groups, npt.NDArray[np.int64]]:
    """Return the groups of some rows and the ids of all; without attributes all subjects are one group."""
    if not settings.by:
        return Groups(["all"]), np.zeros(len(rows), dtype=np.int64)
    groups = Groups.from_table(grouped, by=settings.by, bins=settings.bins)
    return groups, groups.encode(rows)


def prepare_cases(
    chosen: ChosenCases, settings: Settings, prepared: Path, *, progress: bool = False
) -> TrainingData:
    """Prepare the cases of a training, those that are not in the folder `prepared` already.

    Raises:
        ValueError: as `prepare`; there is nothing to crop to, or a group's voxels are all ignored.
        RuntimeError: as `prepare`.
    """
    raw, plan, groups = chosen.raw, chosen.plan, chosen.groups
    cases = prepare(raw, plan, prepared, workers=settings.workers or 1, progress=progress)
    train, validation = (
        CaseSet([cases[name] for name in part["case"]], part["subject"].tolist(), part["group"].to_numpy())
        for part in (chosen.train, chosen.validation)
    )
    view = _view(train.cases, settings)
    patch_size = fit_patch_size(settings, view.size or plan.shape)
    data = TrainingData(raw, plan, groups, train, validation, view, patch_size)
    if empty := [name for name, count in zip(groups.names, data.counts, strict=True) if not count]:
        raise ValueError(f"{raw.folder / 'labelsTr'}: all voxels to train on are ignored in {listed(empty)}")
    values = {value for case in train.cases for value in case.slices}
    absent = [name for name, codes in raw.structures.items() if not values.intersection(codes)]
    if len(absent) == len(raw.structures):
        raise ValueError(f"{raw.folder / 'labelsTr'}: no mask to train on has a label, all are background")
    if absent:
        logger.warning("no mask to train on has %s, which the network can't learn", listed(absent))
    return data


def _view(cases: list[Case], settings: Settings) -> View:
    """Return whole slices, or crops of the size of the largest object among the training cases (4.7)."""
    if settings.crop == "none":
        return View()
    boxes = [case.box for case in cases if case.box is not None]
    if not boxes:
        raise ValueError("crop: no training case has foreground to crop to")
    if without := [case.name for case in cases if case.box is None]:
        logger.warning("no foreground in %s: cropped to the middle of the image", listed(without))
    height, width = np.max([box.shape for box in boxes], axis=0) + 2 * settings.crop_margin
    if small := [case.name for case in cases if height > case.shape[1] or width > case.shape[2]]:
        logger.warning(
            "crops of %d x %d pixels, crop_margin %d, are larger than the image, and 0 beyond it, in %s",
            *(height, width, settings.crop_margin),
            listed(small),
        )
    return View((int(height), int(width)), settings.standardize)


def fit_patch_size(settings: Settings, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the patch size of the settings, or else the size of a slice that fits the network.

    Raises:
        ValueError: that of the settings fits no network.
    """
    if settings.patch_size is not None:
        factor = divisor(settings.patch_size)
        if any(length % step for length, step in zip(settings.patch_size, factor, strict=True)):
            raise ValueError(f"patch_size must be divisible by {factor} here, got {settings.patch_size}")
        return settings.patch_size
    size = tuple(max(min(length, _LARGEST_PATCH), 16) for length in shape)
    while any(length % step for length, step in zip(size, divisor(size), strict=True)):
        size = tuple(-(-length // step) * step for length, step in zip(size, divisor(size), strict=True))
    return size[0], size[1]
