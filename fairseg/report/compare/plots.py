"""Figures of a comparison for papers, slides and notebooks, as matplotlib Axes."""

import textwrap
from collections.abc import Callable

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from fairseg.report.compare.compared import Compared
from fairseg.report.compare.tables import gaps_of, named, summaries
from fairseg.report.escape import plain
from fairseg.report.palette import GRID, INK, VERDICTS, color, fill, marker
from fairseg.report.plots import (
    STYLE,
    as_written,
    cut,
    draw_boxes,
    figure_of,
    key_width,
    name_rows,
    new_axes,
    to_svg,
)
from fairseg.statistics.verdicts import Verdict

_LETTERS = 14  # of a line below a model's boxes


@rc_context(STYLE)
def boxes_svg(result: Compared) -> bytes:
    """Return the box plots as a file."""
    return to_svg(figure_of(plot_boxes(result)))


def plot_boxes(result: Compared, ax: Axes | None = None) -> Axes:
    """Draw every subject's overall score: models side by side, a box a group, as Fig. 2 of the paper."""
    of_model = summaries(result, "Overall")
    first = next(iter(of_model.values()))
    number = len(first.groups)
    step = 1.0 / (number + 0.6)
    keys = list(map(cut, first.names))
    keys_wide = key_width(keys)
    wide = max(1.2 + 1.1 * len(of_model) * max(1.0, 0.4 * number), 0.9 + keys_wide)
    ax = ax or new_axes(wide, 3.6)
    for center, summary in enumerate(of_model.values()):
        positions = [center + step * (group - (number - 1) / 2) for group in range(number)]
        draw_boxes(ax, summary, "dice", positions, 0.8 * step, "vertical")
    names = [textwrap.fill(plain(name), _LETTERS) for name in of_model]
    ax.set_xticks(range(len(of_model)), names, parse_math=False)
    ax.set_ylabel(result.scores.title)
    ax.grid(axis="y", color=GRID, lw=0.7)
    for group, name in enumerate(keys):
        ax.plot([], [], "s", mfc=fill(group, first.reference), mec=INK, label=name)
    columns = max(1, min(number, int((wide - 0.7) / keys_wide)))
    as_written(ax.legend(frameon=False, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1)))
    return ax


def plot_gaps(result: Compared, ax: Axes | None = None) -> Axes:
    """Draw the gap in the typical case with the baseline and with each model, with limits."""
    rows = []
    for model in result.judgement.models:
        for pair in (pair for pair in model.telling_pairs if pair.rows):
            rows.append((f"{model.model}: {named(pair)}", *gaps_of(pair.rows[0], pair), pair.verdict))
    ax = ax or new_axes(6.0, 1.2 + 0.42 * max(1, len(rows)))
    ax.axvspan(-result.options.margin, result.options.margin, color=GRID, lw=0, zorder=0)
    ax.axvline(0.0, color=INK, lw=0.8, zorder=1)
    for at, (_, before, after, verdict) in enumerate(rows):
        _, shade, shape = VERDICTS[verdict.marker]
        for gap, lift, filled in ((before, -0.16, False), (after, 0.16, True)):
            alpha = 1.0 if filled else 0.5
            ax.plot(gap[1:], [at + lift] * 2, color=INK, lw=1.1, alpha=alpha, zorder=2)
            face = shade if filled and verdict is not Verdict.OPEN else "white"
            sign = shape if filled else "o"  # no format string: that of "no relevant change" is text
            ax.plot(gap.estimate, at + lift, marker=sign, ls="", ms=7, mfc=face, mec=shade, zorder=3)
    name_rows(ax, [plain(name) for name, *_ in rows])
    ax.set_xlabel(f"gap before (open) and after, in {result.scores.title}")
    return ax


def plot_gains(result: Compared, ax: Axes | None = None) -> Axes:
    """Draw what each group gained or lost in the typical case, with limits."""
    analysis = result.analyses[0]
    structure = result.judgement.structures[0]
    rows = [
        (f"{model.model}: {one.group}", analysis.groups.names.index(one.group), one.change)
        for model in result.judgement.models
        for one in model.changes
        if one.attribute == analysis.name and one.structure == structure and one.n
    ]
    ax = ax or new_axes(6.0, 1.2 + 0.3 * max(1, len(rows)))
    ax.axvline(0.0, color=INK, lw=0.8, zorder=1)
    for at, (_, group, change) in enumerate(rows):
        shade = color(group, analysis.reference)
        if not np.isnan(change.low + change.high):
            ax.plot([change.low, change.high], [at, at], color=INK, lw=1.1, zorder=2)
        ax.plot(change.estimate, at, marker(group), ms=7, color=shade, mew=0, zorder=3)
    name_rows(ax, [plain(name) for name, *_ in rows])
    ax.set_xlabel(f"typical change of a subject's {result.scores.title}")
    return ax


KINDS: dict[str, Callable[..., Axes]] = {"boxes": plot_boxes, "gaps": plot_gaps, "gains": plot_gains}
