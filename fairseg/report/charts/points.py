"""Two values of every subject against each other: scores against size by group, and agreement of measures."""

from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from fairseg.metrics.fairness import Floats
from fairseg.report.charts import frame
from fairseg.report.charts.scale import Scale, make_scale
from fairseg.report.charts.subjects import Roster, check_groups, dots, look_for
from fairseg.report.charts.svg import join, px, tag
from fairseg.report.escape import plain
from fairseg.report.numbers import decimals, number, span
from fairseg.report.palette import css_class
from fairseg.statistics.smoothing import smooth_trend

_HEIGHT, _PANEL_HEIGHT = 260.0, 170.0  # pixels within the axes
_PANEL_WIDTH = 300.0  # pixels of a panel of agreement
_LEAST_FOR_TREND = 30  # subjects of a group, below which a trend is noise
_LEAST_FOR_LIMITS = 3  # subjects of a group, below which it has no limits of agreement


def scatter(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    names: Sequence[str],
    *,
    subjects: Roster,
    name: str,
    title: str,
    x_axis: str,
    y_axis: str,
    reference: int | None = None,
    log_x: bool = False,
    trend: bool = False,
) -> Markup:
    """Return a dot for every subject; each group has its own shape and colour (see `legend`).

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
        log_x: equal ratios of x are equal distances; the text counts values that are not positive.
        trend: draw the smoothed trend of each group of at least 30 subjects.

    Raises:
        ValueError: arrays that do not fit the subjects.

    >>> chart = scatter([0.9, 0.8], [3, 5], np.array([0, 1]), ["F", "M"], subjects=Roster(["ann", "bob"]),
    ...                 name="s", title="DSC and HD", x_axis="DSC", y_axis="HD (mm)")
    >>> chart.count("data-s")
    2
    """
    ids = check_groups(subjects, groups, names)
    across, up = subjects.check(x, "x"), subjects.check(y, "y")
    known = (ids >= 0) & np.isfinite(across) & np.isfinite(up)
    not_positive = int((known & (across <= 0)).sum()) if log_x else 0
    known &= (across > 0) | (not log_x)
    series = [subjects.series(x_axis, across), subjects.series(y_axis, up)]
    heading, top = frame.heading(title)
    top += 26
    bottom = top + _HEIGHT
    high = make_scale([up[known]], bottom - 4, top + 4, most=5)
    margin = frame.left_for(high)
    wide = make_scale([across[known]], margin + 6, frame.WIDTH - 10, log=log_x)
    total = int(known.sum())
    looks = ((40, (4.2, 0.9)), (300, (3.2, 0.7)), (1500, (2.6, 0.5)), (10**9, (2.2, 0.35)))
    radius, opacity = next(look for most, look in looks if total <= most)
    opacity *= 0.6 if trend and total > 300 else 1  # so that the lines stand out
    parts: list[Markup] = []
    lines: list[Markup] = []
    members = [np.flatnonzero(known & (ids == group)) for group in range(len(names))]
    for group in sorted(range(len(names)), key=lambda group: -len(members[group])):  # the small ones on top
        indices, css = members[group], css_class(group, reference)
        pixels = wide(across[indices]), high(up[indices])
        parts.append(
            dots(
                *pixels, indices, subjects=subjects, group=names[group], series=series, radius=radius,
                css=css, opacity=opacity, marker=f"{name}-m{group}",
            )
        )  # fmt: skip
        if trend and len(indices) >= _LEAST_FOR_TREND:
            lines.append(_trend(*pixels, css, group))
    counts = "; ".join(f"{plain(names[group])}: n = {len(part):,}" for group, part in enumerate(members))
    left_out = f" {not_positive:,} without a positive {x_axis} left out." if not_positive else ""
    about = f"{y_axis} against {x_axis}, one dot a subject. {counts}.{left_out}"
    picture = [
        frame.markers(name, len(names), reference, radius, round(opacity, 2)),
        heading,
        frame.y_axis(high, margin, frame.WIDTH - 4, y_axis),
        frame.x_axis(wide, top, bottom, x_axis),
        *parts,
        *lines,
    ]
    return frame.chart(name, title, about, picture, bottom + 38)


