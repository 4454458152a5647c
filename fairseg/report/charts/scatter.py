"""Two values of every subject against each other, by group: DSC and HD, or size and DSC."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from fairseg.report.charts import frame
from fairseg.report.charts.scale import Scale, make_scale
from fairseg.report.charts.subjects import Subjects, check_groups, color, dots
from fairseg.report.charts.svg import join, number, px, tag
from fairseg.report.render import plain

Floats = npt.NDArray[np.float64]

_HEIGHT = 260.0  # pixels of the area within the axes
_FEWEST = 30  # subjects of a group, below which a trend is noise


def scatter(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    names: Sequence[str],
    *,
    subjects: Subjects,
    name: str,
    title: str,
    x_axis: str,
    y_axis: str,
    reference: int | None = None,
    log_x: bool = False,
    trend: bool = False,
) -> Markup:
    """Return a dot for every subject, of another shape and colour for each group (see `legend`).

    Args:
        x: (N,), one value a subject, NaN where there is none.
        y: (N,), the same.
        groups: ids (N,), -1 for unknown: left out.
        names: of the groups, (G,).
        subjects: the subjects of the page.
        name: id that no other chart of the page has.
        title: what is shown.
        x_axis: what x is.
        y_axis: what y is.
        reference: id of the reference group.
        log_x: equal ratios of x are equal distances; values that are not positive are left out, and told.
        trend: draw the running median of each group of at least 20 subjects.

    Raises:
        ValueError: arrays that do not fit the subjects.

    >>> chart = scatter([0.9, 0.8], [3, 5], np.array([0, 1]), ["F", "M"], subjects=Subjects(["ann", "bob"]),
    ...                 name="s", title="DSC and HD", x_axis="DSC", y_axis="HD (mm)")
    >>> chart.count("data-s")
    2
    """
    ids = check_groups(subjects, groups, names)
    across, up = subjects.check(x, "x"), subjects.check(y, "y")
    known = (ids >= 0) & np.isfinite(across) & np.isfinite(up)
    lost = int((known & (across <= 0)).sum()) if log_x else 0
    known &= (across > 0) | (not log_x)
    series = [subjects.series(x_axis, across), subjects.series(y_axis, up)]
    heading, top = frame.heading(title)
    top += 26
    bottom = top + _HEIGHT
    high = make_scale([up[known]], bottom - 4, top + 4, most=5)
    left = frame.left_for(high)
    wide = make_scale([across[known]], left + 6, frame.WIDTH - 10, log=log_x)
    total = int(known.sum())
    radius, opacity = next(
        look
        for most, look in ((40, (4.2, 0.9)), (300, (3.2, 0.7)), (1500, (2.6, 0.5)), (10**9, (2.2, 0.35)))
        if total <= most
    )
    opacity *= 0.6 if trend and total > 300 else 1  # the lines are what one is to see
    parts: list[Markup] = []
    lines: list[Markup] = []
    who = [np.flatnonzero(known & (ids == group)) for group in range(len(names))]
    for group in sorted(range(len(names)), key=lambda group: -len(who[group])):  # the small ones on top
        part = who[group]
        parts.append(
            dots(
                wide(across[part]),
                high(up[part]),
                part,
                group=names[group],
                series=series,
                radius=radius,
                css=color(group, reference),
                opacity=opacity,
                marker=f"{name}-m{group}",
            )
        )
        if trend and len(part) >= _FEWEST:
            lines.append(_trend(across[part], up[part], wide, high, color(group, reference), group))
    counts = "; ".join(f"{plain(names[group])}: n = {len(part):,}" for group, part in enumerate(who))
    left_out = f" {number(lost, 0)} without a positive {x_axis} left out." if lost else ""
    about = f"{y_axis} against {x_axis}, one dot a subject. {counts}.{left_out}"
    picture = [
        frame.markers(name, len(names), reference, radius, round(opacity, 2)),
        heading,
        frame.y_axis(high, left, frame.WIDTH - 4, y_axis),
        frame.x_axis(wide, top, bottom, x_axis),
        *parts,
        *lines,
    ]
    return frame.chart(name, title, about, picture, bottom + 38)


def running_median(x: Floats, y: Floats, points: int = 24) -> tuple[Floats, Floats]:
    """Return the median of y among a fifth of the subjects, moved along x.

    >>> x, middle = running_median(np.arange(50.0), np.arange(50.0) * 2)
    >>> bool(np.allclose(middle, 2 * x))
    True
    """
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    window = max(7, len(x) // 5)
    starts = np.unique(np.linspace(0, len(x) - window, points).astype(int))
    return (
        np.array([np.median(x[start : start + window]) for start in starts]),
        np.array([np.median(y[start : start + window]) for start in starts]),
    )


def _trend(x: Floats, y: Floats, wide: Scale, high: Scale, css: str, group: int) -> Markup:
    """Return the line of a running median: dashed in another way for each group, with a rim."""
    middle, median = running_median(x, y)
    line = "M" + "L".join(f"{px(a)} {px(b)}" for a, b in zip(wide(middle), high(median), strict=True))
    dash = (None, "7 3", "2 3", "9 3 2 3")[group % 4]
    return join(
        tag("path", d=line, class_="rim"), tag("path", d=line, class_=f"trend {css}", stroke_dasharray=dash)
    )
