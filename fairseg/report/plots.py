"""Box plots of the subjects' scores by group, as in Fig. 2 of Lee et al. 2025.

Margins are computed in inches from the text that they hold: matplotlib's own layout engines draw
everything twice.
"""

import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fairseg.metrics import split_by_group
from fairseg.report.render import plain
from fairseg.report.summary import TITLES, Summary

_INK = "#22313f"
_LINE = "#c0392b"
_REFERENCE = "#d5dbe1"
_BOXES = (
    "#9ecae1",
    "#fdae6b",
    "#a1d99b",
    "#bcbddc",
    "#fa9fb5",
    "#c7a17a",
    "#80cdc1",
    "#dfc27d",
    "#7bccc4",
    "#e7969c",
    "#b5cf6b",
    "#8c96c6",
)
_MOST_POINTS = 300  # subjects a group, above which single points say nothing
_UPRIGHT = 6  # groups, above which names stand at an angle
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "svg.fonttype": "none",  # text stays text: any script, to be found and read aloud
    "svg.hashsalt": "fairseg",  # the same scores give the same file
}


def plot_overall(summary: Summary) -> Figure:
    """Plot every metric of one summary, one panel each, one box a group."""
    metrics = [name for name in TITLES if name in summary.subjects]
    names = [plain(name).split(", ") for name in summary.groups.names]
    longest = max(len(line) for lines in names for line in lines)
    many = len(names) > _UPRIGHT
    below = 0.075 * longest + 0.5 if many else 0.17 * max(map(len, names)) + 0.4
    width = len(names) * (0.5 if many else max(0.8, 0.085 * longest)) + 0.3
    with rc_context(_STYLE):
        figure, axes = _figure(len(metrics), width=width, height=3.0, left=0.75, below=below)
        for ax, metric in zip(axes, metrics, strict=True):
            _panel(ax, summary, metric)
            ticks = [
                "\n".join([*lines, f"n={n}"]) for lines, n in zip(names, _sizes(summary, metric), strict=True)
            ]
            turned: dict[str, Any] = (
                {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if many else {}
            )
            ax.set_xticks(range(len(names)), ticks, fontsize=8 if many else 9, parse_math=False, **turned)
            ax.set_ylabel(summary.title(metric))
            ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            ax.grid(axis="y", color="#dfe4e8", lw=0.7)
    return figure


def plot_labels(summaries: Sequence[Summary], metric: str) -> Figure:
    """Plot one metric of several summaries in one panel: a row a label, in it one box a group."""
    groups, reference = summaries[0].groups, summaries[0].reference
    number = len(groups)
    step = 1.0 / (number + 1)
    longest = max(len(summary.structure) for summary in summaries)
    with rc_context(_STYLE):
        figure, (ax,) = _figure(
            1,
            width=6.0,
            height=max(1.2, 0.24 * (number + 1) * len(summaries)),
            left=0.3 + 0.085 * longest,
            below=0.5,
            above=0.24 * number + 0.15,
        )
        for row, summary in enumerate(summaries):
            places = [row + step * (place - (number - 1) / 2) for place in range(number)]
            _boxes(ax, summary, metric, places, 0.75 * step, "horizontal")
            values = _values(summary, metric)
            if reference is not None and values[reference].size:
                line = [float(np.median(values[reference]))] * 2
                ax.plot(line, [row - 0.46, row + 0.46], ls="--", lw=1.1, color=_LINE, zorder=1)
        ax.set_yticks(range(len(summaries)), [plain(part.structure) for part in summaries], parse_math=False)
        ax.set_ylim(len(summaries) - 0.5, -0.5)
        ax.set_xlabel(summaries[0].title(metric))
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        ax.grid(axis="x", color="#dfe4e8", lw=0.7)
        ax.tick_params(axis="y", length=0)
        keys = [Patch(facecolor=color, edgecolor=_INK) for color in _colors(number, reference)]
        legend = figure.legend(
            keys, list(map(plain, groups.names)), loc="upper left", frameon=False, borderaxespad=0.2
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def to_svg(figure: Figure) -> bytes:
    """Return a figure as an SVG file, its text as text."""
    file = BytesIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        # Matplotlib measures with its own font; the viewer's has the letters that this one lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _figure(
    columns: int, *, width: float, height: float, left: float, below: float, above: float = 0.15
) -> tuple[Figure, list[Axes]]:
    """Return panels side by side, each of this size in inches, with this much room around them."""
    right, gap = 0.15, left + 0.1
    size = (left + columns * width + (columns - 1) * gap + right, above + height + below)
    figure = Figure(figsize=size)
    axes = figure.subplots(1, columns, squeeze=False).ravel()
    figure.subplots_adjust(
        left=left / size[0],
        right=1 - right / size[0],
        wspace=gap / width,
        bottom=below / size[1],
        top=1 - above / size[1],
    )
    return figure, list(axes)


def _panel(ax: Axes, summary: Summary, metric: str) -> None:
    """Draw one box and the points of each group, and the line of the reference group's median."""
    values = _values(summary, metric)
    _boxes(ax, summary, metric, list(range(len(values))), 0.55, "vertical")
    # The same jitter every time, drawn from no generator: golden-ratio steps fill the width evenly.
    for place, part in enumerate(values):
        if part.size <= _MOST_POINTS:
            jitter = (np.arange(part.size) * 0.6180339887 % 1 - 0.5) * 0.34
            ax.plot(place + jitter, part, "o", ms=3, color=_INK, alpha=0.45, mew=0, zorder=3)
    if summary.reference is not None and values[summary.reference].size:
        ax.axhline(float(np.median(values[summary.reference])), ls="--", lw=1.1, color=_LINE, zorder=1)
    ax.set_xlim(-0.6, len(values) - 0.4)


def _boxes(
    ax: Axes, summary: Summary, metric: str, places: Sequence[float], width: float, orientation: Any
) -> None:
    values = _values(summary, metric)
    shown = [number for number, part in enumerate(values) if part.size]
    points = orientation == "vertical" and max(map(len, values)) <= _MOST_POINTS
    ax.set_axisbelow(True)
    if not shown:
        return
    boxes = ax.boxplot(
        [values[number] for number in shown],
        positions=[places[number] for number in shown],
        widths=width,
        orientation=orientation,
        manage_ticks=False,
        patch_artist=True,
        showfliers=not points,  # where every subject is a point, they are there already
        medianprops={"color": _INK, "linewidth": 1.6},
        whiskerprops={"color": _INK},
        capprops={"color": _INK},
        boxprops={"edgecolor": _INK},
        flierprops={"marker": "o", "markersize": 2.5, "markeredgecolor": _INK, "alpha": 0.5},
    )
    colors = _colors(len(values), summary.reference)
    for number, box in zip(shown, boxes["boxes"], strict=True):
        box.set_facecolor(colors[number])


def _colors(number: int, reference: int | None) -> list[str]:
    """Return one colour a group, grey for the reference."""
    return [_REFERENCE if group == reference else _BOXES[group % len(_BOXES)] for group in range(number)]


def _values(summary: Summary, metric: str) -> list[Any]:
    return split_by_group(
        summary.subjects[metric].to_numpy(), summary.subjects["group"].to_numpy(), len(summary.groups)
    )


def _sizes(summary: Summary, metric: str) -> list[int]:
    return [part.size for part in _values(summary, metric)]
