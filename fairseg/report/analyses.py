"""Which groups are compared: the arguments of `audit` and `compare`, checked against the scores."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.attributes import check_attributes
from fairseg.cohort.columns import is_attribute
from fairseg.cohort.groups import Groups
from fairseg.cohort.ids import as_ids
from fairseg.cohort.levels import level_text
from fairseg.cohort.reading import as_pandas
from fairseg.io.calls import Call, is_path
from fairseg.io.sentences import brief, counted, did_you_mean, listed, not_among
from fairseg.metrics.fairness import Floats
from fairseg.metrics.grouped import as_values
from fairseg.scoring.arrays import are_arrays, check_are_no_stacks
from fairseg.scoring.subjects import (
    STRUCTURE_SIZE,
    Membership,
    check_judged,
    covariate,
    in_fifths,
    lost_cases,
    membership,
    strata,
    structure_scores,
)
from fairseg.scoring.table import Scores
from fairseg.statistics.common_structures import CommonStructures, common_structures
from fairseg.statistics.findings import Grouping
from fairseg.statistics.judge_options import JudgeOptions

MERGED = "attributes in a table of their own are merged first: scores.merge(cohort, on='subject')"
_MOST_GROUPS = 500  # of a report, which takes under two minutes and 8 MB with so many


@dataclass(frozen=True)
class Analysis:
    """One grouping of the cohort: who is in which group, and which group the others are compared with.

    Attributes:
        groups: the groups, by their whole names.
        members: the group of each subject.
        grouping: the same as the statistics take it, by short names.
    """

    groups: Groups
    members: Membership
    grouping: Grouping

    @property
    def name(self) -> str:
        """The attributes, as sentences call them."""
        return self.grouping.name

    @property
    def reference(self) -> int | None:
        """The id of the reference group; None: all pairs."""
        return self.grouping.reference

    @property
    def reference_name(self) -> str | None:
        """The whole name of the reference group, if there is one."""
        return None if self.reference is None else self.groups.name(self.reference)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Subjects in each group, int64 (G,)."""
        return self.groups.counts(self.members.ids)


def audit_as_meant(*args: Any, groups: Any = None, **options: Any) -> Call:
    """Accept folders of masks as positional arguments, and `groups` that name a column or the table of cases.

    Raises:
        TypeError: there are two tables, which is a comparison.

    >>> audit_as_meant("predicted", "true", groups="groups.csv", by="sex")[1]
    {'by': 'sex', 'predictions': 'predicted', 'references': 'true', 'cohort': 'groups.csv'}
    >>> audit_as_meant({"dice": [0.9], "sex": ["F"]}, groups="sex")[1]
    {'by': 'sex'}
    """
    args, groups = tuple(map(as_pandas, args)), as_pandas(groups)
    options |= {name: as_pandas(options[name]) for name in ("scores", "cohort") if name in options}
    names = args[0] if args else options.get("scores")
    args, groups = tuple(_as_column(one, names) for one in args), _as_column(groups, names)
    options |= {"scores": _as_column(options["scores"], names)} if "scores" in options else {}
    if len(args) > 1:
        line = "fairseg.audit(list(predictions), list(references), cohort, by='sex')"
        check_are_no_stacks(*args[:2], line=line)
    arrays = len(args) > 1 and any(map(are_arrays, args[:2]))
    if len(args) > 1 and not arrays and all(map(_is_table, args[:2])):
        raise TypeError("audit takes one table; of two type fairseg.compare({'a': a, 'b': b}, by='sex')")
    paths = len(args) > 1 and all(isinstance(one, str | Path) for one in args[:2])
    named = paths and not is_path(args[0])
    if arrays or (named and ("by" in options or len(args) > 3 or Path(args[0]).is_dir())):
        names = ("predictions", "references", "cohort", "by", "reference")
        options |= dict(zip(names, args, strict=False))
        args = args[len(names) :]
    if options.get("predictions") is not None and (is_path(groups) or isinstance(groups, pd.DataFrame)):
        options.setdefault("cohort", groups)
        groups = None
    elif isinstance(groups, str) and not is_path(groups) and "by" not in options and len(args) < 2:
        options["by"], groups = groups, None
    return args, options if groups is None else options | {"groups": groups}


