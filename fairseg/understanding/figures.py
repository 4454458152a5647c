"""Figures of what was understood: AUC by view and by margin, mean images, errors, occlusion, bottleneck."""

from collections.abc import Callable
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes

from fairseg.report.escape import plain
from fairseg.report.palette import BAD, GRID, INK, LINE, REFERENCE, color
from fairseg.report.plots import STYLE, as_written, draw, name_rows, new_axes
from fairseg.understanding.errors import Atlas
from fairseg.understanding.evidence import Understood
from fairseg.understanding.location import margin_curve
from fairseg.understanding.views import BOX, LEAST, WHOLE, errors_extent

_A_ROW = 3  # pictures
_A_LINE = 22  # letters above a picture
BAR = "bar"
_NOT_BLANKED = "#aab3ba"
_SCALE = 8.0  # standard errors at least: of groups that are alike hardly any pixel is beyond half of it


def plot(result: Understood, kind: str, ax: Axes | None) -> Axes:
    """Draw one of `KINDS`."""
    with rc_context(STYLE):
        return draw(KINDS, kind, result, ax)


def plot_views(result: Understood, ax: Axes | None = None) -> Axes:
    """Draw the AUC of each view with its limits, and up to where chance goes."""
    rows = result.readings.rows
    ax = ax or new_axes(7.0, 1.0 + 0.28 * len(rows))
    several = len({row.group for row in rows}) > 1
    for at, row in enumerate(rows):
        ax.barh(at, row.chance, height=1.0, color=GRID, lw=0, zorder=0)
        shade = BAD if row.shown else REFERENCE[0]
        ax.plot([row.low, row.high], [at, at], color=INK, lw=1.1, zorder=2)
        ax.plot(row.auc, at, marker="D" if row.shown else "o", ms=6, color=shade, ls="", zorder=3)
    ax.axvline(0.5, color=INK, lw=0.8)
    names = [f"{row.view}: {row.group}" if several else row.view for row in rows]
    name_rows(ax, list(map(plain, names)))
    ax.set_xlim(min(0.3, *(row.low for row in rows)), 1.0)
    ax.set_xlabel("AUC (grey: could be chance)")
    return ax


def plot_margins(result: Understood, ax: Axes | None = None) -> Axes:
    """Draw the AUC against the margin of the crop, mm."""
    curve = margin_curve(result.readings)
    if not curve:
        raise ValueError("margins need a crop that removes something of half of the images, none was tried")
    ax = ax or new_axes(4.6, 3.2)
    margins = [margin for margin, _ in curve]
    for group in dict.fromkeys(row.group for row in result.readings.rows):
        rows = [row for row in result.readings.rows if row.group == group and row.view.startswith(BOX)]
        shade = color(result.cohort.names.index(group), 0)
        ax.fill_between(margins, 0.0, [row.chance for row in rows], color=GRID, lw=0, zorder=0)
        limits = [[row.auc - row.low for row in rows], [row.high - row.auc for row in rows]]
        ax.errorbar(margins, [row.auc for row in rows], limits, color=shade, marker="o", lw=1.4, label=group)
    ax.axhline(0.5, color=INK, lw=0.8)
    lowest = min(row.low for row in result.readings.rows if row.view.startswith(BOX))
    ax.set_ylim(min(0.35, lowest), 1.02)
    ax.set_xlabel(f"Margin around the largest organ ({result.cohort.frame.unit})")
    ax.set_ylabel("AUC (grey: could be chance)")
    if len(result.cohort.names) > 2:
        handles, labels = ax.get_legend_handles_labels()
        columns = 3 if max(map(len, labels)) <= _A_LINE / 2 else 1
        names = map(_two_lines, labels)
        corner: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0)}
        as_written(ax.legend(handles, names, frameon=False, ncols=columns, **corner))
    return ax


