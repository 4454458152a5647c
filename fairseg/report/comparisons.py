"""Every comparison of the report as one table: intervals, verdicts, tests and effect sizes."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairseg.report import render
from fairseg.report.page_table import Part
from fairseg.report.summary import GAP, P_VALUE, Summary
from fairseg.statistics import benjamini_hochberg

_COLUMNS = [
    "by", "structure", "first", "second", "n_first", "n_second", "median_first", "median_second",
    "gap", "gap_low", "gap_high", "detectable", "verdict", "p", "p_holm",
    "cliffs_delta", "cliffs_delta_low", "cliffs_delta_high", "shift", "shift_low", "shift_high",
]  # fmt: skip
_MOST_ROWS = 60  # on the page; all are in the file


def comparisons_table(analyses: Sequence[Sequence[Summary]]) -> pd.DataFrame:
    """Return every comparison of every grouping and structure, unrounded.

    Columns: by, structure; first, second, n_first, n_second, median_first, median_second; gap (first minus
    second) with gap_low and gap_high, detectable, verdict; p (Mann-Whitney U), p_holm (corrected within the
    structure), q (Benjamini and Hochberg, over all comparisons of the table); cliffs_delta and shift
    (Hodges-Lehmann) with their limits.

    Args:
        analyses: for each grouping the summaries of all structures, with evidence.
    """
    rows: list[tuple[Any, ...]] = []
    for summaries in analyses:
        for summary in summaries:
            if summary.evidence is None:
                continue
            names, counts, evidence = summary.groups.names, summary.counts, summary.evidence
            for one in evidence.comparisons:
                pair = (one.first, one.second)
                rows.append(
                    (
                        " and ".join(summary.groups.attributes),
                        summary.structure,
                        *(names[group] for group in pair),
                        *(int(counts[group]) for group in pair),
                        *(evidence.medians[group].estimate for group in pair),
                        *one.gap,
                        one.detectable,
                        one.verdict,
                        one.p,
                        one.corrected,
                        *one.delta,
                        *one.shift,
                    )
                )
    table = pd.DataFrame(rows, columns=_COLUMNS)
    table.insert(_COLUMNS.index("p_holm") + 1, "q", benjamini_hochberg(table["p"].to_numpy(dtype=np.float64)))
    return table


def comparisons_part(table: pd.DataFrame) -> Part:
    """Lay the comparisons out for the page; of very many, those with the smallest p-values."""
    shown = table if len(table) <= _MOST_ROWS else table.sort_values("p", kind="stable").head(_MOST_ROWS)
    several = len(set(table["by"])) > 1
    heads = (
        "Verdict",
        "Gap in median DSC",
        "Detectable",
        "p",
        "p (Holm)",
        "q (all)",
        "Cliff's delta",
        "Hodges-Lehmann shift",
    )
    return Part([(head, "") for head in heads], [_row(row, several) for row in shown.to_dict("records")])


def _row(row: dict[Hashable, Any], several: bool) -> tuple[str, str, list[str]]:
    block = f"{row['by']}, {row['structure']}" if several else row["structure"]
    name = f"{block}: {row['first']}, {row['second']}"
    cells = [
        row["verdict"],
        _limited(row, "gap"),
        render.cell(GAP, row["detectable"]),
        *(render.cell(P_VALUE, row[kind]) for kind in ("p", "p_holm", "q")),
        _limited(row, "cliffs_delta"),
        _limited(row, "shift"),
    ]
    return name, "", cells


def _limited(row: dict[Hashable, Any], name: str) -> str:
    text = render.cell(GAP, row[name])
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return text if np.isnan(low) else f"{text}\n{render.interval(GAP, low, high)}"
