"""The figures of an experiment: Fig. 2, S1, S2 and S3 of Lee et al. (2025)."""

from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairseg.experiment.arms import CHOICES, GRID, IMAGES
from fairseg.experiment.results import Results
from fairseg.report.escape import plain
from fairseg.report.palette import GRID as GRID_COLOR
from fairseg.report.palette import INK, LINE, color
from fairseg.report.plots import STYLE, as_written, figure_of, new_axes, plot_rows, to_svg
from fairseg.scoring.summary import ALL

_SERIES = {"balance": ("full images", "#3182bd", "o"), "balance_cascade": ("cascaded crops", "#e6550d", "s")}


def draw(results: Results) -> dict[str, bytes]:
    """Return the figures that there are results for, name -> SVG."""
    figures: dict[str, bytes] = {}
    for test in results.tests:
        for images in GRID:
            seeds = {method: _seeds(results, f"{images}/{method}", test) for method in GRID[images]}
            if rows := {CHOICES[method].title: ones[0] for method, ones in seeds.items() if ones}:
                figures[f"fig2-{images}-{test}"] = to_svg(plot_rows(rows, "dice"))
    groups = results.groups("internal") if "internal" in results.tests else ()
    for name, sweep, label in (
        ("s1", "minority", f"training subjects: {results.study.minority}"),
        ("s2-full", "balance", "level of oversampling, full images"),
        ("s2-cascade", "balance_cascade", "level of oversampling, cascaded crops"),
    ):
        if levels := _levels(results, sweep):
            figures[name] = to_svg(_lines(results, sweep, levels, groups, label))
    if any(_levels(results, sweep) for sweep in _SERIES):
        figures["s3"] = to_svg(_scatter(results))
    return figures


def caption(name: str) -> str:
    """Return the caption of a figure."""
    kind, *parts = name.split("-")
    if kind == "fig2":
        images, test = parts
        return f"Overall Dice of the {test} test subjects, {IMAGES[images]}, first seed (as Fig. 2)."
    return {
        "s1": "The number of minority subjects in training; baseline on full images (as Fig. S1).",
        "s2": f"The level of oversampling, {' '.join(parts)} images; 0 natural, 1 equal shares (as Fig. S2).",
        "s3": "Fairness gap against median Dice, for the levels of oversampling (numbers), as Fig. S3.",
    }[kind]


def _seeds(results: Results, key: str, test: str) -> list[Any]:
    return [one for (arm, name), one in sorted(results.summaries.items()) if (arm.key, name) == (key, test)]


def _levels(results: Results, sweep: str) -> list[float]:
    arms = {arm for arm, test in results.summaries if arm.sweep == sweep and test == "internal"}
    return sorted({arm.level for arm in arms})


@rc_context(STYLE)
def _lines(
    results: Results, sweep: str, levels: Sequence[float], groups: Sequence[str], label: str
) -> Figure:
    """Draw the median Dice of each group over the levels of a sweep; bars from lowest to highest seed."""
    ax = new_axes(5.6, 3.4)
    names = next(iter(results.summaries.values())).groups
    for group in groups:
        shade = color(names.index(group), names.index(results.study.reference))
        spreads = [results.spread(f"{sweep}/{level:g}", "Median DSC", group) for level in levels]
        middle = [spread.mean for spread in spreads]
        ax.plot(levels, middle, "o-", color=shade, mec=INK, label=plain(group))
        pairs = zip(levels, spreads, strict=True)
        if bars := [(level, one.low, one.high) for level, one in pairs if one.number > 1]:
            ax.vlines(*zip(*bars, strict=True), color=INK, lw=1)
    if sweep == "minority" and levels[-1] > 4 * levels[0]:
        ax.set_xscale("log", base=2)
    ax.set_xticks(levels, [f"{level:g}" for level in levels])
    ax.minorticks_off()
    return _finished(ax, label, "median DSC")


@rc_context(STYLE)
def _scatter(results: Results) -> Figure:
    """Draw the fairness gap against the median Dice of all, one point a level of oversampling."""
    ax = new_axes(5.6, 3.6)
    for sweep, (name, shade, marker) in _SERIES.items():
        levels = _levels(results, sweep)
        keys = [f"{sweep}/{level:g}" for level in levels]
        points = [(results.gap(key).mean, results.spread(key, "Median DSC", ALL).mean) for key in keys]
        if points:
            ax.plot(*zip(*points, strict=True), marker, color=shade, mec=INK, ms=7, label=name)
            for (x, y), level in zip(points, levels, strict=True):
                ax.annotate(f"{level:g}", (x, y), textcoords="offset points", xytext=(6, 5), fontsize=8)
    ax.axvline(0.0, color=LINE, ls="--", lw=1)
    pair = f"{plain(results.study.reference)} - {plain(results.study.minority)}"
    return _finished(ax, f"fairness gap, {pair}", "median DSC, all subjects")


def _finished(ax: Axes, x: str, y: str) -> Figure:
    ax.set_xlabel(plain(x), parse_math=False)
    ax.set_ylabel(y)
    ax.grid(color=GRID_COLOR, lw=0.7)
    as_written(ax.legend(frameon=False, fontsize=9))
    return figure_of(ax)
