"""Read and check what `understand` needs: images and masks, groups, scores, confounders."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.attributes import read_subjects
from fairseg.cohort.case_names import cohort_as_files, hint_of_no_match
from fairseg.cohort.groups import Groups
from fairseg.cohort.reading import TableOptions
from fairseg.cohort.table import read_cohort
from fairseg.io.images import find_masks
from fairseg.io.sentences import counted, did_you_mean, listed
from fairseg.scoring.folders import score_folders
from fairseg.scoring.subjects import structure_scores, subject_names
from fairseg.scoring.table import Scores
from fairseg.scoring.voxel_sizes import Spacing, VoxelSizes
from fairseg.training.raw import RawDataset, plain_labels, read_raw
from fairseg.understanding.readability import Floats, Integers
from fairseg.understanding.views import CasePaths, Frame, make_frame, subject_views

if TYPE_CHECKING:
    from fairseg.training.prediction import TrainedRun


@dataclass(frozen=True)
class Call:
    """The arguments of `understand` that an advised command repeats, besides those that make the groups.

    Attributes:
        data: where the dataset is, as it was given.
        reference: the reference group, as it was given; None without.
        options: how the table of attributes is read.
        predictions: the folder of masks; "" without.
        spacing: of images whose files state none; None without.
        run: folder of the training; "" without.
        crops: whether that was trained on crops.
        scores: their file; "" without.
        test: whether imagesTs were looked at.
        confounders: their names.
        margins: of the crops, as they were given; empty without.
        min_size: subjects that a group needs.
        model: that reads images.
        permutations: as they were given; None without.
        seed: of the deals.
    """

    data: str = ""
    reference: str | None = None
    options: TableOptions = field(default_factory=TableOptions)
    predictions: str = ""
    spacing: Spacing | None = None
    run: str = ""
    crops: bool = False
    scores: str = ""
    test: bool = False
    confounders: tuple[str, ...] = ()
    margins: tuple[float, ...] = ()
    min_size: int = 10
    model: str = "linear"
    permutations: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Gathered:
    """A cohort as `understand` looks at it, with the subjects of the groups that are judged.

    Attributes:
        attributes: that make the groups.
        groups_file: where the table of attributes is; "" if it was no file.
        bins: that cut the attributes.
        raw: the dataset.
        cases: files of each case of these subjects.
        case_subjects: position of each case's subject.
        subjects: names, (N,).
        ids: group of each, int64 (N,).
        names: of the groups that are judged; the first is the reference group.
        left_out: group, subjects and why: too small, unknown, several groups, no organ.
        table: of attributes, one row a subject.
        frame: what the views have in common.
        views: name -> (N, ...).
        scores: the model's, or None.
        dice: of each subject, (N,), NaN where unknown; None without scores.
        unseen: cases of imagesTs, where imagesTr were looked at.
        trained: subjects of imagesTr in each group that is judged, on whom a training would be; empty where
            it is not known.
        call: what `understand` was asked.
    """

    attributes: tuple[str, ...]
    groups_file: str
    bins: Mapping[str, Sequence[float]]
    raw: RawDataset
    cases: tuple[CasePaths, ...]
    case_subjects: Integers
    subjects: tuple[str, ...]
    ids: Integers
    names: tuple[str, ...]
    left_out: pd.DataFrame
    table: pd.DataFrame
    frame: Frame
    views: Mapping[str, npt.NDArray[np.floating]]
    scores: Scores | None
    dice: Floats | None
    unseen: int
    trained: Mapping[str, int]
    call: Call

    @property
    def attribute(self) -> str:
        """The attributes, as a sentence says them."""
        return " and ".join(self.attributes)

    @property
    def counts(self) -> list[tuple[str, int]]:
        """Name and subjects of each group that is judged."""
        return [(name, int((self.ids == group).sum())) for group, name in enumerate(self.names)]


def gather(
    by: str | Sequence[str],
    call: Call,
    *,
    cohort: str | Path | pd.DataFrame | None,
    bins: Mapping[str, Sequence[float]],
    scores: Any,
    run: "TrainedRun | None",
    predict_run: "Callable[..., Any] | None",
    scratch: Path,
) -> Gathered:
    """Read the cohort; arguments are those of `understand`, and `call` has the others.

    Where there is a run and no predictions, `predict_run` writes the run's into the folder `scratch`.

    Raises:
        ValueError: an input is not usable, or fewer than two groups are large enough; the message says which.
    """
    part: Literal["Tr", "Ts"] = "Ts" if call.test else "Tr"
    data = Path(call.data)
    raw = read_raw(data, part)
    labels = plain_labels(raw, "understand")
    for name, of_data in (("channels", list(raw.channels)), ("labels", raw.labels)):
        if run is not None and run.about[name] != of_data:
            raise ValueError(f"run: it was trained with {name} {run.about[name]}, the data has {of_data}")
    file = data / "groups.csv" if cohort is None else cohort
    unseen = 0 if call.test else len(list((data / "labelsTs").glob("[!.]*")))
    scored = None if scores is None else _with_dice(Scores.of(scores))
    attributes = (by,) if isinstance(by, str) else tuple(by)
    everybody = _read_table(
        file, call.options, raw, f"images{part} of {data}", by=attributes, confounders=call.confounders
    )
    for name in call.confounders:
        if name in (*attributes, "case", "subject"):
            reason = "makes the groups" if name in attributes else "names people"
            raise ValueError(
                f"confounders: {name!r} {reason}, so that it cannot be held fixed between groups"
            )
    of_groups = {name: edges for name, edges in bins.items() if name in attributes}
    groups = Groups.from_table(everybody, by=by, bins=of_groups)
    groups.warn_of_levels()
    members = _Members(everybody, groups, call.min_size, _trained_on(run, everybody))
    _order(groups, call.reference, members)
    table = members.rows(everybody)
    folder = Path(call.predictions) if call.predictions else None
    if folder is None and run is not None and predict_run is not None:
        around = None if run.crop_size is None else raw.mask_folder
        selection = {"cases": set(table["case"]), "table": table}
        predict_run(data / f"images{part}", scratch, **selection, references=around)
        folder = scratch
    masks = {} if folder is None else find_masks(folder, "predictions")
    if folder is not None and (without := sorted(set(table["case"]) - masks.keys())):
        hint = "; of the cases of imagesTs say --test (test=True)" if unseen else ""
        raise ValueError(f"predictions has no mask of {listed(without)}, of images{part}{hint}")
    if scored is None and folder is not None:
        # Subjects who are left out are in the cohort all the same, and scored if there is a mask.
        masked = everybody[everybody["case"].isin(masks)]
        of_masks = score_folders(
            folder, raw.mask_folder, masked, labels=raw.structures, metrics=("dice",), spacing=call.spacing
        )
        scored = _with_dice(of_masks)
    sizes = VoxelSizes.of(call.spacing, table.set_index("case"))
    files = {
        name: CasePaths(name, raw.images[name], raw.masks[name], masks.get(name), sizes[name])
        for name in table["case"]
    }
    margins = call.margins or None
    frame = make_frame(list(files.values()), labels, margins)
    if frame.blank:
        with_organ = everybody[~everybody["case"].isin(frame.blank)]
        members.leave_blank(set(with_organ["subject"]))
        table = members.rows(with_organ)
        # Made anew without them: an organ or an image of another group would widen every view.
        frame = make_frame([files[name] for name in table["case"]], labels, margins)
    order = _order(groups, call.reference, members)
    cases = [files[name] for name in table["case"]]
    subjects, views = subject_views(cases, table["subject"].tolist(), frame)
    group_of = members.judged.set_index("subject")["group"]
    in_training = _table_of_training(file, call) if call.test else everybody
    return Gathered(
        attributes=groups.attributes,
        groups_file="" if isinstance(file, pd.DataFrame) else str(file),
        bins=of_groups,
        raw=raw,
        cases=tuple(cases),
        case_subjects=pd.Index(subjects).get_indexer(pd.Index(table["subject"])).astype(np.int64),
        subjects=tuple(subjects),
        ids=np.array([order.index(int(group)) for group in group_of.loc[subjects]], dtype=np.int64),
        names=tuple(groups.short_names[group] for group in order),
        left_out=pd.DataFrame(members.left_out, columns=["group", "subjects", "why"]),
        table=table.drop_duplicates("subject").set_index("subject").loc[subjects].reset_index(),
        frame=frame,
        views=views,
        scores=scored,
        dice=None if scored is None else _dice(scored, subjects),
        unseen=unseen,
        trained=_in_training(in_training, groups, order),
        call=call,
    )


def _read_table(
    file: str | Path | pd.DataFrame,
    options: TableOptions,
    raw: RawDataset,
    source: str,
    **columns: Sequence[str],
) -> pd.DataFrame:
    """Return the rows of the cohort that have an image, by the names of the images.

    Args:
        file: the cohort.
        options: how to read it.
        raw: the dataset.
        source: its images, as a message calls them.
        **columns: option -> the columns that it names.

    Raises:
        ValueError: a column is missing, or no case has an image.
    """
    table = file if isinstance(file, pd.DataFrame) else read_cohort(file, options)
    for option, names in columns.items():
        if absent := [name for name in names if name not in table]:
            has = listed(table.columns, 20) + did_you_mean(absent[0], table)
            raise ValueError(f"{option}: the cohort has no column {absent[0]!r}, it has {has}")
    table = cohort_as_files(table, raw.images)
    if not table["case"].isin(raw.images).any():
        raise ValueError(f"cohort and {source} must share cases: {hint_of_no_match(table, raw.images)}")
    return table[table["case"].isin(raw.images)].reset_index(drop=True)


def _table_of_training(file: str | Path | pd.DataFrame, call: Call) -> pd.DataFrame | None:
    """Return the rows of imagesTr, or None where the table, or the dataset, has none."""
    try:
        return _read_table(file, call.options, read_raw(call.data, "Tr"), f"imagesTr of {call.data}")
    except ValueError:
        return None


def _in_training(table: pd.DataFrame | None, groups: Groups, judged: Sequence[int]) -> dict[str, int]:
    """Return the subjects in a table of each judged group; empty if some group has none."""
    if table is None:
        return {}
    members = read_subjects(table, groups.encode(table), len(groups)).members
    counts = {groups.short_names[group]: int((members[:, 1] == group).sum()) for group in judged}
    return counts if all(counts.values()) else {}


def _trained_on(run: "TrainedRun | None", table: pd.DataFrame) -> set[str]:
    """Return the subjects on whom a run was trained, by the names of their cases."""
    if run is None:
        return set()
    from fairseg.training.checkpoint import case_code  # noqa: PLC0415  (torch, which nothing else needs here)

    codes = set(map(case_code, run.about["train"]))
    return {str(subject) for case, subject in zip(table["case"], table["subject"], strict=True)
            if case_code(case) in codes}  # fmt: skip


class _Members:
    """The subjects of the groups that are judged, and who is left out and why.

    Attributes:
        judged: columns subject and group, a row each.
        left_out: group ("" if it is unknown), subjects and why.
    """

    def __init__(
        self, table: pd.DataFrame, groups: Groups, min_size: int, trained_on: Collection[str]
    ) -> None:
        subjects = read_subjects(table, groups.encode(table), len(groups))
        names = [subjects.names[position] for position in subjects.members[:, 0]]
        self.judged = pd.DataFrame({"subject": names, "group": subjects.members[:, 1]})
        self.left_out: list[dict[str, Any]] = []
        self._groups, self._min_size = groups, min_size
        self._leave(self.judged["subject"].isin(subjects.shared), "cases in several groups", of_groups=False)
        self._leave(self.judged["group"] < 0, "the group is unknown", of_groups=False)
        self._trained_on = int(self.judged["subject"].isin(trained_on).sum())
        self._leave(self.judged["subject"].isin(trained_on), "the run was trained on them")
        self._leave_small("with images", dict.fromkeys(range(len(groups)), 0))

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table that are of these subjects."""
        return table[table["subject"].isin(self.judged["subject"])]

    def leave_blank(self, with_organ: Collection[str]) -> None:
        """Leave out subjects without an organ in any reference, and groups that are too small without them.

        Raises:
            ValueError: fewer than two groups are left.
        """
        before = dict(enumerate(np.bincount(self.judged["group"], minlength=len(self._groups)).tolist()))
        self._leave(~self.judged["subject"].isin(with_organ), "no organ in the reference")
        self._leave_small("with an organ in the reference", {group: n for group, n in before.items() if n})

    def _leave(self, mask: "pd.Series[bool]", why: str, *, of_groups: bool = True) -> None:
        """Leave subjects out, and note them by group, if they are of one that is known."""
        leaving = self.judged[mask]
        parts = [leaving[leaving["group"] == group] for group in sorted(set(leaving["group"]))]
        for part in parts if of_groups else [leaving][: len(leaving)]:
            name = self._groups.short_names[part["group"].iloc[0]] if of_groups else ""
            self.left_out.append({"group": name, "subjects": part["subject"].nunique(), "why": why})
        self.judged = self.judged[~mask]

    def _leave_small(self, described: str, before: Mapping[int, int]) -> None:
        """Leave out groups that are too small to be judged.

        Args:
            described: which subjects count, in words.
            before: of each group that counts, how many there were before some were left out, or 0.
        """
        counts = self.judged["group"].value_counts()
        self._leave(
            self.judged["group"].map(counts) < self._min_size,
            f"fewer than {self._min_size} subjects {described}, so not judged",
        )
        if self.judged["group"].nunique() < 2:
            sizes = ", ".join(
                f"{self._groups.short_names[group]} {n}" + (f" of {most}" if n < most else "")
                for group, most in before.items()
                for n in (int(counts.get(group, 0)),)
            )
            if self._trained_on:
                sizes += f" without {counted(self._trained_on, 'subject')} on whom the run was trained"
            raise ValueError(
                f"by {' and '.join(self._groups.attributes)}: at least two groups of {self._min_size} "
                f"subjects {described} are needed, got {sizes}"
            )


