"""Figures for papers, slides and notebooks: box plots as in Fig. 2 of Lee et al. 2025, gaps, sizes.

Margins are computed in inches from the text in them, since matplotlib's layout engines draw everything twice.
"""

import math
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatter, MaxNLocator

from fairseg.cohort.columns import METRICS, VOLUMES, VOXELS
from fairseg.cohort.ids import as_ids
from fairseg.io.sentences import not_among
from fairseg.metrics import split_by_group
from fairseg.report.audited import Audited
from fairseg.report.charts.svg import wrapped
from fairseg.report.escape import plain
from fairseg.report.findings_table import MOST_GAPS, most_telling
from fairseg.report.palette import GRID, INK, LINE, VERDICTS, color, fill, marker
from fairseg.report.pictures import sizes
from fairseg.report.templates import say
from fairseg.scoring.summary import Summary
from fairseg.statistics.verdicts import Endpoint, Verdict

_MOST_POINTS = 300  # subjects of a group; with more, single points say nothing
_FEWEST = 5  # subjects of a group; with fewer, it has points and no box
_WIDEST = 9.8  # inches of a figure, so that a page need not shrink it
_LABELS = 7.0  # inches for the boxes of each row
_PANEL = 8.6  # inches for the boxes of a panel; names that need more stand at an angle
_LONGEST = 60  # letters of a group's name; longer ones are cut
_ROW_NAME = 32  # letters of a line of a row's name
_LINE_LENGTH = 16  # letters of a line of a group's name
# Figures ignore the style of the process, which nnU-Net, for one, sets to fonts of 2.5 times the size.
_LOOKS = (
    *("axes", "boxplot", "figure", "font", "grid", "hatch", "legend", "lines", "mathtext", "patch"),
    *("savefig", "scatter", "text", "xtick", "ytick"),
)
STYLE: dict[Any, Any] = {
    **{name: value for name, value in rcParamsDefault.items() if name.split(".")[0] in _LOOKS},
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "svg.fonttype": "none",  # text stays text, which can be searched and read aloud
    "svg.hashsalt": "fairseg",  # the same scores give the same file
}


def draw(kinds: Mapping[str, Callable[..., Axes]], kind: str, result: Any, ax: Axes | None) -> Axes:
    """Draw a result as one of its kinds of figures.

    Raises:
        ValueError: there is no such kind, or `ax` is not one axes.
    """
    if kind not in kinds:
        raise ValueError(not_among("kind", kind, kinds))
    if ax is not None and not hasattr(ax, "get_figure"):
        raise ValueError(
            f"ax must be one axes of matplotlib, got {type(ax).__name__}: of several give one, axes[0]"
        )
    return kinds[kind](result, ax)


def plot_boxes(result: Audited, ax: Axes | None = None) -> Axes:
    """Draw the subjects' overall scores by group, as in Fig. 2 of the paper."""
    summary = result.first_summaries[0]
    ax = ax or new_axes(max(3.5, 1.1 * len(summary.groups)), 3.6)
    metric = result.scores.metrics[0]
    _panel(ax, summary, metric)
    counts = [part.size for part in _values(summary, metric)]
    ticks = ["\n".join([*_wrapped(name), f"n={n}"]) for name, n in zip(summary.names, counts, strict=True)]
    ax.set_xticks(range(len(ticks)), ticks, parse_math=False)
    ax.set_ylabel(result.scores.title)
    ax.grid(axis="y", color=GRID, lw=0.7)
    return ax


