"""Summary tables as text: for the terminal, Markdown, LaTeX and CSV, with names made safe for each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from fairseg.io import csv_files
from fairseg.io.sentences import counted, listed
from fairseg.report.certainty import CORRECTED, DETECTABLE, EQUITY, GAP_OF_LARGE, WORST
from fairseg.report.summary import GAP, P_VALUE, Summary
from fairseg.statistics import Evidence

NONE = "\N{EN DASH}"  # what stands where there is no value
VERDICT = "Verdict"
FAIRNESS = ("SER", GAP, GAP_OF_LARGE, DETECTABLE, VERDICT, WORST, EQUITY, P_VALUE, CORRECTED)
_COUNTS = ("Subjects", "Structures")  # rows of whole numbers begin so
_SIGNIFICANT = 0.05
_WIDEST = 5  # groups that fit side by side into a terminal


def cells(summary: Summary) -> pd.DataFrame:
    """Return the table as rounded text, its columns headed by group and number of subjects.

    An interval stands on a second line below its figure; the verdicts are a row of their own.
    """
    text = [[cell(measure, value) for value in row] for measure, row in _rows(summary)]
    if summary.low is not None and summary.high is not None:
        limits = np.stack([summary.low.to_numpy(), summary.high.to_numpy()], axis=-1)
        for measure, row, pairs in zip(summary.table.index, text, limits, strict=True):
            for place, (low, high) in enumerate(pairs.tolist()):
                if row[place] != NONE and not np.isnan(low + high):
                    row[place] += f"\n{interval(str(measure), low, high)}"
    frame = pd.DataFrame(text, index=summary.table.index, columns=headers(summary))
    return frame if summary.evidence is None else _with_verdicts(frame, summary, summary.evidence)


def _with_verdicts(frame: pd.DataFrame, summary: Summary, evidence: Evidence) -> pd.DataFrame:
    verdicts = [NONE] * frame.shape[1]
    verdicts[-1] = evidence.verdict
    if summary.reference is not None:
        for one in evidence.comparisons:
            verdicts[one.second] = one.verdict
    row = pd.DataFrame([verdicts], [VERDICT], frame.columns)
    place = list(frame.index).index(DETECTABLE) + 1
    return pd.concat([frame.iloc[:place], row, frame.iloc[place:]])


def interval(measure: str, low: float, high: float) -> str:
    """Return limits as rounded text.

    >>> interval("Fairness gap", 0.012, 0.0504)
    '(0.012 to 0.050)'
    """
    return f"({cell(measure, low)} to {cell(measure, high)})"


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
    """Return all tables below each other, unrounded, for a spreadsheet or pandas.

    Limits of intervals stand below their figure as "Fairness gap: low" and "Fairness gap: high".
    """
    frames = []
    for summary in summaries:
        number = pd.DataFrame([[*summary.counts, summary.counts.sum()]], ["Subjects"], summary.table.columns)
        frame = pd.concat([number, _with_limits(summary)]).set_axis(headers(summaries[0]), axis="columns")
        frame.insert(0, "measure", frame.index)
        frame.insert(0, "structure", summary.structure)
        frames.append(frame)
    return csv_files.to_csv(pd.concat(frames, ignore_index=True))


def _with_limits(summary: Summary) -> pd.DataFrame:
    if summary.low is None or summary.high is None:
        return summary.table
    names, rows = [], []
    limits = (("low", summary.low.to_numpy()), ("high", summary.high.to_numpy()))
    for place, (measure, row) in enumerate(_rows(summary)):
        names.append(measure)
        rows.append(row)
        for limit, values in limits:
            if not np.isnan(values[place]).all():
                names.append(f"{measure}: {limit}")
                rows.append(list(values[place]))
    return pd.DataFrame(rows, names, summary.table.columns)


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
    if summary.evidence is not None:
        notes += _about_evidence(summary, summary.evidence)
    if summary.unit == "px":
        notes.append("Distances in pixels: the files state no voxel size.")
    return " ".join(notes)


def _about_p(summary: Summary) -> str:
    if shared := len(summary.shared):
        are = "is" if shared == 1 else "are"
        return f"p: not given, {counted(shared, 'subject')} {are} in more than one group."
    star = f"* p < {_SIGNIFICANT}."
    if len(summary.groups) == 2:
        return f"p: two-sided Mann-Whitney U test on the DSC of the subjects; {star}"
    test = "Kruskal-Wallis test of all groups"
    if summary.evidence is not None and len(summary.evidence.judged) < len(summary.groups):
        two = len(summary.evidence.judged) == 2
        test = f"{'Mann-Whitney U' if two else 'Kruskal-Wallis'} test of the groups that are judged"
    overall = f"under All, {test}; {star}"
    if summary.evidence is None:
        overall = f"not corrected for several groups; {star}"
    if summary.reference is not None:
        each = "two-sided Mann-Whitney U test on the DSC of the subjects, each group against the reference"
        return f"p: {each}{', ' if summary.evidence is None else '; '}{overall}"
    if summary.evidence is None:
        return "p: not given; with more than two groups name a reference group to compare with."
    return f"p: {overall}"


def _about_evidence(summary: Summary, evidence: Evidence) -> list[str]:
    percent = f"{100 * evidence.level:g}%"
    together = " that hold for all groups together" if len(evidence.comparisons) > 1 else ""
    notes = [
        f"In brackets: {percent} intervals{together}.",
        f"{DETECTABLE}: the smallest gap that groups of these sizes would show in four of five cohorts.",
        f"{EQUITY}: median DSC over 1 + the sum of the groups' distances from it.",
    ]
    small = [
        f"{name} (n={count})"
        for number, (name, count) in enumerate(zip(summary.groups.names, summary.scored, strict=True))
        if number not in evidence.judged
    ]
    if small:
        least = f"fewer than {evidence.min_size} subjects with a score"
        notes.append(
            f"Not judged, and in no interval of a gap, worst group or test: {least}: {listed(small)}."
        )
    return notes


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
    if measure in (P_VALUE, CORRECTED):
        # Near the limit a digit more, so that 0.0497* does not look like 0.05*.
        digits = 3 if abs(value - _SIGNIFICANT) < 0.005 else 2
        shown = f"{value:.{digits}g}" if value < 0.0995 else f"{value:.2f}"
        shown = "<0.001" if value < 0.001 else shown
        return shown + ("*" if value < _SIGNIFICANT else "")
    if round(value, 4) == 0:  # and never -0
        return "0.000"
    # A digit more where three would show nothing but a sign, as the paper does.
    return f"{value:.3f}" if abs(value) >= 0.0005 else f"{value:.4f}"


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
    """Return a table of text in a style of tabulate, every name and cell made safe for it.

    In the terminal's style "simple" a cell may have several lines.
    """
    inside = _lines if style == "simple" else safe
    rows = zip(frame.index, frame.to_numpy(), strict=True)
    return tabulate(
        [[safe(str(name)), *map(inside, row)] for name, row in rows],
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


def _lines(text: str) -> str:
    return "\n".join(map(plain, text.split("\n")))


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
