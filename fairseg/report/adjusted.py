"""Whether a gap is still there among subjects who are alike: the report's section on confounders."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fairseg.cohort.attributes import read_attribute
from fairseg.cohort.groups import Groups
from fairseg.cohort.ids import as_ids
from fairseg.report.pictures import sizes
from fairseg.report.tables import Cell, Heading, Table
from fairseg.scoring.subjects import STRUCTURE_SIZE
from fairseg.scoring.summary import Summary
from fairseg.scoring.table import Scores
from fairseg.statistics.confounders import adjusted_gap
from fairseg.statistics.stratified import stratified_gap


@dataclass(frozen=True)
class Adjusted:
    """Gaps with confounders held fixed.

    Attributes:
        by: the confounders.
        reference: name of the group that the others are compared with.
        regression: gaps of mean Dice before and after adjustment for all confounders, one row a group.
        strata: for each confounder with levels, gaps of median Dice within them and pooled.
        notes: what was left out, and why.
    """

    by: list[str]
    reference: str
    regression: Table
    strata: dict[str, Table]
    notes: list[str]


def adjust(
    scores: Scores,
    overall: Summary,
    by: Sequence[str],
    bins: Mapping[str, Sequence[float]],
    *,
    resamples: int = 10_000,
) -> Adjusted | None:
    """Compare groups among subjects of equal sex, age, scanner, structure size or whatever `by` names.

    Numeric attributes have bins for the strata; in the regression numbers stay numbers.

    Returns:
        The section; None if `by` is empty, there is no Dice, or subjects are in several groups.
    """
    if not by or "dice" not in overall.subjects or overall.shared:
        return None
    table = scores.table
    subjects = overall.subjects["subject"]
    cases = table.drop_duplicates("subject").set_index("subject").reindex(subjects)
    covariates = pd.DataFrame(index=range(len(subjects)))
    for name in by:
        size = sizes(scores, overall) if name == STRUCTURE_SIZE else None
        covariates[name] = size[0] if size is not None else cases[name].to_numpy()
    dice = overall.subjects["dice"].to_numpy()
    ids = as_ids(overall.subjects["group"].to_numpy(), known=len(overall.groups))
    reference = overall.reference if overall.reference is not None else int(np.argmax(overall.counts))
    adjusted = adjusted_gap(dice, ids, covariates, reference=reference)
    notes = [f"Regression: {_named(note, overall)}" for note in adjusted.notes]
    strata = {}
    for name in by:
        column = _strata(covariates, name, bins)
        if column is None:
            notes.append(
                f"{name} has numbers: the verdict holds it fixed in fifths, the regression as a number; "
                f"give bins (--bins {name}=...) to see gaps within its strata"
                if name != STRUCTURE_SIZE
                else f"{name} is in the regression only"
            )
            continue
        stratified = stratified_gap(dice, ids, column, reference=reference, resamples=resamples)
        strata[name] = _strata_table(name, stratified.strata, stratified.pooled, overall)
        notes += [f"{name}: {_named(note, overall)}" for note in stratified.notes]
    return Adjusted(
        by=list(by),
        reference=overall.names[reference] + ("" if overall.reference is not None else ", the largest group"),
        regression=_regression_table(adjusted.table, overall),
        strata=strata,
        notes=notes,
    )


def _strata(covariates: pd.DataFrame, name: str, bins: Mapping[str, Sequence[float]]) -> Any:
    """Return the stratum of each subject in the order of its levels; None where numbers have no bins."""
    column = covariates[name]
    if name == STRUCTURE_SIZE:
        return None
    if name in bins:
        groups = Groups.from_table({name: column}, by=name, bins={name: bins[name]})
        levels, codes = list(groups.names), groups.encode({name: column})
    else:
        attribute = read_attribute(name, column)
        if attribute.numbers is not None:
            return None
        levels, codes = list(attribute.levels), np.where(attribute.known, attribute.codes, -1)
    return pd.Categorical.from_codes(codes, categories=pd.Index(levels), ordered=True)


def _regression_table(gaps: pd.DataFrame, overall: Summary) -> Table:
    rows = []
    for row in gaps.to_dict("records"):
        cells = []
        for kind in ("unadjusted", "adjusted"):
            cells.append(Cell(row[kind], row[f"{kind}_low"], row[f"{kind}_high"]))
            cells.append(Cell(row[f"{kind}_p"], kind="p"))
        rows.append((overall.names[int(row["group"])], _counts(row), *cells))
    heads = ("Subjects (reference, group)", "Gap of means", "p", "Adjusted gap of means", "p")
    return Table.of("Adjusted gaps", heads, rows, corner="Group")


def _strata_table(by: str, strata: pd.DataFrame, pooled: pd.DataFrame, overall: Summary) -> Table:
    def gap(row: dict[Any, Any]) -> Cell:
        return Cell(row["gap"], row["low"], row["high"])

    rows: list[tuple[object, ...]] = []
    for total in pooled.to_dict("records"):
        name = overall.names[int(total["group"])]
        for row in strata[strata["group"] == total["group"]].to_dict("records"):
            rows.append((f"{name}, {row['stratum']}", _counts(row), gap(row)))
        rows.append((Heading(f"{name}, without strata", "rule"), _counts(total), Cell(total["crude"])))
        rows.append((Heading(f"{name}, pooled over strata", "fairness"), _counts(total), gap(total)))
    heads = ("Subjects (reference, group)", "Gap of medians")
    return Table.of(f"Gaps within {by}", heads, rows, corner="Group, stratum")


def _counts(row: Mapping[Any, Any]) -> str:
    return f"{row['n_reference']}, {row['n_group']}"


def _named(note: str, overall: Summary) -> str:
    """Return a note of the statistics with the name of its group in place of the id that it begins with."""
    return re.sub(r"^group (\d+)(?=:)", lambda match: f"group {overall.names[int(match[1])]}", note)