def plot_gaps(
    result: Audited, ax: Axes | None = None, *, endpoint: Endpoint = Endpoint.TYPICAL, most: int = MOST_GAPS
) -> Axes:
    """Draw the findings of an endpoint with their limits, and the margin within which they do not matter."""
    findings = [row for row in result.judgement.findings if row.endpoint is endpoint]
    rows = list(map(result.as_named, most_telling(findings, result, most)))
    fixed = f", {result.held_fixed} held fixed"
    several = len(result.structures) > 1
    names = [
        f"{row.structure}: " * several + f"{row.second} against {row.first}" + fixed * row.adjusted
        for row in rows
    ]
    ticks = ["\n".join(wrapped(name, _ROW_NAME)) for name in names]
    lines = max((tick.count("\n") + 1 for tick in ticks), default=1)
    ax = ax or new_axes(7.0, 1.2 + max(0.3, 0.17 * lines) * max(1, len(rows)))
    if rows and not np.isnan(margin := rows[0].margin):
        ax.axvspan(-margin, margin, color=GRID, lw=0, zorder=0)
    ax.axvline(0.0, color=INK, lw=0.8, zorder=1)
    for at, row in enumerate(rows):
        _, shade, shape = VERDICTS[row.verdict.marker]
        face = "white" if row.verdict is Verdict.OPEN else shade
        gap, low, high = row.disadvantage
        ax.plot([low, high], [at, at], color=INK, lw=1.1, zorder=2)
        ax.plot(row.at_margin[1:], [at, at], color=INK, lw=3.0, zorder=2, solid_capstyle="butt")
        ax.plot(gap, at, marker=shape, ms=7, mfc=face, mec=shade, ls="", zorder=3)
    name_rows(ax, ticks)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    label = say("gap_axis", endpoint=endpoint.name, title=result.scores.title)
    label = label.replace(": ", ":\n")  # which fits half a page
    if len(rows) < len(findings):
        label += f"\n(the {len(rows)} of {len(findings)} that say most)"
    ax.set_xlabel(label)
    return ax


def plot_size(result: Audited, ax: Axes | None = None) -> Axes:
    """Draw the overall score against the size of the reference masks, by group.

    Raises:
        ValueError: the scores have no sizes.
    """
    summary = result.first_summaries[0]
    measured = sizes(result.scores, summary)
    if measured is None:
        raise ValueError(f"scores must have the column {VOXELS[1]} or {VOLUMES[1]}, have neither")
    ax = ax or new_axes(5.2, 3.6)
    size, unit = measured
    score, ids = (summary.subjects[name].to_numpy() for name in (result.scores.metrics[0], "group"))
    for group, name in enumerate(summary.names):
        x, y = size[ids == group], score[ids == group]
        shade = color(group, summary.reference)
        ax.plot(x, y, marker(group), color=shade, alpha=0.75, mew=0, label=plain(name))
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.0, 0.4)))
    ax.xaxis.set_major_formatter(LogFormatter())
    ax.set_xlabel(f"size of the reference ({unit})")
    ax.set_ylabel(result.scores.title)
    ax.grid(color=GRID, lw=0.7)
    as_written(ax.legend(frameon=False))
    return ax


KINDS: dict[str, Callable[..., Axes]] = {"boxes": plot_boxes, "gaps": plot_gaps, "size": plot_size}


def figure_of(ax: Axes) -> Figure:
    """Return the whole figure that axes are of."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure, without touching pyplot's state."""
    with rc_context(STYLE):
        return Figure(figsize=(width, height), layout="constrained").subplots()


def plot_overall(summary: Summary) -> Figure:
    """Plot every metric of one summary, one panel each, one box a group; no wider than a page."""
    metrics = [name for name in METRICS if name in summary.subjects]
    names = [_wrapped(name) for name in summary.names]
    slot = max(0.8, 0.095 * max(len(line) for lines in names for line in lines) + 0.1)
    slanted = len(names) * slot > _PANEL
    rotation: dict[str, Any] = {}
    left, below = 0.75, 0.17 * max(map(len, names)) + 0.4
    if slanted:
        names = [[cut(name)] for name in summary.names]
        longest = max(len(name) for (name,) in names) + 8  # and n
        slot = min(0.5, _PANEL / len(names))
        angle = 60 if slot > 0.25 else 90
        rotation = {"rotation": angle, "ha": "right", "va": "center", "rotation_mode": "anchor"}
        below = 0.075 * longest * math.sin(math.radians(angle)) + 0.3
        left = max(left, 0.075 * longest * math.cos(math.radians(angle)) - slot / 2)
        slot = min(slot, (_PANEL + 0.75 - left) / len(names))
    with rc_context(STYLE):
        figure, axes = _figure(
            len(metrics), width=len(names) * slot + 0.3, height=3.0, left=left, below=below
        )
        for ax, metric in zip(axes, metrics, strict=True):
            _panel(ax, summary, metric)
            form = "{} (n={})" if slanted else "{}\nn={}"
            sizes = [part.size for part in _values(summary, metric)]
            ticks = [form.format("\n".join(lines), n) for lines, n in zip(names, sizes, strict=True)]
            ax.set_xticks(range(len(names)), ticks, fontsize=9, parse_math=False, **rotation)
            ax.set_ylabel(summary.title(metric))
            ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            ax.grid(axis="y", color=GRID, lw=0.7)
    return figure