def compare_as_meant(*args: Any, **options: Any) -> Call:
    """Accept scores one after another, or a list of them, as models that are called after their files.

    Raises:
        ValueError: a model is a folder of masks, which must be scored first.

    >>> compare_as_meant("a.csv", "b.csv", "sex")[0]
    ({'a': 'a.csv', 'b': 'b.csv'}, 'sex')
    >>> compare_as_meant([0.9, 0.8], [0.8, 0.8], groups=["F", "M"])[0]
    ({'model 1': [0.9, 0.8], 'model 2': [0.8, 0.8]},)
    """
    args = tuple(map(as_pandas, args))
    if args and isinstance(args[0], Mapping):
        args = ({name: as_pandas(source) for name, source in args[0].items()}, *args[1:])
    elif args and type(args[0]) is list:
        args = (list(map(as_pandas, args[0])), *args[1:])

    def are_scores(value: Any) -> bool:
        vector = "groups" in options and hasattr(value, "__len__") and not isinstance(value, str)
        return vector or _is_table(value)

    first = args[0] if args else options.get("models", ())
    parts = first.values() if isinstance(first, Mapping) else [*args, *first] if type(first) is list else args
    if folder := next(filter(_is_folder, parts), None):
        raise ValueError(
            f"models must be tables of scores, got the folder {folder}: score each first, fairseg.compare("
            f"{{'a': fairseg.evaluate({str(folder)!r}, 'references', 'groups.csv'), 'b': ...}}, by='sex')"
        )
    if args and isinstance(args[0], list | tuple) and all(map(are_scores, args[0])):
        models, rest = list(args[0]), args[1:]
    else:
        number = next((index for index, one in enumerate(args) if not are_scores(one)), len(args))
        models, rest = list(args[:number]), args[number:]
    if len(models) < 2:
        return args, options
    names = [Path(one).stem if is_path(one) else f"model {index}" for index, one in enumerate(models, 1)]
    names = names if len({*names}) == len(names) else list(map(str, models))
    return (dict(zip(names, models, strict=True)), *rest), options


def _is_table(value: Any) -> bool:
    return isinstance(value, pd.DataFrame | Mapping | Scores) or is_path(value)


def check_is_no_folder(scores: Any) -> None:
    """Raise a ValueError that says how masks are scored, if `scores` is a folder."""
    if _is_folder(scores):
        raise ValueError(
            f"scores must be a table, got the folder {scores}: masks are scored beside the references, "
            f"fairseg.audit({str(scores)!r}, 'references', 'groups.csv', by='sex')"
        )


def _is_folder(value: Any) -> bool:
    return isinstance(value, str | Path) and os.path.isdir(value)  # noqa: PTH112  (of names too long for a file)


def _as_column(value: Any, names: Any) -> Any:
    """Return a mapping such as subject -> score as a Series, in the order of `names`; anything else as it is.

    Raises:
        ValueError: it has other names than the mapping `names`.
    """
    if not isinstance(value, Mapping) or not value or not all(map(_is_single, value.values())):
        return value
    order = list(names if isinstance(names, Mapping) else value)
    if differing := [name for name in (*order, *value) if (name in value) + (name in order) == 1]:
        raise ValueError(
            f"scores and groups must name the same subjects, got {listed(differing)} in one of them only"
        )
    return pd.Series({name: value[name] for name in order})


def _is_single(value: Any) -> bool:
    return value is None or isinstance(value, str | Number | np.generic)


def is_vector(by: Any, scores: Any) -> bool:
    """Return whether `by` is the group of each subject rather than the names of columns."""
    if isinstance(by, list | tuple) and _is_one_column(scores):
        return len(by) == len(scores)
    if getattr(by, "dtype", None) is None or not hasattr(scores, "__len__"):
        return False
    columns = scores.columns if isinstance(scores, pd.DataFrame) else ()
    return not (len(by) < len(scores) and all(name in columns for name in by))


def _is_one_column(scores: Any) -> bool:
    """Return whether scores are one value a subject, which have no columns to name."""
    if isinstance(scores, list | tuple):
        return bool(scores) and all(map(_is_single, scores))
    return getattr(scores, "ndim", 0) == 1 and getattr(getattr(scores, "dtype", None), "names", None) is None


