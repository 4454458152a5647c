"""The plan of an experiment: on which data, which arms, how often."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fairseg.cohort.reading import TableOptions
from fairseg.cohort.table import read_cohort
from fairseg.training.settings import Settings


@dataclass(frozen=True)
class Plan:
    """The data of an experiment, its arms, and how often they run.

    Attributes:
        dataset: folder in nnU-Net's raw layout. If it has labelsTs, those are the test set.
        recipe: settings that all arms share; its `by` and `bins` make the groups, its `validation` is the
            share of each group's training subjects that is held out.
        external: a second dataset, to test on only.
        reference: group against which gaps are taken; default: the one with most training subjects.
        also: more attributes to report at test.
        also_bins: edges of those of them that are numbers.
        only: patterns of arms; none for all.
        seeds, sweep_seeds: how many.
        train_groups: groups that train; none for all. Subjects of the others are tested.
        test_share: of each group's subjects, where the dataset has no labelsTs.
        folds: test every subject once, in so many parts, each by networks that have trained on the others;
            0 for one test set.
        split_seed: seed of the choice of tested subjects.
        ce_factor: arms on cross-entropy alone train for so many times the epochs.
        mirror: average predictions over mirrorings.
        keep_predictions: leave the masks in the folder.
        table: of cases with the attributes; None: groups.csv in `dataset`. That of `external` is there.
        options: how that table differs from what is read without being told.
    """

    dataset: Path
    recipe: Settings
    external: Path | None = None
    reference: str | None = None
    also: tuple[str, ...] = ()
    also_bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    seeds: int = 3
    sweep_seeds: int = 1
    train_groups: tuple[str, ...] = ()
    test_share: float = 0.25
    folds: int = 0
    split_seed: int = 0
    ce_factor: int = 1
    mirror: bool = True
    keep_predictions: bool = False
    table: Path | None = None
    options: TableOptions = field(default_factory=TableOptions)

    @property
    def table_file(self) -> Path:
        """The table of cases with the attributes."""
        return self.table or self.dataset / "groups.csv"

    @property
    def table_of_cases(self) -> dict[str, Any]:
        """The file and options by which tasks read that table, as JSON holds them; see `read_table`."""
        options = {name: value for name, value in asdict(self.options).items() if value}
        return {"table": str(self.table_file.resolve()), **({"options": options} if options else {})}

    @property
    def by(self) -> str:
        """The attributes that make the groups, as text."""
        return " and ".join(sorted(self.recipe.by))

    @property
    def attributes(self) -> dict[str, tuple[tuple[str, ...], dict[str, tuple[float, ...]]]]:
        """Name -> attributes whose cells are groups to report, and their bins; the main one first."""
        edges = {**self.recipe.bins, **self.also_bins}
        return {self.by: (self.recipe.by, dict(self.recipe.bins))} | {
            name: ((name,), {name: edges[name]} if name in edges else {})
            for name in self.also
            if name != self.by
        }


def read_table(spec: Mapping[str, Any]) -> pd.DataFrame:
    """Return the cohort of a task or test set, as `Plan.table_of_cases` names it."""
    return read_cohort(spec["table"], TableOptions(**spec.get("options", {})))