def plot_rows(rows: Mapping[str, Summary], metric: str) -> Figure:
    """Plot one metric of several summaries of the same groups: a named row each, in it one box a group."""
    first = next(iter(rows.values()))
    reference = first.reference
    number = len(first.groups)
    step = 1.0 / (number + 1)
    names = [textwrap.wrap(plain(name), _ROW_NAME) or [""] for name in rows]
    left = 0.3 + 0.085 * max(len(line) for lines in names for line in lines)
    groups = list(map(cut, first.names))
    columns = max(1, min(number, int((left + _LABELS) / key_width(groups))))
    most_lines = max(map(len, names))
    with rc_context(STYLE):
        figure, (ax,) = _figure(
            1,
            width=min(_LABELS, _WIDEST - left),
            height=max(1.2, max(0.24 * (number + 1), 0.2 * most_lines) * len(rows)),
            left=left,
            below=0.5,
            above=0.24 * math.ceil(number / columns) + 0.15,
        )
        for row, summary in enumerate(rows.values()):
            positions = [row + step * (code - (number - 1) / 2) for code in range(number)]
            draw_boxes(ax, summary, metric, positions, 0.75 * step, "horizontal")
            values = _values(summary, metric)
            if reference is not None and values[reference].size:
                line = [float(np.median(values[reference]))] * 2
                ax.plot(line, [row - 0.46, row + 0.46], ls="--", lw=1.1, color=LINE, zorder=1)
        name_rows(ax, ["\n".join(lines) for lines in names])
        ax.set_xlabel(first.title(metric))
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        ax.grid(axis="x", color=GRID, lw=0.7)
        keys = [Patch(facecolor=fill(group, reference), edgecolor=INK) for group in range(number)]
        as_written(
            figure.legend(keys, groups, loc="upper left", frameon=False, borderaxespad=0.2, ncols=columns)
        )
    return figure


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name the rows of a chart, the first on top."""
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.set_ylim(max(1, len(names)) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)


def as_written(legend: Legend) -> None:
    """Keep names in a legend from being read as formulas."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def key_width(names: Sequence[str]) -> float:
    """Return the inches that the widest key of a legend takes."""
    return 0.75 + 0.085 * max(map(len, names))


def cut(name: str) -> str:
    """Return a name, of a long one only its beginning and its end."""
    text = plain(name)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 20]} … {text[-17:]}"


