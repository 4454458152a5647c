"""Every subject as a dot, with a box and a cloud, by group: a panel for each structure."""

from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from fairseg.metrics.fairness import Floats
from fairseg.report.charts import frame
from fairseg.report.charts.jitter import swarm
from fairseg.report.charts.scale import Scale, make_scale
from fairseg.report.charts.subjects import Roster, check_groups, dots, look_for
from fairseg.report.charts.svg import join, px, tag, wrapped
from fairseg.report.escape import plain
from fairseg.report.numbers import decimals, number
from fairseg.report.palette import css_class
from fairseg.statistics.smoothing import density

_LEAST_FOR_BOX = 5  # subjects of a group; of fewer the quartiles say little
_LEAST_FOR_DENSITY = 20  # subjects of a group
_MANY = 6  # groups; with more, rows are lower
_LEFT, _RIGHT = 8.0, frame.WIDTH - 8.0
_SQUEEZED = 0.2  # of the common axis: a panel that fills less is not legible


def dot_boxes(
    rows: Mapping[str, npt.ArrayLike],
    groups: npt.ArrayLike,
    names: Sequence[str],
    *,
    subjects: Roster,
    name: str,
    axis: str,
    reference: int | None = None,
    one_axis: bool = False,
) -> Markup:
    """Return one panel a structure, each with the groups below each other.

    All panels have one axis, unless one of them would fill less than a fifth of it.

    A group of at least 5 subjects has a box (quartiles and median; whiskers to the farthest value within
    1.5 IQR), one of at least 20 the density above it, and every group its subjects as dots.

    Args:
        rows: structure -> values (N,), one a subject, NaN where there is none.
        groups: ids (N,), -1 for unknown: left out.
        names: of the groups, (G,).
        subjects: the subjects of the page.
        name: id that no other chart of the page begins with.
        axis: what the values are, such as "DSC" or "HD (mm)".
        reference: id of the group whose median is drawn through all others.
        one_axis: whether panels always keep one axis, since they are to be compared, such as models.

    Raises:
        ValueError: arrays that do not fit the subjects.

    >>> chart = dot_boxes({"LV": [0.9, 0.8]}, np.array([0, 1]), ["F", "M"],
    ...                   subjects=Roster(["ann", "bob"]), name="sex", axis="DSC")
    >>> chart.count("<svg"), chart.count('data-g="M"')
    (1, 1)
    """
    ids = check_groups(subjects, groups, names)
    values = {row: subjects.check(array, row) for row, array in rows.items()}
    known = [array[(ids >= 0) & np.isfinite(array)] for array in values.values()]
    spans = [float(np.ptp(part)) for part in known if part.size]
    squeezed = not one_axis and bool(spans) and 0 < min(spans) < _SQUEEZED * np.ptp(np.concatenate(known))
    scales = [make_scale([part] if squeezed else known, _LEFT + 4, _RIGHT - 4) for part in known]
    axis_title = f"{axis}, own axis" if squeezed else axis

    def panel(index: int, row: str, array: Floats, scale: Scale) -> Markup:
        """Return the picture of one structure."""
        members = [np.flatnonzero((ids == group) & np.isfinite(array)) for group in range(len(names))]
        series = [subjects.series(f"{axis}, {row}", array)]
        most = max(map(len, members), default=0)
        density_height = 0.0 if most < _LEAST_FOR_DENSITY else 14.0 if len(names) > _MANY else 20.0
        dots_height = 14.0 if len(names) > _MANY else 22.0
        radius, opacity = look_for(most)
        digits = decimals(scale.low, scale.high)
        title, top = frame.heading(row)
        parts: list[Markup] = []
        summaries: list[str] = []
        bands: list[tuple[float, float]] = []
        y = top
        for group, indices in enumerate(members):
            part, css = array[indices], css_class(group, reference)
            median = f", median {number(float(np.median(part)), digits)}" if part.size else ""
            summary = f"n = {part.size:,}{median}"
            summaries.append(f"{plain(names[group])}: {summary}")
            letters = int((frame.WIDTH - 20) / frame.LETTER - len(summary))
            lines = wrapped(names[group] + (" (reference)" if group == reference else ""), letters)
            parts.append(frame.text_lines(lines, _LEFT, y + 14, 14, class_="group"))
            parts.append(tag("text", summary, x=px(_RIGHT), y=px(y + 14), class_="tick end"))
            y += 14 * len(lines) + 6
            ground = y + density_height
            bands.append((y - 2, ground + 11 + dots_height))
            if part.size >= _LEAST_FOR_DENSITY:
                parts.append(_cloud(part, scale, ground - 1, density_height, css))
            if part.size >= _LEAST_FOR_BOX:
                parts.append(_box(part, scale, ground + 5, css))
            across = scale(part)
            down = ground + 11 + dots_height / 2 + swarm(across, radius, dots_height - 2 * radius)
            parts.append(
                dots(
                    across, down, indices, subjects=subjects, group=names[group], series=series,
                    radius=radius, css=css, opacity=opacity,
                )
            )  # fmt: skip
            y = ground + 11 + dots_height + 5
        back = [frame.x_axis(scale, top, y, axis_title)]
        if reference is not None and members[reference].size:
            x = px(scale.at(float(np.median(array[members[reference]]))))
            line = "".join(f"M{x} {px(first)}V{px(last)}" for first, last in bands)  # not through the text
            back.append(tag("path", d=line, class_="dashed"))
        text = f"{axis} of the subjects by group. {'; '.join(summaries)}."
        picture = [title, *back, *parts]
        return frame.chart(f"{name}-{index}", f"{row}: {axis} by group", text, picture, y + 38)

    return frame.charts(*map(panel, count(), values, values.values(), scales))


def _cloud(part: Floats, scale: Scale, ground: float, height: float, css: str) -> Markup:
    """Return the density above a line, from the lowest value to the highest."""
    at = np.linspace(part.min(), part.max(), 60)
    tops = ground - height * density(part, at)
    across = scale(at).tolist()
    line = "L".join([f"{px(x)} {px(y)}" for x, y in zip(across, tops.tolist(), strict=True)])
    start, stop = px(across[0]), px(across[-1])
    return tag("path", d=f"M{start} {px(ground)}L{line}L{stop} {px(ground)}z", class_=f"cloud {css}")


def _box(part: Floats, scale: Scale, middle: float, css: str) -> Markup:
    """Return a box of quartiles with its median and whiskers."""
    low, median, high = np.quantile(part, [0.25, 0.5, 0.75])
    reach = 1.5 * (high - low)
    ends = part[(part >= low - reach) & (part <= high + reach)]
    first, left, center, right, last = (px(x) for x in scale([ends.min(), low, median, high, ends.max()]))
    top, bottom = px(middle - 4), px(middle + 4)
    return join(
        tag("path", d=f"M{first} {px(middle)}H{left}M{right} {px(middle)}H{last}", class_="whisker"),
        tag("path", d=f"M{left} {top}H{right}V{bottom}H{left}z", class_=f"box {css}"),
        tag("path", d=f"M{center} {px(middle - 6)}V{px(middle + 6)}", class_="median"),
    )
