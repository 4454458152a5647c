"""What is wrong with a table of scores: repeated subjects, another unit, rows without a score."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from fairseg.checking.findings import Finding, Severity, found
from fairseg.cohort.columns import DISTANCES, VOXELS, title
from fairseg.cohort.groups import Groups
from fairseg.metrics.fairness import Floats
from fairseg.scoring.subjects import membership, structure_scores, subject_names
from fairseg.scoring.table import Scores
from fairseg.statistics.score_checks import duplicate_rows, scale_ratios


def score_findings(scores: Scores, by: Sequence[str], known: Collection[str]) -> list[Finding]:
    """Return what is to be known of scores.

    Args:
        scores: of one model.
        by: attributes whose groups' units are compared.
        known: notes that are findings already.
    """
    findings: list[Finding] = []
    for note in (note for note in scores.notes if note not in known):
        findings += found("read_otherwise", Severity.NOTE, scores.file or "scores", [note], reason=note)
    columns = {name: structure_scores(scores, name) for name in scores.metrics}
    names = subject_names(scores)
    sets = duplicate_rows(np.column_stack(list(columns.values())))
    same = [" = ".join(names[row] for row in rows) for rows in sets]
    findings += found("same_scores", Severity.WARNING, "subject", same, subjects=sum(map(len, sets)))
    findings += found(
        "skipped", Severity.WARNING, "scores", scores.reasons, reasons=list(scores.reasons.values())
    )
    table, main = scores.table, scores.metrics[0]
    called = scores.title if main == "dice" else title(main)
    absent = table[list(VOXELS)].eq(0).all(axis=1) if set(VOXELS) <= set(table) else False
    lacks = table.assign(lacks=table[main].isna() & ~absent).groupby("subject", sort=False)["lacks"]
    whole, some = lacks.all(), lacks.any()
    every = {"subjects": len(some)}
    severity = (
        Severity.ERROR if whole.all() else Severity.WARNING
    )  # an audit refuses a column without numbers
    findings += found("unscored", severity, called, whole.index[whole], **every)
    findings += found("no_score", Severity.NOTE, called, some.index[some & ~whole], **every)
    labels = set(scores.labels)
    of_case = table.groupby("case", sort=False)["label"].agg(set)
    lacking = [f"{case} ({', '.join(sorted(labels - own))})" for case, own in of_case.items() if labels - own]
    findings += found("no_row_of_label", Severity.WARNING, "label", lacking)
    return findings + list(_scales(scores, columns, by))


def _scales(scores: Scores, columns: Mapping[str, Floats], by: Sequence[str]) -> Iterable[Finding]:
    """Yield the groups whose distances look as if in another unit."""
    for attribute in (name for name in by if name in scores.table):
        try:
            groups = Groups.from_table(scores.table, by=attribute)
        except ValueError:
            continue  # the table's own findings say so
        ids = membership(scores, groups).ids
        for name in (name for name in DISTANCES if name in columns):
            for one in scale_ratios(columns[name], ids, columns.get("dice")):
                pair = [groups.names[one.larger], groups.names[one.smaller]]
                yield from found(
                    "scale", Severity.WARNING, attribute, pair, title=title(name), ratio=one.ratio
                )