def to_svg(figure: Figure) -> bytes:
    """Return a figure as an SVG file, its text as text."""
    return _saved(figure, "svg", metadata={"Date": None})


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file for slides, 200 dots an inch."""
    return _saved(figure, "png", dpi=200, bbox_inches="tight")


def to_pdf(figure: Figure) -> bytes:
    """Return a figure as a PDF file of one page."""
    return _saved(figure, "pdf", metadata={"CreationDate": None})


def _saved(figure: Figure, form: str, **options: Any) -> bytes:
    file = BytesIO()
    with rc_context(STYLE), warnings.catch_warnings():
        # Matplotlib measures with its own font, which lacks letters that the viewer's font has.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format=form, **options)
    return file.getvalue()


def _figure(
    number: int, *, width: float, height: float, left: float, below: float, above: float = 0.15
) -> tuple[Figure, list[Axes]]:
    """Return panels of a size in inches with margins around them, as many in a row as fit."""
    right, gap = 0.15, left + 0.1
    most = max(1, int((_WIDEST - left - right + gap) / (width + gap)))
    rows = math.ceil(number / most)
    columns = math.ceil(number / rows)
    size = (left + columns * width + (columns - 1) * gap + right, rows * (above + height + below))
    figure = Figure(figsize=size)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(
        left=left / size[0],
        right=1 - right / size[0],
        wspace=gap / width,
        hspace=(above + below) / height,
        bottom=below / size[1],
        top=1 - above / size[1],
    )
    for spare in axes[number:]:
        spare.remove()
    return figure, list(axes[:number])


def _panel(ax: Axes, summary: Summary, metric: str) -> None:
    """Draw the box and the points of each group, and the line of the reference group's median."""
    values = _values(summary, metric)
    draw_boxes(ax, summary, metric, list(range(len(values))), 0.55, "vertical")
    if summary.reference is not None and values[summary.reference].size:
        ax.axhline(float(np.median(values[summary.reference])), ls="--", lw=1.1, color=LINE, zorder=1)
    ax.set_xlim(-0.6, len(values) - 0.4)


def draw_boxes(
    ax: Axes, summary: Summary, metric: str, positions: Sequence[float], width: float, orientation: Any
) -> None:
    """Draw a box for each group with enough subjects, and in upright plots a point for each subject."""
    values = _values(summary, metric)
    boxed = [number for number, part in enumerate(values) if part.size >= _FEWEST]
    points = orientation == "vertical" and max(map(len, values)) <= _MOST_POINTS
    fills = [fill(group, summary.reference) for group in range(len(values))]
    ax.set_axisbelow(True)
    if orientation == "vertical":
        _draw_points(ax, values, positions, width)
    else:
        for position, part, shade in zip(positions, values, fills, strict=True):
            if 0 < part.size < _FEWEST:
                ax.plot(part, [position] * part.size, "o", ms=5, mfc=shade, mec=INK, mew=0.8, zorder=3)
    if not boxed:
        return
    boxes = ax.boxplot(
        [values[number] for number in boxed],
        positions=[positions[number] for number in boxed],
        widths=width,
        orientation=orientation,
        manage_ticks=False,
        patch_artist=True,
        showfliers=not points,  # points show every subject already
        medianprops={"color": INK, "linewidth": 1.6},
        whiskerprops={"color": INK},
        capprops={"color": INK},
        boxprops={"edgecolor": INK},
        flierprops={"marker": "o", "markersize": 2.5, "markeredgecolor": INK, "alpha": 0.5},
    )
    for number, box in zip(boxed, boxes["boxes"], strict=True):
        box.set_facecolor(fills[number])


def _draw_points(ax: Axes, values: Sequence[Any], positions: Sequence[float], width: float) -> None:
    """Draw the subjects of each group that has not too many of them."""
    # The jitter is not random: golden-ratio steps fill the width evenly.
    for position, part in zip(positions, values, strict=True):
        if part.size <= _MOST_POINTS:
            jitter = (np.arange(part.size) * 0.6180339887 % 1 - 0.5) * 0.62 * width
            large: dict[str, Any] = (
                {"ms": 4.5, "alpha": 0.8} if part.size < _FEWEST else {"ms": 3, "alpha": 0.45}
            )
            ax.plot(position + jitter, part, "o", color=INK, mew=0, zorder=3, **large)


def _values(summary: Summary, metric: str) -> list[Any]:
    return split_by_group(
        summary.subjects[metric].to_numpy(),
        as_ids(summary.subjects["group"].to_numpy(), known=len(summary.groups)),
    )


def _wrapped(name: str) -> list[str]:
    """Return a group's name in short lines: each attribute of its own, long ones broken between words."""
    parts = plain(name).split(", ")
    return [
        line for part in parts for line in textwrap.wrap(part, _LINE_LENGTH, break_long_words=False) or [""]
    ]
