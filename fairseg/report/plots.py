"""Box plots of the subjects' scores by group, as in Fig. 2 of Lee et al. 2025."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairseg.metrics import split_by_group
from fairseg.report.summary import TITLES, Summary

_BOX = "#9ecae1"
_REFERENCE_BOX = "#d5dbe1"
_INK = "#22313f"
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
    "svg.hashsalt": "fairseg",  # the same scores give the same file
}


def plot_metrics(summary: Summary) -> Figure:
    """Plot every metric of one summary, one panel each."""
    metrics = [name for name in TITLES if name in summary.subjects]
    return _panels([(TITLES[name], summary, name) for name in metrics], summary)


def plot_labels(summaries: Sequence[Summary], metric: str) -> Figure:
    """Plot one metric of several summaries, one panel each."""
    panels = [(f"{summary.structure}: {TITLES[metric]}", summary, metric) for summary in summaries]
    return _panels(panels, summaries[0])


def to_svg(figure: Figure) -> bytes:
    """Return a figure as an SVG file that does not depend on the fonts of its viewer."""
    file = BytesIO()
    with rc_context(_STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _panels(panels: Sequence[tuple[str, Summary, str]], like: Summary) -> Figure:
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    names = [name.split(", ") for name in like.groups.names]
    # Margins in inches, from the text they hold: matplotlib's own layout draws everything twice.
    many = len(names) > _UPRIGHT
    longest = max(len(line) for lines in names for line in lines)
    below = 0.075 * longest + 0.5 if many else 0.17 * max(map(len, names)) + 0.4
    left, gap, above, height = 0.75, 0.85, 0.15, 3.0
    width = len(names) * (0.5 if many else max(0.8, 0.085 * longest)) + 0.3
    size = (left + columns * width + (columns - 1) * gap + 0.1, rows * (height + below) + above)
    with rc_context(_STYLE):
        figure = Figure(figsize=size)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        figure.subplots_adjust(
            left=left / size[0],
            right=1 - 0.1 / size[0],
            wspace=gap / width,
            bottom=below / size[1],
            top=1 - above / size[1],
            hspace=below / height,
        )
        for ax, (title, summary, metric) in zip(axes, panels, strict=False):
            _box_plot(ax, summary, metric)
            ax.set_ylabel(title, parse_math=False)
        for ax in axes[len(panels) :]:
            ax.remove()
    return figure


def _box_plot(ax: Axes, summary: Summary, metric: str) -> None:
    number = len(summary.groups)
    values = split_by_group(summary.subjects[metric].to_numpy(), summary.subjects["group"].to_numpy(), number)
    places = np.arange(number)
    with_values = [place for place in places if values[place].size]
    if with_values:
        boxes = ax.boxplot(
            [values[place] for place in with_values],
            positions=with_values,
            widths=0.55,
            patch_artist=True,
            showfliers=max(map(len, values)) > _MOST_POINTS,
            medianprops={"color": _INK, "linewidth": 1.6},
            whiskerprops={"color": _INK},
            capprops={"color": _INK},
            boxprops={"edgecolor": _INK},
            flierprops={"marker": "o", "markersize": 2, "markeredgecolor": _INK, "alpha": 0.5},
        )
        for place, box in zip(with_values, boxes["boxes"], strict=True):
            box.set_facecolor(_REFERENCE_BOX if place == summary.reference else _BOX)
    # The same jitter every time, drawn from no generator: golden-ratio steps fill the width evenly.
    for place in with_values:
        if values[place].size <= _MOST_POINTS:
            jitter = (np.arange(values[place].size) * 0.6180339887 % 1 - 0.5) * 0.34
            ax.plot(place + jitter, values[place], "o", ms=3, color=_INK, alpha=0.45, mew=0, zorder=3)
    if summary.reference is not None and values[summary.reference].size:
        ax.axhline(float(np.median(values[summary.reference])), ls="--", lw=1.1, color="#c0392b", zorder=1)
    names = [
        f"{name.replace(', ', chr(10))}\nn={part.size}"
        for name, part in zip(summary.groups.names, values, strict=True)
    ]
    many = number > _UPRIGHT
    ax.set_xticks(places)
    ax.set_xticklabels(
        names,
        rotation=60 if many else 0,
        ha="right" if many else "center",
        rotation_mode="anchor" if many else "default",
        fontsize=8 if many else 9,
        parse_math=False,
    )
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlim(-0.6, number - 0.4)
    ax.grid(axis="y", color="#dfe4e8", lw=0.7)
    ax.set_axisbelow(True)
