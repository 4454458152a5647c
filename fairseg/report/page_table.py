"""How a summary is laid out on the page: groups side by side, or below each other where they are many."""

import math
from dataclasses import dataclass

import pandas as pd

from fairseg.report import render
from fairseg.report.summary import P_VALUE, Summary

_WIDEST = 4  # groups that fit side by side onto a page, with "All" and the measures
_MOST_COLUMNS = 10  # measures that fit side by side
_MOST_WITH_LIMITS = 6  # with intervals below them


@dataclass(frozen=True)
class Part:
    """A table of text.

    Attributes:
        columns: heading and CSS class of each column.
        rows: heading, CSS class and cells of each row.
    """

    columns: list[tuple[str, str]]
    rows: list[tuple[str, str, list[str]]]


@dataclass(frozen=True)
class PageTable:
    """The tables of one structure.

    Attributes:
        name: the structure.
        footnote: what a reader must know.
        tall: whether groups are rows.
        parts: one table, or two where measures and counts do not fit side by side.
        nothing: the line that stands for all counts of nothing but zeros; empty if there are none.
    """

    name: str
    footnote: str
    tall: bool
    parts: list[Part]
    nothing: str


def page_table(summary: Summary) -> PageTable:
    """Lay a summary out so that no column leaves the page: more than four groups become rows."""
    whole = render.cells(summary)
    frame = render.without_zeros(whole)
    besides = " besides" if any(map(render.is_count, frame.index)) else ""
    nothing = f"Left out{besides}: none." if len(frame) < len(whole) else ""
    tall = len(summary.groups) > _WIDEST
    parts = [_wide(frame)] if not tall else _tall(frame) if summary.low is None else _tall_by_kind(frame)
    return PageTable(summary.structure, render.footnote(summary), tall, parts, nothing)


def _wide(frame: pd.DataFrame) -> Part:
    return Part([(str(name), "") for name in frame.columns], _rows(frame, _classes(frame.index)))


def _tall_by_kind(frame: pd.DataFrame) -> list[Part]:
    """Return scores, fairness and counts as tables of their own, none with more columns than fit."""
    kinds = ["score" if not kind else kind.split()[0] for kind in _classes(frame.index)]
    last = [""] * (frame.shape[1] - 1) + ["rule"]  # "All"
    parts = []
    for kind in dict.fromkeys(kinds):
        part = frame[[one == kind for one in kinds]]
        pieces = math.ceil(len(part) / _MOST_WITH_LIMITS)
        step = math.ceil(len(part) / pieces)
        for start in range(0, len(part), step):
            piece = part.iloc[start : start + step]
            heads = [(_head(str(name)), "") for name in piece.index]
            rows = _rows(piece.T, last)
            known = [row for row in rows if any(cell != render.NONE for cell in row[2])]
            # Without a reference there are such figures of all groups together only.
            parts.append(Part(heads, known if kind == "fairness" and known else rows))
    return parts


def _head(measure: str) -> str:
    """Return a measure's heading; which test gives p under "All" says the footnote."""
    return "p" if measure == P_VALUE else measure


def _tall(frame: pd.DataFrame) -> list[Part]:
    counts = [render.is_count(str(name)) for name in frame.index]
    split = frame.shape[0] > _MOST_COLUMNS and any(counts)
    halves = [frame[[not count for count in counts]], frame[counts]] if split else [frame]
    last = [""] * (frame.shape[1] - 1) + ["rule"]  # "All"
    return [
        Part(list(zip(map(str, half.index), _classes(half.index), strict=True)), _rows(half.T, last))
        for half in halves
    ]


def _rows(frame: pd.DataFrame, classes: list[str]) -> list[tuple[str, str, list[str]]]:
    return [
        (str(name), kind, list(row))
        for name, kind, row in zip(frame.index, classes, frame.to_numpy(), strict=True)
    ]


def _classes(measures: "pd.Index[str]") -> list[str]:
    """Return the CSS class of each measure; a rule sets the counts off from what stands before."""
    kinds = [
        "count" if render.is_count(name) else "fairness" if name in render.FAIRNESS else ""
        for name in measures
    ]
    first = kinds.index("count") if "count" in kinds else 0
    if first:
        kinds[first] = "count rule"
    return kinds