def _trend(x: Floats, y: Floats, css: str, group: int) -> Markup:
    """Return a smooth line through the dots, with a rim; groups differ in their dashes."""
    line = "M" + "L".join(f"{px(a)} {px(b)}" for a, b in zip(*smooth_trend(x, y), strict=True))
    dash = (None, "7 3", "2 3", "9 3 2 3")[group % 4]
    trend = tag("path", d=line, class_=f"trend {css}", stroke_dasharray=dash)
    return join(tag("path", d=line, class_="rim"), trend)


def bland_altman(
    predicted: npt.ArrayLike,
    reference_values: npt.ArrayLike,
    groups: npt.ArrayLike,
    names: Sequence[str],
    *,
    subjects: Roster,
    name: str,
    quantity: str,
    reference: int | None = None,
) -> Markup:
    """Return a panel for each group: bias and limits of agreement (bias +- 1.96 standard deviations).

    Args:
        predicted: (N,), of the predictions, one value a subject, NaN where there is none.
        reference_values: (N,), of the reference masks.
        groups: ids (N,), -1 for unknown: left out.
        names: of the groups, (G,).
        subjects: the subjects of the page.
        name: id that no other chart of the page begins with.
        quantity: what is measured, with its unit: "Volume of LV (ml)".
        reference: id of the reference group.

    Raises:
        ValueError: arrays that do not fit the subjects.

    >>> chart = bland_altman([5, 6, 8], [4, 6, 7], np.array([0, 0, 0]), ["F"],
    ...                      subjects=Roster(["ann", "eve", "ida"]), name="b", quantity="Volume (ml)")
    >>> "bias 0.667" in chart
    True
    """
    ids = check_groups(subjects, groups, names)
    first = subjects.check(predicted, "predicted")
    second = subjects.check(reference_values, "reference_values")
    mean, difference = (first + second) / 2, first - second
    known = (ids >= 0) & np.isfinite(difference)
    series = [
        subjects.series(f"Mean of both, {quantity}", mean),
        subjects.series(f"Prediction minus reference, {quantity}", difference),
    ]
    limits = {group: _limits(difference[known & (ids == group)]) for group in range(len(names))}
    flat = make_scale(
        [difference[known]], _PANEL_HEIGHT, 0, most=5, include=[0.0, *chain.from_iterable(limits.values())]
    )
    margin = frame.left_for(flat)
    wide = make_scale([mean[known]], margin + 5, _PANEL_WIDTH - 8, most=4)

    def panel(group: int, title: str) -> Markup:
        """Return the picture of one group."""
        indices = np.flatnonzero(known & (ids == group))
        heading, top = frame.heading(title, _PANEL_WIDTH)
        digits = decimals(flat.low, flat.high)
        summary = f"n = {len(indices):,}"
        if limits[group]:
            low, bias, upper = limits[group]
            bounds = span(low, upper, partial(number, digits=digits))
            summary += f", bias {number(bias, digits)}, limits {bounds}"
        top += 42
        unit = f" {quantity[quantity.rfind('(') :]}" if quantity.endswith(")") else ""
        high = Scale(flat.low, flat.high, top + _PANEL_HEIGHT, top, flat.ticks)
        radius, opacity = look_for(len(indices))
        parts = [
            heading,
            tag("text", summary, x=0, y=px(top - 32), class_="tick"),
            frame.y_axis(high, margin, _PANEL_WIDTH - 2, f"Prediction minus reference{unit}"),
            frame.x_axis(wide, top, top + _PANEL_HEIGHT, f"Mean of both, {quantity}"),
            frame.rule(margin, high.at(0), _PANEL_WIDTH - 2, high.at(0), "axis"),
            dots(
                wide(mean[indices]), high(difference[indices]), indices, subjects=subjects, group=title,
                series=series, radius=radius, css=css_class(group, reference), opacity=opacity,
            ),
        ]  # fmt: skip
        for value, kind in zip(limits[group], ("limit", "bias", "limit"), strict=False):
            parts.append(frame.rule(margin, high.at(value), _PANEL_WIDTH - 2, high.at(value), kind))
        about = f"Prediction minus reference against the mean of both, {quantity}. {summary}."
        height = top + _PANEL_HEIGHT + 38
        return frame.chart(f"{name}-{group}", f"{title}: agreement", about, parts, height, _PANEL_WIDTH)

    return frame.charts(*(panel(group, title) for group, title in enumerate(names)))


def _limits(difference: Floats) -> list[float]:
    """Return lower limit, bias and upper limit; nothing for fewer than three subjects."""
    if len(difference) < _LEAST_FOR_LIMITS:
        return []
    bias, reach = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    return [bias - reach, bias, bias + reach]