def plot_images(result: Understood, ax: Axes | None = None) -> Axes:
    """Draw the mean image of each group around the organ, and the difference of the two that differ most."""
    views = result.cohort.views[WHOLE]
    middle = views[:, 0, views.shape[2] // 2]  # the first channel, halfway between the organ's ends
    ids, names = result.cohort.ids, result.cohort.names
    means = [middle[ids == group].mean(axis=0) for group in range(len(names))]
    low, high = np.percentile(np.stack(means), (1, 99))
    pictures: list[tuple[Any, str, dict[str, Any]]] = [
        (mean, name, {"cmap": "gray", "vmin": low, "vmax": high})
        for mean, name in zip(means, names, strict=True)
    ]
    one, two = (names.index(name) for name in result.pictured)
    first, second = (middle[ids == group] for group in (one, two))
    error = np.sqrt(first.var(axis=0, ddof=1) / len(first) + second.var(axis=0, ddof=1) / len(second))
    pictures.append(_difference(names[one], names[two], means[one], means[two], error))
    return _side_by_side(ax, pictures, result.cohort.frame.whole, result.cohort.frame.box)[0]


def plot_errors(result: Understood, ax: Axes | None = None) -> Axes:
    """Draw where the two groups of the clearest finding of the atlas differ."""
    if not result.atlas:
        raise ValueError("errors need the masks of a model: understand(..., predictions=...)")
    one: Atlas = min(result.atlas, key=lambda one: one.p_adjusted)
    level = int(one.cluster.sum(axis=(1, 2)).argmax()) if one.more else one.cluster.shape[0] // 2
    first, second = one.shares[:, level]
    most = 100 * float(max(first.max(), second.max())) or 1.0
    look: dict[str, Any] = {"cmap": "magma", "vmin": 0, "vmax": most, BAR: "Wrong there (%)"}
    counts = dict(result.cohort.counts)
    # No share varies more than that of all or nothing. With one more of both, 0% and 100% have an error too.
    variances = [
        (n * share + 1) * (n * (1 - share) + 1) / (n + 2) ** 2 / n
        for share, n in ((first, counts[one.first]), (second, counts[one.second]))
    ]
    pictures = [
        (100 * first, one.first, look),
        (100 * second, one.second, look),
        _difference(one.first, one.second, first, second, np.sqrt(np.add(*variances))),
    ]
    ax, (*_, last) = _side_by_side(ax, pictures, errors_extent(result.cohort.frame), None)
    if one.shown:
        last.contour(one.cluster[level], levels=[0.5], colors=INK, linewidths=1.0)
    ax.set_title(f"{plain(one.structure)}, {one.kind}", parse_math=False)
    return ax


def plot_occlusion(result: Understood, ax: Axes | None = None) -> Axes:
    """Draw what blanking each patch does to the Dice of two groups, those of the clearest difference."""
    intervention = result.intervention
    if intervention is None or not intervention.occlusion:
        raise ValueError("occlusion needs a training: understand(..., run=...)")
    one = min(intervention.occlusion, key=lambda one: one.p_adjusted)
    first, second = one.change
    most = float(np.nanmax(np.abs(one.change))) or 1.0
    # White is no change, so what was not blanked is grey.
    colors = colormaps["RdBu"].with_extremes(bad=_NOT_BLANKED)
    look: dict[str, Any] = {"cmap": colors, "vmin": -most, "vmax": most, BAR: "Change of Dice"}
    pictures = [
        (first, one.first, look),
        (second, one.second, look),
        (second - first, f"{one.second} - {one.first}", look),
    ]
    return _side_by_side(ax, pictures, result.cohort.frame.whole, result.cohort.frame.box)[0]


def plot_bottleneck(result: Understood, ax: Axes | None = None) -> Axes:
    """Draw the subjects by the first two components of the run's features."""
    if result.intervention is None:
        raise ValueError("bottleneck needs a training: understand(..., run=...)")
    ax = ax or new_axes(4.6, 3.2)
    features = result.intervention.bottleneck
    spread = features.std(axis=0)
    standardised = (features - features.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    vectors, size, _ = np.linalg.svd(np.pad(standardised, ((0, 0), (0, 2))), full_matrices=False)
    for group, name in enumerate(result.cohort.names):
        in_group = result.cohort.ids == group
        x, y = (vectors[in_group, :2] * size[:2]).T
        ax.plot(x, y, ls="", marker="os^Dv"[group % 5], ms=4, color=color(group, 0), label=plain(name))
    share = 100 * size[:2] ** 2 / max(float((size**2).sum()), 1e-12)
    ax.set_xlabel(f"First component ({share[0]:.0f}% of the variance)")
    ax.set_ylabel(f"Second component ({share[1]:.0f}%)")
    as_written(ax.legend(frameon=False))
    return ax


def _two_lines(name: str) -> str:
    """Return a name on two lines at most."""
    return "\n".join(wrap(plain(name), _A_LINE, max_lines=2, placeholder="..."))


def _difference(first: str, second: str, one: Any, two: Any, error: Any) -> tuple[Any, str, dict[str, Any]]:
    """Return the picture of second minus first in standard errors, on a scale that chance does not fill."""
    away = (two - one) / np.maximum(error, LEAST)
    most = max(_SCALE, float(np.abs(away).max()))
    look = {"cmap": "RdBu_r", "vmin": -most, "vmax": most, BAR: "Standard errors"}
    return away, f"{second} - {first}", look


def _side_by_side(
    ax: Axes | None,
    pictures: list[tuple[Any, str, dict[str, Any]]],
    extent: tuple[float, float],
    box: tuple[float, float] | None,
) -> tuple[Axes, list[Axes]]:
    """Draw pictures beside each other, three a row, with their names, and the organ's box in each.

    Args:
        ax: where to draw, or None.
        pictures: each with its name and how `imshow` draws it; under `BAR` what its colour bar says, if any.
        extent: of a picture, mm (y, x).
        box: of the organ, mm (y, x), or None.

    Returns:
        The axes, and those of the pictures in it.
    """
    rows = -(-len(pictures) // _A_ROW)
    ax = ax or new_axes(2.0 * _A_ROW, 2.9 * rows)
    ax.set_axis_off()
    width, height = 1 / _A_ROW, 1 / rows
    insets: list[Axes] = []
    for index, (picture, name, look) in enumerate(pictures):
        row, column = divmod(index, _A_ROW)
        corner = column * width + 0.01, 1 - (row + 1) * height
        inset = ax.inset_axes((corner[0], corner[1] + 0.2 * height, width - 0.02, 0.62 * height))
        insets.append(inset)
        options = {name: value for name, value in look.items() if name != BAR}
        image = inset.imshow(picture, **options, interpolation="nearest", aspect=extent[0] / extent[1])
        if BAR in look:
            below = corner[0] + 0.03, corner[1] + 0.14 * height
            bar_axes = ax.inset_axes((*below, width - 0.08, 0.03 * height))
            bar = ax.figure.colorbar(image, cax=bar_axes, orientation="horizontal")
            ends = sorted({look["vmin"], look["vmax"], max(look["vmin"], 0.0)})  # more would not fit
            bar.set_ticks(ends, labels=[f"{end:.2g}" for end in ends])
            labels = bar.ax.get_xticklabels()
            labels[0].set_horizontalalignment("left")  # away from the next bar
            labels[-1].set_horizontalalignment("right")
            bar.set_label(look[BAR], fontsize="small")
            bar.ax.tick_params(labelsize="small")
            bar.outline.set_visible(False)
        inset.set_title(_two_lines(name), parse_math=False)
        inset.set_xticks([])
        inset.set_yticks([])
        if box is not None:
            high, wide = (len(picture) * part / whole for part, whole in zip(box, extent, strict=True))
            middle = (len(picture) - 1) / 2
            left, right, low, top = (middle + part / 2 for part in (-wide, wide, -high, high))
            x, y = [left, right, right, left, left], [low, low, top, top, low]
            inset.plot(x, y, color=LINE, lw=0.9)
    return ax, insets


KINDS: dict[str, Callable[[Understood, Axes | None], Axes]] = {
    "views": plot_views,
    "margins": plot_margins,
    "images": plot_images,
    "errors": plot_errors,
    "occlusion": plot_occlusion,
    "bottleneck": plot_bottleneck,
}