def indexes_of(scores: Any) -> list[pd.Index]:
    """Return the pandas index of a table or column, or those of several columns."""
    parts = scores.values() if isinstance(scores, Mapping) else [scores]
    return [one.index for one in parts if isinstance(one, pd.Series | pd.DataFrame)]


def with_groups(scores: Any, by: Any, groups: Any, metric: str) -> tuple[Any, str]:
    """Return a table with the groups as a column, and the name of that column; `by` must be None."""
    if isinstance(groups, pd.DataFrame | Mapping) or is_path(groups):
        raise ValueError(f"groups must be one value a row, got a table: {MERGED}")
    if by is not None:
        raise ValueError("by and groups are two ways to say the same: give one of them")
    name = str(getattr(groups, "name", None) or "group")
    table = isinstance(scores, pd.DataFrame | Mapping)
    if scores is None:
        raise ValueError(
            "groups of masks are a column of their cohort: cohort={'case': names, 'sex': groups}, by='sex'"
        )
    if isinstance(scores, str | Path):
        raise ValueError(
            "groups must stand beside one value a subject, or a table in memory; of a file name the column: "
            "by='sex'"
        )
    if isinstance(groups, pd.Series) and any(
        len(index) == len(groups) and not index.equals(groups.index) for index in indexes_of(scores)
    ):
        raise ValueError(
            "scores and groups must have the same index, got rows in different order or of other names: "
            'align them; in several tables add a column subject: df.reset_index(names="subject")'
        )
    indexes = indexes_of(scores)
    values = scores if table else {metric: as_values(scores)}
    frame = pd.DataFrame(values) if table or not indexes else pd.DataFrame(values, index=indexes[0])
    encoded = as_ids(groups)
    if len(encoded.ids) != len(frame):
        raise ValueError(f"scores and groups must have one length, got {len(frame)} and {len(encoded.ids)}")
    if not indexes and (rows := indexes_of(groups)):
        frame = frame.set_axis(rows[0])
    if name in frame or not is_attribute(name):
        name = f"{name} (given)"
    levels = pd.Index(encoded.names or map(str, range(encoded.num_groups)))
    codes = pd.Categorical.from_codes(encoded.ids, categories=levels, ordered=True)
    return frame.assign(**{name: codes}), name


def analyses_of(
    scores: Scores,
    by: str | Sequence[str] | Groups,
    reference: str | None,
    also: Sequence[str | Sequence[str] | Groups],
    adjust: Sequence[str],
    bins: Mapping[str, Sequence[float]],
) -> list[Analysis]:
    """Return the groupings that the arguments of `audit` ask for, checked."""
    groupings, called = [by, *also], scores.file or "the table"
    if not isinstance(bins, Mapping):
        raise ValueError(f"bins must map attributes to edges, such as {{'age': [50, 65]}}, got {brief(bins)}")
    names = [_attributes(one) for one in groupings]
    known_names = {name for each in names for name in each} | set(adjust)
    if stray := [name for name in bins if name not in known_names]:
        hint = did_you_mean(stray[0], known_names)
        raise ValueError(f"bins: attribute {stray[0]!r} is not in by, also or adjust{hint}")
    if twice := [name for index, name in enumerate(names) if name in names[:index]]:
        raise ValueError(f"also: {' and '.join(twice[0])} is judged already")
    for name in adjust:
        if name in names[0]:
            raise ValueError(f"adjust: {name!r} makes the groups, so a gap cannot be adjusted for it")
        _check_confounder(scores, name, f"adjust: {called}")
    analyses = []
    for number, (one, attributes) in enumerate(zip(groupings, names, strict=True)):
        check_attributes(attributes, scores.table, f"{'also' if number else 'by'}: {called}")
        if isinstance(one, Groups):
            groups = one
        else:
            edges = {name: bins[name] for name in attributes if name in bins}
            groups = Groups.from_table(scores.all_rows, by=attributes, bins=edges)
        held = not set(adjust).isdisjoint(attributes)
        analyses.append(_analysis(scores, groups, None if number else reference, held))
    return analyses


