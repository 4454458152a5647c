"""Summary tables as text: for the terminal, Markdown, LaTeX and CSV, with names made safe for each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from fairseg.metrics import csv_files
from fairseg.metrics.wording import counted
from fairseg.report.summary import GAP, P_VALUE, Summary

NONE = "\N{EN DASH}"  # what stands where there is no value
FAIRNESS = ("SER", GAP, P_VALUE)
_COUNTS = ("Subjects", "Structures")  # rows of whole numbers begin so
_SIGNIFICANT = 0.05
_WIDEST = 5  # groups that fit side by side into a terminal


def cells(summary: Summary) -> pd.DataFrame:
    """Return the table as rounded text, its columns headed by group and number of subjects."""
    text = [[cell(measure, value) for value in row] for measure, row in _rows(summary)]
    return pd.DataFrame(text, index=summary.table.index, columns=headers(summary))


def headers(summary: Summary) -> list[str]:
    """Return the column headings: group names with n."""
    counts = [*summary.counts, summary.counts.sum()]
    return [f"{name} (n={count})" for name, count in zip(summary.table.columns, counts, strict=True)]


def caption(summary: Summary) -> str:
    """Return what the table shows, in one line."""
    by = " and ".join(summary.groups.attributes)
    against = "" if summary.reference is None else f", reference: {summary.groups.name(summary.reference)}"
    return f"{summary.structure}, by {by}{against}"


def is_count(measure: str) -> bool:
    """Say whether a measure counts what was left out."""
    return measure.startswith(_COUNTS)


def without_zeros(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table without the counts that are zero in every group."""
    zero = [is_count(str(name)) and set(row) <= {"0", NONE} for name, row in frame.iterrows()]
    return frame[~np.array(zero)]


def to_terminal(summaries: Sequence[Summary]) -> str:
    """Return the tables in plain characters; to fit a terminal, many groups become rows."""
    return _stacked(summaries, "simple", lambda title: f"{title}\n{'=' * len(title)}", plain, _WIDEST)


def to_markdown(summaries: Sequence[Summary]) -> str:
    """Return the tables in GitHub's Markdown."""
    return _stacked(summaries, "github", lambda title: f"## {title}", markdown)


def to_latex(summaries: Sequence[Summary]) -> str:
    r"""Return the tables in LaTeX, each in a `table` float, for `\usepackage{booktabs}`."""
    return "\n".join(
        latex_float(cells(summary), f"{caption(summary)}. {footnote(summary)}".rstrip())
        for summary in summaries
    )


def latex_float(frame: pd.DataFrame, about: str) -> str:
    r"""Return a table of text in a LaTeX `table` float, with a caption, for `\usepackage{booktabs}`."""
    body = grid(frame, "latex_raw", latex)
    rules = iter((r"\toprule", r"\midrule", r"\bottomrule"))
    body = "\n".join(next(rules) if line == r"\hline" else line for line in body.split("\n"))
    return f"\\begin{{table}}\n\\centering\n\\caption{{{latex(about)}}}\n{body}\n\\end{{table}}\n"


def to_csv(summaries: Sequence[Summary]) -> str:
    """Return all tables below each other, unrounded, for a spreadsheet or pandas."""
    frames = []
    for summary in summaries:
        number = pd.DataFrame([[*summary.counts, summary.counts.sum()]], ["Subjects"], summary.table.columns)
        frame = pd.concat([number, summary.table]).set_axis(headers(summaries[0]), axis="columns")
        frame.insert(0, "measure", frame.index)
        frame.insert(0, "structure", summary.structure)
        frames.append(frame)
    return csv_files.to_csv(pd.concat(frames, ignore_index=True))


