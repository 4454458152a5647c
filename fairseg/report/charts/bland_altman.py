"""Agreement of two measurements of every subject: difference against mean, a panel for each group."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from fairseg.report.charts import frame
from fairseg.report.charts.scale import Scale, make_scale
from fairseg.report.charts.subjects import Subjects, check_groups, color, dots, opacity_for, radius_for
from fairseg.report.charts.svg import decimals, number, px, tag

Floats = npt.NDArray[np.float64]

_WIDTH, _HEIGHT = 300.0, 170.0
_FEWEST = 3  # subjects that limits of agreement take


def bland_altman(
    predicted: npt.ArrayLike,
    reference_values: npt.ArrayLike,
    groups: npt.ArrayLike,
    names: Sequence[str],
    *,
    subjects: Subjects,
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
    ...                      subjects=Subjects(["ann", "eve", "ida"]), name="b", quantity="Volume (ml)")
    >>> "bias 0.667" in chart
    True
    """
    ids = check_groups(subjects, groups, names)
    first, second = (
        subjects.check(predicted, "predicted"),
        subjects.check(reference_values, "reference_values"),
    )
    mean, difference = (first + second) / 2, first - second
    known = (ids >= 0) & np.isfinite(difference)
    series = [
        subjects.series(f"Mean of both, {quantity}", mean),
        subjects.series(f"Prediction minus reference, {quantity}", difference),
    ]
    limits = {group: _limits(difference[known & (ids == group)]) for group in range(len(names))}
    lines = [line for found in limits.values() if found is not None for line in found]
    high = make_scale([difference[known]], _HEIGHT, 0, most=5, include=[0.0, *lines])
    left = frame.left_for(high)
    wide = make_scale([mean[known]], left + 5, _WIDTH - 8, most=4)
    panels = []
    for group, title in enumerate(names):
        who = np.flatnonzero(known & (ids == group))
        panels.append(
            _panel(
                f"{name}-{group}",
                title,
                quantity,
                (mean[who], difference[who], who),
                limits[group],
                (wide, high, left),
                series,
                color(group, reference),
            )
        )
    return frame.charts(*panels)


def _limits(difference: Floats) -> tuple[float, float, float] | None:
    """Return lower limit, bias and upper limit, if there are subjects enough."""
    if len(difference) < _FEWEST:
        return None
    bias, reach = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    return bias - reach, bias, bias + reach


def _panel(
    name: str,
    group: str,
    quantity: str,
    data: tuple[Floats, Floats, npt.NDArray[np.int64]],
    limits: tuple[float, float, float] | None,
    axes: tuple[Scale, Scale, float],
    series: Sequence[int],
    css: str,
) -> Markup:
    """Return the picture of one group."""
    mean, difference, who = data
    wide, flat, left = axes
    heading, top = frame.heading(group, _WIDTH)
    digits = decimals(flat.low, flat.high)
    said = [f"n = {len(who):,}"]
    if limits is not None:
        low, bias, up = (number(value, digits) for value in limits)
        said += [f"bias {bias}", f"limits {low} to {up}"]
    top += 42
    unit = f" {quantity[quantity.rfind('(') :]}" if quantity.endswith(")") else ""
    high = Scale(flat.low, flat.high, top + _HEIGHT, top, flat.ticks)
    radius = radius_for(len(who))
    parts = [
        heading,
        tag("text", ", ".join(said), x=0, y=px(top - 32), class_="tick"),
        frame.y_axis(high, left, _WIDTH - 2, f"Prediction minus reference{unit}"),
        frame.x_axis(wide, top, top + _HEIGHT, f"Mean of both, {quantity}"),
        frame.rule(left, high.at(0), _WIDTH - 2, high.at(0), "axis"),
        dots(
            wide(mean), high(difference), who, group=group, series=series, radius=radius, css=css,
            opacity=opacity_for(len(who)),
        ),
    ]  # fmt: skip
    if limits is not None:
        parts += [
            frame.rule(left, high.at(value), _WIDTH - 2, high.at(value), kind)
            for value, kind in zip(limits, ("limit", "bias", "limit"), strict=True)
        ]
    about = f"Prediction minus reference against the mean of both, {quantity}. {', '.join(said)}."
    return frame.chart(name, f"{group}: agreement", about, parts, top + _HEIGHT + 38, _WIDTH)