def check_cohort(cohort: pd.DataFrame, where: str, **grouping: Any) -> None:
    """Raise the errors that an audit of a table of cases would raise once they are scored.

    Args:
        cohort: the rows of cases that will be scored.
        where: what errors call it.
        grouping: the arguments of `analyses_of`.
    """
    scores = Scores.of(cohort.assign(label="any", dice=float("nan")), where=where)
    analyses_of(replace(scores, file=where), **grouping)


def _check_confounder(scores: Scores, name: str, where: str) -> None:
    if name == STRUCTURE_SIZE:
        return
    check_attributes([name], scores.table, where)
    if several := covariate(scores, name)[1]:
        raise ValueError(
            f"adjust: {name!r} differs between cases of one subject ({listed(several, 3)}), so it is no "
            "confounder"
        )


def check_has_attributes(scores: Scores, by: str | Sequence[str] | Groups) -> None:
    """Raise a ValueError that says how attributes come to scores, if there are none."""
    if not scores.attributes and not isinstance(by, Groups):
        names = listed(_attributes(by))
        raise ValueError(f"by: {scores.file or 'the table'} has no attribute at all, so no {names}; {MERGED}")


def attributes_of(question: Mapping[str, Any]) -> set[str]:
    """Return the attributes that groups or strata are made of, by the arguments of `analyses_of`."""
    groupings = [_attributes(one) for one in (question["by"], *question["also"])]
    return {name for names in groupings for name in names} | {*question["adjust"]}


def _attributes(by: str | Sequence[str] | Groups) -> tuple[str, ...]:
    if isinstance(by, Groups):
        return by.attributes
    return tuple(sorted({by} if isinstance(by, str) else set(by)))


def _analysis(scores: Scores, groups: Groups, reference: str | None, held: bool) -> Analysis:
    name = " and ".join(groups.attributes)
    if not 2 <= len(groups) <= _MOST_GROUPS:
        wanted = (
            "at least two groups are needed to compare"
            if len(groups) < 2
            else (f"a table shows {_MOST_GROUPS} groups at most; cut a numeric attribute into bins")
        )
        raise ValueError(
            f"by {name}: {wanted}, got {counted(len(groups), 'group')}: {listed(groups.names, 3)}"
        )
    members = membership(scores, groups)
    short = groups.short_names  # as tables and charts name them
    chosen = None
    if reference is not None:
        try:
            named = str(reference) if str(reference) in short else level_text(reference)
            chosen = short.index(named) if named in short else groups.index(str(reference))
        except ValueError:
            raise ValueError(not_among("reference: group", reference, short, between="; ")) from None
        if not (members.ids == chosen).any():
            raise ValueError(f"reference: group {reference!r} has no scored subject")
    if (members.ids < 0).all() and not members.shared:
        raise ValueError(f"by {name}: no subject has a known group")
    lost = lost_cases(scores, groups)
    return Analysis(groups, members, Grouping(name, short, members.ids, chosen, held, lost))


def overall_scores(
    scores: Scores, grouping: Grouping, min_size: int = JudgeOptions.min_size
) -> tuple[Floats, CommonStructures]:
    """Return the scores of each subject and label, (N, L), and the overall ones, as the groups compare.

    Raises:
        ValueError: there is nothing to judge by, or the groups have no structure in common.
    """
    check_judged(scores)
    of_structure = structure_scores(scores)
    common = common_structures(of_structure, [grouping], structures=scores.labels, min_size=min_size)
    if not common.used:
        lacking = "; ".join(f"{group} has too little of {name}" for name, _, group in common.dropped)
        raise ValueError(f"by {grouping.name}: the groups have no structure in common: {lacking}")
    return of_structure, common


def strata_ids(
    scores: Scores, adjust: Sequence[str], bins: Mapping[str, Sequence[float]]
) -> npt.NDArray[np.int64] | None:
    """Return the stratum of each subject by the attributes that are held fixed; None if there are none."""
    return strata(scores, adjust, bins)[1].ids if adjust else None


def held_fixed(scores: Scores, adjust: Sequence[str], bins: Mapping[str, Sequence[float]]) -> str:
    """Return what is held fixed, as sentences call it."""
    return " and ".join(f"{name} (in fifths)" if in_fifths(scores, name, bins) else name for name in adjust)