def footnote(summary: Summary, overall: str | None = "All") -> str:
    """Return what a reader must know to read a table, in which this heads the gap over all groups."""
    notes = []
    if GAP in summary.table.index:
        gap = "median DSC of the best group minus that of the worst."
        if summary.reference is not None:
            farthest = f"; under {overall} that of the group farthest away" if overall else ""
            gap = f"median DSC of the reference group minus that of the group{farthest}."
        notes += [f"{GAP}: {gap}", "SER: largest median error (1 - DSC) over the smallest."]
        notes.append(_about_p(summary))
    if summary.unit == "px":
        notes.append("Distances in pixels: the files state no voxel size.")
    return " ".join(notes)


def _about_p(summary: Summary) -> str:
    if shared := len(summary.shared):
        are = "is" if shared == 1 else "are"
        return f"p: not given, {counted(shared, 'subject')} {are} in more than one group."
    if summary.reference is None and len(summary.groups) > 2:
        return "p: not given; with more than two groups name a reference group to compare with."
    several = ", each group against the reference, not corrected for several groups"
    tested = several if len(summary.groups) > 2 else ""
    return f"p: two-sided Mann-Whitney U test on the DSC of the subjects{tested}; * p < {_SIGNIFICANT}."


def _rows(summary: Summary) -> list[tuple[str, list[float]]]:
    return [
        (str(name), list(row))
        for name, row in zip(summary.table.index, summary.table.to_numpy(), strict=True)
    ]


def cell(measure: str, value: float) -> str:
    """Return a value of a measure as rounded text, with a star where p is small."""
    if np.isnan(value):
        return NONE
    if is_count(measure):
        return f"{value:.0f}"
    if measure == P_VALUE:
        # Near the limit a digit more, so that 0.0497* does not look like 0.05*.
        digits = 3 if abs(value - _SIGNIFICANT) < 0.005 else 2
        shown = f"{value:.{digits}g}" if value < 0.0995 else f"{value:.2f}"
        shown = "<0.001" if value < 0.001 else shown
        return shown + ("*" if value < _SIGNIFICANT else "")
    # A digit more where three would show nothing but a sign, as the paper does.
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.0005 else f"{value:.4f}"


def _stacked(
    summaries: Sequence[Summary],
    style: str,
    heading: Callable[[str], str],
    safe: Callable[[str], str],
    widest: float = float("inf"),
) -> str:
    parts = []
    for summary in summaries:
        frame = cells(summary)
        narrow: dict[str, Any] = {}
        if len(summary.groups) > widest:
            frame = without_zeros(frame).T
            narrow = {"maxheadercolwidths": 12, "maxcolwidths": [28, *[None] * frame.shape[1]]}
        body = grid(frame, style, safe, **narrow)
        below = f"\n{safe(footnote(summary))}\n" if footnote(summary) else ""
        parts.append(f"{heading(safe(caption(summary)))}\n\n{body}\n{below}")
    return "\n".join(parts)


def grid(frame: pd.DataFrame, style: str, safe: Callable[[str], str], **narrow: Any) -> str:
    """Return a table of text in a style of tabulate, every name and cell made safe for it."""
    return tabulate(
        [[safe(str(name)), *map(safe, row)] for name, row in zip(frame.index, frame.to_numpy(), strict=True)],
        headers=["", *map(safe, frame.columns)],
        tablefmt=style,
        colalign=["left", *["right"] * frame.shape[1]],
        disable_numparse=True,
        **narrow,
    )


def plain(text: str) -> str:
    """Return text on one line, with a mark in place of every letter that is not for the eye."""
    shown = (
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split())
    )
    return "".join(shown)


def markdown(text: str) -> str:
    """Return text with what Markdown would take for marks made safe."""
    for letter, code in (
        ("\\", "\\\\"),
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "\\|"),
        ("*", "\\*"),
        ("_", "\\_"),
        ("`", "\\`"),
        ("[", "\\["),
        ("$", "\\$"),
    ):
        text = text.replace(letter, code)
    return plain(text)


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{EN DASH}": "--",
    "\N{MINUS SIGN}": "$-$",
}


def latex(text: str) -> str:
    """Return text with what LaTeX would take for commands made safe."""
    return "".join(_LATEX.get(letter, letter) for letter in plain(text))
