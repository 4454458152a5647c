"""What all charts share: the picture with its name and description, grid, axes, legend and markers."""

from collections.abc import Sequence

from markupsafe import Markup

from fairseg.report.charts.scale import Scale
from fairseg.report.charts.svg import join, px, tag, wrapped
from fairseg.report.escape import plain
from fairseg.report.palette import css_class, outline

WIDTH = 460  # pixels of a chart: two stand side by side on a page, one on a telephone
LETTER = 6.6  # pixels that a letter takes on average


def chart(
    name: str, title: str, about: str, parts: Sequence[object], height: float, width: float = WIDTH
) -> Markup:
    """Return a chart that has a name and a description and can be reached by keyboard.

    Args:
        name: id that no other chart of the page has.
        title: what is shown; stands above the picture.
        about: the description for readers who cannot see the picture.
        parts: elements of SVG.
        height: pixels.
        width: pixels.
    """
    picture = tag(
        "svg",
        tag("title", plain(title), id=f"{name}-t"),
        tag("desc", plain(about), id=f"{name}-d"),
        *parts,
        id=name, role="img", aria_labelledby=f"{name}-t {name}-d", width=px(width), height=px(height),
        viewBox=f"0 0 {px(width)} {px(height)}",
    )  # fmt: skip
    return tag("div", picture, class_="chart", tabindex=0, role="group", aria_label=plain(title))


def charts(*parts: Markup) -> Markup:
    """Return charts side by side, as many as fit."""
    return tag("div", *parts, class_="charts")


def heading(title: str, width: float = WIDTH) -> tuple[Markup, float]:
    """Return the title at the top of a picture and the pixels that it takes."""
    lines = wrapped(title, int(width / (LETTER + 0.6)), 2)
    return text_lines(lines, 0, 14, 16, class_="name"), 8 + 16 * len(lines)


def text_lines(lines: Sequence[str], x: float, y: float, step: float, **attributes: object) -> Markup:
    """Return lines of text below each other."""
    return join(
        *(tag("text", line, x=px(x), y=px(y + step * row), **attributes) for row, line in enumerate(lines))
    )


def rule(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    """Return a line."""
    return tag("path", d=f"M{px(x1)} {px(y1)}L{px(x2)} {px(y2)}", class_=css)


def x_axis(scale: Scale, top: float, bottom: float, title: str) -> Markup:
    """Return grid lines from top to bottom, the numbers below them and the axis title: 34 pixels."""
    name = wrapped(title, int((scale.stop - scale.start) / LETTER), 1)[0]
    across = [px(x) for x in scale(scale.ticks).tolist()]
    lines = "".join(f"M{x} {px(top)}V{px(bottom)}" for x in across)
    return join(
        tag("path", d=lines, class_="grid"),
        rule(scale.start, bottom, scale.stop, bottom, "axis"),
        *(
            tag("text", label, x=x, y=px(bottom + 15), class_="tick mid")
            for x, label in zip(across, _sparse(scale), strict=True)
        ),
        tag("text", name, x=px((scale.start + scale.stop) / 2), y=px(bottom + 31), class_="tick mid"),
    )


def y_axis(scale: Scale, left: float, right: float, title: str) -> Markup:
    """Return grid lines from left to right, the numbers beside them and the axis title on top."""
    down = scale(scale.ticks).tolist()
    lines = "".join(f"M{px(left)} {px(y)}H{px(right)}" for y in down)
    return join(
        tag("path", d=lines, class_="grid"),
        *(
            tag("text", label, x=px(left - 6), y=px(y + 4), class_="tick end")
            for y, label in zip(down, scale.labels(), strict=True)
        ),
        tag("text", wrapped(title, int(right / LETTER), 1)[0], x=0, y=px(scale.stop - 14), class_="tick"),
    )


def left_for(scale: Scale) -> float:
    """Return the pixels that the numbers of an axis take at its left."""
    return 10 + LETTER * max(map(len, scale.labels()), default=1)


def markers(name: str, number: int, reference: int | None, radius: float, opacity: float) -> Markup:
    """Return the markers of a chart's groups: `NAME-m0`, `NAME-m1`, ..."""
    return tag(
        "defs",
        *(
            tag(
                "marker",
                tag(
                    "path", d=outline(group), class_=f"fill {css_class(group, reference)}",
                    fill_opacity=opacity, transform=f"scale({radius})",
                ),
                id=f"{name}-m{group}", markerUnits="userSpaceOnUse", markerWidth=40, markerHeight=40,
                viewBox="-2 -2 4 4", overflow="visible",
            )
            for group in range(number)
        ),
    )  # fmt: skip


def legend(names: Sequence[str], reference: int | None = None, counts: Sequence[int] | None = None) -> Markup:
    """Return the key of a chart: the shape and colour of each group.

    Args:
        names: of the groups.
        reference: id of the reference group.
        counts: of their subjects; a group without any is left out.
    """
    keys = []
    for group, name in enumerate(names):
        if counts is not None and not counts[group]:
            continue
        path = tag("path", d=outline(group), class_=f"fill {css_class(group, reference)}")
        key = tag("svg", path, viewBox="-1.5 -1.5 3 3", width=14, height=14, aria_hidden="true")
        notes = [f"n = {counts[group]:,}"] if counts else []
        notes += ["reference"] if group == reference else []
        keys.append(tag("li", key, f"{plain(name)}{' (' + ', '.join(notes) + ')' if notes else ''}"))
    return tag("ul", *keys, class_="legend")


def _sparse(scale: Scale) -> list[str]:
    """Return the tick labels, without those that would touch the one before."""
    labels: list[str] = []
    free = -1e9
    for x, label in zip(scale(scale.ticks).tolist(), scale.labels(), strict=True):
        half = LETTER * len(label) / 2
        is_free = x - half >= free
        labels.append(label if is_free else "")
        free = x + half + 6 if is_free else free
    return labels
