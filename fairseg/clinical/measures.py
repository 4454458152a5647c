"""Clinical measures of masks: volumes, ejection fraction, mass; of each subject, predicted and true.

They are computed from the volumes of the scores table, without masks or files. `fairseg.clinical.agreement`
compares the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fairseg.cohort.columns import VOLUMES, is_attribute
from fairseg.cohort.levels import cell_text
from fairseg.cohort.reading import as_table
from fairseg.cohort.table import is_skipped, read_numbers
from fairseg.io.sentences import brief, counted, listed

ROLES = ("lv", "myocardium", "rv")
# Density of myocardium, g/ml (Schulz-Menger et al., J Cardiovasc Magn Reson 2020; 22:19).
MYOCARDIUM = 1.05

_Columns = dict[tuple[str, str], "pd.Series[float]"]  # (measure, unit) -> one value a subject


@dataclass(frozen=True, eq=False)
class ClinicalMeasures:
    """The clinical measures of subjects, predicted and true.

    Attributes:
        table: one row a subject and measure, subjects in the order of the scores: columns subject, measure,
            unit ("ml", "%", "g"), prediction and reference (float64).
        notes: on missing values.
        doubt: that the phases seem to be swapped; "" if they do not.
    """

    table: pd.DataFrame
    notes: list[str]
    doubt: str = ""


def clinical_measures(
    scores: pd.DataFrame | Mapping[str, Sequence[Any]],
    roles: Mapping[str, str],
    *,
    phase: str | None = None,
    phases: tuple[str, str] = ("ED", "ES"),
) -> ClinicalMeasures:
    """Return the clinical measures of each subject, from the predictions and from the references.

    With a phase: for each ventricle that has a role, its end-diastolic and end-systolic volume, EDV and ESV;
    stroke volume SV = EDV - ESV; ejection fraction EF = 100 SV / EDV; and the mass of the left myocardium,
    its end-diastolic volume times 1.05 g/ml. Without: the volume of every label, the mean over the subject's
    cases.

    If a case, a row or a volume is missing, every measure that needs it is missing. A label that a mask lacks
    has 0 ml, so with an EDV of 0 there is no EF. Both are counted in the notes.

    Args:
        scores: as from `evaluate` or `read_scores`, with the columns prediction_ml and reference_ml. Cases
            that were skipped take no part.
        roles: role -> name of the label that plays it; roles are "lv" (its blood pool), "myocardium"
            and "rv". Without a phase they are only checked.
        phase: the attribute that tells end-diastole from end-systole; cases of other phases are left out.
        phases: its two levels, end-diastole first.

    Raises:
        ValueError: scores are no table or lack a column, a volume is no number, a role or its label is not
            known, a phase is that of no case, or a subject has two cases in one phase.

    >>> scores = pd.DataFrame({
    ...     "case": ["p1_ED", "p1_ES"], "subject": "p1", "frame": ["ED", "ES"], "label": "LVBP",
    ...     "prediction_ml": [160.0, 80.0], "reference_ml": [150.0, 60.0],
    ... })
    >>> clinical_measures(scores, {"lv": "LVBP"}, phase="frame").table
      subject measure unit  prediction  reference
    0      p1   LVEDV   ml       160.0      150.0
    1      p1   LVESV   ml        80.0       60.0
    2      p1    LVSV   ml        80.0       90.0
    3      p1    LVEF    %        50.0       60.0
    """
    table = _checked(scores, phase)
    labels = list(dict.fromkeys(table["label"]))
    _check_roles(roles, labels)
    cases = table.drop_duplicates("case").set_index("case")
    volumes = [_by_label(table, kind, cases.index) for kind in VOLUMES]
    if phase is None:
        return _long([_means(part, cases["subject"]) for part in volumes], _gaps(volumes, labels))
    if not roles:
        raise ValueError(f"roles must name the label of at least one of {', '.join(ROLES)}, got none")
    by_phase, notes = _phases(cases, phase, phases)
    subjects = pd.Index(cases["subject"].unique())
    values = []
    for part in volumes:
        diastole, systole = (part.loc[names.index].set_axis(names).reindex(subjects) for names in by_phase)
        values.append(_heart(diastole, systole, roles))
    swap_notes, doubt = _swapped(values[1], phase, phases)
    used = [*by_phase[0].index, *by_phase[1].index]
    notes += [*swap_notes, *_gaps([part.loc[used] for part in volumes], list(roles.values()))]
    return replace(_long(values, notes), doubt=doubt)


def _by_label(table: pd.DataFrame, kind: str, cases: "pd.Index[str]") -> pd.DataFrame:
    """Return the volumes of a kind, one row a case and one column a label; NaN where there is no row."""
    columns = {str(label): rows.set_index("case")[kind] for label, rows in table.groupby("label", sort=False)}
    return pd.DataFrame(columns, index=cases, dtype=np.float64)


def _heart(diastole: pd.DataFrame, systole: pd.DataFrame, roles: Mapping[str, str]) -> _Columns:
    columns: _Columns = {}
    for role, name in (("lv", "LV"), ("myocardium", "LV mass"), ("rv", "RV")):
        if role not in roles:
            continue
        full, empty = diastole[roles[role]], systole[roles[role]]
        if role == "myocardium":
            columns[name, "g"] = MYOCARDIUM * full
            continue
        stroke = full - empty
        columns[f"{name}EDV", "ml"], columns[f"{name}ESV", "ml"] = full, empty
        columns[f"{name}SV", "ml"] = stroke
        columns[f"{name}EF", "%"] = 100.0 * stroke / full.where(full > 0)
    return columns


def _means(volumes: pd.DataFrame, subject: "pd.Series[str]") -> _Columns:
    """Return the volume of every label, the mean over a subject's cases; NaN if one of them has none."""
    parts = volumes.groupby(subject, sort=False)
    means = parts.mean().where(parts.count().eq(parts.size(), axis="index"))
    return {(f"{label} volume", "ml"): means[label] for label in means}


