"""Clinical measures by group: volumes, ejection fraction and mass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy  # its parts load when they are touched
from markupsafe import Markup

from fairseg.clinical.agreement import agreement
from fairseg.clinical.measures import clinical_measures
from fairseg.report import numbers
from fairseg.report.pictures import Pictures
from fairseg.report.sections import HeartRoles
from fairseg.report.tables import Cell, Heading, Table
from fairseg.report.templates import both, say
from fairseg.scoring.summary import Summary
from fairseg.scoring.table import Scores
from fairseg.statistics import holm
from fairseg.statistics.association import count_test
from fairseg.statistics.missingness import MEASURE, missingness_sentences

_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Clinical:
    """The section on clinical measures.

    Attributes:
        table: agreement by measure and group, as `agreement` gives it.
        measures: of each subject, as from `clinical_measures`.
        page_table: the same for the page.
        missing: who lacks which measures, one sentence each.
        sentences: which measures are biased, one sentence each.
        notes: what is missing.
        doubt: a sentence if the phases seem to be swapped, else "".
    """

    table: pd.DataFrame
    measures: pd.DataFrame
    page_table: Table
    missing: list[str]
    sentences: list[str]
    notes: list[str]
    doubt: str = ""


def clinical_section(
    scores: Scores, overall: Summary, roles: HeartRoles, *, tolerated: float = 0.05
) -> Clinical | None:
    """Compare predicted with true clinical measures by group; None if a subject is in several groups.

    The `tolerated` share of a group may lack a measure without a sentence.

    Raises:
        ValueError: as `clinical_measures`.
    """
    measures = clinical_measures(scores.table, roles.labels, phase=roles.phase, phases=roles.phases)
    if overall.shared:
        return None
    subjects = overall.subjects
    ids = dict(zip(subjects["subject"].astype(str), subjects["group"].tolist(), strict=True))
    agreed = agreement(measures, ids, len(overall.groups))
    table = agreed.table
    judged_ids = {subject: group if group in overall.judged else -1 for subject, group in ids.items()}
    return Clinical(
        table=table.assign(group=[overall.groups.name(group) for group in table["group"]]),
        measures=measures.table,
        page_table=_page_table(table, overall),
        missing=missingness_sentences(_missing(table), overall.names, tolerated=tolerated),
        sentences=bias_sentences(agreement(measures, judged_ids, len(overall.groups)).table, overall.names),
        notes=[*measures.notes, *agreed.notes],
        doubt=measures.doubt,
    )


def agreement_charts(clinical: Clinical, pictures: Pictures) -> dict[str, Markup]:
    """Return Bland-Altman plots by the first grouping: measure -> picture."""
    units = dict(zip(clinical.table["measure"], clinical.table["unit"], strict=True))
    return {measure: pictures.agreement(clinical.measures, measure, unit) for measure, unit in units.items()}


def _missing(agreed: pd.DataFrame) -> pd.DataFrame:
    """Count by group who lacks which measures, as `missingness` does; those with equal counts share a row."""
    alike: dict[tuple[int, ...], list[str]] = {}
    for measure, rows in agreed.groupby("measure", sort=False):
        alike.setdefault((*rows["n"], *rows["missing"]), []).append(str(measure))
    tables = []
    for measures in alike.values():
        rows = agreed[agreed["measure"] == measures[0]]
        p, test = count_test(rows[["n", "missing"]].to_numpy().T)
        n = rows["n"] + rows["missing"]
        about = {"kind": MEASURE, "attribute": both(measures), "p": p, "test": test}
        counts = {"group": rows["group"], "count": rows["missing"], "n": n, "share": rows["missing"] / n}
        tables.append(pd.DataFrame({**about, **counts}))
    corrected = holm([float(one["p"].iloc[0]) for one in tables])
    return pd.concat([one.assign(p_holm=p) for one, p in zip(tables, corrected, strict=True)])


def bias_sentences(agreed: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return which measures are biased to a group's disadvantage, one sentence each.

    These are ejection fractions that are biased in some group, since treatment hangs on them, and every
    measure whose biases differ between the groups (p < 0.05, corrected after Holm for all measures). The
    intervals hold together for all ejection fractions and groups (Bonferroni), so that without any bias one
    is named in at most 5 of 100 cohorts; they are wider than those of `agreement`, and say so.

    >>> row = {"measure": "LVEF", "unit": "%", "n": 30, "p_bias_differs": 0.004}
    >>> agreed = pd.DataFrame([
    ...     {**row, "group": 0, "bias": -0.4, "sd": 3.0}, {**row, "group": 1, "bias": -6.1, "sd": 4.0},
    ... ])
    >>> bias_sentences(agreed, ["White", "Black"])
    ['LVEF, prediction minus reference (%): Black \N{MINUS SIGN}6.1 (...); White ... The biases differ
    between the groups (p = 0.004 after Holm).']
    """
    known = agreed[(agreed["n"] > 1) & agreed["sd"].notna()]
    fractions = int(known["measure"].str.endswith("EF").sum())
    sentences = []
    measures = [rows for _, rows in known.groupby("measure", sort=False)]
    corrected = holm([float(rows["p_bias_differs"].iloc[0]) for rows in measures])
    for rows, p in zip(measures, corrected, strict=True):
        measure, differ = str(rows["measure"].iloc[0]), p < _SIGNIFICANT
        together = fractions if measure.endswith("EF") else len(rows)
        quantile = scipy.special.stdtrit(rows["n"] - 1, 1 - _SIGNIFICANT / 2 / together)
        half_width = quantile * rows["sd"] / np.sqrt(rows["n"])
        if not differ and not (measure.endswith("EF") and (rows["bias"].abs() > half_width).any()):
            continue
        limits = rows.assign(low=rows["bias"] - half_width, high=rows["bias"] + half_width)
        ordered = limits.sort_values("bias", key=abs, ascending=False, kind="stable").to_dict("records")
        groups = [{**row, "name": names[row["group"]]} for row in ordered]
        unit = rows["unit"].iloc[0]
        figures = {"groups": groups, "together": together, "p": p, "differ": differ}
        sentences.append(say("bias", measure=measure, unit=unit, **figures))
    return sentences


def _page_table(agreed: pd.DataFrame, overall: Summary) -> Table:
    heads = ("n", "Bias", "Limits of agreement", "Mean absolute error", "p (biases differ)")
    rows = []
    last = ""
    for row in agreed.to_dict("records"):
        measure = f"{row['measure']} ({row['unit']})"
        is_first = measure != last
        name = f"{measure}, {overall.names[int(row['group'])]}"
        rows.append(
            (
                Heading(name, "rule" if last and is_first else ""),
                Cell(row["n"], kind="count"),
                Cell(row["bias"], row["bias_low"], row["bias_high"], kind="tenth"),
                numbers.span(row["lower_limit"], row["upper_limit"], numbers.tenth),
                Cell(row["mean_absolute_error"], kind="tenth"),
                Cell(row["p_bias_differs"], kind="p") if is_first else "",
            )
        )
        last = measure
    caption = "Agreement of clinical measures by group"
    return Table.of(caption, heads, rows, corner="Measure, group", tall=True)
