"""The results of an experiment: the scores of all arms, and their figures."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairseg.cohort.columns import OVERALL
from fairseg.cohort.pseudonyms import Pseudonyms, naming_columns
from fairseg.crop import Box, box_error
from fairseg.experiment.arms import Arm
from fairseg.experiment.study import ArmTasks, Study
from fairseg.experiment.tasks import BOX_TABLE, TASK, State, state_of
from fairseg.io.json_files import read_json
from fairseg.scoring.summary import ALL, P_VALUE, Summary, summarize
from fairseg.scoring.table import read_scores

ABOUT_ARM = ("key", "images", "method", "seed", "sweep", "level")

LEARNED = 0.5  # median Dice of the reference group, below which an arm has learned nothing to judge


@dataclass(frozen=True)
class SeedSpread:
    """A figure over seeds: its mean, and the smallest and largest."""

    mean: float
    low: float
    high: float
    number: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "SeedSpread":
        """Sum up the values that are not NaN."""
        finite = [value for value in values if not np.isnan(value)]
        if not finite:
            return cls(np.nan, np.nan, np.nan, 0)
        return cls(float(np.mean(finite)), min(finite), max(finite), len(finite))


@dataclass(frozen=True)
class Results:
    """The results of an experiment.

    Attributes:
        study: the plan on its data.
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

    def hidden(self, pseudonyms: Pseudonyms) -> "Results":
        """Return the same results without the names of cases and subjects."""
        of_cohort = self.scores.drop(columns=[*ABOUT_ARM, "test"], errors="ignore")
        left_out = naming_columns(of_cohort) if len(of_cohort) else []
        names = {str(name) for fold in self.study.folds for name in fold["subject"]}
        names |= {str(name) for name in of_cohort.get("case", ())}
        words = [name for name in names if not name.isdecimal()]  # else a number in an error would be hidden
        states = {
            arm: replace(state, error=pseudonyms.within(state.error, words))
            for arm, state in self.states.items()
        }
        scores, boxes = pseudonyms.hide(self.scores, left_out), pseudonyms.hide(self.boxes)
        return replace(self, states=states, scores=scores, boxes=boxes)

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
    ) -> SeedSpread:
        """Return a figure of an arm over its seeds, overall; by the main attribute if none is named."""
        return SeedSpread.of(list(self.by_seed(key, measure, group, test=test, attribute=attribute).values()))

    def by_seed(
        self, key: str, measure: str, group: str, *, test: str = "internal", attribute: str | None = None
    ) -> dict[int, float]:
        """Return seed -> a figure of an arm, for the seeds that there are results of."""
        return self._by_seed.get((key, measure, group, test, attribute or self.study.plan.by), {})

    def gap(self, key: str, *, test: str = "internal") -> SeedSpread:
        """Return the gap of `gaps`, over the seeds."""
        return SeedSpread.of(list(self.gaps(key, test=test).values()))

    def gaps(self, key: str, *, test: str = "internal") -> dict[int, float]:
        """Return seed -> median Dice of the reference group minus that of the minority, where both have one.

        The figure "Fairness gap" is, of more groups, that of the group farthest from the reference.
        """
        first, second = (
            self.by_seed(key, "Median DSC", group, test=test)
            for group in (self.study.reference, self.study.minority)
        )
        return {seed: value - second[seed] for seed, value in first.items() if seed in second}

    @cached_property
    def _by_seed(self) -> dict[tuple[str, ...], dict[int, float]]:
        """The overall figures: (key, measure, group, test, attribute) -> seed -> value."""
        figures: dict[tuple[str, ...], dict[int, float]] = defaultdict(dict)
        if not self.figures.empty:
            rows = self.figures[self.figures["structure"] == OVERALL].sort_values("seed", kind="stable")
            names = rows[["key", "measure", "group", "test", "attribute"]].itertuples(index=False, name=None)
            for name, seed, value in zip(names, rows["seed"], rows["value"], strict=True):
                figures[name][int(seed)] = float(value)
        return dict(figures)

    def learned(self, key: str, *, test: str = "internal") -> bool:
        """Say whether an arm that was scored has learned enough for its gap to mean something."""
        return not self.spread(key, "Median DSC", self.study.reference, test=test).mean < LEARNED

    def not_learned(self, key: str, *, test: str = "internal") -> dict[int, list[str]]:
        """Return seed -> the structures on which an arm has learned too little, where there are any."""
        if self.figures.empty:
            return {}
        rows = self.figures
        wanted = {"key": key, "test": test, "measure": "Median DSC", "group": self.study.reference}
        for name, value in (wanted | {"attribute": self.study.plan.by}).items():
            rows = rows[rows[name] == value]
        low = rows[(rows["value"] < LEARNED) & (rows["structure"] != OVERALL)]
        return {int(str(seed)): [*part["structure"]] for seed, part in low.groupby("seed")}

    def groups(self, test: str) -> tuple[str, ...]:
        """Return the groups of a test set, the reference group first; none if it has not two."""
        groups = self.study.tested.get((test, self.study.plan.by))
        names = () if groups is None else groups.names
        return tuple(sorted(names, key=lambda name: name != self.study.reference))