def _phases(
    cases: pd.DataFrame, phase: str, phases: tuple[str, str]
) -> tuple[list["pd.Series[str]"], list[str]]:
    """Return case -> subject for each of the two phases, and notes on what is missing."""
    if isinstance(phases, str) or len(phases) != 2 or phases[0] == phases[1]:
        raise ValueError(f"phases must be two different levels of {phase!r}, got {brief(phases)}")
    level = cases[phase].map(str).where(cases[phase].notna())
    if absent := [name for name in phases if not (level == name).any()]:
        there = listed(level.dropna().unique()) or "nothing"
        raise ValueError(f"phases must occur in the column {phase!r}, which has {there}, got {absent[0]!r}")
    subject_of_phase = [cases["subject"][level == name] for name in phases]
    for name, part in zip(phases, subject_of_phase, strict=True):
        if len(twice := part[part.duplicated(keep=False)]):
            same = part[part == twice.iloc[0]].index
            raise ValueError(
                f"a subject must have one case a phase, got {listed(same)} of subject {twice.iloc[0]} "
                f"in {phase} {name}"
            )
    notes = []
    if len(left_out := cases.index[~level.isin(phases)]):
        neither = f"{counted(len(left_out), 'case')} of neither {phase} {phases[0]} nor {phases[1]}"
        notes.append(f"{neither}, left out: {listed(left_out)}")
    for name, subjects in zip(phases, map(set, subject_of_phase), strict=True):
        if absent_subjects := [subject for subject in cases["subject"].unique() if subject not in subjects]:
            note = f"{counted(len(absent_subjects), 'subject')} without a case of {phase} {name}"
            notes.append(f"{note}, so without what needs it: {listed(absent_subjects)}")
    return subject_of_phase, notes


