"""What takes no part in a comparison: subjects without a score or group, missing rows, small groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairseg.cohort.groups import Groups
from fairseg.metrics.fairness import Floats
from fairseg.report.analyses import Analysis
from fairseg.report.templates import say
from fairseg.scoring.subjects import subject_names
from fairseg.scoring.table import Scores
from fairseg.statistics.common_structures import CommonStructures
from fairseg.statistics.gain_findings import GainsJudgement

COLUMNS = ("kind", "name", "group", "model", "reason")
_FEW_GROUPS = 8  # of more groups only those that lack a score are named
Rows = list[tuple[str, str, str, str, str]]


def left_out(
    scores: Mapping[str, Scores],
    aligned: Mapping[str, Scores],
    overall: Mapping[str, Floats],
    common: Mapping[str, CommonStructures],
    analyses: Sequence[Analysis],
    judgement: GainsJudgement,
) -> pd.DataFrame:
    """Return what was left out, of which group and model, and why: the columns `COLUMNS`.

    Args:
        scores: of each model, as they came.
        aligned: the same on the rows of all models.
        overall: of each model the overall score of each subject of `aligned`, (N,); NaN where there is none.
        common: of each model the structures that its overall scores are made of.
        analyses: the groupings of `aligned`, the one that was asked about first.
        judgement: what was judged.
    """
    first = analyses[0].groups
    lost: Rows = []
    for model, one in scores.items():
        groups = dict(zip(one.skipped["case"], _names(first, one.skipped), strict=True))
        lost += [("case", case, groups[case], model, why) for case, why in one.reasons.items()]
    lost += _lost_rows(scores, aligned, overall, first)
    baseline = next(iter(aligned.values()))
    group_of = dict(zip(subject_names(baseline), analyses[0].members.ids.tolist(), strict=True))
    for model in scores:
        for by in analyses:
            lost += [
                ("subject", name, "unknown", model, f"no known {by.name}") for name in by.members.unknown
            ]
            several = f"cases in several groups by {by.name}"
            lost += [("subject", name, "several", model, several) for name in by.members.shared]
        lost += [
            ("subject", name, first.name(group_of[name]), model, "no structure with a score")
            for name in _unscored(scores[model], aligned[model], overall[model])
        ]
        lost += [
            ("structure", structure, group, model, f"too few subjects of {group} have it")
            for structure, _, group in common[model].dropped
        ]
    least = f"fewer than {judgement.options.min_size} subjects with both scores: not judged"
    lost += [
        ("group", one.group, one.group, each.model, least)
        for each in judgement.models
        for one in each.unjudged
    ]
    return pd.DataFrame(lost, columns=list(COLUMNS))


def unscored_note(scores: Scores, aligned: Scores, overall: Floats, analysis: Analysis) -> list[str]:
    """Return a line that counts a model's subjects without a score, by group; none without.

    Those whose cases were skipped are not among them: `skipped_note` counts these.
    """
    names, known = pd.Index(subject_names(aligned)), ~np.isnan(overall)
    skipped = names.isin(scores.skipped["subject"]) & ~names.isin(scores.table["subject"])
    ids, groups = analysis.members.ids, analysis.groups.short_names
    missing = np.bincount(ids[~known & ~skipped & (ids >= 0)], minlength=len(groups)).tolist()
    if not sum(missing):
        return []
    few = len(groups) < _FEW_GROUPS
    sizes = analysis.counts.tolist()
    by_group = [row for row in zip(groups, missing, sizes, strict=True) if row[1] or (few and row[2])]
    several = len(aligned.table["label"].unique()) > 1
    return [say("unscored", by_group=by_group, subjects=sum(missing), several=several)]


def _unscored(scores: Scores, aligned: Scores, overall: Floats) -> list[str]:
    """Return the subjects who have rows but no score."""
    names = pd.Index(subject_names(aligned))
    return names[np.isnan(overall) & names.isin(scores.table["subject"])].tolist()


def _lost_rows(
    scores: Mapping[str, Scores], aligned: Mapping[str, Scores], overall: Mapping[str, Floats], groups: Groups
) -> Rows:
    """Return the cases of which a model has a row or a score that another lacks, wholly or of some labels."""
    rows = next(iter(aligned.values())).table
    keys = pd.MultiIndex.from_frame(rows[["case", "label"]])
    group = np.array(_names(groups, rows), dtype=object)
    there = {
        name: keys.isin(pd.MultiIndex.from_frame(one.table[["case", "label"]]))
        for name, one in scores.items()
    }
    scored = {name: one.table["dice"].notna().to_numpy() for name, one in aligned.items()}
    shared, somewhere = np.all([*there.values()], axis=0), np.any([*scored.values()], axis=0)
    lost: Rows = []
    for name, one in scores.items():
        alone = there[name] & ~shared
        lost += _cases(rows, group, alone, shared, name, "another model has no score of {}")
        none = rows["subject"].isin(_unscored(one, aligned[name], overall[name])).to_numpy()
        empty = there[name] & ~scored[name] & somewhere & ~none
        lost += _cases(rows, group, empty, scored[name], name, "no score of {}, which another model has")
    return lost


def _cases(rows: pd.DataFrame, group: Any, lacking: Any, scored: Any, model: str, reason: str) -> Rows:
    """Return each case of the rows that lack scores; the reason says whether its other rows have some."""
    partly = {*rows.loc[scored, "case"]}
    of_case = dict(zip(rows.loc[lacking, "case"], group[lacking], strict=True))
    return [
        ("case", case, named, model, reason.format("some of its labels" if case in partly else "it"))
        for case, named in of_case.items()
    ]


def _names(groups: Groups, rows: pd.DataFrame) -> list[str]:
    """Return the group of each row, by its whole name."""
    names = (*groups.names, groups.name(-1))
    return [names[code] for code in groups.encode(rows)] if len(rows) else []
