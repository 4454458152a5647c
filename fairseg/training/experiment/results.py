"""What an experiment has shown: the scores of all arms, their figures, and tables in the paper's form."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairseg.crop import Box, box_error
from fairseg.groups import Groups
from fairseg.metrics.scores import read_scores
from fairseg.report.summary import ALL, GAP, OVERALL, P_VALUE, Summary, summarize
from fairseg.training.experiment.arms import Arm
from fairseg.training.experiment.study import Study
from fairseg.training.experiment.tasks import BOX_TABLE, State, state_of

_ARM = ("key", "images", "method", "seed", "sweep", "level")


@dataclass(frozen=True)
class Spread:
    """A figure over seeds: its mean, and the smallest and largest."""

    mean: float
    low: float
    high: float
    number: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Sum up what is there."""
        known = [value for value in values if not np.isnan(value)]
        if not known:
            return cls(np.nan, np.nan, np.nan, 0)
        return cls(float(np.mean(known)), min(known), max(known), len(known))


@dataclass(frozen=True)
class Results:
    """All that an experiment has shown.

    Attributes:
        study: what it is.
        states: how each arm has ended; one has failed as soon as its training has.
        scores: all scores tables below each other, with the arm's columns before.
        figures: one row a figure: the arm's columns, test, attribute, structure, measure, group, value.
        boxes: sizes of boxes, found and true, of the cascaded arms, with the arm's columns before.
        summaries: (arm, test) -> summary over all labels, by the main attribute.
    """

    study: Study
    states: dict[Arm, State]
    scores: pd.DataFrame
    figures: pd.DataFrame
    boxes: pd.DataFrame
    summaries: dict[tuple[Arm, str], Summary]

    @property
    def tests(self) -> list[str]:
        """Names of the test sets that were scored."""
        return list(dict.fromkeys(test for _, test in self.summaries))

    @property
    def failed(self) -> dict[Arm, State]:
        """The arms that have failed."""
        return {arm: state for arm, state in self.states.items() if state.status == "failed"}

    def spread(
        self, key: str, measure: str, group: str, *, test: str = "internal", attribute: str | None = None
    ) -> Spread:
        """Return a figure of an arm over its seeds, overall; by the main attribute if none is named."""
        return Spread.of(self.values(key, measure, group, test=test, attribute=attribute))

    def values(
        self, key: str, measure: str, group: str, *, test: str = "internal", attribute: str | None = None
    ) -> list[float]:
        """Return a figure of an arm for each of its seeds, in their order."""
        rows = self.figures
        if rows.empty:
            return []
        by = attribute or " and ".join(sorted(self.study.plan.recipe.by))
        mask = (rows["key"] == key) & (rows["measure"] == measure) & (rows["group"] == group)
        mask &= (rows["test"] == test) & (rows["attribute"] == by) & (rows["structure"] == OVERALL)
        return [float(value) for value in rows.loc[mask].sort_values("seed")["value"]]

    def groups(self, test: str) -> tuple[str, ...]:
        """Return the groups of a test set, the reference group first."""
        names = next(one.groups.names for (_, name), one in self.summaries.items() if name == test)
        return tuple(sorted(names, key=lambda name: name != self.study.reference))


def collect(root: Path, study: Study) -> Results:
    """Read what the arms of an experiment have left."""
    states, scores, figures, boxes, summaries = {}, [], [], [], {}
    made: dict[tuple[str, str], Groups] = {}
    for arm, (training, test_task) in study.arms.items():
        trained, tested = state_of(root / training), state_of(root / test_task)
        states[arm] = trained if trained.status == "failed" else tested
        if tested.status != "done":
            continue
        about = {"key": arm.key, **{name: getattr(arm, name) for name in _ARM[1:]}}
        for test in json.loads((root / test_task / "task.json").read_text(encoding="utf-8"))["tests"]:
            table = read_scores(root / test_task / f"{test}.csv")
            scores.append(_labelled(table, {**about, "test": test}))
            for name, by in _attributes(study).items():
                bins = study.plan.recipe.bins if by == study.plan.recipe.by else None
                if (test, name) not in made:
                    made[test, name] = Groups.from_table(table, by=by, bins=bins)
                groups = made[test, name]
                if len(groups) < 2:
                    continue
                reference = study.reference if study.reference in groups.names else None
                parts = summarize(table, groups, reference=reference)
                figures += [
                    {**about, "test": test, "attribute": name, **row} for part in parts for row in _rows(part)
                ]
                if by == study.plan.recipe.by:
                    summaries[arm, test] = parts[0]
        if (root / test_task / BOX_TABLE).exists():
            boxes.append(_labelled(pd.read_csv(root / test_task / BOX_TABLE), about))
    return Results(study, states, _joined(scores), pd.DataFrame(figures), _joined(boxes), summaries)