def _swapped(reference: _Columns, phase: str, phases: tuple[str, str]) -> tuple[list[str], str]:
    """Note subjects whose reference ventricle is larger at end-systole, and doubt the phases if most are."""
    smaller: dict[str, None] = {}
    measured: dict[str, None] = {}
    for name in ("LV", "RV"):
        if (f"{name}SV", "ml") in reference:
            stroke = reference[f"{name}SV", "ml"]
            measured |= dict.fromkeys(map(str, stroke.index[stroke.notna()]))
            smaller |= dict.fromkeys(map(str, stroke.index[stroke < 0]))
    if not smaller:
        return [], ""
    note = f"{counted(len(smaller), 'subject')} of {len(measured)} with a reference larger at end-systole"
    if 2 * len(smaller) <= len(measured):
        return [f"{note}: {listed(smaller)}"], ""
    question = f"are {phases[0]} and {phases[1]} of {phase} swapped?"
    doubt = f"{len(smaller)} of {len(measured)} subjects have a negative ejection fraction in the references"
    return [f"{note}: {question} {listed(smaller)}"], f"{doubt}: {question}"


def _gaps(volumes: Sequence[pd.DataFrame], labels: Sequence[str]) -> list[str]:
    """Note the cases in which a volume is missing or a mask lacks a label."""
    notes = []
    for label in labels:
        predicted, true = (part[label] for part in volumes)
        if len(without := predicted.index[predicted.isna() | true.isna()]):
            notes.append(f"{counted(len(without), 'case')} without a volume of {label}: {listed(without)}")
        for kind, column in (("prediction", predicted), ("reference", true)):
            if len(empty := column.index[column == 0]):
                notes.append(f"{counted(len(empty), kind)} without {label}, so of 0 ml: {listed(empty)}")
    return notes


def _long(values: Sequence[_Columns], notes: list[str]) -> ClinicalMeasures:
    """Return predictions and references side by side: one row a subject and measure."""
    prediction, reference = (pd.DataFrame(columns) for columns in values)
    measures = list(values[0])
    table = pd.DataFrame(
        {
            "subject": np.repeat(prediction.index.to_numpy(), len(measures)),
            "measure": [name for name, _ in measures] * len(prediction),
            "unit": [unit for _, unit in measures] * len(prediction),
            "prediction": prediction.to_numpy().ravel(),
            "reference": reference.to_numpy().ravel(),
        }
    )
    return ClinicalMeasures(table, [f"clinical measures: {note}" for note in notes])


def _checked(source: pd.DataFrame | Mapping[str, Sequence[Any]], phase: str | None) -> pd.DataFrame:
    """Return the scored rows, with text as case, subject and label and numbers as volumes."""
    scores = as_table(source, "scores")
    if absent := [name for name in ("case", "subject", "label") if name not in scores]:
        raise ValueError(f"scores must have the column {absent[0]}, got {', '.join(map(str, scores))}")
    if absent := [name for name in VOLUMES if name not in scores]:
        raise ValueError(
            f"scores must have the column {absent[0]}, which evaluate writes for masks of three axes with "
            f"a voxel size in mm, got {', '.join(map(str, scores))}"
        )
    if phase is not None and not (phase in scores and is_attribute(phase)):
        there = ", ".join(str(name) for name in scores if is_attribute(name)) or "none"
        raise ValueError(f"phase must be an attribute of the scores, which have {there}, got {phase!r}")
    scores = scores[~is_skipped(scores)]
    if scores.empty:
        raise ValueError("scores must have at least one row, got none")
    columns: dict[str, Any] = {name: read_numbers(scores[name], "scores") for name in VOLUMES}
    columns |= {name: [cell_text(cell) for cell in scores[name]] for name in ("case", "subject", "label")}
    scores = scores.assign(**columns)
    for name in ("case", "subject", "label"):
        if (without := scores.index[scores[name].isna()]).size:
            raise ValueError(f"scores must name the {name} of every row, got none in row {without[0]}")
    if scores.duplicated(["case", "label"]).any():
        row = scores[scores.duplicated(["case", "label"])].iloc[0]
        raise ValueError(
            f"scores must have one row a case and label, got {row['case']}, {row['label']} again"
        )
    return scores


def _check_roles(roles: Mapping[str, str], labels: Sequence[str]) -> None:
    for role, label in roles.items():
        if role not in ROLES:
            raise ValueError(f"roles must be some of {', '.join(ROLES)}, got {brief(role)}")
        if label not in labels:
            raise ValueError(f"roles must name labels of the scores, {', '.join(labels)}, got {role}={label}")
    if len(set(roles.values())) < len(roles):
        raise ValueError(f"roles must name different labels, got {dict(roles)!r}")
