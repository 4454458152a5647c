"""Findings on a table of scores: repeated subjects, another unit, rows without a score."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from fairseg.checking.findings import CheckFinding, Severity, finding
from fairseg.cohort.columns import DISTANCES, VOXELS, title
from fairseg.cohort.groups import Groups
from fairseg.cohort.row_columns import ColumnNote
from fairseg.metrics.fairness import Floats
from fairseg.scoring.subjects import membership, structure_scores, subject_names
from fairseg.scoring.table import Scores
from fairseg.statistics.score_checks import duplicate_rows, scale_ratios


def score_findings(scores: Scores, by: Sequence[str], known: Collection[str]) -> list[CheckFinding]:
    """Return the findings on scores.

    Args:
        scores: of one model.
        by: attributes that groups will be made of.
        known: notes that are findings already.
    """
    findings: list[CheckFinding] = []
    findings += doubt_findings(scores.doubts, scores.file or "scores", by)
    for note in (note for note in scores.notes if note not in known and not isinstance(note, ColumnNote)):
        findings += finding("read_otherwise", Severity.NOTE, scores.file or "scores", [note], reason=note)
    columns = {name: structure_scores(scores, name) for name in scores.metrics}
    names = subject_names(scores)
    sets = duplicate_rows(np.column_stack(list(columns.values())))
    repeated = [" = ".join(names[row] for row in rows) for rows in sets]
    findings += finding("same_scores", Severity.WARNING, "subject", repeated, subjects=sum(map(len, sets)))
    findings += finding(
        "skipped", Severity.WARNING, "scores", scores.reasons, reasons=list(scores.reasons.values())
    )
    table, main = scores.table, scores.metrics[0]
    metric_title = scores.title if main == "dice" else title(main)
    lacks = table[main].isna()
    if set(VOXELS) <= set(table):
        lacks &= ~table[list(VOXELS)].eq(0).all(axis=1)  # a structure that neither mask has lacks no score
    no_value = table.assign(lacks=lacks).groupby("subject", sort=False)["lacks"]
    whole, partly = no_value.all(), no_value.any()
    facts = {"subjects": len(partly)}
    # An audit refuses a column without numbers.
    severity = Severity.ERROR if whole.all() else Severity.WARNING
    findings += finding("unscored", severity, metric_title, whole.index[whole], **facts)
    findings += finding("no_score", Severity.NOTE, metric_title, partly.index[partly & ~whole], **facts)
    labels = set(scores.labels)
    by_case = table.groupby("case", sort=False)["label"]
    absent_of = {str(case): labels - set(present) for case, present in by_case}
    lacking = [f"{case} ({', '.join(sorted(absent))})" for case, absent in absent_of.items() if absent]
    findings += finding("no_row_of_label", Severity.WARNING, "label", lacking)
    return findings + list(_scales(scores, columns, by or scores.attributes))


def doubt_findings(doubts: Iterable[str], where: str, by: Sequence[str]) -> list[CheckFinding]:
    """Return the findings on rows that may be of something else; a column that is used is no doubt."""
    findings: list[CheckFinding] = []
    for note in doubts:
        if isinstance(note, ColumnNote) and note.column not in by:
            findings += finding("doubted", Severity.WARNING, where, [note], reason=note)
    return findings


def _scales(scores: Scores, columns: Mapping[str, Floats], by: Sequence[str]) -> Iterable[CheckFinding]:
    """Yield the groups whose distances look as if in another unit."""
    for attribute in (name for name in by if name in scores.table):
        try:
            groups = Groups.from_table(scores.table, by=attribute)
        except ValueError:
            continue  # the table's own findings say so
        ids = membership(scores, groups).ids
        for name in (name for name in DISTANCES if name in columns):
            for scale in scale_ratios(columns[name], ids, columns.get("dice")):
                pair = [groups.names[scale.larger], groups.names[scale.smaller]]
                yield from finding(
                    "scale", Severity.WARNING, attribute, pair, title=title(name), ratio=scale.ratio
                )
