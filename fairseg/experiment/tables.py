"""Tables in the paper's form: of an experiment, and of what the paper prints."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fairseg.experiment.arms import BEYOND, CHOICES, IMAGES, PAIRS, SINGLE, key_of
from fairseg.experiment.paper import GROUPS, MEASURES, PRINTED
from fairseg.experiment.results import Results, SeedSpread, significant
from fairseg.experiment.verdicts import in_words, verdicts_beside
from fairseg.report.summary_table import kind_of, write
from fairseg.report.tables import Cell, Table
from fairseg.scoring.summary import ALL, GAP
from fairseg.statistics.verdicts import Verdict

_FULL, _CROP, _CASCADE = (tuple(f"{images}/{method}" for method in SINGLE) for images in IMAGES)
_PAIRS = tuple(f"full/{method}" for method in PAIRS)
# Title, test set, arms: what the paper has a table of, and the controls.
TABLES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Table 4. Single methods, full images, internal test", "internal", _FULL),
    ("Table 5. Pairs of methods, full images, internal test", "internal", (_FULL[0], *_PAIRS)),
    ("Table 6. Crops by the reference, internal test", "internal", _CROP),
    ("Tables 4 and 7. Cascaded crops beside full images, internal test", "internal", (_FULL[0], *_CASCADE)),
    ("Table 7. Cascaded crops, internal test", "internal", _CASCADE),
    ("Table 8. Single methods, full images, external test", "external", _FULL),
    ("Table 9. Crops, external test", "external", (*_CROP[:2], *_CASCADE[:2])),
    (
        "Controls. Group DRO beside the same method with its loss, cross-entropy; internal test",
        "internal",
        (
            *("full/baseline_ce", "full/group_dro", "full/oversampling_ce", "full/oversampling+group_dro"),
            *("full/reweighting_ce", "full/reweighting+group_dro"),
        ),
    ),
    (
        "Controls on crops; internal test",
        "internal",
        tuple(
            f"{images}/{method}" for images in ("crop", "cascade") for method in ("baseline_ce", "group_dro")
        ),
    ),
)

# The same of the methods that the paper has not, a table for each of their controls.
BEYOND_TABLES = tuple(
    (
        f"Beyond the paper. {CHOICES[control].title}{'' if images == 'full' else f' on {IMAGES[images]}'}, "
        "and what is compared with it; internal test",
        "internal",
        (
            key_of(control, images),
            *(
                key_of(method)
                for method, one in BEYOND.items()
                if (one.control, one.images) == (control, images)
            ),
        ),
    )
    for control, images in dict.fromkeys((one.control, one.images) for one in BEYOND.values())
)


class Judged(NamedTuple):
    """Arms of one table.

    Attributes:
        title: of the table.
        test: name of the test set.
        verdicts: key -> seed -> verdict beside the first arm, which has none itself.
    """

    title: str
    test: str
    verdicts: dict[str, dict[int, Verdict]]

    @property
    def control(self) -> str:
        """Key of the first arm."""
        return next(iter(self.verdicts))


def judged_tables(results: Results) -> list[Judged]:
    """Return `scored_tables`, with each arm's verdicts beside the first of its table."""
    return [
        Judged(title, test, {keys[0]: {}, **verdicts_beside(results, keys[0], keys, test)})
        for title, test, keys in scored_tables(results)
    ]


def scored_tables(results: Results) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the tables that have an arm that was scored, each with these arms.

    A table of its first arm alone stands only if no other has it.
    """
    tables: list[tuple[str, str, tuple[str, ...]]] = []
    for title, test, keys in (*TABLES, *BEYOND_TABLES):
        scored = tuple(key for key in keys if results.by_seed(key, "Subjects", ALL, test=test))
        in_tables = {key for _, same_test, before in tables if same_test == test for key in before}
        if set(scored) - ({keys[0]} & in_tables):
            tables.append((title, test, scored))
    return tables


def make_table(results: Results, judged: Judged) -> Table:
    """Return a table of arms that were scored, with their verdicts beside the first."""
    title, test, verdicts = judged
    keys = list(verdicts)
    groups = results.groups(test)
    seeds = [len(results.by_seed(key, "Subjects", ALL, test=test)) for key in keys]
    rows: dict[str, list[list[Cell]]] = {}
    for measure in (name for name in _index(results, test) if name.startswith(("Median", "IQR"))):
        spreads = [[results.spread(key, measure, group, test=test) for group in groups] for key in keys]
        best = _best(spreads) if measure == "Median DSC" and len(keys) > 1 else set()
        rows[measure] = [
            [
                _of_seeds(cell_of(measure, spread, best=(row, column) in best), spread, number)
                for column, spread in enumerate(part)
            ]
            for row, (part, number) in enumerate(zip(spreads, seeds, strict=True))
        ]
    rows["SER"] = [[cell_of("SER", results.spread(key, "SER", ALL, test=test))] for key in keys]
    for measure, spreads_of in gap_rows(results, test).items():
        rows[measure] = [[cell_of(GAP, spreads_of(key))] for key in keys]
    pair = f" ({results.study.reference}, {results.study.minority})" if len(groups) > 2 else ""
    rows[f"p < 0.05, seeds{pair}"] = [[Cell(significant(results, key, test))] for key in keys]
    if any(verdicts.values()):
        rows[f"Verdict beside {title_of(judged.control)}"] = [[Cell(in_words(verdicts[key]))] for key in keys]
    rows |= _left_out(results, test, keys)
    return Table.side_by_side(title, [head_of(results, key, test) for key in keys], groups, rows, (GAP,))


def printed_table(title: str, test: str, keys: Iterable[str]) -> Table | None:
    """Return the paper's table of the same arms, `None` where it has none."""
    printed = {key: PRINTED[test][key] for key in keys if key in PRINTED[test]}
    if not printed or not title.startswith("Table"):
        return None
    rows = {
        measure: [[Cell(text) for text in one.medians[measure]] for one in printed.values()]
        for measure in MEASURES
    }
    rows["SER"] = [[Cell(one.ser)] for one in printed.values()]
    rows[GAP] = [[Cell(one.gap)] for one in printed.values()]
    rows["p (Mann-Whitney U)"] = [[Cell("< 0.05" if one.p == "*" else one.p)] for one in printed.values()]
    heads = [title_of(key) for key in printed]
    return Table.side_by_side(f"The paper: {title}", heads, GROUPS, rows, (GAP,))