def collect(root: Path, study: Study) -> Results:
    """Read what the arms of an experiment have left."""
    states, scores, figures, boxes, summaries = {}, [], [], [], {}
    for arm, tasks in study.arms.items():
        states[arm] = state_of_arm(root, tasks)
        if states[arm].status != "done":
            continue
        arm_columns = {"key": arm.key, **{name: getattr(arm, name) for name in ABOUT_ARM[1:]}}
        for test, table in _scores(root, tasks.tests).items():
            scores.append(_labelled(table, {**arm_columns, "test": test}))
            for name in study.plan.attributes:
                if (groups := study.tested.get((test, name))) is None:
                    continue
                main = name == study.plan.by
                reference = study.reference if main and study.reference in groups.names else None
                parts = summarize(table, groups, reference=reference)
                figures += [
                    {**arm_columns, "test": test, "attribute": name, **row}
                    for part in parts
                    for row in _rows(part)
                ]
                if main:
                    summaries[arm, test] = parts[0]
        for task in tasks.tests:
            if (root / task / BOX_TABLE).exists():
                boxes.append(_labelled(pd.read_csv(root / task / BOX_TABLE), arm_columns))
    return Results(study, states, _joined(scores), pd.DataFrame(figures), _joined(boxes), summaries)


def state_of_arm(root: Path, tasks: ArmTasks) -> State:
    """Return the state of an arm: failed as soon as a task has, done when all tests are; seconds of all."""
    tests = [state_of(root / name) for name in tasks.tests]
    states = [*(state_of(root / name) for name in tasks.trainings), *tests]
    if failed := [state for state in states if state.status == "failed"]:
        return failed[0]
    done = all(state.status == "done" for state in tests)
    return State("done" if done else "open", sum(state.seconds for state in states))


def _scores(root: Path, tests: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return test set -> the scores of an arm there."""
    tables: dict[str, list[pd.DataFrame]] = defaultdict(list)
    for task in tests:
        for test in read_json(root / task / TASK)["tests"]:
            tables[test].append(read_scores(root / task / f"{test}.csv"))
    return {test: one[0] if len(one) == 1 else _joined(one) for test, one in tables.items()}


def box_errors(results: Results, method: str) -> tuple[SeedSpread, SeedSpread] | None:
    """Return the percentage by which a method's cascaded crops differ in size, along x and y (Table S4)."""
    if results.boxes.empty:
        return None
    margin = 2 * results.study.plan.recipe.crop_margin
    rows = _internal_boxes(results, method).dropna()
    errors = []
    for _, part in rows.groupby("seed"):
        sizes = [
            [Box((0, 0), (int(y) + margin, int(x) + margin)) for y, x in part[columns].to_numpy()]
            for columns in (["found_y", "found_x"], ["reference_y", "reference_x"])
        ]
        errors.append(box_error(*sizes))
    if not errors:
        return None
    y, x = np.array(errors).T
    return SeedSpread.of(list(x)), SeedSpread.of(list(y))


def fallbacks(results: Results, method: str) -> tuple[int, int]:
    """Return the cases in which a cascade's first network found nothing, and all cases; over all seeds."""
    rows = _internal_boxes(results, method)
    return int(rows["found_y"].isna().sum()), len(rows)


def _internal_boxes(results: Results, method: str) -> pd.DataFrame:
    rows = results.boxes
    return rows[(rows["key"] == f"cascade/{method}") & (rows["test"] == "internal")]


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


def _labelled(table: pd.DataFrame, labels: dict[str, Any]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(labels, index=table.index), table], axis="columns")


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def significant(results: Results, key: str, test: str) -> str:
    """Return the number of seeds in which the groups' Dice differ by p < 0.05, as text."""
    groups = [ALL] if len(results.groups(test)) == 2 else [results.study.minority]
    values = list(results.by_seed(key, P_VALUE, groups[0], test=test).values())
    return f"{sum(value < 0.05 for value in values)} of {len(values)}" if values else ""