def _order(groups: Groups, reference: str | None, members: _Members) -> list[int]:
    """Return the groups that are judged, the reference group first."""
    with_subjects = set(members.judged["group"])
    judged = [group for group in range(len(groups)) if group in with_subjects]
    if reference is None:
        return judged
    try:
        first = groups.index(str(reference))
    except ValueError as error:
        raise ValueError(f"reference: {error}") from None
    if first not in judged:
        reasons = [one["why"] for one in members.left_out if one["group"] == groups.short_names[first]]
        why = reasons[-1] if reasons else "it has no subjects"
        raise ValueError(f"reference: group {reference} cannot be judged: {why}")
    return [first, *(group for group in judged if group != first)]


def _with_dice(scores: Scores) -> Scores:
    if "dice" not in scores.table:
        raise ValueError(f"scores must have a column dice, they have {listed(scores.metrics)}")
    return scores


def _dice(scores: Scores, subjects: Sequence[str]) -> Floats:
    """Return the mean Dice of each subject over the structures."""
    of_structures = pd.DataFrame(structure_scores(scores), index=subject_names(scores))
    dice = of_structures.mean(axis="columns").reindex(list(subjects))
    if dice.isna().all():
        raise ValueError("scores must be of subjects of this cohort, they share none")
    return np.asarray(dice, dtype=np.float64)