def gap_rows(results: Results, test: str) -> dict[str, Callable[[str], SeedSpread]]:
    """Return the gaps that a table shows: name -> function of an arm's key that returns the gap over seeds.

    With more than two groups, these are the gap of the same two in every seed, and the largest of any,
    without its sign: the group that is farthest differs by seed, and signs would cancel.
    """
    if len(results.groups(test)) <= 2:
        return {GAP: lambda key: results.spread(key, GAP, ALL, test=test)}
    return {
        f"{GAP} ({results.study.reference} - {results.study.minority})": lambda key: results.gap(
            key, test=test
        ),
        "Largest gap of any group": lambda key: SeedSpread.of(
            [abs(value) for value in results.by_seed(key, GAP, ALL, test=test).values()]
        ),
    }


def _of_seeds(cell: Cell, spread: SeedSpread, number: int) -> Cell:
    """Add the number of seeds that have the figure, where some have none, such as a distance to a miss."""
    if not 0 < spread.number < number:
        return cell
    return replace(cell, below=f"{cell.below}, {spread.number} of {number} seeds".removeprefix(", "))


def _left_out(results: Results, test: str, keys: Sequence[str]) -> dict[str, list[list[Cell]]]:
    """Return the counts of cases without a score, over all seeds; none that is zero throughout."""
    rows = {}
    for measure in (name for name in _index(results, test) if kind_of(name) == "count"):
        sums = [
            [sum(results.by_seed(key, measure, group, test=test).values()) for group in results.groups(test)]
            for key in keys
        ]
        if any(map(any, sums)):
            rows[f"{measure}, all seeds"] = [[Cell(f"{value:.0f}") for value in part] for part in sums]
    return rows


def _index(results: Results, test: str) -> list[str]:
    """Return the names of all measures in the summaries of a test set."""
    summaries = [one for (_, name), one in results.summaries.items() if name == test]
    return list(dict.fromkeys(str(name) for one in summaries for name in one.table.index))


def title_of(key: str) -> str:
    """Return the title of the arm of a key."""
    images, method = key.split("/")
    title = CHOICES[method].title
    return f"{title} ({images})" if images in ("crop", "cascade") else title


def head_of(results: Results, key: str, test: str) -> str:
    """Return the title of an arm, with the number of seeds that have results if some are missing."""
    scored = len(results.by_seed(key, "Subjects", ALL, test=test))
    planned = sum(arm.key == key for arm in results.states)
    seeds = "" if scored >= planned else f", {scored} of {planned} seeds"
    return title_of(key) + seeds + ("" if results.learned(key, test=test) else ", not learned")


def cell_of(measure: str, spread: SeedSpread, *, best: bool = False) -> Cell:
    """Return a figure over seeds, rounded as its measure asks."""
    ends = [write(measure, value) for value in (spread.mean, spread.low, spread.high)]
    return Cell(ends[0], below=f"{ends[1]} to {ends[2]}" if spread.number > 1 else "", best=best)


def _best(spreads: Sequence[Sequence[SeedSpread]]) -> set[tuple[int, int]]:
    """Return the row and column of the highest mean of each column."""
    means = np.array([[spread.mean for spread in part] for part in spreads])
    return {
        (int(np.nanargmax(means[:, column])), column)
        for column in range(means.shape[1])
        if not np.isnan(means[:, column]).all()
    }