def box_errors(results: Results, method: str) -> tuple[Spread, Spread] | None:
    """Return by how many percent the cascaded crops of a method differ in size, along x and y (Table S4)."""
    if results.boxes.empty:
        return None
    margin = 2 * results.study.plan.recipe.crop_margin
    rows = results.boxes
    rows = rows[(rows["key"] == f"cascade/{method}") & (rows["test"] == "internal")].dropna()
    found = []
    for _, part in rows.groupby("seed"):
        sizes = [
            [Box((0, 0), (int(y) + margin, int(x) + margin)) for y, x in part[columns].to_numpy()]
            for columns in (["found_y", "found_x"], ["reference_y", "reference_x"])
        ]
        found.append(box_error(*sizes))
    if not found:
        return None
    y, x = np.array(found).T
    return Spread.of(list(x)), Spread.of(list(y))


def _attributes(study: Study) -> dict[str, tuple[str, ...]]:
    """Return name -> attributes whose cells are the groups to report."""
    main = study.plan.recipe.by
    return {" and ".join(sorted(main)): main, **{name: (name,) for name in study.plan.also}}


def _rows(summary: Summary) -> list[dict[str, Any]]:
    """Return a summary's figures, one a row, and the number of subjects."""
    table: Mapping[Any, Mapping[Any, float]] = summary.table.to_dict("index")
    rows = [
        {"structure": summary.structure, "measure": measure, "group": group, "value": value}
        for measure, row in table.items()
        for group, value in row.items()
        if not np.isnan(value)
    ]
    counts = dict(zip(summary.groups.names, map(float, summary.counts), strict=True))
    counts[ALL] = float(summary.counts.sum())
    return rows + [
        {"structure": summary.structure, "measure": "Subjects", "group": group, "value": number}
        for group, number in counts.items()
    ]


def _labelled(table: pd.DataFrame, about: dict[str, Any]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(about, index=table.index), table], axis="columns")


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    for table in tables:
        table.attrs = {}
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def findings(results: Results, test: str = "internal") -> list[tuple[str, str, str]]:
    """Return the paper's findings, each with whether it shows here and the figures, seed by seed.

    A finding shows in a seed or it does not; "2 of 3" means in two seeds of three.
    """
    minority, reference = results.study.minority, results.study.reference

    def dice(key: str, group: str) -> list[float]:
        return results.values(key, "Median DSC", group, test=test)

    def gaps(key: str) -> list[float]:
        return [r - m for r, m in zip(dice(key, reference), dice(key, minority), strict=True)]

    found = []

    def add(title: str, keys: Sequence[str], holds: Any, shown: str) -> None:
        columns = [gaps(key) for key in keys]
        if any(not column for column in columns):
            return
        number = min(map(len, columns))
        times = sum(bool(holds(*(column[seed] for column in columns))) for seed in range(number))
        found.append((title, f"in {times} of {number} seeds", shown))

    def means(*keys: str) -> str:
        parts = [np.mean(gaps(key)) if gaps(key) else np.nan for key in keys]
        return "gap " + ", then ".join(f"{value:+.3f}" for value in parts)

    base, balanced = "full/baseline", "full/oversampling"
    add(
        "Oversampling closes the gap (to half or less)",
        [base, balanced],
        lambda before, after: abs(after) <= abs(before) / 2,
        means(base, balanced),
    )
    for images, name in (("crop", "Crops by the reference"), ("cascade", "Cascaded crops")):
        add(
            f"{name} shrink the baseline's gap",
            [base, f"{images}/baseline"],
            lambda before, after: abs(after) < abs(before),
            means(base, f"{images}/baseline"),
        )
    add(
        "Cascaded crops with oversampling have a smaller gap than cascaded crops alone",
        ["cascade/baseline", "cascade/oversampling"],
        lambda before, after: abs(after) < abs(before),
        means("cascade/baseline", "cascade/oversampling"),
    )
    add(
        "Group DRO shrinks the gap, beside the baseline with its loss (cross-entropy)",
        ["full/baseline_ce", "full/group_dro"],
        lambda before, after: abs(after) < abs(before),
        means("full/baseline_ce", "full/group_dro"),
    )
    change = [
        [after - before for before, after in zip(dice(base, one), dice("full/reweighting", one), strict=True)]
        for one in (reference, minority)
        if dice(base, one) and dice("full/reweighting", one)
    ]
    if len(change) == 2:
        times = sum(first < 0 and second < 0 for first, second in zip(*change, strict=True))
        shown = f"Dice of {reference} {np.mean(change[0]):+.3f}, of {minority} {np.mean(change[1]):+.3f}"
        title = "Reweighting (weights that sum to 1) lowers the Dice of both groups"
        found.append((title, f"in {times} of {len(change[0])} seeds", shown))
    return found


def significant(results: Results, key: str, test: str) -> str:
    """Say in how many seeds the groups' Dice differ by p < 0.05."""
    others = [ALL] if len(results.groups(test)) == 2 else [results.study.minority]
    values = results.values(key, P_VALUE, others[0], test=test)
    return f"{sum(value < 0.05 for value in values)} of {len(values)}" if values else ""


def gap_of(summary: Summary) -> float:
    """Return the fairness gap over all groups."""
    return float(summary.table.to_dict("index")[GAP][ALL])
